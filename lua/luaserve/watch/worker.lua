--- What `--watch` does in the worker: tells the primary which files are loaded and what has failed, and serves what
--- pages need to reload themselves, below /.luaserve/.
local core = require "luaserve.core"
local child = require "luaserve.cluster.child"
local files = require "luaserve.watch.files"
local fs = require "fs"
local json = require "json"
local process = require "process"
local timers = require "timers"
local trouble = require "luaserve.trouble"

local M = {}

local PING = 20000 -- milliseconds between comments, so that proxies keep a stream

M.state = { generation = "", styles = 0, trouble = nil }

-- ---- files

local told = {} -- what the primary knows

--- Tells the primary at once: what has just been loaded may be the end of us.
local function note(kind, file)
  local full = require("path").resolve(process.cwd(), file)
  if told[kind .. full] then return end
  told[kind .. full] = true
  child.tell { t = "watch", event = "loads", kind = kind, path = full, stamp = files.stamp(full) }
  local found, real = pcall(fs.realpathSync, full)
  if found and real ~= full then note(kind, real) end -- a link: what it leads to is edited elsewhere
end

-- ---- who may see what is inside

local LOCAL_HOSTS = { localhost = true, ["[::1]"] = true }

--- Whether a request comes from this machine, by way of nobody else, and asked for it by a name that means it: a
--- page elsewhere can have a name of its own lead here.
---@param req IncomingMessage
---@return boolean
function M.is_local(req)
  local headers, peer = req.headers, tostring(req.socket.remoteAddress or "")
  if not (peer:find("^127%.") or peer == "::1") then return false end
  if headers.forwarded or headers["x-real-ip"] or headers.via then return false end
  for name in pairs(headers) do
    if name:find("^x%-forwarded") then return false end
  end
  local host = tostring(headers.host or ""):lower():gsub(":%d+$", "")
  return LOCAL_HOSTS[host] or host:find("^127%.%d+%.%d+%.%d+$") ~= nil or host:find("^[%w.-]+%.localhost$") ~= nil
end

-- ---- the stream of events

local streams = {} -- res -> whether it may be told of troubles

local function event_text(open)
  local found = M.state.trouble
  return ("event: state\ndata: %s\n\n"):format(json.encode { generation = M.state.generation, styles = M.state.styles,
    trouble = found and (open and found.message or "the new code has failed: see the terminal") or false,
    id = found and found.id or 0 })
end

local function ignore() end

local function write(res, text)
  if res.writableEnded then
    streams[res] = nil
  else
    res:write(text, ignore)
  end
end

local function tell_streams()
  for res, open in pairs(streams) do write(res, event_text(open)) end
end

local function end_streams()
  for res in pairs(streams) do
    streams[res] = nil
    res:finish()
  end
end

local function open_stream(req, res)
  res:writeHead(200, { ["Content-Type"] = "text/event-stream", ["Cache-Control"] = "no-store",
    ["X-Accel-Buffering"] = "no" })
  if req.method == "HEAD" or core.draining() then return res:finish() end
  streams[res] = M.is_local(req)
  res:on("close", function() streams[res] = nil end)
  write(res, "retry: 500\n\n" .. event_text(streams[res]))
end

-- ---- what is served

local served = {}

served["/.luaserve/watch"] = open_stream

served["/.luaserve/watch.js"] = function(_, res)
  res:writeHead(200, { ["Content-Type"] = "text/javascript; charset=utf-8", ["Cache-Control"] = "no-store" })
  res:finish(require("luaserve.watch.browser").text)
end

served["/.luaserve/trouble"] = function(req, res)
  if not M.is_local(req) then
    res:writeHead(403, { ["Content-Type"] = "text/plain" })
    return res:finish("Forbidden\n")
  end
  return require("luaserve.watch.page").answer(req, res, M.state.trouble
    or { message = "There is no error.", frames = {}, status = 500, time = os.time() }, { status = 200, still = true })
end

--- Answers what is ours.
---@return boolean whether it was
function M.serve(req, res)
  local answer = req.url:sub(1, 11) == "/.luaserve/" and served[req.url:match("^[^?]*")]
  if not answer or req.method ~= "GET" and req.method ~= "HEAD" then return false end
  answer(req, res)
  return true
end

-- ---- errors

--- Answers a request that has failed with the page of its error; false where it may not.
local function show(res, value)
  local req = require("luaserve.core.server").req(res)
  if res.headersSent or not M.is_local(req) then return false end
  local t = trouble.of(value, res)
  for name in pairs(res:getHeaders()) do res:removeHeader(name) end
  require("luaserve.watch.page").answer(req, res, t)
  return true
end

local function report(value)
  local t = trouble.of(value)
  child.tell { t = "watch", event = "trouble", trouble = trouble.brief(t) }
  core.giveUp(trouble.text(t), 1)
end

local function finish(ok, ...)
  if ok then return ... end
  local value = ...
  if type(value) == "table" and rawget(value, "_exit") and rawget(value, "_exit") ~= 1 then error(value, 0) end
  return report(value)
end

--- Runs the script: what fails in it is told to the primary.
---@param fn function
---@param ... any its arguments
---@return any
function M.run(fn, ...)
  return finish(xpcall(fn, core.keepTrace, ...))
end

--- Tells the primary that nothing is served, so far.
function M.idle() child.tell { t = "watch", event = "idle" } end

--- The script has made an app that nothing serves: that is as if it had failed.
---@param message string
function M.unserved(message)
  local t = trouble.of({ message = message, _exit = 1 })
  child.tell { t = "watch", event = "trouble", trouble = trouble.brief(t) }
  io.stderr:write("luaserve: ", trouble.text(t), "\n")
  core.exit(1)
end

-- ---- the stand-in

--- An app that answers everything with the error for which the script does not run.
local function stand_in_app(req, res)
  if M.state.trouble and M.is_local(req) then
    return require("luaserve.watch.page").answer(req, res, M.state.trouble)
  end
  res:writeHead(500, { ["Content-Type"] = "text/plain; charset=utf-8" })
  return res:finish("Internal Server Error\n")
end

--- Serves the error in place of the script; returns the app where that listens as --listen says.
---@param ports string JSON: those that the script names
---@return function?
function M.stand_in(ports)
  local list = json.decode(ports)
  if not list[1] then return stand_in_app end
  local http = require "http"
  for _, port in ipairs(list) do
    http.createServer(stand_in_app):listen(port, function() child.serving("http://localhost:" .. port) end)
  end
  return nil
end

-- ---- the start

local function on_watch(message)
  if message.event == "ping" then -- when the turn is over its sockets are closed
    timers.setTimeout(child.tell, 2, { t = "watch", event = "pong" })
    return
  end
  local state = M.state
  state.generation, state.styles = message.generation, message.styles
  state.trouble = message.trouble and trouble.revive(message.trouble) or nil
  if state.trouble then
    state.count = (state.count or 0) + 1
    state.trouble.id = state.count
  end
  tell_streams()
  if message.event == "leave" then end_streams() end
end

local function watch_loadfile()
  local plain = rawget(_G, "loadfile")
  rawset(_G, "loadfile", function(file, ...)
    if type(file) == "string" then note("files", file) end
    return plain(file, ...)
  end)
end

--- Sets all up, before the script is loaded.
function M.start()
  child.on_watch, child.on_leave = on_watch, end_streams
  function core.loads(file) note("files", file) end
  trouble.enable { caught = true }
  watch_loadfile()
  local static = require "luaserve.static"
  static.opened = function(folder) note("trees", folder) end
  require("luaserve.core.static").doubt()
  require("http")._gate = M.serve
  require("luaserve.watch.inject").install(M.state)
  local rescue = require "luaserve.rescue"
  rescue.show = show
  rescue.watch()
  timers.setInterval(function()
    for res in pairs(streams) do write(res, ":\n\n") end
  end, PING):unref()
end

return M
