--- JSON Web Tokens (RFC 7519) that are signed (JWS, RFC 7515): made, checked, and, as
--- a middleware, asked for. Signatures are OpenSSL's (src/script/l_pkey.c).
---
--- Nothing in a token decides how it is checked (RFC 8725): the algorithms are those of
--- the keys, or fewer; what a header says of keys (jwk, jku, x5c...) is ignored, and
--- extensions that have to be understood (crit) are refused.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local crypto = require "crypto"
local fields = require "luaserve.fields"
local json = require "json"
local keys = require "luaserve.jwt.keys"
local native = require "luaserve.core.pkey"
local base64url = require("luaserve.core.cipher").base64url
local unbase64 = require("luaserve.core.crypto").unbase64

local M = {}

local MOST = 16 * 1024 -- bytes of a token

local SIGNING = { algorithm = "string", expiresIn = "number", notBefore = "number", audience = "string table",
  issuer = "string", subject = "string", jwtid = "string", keyid = "string", header = "table", noTimestamp = "boolean" }

local CHECKING = { algorithms = "table", audience = "string table boolean", issuer = "string table", subject = "string",
  clockTolerance = "number", maxAge = "number", requiredClaims = "table" }

local algorithms = keys.algorithms

-- ---- signatures

local function hmac(key, algorithm, text)
  return crypto.createHmac(algorithm.hash, key.secret):update(text):digest()
end

local function sign(key, algorithm, text)
  if algorithm.kind == "secret" then return hmac(key, algorithm, text) end
  return native.sign(key.pkey, algorithm.hash, algorithm.pss, text)
end

local function is_signed(key, algorithm, text, signature)
  if algorithm.kind ~= "secret" then
    return native.verify(key.pkey, algorithm.hash, algorithm.pss, text, signature)
  end
  local own = hmac(key, algorithm, text)
  return #own == #signature and crypto.timingSafeEqual(own, signature)
end

--- Whether the key is for the algorithm of that name.
local function fits(key, name)
  local algorithm = algorithms[name]
  return algorithm.kind == key.kind and (key.alg == nil or key.alg == name)
    and (algorithm.least == nil or #key.secret >= algorithm.least)
end

-- ---- making

local function check_seconds(value, what)
  if value and not (value > -1e11 and value < 1e11) then core.raise("jwt: " .. what .. " is a number of seconds") end
end

--- The claims with those that the options mean.
local function filled(claims, options)
  local all = {}
  for name, value in pairs(claims) do
    if type(name) ~= "string" then core.raise("jwt.sign: claims are a table with names, {sub = \"kim\"}") end
    all[name] = value
  end
  local now = os.time()
  local function set(name, value, option)
    if value == nil then return end
    if claims[name] ~= nil then core.raise(("jwt.sign: claims have %s, and %s says it too"):format(name, option)) end
    all[name] = value
  end
  check_seconds(options.expiresIn, "expiresIn")
  check_seconds(options.notBefore, "notBefore")
  set("exp", options.expiresIn and math.floor(now + options.expiresIn), "expiresIn")
  set("nbf", options.notBefore and math.floor(now + options.notBefore), "notBefore")
  set("aud", options.audience, "audience")
  set("iss", options.issuer, "issuer")
  set("sub", options.subject, "subject")
  set("jti", options.jwtid, "jwtid")
  if all.iat == nil and not options.noTimestamp then all.iat = now end
  for _, name in ipairs { "exp", "nbf", "iat" } do
    if all[name] ~= nil and type(all[name]) ~= "number" then
      core.raise(("jwt.sign: the claim %s is a number of seconds since 1970, not a %s"):format(name, type(all[name])))
    end
  end
  return all
end

local function algorithm_of(key, wanted)
  local name = wanted or key.alg or keys.usual[key.kind]
  if not algorithms[name] then core.raise("jwt: there is no algorithm '" .. name .. "' here") end
  if not fits(key, name) then
    local least = algorithms[name].least
    if least and key.kind == "secret" and not key.alg then
      core.raise(("jwt: a secret for %s has %d bytes or more (RFC 7518), not %d"):format(name, least, #key.secret))
    end
    core.raise(("jwt: %s is not for a key of the kind %s"):format(name, key.alg or key.kind))
  end
  return name
end

local function part(value)
  return (base64url(json.encode(value, { sort = true })))
end

--- Makes a token. Options: algorithm (that of the key's kind: HS256, RS256, ES256, EdDSA), expiresIn and
--- notBefore, seconds from now; audience, issuer, subject, jwtid, the claims of that meaning; keyid and
--- header, what the header has besides; noTimestamp, without iat.
---@param claims table
---@param key any a secret of 32 bytes or more, a private key in PEM, or what jwt.key made of one
---@param options table?
---@return string token
function M.sign(claims, key, options)
  options = check_options("jwt.sign", options, SIGNING)
  if type(claims) ~= "table" then core.raise("jwt.sign takes a table of claims, not a " .. type(claims)) end
  key = keys.list(key)[1]
  local name = algorithm_of(key, options.algorithm)
  if not key.private then core.raise("jwt.sign needs the private key: this one is public, and can only check") end
  local header = {}
  for field, value in pairs(options.header or {}) do header[field] = value end
  header.alg, header.typ, header.kid = name, header.typ or "JWT", options.keyid or header.kid or key.kid
  local text = part(header) .. "." .. part(filled(claims, options))
  return text .. "." .. base64url(sign(key, algorithms[name], text))
end

-- ---- reading

local function refuse(message, code)
  return nil, message, code or "ETOKEN"
end

--- The object in a part of a token; nil where it is none.
local function object_of(text)
  local bytes = unbase64(text)
  if not bytes or bytes:byte() ~= 123 then return nil end -- {
  local ok, value = pcall(json.decode, bytes)
  return ok and type(value) == "table" and value or nil
end

--- Header and claims of a token, the text that is signed, and the signature; or nil, message, code.
local function read(token)
  if type(token) ~= "string" then return refuse("the token is not a string") end
  if #token > MOST then return refuse("the token is too long") end
  local text, head, body, mark = token:match("^(([%w_-]+)%.([%w_-]+))%.([%w_-]*)$")
  if not text then return refuse("the token is malformed") end
  local header, claims = object_of(head), object_of(body)
  local signature = unbase64(mark)
  if not header or not claims or not signature or base64url(signature) ~= mark then
    return refuse("the token is malformed")
  end
  return header, claims, text, signature
end

--- What a token says, without any look at whether it is true: for choosing a key, or for looking into it.
---@param token string
---@return {header: table, claims: table}? decoded nil where it is malformed
---@return string? message
---@return string? code
function M.decode(token)
  local header, claims, code = read(token)
  if not header then return nil, claims, code end
  return { header = header, claims = claims }
end

-- ---- checking

local function contains(list, value)
  for i = 1, #list do
    if list[i] == value then return true end
  end
  return false
end

local function list_of(value)
  return type(value) == "table" and value or { value }
end

local function is_time(value)
  return type(value) == "number" and value > -1e15 and value < 1e15
end

local function check_times(claims, rules, now)
  for _, name in ipairs { "exp", "nbf", "iat" } do
    if claims[name] ~= nil and not is_time(claims[name]) then
      return refuse("the token's " .. name .. " is not a time", "ECLAIM")
    end
  end
  local tolerance = rules.clockTolerance or 0
  if claims.exp and now >= claims.exp + tolerance then return refuse("the token has expired", "EEXPIRED") end
  if claims.nbf and now < claims.nbf - tolerance then return refuse("the token is not valid yet", "ENOTYET") end
  if rules.maxAge then
    if not claims.iat then return refuse("the token does not say when it was issued", "ECLAIM") end
    if claims.iat > now + tolerance then return refuse("the token was issued in the future", "ENOTYET") end
    if now - claims.iat > rules.maxAge + tolerance then return refuse("the token is too old", "EEXPIRED") end
  end
  return true
end

--- RFC 7519 4.1.3: who a token is for has to find himself in it.
local function check_audience(claims, wanted)
  if wanted == false then return true end
  local aud = claims.aud
  if wanted == nil then
    if aud == nil then return true end
    return refuse("the token is for an audience, and this server has not said which it is", "ECLAIM")
  end
  for _, one in ipairs(type(aud) == "table" and aud or { aud }) do
    if type(one) == "string" and contains(wanted, one) then return true end
  end
  return refuse("the token is for another audience", "ECLAIM")
end

local function check_claims(claims, rules)
  local ok, message, code = check_times(claims, rules, os.time())
  if ok then ok, message, code = check_audience(claims, rules.audience) end
  if not ok then return nil, message, code end
  if rules.issuer and not contains(rules.issuer, claims.iss) then
    return refuse("the token is another issuer's", "ECLAIM")
  end
  if rules.subject and claims.sub ~= rules.subject then return refuse("the token has another subject", "ECLAIM") end
  for _, name in ipairs(rules.requiredClaims or {}) do
    if claims[name] == nil then return refuse("the token has no " .. name, "ECLAIM") end
  end
  return claims
end

--- Whether one of the keys has signed it. A key with a name is asked where the token has that name, or none.
local function is_genuine(list, header, text, signature)
  local name, found = header.alg, false
  for i = 1, #list do
    local key = list[i]
    if fits(key, name) and (key.kid == nil or header.kid == nil or key.kid == header.kid) then
      found = true
      if is_signed(key, algorithms[name], text, signature) then return true, true end
    end
  end
  return false, found
end

--- The keys for a token; `key` may be a function(header, ...), which may wait.
local function keys_for(key, header, ...)
  if type(key) ~= "function" then return key end
  local value = key(header, ...)
  return value and keys.list(value) or {}
end

--- Whether an algorithm is one that this check takes.
local function is_accepted(name, rules)
  return type(name) == "string" and algorithms[name] and (not rules.algorithms or contains(rules.algorithms, name))
end

local function check(token, key, rules, ...)
  local header, claims, text, signature = read(token)
  if not header then return nil, claims, text end
  if header.crit ~= nil then return refuse("the token has extensions (crit) that are not known here") end
  if not is_accepted(header.alg, rules) then return refuse("the token's algorithm is not accepted", "EALG") end
  local genuine, found = is_genuine(keys_for(key, header, ...), header, text, signature)
  if not found then return refuse("there is no key for the token's algorithm and name of key", "EALG") end
  if not genuine then return refuse("the token's signature is wrong", "ESIGNATURE") end
  local ok, message, code = check_claims(claims, rules)
  if not ok then return nil, message, code end
  return claims, header
end

-- ---- options

local function check_algorithms(list)
  if list and not list[1] then core.raise('jwt: algorithms is a list, {"RS256"}') end
  for _, name in ipairs(list or {}) do
    if name == "none" then core.raise("jwt: 'none' is no signature: anybody could make such a token") end
    if not algorithms[name] then core.raise(("jwt: there is no algorithm '%s' here"):format(tostring(name))) end
  end
end

--- What is asked of a token, prepared.
local function rules_of(options)
  check_algorithms(options.algorithms)
  check_seconds(options.clockTolerance, "clockTolerance")
  check_seconds(options.maxAge, "maxAge")
  local audience = options.audience
  if audience == true then core.raise("jwt: audience is a text, a list, or false to take tokens for anybody") end
  for _, name in ipairs(options.requiredClaims or {}) do
    if type(name) ~= "string" or name:find("[^%w_.:/-]") then
      core.raise("jwt: requiredClaims is a list of names of claims")
    end
  end
  return { algorithms = options.algorithms, audience = audience and list_of(audience) or audience,
    issuer = options.issuer and list_of(options.issuer), subject = options.subject,
    clockTolerance = options.clockTolerance, maxAge = options.maxAge, requiredClaims = options.requiredClaims }
end

--- Keys of what a script gives, checked to be of use with the algorithms; a function stays one.
local function prepare(key, wanted)
  if type(key) == "function" then return key end
  local list = keys.list(key)
  for _, name in ipairs(wanted or {}) do
    local of_use = false
    for _, one in ipairs(list) do of_use = of_use or fits(one, name) end
    if not of_use then
      if #list == 1 then algorithm_of(list[1], name) end -- says why
      core.raise("jwt: no key here is for " .. name)
    end
  end
  return list
end

--- Reads a key once, for sign and verify: a secret, PEM text (a public or private key, a certificate), a JWK, a set of
--- them. Raises where it is none, or is too weak.
---@param value string|table
---@return luaserve.jwt.Key|luaserve.jwt.Key[] key a list of a set or of a list
function M.key(value)
  local list = keys.list(value)
  return #list == 1 and list[1] or list
end

--- The claims of a token that one of the keys has signed, and its header; or nil, message, and a code: ETOKEN, EALG,
--- ESIGNATURE, EEXPIRED, ENOTYET, ECLAIM. Options: algorithms, a list (those of the keys); audience and issuer, a
--- text or a list of which one has to be there; subject; clockTolerance, seconds (0); maxAge, seconds since iat;
--- requiredClaims, names.
---@param token string
---@param key any a secret, PEM text, a JWK, a list of these, or function(header) -> one of these, nil for none
---@param options table?
---@return table? claims
---@return table|string header_or_message
---@return string? code
function M.verify(token, key, options)
  options = check_options("jwt.verify", options, CHECKING)
  if key == nil then core.raise("jwt.verify(token, key) needs a key") end
  local rules = rules_of(options)
  return check(token, prepare(key, options.algorithms), rules)
end

-- ---- the middleware (RFC 6750)

local KNOWN = { secret = "string table function", key = "string table function", credentialsRequired = "boolean",
  getToken = "function", isRevoked = "function", realm = "string" }
for name, types in pairs(CHECKING) do KNOWN[name] = types end

--- Raises what answers with status; why is the rest of the challenge.
local function challenge(settings, req, res, status, message, why, code)
  fields.set(req, res, "WWW-Authenticate", settings.challenge .. (why or ""))
  return fields.refuse(status, message, { code = code })
end

local function invalid(settings, req, res, message, code)
  local why = (', error="invalid_token", error_description="%s"'):format(message)
  return challenge(settings, req, res, 401, "Unauthorized: " .. message, why, code)
end

--- The token of the request; nil where it has none. What begins as one and is none is the client's mistake.
local function token_of(settings, req, res)
  if settings.get_token then return settings.get_token(req) end
  local value = req.headers.authorization
  local scheme, token = (value or ""):match("^(%S+) *(.-)%s*$")
  if not scheme or scheme:lower() ~= "bearer" then return nil end
  if token:find("^[%w._~+/-]+=*$") then return token end
  return challenge(settings, req, res, 400, "Bad Request: the Authorization field is malformed",
    ', error="invalid_request"')
end

local function authenticate(settings, req, res, next)
  local token = token_of(settings, req, res)
  if token == nil then
    if settings.optional then return next() end
    return challenge(settings, req, res, 401, "Unauthorized: a token is needed")
  end
  local claims, header, code = check(token, settings.key, settings.rules, req)
  if not claims then return invalid(settings, req, res, header, code) end
  if settings.is_revoked and settings.is_revoked(claims, req) then
    return invalid(settings, req, res, "the token has been revoked", "EREVOKED")
  end
  rawset(req, "auth", claims)
  if type(claims.sub) == "string" then rawset(req, "user", claims.sub) end
  return next()
end

--- Middleware that lets in who has a token (Authorization: Bearer), and answers 401 else. req.auth is the table of
--- its claims then, and req.user its sub. Options: those of verify; secret or key, which may be function(header, req);
--- credentialsRequired, whether one is needed (true); getToken, function(req) -> the token, where it comes
--- another way; isRevoked, function(claims, req) -> boolean; realm.
---@param options table
---@return fun(req: IncomingMessage, res: ServerResponse, next: function): any
function M.middleware(options)
  options = check_options("jwt", options, KNOWN)
  if (options.secret == nil) == (options.key == nil) then
    core.raise("jwt needs a key, or a secret: luaserve.jwt { secret = os.getenv(\"SECRET\") }")
  end
  local realm = options.realm or "luaserve"
  if realm:find("[%c\"\\]") then core.raise("jwt: the realm has no quotes, backslashes and control characters") end
  local key = options.key
  if key == nil then key = options.secret end
  local rules = rules_of(options)
  local settings = { key = prepare(key, options.algorithms), rules = rules,
    challenge = ('Bearer realm="%s"'):format(realm), optional = options.credentialsRequired == false,
    get_token = options.getToken, is_revoked = options.isRevoked }
  return function(req, res, next) return authenticate(settings, req, res, next) end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
