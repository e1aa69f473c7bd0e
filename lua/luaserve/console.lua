--- The global `console`: lines for the log, at its levels. Texts are written as they are, tables with what is
--- in them, and all arguments with a space between them; a first text may have `%s`, `%d`, `%i`, `%f`, `%j` and
--- `%o` in it, as in Node, which the arguments behind it fill.

local core = require "luaserve.core"
local native = require "luaserve.core.process"
local inspect = require("luaserve.inspect").inspect

local M = {}

local function text_of(value)
  if type(value) == "string" then return value end
  if type(value) == "function" then return tostring(value) end
  return inspect(value)
end

local function number_of(value, whole)
  local number = tonumber(value)
  if not number or number ~= number then return "NaN" end
  if whole then number = number < 0 and math.ceil(number) or math.floor(number) end
  if number % 1 == 0 and math.abs(number) < 2 ^ 53 then return ("%.0f"):format(number) end
  return tostring(number)
end

local function json_of(value)
  local ok, text = pcall(require("json").encode, value)
  return ok and text or inspect(value)
end

local fillers = {
  s = text_of,
  d = function(value) return number_of(value) end,
  f = function(value) return number_of(value) end,
  i = function(value) return number_of(value, true) end,
  j = json_of,
  o = function(value) return inspect(value, 4) end,
  O = function(value) return inspect(value) end,
}

--- Fills the first argument's places. Returns it, and how many arguments are used up.
local function fill(format, n, ...)
  local args, used = { ... }, 0
  local text = format:gsub("%%([sdifjoO%%])", function(letter)
    if letter == "%" then return "%" end
    if used == n then return nil end
    used = used + 1
    return fillers[letter](args[used])
  end)
  return text, used
end

--- All arguments as one text.
local function formatted(...)
  local n, parts = select("#", ...), {}
  local first, used = ..., 0
  if type(first) == "string" and n > 1 and first:find("%", 1, true) then
    parts[1], used = fill(first, n - 1, select(2, ...))
    used = used + 1
  end
  for i = used + 1, n do parts[#parts + 1] = text_of((select(i, ...))) end
  return table.concat(parts, " ")
end

---@param ... any
function M.log(...) core.log("info", formatted(...)) end

---@param ... any
function M.info(...) core.log("info", formatted(...)) end

---@param ... any
function M.warn(...) core.log("warn", formatted(...)) end

---@param ... any
function M.error(...) core.log("error", formatted(...)) end

--- Only logged with `--log-level debug`.
---@param ... any
function M.debug(...) core.log("debug", formatted(...)) end

--- Logs where it is called from, as an error.
---@param ... any
function M.trace(...)
  core.log("error", debug.traceback("Trace: " .. formatted(...), 2))
end

--- Logs an error unless value is true; never raises.
---@param value any
---@param ... any
function M.assert(value, ...)
  if value then return end
  local text = formatted(...)
  core.log("error", "Assertion failed" .. (text ~= "" and ": " .. text or ""))
end

--- Logs what is in a value, deeper where a depth is given.
---@param value any
---@param options {depth: number?}?
function M.dir(value, options)
  core.log("info", inspect(value, options and options.depth))
end

-- ---- counting and timing

local counts, starts = {}, {}

local function label_of(label)
  return label == nil and "default" or tostring(label)
end

--- Logs how often it was called with that label.
---@param label string?
function M.count(label)
  label = label_of(label)
  counts[label] = (counts[label] or 0) + 1
  core.log("info", ("%s: %d"):format(label, counts[label]))
end

---@param label string?
function M.countReset(label)
  counts[label_of(label)] = nil
end

--- Starts a clock of that name.
---@param label string?
function M.time(label)
  starts[label_of(label)] = native.nanoseconds()
end

local function log_time(label, ...)
  local start = starts[label]
  if not start then
    core.log("warn", "no console.time('" .. label .. "') was called")
    return
  end
  local text = ("%s: %.3fms"):format(label, (native.nanoseconds() - start) / 1e6)
  core.log("info", select("#", ...) > 0 and text .. " " .. formatted(...) or text)
end

--- Logs the time since console.time(label), in milliseconds.
---@param label string?
---@param ... any
function M.timeLog(label, ...)
  log_time(label_of(label), ...)
end

--- The same, and ends the clock.
---@param label string?
function M.timeEnd(label)
  label = label_of(label)
  log_time(label)
  starts[label] = nil
end

return M
