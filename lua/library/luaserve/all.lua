---@meta luaserve.all

--- Runs functions at the same time and waits for all of them.
---@param tasks table<any, fun(): any>
---@return table results by the same keys
---@return table? errors by key, of those that returned nil and a message; nil where there are none
local function all(tasks) end

return all
