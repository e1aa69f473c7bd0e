---@meta luaserve.health

--- What app:health serves.
---@class luaserve.health
local health = {}

--#region lua/luaserve/health.lua M=health.
--- A handler that answers 200 with {"status": "ok"}; 503 with "draining" once this process has begun to stop, or
--- "failing" where a check raises, or returns false, or nil and a message. Each result of checks is in the answer.
---@param checks table<string, function>? by name; they may wait
---@return luaserve.Handler
function health.handler(checks) end
--#endregion

return health
