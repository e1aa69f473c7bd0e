--- The primary's side of a cluster: workers, their events in Node's order, and what they ask for.
local core = require "luaserve.core"
local backoff = require "luaserve.cluster.backoff"
local census = require "luaserve.cluster.census"
local channel = require "luaserve.cluster.channel"
local events = require "events"
local given = require "luaserve.given"
local measures = require "luaserve.cluster.measures"
local native = require "luaserve.core.cluster"
local owners = require "luaserve.cluster.owners"
local process = require "process"
local sockets = require "luaserve.cluster.sockets"
local store = require "luaserve.core.store"
local timers = require "timers"

local M = {
  workers = {}, -- by id
  settings = nil, -- of setupPrimary
  stopping = false, -- this process has begun to stop
  emitter = nil, -- the module cluster
  on_watch = nil, -- what workers say to luaserve.watch.primary
  on_serving = nil, -- told of the URLs of apps that scripts have returned
}

local slots = {} -- the worker of each
local last_id = 0
local ready = false -- and the service manager knows
local told_urls = {}

local PROBE = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: luaserve-probe\r\nConnection: close\r\n\r\n"

local SIGNALS = {}
for name, number in pairs(require("luaserve.core.process").signals) do SIGNALS[number] = name end

--- Tells listeners of the worker and of the cluster.
local function announce(worker, event, ...)
  events.tell(worker, event, ...)
  events.tell(M.emitter, event, worker, ...)
end

-- ---- the worker as the primary sees it

---@class cluster.Worker: EventEmitter emits online, listening, message, disconnect, exit, error
---@field id integer
---@field process table {pid, connected, exitCode, signalCode, kill(signal), send(value)}
---@field exitedAfterDisconnect boolean? whether it was told to go; nil until then
local Worker = events.inherit({})
Worker.__index = Worker
Worker.__name = "Worker"

--- Sends a value to the worker, which gets it as a "message". Waits while much is on its way already; with a
--- callback, or where it cannot wait, it returns false then.
---@param value any what JSON can say
---@param callback fun(err: table?)?
---@return boolean? sent, string? message, string? code
function Worker:send(value, callback)
  return channel.send(self._link, value, callback)
end

--- Whether messages can be sent.
---@return boolean
function Worker:isConnected()
  return self.process.connected
end

--- Whether the process has ended.
---@return boolean
function Worker:isDead()
  return self._dead
end

local function signal_number(signal)
  if signal == nil then return 15 end
  if type(signal) == "number" then return signal end
  for number, name in pairs(SIGNALS) do
    if name == signal then return number end
  end
  error("unknown signal: " .. tostring(signal), 3)
end

--- Sends a signal to the worker; SIGTERM lets it finish its requests.
---@param signal string|integer|nil "SIGTERM" where missing
---@return boolean whether it was there
function Worker:kill(signal)
  return self._link.channel:kill(signal_number(signal))
end

Worker.destroy = Worker.kill

--- Has the worker close its servers, finish its requests and close the channel; it ends when nothing else keeps
--- it.
---@return self
function Worker:disconnect()
  self.exitedAfterDisconnect = true
  channel.tell(self._link, { t = "disconnect" })
  return self
end

-- ---- what workers say

local told = {}

function told.online(worker)
  worker._state = "online"
  announce(worker, "online")
end

function told.listen(worker, message)
  if worker._held then
    table.insert(worker._held, message)
    M.emitter:emit("_progress", worker)
    return
  end
  sockets.grant(worker, message)
end

function told.listening(worker, message)
  worker._state = "listening"
  worker._listening = (worker._listening or 0) + 1
  local a = message.address
  local info = type(a) == "string" and { address = a, addressType = -1 }
    or { address = a.address, port = a.port, addressType = a.family == "IPv6" and 6 or 4 }
  announce(worker, "listening", info)
  M.emitter:emit("_progress", worker)
end

function told.close(worker, message)
  sockets.close(worker, message.key)
end

--- When the last worker has stopped accepting, nobody is to wait in a queue.
local function close_unused()
  for _, worker in pairs(M.workers) do
    if not worker._retired then return end
  end
  sockets.close_all()
end

--- It accepts no more, and ends when its requests are answered: its place is free.
local function retire(worker)
  if worker._retired then return end
  worker._retired = true
  sockets.vacate(worker)
  owners.withdraw(worker)
  if slots[worker._slot] == worker then slots[worker._slot] = nil end
  M.emitter:emit("_retired", worker)
  M.emitter:emit("_progress", worker)
  if M.stopping then close_unused() end
end

told.draining = retire

function told.report(worker, message) measures.report(worker, message.rows) end

function told.measure(worker, message)
  measures.collect(function(sums) sockets.tell(worker, { t = "reply", seq = message.seq, measures = sums }) end)
end

function told.counts(worker, message) census.answered(worker, message) end

function told.once(worker, message) owners.offer(worker, message.name) end

function told.never(worker, message) owners.withdraw(worker, message.name) end

--- Its script has run.
function told.loaded(worker, message)
  worker._loaded, worker._pending = true, message.pending -- servers that are about to listen
  M.emitter:emit("_progress", worker)
end

function told.watch(worker, message)
  if M.on_watch then return M.on_watch(worker, message) end
end

function told.disconnecting(worker)
  worker.exitedAfterDisconnect = true
end

--- Its script has run, and what that listens on is bound.
function told.ready(worker)
  worker._ready = true
  if not core.workers and not ready then -- else the supervisor says so
    ready = true
    native.notify("READY=1")
  end
  M.emitter:emit("_progress", worker)
  M.emitter:emit("_ready", worker)
end

function told.serving(_, message)
  if M.on_serving then return M.on_serving(message.url) end
  if told_urls[message.url] then return end
  told_urls[message.url] = true
  print("listening on " .. message.url)
end

-- ---- the end of a worker

local function forget(worker)
  if M.workers[worker.id] ~= worker then return end
  M.workers[worker.id] = nil
  if not next(M.workers) then M.emitter:emit("_empty") end
end

local function on_close(worker)
  worker.process.connected = false
  sockets.vacate(worker)
  if worker._dead then forget(worker) end
  worker._state = "disconnected"
  announce(worker, "disconnect")
end

local function on_exit(worker, code, number)
  local signal = number ~= 0 and SIGNALS[number] or nil
  worker._dead, worker._state = true, "dead"
  worker.process.exitCode, worker.process.signalCode = code, signal
  worker.exitedAfterDisconnect = worker.exitedAfterDisconnect == true
  if not worker.exitedAfterDisconnect and not worker._retired and not worker._trial then
    backoff.note(worker._slot, process.uptime() - worker._born, worker._ready and number == 9)
  end
  if not worker.exitedAfterDisconnect then measures.respawns = measures.respawns + 1 end
  retire(worker)
  forget(worker)
  measures.forget(worker)
  events.tell(worker.process, "exit", code, signal)
  announce(worker, "exit", code, signal)
  M.emitter:emit("_progress", worker)
end

-- ---- starting

local function free_slot()
  local slot = 1
  while slots[slot] do slot = slot + 1 end
  return slot
end

--- The command line of a worker: that of this process, with the script by its absolute path.
local function arguments(settings)
  local argv = { process.execPath }
  for _, option in ipairs(settings.execArgv or core.options) do table.insert(argv, option) end
  if argv[#argv] ~= "--" then table.insert(argv, "--") end
  local script = settings.exec or core.argv[2]
  if script ~= "-e" then table.insert(argv, script) end
  for _, argument in ipairs(settings.args) do table.insert(argv, tostring(argument)) end
  return argv
end

local function environment(env)
  local merged, list = {}, {}
  local name_of_given, value_of_given = given.variable()
  if name_of_given then merged[name_of_given] = value_of_given end
  for name, value in pairs(process.env) do merged[name] = value end
  for name, value in pairs(env or {}) do merged[name] = value end
  local path, variable = store.share()
  if path then merged[variable] = path end
  for name, value in pairs(merged) do table.insert(list, tostring(name) .. "=" .. tostring(value)) end
  return list
end

local function new_worker(slot)
  last_id = last_id + 1
  local worker = setmetatable({ id = last_id, _slot = slot, _dead = false, _state = "none",
    _events = { lists = {} } }, Worker)
  worker.process = events.EventEmitter.new()
  worker.process.connected = false
  function worker.process.kill(first, signal)
    if first ~= worker.process then signal = first end
    return Worker.kill(worker, signal)
  end
  function worker.process.send(first, ...)
    if first == worker.process then return Worker.send(worker, ...) end
    return Worker.send(worker, first, ...)
  end
  return worker
end

local function attach(worker, link)
  worker._link = link
  worker.process.pid, worker.process.connected = link.channel:pid(), true
  function link.on_tell(message, bound)
    return told[message.t](worker, message, bound)
  end
  function link.on_message(value)
    events.tell(worker.process, "message", value)
    events.tell(M.emitter, "message", worker, value)
    events.tell(worker, "message", value)
  end
  function link.on_close() return on_close(worker) end
  function link.on_exit(code, signal) return on_exit(worker, code, signal) end
end

-- In the place of the channel of a worker that could not be started.
local nobody = { channel = { kill = function() return false end, close = function() end,
  send = function() return nil, "the channel is closed" end }, waiters = {} }

--- It could not be started, or must not be any more: says so as if it had ended at once, if after a while, for
--- who tries again.
local function stillborn(worker, message)
  worker._link, worker._dead = nobody, true
  if not message then return worker end
  core.log("error", "cannot start a worker: " .. message)
  timers.setTimeout(function()
    worker._born = process.uptime()
    on_exit(worker, 127, 0)
  end, math.max(1000, backoff.delay(worker._slot)))
  return worker
end

--- Starts a worker.
---@param env table<string, any>? what is added to its environment
---@param options {slot: integer?, held: boolean?}? slot: that of a worker which it is to replace; held: its
--- servers wait until they are let go
---@return cluster.Worker
function M.fork(env, options)
  local slot = options and options.slot or free_slot()
  local worker = new_worker(slot)
  if M.stopping then return stillborn(worker) end
  M.setup()
  local delay = backoff.delay(slot)
  worker._born = process.uptime() + delay / 1000
  local opened, message = native.spawn { id = worker.id, delay = delay, argv = arguments(M.settings),
    env = environment(env), cwd = M.settings.cwd, input = core.stdinText }
  slots[slot], M.workers[worker.id] = worker, worker
  if not opened then return stillborn(worker, message) end
  worker._held = options and options.held and {} or nil
  worker._trial = options and options.slot ~= nil
  attach(worker, channel.open(opened))
  core.defer(events.tell, M.emitter, "fork", worker)
  return worker
end

--- Lets a worker that is held have its sockets.
function M.let_go(worker)
  local held = worker._held or {}
  worker._held = nil
  for _, message in ipairs(held) do sockets.grant(worker, message) end
end

--- The worker has proved itself, and old, whose place it takes, may go.
function M.accept(worker)
  worker._trial = false
end

--- Ends a worker that has not proved itself; old keeps its place.
function M.reject(worker, old)
  worker.exitedAfterDisconnect = true
  worker:kill("SIGKILL")
  if old and not old._dead and not old._retired then slots[old._slot] = old end
end

--- Asks the worker for the path / over a connection of its own, before it accepts any. Waits.
---@param worker cluster.Worker
---@param seconds number to wait at most
---@return integer? status, string? message
function M.probe(worker, seconds)
  local ours, its = native.pair()
  if not ours then return nil, its end
  channel.tell(worker._link, { t = "probe" }, its)
  its:close()
  return native.ask(ours, PROBE, seconds)
end

--- Has the worker talk to who has come to the control socket.
---@param worker cluster.Worker
---@param bound userdata the connection
function M.attach(worker, bound)
  sockets.tell(worker, { t = "attach" }, bound)
  bound:close()
end

--- Settings for workers, where none were given: the same script and arguments.
---@param settings table?
function M.setup(settings)
  if M.settings and not settings then return end
  local merged = { args = { (table.unpack or unpack)(core.argv, 3) } }
  for name, value in pairs(M.settings or {}) do merged[name] = value end
  for name, value in pairs(settings or {}) do merged[name] = value end
  M.settings = merged
  core.defer(events.tell, M.emitter, "setup", merged)
end

--- Has a worker stop as SIGTERM does; gently where others take over.
function M.stop(worker, gently)
  worker.exitedAfterDisconnect = true
  if worker._state == "none" then return worker:kill("SIGTERM") end -- it does not listen to us yet
  channel.tell(worker._link, { t = "stop", gently = gently })
end

channel.on_stop = function()
  M.stopping = true
  for _, worker in pairs(M.workers) do M.stop(worker, false) end
end

sockets.tell = function(worker, message, bound)
  if not worker._dead then channel.tell(worker._link, message, bound) end
end

owners.tell, measures.tell, census.tell = sockets.tell, sockets.tell, sockets.tell
measures.workers, census.workers = M.workers, M.workers

M.Worker = Worker
return M
