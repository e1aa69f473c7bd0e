--- Hides secrets in the body of a request by their names, and changes nothing else in it: what cannot be parsed may be
--- what a request failed for.
local json = require "json"
local mask = require "luaserve.mask"

local M = {}

-- ---- JSON

--- Where the string that begins at that byte ends; the end of the text where it has none.
local function string_end(text, at)
  local from = at + 1
  while true do
    local stop = text:find('["\\]', from)
    if not stop then return #text end
    if text:byte(stop) == 34 then return stop end
    from = stop + 2
  end
end

--- Where the value that begins at that byte ends, whatever it is.
local function value_end(text, at)
  local first = text:sub(at, at)
  if first == '"' then return string_end(text, at) end
  if first ~= "{" and first ~= "[" then return (text:find("[,%]}%s]", at) or #text + 1) - 1 end
  local depth, from = 0, at
  while true do
    local stop, _, sign = text:find('(["%[%]{}])', from)
    if not stop then return #text end
    from = stop + 1
    if sign == '"' then
      from = string_end(text, stop) + 1
    else
      depth = depth + ((sign == "{" or sign == "[") and 1 or -1)
      if depth == 0 then return stop end
    end
  end
end

local function key_of(text, from, to)
  local ok, key = pcall(json.decode, text:sub(from, to))
  return ok and type(key) == "string" and key or text:sub(from + 1, to - 1)
end

local function mask_json(text, tell)
  local out, from = {}, 1
  local at = text:find('"', 1, true)
  while at do
    local stop = string_end(text, at)
    local value = text:match("^%s*:%s*()", stop + 1)
    local name = value and key_of(text, at, stop)
    if name and value <= #text and mask.is_secret(name) then
      tell(name)
      stop = math.max(value_end(text, value), value)
      out[#out + 1] = text:sub(from, value - 1) .. '"' .. mask.TEXT .. '"'
      from = stop + 1
    end
    at = text:find('"', stop + 1, true)
  end
  return table.concat(out) .. text:sub(from)
end

-- ---- forms

local function decoded(name)
  return (name:gsub("+", " "):gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- A query or a form: pairs with "&" or ";" between them.
---@param text string
---@param tell fun(name: string)
---@return string
function M.pairs(text, tell)
  return (text:gsub("([^&;=]+)=([^&;]*)", function(name, value)
    if value == "" or not mask.is_secret(decoded(name)) then return nil end
    tell(decoded(name))
    return name .. "=" .. mask.TEXT
  end))
end

--- The parts of a multipart body whose names are secret lose their content.
local function mask_parts(text, boundary, tell)
  local mark, out, from = "--" .. boundary, {}, 1
  while true do
    local _, start = text:find(mark, from, true)
    if not start then break end
    local stop = (text:find("\r\n" .. mark, start + 1, true) or #text + 1) - 1
    local _, head = text:find("\r\n\r\n", start, true)
    local name = head and head <= stop + 4 and text:sub(start, head):match('[;%s]name="?([^";\r\n]*)')
    out[#out + 1] = text:sub(from, start)
    if name and mask.is_secret(name) then
      tell(name)
      out[#out + 1] = text:sub(start + 1, head) .. mask.TEXT
    else
      out[#out + 1] = text:sub(start + 1, stop)
    end
    from = stop + 1
  end
  return table.concat(out) .. text:sub(from)
end

-- ---- any

--- A body without its secrets.
---@param body string
---@param kind string the Content-Type, or ""
---@param tell fun(name: string) is called for each that was hidden
---@return string
function M.hide(body, kind, tell)
  local name = kind:lower():match("^%s*([^;%s]+)") or ""
  if name == "multipart/form-data" then
    local boundary = kind:match('[Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]="?([^";%s]+)')
    return boundary and mask_parts(body, boundary, tell) or body
  end
  if name:find("json", 1, true) or body:find("^%s*[{%[]") then return mask_json(body, tell) end
  if name == "application/x-www-form-urlencoded" or name == "" or name == "text/plain" then
    return body:find("^[%w%%+._~%[%]-]+=") and M.pairs(body, tell) or body
  end
  return body
end

return M
