-- What a handshake refuses: old versions and ciphers, slow clients, other
-- protocols, renegotiation. Each time the server stays, and closes what it opened.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local tls_server = require("spec.helper.tls_server")

local serve = tls_server.serve

local function ask(server, tls)
  local conn, message = helper.connect(server, { tls = tls or true, try = true })
  if not conn then
    return nil, message
  end
  conn:send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
  local response = conn:read_response()
  conn:close()
  return response
end

local function refused(server, ...)
  local out = certs.s_client(server.port, "", ...)
  return out:find("Cipher is (NONE)", 1, true) ~= nil or out:find("alert", 1, true) ~= nil, out
end

describe("a TLS handshake", function()
  local server

  setup(function()
    server = serve("res:finish('served')", { cert = certs.of({ rsa = true }) })
  end)

  after_each(function()
    assert.equal("served", ask(server).body)
  end)

  it("is refused below TLS 1.2", function()
    assert.is_true(refused(server, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"))
    assert.is_true(refused(server, "-tls1", "-cipher", "ALL:@SECLEVEL=0"))
  end)

  it("is refused without forward secrecy", function()
    assert.is_true(refused(server, "-tls1_2", "-cipher", "AES128-GCM-SHA256"))
    assert.is_true(refused(server, "-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"))
  end)

  it("is refused without AEAD", function()
    assert.is_true(refused(server, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"))
    assert.is_true(refused(server, "-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"))
  end)

  it("agrees on X25519 and P-256, and on no other group", function()
    assert.matches("X25519", certs.s_client(server.port, "", "-groups", "X25519"))
    assert.matches("prime256v1", certs.s_client(server.port, "", "-groups", "P-256"))
    assert.is_true(refused(server, "-groups", "P-521"))
  end)

  it("is refused where ALPN names nothing that is spoken here", function()
    local is_refused, out = refused(server, "-alpn", "smtp,ftp")
    assert.is_true(is_refused)
    assert.matches("no application protocol", out)
  end)

  it("chooses a protocol that is spoken here from what ALPN names", function()
    assert.matches("ALPN protocol: http/1.1", certs.s_client(server.port, "", "-alpn", "smtp,http/1.1"))
  end)

  it("is not repeated on an open connection", function()
    -- s_client asks for it at an R, and must be alive when the answer comes.
    local pipe = io.popen(("(echo R; sleep 0.5) | openssl s_client -connect 127.0.0.1:%d -tls1_2 2>&1")
      :format(server.port))
    assert.matches("no renegotiation", pipe:read("a"))
    pipe:close()
  end)

  it("offers no early data", function()
    local out = certs.s_client(server.port, "GET / HTTP/1.0\r\nHost: x\r\n\r\n", "-tls1_3")
    assert.matches("Max Early Data: 0", out)
  end)

  it("that is garbage is ended, whatever it is", function()
    for _, bytes in ipairs({ "\22\3\1\0\5hello", "\22\3\3\255\255" .. ("x"):rep(70000), ("\0"):rep(100),
      "\128\46\1\0\2", "SSH-2.0-x\r\n", "\22\3\1\0\4\1\0\0\0" }) do
      local conn = helper.connect(server)
      conn:send(bytes)
      conn:shutdown_write()
      assert.is_true(conn:closed())
    end
  end)

  it("leaves no descriptor open where it fails", function()
    ask(server)
    local before = server:fds()
    for _ = 1, 20 do
      local conn = helper.connect(server)
      conn:send("\22\3\1\0\5hello")
      conn:closed()
      conn:close()
      ask(server, { protocol = "tlsv1_1" })
    end
    helper.wait_for(function() return server:fds() <= before end, "the descriptors to be closed")
  end)

  it("works byte by byte", function()
    -- A proxy between a client and the server that passes on single bytes.
    local hello = certs.openssl("", "s_client", "-connect", "127.0.0.1:" .. server.port, "-msg", "-no_ticket")
    local hex = hello:match(">>> TLS 1.3, Handshake [^\n]*ClientHello\n(.-)\n%S")
    local body = hex:gsub("%s", ""):gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)
    local conn = helper.connect(server)
    conn:send_slowly("\22\3\1" .. string.pack(">s2", body), 1)
    assert.equal("\22\3\3", conn:read(3)) -- a ServerHello
  end)
end)

describe("a client that is slow with its handshake", function()
  it("is cut off after --tls-timeout, however it dribbles", function()
    local server = serve("res:finish('served')", { args = { "--tls-timeout", "0.5" } })
    local silent = helper.connect(server)
    local dribbling = helper.connect(server)
    local started = helper.now()
    helper.wait_for(function()
      if dribbling:closed(0.05) then return true end
      dribbling:send("\22")
    end, "the dribbling client to be cut off")
    assert.is_true(silent:closed())
    assert.is_true(helper.now() - started < helper.seconds(3))
    assert.equal("served", ask(server).body)
  end)

  it("is cut off after the server's handshakeTimeout", function()
    local server = serve("res:finish('served')", { tls = "handshakeTimeout = 300" })
    assert.is_true(helper.connect(server):closed(3))
  end)

  it("does not keep a server that stops", function()
    local server = serve("res:finish('served')")
    local conn = helper.connect(server)
    conn:send("\22\3\1")
    assert.equal("served", ask(server).body)
    assert.equal(0, (server:stop()))
  end)
end)

describe("a failed handshake", function()
  it("is a tlsClientError of the server", function()
    local server = serve("res:finish('served')", { after = [[
      server:on("tlsClientError", function(err, socket)
        print("failed: " .. err.message, socket.remoteAddress)
      end) ]] })
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\n\r\n")
    conn:closed()
    assert.matches("127.0.0.1", (server:wait_output("failed: http request%s+(%S+)")))
  end)

  it("harms nobody where the listener raises", function()
    local server = serve("res:finish('served')", { after = [[
      server:on("tlsClientError", function(err) server:closeAllConnections() error("in the listener") end) ]] })
    local conn = helper.connect(server)
    conn:send("\22\3\1\0\5hello")
    assert.is_true(conn:closed())
    server:wait_output("in the listener")
    assert.equal("served", ask(server).body)
  end)
end)
