--- The ports that a script names where it listens: a script that does not even compile cannot be asked.
local M = {}

--- The literal ports of its calls of listen, as {8081, ...}; none where there is no such file.
---@param script string a path
---@return integer[]
function M.of(script)
  local file = script:sub(1, 1) == "/" and io.open(script, "rb")
  if not file then return {} end
  local list, seen = {}, {}
  for line in file:lines() do
    local code = line:gsub("%-%-.*$", "")
    local port = tonumber(code:match("[:.]listen%s*%(%s*(%d+)") or code:match("[:.]listen%s*[({]+.-port%s*=%s*(%d+)"))
    if port and port > 0 and port < 65536 and not seen[port] then
      seen[port] = true
      list[#list + 1] = math.floor(port)
    end
  end
  file:close()
  return list
end

return M
