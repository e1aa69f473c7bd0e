-- The events of a server beside "request": connection, clientError, upgrade,
-- checkContinue, and the sockets that come with them.
local helper = require("spec.helper")

-- A server with these listeners; its handler answers "handler".
local function serve(listeners, opts)
  return helper.serve(([[
local http = require("http")
local server = http.createServer(function(req, res) res:finish("handler " .. req.url) end)
%s
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]):format(listeners), opts)
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
local UPGRADE = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
local SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

describe("connection", function()
  it("comes once for each connection, before its first request", function()
    local server = helper.serve([[
local http = require("http")
local seen = {}
local server = http.createServer(function(req, res) res:finish(table.concat(seen, " ")) end)
server:on("connection", function(socket)
  seen[#seen + 1] = socket.remoteAddress .. ":" .. socket.remotePort .. ":" .. socket.localPort
    .. ":" .. tostring(socket.encrypted)
end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    local expected = "127.0.0.1:" .. conn:local_port() .. ":" .. server.port .. ":false"
    for _ = 1, 2 do
      conn:send(GET)
      assert.equal(expected, conn:read_response().body)
    end
  end)

  it("shows an IPv4 client of an IPv6 socket as IPv4", function()
    local server = helper.serve([[
local server = require("http").createServer(function() end)
server:on("connection", function(socket) print("from " .. socket.remoteAddress) end)
server:listen(0, function() print("port " .. server:address().port) end)
]])
    helper.connect(server)
    assert.equal("127.0.0.1", server:wait_output("from (%S+)"))
    helper.connect(server, { host = "::1" })
    server:wait_output("from ::1")
  end)

  it("gives the object that is req.socket in all requests of the connection", function()
    local server = helper.serve([[
local first
local server = require("http").createServer(function(req, res)
  req.socket.count = (req.socket.count or 0) + 1
  res:finish(tostring(req.socket == first) .. " " .. req.socket.count)
end)
server:on("connection", function(socket) first = socket end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    conn:send(GET .. GET)
    assert.equal("true 1", conn:read_response().body)
    assert.equal("true 2", conn:read_response().body)
  end)

  it("may be destroyed before it says anything", function()
    local server = serve([[server:on("connection", function(socket) socket:destroy() end)]])
    local conn = helper.connect(server)
    conn:send(GET)
    assert.is_true(conn:closed())
    assert.equal("", conn.buffer)
  end)

  it("tells of its end", function()
    local server = serve([[
server:on("connection", function(socket)
  socket:on("close", function() print("closed", socket.destroyed, socket.writable) end)
end)]])
    local conn = helper.connect(server)
    conn:send(GET)
    conn:read_response()
    conn:close()
    server:wait_output("closed\ttrue\tfalse")
  end)

  it("cannot be written to while it speaks HTTP", function()
    local server = serve([[
server:on("connection", function(socket)
  print(pcall(socket.write, socket, "x"))
end)]])
    helper.connect(server)
    server:wait_output("false\t.*this connection speaks HTTP")
  end)

  it("may close the server, and those that came with it are served", function()
    local server = helper.serve([[
local server
server = require("http").createServer(function(req, res) res:finish(req.url) end)
server:on("connection", function(socket)
  if server.listening then server:close(function() print("closed") end) end
end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    server:kill("STOP")
    local conns = {}
    for i = 1, 10 do
      conns[i] = helper.connect(server)
      conns[i]:send("GET /" .. i .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    server:kill("CONT")
    for i = 1, 10 do assert.equal("/" .. i, conns[i]:read_response().body) end
    server:wait_output("closed")
    assert.equal(0, (server:wait_exit()))
  end)

  it("does not end the process where a listener fails", function()
    local server = serve([[server:on("connection", function(socket) error("bad listener") end)]])
    assert.equal("handler /", helper.get(server, "/").body)
    assert.matches("bad listener", server:stderr())
  end)
end)

describe("clientError", function()
  local function answer(listeners, bytes)
    local server = serve(listeners)
    local conn = helper.connect(server)
    conn:send(bytes)
    return conn:read_all(), server
  end

  it("comes for bytes that are no request, with an error that says so", function()
    local text, server = answer([[
server:on("clientError", function(err, socket)
  print(err.status, err.code, err.message, err.rawPacket:sub(1, 7), socket.remoteAddress)
  socket:finish("HTTP/1.1 400 Mine\r\nConnection: close\r\n\r\n")
end)]], "garbage\r\n\r\n")
    assert.equal("HTTP/1.1 400 Mine\r\nConnection: close\r\n\r\n", text)
    assert.equal("400\tHPE_INVALID_REQUEST\t400 Bad Request\tgarbage\t127.0.0.1\n",
      (server:stdout():gsub("port %d+\n", "")))
  end)

  it("is answered with the status and closed, where nobody listens", function()
    local text = answer("", "garbage\r\n\r\n")
    assert.matches("^HTTP/1.1 400 Bad Request\r\n", text)
    assert.matches("\r\nConnection: close\r\n", text)
  end)

  it("has a status for each kind of refusal", function()
    local server = serve([[
server:on("clientError", function(err, socket)
  socket:finish(err.status .. " " .. err.code)
end)]])
    for bytes, expected in pairs({
      ["GET / HTTP/2.0\r\nHost: a\r\n\r\n"] = "505 HPE_INVALID_VERSION",
      ["BREW / HTTP/1.1\r\nHost: a\r\n\r\n"] = "501 HPE_INVALID_METHOD",
      ["GET /" .. ("x"):rep(9000)] = "414 HPE_HEADER_OVERFLOW",
      ["GET / HTTP/1.1\r\nX: " .. ("x"):rep(40000)] = "431 HPE_HEADER_OVERFLOW",
      ["GET / HTTP/1.1\r\n\r\n"] = "400 HPE_INVALID_REQUEST",
    }) do
      local conn = helper.connect(server)
      conn:send(bytes)
      assert.equal(expected, conn:read_all())
    end
  end)

  it("comes behind the answers that are still owed", function()
    local text = answer([[
server:on("clientError", function(err, socket) socket:finish("the end") end)]], GET .. "garbage\r\n\r\n" .. GET)
    assert.matches("^HTTP/1.1 200 OK\r\n.*handler /the end$", text)
  end)

  it("comes for a head that takes too long", function()
    local text = answer([[
server.headersTimeout = 50
server:on("clientError", function(err, socket) socket:finish(err.code) end)]], "GET / HTTP/1.1\r\nHos")
    assert.equal("ERR_HTTP_REQUEST_TIMEOUT", text)
  end)

  it("sends what was written when the socket is destroyed", function()
    assert.equal("one two", answer([[
server:on("clientError", function(err, socket) socket:write("one ") socket:write("two") socket:destroy() end)]],
      "garbage\r\n\r\n"))
  end)

  it("may answer later, and wait", function()
    assert.equal("late", answer([[
server:on("clientError", function(err, socket)
  require("timers").sleep(20)
  socket:finish("late")
end)]], "garbage\r\n\r\n"))
  end)

  it("does not leave a connection behind that the listener forgets", function()
    assert.equal("", answer([[
server.headersTimeout = 50
server:on("clientError", function(err, socket) end)]], "garbage\r\n\r\n"))
  end)

  it("cuts the connection where the listener fails", function()
    local server = serve([[server:on("clientError", function(err, socket) error("bad listener") end)]])
    local conn = helper.connect(server)
    conn:send("garbage\r\n\r\n")
    assert.is_true(conn:closed())
    server:wait_output("bad listener")
    assert.equal("handler /", helper.get(server, "/").body)
  end)

  it("is refused as before when the listener has gone", function()
    assert.matches("^HTTP/1.1 400 ", (answer([[
local function listener() end
server:on("clientError", listener):off("clientError", listener)]], "garbage\r\n\r\n")))
  end)
end)

describe("upgrade", function()
  local ECHO = [[
server:on("upgrade", function(req, socket, head)
  socket:write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " .. req.headers.upgrade
    .. "\r\n\r\n")
  if head ~= "" then socket:write(head) end
  socket:on("data", function(chunk) socket:write(chunk) end)
  socket:on("end", function() print("end " .. req.url) end)
  socket:on("close", function() print("close " .. req.url) end)
  socket:on("error", function(err) print("error " .. err.code) end)
end)]]

  local function upgraded(listeners, behind)
    local server = serve(listeners or ECHO)
    local conn = helper.connect(server)
    conn:send(UPGRADE .. (behind or ""))
    assert.equal(SWITCH, conn:read(#SWITCH))
    return conn, server
  end

  it("hands the connection over, in both directions", function()
    local conn, server = upgraded()
    for _, text in ipairs({ "one", "two", ("x"):rep(300000) }) do
      conn:send(text)
      assert.equal(text, conn:read(#text))
    end
    conn:shutdown_write()
    assert.is_true(conn:closed())
    server:wait_output("end /chat")
    server:wait_output("close /chat")
  end)

  it("gives what came behind the request as head", function()
    local conn = upgraded(nil, "already there")
    assert.equal("already there", conn:read(13))
  end)

  it("does not reach the handler, but other requests do", function()
    local server = serve(ECHO)
    local conn = helper.connect(server)
    conn:send(GET .. UPGRADE)
    assert.equal("handler /", conn:read_response().body)
    assert.equal(SWITCH, conn:read(#SWITCH))
  end)

  it("is an ordinary request where nobody listens, or any more", function()
    for _, listeners in ipairs({ "", "server:on('upgrade', print):removeAllListeners('upgrade')",
      "server:on('upgrade', print):removeAllListeners()\nserver:on('request', "
      .. "function(req, res) res:finish('handler ' .. req.url) end)" }) do
      local conn = helper.connect(serve(listeners))
      conn:send(UPGRADE .. GET)
      assert.equal("handler /chat", conn:read_response().body)
      assert.equal("handler /", conn:read_response().body)
    end
  end)

  it("is an ordinary request with a body, and in HTTP/1.0", function()
    local server = serve(ECHO)
    local conn = helper.connect(server)
    conn:send("POST /body HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi"
      .. GET)
    assert.equal("handler /body", conn:read_response().body)
    assert.equal("handler /", conn:read_response().body)
    assert.equal("handler /old", helper.request(server, { raw =
      "GET /old HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n" }).body)
  end)

  it("may be refused with an ordinary answer", function()
    local server = serve([[
server:on("upgrade", function(req, socket)
  socket:finish("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
end)]])
    local conn = helper.connect(server)
    conn:send(UPGRADE)
    assert.equal(401, conn:read_response().status)
    assert.is_true(conn:closed())
  end)

  it("may read in the waiting form", function()
    local conn = upgraded([[
server:on("upgrade", function(req, socket)
  socket:write("]] .. SWITCH:gsub("\r\n", "\\r\\n") .. [[")
  for chunk in socket:chunks() do socket:write("<" .. chunk .. ">") end
  print("over")
end)]])
    for _, text in ipairs({ "a", "bc" }) do
      conn:send(text)
      assert.equal("<" .. text .. ">", conn:read(#text + 2))
    end
  end)

  it("ends with the connection: writes return nil, close is told, nothing stays", function()
    local conn, server = upgraded([[
local core = require("luaserve.core")
server:on("upgrade", function(req, socket)
  socket:write("]] .. SWITCH:gsub("\r\n", "\\r\\n") .. [[")
  socket:on("error", function(err) print("error", err.code) end)
  socket:on("close", function()
    print("close", socket.writable, socket:write("x"))
    setTimeout(function() collectgarbage() print("left", core.counts().exchanges, core.counts().contexts) end, 10)
  end)
  print("read", socket:read())
end)]])
    conn:reset()
    server:wait_output("read\tnil\taborted")
    server:wait_output("error\tECONNRESET")
    server:wait_output("close\tfalse\tnil\tclosed")
    server:wait_output("left\t0\t0")
  end)

  it("holds the writer back where the client does not read, and goes on", function()
    local server = serve([[
server:on("upgrade", function(req, socket)
  local sent = 0
  while sent < 20 * 1024 * 1024 do
    if not socket:write(("x"):rep(65536)) then return print("lost") end
    sent = sent + 65536
    if sent == 16 * 65536 then print("begun") end
  end
  print("done")
  socket:finish()
end)]])
    local conn = helper.connect(server, { rcvbuf = 8192, timeout = 20 })
    conn:send(UPGRADE)
    server:wait_output("begun")
    conn:read(100000)
    assert.is_nil(server:stdout():find("done"))
    assert.is_true(server:rss() < (helper.sanitized and 400 or 40) * 1024 * 1024)
    assert.equal(20 * 1024 * 1024 - 100000, #conn:read_all())
    server:wait_output("done")
  end)

  it("tells a callback of a write, and drain where it was too much", function()
    local server = serve([[
server:on("upgrade", function(req, socket)
  local full = socket:write(("x"):rep(8 * 1024 * 1024), function(err) print("written", err) end)
  print("full", full)
  socket:on("drain", function()
    print("drain")
    socket:finish("the end", function() print("closed") end)
  end)
end)]])
    local conn = helper.connect(server, { rcvbuf = 8192, timeout = 20 })
    conn:send(UPGRADE)
    assert.equal(8 * 1024 * 1024 + 7, #conn:read_all())
    conn:close()
    for _, line in ipairs({ "full\tfalse", "written\tnil", "drain", "closed" }) do
      server:wait_output(line)
    end
  end)

  it("is this request's failure where the listener fails: the connection is cut", function()
    local server = serve([[server:on("upgrade", function(req, socket) error("bad upgrade") end)]])
    local conn = helper.connect(server)
    conn:send(UPGRADE)
    assert.is_true(conn:closed())
    server:wait_output("GET /chat: .*bad upgrade")
    assert.equal("handler /", helper.get(server, "/").body)
  end)

  it("pauses and resumes", function()
    local server = serve([[
server:on("upgrade", function(req, socket)
  local got = 0
  socket:write("ready")
  socket:on("data", function(chunk)
    got = got + #chunk
    socket:pause()
    setTimeout(function() socket:resume() end, 1)
  end)
  socket:on("end", function() socket:finish("got " .. got) end)
end)]])
    local conn = helper.connect(server)
    conn:send(UPGRADE)
    assert.equal("ready", conn:read(5))
    conn:send(("x"):rep(500000))
    conn:shutdown_write()
    assert.equal("got 500000", conn:read_all())
  end)
end)

describe("checkContinue", function()
  local POST = "POST /%s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
  local LISTENER = [[
server:on("checkContinue", function(req, res)
  if req.url == "/no" then
    res.statusCode = 413
    return res:finish("too much")
  end
  if req.url == "/yes" then res:writeContinue() end
  res:finish("got " .. req:text())
end)]]

  it("decides that the client may go on", function()
    local conn = helper.connect(serve(LISTENER))
    conn:send(POST:format("yes"))
    assert.equal(100, conn:read_response().status)
    conn:send("body")
    assert.equal("got body", conn:read_response().body)
  end)

  it("decides that it may not", function()
    local conn = helper.connect(serve(LISTENER))
    conn:send(POST:format("no"))
    local response = conn:read_response()
    assert.equal(413, response.status)
    assert.equal("too much", response.body)
    assert.equal("close", response.headers.connection)
  end)

  it("sends no 100 by itself when the body is read", function()
    local conn = helper.connect(serve(LISTENER))
    conn:send(POST:format("mute"))
    conn:send("body")
    local response = conn:read_response()
    assert.equal(200, response.status)
    assert.equal("got body", response.body)
  end)

  it("leaves requests without the expectation to the handler", function()
    assert.equal("handler /yes", helper.request(serve(LISTENER), { path = "/yes", method = "POST", body = "x" }).body)
  end)
end)
