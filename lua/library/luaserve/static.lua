---@meta luaserve.static

---@class luaserve.StaticOptions
---@field index string|string[]|false|nil "index.html"
---@field maxAge number? seconds
---@field immutable boolean?
---@field cacheControl string|false|nil
---@field etag boolean?
---@field lastModified boolean?
---@field acceptRanges boolean?
---@field precompressed boolean?
---@field dotfiles "ignore"|"deny"|"allow"|nil
---@field listing boolean?
---@field redirect boolean?
---@field fallthrough boolean?

--- Middleware that answers GET and HEAD with the files of a folder, which is counted from the script's folder.
---@param folder string
---@param options luaserve.StaticOptions?
---@return luaserve.Middleware
local function static(folder, options) end

return static
