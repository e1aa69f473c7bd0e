--- Node's `querystring`: the `a=1&b=2` of queries and form bodies, to tables and back.
--
-- Everything here works on bytes. Where Node would put U+FFFD in the place of
-- bytes that are not UTF-8, they are left as they came. The tables that come
-- out have no metatable: a key such as "__index" or "n" is only a key.

local byte, find, format, gsub, sub =
  string.byte, string.find, string.format, string.gsub, string.sub
local char, floor, huge = string.char, math.floor, math.huge

local M = {}

local DEFAULT_MAX_KEYS = 1000

-- What encodeURIComponent leaves alone: RFC 2396's "unreserved".
local RESERVED = "[^%w%-_.!~*'()]"

---@class querystring.ParseOptions
---@field maxKeys? integer pairs to read, 1000 unless told; 0 or less: all of them
---@field decodeURIComponent? fun(text: string): string instead of `unescape`

---@class querystring.StringifyOptions
---@field encodeURIComponent? fun(text: string): string instead of `escape`

local function percent_encoded(c)
  return format("%%%02X", byte(c))
end

local function from_hex(digits)
  return char(tonumber(digits, 16))
end

--- The number as JavaScript would print it: whole numbers without a fraction,
-- others with as many digits as it takes to read the same number back.
local function number_text(value)
  if value ~= value or value == huge or value == -huge then return "" end
  if value == floor(value) and value >= -2 ^ 63 and value < 2 ^ 63 then
    return format("%d", value)
  end
  for digits = 15, 16 do
    local text = format("%." .. digits .. "g", value)
    if tonumber(text) == value then return text end
  end
  return format("%.17g", value)
end

--- What a value is in a query; as in Node, what has no text there is empty.
local function primitive_text(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return number_text(value) end
  if kind == "boolean" then return tostring(value) end
  return ""
end

--- Percent-encodes all but letters, digits and `- _ . ! ~ * ' ( )`.
---@param text any a string; other values as `tostring` gives them
---@return string
function M.escape(text)
  if type(text) ~= "string" then
    text = type(text) == "number" and number_text(text) or tostring(text)
  end
  if not find(text, RESERVED) then return text end
  return (gsub(text, RESERVED, percent_encoded))
end

--- Decodes percent-escapes, once. Malformed ones (`%`, `%4`, `%zz`) stay as they are.
---@param text string
---@return string
function M.unescape(text)
  if not find(text, "%", 1, true) then return text end
  return (gsub(text, "%%(%x%x)", from_hex))
end

local function form_decode(text)
  if find(text, "+", 1, true) then text = gsub(text, "+", " ") end
  return M.unescape(text)
end

--- A decoder of the caller's own sees `+` as `%20`; where it raises, ours steps in.
local function custom_decoder(decode)
  return function(text)
    text = gsub(text, "+", "%%20")
    local ok, decoded = pcall(decode, text)
    return ok and tostring(decoded) or M.unescape(text)
  end
end

local function verbatim(text)
  return text
end

local function pick_decoder(str, options)
  local custom = options and options.decodeURIComponent
  if custom and custom ~= M.unescape then return custom_decoder(custom) end
  if find(str, "[%%+]") then return form_decode end
  return verbatim
end

--- Keys are never nil, so a value can be told from an absent one without a second table.
local function add_value(result, key, value)
  local known = result[key]
  if known == nil then
    result[key] = value
  elseif type(known) == "table" then
    known[#known + 1] = value
  else
    result[key] = { known, value }
  end
end

local function add_pair(result, pair, eq, decode)
  local first, last = find(pair, eq, 1, true)
  if first then
    local key = decode(sub(pair, 1, first - 1))
    add_value(result, key, decode(sub(pair, last + 1)))
  else
    add_value(result, decode(pair), "")
  end
end

local function separator(given, default)
  if given == nil or given == "" then return default end
  return tostring(given)
end

--- Reads a query or an urlencoded body. A repeated key becomes an array, `+` is a space.
---@param str string anything but a string gives an empty table, as in Node
---@param sep? string between pairs, "&" unless told
---@param eq? string between key and value, "=" unless told
---@param options? querystring.ParseOptions
---@return table<string, string|string[]>
function M.parse(str, sep, eq, options)
  local result = {}
  if type(str) ~= "string" or str == "" then return result end
  sep, eq = separator(sep, "&"), separator(eq, "=")
  local left = options and tonumber(options.maxKeys) or DEFAULT_MAX_KEYS
  local decode = pick_decoder(str, options)
  local position, size = 1, #str
  while position <= size do
    local first, last = find(str, sep, position, true)
    if not first then first, last = size + 1, size end
    if first > position then
      add_pair(result, sub(str, position, first - 1), eq, decode)
    end
    -- Node counts the empty pairs of "a&&b" too.
    left = left - 1
    if left == 0 or last == size then break end
    position = last + 1
  end
  return result
end

--- Numbers by size, then strings by bytes: the same table gives the same text each time.
local function key_before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then return kind_a == "number" end
  return a < b
end

local function sorted_keys(values)
  local keys = {}
  for key in pairs(values) do
    local kind = type(key)
    if kind == "string" or kind == "number" then keys[#keys + 1] = key end
  end
  table.sort(keys, key_before)
  return keys
end

--- Writes a table as a query: keys that are positions first, in order, then the
-- others sorted. An array as value repeats its key; an empty one leaves it out.
---@param values table<string|number, any> anything but a table gives ""
---@param sep? string between pairs, "&" unless told
---@param eq? string between key and value, "=" unless told
---@param options? querystring.StringifyOptions
---@return string
function M.stringify(values, sep, eq, options)
  if type(values) ~= "table" then return "" end
  sep, eq = separator(sep, "&"), separator(eq, "=")
  local encode = options and options.encodeURIComponent or M.escape
  local out = {}
  for _, key in ipairs(sorted_keys(values)) do
    local value, prefix = values[key], encode(primitive_text(key)) .. eq
    if type(value) ~= "table" then
      out[#out + 1] = prefix .. encode(primitive_text(value))
    elseif value[1] == nil and next(value) ~= nil then
      out[#out + 1] = prefix
    else
      for _, element in ipairs(value) do
        out[#out + 1] = prefix .. encode(primitive_text(element))
      end
    end
  end
  return table.concat(out, sep)
end

M.decode = M.parse
M.encode = M.stringify

return M
