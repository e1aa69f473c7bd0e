---@meta timers

--- Timers; also globals, but for sleep.
---@class timers
local timers = {}

--- Belongs to the request in which it was made.
---@class timers.Timer
local Timer = {}

--- Ends it.
function Timer:close() end

--- It keeps the process alive.
---@return self
function Timer:ref() end

--- It does not keep the process alive.
---@return self
function Timer:unref() end

---@return boolean
function Timer:hasRef() end

--- Its delay begins anew.
---@return self
function Timer:refresh() end

---@class timers.Immediate
local Immediate = {}

--#region lua/node/timers.lua M=timers. Immediate=Immediate:
--- Calls fn(...) once after delay milliseconds.
---@param fn function
---@param delay number? milliseconds, 1 where missing
---@return timers.Timer
function timers.setTimeout(fn, delay, ...) end

--- Calls fn(...) every delay milliseconds.
---@param fn function
---@param delay number? milliseconds
---@return timers.Timer
function timers.setInterval(fn, delay, ...) end

--- Takes it back, if it has not run.
function Immediate:close() end

--- Calls fn(...) at the end of this turn of the loop.
---@param fn function
---@return timers.Immediate
function timers.setImmediate(fn, ...) end

--- Ends a timer or takes an immediate back; anything else is ignored, as in Node.
---@param t any
function timers.clearTimeout(t) end

--- Waits for so many milliseconds, or calls cb then.
---@param ms number
---@param cb function?
---@return boolean true
function timers.sleep(ms, cb) end
--#endregion

timers.clearInterval = timers.clearTimeout
timers.clearImmediate = timers.clearTimeout

return timers
