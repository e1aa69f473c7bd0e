---@meta _

--- The timers of Node: require("timers").
setTimeout = require("timers").setTimeout
setInterval = require("timers").setInterval
setImmediate = require("timers").setImmediate
clearTimeout = require("timers").clearTimeout
clearInterval = require("timers").clearInterval
clearImmediate = require("timers").clearImmediate

--- This process.
process = require("process")

--- The absolute path of this file.
---@type string
__filename = ""

--- The folder of this file.
---@type string
__dirname = ""

--- Lines for the log, not for standard output.
---@class console
console = {}

--#region lua/luaserve/console.lua M=console.
---@param ... any
function console.log(...) end

---@param ... any
function console.info(...) end

---@param ... any
function console.warn(...) end

---@param ... any
function console.error(...) end

--- Only logged with `--log-level debug`.
---@param ... any
function console.debug(...) end

--- Logs where it is called from, as an error.
---@param ... any
function console.trace(...) end

--- Logs an error unless value is true; never raises.
---@param value any
---@param ... any
function console.assert(value, ...) end

--- Logs what is in a value, deeper where a depth is given.
---@param value any
---@param options {depth: number?}?
function console.dir(value, options) end

--- Logs how often it was called with that label.
---@param label string?
function console.count(label) end

---@param label string?
function console.countReset(label) end

--- Starts a clock of that name.
---@param label string?
function console.time(label) end

--- Logs the time since console.time(label), in milliseconds.
---@param label string?
---@param ... any
function console.timeLog(label, ...) end

--- The same, and ends the clock.
---@param label string?
function console.timeEnd(label) end
--#endregion
