--- The command's side of the control socket: finds the server of a pid file, and says what is in the way.
local core = require "luaserve.core"
local message = require "luaserve.control.message"
local native = require "luaserve.core.control"
local process = require "process"

local M = {}

local SUFFIX = ".control" -- as src/worker.c has

local function fail(code, text)
  return core.giveUp(text, code)
end

--- The pid that the file holds; raises what is wrong with it.
local function pid_of(path)
  local file, why = io.open(path, "r")
  if not file then fail(1, ("%s: start the server with --pid-file %s, and name that file"):format(why, path)) end
  local text = file:read(64) or ""
  file:close()
  local pid = tonumber(text:match("^%s*(%d+)%s*$"))
  if not pid then fail(1, path .. " holds no process id: name the file of --pid-file") end
  return pid
end

--- Whether there is such a process; one of another user's is.
local function is_there(pid)
  local ok, _, code = process.kill(pid, 0)
  return ok ~= nil and ok ~= false or code == "EPERM"
end

local REASONS = {
  EACCES = "the server is another user's: attach as that one, or as root",
  EPERM = "the server is another user's: attach as that one, or as root",
  ENOENT = "the server has no control socket there (%s): it is older than this luaserve, or said at its start why",
  ECONNREFUSED = "nobody listens at %s: the process of the pid file is not the server that has made it",
}

local function explain(path, pid, why, code)
  if not is_there(pid) then
    return ("%s names process %d, which is gone: start the server again"):format(path, pid)
  end
  local reason = REASONS[code]
  return reason and reason:format(path .. SUFFIX) or why
end

--- Connects to the server of the pid file. on_message(head, text) is called for each message, on_message(nil) when
--- the server has closed. Raises what the user is told where there is no way.
---@param path string of the pid file
---@param on_message fun(head: table?, text: string?)
---@return {send: fun(head: table, text: string?), close: fun()}
function M.open(path, on_message)
  local pid = pid_of(path)
  local peer, why, code = native.connect(path .. SUFFIX, function(bytes)
    if bytes == nil then return on_message(nil) end
    local head, text = message.decode(bytes)
    if head then return on_message(head, text) end
  end)
  if not peer then fail(1, explain(path, pid, why, code)) end
  return {
    send = function(head, text) return peer:send(message.encode(head, text)) end,
    close = function() peer:close() end,
  }
end

--- Reads the arguments of a command: one pid file, and options with a value.
---@param name string of the command
---@param arguments string[]
---@param options table<string, "flag"|"number">
---@return string? path nil where help is wanted
---@return table<string, any> found
function M.arguments(name, arguments, options)
  local path, found, i = nil, {}, 1
  local usage = ("luaserve %s --help says more"):format(name)
  while arguments[i] do
    local argument = arguments[i]
    local option, value = argument:match("^%-%-([%w-]+)=?(.*)$")
    if argument == "-h" or argument == "--help" then return nil, found end
    if option and not options[option] or argument:find("^%-[^-]") then
      fail(2, ("%s has no option '%s': %s"):format(name, argument, usage))
    elseif option and options[option] == "flag" then
      found[option] = true
    elseif option then
      if value == "" then
        i = i + 1
        value = arguments[i]
      end
      found[option] = tonumber(value)
      if not found[option] or found[option] < 0 then fail(2, ("--%s needs a number: %s"):format(option, usage)) end
    elseif path then
      fail(2, ("%s takes one pid file: %s"):format(name, usage))
    else
      path = argument
    end
    i = i + 1
  end
  if not path then fail(2, ("%s needs the pid file of a server: luaserve %s PIDFILE"):format(name, name)) end
  return path, found
end

return M
