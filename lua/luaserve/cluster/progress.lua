--- Waiting, in a primary, for what its workers are going to say.
local core = require "luaserve.core"
local primary = require "luaserve.cluster.primary"
local timers = require "timers"

local M = {}

--- Waits until condition() holds, which is asked whenever a worker gets further, or the time is over.
---@param condition fun(): any
---@param seconds number
---@return any what condition() says at the end
function M.wait(condition, seconds)
  if condition() then return true end
  local waiter, late = core.waiter(), false
  local function look()
    if late or condition() then waiter:wake() end
  end
  local timer = timers.setTimeout(function()
    late = true
    look()
  end, seconds * 1000)
  primary.emitter.on("_progress", look)
  waiter:wait()
  primary.emitter.off("_progress", look)
  timers.clearTimeout(timer)
  return condition()
end

return M
