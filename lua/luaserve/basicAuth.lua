--- Middleware: a name and a password that the browser asks for (RFC 7617). They
--- come with each request as they are: over TLS, that is.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local crypto = require "crypto"
local fields = require "luaserve.fields"
local unbase64 = require("luaserve.core.crypto").unbase64

local M = {}

local KNOWN = { users = "table", check = "function", realm = "string" }

--- Name and password of the request, nil where there are none.
local function credentials(req)
  local value = req.headers.authorization
  local scheme, token = (value or ""):match("^(%a+) +([%w+/=_-]+)%s*$")
  if not scheme or scheme:lower() ~= "basic" then return nil end
  local text = unbase64(token)
  if not text or text:find("%c") then return nil end
  return text:match("^([^:]*):(.*)$")
end

local function digest(text)
  return crypto.hash("sha256", text, "buffer")
end

--- A check by a table. It takes the same time whether there is such a user or not,
--- and wherever a password differs.
local function by_table(users)
  local digests, nobody = {}, digest(crypto.randomBytes(32))
  for name, password in pairs(users) do
    if type(name) ~= "string" or type(password) ~= "string" or name:find(":", 1, true) then
      core.raise("basicAuth: users are passwords by name, {kim = \"secret\"}, and no name has a colon")
    end
    digests[name] = digest(password)
  end
  return function(name, password)
    return crypto.timingSafeEqual(digests[name] or nobody, digest(password))
  end
end

--- Middleware that lets in who has a name and a password, and answers 401 else; the
--- name is `req.user` then. Options: users, passwords by name, or check,
--- function(name, password, req) -> boolean, which may wait; realm, what the browser
--- shows ("luaserve").
---@param options table
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("basicAuth", options, KNOWN)
  if (options.users == nil) == (options.check == nil) then
    core.raise("basicAuth needs users = {name = \"password\"}, or check = function(name, password, req)")
  end
  local realm = options.realm or "luaserve"
  if realm:find("[%c\"\\]") then
    core.raise("basicAuth: the realm has no quotes, backslashes and control characters")
  end
  local check = options.check or by_table(options.users)
  local challenge = ('Basic realm="%s", charset="UTF-8"'):format(realm)
  return function(req, res, next)
    local name, password = credentials(req)
    if name and check(name, password, req) then
      rawset(req, "user", name)
      return next()
    end
    fields.set(req, res, "WWW-Authenticate", challenge)
    return fields.refuse(401, "Unauthorized: a name and a password are needed")
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
