--- Middleware: which pages of other origins may read answers (CORS, the Fetch
--- standard 3.2). Preflights are answered here.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local fields = require "luaserve.fields"
local native = require "luaserve.core.body"

local M = {}

local KNOWN = { origin = "string table function", methods = "table", headers = "table", exposed = "table",
  credentials = "boolean", maxAge = "integer", privateNetwork = "boolean" }

local METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"

local function check_origin(origin)
  if type(origin) ~= "string" then core.raise("the origins of cors are strings, not a " .. type(origin)) end
  if origin:sub(1, 1) == "^" then
    if not pcall(string.find, "", origin) then core.raise("'" .. origin .. "' is not a Lua pattern") end
    if origin:sub(-1) ~= "$" then
      core.raise("the pattern '" .. origin .. "' of cors must end in $, or it allows origins that only begin like it")
    end
  elseif origin ~= "*" and origin ~= "null" and not origin:find("^%w[%w+.-]*://[^/%s]+$") then
    core.raise("'" .. origin .. "' is not an origin: it has a scheme and a host, as https://example.com, and no path")
  end
  return origin
end

--- A function that says whether an origin is allowed; nil where all are.
local function matcher(origin)
  if origin == nil or origin == "*" then return nil end
  if type(origin) == "function" then return origin end
  local meta = type(origin) == "table" and getmetatable(origin)
  if type(meta) == "table" and meta.__call then return origin end
  local exact, patterns = {}, {}
  for _, one in ipairs(type(origin) == "table" and origin or { origin }) do
    check_origin(one)
    if one == "*" then core.raise("cors allows all origins with origin = \"*\" alone, not within a list") end
    if one:sub(1, 1) == "^" then patterns[#patterns + 1] = one else exact[one] = true end
  end
  return function(asked)
    if exact[asked] then return true end
    for i = 1, #patterns do
      if asked:find(patterns[i]) then return true end
    end
    return false
  end
end

local function names(list, what)
  for _, name in ipairs(list) do
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      core.raise("'" .. tostring(name) .. "' among the " .. what .. " of cors is not a name")
    end
  end
  return table.concat(list, ", ")
end

local function settings_of(options)
  local settings = {
    allows = matcher(options.origin),
    methods = options.methods and names(options.methods, "methods") or METHODS,
    headers = options.headers and names(options.headers, "headers"),
    exposed = options.exposed and #options.exposed > 0 and names(options.exposed, "exposed headers"),
    credentials = options.credentials,
    max_age = options.maxAge and ("%d"):format(options.maxAge),
    private = options.privateNetwork,
  }
  if settings.credentials and not settings.allows then
    core.raise("cors with credentials needs the origins that may use them: origin = \"https://example.com\"")
  end
  return settings
end

local PREFLIGHT = { "Access-Control-Request-Method", "Access-Control-Request-Headers" }
local ORIGIN = { "Origin" }

--- What both kinds of answers say to a page that is allowed.
local function allow(settings, req, res, origin)
  fields.set(req, res, "Access-Control-Allow-Origin", settings.allows and origin or "*")
  if settings.credentials then fields.set(req, res, "Access-Control-Allow-Credentials", "true") end
end

local function preflight(settings, req, res, origin)
  fields.vary(res, PREFLIGHT)
  local status = 204
  if origin then
    allow(settings, req, res, origin)
    res:setHeader("Access-Control-Allow-Methods", settings.methods)
    local asked = settings.headers or req.headers["access-control-request-headers"]
    if asked then res:setHeader("Access-Control-Allow-Headers", asked) end
    if settings.max_age then res:setHeader("Access-Control-Max-Age", settings.max_age) end
    if settings.private and req.headers["access-control-request-private-network"] == "true" then
      res:setHeader("Access-Control-Allow-Private-Network", "true")
    end
  else
    status = 403
  end
  res.statusCode = status
  return res:finish(status == 403 and "This origin is not allowed here.\n" or nil)
end

--- Middleware that lets pages of other origins read the answers of what is defined
--- after it. Options: origin, "*" (the default), an origin, a Lua pattern ("^...$"),
--- a list of these, or function(origin, req) -> boolean; methods, headers, exposed,
--- lists of names; credentials; maxAge, seconds that a preflight holds;
--- privateNetwork.
---@param options table?
---@return luaserve.Middleware
function M.middleware(options)
  local settings = settings_of(check_options("cors", options, KNOWN))
  local allows = settings.allows
  return function(req, res, next)
    local headers = req.headers
    local asked = headers.origin
    if allows then native.refusal(req, "Vary", fields.vary(res, ORIGIN)) end
    local origin = asked and (not allows or allows(asked, req)) and asked or nil
    if asked and req.method == "OPTIONS" and headers["access-control-request-method"] then
      return preflight(settings, req, res, origin)
    end
    if origin then
      allow(settings, req, res, origin)
      if settings.exposed then res:setHeader("Access-Control-Expose-Headers", settings.exposed) end
    end
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
