-- Each option of https.createServer and http2.createSecureServer narrows or widens
-- what it names; certificates that are files are followed, whoever named them.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local tls_server = require("spec.helper.tls_server")

local serve = tls_server.serve

local BODY = "return 'HTTP/' .. req.httpVersion"

local function handshake(server, ...)
  local out = certs.s_client(server.port, "", ...)
  return out:find("Cipher is (NONE)", 1, true) == nil, out
end

local function subject(server, ...)
  return select(2, handshake(server, ...)):match("subject=CN = ([^\n]*)")
end

describe("ALPNProtocols", function()
  it("is h2 and http/1.1 unless it is told otherwise", function()
    local server = serve(BODY)
    assert.matches("ALPN protocol: h2\n", select(2, handshake(server, "-alpn", "http/1.1,h2")))
    assert.matches("ALPN protocol: http/1.1\n", select(2, handshake(server, "-alpn", "http/1.1")))
    assert.matches("No ALPN negotiated", select(2, handshake(server)))
  end)

  it("leaves out what is not named", function()
    local server = serve(BODY, { tls = "ALPNProtocols = { 'http/1.1' }" })
    assert.matches("ALPN protocol: http/1.1\n", select(2, handshake(server, "-alpn", "h2,http/1.1")))
    assert.is_false((handshake(server, "-alpn", "h2")))
  end)

  it("is chosen in the server's order", function()
    local server = serve(BODY, { tls = "ALPNProtocols = { 'http/1.1', 'h2' }" })
    assert.matches("ALPN protocol: http/1.1\n", select(2, handshake(server, "-alpn", "h2,http/1.1")))
  end)

  it("has no names of what is not spoken", function()
    local result = helper.run("require('https').createServer({ ALPNProtocols = { 'h3' } }, print)")
    assert.equal(1, result.code)
    assert.matches("ALPNProtocols: h3 is not spoken here", result.err)
  end)
end)

describe("minVersion, maxVersion and ciphers", function()
  it("leave one version", function()
    local new = serve(BODY, { tls = "minVersion = 'TLSv1.3'" })
    assert.is_true((handshake(new, "-tls1_3")))
    assert.is_false((handshake(new, "-tls1_2")))
    local old = serve(BODY, { tls = "maxVersion = 'TLSv1.2'" })
    assert.is_true((handshake(old, "-tls1_2")))
    assert.is_false((handshake(old, "-tls1_3")))
  end)

  it("leave the ciphers of TLS 1.2 that are named", function()
    local server = serve(BODY, { tls = "ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305'" })
    assert.matches("Cipher is ECDHE%-ECDSA%-CHACHA20%-POLY1305", select(2, handshake(server, "-tls1_2")))
    assert.is_false((handshake(server, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")))
  end)
end)

describe("cert, key and passphrase", function()
  it("are texts, or lists of them that belong together", function()
    local ec, rsa = certs.of({ passphrase = "open sesame" }), certs.of({ rsa = true })
    local server = serve(BODY, { bare = true, files = { ["1.pem"] = ec.cert, ["1.key"] = ec.key, ["2.pem"] = rsa.cert,
      ["2.key"] = rsa.key }, tls = [[
        cert = { fs.readFileSync("1.pem"), fs.readFileSync("2.pem") },
        key = { { pem = fs.readFileSync("1.key"), passphrase = "open sesame" }, fs.readFileSync("2.key") }]] })
    for algorithms, bits in pairs { ["ECDSA+SHA256"] = 256, ["RSA-PSS+SHA256"] = 2048 } do
      local _, out = handshake(server, "-tls1_2", "-sigalgs", algorithms)
      assert.matches(("Server public key is %d bit"):format(bits), out)
    end
  end)
end)

describe("ca", function()
  it("is a list of those who sign clients' certificates", function()
    local first, second = certs.ca(), certs.of({ is_ca = true, cn = "another CA" })
    local server = serve("return req.socket:getPeerCertificate().subject.CN", {
      files = { ["a.pem"] = first.cert, ["b.pem"] = second.cert },
      tls = "requestCert = true, ca = { fs.readFileSync('a.pem'), fs.readFileSync('b.pem') }" })
    for name, ca in pairs { kim = first, lee = second } do
      local pair, dir = certs.of({ ca = ca, names = { name } }), helper.tmpdir()
      helper.write_file(dir .. "/cert", pair.cert)
      helper.write_file(dir .. "/key", pair.key)
      assert.matches("\r\n\r\n" .. name, certs.s_client(server.port, "GET / HTTP/1.1\r\nHost: a\r\n"
        .. "Connection: close\r\n\r\n", "-cert", dir .. "/cert", "-key", dir .. "/key"))
    end
    assert.is_nil(certs.s_client(server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"):find("HTTP/1.1 200", 1, true))
  end)
end)

describe("Certificates that are files", function()
  local function place(server, name, pair)
    for ending, text in pairs { pem = pair.cert, key = pair.key } do
      helper.write_file(server.dir .. "/new", text)
      os.rename(server.dir .. "/new", server.dir .. "/" .. name .. "." .. ending)
    end
  end

  -- Three places that name files, all read again by SIGHUP.
  local CODE = [[
    local https, fs = require("https"), require("fs")
    local server = https.createServer({ certFile = "cert.pem", keyFile = "key.pem" }, function(req) return req.url end)
    server:addContext("a.example", { certFile = "a.pem", keyFile = "a.key" })
    server:setSecureContext { certFile = "b.pem", keyFile = "b.key" }
    server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    process.on("SIGHUP", function() https.reload() print("again") end)
  ]]

  it("are followed where addContext and setSecureContext name them, and no longer where they are replaced", function()
    local pair = certs.of()
    local files = { ["cert.pem"] = pair.cert, ["key.pem"] = pair.key }
    for _, name in ipairs { "a", "b" } do
      local one = certs.of({ cn = name .. " before" })
      files[name .. ".pem"], files[name .. ".key"] = one.cert, one.key
    end
    local server = helper.serve(CODE, { files = files })
    assert.equal("b before", subject(server, "-noservername"))
    assert.equal("a before", subject(server, "-servername", "a.example"))
    place(server, "a", certs.of({ cn = "a after" }))
    place(server, "b", certs.of({ cn = "b after" }))
    place(server, "cert", certs.of({ cn = "not in use" }))
    helper.wait_for(function()
      return subject(server, "-noservername") == "b after" and subject(server, "-servername", "a.example") == "a after"
    end, "the new certificates", 15)
    server:kill("HUP")
    server:wait_output("again")
    assert.equal("b after", subject(server, "-noservername"))
  end)

  it("are read again with the OCSP response beside them, when that changes", function()
    local pair = certs.of()
    local server = helper.serve("return function() return 'x' end", { listen = true,
      args = { "--tls-cert", "c.pem", "--tls-key", "c.key" }, files = { ["c.pem"] = pair.cert, ["c.key"] = pair.key } })
    helper.write_file(server.dir .. "/c.pem.ocsp", "no response at all")
    server:wait_output("ocsp: this is not a good OCSP response in DER; the certificate in use stays", 15)
    assert.is_true((handshake(server)))
  end)
end)
