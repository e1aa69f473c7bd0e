---@meta luaserve.session

---@class luaserve.SessionOptions
---@field secret string|string[]|nil the app's unless given; the first one signs
---@field store "shared"|"cookie"|Redis|Database|table|nil
---@field onError "503"|"without"|nil where such a store cannot be asked ("503")
---@field ttl number? seconds (a day)
---@field rolling boolean? true
---@field name string? of the cookie
---@field cookie luaserve.CookieOptions?

--- Middleware that gives requests a req.session: the same table with each request of a visitor.
---@class luaserve.session
---@overload fun(options: luaserve.SessionOptions?): luaserve.Middleware
local session = {}

---@class luaserve.Session
---@field [string] any strings, numbers, booleans and tables of these

--#region lua/luaserve/session.lua Session=Session: not=of,middleware
---@class luaserve.Session: table the data; and from its metatable:
---@field id string
local Session = {}

--- Gives the session another id, and keeps what is in it: for when somebody logs in
--- (or out), so that an id that another knows is worth nothing.
---@return self
function Session:regenerate() end

--- Empties the session, and forgets it: its id means nothing any more.
---@return self
function Session:destroy() end

--- Has the session live for so many seconds after its last use, in a cookie that outlives the
--- browser, whatever the options say: for those who want to stay logged in. Without seconds it is
--- as the options say again.
---@param seconds number? up to 400 days
---@return self
function Session:remember(seconds) end

--- Stores what has changed now, and not when the answer begins: for an answer that
--- takes long. Its first store needs the cookie, and so an answer that has not begun.
---@return self? session nil, message where the request goes on without a session
---@return string? message
function Session:save() end
--#endregion

return session
