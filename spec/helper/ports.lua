--- Ports for programs that cannot be told to choose one themselves.
local socket = require("socket")

local M = {}

--- A port of 127.0.0.1 that nobody listens on now.
---@return integer
function M.free()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

return M
