-- The global console: lines of the log, and how values look in them.

local helper = require("spec.helper")

-- The log of a script, without the times in front of its lines.
local function log(code, opts)
  local result = helper.run(code, opts)
  assert.equal(0, result.code)
  return (result.err:gsub("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ ", ""))
end

-- What console.log makes of its arguments, given as Lua code.
local function logged(arguments)
  return (log("console.log(" .. arguments .. ")"):gsub("^info: ", ""):gsub("\n$", ""))
end

describe("console", function()
  it("logs at the level of its function", function()
    assert.equal("info: a\ninfo: b\nwarn: c\nerror: d\n", log([[
      console.log("a") console.info("b") console.warn("c") console.error("d") console.debug("e")
    ]]))
  end)

  it("logs debug where the log does", function()
    assert.matches("debug: e\n", log([[console.debug("e")]], { args = { "--log-level", "debug" } }))
  end)

  it("logs nothing on standard output", function()
    assert.equal("", helper.run([[console.log("a")]]).out)
  end)

  it("puts a space between its arguments, nil among them", function()
    assert.equal("a 1 nil true 1.5", logged([["a", 1, nil, true, 1.5]]))
    assert.equal("nil nil", logged("nil, nil"))
    assert.equal("", logged(""))
  end)

  it("fills in a format", function()
    assert.equal("kim has 3 of 4", logged([["%s has %d of %i", "kim", 3, 4.7]]))
    assert.equal('{"a":1} { a = 1 } more', logged([["%j %o", { a = 1 }, { a = 1 }, "more"]]))
    assert.equal("100%% %d %x", logged([["100%% %d %x"]]))
    assert.equal("%x 1", logged([["%x", 1]]))
    assert.equal("100% 5 %d", logged([["%d%% %s %d", 100, 5]]))
    assert.equal("NaN 2.5", logged([["%d %f", "x", 2.5]]))
  end)

  it("keeps a text of several lines one entry", function()
    assert.equal("info: a\n\tb\n", log([[console.log("a\nb")]]))
  end)

  it("shows an error as its message", function()
    assert.equal("error: failed: ENOENT: no such file or directory, open 'x'\n", log([[
      local ok, err = pcall(require("fs").readFileSync, "x")
      console.error("failed:", err)
    ]]))
  end)

  it("asserts without raising", function()
    assert.equal("error: Assertion failed\nerror: Assertion failed: a 1\ninfo: on\n", log([[
      console.assert(true, "no")
      console.assert(false)
      console.assert(nil, "a", 1)
      console.log("on")
    ]]))
  end)

  it("traces where it is called", function()
    assert.matches("^error: Trace: here\n\tstack traceback:\n\t[^\n]*app%.lua:1: in ", log([[console.trace("here")]]))
  end)

  it("counts and takes the time", function()
    local text = log([[
      console.count() console.count("a") console.count() console.countReset() console.count()
      console.time("t") console.timeLog("t", "so far", { 1 }) console.timeEnd("t") console.timeEnd("t")
    ]])
    assert.matches("^info: default: 1\ninfo: a: 1\ninfo: default: 2\ninfo: default: 1\n", text)
    assert.matches("\ninfo: t: [%d.]+ms so far { 1 }\ninfo: t: [%d.]+ms\n", text)
    assert.matches("\nwarn: no console.time%('t'%) was called\n$", text)
  end)
end)

describe("a table in the log", function()
  it("is shown with its keys in order", function()
    assert.equal("{}", logged("{}"))
    assert.equal('{ 1, 2, "x" }', logged('{ 1, 2, "x" }'))
    assert.equal('{ 1, 2, [5] = 5, a = 1, ["b c"] = 2, ["end"] = 3, [true] = false }',
      logged('{ 1, 2, [5] = 5, ["b c"] = 2, a = 1, ["end"] = 3, [true] = false }'))
  end)

  it("is shown two tables deep", function()
    assert.equal("{ a = { b = { c = [table] } } }", logged("{ a = { b = { c = { d = 1 } } } }"))
    assert.equal("info: { a = { b = [table] } }\n",
      log("console.dir({ a = { b = { c = 1 } } }, { depth = 1 })"))
  end)

  it("that holds itself is shown once", function()
    assert.equal("info: { next = [Circular] }\n", log("local t = {} t.next = t console.log(t)"))
    assert.equal("info: { {}, {} }\n", log("local t = {} console.log({ t, t })"))
  end)

  it("shows texts quoted, functions by name of their kind", function()
    assert.equal([[{ "a\"b\\\n\000\027", print = [function] }]],
      logged([[{ "a\"b\\\n\0\27", print = print }]]))
  end)

  it("has a line for each entry where it is long", function()
    local word = ("x"):rep(40)
    local expected = "info: {\n\t  a = %q,\n\t  b = {\n\t    c = %q,\n\t    d = %q\n\t  }\n\t}\n"
    assert.equal(expected:format(word, word, word),
      log(("console.log({ a = %q, b = { c = %q, d = %q } })"):format(word, word, word)))
  end)

  it("is cut where it is very long", function()
    assert.matches("%.%.%. 900 more\n\t}\n$", log("local t = {} for i = 1, 1000 do t[i] = i end console.log(t)"))
    assert.is_truthy(log("console.log({ ('x'):rep(10005) })"):find('x"... 5 more bytes\n\t}\n$'))
  end)

  it("is, as an app, its number of routes, and where it is made", function()
    local result = helper.run([[
local luaserve = require "luaserve"
local app, part = luaserve(), luaserve()
app:get("/", print):name("home")
print(app)
part:get("/", print)
part:post("/", print)
app:mount("/part", part)
console.log(app, { part })]])
    assert.equal("App (1 route, app.lua:2)\n", result.out)
    assert.matches("App (3 routes, app.lua:2) { App (2 routes, app.lua:2) }\n", result.err, 1, true)
  end)

  it("is shown by its __tostring, and has its __name in front", function()
    assert.equal("me", logged("setmetatable({}, { __tostring = function() return 'me' end })"))
    assert.equal("{ me }", logged("{ setmetatable({}, { __tostring = function() return 'me' end }) }"))
    assert.equal("Point { x = 1 }", logged("setmetatable({ x = 1 }, { __name = 'Point' })"))
    assert.equal("[table whose __tostring fails]",
      logged("setmetatable({}, { __tostring = function() error('x') end })"))
  end)

  it("is looked at without calling anything in it", function()
    assert.equal("{ 1 }", logged([[setmetatable({ 1 }, {
      __index = function() error("x") end, __len = function() error("x") end, __pairs = function() error("x") end })]]))
  end)
end)
