-- Section 9 of the contract as far as it concerns HTTP/1: each limit is crossed,
-- mostly through the fields of a server with small values.
local helper = require("spec.helper")

local MIB = 1024 * 1024

-- A server with these options, whose handler has this body.
local function serve(options, body, opts)
  return helper.serve(([[
local server
server = require("http").createServer({%s}, function(req, res) %s end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]):format(options, body or "res:finish('served')"), opts)
end

local function send(server, bytes)
  local conn = helper.connect(server)
  conn:send(bytes)
  return conn
end

-- The status that refuses the bytes and closes the connection.
local function refused(server, bytes)
  local conn = send(server, bytes)
  local response = conn:read_response()
  assert.equal("close", response.headers.connection)
  assert.is_true(conn:closed())
  return response.status
end

local function head(...)
  return table.concat({ "GET / HTTP/1.1", "Host: a", ... }, "\r\n") .. "\r\n\r\n"
end

-- Runs fn and checks that it took at least so many seconds.
local function takes(seconds, fn)
  local start = helper.now()
  local result = fn()
  assert.is_true(helper.now() - start >= seconds - 0.02)
  return result
end

describe("the size of a head", function()
  it("is limited by line, in all and by count", function()
    local server = serve("maxRequestLineSize = 100, maxHeaderSize = 1000, maxHeadersCount = 5")
    assert.equal(414, refused(server, "GET /" .. ("x"):rep(100) .. " HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert.equal(431, refused(server, head("X: " .. ("x"):rep(1000))))
    assert.equal(431, refused(server, head("A: 1", "B: 2", "C: 3", "D: 4", "E: 5")))
    assert.equal("served", send(server, head("A: 1", "B: 2", "C: 3", "D: 4")):read_response().body)
    assert.equal("served", send(server, head("X: " .. ("x"):rep(900))):read_response().body)
  end)

  it("has options for the process", function()
    local server = serve("", nil, { args = { "--max-request-line", "100", "--max-header-size", "1000",
      "--max-headers", "5" } })
    assert.equal(414, refused(server, "GET /" .. ("x"):rep(100) .. " HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert.equal(431, refused(server, head("X: " .. ("x"):rep(1000))))
    assert.equal(431, refused(server, head("A: 1", "B: 2", "C: 3", "D: 4", "E: 5")))
  end)

  it("has no limit of the count where that is 0", function()
    local server = serve("maxHeadersCount = 0")
    local lines = {}
    for i = 1, 500 do lines[i] = "X-" .. i .. ": 1" end
    assert.equal("served", send(server, head(table.unpack(lines))):read_response().body)
  end)

  it("can be changed while the server runs", function()
    local server = serve("", "server.maxRequestLineSize = 64 res:finish('served')")
    local line = "GET /" .. ("x"):rep(100) .. " HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal("served", send(server, line):read_response().body)
    assert.equal(414, refused(server, line))
  end)
end)

describe("what surrounds the chunks of a body", function()
  it("is limited by maxTrailerSize", function()
    local server = serve("maxTrailerSize = 100", "res:finish(req:text())")
    local post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert.equal("x", send(server, post .. "1;" .. ("e"):rep(90) .. "\r\nx\r\n0\r\n\r\n"):read_response().body)
    assert.equal(400, refused(server, post .. "1;" .. ("e"):rep(110) .. "\r\nx\r\n0\r\n\r\n"))
    assert.equal(400, refused(server, post .. ("1;" .. ("e"):rep(30) .. "\r\nx\r\n"):rep(4) .. "0\r\n\r\n"))
    assert.equal(400, refused(server, post .. "0\r\nX: " .. ("t"):rep(110) .. "\r\n\r\n"))
  end)
end)

describe("maxBodySize", function()
  it("limits what is collected and not what is streamed", function()
    local server = serve("maxBodySize = 10", [[
      if req.url == "/stream" then
        local n = 0
        for chunk in req:chunks() do n = n + #chunk end
        return n .. ""
      end
      return req:text()]])
    assert.equal("0123456789", helper.request(server, { method = "POST", body = "0123456789" }).body)
    assert.equal(413, helper.request(server, { method = "POST", body = "0123456789x" }).status)
    assert.equal("100000", helper.request(server, { method = "POST", path = "/stream", body = ("x"):rep(100000) }).body)
  end)

  it("refuses before 100 Continue where the length says so", function()
    local server = serve("maxBodySize = 10", "return req:text()")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n")
    local response = conn:read_response()
    assert.equal(413, response.status)
    assert.is_true(conn:closed())
  end)
end)

describe("headersTimeout", function()
  it("counts the whole head, not the time between its bytes", function()
    local server = serve("headersTimeout = 300")
    local conn = helper.connect(server)
    local start = helper.now()
    for byte in head("X: " .. ("x"):rep(100)):gmatch(".") do
      if not conn:send(byte) or conn:closed(0.02) then break end
    end
    assert.is_true(helper.now() - start < 2 * helper.scale)
    local response = conn:read_response()
    assert.equal(408, response.status)
    assert.equal("close", response.headers.connection)
  end)

  it("counts from the first byte of a later request", function()
    local server = serve("headersTimeout = 200")
    local conn = send(server, head())
    conn:read_response()
    assert.is_false(conn:closed(0.3))
    conn:send("GET / HT")
    takes(0.15, function() return assert.equal(408, conn:read_response().status) end)
  end)

  it("counts a head that came behind another request, too", function()
    local server = serve("headersTimeout = 200")
    local conn = send(server, head() .. "GET / HTTP/1.1\r\nHos")
    assert.equal(200, conn:read_response().status)
    assert.equal(408, conn:read_response().status)
  end)

  it("leaves handlers all the time that they want", function()
    local server = serve("headersTimeout = 50", "require('timers').sleep(200) res:finish('late')")
    assert.equal("late", send(server, head()):read_response().body)
  end)
end)

describe("requestTimeout", function()
  it("is for a body that takes too long in all", function()
    local server = serve("requestTimeout = 200", "print('read', req:text())")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    local start = helper.now()
    while conn:send("x") and not conn:closed(0.02) do end
    assert.is_true(helper.now() - start < 2 * helper.scale)
    assert.equal(408, conn:read_response().status)
    server:wait_output("read\tnil\ttimeout")
  end)

  it("cuts the connection where an answer has begun", function()
    local server = serve("requestTimeout = 100", "res:write('begun') print('read', req:text())")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    assert.matches("begun\r\n$", conn:read_all())
    server:wait_output("read\tnil\ttimeout")
  end)

  it("does not run while nobody reads", function()
    local server = serve("requestTimeout = 50", "require('timers').sleep(200) res:finish('late')")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
    assert.equal("late", conn:read_response().body)
  end)
end)

describe("handlerTimeout", function()
  it("answers 503 for a handler that does not, and says in the log which kind it was", function()
    local server = serve("handlerTimeout = 100", [[
      if req.url == "/forgets" then return end
      require("timers").sleep(400)
      print("late", res:setHeader("X", 1), res:finish("late"))]])
    local conn = send(server, "GET /forgets HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(503, takes(0.1, function() return conn:read_response() end).status)
    conn:send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(503, conn:read_response().status)
    server:wait_output("late\tnil\tnil\tclosed")
    assert.matches("GET /forgets: the handler returned without an answer, and nothing it started is left to give one",
      server:stderr(), 1, true)
    assert.matches("GET /waits: the handler did not answer in time", server:stderr(), 1, true)
    conn:send("GET /forgets HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(503, conn:read_response().status)
  end)

  it("ends when the head has left", function()
    local server = serve("handlerTimeout = 50", "res:write('a') require('timers').sleep(150) res:finish('b')")
    assert.equal("ab", send(server, head()):read_response().body)
  end)

  it("does not run while the handler waits for the client", function()
    local server = serve("handlerTimeout = 100", "res:finish(req:text())")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    assert.is_false(conn:closed(0.3))
    conn:send("cd")
    assert.equal("abcd", conn:read_response().body)
  end)

  it("runs again when the body is there", function()
    local server = serve("handlerTimeout = 100", "req:text() require('timers').sleep(1000)")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd")
    assert.equal(503, conn:read_response().status)
  end)

  it("ends waits on the exchange with timeout", function()
    local server = serve("handlerTimeout = 100, requestTimeout = 200", [[
      setTimeout(function() print("read", req:read()) end, 50)]])
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
    assert.is_true(conn:read_response().status >= 400)
    server:wait_output("read\tnil\ttimeout")
  end)
end)

describe("minBodyRate", function()
  it("is for a body that drips", function()
    local server = serve("minBodyRate = 1000", "print('read', req:text())")
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    takes(9, function()
      local start = helper.now()
      while conn:send(("x"):rep(10)) and not conn:closed(0.05) and helper.now() - start < 14 do end
    end)
    assert.equal(408, conn:read_response().status)
    server:wait_output("read\tnil\ttimeout")
  end)

  it("does not blame the client for a handler that reads slowly", function()
    local server = serve("minBodyRate = 100000", [[
      local n, first = 0, true
      for chunk in req:chunks() do
        n = n + #chunk
        if first then require("timers").sleep(10500) end
        first = false
      end
      return n .. ""]])
    local conn = send(server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n" .. ("x"):rep(1000))
    conn:send(("x"):rep(500))
    assert.is_false(conn:closed(11 / helper.scale))
    conn:send(("x"):rep(500))
    assert.equal("2000", conn:read_response().body)
  end)
end)

describe("writeTimeout", function()
  it("resets a client that takes nothing", function()
    local server = serve("writeTimeout = 200", [[
      res:on("close", function() print("close", res.writableFinished) end)
      res:finish(("x"):rep(32 * 1024 * 1024))]])
    local conn = helper.connect(server, { rcvbuf = 4096 })
    conn:send(head())
    server:wait_output("close\tfalse", 3)
    assert.is_true(conn:closed())
    assert.is_true(#conn.buffer < 32 * MIB)
  end)

  it("ends the waiting of a writer", function()
    local server = serve("writeTimeout = 200", [[
      local ok, why
      repeat ok, why = res:write(("x"):rep(65536)) until not ok
      print("writer", ok, why)]])
    local conn = helper.connect(server, { rcvbuf = 4096 })
    conn:send(head())
    server:wait_output("writer\tnil\t%a+", 3)
  end)

  it("lets a slow reader be", function()
    local server = serve("writeTimeout = 1000", "res:finish(('x'):rep(8 * 1024 * 1024))")
    local conn = helper.connect(server, { rcvbuf = 65536, timeout = 20 })
    conn:send(head())
    conn:read_until("\r\n\r\n", true)
    local start, got = helper.now(), 0
    repeat -- far slower than what would make the socket writable again in time
      got = got + #conn:read(5000)
      local pause = helper.now() + 0.02
      helper.wait_for(function() return helper.now() > pause end)
    until helper.now() - start > 3.5
    assert.equal(8 * MIB - got, #conn:read(8 * MIB - got))
  end)
end)

describe("maxConnections", function()
  local BODY = ([[
    if req.url == "/hold" then
      print("held")
      require("timers").sleep(%d)
    end
    res:finish(req.url)]]):format(400 * helper.scale)

  local function get(path)
    return "GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n"
  end

  for _, way in ipairs({ "the field of a server", "the option of the process" }) do
    local function limited(n)
      if way == "the field of a server" then return serve("maxConnections = " .. n, BODY) end
      return serve("", BODY, { args = { "--max-connections", tostring(n) } })
    end

    it("as " .. way .. " closes the connection that has been idle for longest", function()
      local server = limited(3)
      local conns = {}
      for i = 1, 3 do
        conns[i] = send(server, get("/" .. i))
        assert.equal("/" .. i, conns[i]:read_response().body)
      end
      conns[1]:send(get("/again"))
      assert.equal("/again", conns[1]:read_response().body)
      assert.equal("/4", send(server, get("/4")):read_response().body)
      assert.is_true(conns[2]:closed())
      assert.is_false(conns[1]:closed(0.05))
      assert.is_false(conns[3]:closed(0.05))
    end)

    it("as " .. way .. " lets new ones wait while all are at work", function()
      local server = limited(2)
      local conns = {}
      for i = 1, 2 do conns[i] = send(server, get("/hold")) end
      helper.wait_for(function() return select(2, server:stdout():gsub("held", "")) == 2 end, "both to be held")
      local third = send(server, get("/third"))
      assert.is_false(third:closed(0.1))
      assert.equal("", third.buffer)
      assert.equal("/third", third:read_response().body)
      for i = 1, 2 do assert.equal("/hold", conns[i]:read_response().body) end
    end)
  end

  it("of the process holds for all its servers together", function()
    local server = helper.serve([[
local http = require("http")
for i = 1, 2 do
  local server
  server = http.createServer(function(req, res) res:finish(req.url) end)
  server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
end
]], { ports = 2, args = { "--max-connections", "2" } })
    local conns = {}
    for i = 1, 2 do
      conns[i] = helper.connect(server, { port = server.ports[2] })
      conns[i]:send(get("/" .. i))
      conns[i]:read_response()
    end
    local other = helper.connect(server, { port = server.ports[1] })
    other:send(get("/other"))
    assert.equal("/other", other:read_response().body)
  end)
end)

describe("trailers", function()
  it("are limited in their count", function()
    local server = serve("maxHeadersCount = 3", "req:text() res:finish(req.trailers.a)")
    local function chunked(...)
      return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        .. table.concat({ ... }, "\r\n") .. "\r\n\r\n"
    end
    assert.equal("1", send(server, chunked("A: 1", "B: 2", "C: 3")):read_response().body)
    assert.equal(400, refused(server, chunked("A: 1", "B: 2", "C: 3", "D: 4")))
  end)
end)

describe("blank lines before a request", function()
  it("are limited, and do not put off the end of the time for a head", function()
    local server = serve("headersTimeout = 400")
    local conn = send(server, "\r\n\r\n" .. head())
    assert.equal("served", conn:read_response().body)
    assert.equal(400, refused(server, ("\r\n"):rep(100000)))
    conn = helper.connect(server)
    helper.wait_for(function() -- a drip: each line comes before the last one's time is over
      return not conn:send("\r\n") or conn:closed(0.05)
    end, "the end of the drip")
  end)
end)

describe("when descriptors run out", function()
  it("never happens where the limit of connections is left to the server", function()
    for _, files in ipairs({ 32, 64, 256 }) do
      local server = serve("", "res:finish('served')", { nofile = files })
      local conns = {}
      for i = 1, files + 20 do
        conns[i] = helper.connect(server)
        conns[i]:send(head())
        assert.equal("served", conns[i]:read_response().body) -- the longest idle one makes room
      end
      assert.equal("", server:stderr())
    end
  end)

  it("accepting rests, and goes on when there are some again", function()
    local server = serve("", "res:finish('served')", { nofile = 64, args = { "--max-connections", "1000" } })
    local conns = {}
    for i = 1, 100 do conns[i] = helper.connect(server, { try = true }) end
    server:wait_output("cannot accept connections")
    assert.is_true(server:alive())
    assert.equal(1, select(2, server:stderr():gsub("cannot accept connections", "")))
    for _, conn in pairs(conns) do conn:close() end
    helper.wait_for(function()
      local conn = helper.connect(server, { try = true, timeout = 1 })
      if not conn then return end
      conn:send(head("Connection: close"))
      local ok, response = pcall(conn.read_response, conn)
      return ok and response.body == "served"
    end, "an answer")
  end)
end)
