--- Node's `process`, also a global: this process, its surroundings, its signals and its end.
--
-- It is an EventEmitter, whose methods may be called in Node's way too: `process.on("SIGTERM", fn)` as well as
-- `process:on("SIGTERM", fn)`. Listeners to signals get `(name, number)` and replace what the signal does by
-- default; they do not keep the process alive. `exit` listeners get the exit code and cannot wait: what they
-- wait for is not there any more.

local core = require "luaserve.core"
local native = require "luaserve.core.process"
local events = require "events"

local EventEmitter = events.EventEmitter

---@class process: EventEmitter
---@field pid integer
---@field ppid integer
---@field argv string[] "luaserve", the script's absolute path, its arguments
---@field argv0 string
---@field execPath string where luaserve is
---@field env table<string, string> the environment as it was at the start: a plain table. What is changed in it
--- reaches the processes that are started from here, and nobody else
---@field exitCode integer? with which the process ends when nothing is left to do
---@field title string what `ps` shows, as far as it goes: 15 bytes
---@field platform "linux"
---@field arch "x64"|"arm64"|string
---@field version string "v" and that of luaserve
---@field versions table<string, string> of luaserve, Lua and the libraries
local M = {
  pid = native.pid,
  argv0 = "luaserve",
  execPath = native.execPath,
  env = native.environment(),
  platform = native.platform,
  arch = native.arch,
  version = "v" .. core.version,
  versions = native.versions,
}

if rawget(_G, "jit") then
  M.versions.luajit = jit.version:match("%d.*")
  M.versions.lua = _VERSION:match("%d.*")
end

-- ---- what is looked up, and what acts when it is set

local exit_code
local title = "luaserve"

local function check_exit_code(code, level)
  if type(code) == "number" and code >= 0 and code <= 255 and code % 1 == 0 then return end
  error("the exit code must be a whole number from 0 to 255, not " .. tostring(code), level + 1)
end

local getters = {
  argv = function() return core.argv end,
  ppid = native.parent,
  exitCode = function() return exit_code end,
  title = function() return title end,
}

local setters = {}

function setters.exitCode(code)
  if code ~= nil then check_exit_code(code, 2) end
  exit_code = code
  native.setExitCode(code or 0)
end

function setters.title(text)
  if type(text) ~= "string" then error("process.title must be a string", 2) end
  title = text
  native.setTitle(text)
end

setmetatable(M, {
  __index = function(_, name)
    local get = getters[name]
    return get and get()
  end,
  __newindex = function(self, name, value)
    local set = setters[name]
    if set then return set(value) end
    rawset(self, name, value)
  end,
})

-- ---- events

local names = {} -- of signals, by number
for name, number in pairs(native.signals) do names[number] = name end

--- Tells the kernel which signals have listeners; all of them where no event is named.
local function watch(event)
  if event == nil then
    for name in pairs(native.listenable) do watch(name) end
    return
  end
  local number = native.listenable[event]
  if number then native.listen(number, EventEmitter.listenerCount(M, event) > 0) end
end

local function check_listenable(event)
  if not native.signals[event] or native.listenable[event] then return end
  error("no process can listen to " .. event, 3)
end

--- Methods that change who listens. Wrong arguments are for EventEmitter to complain of.
local function changing(method, adds)
  return function(first, ...)
    if first ~= M then return M[method](M, first, ...) end
    local event, fn = ...
    if adds then
      if type(fn) ~= "function" then return EventEmitter[method](M, ...) end
      check_listenable(event)
    end
    EventEmitter[method](M, ...)
    watch(event)
    return M
  end
end

for _, method in ipairs { "on", "once", "addListener", "prependListener", "prependOnceListener" } do
  rawset(M, method, changing(method, true))
end
for _, method in ipairs { "off", "removeListener", "removeAllListeners" } do
  rawset(M, method, changing(method, false))
end

for name, fn in pairs(EventEmitter) do
  if type(fn) == "function" and name ~= "new" and rawget(M, name) == nil then
    rawset(M, name, function(first, ...)
      if first == M then return fn(M, ...) end
      return fn(M, first, ...)
    end)
  end
end

local exiting = false

native.onEvent(function(number, is_signal)
  if not is_signal then
    exiting = true
    M:emit("exit", number)
    return
  end
  local name = names[number]
  core.spawn(nil, M.emit, M, name, name, number) -- whatever it raises
  watch(name) -- a once() is gone
end)

-- ---- the end

--- Ends the process at once: what is not sent yet is lost. Calls the "exit" listeners, and flushes the logs.
---@param code integer? process.exitCode where missing, else 0
function M.exit(code)
  if code ~= nil then
    check_exit_code(code, 2)
    M.exitCode = code
  end
  if not exiting then
    exiting = true
    -- A coroutine of its own: an error is logged, and one that waits is not waited for.
    core.spawn(core.context(), M.emit, M, "exit", exit_code or 0)
  end
  native.exit()
end

local function signal_number(signal)
  if signal == nil then return native.signals.SIGTERM end
  if type(signal) == "number" and signal % 1 == 0 then return signal end
  return native.signals[signal] or error("unknown signal: " .. tostring(signal), 3)
end

--- Sends a signal to a process; 0 only asks whether it is there.
---@param pid integer
---@param signal string|integer|nil "SIGTERM" where missing
---@return true? ok, string? message, string? code
function M.kill(pid, signal)
  if type(pid) ~= "number" or pid % 1 ~= 0 then error("the pid must be a whole number", 2) end
  return native.kill(pid, signal_number(signal))
end

-- ---- surroundings

--- The working directory.
---@type fun(): string?, string?, string?
M.cwd = native.cwd

--- Changes the working directory.
---@type fun(path: string): true?, string?, string?
M.chdir = native.chdir

--- The permissions that new files do not get; sets them where a mask is given.
---@type fun(mask: integer?): integer
M.umask = native.umask

---@return integer
function M.getuid() return (native.user()) end

---@return integer
function M.geteuid() return (select(2, native.user())) end

---@return integer
function M.getgid() return (select(3, native.user())) end

---@return integer
function M.getegid() return (select(4, native.user())) end

-- ---- measures

--- Bytes: `rss` of the process in memory, `heapUsed` and `heapTotal` of Lua, `external` of C.
---@type fun(): {rss: integer, heapTotal: integer, heapUsed: integer, external: integer}
M.memoryUsage = native.memoryUsage

--- Microseconds of CPU time, in all or since the earlier result given.
---@param earlier {user: integer, system: integer}?
---@return {user: integer, system: integer}
function M.cpuUsage(earlier)
  local user, system = native.cpuUsage()
  if earlier then user, system = user - earlier.user, system - earlier.system end
  return { user = user, system = system }
end

--- Seconds since the start.
---@type fun(): number
M.uptime = native.uptime

--- `process.hrtime([earlier])` -> `{seconds, nanoseconds}` of a clock that is never set, or since the earlier
--- result; `process.hrtime.bigint()` -> the same clock in nanoseconds, one integer.
M.hrtime = setmetatable({ bigint = native.nanoseconds }, {
  __call = function(_, earlier)
    local seconds, nanoseconds = native.hrtime()
    if not earlier then return { seconds, nanoseconds } end
    seconds, nanoseconds = seconds - earlier[1], nanoseconds - earlier[2]
    if nanoseconds < 0 then seconds, nanoseconds = seconds - 1, nanoseconds + 1000000000 end
    return { seconds, nanoseconds }
  end,
})

-- ---- the rest

--- Calls fn(...) when what runs now has returned.
---@param fn function
function M.nextTick(fn, ...)
  if type(fn) ~= "function" then error("process.nextTick needs a function", 2) end
  core.defer(fn, ...)
end

--- Logs a warning, and emits "warning" with an error whose `name` is its type.
---@param warning string|table a text, or an error with a `message`
---@param options {type: string?, code: string?}|string|nil
function M.emitWarning(warning, options)
  if type(options) == "string" then options = { type = options } end
  options = options or {}
  local err = type(warning) == "table" and warning or core.error(tostring(warning), options.code)
  err.name = err.name or options.type or "Warning"
  local code = err.code and "[" .. err.code .. "] " or ""
  core.log("warn", code .. err.name .. ": " .. tostring(err.message))
  core.defer(M.emit, M, "warning", err)
end

---@class process.Output
---@field fd integer
---@field isTTY boolean
local function output(file, fd)
  local self = { fd = fd, isTTY = native.isTerminal(fd) }

  --- Writes text as it is, at once.
  ---@param text string|number
  ---@return true
  function self.write(first, text)
    if first ~= self then text = first end
    if type(text) ~= "string" and type(text) ~= "number" then error("a string is expected to be written", 2) end
    file:write(text)
    file:flush()
    return true
  end

  return self
end

M.stdout = output(io.stdout, 1)
M.stderr = output(io.stderr, 2)

return M
