---@meta luaserve.helmet

---@class luaserve.HelmetOptions
---@field hsts {maxAge: integer?, includeSubDomains: boolean?, preload: boolean?}|boolean|nil over TLS alone
---@field noSniff boolean?
---@field frameAncestors string|string[]|false|nil "none", "self", or a list with origins
---@field referrerPolicy string|false|nil
---@field openerPolicy string|false|nil
---@field resourcePolicy string|false|nil
---@field permissions table<string, string[]>|false|nil
---@field csp table<string, string[]>|boolean|nil true, or directives with their sources
---@field cspReportOnly boolean?

--- Middleware that sets headers by which browsers are careful; false leaves one out.
---@class luaserve.helmet
---@overload fun(options: luaserve.HelmetOptions?): luaserve.Middleware
local helmet = {}

--#region lua/luaserve/helmet.lua M=helmet. not=middleware
--- The nonce of the request, which its content security policy names: for
--- `<script nonce="...">`. Nil where no policy has one.
---@param req IncomingMessage
---@return string?
function helmet.nonce(req) end
--#endregion

return helmet
