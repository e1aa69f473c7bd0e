--- Where a server listens: the many forms of the arguments, names of hosts, and
--- what is said when the port is taken.
local core = require "luaserve.core"
local dns = require "luaserve.core.dns"
local given = require "luaserve.given"

local M = {}

local function port_of(value, level)
  if type(value) == "string" and value:find("^%d+$") then value = tonumber(value) end
  if type(value) ~= "number" then return nil end
  if value ~= math.floor(value) or value < 0 or value > 65535 then
    error(("options.port should be >= 0 and < 65536, received %s"):format(tostring(value)), level + 1)
  end
  return value
end

local function path_of(value)
  return value and (value:gsub("^unix:", ""))
end

local function host_of(value)
  if type(value) ~= "string" or value == "" then return nil end
  return (value:gsub("^%[(.*)%]$", "%1"))
end

local function from_options(options, level)
  local target = { port = port_of(options.port, level + 1), path = path_of(options.path),
    host = host_of(options.host), backlog = options.backlog, exclusive = options.exclusive,
    fd = options.fd }
  if not target.port and not target.path and not target.fd then
    error("listen needs a port, a path or an fd in its options", level + 1)
  end
  if target.path or target.fd then target.port = nil end
  return target
end

--- Reads the arguments of listen: (port | path | options [, host] [, backlog] [,
--- callback]). Raises at that level where they are none.
---@return {port: integer?, host: string?, path: string?, backlog: integer?} target
---@return function? callback
function M.arguments(level, first, ...)
  local rest = { ... }
  local callback = type(first) == "function" and first or nil
  for i = 1, select("#", ...) do
    if type(rest[i]) == "function" then callback = rest[i] end
  end
  if type(first) == "table" then return from_options(first, level + 1), callback end
  if first == nil or callback == first then return { port = 0 }, callback end
  local port = port_of(first, level + 1)
  if port then
    local backlog = type(rest[1]) == "number" and rest[1] or type(rest[2]) == "number" and rest[2] or nil
    return { port = port, host = host_of(rest[1]), backlog = backlog }, callback
  end
  if type(first) == "string" then return { path = path_of(first) }, callback end
  error("listen needs a port, a path or a table of options, not " .. type(first), level + 1)
end

--- Whether the host is a name, which has to be looked up.
function M.is_name(target)
  local host = target.host
  if target.path or target.fd then return false end
  return host ~= nil and not host:find("^%d+%.%d+%.%d+%.%d+$") and not host:find(":", 1, true)
end

--- Whether the primary of this process binds.
function M.is_shared(target)
  return core.worker ~= nil and not target.exclusive
end

--- An error as Node's: "listen EADDRINUSE: address already in use 127.0.0.1:80".
local function describe(message, code, place, address, port)
  local text = message:match(": (.-), listen$") or message
  local err = core.error(("listen %s: %s %s"):format(code, text, place), code, "listen")
  err.address, err.port = address, port
  return err
end

--- Looks like an address, but is none.
local function unknown(host)
  return core.error("getaddrinfo ENOTFOUND " .. host, "ENOTFOUND", "getaddrinfo")
end

--- Accepts from a socket that a service manager has bound, where there is one.
local function bind_given(handle, target, host)
  local bound = given.find(target, host)
  if bound then return handle:adopt(bound, 0) end
  if not target.fd then return nil end
  return nil, core.error(("listen EBADF: descriptor %s is none that was passed (LISTEN_FDS)"):format(
    tostring(target.fd)), "EBADF", "listen")
end

local function bind_shared(handle, target, host, wanted)
  if target.path then host = nil end
  local address, failure = require("luaserve.cluster.child").listen(handle, target, host, wanted)
  if address or not failure then return address end
  if failure.unknown then return nil, unknown(host) end
  if failure.text then return nil, core.error(failure.text, failure.code, "listen") end
  return nil, describe(failure.message, failure.code, failure.place, failure.ip, failure.port)
end

--- Binds. Waits where the host is a name or the primary binds, and asks then
--- whether it is still wanted; nil alone where it is not.
---@param handle userdata
---@param target table
---@param wanted fun(): boolean
---@return table|string|nil address
---@return table? err
function M.bind(handle, target, wanted)
  local host = target.path or target.host
  if M.is_name(target) then
    local ip, message, code = dns.lookup(host, target.port)
    if not wanted() then return nil end
    if not ip then return nil, core.error(message, code, "getaddrinfo") end
    host = ip
  end
  if M.is_shared(target) then return bind_shared(handle, target, host, wanted) end
  local given_address, err = bind_given(handle, target, host)
  if given_address or err then return given_address, err end
  local address, message, code, place, ip, port = handle:listen(host, target.port, target.backlog)
  if address then return address end
  if address == false then return nil, unknown(host) end
  return nil, describe(message, code, place, ip, port)
end

--- What to do about a port that cannot be had.
local function hint(err)
  local port = err.port
  if err.code == "EADDRINUSE" and port then
    return ("; another program listens there: `ss -ltnp 'sport = :%d'` shows which; stop it or take another port")
      :format(port)
  elseif err.code == "EACCES" and port then
    return "; ports under 1024 need root (with --user to drop it) or CAP_NET_BIND_SERVICE"
  end
  return ""
end

--- Nobody listens to the error: ends the process with 3.
function M.give_up(err)
  io.stderr:write("luaserve: ", err.message, hint(err), "\n")
  core.exit(3)
end

return M
