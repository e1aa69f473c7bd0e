--- Processes of the specs: one that can be watched, signalled and reaped, with
-- its output in files, so that nobody blocks on a full pipe. The child is a
-- direct child of the specs (popen, then exec), so its process id stays its own
-- until it is reaped here, and its exact status is known.
--
-- See spec/helper.lua for what specs use of this.
local lfs = require("lfs")
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local scope = require("spec.helper.scope")

local M = {}

---@class spec.Process
---@field pid integer
---@field script string? path of the script that was started
---@field dir string folder with stdout, stderr and, where code was given, the script
---@field port integer? the first port that was announced on its output
---@field ports table<integer|string, integer> all of them, in order and by name
---@field unix string? path of the Unix socket that it listens on
---@field may_crash boolean? death by SIGSEGV and the like is no failure
local Process = {}
Process.__index = Process

local SIGNALS = {
  [1] = "SIGHUP", [2] = "SIGINT", [3] = "SIGQUIT", [4] = "SIGILL",
  [5] = "SIGTRAP", [6] = "SIGABRT", [7] = "SIGBUS", [8] = "SIGFPE",
  [9] = "SIGKILL", [10] = "SIGUSR1", [11] = "SIGSEGV", [12] = "SIGUSR2",
  [13] = "SIGPIPE", [14] = "SIGALRM", [15] = "SIGTERM", [24] = "SIGXCPU",
  [25] = "SIGXFSZ", [31] = "SIGSYS",
}

local CRASHES = {
  SIGILL = true, SIGTRAP = true, SIGABRT = true, SIGBUS = true, SIGFPE = true,
  SIGSEGV = true, SIGSYS = true,
}

local REPORTS = {
  "ERROR: %a+Sanitizer", "WARNING: %a+Sanitizer", "AddressSanitizer:DEADLYSIGNAL",
  "%S+:%d+:%d+: runtime error: ",
}

local KILL_AFTER = 5 -- seconds that stop() waits for a clean end

local LAUNCHER = debug.getinfo(1, "S").source:match("^@(.*)process%.lua$") .. "launch.sh"

local living = {} -- every process that has not been cleaned up

--- The folder that the specs were started in.
M.root = lfs.currentdir()

--- `path` as it is from any folder: relative ones count from the repository.
---@param path string
---@return string
function M.absolute(path)
  return path:sub(1, 1) == "/" and path or M.root .. "/" .. path
end

--- The program under test: $LUASERVE_BIN, else build/luaserve.
---@return string path absolute
function M.binary()
  local path = M.absolute(os.getenv("LUASERVE_BIN") or "build/luaserve")
  if not lfs.attributes(path) then
    error("there is no " .. path .. ": run make, or set LUASERVE_BIN", 0)
  end
  return path
end

-- The environment that is set for the process. Sanitizers write to files beside
-- its output (settings that come later win), so that a report is its spec's, and
-- is found whatever the process does with its standard error.
local function environment(env, dir)
  local log = ":log_path=" .. dir .. "/sanitizer:print_stacktrace=1"
  local set = {
    ASAN_OPTIONS = (os.getenv("ASAN_OPTIONS") or "") .. log,
    UBSAN_OPTIONS = (os.getenv("UBSAN_OPTIONS") or "") .. log,
    -- The program's working directory is not ours.
    LUASERVE_LUA = os.getenv("LUASERVE_LUA") and M.absolute(os.getenv("LUASERVE_LUA")) or nil,
  }
  for name, value in pairs(env or {}) do
    set[name] = value
  end
  local words = {}
  for name, value in pairs(set) do
    table.insert(words, name .. "=" .. tostring(value))
  end
  table.sort(words)
  return words
end

--- Starts `argv` and returns at once. Options: env (table), cwd, stdin (text;
--- default: empty), nofile (limit of descriptors), may_crash.
---@param argv string[]
---@param opts table?
---@return spec.Process
function M.start(argv, opts)
  opts = opts or {}
  local dir = opts.dir or files.tmpdir()
  local input = "/dev/null"
  if opts.stdin then
    input = files.write_file(dir .. "/stdin", opts.stdin)
  end
  -- A process group of its own, so that what it forks can be ended with it.
  local words = { "exec setsid bash", files.quote(M.absolute(LAUNCHER)) }
  local function add(word)
    table.insert(words, files.quote(tostring(word)))
  end
  for _, word in ipairs({ opts.cwd or dir, input, dir .. "/stdout", dir .. "/stderr",
    opts.nofile or "" }) do
    add(word)
  end
  for _, list in ipairs({ environment(opts.env, dir), argv }) do
    for _, word in ipairs(list) do
      add(word)
    end
  end
  local pipe = assert(io.popen(table.concat(words, " "), "r"))
  local pid = pipe:read("l")
  local self = setmetatable({
    pid = assert(math.tointeger(tonumber(pid)), "the launcher did not start"),
    pipe = pipe,
    dir = dir,
    ports = {},
    sent = {},
    may_crash = opts.may_crash,
  }, Process)
  living[self] = true
  scope.defer(function()
    self:clean_up()
  end)
  return self
end

--- What the process has written to standard output until now.
---@return string
function Process:stdout()
  return files.read_file(self.dir .. "/stdout") or ""
end

--- What the process has written to standard error until now.
---@return string
function Process:stderr()
  return files.read_file(self.dir .. "/stderr") or ""
end

--- What it wrote, for messages of failures.
---@return string
function Process:output()
  return ("--- stdout\n%s\n--- stderr\n%s"):format(self:stdout():sub(-4000), self:stderr():sub(-4000))
end

-- Field `field` counts from the state, which follows the name in parentheses.
local function stat_state(pid)
  local text = files.read_file("/proc/" .. pid .. "/stat")
  return text and text:match("^.*%) (%a)")
end

--- True while the process runs (a zombie does not).
---@return boolean
function Process:alive()
  if self.ended then
    return false
  end
  local state = stat_state(self.pid)
  if state and state ~= "Z" and state ~= "X" then
    return true
  end
  local _, how, number = self.pipe:close() -- waits for it, which is over already
  self.ended = true
  if how == "signal" then
    self.signal = SIGNALS[number] or ("signal " .. number)
  else
    self.code = number
  end
  return false
end

--- Sends a signal: "SIGTERM", "TERM" or a number. Does nothing to a dead process.
---@param signal string|integer?
function Process:kill(signal)
  if not self:alive() then
    return
  end
  local name = tostring(SIGNALS[signal] or signal or "TERM"):gsub("^SIG", "")
  self.sent["SIG" .. name] = true
  os.execute(("kill -%s %d"):format(name, self.pid))
end

--- Waits for the end of the process; raises after `timeout` seconds (default 5).
---@param timeout number?
---@return integer? code exit code; nil where a signal ended it
---@return string? signal its name, "SIGTERM"
function Process:wait_exit(timeout)
  poll.wait_for(function()
    return not self:alive()
  end, function()
    return ("the end of process %d\n%s"):format(self.pid, self:output())
  end, timeout)
  return self.code, self.signal
end

--- Ends the process with `signal` (default SIGTERM) and waits for it. Raises
--- where that takes more than 5 s, after a SIGKILL.
---@param signal string|integer?
---@return integer? code
---@return string? signal
function Process:stop(signal)
  self:kill(signal)
  local ok, message = pcall(self.wait_exit, self, KILL_AFTER)
  if not ok then
    self:kill("KILL")
    self:wait_exit()
    error(message, 2)
  end
  self:check_sanitizer()
  return self.code, self.signal
end

--- How many descriptors the process has open.
---@return integer
function Process:fds()
  local count = 0
  for name in lfs.dir("/proc/" .. self.pid .. "/fd") do
    if name:find("^%d") then
      count = count + 1
    end
  end
  return count
end

local function kilobytes(pid, file, ...)
  local text = assert(files.read_file("/proc/" .. pid .. "/" .. file))
  local sum = 0
  for _, name in ipairs({ ... }) do
    sum = sum + assert(tonumber(text:match("\n" .. name .. ":%s*(%d+) kB")))
  end
  return sum * 1024
end

--- Resident memory in bytes.
---@return integer
function Process:rss()
  return kilobytes(self.pid, "status", "VmRSS")
end

--- Memory that the process shares with nobody, in bytes.
---@return integer
function Process:private_memory()
  return kilobytes(self.pid, "smaps_rollup", "Private_Clean", "Private_Dirty")
end

--- CPU time that the process has used, in seconds (the kernel counts in 10 ms).
---@return number
function Process:cpu()
  local text = assert(files.read_file("/proc/" .. self.pid .. "/stat"))
  local fields = {}
  for field in text:match("^.*%) (.*)"):gmatch("%S+") do
    table.insert(fields, field)
  end
  return (tonumber(fields[12]) + tonumber(fields[13])) / 100
end

--- Waits until standard output or error matches the Lua pattern; returns the
--- captures. Raises after `timeout` seconds, and at once where the process ends.
---@param pattern string
---@param timeout number?
---@return string ...
function Process:wait_output(pattern, timeout)
  local found
  poll.wait_for(function()
    local dead = not self:alive() -- asked first: what it wrote last counts
    for _, text in ipairs({ self:stdout(), self:stderr() }) do
      found = found or (text:find(pattern) and { text:match(pattern) })
    end
    return found or dead
  end, function()
    return ("output like %q\n%s"):format(pattern, self:output())
  end, timeout)
  if not found then
    error(("the process ended (%s) before it wrote %q\n%s"):format(
      tostring(self.code or self.signal), pattern, self:output()), 2)
  end
  return table.unpack(found)
end

-- The first report of a sanitizer, or nil.
local function find_report(self)
  local written = files.find(self.dir, "^sanitizer%.%d+$")[1]
  if written then
    return files.read_file(written)
  end
  local text = self:stderr()
  for _, report in ipairs(REPORTS) do
    local at = text:find(report)
    if at then
      return text:sub(at)
    end
  end
end

--- Raises where a sanitizer has reported something, or the process crashed; once.
function Process:check_sanitizer()
  if self.reported then
    return
  end
  local report = find_report(self)
  local crashed = self.ended and CRASHES[self.signal or ""] and not self.sent[self.signal]
  self.reported = report ~= nil or crashed
  if report then
    error("a sanitizer reports:\n" .. report:sub(1, 6000), 0)
  end
  if crashed and not self.may_crash then
    error(("process %d died of %s\n%s"):format(self.pid, self.signal, self:output()), 0)
  end
end

function Process:clean_up()
  if poll.sanitized and self:alive() then
    -- A clean end, if it will, lets the leak check speak.
    self:kill("TERM")
    pcall(self.wait_exit, self, 1)
  end
  -- The group: also what it has forked, and what outlived it.
  os.execute(("kill -s KILL -- -%d 2>/dev/null"):format(self.pid))
  self.sent.SIGKILL = true
  self:wait_exit()
  living[self] = nil
  self:check_sanitizer()
end

scope.check(function()
  for process in pairs(living) do
    process:alive()
    process:check_sanitizer()
  end
end)

return M
