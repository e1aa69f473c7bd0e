-- What json.decode refuses, and what it says about it.

local END = ", found the end"

-- text, line, column, what is wrong there
local CASES = {
  { "", 1, 1, "expected a value" .. END }, { " ", 1, 2, "expected a value" .. END },
  { "\n\n ", 3, 2, "expected a value" .. END },
  { "nul", 1, 1, "expected a value" }, { "nulL", 1, 1, "expected a value" }, { "Null", 1, 1, "expected a value" },
  { "NULL", 1, 1, "expected a value" }, { "tru", 1, 1, "expected a value" }, { "True", 1, 1, "expected a value" },
  { "TRUE", 1, 1, "expected a value" }, { "fals", 1, 1, "expected a value" }, { "False", 1, 1, "expected a value" },
  { "undefined", 1, 1, "expected a value" }, { "nil", 1, 1, "expected a value" }, { "a", 1, 1, "expected a value" },
  { "NaN", 1, 1, "expected a value" }, { "Infinity", 1, 1, "expected a value" }, { "inf", 1, 1, "expected a value" },
  { "-Infinity", 1, 2, "expected a digit" }, { "-NaN", 1, 2, "expected a digit" },
  { "'a'", 1, 1, "expected a value" },
  { "nullx", 1, 5, "expected nothing more" }, { "truefalse", 1, 5, "expected nothing more" },
  { "true false", 1, 6, "expected nothing more" }, { "[] []", 1, 4, "expected nothing more" },
  { "{}{}", 1, 3, "expected nothing more" }, { "1,2", 1, 2, "expected nothing more" },
  { '"a" "b"', 1, 5, "expected nothing more" },
  { "{}\n\nx", 3, 1, "expected nothing more" }, { "[]]", 1, 3, "expected nothing more" },
  { "{}}", 1, 3, "expected nothing more" },
  { "1 #", 1, 3, "expected nothing more" }, { "1\0", 1, 2, "expected nothing more" },
  { "[]\0", 1, 3, "expected nothing more" },
  { "\0", 1, 1, "expected a value" }, { "[\0]", 1, 2, "expected a value" }, { "[1\0]", 1, 3, "expected ',' or ']'" },
  { "\xef\xbb\xbf[]", 1, 1, "expected a value" }, { "// a\n1", 1, 1, "expected a value" },
  { "/**/1", 1, 1, "expected a value" },
  { "1 // a", 1, 3, "expected nothing more" }, { "\f1", 1, 1, "expected a value" },
  { "\v1", 1, 1, "expected a value" },
  { "\xc2\xa01", 1, 1, "expected a value" }, { "[1\f]", 1, 3, "expected ',' or ']'" },
  -- arrays
  { "[", 1, 2, "expected a value" .. END }, { "]", 1, 1, "expected a value" },
  { "[1", 1, 3, "expected ',' or ']'" .. END },
  { "[1,", 1, 4, "expected a value" .. END }, { "[1,]", 1, 4, "expected a value" },
  { "[,1]", 1, 2, "expected a value" },
  { "[,]", 1, 2, "expected a value" }, { "[1,,2]", 1, 4, "expected a value" },
  { "[1 2]", 1, 4, "expected ',' or ']'" },
  { "[1}", 1, 3, "expected ',' or ']'" }, { "[1;2]", 1, 3, "expected ',' or ']'" },
  { "[[]", 1, 4, "expected ',' or ']'" .. END },
  { "[\n1,\n2\n3]", 4, 1, "expected ',' or ']'" }, { "[1:2]", 1, 3, "expected ',' or ']'" },
  { '["a":1]', 1, 5, "expected ',' or ']'" },
  { "[nul]", 1, 2, "expected a value" }, { "[1,\n  tru]", 2, 3, "expected a value" },
  { "(1)", 1, 1, "expected a value" },
  -- objects
  { "{", 1, 2, "expected a name in double quotes" .. END }, { "}", 1, 1, "expected a value" },
  { "{1:2}", 1, 2, "expected a name in double quotes" }, { "{a:1}", 1, 2, "expected a name in double quotes" },
  { "{'a':1}", 1, 2, "expected a name in double quotes" }, { "{null:1}", 1, 2, "expected a name in double quotes" },
  { '{"a"}', 1, 5, "expected ':'" }, { '{"a"', 1, 5, "expected ':'" .. END }, { '{"a",1}', 1, 5, "expected ':'" },
  { '{"a" 1}', 1, 6, "expected ':'" }, { '{"a"=1}', 1, 5, "expected ':'" },
  { '{"a":', 1, 6, "expected a value" .. END },
  { '{"a":}', 1, 6, "expected a value" }, { '{"a":,}', 1, 6, "expected a value" },
  { '{"a"::1}', 1, 6, "expected a value" },
  { '{"a":1', 1, 7, "expected ',' or '}'" .. END }, { '{"a":1]', 1, 7, "expected ',' or '}'" },
  { '{"a":1,', 1, 8, "expected a name in double quotes" .. END },
  { '{"a":1,}', 1, 8, "expected a name in double quotes" },
  { '{,"a":1}', 1, 2, "expected a name in double quotes" }, { '{"a":1 "b":2}', 1, 8, "expected ',' or '}'" },
  { '{"a":1,,"b":2}', 1, 8, "expected a name in double quotes" }, { '{"a":1;"b":2}', 1, 7, "expected ',' or '}'" },
  { '{\n  "a": 1\n  "b": 2\n}', 3, 3, "expected ',' or '}'" },
  { '{"a":{"b":[1,2,{"c":x}]}}', 1, 21, "expected a value" },
  { '{"a":1}}', 1, 8, "expected nothing more" }, { "{]", 1, 2, "expected a name in double quotes" },
  { '{"a":undefined}', 1, 6, "expected a value" }, { "{[]:1}", 1, 2, "expected a name in double quotes" },
  -- numbers
  { "-", 1, 2, "expected a digit" .. END }, { "+1", 1, 1, "expected a value" }, { "--1", 1, 2, "expected a digit" },
  { "-a", 1, 2, "expected a digit" }, { "- 1", 1, 2, "expected a digit" }, { ".5", 1, 1, "expected a value" },
  { "-.5", 1, 2, "expected a digit" }, { "1.", 1, 3, "expected a digit" .. END },
  { "[1.]", 1, 4, "expected a digit" },
  { "1.e5", 1, 3, "expected a digit" }, { "0.e1", 1, 3, "expected a digit" },
  { "1e", 1, 3, "expected a digit" .. END },
  { "1E", 1, 3, "expected a digit" .. END }, { "1e+", 1, 4, "expected a digit" .. END },
  { "1e-", 1, 4, "expected a digit" .. END },
  { "1e+-1", 1, 4, "expected a digit" }, { "1e1.5", 1, 4, "expected nothing more" },
  { "1.2.3", 1, 4, "expected nothing more" },
  { "1e2e3", 1, 4, "expected nothing more" }, { "01", 1, 1, "a number cannot begin with 0 and another digit" },
  { "00", 1, 1, "a number cannot begin with 0 and another digit" },
  { "-01", 1, 2, "a number cannot begin with 0 and another digit" },
  { "[012]", 1, 2, "a number cannot begin with 0 and another digit" },
  { "00.5", 1, 1, "a number cannot begin with 0 and another digit" },
  { "0x10", 1, 2, "expected nothing more" }, { "0b1", 1, 2, "expected nothing more" },
  { "1_000", 1, 2, "expected nothing more" },
  { "1a", 1, 2, "expected nothing more" }, { "1 2", 1, 3, "expected nothing more" },
  { "1,5", 1, 2, "expected nothing more" },
  { "0.1x", 1, 4, "expected nothing more" }, { "1e5x", 1, 4, "expected nothing more" },
  { "\xef\xbc\x91", 1, 1, "expected a value" },
  { "[1e999]", 1, 2, "this number is too large" }, { "12\xc2\xb2", 1, 3, "expected nothing more" },
  { "1.5f", 1, 4, "expected nothing more" },
  { "123n", 1, 4, "expected nothing more" }, { "1234567890n", 1, 11, "expected nothing more" },
  { "0n", 1, 2, "expected nothing more" },
  -- strings
  { '"', 1, 2, "expected '\"'" .. END }, { '"abc', 1, 5, "expected '\"'" .. END },
  { '["abc]', 1, 7, "expected '\"'" .. END },
  { '"abcdefghijkl', 1, 14, "expected '\"'" .. END }, { '"a\nb"', 1, 3, "a control character must be escaped" },
  { '{"a', 1, 4, "expected '\"'" .. END }, { '{"a\t":1}', 1, 4, "a control character must be escaped" },
  { '"\xc3\xa9\xc3\xa9\\x"', 1, 4, "this escape is unknown" }, { '["\xf0\x9f\x98\x80",x]', 1, 6, "expected a value" },
  { '"\\u12', 1, 2, "expected four hex digits after \\u" }, { '"\\', 1, 2, "this escape is unknown" },
  { '"a\0"', 1, 3, "a control character must be escaped" }, { '"abc\\q"', 1, 5, "this escape is unknown" },
  { '"\\U0041"', 1, 2, "this escape is unknown" }, { '"\\x41"', 1, 2, "this escape is unknown" },
  { '"\\0"', 1, 2, "this escape is unknown" },
  { '\\u0022a"', 1, 1, "expected a value" }, { "\n\n[1,\n\n \"\\z\"]", 5, 3, "this escape is unknown" },
}

-- The first byte that the column stands for, counted from the line.
local function byte_of(text, line, column)
  local at = 1
  for _ = 2, line do at = text:find("\n", at, true) + 1 end
  for _ = 2, column do
    at = at + 1
    while at <= #text and text:byte(at) >= 0x80 and text:byte(at) < 0xc0 do at = at + 1 end
  end
  return at
end

local function refuses(json, t)
  for _, case in ipairs(CASES) do
    local text, line, column, problem = case[1], case[2], case[3], case[4]
    local byte = byte_of(text, line, column)
    local expected = ("json: line %d column %d: %s (byte %d)"):format(line, column, problem, byte)
    local ok, err = pcall(json.decode, text)
    t:equal(text .. " is refused", ok, false)
    t:equal(text, err, expected)
  end
end

-- No byte but a digit is a text, and none may stand for white space.
local function single_bytes(json, t)
  for byte = 0, 255 do
    local c = string.char(byte)
    t:equal(byte .. " alone", (pcall(json.decode, c)), c:find("^%d") ~= nil)
    t:equal(byte .. " before", (pcall(json.decode, c .. "[]")), c:find("^[ \t\r\n]") ~= nil)
    t:equal(byte .. " behind", (pcall(json.decode, "[]" .. c)), c:find("^[ \t\r\n]") ~= nil)
    t:equal(byte .. " within", (pcall(json.decode, "[" .. c .. "1]")), c:find("^[-%d \t\r\n]") ~= nil and c ~= "0")
    t:equal(byte .. " in a word", (pcall(json.decode, "tr" .. c .. "e")), c == "u")
  end
end

local function arguments(json, t)
  for _, value in ipairs({ true, {}, print }) do
    t:raises("decode of a " .. type(value), "string expected", json.decode, value)
  end
  t:raises("decode of nil", "string expected", json.decode, nil)
  t:raises("decode of nothing", "bad argument #1", json.decode)
  t:raises("encode of nothing", "bad argument #1", json.encode)
  t:raises("options of encode", "table expected", json.encode, 1, "sort")
end

-- Whatever is asked, an answer or an error comes.
local function garbage(json, t)
  local seed = 42
  local alphabet = '{}[]":,\\u0019aftrulse-+.eE \n\xc3\xa9\0'
  local function pick(n)
    seed = (seed * 16807) % 2147483647
    return seed % n + 1
  end
  local accepted = 0
  for i = 1, 3000 do
    local parts = {}
    for j = 1, pick(24) do
      local at = pick(#alphabet)
      parts[j] = alphabet:sub(at, at)
    end
    local text = table.concat(parts)
    local ok, value = pcall(json.decode, text)
    accepted = accepted + (ok and 1 or 0)
    local fine
    if ok then
      fine = pcall(json.encode, value)
    else
      fine = value:find("^json: line %d+ column %d+: .+%(byte %d+%)$")
    end
    if not fine then t:check(text, false, value) end
  end
  t:check("some were JSON", accepted > 0)
end

return {
  { "refuses what RFC 8259 does not have, and says where", refuses },
  { "takes no other byte for a value or white space", single_bytes },
  { "raises for arguments of the wrong type", arguments },
  { "answers garbage with a position", garbage },
}
