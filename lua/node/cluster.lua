--- Node's cluster: this process started anew as workers, which share the ports that they listen on. The primary
--- binds, the workers accept: a worker that dies takes no connection with it but those that it was serving.
--
-- It is an EventEmitter, whose methods may be called in Node's way too: `cluster.on("exit", fn)` as well as
-- `cluster:on("exit", fn)`.
local core = require "luaserve.core"
local cpus = require "luaserve.cluster.cpus"
local events = require "events"
local once = require "luaserve.cluster.once"

local EventEmitter = events.EventEmitter

---@class cluster: EventEmitter emits fork, online, listening, message, disconnect, exit, setup
---@field isPrimary boolean
---@field isMaster boolean
---@field isWorker boolean
---@field workers table<integer, cluster.Worker>? by id; in the primary
---@field worker cluster.Worker? this process; in a worker
---@field settings table of setupPrimary
local M = {
  isWorker = core.worker ~= nil,
  isPrimary = core.worker == nil,
  isMaster = core.worker == nil,
  SCHED_NONE = 1, -- the kernel divides connections
  SCHED_RR = 2,
  schedulingPolicy = 1,
  settings = {},
  _events = { lists = {} },
}

local primary = M.isPrimary and require "luaserve.cluster.primary"
local child = M.isWorker and require "luaserve.cluster.child"

for name, fn in pairs(EventEmitter) do
  if type(fn) == "function" and name ~= "new" then
    M[name] = function(first, ...)
      if first == M then return fn(M, ...) end
      return fn(M, first, ...)
    end
  end
end

local function check_primary(name)
  if not primary then error("cluster." .. name .. " is for the primary: this process is a worker", 3) end
end

local listen_once = M.once

--- `cluster.once(name, milliseconds, fn)` calls fn again and again, in one process of the cluster: where that one
--- stops or dies another goes on. A run that waits for longer than that is not overtaken by the next.
--- `cluster.once(event, fn)` listens to the next event alone.
---@param name string
---@param milliseconds number
---@param fn function
---@return cluster.Job job with a method stop
function M.once(first, ...)
  local name, milliseconds, fn = first, ...
  if first == M then name, milliseconds, fn = ... end
  if fn == nil and type(milliseconds) ~= "number" then return listen_once(first, ...) end
  return once.add(name, milliseconds, fn)
end

--- The argument of f(x) and of M:f(x).
local function argument(first, second)
  if first == M then return second end
  return first
end

--- Starts a worker: this program with the same script, in which `cluster.isWorker` is true. It listens where the
--- others do. One that takes the place of a worker that has failed at once is held back for a while.
---@param env table<string, any>? what is added to its environment
---@return cluster.Worker
function M.fork(first, second)
  check_primary("fork")
  local env = argument(first, second)
  if env ~= nil and type(env) ~= "table" then error("fork needs a table of environment variables", 2) end
  return primary.fork(env)
end

local SETTINGS = { exec = "string", args = "table", cwd = "string", execArgv = "table" }

--- Settings for workers that are started from now on: `exec` (the script), `args` (its arguments), `cwd`,
--- `execArgv` (options of luaserve).
---@param settings {exec: string?, args: any[]?, cwd: string?, execArgv: string[]?}?
function M.setupPrimary(first, second)
  check_primary("setupPrimary")
  local settings = argument(first, second) or {}
  if type(settings) ~= "table" then error("setupPrimary needs a table of settings", 2) end
  for name, value in pairs(settings) do
    if not SETTINGS[name] then
      error("setupPrimary has no setting '" .. tostring(name) .. "': there are exec, args, cwd and execArgv", 2)
    elseif type(value) ~= SETTINGS[name] then
      error(("the setting %s must be a %s, not %s"):format(name, SETTINGS[name], type(value)), 2)
    end
  end
  if settings.exec then
    local path = require "path"
    settings.exec = path.resolve(require("process").cwd(), settings.exec)
  end
  primary.setup(settings)
  M.settings = primary.settings
end

M.setupMaster = M.setupPrimary

--- Has every worker finish its requests and end, and calls back when none is left.
---@param callback fun()?
function M.disconnect(first, second)
  check_primary("disconnect")
  local callback = argument(first, second)
  local _, some = next(primary.workers)
  if callback then
    if some then M:once("_empty", function() return callback() end) else core.defer(callback) end
  end
  for _, worker in pairs(primary.workers) do worker:disconnect() end
end

--- How many CPUs this process may use: the affinity and the quotas of control groups count.
---@type fun(): integer
M.cpus = cpus.count

if primary then
  M.workers = primary.workers
  primary.emitter = M
else
  M.worker = child.worker
end

return M
