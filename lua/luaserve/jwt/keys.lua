--- The keys of tokens. What a key is decides which algorithms it can be used with
--- (RFC 8725 3.1): a secret never checks what says RS256, and a public key is never
--- taken for a secret.
local core = require "luaserve.core"
local native = require "luaserve.core.pkey"
local unbase64 = require("luaserve.core.crypto").unbase64

local M = {}

--- The algorithms of RFC 7518 and RFC 8037, by name: the kind of key, the hash, for RSA whether it
--- is PSS, for secrets the least bytes (RFC 7518 3.2).
M.algorithms = {
  HS256 = { kind = "secret", hash = "sha256", least = 32 },
  HS384 = { kind = "secret", hash = "sha384", least = 48 },
  HS512 = { kind = "secret", hash = "sha512", least = 64 },
  RS256 = { kind = "RSA", hash = "SHA256" },
  RS384 = { kind = "RSA", hash = "SHA384" },
  RS512 = { kind = "RSA", hash = "SHA512" },
  PS256 = { kind = "RSA", hash = "SHA256", pss = true },
  PS384 = { kind = "RSA", hash = "SHA384", pss = true },
  PS512 = { kind = "RSA", hash = "SHA512", pss = true },
  ES256 = { kind = "P-256", hash = "SHA256" },
  ES384 = { kind = "P-384", hash = "SHA384" },
  ES512 = { kind = "P-521", hash = "SHA512" },
  EdDSA = { kind = "Ed25519", hash = "" },
  Ed25519 = { kind = "Ed25519", hash = "" }, -- RFC 9864
}

--- The algorithm of a kind of key where none is named.
M.usual = { secret = "HS256", RSA = "RS256", ["P-256"] = "ES256", ["P-384"] = "ES384", ["P-521"] = "ES512",
  Ed25519 = "EdDSA" }

local RSA_LEAST = 2048 -- bits: RFC 7518 3.3

---@class luaserve.jwt.Key a key that was read
---@field kind string "secret", "RSA", "P-256", "P-384", "P-521" or "Ed25519"
---@field private boolean? whether it can sign
---@field kid string? its name, of a JWK
---@field alg string? the only algorithm it is for, of a JWK
local Key = { __name = "luaserve.jwt.Key" }

---@param value any
---@return boolean
function M.is_key(value)
  return type(value) == "table" and getmetatable(value) == Key
end

local function of_secret(bytes)
  if #bytes < M.algorithms.HS256.least then
    core.raise(("jwt: a secret has 32 bytes or more (RFC 7518), not %d, or it can be guessed: take what "
      .. "crypto.hash(\"sha256\", crypto.randomBytes(32)) gives, once"):format(#bytes))
  end
  return setmetatable({ kind = "secret", private = true, secret = bytes }, Key)
end

local function of_text(text, is_der)
  local pkey, kind, bits, is_private = native.read(text, is_der)
  if not pkey then
    core.raise(is_der and "jwt: the JWK holds no public key" or text:find("ENCRYPTED", 1, true) and
      "jwt: the key is encrypted: store it without a password (openssl pkey -in key.pem -out plain.pem)" or
      "jwt: the text begins as PEM, but holds no key")
  end
  if not M.usual[kind] then core.raise("jwt: the key is " .. kind .. "; RSA, P-256, P-384, P-521 and Ed25519 are") end
  if kind == "RSA" and bits < RSA_LEAST then
    core.raise(("jwt: an RSA key has 2048 bits or more (RFC 7518), not %d"):format(bits))
  end
  return setmetatable({ kind = kind, private = is_private, pkey = pkey }, Key)
end

-- ---- JWK (RFC 7517), whose public keys are put into the form that OpenSSL reads

local function der(tag, ...)
  local body = table.concat({ ... })
  local n, length = #body, ""
  if n < 128 then return string.char(tag, n) .. body end
  while n > 0 do
    length = string.char(n % 256) .. length
    n = math.floor(n / 256)
  end
  return string.char(tag, 128 + #length) .. length .. body
end

local function der_number(bytes)
  bytes = bytes:gsub("^%z+", "")
  if bytes == "" or bytes:byte() >= 128 then bytes = "\0" .. bytes end
  return der(0x02, bytes)
end

local function oid(hex)
  return der(0x06, (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)))
end

local CURVES = { ["P-256"] = { "2a8648ce3d030107", 32 }, ["P-384"] = { "2b81040022", 48 },
  ["P-521"] = { "2b81040023", 66 } }

local function public_key(algorithm, bits)
  return der(0x30, der(0x30, algorithm), der(0x03, "\0", bits))
end

local function member(jwk, name, size)
  local text = jwk[name]
  local bytes = type(text) == "string" and #text < 4096 and text:find("^[%w_-]+$") and unbase64(text)
  if not bytes or (size and #bytes ~= size) then
    core.raise(("jwt: the member '%s' of the JWK is missing or malformed"):format(name))
  end
  return bytes
end

local readers = {
  RSA = function(jwk)
    local numbers = der(0x30, der_number(member(jwk, "n")), der_number(member(jwk, "e")))
    return of_text(public_key(oid("2a864886f70d010101") .. der(0x05), numbers), true)
  end,
  EC = function(jwk)
    local curve = CURVES[jwk.crv] or core.raise("jwt: the curve of the JWK is P-256, P-384 or P-521")
    local point = "\4" .. member(jwk, "x", curve[2]) .. member(jwk, "y", curve[2])
    return of_text(public_key(oid("2a8648ce3d0201") .. oid(curve[1]), point), true)
  end,
  OKP = function(jwk)
    if jwk.crv ~= "Ed25519" then core.raise("jwt: the curve of the JWK is Ed25519") end
    return of_text(public_key(oid("2b6570"), member(jwk, "x", 32)), true)
  end,
  oct = function(jwk) return of_secret(member(jwk, "k")) end,
}

local function of_jwk(jwk)
  local read = readers[jwk.kty]
  if not read then core.raise("jwt: the kty of a JWK is RSA, EC, OKP or oct, not " .. tostring(jwk.kty)) end
  local key = read(jwk)
  if type(jwk.alg) == "string" then key.alg = jwk.alg end
  if type(jwk.kid) == "string" then key.kid = jwk.kid end
  return key
end

--- Keys of a set that are for something else, or are of no use here, are left out (RFC 7517 5).
local function of_set(set, list)
  for _, jwk in ipairs(set) do
    local is_ours = type(jwk) == "table" and (jwk.use == nil or jwk.use == "sig")
    local ok, key = pcall(of_jwk, is_ours and jwk or {})
    if ok then list[#list + 1] = key end
  end
end

-- ---- what scripts give

local read, read_count = {}, 0 -- keys by their text, which is dear to read
local READ_MOST = 64

local function of_string(text)
  local key = read[text]
  if key then return key end
  if text:find("^%s*%-%-%-%-%-BEGIN ") then
    key = of_text(text)
  elseif text:find("-----BEGIN", 1, true) then
    core.raise("jwt: a key in PEM begins with -----BEGIN, and this one has something before it")
  else
    key = of_secret(text)
  end
  if read_count >= READ_MOST then read, read_count = {}, 0 end
  read[text], read_count = key, read_count + 1
  return key
end

local function add(value, list)
  if type(value) == "string" then
    list[#list + 1] = of_string(value)
  elseif M.is_key(value) then
    list[#list + 1] = value
  elseif type(value) ~= "table" then
    core.raise("jwt: a key is a secret, PEM text, a JWK, or a list of these, not a " .. type(value))
  elseif value.kty ~= nil then
    list[#list + 1] = of_jwk(value)
  elseif type(value.keys) == "table" then
    of_set(value.keys, list)
  else
    for _, one in ipairs(value) do add(one, list) end
  end
end

--- A list of keys of what a script gives: a secret, PEM text, a JWK, a set of them, or a list. Raises
--- where the script called.
---@param value any
---@return luaserve.jwt.Key[]
function M.list(value)
  local list = {}
  add(value, list)
  if not list[1] then core.raise("jwt: there is no key among these that can be used") end
  return list
end

return M
