--- Addresses of named routes: a route's segments with values in the places of its
--- parameters.
local core = require "luaserve.core"
local querystring = require "querystring"

local M = {}

--- Escapes what is not allowed in a segment (RFC 3986 3.3).
local function escape(text)
  return (text:gsub("[^%w%-._~!$&'()*+,;=:@]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function value_of(params, name, what)
  local value = params[name]
  if type(value) == "number" and value % 1 == 0 then value = ("%d"):format(value) end
  value = tostring(value)
  if value == "" then core.raise(("%s: the parameter '%s' is empty"):format(what, name)) end
  if value == "." or value == ".." then
    core.raise(("%s: the parameter '%s' is '%s', which is never part of a path"):format(what, name, value))
  end
  return value
end

local function segment_text(segment, params, what)
  if segment.kind == "static" then return escape(segment.text) end
  if segment.kind == "rest" then
    local pieces = {}
    for piece in tostring(params[segment.names[1]]):gmatch("[^/]+") do
      pieces[#pieces + 1] = escape(value_of({ piece }, 1, what))
    end
    return table.concat(pieces, "/")
  end
  local text = ""
  for _, part in ipairs(segment.parts) do
    local value = part.text or value_of(params, part.name, what)
    if part.check and not value:find(part.check) then
      core.raise(("%s: the parameter '%s' is '%s', which its pattern does not match"):format(what, part.name, value))
    end
    text = text .. escape(value)
  end
  return text
end

local function missing(list, params)
  for _, segment in ipairs(list) do
    for _, name in ipairs(segment.names) do
      if params[name] == nil then return name end
    end
  end
end

--- The path of a route: of its lists the first one, which is the longest, for which all
--- params are there.
---@param layer table
---@param prefixes Segment[][]
---@param params table?
---@param query table|string|nil
---@return string
function M.of(layer, prefixes, params, query)
  local what = ("the address of '%s'"):format(layer.name)
  if params ~= nil and type(params) ~= "table" then core.raise(what .. " needs a table of params") end
  params = params or {}
  local chosen, lacking
  for _, list in ipairs(layer.lists) do
    local name = missing(list, params)
    if not name then
      chosen = list
      break
    end
    lacking = name
  end
  if not chosen then core.raise(("%s needs the parameter '%s'"):format(what, lacking)) end
  local texts = {}
  for _, list in ipairs(prefixes) do
    local name = missing(list, params)
    if name then core.raise(("%s needs the parameter '%s'"):format(what, name)) end
    for _, segment in ipairs(list) do texts[#texts + 1] = segment_text(segment, params, what) end
  end
  for _, segment in ipairs(chosen) do texts[#texts + 1] = segment_text(segment, params, what) end
  local path = "/" .. table.concat(texts, "/")
  if type(query) == "table" then query = querystring.stringify(query) end
  return query and query ~= "" and path .. "?" .. query or path
end

return M
