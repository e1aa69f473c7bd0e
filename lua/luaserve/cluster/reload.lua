--- A reload without a lost request: a first new worker has to load the code and answer a request before it gets the
--- sockets of an old one, which is only then asked to go; then the others follow, one by one. Where the first one
--- fails the old ones go on.
local primary = require "luaserve.cluster.primary"
local progress = require "luaserve.cluster.progress"
local sockets = require "luaserve.cluster.sockets"

local M = {}

-- Seconds that a new worker has to come up, then to listen, and to answer.
local START, LISTEN, ANSWER = 60, 5, 10

local function ended(worker)
  local process = worker.process
  if process.signalCode then return "it ended by " .. process.signalCode end
  return "it ended with code " .. tostring(process.exitCode)
end

--- Whether a worker that is held has loaded its script and answers: true, or false and why not.
local function try_out(worker, listens)
  progress.wait(function() return worker._dead or worker._loaded end, START)
  progress.wait(function() return worker._dead or #worker._held > 0 or not listens end, worker._loaded and LISTEN or 0)
  if worker._dead then return false, ended(worker) end
  if not worker._loaded then return false, "it has not come up within " .. START .. " seconds" end
  if #worker._held == 0 then return not listens, "it does not listen, as the old one does" end
  local status, message = primary.probe(worker, ANSWER)
  if worker._dead then return false, ended(worker) end
  if not status then return false, "it was asked for /: " .. tostring(message) end
  return status ~= 500, "it was asked for /, and answered with " .. status
end

--- Starts a worker in the place of old, and has old go when it serves.
---@return boolean done, string? why not
local function replace(old, is_first)
  local listens = sockets.count(old)
  local new = primary.fork(nil, { slot = old._slot, held = is_first })
  if is_first then
    local good, why = try_out(new, listens > 0)
    if not good then
      primary.reject(new, old)
      return false, why
    end
    primary.let_go(new)
  end
  progress.wait(function() return new._dead or new._ready and sockets.count(new) >= listens end, START)
  if new._dead or not new._ready then
    primary.reject(new, old)
    return false, new._dead and ended(new) or "it has not come up within " .. START .. " seconds"
  end
  primary.accept(new)
  if old._dead or old._retired then return true end
  primary.stop(old, true)
  progress.wait(function() return old._dead or old._retired end, START)
  return true
end

--- Replaces all workers. Waits. Those that end meanwhile are the caller's matter.
---@return integer? workers, string? why not
function M.run()
  local old = {}
  for _, worker in pairs(primary.workers) do
    if not worker._dead and not worker._retired then table.insert(old, worker) end
  end
  table.sort(old, function(a, b) return a.id < b.id end)
  local done = 0
  for _, worker in ipairs(old) do
    if primary.stopping then return nil, "the server stops" end
    if not worker._dead and not worker._retired then
      local good, why = replace(worker, done == 0)
      if not good then return nil, why end
      done = done + 1
    end
  end
  return done
end

return M
