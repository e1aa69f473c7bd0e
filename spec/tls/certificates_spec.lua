-- Certificates: what is wrong with them is said when they are given; which one a
-- client gets; what clients show; how sessions are resumed.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local tls_server = require("spec.helper.tls_server")

local serve = tls_server.serve

-- The subject of the certificate that a client gets for a name.
local function shown(server, name, ...)
  local words = name and { "-servername", name, ... } or { "-noservername", ... }
  local out = certs.s_client(server.port, "", table.unpack(words))
  return out:match("subject=CN = ([^\n]*)") or out:match("alert [%w ]+") or "nothing"
end

local function refusal(pair, tls)
  local result = helper.run(([[
    local ok, err = pcall(require("https").createServer, { cert = %q, key = %q %s }, function() end)
    print(ok, err)]]):format(pair.cert, pair.key, tls or ""))
  assert.equal("", result.err)
  return result.out
end

describe("https.createServer", function()
  it("names what is wrong with a certificate or a key", function()
    local good, other = certs.of(), certs.of({ names = { "other.example" } })
    assert.matches("^false%s+https: cert: this is not a certificate in PEM",
      refusal({ cert = "nonsense", key = good.key }))
    assert.matches("^false%s+https: key: this is not a private key in PEM",
      refusal({ cert = good.cert, key = "nonsense" }))
    assert.matches("^false%s+https: key: it does not belong to the certificate of localhost",
      refusal({ cert = good.cert, key = other.key }))
    assert.matches("^false%s+https: ca: this is no list of certificates",
      refusal(good, ", ca = 'nonsense'"))
    assert.matches("^false%s+https: ciphers: none of", refusal(good, ", ciphers = 'AES128-SHA'"))
    assert.matches("^false%s+https: minVersion must be", refusal(good, ", minVersion = 'SSLv3'"))
  end)

  it("refuses an expired certificate, with its date", function()
    assert.matches("^false%s+https: cert: the certificate of localhost expired on %d%d%d%d%-%d%d%-%d%d",
      refusal(certs.of({ days = -1 })))
  end)

  it("tells a missing passphrase from a wrong one", function()
    local pair = certs.of({ passphrase = "open sesame" })
    assert.matches("the key is encrypted: passphrase is missing", refusal(pair))
    assert.matches("the passphrase is wrong", refusal(pair, ", passphrase = 'abracadabra'"))
    assert.matches("^true", refusal(pair, ", passphrase = 'open sesame'"))
    assert.matches("^true", refusal({ cert = pair.cert, key = "" },
      (", key = { { pem = %q, passphrase = 'open sesame' } }"):format(pair.key)))
  end)

  it("ends the process with one line where nobody catches it", function()
    local result = helper.run([[
      require("https").createServer({ certFile = "missing.pem", keyFile = "missing.key" }, print):listen(0)]])
    assert.equal(1, result.code)
    assert.matches("https: ENOENT: no such file or directory, open 'missing.pem'", result.err)
  end)

  it("will not listen without a certificate", function()
    local result = helper.run([[print(pcall(function() require("https").createServer({}, print):listen(0) end))]])
    assert.matches("no certificate: give createServer cert and key", result.out)
  end)

  it("shows an ECDSA certificate to those who take it, and an RSA one to others", function()
    local ecdsa, rsa = certs.of({ cn = "the ECDSA one" }), certs.of({ cn = "the RSA one", rsa = true })
    local server = serve("res:finish('x')", { files = { ["cert2.pem"] = rsa.cert, ["key2.pem"] = rsa.key },
      cert = ecdsa, bare = true, tls = [[cert = { fs.readFileSync("cert.pem"), fs.readFileSync("cert2.pem") },
        key = { fs.readFileSync("key2.pem"), fs.readFileSync("key.pem") } ]] })
    assert.equal("the ECDSA one", shown(server, nil, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert.equal("the RSA one", shown(server, nil, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"))
  end)
end)

-- 112 is unrecognized_name.
describe("a host's name (SNI)", function()
  local files = {}

  setup(function()
    for _, name in ipairs({ "a.example", "*.b.example" }) do
      local pair = certs.of({ names = { name } })
      files[name:match("%a") .. ".cert"], files[name:match("%a") .. ".key"] = pair.cert, pair.key
    end
  end)

  local function options(name)
    return ("{ cert = fs.readFileSync('%s.cert'), key = fs.readFileSync('%s.key') }"):format(name, name)
  end

  it("chooses among the contexts that were added", function()
    local server = serve("res:finish(req.socket.servername)", { files = files,
      after = ("server:addContext('A.example', %s):addContext('*.b.example', %s)"):format(options("a"), options("b")) })
    assert.equal("localhost", shown(server))
    assert.equal("a.example", shown(server, "a.example"))
    assert.equal("a.example", shown(server, "A.EXAMPLE"))
    assert.equal("*.b.example", shown(server, "www.b.example"))
    assert.equal("localhost", shown(server, "b.example"))
    assert.equal("localhost", shown(server, "x.www.b.example"))
    assert.equal("localhost", shown(server, "unknown.example"))
  end)

  it("refuses names without a context where there is no standard one", function()
    local server = serve("res:finish('x')", { files = files, bare = true,
      after = ("server:addContext('a.example', %s)"):format(options("a")) })
    assert.equal("a.example", shown(server, "a.example"))
    assert.equal("alert number 112", shown(server, "b.example"))
    assert.equal("alert number 112", shown(server))
  end)

  it("is given to SNICallback, which answers at once, by return, or later", function()
    local server = serve("res:finish('x')", { files = files, before = ([[
      local tls = require("tls")
      local a, b = tls.createSecureContext(%s), %s
      local function choose(name, cb)
        if name == "at-once.example" then return cb(nil, a) end
        if name == "returned.example" then return b end
        if name == "later.example" then return setTimeout(function() cb(nil, a) end, 50) and nil end
        if name == "waits.example" then require("timers").sleep(50) return a end
        cb(nil, nil)
      end]]):format(options("a"), options("b")), tls = "SNICallback = choose" })
    assert.equal("a.example", shown(server, "at-once.example"))
    assert.equal("*.b.example", shown(server, "returned.example"))
    assert.equal("a.example", shown(server, "later.example"))
    assert.equal("a.example", shown(server, "waits.example"))
    assert.equal("localhost", shown(server, "other.example"))
    assert.equal("localhost", shown(server))
  end)

  it("does no harm where SNICallback fails", function()
    local server = serve("res:finish('x')", { before = [[
      local function choose(name, cb)
        if name == "raises.example" then error("in SNICallback") end
        if name == "fails.example" then cb("no such host") end
        if name == "nonsense.example" then cb(nil, 42) end
        if name == "bad.example" then cb(nil, { cert = "x", key = "y" }) end
        if name == "twice.example" then cb() cb() cb("again") end
        if name == "late.example" then require("timers").sleep(20) error("late") end
        if name == "localhost" then cb() end
      end]], tls = "SNICallback = choose, handshakeTimeout = 500" })
    for _, name in ipairs({ "raises", "fails", "nonsense", "bad", "late" }) do
      assert.equal("alert number 112", shown(server, name .. ".example"))
    end
    assert.equal("localhost", shown(server, "twice.example"))
    assert.not_equal("localhost", shown(server, "silent.example")) -- until handshakeTimeout
    assert.equal("localhost", shown(server, "localhost"))
    assert.matches("SNICallback for raises.example: .*in SNICallback", server:stderr())
    assert.equal(0, (server:stop()))
  end)

  it("does no harm where the client goes while SNICallback waits", function()
    local server = serve("res:finish('x')", { before = [[
      local function choose(name, cb)
        print("asked")
        setTimeout(function() cb() print("answered") end, 100)
      end]], tls = "SNICallback = choose" })
    local idle = server:fds()
    local hello = certs.openssl("", "s_client", "-connect", "127.0.0.1:" .. server.port, "-servername", "x.example",
      "-msg")
    local body = hello:match("ClientHello\n(.-)\n%S"):gsub("%s", ""):gsub("%x%x", function(byte)
      return string.char(tonumber(byte, 16))
    end)
    local conn = helper.connect(server)
    conn:send("\22\3\1" .. string.pack(">s2", body))
    server:wait_output("asked.*asked")
    conn:reset()
    server:wait_output("answered.*answered")
    helper.wait_for(function() return server:fds() == idle end, "the connection to be closed")
    assert.equal("localhost", shown(server, "y.example"))
  end)
end)

describe("a certificate that is exchanged", function()
  it("holds for new connections, and open ones go on", function()
    local new = certs.of({ cn = "the new one" })
    local server = serve([[
      if req.url == "/swap" then
        server:setSecureContext { cert = fs.readFileSync("new.pem"), key = fs.readFileSync("new.key") }
      end
      res:finish("served") ]], { files = { ["new.pem"] = new.cert, ["new.key"] = new.key } })
    local conn = helper.connect(server, { tls = true })
    local function ask(path)
      conn:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n")
      return conn:read_response().body
    end
    assert.equal("served", ask("/"))
    assert.equal("localhost", shown(server))
    assert.equal("served", ask("/swap"))
    assert.equal("the new one", shown(server))
    assert.equal("served", ask("/"))
  end)

  it("stays where the new one is no good", function()
    local server = serve([[
      local ok, err = pcall(server.setSecureContext, server, { cert = "x", key = "y" })
      res:finish(tostring(ok) .. " " .. tostring(err)) ]])
    local conn = helper.connect(server, { tls = true })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.matches("^false https: key: this is not a private key", conn:read_response().body)
    assert.equal("localhost", shown(server))
  end)

  it("leaks nothing when it is exchanged often", function()
    if helper.sanitized then return end -- freed memory is kept; its own check looks for leaks
    local server = serve([[
      for _ = 1, 300 do
        server:setSecureContext { cert = fs.readFileSync("cert.pem"), key = fs.readFileSync("key.pem") }
      end
      collectgarbage() collectgarbage()
      res:finish("served") ]])
    local function ask()
      local conn = helper.connect(server, { tls = true })
      conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      assert.equal("served", conn:read_response().body)
      conn:close()
    end
    ask()
    ask()
    local before = server:rss()
    ask()
    ask()
    assert.is_true(server:rss() - before < 4 * 1024 * 1024)
  end)
end)

describe("client certificates", function()
  local ca, client, stranger, files

  setup(function()
    ca = certs.ca()
    client = certs.of({ ca = ca, cn = "kim", names = { "kim.example" } })
    stranger = certs.of({ cn = "stranger" })
    files = { ["ca.pem"] = ca.cert }
  end)

  local HANDLER = [[
    local s = req.socket
    local cert = s:getPeerCertificate()
    return { ok = s.authorized, why = s.authorizationError, cn = cert and cert.subject.CN,
      issuer = cert and cert.issuer.CN, alt = cert and cert.subjectaltname } ]]

  local function ask(server, pair, ...)
    local dir = helper.tmpdir()
    local words = { ... }
    if pair then
      helper.write_file(dir .. "/cert", pair.cert)
      helper.write_file(dir .. "/key", pair.key)
      words = { "-cert", dir .. "/cert", "-key", dir .. "/key", ... }
    end
    local out = certs.s_client(server.port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      table.unpack(words))
    return out:match("\n(%b{})") or out:match("alert [%w ]+") or out
  end

  it("are demanded by requestCert", function()
    local server = serve(HANDLER, { files = files, tls = "ca = fs.readFileSync('ca.pem'), requestCert = true" })
    local body = ask(server, client)
    assert.matches('"ok":true', body)
    assert.matches('"cn":"kim"', body)
    assert.matches('"issuer":"Spec CA"', body)
    assert.matches('"alt":"DNS:kim.example"', body)
    assert.matches("alert", ask(server))
    assert.matches("alert", ask(server, stranger))
    assert.matches("alert", ask(server, stranger, "-tls1_2"))
  end)

  it("are only looked at where rejectUnauthorized is false", function()
    local server = serve(HANDLER, { files = files,
      tls = "ca = fs.readFileSync('ca.pem'), requestCert = true, rejectUnauthorized = false" })
    assert.matches('"ok":true', ask(server, client))
    local body = ask(server, stranger)
    assert.matches('"ok":false', body)
    assert.matches('"why":"DEPTH_ZERO_SELF_SIGNED_CERT"', body)
    assert.matches('"cn":"stranger"', body)
    assert.matches('"ok":false', ask(server))
  end)

  it("are demanded for every name, also for contexts that were added", function()
    local pair = certs.of({ names = { "a.example" } })
    local server = serve(HANDLER, { tls = "ca = fs.readFileSync('ca.pem'), requestCert = true",
      files = { ["ca.pem"] = ca.cert, ["a.pem"] = pair.cert, ["a.key"] = pair.key },
      after = "server:addContext('a.example', { certFile = 'a.pem', keyFile = 'a.key' })" })
    assert.matches("alert", ask(server, nil, "-servername", "a.example"))
    assert.matches('"cn":"kim"', ask(server, client, "-servername", "a.example"))
  end)

  it("of a session are not carried to a host that demands others", function()
    local pair = certs.of({ names = { "open.example" } })
    local server = serve(HANDLER, { files = { ["ca.pem"] = ca.cert, ["a.pem"] = pair.cert, ["a.key"] = pair.key },
      after = [[server:addContext('closed.example',
        { certFile = 'a.pem', keyFile = 'a.key', ca = fs.readFileSync('ca.pem'), requestCert = true })]] })
    for _, version in ipairs({ "-tls1_3", "-tls1_2" }) do
      local session = helper.tmpdir() .. "/session"
      assert.matches('"ok":false', ask(server, nil, version, "-servername", "open.example", "-sess_out", session))
      assert.matches("Reused", certs.s_client(server.port, "", version, "-servername", "open.example",
        "-sess_in", session))
      assert.matches("alert", ask(server, nil, version, "-servername", "closed.example", "-sess_in", session))
    end
  end)
end)

describe("a session", function()
  local REQUEST = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

  -- Whether a session that was made with one server is resumed by another.
  local function resumes(version, first, second, name, other)
    local session = helper.tmpdir() .. "/session"
    certs.s_client(first.port, REQUEST, version, "-servername", name or "a.example", "-sess_out", session)
    local out = certs.s_client(second.port, REQUEST, version, "-servername", other or name or "a.example",
      "-sess_in", session)
    return out:find("\nReused, TLS") ~= nil
  end

  local VERSIONS = { "-tls1_3", "-tls1_2" }

  it("is resumed by the same host, and by no other", function()
    local server = serve("res:finish(tostring(req.socket:isSessionReused()))")
    for _, version in ipairs(VERSIONS) do
      assert.is_true(resumes(version, server, server, "a.example"))
      assert.is_false(resumes(version, server, server, "a.example", "b.example"))
    end
  end)

  it("is resumed by processes that share ticket keys, and by no others", function()
    local tls = "ticketKeys = ('k'):rep(48)"
    local one, two = serve("res:finish('x')", { tls = tls }), serve("res:finish('x')", { tls = tls })
    local third = serve("res:finish('x')")
    for _, version in ipairs(VERSIONS) do
      assert.is_true(resumes(version, one, two))
      assert.is_false(resumes(version, one, third))
    end
  end)

  it("is resumed after the certificate was exchanged", function()
    local server = serve([[
      server:setSecureContext { cert = fs.readFileSync("cert.pem"), key = fs.readFileSync("key.pem") }
      res:finish("x")]])
    for _, version in ipairs(VERSIONS) do
      assert.is_true(resumes(version, server, server))
    end
  end)

  it("costs the server no memory", function()
    if helper.sanitized then return end
    local server = serve("res:finish('x')")
    local function handshakes(n)
      for _ = 1, n do
        helper.connect(server, { tls = { protocol = "tlsv1_2" } }):close()
        helper.connect(server, { tls = true }):close()
      end
    end
    handshakes(200)
    local before = server:rss()
    handshakes(500)
    assert.is_true(server:rss() - before < 1024 * 1024)
  end)
end)

describe("an OCSP response", function()
  it("is stapled for those who ask", function()
    local ca, dir = certs.ca(), helper.tmpdir()
    local pair = certs.of({ ca = ca, names = { "ocsp.example" } })
    for name, text in pairs({ ["ca.pem"] = ca.cert, ["ca.key"] = ca.key, ["cert.pem"] = pair.cert }) do
      helper.write_file(dir .. "/" .. name, text)
    end
    local serial = certs.openssl("", "x509", "-noout", "-serial", "-in", dir .. "/cert.pem"):match("=(%x+)")
    helper.write_file(dir .. "/index", ("V\t400101000000Z\t\t%s\tunknown\t/CN=ocsp.example\n"):format(serial))
    certs.openssl("", "ocsp", "-index", dir .. "/index", "-CA", dir .. "/ca.pem", "-rsigner", dir .. "/ca.pem",
      "-rkey", dir .. "/ca.key", "-issuer", dir .. "/ca.pem", "-cert", dir .. "/cert.pem", "-ndays", "1",
      "-respout", dir .. "/response")
    local response = assert(helper.read_file(dir .. "/response"))
    local server = serve("res:finish('x')", { cert = pair, files = { ["cert.pem.ocsp"] = response },
      tls = "certFile = 'cert.pem', keyFile = 'key.pem'" })
    assert.matches("OCSP Response Status: successful", certs.s_client(server.port, "", "-status"))
    assert.matches("OCSP Response Status: successful", certs.s_client(server.port, "", "-status", "-tls1_2"))
  end)

  it("that is none is an error", function()
    assert.matches("^false%s+https: ocsp: this is not a good OCSP response", refusal(certs.of(), ", ocsp = 'x'"))
  end)
end)
