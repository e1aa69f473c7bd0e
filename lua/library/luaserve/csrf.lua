---@meta luaserve.csrf

---@class luaserve.CsrfOptions
---@field secret string|string[]|nil the app's unless given; the first one signs
---@field origins string[]? others whose pages may send requests
---@field bind (fun(req: IncomingMessage): string?)? what a token belongs to
---@field cookie string? "csrf"
---@field field string? "_csrf"
---@field header string? "x-csrf-token"

--- Middleware that refuses, with 403, requests that another site has a browser send.
---@class luaserve.csrf
---@overload fun(options: luaserve.CsrfOptions?): luaserve.Middleware
local csrf = {}

--#region lua/luaserve/csrf.lua M=csrf. not=middleware
--- A token for a form of the page that answers req, another one each time.
---@param req IncomingMessage
---@return string
function csrf.token(req) end

--- The same as a hidden field, ready to stand in a form.
---@param req IncomingMessage
---@return string html
function csrf.field(req) end
--#endregion

return csrf
