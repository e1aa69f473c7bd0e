---@meta cluster

--- More processes than one, which listen on the same ports.
---@class cluster
local cluster = {}

--#region lua/node/cluster.lua M=cluster.
---@class cluster: EventEmitter emits fork, online, listening, message, disconnect, exit, setup
---@field isPrimary boolean
---@field isMaster boolean
---@field isWorker boolean
---@field workers table<integer, cluster.Worker>? by id; in the primary
---@field worker cluster.Worker? this process; in a worker
---@field settings table of setupPrimary
local cluster = {}

--- `cluster.once(name, milliseconds, fn)` calls fn again and again, in one process of the cluster: where that one
--- stops or dies another goes on. A run that waits for longer than that is not overtaken by the next.
--- `cluster.once(event, fn)` listens to the next event alone.
---@param name string
---@param milliseconds number
---@param fn function
---@return cluster.Job job with a method stop
function cluster.once(name, milliseconds, fn) end

--- Starts a worker: this program with the same script, in which `cluster.isWorker` is true. It listens where the
--- others do. One that takes the place of a worker that has failed at once is held back for a while.
---@param env table<string, any>? what is added to its environment
---@return cluster.Worker
function cluster.fork(env) end

--- Settings for workers that are started from now on: `exec` (the script), `args` (its arguments), `cwd`,
--- `execArgv` (options of luaserve).
---@param settings {exec: string?, args: any[]?, cwd: string?, execArgv: string[]?}?
function cluster.setupPrimary(settings) end

--- Has every worker finish its requests and end, and calls back when none is left.
---@param callback fun()?
function cluster.disconnect(callback) end

--- How many CPUs this process may use: the affinity and the quotas of control groups count.
---@type fun(): integer
cluster.cpus = nil
--#endregion

--#region lua/luaserve/cluster/primary.lua Worker=Worker:
---@class cluster.Worker: EventEmitter emits online, listening, message, disconnect, exit, error
---@field id integer
---@field process table {pid, connected, exitCode, signalCode, kill(signal), send(value)}
---@field exitedAfterDisconnect boolean? whether it was told to go; nil until then
local Worker = {}

--- Sends a value to the worker, which gets it as a "message". Waits while much is on its way already; with a
--- callback, or where it cannot wait, it returns false then.
---@param value any what JSON can say
---@param callback fun(err: table?)?
---@return boolean? sent, string? message, string? code
function Worker:send(value, callback) end

--- Whether messages can be sent.
---@return boolean
function Worker:isConnected() end

--- Whether the process has ended.
---@return boolean
function Worker:isDead() end

--- Sends a signal to the worker; SIGTERM lets it finish its requests.
---@param signal string|integer|nil "SIGTERM" where missing
---@return boolean whether it was there
function Worker:kill(signal) end

--- Has the worker close its servers, finish its requests and close the channel; it ends when nothing else keeps
--- it.
---@return self
function Worker:disconnect() end
--#endregion

--- The same as kill.
---@param signal string|integer|nil
---@return boolean
function Worker:destroy(signal) end

--#region lua/luaserve/cluster/once.lua Job=Job:
---@class cluster.Job
local Job = {}

--- Runs it no more in this process; another takes over where one has the same job.
---@return self
function Job:stop() end
--#endregion

cluster.setupMaster = cluster.setupPrimary

return cluster
