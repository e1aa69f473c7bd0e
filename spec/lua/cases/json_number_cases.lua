-- Numbers in both directions (RFC 8259 6).

local function decodes(json, t)
  local integers = {
    "0", "1", "-1", "9", "10", "42", "99", "100", "12345", "999999999", "1000000000", "2147483647", "2147483648",
    "-2147483648", "4294967295", "4294967296", "9007199254740991", "9007199254740992", "-9007199254740992",
  }
  for _, text in ipairs(integers) do
    local n = json.decode(text)
    t:equal(text, n, tonumber(text))
    t:equal(text .. " encodes", json.encode(n), text)
    t:equal(text .. " in an array", json.decode("[" .. text .. "]"), { tonumber(text) })
  end
  local reals = {
    { "0.0", 0.0 }, { "0.5", 0.5 }, { "-0.5", -0.5 }, { "1.5", 1.5 }, { "1.25", 1.25 }, { "3.14159", 3.14159 },
    { "0.1", 0.1 }, { "0.30000000000000004", 0.1 + 0.2 }, { "123.456", 123.456 }, { "1e0", 1.0 }, { "1E0", 1.0 },
    { "1e2", 100.0 }, { "1E+2", 100.0 }, { "1e+2", 100.0 }, { "1e-2", 0.01 }, { "1.5e3", 1500.0 }, { "0e0", 0.0 },
    { "0e99999", 0.0 }, { "0.0e-99999", 0.0 }, { "1e22", 1e22 }, { "1e23", 1e23 }, { "1e-22", 1e-22 },
    { "123e-2", 1.23 }, { "1.7976931348623157e308", 1.7976931348623157e308 }, { "5e-324", 5e-324 },
    { "2.2250738585072014e-308", 2.2250738585072014e-308 }, { "1e-400", 0.0 }, { "-1e-400", -0.0 },
    { "0.000001", 1e-6 }, { "1e00002", 100.0 }, { "1" .. ("0"):rep(30) .. "e-30", 1.0 },
    { "0." .. ("0"):rep(30) .. "1e31", 1.0 }, { "9007199254740993.0", 9007199254740992.0 },
    { "0.1" .. ("0"):rep(400), 0.1 }, { "7.038531e-26", 7.038531e-26 }, { "8.5", 8.5 },
    { "2.2250738585072011e-308", 2.2250738585072011e-308 }, { "9.5367431640625e-7", 9.5367431640625e-7 },
  }
  for _, case in ipairs(reals) do
    t:equal(case[1], json.decode(case[1]), case[2])
    t:equal(case[1] .. " in an object", json.decode('{"a":' .. case[1] .. " }").a, case[2])
  end
end

local function zeros(json, t)
  t:equal("0", json.decode("0"), 0)
  t:equal("-0.0", json.decode("-0.0"), -0.0)
  t:equal("-0e0", json.decode("-0e0"), -0.0)
  t:check("-0", json.decode("-0") == 0)
  t:equal("0 encodes", json.encode(0), "0")
  t:equal("-0.0 encodes", json.encode(-0.0), "-0.0")
  t:equal("-0.0 comes back", 1 / json.decode(json.encode(-0.0)), -math.huge)
end

local function sixty_four_bits(json, t)
  if not t.integers then
    t:equal("2^53 + 1 becomes the nearest double", json.decode("9007199254740993"), 2 ^ 53)
    t:equal("2^63 - 1 becomes the nearest double", json.decode("9223372036854775807"), 2 ^ 63)
    return
  end
  for _, text in ipairs({
    "9007199254740993", "-9007199254740993", "1152921504606846977", "9223372036854775806", "9223372036854775807",
    "-9223372036854775807", "-9223372036854775808", "1000000000000000000", "999999999999999999", "1234567890123456789",
  }) do
    local n = json.decode(text)
    t:equal(text .. " is an integer", math.type(n), "integer")
    t:equal(text .. " prints", tostring(n), text)
    t:equal(text .. " encodes", json.encode(n), text)
    t:equal(text .. " as a key", json.encode({ [n] = 1 }), '{"' .. text .. '":1}')
  end
  t:equal("the least", json.encode(math.mininteger), "-9223372036854775808")
  t:equal("the greatest", json.encode(math.maxinteger), "9223372036854775807")
end

local function beyond(json, t)
  for _, case in ipairs({
    { "9223372036854775808", 2 ^ 63 }, { "-9223372036854775809", -2 ^ 63 }, { "18446744073709551615", 2 ^ 64 },
    { "18446744073709551616", 2 ^ 64 }, { "18446744073709551617", 2 ^ 64 }, { "100000000000000000000", 1e20 },
    { "-100000000000000000000", -1e20 }, { "12345678901234567890123", 12345678901234567890123.0 },
    { "1" .. ("0"):rep(308), 1e308 }, { "0.9223372036854775808e19", 2 ^ 63 }, { "18446744073709551614", 2 ^ 64 },
    { "18446744073709551609", 2 ^ 64 }, { "18446744073709551620", 2 ^ 64 },
  }) do
    t:equal(case[1], json.decode(case[1]), case[2])
    t:equal(case[1] .. " comes back", json.decode(json.encode(case[2])) + 0.0, case[2])
  end
  for _, text in ipairs({ "1e309", "-1e309", "1e400", "1e999999999999999999999", "2e308", ("9"):rep(400) }) do
    t:raises(text, "this number is too large", json.decode, text)
  end
end

local function whole(json, t)
  for _, case in ipairs({
    { 1.0, "1" }, { -1.0, "-1" }, { 100.0, "100" }, { 1e15, "1000000000000000" }, { 2 ^ 53, "9007199254740992" },
    { -2 ^ 53, "-9007199254740992" }, { 2 ^ 62, "4611686018427387904" }, { -2 ^ 63, "-9223372036854775808" },
    { 2 ^ 63, "9.223372036854776e+18" }, { 1e20, "1e+20" }, { 1e100, "1e+100" }, { 4 / 2, "2" },
  }) do
    t:equal(case[2], json.encode(case[1]), case[2])
    t:equal(case[2] .. " in a table", json.encode({ case[1] }), "[" .. case[2] .. "]")
    t:check(case[2] .. " comes back", json.decode(case[2]) == case[1])
  end
end

local function shortest(json, t)
  for _, text in ipairs({
    "0.1", "0.2", "0.3", "0.5", "1.5", "3.14", "-3.14", "19.99", "0.07", "1234.5678", "0.30000000000000004", "1.1",
    "2.2", "3.3", "0.6000000000000001", "0.0001", "0.00012345", "123456789.125", "4503599627370495.5", "1e-5", "1e-7",
    "1.5e-7", "5e-324", "2.2250738585072014e-308", "1.7976931348623157e+308", "-1.7976931348623157e+308", "1e+22",
    "1.2345678901234567e+30", "0.3333333333333333", "0.6666666666666666", "2.718281828459045", "3.141592653589793",
    "9.5367431640625e-7", "0.0009765625", "1.0000000000000002", "0.9999999999999999", "100.00000000000001",
    "0.1234567890123456", "987654321.1234567", "8.41", "5.0e-1", "2.5", "1e-300", "0.00025", "70.1", "99.99",
  }) do
    local n = tonumber(text)
    local expected = text == "5.0e-1" and "0.5" or text
    t:equal(text, json.encode(n), expected)
    t:equal(text .. " comes back", json.decode(json.encode(n)), n)
  end
end

-- A generator of our own, so that all engines see the same numbers.
local function random(seed)
  return function()
    seed = (seed * 16807) % 2147483647
    return seed / 2147483647
  end
end

local function round_trips(json, t)
  local next_number = random(20240521)
  for i = 1, 1000 do
    local n = (next_number() + next_number() / 2147483647) * 10 ^ (i % 37 - 18)
    local text = json.encode(n)
    t:equal(text, json.decode(text) + 0.0, n)
    local digits = text:gsub("e.*", ""):gsub("[%.%-]", ""):gsub("^0+", "")
    t:check(text .. " is short", #digits <= (n == math.floor(n) and 19 or 17))
    local cents = math.floor(next_number() * 1e7) / 100
    local plain = ("%.2f"):format(cents):gsub("0+$", ""):gsub("%.$", "")
    t:equal(plain, json.encode(cents), plain)
  end
end

local function locales(json, t)
  local before = os.setlocale(nil, "numeric")
  for _, name in ipairs({ "C", "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fa_IR.UTF-8" }) do
    os.setlocale(name, "numeric") -- which may not be installed: then as before
    t:equal("encode, " .. name, json.encode({ 0.5, 1e-7, 1.5e300 }), "[0.5,1e-7,1.5e+300]")
    t:equal("decode, " .. name, json.decode("[0.5,1e-30,1.5e300]"), { 0.5, 1e-30, 1.5e300 })
  end
  os.setlocale(before, "numeric")
end

return {
  { "decodes integers and doubles", decodes },
  { "tells the zeros apart", zeros },
  { "keeps integers to 64 bits", sixty_four_bits },
  { "makes doubles of larger integers, and refuses what no double holds", beyond },
  { "encodes whole doubles without a fraction", whole },
  { "encodes doubles in their shortest form", shortest },
  { "brings a thousand doubles back as they were", round_trips },
  { "does not depend on the locale", locales },
}
