-- https servers as their clients see them: the same answers as over TCP, what
-- req.socket tells, and the ends of connections. The wire documents run over
-- https in spec/wire_spec.lua.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local tls_server = require("spec.helper.tls_server")

local serve = tls_server.serve

local function ask(server, path, tls)
  local conn = helper.connect(server, { tls = tls or true })
  conn:send("GET " .. (path or "/") .. " HTTP/1.1\r\nHost: localhost\r\n\r\n")
  local response = conn:read_response()
  conn:close()
  return response
end

describe("an https server", function()
  it("answers over TLS 1.3 and 1.2", function()
    local server = serve("res:finish(req.socket:getProtocol())")
    assert.equal("TLSv1.3", ask(server, "/", { protocol = "tlsv1_3" }).body)
    assert.equal("TLSv1.2", ask(server, "/", { protocol = "tlsv1_2" }).body)
  end)

  it("answers curl, which checks the certificate", function()
    local server = serve("res:finish('hello')")
    local ca = helper.write_file(helper.tmpdir() .. "/ca.pem", certs.of().cert)
    local pipe = io.popen(("curl -sS --cacert %s https://localhost:%d/ 2>&1"):format(ca, server.port))
    assert.equal("hello", pipe:read("a"))
    pipe:close()
  end)

  it("tells of the connection in req.socket", function()
    local server = serve([[
      local s = req.socket
      return { encrypted = s.encrypted, alpn = s.alpnProtocol, name = s.servername, authorized = s.authorized,
        cipher = s:getCipher().standardName, address = s.remoteAddress, reused = s:isSessionReused() } ]])
    local body = ask(server, "/", { servername = "LocalHost", alpn = { "http/1.1" } }).body
    assert.matches('"encrypted":true', body)
    assert.matches('"alpn":"http/1.1"', body)
    assert.matches('"name":"localhost"', body)
    assert.matches('"authorized":false', body)
    assert.matches('"cipher":"TLS_AES_128_GCM_SHA256"', body)
    assert.matches('"address":"127.0.0.1"', body)
    assert.matches('"reused":false', body)
    assert.matches('"alpn":false', ask(server).body)
  end)

  it("keeps the methods of a socket harmless after the request is over", function()
    local server = serve([[
      if last then return tostring(last:getCipher()) .. tostring(last:getPeerCertificate()) end
      last = req.socket
      res:finish("first") ]], { before = "local last" })
    assert.equal("first", ask(server).body)
    assert.equal("nilnil", ask(server).body)
  end)

  it("answers many requests of one connection, pipelined ones in order", function()
    local server = serve("res:finish(req.url)")
    local conn = helper.connect(server, { tls = true })
    local requests = {}
    for i = 1, 200 do
      requests[i] = "GET /" .. i .. " HTTP/1.1\r\nHost: x\r\n\r\n"
    end
    conn:send(table.concat(requests))
    for i = 1, 200 do
      assert.equal("/" .. i, conn:read_response().body)
    end
  end)

  it("takes and gives large bodies whole", function()
    local server = serve("res:finish(req:text(64 * 1024 * 1024))")
    local body = {}
    for i = 1, 300000 do
      body[i] = ("%07d "):format(i)
    end
    body = table.concat(body)
    local conn = helper.connect(server, { tls = true, timeout = 20 })
    conn:send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body, 20)
    assert.is_true(conn:read_response().body == body)
  end)

  it("gives a large body to a client that reads slowly", function()
    local server = serve([[for i = 1, 64 do res:write(("%04d"):format(i):rep(16384)) end res:finish()]])
    local conn = helper.connect(server, { tls = true, rcvbuf = 4096, timeout = 20 })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    local response = conn:read_response()
    assert.equal(64 * 65536, #response.body)
    assert.equal("0064", response.body:sub(-4))
  end)

  it("holds no more of an answer than its mark while nobody reads", function()
    local server = serve([[
      if req.url == "/sent" then return res:finish(tostring(sent)) end
      local chunk = ("x"):rep(65536)
      for _ = 1, 1000 do
        res:write(chunk)
        sent = sent + 1
      end ]], { before = "sent = 0" })
    local conn = helper.connect(server, { tls = true, rcvbuf = 4096 })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    conn:read_until("\r\n\r\n", true)
    local sent, last = 0, -1
    helper.wait_for(function() -- it comes to rest
      sent, last = tonumber(ask(server, "/sent").body), sent
      return sent == last
    end, "the writer to be held up")
    assert.is_true(sent < 200)
  end)

  it("says close_notify before it closes", function()
    local server = serve("res:setHeader('Connection', 'close') res:finish('bye')")
    local out = certs.s_client(server.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "-msg")
    assert.matches("bye", out)
    assert.matches("<<< TLS 1.3, Alert [^\n]*warning close_notify", out)
  end)

  it("ends like a cut connection where an answer is cut off", function()
    local server = serve("res:write('half') res:destroy()")
    local out = certs.s_client(server.port, "GET / HTTP/1.0\r\nHost: x\r\n\r\n", "-msg")
    assert.not_matches("<<< TLS 1.3, Alert [^\n]*close_notify", out)
  end)

  it("answers plain HTTP with a readable 400", function()
    local server = serve("res:finish('secret')")
    for _, method in ipairs({ "GET", "POST", "DELETE", "OPTIONS", "get" }) do
      local conn = helper.connect(server)
      conn:send(method .. " / HTTP/1.1\r\nHost: x\r\n\r\n")
      local response = conn:read_response()
      assert.equal(400, response.status)
      assert.matches("https", response.body)
      assert.is_true(conn:closed())
    end
    assert.equal("secret", ask(server).body)
  end)

  it("finishes what is under way when it stops, and ends idle connections", function()
    local server = serve("print('begun') setTimeout(function() res:finish('done') end, 200)")
    local idle = helper.connect(server, { tls = true })
    local conn = helper.connect(server, { tls = true })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("begun")
    server:kill("TERM")
    assert.equal("done", conn:read_response().body)
    assert.is_true(idle:closed())
    assert.equal(0, (server:wait_exit()))
  end)

  it("is told from a plain server by its options alone", function()
    local code = [[
      local handler = function(req, res) return { encrypted = req.socket.encrypted } end
      local plain = require("http").createServer(handler)
      local secure = require("https").createServer({ certFile = "c.pem", keyFile = "k.pem" }, handler)
      plain:listen(0, "127.0.0.1", function() print("port " .. plain:address().port .. " plain") end)
      secure:listen(0, "127.0.0.1", function() print("port " .. secure:address().port .. " secure") end) ]]
    local pair = certs.of()
    local server = helper.serve(code, { ports = 2, files = { ["c.pem"] = pair.cert, ["k.pem"] = pair.key } })
    assert.equal('{"encrypted":false}', helper.get(server.ports.plain, "/").body)
    local conn = helper.connect(server.ports.secure, { tls = true })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal('{"encrypted":true}', conn:read_response().body)
  end)

  it("costs little memory while a connection is idle", function()
    if helper.sanitized then return end
    local server = serve("res:finish('x')")
    local conns = {}
    local function open(n)
      for _ = 1, n do
        local conn = helper.connect(server, { tls = true })
        conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        conn:read_response()
        conns[#conns + 1] = conn
      end
    end
    open(50)
    local before = server:private_memory()
    open(200)
    assert.is_true((server:private_memory() - before) / 200 < 24 * 1024)
  end)
end)

describe("https.redirect", function()
  it("sends clients to the same place over https", function()
    local server = helper.serve([[
      local server = require("http").createServer(require("https").redirect())
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)]])
    local response = helper.get(server, "/a?b=c", { Host = "example.org:8080" })
    assert.equal(301, response.status)
    assert.equal("https://example.org/a?b=c", response.headers.location)
    response = helper.request(server, { method = "POST", path = "/", body = "x", headers = { Host = "[::1]:80" } })
    assert.equal(308, response.status)
    assert.equal("https://[::1]/", response.headers.location)
  end)

  it("takes a port and a host", function()
    local server = helper.serve([[
      local redirect = require("https").redirect { port = 8443, host = "www.example.org" }
      local server = require("http").createServer(redirect)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)]])
    local response = helper.get(server, "/", { Host = "evil.example" })
    assert.equal("https://www.example.org:8443/", response.headers.location)
  end)
end)
