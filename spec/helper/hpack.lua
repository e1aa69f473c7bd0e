--- HPACK (RFC 7541) for the specs. The encoder writes literals that are never
-- indexed, unless told otherwise, so that what is sent is what a spec says; the
-- decoder is complete and strict: Huffman code, both tables, their size.
local M = {}

-- ---- tables

local STATIC = {} -- Appendix A
for name, value in ([[
:authority|
:method|GET
:method|POST
:path|/
:path|/index.html
:scheme|http
:scheme|https
:status|200
:status|204
:status|206
:status|304
:status|400
:status|404
:status|500
accept-charset|
accept-encoding|gzip, deflate
accept-language|
accept-ranges|
accept|
access-control-allow-origin|
age|
allow|
authorization|
cache-control|
content-disposition|
content-encoding|
content-language|
content-length|
content-location|
content-range|
content-type|
cookie|
date|
etag|
expect|
expires|
from|
host|
if-match|
if-modified-since|
if-none-match|
if-range|
if-unmodified-since|
last-modified|
link|
location|
max-forwards|
proxy-authenticate|
proxy-authorization|
range|
referer|
refresh|
retry-after|
server|
set-cookie|
strict-transport-security|
transfer-encoding|
user-agent|
vary|
via|
www-authenticate|
]]):gmatch("([^\n|]+)|([^\n]*)\n") do
  table.insert(STATIC, { name, value })
end

-- Appendix B: the symbols of each length of code, in order. The code is
-- canonical, so the lengths give it.
local LENGTHS = {
  [5] = "48-50 97 99 101 105 111 115-116",
  [6] = "32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117",
  [7] = "58 66-87 89 106-107 113 118-122",
  [8] = "38 42 44 59 88 90",
  [10] = "33-34 40-41 63",
  [11] = "39 43 124",
  [12] = "35 62",
  [13] = "0 36 64 91 93 126",
  [14] = "94 125",
  [15] = "60 96 123",
  [19] = "92 195 208",
  [20] = "128 130-131 162 184 194 224 226",
  [21] = "153 161 167 172 176-177 179 209 216-217 227 229-230",
  [22] = "129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228 232-233",
  [23] = "1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197 231 239",
  [24] = "9 142 144-145 148 159 171 206 215 225 236-237",
  [25] = "199 207 234-235",
  [26] = "192-193 200-202 205 210 213 218-219 238 240 242-243 255",
  [27] = "203-204 211-212 214 221-223 241 244-248 250-254",
  [28] = "2-8 11-12 14-21 23-31 127 220 249",
  [30] = "10 13 22 256",
}

local EOS = 256

-- code[length][bits] = symbol
local function make_code()
  local code, bits, last = {}, 0, 0
  for length = 1, 30 do
    if LENGTHS[length] then
      bits, last = bits << (length - last), length
      code[length] = {}
      for first, final in LENGTHS[length]:gmatch("(%d+)%-?(%d*)") do
        for symbol = tonumber(first), tonumber(final ~= "" and final or first) do
          code[length][bits] = math.tointeger(symbol)
          bits = bits + 1
        end
      end
    end
  end
  return code
end

local CODE = make_code()

-- ---- integers and strings

--- An integer (5.1) behind a prefix of `size` bits; `flags` are those before it.
---@return string
function M.integer(n, size, flags)
  local most = (1 << size) - 1
  if n < most then
    return string.char(flags | n)
  end
  local bytes = { string.char(flags | most) }
  n = n - most
  while n >= 128 do
    table.insert(bytes, string.char(n % 128 | 128))
    n = n // 128
  end
  table.insert(bytes, string.char(n))
  return table.concat(bytes)
end

--- A string literal (5.2) without Huffman code.
---@return string
function M.string(text)
  return M.integer(#text, 7, 0) .. text
end

local function read_integer(block, at, size)
  local most = (1 << size) - 1
  local n = block:byte(at) & most
  at = at + 1
  if n < most then
    return n, at
  end
  local shift = 0
  repeat
    local byte = block:byte(at) or error("an integer is cut")
    n = n + ((byte & 127) << shift)
    shift, at = shift + 7, at + 1
  until byte < 128
  return n, at
end

--- Decodes Huffman code; the padding is what 5.2 wants, or it raises.
---@param text string
---@return string
function M.huffman(text)
  local out, bits, length = {}, 0, 0
  for i = 1, #text do
    local byte = text:byte(i)
    for bit = 7, 0, -1 do
      bits, length = bits << 1 | byte >> bit & 1, length + 1
      local symbol = CODE[length] and CODE[length][bits]
      if symbol then
        assert(symbol ~= EOS, "EOS within a string")
        table.insert(out, string.char(symbol))
        bits, length = 0, 0
      end
    end
  end
  assert(length < 8 and bits == (1 << length) - 1, "the padding is not all ones")
  return table.concat(out)
end

local function read_string(block, at)
  local coded = block:byte(at) & 128 ~= 0
  local n
  n, at = read_integer(block, at, 7)
  local text = block:sub(at, at + n - 1)
  assert(#text == n, "a string is cut")
  return coded and M.huffman(text) or text, at + n
end

-- ---- encoding

--- A block of fields: a list of {name, value}. `how` is "never" (default: a literal
--- that is never indexed), "plain" or "indexed" (added to the table).
---@param fields string[][]
---@param how string?
---@return string
function M.encode(fields, how)
  local flags = ({ never = 0x10, plain = 0x00, indexed = 0x40 })[how or "never"]
  local parts = {}
  for _, field in ipairs(fields) do
    table.insert(parts, string.char(flags) .. M.string(field[1]) .. M.string(field[2]))
  end
  return table.concat(parts)
end

-- ---- decoding

---@class spec.HpackDecoder
local Decoder = {}
Decoder.__index = Decoder

--- A decoder of one direction of a connection.
---@return spec.HpackDecoder
function M.decoder()
  return setmetatable({ dynamic = {}, size = 0, most = 4096 }, Decoder)
end

local function size_of(field)
  return #field[1] + #field[2] + 32
end

function Decoder:evict()
  while self.size > self.most do
    self.size = self.size - size_of(table.remove(self.dynamic))
  end
end

function Decoder:add(field)
  table.insert(self.dynamic, 1, field)
  self.size = self.size + size_of(field)
  self:evict()
end

function Decoder:field(index)
  return STATIC[index] or self.dynamic[index - #STATIC] or error("index " .. index .. " is in no table")
end

function Decoder:literal(block, at, size)
  local index, name, value
  index, at = read_integer(block, at, size)
  if index > 0 then
    name = self:field(index)[1]
  else
    name, at = read_string(block, at)
  end
  value, at = read_string(block, at)
  return { name, value }, at
end

--- Decodes a block; returns its fields as a list of {name, value}.
---@param block string
---@return string[][]
function Decoder:decode(block)
  local fields, at = {}, 1
  while at <= #block do
    local byte = block:byte(at)
    local field
    if byte >= 0x80 then
      local index
      index, at = read_integer(block, at, 7)
      field = self:field(index)
    elseif byte >= 0x40 then
      field, at = self:literal(block, at, 6)
      self:add(field)
    elseif byte >= 0x20 then
      assert(#fields == 0, "a change of the table's size behind a field")
      self.most, at = read_integer(block, at, 5)
      self:evict()
    else
      field, at = self:literal(block, at, 4)
    end
    table.insert(fields, field)
  end
  return fields
end

return M
