--- The settings of apps that luaserve itself reads: what they may be.
local core = require "luaserve.core"

local M = {}

local checks = {}

checks["etag"] = function(value)
  local kind = type(value)
  if value ~= nil and kind ~= "boolean" and kind ~= "function" and value ~= "weak" and value ~= "strong" then
    return '"weak", "strong", true, false or a function of the body'
  end
  require("luaserve.outgoing").tagging = true
end

checks["json spaces"] = function(value)
  local kind = type(value)
  if value ~= nil and kind ~= "string" and not (kind == "number" and value % 1 == 0 and value >= 0) then
    return "a number of spaces, or a string"
  end
  require("luaserve.outgoing").tagging = true
end

checks["views"] = function(value)
  if value ~= nil and (type(value) ~= "string" or value == "") then return "the path of a folder" end
end

checks["secret"] = function(value)
  local list = type(value) == "table" and value or { value }
  for i = 1, math.max(#list, 1) do
    if value ~= nil and (type(list[i]) ~= "string" or list[i] == "") then
      return "a string, or a list of strings whose first one signs"
    end
  end
end

--- Checks a setting; the value to keep. Raises where the script called.
---@param name string
---@param value any
---@return any
function M.check(name, value)
  if name == "trust proxy" then return require("luaserve.proxy").compile(value) end
  local wrong = checks[name] and checks[name](value)
  if wrong then core.raise(("the setting %q is %s, not %s"):format(name, wrong, tostring(value))) end
  return value
end

return M
