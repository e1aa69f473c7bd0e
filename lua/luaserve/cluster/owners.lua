--- Which worker does what only one is to do (cluster.once): the primary's list.
local M = {}

local jobs = {} -- name -> {owner = worker?, candidates = {worker...}}

--- Set by the primary: tell(worker, message).
M.tell = nil

local function choose(name)
  local job = jobs[name]
  job.owner = job.candidates[1]
  if job.owner then M.tell(job.owner, { t = "own", name = name }) else jobs[name] = nil end
end

--- The worker is ready to do it.
function M.offer(worker, name)
  local job = jobs[name] or { candidates = {} }
  jobs[name] = job
  table.insert(job.candidates, worker)
  if not job.owner then choose(name) end
end

--- And is not any more; of all its jobs where no name is given.
function M.withdraw(worker, name)
  for known, job in pairs(jobs) do
    for i = #job.candidates, 1, -1 do
      if job.candidates[i] == worker and (name or known) == known then table.remove(job.candidates, i) end
    end
    if job.owner == worker and (name or known) == known then choose(known) end
  end
end

return M
