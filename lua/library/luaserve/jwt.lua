---@meta luaserve.jwt

---@class luaserve.JwtChecks what is asked of a token
---@field algorithms string[]? those of the keys
---@field audience string|string[]|false|nil one of which its aud has to name; false: for anybody
---@field issuer string|string[]|nil
---@field subject string?
---@field clockTolerance number? seconds (0)
---@field maxAge number? seconds since iat
---@field requiredClaims string[]?

---@class luaserve.JwtOptions: luaserve.JwtChecks
---@field secret any a key as for jwt.verify, or function(header, req) -> one; it may wait
---@field key any the same
---@field credentialsRequired boolean? whether a token is needed (true)
---@field getToken (fun(req: IncomingMessage): string?)? instead of the header
---@field isRevoked (fun(claims: table, req: IncomingMessage): boolean?)? it may wait
---@field realm string?

---@class luaserve.JwtSignOptions
---@field algorithm string? of the key's kind
---@field expiresIn number? seconds
---@field notBefore number? seconds
---@field audience string|string[]|nil
---@field issuer string?
---@field subject string?
---@field jwtid string?
---@field keyid string?
---@field header table?
---@field noTimestamp boolean? without iat

--- Middleware that lets in who sends a signed token; req.auth is the table of its claims then.
---@class luaserve.jwt
---@overload fun(options: luaserve.JwtOptions): luaserve.Middleware
local jwt = {}

--#region lua/luaserve/jwt.lua M=jwt. not=middleware
--- Makes a token. Options: algorithm (that of the key's kind: HS256, RS256, ES256, EdDSA), expiresIn and
--- notBefore, seconds from now; audience, issuer, subject, jwtid, the claims of that meaning; keyid and
--- header, what the header has besides; noTimestamp, without iat.
---@param claims table
---@param key any a secret of 32 bytes or more, a private key in PEM, or what jwt.key made of one
---@param options table?
---@return string token
function jwt.sign(claims, key, options) end

--- What a token says, without any look at whether it is true: for choosing a key, or for looking into it.
---@param token string
---@return {header: table, claims: table}? decoded nil where it is malformed
---@return string? message
---@return string? code
function jwt.decode(token) end

--- Reads a key once, for sign and verify: a secret, PEM text (a public or private key, a certificate), a JWK, a set of
--- them. Raises where it is none, or is too weak.
---@param value string|table
---@return luaserve.jwt.Key|luaserve.jwt.Key[] key a list of a set or of a list
function jwt.key(value) end

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
function jwt.verify(token, key, options) end
--#endregion

--#region lua/luaserve/jwt/keys.lua
---@class luaserve.jwt.Key a key that was read
---@field kind string "secret", "RSA", "P-256", "P-384", "P-521" or "Ed25519"
---@field private boolean? whether it can sign
---@field kid string? its name, of a JWK
---@field alg string? the only algorithm it is for, of a JWK
--#endregion

return jwt
