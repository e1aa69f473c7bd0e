-- luaserve.store in one process: what its functions answer, what they refuse,
-- how entries expire and give way.
local helper = require("spec.helper")

--- Runs the code, which knows `hits`, a store, and show(...), which prints values
--- on a line; returns the lines.
local function run(code, opts)
  local result = helper.run([[
local store = require "luaserve.store"
local json, timers = require "json", require "timers"
local hits = assert(store.open("hits"))
local function show(...)
  local texts = {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    texts[i] = type(value) == "table" and json.encode(value, { sort = true }) or tostring(value)
  end
  print(table.concat(texts, " | "))
end
]] .. code, opts)
  assert.are.equal("", result.err)
  assert.are.equal(0, result.code)
  return result.out
end

describe("a store", function()
  it("keeps strings, numbers, booleans and tables within each other", function()
    assert.are.equal([[
true
text | 12 | -3 | 0.5 | true | false
{"a":[1,2,{"b":"c"}],"n":9007199254740993} | integer
five | half | 3
10000 bytes again
]], run([[
show(hits:set("s", "text"))
hits:set("i", 12); hits:set("m", -3); hits:set("f", 0.5); hits:set("t", true); hits:set("u", false)
show(hits:get("s"), hits:get("i"), hits:get("m"), hits:get("f"), hits:get("t"), hits:get("u"))
local big = math.type and 9007199254740993 or 9007199254740992
hits:set("table", { a = { 1, 2, { b = "c" } }, n = big })
local value = hits:get("table")
show((json.encode(value, { sort = true }):gsub("740992", "740993")), math.type and math.type(value.n) or "integer")
hits:set("keys", { [5] = "five", [0.5] = "half", [true] = 3 })
local keys = hits:get("keys")
show(keys[5], keys[0.5], keys[true])
hits:set("bytes", ("\0\255x"):rep(3333) .. "!")
show(#hits:get("bytes") .. " bytes " .. (hits:get("bytes") == ("\0\255x"):rep(3333) .. "!" and "again" or "other"))
]]))
  end)

  it("keeps json.null and empty arrays", function()
    assert.are.equal('{"a":[],"n":null,"o":{}}\n', run([[
hits:set("x", { a = json.array {}, n = json.null, o = {} })
show(hits:get("x"))
]]))
  end)

  it("adds what is not there, replaces what is, and says which", function()
    assert.are.equal("nil\ntrue | false | 1\nfalse | true | 3\ntrue | false | nil\n", run([[
show(hits:get("a"))
show(hits:add("a", 1), hits:add("a", 2), hits:get("a"))
show(hits:replace("b", 3), hits:replace("a", 3), hits:get("a"))
show(hits:delete("a"), hits:delete("a"), hits:get("a"))
]]))
  end)

  it("counts, from nothing, in whole numbers and others", function()
    assert.are.equal("1 | 42 | 40 | 40.5\nnil | the value is not a number | EINVAL\ntext\n", run([[
show(hits:incr("n"), hits:incr("n", 41), hits:incr("n", -2), hits:incr("n", 0.5))
hits:set("s", "text")
show(hits:incr("s"))
show(hits:get("s"))
]]))
  end)

  it("changes an entry by a function, which may remove it", function()
    assert.are.equal('{"n":1}\n{"n":2}\nnil | false\n', run([[
local function more(value)
  return { n = (value and value.n or 0) + 1 }
end
show(hits:update("u", more))
show(hits:update("u", more))
show(hits:update("u", function() end), hits:delete("u"))
]]))
  end)

  it("calls the function of an update again where another write was faster", function()
    assert.are.equal("111 | 2\n", run([[
local calls = 0
hits:set("n", 1)
hits:update("n", function(value)
  calls = calls + 1
  if calls == 1 then hits:incr("n", 100) end
  return value + 10
end)
show(hits:get("n"), calls)
]]))
  end)

  it("lists keys by their beginning, sorted, counts and clears them", function()
    assert.are.equal('["a","user:1","user:2","v"] | 4\n["user:1","user:2"] | []\ntrue | 0 | {}\n', run([[
for _, key in ipairs { "v", "user:2", "a", "user:1" } do hits:set(key, 1) end
show(json.array(hits:keys()), hits:count())
show(json.array(hits:keys("user:")), json.array(hits:keys("w")))
show(hits:clear(), hits:count(), hits:keys())
]]))
  end)

  it("has tables of other names for other things", function()
    assert.are.equal("1 | 2\ntrue\n", run([[
local other = store.open("other")
hits:set("k", 1); other:set("k", 2)
show(hits:get("k"), other:get("k"))
show(require "store" == store)
]]))
  end)

  it("is a file of the script's own where that is called store.lua", function()
    assert.are.equal("mine\n", run('print((require "store"))', { files = { ["store.lua"] = "return 'mine'" } }))
  end)
end)

describe("an entry with a time to live", function()
  it("is gone when it has passed, for every function", function()
    assert.are.equal([[
1 | true | true
nil | nil | [] | 0
false | false | false
5
true | 6
]], run([[
hits:set("a", 1, 0.03)
local ttl = hits:ttl("a")
show(hits:get("a") or 1, ttl == nil or ttl <= 0.03, hits:set("a", 1, 0.03))
while hits:get("a") do timers.sleep(5) end
show(hits:get("a"), hits:ttl("a"), json.array(hits:keys()), hits:count())
show(hits:replace("a", 1), hits:delete("a"), hits:touch("a", 5))
show(hits:incr("a", 5))
hits:set("b", 1, 0.001)
while hits:get("b") do timers.sleep(1) end
show(hits:add("b", 6), hits:get("b"))
]], { env = {} }))
  end)

  it("keeps its time where it is counted or updated, loses it where it is set", function()
    assert.are.equal("true | true | true | inf | nil\n", run([[
hits:incr("n", 1, 100)
hits:incr("n", 1, 5000)
local counted = hits:ttl("n")
hits:update("n", function(n) return n + 1 end)
local updated = hits:ttl("n")
hits:update("n", function(n) return n + 1, 1000 end)
local longer = hits:ttl("n")
hits:set("n", 1)
show(counted > 0 and counted <= 100, updated <= 100, longer > 100, hits:ttl("n"), hits:ttl("none"))
]]))
  end)

  it("lives longer when it is touched", function()
    assert.are.equal("true | true | value | inf\n", run([[
hits:set("a", "value", 10)
show(hits:touch("a", 1000), hits:ttl("a") > 10, hits:get("a"), hits:touch("a") and hits:ttl("a"))
]]))
  end)

  it("is swept away, without anybody asking for it", function()
    assert.are.equal("1000 rows are swept, 50 stay\n", run([[
local core = require "luaserve.core.store"
for i = 1, 1000 do hits:set("gone" .. i, i, 0.001) end
for i = 1, 50 do hits:set("stays" .. i, i, 1000) end
while core.rows(hits) > 50 do timers.sleep(10) end
print("1000 rows are swept, " .. hits:count() .. " stay")
]]))
  end)
end)

describe("a full store", function()
  it("loses what was written longest ago, and refuses nothing", function()
    assert.are.equal("true | true | true\n", run([[
local small = store.open("small", { maxBytes = 256 * 1024 })
local fine, n = true, 20000
for i = 1, n do fine = fine and small:set("key" .. i, ("v"):rep(100)) end
local kept = 0
while small:get("key" .. (n - kept)) do kept = kept + 1 end
show(fine, kept > 500 and kept < 2500, small:count() == kept)
]]))
  end)

  it("does so across its tables, whatever the size of what comes", function()
    assert.are.equal("true | true | true | 0\n", run([[
local many, few = store.open("many"), store.open("few")
local fine = true
for i = 1, 60000 do fine = fine and many:set("key" .. i, ("v"):rep(i % 300)) end
for i = 1, 300 do fine = fine and few:set("big" .. i, ("v"):rep(i * 400)) end
show(fine, few:get("big300") == ("v"):rep(300 * 400), few:get("big1") == nil and many:get("key1") == nil, many:count())
]], { args = { "--store-size", "4M", "--cpu-budget", "0" }, timeout = 60 }))
  end)

  it("is empty when it was cleared", function()
    assert.are.equal("0 | true\n", run([[
for i = 1, 30000 do hits:set("key" .. i, ("v"):rep(i % 300)) end
hits:clear()
show(hits:count(), hits:set("a", ("v"):rep(100000)))
]], { args = { "--store-size", "4M", "--cpu-budget", "0" }, timeout = 60 }))
  end)
end)

describe("a store refuses", function()
  it("what cannot be kept, and says where it is", function()
    local out = run([[
local function try(...) show(select(2, pcall(hits.set, hits, "k", ...))) end
try(print)
try({ a = { b = { 1, coroutine.create(print) } } })
local circle = {}
circle.again = circle
try(circle)
try(nil)
try({ [{}] = 1 })
show(hits:get("k"))
show(select(2, pcall(function() hits:update("k", function() return print end) end)))
]])
    assert.truthy(out:find("store: a function cannot be kept; it holds strings, numbers, booleans and tables", 1, true))
    assert.truthy(out:find("a coroutine at .a.b[2] cannot be kept", 1, true))
    assert.truthy(out:find("a table within itself, or within too many others, at ....again.again", 1, true))
    assert.truthy(out:find("nil cannot be kept; use delete", 1, true))
    assert.truthy(out:find("a table as a key at .? cannot be kept", 1, true))
    assert.matches("nil\n[^\n]*app.lua:%d+: store: a function[^\n]*\n$", out)
  end)

  it("keys and values that are too big, with a code", function()
    assert.are.equal([[
nil | a key of the store has 1 to 500 bytes, not 501 | E2BIG
nil | a key of the store has 1 to 500 bytes, not 0 | E2BIG
nil | the value has 2000004 bytes, and this store takes 1048576; a bigger file (--store-size) or maxBytes takes more | E2BIG
true
]], run([[
show(hits:get(("k"):rep(501)))
show(hits:set("", 1))
show(hits:set("k", ("v"):rep(2000000)))
show(hits:set(("k"):rep(500), ("v"):rep(1000000)))
]]))
  end)

  it("wrong arguments, naming what they may be", function()
    local out = run([[
local function try(fn, ...) print(select(2, pcall(fn, ...))) end
try(hits.get, hits, {})
try(hits.set, hits, "k", 1, 0)
try(hits.set, hits, "k", 1, "soon")
try(hits.update, hits, "k")
try(store.open, "no spaces")
try(store.open, ".hidden")
try(store.open, "x", { maxBytes = 5 })
try(store.open, "x", { size = 5 })
]])
    for _, text in ipairs { "a key of the store is a string or a number, not table",
     "a ttl is a number of seconds above 0",
      "number expected, got string", "store:update takes a key and a function", "letters, digits and . _ : -",
      "maxBytes of a store is at least 262144, not 5", "store.open has no option 'size'; there are: maxBytes" } do
      assert.truthy(out:find(text, 1, true), text .. " is not in " .. out)
    end
  end)

  it("more tables than it can have", function()
    assert.are.equal("nil | the store has 64 tables already; use one with keys that begin differently | ESTORE\n", run([[
for i = 1, 63 do assert(store.open("t" .. i)) end
show(store.open("t64"))
]]))
  end)
end)
