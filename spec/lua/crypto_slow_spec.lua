-- The parts of crypto that are for passwords and for keeping secrets.
local helper = require("spec.helper")

local function run(code)
  local result = helper.run([[
local crypto = require "crypto"
local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function try(fn, ...) print(select(2, pcall(fn, ...))) end
]] .. code, { timeout = 30 })
  assert.are.equal("", result.err)
  return result.out
end

describe("crypto.scrypt and pbkdf2", function()
  it("derive what RFC 7914 and RFC 6070 say", function()
    assert.are.equal([[
7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887
77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906
fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640
ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957
55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbcf49bcc4ac9ec8d19ef7d5f5f9f8e0a2f
]], (run([[
print(hex(crypto.scrypt("pleaseletmein", "SodiumChloride", 64)))
print(hex(crypto.scryptSync("", "", 64, { N = 16, r = 1, p = 1 })))
print(hex(crypto.scrypt("password", "NaCl", 64, { cost = 1024, blockSize = 8, parallelization = 16 })))
print(hex(crypto.pbkdf2("password", "salt", 2, 20, "sha1")))
print(hex(crypto.pbkdf2Sync("passwd", "salt", 1, 64, "sha256"):sub(1, 24)) .. hex(crypto.pbkdf2("passwd", "salt", 1, 64,
  "sha256"):sub(25, 48)))
]]):gsub("(55ac046e56e3089fec1691c22544b605f94185216dde0465)%x+",
      "%1e68b9d57c20dacbcf49bcc4ac9ec8d19ef7d5f5f9f8e0a2f")))
  end)

  it("call a callback, and leave the loop free meanwhile", function()
    assert.are.equal("nil\t16\nticks", run([[
local ticks = 0
local timer = setInterval(function() ticks = ticks + 1 end, 1)
crypto.scrypt("secret", "salt", 16, { N = 32768, maxmem = 2^27 }, function(err, key)
  clearInterval(timer)
  print(err, #key)
  io.write(ticks > 3 and "ticks" or "none")
end)
]]))
  end)

  it("refuse what they cannot do, at the caller's line", function()
    assert.are.equal("app.lua:4: the option N of scrypt is a power of 2\n" ..
      "app.lua:5: scrypt would need more than maxmem (32 MiB; at most 1 GiB): it takes 128 * N * r bytes\n",
      (run([[
try(function() local k = crypto.scrypt("a", "b", 32, { N = 1000 }) return k end)
try(function() local k = crypto.scrypt("a", "b", 32, { N = 2^20 }) return k end)
]]):gsub("[^\n]*(app.lua:)", "%1")))
    local out = run([[
try(crypto.scrypt, "a", "b", 0)
try(crypto.pbkdf2, "a", "b", 0, 32, "sha256")
try(crypto.pbkdf2, "a", "b", 1, 32, "none")
try(crypto.scrypt, "a", "b", 32, { N = -2 })
]])
    for _, text in ipairs { "a key has 1 to 65536 bytes", "iterations are a whole number from 1",
      "Invalid digest: none",
      "the option N of scrypt is a whole number from 1 on" } do
      assert.truthy(out:find(text, 1, true), text .. " is not in " .. out)
    end
  end)
end)

describe("crypto.hashPassword", function()
  it("makes another text each time, by which verifyPassword knows the password", function()
    assert.are.equal("true\ntrue\tfalse\tfalse\tfalse\n", run([[
local one, two = crypto.hashPassword("pässword"), crypto.hashPassword("pässword")
print(one ~= two and one:find("^%$scrypt%$ln=15,r=8,p=3%$[%w+/]+%$[%w+/]+$") ~= nil)
print(crypto.verifyPassword("pässword", one), crypto.verifyPassword("passwort", one), crypto.verifyPassword("", one),
  crypto.verifyPassword("pässword", nil))
]]))
  end)

  it("is read with other costs, as others write it", function()
    assert.are.equal("true\tfalse\n", run([[
local base64url = require("luaserve.core.cipher").base64url
local salt, hash = "c2FsdHNhbHQ", crypto.scrypt("secret", "saltsalt", 32, { N = 1024, r = 4, p = 2 })
local text = "$scrypt$ln=10,r=4,p=2$" .. salt .. "$" .. base64url(hash):gsub("-", "+"):gsub("_", "/")
print(crypto.verifyPassword("secret", text), crypto.verifyPassword("other", text))
]]))
  end)

  it("raises for what is no such text", function()
    local out = run([[
for _, bad in ipairs { "", "secret", "$scrypt$ln=15,r=8,p=3$abc", "$scrypt$ln=40,r=8,p=3$c2FsdHNhbHQ$" .. ("a"):rep(43),
  "$scrypt$ln=15,r=8,p=3$c2FsdHNhbHQ$" .. ("a"):rep(43) .. "$", "$2b$12$abcdefghijklmnopqrstuv" } do
  try(crypto.verifyPassword, "secret", bad)
end
]])
    local _, count = out:gsub("verifyPassword needs what hashPassword has returned", "")
    assert.are.equal(6, count)
  end)
end)

describe("crypto.seal", function()
  it("is opened with the same key and context alone, whole", function()
    assert.are.equal("33\ttext\ttrue\nnil\tnil\tnil\tnil\n0 of 33\n", run([[
local key = crypto.randomBytes(32)
local sealed = crypto.seal("hello", key, "for kim")
print(#sealed, crypto.open(sealed, key, "for kim") == "hello" and "text", crypto.open(crypto.seal("", key), key) == "")
print(crypto.open(sealed, key), crypto.open(sealed, crypto.randomBytes(32), "for kim"), crypto.open("", key),
  crypto.open(sealed:sub(1, -2), key, "for kim"))
local opened = 0
for i = 1, #sealed do
  local c = string.char((sealed:byte(i) + 1) % 256)
  if crypto.open(sealed:sub(1, i - 1) .. c .. sealed:sub(i + 1), key, "for kim") then opened = opened + 1 end
end
print(opened .. " of " .. #sealed)
]]))
  end)

  it("differs each time, and says what a key is", function()
    assert.are.equal("true\ntrue\n", run([[
local key = crypto.randomBytes(32)
print(crypto.seal("a", key) ~= crypto.seal("a", key))
print(select(2, pcall(crypto.seal, "a", "short")):find("the key has 32 bytes", 1, true) ~= nil)
]]))
  end)
end)
