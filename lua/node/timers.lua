--- Node's timers: milliseconds, extra arguments handed on, and `sleep`, which
--- waits. A timer belongs to the request in which it was made.
local core = require "luaserve.core"
local timer = require "luaserve.core.timer"

local M = {}

local unpack = table.unpack or unpack
local MAX = 2147483647 -- as in Node, a longer delay is 1 ms

local function bind(name, fn, ...)
  if type(fn) ~= "function" then error("bad argument #1 to '" .. name .. "' (function expected)", 3) end
  local n = select("#", ...)
  if n == 0 then return fn end
  local args = { ... }
  return function() return fn(unpack(args, 1, n)) end
end

local function seconds(delay)
  delay = tonumber(delay) or 1
  if not (delay >= 1 and delay <= MAX) then delay = 1 end
  return delay / 1000
end

--- Calls fn(...) once after delay milliseconds.
---@param fn function
---@param delay number? milliseconds, 1 where missing
---@return timers.Timer
function M.setTimeout(fn, delay, ...)
  return timer.start(bind("setTimeout", fn, ...), seconds(delay), false)
end

--- Calls fn(...) every delay milliseconds.
---@param fn function
---@param delay number? milliseconds
---@return timers.Timer
function M.setInterval(fn, delay, ...)
  return timer.start(bind("setInterval", fn, ...), seconds(delay), true)
end

local Immediate = {}
Immediate.__index = Immediate

--- Takes it back, if it has not run.
function Immediate:close() self.fn = nil end

--- Calls fn(...) at the end of this turn of the loop.
---@param fn function
---@return timers.Immediate
function M.setImmediate(fn, ...)
  local immediate = setmetatable({ fn = bind("setImmediate", fn, ...) }, Immediate)
  core.defer(function()
    local run = immediate.fn
    if run then return run() end
  end)
  return immediate
end

--- Ends a timer or takes an immediate back; anything else is ignored, as in Node.
---@param t any
function M.clearTimeout(t)
  if getmetatable(t) == Immediate then return t:close() end
  timer.clear(t)
end

M.clearInterval = M.clearTimeout
M.clearImmediate = M.clearTimeout

--- Waits for so many milliseconds, or calls cb then.
---@param ms number
---@param cb function?
---@return boolean true
function M.sleep(ms, cb)
  ms = tonumber(ms)
  if not ms then error("bad argument #1 to 'sleep' (milliseconds expected)", 2) end
  if cb ~= nil and type(cb) ~= "function" then error("bad argument #2 to 'sleep' (function expected)", 2) end
  return timer.sleep(ms / 1000, cb)
end

return M
