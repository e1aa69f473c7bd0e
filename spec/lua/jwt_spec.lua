-- luaserve.jwt: tokens made and checked, and the middleware that asks for them.
local helper = require("spec.helper")
local cjson = require("cjson")

local SECRET = "a secret of 32 bytes, or of more"
local PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

-- Keys and tokens of the appendices of RFC 7515 and RFC 8037.
local VECTORS = [[
local HS256 = { kty = "oct",
  k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }
local RS256 = { kty = "RSA", e = "AQAB", n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4q" ..
  "PCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5re" ..
  "xMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_" ..
  "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }
local ES256 = { kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }
local ES512 = { kty = "EC", crv = "P-521",
  x = "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
  y = "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2" }
local EdDSA = { kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
local PAYLOAD = "]] .. PAYLOAD .. [["
local TOKENS = {
  HS256 = { HS256, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." .. PAYLOAD ..
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },
  RS256 = { RS256, "eyJhbGciOiJSUzI1NiJ9." .. PAYLOAD .. ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5" ..
    "RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN" ..
    "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8" ..
    "np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw" },
  ES256 = { ES256, "eyJhbGciOiJFUzI1NiJ9." .. PAYLOAD ..
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q" },
}
local OTHERS = { -- whose payload is no JSON
  { ES512, "SHA512", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZ" ..
    "qwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn" },
  { EdDSA, "", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" },
}
]]

local PREFIX = [[
local luaserve, json, crypto = require "luaserve", require "json", require "crypto"
local jwt = luaserve.jwt
local SECRET = "]] .. SECRET .. [["
local base64url = require("luaserve.core.cipher").base64url
local unbase64 = require("luaserve.core.crypto").unbase64
-- A token of any text for header and claims, signed with the secret.
local function forge(header, claims, secret)
  local text = base64url(header) .. "." .. base64url(claims)
  return text .. "." .. crypto.createHmac("sha256", secret or SECRET):update(text):digest("base64url")
end
local function why(...)
  local claims, message, code = ...
  return claims and "ok" or code .. ": " .. message
end
]]

-- What the code prints; it has to end well.
local function run(code, files)
  local result = helper.run(PREFIX .. code, { files = files })
  assert.equal(0, result.code, result.err)
  return result.out
end

-- A folder with keys of all kinds, made by openssl, once.
local folder
local function keys()
  if folder then return folder end
  folder = {}
  local dir = helper.tmpdir()
  local function openssl(command)
    assert(os.execute("cd " .. dir .. " && openssl " .. command .. " >/dev/null 2>&1"), "openssl " .. command)
  end
  local kinds = { rsa = "RSA -pkeyopt rsa_keygen_bits:2048", small = "RSA -pkeyopt rsa_keygen_bits:1024",
    p256 = "EC -pkeyopt ec_paramgen_curve:P-256", p384 = "EC -pkeyopt ec_paramgen_curve:P-384",
    p521 = "EC -pkeyopt ec_paramgen_curve:P-521", koblitz = "EC -pkeyopt ec_paramgen_curve:secp256k1",
    ed = "ED25519", x = "X25519" }
  for name, kind in pairs(kinds) do
    openssl(("genpkey -algorithm %s -out %s.pem"):format(kind, name))
    openssl(("pkey -in %s.pem -pubout -out %s.pub"):format(name, name))
    folder[name .. ".pem"] = helper.read_file(dir .. "/" .. name .. ".pem")
    folder[name .. ".pub"] = helper.read_file(dir .. "/" .. name .. ".pub")
  end
  openssl("pkey -in rsa.pem -aes256 -passout pass:x -out locked.pem")
  openssl("req -x509 -key rsa.pem -subj /CN=a -out rsa.crt")
  openssl("rsa -in rsa.pem -pubout -RSAPublicKey_out -out rsa.pkcs1")
  openssl("ec -in p256.pem -out p256.sec1")
  for _, name in ipairs { "locked.pem", "rsa.crt", "rsa.pkcs1", "p256.sec1" } do
    folder[name] = helper.read_file(dir .. "/" .. name)
  end
  return folder
end

local FILES = [[
local fs = require "fs"
local function key(name) return fs.readFileSync(name) end
]]

describe("jwt", function()
  it("reads the keys and tokens of RFC 7515 and RFC 8037", function()
    assert.equal("ES256 joe true\nHS256 joe true\nRS256 joe true\n6 wrong\nES512 true false\nEdDSA true false\n",
      run(VECTORS .. [[
local names, wrong = { "ES256", "HS256", "RS256" }, 0
for _, name in ipairs(names) do
  local claims, header = assert(jwt.verify(TOKENS[name][2], TOKENS[name][1], { clockTolerance = 1e9 }))
  print(header.alg, claims.iss, claims["http://example.com/is_root"])
  for _, other in ipairs(names) do
    local _, _, code = jwt.verify(TOKENS[other][2], TOKENS[name][1], { clockTolerance = 1e9 })
    if code == "EALG" then wrong = wrong + 1 end
  end
end
print(wrong .. " wrong")
local native = require "luaserve.core.pkey"
for i, v in ipairs(OTHERS) do
  local key, signature = jwt.key(v[1]), unbase64(v[4])
  print(i == 1 and "ES512" or "EdDSA", native.verify(key.pkey, v[2], false, v[3], signature),
    native.verify(key.pkey, v[2], false, v[3] .. "x", signature))
end
]]):gsub("\t", " "))
  end)

  it("signs as RFC 7515 A.1 and RFC 8037 A.4 do", function()
    local out = run(VECTORS .. [[
local text, mark = TOKENS.HS256[2]:match("^(.*)%.([^.]*)$")
print(crypto.createHmac("sha256", unbase64(HS256.k)):update(text):digest("base64url") == mark)
-- the private key of RFC 8037 A.1 in PKCS8
local der = unbase64("MC4CAQAwBQYDK2VwBCIEIA==") .. unbase64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
local b64 = base64url(der):gsub("-", "+"):gsub("_", "/")
local key = jwt.key("-----BEGIN PRIVATE KEY-----\n" .. b64 .. "\n-----END PRIVATE KEY-----\n")
print(base64url(require("luaserve.core.pkey").sign(key.pkey, "", false, OTHERS[2][3])) == OTHERS[2][4])
]])
    assert.equal("true\ntrue\n", out)
  end)

  it("signs and checks with each algorithm, and no key is of use for another's", function()
    local out = run(FILES .. [[
local pairs_of = { HS256 = { SECRET, SECRET }, HS384 = { SECRET .. SECRET, SECRET .. SECRET },
  HS512 = { SECRET .. SECRET, SECRET .. SECRET }, RS256 = { key "rsa.pem", key "rsa.pub" },
  RS384 = { key "rsa.pem", key "rsa.crt" }, RS512 = { key "rsa.pem", key "rsa.pkcs1" },
  PS256 = { key "rsa.pem", key "rsa.pub" }, PS384 = { key "rsa.pem", key "rsa.pub" },
  PS512 = { key "rsa.pem", key "rsa.pem" }, ES256 = { key "p256.sec1", key "p256.pub" },
  ES384 = { key "p384.pem", key "p384.pub" }, ES512 = { key "p521.pem", key "p521.pub" },
  EdDSA = { key "ed.pem", key "ed.pub" } }
local tokens, count, crossed = {}, 0, 0
for name, pair in pairs(pairs_of) do
  for i = 1, 20 do -- r and s of some have zeros in front
    tokens[name] = jwt.sign({ sub = "kim", n = i }, pair[1], { algorithm = name })
    local claims, header = assert(jwt.verify(tokens[name], pair[2], { algorithms = { name } }))
    assert(claims.sub == "kim" and claims.n == i and header.alg == name and header.typ == "JWT")
  end
  count = count + 1
end
for name, token in pairs(tokens) do
  for other, pair in pairs(pairs_of) do
    local claims, _, code = jwt.verify(token, pair[2], { algorithms = { other } })
    if name ~= other then
      assert(not claims and code == "EALG", name .. " with " .. other)
      crossed = crossed + 1
    end
  end
  local head, body, mark = token:match("^(.-)%.(.-)%.(.*)$")
  local first = mark:sub(1, 1) == "A" and "B" or "A"
  local _, _, code = jwt.verify(head .. "." .. body .. "." .. first .. mark:sub(2), pairs_of[name][2])
  assert(code == "ESIGNATURE", name)
  _, _, code = jwt.verify(head .. "." .. body .. "." .. base64url(unbase64(mark):sub(1, -4)), pairs_of[name][2])
  assert(code == "ESIGNATURE", name)
  _, _, code = jwt.verify(head .. "." .. body .. ".", pairs_of[name][2])
  assert(code == "ESIGNATURE", name)
end
print(count, crossed)
]], keys())
    assert.equal("13\t156\n", out)
  end)

  it("understands openssl, and is understood by it", function()
    local out = run(FILES .. [[
local text = base64url('{"alg":"RS256"}') .. "." .. base64url('{"sub":"kim"}')
fs.writeFileSync("text", text)
local function openssl(command)
  local pipe = io.popen("openssl " .. command .. " 2>&1")
  local said = pipe:read("*a")
  pipe:close()
  return said
end
openssl("dgst -sha256 -sign rsa.pem -out mark text")
print(jwt.verify(text .. "." .. base64url(key "mark"), key "rsa.pub").sub)
text = base64url('{"alg":"EdDSA"}') .. "." .. base64url('{"sub":"lee"}')
fs.writeFileSync("text", text)
openssl("pkeyutl -sign -inkey ed.pem -rawin -in text -out mark")
print(jwt.verify(text .. "." .. base64url(key "mark"), key "ed.pub").sub)
for _, kind in ipairs { "rsa", "ed" } do
  local token = jwt.sign({ sub = "max" }, key(kind .. ".pem"))
  local signed, mark = token:match("^(.*)%.([^.]*)$")
  fs.writeFileSync("text", signed)
  fs.writeFileSync("mark", unbase64(mark))
  local how = kind == "rsa" and "dgst -sha256 -verify rsa.pub -signature mark text"
    or "pkeyutl -verify -pubin -inkey ed.pub -rawin -in text -sigfile mark"
  print((openssl(how):gsub("\n", "")))
end
-- r and s as openssl has them
text = base64url('{"alg":"ES256"}') .. "." .. base64url('{"sub":"ann"}')
fs.writeFileSync("text", text)
openssl("dgst -sha256 -sign p256.pem -out mark text")
local r, s = openssl("asn1parse -inform DER -in mark"):match("INTEGER%s+:(%x+).*INTEGER%s+:(%x+)")
local raw = (("0"):rep(64 - #r) .. r .. ("0"):rep(64 - #s) .. s):gsub("%x%x", function(pair)
  return string.char(tonumber(pair, 16))
end)
print(jwt.verify(text .. "." .. base64url(raw), key "p256.pub").sub)
print(why(jwt.verify(text .. "." .. base64url(key "mark"), key "p256.pub")))
]], keys())
    assert.equal("kim\nlee\nVerified OK\nSignature Verified Successfully\nann\n" ..
      "ESIGNATURE: the token's signature is wrong\n", out)
  end)

  it("refuses what is no token, or is signed by nobody", function()
    local out = run(FILES .. [[
local HEAD = '{"alg":"HS256","typ":"JWT"}'
local good = jwt.sign({ sub = "kim" }, SECRET)
local head, body, mark = good:match("^(.-)%.(.-)%.(.*)$")
local malformed = { "", ".", "..", "...", "a.b", good .. ".x", "." .. good, " " .. good, good .. "=", good .. "\n",
  head .. "." .. body, head .. "." .. body:sub(1, -2) .. "+." .. mark, head .. ".." .. mark,
  forge("[]", "{}"), forge('"a"', "{}"), forge("{", "{}"), forge(HEAD, "[1]"), forge(HEAD, "null"),
  forge(HEAD, '{"a":1'), forge(HEAD, ' {"a":1}x'), forge(HEAD, '{"a":"\255"}'),
  forge(HEAD, ('{"a":'):rep(5000) .. "1" .. ("}"):rep(5000)), ("a"):rep(20000), head .. "." .. body .. "." .. mark .. "AA",
  forge('{"alg":"HS256","crit":["exp"],"exp":1}', "{}") }
for i, token in ipairs(malformed) do
  local claims, message, code = jwt.verify(token, SECRET)
  assert(claims == nil and code == "ETOKEN", i .. tostring(message))
end
print(why(jwt.verify(nil, SECRET)), #malformed)
for _, name in ipairs { '"none"', '"None"', '"hs256"', "null", "1", '["HS256"]', '""' } do
  local token = base64url('{"alg":' .. name .. "}") .. "." .. body
  assert(select(3, jwt.verify(token .. ".", SECRET)) == "EALG", name)
  assert(select(3, jwt.verify(token .. "." .. mark, SECRET)) == "EALG", name)
end
assert(select(3, jwt.verify(forge("{}", "{}"), SECRET)) == "EALG")
-- the public key of RS256 as the secret of HS256
local forged = forge(HEAD, '{"sub":"admin"}', key "rsa.pub")
print(why(jwt.verify(forged, key "rsa.pub")))
print(why(jwt.verify(forged, { SECRET, key "rsa.pub" })))
-- a key that comes with the token
print(why(jwt.verify(forge('{"alg":"HS256","jwk":{"kty":"oct","k":"' .. base64url(("x"):rep(32)) .. '"}}', "{}",
  ("x"):rep(32)), SECRET)))
-- another last character for the same bytes of the signature
local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
local at = alphabet:find(mark:sub(-1), 1, true)
local twin = mark:sub(1, -2) .. alphabet:sub(at + 1, at + 1)
assert(unbase64(twin) == unbase64(mark))
print(why(jwt.verify(head .. "." .. body .. "." .. twin, SECRET)))
]], keys())
    assert.equal("ETOKEN: the token is not a string\t25\n" ..
      "EALG: there is no key for the token's algorithm and name of key\n" ..
      "ESIGNATURE: the token's signature is wrong\nESIGNATURE: the token's signature is wrong\n" ..
      "ETOKEN: the token is malformed\n", out)
  end)

  it("checks times, audience, issuer, subject and what is required", function()
    local lines = {}
    local out = run([[
local now = os.time()
local function check(claims, options)
  if claims.iat == nil then claims.iat = now end
  if not claims.iat then claims.iat = nil end
  print(why(jwt.verify(forge('{"alg":"HS256"}', json.encode(claims)), SECRET, options)))
end
check { exp = now + 1000 }
check { exp = now }
check { exp = now - 5 }
check({ exp = now - 5 }, { clockTolerance = 1000 })
check { exp = "tomorrow" }
check { exp = json.null }
check { nbf = now + 1000 }
check({ nbf = now + 5 }, { clockTolerance = 1000 })
check { nbf = now }
check { iat = "x" }
check({ iat = now - 100 }, { maxAge = 50 })
check({ iat = now - 100 }, { maxAge = 5000 })
check({ iat = now + 1000 }, { maxAge = 5000 })
check({ iat = false }, { maxAge = 5000 })
check { aud = "a" }
check({ aud = "a" }, { audience = false })
check({ aud = "a" }, { audience = "a" })
check({ aud = { "b", "a" } }, { audience = { "c", "a" } })
check({ aud = { "b" } }, { audience = "a" })
check({ aud = { a = "a" } }, { audience = "a" })
check({}, { audience = "a" })
check({ iss = "i" }, { issuer = { "j", "i" } })
check({ iss = { "i" } }, { issuer = "i" })
check({}, { issuer = "i" })
check({ sub = "s" }, { subject = "t" })
check({ sub = "s" }, { requiredClaims = { "sub", "exp" } })
]])
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.same({ "ok", "EEXPIRED: the token has expired", "EEXPIRED: the token has expired", "ok",
      "ECLAIM: the token's exp is not a time", "ECLAIM: the token's exp is not a time",
      "ENOTYET: the token is not valid yet", "ok", "ok", "ECLAIM: the token's iat is not a time",
      "EEXPIRED: the token is too old", "ok", "ENOTYET: the token was issued in the future",
      "ECLAIM: the token does not say when it was issued",
      "ECLAIM: the token is for an audience, and this server has not said which it is", "ok", "ok", "ok",
      "ECLAIM: the token is for another audience", "ECLAIM: the token is for another audience",
      "ECLAIM: the token is for another audience", "ok", "ECLAIM: the token is another issuer's",
      "ECLAIM: the token is another issuer's", "ECLAIM: the token has another subject",
      "ECLAIM: the token has no exp" }, lines)
  end)

  it("fills in claims and header, and looks into tokens", function()
    local decoded = cjson.decode(run([[
local given = { a = { 1, 2.5, "x" } }
local token = jwt.sign(given, SECRET, { expiresIn = 60.5, notBefore = -10, audience = { "a", "b" }, issuer = "i",
  subject = "s", jwtid = "j", keyid = "k", header = { cty = "x", alg = "none" } })
assert(given.exp == nil)
local decoded = assert(jwt.decode(token))
decoded.now = os.time()
decoded.bare = jwt.decode(jwt.sign({}, SECRET, { noTimestamp = true })).claims
decoded.none = select(3, jwt.decode("a.b.c"))
print(json.encode(decoded))
]]))
    assert.same({ alg = "HS256", typ = "JWT", kid = "k", cty = "x" }, decoded.header)
    local claims, now = decoded.claims, decoded.now
    assert.near(now, claims.iat, 10)
    assert.same({ 60, -10 }, { claims.exp - claims.iat, claims.nbf - claims.iat })
    assert.same({ { 1, 2.5, "x" }, { "a", "b" }, "i", "s", "j" },
      { claims.a, claims.aud, claims.iss, claims.sub, claims.jti })
    assert.same({ {}, "ETOKEN" }, { decoded.bare, decoded.none })
  end)

  it("chooses among keys by name and kind, and takes sets of them", function()
    local out = run(VECTORS .. FILES .. [[
local old, new = ("old"):rep(12), ("new"):rep(12)
print(why(jwt.verify(jwt.sign({}, old), { new, old })), why(jwt.verify(jwt.sign({}, SECRET), { new, old })))
local one = { kty = "oct", k = base64url(old), kid = "one" }
local two = { kty = "oct", k = base64url(new), kid = "two", alg = "HS256" }
local set = { keys = { { kty = "new" }, { kty = "RSA", n = "AQAB", e = "AQAB" }, "x", RS256, one, two,
  { kty = "oct", use = "enc", k = base64url(SECRET) } } }
print(why(jwt.verify(jwt.sign({}, old, { keyid = "one" }), set)), why(jwt.verify(jwt.sign({}, one), set)),
  why(jwt.verify(jwt.sign({}, old, { keyid = "two" }), set)))
print(why(jwt.verify(jwt.sign({}, old), set)), why(jwt.verify(jwt.sign({}, old, { keyid = "3" }), set)))
print(why(jwt.verify(jwt.sign({}, SECRET), set)), why(jwt.verify(TOKENS.RS256[2], set)))
print(why(jwt.verify(jwt.sign({}, old, { keyid = "x" }), function(header) return header.kid == "x" and old or nil end)))
print(why(jwt.verify(jwt.sign({}, old), function() end)))
print(#jwt.key(set), jwt.key(set)[2].kid, jwt.key(key "ed.pem").kind, jwt.key(key "p384.pub").private)
print(why(jwt.verify(jwt.sign({}, jwt.key(key "ed.pem")), jwt.key { key "rsa.pub", key "ed.pub" })))
]], keys())
    local alg = "EALG: there is no key for the token's algorithm and name of key"
    local wrong = "ESIGNATURE: the token's signature is wrong"
    assert.equal(("ok\t%s\nok\tok\t%s\nok\t%s\n%s\tEEXPIRED: the token has expired\nok\n%s\n"):format(wrong, wrong, alg,
      wrong, alg) .. "3\tone\tEd25519\tfalse\nok\n", out)
  end)

  it("is told of keys and options that are mistakes", function()
    local out = run(FILES .. [[
local function complain(...)
  local ok, err = pcall(...)
  print((tostring(not ok and err or "no error"):gsub("^[^ ]*app.lua:%d+: ", "")))
end
complain(jwt.key, "short")
complain(jwt.key, key "small.pub")
complain(jwt.key, key "koblitz.pub")
complain(jwt.key, key "x.pub")
complain(jwt.key, key "locked.pem")
complain(jwt.key, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
complain(jwt.key, "key: " .. key "rsa.pub")
complain(jwt.key, { kty = "EC", crv = "P-256", x = "AAAA", y = "AAAA" })
complain(jwt.key, { kty = "EC", crv = "P-256", x = ("A"):rep(42) .. "E", y = ("A"):rep(42) .. "E" })
complain(jwt.key, { kty = "RSA", n = "AQAB", e = "AQAB" })
complain(jwt.key, { kty = "dsa" })
complain(jwt.key, {})
complain(jwt.key, 5)
complain(jwt.sign, {}, key "rsa.pub")
complain(jwt.sign, {}, SECRET, { algorithm = "HS512" })
complain(jwt.sign, {}, key "rsa.pem", { algorithm = "HS256" })
complain(jwt.sign, {}, SECRET, { algorithm = "none" })
complain(jwt.sign, { "a" }, SECRET)
complain(jwt.sign, { exp = 1 }, SECRET, { expiresIn = 5 })
complain(jwt.sign, { exp = "1" }, SECRET)
complain(jwt.sign, "a", SECRET)
complain(jwt.verify, "a")
complain(jwt.verify, "a", SECRET, { algorithms = { "none" } })
complain(jwt.verify, "a", SECRET, { algorithms = { "RS256" } })
complain(jwt.verify, "a", { SECRET, SECRET }, { algorithms = { "RS256" } })
complain(jwt.verify, "a", SECRET, { algorithms = {} })
complain(jwt.verify, "a", SECRET, { audience = true })
complain(jwt.verify, "a", SECRET, { requiredClaims = { 'a"' } })
complain(jwt, {})
complain(jwt, { secret = SECRET, key = SECRET })
complain(jwt, { secret = SECRET, realm = 'a"b' })
]], keys())
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.same({
      "jwt: a secret has 32 bytes or more (RFC 7518), not 5, or it can be guessed: take what " ..
        'crypto.hash("sha256", crypto.randomBytes(32)) gives, once',
      "jwt: an RSA key has 2048 bits or more (RFC 7518), not 1024",
      "jwt: the key is an elliptic curve that JWT does not know; RSA, P-256, P-384, P-521 and Ed25519 are",
      "jwt: the key is a kind that JWT does not know; RSA, P-256, P-384, P-521 and Ed25519 are",
      "jwt: the key is encrypted: store it without a password (openssl pkey -in key.pem -out plain.pem)",
      "jwt: the text begins as PEM, but holds no key",
      "jwt: a key in PEM begins with -----BEGIN, and this one has something before it",
      "jwt: the member 'x' of the JWK is missing or malformed",
      "jwt: the JWK holds no public key",
      "jwt: an RSA key has 2048 bits or more (RFC 7518), not 17",
      "jwt: the kty of a JWK is RSA, EC, OKP or oct, not dsa",
      "jwt: there is no key among these that can be used",
      "jwt: a key is a secret, PEM text, a JWK, or a list of these, not a number",
      "jwt.sign needs the private key: this one is public, and can only check",
      "jwt: a secret for HS512 has 64 bytes or more (RFC 7518), not 32",
      "jwt: HS256 is not for a key of the kind RSA",
      "jwt: there is no algorithm 'none' here",
      'jwt.sign: claims are a table with names, {sub = "kim"}',
      "jwt.sign: claims have exp, and expiresIn says it too",
      "jwt.sign: the claim exp is a number of seconds since 1970, not a string",
      "jwt.sign takes a table of claims, not a string",
      "jwt.verify(token, key) needs a key",
      "jwt: 'none' is no signature: anybody could make such a token",
      "jwt: RS256 is not for a key of the kind secret",
      "jwt: no key here is for RS256",
      'jwt: algorithms is a list, {"RS256"}',
      "jwt: audience is a text, a list, or false to take tokens for anybody",
      "jwt: requiredClaims is a list of names of claims",
      'jwt needs a key, or a secret: luaserve.jwt { secret = os.getenv("SECRET") }',
      'jwt needs a key, or a secret: luaserve.jwt { secret = os.getenv("SECRET") }',
      "jwt: the realm has no quotes, backslashes and control characters",
    }, lines)
  end)
end)

describe("the middleware jwt", function()
  local server
  local function ask(path, authorization, headers)
    headers = headers or {}
    headers.Authorization = authorization
    local response = helper.get(server, path, headers)
    return response.status .. " " .. response.body, response.headers["www-authenticate"]
  end

  setup(function()
    server = helper.serve(PREFIX .. [[
local timers = require "timers"
local app = luaserve()
local function who(req) return (req.user or "nobody") .. " " .. (req.auth and req.auth.role or "-") end
app:get("/", jwt { secret = SECRET, realm = "api", isRevoked = function(claims) return claims.jti == "gone" end }, who)
app:get("/open", jwt { secret = SECRET, credentialsRequired = false }, who)
app:get("/cookie", jwt { secret = SECRET, getToken = function(req) return req.cookies.token end }, who)
app:get("/own", jwt { key = function(header, req)
  timers.sleep(1)
  return header.kid == req.query.kid and SECRET or nil
end, algorithms = { "HS256" }, audience = "api" }, who)
app:get("/tokens", function()
  return { good = jwt.sign({ sub = "kim", role = "admin" }, SECRET), old = jwt.sign({ exp = 1 }, SECRET),
    gone = jwt.sign({ jti = "gone" }, SECRET), number = jwt.sign({ sub = 7 }, SECRET),
    own = jwt.sign({ sub = "lee" }, SECRET, { keyid = "a", audience = "api" }) }
end)
app:onError(function(err, req, res, next)
  res:setHeader("X-Code", err.code or "none")
  return next()
end)
return app]], { listen = true })
  end)

  it("lets in who has a token, and says what is wrong with others (RFC 6750)", function()
    local tokens = cjson.decode(helper.get(server, "/tokens").body)
    assert.equal("200 kim admin", (ask("/", "Bearer " .. tokens.good)))
    assert.equal("200 kim admin", (ask("/", "bearer  " .. tokens.good .. " ")))
    assert.equal("200 nobody -", (ask("/", "Bearer " .. tokens.number)))
    assert.same({ "401 Unauthorized: a token is needed", 'Bearer realm="api"' }, { ask("/") })
    assert.same({ "401 Unauthorized: a token is needed", 'Bearer realm="api"' }, { ask("/", "Basic a2ltOng=") })
    assert.same({ "400 Bad Request: the Authorization field is malformed",
      'Bearer realm="api", error="invalid_request"' }, { ask("/", "Bearer a b") })
    assert.same({ "400 Bad Request: the Authorization field is malformed",
      'Bearer realm="api", error="invalid_request"' }, { ask("/", "Bearer") })
    assert.same({ "401 Unauthorized: the token has expired",
      'Bearer realm="api", error="invalid_token", error_description="the token has expired"' },
      { ask("/", "Bearer " .. tokens.old) })
    assert.same({ "401 Unauthorized: the token has been revoked",
      'Bearer realm="api", error="invalid_token", error_description="the token has been revoked"' },
      { ask("/", "Bearer " .. tokens.gone) })
    assert.equal("401 Unauthorized: the token's signature is wrong",
      (ask("/", "Bearer " .. tokens.good:sub(1, -5) .. "AAAA")))
    assert.equal("401 Unauthorized: the token is malformed", (ask("/", "Bearer x")))
    assert.equal("", server:stderr(), "a bad token is no error of the server's")
  end)

  it("can do without one, take it from elsewhere, and look for its key", function()
    local tokens = cjson.decode(helper.get(server, "/tokens").body)
    assert.equal("200 nobody -", (ask("/open")))
    assert.equal("200 kim admin", (ask("/open", "Bearer " .. tokens.good)))
    assert.equal("401 Unauthorized: the token has expired", (ask("/open", "Bearer " .. tokens.old)))
    assert.equal("200 kim admin", (ask("/cookie", nil, { Cookie = "token=" .. tokens.good })))
    assert.equal("401 Unauthorized: a token is needed", (ask("/cookie", "Bearer " .. tokens.good)))
    assert.equal("200 lee -", (ask("/own?kid=a", "Bearer " .. tokens.own)))
    assert.truthy(ask("/own?kid=b", "Bearer " .. tokens.own):find("there is no key", 1, true))
    assert.truthy(ask("/own?kid=a", "Bearer " .. tokens.good):find("there is no key", 1, true))
  end)
end)
