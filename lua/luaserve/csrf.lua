--- Middleware: requests that change something come from this site's own pages.
--- Browsers say where one comes from (Sec-Fetch-Site, else Origin); where nothing
--- says it, a token has to come along that another site cannot know: it is made of
--- a random cookie by HMAC, and differs each time, so that compressed pages do not
--- give it away.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local crypto = require "crypto"
local fields = require "luaserve.fields"
local native = require "luaserve.core.body"
local secret = require "luaserve.secret"

local M = {}

local KNOWN = { secret = "string table", origins = "table", cookie = "string", field = "string", header = "string",
  bind = "function" }

local SAFE = { GET = true, HEAD = true, OPTIONS = true, TRACE = true } -- RFC 9110 9.2.1
local OURS = { ["same-origin"] = true, none = true }

local function refuse(reason)
  return fields.refuse(403, "Forbidden: " .. reason)
end

-- ---- tokens

local function secrets_of(settings, req)
  local list = secret.of(req, settings.secret)
  return type(list) == "table" and list or { list }
end

--- The name of the cookie. On TLS no other host of the domain can set it.
local function cookie_name(settings, req)
  return fields.is_secure(req) and "__Host-" .. settings.cookie or settings.cookie
end

local function sign(settings, req, key, salt, id)
  local bound = settings.bind and tostring(settings.bind(req)) or ""
  return crypto.createHmac("sha256", key):update("csrf\0" .. salt .. "\0" .. id .. "\0" .. bound):digest("base64url")
end

--- The random value of the client's cookie; a new one where it has none.
local function id_of(settings, req)
  local name = cookie_name(settings, req)
  local id = rawget(req, "_csrf_id") or req.cookies[name]
  if id and #id == 24 and not id:find("[^%w_-]") then return id end
  id = fields.random()
  rawset(req, "_csrf_id", id)
  local res = native.response(req)
  if res then
    if res.headersSent then core.raise("csrf.token(req) sets a cookie: call it before the answer begins") end
    res:appendHeader("Set-Cookie", name .. "=" .. id .. "; Path=/; HttpOnly; SameSite=Lax" ..
      (fields.is_secure(req) and "; Secure" or ""))
  end
  return id
end

local function settings_for(req)
  return rawget(req, "_csrf") or core.raise("csrf.token(req) needs the middleware: app:use(luaserve.csrf())")
end

--- A token for a form of the page that answers req, another one each time.
---@param req IncomingMessage
---@return string
function M.token(req)
  local settings = settings_for(req)
  local id, salt = id_of(settings, req), fields.random()
  return salt .. "." .. sign(settings, req, secrets_of(settings, req)[1], salt, id)
end

--- The same as a hidden field, ready to stand in a form.
---@param req IncomingMessage
---@return string html
function M.field(req)
  local settings = settings_for(req)
  return ('<input type="hidden" name="%s" value="%s">'):format(settings.field, M.token(req))
end

local function is_valid(settings, req, token)
  local id = req.cookies[cookie_name(settings, req)]
  local salt, signature = token:match("^([%w_-]+)%.([%w_-]+)$")
  if not id or not salt then return false end
  for _, key in ipairs(secrets_of(settings, req)) do
    local expected = sign(settings, req, key, salt, id)
    if #expected == #signature and crypto.timingSafeEqual(expected, signature) then return true end
  end
  return false
end

local FORMS = { ["application/x-www-form-urlencoded"] = true, ["multipart/form-data"] = true }

local function token_of(settings, req)
  local token = req.headers[settings.header]
  if token then return token end
  local kind = (req.headers["content-type"] or ""):match("^%s*([^;%s]*)"):lower()
  if not FORMS[kind] then return nil end
  local form = req:form()
  token = form and form[settings.field]
  return type(token) == "string" and token or nil
end

-- ---- where a request comes from

local function host_of(origin)
  return origin:match("^https?://([^/]+)$")
end

--- Whether the browser says that the request is this site's own: true, false, or nil
--- where it does not say.
local function is_own(settings, req)
  local headers = req.headers
  local site, origin = headers["sec-fetch-site"], headers.origin
  if origin and settings.trusted[origin] then return true end
  if site then return OURS[site] or false end
  if not origin then return nil end
  local host = host_of(origin)
  return host ~= nil and headers.host ~= nil and host:lower() == headers.host:lower()
end

local function check_origins(origins)
  local trusted = {}
  for _, origin in ipairs(origins or {}) do
    if type(origin) ~= "string" or not host_of(origin) then
      core.raise("csrf: '" .. tostring(origin) .. "' is not an origin, as https://example.com is one")
    end
    trusted[origin] = true
  end
  return trusted
end

--- Middleware that refuses requests of other sites (403), but GET, HEAD, OPTIONS and
--- TRACE. Options: secret, else the app's, else a random one; origins, others that are trusted; bind,
--- function(req) -> what tokens belong to (a session's id); the names cookie
--- ("csrf"), field ("_csrf"), header ("x-csrf-token").
---@param options table?
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("csrf", options, KNOWN)
  local settings = { secret = options.secret, trusted = check_origins(options.origins), bind = options.bind,
    cookie = options.cookie or "csrf", field = options.field or "_csrf",
    header = (options.header or "x-csrf-token"):lower() }
  if settings.cookie:find("[^%w_-]") or settings.field:find('["&<>]') then
    core.raise("csrf: the names of cookie and field are letters, digits, - and _")
  end
  return function(req, _, next)
    rawset(req, "_csrf", settings)
    if SAFE[req.method] then return next() end
    local own = is_own(settings, req)
    if own == false then refuse("the request comes from another site") end
    if own == nil then
      local token = token_of(settings, req)
      if not token then refuse("the request has no CSRF token, and does not say where it comes from") end
      if not is_valid(settings, req, token) then refuse("the CSRF token is not valid; load the page anew") end
    end
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
