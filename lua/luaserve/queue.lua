--- Those who wait for a connection of a pool, in the order in which they came.
local core = require "luaserve.core"
local timers = require "timers"

local M = {}

--- Waits at the end of a queue until somebody takes the waiter out of it and wakes it.
---@param queue table[] of waiters
---@param seconds number? nil: for ever
---@param late any what is returned when the time is over
---@return any woken what the waiter was woken with
function M.wait(queue, seconds, late)
  local waiter = core.waiter()
  table.insert(queue, waiter)
  local timer = seconds and timers.setTimeout(function()
    for i, other in ipairs(queue) do
      if other == waiter then table.remove(queue, i) end
    end
    waiter:wake(late)
  end, seconds * 1000)
  local woken = waiter:wait()
  if timer then timers.clearTimeout(timer) end
  return woken
end

return M
