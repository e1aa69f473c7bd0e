---@meta luaserve.cors

---@class luaserve.CorsOptions
---@field origin string|string[]|(fun(origin: string, req: IncomingMessage): boolean)|nil "*", an origin, a Lua pattern "^...$", a list
---@field credentials boolean? whether cookies may come along; needs origins that are named
---@field methods string[]?
---@field headers string[]? those that a request may have
---@field exposed string[]? those that the page may read, too
---@field maxAge integer? seconds for which a browser keeps the preflight's answer
---@field privateNetwork boolean?

--- Middleware that lets pages of other origins read the answers of what is defined after it, and answers their preflights.
---@param options luaserve.CorsOptions?
---@return luaserve.Middleware
local function cors(options) end

return cors
