---@meta luaserve.requestId

---@class luaserve.RequestIdOptions
---@field accept boolean? whether an id and a traceparent that come with the request are taken over
---@field header string? "X-Request-Id"
---@field trace boolean? true

--- Middleware that gives each request an id, req.id, which the answer has in X-Request-Id, and a trace context.
---@param options luaserve.RequestIdOptions?
---@return luaserve.Middleware
local function requestId(options) end

return requestId
