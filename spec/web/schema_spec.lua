-- Schemas: which values fit, what is said of those that do not, what texts become,
-- and mistakes in schemas.
local helper = require("spec.helper")

-- Schema (Lua), value (JSON), and what comes of it: the value as JSON, or errors as
-- "path message", joined by "; ".
local VALUES = {
  { [["string"]], [["a"]], [["a"]] },
  { [["string"]], "1", " must be a string" },
  { [["number"]], "1.5", "1.5" },
  { [["number"]], [["1"]], " must be a number" },
  { [["integer"]], "3", "3" },
  { [["integer"]], "3.5", " must be a whole number" },
  { [["boolean"]], "false", "false" },
  { [["boolean"]], "0", " must be true or false" },
  { [["null"]], "null", "null" },
  { [["array"]], "[]", "[]" },
  { [["array"]], "{}", " must be a list" },
  { [["object"]], "{}", "{}" },
  { [["object"]], "[]", " must be an object" },
  { [[{ type = { "string", "integer" } }]], "5", "5" },
  { [[{ type = { "string", "integer" } }]], "true", " must be a string or a whole number" },
  { [[{ type = "string", nullable = true, minLength = 1 }]], "null", "null" },
  { [[{ type = "integer", minimum = 1, maximum = 3 }]], "3", "3" },
  { [[{ type = "integer", minimum = 1, maximum = 3 }]], "0", " must be at least 1" },
  { [[{ type = "integer", minimum = 1, maximum = 3 }]], "4", " must be at most 3" },
  { [[{ exclusiveMinimum = 1, exclusiveMaximum = 2 }]], "1.5", "1.5" },
  { [[{ exclusiveMinimum = 1 }]], "1", " must be more than 1" },
  { [[{ exclusiveMaximum = 1 }]], "1", " must be less than 1" },
  { [[{ multipleOf = 0.1 }]], "0.3", "0.3" },
  { [[{ multipleOf = 5 }]], "12", " must be a multiple of 5" },
  { [[{ minimum = 5 }]], [["no number"]], [["no number"]] },
  { [[{ minLength = 2 }]], [["ä"]], " must have at least 2 characters" },
  { [[{ maxLength = 1 }]], [["äb"]], " must have at most 1 character" },
  { [[{ maxLength = 2 }]], [["äb"]], [["äb"]] },
  { [[{ pattern = "^%a+$" }]], [["abc"]], [["abc"]] },
  { [[{ pattern = "^%a+$" }]], [["a1"]], " must match ^%a+$" },
  { [[{ pattern = "^%a+$", patternMessage = "must be letters" }]], [["a1"]], " must be letters" },
  { [[{ enum = { "red", "blue" } }]], [["red"]], [["red"]] },
  { [[{ enum = { "red", 2 } }]], [["green"]], " must be one of red, 2" },
  { [[{ const = 1 }]], "2", " must be 1" },
  { [[{ items = "integer" }]], "[1,2]", "[1,2]" },
  { [[{ items = "integer" }]], [=[[1,"a",null]]=], "/1 must be a whole number; /2 must be a whole number" },
  { [[{ minItems = 1, maxItems = 2 }]], "[]", " must have at least 1 item" },
  { [[{ minItems = 1, maxItems = 2 }]], "[1,2,3]", " must have at most 2 items" },
  { [[{ uniqueItems = true }]], [=[[{"a":1},{"a":2},{"a":1}]]=], "/2 must not be there twice" },
  { [[{ properties = { n = { type = "integer", default = 1 } } }]], "{}", [[{"n":1}]] },
  { [[{ properties = { n = { type = "integer", default = 1 } } }]], [[{"n":2}]], [[{"n":2}]] },
  { [[{ required = { "a", "b/c" } }]], "{}", "/a is missing; /b~1c is missing" },
  { [[{ properties = { a = "string" }, additionalProperties = false }]], [[{"a":"x","c":1,"b":1}]],
    "/b is not known; /c is not known" },
  { [[{ properties = { a = "string" }, additionalProperties = "integer" }]], [[{"b":"x"}]],
    "/b must be a whole number" },
  { [[{ minProperties = 1 }]], "{}", " must have at least 1 field" },
  { [[{ maxProperties = 1 }]], [[{"a":1,"b":2}]], " must have at most 1 field" },
  { [[{ properties = { user = { properties = { tags = { items = { minLength = 1 } } } } } }]],
    [[{"user":{"tags":["a",""]}}]], "/user/tags/1 must have at least 1 character" },
  { [[{ anyOf = { "string", { type = "integer", minimum = 3 } } }]], "5", "5" },
  { [[{ anyOf = { "string", { type = "integer", minimum = 3 } } }]], "1", " must be one of the alternatives" },
  { [[{ oneOf = { { minimum = 1 }, { maximum = 5 } } }]], "3", " must be only one of the alternatives" },
  { [[{ oneOf = { { minimum = 1 }, { maximum = 5 } } }]], "9", "9" },
  { [[{ allOf = { { minimum = 1 }, { multipleOf = 2 } } }]], "-1", " must be at least 1; must be a multiple of 2" },
  { [[{ ["not"] = { const = 0 } }]], "0", " must not be so" },
  { [[{ ["not"] = { const = 0 } }]], "1", "1" },
  { [[{ ["x-order"] = 1, title = "t", description = "d", example = 3 }]], "1", "1" },
}

local FORMATS = {
  date = { { "2024-02-29", "2026-12-31" }, { "2023-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "2026-04-31", "" } },
  time = { { "13:45:00Z", "23:59:60Z", "00:00:00.123+01:30" }, { "24:00:00Z", "13:45:00", "13:60:00Z", "13:45:00.Z",
    "13:45:00+1:00", "13:45:00+24:00" } },
  ["date-time"] = { { "2026-01-31T13:45:00Z", "2026-01-31t13:45:00.5-08:00" },
    { "2026-01-31", "2026-02-30T00:00:00Z" } },
  email = { { "kim@example.com", "a.b+c@d.e-f.org" }, { "kim", "@example.com", "kim@", "kim@-a.com", "a b@c.d",
    "kim@example..com" } },
  hostname = { { "localhost", "a-b.example" }, { "", "a_b", "-a", "a-", "a..b", ("a"):rep(64) } },
  ipv4 = { { "127.0.0.1", "255.255.255.255", "0.0.0.0" },
    { "256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5", "a.b.c.d" } },
  ipv6 = { { "::", "::1", "1:2:3:4:5:6:7:8", "fe80::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1::" },
    { "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1.2.3", "1.2.3.4::",
      "1:2:3:4:5:6:7:8::",
      "1:" } },
  uri = { { "https://a.example/b?c=%20#d", "mailto:kim@example.com" },
    { "/a", "http://a b", "x:%zz", "x:%2", "1a:b" } },
  uuid = { { "123e4567-e89b-12d3-a456-426614174000" },
    { "123e4567e89b12d3a456426614174000",
      "g23e4567-e89b-12d3-a456-426614174000" } },
}

-- With coercion: schema, text, and what it becomes.
local TEXTS = {
  { [["integer"]], "12", "12" }, { [["integer"]], "-3", "-3" }, { [["integer"]], "1.5", " must be a whole number" },
  { [["integer"]], "0x10", " must be a whole number" }, { [["integer"]], "", " must be a whole number" },
  { [["integer"]], "1e3", " must be a whole number" },
  { [["number"]], "1.5e3", "1500" }, { [["number"]], ".5", "0.5" }, { [["number"]], "nan", " must be a number" },
  { [["number"]], "inf", " must be a number" }, { [["number"]], "0x1p4", " must be a number" },
  { [["boolean"]], "true", "true" }, { [["boolean"]], "0", "false" }, { [["boolean"]], "on", "true" },
  { [["boolean"]], "yes", " must be true or false" },
  { [["string"]], "1", [["1"]] },
  { [[{ type = "array", items = "integer" }]], "7", "[7]" },
  { [[{ type = { "integer", "string" } }]], "a", [["a"]] },
  { [[{ type = { "integer", "string" } }]], "1", [["1"]] },
  { [[{ anyOf = { { type = "integer" }, { type = "string" } } }]], "1", "1" },
}

-- Mistakes: schema, and what is said.
local MISTAKES = {
  { "5", "a schema is a table of keywords, or a type as a string, not a number" },
  { [["text"]], "there is no type 'text'; there are string" },
  { [[{ typ = "string" }]], "there is no keyword 'typ'; there are" },
  { [[{ properties = { age = { minimum = "1" } } }]], "the schema of age: minimum is a number, not a string" },
  { [[{ properties = { age = { properties = { x = { minLength = -1 } } } } }]],
    "the schema of age.x: minLength is a whole number from 0 on, not -1" },
  { [[{ items = { pattern = "[" } }]], "the schema of []: pattern is a Lua pattern: " },
  { [[{ format = "dat" }]], "there is no format 'dat'; there are date, date-time, email" },
  { [[{ enum = {} }]], "enum is a list of values" },
  { [[{ enum = { {} } }]], "the values of enum are" },
}

local function run(lines)
  local script = { "local json, compile = require 'json', require('luaserve').validate.compile", [[
    local function show(value, errors)
      if not errors then return json.encode(value, { sort = true }) end
      local said = {}
      for i, e in ipairs(errors) do said[i] = e.path .. " " .. e.message end
      return (table.concat(said, "; "):gsub("; +must", "; must"))
    end]] }
  for _, line in ipairs(lines) do script[#script + 1] = line end
  local result = helper.run(table.concat(script, "\n"))
  assert.equal("", result.err)
  local out = {}
  for line in result.out:gmatch("([^\n]*)\n") do out[#out + 1] = line end
  return out
end

describe("a schema", function()
  local out, texts
  setup(function()
    local lines = {}
    for i, case in ipairs(VALUES) do
      lines[i] = ("print(show(compile(%s)(json.decode(%q))))"):format(case[1], case[2])
    end
    out, lines = run(lines), {}
    for i, case in ipairs(TEXTS) do
      lines[i] = ("print(show(compile(%s)(%q, { coerce = true })))"):format(case[1], case[2])
    end
    texts = run(lines)
  end)

  for i, case in ipairs(VALUES) do
    it(("%s makes of %s: %s"):format(case[1], case[2], case[3]), function() assert.equal(case[3], out[i]) end)
  end

  for i, case in ipairs(TEXTS) do
    it(("%s makes of the text '%s': %s"):format(case[1], case[2], case[3]), function()
      assert.equal(case[3], texts[i])
    end)
  end

  for name, texts_of in pairs(FORMATS) do
    it("knows the format " .. name, function()
      local lines, wanted = {}, {}
      for k, list in ipairs(texts_of) do
        for _, text in ipairs(list) do
          lines[#lines + 1] = ("print(compile { format = %q }(%q) ~= nil, %q)"):format(name, text, text)
          wanted[#wanted + 1] = ("%s\t%s"):format(k == 1, text)
        end
      end
      assert.same(wanted, run(lines))
    end)
  end

  it("is an error at its line where it is wrong", function()
    for _, case in ipairs(MISTAKES) do
      local result = helper.run("local v = require('luaserve').validate\nv.compile(" .. case[1] .. ")\n")
      assert.matches("app.lua:2: the schema", result.err, 1, true)
      assert.matches(case[2], result.err, 1, true)
    end
  end)

  it("may hold itself", function()
    assert.same({ "/next/next/n must be a whole number" }, run {
      "local node = { properties = { n = 'integer' } } node.properties.next = node",
      [[print(show(compile(node)(json.decode('{"n":1,"next":{"n":2,"next":{"n":"x"}}}'))))]] })
  end)

  it("says no more than maxErrors", function()
    assert.same({ "/0 must be a whole number; /1 must be a whole number" },
      run { [[print(show(compile({ items = "integer" })({ "a", "b", "c" }, { maxErrors = 2 })))]] })
  end)
end)
