---@meta process

--- This process; also a global.
---@class process
local process = {}

--#region lua/node/process.lua M=process. not=self
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
local process = {}

--- Ends the process at once: what is not sent yet is lost. Calls the "exit" listeners, and flushes the logs.
---@param code integer? process.exitCode where missing, else 0
function process.exit(code) end

--- Sends a signal to a process; 0 only asks whether it is there.
---@param pid integer
---@param signal string|integer|nil "SIGTERM" where missing
---@return true? ok, string? message, string? code
function process.kill(pid, signal) end

--- The working directory.
---@type fun(): string?, string?, string?
process.cwd = nil

--- Changes the working directory.
---@type fun(path: string): true?, string?, string?
process.chdir = nil

--- The permissions that new files do not get; sets them where a mask is given.
---@type fun(mask: integer?): integer
process.umask = nil

---@return integer
function process.getuid() end

---@return integer
function process.geteuid() end

---@return integer
function process.getgid() end

---@return integer
function process.getegid() end

--- Bytes: `rss` of the process in memory, `heapUsed` and `heapTotal` of Lua, `external` of C.
---@type fun(): {rss: integer, heapTotal: integer, heapUsed: integer, external: integer}
process.memoryUsage = nil

--- Microseconds of CPU time, in all or since the earlier result given.
---@param earlier {user: integer, system: integer}?
---@return {user: integer, system: integer}
function process.cpuUsage(earlier) end

--- Seconds since the start.
---@type fun(): number
process.uptime = nil

--- Calls fn(...) when what runs now has returned.
---@param fn function
function process.nextTick(fn, ...) end

--- Logs a warning, and emits "warning" with an error whose `name` is its type.
---@param warning string|table a text, or an error with a `message`
---@param options {type: string?, code: string?}|string|nil
function process.emitWarning(warning, options) end

---@class process.Output
---@field fd integer
---@field isTTY boolean
--#endregion

---@class process: EventEmitter
---@field stdout process.Output
---@field stderr process.Output
---@field connected boolean? in a worker of a cluster: its channel is open
---@field send fun(value: any, callback: fun(err: table?)?): boolean?, string?, string? in a worker: to the primary
---@field disconnect fun() in a worker: closes its channel
---@field on fun(self_or_event: any, ...: any): process also with a dot: process.on("SIGTERM", fn)

---@class process.Output
---@field write fun(self_or_text: any, text: string?): true

--- {seconds, nanoseconds} of a clock that is never set, or since the earlier result.
---@class process.Clock
---@overload fun(earlier: integer[]?): integer[]
process.hrtime = {}

--- The same clock in nanoseconds.
---@return integer
function process.hrtime.bigint() end

return process
