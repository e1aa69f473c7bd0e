--- Work for one process of a cluster alone, again and again: who does it is decided by the primary; another takes
--- over when that one stops or dies. A process that is alone does it itself.
local core = require "luaserve.core"
local timers = require "timers"

local M = {}

local jobs = {} -- by name

--- Set by a worker's side: tell(message).
M.tell = nil

local function run(job)
  if job.running then return end -- the last run still waits for something
  job.running = true
  local ok, message = xpcall(job.fn, function(err)
    return type(err) == "string" and debug.traceback(err, 2) or err
  end)
  job.running = false
  if not ok then core.log("error", ("cluster.once '%s': %s"):format(job.name, tostring(message))) end
end

local function start(job)
  if job.timer or job.stopped then return end
  job.timer = timers.setInterval(function() return run(job) end, job.milliseconds)
end

local function stop(job)
  if job.timer then timers.clearInterval(job.timer) end
  job.timer = nil
end

---@class cluster.Job
local Job = { __name = "Job" }
Job.__index = Job

--- Runs it no more in this process; another takes over where one has the same job.
---@return self
function Job:stop()
  if self.stopped then return self end
  self.stopped = true
  stop(self)
  jobs[self.name] = nil
  if M.tell then M.tell { t = "never", name = self.name } end
  return self
end

--- Has fn called every so many milliseconds, in one process of the cluster.
---@param name string
---@param milliseconds number
---@param fn function
---@return cluster.Job
function M.add(name, milliseconds, fn)
  if type(name) ~= "string" then core.raise("cluster.once needs a name, a string, for its job") end
  if type(milliseconds) ~= "number" or milliseconds < 1 then
    core.raise("cluster.once needs a number of milliseconds, at least 1")
  end
  if type(fn) ~= "function" then core.raise("cluster.once needs a function to call") end
  if jobs[name] then core.raise("there is a job '" .. name .. "' already") end
  local job = setmetatable({ name = name, milliseconds = milliseconds, fn = fn }, Job)
  jobs[name] = job
  if M.tell then M.tell { t = "once", name = name } else start(job) end
  return job
end

--- The primary has chosen this process.
function M.own(name)
  if jobs[name] then start(jobs[name]) end
end

--- This process stops: a run that has begun is finished, and is the last.
function M.stop_all()
  for _, job in pairs(jobs) do stop(job) end
end

M.Job = Job
return M
