--- Hosts of URLs in their one true form (URL Standard 3.5): domains, IPv4, IPv6 and opaque names.
--
-- Left out: Unicode's full table of host names. Capitals of the Latin, Greek and Cyrillic scripts become
-- small and full-width letters ASCII; the rest goes to Punycode (RFC 3492) as it is. Names that come as
-- "xn--" are not decoded to check them.

local querystring = require "querystring"
local percent = require "luaserve.url.percent"

local byte, char, find, format, gmatch, gsub, lower, match, sub = string.byte, string.char, string.find,
  string.format, string.gmatch, string.gsub, string.lower, string.match, string.sub
local concat, floor = table.concat, math.floor

local M = {}

local FORBIDDEN_IN_HOST = "[%z\t\n\r #/:<>?@%[\\%]^|]"
local FORBIDDEN_IN_DOMAIN = "[%c #/:<>?@%[\\%]^|%%]"

-- Punycode takes time by the square of a label's length, and no name in the DNS is longer than 255.
local MAX_INTERNATIONAL_NAME = 1000

-- By the number of bytes: the least code point that needs so many, and what marks the first of them.
local LEAST, LEAD = { 0, 0x80, 0x800, 0x10000 }, { 0, 0xC0, 0xE0, 0xF0 }

--- The code point that a host name has in the place of this one.
local function folded(point)
  if point >= 0xFF01 and point <= 0xFF5E then point = point - 0xFEE0 end
  if point == 0x3002 or point == 0xFF61 then return 46 end
  local capital = point >= 65 and point <= 90 or point >= 0xC0 and point <= 0xDE and point ~= 0xD7
    or point >= 0x391 and point <= 0x3A9 or point >= 0x410 and point <= 0x42F
  if capital then return point + 32 end
  return point >= 0x400 and point <= 0x40F and point + 80 or point
end

--- How many bytes a code point has, by the first of them.
local function sequence_size(first)
  if first < 0x80 then return 1 end
  if first < 0xE0 then return 2 end
  return first < 0xF0 and 3 or 4
end

--- The labels of a UTF-8 name as lists of folded code points; nil where it is not UTF-8.
local function code_point_labels(name)
  local labels, used = { {} }, 0
  for sequence in gmatch(name, "[%z\1-\127\194-\244][\128-\191]*") do
    local size = #sequence
    if size ~= sequence_size(byte(sequence)) then return nil end
    local point = byte(sequence) - LEAD[size]
    for i = 2, size do point = point * 64 + byte(sequence, i) - 128 end
    if point < LEAST[size] or point > 0x10FFFF or floor(point / 0x800) == 27 then return nil end
    point, used = folded(point), used + size
    local label = labels[#labels]
    if point == 46 then labels[#labels + 1] = {} else label[#label + 1] = point end
  end
  return used == #name and labels or nil
end

local function punycode_digit(value) return char(value < 26 and value + 97 or value + 22) end

--- RFC 3492 section 6.3, the inner loop: one delta as digits. Returns the next bias (6.1).
local function put_delta(out, delta, bias, count, is_first)
  local rest, k = delta, 36
  while true do
    local threshold = math.max(1, math.min(26, k - bias))
    if rest < threshold then break end
    out[#out + 1] = punycode_digit(threshold + (rest - threshold) % (36 - threshold))
    rest, k = floor((rest - threshold) / (36 - threshold)), k + 36
  end
  out[#out + 1] = punycode_digit(rest)
  delta, k = floor(delta / (is_first and 700 or 2)), 0
  delta = delta + floor(delta / count)
  while delta > 455 do delta, k = floor(delta / 35), k + 36 end
  return k + floor(36 * delta / (delta + 38))
end

--- One label in its ASCII form: as it is, or "xn--" and Punycode.
local function label_to_ascii(points)
  local out, rest = {}, {}
  for _, point in ipairs(points) do
    if point < 128 then out[#out + 1] = char(point) else rest[#rest + 1] = point end
  end
  if #rest == 0 then return concat(out) end
  local basic, delta, bias, last = #out, 0, 72, 128
  local done = basic
  if basic > 0 then out[#out + 1] = "-" end
  table.sort(rest)
  for i, next_point in ipairs(rest) do
    if next_point ~= rest[i - 1] then
      delta, last = delta + (next_point - last) * (done + 1), next_point
      for _, point in ipairs(points) do
        if point < last then
          delta = delta + 1
        elseif point == last then
          bias, delta, done = put_delta(out, delta, bias, done + 1, done == basic), 0, done + 1
        end
      end
      delta, last = delta + 1, last + 1
    end
  end
  return "xn--" .. concat(out)
end

--- A domain in its ASCII form, in small letters; nil where it is not UTF-8.
function M.to_ascii(name)
  if not find(name, "[\128-\255]") then return lower(name) end
  local labels = #name <= MAX_INTERNATIONAL_NAME and code_point_labels(name)
  if not labels then return nil end
  for i, points in ipairs(labels) do labels[i] = label_to_ascii(points) end
  return concat(labels, ".")
end

local function ipv4_number(text)
  local hex, digits, base = match(text, "^0x(%x*)$"), match(text, "^%d+$"), 10
  if hex then
    digits, base = "0" .. hex, 16
  elseif find(text, "^0%d") then
    digits, base = match(text, "^[0-7]+$"), 8
  end
  digits = digits and match(digits, "^0*(.*)$")
  if not digits or #digits > 11 then return nil end
  return digits == "" and 0 or tonumber(digits, base)
end

--- A domain whose last label is a number is an IPv4 address, or wrong (URL Standard 3.5).
local function ipv4_or_domain(name)
  local last = gsub(match(name:reverse(), "^%.?([^.]*)"):reverse(), "^0x%x*$", "0")
  if not find(last, "^%d+$") then return name end
  if byte(name, -1) == 46 then name = sub(name, 1, -2) end
  local numbers = {}
  for part in gmatch(name .. ".", "([^.]*)%.") do
    local number = ipv4_number(part)
    if not number or #numbers == 4 then return nil end
    numbers[#numbers + 1] = number
  end
  local address = numbers[#numbers]
  if address >= 256 ^ (5 - #numbers) then return nil end
  for i = 1, #numbers - 1 do
    if numbers[i] > 255 then return nil end
    address = address + numbers[i] * 256 ^ (4 - i)
  end
  return format("%d.%d.%d.%d", floor(address / 2 ^ 24), floor(address / 2 ^ 16) % 256,
    floor(address / 256) % 256, address % 256)
end

--- An IPv4 address at the end of an IPv6 one as two more pieces in hexadecimal.
local function quad_to_pieces(text)
  local head, quad = match(text, "^(.*:)(%d+%.%d+%.%d+%.%d+)$")
  if not head then return text end
  local bytes = {}
  for part in gmatch(quad, "%d+") do
    if #part > 3 or find(part, "^0%d") or tonumber(part) > 255 then return text end
    bytes[#bytes + 1] = tonumber(part)
  end
  return head .. format("%02x%02x:%02x%02x", bytes[1], bytes[2], bytes[3], bytes[4])
end

local function ipv6_pieces(text)
  local pieces = {}
  if text == "" then return pieces end
  for piece in gmatch(text .. ":", "([^:]*):") do
    if not find(piece, "^%x%x?%x?%x?$") then return nil end
    pieces[#pieces + 1] = format("%x", tonumber(piece, 16))
  end
  return pieces
end

local function ipv6_parse(text)
  local compressed = find(text, "::", 1, true)
  text = quad_to_pieces(text)
  local pieces = ipv6_pieces(compressed and sub(text, 1, compressed - 1) or text)
  local tail = ipv6_pieces(compressed and sub(text, compressed + 2) or "")
  if not pieces or not tail then return nil end
  local gap = 8 - #pieces - #tail
  if compressed and gap < 1 or not compressed and gap ~= 0 then return nil end
  for _ = 1, gap do pieces[#pieces + 1] = "0" end
  for _, piece in ipairs(tail) do pieces[#pieces + 1] = piece end
  return pieces
end

--- RFC 5952: the first longest run of two zeros or more becomes "::".
local function ipv6_text(pieces)
  local start, size, i = nil, 1, 1
  while i <= 8 do
    local after = i
    while pieces[after] == "0" do after = after + 1 end
    if after - i > size then start, size = i, after - i end
    i = after + 1
  end
  if not start then return "[" .. concat(pieces, ":") .. "]" end
  return "[" .. concat(pieces, ":", 1, start - 1) .. "::" .. concat(pieces, ":", start + size) .. "]"
end

--- Whether a domain holds what a domain must not.
function M.is_forbidden(domain)
  return find(domain, FORBIDDEN_IN_DOMAIN) ~= nil
end

--- The host in its one true form; nil where it is none. Special: one of http, https, ws, wss, ftp, file.
function M.parse(name, special)
  if byte(name) == 91 then
    local pieces = ipv6_parse(match(name, "^%[(.*)%]$") or "")
    return pieces and ipv6_text(pieces)
  end
  if not special then
    if find(name, FORBIDDEN_IN_HOST) then return nil end
    return percent.encode(name, percent.CONTROLS)
  end
  name = M.to_ascii(querystring.unescape(name))
  if not name or name == "" or M.is_forbidden(name) then return nil end
  return ipv4_or_domain(name)
end

return M
