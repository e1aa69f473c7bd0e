--- The options of redis.connect, and its URLs.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"

local M = {}

local TIMEOUT, PORT, POOL = 5, 6379, 10
local MOST = 1e6 -- of what has no limit of its own

local KNOWN = { url = "string", host = "string", port = "number", path = "string", username = "string",
  password = "string", db = "number", tls = "any", timeout = "seconds", pool = "number" }
local KNOWN_TLS = { ca = "string", cert = "string", key = "string", verify = "boolean", servername = "string" }

local function from_url(text)
  local scheme, rest = text:match("^(%w+)://(.*)$")
  local decode = require("querystring").unescape
  if scheme == "unix" then
    local path, query = rest:match("^([^?]*)%??(.*)$")
    return { path = decode(path), db = tonumber(query:match("db=(%d+)")) }
  end
  if scheme ~= "redis" and scheme ~= "rediss" then return nil end
  local credentials, address = rest:match("^([^/]*)@(.*)$")
  address = address or rest
  local user, password = (credentials or ""):match("^([^:]*):?(.*)$")
  local host, port, db = address:match("^(%[[%x:.]+%]):?(%d*)/?(%d*)$")
  if not host then host, port, db = address:match("^([^:/]*):?(%d*)/?(%d*)$") end
  if not host then return nil end
  return { host = host:match("^%[(.*)%]$") or host ~= "" and host or nil, port = tonumber(port), db = tonumber(db),
    tls = scheme == "rediss" or nil, username = user ~= "" and decode(user) or nil,
    password = password ~= "" and decode(password) or nil }
end

local function read_options(options)
  if type(options) == "string" then options = { url = options } end
  if options ~= nil and type(options) ~= "table" then core.raise("redis.connect needs a URL or options") end
  options = check_options("redis.connect", options, KNOWN)
  local merged = {}
  if options.url then
    merged = from_url(options.url)
    if not merged then core.raise("redis.connect needs a URL like redis://:password@host:6379/0 or unix:///path") end
  end
  for key, value in pairs(options) do merged[key] = value end
  return merged
end

local function whole(options, name, least, most, default)
  local value = options[name] or default
  if value % 1 ~= 0 or value < least or value > most then
    core.raise(("the option %s of redis.connect is a whole number from %d to %d"):format(name, least, most))
  end
  return value
end

local function tls_of(value)
  if not value then return nil end
  if value == true then value = {} end
  if type(value) ~= "table" then core.raise("the option tls of redis.connect is true or a table") end
  return check_options("redis.connect's tls", value, KNOWN_TLS)
end

--- Checks options, or a URL, and fills in what is left out.
---@param options table|string|nil
---@return table
function M.read(options)
  local o = read_options(options)
  return { host = o.host or "127.0.0.1", port = whole(o, "port", 1, 65535, PORT), path = o.path, username = o.username,
    password = o.password, db = whole(o, "db", 0, MOST, 0), tls = tls_of(o.tls), timeout = o.timeout or TIMEOUT,
    pool = whole(o, "pool", 1, MOST, POOL) }
end

return M
