-- res: the body, how it is framed, and the end of an answer.
local helper = require("spec.helper")

local MIB = 1024 * 1024

local function answer(body, request, opts)
  return helper.request(helper.serve_handler(body, opts), request or {})
end

-- Serves a handler, asks once, and returns what the handler has printed when
-- `last` is among it.
local function printed(body, last, request)
  local server = helper.serve_handler(body)
  local response = helper.request(server, request or {})
  server:wait_output(last)
  return (server:stdout():gsub("^port %d+\n", "")), response
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("finish", function()
  it("alone sends the body with its length", function()
    for _, body in ipairs({ "res:finish('hello')", "res['end'](res, 'hello')",
      "res:writeHead(200, {X = 1}) res:finish('hello')", "res:setHeader('Content-Length', 5) res:finish('hello')" }) do
      local response = answer(body)
      assert.same({ "hello", "length", "5" }, { response.body, response.framing, response.headers["content-length"] })
    end
    assert.equal("0", answer("res:finish()").headers["content-length"])
    assert.equal("0", answer("res:finish('')").headers["content-length"])
  end)

  it("takes numbers as text", function()
    assert.equal("42", answer("res:finish(42)").body)
  end)

  it("refuses anything else", function()
    assert.matches("false\t.*the chunk is a string",
      (printed("print(pcall(res.finish, res, {})) res:finish('x')", "\n")))
  end)

  it("sends bytes as they are", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    assert.equal(table.concat(bytes), answer([[
      local bytes = {} for i = 0, 255 do bytes[i + 1] = string.char(i) end res:finish(table.concat(bytes))]]).body)
  end)

  it("ends the answer: what follows is not sent and says so", function()
    assert.equal("nil\twrite after end\nnil\twrite after end\nwritten\twrite after end\tERR_STREAM_WRITE_AFTER_END\n",
      (printed([[
      res:finish("x")
      print(res:write("y"))
      print(res:finish("z"))
      res:write("y", function(err) print("written", err.message, err.code) end)]], "written.*\n")))
  end)

  it("calls back when all was sent", function()
    assert.equal("returned\ncallback\tnil\ttrue\n", (printed([[
      res:finish("x", function(err) print("callback", err, res.writableEnded) end)
      print("returned")]], "callback.*\n")))
    printed("res:finish(function() print('callback') end)", "callback")
  end)

  it("calls back with an error where the client is gone", function()
    local server = helper.serve_handler([[
      print("asked")
      req:on("close", function()
        res:finish("x", function(err) print("late", err.code) end)
      end)
      res:finish(("x"):rep(50 * 1024 * 1024), function(err) print("early", err.code) end)]])
    local conn = helper.connect(server)
    conn:send(GET)
    conn:read_some()
    conn:reset()
    server:wait_output("early\tERR_STREAM_PREMATURE_CLOSE")
    server:wait_output("late\tERR_STREAM_")
  end)
end)

describe("write", function()
  it("then finish is chunked", function()
    local response = answer("res:write('a') res:write('') res:write('bc') res:finish()")
    assert.same({ "abc", "chunked" }, { response.body, response.framing })
    assert.equal("abcd", answer("res:write('abc') res:finish('d')").body)
  end)

  it("with a length that was set is not", function()
    local response = answer("res:setHeader('Content-Length', 3) res:write('a') res:write('bc') res:finish()")
    assert.same({ "abc", "length" }, { response.body, response.framing })
  end)

  it("to HTTP/1.0 ends with the connection", function()
    local response = answer("res:write('a') res:finish('b')",
      { version = "1.0", headers = { Connection = "keep-alive" } })
    assert.same({ "ab", "close", "close" }, { response.body, response.framing, response.headers.connection })
  end)

  it("sends at once, before the end of the answer", function()
    local server = helper.serve_handler("res:write('first') setTimeout(function() res:finish('last') end, 300)")
    local conn = helper.connect(server)
    conn:send(GET)
    assert.matches("5\r\nfirst\r\n$", conn:read_until("first\r\n", true))
  end)

  it("returns true while the client keeps up", function()
    assert.equal("true\ttrue\n", (printed("print(res:write('x'), res:write('y')) res:finish()", "true")))
  end)

  it("takes chunks of any size", function()
    for _, size in ipairs({ 1, 4095, 4096, 8192, 8193, 65536, 1000000 }) do
      local response = answer(("for i = 1, 3 do res:write(string.char(64 + i):rep(%d)) end res:finish()"):format(size))
      assert.equal(("A"):rep(size) .. ("B"):rep(size) .. ("C"):rep(size), response.body)
    end
  end)

  it("calls back when the chunk was taken", function()
    assert.equal("true\nback\tnil\n", (printed([[
      print(res:write("x", function(err) print("back", err) res:finish() end))]], "back.*\n")))
  end)
end)

describe("an answer without a body", function()
  it("to HEAD has the length that GET would have, where it is known", function()
    for body, length in pairs({
      ["res:finish('hello')"] = "5",
      ["res:setHeader('Content-Length', 7) res:finish()"] = "7",
      ["res:write('hello') res:finish()"] = "nil",
      ["return 'hello'"] = "5",
    }) do
      local server = helper.serve_handler(body)
      local conn = helper.connect(server)
      conn:send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" .. "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      for _ = 1, 2 do
        local response = conn:read_response({ head = true })
        assert.equal(length, tostring(response.headers["content-length"]), body)
        assert.is_nil(response.headers["transfer-encoding"])
      end
      assert.equal("", conn:read_all())
    end
  end)

  it("is that of 204 and 304, whatever the handler sends", function()
    for _, status in ipairs({ 204, 304 }) do
      for _, body in ipairs({ "res:finish('dropped')", "res:write('dropped') res:finish('too')",
        "return " .. status .. ", 'dropped'" }) do
        local response = answer(("res.statusCode = %d "):format(status) .. body)
        assert.equal(status, response.status)
        assert.equal("none", response.framing)
        assert.is_nil(response.headers["transfer-encoding"])
      end
    end
  end)

  it("of 304 may tell the length that there would have been", function()
    assert.equal("5", answer("res:writeHead(304, {['Content-Length'] = 5}) res:finish()").headers["content-length"])
    assert.is_nil(answer("res:writeHead(204, {['Content-Length'] = 5}) res:finish()").headers["content-length"])
  end)
end)

describe("a Content-Length that lies", function()
  it("raises on the excess, and the client gets what was announced at most", function()
    local server = helper.serve_handler([[
      res:setHeader("Content-Length", 3)
      res:write("ab")
      print(pcall(res.write, res, "cd"))
      res:finish("c")]])
    assert.equal("abc", helper.get(server, "/").body)
    assert.matches("false\t.*the body is longer than its Content%-Length %(3%.?0? bytes%)", server:stdout())
  end)

  it("is a 500 where nothing has left", function()
    local response = answer("res:setHeader('Content-Length', 3) res:finish('abcd')")
    assert.is_true(response.status == 500)
  end)

  it("cuts the connection where too little was sent", function()
    local server = helper.serve_handler("res:setHeader('Content-Length', 3) res:finish('ab')")
    local conn = helper.connect(server)
    conn:send(GET .. GET)
    local text = conn:read_all()
    assert.is_nil(text:find("HTTP/1.1.*HTTP/1.1"))
  end)
end)

describe("trailers", function()
  it("follow the last chunk", function()
    local response = answer("res:write('x') res:addTrailers({['X-Sum'] = 7, ['X-More'] = 'y'}) res:finish()")
    assert.same({ ["x-sum"] = "7", ["x-more"] = "y" }, response.trailers)
  end)

  it("are left out where there are no chunks", function()
    assert.same({}, answer("res:addTrailers({['X-Sum'] = 7}) res:finish('x')").trailers)
  end)

  it("cannot frame or route the message", function()
    local out = printed([[
      for _, name in ipairs({"Content-Length", "transfer-encoding", "Host", "Trailer", "Connection"}) do
        print(pcall(res.addTrailers, res, {[name] = "5"}))
      end
      res:finish()]], "false")
    assert.equal(5, select(2, out:gsub("is not allowed in a trailer", "")))
  end)
end)

describe("the events of res", function()
  it("are finish, then close", function()
    assert.equal("ended\nfinish\ttrue\nclose\n", (printed([[
      res:on("finish", function() print("finish", res.writableFinished) end)
      res:on("close", function() print("close") end)
      res:finish("x")
      print("ended")]], "close\n")))
  end)

  it("come also where they are listened to right after the end", function()
    assert.equal("finish\nclose\n", (printed([[
      setTimeout(function()
        res:finish("x"):on("finish", function() print("finish") end):once("close", function() print("close") end)
      end, 1)]], "close\n")))
  end)

  it("come to those who are late, too", function()
    printed([[
      res:finish("x")
      setTimeout(function()
        res:on("finish", function() print("finish") end)
        res:onFinish(function() print("hook") end)
      end, 20)]], "hook\n")
  end)

  it("are close alone where the client went away", function()
    local server = helper.serve_handler([[
      res:on("finish", function() print("finish") end)
      res:on("close", function() print("close", res:write("x")) end)
      print("asked")]])
    local conn = helper.connect(server)
    conn:send(GET)
    server:wait_output("asked")
    conn:reset()
    server:wait_output("close\tnil\tclosed")
    assert.is_nil(server:stdout():find("finish"))
  end)

  it("tell what the runtime has answered in the handler's place", function()
    local out = printed("res:on('close', function() print('close', res.statusCode, res.headersSent) end) error('x')",
      "close.*\n")
    assert.equal("close\t500\ttrue\n", out)
  end)
end)

describe("onFinish", function()
  it("runs once, when the answer is complete or cut off", function()
    assert.equal("over\ttrue\n", (printed("res:onFinish(function(r) print('over', r == res) end) res:finish('x')",
      "over.*\n")))
    local server = helper.serve_handler("res:onFinish(function() print('over') end) print('asked')")
    local conn = helper.connect(server)
    conn:send(GET)
    server:wait_output("asked")
    conn:close()
    server:wait_output("over")
  end)
end)

describe("destroy", function()
  it("cuts the answer off where it has begun", function()
    local server = helper.serve_handler([[
      res:on("close", function() print("close", res:write("x")) end)
      res:write("begun")
      setTimeout(function() print(res:destroy() == res) end, 10)]])
    local conn = helper.connect(server)
    conn:send(GET)
    assert.matches("5\r\nbegun\r\n$", conn:read_all())
    server:wait_output("close\tnil\tclosed")
  end)

  it("does nothing to an answer that is complete", function()
    local server = helper.serve_handler("res:finish('x') res:destroy() setTimeout(function() res:destroy() end, 5)")
    local conn = helper.connect(server)
    for _ = 1, 2 do
      conn:send(GET)
      assert.equal("x", conn:read_response().body)
    end
  end)
end)

describe("an error", function()
  it("is a 500 until a byte has left, and nothing of the answer is sent", function()
    for _, body in ipairs({ "error('bad')", "res:setHeader('X', 1) res.statusCode = 201 error('bad')",
      "res:writeHead(200, {X = 1}) error({})", "local x = nil + 1", "error()",
      "setTimeout(function() error('bad') end, 1)" }) do
      local response = answer(body)
      assert.same({ 500, "Internal Server Error" }, { response.status, response.body })
      assert.is_nil(response.headers.x)
    end
  end)

  it("cuts the connection later", function()
    local server = helper.serve_handler("res:write('begun') error('bad')")
    local conn = helper.connect(server)
    conn:send(GET .. GET)
    local text = conn:read_all()
    assert.is_nil(text:find("0\r\n\r\n$"))
    assert.is_nil(text:find("HTTP/1.1.*HTTP/1.1"))
    assert.matches("GET /: .*app.lua:1: bad", server:stderr())
  end)

  it("after the end is only logged", function()
    local server = helper.serve_handler("res:finish('done') error('afterthought')")
    local conn = helper.connect(server)
    for _ = 1, 2 do
      conn:send(GET)
      assert.equal("done", conn:read_response().body)
    end
    assert.matches("afterthought", server:stderr())
  end)
end)

describe("a returned value", function()
  local function returned(body)
    local response = answer(body)
    return response.status .. " " .. tostring(response.headers["content-type"]) .. " " .. response.body
  end

  it("is the answer where it is a string, a table, or a status and one of them", function()
    for body, expected in pairs({
      ["return 'hi'"] = "200 text/plain; charset=utf-8 hi",
      ["return '<p>hi'"] = "200 text/html; charset=utf-8 <p>hi",
      ["return '\\n <p>hi'"] = "200 text/html; charset=utf-8 \n <p>hi",
      ["return ''"] = "200 text/plain; charset=utf-8 ",
      ["return {a = 1}"] = '200 application/json {"a":1}',
      ["return {}"] = "200 application/json {}",
      ["return require('json').array({})"] = "200 application/json []",
      ["return 201, {1, 2}"] = "201 application/json [1,2]",
      ["return 404, 'gone'"] = "404 text/plain; charset=utf-8 gone",
      ["res:setHeader('Content-Type', 'text/css') return '<p>'"] = "200 text/css <p>",
      ["res.statusCode = 202 return 'x'"] = "202 text/plain; charset=utf-8 x",
      ["require('timers').sleep(1) return 'late'"] = "200 text/plain; charset=utf-8 late",
    }) do
      assert.equal(expected, returned(body), body)
    end
  end)

  it("is none where it is anything else, or where the head was sent", function()
    for _, value in ipairs({ "42", "true", "setmetatable({}, {})", "res", "print", "201", "99, 'x'" }) do
      assert.equal("200 nil answered",
        returned("setTimeout(function() res:finish('answered') end, 5) return " .. value))
    end
    assert.equal("200 nil answered", returned("res:finish('answered') return 'ignored'"))
    assert.equal("200 nil answered", returned("return res:finish('answered')"))
    assert.equal("200 nil answered",
      returned("res:write('answered') setTimeout(function() res:finish() end, 1) return 'no'"))
  end)

  it("that cannot be JSON is a 500", function()
    assert.equal(500, answer("return {print}").status)
  end)
end)

describe("a client that does not read", function()
  local function stalled(server)
    local conn = helper.connect(server, { rcvbuf = 8192, timeout = 20 })
    conn:send(GET)
    return conn
  end

  it("makes write wait, and the body arrives whole when it reads", function()
    local server = helper.serve_handler([[
      for i = 1, 400 do
        assert(res:write(("%08d"):format(i):rep(8192)))
        if i == 32 then print("32") end
      end
      print("all")
      res:finish()]])
    local conn = stalled(server)
    server:wait_output("32")
    assert.is_nil(server:stdout():find("all"))
    local body = conn:read_response().body
    assert.equal(400 * 65536, #body)
    for i = 1, 400 do
      assert.equal(("%08d"):format(i), body:sub((i - 1) * 65536 + 1, (i - 1) * 65536 + 8))
    end
  end)

  it("makes write return false where there is a callback, and drain follows", function()
    local server = helper.serve_handler([[
      local chunk = ("x"):rep(1024 * 1024)
      local count, back = 0, 0
      local function fill()
        repeat
          count = count + 1
          local ok = res:write(chunk, function() back = back + 1 end)
        until not ok or count == 20
        print("full")
        if count == 20 then res:finish() end
      end
      res:on("drain", function()
        print("drain")
        fill()
      end)
      res:on("close", function() print("close", count, back) end)
      fill()]])
    local conn = stalled(server)
    server:wait_output("full")
    assert.equal(20 * MIB, #conn:read_response().body)
    server:wait_output("close\t20\t20")
    assert.matches("drain", server:stdout())
  end)

  it("makes write return false where nobody can wait", function()
    local server = helper.serve_handler([[
      local ok = true
      table.sort({3, 2, 1}, function(a, b)
        if ok then ok = res:write(("x"):rep(16 * 1024 * 1024)) end
        return a < b
      end)
      print("ok", ok)
      res:finish()]])
    local conn = stalled(server)
    server:wait_output("ok\tfalse")
    assert.is_true(#conn:read_response().body >= 16 * MIB)
  end)

  it("makes several writers wait, and lets all of them go on", function()
    local server = helper.serve_handler([[
      local left = 5
      for i = 1, 5 do
        setImmediate(function()
          for _ = 1, 40 do assert(res:write(tostring(i):rep(65536))) end
          left = left - 1
          if left == 0 then res:finish() end
        end)
      end
      setTimeout(function() print("waiting", left) end, 200)]])
    local conn = stalled(server)
    server:wait_output("waiting\t5")
    assert.is_true(server:rss() < (helper.sanitized and 400 or 30) * MIB)
    local body = conn:read_response().body
    assert.equal(5 * 40 * 65536, #body)
  end)

  it("that goes away ends the waiting", function()
    local server = helper.serve_handler([[
      for _ = 1, 3 do
        setImmediate(function()
          local ok, why
          repeat ok, why = res:write(("x"):rep(65536)) until not ok
          print("writer", ok, why)
        end)
      end
      setTimeout(function() print("waiting") end, 100)]])
    local conn = stalled(server)
    server:wait_output("waiting")
    conn:reset()
    helper.wait_for(function() return select(2, server:stdout():gsub("writer\tnil\t%a+", "")) == 3 end, "three writers")
  end)

  it("costs no copy of a string that is sent to many", function()
    local server = helper.serve_handler("res:finish(page)", { before = "local page = ('x'):rep(1024 * 1024)" })
    helper.get(server, "/")
    local before = server:rss()
    local conns = {}
    for i = 1, 90 do
      conns[i] = helper.connect(server, { rcvbuf = 4096, timeout = 20 })
      conns[i]:send(GET)
    end
    local probe = helper.connect(server)
    probe:send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    probe:read_response({ head = true })
    assert.is_true(server:rss() - before < (helper.sanitized and 60 or 8) * MIB)
    for _, i in ipairs({ 1, 45, 90 }) do
      assert.equal(MIB, #conns[i]:read_response().body)
    end
  end)

  it("costs no memory while a large body is echoed to it", function()
    local size = (helper.sanitized and 32 or 128) * MIB
    local server = helper.serve_handler([[
      res:setHeader("Content-Length", req.headers["content-length"]):flushHeaders()
      for chunk in req:chunks() do
        if not res:write(chunk) then return end
      end
      res:finish()]])
    local conn = helper.connect(server, { rcvbuf = 65536, timeout = 60 })
    conn:send(("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(size))
    local block = ("0123456789abcdef"):rep(16384)
    local sent, got, peak = 0, 0, 0
    conn:read_until("\r\n\r\n", true)
    while got < size do
      if sent < size then
        local ok, why, n = conn:send(block:sub(sent % 16 + 1, sent % 16 + math.min(size - sent, #block - 16)), 0.001)
        assert(ok or why == "timeout", why)
        sent = sent + (n or math.min(size - sent, #block - 16))
      end
      got = got + #conn:read_some()
      if got % 64 == 0 then peak = math.max(peak, server:rss()) end
    end
    peak = math.max(peak, server:rss())
    assert.equal(size, got)
    if not helper.sanitized then assert.is_true(peak < 16 * MIB, peak) end
  end)
end)
