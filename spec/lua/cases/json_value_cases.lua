-- json.decode of what is valid, arrays and objects, and what survives a round
-- trip (RFC 8259 2 to 5).

local function repeated(open, close, n) return open:rep(n) .. close:rep(n) end

local function words(json, t)
  t:equal("true", json.decode("true"), true)
  t:equal("false", json.decode("false"), false)
  t:check("null", json.decode("null") == json.null)
  t:equal("a string", json.decode('"a"'), "a")
  t:equal("a number", json.decode("17"), 17)
end

-- RFC 8259 2: any of four characters, before and after every token.
local function white_space(json, t)
  for _, space in ipairs({ " ", "\t", "\n", "\r", "\r\n", " \t\r\n ", (" "):rep(1000) }) do
    local tokens = { "", "{", '"a"', ":", "[", "1", ",", "true", "]", ",", '"b"', ":", "{", "}", "}", "" }
    t:equal(space, json.decode(table.concat(tokens, space)), { a = { 1, true }, b = {} })
    t:equal(space .. "in empty ones", json.decode("[" .. space .. "]"), {})
    t:equal(space .. "around a word", json.decode(space .. "false" .. space), false)
  end
end

local function arrays(json, t)
  local cases = {
    { "[]", {} }, { "[1]", { 1 } }, { "[1,2]", { 1, 2 } }, { '["a","b"]', { "a", "b" } },
    { "[true,false]", { true, false } }, { "[[]]", { {} } }, { "[[],[]]", { {}, {} } },
    { "[[1],[2,[3]]]", { { 1 }, { 2, { 3 } } } }, { "[{},{}]", { {}, {} } }, { '[{"a":[]}]', { { a = {} } } },
    { "[null]", { json.null } }, { "[1,null,3]", { 1, json.null, 3 } }, { "[null,null]", { json.null, json.null } },
  }
  for _, case in ipairs(cases) do t:equal(case[1], json.decode(case[1]), case[2]) end
  for _, n in ipairs({ 31, 32, 33, 63, 64, 65, 127, 500, 5000 }) do
    local list = {}
    for i = 1, n do list[i] = i end
    local text = "[" .. table.concat(list, ",") .. "]"
    t:equal(n .. " items", json.decode(text), list)
    t:equal(n .. " items, length", #json.decode(text), n)
    t:equal(n .. " items, again", json.encode(json.decode(text)), text)
  end
end

local function objects(json, t)
  local cases = {
    { "{}", {} }, { '{"a":1}', { a = 1 } }, { '{"a":1,"b":2}', { a = 1, b = 2 } }, { '{"":1}', { [""] = 1 } },
    { '{"a":{"b":{"c":[]}}}', { a = { b = { c = {} } } } }, { '{"a":null}', { a = json.null } },
    { '{"1":"one"}', { ["1"] = "one" } }, { '{"a b":1}', { ["a b"] = 1 } }, { '{"a\\nb":1}', { ["a\nb"] = 1 } },
    { '{"\\u0061":1}', { a = 1 } }, { '{"a\\u0000b":1}', { ["a\0b"] = 1 } },
    { '{"\xc3\xa9":1}', { ["\xc3\xa9"] = 1 } },
  }
  for _, case in ipairs(cases) do t:equal(case[1], json.decode(case[1]), case[2]) end
  for _, n in ipairs({ 31, 32, 33, 64, 65, 500, 5000 }) do
    local parts, expected = {}, {}
    for i = 1, n do
      parts[i] = ('"k%d":[%d]'):format(i, i)
      expected["k" .. i] = { i }
    end
    t:equal(n .. " members", json.decode("{" .. table.concat(parts, ",") .. "}"), expected)
  end
end

-- Names that mean something elsewhere are only names; the last of two wins.
local function names(json, t)
  for _, name in ipairs({ "__index", "__newindex", "__gc", "__proto__", "__metatable", "__len", "n", "constructor" }) do
    local value = json.decode('{"' .. name .. '":{"a":1}}')
    t:equal(name, value, { [name] = { a = 1 } })
    t:check(name .. " sets no metatable", getmetatable(value) == nil)
    t:equal(name .. " again", json.decode(json.encode(value)), value)
  end
  t:equal("twice", json.decode('{"a":1,"a":2}'), { a = 2 })
  t:equal("thrice", json.decode('{"a":1,"b":0,"a":2,"a":[3]}'), { a = { 3 }, b = 0 })
  t:equal("twice, escaped", json.decode('{"a":1,"\\u0061":2}'), { a = 2 })
  t:check("then null", json.decode('{"a":1,"a":null}').a == json.null)
  local parts = {}
  for i = 1, 100 do parts[i] = ('"a":%d'):format(i) end
  t:equal("a hundred times", json.decode("{" .. table.concat(parts, ",") .. "}"), { a = 100 })
end

local function empty_ones(json, t)
  local texts = { "[]", "{}", "[[]]", "[{}]", "[[],{},[]]", '{"a":[]}', '{"a":{}}', '[[[{}]],{"a":[]}]', "[[[]]]" }
  for _, text in ipairs(texts) do
    t:equal(text, json.encode(json.decode(text)), text)
  end
  t:equal("a plain table", json.encode({}), "{}")
  local list = json.decode('{"tags":["a"]}')
  table.remove(list.tags)
  t:equal("an array that became empty", json.encode(list), '{"tags":[]}')
  local object = json.decode('{"a":1}')
  object.a = nil
  t:equal("an object that became empty", json.encode(object), "{}")
end

local function null(json, t)
  t:check("is truthy", json.null and true or false)
  t:equal("prints", tostring(json.null), "null")
  t:check("is itself", json.null == json.null)
  t:equal("encodes", json.encode(json.null), "null")
  t:equal("in a table", json.encode({ json.null }), "[null]")
  t:equal("nil too", json.encode(nil), "null")
  t:check("is the decoded one", json.decode("[null]")[1] == json.null)
  t:check("is no table", type(json.null) ~= "table")
end

local function marks(json, t)
  t:equal("array() is empty", json.encode(json.array()), "[]")
  t:equal("array({})", json.encode(json.array({})), "[]")
  t:equal("array{1,2}", json.encode(json.array({ 1, 2 })), "[1,2]")
  local list = {}
  t:check("array(t) is t", json.array(list) == list)
  t:check("twice is as once", json.array(list) == list)
  t:equal("in an object", json.encode({ a = list }), '{"a":[]}')
  t:equal("with a name it is an object", json.encode(json.array({ a = 1 })), '{"a":1}')
  t:raises("array(1)", "table expected", json.array, 1)
  t:raises("another metatable", "the table has a metatable already", json.array, setmetatable({}, {}))
  t:equal("isArray: decoded", json.isArray(json.decode("[1]")), true)
  t:equal("isArray: decoded and empty", json.isArray(json.decode("[]")), true)
  t:equal("isArray: plain", json.isArray({ 1, 2 }), true)
  t:equal("isArray: plain and empty", json.isArray({}), false)
  t:equal("isArray: object", json.isArray({ a = 1 }), false)
  t:equal("isArray: mixed", json.isArray({ 1, a = 1 }), false)
  t:equal("isArray: sparse", json.isArray({ [2] = 1 }), false)
  t:equal("isArray: marked, with a name", json.isArray(json.array({ a = 1 })), false)
  t:equal("isArray: a string", json.isArray("[]"), false)
  t:equal("isArray: null", json.isArray(json.null), false)
end

local function depth(json, t)
  for _, n in ipairs({ 1, 2, 23, 24, 25, 31, 33, 999, 1000 }) do
    local text = repeated("[", "]", n)
    t:equal(n .. " arrays", json.encode(json.decode(text)), text)
    text = ('{"a":'):rep(n) .. "1" .. ("}"):rep(n)
    t:equal(n .. " objects", json.encode(json.decode(text)), text)
  end
  local wide = "[1,2,3,4,5,6,7,8,9,"
  local text = wide:rep(999) .. "[]" .. ("]"):rep(999)
  t:equal("deep and wide", json.encode(json.decode(text)), text)
  t:raises("1001 arrays", "line 1 column 1001: more than 1000 levels", json.decode, repeated("[", "]", 1001))
  t:raises("1001 objects", "more than 1000 levels", json.decode, ('{"a":'):rep(1001) .. "1" .. ("}"):rep(1001))
  t:raises("a million arrays", "more than 1000 levels", json.decode, ("["):rep(1000000))
  t:equal("many, not deep", #json.decode("[" .. ("[[[]]],"):rep(2000) .. "0]"), 2001)
end

-- Every cut of a document is an error; every insertion of spaces is not.
local function cuts(json, t)
  local text = '{"a":[1,-2.5e3,"x\\u00e9\\n\xc3\xa9",true,false,null,{}],"b":{"c":[]}}'
  local whole = json.encode(json.decode(text), { sort = true })
  for i = 0, #text - 1 do
    t:check("cut at " .. i, not pcall(json.decode, text:sub(1, i)))
    t:check("cut before " .. i + 1, i == 0 or not pcall(json.decode, text:sub(i + 1)))
  end
  for i in text:gmatch("()[%[%]{}:,]") do
    local spaced = text:sub(1, i - 1) .. " \n" .. text:sub(i, i) .. "\t\r" .. text:sub(i + 1)
    t:equal("spaces at " .. i, json.encode(json.decode(spaced), { sort = true }), whole)
  end
end

-- The collector at its most eager must not find anything half made. On LuaJIT
-- that is a whole collection for each allocation.
local function eager(json, t)
  collectgarbage()
  local pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 100000)
  for i = 1, 20 do
    local value = { i, { name = "n" .. i, list = { "a" .. i, 0.25 + i }, ["k" .. i] = ("\n"):rep(600) .. i } }
    local back = json.decode(json.encode(value))
    t:equal("value " .. i, back, value)
    t:equal("text " .. i, json.encode(back, { sort = true }), json.encode(value, { sort = true }))
  end
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", step)
end

-- A finalizer that encodes may run in the midst of encode.
local function finalizers(json, t)
  if not t.integers then return t:check("tables have no finalizer on LuaJIT", true) end
  local done = 0
  local meta = { __gc = function() done = done + #json.encode({ a = { "finalized" } }) end }
  for i = 1, 2000 do
    setmetatable({}, meta)
    local text = json.encode({ i, "x" })
    if text ~= "[" .. i .. ',"x"]' then t:equal("text " .. i, text, "") end
  end
  collectgarbage()
  t:check("they ran", done > 0)
end

return {
  { "decodes words, strings and numbers as whole texts", words },
  { "allows white space around every token", white_space },
  { "decodes arrays", arrays },
  { "decodes objects", objects },
  { "takes every name as plain data, and the last of several", names },
  { "keeps [] and {} apart in a round trip", empty_ones },
  { "has a null that is truthy and prints as null", null },
  { "marks tables as arrays", marks },
  { "goes 1000 levels deep and no further", depth },
  { "refuses every cut of a document", cuts },
  { "works while garbage is collected all the time", eager },
  { "can be called by a finalizer while it works", finalizers },
}
