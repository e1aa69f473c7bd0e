---@meta crypto

--- Hashes, random bytes, passwords, sealed texts.
---@class crypto
local crypto = {}

--#region lua/node/crypto.lua M=crypto.
---@alias crypto.Encoding "hex"|"base64"|"base64url"|"buffer" # "buffer" is the bytes themselves

---@class crypto.Hash a hash or an HMAC at work
---@field update fun(self: crypto.Hash, data: string): crypto.Hash adds data; raises behind `digest`
---@field digest fun(self: crypto.Hash, encoding: crypto.Encoding?): string ends it; bytes without an encoding

--- Begins a hash: `createHash("sha256"):update(data):digest("hex")`. Raises "Digest method not supported" where
--- OpenSSL has no such algorithm.
---@type fun(algorithm: string): crypto.Hash
crypto.createHash = nil

--- Begins an HMAC (RFC 2104). Raises "Invalid digest: NAME" where there is none with that algorithm.
---@type fun(algorithm: string, key: string): crypto.Hash
crypto.createHmac = nil

--- The hash of data in one call; "hex" without an encoding.
---@type fun(algorithm: string, data: string, encoding: crypto.Encoding?): string
crypto.hash = nil

--- The names of the algorithms, sorted.
---@type fun(): string[]
crypto.getHashes = nil

--- n bytes, 0 to 2^31 - 1, that nobody can guess.
---@type fun(n: integer): string
crypto.randomBytes = nil

--- A UUID of version 4 (RFC 9562), as "f81d4fae-7dec-4d0a-a765-00a0c91e6bf6".
---@type fun(): string
crypto.randomUUID = nil

--- Whether two strings of one length are equal, in a time that does not depend on their bytes: for signatures
--- and other secrets. Raises where the lengths differ.
---@type fun(a: string, b: string): boolean
crypto.timingSafeEqual = nil

--- A key of size bytes from a password (RFC 7914). Waits, or calls the callback with (err, key).
---@param password string
---@param salt string
---@param size integer bytes, 1 to 65536
---@param options {N: integer?, r: integer?, p: integer?, maxmem: integer?}|function|nil 16384, 8, 1, 32 MiB; also
--- under Node's names cost, blockSize, parallelization
---@param callback fun(err: any, key: string?)?
---@return string key
function crypto.scrypt(password, salt, size, options, callback) end

--- The same at once: it stops the server for as long as it takes.
---@param password string
---@param salt string
---@param size integer
---@param options table?
---@return string key
function crypto.scryptSync(password, salt, size, options) end

--- A key of size bytes from a password (RFC 8018). Waits, or calls the callback with (err, key).
---@param password string
---@param salt string
---@param iterations integer
---@param size integer bytes, 1 to 65536
---@param digest string "sha256", "sha512"...
---@param callback fun(err: any, key: string?)?
---@return string key
function crypto.pbkdf2(password, salt, iterations, size, digest, callback) end

--- The same at once: it stops the server for as long as it takes.
---@param password string
---@param salt string
---@param iterations integer
---@param size integer
---@param digest string
---@return string key
function crypto.pbkdf2Sync(password, salt, iterations, size, digest) end

--- What to keep of a password: a text with a salt of its own, another one each time. Waits, or calls the
--- callback with (err, text).
---@type fun(password: string, callback: function?): string
crypto.hashPassword = nil

--- Whether the password is that of a text of hashPassword. Without a text, since nobody has that name, it is not:
--- after the same time, so that nobody learns which names there are. Waits, or calls the callback with (err, boolean).
---@type fun(password: string, hash: string?, callback: function?): boolean
crypto.verifyPassword = nil

--- The text encrypted and signed (AES-256-GCM, with a random nonce), for `open` with the same key of 32 bytes, and
--- the same context, which says what the text is for ("cookie of kim").
---@type fun(text: string, key: string, context: string?): string
crypto.seal = nil

--- What was sealed; nil where a bit of it, the key or the context is another one.
---@type fun(sealed: string, key: string, context: string?): string?
crypto.open = nil
--#endregion

return crypto
