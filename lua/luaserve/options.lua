--- The options of luaserve's own functions: what they may be is said once, and a
--- wrong one is an error that names those there are.
local core = require "luaserve.core"
local names = require "luaserve.names"

local M = {}

local LONGEST = 1e7 -- seconds: four months

local function is_of(value, types)
  if types == "any" then return true end
  local kind = type(value)
  if kind == "table" and not types:find("table", 1, true) then
    local meta = getmetatable(value)
    return types:find("function", 1, true) and type(meta) == "table" and meta.__call ~= nil
  end
  for name in types:gmatch("%a+") do
    if name == kind then return value == value end -- NaN is no number to go by
    if name == "seconds" and kind == "number" and value > 0 and value <= LONGEST then return true end
    if name == "integer" and kind == "number" and value % 1 == 0 and value >= 0 then return true end
  end
  return false
end

local function described(types)
  return (types:gsub(" ", " or a "):gsub("integer", "whole number"):gsub("seconds", "number of seconds over 0"))
end

--- Checks a table of options against those known, by name their types ("string
--- table"), or "any"; "integer" is a whole number from 0 on, "seconds" a time. Raises where the script called.
---@param what string the function, for messages
---@param options table? nil is an empty one
---@param known table<string, string>
---@return table options
function M.check(what, options, known)
  if options == nil then return {} end
  if type(options) ~= "table" then
    core.raise(("the options of %s are a table, not a %s"):format(what, type(options)))
  end
  for name, value in pairs(options) do
    local types = known[name]
    if not types then
      core.raise(("%s has no option '%s'; there are: %s"):format(what, tostring(name),
        table.concat(names.sorted(known), ", ")))
    end
    if not is_of(value, types) then
      core.raise(("the option %s of %s is a %s, not %s"):format(name, what, described(types),
        type(value) == "number" and tostring(value) or "a " .. type(value)))
    end
  end
  return options
end

--- What an option `store` means: where it is a client (redis.connect, sqlite.open), what
--- keeps things with it.
---@param store any
---@return any
function M.store(store)
  local meta = getmetatable(store)
  return type(meta) == "table" and meta.__store and meta.__store(store) or store
end

return M
