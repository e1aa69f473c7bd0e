-- Node's querystring. What is expected was taken from Node 20.

package.path = "lua/node/?.lua;" .. package.path

local querystring = require "querystring"

local unpack = table.unpack or rawget(_G, "unpack")

local function each(cases, check)
  for _, case in ipairs(cases) do check(unpack(case, 1, 4)) end
end

describe("querystring.parse", function()
  it("reads keys and values", function()
    each({
      { "", {} }, { "a=1", { a = "1" } }, { "a=1&b=2", { a = "1", b = "2" } },
      { "a=1&a=2&a=3", { a = { "1", "2", "3" } } }, { "a", { a = "" } }, { "a=", { a = "" } },
      { "=a", { [""] = "a" } }, { "=", { [""] = "" } }, { "&", {} }, { "a&b", { a = "", b = "" } },
      { "a=b=c", { a = "b=c" } }, { "&&a=1&&", { a = "1" } }, { "a+b=c+d", { ["a b"] = "c d" } },
      { "a%20b=%C3%A9", { ["a b"] = "é" } }, { "%2B=+", { ["+"] = " " } },
      { "%=%4&x=%zz", { ["%"] = "%4", x = "%zz" } }, { "a=%2", { a = "%2" } }, { "%26=%3D", { ["&"] = "=" } },
      { "__index=1&__gc=2&n=3", { __index = "1", __gc = "2", n = "3" } },
      { "1=a&2=b", { ["1"] = "a", ["2"] = "b" } }, { "a[]=1&a[]=2", { ["a[]"] = { "1", "2" } } },
      { "a=%00b", { a = "\000b" } }, { "a;b=1", { ["a;b"] = "1" } },
      { "hasOwnProperty=x", { hasOwnProperty = "x" } },
      { "constructor=1&toString=2", { constructor = "1", toString = "2" } },
    }, function(given, expected)
      assert.same(expected, querystring.parse(given))
    end)
  end)

  it("takes other separators", function()
    each({
      { "a:1;b:2", ";", ":", { a = "1", b = "2" } }, { "a=>1, b=>2", ", ", "=>", { a = "1", b = "2" } },
      { "a=1&b=2", "", "", { a = "1", b = "2" } }, { "a=1&b=2", ";", nil, { a = "1&b=2" } },
    }, function(given, sep, eq, expected)
      assert.same(expected, querystring.parse(given, sep, eq))
    end)
  end)

  it("stops after maxKeys pairs, empty ones counted", function()
    each({
      { "a=1&b=2&c=3", 2, { a = "1", b = "2" } }, { "a=1&&b=2", 2, { a = "1" } },
      { "a=1&b=2", 0, { a = "1", b = "2" } }, { "a=1&b=2", -1, { a = "1", b = "2" } },
    }, function(given, count, expected)
      assert.same(expected, querystring.parse(given, nil, nil, { maxKeys = count }))
    end)
  end)

  it("reads 1000 pairs unless told otherwise", function()
    local pairs_of_text = {}
    for i = 1, 1500 do pairs_of_text[i] = "k" .. i .. "=" .. i end
    local text = table.concat(pairs_of_text, "&")
    local parsed, all = querystring.parse(text), querystring.parse(text, nil, nil, { maxKeys = 0 })
    assert.equal("1000", parsed.k1000)
    assert.is_nil(parsed.k1001)
    assert.equal("1500", all.k1500)
  end)

  it("keeps names that Lua gives a meaning as plain data", function()
    local parsed = querystring.parse("__index=a&__newindex=b&__metatable=c&n=1&n=2")
    assert.is_nil(getmetatable(parsed))
    assert.equal("a", rawget(parsed, "__index"))
    assert.same({ "1", "2" }, parsed.n)
    assert.is_nil(parsed.other)
  end)

  it("gives an empty table for what is no string", function()
    assert.same({}, querystring.parse(nil))
    assert.same({}, querystring.parse(12))
    assert.same({}, querystring.parse({}))
  end)

  it("leaves bytes that are not UTF-8 as they are", function()
    assert.same({ a = "\228" }, querystring.parse("a=%E4"))
    assert.same({ a = "\228 " }, querystring.parse("a=\228+"))
  end)

  it("asks a decoder of the caller's own, and steps in where that raises", function()
    local function shout(text)
      if text == "bad%41" then error("no") end
      return text:upper()
    end
    assert.same({ A = "B%20C", badA = "X" },
      querystring.parse("a=b+c&bad%41=x", nil, nil, { decodeURIComponent = shout }))
  end)

  it("takes time in proportion to the length of the text", function()
    local started = os.clock()
    querystring.parse(("&"):rep(300000), nil, nil, { maxKeys = 0 })
    querystring.parse("a=" .. ("%"):rep(300000))
    querystring.parse(("a=1&"):rep(100000), nil, nil, { maxKeys = 0 })
    assert.is_true(os.clock() - started < 2)
  end)

  it("is decode, too", function()
    assert.equal(querystring.parse, querystring.decode)
  end)
end)

describe("querystring.escape", function()
  it("leaves what encodeURIComponent leaves", function()
    each({
      { "", "" }, { "abc", "abc" }, { "-_.!~*'()", "-_.!~*'()" }, { "a b", "a%20b" }, { "a+b", "a%2Bb" },
      { "é€😀", "%C3%A9%E2%82%AC%F0%9F%98%80" }, { "&=?/#%", "%26%3D%3F%2F%23%25" }, { "\000\127", "%00%7F" },
      { "\"<>[]{}|\\^`:;@$,", "%22%3C%3E%5B%5D%7B%7D%7C%5C%5E%60%3A%3B%40%24%2C" },
    }, function(given, expected)
      assert.equal(expected, querystring.escape(given))
    end)
  end)

  it("takes numbers and booleans as text", function()
    assert.equal("12", querystring.escape(12.0))
    assert.equal("1.5", querystring.escape(1.5))
    assert.equal("true", querystring.escape(true))
  end)
end)

describe("querystring.unescape", function()
  it("decodes once and leaves malformed escapes", function()
    each({
      { "", "" }, { "abc", "abc" }, { "a%20b", "a b" }, { "a+b", "a+b" }, { "%", "%" }, { "%4", "%4" },
      { "%zz", "%zz" }, { "%C3%A9", "é" }, { "%2525", "%25" }, { "%e2%82%ac%", "€%" }, { "%00", "\000" },
    }, function(given, expected)
      assert.equal(expected, querystring.unescape(given))
    end)
  end)

  it("gives back what escape took, byte by byte", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes)
    assert.equal(all, querystring.unescape(querystring.escape(all)))
  end)
end)

describe("querystring.stringify", function()
  it("writes keys and values", function()
    each({
      { {}, "" }, { { a = "1" }, "a=1" }, { { a = "x y", b = "é&=" }, "a=x%20y&b=%C3%A9%26%3D" },
      { { a = { "1", "2" }, b = "c" }, "a=1&a=2&b=c" }, { { a = "" }, "a=" },
      { { a = true, b = false, c = 1.5, d = 12, e = 0 / 0, f = 1 / 0 }, "a=true&b=false&c=1.5&d=12&e=&f=" },
      { { ["a b"] = "c" }, "a%20b=c" },
    }, function(given, expected)
      assert.equal(expected, querystring.stringify(given))
    end)
  end)

  it("writes positions in order, then keys sorted", function()
    assert.equal("1=x&2=y&a=1&b=2&c=3", querystring.stringify({ "x", "y", c = 3, b = 2, a = 1 }))
    local many = {}
    for i = 1, 12 do many[i] = i end
    assert.equal("1=1&2=2&3=3&4=4&5=5&6=6&7=7&8=8&9=9&10=10&11=11&12=12", querystring.stringify(many))
  end)

  it("takes other separators", function()
    assert.equal("a:1;b:2;b:3", querystring.stringify({ a = 1, b = { 2, 3 } }, ";", ":"))
    assert.equal("a=1&b=2", querystring.stringify({ a = 1, b = 2 }, "", ""))
  end)

  it("leaves out empty arrays, and writes nothing for what has no text", function()
    assert.equal("b=1", querystring.stringify({ a = {}, b = 1 }))
    assert.equal("a=&b=", querystring.stringify({ a = { x = 1 }, b = print }))
    assert.equal("", querystring.stringify(nil))
    assert.equal("", querystring.stringify("a=1"))
  end)

  it("writes numbers as JavaScript does", function()
    assert.equal("n=3", querystring.stringify({ n = 3.0 }))
    assert.equal("n=0.1", querystring.stringify({ n = 0.1 }))
    assert.equal("n=0.30000000000000004", querystring.stringify({ n = 0.1 + 0.2 }))
    assert.equal("n=9007199254740991", querystring.stringify({ n = 9007199254740991 }))
    assert.equal("n=-7", querystring.stringify({ n = -7 }))
  end)

  it("asks an encoder of the caller's own", function()
    assert.equal("[a]=[b c]", querystring.stringify({ a = "b c" }, nil, nil, {
      encodeURIComponent = function(text) return "[" .. text .. "]" end,
    }))
  end)

  it("writes what parse reads back", function()
    local given = { a = "1", ["k =&+%"] = { "é", "", "\0" }, ["__index"] = "x" }
    assert.same(given, querystring.parse(querystring.stringify(given)))
  end)

  it("is encode, too", function()
    assert.equal(querystring.stringify, querystring.encode)
  end)
end)
