--- Time in the specs: a monotonic clock, waiting for a condition instead of
-- sleeping, and one multiplier for slow builds. SAN=1 (sanitizers) makes every
-- bound five times longer; LUASERVE_TIME_SCALE=N does so by hand (valgrind).
local socket = require("socket")
local system = require("system")

local M = {}

local INTERVAL = 0.005

local by_hand = tonumber(os.getenv("LUASERVE_TIME_SCALE") or "")
local sanitized = (os.getenv("SAN") or "") ~= "" and os.getenv("SAN") ~= "0"

--- True where the binary under test is a sanitizer build.
M.sanitized = sanitized

--- What every time limit of the specs is multiplied by.
M.scale = by_hand or (sanitized and 5 or 1)

--- Seconds of a monotonic clock.
---@return number
function M.now()
  return system.monotime()
end

--- The limit of `seconds` (default 5) on this build.
---@param seconds number?
---@return number
function M.seconds(seconds)
  return (seconds or 5) * M.scale
end

--- Pauses for one polling interval; for loops that have a deadline of their own.
function M.tick()
  socket.sleep(INTERVAL)
end

--- Polls until `condition()` is true and returns its value; raises with `what`
--- where that has not happened after `timeout` seconds (default 5, scaled).
---@param condition fun(): any
---@param what string|fun(): string? what is waited for; a function is asked at the end
---@param timeout number? seconds
---@return any
function M.wait_for(condition, what, timeout)
  local limit = M.seconds(timeout)
  local deadline = M.now() + limit
  repeat
    local value = condition()
    if value then
      return value
    end
    M.tick()
  until M.now() > deadline
  local value = condition()
  if value then
    return value
  end
  if type(what) == "function" then
    what = what()
  end
  error(("waited %g s in vain for %s"):format(limit, what or "a condition"), 2)
end

return M
