---@meta luaserve.basicAuth

---@class luaserve.BasicAuthOptions
---@field users table<string, string>? passwords by name
---@field check (fun(name: string, password: string, req: IncomingMessage): boolean?)? instead; it may wait
---@field realm string? what the browser shows

--- Middleware that answers 401 unless a request has a name and a password; req.user is the name then.
---@param options luaserve.BasicAuthOptions
---@return luaserve.Middleware
local function basicAuth(options) end

return basicAuth
