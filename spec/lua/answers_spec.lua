-- What a handler may return as its answer, and what is none.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function ask(code, request) return lab.ask(server, code, request) end

setup(function()
  server = lab.serve({ args = { "--handler-timeout", "0.3" } })
  before = lab.counts(server)
end)

-- Asks and checks status, type and body.
local function answers(code, status, kind, body, request)
  local response = ask(code, request)
  assert.equal(status, response.status, code)
  assert.equal(kind, response.headers["content-type"], code)
  assert.equal(body, response.body, code)
  return response
end

local TEXT, HTML, JSON = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"

describe("a handler may return", function()
  it("a string, which is HTML where it begins with <", function()
    answers([[return "hello"]], 200, TEXT, "hello")
    answers([[return "<p>hi</p>"]], 200, HTML, "<p>hi</p>")
    answers([[return "\n  <!doctype html>"]], 200, HTML, "\n  <!doctype html>")
    answers([[return "a < b"]], 200, TEXT, "a < b")
    answers([[return ""]], 200, TEXT, "")
    answers([[return "\0\1\255"]], 200, TEXT, "\0\1\255")
  end)

  it("a plain table, which is JSON", function()
    answers([[return { id = 7 }]], 200, JSON, '{"id":7}')
    answers([[return { "a", "b", 3 }]], 200, JSON, '["a","b",3]')
    answers([[return {}]], 200, JSON, "{}")
    answers([[return { list = require("json").array({}), none = require("json").null }]], 200, JSON,
      ask([[return require("json").encode({ list = require("json").array({}), none = require("json").null })]]).body)
  end)

  it("an array of json.array, though it has a metatable", function()
    answers([[return require("json").array({})]], 200, JSON, "[]")
    answers([[return require("json").array({ 1, 2 })]], 200, JSON, "[1,2]")
  end)

  it("a status and either of them", function()
    answers([[return 201, { id = 1 }]], 201, JSON, '{"id":1}')
    answers([[return 404, "no such user"]], 404, TEXT, "no such user")
    answers([[return 503, "<h1>down</h1>"]], 503, HTML, "<h1>down</h1>")
    answers([[return 202, require("json").array({})]], 202, JSON, "[]")
    local response = ask([[return 204, ""]])
    assert.equal(204, response.status)
    assert.equal("none", response.framing)
  end)

  it("a status alone, where it has no body", function()
    for _, status in ipairs({ 204, 205, 304 }) do assert.equal(status, ask("return " .. status).status) end
    answers([[setTimeout(function() res:finish("later") end, 1) return 204]], 200, nil, "later")
  end)

  it("its answer after waiting, from within pcall, and as a tail call", function()
    answers([[sleep(1) return "waited"]], 200, TEXT, "waited")
    answers([[return select(2, pcall(function() sleep(1) return "from pcall" end))]], 200, TEXT, "from pcall")
    answers([[local function f() sleep(1) return 201, { a = 1 } end return f()]], 201, JSON, '{"a":1}')
  end)

  it("an answer of 1 MiB", function()
    local body = ask([[return ("0123456789abcdef"):rep(65536)]]).body
    assert.equal(1048576, #body)
    assert.equal(("0123456789abcdef"):rep(65536), body)
  end)

  it("an answer whose type and status were set before", function()
    answers([[res:setHeader("Content-Type", "text/csv") return "a,b"]], 200, "text/csv", "a,b")
    answers([[res:setHeader("content-type", "application/problem+json") return 400, { title = "no" }]], 400,
      "application/problem+json", '{"title":"no"}')
    answers([[res.statusCode = 418 return "teapot"]], 418, TEXT, "teapot")
    answers([[res.statusCode = 418 return 200, "none"]], 200, TEXT, "none")
  end)

  it("an answer to HEAD: its head alone", function()
    local response = ask([[return "hello"]], { method = "HEAD" })
    assert.equal(200, response.status)
    assert.equal("5", response.headers["content-length"])
    assert.equal("", response.body)
  end)

  it("an answer that runs the onHead hooks", function()
    local response = answers([[
      res:onHead(function(r) sleep(1) r:setHeader("X-Hook", tostring(r == res) .. r.statusCode) end)
      return 201, "hooked"
    ]], 201, TEXT, "hooked")
    assert.equal("true201", response.headers["x-hook"])
  end)

  it("something that cannot be JSON: that is a 500 which names the path", function()
    assert.equal(500, ask([[return { a = { b = print } }]]).status)
    lab.wait_for_log(server, "a%.b")
  end)
end)

describe("is no answer, and ignored once there is one:", function()
  for name, code in pairs({
    ["what res:finish returns"] = [[return res:finish("the answer")]],
    ["a string after the head was committed"] = [[res:finish("the answer") return "another"]],
    ["a table after the head was committed"] = [[res:finish("the answer") return { another = 1 }]],
    ["a status and a string after it"] = [[res:finish("the answer") return 500, "another"]],
    ["what a stream's start returns"] = [[
      setTimeout(function() res:finish("the answer") end, 1)
      return setTimeout(function() end, 1)]],
    ["what a callback's start returns"] = [[
      return require("fs").stat(".", function() res:finish("the answer") end)]],
    ["an object"] = [[
      setTimeout(function() res:finish("the answer") end, 1)
      return setmetatable({ a = 1 }, { __index = { b = 2 } })]],
    ["req or res"] = [[setTimeout(function() res:finish("the answer") end, 1) return req, res]],
    ["true"] = [[setTimeout(function() res:finish("the answer") end, 1) return true]],
    ["false and a string"] = [[setTimeout(function() res:finish("the answer") end, 1) return false, "x"]],
    ["nil and a message"] = [[setTimeout(function() res:finish("the answer") end, 1) return nil, "x"]],
    ["a function"] = [[setTimeout(function() res:finish("the answer") end, 1) return print]],
    ["json.null"] = [[setTimeout(function() res:finish("the answer") end, 1) return require("json").null]],
    ["a number alone"] = [[setTimeout(function() res:finish("the answer") end, 1) return 404]],
    ["a status and an object"] = [[
      setTimeout(function() res:finish("the answer") end, 1)
      return 200, setmetatable({}, {})]],
    ["what is no status, and a string"] = [[setTimeout(function() res:finish("the answer") end, 1) return 42, "x"]],
    ["half a status, and a string"] = [[setTimeout(function() res:finish("the answer") end, 1) return 200.5, "x"]],
  }) do
    it(name, function()
      local response = ask(code)
      assert.equal("the answer", response.body)
      assert.equal(200, response.status)
    end)
  end

  it("a string after a write; the writer still has the word", function()
    local response = ask([[
      res:write("one ")
      setTimeout(function() res:finish("two") end, 2)
      return "ignored"
    ]])
    assert.equal("one two", response.body)
  end)

  it("a string that is returned after the request was refused by the timeout", function()
    local response = ask([[sleep(600) return "late"]])
    assert.equal(503, response.status)
    lab.wait_for_counts(server, before)
  end)
end)

describe("a handler that neither answers nor waits", function()
  it("is answered 503 at the handler timeout, with a line that says so", function()
    local began = helper.now()
    local response = ask([[return]])
    assert.equal(503, response.status)
    assert.is_true(helper.now() - began < helper.seconds(2))
    lab.wait_for_log(server, "GET /: the handler returned without an answer, and nothing it started is left "
      .. "to give one %(%-%-handler%-timeout%): 503")
  end)

  it("is told at once where it returned a status that wants a body", function()
    assert.equal(503, ask([[return 201]]).status)
    lab.wait_for_log(server, "GET /: the handler returned 201 alone, which is no answer yet: return 201, \"text\"")
  end)

  it("is told from one that is too slow, whose line says that", function()
    assert.equal(503, ask([[sleep(500)]]).status)
    lab.wait_for_log(server, "GET /: the handler did not answer in time %(%-%-handler%-timeout%): 503")
    assert.equal(503, ask([[setTimeout(function() end, 500)]]).status)
  end)

  it("costs its connection nothing: the next request on it is answered", function()
    local conn = lab.start(server, [[return 42]])
    assert.equal(503, conn:read_response().status)
    conn:send("GET /counts HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal(200, conn:read_response().status)
  end)

  it("may have its limit lifted on its server", function()
    local other = helper.serve_handler("setTimeout(function() res:finish('late') end, 600)", {
      args = { "--handler-timeout", "0.2" }, before = "" })
    assert.equal(503, helper.get(other).status)
    other = helper.serve_handler("setTimeout(function() res:finish('late') end, 600)", {
      args = { "--handler-timeout", "0.2" },
      before = "setImmediate(function() server.handlerTimeout = 0 end)" })
    assert.equal("late", helper.get(other).body)
  end)

  it("that has sent its head may take its time", function()
    local response = ask([[
      res:write("first ")
      sleep(600)
      res:finish("last")
    ]])
    assert.equal("first last", response.body)
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
