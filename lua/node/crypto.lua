--- Node's `crypto`: hashes, HMAC and random bytes. Data and keys are Lua strings, and so are bytes; what is
--- unknown or of the wrong kind raises. Everything is quick enough to be done at once, on the loop; the work
--- is in C (src/script/l_crypto.c), by OpenSSL.

local native = require "luaserve.core.crypto"

local M = {}

---@alias crypto.Encoding "hex"|"base64"|"base64url"|"buffer" "buffer" is the bytes themselves

---@class crypto.Hash a hash or an HMAC at work
---@field update fun(self: crypto.Hash, data: string): crypto.Hash adds data; raises behind `digest`
---@field digest fun(self: crypto.Hash, encoding: crypto.Encoding?): string ends it; bytes without an encoding

--- Begins a hash: `createHash("sha256"):update(data):digest("hex")`. Raises "Digest method not supported" where
--- OpenSSL has no such algorithm.
---@type fun(algorithm: string): crypto.Hash
M.createHash = native.createHash

--- Begins an HMAC (RFC 2104). Raises "Invalid digest: NAME" where there is none with that algorithm.
---@type fun(algorithm: string, key: string): crypto.Hash
M.createHmac = native.createHmac

--- The hash of data in one call; "hex" without an encoding.
---@type fun(algorithm: string, data: string, encoding: crypto.Encoding?): string
M.hash = native.hash

--- The names of the algorithms, sorted.
---@type fun(): string[]
M.getHashes = native.getHashes

--- n bytes, 0 to 2^31 - 1, that nobody can guess.
---@type fun(n: integer): string
M.randomBytes = native.randomBytes

--- A UUID of version 4 (RFC 9562), as "f81d4fae-7dec-4d0a-a765-00a0c91e6bf6".
---@type fun(): string
M.randomUUID = native.randomUUID

--- Whether two strings of one length are equal, in a time that does not depend on their bytes: for signatures
--- and other secrets. Raises where the lengths differ.
---@type fun(a: string, b: string): boolean
M.timingSafeEqual = native.timingSafeEqual

return M
