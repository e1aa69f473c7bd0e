-- Connections that carry more than one request, and how they end.
local helper = require("spec.helper")

local function request(path, ...)
  return table.concat({ "GET " .. (path or "/") .. " HTTP/1.1", "Host: a", ... }, "\r\n") .. "\r\n\r\n"
end

-- Sends all and reads n answers; returns their bodies.
local function ask(conn, bytes, n)
  conn:send(bytes)
  local bodies = {}
  for i = 1, n or 1 do bodies[i] = conn:read_response().body end
  return table.concat(bodies, " ")
end

describe("a connection", function()
  local server

  setup(function()
    server = helper.serve_handler([[
      local wait = tonumber(req.query.wait)
      if wait then require("timers").sleep(wait) end
      if req.query.close then res:setHeader("Connection", "close") end
      if req.query.chunked then res:write("chunked ") end
      res:finish(req.url)]])
  end)

  it("of HTTP/1.1 is kept, without saying so", function()
    local conn = helper.connect(server)
    for _ = 1, 3 do
      conn:send(request("/"))
      local response = conn:read_response()
      assert.is_nil(response.headers.connection)
      assert.equal("/", response.body)
    end
  end)

  it("is closed after an answer that says so", function()
    for _, bytes in ipairs({ request("/", "Connection: close"), request("/?close=1"),
      "GET / HTTP/1.0\r\n\r\n" }) do
      local conn = helper.connect(server)
      conn:send(bytes)
      assert.equal("close", conn:read_response().headers.connection)
      assert.is_true(conn:closed())
      assert.equal("", conn.buffer)
    end
  end)

  it("of HTTP/1.0 is kept for a client that asks for it", function()
    local conn = helper.connect(server)
    for _ = 1, 3 do
      conn:send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
      assert.equal("keep-alive", conn:read_response().headers.connection)
    end
  end)

  it("survives errors of the handler, HEAD, 204, 304 and chunked answers", function()
    local mixed = helper.serve_handler([[
      local what = req.path:sub(2)
      if what == "error" then error("x") end
      if tonumber(what) then res.statusCode = tonumber(what) return res:finish("body") end
      if what == "chunked" then res:write("a") res:write("b") end
      res:finish("end")]])
    local conn = helper.connect(mixed)
    conn:send(request("/error") .. request("/204") .. "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" .. request("/chunked")
      .. request("/304") .. request("/last"))
    assert.equal(500, conn:read_response().status)
    assert.equal(204, conn:read_response().status)
    assert.equal("3", conn:read_response({ head = true }).headers["content-length"])
    assert.equal("abend", conn:read_response().body)
    assert.equal(304, conn:read_response().status)
    assert.equal("end", conn:read_response().body)
  end)

  it("answers pipelined requests in order, however long each takes", function()
    local conn = helper.connect(server)
    assert.equal("/?wait=20&a /?b /?wait=5&c /?d",
      ask(conn, request("/?wait=20&a") .. request("/?b") .. request("/?wait=5&c") .. request("/?d"), 4))
  end)

  it("answers 500 requests of one write", function()
    local bytes, expected = {}, {}
    for i = 1, 500 do
      bytes[i] = request("/" .. i)
      expected[i] = "/" .. i
    end
    assert.equal(table.concat(expected, " "), ask(helper.connect(server), table.concat(bytes), 500))
  end)

  it("answers 500 requests of one write by handlers that wait", function()
    local bytes, expected = {}, {}
    for i = 1, 500 do
      expected[i] = "/?wait=0&" .. i
      bytes[i] = request(expected[i])
    end
    assert.equal(table.concat(expected, " "), ask(helper.connect(server), table.concat(bytes), 500))
  end)

  it("answers pipelined requests with bodies, read or not", function()
    local reading = helper.serve_handler("res:finish(req.url == '/read' and req:text() or 'unread')")
    local function post(path, body)
      return ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(path, #body, body)
    end
    local chunked = "POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"
    assert.equal("one unread two unread three", ask(helper.connect(reading), post("/read", "one")
      .. post("/unread", request("/smuggled")) .. post("/read", "two") .. chunked .. post("/read", "three"), 5))
  end)
end)

describe("a body that nobody reads", function()
  local server

  setup(function()
    server = helper.serve_handler("res:finish('early')")
  end)

  local function post(length, sent)
    local conn = helper.connect(server)
    conn:send(("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(length))
    local ok = conn:send(("x"):rep(sent), 0.5)
    return conn, ok
  end

  it("is read away where it is short, and the connection goes on", function()
    local conn = post(200000, 200000)
    assert.equal("early", conn:read_response().body)
    assert.equal("early", ask(conn, request()))
  end)

  it("is read away when it comes after the answer", function()
    local conn = post(10, 0)
    assert.equal("early", conn:read_response().body)
    conn:send("0123456789")
    assert.equal("early", ask(conn, request()))
  end)

  it("costs the connection where it is long, but the answer arrives", function()
    local conn = post(100 * 1024 * 1024, 4 * 1024 * 1024)
    local response = conn:read_response()
    assert.equal("early", response.body)
    assert.equal("close", response.headers.connection)
    assert.is_true(conn:closed())
  end)

  it("without a known length is read away within bounds", function()
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert.equal("early", conn:read_response().body)
    local chunk = "10000\r\n" .. ("x"):rep(65536) .. "\r\n"
    local sent = 0
    while sent < 1000 and conn:send(chunk, 1) do sent = sent + 1 end
    assert.is_true(sent < 200)
  end)

  it("is not waited for where it was announced with an expectation", function()
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
    local response = conn:read_response()
    assert.equal(200, response.status)
    assert.equal("close", response.headers.connection)
    assert.is_true(conn:closed())
  end)
end)

describe("a client that has shut its side down", function()
  it("gets its answer, also from a handler that waits", function()
    local server = helper.serve_handler([[
      if req.url == "/wait" then require("timers").sleep(50) end
      res:finish("answer")]])
    for _, path in ipairs({ "/", "/wait" }) do
      local conn = helper.connect(server)
      conn:send(request(path))
      conn:shutdown_write()
      local response = conn:read_response()
      assert.equal("answer", response.body)
      assert.is_true(conn:closed())
    end
  end)

  it("gets all answers of a pipeline", function()
    local server = helper.serve_handler("require('timers').sleep(1) res:finish(req.url)")
    local conn = helper.connect(server)
    conn:send(request("/1") .. request("/2") .. request("/3"))
    conn:shutdown_write()
    assert.equal("/1 /2 /3", ask(conn, "", 3))
    assert.is_true(conn:closed())
  end)

  it("gets a large answer whole", function()
    local server = helper.serve_handler("res:finish(('x'):rep(4 * 1024 * 1024))")
    local conn = helper.connect(server, { rcvbuf = 16384 })
    conn:send(request())
    conn:shutdown_write()
    assert.equal(4 * 1024 * 1024, #conn:read_response().body)
  end)

  it("in the middle of a head gets a 400", function()
    local server = helper.serve_handler("res:finish()")
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHos")
    conn:shutdown_write()
    assert.equal(400, conn:read_response().status)
    assert.is_true(conn:closed())
  end)

  it("is gone for a handler that has not answered a second later", function()
    local server = helper.serve_handler("print('asked') req:on('close', function() print('close', req.aborted) end)")
    local conn = helper.connect(server)
    conn:send(request())
    conn:close()
    server:wait_output("close\ttrue", 3)
  end)
end)

describe("an idle connection", function()
  it("is closed after keepAliveTimeout, cleanly", function()
    local server = helper.serve_handler("res:finish('x')", { before = "" })
    local short = helper.serve([[
local server
server = require("http").createServer({keepAliveTimeout = 100}, function(req, res) res:finish("x") end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(short)
    assert.equal("x", ask(conn, request()))
    local start = helper.now()
    assert.is_true(conn:closed(2))
    assert.is_true(helper.now() - start > 0.05)
    assert.equal("", conn.buffer)
    local long = helper.connect(server)
    assert.equal("x", ask(long, request()))
    assert.is_false(long:closed(0.3))
  end)

  it("is kept as long as requests come, the time being that between them", function()
    local server = helper.serve([[
local server
server = require("http").createServer({keepAliveTimeout = 200}, function(req, res)
  require("timers").sleep(60)
  res:finish("x")
end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    for _ = 1, 6 do assert.equal("x", ask(conn, request())) end
  end)

  it("that never says anything is closed after headersTimeout", function()
    local server = helper.serve([[
local server
server = require("http").createServer({headersTimeout = 100}, function(req, res) res:finish("x") end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    assert.is_true(conn:closed(2))
    assert.equal("", conn.buffer)
  end)

  it("does not reset a request that crosses its end", function()
    local server = helper.serve([[
local server
server = require("http").createServer({keepAliveTimeout = 50}, function(req, res) res:finish("x") end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    assert.equal("x", ask(conn, request()))
    assert.is_true(conn:closed(2))
    assert.is_true(conn:send(request())) -- an end of the stream and no reset
    assert.is_true(conn:send(request()))
  end)
end)

describe("maxRequestsPerSocket", function()
  it("announces the end with the last answer", function()
    local server = helper.serve([[
local server
server = require("http").createServer({maxRequestsPerSocket = 3}, function(req, res) res:finish(req.url) end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    conn:send(request("/1") .. request("/2") .. request("/3") .. request("/4"))
    assert.is_nil(conn:read_response().headers.connection)
    assert.is_nil(conn:read_response().headers.connection)
    local last = conn:read_response()
    assert.equal("close", last.headers.connection)
    assert.equal("/3", last.body)
    assert.equal("", conn:read_all())
  end)
end)

describe("a client that pipelines without reading", function()
  it("is not read from any more while its answers wait", function()
    local server = helper.serve_handler("res:finish(('x'):rep(1000))")
    helper.get(server, "/")
    local before = server:rss()
    local conn = helper.connect(server, { rcvbuf = 4096 })
    local batch = request():rep(500)
    local sent = 0
    for _ = 1, 400 do
      local ok, why, n = conn:send(batch, 0.3)
      sent = sent + (ok and #batch or n)
      if not ok then
        assert.equal("timeout", why)
        break
      end
    end
    assert.is_true(sent < 400 * #batch, "the server took everything")
    assert.is_true(server:rss() - before < (helper.sanitized and 100 or 4) * 1024 * 1024)
    assert.equal("x", helper.get(server, "/").body:sub(1, 1))
    conn:close()
  end)

  it("gets them all when it reads", function()
    local server = helper.serve_handler("res:finish(req.url .. ('x'):rep(1000))")
    local conn = helper.connect(server, { rcvbuf = 4096 })
    local bytes = {}
    for i = 1, 2000 do bytes[i] = request("/" .. i) end
    bytes = table.concat(bytes)
    local _, _, sent = conn:send(bytes, 0.3)
    sent = sent or #bytes
    for i = 1, 2000 do
      if sent < #bytes then
        local _, _, n = conn:send(bytes:sub(sent + 1), 0.001)
        sent = n and sent + n or #bytes
      end
      assert.equal("/" .. i .. "x", conn:read_response().body:match("^/%d+x"))
    end
  end)
end)
