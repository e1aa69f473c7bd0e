-- crypto: hashes, HMAC, random bytes.
local vectors = require("crypto_vectors")

-- The bytes that hex digits write.
local function unhex(text)
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- Feeds data in pieces of n bytes.
local function in_pieces(hash, data, n)
  for i = 1, #data, n do hash:update(data:sub(i, i + n - 1)) end
  return hash
end

local function hashes(crypto, t)
  for _, case in ipairs(vectors.hashes) do
    local algorithm, data, expected = case[1], case[2], case[3]
    local name = algorithm .. " of " .. #data
    t:equal(name, crypto.createHash(algorithm):update(data):digest("hex"), expected)
    t:equal(name .. " at once", crypto.hash(algorithm, data), expected)
    t:equal(name .. ", upper case", crypto.createHash(algorithm:upper()):update(data):digest("hex"), expected)
    if #data < 1000 then
      t:equal(name .. " byte by byte", in_pieces(crypto.createHash(algorithm), data, 1):digest("hex"), expected)
    else
      t:equal(name .. " in pieces", in_pieces(crypto.createHash(algorithm), data, 999):digest("hex"), expected)
    end
  end
  t:equal("without update", crypto.createHash("md5"):digest("hex"), "d41d8cd98f00b204e9800998ecf8427e")
  t:equal("a signature's name", crypto.hash("RSA-SHA256", "abc"), crypto.hash("sha256", "abc"))
end

local function hmacs(crypto, t)
  for i, case in ipairs(vectors.hmacs) do
    local algorithm, key, data, expected = case[1], case[2], case[3], case[4]
    local name = i .. ", " .. algorithm
    t:equal(name, crypto.createHmac(algorithm, key):update(data):digest("hex"), expected)
    t:equal(name .. " again", crypto.createHmac(algorithm, key):update(data):digest("hex"), expected)
    t:equal(name .. " byte by byte", in_pieces(crypto.createHmac(algorithm, key), data, 1):digest("hex"), expected)
  end
  -- RFC 4231 4.6 gives the first 128 bits.
  local short = crypto.createHmac("sha256", ("\x0c"):rep(20)):update("Test With Truncation"):digest("hex")
  t:equal("truncated", short:sub(1, 32), "a3b6167473100ee06e0c796c2955552b")
  t:equal("with zeros", #crypto.createHmac("sha512", "\0\0"):update("\0"):digest(), 64)
end

-- Contexts are used again: hashes at work at the same time must not meet.
local function together(crypto, t)
  local open = {}
  for i, case in ipairs(vectors.hashes) do open[i] = crypto.createHash(case[1]):update(case[2]:sub(1, 3)) end
  for i, case in ipairs(vectors.hashes) do
    t:equal(i .. " in between", crypto.hash(case[1], case[2]), case[3])
    open[i]:update(case[2]:sub(4))
  end
  for i, case in ipairs(vectors.hashes) do t:equal(i .. " of many", open[i]:digest("hex"), case[3]) end
  open = {}
  for i, case in ipairs(vectors.hmacs) do open[i] = crypto.createHmac(case[1], case[2]) end
  for i, case in ipairs(vectors.hmacs) do open[i]:update(case[3]) end
  for i = #vectors.hmacs, 1, -1 do t:equal(i .. " of many HMACs", open[i]:digest("hex"), vectors.hmacs[i][4]) end
  for _ = 1, 300 do crypto.createHash("sha256"):update("dropped") end
  for _ = 1, 300 do crypto.createHmac("sha256", "key"):update("dropped") end
  collectgarbage()
  collectgarbage()
  t:equal("after dropped ones", crypto.hash("sha256", "abc"), crypto.createHash("sha256"):update("abc"):digest("hex"))
end

local function encodings(crypto, t)
  local hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  local function digest(...) return crypto.createHash("sha256"):update("abc"):digest(...) end
  t:equal("hex", digest("hex"), hex)
  t:equal("base64", digest("base64"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
  t:equal("base64url", digest("base64url"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
  t:equal("none", digest(), unhex(hex))
  t:equal("nil", digest(nil), unhex(hex))
  t:equal("buffer", digest("buffer"), unhex(hex))
  t:equal("hash: hex", crypto.hash("sha256", "abc", "hex"), hex)
  t:equal("hash: base64", crypto.hash("sha256", "abc", "base64"), digest("base64"))
  t:equal("hash: base64url", crypto.hash("sha256", "abc", "base64url"), digest("base64url"))
  t:equal("hash: buffer", crypto.hash("sha256", "abc", "buffer"), unhex(hex))
  t:equal("the longest", #crypto.hash("sha512", "abc", "base64"), 88)
  t:equal("padding, 20 bytes", crypto.hash("sha1", "abc", "base64"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")
  t:equal("padding, 16 bytes", crypto.hash("md5", "abc", "base64"), "kAFQmDzST7DWlj99KOF/cg==")
  t:raises("unknown", "invalid option 'rot13'", digest, "rot13")
  t:raises("hash: unknown", "invalid option 'rot13'", crypto.hash, "sha256", "abc", "rot13")
end

local function mistakes(crypto, t)
  for _, name in ipairs({ "", "nope", "sha257", "null", "sha256 ", "md5;" }) do
    t:raises("createHash " .. name, "Digest method not supported", crypto.createHash, name)
    t:raises("hash " .. name, "Digest method not supported", crypto.hash, name, "x")
    t:raises("createHmac " .. name, "Invalid digest: " .. name, crypto.createHmac, name, "key")
  end
  t:raises("an HMAC of SHAKE", "Invalid digest: shake128", crypto.createHmac, "shake128", "key")
  t:raises("an HMAC of SHAKE, again", "Invalid digest: shake128", crypto.createHmac, "shake128", "key")
  for _, hash in ipairs({ crypto.createHash("sha256"), crypto.createHmac("sha256", "key") }) do
    hash:digest()
    t:raises("digest twice", "Digest already called", hash.digest, hash)
    t:raises("update behind digest", "Digest already called", hash.update, hash, "x")
  end
  local hash = crypto.createHash("sha256")
  t:raises("update without data", "string expected", hash.update, hash)
  t:raises("update of a table", "string expected", hash.update, hash, {})
  t:raises("a bad encoding", "invalid option", hash.digest, hash, "x")
  t:equal("changes nothing", hash:digest("hex"), crypto.hash("sha256", ""))
  t:raises("createHash without name", "string expected", crypto.createHash)
  t:raises("createHmac without key", "string expected", crypto.createHmac, "sha256")
  t:raises("hash without data", "string expected", crypto.hash, "sha256")
  t:raises("not a hash", "crypto.hash expected", crypto.createHash("md5").update, io.stdout, "x")
  local _, err = pcall(function()
    local made = crypto.createHash("nope")
    return made
  end)
  t:check("says where in the script", err:find("^.+:%d+: Digest method not supported$"), err)
end

local function list(crypto, t)
  local names, seen = crypto.getHashes(), {}
  for i, name in ipairs(names) do
    seen[name] = true
    t:check(name .. " works", #crypto.hash(name, "", "buffer") > 0)
    t:check(name .. " is in order", i == 1 or names[i - 1] < name)
  end
  for _, name in ipairs({ "sha1", "sha256", "sha512", "sha3-256" }) do t:check(name .. " is there", seen[name]) end
end

local function random(crypto, t)
  for _, n in ipairs({ 0, 1, 16, 255, 256, 257, 65536 }) do t:equal(n .. " bytes", #crypto.randomBytes(n), n) end
  local counts = {}
  for byte in crypto.randomBytes(100000):gmatch(".") do counts[byte] = (counts[byte] or 0) + 1 end
  for byte = 0, 255 do
    local count = counts[string.char(byte)] or 0
    -- Nine standard deviations: once in 10^18 runs.
    t:check("byte " .. byte, count > 210 and count < 570, count)
  end
  t:check("never twice", crypto.randomBytes(16) ~= crypto.randomBytes(16))
  for _, n in ipairs({ -1, 2 ^ 31, 2 ^ 40 }) do t:raises(n .. " bytes", "not within", crypto.randomBytes, n) end
  t:raises("no count", "number expected", crypto.randomBytes)
  t:raises("a word", "number expected", crypto.randomBytes, "many")
end

local function uuids(crypto, t)
  local seen = {}
  for i = 1, 1000 do
    local uuid = crypto.randomUUID()
    local fits = uuid:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$")
    t:check(i .. " has the form", fits and #uuid == 36 and uuid == uuid:lower(), uuid)
    t:check(i .. " is new", not seen[uuid])
    seen[uuid] = true
  end
end

local function equality(crypto, t)
  t:equal("equal", crypto.timingSafeEqual("abc", "abc"), true)
  t:equal("empty", crypto.timingSafeEqual("", ""), true)
  t:equal("zeros", crypto.timingSafeEqual("a\0b", "a\0c"), false)
  local s = ("x"):rep(40)
  for i = 1, #s do t:equal("byte " .. i, crypto.timingSafeEqual(s, s:sub(1, i - 1) .. "y" .. s:sub(i + 1)), false) end
  t:raises("lengths", "Input buffers must have the same byte length", crypto.timingSafeEqual, "a", "ab")
  t:raises("one argument", "string expected", crypto.timingSafeEqual, "a")
end

return {
  { "hashes as published", hashes },
  { "computes HMACs as published", hmacs },
  { "keeps hashes apart that are at work together", together },
  { "writes digests in every encoding", encodings },
  { "raises for unknown algorithms, and behind a digest", mistakes },
  { "lists the hashes there are", list },
  { "makes random bytes", random },
  { "makes random UUIDs of version 4", uuids },
  { "compares strings of one length", equality },
}
