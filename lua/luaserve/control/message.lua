--- What is said at the control socket: a line of JSON that says what it is, and behind it bytes as they are, so
--- that no text has to be UTF-8.
local json = require "json"

local M = {}

--- Bytes of a text that fit into a message for sure.
M.TEXT_MAX = 1024 * 1000

---@param head table
---@param text string?
---@return string
function M.encode(head, text)
  return json.encode(head) .. "\n" .. (text or "")
end

--- Takes a message apart; nil where it is none.
---@param bytes string
---@return table? head, string? text
function M.decode(bytes)
  local line, text = bytes:match("^([^\n]*)\n(.*)$")
  local ok, head = pcall(json.decode, line or "")
  if not line or not ok or type(head) ~= "table" then return nil end
  return head, text
end

return M
