-- Strings in both directions: escapes, UTF-8, surrogates (RFC 8259 7 and 8).

local REPLACEMENT = "\xef\xbf\xbd"

-- The bytes of a code point, surrogates too.
local function utf8_bytes(c)
  local function tail(shift) return string.char(0x80 + math.floor(c / 2 ^ shift) % 64) end
  if c < 0x80 then return string.char(c) end
  if c < 0x800 then return string.char(0xc0 + math.floor(c / 64)) .. tail(0) end
  if c < 0x10000 then return string.char(0xe0 + math.floor(c / 4096)) .. tail(6) .. tail(0) end
  return string.char(0xf0 + math.floor(c / 262144)) .. tail(12) .. tail(6) .. tail(0)
end

local function escapes(json, t)
  local known = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
  }
  for byte = 1, 255 do
    local c = string.char(byte)
    local text = '"a\\' .. c .. 'b"'
    if known[c] then
      t:equal("\\" .. c, json.decode(text), "a" .. known[c] .. "b")
    elseif c == "u" then
      t:raises("\\u", "line 1 column 3: expected four hex digits after \\u", json.decode, text)
    else
      t:raises("\\" .. c, "line 1 column 3: this escape is unknown", json.decode, text)
    end
  end
  t:equal("all in one", json.decode([["\"\\\/\b\f\n\r\t"]]), '"\\/\b\f\n\r\t')
  t:equal("a backslash before the quote", json.decode([["\\"]]), "\\")
  t:raises("an escaped quote is no end", "expected '\"', found the end", json.decode, [["\"]])
  t:raises("an escape at the end", "this escape is unknown", json.decode, [["\]])
end

local function unicode_escapes(json, t)
  for _, case in ipairs({
    { "0000", "\0" }, { "0001", "\1" }, { "001f", "\31" }, { "0041", "A" }, { "007f", "\127" },
    { "0080", "\xc2\x80" },
    { "00e9", "\xc3\xa9" }, { "00E9", "\xc3\xa9" }, { "07ff", "\xdf\xbf" }, { "0800", "\xe0\xa0\x80" },
    { "20aC", "\xe2\x82\xac" }, { "d7ff", "\xed\x9f\xbf" }, { "e000", "\xee\x80\x80" }, { "fffd", REPLACEMENT },
    { "ffff", "\xef\xbf\xbf" }, { "FFFE", "\xef\xbf\xbe" }, { "0022", '"' }, { "005c", "\\" },
  }) do
    t:equal("\\u" .. case[1], json.decode('"\\u' .. case[1] .. '"'), case[2])
    t:equal("\\u" .. case[1] .. " amid", json.decode('"x\\u' .. case[1] .. '1"'), "x" .. case[2] .. "1")
  end
  for _, digits in ipairs({ "", "0", "00", "004", "00g1", "g041", "004G", " 041", "+041", "-041", "0x41", "0 41" }) do
    t:raises("\\u" .. digits, "expected four hex digits after \\u", json.decode, '"\\u' .. digits .. '"')
    t:raises("\\u" .. digits .. " cut", "expected four hex digits after \\u", json.decode, '"\\u' .. digits)
  end
end

local function surrogates(json, t)
  for _, case in ipairs({
    { "\\ud83d\\ude00", "\xf0\x9f\x98\x80" }, { "\\uD83D\\uDE00", "\xf0\x9f\x98\x80" },
    { "\\ud800\\udc00", "\xf0\x90\x80\x80" }, { "\\udbff\\udfff", "\xf4\x8f\xbf\xbf" },
    { "\\ud800", REPLACEMENT }, { "\\udbff", REPLACEMENT }, { "\\udc00", REPLACEMENT }, { "\\udfff", REPLACEMENT },
    { "\\ud800x", REPLACEMENT .. "x" }, { "\\ud800\\n", REPLACEMENT .. "\n" },
    { "\\ud800\\u0041", REPLACEMENT .. "A" },
    { "\\ud800\\ud800", REPLACEMENT .. REPLACEMENT }, { "\\udc00\\ud800", REPLACEMENT .. REPLACEMENT },
    { "\\ud800\\ud83d\\ude00", REPLACEMENT .. "\xf0\x9f\x98\x80" },
    { "\\ud83d\\ude00\\ude00", "\xf0\x9f\x98\x80" .. REPLACEMENT },
    { "a\\ud800b\\udc00c", "a" .. REPLACEMENT .. "b" .. REPLACEMENT .. "c" },
  }) do
    t:equal(case[1], json.decode('"' .. case[1] .. '"'), case[2])
  end
  t:raises("a second half that is cut", "expected four hex digits", json.decode, '"\\ud83d\\ude0"')
end

local function controls(json, t)
  for byte = 0, 0x1f do
    local c = string.char(byte)
    t:raises("raw " .. byte, "line 1 column 3: a control character must be escaped", json.decode, '"a' .. c .. 'b"')
    t:equal(byte .. " comes back", json.decode(json.encode("a" .. c .. "b")), "a" .. c .. "b")
  end
  t:equal("127 is plain", json.decode('"\127"'), "\127")
  for _, case in ipairs({
    { "\0", "\\u0000" }, { "\1", "\\u0001" }, { "\b", "\\b" }, { "\t", "\\t" }, { "\n", "\\n" }, { "\11", "\\u000b" },
    { "\f", "\\f" }, { "\r", "\\r" }, { "\27", "\\u001b" }, { "\31", "\\u001f" }, { '"', '\\"' }, { "\\", "\\\\" },
    { "/", "/" }, { "</script>", "</script>" }, { "\127", "\127" }, { "\xe2\x80\xa8", "\xe2\x80\xa8" },
  }) do
    t:equal("encode " .. case[2], json.encode(case[1]), '"' .. case[2] .. '"')
    t:equal("encode " .. case[2] .. " amid", json.encode("abcdefgh" .. case[1] .. "i"), '"abcdefgh' .. case[2] .. 'i"')
    t:equal("encode " .. case[2] .. " as a name", json.encode({ [case[1]] = 1 }), '{"' .. case[2] .. '":1}')
  end
end

-- The borders of RFC 3629 4; every case is tried at all offsets of a word.
local function utf8(json, t)
  for _, c in ipairs({
    0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x3ffff,
    0x40000, 0xfffff, 0x100000, 0x10ffff,
  }) do
    for offset = 0, 8 do
      local s = ("x"):rep(offset) .. utf8_bytes(c) .. "y"
      t:equal(("U+%X decodes at %d"):format(c, offset), json.decode('"' .. s .. '"'), s)
      t:equal(("U+%X encodes at %d"):format(c, offset), json.encode(s), '"' .. s .. '"')
    end
  end
  for c = 0x80, 0x10ffff, 1009 do
    if c < 0xd800 or c > 0xdfff then
      local s = utf8_bytes(c)
      t:check(("U+%X"):format(c), json.decode(json.encode(s)) == s and json.encode(s) == '"' .. s .. '"')
    end
  end
end

-- What is no UTF-8, and what stands for it when it is encoded: one U+FFFD for
-- each longest beginning of a sequence, as in browsers.
local MALFORMED = {
  { "\x80", "?" }, { "\xbf", "?" }, { "\x80\x80", "??" }, { "\xc0\x80", "??" }, { "\xc0\xaf", "??" },
  { "\xc1\xbf", "??" },
  { "\xc2", "?" }, { "\xc3(", "?(" }, { "\xc3\xc3\xa9", "?\xc3\xa9" }, { "\xe0\x80\x80", "???" },
  { "\xe0\x9f\xbf", "???" },
  { "\xe0\xa0", "?" }, { "\xe2\x82", "?" }, { "\xe2\x82A", "?A" }, { "\xe2A", "?A" }, { "\xed\xa0\x80", "???" },
  { "\xed\xbf\xbf", "???" }, { "\xed\xa0\x80\xed\xb0\x80", "??????" }, { "\xef\xbf", "?" },
  { "\xf0\x80\x80\x80", "????" }, { "\xf0\x8f\xbf\xbf", "????" }, { "\xf0\x9f\x98", "?" }, { "\xf0\x9f", "?" },
  { "\xf0\x9f\x98A", "?A" }, { "\xf4\x90\x80\x80", "????" }, { "\xf5\x80\x80\x80", "????" },
  { "\xf8\x88\x80\x80\x80", "?????" },
  { "\xfc\x84\x80\x80\x80\x80", "??????" }, { "\xfe", "?" }, { "\xff", "?" }, { "\xfe\xff", "??" },
  { "\xff\xfe", "??" },
}

local function malformed(json, t)
  for _, case in ipairs(MALFORMED) do
    local bytes, expected = case[1], case[2]:gsub("%?", REPLACEMENT)
    for offset = 0, 8 do
      local before = ("x"):rep(offset)
      local name = ("%s at %d"):format(bytes, offset)
      local position = "column " .. offset + 2
      t:raises(name, position, json.decode, '"' .. before .. bytes .. '"')
      t:raises(name .. " and more", "this is not UTF-8", json.decode, '"' .. before .. bytes .. 'yyyyyyyyyyyy"')
      t:equal(name .. " encodes", json.encode(before .. bytes), '"' .. before .. expected .. '"')
      t:equal(name .. " and more encodes", json.encode(before .. bytes .. "z"), '"' .. before .. expected .. 'z"')
    end
    t:raises(bytes .. " as a name", "this is not UTF-8", json.decode, '{"' .. bytes .. '":1}')
  end
  for byte = 0x80, 0xff do
    t:raises(byte .. " alone", "this is not UTF-8", json.decode, '"' .. string.char(byte) .. '"')
    t:raises(byte .. " outside", "expected a value", json.decode, string.char(byte))
    t:equal(byte .. " encodes", json.encode(string.char(byte)), '"' .. REPLACEMENT .. '"')
  end
  local s = ("\xff"):rep(1000)
  t:equal("a thousand", json.encode(s), '"' .. REPLACEMENT:rep(1000) .. '"')
end

-- Every length, with something special at every place.
local function lengths(json, t)
  for n = 0, 40 do
    local s = ("abcdefghij"):rep(5):sub(1, n)
    t:equal("length " .. n, json.decode(json.encode(s)), s)
    t:equal("length " .. n .. " as text", json.encode(s), '"' .. s .. '"')
    for i = 1, n do
      local mixed = s:sub(1, i - 1) .. (i % 2 == 0 and "\n" or '"') .. s:sub(i + 1)
      t:equal(("%d in %d"):format(i, n), json.decode(json.encode(mixed)), mixed)
    end
  end
  for _, n in ipairs({ 511, 512, 513, 600, 5000, 100000 }) do
    local s = ("\n\xc3\xa9a"):rep(n)
    t:check(n .. " escapes", json.decode(json.encode(s)) == s)
    t:check(n .. " controls", json.decode(json.encode(("\1"):rep(n))) == ("\1"):rep(n))
    t:check(n .. " quotes", json.decode(json.encode({ ('"'):rep(n) }))[1] == ('"'):rep(n))
    t:check(n .. " pairs", json.decode('"' .. ("\\ud83d\\ude00"):rep(n) .. '"') == ("\xf0\x9f\x98\x80"):rep(n))
  end
end

return {
  { "knows eight escapes and no other", escapes },
  { "decodes \\u escapes", unicode_escapes },
  { "joins surrogate pairs, and replaces lone surrogates", surrogates },
  { "escapes control characters, and wants them escaped", controls },
  { "takes all of UTF-8 as it is", utf8 },
  { "refuses malformed UTF-8, and replaces it when it encodes", malformed },
  { "handles strings of every length", lengths },
}
