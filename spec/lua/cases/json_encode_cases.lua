-- What json.encode makes of tables, and what it refuses.

local function nested(n)
  local value = {}
  for _ = 2, n do value = { a = value } end
  return value
end

local function arrays(json, t)
  for _, case in ipairs({
    { { 1 }, "[1]" }, { { 1, 2, 3 }, "[1,2,3]" }, { { "a" }, '["a"]' }, { { true, false }, "[true,false]" },
    { { { 1 }, { 2 } }, "[[1],[2]]" }, { { {}, {} }, "[{},{}]" }, { { 1, { 2, { 3, {} } } }, "[1,[2,[3,{}]]]" },
    { { 1, "a", true, json.null, { b = 1 } }, '[1,"a",true,null,{"b":1}]' }, { { 0.5, -1 }, "[0.5,-1]" },
  }) do
    t:equal(case[2], json.encode(case[1]), case[2])
  end
  local backwards = {}
  for i = 10, 1, -1 do backwards[i] = i end
  t:equal("filled backwards", json.encode(backwards), "[1,2,3,4,5,6,7,8,9,10]")
  local holey = { 1, 2, 3, 4, 5, 6, 7, 8 }
  for i = 8, 5, -1 do holey[i] = nil end
  t:equal("shortened", json.encode(holey), "[1,2,3,4]")
  local renamed = { x = 1, y = 2, 10, 20 }
  renamed.x, renamed.y = nil, nil
  t:equal("names removed", json.encode(renamed), "[10,20]")
  local floats = {}
  for i = 1, 5 do floats[i * 1.0] = i end
  t:equal("whole keys", json.encode(floats), "[1,2,3,4,5]")
  local tables = {}
  for i = 5, 1, -1 do tables[i] = { i, { i } } end
  t:equal("tables, backwards", json.encode(tables), "[[1,[1]],[2,[2]],[3,[3]],[4,[4]],[5,[5]]]")
end

local function objects(json, t)
  local sort = { sort = true }
  for _, case in ipairs({
    { { a = 1 }, '{"a":1}' }, { { a = 1, b = 2 }, '{"a":1,"b":2}' }, { { [""] = 1 }, '{"":1}' },
    { { [2] = "b" }, '{"2":"b"}' }, { { [1] = "a", [3] = "c" }, '{"1":"a","3":"c"}' },
    { { [1] = "a", [1000] = "b" }, '{"1":"a","1000":"b"}' }, { { "a", "b", x = 1 }, '{"1":"a","2":"b","x":1}' },
    { { [0] = "z", "a" }, '{"0":"z","1":"a"}' }, { { [-1] = 1 }, '{"-1":1}' }, { { [1.5] = 1 }, '{"1.5":1}' },
    { { [1] = 1, [1.5] = 2 }, '{"1":1,"1.5":2}' }, { { [2 ^ 53] = 1 }, '{"9007199254740992":1}' },
    { { { 1, x = { 2, y = { 3, z = 4 } } }, w = 5 }, '{"1":{"1":1,"x":{"1":2,"y":{"1":3,"z":4}}},"w":5}' },
    { { a = json.null, b = json.array() }, '{"a":null,"b":[]}' },
    { { a = { b = { c = { 1 } } } }, '{"a":{"b":{"c":[1]}}}' },
    { { 1, nil, 3 }, '{"1":1,"3":3}' }, { { nil, 2 }, '{"2":2}' }, { { [0.1] = 1 }, '{"0.1":1}' },
  }) do
    t:equal(case[2], json.encode(case[1], sort), case[2])
    t:equal(case[2] .. " in a list", json.encode({ 0, case[1] }, sort), "[0," .. case[2] .. "]")
    t:equal(case[2] .. " unsorted", #json.encode(case[1]), #case[2])
  end
  local mixed = { 1, 2, 3 }
  mixed.x, mixed[4] = "x", 4
  t:equal("a name among indices", json.encode(mixed, sort), '{"1":1,"2":2,"3":3,"4":4,"x":"x"}')
end

-- Tables within each other that begin like arrays and are none: this must not
-- take twice as long with each level.
local function false_starts(json, t)
  local value, text = { 0, x = 1 }, '{"1":0,"x":1}'
  for i = 1, 200 do
    value, text = { value, x = i }, '{"1":' .. text .. ',"x":' .. i .. "}"
  end
  t:equal("200 levels", json.encode(value, { sort = true }), text)
  value, text = { 0, x = 1 }, '{"1":0,"x":1}'
  for _ = 1, 200 do
    value, text = { "a", value, value.x and { 1 } }, '["a",' .. text .. (value.x and ",[1]]" or "]")
  end
  t:equal("200 arrays around one", json.encode(value, { sort = true }), text)
end

local function sorted(json, t)
  local sort = { sort = true }
  local value = { b = 1, a = { z = 1, y = { 3, 2, 1 }, x = { d = 1, c = 2 } }, c = "" }
  t:equal("all levels", json.encode(value, sort), '{"a":{"x":{"c":2,"d":1},"y":[3,2,1],"z":1},"b":1,"c":""}')
  t:equal("bytes", json.encode({ a = 1, B = 2, ["\xc3\xa9"] = 3, _ = 4, [""] = 5, aa = 6, ["a b"] = 7 }, sort),
    '{"":5,"B":2,"_":4,"a":1,"a b":7,"aa":6,"\xc3\xa9":3}')
  t:equal("escapes do not count", json.encode({ ['"'] = 1, ["!"] = 2, ["#"] = 3 }, sort), '{"!":2,"\\"":1,"#":3}')
  t:equal("numbers as text", json.encode({ [10] = 1, [9] = 2, [100] = 3 }, sort), '{"10":1,"100":3,"9":2}')
  t:equal("one name twice", json.encode({ [7] = "number", ["7"] = "string" }, sort), '{"7":"number","7":"string"}')
  local many, parts = {}, {}
  for i = 1, 1000 do
    local name = ("k%04d"):format(i * 7 % 1000)
    many[name] = { b = i, a = name }
  end
  for i = 0, 999 do
    local name = ("k%04d"):format(i)
    parts[#parts + 1] = ('"%s":{"a":"%s","b":%d}'):format(name, name, many[name].b)
  end
  t:equal("a thousand", json.encode(many, sort), "{" .. table.concat(parts, ",") .. "}")
  t:equal("sort = false", json.encode({ a = 1 }, { sort = false }), '{"a":1}')
  t:equal("no options", json.encode({ a = 1 }, {}), '{"a":1}')
end

local function refuses(json, t)
  local self, there = { a = 1 }, { list = { {}, {} } }
  self.self = self
  there.list[2].back = there
  local co = coroutine.create(print)
  local CASES = {
    { print, "a function" }, { co, "a thread" }, { io.stdout, "a userdata" }, { 0 / 0, "NaN" }, { 1 / 0, "Infinity" },
    { -1 / 0, "-Infinity" }, { { print }, "a function at [1]" }, { { a = print }, "a function at .a" },
    { { users = { {}, {}, { callback = print } } }, "a function at .users[3].callback" },
    { { { { { co } } } }, "a thread at [1][1][1][1]" }, { { x = { 1, 2, 0 / 0 } }, "NaN at .x[3]" },
    { { ["odd name"] = print }, 'a function at ["odd name"]' }, { { ["1a"] = print }, 'a function at ["1a"]' },
    { { ["a\n\"b"] = print }, 'a function at ["a\\n\\"b"]' }, { { [""] = print }, 'a function at [""]' },
    { { [1.5] = print }, "a function at [1.5]" }, { { [5] = { a = print } }, "a function at [5].a" },
    { { 1, 2, x = 1, y = { print } }, "a function at .y[1]" }, { { 1, { 2, print }, 3 }, "a function at [2][2]" },
    { { [2] = print, [1] = 1, x = 1 }, "a function at [2]" }, { self, "a table that contains itself at .self" },
    { there, "a table that contains itself at .list[2].back" },
    { { { self } }, "a table that contains itself at [1][1].self" },
    { { a = { [true] = 1 } }, "a table with a key that is boolean at .a" },
    { { [print] = 1 }, "a table with a key that is function" },
    { { [{}] = 1 }, "a table with a key that is table" },
    { { b = { { [1 / 0] = 1 } } }, "a table with a key that is Infinity at .b[1]" },
    { { [-1 / 0] = 1 }, "a table with a key that is -Infinity" },
    { { [json.null] = 1 }, "a table with a key that is userdata" },
    { { a = { b = { c = { d = 1 / 0 } } } }, "Infinity at .a.b.c.d" },
    { { [("x"):rep(100)] = print }, "a function at ." .. ("x"):rep(64) },
  }
  for _, case in ipairs(CASES) do
    local ok, err = pcall(json.encode, case[1])
    t:equal(case[2] .. " is refused", ok, false)
    t:equal(case[2], err, "json: cannot encode " .. case[2])
    t:raises(case[2] .. ", sorted", "json: cannot encode " .. case[2], json.encode, case[1], { sort = true })
    t:equal(case[2] .. " leaves no trace", json.encode({ 1 }), "[1]")
  end
  local _, err = pcall(function()
    local text = json.encode(print)
    return text
  end)
  t:check("says where in the script", err:find("^.+:%d+: json: cannot encode a function$"), err)
end

local function depth(json, t)
  t:equal("1000 levels", #json.encode(nested(1000)), 999 * 6 + 2)
  local path = "..." .. (".a"):rep(16)
  t:raises("1001 levels", "json: cannot encode more than 1000 levels at " .. path, json.encode, nested(1001))
  t:raises("100000 levels", "more than 1000 levels", json.encode, nested(100000))
  local list = {}
  for _ = 1, 1000 do list = { list } end
  t:raises("1001 arrays", "more than 1000 levels at ...[1][1][1]", json.encode, list)
  local shared = { 1 }
  t:equal("one table twice is no cycle", json.encode({ shared, shared, { shared } }), "[[1],[1],[[1]]]")
end

-- A small value can stand for an endless text.
local function size(json, t)
  local bomb = { ("x"):rep(1000) }
  for _ = 1, 60 do bomb = { bomb, bomb } end
  t:raises("2^60 strings", "json: cannot encode more than 256 MiB at ", json.encode, bomb)
end

-- What is in the table, not what metamethods say about it.
local function metamethods(json, t)
  local function never() error("called") end
  local meta = { __index = never, __newindex = never, __pairs = never, __len = never, __tostring = never }
  t:equal("an object", json.encode(setmetatable({ a = 1 }, meta)), '{"a":1}')
  t:equal("a list", json.encode(setmetatable({ 1, 2 }, meta)), "[1,2]")
  t:equal("empty", json.encode(setmetatable({}, meta)), "{}")
  t:equal("an inherited field", json.encode(setmetatable({}, { __index = { a = 1 } })), "{}")
end

local function peers(json, t)
  local ok, cjson = pcall(require, "cjson")
  if not ok then return t:check("lua-cjson is not here", true) end
  t:equal("its null", json.encode({ cjson.null }), "[null]")
  t:equal("what it reads", cjson.decode(json.encode({ a = { 1.5, "\xc3\xa9\n" } })), { a = { 1.5, "\xc3\xa9\n" } })
  t:equal("what it writes", json.decode(cjson.encode({ a = { 1.5, "\xc3\xa9\n/" } })), { a = { 1.5, "\xc3\xa9\n/" } })
end

return {
  { "encodes sequences as arrays, however they were filled", arrays },
  { "encodes sparse and mixed tables as objects", objects },
  { "takes no longer for tables that only begin like arrays", false_starts },
  { "sorts members by their names when asked to", sorted },
  { "refuses what JSON does not have, and names the path", refuses },
  { "encodes 1000 levels and no more", depth },
  { "stops at a text of 256 MiB", size },
  { "ignores metamethods", metamethods },
  { "gets along with lua-cjson", peers },
}
