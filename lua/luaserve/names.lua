--- The keys of a table in the order of the alphabet: what people read is the same each time.
local M = {}

---@param map table<string, any>
---@return string[]
function M.sorted(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return M
