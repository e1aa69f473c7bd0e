---@meta luaserve.logger

---@class luaserve.LogEntry
---@field time number seconds since 1970
---@field remote string?
---@field user string?
---@field method string
---@field url string
---@field httpVersion string
---@field status integer? nil where nothing was answered
---@field bytes integer of the body
---@field duration number seconds
---@field referer string?
---@field userAgent string?
---@field id string?

---@class luaserve.LoggerOptions
---@field format nil|"dev"|"common"|"combined"|"json"|fun(entry: luaserve.LogEntry, req: IncomingMessage, res: ServerResponse): string?
---@field file string? where lines are added; else the log
---@field skip (fun(req: IncomingMessage, res: ServerResponse): boolean?)?

--- Middleware that writes a line for each request when it is over.
---@param options luaserve.LoggerOptions|string|nil
---@return luaserve.Middleware
local function logger(options) end

return logger
