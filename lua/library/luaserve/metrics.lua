---@meta luaserve.metrics

--- A handler that answers with measures in Prometheus's text format; requests are counted from the call on.
---@return luaserve.Handler
local function metrics() end

return metrics
