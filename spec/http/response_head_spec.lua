-- res: status and headers, until they have left.
local helper = require("spec.helper")

local function answer(body, request, opts)
  return helper.request(helper.serve_handler(body, opts), request or {})
end

-- The fields that the handler has set, in the order in which they were sent.
local function sent_fields(body, request)
  local lines = {}
  for _, pair in ipairs(answer(body, request).raw_headers) do
    if pair[1] ~= "Date" and pair[1] ~= "Content-Length" then table.insert(lines, pair[1] .. ": " .. pair[2]) end
  end
  return table.concat(lines, "\n")
end

-- What calls print that may raise: "ok", or the message without its position.
local function attempts(calls, request)
  local server = helper.serve_handler([[
    local lines = {}
    local function try(fn)
      local ok, message = pcall(fn)
      lines[#lines + 1] = ok and "ok" or (tostring(message):gsub("^[^ ]*:%d+: ", ""))
    end
    ]] .. calls .. [[ print(table.concat(lines, "\n")) if not res.writableEnded then res:finish() end]])
  local response = helper.request(server, request or {})
  return server:stdout():gsub("^port %d+\n", ""):gsub("\n$", ""), response
end

describe("the status", function()
  it("is 200 OK, statusCode and statusMessage, or what writeHead says", function()
    for body, expected in pairs({
      ["res:finish()"] = "200 OK",
      ["res.statusCode = 404 res:finish()"] = "404 Not Found",
      ["res.statusCode = 404 res.statusMessage = 'Gone fishing' res:finish()"] = "404 Gone fishing",
      ["res:writeHead(201) res:finish()"] = "201 Created",
      ["res:writeHead(201, 'Mine') res:finish()"] = "201 Mine",
      ["res:writeHead(201, 'Mine', {X = '1'}) res:finish()"] = "201 Mine",
      ["res:writeHead(418, {X = '1'}) res:finish()"] = "418 I'm a Teapot",
      ["res:writeHead(201) res.statusCode = 202 res:finish()"] = "202 Accepted",
      ["res:writeHead(299) res:finish()"] = "299 unknown",
      ["res.statusCode = 200.0 res:finish()"] = "200 OK",
    }) do
      local response = answer(body)
      assert.equal(expected, response.status .. " " .. response.reason, body)
    end
  end)

  it("must be one", function()
    assert.equal([[
Invalid status code: 99
Invalid status code: 1000
Invalid status code: OK
Invalid status code: nil
Invalid character in statusMessage
Invalid character in statusMessage
Invalid status code: 42]], (attempts([[
      try(function() res:writeHead(99) end)
      try(function() res:writeHead(1000) end)
      try(function() res:writeHead("OK") end)
      try(function() res:writeHead() end)
      try(function() res:writeHead(200, "a\r\nX: 1") end)
      res.statusMessage = "a\nb"
      try(function() res:finish() end)
      res.statusMessage = nil
      res.statusCode = 42
      try(function() res:finish() end)
      res.statusCode = 200]])))
  end)

  it("that is no final one is refused with a hint", function()
    assert.matches("a final status code is 200 or above, not 103; see res:writeContinue",
      (attempts("res.statusCode = 103 try(function() res:finish() end) res.statusCode = 200")))
  end)

  it("of 205 has no body, and says so", function()
    local response = answer("res.statusCode = 205 res:finish('x')")
    assert.equal("0", response.headers["content-length"])
    assert.equal("", response.body)
  end)
end)

describe("setHeader", function()
  it("sets, replaces whatever the case, and repeats lists", function()
    assert.equal("X: 3\nSet-Cookie: a=1\nSet-Cookie: b=2",
      sent_fields("res:setHeader('x', 1):setHeader('X', 3) res:setHeader('Set-Cookie', {'a=1', 'b=2'}) res:finish()"))
  end)

  it("prints numbers and booleans, whole numbers without a fraction", function()
    assert.equal("A: 1\nB: 1\nC: 1.5\nD: true\nE: -3\nF: 9007199254740992", sent_fields([[
      res:setHeader("A", 1) res:setHeader("B", 1.0) res:setHeader("C", 1.5) res:setHeader("D", true)
      res:setHeader("E", -3) res:setHeader("F", 2^53) res:finish()]]))
  end)

  it("takes space around a value off, and lets bytes beyond ASCII through", function()
    assert.equal("A: x y\nB: \195\164\nC: ", sent_fields([[
      res:setHeader("A", " x y\t") res:setHeader("B", "\195\164") res:setHeader("C", "") res:finish()]]))
  end)

  it("refuses what could end a field, and anything that is no value", function()
    local out = attempts([[
      for _, name in ipairs({"", "a b", "a:b", "a\r\nb", "a\0", "\195\164", "a(b", ":path"}) do
        try(function() res:setHeader(name, "x") end)
      end
      for _, value in ipairs({"a\r\nb", "a\nb", "a\rb", "a\0b", "a\127", "a\27b", {"ok", "a\nb"}}) do
        try(function() res:setHeader("X", value) end)
      end
      try(function() res:setHeader("X") end)
      try(function() res:setHeader("X", print) end)
      try(function() res:setHeader("X", {{}}) end)
      try(function() res:setHeader(nil, "x") end)
      try(function() res:setHeader(1, "x") end)]])
    local count = {}
    for line in out:gmatch("[^\n]+") do
      local kind = line:match("^Header name must be a valid HTTP token")
        or line:match("^Invalid character in header content")
        or line:match("^Invalid value %(%a+%)") or line:match("the name of a header is a string")
      assert(kind, line)
      count[kind] = (count[kind] or 0) + 1
    end
    assert.same({ ["Header name must be a valid HTTP token"] = 8, ["Invalid character in header content"] = 7,
      ["Invalid value (nil)"] = 1, ["Invalid value (function)"] = 1, ["Invalid value (table)"] = 1,
      ["the name of a header is a string"] = 2 }, count)
  end)

  it("that fails leaves what was set before", function()
    assert.equal("X: good", sent_fields([[
      res:setHeader("X", "good")
      pcall(res.setHeader, res, "X", "bad\n")
      pcall(res.setHeader, res, "X", {"half", "bad\n"})
      pcall(res.writeHead, res, 200, {"X", "bad\n"})
      res:finish()]]))
  end)

  it("raises at the caller's line", function()
    local server = helper.serve_handler("\nres:setHeader('X', 'a\\nb')")
    assert.equal(500, helper.get(server, "/").status)
    assert.matches("app.lua:2: Invalid character in header content [\"X\"]", server:stderr(), 1, true)
  end)

  it("takes a Content-Length that is one, and no other", function()
    assert.equal("hello", answer("res:setHeader('Content-Length', 5) res:finish('hello')").body)
    local out, response = attempts([[
      for _, value in ipairs({"abc", "-1", "5x", "", "1.5", "12345678901234567890", {"5", "x"}}) do
        try(function() res:setHeader("Content-Length", value) end)
      end]])
    assert.equal(7, select(2, out:gsub("Invalid value for header \"Content%-Length\"", "")))
    assert.equal("0", response.headers["content-length"])
  end)

  it("does not send two lengths", function()
    local response = answer("res:setHeader('Content-Length', {1, 2}) res:finish('abc')")
    assert.equal("3", response.headers["content-length"])
    assert.equal("abc", response.body)
  end)

  it("leaves the coding of the transfer to the server", function()
    local response = answer("res:setHeader('Transfer-Encoding', 'gzip') res:finish('abc')")
    assert.is_nil(response.headers["transfer-encoding"])
    assert.equal("abc", response.body)
  end)
end)

describe("the other methods of headers", function()
  it("append, remove, tell and list", function()
    local server = helper.serve_handler([[
      res:setHeader("X-One", 1):appendHeader("x-one", "2"):appendHeader("X-Two", "3")
      res:setHeader("Gone", "x"):removeHeader("gONE"):removeHeader("never")
      local one = res:getHeader("X-ONE")
      print(type(one), table.concat(one, "|"), res:getHeader("x-two"), res:getHeader("gone"))
      print(res:hasHeader("X-TWO"), res:hasHeader("gone"))
      local names = res:getHeaderNames()
      table.sort(names)
      print(table.concat(names, "|"), res:getHeaders()["x-two"], res:getHeaders()["x-one"][2])
      res:finish()]])
    local response = helper.get(server, "/")
    assert.same({ "1", "2" }, response.headers["x-one"])
    assert.equal("3", response.headers["x-two"])
    assert.is_nil(response.headers.gone)
    assert.matches("table\t1|2\t3\tnil\ntrue\tfalse\nx-one|x-two\t3\t2\n", server:stdout(), 1, true)
  end)

  it("return the response, so that calls chain", function()
    local server = helper.serve_handler([[
      print("same", res:setHeader("A", 1) == res, res:appendHeader("A", 2) == res, res:removeHeader("A") == res,
        res:writeHead(200) == res, res:flushHeaders() == res, res:on("close", print) == res,
        res:addTrailers({}) == res, res:finish() == res)]])
    helper.get(server, "/")
    assert.matches("same" .. ("\ttrue"):rep(8), server:stdout())
  end)
end)

describe("writeHead", function()
  it("merges with setHeader and wins, whatever the case", function()
    assert.equal("A: 1\nb: 3\nC: 4", sent_fields([[
      res:setHeader("A", 1):setHeader("B", 2)
      res:writeHead(200, {b = 3})
      res:setHeader("C", 4)
      res:finish()]]))
  end)

  it("takes a flat list, where a repeated name is a repeated header", function()
    assert.equal("X: 0\nA: 1\nA: 2\nB: 3",
      sent_fields([[
      res:setHeader("a", "old") res:setHeader("X", 0)
      res:writeHead(200, {"A", 1, "A", "2", "B", 3})
      res:finish()]]))
  end)

  it("takes lists of values", function()
    assert.equal("A: 1\nA: 2", sent_fields("res:writeHead(200, {A = {1, 2}}) res:finish()"))
  end)

  it("does not send anything yet: an error is still a 500", function()
    local response = answer("res:writeHead(200, {A = 1}) error('late')")
    assert.equal(500, response.status)
    assert.is_nil(response.headers.a)
  end)

  it("refuses what is no list of headers", function()
    assert.matches("a list of headers has a value for each name", (attempts(
      "try(function() res:writeHead(200, {'A', '1', 'B'}) end)")))
    assert.matches("the headers are a table", (attempts("try(function() res:writeHead(200, 'OK', 42) end)")))
  end)
end)

describe("headers that were sent", function()
  it("cannot be changed any more", function()
    assert.equal([[
Cannot set headers after they are sent to the client
Cannot append headers after they are sent to the client
Cannot remove headers after they are sent to the client
Cannot write headers after they are sent to the client
ok]], (attempts([[
      res:write("begun")
      try(function() res:setHeader("X", 1) end)
      try(function() res:appendHeader("X", 1) end)
      try(function() res:removeHeader("X") end)
      try(function() res:writeHead(200) end)
      try(function() res:getHeader("X") end)]])))
  end)

  it("are known as such", function()
    local server = helper.serve_handler([[
      local function state() return res.headersSent, res.writableEnded end
      print(state())
      res:writeHead(200)
      print(state())
      res:flushHeaders()
      print(state())
      res:finish()
      print(state())]])
    helper.get(server, "/")
    assert.matches("false\tfalse\nfalse\tfalse\ntrue\tfalse\ntrue\ttrue\n", server:stdout())
  end)

  it("leave at once with flushHeaders", function()
    local server = helper.serve_handler([[
      res:setHeader("X", "early"):flushHeaders()
      res:flushHeaders()
      setTimeout(function() res:finish("late") end, 20)]])
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    local head = conn:read_until("\r\n\r\n", true)
    assert.matches("X: early\r\n", head)
    assert.equal("4\r\nlate\r\n0\r\n\r\n", conn:read(14))
  end)
end)

describe("the head as it is sent", function()
  it("has a date, and nothing that nobody asked for", function()
    local response = answer("res:finish('x')")
    assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$", response.headers.date)
    assert.equal(2, #response.raw_headers)
    assert.equal("mine", answer("res:setHeader('Date', 'mine') res:finish()").headers.date)
  end)

  it("cannot be split by anything that a handler puts into it", function()
    local server = helper.serve_handler([[
      local evil = req.query.x
      local tries = {
        function() res:setHeader("Location", "/" .. evil) end,
        function() res:setHeader(evil, "x") end,
        function() res:appendHeader("X", evil) end,
        function() res:writeHead(200, evil) end,
        function() res:writeHead(200, {X = evil}) end,
        function() res:writeHead(200, {[evil] = "x"}) end,
        function() res:writeHead(200, {"X", evil}) end,
        function() res:writeEarlyHints({link = evil}) end,
        function() res:writeEarlyHints({[evil] = "x"}) end,
        function() res:writeEarlyHints(evil) end,
        function() res:addTrailers({X = evil}) end,
        function() res:addTrailers({[evil] = "x"}) end,
        function() res.statusMessage = evil res:flushHeaders() end,
      }
      for i, try in ipairs(tries) do print(i, (pcall(try))) end
      res.statusMessage = nil
      res:finish("whole")]])
    for _, evil in ipairs({ "a%0d%0aSet-Cookie:%20b=1", "a%0aX:1", "a%0dX:1", "%0d%0a%0d%0a<script>", "a%00b" }) do
      local response = helper.get(server, "/?x=" .. evil)
      assert.equal("whole", response.body)
      assert.equal(2, #response.raw_headers)
    end
    assert.is_nil(server:stdout():find("true"))
    assert.equal(13 * 5, select(2, server:stdout():gsub("false", "")))
  end)
end)

describe("Connection", function()
  local function connection(value, request)
    local response = answer("res:setHeader('Connection', '" .. value .. "') res:finish()", request)
    local said = response.headers.connection
    return type(said) == "table" and table.concat(said, "|") or tostring(said)
  end

  it("is the handler's word where it closes, and is said once", function()
    assert.equal("close", connection("close"))
    assert.equal("close", connection("Close", { version = "1.0" }))
    assert.equal("keep-alive", connection("keep-alive"))
    assert.equal("close", connection("keep-alive", { version = "1.0" }))
    assert.equal("close", connection("keep-alive", { headers = { Connection = "close" } }))
  end)

  it("may ask for an upgrade, also where the connection ends", function()
    assert.equal("upgrade", connection("upgrade"))
    assert.equal("upgrade|close", connection("upgrade", { headers = { Connection = "close" } }))
  end)
end)

describe("interim answers", function()
  it("hint early, once or more, before the head", function()
    local response = answer([[
      res:writeEarlyHints({link = {"</a.css>; rel=preload", "</b.js>; rel=preload"}, ["X-Trace"] = 1})
      res:writeEarlyHints("</c.css>; rel=preload")
      res:writeEarlyHints({})
      res:finish("done")
      print(pcall(res.writeEarlyHints, res, {link = "x"}))]])
    assert.equal(2, #response.interim)
    assert.equal(103, response.interim[1].status)
    assert.same({ "</a.css>; rel=preload", "</b.js>; rel=preload" }, response.interim[1].headers.link)
    assert.equal("1", response.interim[1].headers["x-trace"])
    assert.equal("</c.css>; rel=preload", response.interim[2].headers.link)
    assert.equal("done", response.body)
  end)

  it("continue by hand, once", function()
    local server = helper.serve_handler("res:writeContinue():writeContinue() res:finish(req:text())")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert.equal(100, conn:read_response().status)
    conn:send("hi")
    assert.equal("hi", conn:read_response().body)
  end)

  it("are not sent to a client that waits for none", function()
    assert.equal(0, #answer("res:writeContinue() res:finish()").interim)
  end)
end)

describe("onHead", function()
  it("runs once, before the head leaves, whatever commits it", function()
    for _, commit in ipairs({ "res:finish('x')", "res:write('x') res:finish()", "res:flushHeaders() res:finish('x')",
      "res['end'](res, 'x')", "return 'x'", "res:writeHead(200) res:finish('x')" }) do
      local server = helper.serve_handler([[
        res:onHead(function(r)
          print("hook", r == res)
          r:setHeader("X", "hooked")
        end) ]] .. commit)
      local response = helper.get(server, "/")
      assert.equal("hooked", response.headers.x, commit)
      assert.equal("x", response.body)
      assert.equal(1, select(2, server:stdout():gsub("hook\ttrue", "")))
    end
  end)

  it("may wait, and several run in order", function()
    local response = answer([[
      res:onHead(function() require("timers").sleep(5) res:setHeader("X", "one") end)
      res:onHead(function() res:setHeader("X", res:getHeader("X") .. " two") end)
      res:finish("x")]])
    assert.equal("one two", response.headers.x)
  end)

  it("that fails is a 500", function()
    assert.equal(500, answer("res:onHead(function() error('bad hook') end) res:finish('x')").status)
  end)

  it("comes too late when the head has left", function()
    assert.equal("Cannot set headers after they are sent to the client",
      (attempts("res:flushHeaders() try(function() res:onHead(print) end)")))
  end)
end)
