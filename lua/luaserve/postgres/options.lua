--- The options of postgres.connect, and its URLs.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"

local M = {}

local POOL, TIMEOUT, CONNECT_TIMEOUT = 10, 30, 5

local KNOWN = { url = "string", host = "string", port = "integer", user = "string", password = "string",
  database = "string", pool = "integer", timeout = "number", connectTimeout = "seconds", prepare = "boolean",
  params = "table" }

local function from_url(text)
  local rest = text:match("^postgres://(.*)$") or text:match("^postgresql://(.*)$")
  if not rest then return nil end
  local decode = require("querystring").unescape
  local authority, path, query = rest:match("^([^/?]*)/?([^?]*)%??(.*)$")
  local credentials, address = authority:match("^(.*)@(.*)$")
  local user, password = (credentials or ""):match("^([^:]*):?(.*)$")
  local host, port = (address or authority):match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then host, port = (address or authority):match("^([^:,]*):?(%d*)$") end
  if not host then return nil end
  local function given(value) return value ~= "" and decode(value) or nil end
  local options = { host = host:match("^%[(.*)%]$") or given(host), port = tonumber(port), user = given(user),
    password = given(password), database = given(path), params = {} }
  for name, value in query:gmatch("([^&=]+)=([^&]*)") do options.params[decode(name)] = decode(value) end
  return options
end

local function check(options)
  options = check_options("postgres.connect", options, KNOWN)
  if options.timeout and not (options.timeout >= 0 and options.timeout < 1e7) then
    core.raise("the option timeout is a number of seconds, 0 for none")
  end
  if options.pool and options.pool < 1 then core.raise("the option pool is 1 or more") end
  return options
end

local function merged(options)
  if type(options) == "string" then options = { url = options } end
  if options ~= nil and type(options) ~= "table" then core.raise("postgres.connect needs a URL or options") end
  options = check(options)
  if not options.url then return options end
  local all = from_url(options.url)
  if not all then core.raise("postgres.connect needs a URL like postgres://user:password@host:5432/database") end
  for key, value in pairs(options) do
    if key ~= "params" then all[key] = value end
  end
  for key, value in pairs(options.params or {}) do all.params[key] = value end
  return all
end

--- Checks options, or a URL, and fills in what is left out.
---@param options table|string|nil
---@return table
function M.read(options)
  local o = merged(options)
  local params = { client_encoding = "UTF8", application_name = "luaserve" }
  for key, value in pairs(o.params or {}) do params[key] = tostring(value) end
  if o.port and (o.port < 1 or o.port > 65535) then
    core.raise(("the option port of postgres.connect is from 1 to 65535, not %d"):format(o.port))
  end
  params.host, params.user = o.host or params.host, o.user or params.user
  params.password = o.password or params.password
  params.dbname = o.database or params.dbname
  params.port = o.port and ("%d"):format(o.port) or params.port
  local host = params.host or "the local server"
  local timeout = o.timeout or TIMEOUT
  return { params = params, where = params.port and host .. ":" .. params.port or host, pool = o.pool or POOL,
    timeout = timeout, connectTimeout = o.connectTimeout or CONNECT_TIMEOUT, prepare = o.prepare ~= false }
end

return M
