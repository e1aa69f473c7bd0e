--- A value as a short text for people who look for an error. Bounded in depth and length, and nothing of the value
--- is called: a __tostring or __pairs may be what has failed.
local mask = require "luaserve.mask"

local M = {}

local DEPTH, ENTRIES, LENGTH, TOTAL = 2, 12, 200, 1000

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escape(c)
  return ESCAPES[c] or ("\\%03d"):format(c:byte())
end

local floor = math.floor

--- s, cut at a limit that splits no character of UTF-8.
local function cut(s, most)
  if #s <= most then return s, "" end
  local last = most
  while last > 1 and (s:byte(last + 1) or 0) >= 0x80 and (s:byte(last + 1) or 0) < 0xC0 do last = last - 1 end
  return s:sub(1, last), ("... %d more bytes"):format(#s - last)
end

local function quoted(s)
  local shown, more = cut(s, LENGTH)
  return '"' .. shown:gsub('[%c\\"]', escape) .. '"' .. more
end

local function kind_of(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and cut(name, 40) or nil
end

local function number_text(value)
  return floor(value) == value and math.abs(value) < 2 ^ 53 and ("%.0f"):format(value) or tostring(value)
end

local function function_text(value)
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return "function (C)" end
  return ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

local text

local function key_text(key, state)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return "[" .. text(key, state) .. "]"
end

local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then return ta < tb end
  if ta == "number" or ta == "string" then return a < b end
  return false
end

local function entries_of(t, state)
  local keys, parts, n, seen = {}, {}, 0, 0
  while rawget(t, n + 1) ~= nil and n < ENTRIES do
    n = n + 1
    parts[n] = text(rawget(t, n), state)
  end
  for key in next, t do
    local in_array = type(key) == "number" and key >= 1 and key <= n and floor(key) == key
    if not in_array then keys[#keys + 1] = key end
    seen = seen + 1
    if seen > 1000 then break end -- of a great many, some
  end
  table.sort(keys, before)
  for i = 1, math.min(#keys, ENTRIES - n) do
    local key = keys[i]
    local value = mask.is_secret(key) and mask.TEXT or text(rawget(t, key), state)
    parts[#parts + 1] = key_text(key, state) .. " = " .. value
  end
  if seen > #parts then parts[#parts + 1] = seen > 1000 and "..." or ("... %d more"):format(seen - #parts) end
  return parts
end

local function table_text(t, state)
  if state.within[t] then return "[circular]" end
  local name = kind_of(t)
  local method, url = rawget(t, "method"), rawget(t, "url")
  if name == "IncomingMessage" and type(url) == "string" then
    return ("IncomingMessage (%s %s)"):format(tostring(method), (cut(mask.url(url), LENGTH)))
  end
  if name == "IncomingMessage" or name == "ServerResponse" or name == "App" then return name end
  if state.level >= DEPTH or state.room <= 0 then
    return (name and name .. " " or "") .. (next(t) == nil and "{}" or "{...}")
  end
  state.within[t], state.level = true, state.level + 1
  local parts = entries_of(t, state)
  state.within[t], state.level = nil, state.level - 1
  return (name and name .. " " or "") .. (parts[1] and "{ " .. table.concat(parts, ", ") .. " }" or "{}")
end

local function plain_text(value, state)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "number" then return number_text(value) end
  if kind == "table" then return table_text(value, state) end
  if kind == "function" then return function_text(value) end
  if kind == "nil" or kind == "boolean" then return tostring(value) end
  return kind_of(value) or kind
end

function text(value, state)
  local shown = plain_text(value, state)
  state.room = state.room - #shown
  return shown
end

--- The text of a value, of at most some 1,000 bytes.
---@param value any
---@return string
function M.text(value)
  local shown, more = cut(text(value, { within = {}, level = 0, room = TOTAL }), TOTAL)
  return more == "" and shown or shown .. " ..."
end

--- A text without what a terminal would obey.
---@param s string
---@return string
function M.printable(s)
  return (s:gsub("[%c\127]", function(c)
    return (c == "\n" or c == "\t") and c or ("\\%03d"):format(c:byte())
  end))
end

return M
