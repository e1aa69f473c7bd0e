---@meta luaserve.timeout

--- Middleware: where what is defined after it has not begun to answer within that time, a 503 is raised.
---@param seconds number
---@return luaserve.Middleware
local function timeout(seconds) end

return timeout
