-- An error anywhere in a request is that request's 500 (or the end of its
-- connection, once a byte of the answer has left), with a traceback in the log,
-- and nothing else.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function value(code, request) return lab.value(server, code, request) end
local function ask(code, request) return lab.ask(server, code, request) end

setup(function()
  server = lab.serve({ files = { ["there.txt"] = "contents" } })
  before = lab.counts(server)
end)

-- The request fails with 500 and a line like pattern, and the next one is served.
local function fails(code, pattern, request)
  local response = ask(code, request)
  assert.equal(500, response.status, code)
  assert.equal("Internal Server Error", response.body, code)
  assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
  if pattern then lab.wait_for_log(server, pattern) end
  assert.equal("alive", value([[return "alive"]]))
  return response
end

describe("an error", function()
  local places = {
    ["the handler"] = [[error("HERE")]],
    ["the handler after a wait"] = [[sleep(1) error("HERE")]],
    ["a function called by the handler"] = [[local function f() error("HERE") end f()]],
    ["a setTimeout function"] = [[setTimeout(function() error("HERE") end, 1)]],
    ["a setTimeout function after a wait"] = [[setTimeout(function() sleep(1) error("HERE") end, 1)]],
    ["a setInterval function"] = [[
      local t
      t = setInterval(function() clearInterval(t) error("HERE") end, 1)]],
    ["a setImmediate function"] = [[setImmediate(function() error("HERE") end)]],
    ["an fs callback"] = [[require("fs").stat(".", function() error("HERE") end)]],
    ["an fs callback after a wait"] = [[require("fs").stat(".", function() sleep(1) error("HERE") end)]],
    ["a callback of a callback"] = [[
      require("fs").stat(".", function() setImmediate(function() sleep(1, function() error("HERE") end) end) end)]],
    ["a data listener"] = [[req:on("data", function() error("HERE") end)]],
    ["a data listener after a wait"] = [[req:on("data", function() sleep(1) error("HERE") end)]],
    ["an end listener"] = [[req:on("data", function() end):on("end", function() error("HERE") end)]],
    ["a listener of an emitter"] = [[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() error("HERE") end)
      emitter:emit("x")]],
    ["a listener of an emitter, from a timer"] = [[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() error("HERE") end)
      setTimeout(function() emitter:emit("x") end, 1)]],
    ["an onHead hook"] = [[res:onHead(function() error("HERE") end) res:finish("x")]],
    ["an onHead hook after a wait"] = [[res:onHead(function() sleep(1) error("HERE") end) return "x"]],
    ["the second of two onHead hooks"] = [[
      res:onHead(function() res:setHeader("X-One", "1") end)
      res:onHead(function() error("HERE") end)
      return "x"]],
    ["a coroutine"] = [[coroutine.wrap(function() error("HERE") end)()]],
    ["a coroutine after a wait"] = [[coroutine.wrap(function() sleep(1) error("HERE") end)()]],
    ["a metamethod"] = [[return setmetatable({}, { __index = function() error("HERE") end }).x]],
    ["an iterator"] = [[for _ in function() error("HERE") end do end]],
    ["a comparator of table.sort"] = [[table.sort({ 2, 1 }, function() error("HERE") end)]],
    ["a replacement of gsub"] = [[return (("a"):gsub("a", function() error("HERE") end))]],
    ["a tostring on the way"] = [[
      return "x" .. tostring(setmetatable({}, { __tostring = function() error("HERE") end }))]],
    ["a required file"] = [[require("nothing.of.this.HERE")]],
  }
  for place, code in pairs(places) do
    it("in " .. place .. " is the request's 500, with a traceback", function()
      local mark = "mark_" .. place:gsub("%W", "_") -- one for each
      local response = fails(code:gsub("HERE", mark), mark .. ".*\n\tstack traceback:", { method = "POST", body = "x" })
      assert.is_nil(response.headers["x-one"])
      assert.is_nil(response.body:find("mark", 1, true)) -- not for the client
    end)
  end

  it("in Lua itself names the script's line", function()
    for code, pattern in pairs({
      ["\n\nlocal t\nreturn t.x"] = "GET /: snippet:4: attempt to index a nil value",
      ["\nnope()"] = "GET /: snippet:2: attempt to call",
      ["return 1 + {}"] = "GET /: snippet:1: attempt to perform arithmetic",
      ["\nsleep(1)\nreturn nil .. 'x'"] = "GET /: snippet:3: attempt to concatenate",
    }) do
      local text = lab.luajit and pattern:gsub("attempt to index.*", "attempt to index") or pattern
      fails(code, text)
    end
  end)

  it("from a wrong use of the API names the script's line", function()
    for code, pattern in pairs({
      ["\nsetTimeout(42)"] = "GET /: snippet:2: bad argument #1 to 'setTimeout'",
      ["\nres:on('x')"] = "GET /: snippet:2: the listener of 'x' must be a function",
      ["\n\nres:onHead('x')"] = "GET /: snippet:3: onHead needs a function",
      ["\nrequire(print)"] = "GET /: snippet:2: bad argument #1 to 'require'",
      ["\nres:setHeader('a b', 'x')"] = "GET /: snippet:2: .*valid HTTP token",
      ["\nres:setHeader('a', 'x\\ny')"] = "GET /: snippet:2: Invalid character in header content",
      ["\nres:writeHead(99)"] = "GET /: snippet:2: Invalid status code: 99",
    }) do fails(code, pattern) end
  end)

  it("in one of many callbacks of a request answers it once", function()
    fails([[
      for i = 1, 20 do setTimeout(function() error("number " .. i) end, i % 3 + 1) end
    ]], "number 20")
    lab.wait_for_counts(server, before)
  end)

  it("drops what was set for the answer before", function()
    local response = fails([[
      res.statusCode = 201
      res.statusMessage = "Made"
      res:setHeader("Content-Type", "text/csv")
      res:setHeader("Content-Length", 1000)
      res:setHeader("Set-Cookie", "session=1")
      res:writeHead(202, { ["X-Other"] = "x" })
      error("after all that")
    ]])
    assert.is_nil(response.headers["set-cookie"])
    assert.is_nil(response.headers["x-other"])
    assert.equal("Internal Server Error", response.reason)
  end)

  it("leaves the connection open for the next request", function()
    local conn = lab.start(server, [[error("x")]])
    assert.equal(500, conn:read_response().status)
    conn:send("GET /counts HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal(200, conn:read_response().status)
  end)

  it("answers HEAD without a body", function()
    local response = ask([[error("x")]], { method = "HEAD" })
    assert.equal(500, response.status)
    assert.equal("", response.body)
  end)

  it("is caught by pcall and is then nobody's", function()
    local log = #server:stderr()
    assert.equal("caught late", value([[
      local _, early = pcall(error, "caught", 0)
      local _, late = pcall(function() sleep(1) error("late", 0) end)
      return early .. " " .. late
    ]]))
    assert.equal(log, #server:stderr())
  end)
end)

describe("an error value", function()
  it("of any kind is a 500, and the log says what it can", function()
    fails([[error(nil)]], "GET /: nil")
    fails([[error()]])
    fails([[error(42, 0)]], "GET /: 42")
    fails([[error(1.5, 0)]], "GET /: 1%.5")
    fails([[error(true)]], "GET /: %(error object is a boolean value%)")
    fails([[error({})]], "GET /: %(error object is a table value%)")
    fails([[error(print)]], "GET /: %(error object is a function value%)")
    fails([[error(coroutine.create(print))]], "GET /: %(error object is a thread value%)")
    fails([[error({ message = "a message" })]], "GET /: a message")
    fails([[error({ message = 42 })]], "GET /: %(error object is a table value%)")
    fails([[error(setmetatable({}, { __tostring = function() return "told by tostring" end }))]],
      "GET /: told by tostring")
    fails([[error("with a line\nand another")]], "with a line\n\tand another")
    fails([[error("binary \0 \27[31m bytes")]])
    fails([[error(("long "):rep(100000))]])
  end)

  it("whose __tostring fails, in any way, is a 500 that is logged", function()
    fails([[error(setmetatable({}, { __tostring = function() error("again") end }))]],
      "GET /: %(error object is a table value that cannot be turned into a string%)")
    fails([[error(setmetatable({}, { __tostring = function() return {} end }))]], "GET /: %(error object is")
    fails([[error(setmetatable({}, { __tostring = 42 }))]])
    fails([[error(setmetatable({}, { __tostring = function(self) return "" .. tostring(self) end }))]])
    fails([[
      local e
      e = setmetatable({}, { __tostring = function() error(e) end })
      error(e)
    ]])
    fails([[error(setmetatable({}, { __tostring = function() sleep(1) return "waited" end }))]])
    fails([[error(setmetatable({}, { __tostring = function() coroutine.yield() end }))]])
    fails([[error(setmetatable({}, { __index = function() error("index") end }))]])
  end)

  it("with a status answers with that, and its message is for the client", function()
    for _, case in ipairs({
      { [[error({ status = 404, message = "no such user" })]], 404, "no such user" },
      { [[error({ status = 404 })]], 404, "Not Found" },
      { [[error(setmetatable({ status = 409 }, { __tostring = function() return "secret" end }))]], 409, "Conflict" },
      { [[sleep(1) error({ status = 418, message = "teapot" })]], 418, "teapot" },
      { [[require("luaserve").error(403, "not yours")]], 403, "not yours" },
      { [[require("luaserve").error(403)]], 403, "Forbidden" },
      { [[require("luaserve").error(503, "secret")]], 503, "Service Unavailable" },
      { [[setTimeout(function() require("luaserve").error(402, "pay") end, 1)]], 402, "pay" },
      { [[coroutine.wrap(function() sleep(1) require("luaserve").error(410, "gone") end)()]], 410, "gone" },
      { [[local ok, err = pcall(require("luaserve").error, 404, "again") error(err)]], 404, "again" },
    }) do
      local response = ask(case[1])
      assert.equal(case[2], response.status, case[1])
      assert.equal(case[3], response.body, case[1])
    end
  end)

  it("with what is no status of an error is a 500", function()
    for _, status in ipairs({ "200", "399", "600", "'404'", "404.5", "-1", "{}", "1e300" }) do
      assert.equal(500, ask(("error({ status = %s, message = 'secret' })"):format(status)).status, status)
    end
  end)

  it("with a status under 500 is no line in the log", function()
    ask([[require("luaserve").error(404, "marked as missing")]])
    fails([[error("after the missing one")]], "after the missing one")
    assert.is_nil(server:stderr():find("marked as missing", 1, true))
  end)
end)

describe("an error that is the client's", function()
  it("is in the log at the level debug alone, and has a traceback where somebody looks at it", function()
    local code = [[
      local luaserve = require "luaserve"
      local app = luaserve()
      app:get("/raised", function() luaserve.error(404, "no such user") end)
      app:get("/refused", luaserve.basicAuth { users = { kim = "x" } }, function() end)
      %s
      return app]]
    local handler = [[
      app:onError(function(err) return err.status, (err.stack:gsub("%c.*", "+")) end)]]
    local function answers(on_error, level)
      local other = helper.serve(code:format(on_error), { listen = true, args = { "--log-level", level } })
      return helper.get(other, "/raised").body .. " " .. helper.get(other, "/refused").body, other
    end
    local bodies, other = answers("", "info")
    assert.equal("no such user Unauthorized: a name and a password are needed", bodies)
    assert.is_nil(other:stderr():find("no such user", 1, true))
    assert.equal("no such user+ Unauthorized: a name and a password are needed", (answers(handler, "info")))
    bodies, other = answers(handler, "debug")
    assert.equal("no such user+ Unauthorized: a name and a password are needed", bodies)
    other:wait_output("no such user\n\tstack traceback:.*are needed\n\tstack traceback:")
  end)
end)

describe("after the head has left, an error", function()
  it("ends the connection before the answer is complete", function()
    for _, code in ipairs({
      [[res:write("some") error("late in the handler")]],
      [[res:write("some") sleep(2) error("late in the handler")]],
      [[res:flushHeaders() error("late in the handler")]],
      [[res:write("some") setTimeout(function() error("late in the handler") end, 1)]],
      [[res:setHeader("Content-Length", 100) res:write("some") sleep(1) error("late in the handler")]],
    }) do
      local conn = lab.start(server, code)
      assert.is_true(conn:closed(), code)
      assert.is_nil(conn.buffer:find("0\r\n\r\n", 1, true))
      assert.is_nil(conn.buffer:find("500", 1, true))
      assert.equal("alive", value([[return "alive"]]))
    end
    lab.wait_for_log(server, "GET /: snippet:1: late in the handler\n\tstack traceback")
  end)

  it("is told to those who listen to close", function()
    local conn = lab.start(server, [[
      shared.closed = nil
      res:on("close", function() shared.closed = "closed" end)
      res:write("some")
      sleep(2)
      error("late")
    ]])
    assert.is_true(conn:closed())
    helper.wait_for(function() return value([[return tostring(shared.closed)]]) == "closed" end, "close")
  end)

  it("raised by a hook or a method of res is the same", function()
    local conn = lab.start(server, [[
      res:write("some")
      res:setHeader("X", "late")
    ]])
    assert.is_true(conn:closed())
    lab.wait_for_log(server, "Cannot set headers after they are sent to the client")
  end)
end)

describe("after the answer, an error", function()
  for name, code in pairs({
    ["in the handler"] = [[res:finish("done") error("MARK")]],
    ["in the handler after a wait"] = [[res:finish("done") sleep(5) error("MARK")]],
    ["in a timer"] = [[setTimeout(function() error("MARK") end, 5) return "done"]],
    ["in a finish listener"] = [[res:on("finish", function() error("MARK") end) return "done"]],
    ["in a close listener"] = [[res:on("close", function() error("MARK") end) return "done"]],
    ["in a close listener of req"] = [[req:on("close", function() error("MARK") end) return "done"]],
    ["in an onFinish hook"] = [[res:onFinish(function() error("MARK") end) return "done"]],
    ["in the callback of finish"] = [[res:finish("done", function() error("MARK") end)]],
    ["in a coroutine"] = [[
      setTimeout(function() coroutine.wrap(function() sleep(1) error("MARK") end)() end, 1)
      return "done"]],
  }) do
    it(name .. " is only logged", function()
      local mark = "after_" .. name:gsub("%W", "_")
      local conn = lab.start(server, (code:gsub("MARK", mark)))
      local response = conn:read_response()
      assert.equal(200, response.status)
      assert.equal("done", response.body)
      lab.wait_for_log(server, mark .. "\n\tstack traceback")
      conn:send("GET /counts HTTP/1.1\r\nHost: x\r\n\r\n")
      assert.equal(200, conn:read_response().status)
    end)
  end

  it("in one listener of close keeps none of the others, nor a hook, from being called", function()
    value([[
      shared.called = {}
      local function note(name) return function() shared.called[#shared.called + 1] = name end end
      req:on("close", function() error("in the first of req") end)
      req:on("close", note "req")
      res:on("close", function() error("in the first of res") end)
      res:on("close", note "res")
      res:on("finish", function() error("in finish") end)
      res:onFinish(note "onFinish")
      return "done"
    ]])
    helper.wait_for(function()
      return value([[table.sort(shared.called) return table.concat(shared.called, " ")]]) == "onFinish req res"
    end, function() return "all of them; called " .. value([[return table.concat(shared.called, " ")]]) end)
  end)
end)

describe("outside of requests", function()
  it("an error in a timer, an immediate and a listener is logged, and the process lives", function()
    local other = helper.serve([[
      local http, timers = require "http", require "timers"
      setTimeout(function() error("timer of the process") end, 1)
      setImmediate(function() error("immediate of the process") end)
      require("fs").stat(".", function() error("callback of the process") end)
      local t t = setInterval(function() clearInterval(t) timers.sleep(1) error("interval of the process") end, 1)
      local server = http.createServer(function() return "alive" end)
      server:on("listening", function() error("listener of the process") end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]])
    for _, what in ipairs({ "timer", "immediate", "callback", "interval", "listener" }) do
      lab.wait_for_log(other, "error: [^\n]*" .. what .. " of the process\n\tstack traceback")
    end
    assert.equal("alive", helper.get(other).body)
  end)

  it("an error of the script while it starts ends it with 1 and a traceback", function()
    for _, first in ipairs({ "", "require('timers').sleep(1)" }) do
      local result = helper.run(first .. "\n\nerror('at the top level')")
      assert.equal(1, result.code)
      assert.truthy(result.err:find("app.lua:3: at the top level\nstack traceback:", 1, true), result.err)
    end
  end)

  it("an error value of the script that cannot be printed ends it with 1, too", function()
    for _, code in ipairs({
      "error(nil)\n", "error({})\n", "error(setmetatable({}, { __tostring = function() error('x') end }))\n",
      "error(setmetatable({}, { __tostring = function() return {} end }))\n",
      "require('timers').sleep(1) error(setmetatable({}, { __tostring = function() error('x') end }))\n",
    }) do
      local result = helper.run(code)
      assert.equal(1, result.code, code)
      assert.truthy(result.err:find("^luaserve: "), result.err)
      assert.is_nil(result.err:find("memory", 1, true))
    end
  end)
end)

describe("an emit without end", function()
  it("of listeners that emit fails alone", function()
    fails([[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() emitter:emit("x") end)
      emitter:emit("x")
    ]], "overflow")
  end)

  it("of recursion fails alone", function()
    fails([[local function f() return 1 + f() end f()]], "stack overflow")
    fails([[local function f() return pcall(f) and error("x") end f() error("y")]])
    fails([[local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k .. "x"] end return t.x]])
    fails([[local s = ("x"):rep(1000000) return s:rep(1000000000)]])
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
