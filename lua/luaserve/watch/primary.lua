--- What `--watch` runs in the primary: one worker, and new code in its place when a file has changed that it has
--- loaded. New code that fails leaves the old one at work; where there is none yet, a stand-in shows the error.
local core = require "luaserve.core"
local backoff = require "luaserve.cluster.backoff"
local cluster = require "cluster"
local files = require "luaserve.watch.files"
local json = require "json"
local native = require "luaserve.core.cluster"
local path = require "path"
local ports = require "luaserve.watch.ports"
local primary = require "luaserve.cluster.primary"
local process = require "process"
local progress = require "luaserve.cluster.progress"
local sockets = require "luaserve.cluster.sockets"

local M = {}

local START, PATIENCE, LISTEN, LEAVE = 60, 1, 10, 5 -- seconds that a worker has for each
local SLOT = 1

local current -- the worker that serves, or stands in
local running, again = false, false
local loads = {} -- worker -> {files =, trees =} that it has loaded
local state = { generation = "", styles = 0, trouble = nil }
local said -- the trouble that the worker which is tried out has told of
local reason = {} -- the files that have changed

local born, generations = os.time(), 0

local function new_generation()
  generations = generations + 1
  return ("%x-%d"):format(born, generations)
end

-- ---- what is watched

local ever = {} -- all files that any worker has loaded: the next one may load them late, as templates

local function want()
  local trees, script = {}, core.argv[2]
  if script:sub(1, 1) == "/" then ever[script] = true end
  for _, known in pairs(loads) do
    for file in pairs(known.files) do ever[file] = true end
    for tree in pairs(known.trees) do trees[tree] = true end
  end
  files.want(ever, trees)
end

--- Of those that are gone only the folders of the last one count, which has perhaps failed on what is to be mended.
local function forget(worker)
  loads[worker] = nil
end

-- ---- what pages are told

local function tell_state(worker)
  if not worker or worker._dead then return end
  sockets.tell(worker, { t = "watch", event = "state", generation = state.generation, styles = state.styles,
    trouble = state.trouble or false })
end

-- ---- trying new code

local function how(worker)
  local code, signal = worker.process.exitCode, worker.process.signalCode
  if signal then return "the script has ended by " .. signal end
  if code == 0 then return "the script has ended: it neither listens nor returns an app" end
  if code == 3 then return "the script cannot listen where it wants to: the terminal says why" end
  return "the script has ended with code " .. tostring(code)
end

--- Has old stop, so that its sockets are free for worker, where they are in its way.
local function clear_way(worker, old)
  local kept, collides = {}, false
  for _, wanted in ipairs(worker._held) do
    kept[wanted.key] = true
    collides = collides or sockets.collides(wanted)
  end
  if not collides or not old then return end
  primary.stop(old, false)
  sockets.tell(old, { t = "watch", event = "ping" }) -- it says that it retires before it closes its sockets
  progress.wait(function() return old._dead or old._ponged end, LEAVE)
  sockets.prune(kept)
end

--- Why the worker is no good, or nil where it serves. false: it need not be known any more.
local function try(worker, old)
  local held = worker._held or {}
  local function over() return worker._dead or worker._loaded or again end
  if not progress.wait(over, PATIENCE) and #held == 0 then progress.wait(over, START) end
  if again then return false end
  if worker._dead then return how(worker) end
  if not worker._loaded and #held == 0 then return "it has not come up within " .. START .. " seconds" end
  if worker._idle then -- it ends soon, unless a callback listens
    progress.wait(function() return worker._dead or #held > 0 or again end, LISTEN)
    if again then return false end
  end
  progress.wait(function() return worker._dead or #held >= (worker._pending or 0) end, LISTEN)
  if worker._dead then return how(worker) end
  clear_way(worker, old)
  primary.let_go(worker)
  progress.wait(function() return worker._dead or worker._ready end, worker._loaded and LISTEN or PATIENCE)
  return worker._dead and how(worker) or nil
end

--- The worker serves: pages are told, and the old one goes.
local function take(worker, generation, old)
  primary.accept(worker)
  current, state.generation, state.trouble = worker, generation, nil
  if not old or old._dead then return end
  primary.stop(old, false)
  sockets.tell(old, { t = "watch", event = "leave", generation = generation, styles = state.styles })
  progress.wait(function() return old._dead or old._retired end, LEAVE)
  forget(old)
  sockets.prune {}
end

--- Serves the error where nothing else does.
local function stand_in()
  local worker = primary.fork({ LUASERVE_STAND_IN = json.encode(json.array(ports.of(core.argv[2]))) }, { slot = SLOT })
  worker._stand_in = true
  primary.accept(worker)
  current, state.generation = worker, new_generation()
  tell_state(worker)
end

local function refuse(worker, why, old)
  local code = worker._dead and worker.process.exitCode
  primary.reject(worker, old)
  state.trouble = said or { message = why, frames = {}, status = 500, time = os.time() }
  if old and not old._dead and not old._retired then
    core.log("error", ("%s: %s"):format(old._stand_in and "waiting for a change" or "the old code goes on",
      state.trouble.message))
    return tell_state(old)
  end
  if not said and (code == 2 or code == 3) and generations == 1 then return core.exit(code) end
  core.log("error", "waiting for a change: " .. state.trouble.message)
  stand_in()
end

local function attempt()
  local old, since, generation = current, files.now(), new_generation()
  if old and (old._dead or old._retired) then old = nil end
  said = nil
  local worker = primary.fork(nil, { slot = SLOT, held = true })
  loads[worker] = { files = {}, trees = {} }
  sockets.tell(worker, { t = "watch", event = "state", generation = generation, styles = state.styles,
    trouble = false })
  local why = try(worker, old)
  for other in pairs(loads) do
    if other ~= worker and other ~= old then forget(other) end
  end
  if why == false then return primary.reject(worker, old) end
  if why then return refuse(worker, why, old) end
  take(worker, generation, old)
  if generations > 1 then
    core.log("info", ("reloaded in %.0f ms: %s"):format(files.now() - since, table.concat(reason, ", ")))
  else
    native.notify("READY=1")
  end
end

local gone

local function cycle()
  again = true
  if running then
    primary.emitter:emit("_progress")
    return
  end
  running = true
  while again and not primary.stopping do
    again = false
    attempt()
    want()
  end
  running = false
  if current and current._dead then return gone(current) end
end

--- The worker that served has ended by itself.
function gone(worker)
  local code, signal = worker.process.exitCode, worker.process.signalCode
  current = nil
  if worker._stand_in then return core.exit(code == 0 and 1 or code) end
  if code == 0 then
    core.log("info", "the script has ended; it runs again when a file changes")
    return
  end
  core.log("warn", ("the worker has ended %s; another takes its place"):format(signal and "by " .. signal
    or "with code " .. tostring(code)))
  return cycle()
end

-- ---- events

local function on_change(paths)
  if primary.stopping then return end
  local code, style = false, true
  reason = {}
  for _, file in ipairs(paths) do
    if files.is_file(file) then code = true end
    if not file:find("%.css$") then style = false end
    if #reason < 5 then reason[#reason + 1] = path.basename(file) end
  end
  backoff.note(SLOT, math.huge) -- what has failed before need not any more
  if #paths > 5 then reason[6] = ("and %d more"):format(#paths - 5) end
  if code then return cycle() end
  if style then
    state.styles = state.styles + 1
  else
    state.generation = new_generation()
  end
  return tell_state(current)
end

local function on_exit(worker)
  if primary.stopping or worker ~= current or running or worker.exitedAfterDisconnect then return end
  return gone(worker)
end

local told = {}

local news = {} -- what workers have just told that they have loaded

local function take_news()
  local list = news
  news = {}
  want()
  for _, message in ipairs(list) do
    if message.kind == "files" then files.compare(message.path, message.stamp) end
  end
end

function told.loads(worker, message)
  local known = loads[worker]
  if not known or known[message.kind][message.path] then return end
  known[message.kind][message.path] = true
  if not news[1] then core.defer(take_news) end
  table.insert(news, message)
end

function told.pong(worker)
  worker._ponged = true
  primary.emitter:emit("_progress", worker)
end

function told.idle(worker) worker._idle = true end

function told.trouble(_, message) said = message.trouble end

--- Runs one worker, for ever.
function M.run()
  local opened, why = files.open(on_change)
  if not opened then core.giveUp("--watch: " .. why, 1) end
  primary.on_watch = function(worker, message) return told[message.event](worker, message) end
  cluster.on("exit", on_exit)
  process.on("SIGHUP", function()
    reason = { "SIGHUP" }
    return cycle()
  end)
  want()
  cycle()
end

return M
