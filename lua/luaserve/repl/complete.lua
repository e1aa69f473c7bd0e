--- Completion: the names that may follow what was typed. Nothing of the script's is called, so that looking for
--- names has no effects.
local core = require "luaserve.core"

local M = {}

local LIMIT = 400 -- names
local DEPTH = 8 -- metatables that are followed
local LOOKED_AT = 20000 -- fields of one table

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch("%a+") do
  KEYWORDS[#KEYWORDS + 1] = word
end

local function index_of(value)
  local meta = type(value) == "string" and { __index = string } or debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__index") or nil
end

--- value[name] without a call: nil where only a call would tell.
local function get(value, name)
  for _ = 1, DEPTH do
    local found
    if type(value) == "table" then found = rawget(value, name) end
    if found ~= nil then return found end
    value = index_of(value)
    if type(value) ~= "table" then return nil end
  end
end

--- Calls fn(name, value) for the names in value and in what it inherits from.
local function each(value, fn)
  for _ = 1, DEPTH do
    if type(value) == "table" then
      local left = LOOKED_AT
      for name, field in next, value do
        left = left - 1
        if left == 0 then break end
        if type(name) == "string" and name:find("^[%a_][%w_]*$") then fn(name, field) end
      end
    end
    value = index_of(value)
    if type(value) ~= "table" then return end
  end
end

local function collector(prefix)
  local seen, list = {}, {}
  return list, function(name)
    if seen[name] or name:sub(1, #prefix) ~= prefix or #list >= LIMIT then return end
    if prefix == "" and name:sub(1, 1) == "_" then return end -- what is private comes when it is asked for
    seen[name] = true
    list[#list + 1] = name
  end
end

local function modules(prefix)
  local list, add = collector(prefix)
  for _, name in ipairs(core.modules()) do
    if not name:find("^luaserve%.core") and not name:find("^luaserve%.command%.") then add(name) end
  end
  for name in pairs(package.loaded) do
    if type(name) == "string" and not name:find("^luaserve%.core") then add(name) end
  end
  return list
end

local function names(session, prefix)
  local list, add = collector(prefix)
  for name in pairs(session.own) do
    if session.values[name] ~= nil then add(name) end
  end
  each(_G, add)
  if prefix ~= "" then
    for _, word in ipairs(KEYWORDS) do add(word) end
  end
  return list
end

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = type(value) == "table" and debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- What the path a.b:c in front of the last name means.
local function resolve(session, path)
  local value
  for name in path:gmatch("[%a_][%w_]*") do
    if value == nil then
      if session.own[name] then value = session.values[name] else value = rawget(_G, name) end
    else
      value = get(value, name)
    end
    if value == nil then return nil end
  end
  return value
end

--- The names that complete what text ends with.
---@param session repl.Session
---@param text string
---@return integer from, string[] list
function M.find(session, text)
  local list
  local from, module = text:match("require%s*%(?%s*[\"']()([%w_.%-]*)$")
  if from then
    list = modules(module)
  else
    local path, mark, at, last = text:match("([%a_][%w_.:]*)([.:])()([%w_]*)$")
    if path then
      from = at
      local add
      list, add = collector(last)
      each(resolve(session, path), function(name, field)
        if mark == "." or is_callable(field) then add(name) end
      end)
    else
      from, last = text:match("()([%a_][%w_]*)$")
      if not from then from, last = #text + 1, "" end
      if last == "" and text:find("[.:]$") then return from, {} end
      list = names(session, last)
    end
  end
  table.sort(list)
  return from, list
end

return M
