--- The worker's side of a cluster: what it asks its primary for, and what that wants.
local core = require "luaserve.core"
local channel = require "luaserve.cluster.channel"
local events = require "events"
local native = require "luaserve.core.cluster"
local once = require "luaserve.cluster.once"
local process = require "process"

local M = {}

local link
local asked, sequence = {}, 0 -- questions by number
local places = {} -- what is listened on, by key: {handle =}
local open = {} -- the servers that listen, or are about to
local pending = 0 -- servers that are about to listen
local loaded = false -- the script has run

local function tell(message) return channel.tell(link, message) end

M.tell = tell
M.on_watch, M.on_leave = nil, nil -- set by luaserve.watch.worker

-- ---- the worker as it sees itself

local Worker = events.inherit({})
Worker.__index = Worker
Worker.__name = "Worker"

local worker = setmetatable({ id = core.worker, process = process, _events = { lists = {} } }, Worker)
M.worker = worker

--- Sends a value to the primary.
---@param value any what JSON can say
---@param callback fun(err: table?)?
---@return boolean? sent, string? message, string? code
function Worker.send(_, value, callback)
  return channel.send(link, value, callback)
end

function Worker.isConnected() return process.connected end

function Worker.isDead() return false end

--- Ends this process as that signal does.
---@param signal string|integer|nil "SIGTERM" where missing
function Worker:kill(signal)
  worker.exitedAfterDisconnect = true
  tell { t = "disconnecting" }
  process.kill(process.pid, signal)
  return self
end

Worker.destroy = Worker.kill

local function disconnected()
  process.connected = false
  events.tell(process, "disconnect")
  events.tell(worker, "disconnect")
end

local function close_channel()
  if not process.connected then return end
  channel.close(link)
  disconnected()
end

--- Closes all servers, and the channel when their requests are answered.
---@return self
function Worker:disconnect()
  if worker.exitedAfterDisconnect then return self end
  worker.exitedAfterDisconnect = true
  tell { t = "disconnecting" }
  local left = 1
  local function closed()
    left = left - 1
    if left == 0 then close_channel() end
  end
  for server in pairs(open) do
    left = left + 1
    server:close(closed)
  end
  core.defer(closed)
  return self
end

-- ---- listening

local function next_key(target, host)
  local base = target.fd and "fd:" .. target.fd or target.path and "path:" .. target.path
    or ("%s:%d"):format(host or "*", target.port)
  local index = 0
  while places[base .. "#" .. index] do index = index + 1 end
  return base .. "#" .. index
end

local function ask(message)
  sequence = sequence + 1
  message.seq = sequence
  local question = { waiter = core.waiter() }
  asked[sequence] = question
  tell(message)
  if not question.answer then question.waiter:wait() end
  return question.answer, question.bound
end

--- Has the primary bind, and accepts from what it gives. Waits.
---@param handle userdata
---@param target table as of listen.arguments
---@param host string? an address, no name
---@param wanted fun(): boolean
---@return table|string|nil address, table? failure
function M.listen(handle, target, host, wanted)
  local key = next_key(target, host)
  places[key] = { handle = handle }
  local answer, bound = ask { t = "listen", key = key, host = host, port = target.port, path = target.path,
    backlog = target.backlog, fd = target.fd }
  if answer and not answer.failed and bound and wanted() then
    local address = handle:adopt(bound, answer.tag)
    if address then
      tell { t = "listening", key = key, address = address }
      return address
    end
  end
  places[key] = nil
  if answer and answer.failed then return nil, answer end
  if answer then tell { t = "close", key = key } end
  return nil
end

local function check_ready()
  if loaded and pending == 0 then tell { t = "ready" } end
end

--- A server is about to listen.
function M.will_listen(server)
  pending = pending + 1
  open[server] = true
end

--- And does, or failed to.
function M.has_listened(server, failed)
  pending = pending - 1
  if failed then open[server] = nil end
  check_ready()
end

--- A server listens no more.
function M.closed(server, handle)
  open[server] = nil
  for key, place in pairs(places) do
    if place.handle == handle then
      places[key] = nil
      tell { t = "close", key = key }
    end
  end
end

-- ---- what the primary says

local told = {}

function told.reply(message, bound)
  local question = asked[message.seq]
  asked[message.seq] = nil
  question.answer, question.bound = message, bound
  question.waiter:wake()
end

function told.lend(message, bound)
  local place = places[message.key]
  if place and place.handle:adopt(bound, message.tag) then return end
  bound:close()
end

function told.release(message)
  local place = places[message.key]
  if place then place.handle:release(message.tag) end
end

function told.stop(message)
  worker.exitedAfterDisconnect = true
  native.stop(message.gently == true)
end

function told.report()
  M.report(M.reporter and M.reporter() or { rows = {} })
end

function told.attach(_, bound) require("luaserve.control").attach(bound) end

function told.counts(message)
  tell { t = "counts", seq = message.seq, counts = require("luaserve.control.counts").take() }
end

function told.own(message) once.own(message.name) end

function told.watch(message) return M.on_watch(message) end

function told.disconnect()
  worker:disconnect()
end

--- One end of a connection, on which the primary asks whether we answer.
function told.probe(_, bound)
  local _, place = next(places)
  if not place or not place.handle:inject(bound) then bound:close() end
end

-- ---- messages

local held = {} -- messages that came before somebody listened

local function deliver(value)
  events.tell(process, "message", value)
  events.tell(worker, "message", value)
end

local function flush()
  local list = held
  held = nil
  for _, value in ipairs(list or {}) do deliver(value) end
end

local function on_listener(event)
  if event == "message" and held then core.defer(flush) end
end

-- ---- life

--- The script has run.
function M.loaded()
  loaded = true
  tell { t = "loaded", pending = pending }
  process.off("newListener", on_listener)
  if held then flush() end
  check_ready()
end

--- What this worker has counted, for the primary to add up.
function M.report(report)
  tell { t = "report", rows = report.rows }
end

--- The sums of all workers; nil where the primary is gone. Waits.
---@return table? measures
function M.measure()
  M.report(M.reporter())
  local answer = ask { t = "measure" }
  return answer and answer.measures
end

--- The app that the script has returned is served there.
function M.serving(url)
  tell { t = "serving", url = url }
end

local function on_close()
  for _, question in pairs(asked) do question.waiter:wake() end
  asked = {}
  disconnected()
  if not worker.exitedAfterDisconnect then native.stop(false) end -- the primary is dead
end

--- Opens the channel, before the script runs.
function M.start()
  link = channel.open(native.parent())
  link.on_close = on_close
  function link.on_tell(message, bound) return told[message.t](message, bound) end
  function link.on_message(value)
    if held then table.insert(held, value) else deliver(value) end
  end
  once.tell = tell
  channel.on_stop = function()
    once.stop_all()
    if M.on_leave then M.on_leave() end
    if M.reporter then M.report(M.reporter()) end
    tell { t = "draining" }
  end
  process.connected = true
  rawset(process, "send", function(first, ...)
    if first == process then return channel.send(link, ...) end
    return channel.send(link, first, ...)
  end)
  rawset(process, "disconnect", function() close_channel() end)
  process.on("newListener", on_listener)
  worker:on("newListener", on_listener)
  tell { t = "online" }
end

return M
