---@meta luaserve.compress

---@class luaserve.CompressOptions
---@field threshold integer? bytes: smaller bodies are left alone (1024)
---@field codings string[]? those allowed, the best one first ({"zstd", "br", "gzip"})
---@field level integer?
---@field types string[]? media types besides the usual ones

--- Middleware that codes the answers of what is defined after it with gzip, brotli or zstd.
---@param options luaserve.CompressOptions?
---@return luaserve.Middleware
local function compress(options) end

return compress
