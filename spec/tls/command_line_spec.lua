-- --tls-cert, --tls-key and --tls dev; certificates that are exchanged while the
-- server runs, on SIGHUP and when their files change.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")

local APP = "return function(req, res) res:finish('from the app') end"

local function serve(pairs, args)
  local files = {}
  args = args or {}
  for i, pair in ipairs(pairs) do
    files["cert" .. i .. ".pem"], files["key" .. i .. ".pem"] = pair.cert, pair.key
    for _, word in ipairs({ "--tls-cert", "cert" .. i .. ".pem", "--tls-key", "key" .. i .. ".pem" }) do
      table.insert(args, word)
    end
  end
  return helper.serve(APP, { listen = true, args = args, files = files })
end

local function shown(server, name)
  local out = certs.s_client(server.port, "", table.unpack(name and { "-servername", name } or { "-noservername" }))
  return out:match("subject=CN = ([^\n]*)") or out
end

-- Puts a pair in the place of the first, as programs that renew do.
local function replace(server, pair)
  for name, text in pairs({ ["cert1.pem"] = pair.cert, ["key1.pem"] = pair.key }) do
    helper.write_file(server.dir .. "/new", text)
    os.rename(server.dir .. "/new", server.dir .. "/" .. name)
  end
end

describe("--tls-cert and --tls-key", function()
  it("serve the app that the script returns over TLS", function()
    local server = serve({ certs.of() })
    assert.matches("listening on https://127.0.0.1:", server:stdout())
    local conn = helper.connect(server, { tls = true })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal("from the app", conn:read_response().body)
  end)

  it("are repeated for further hosts, which the certificates name", function()
    local second = certs.of({ names = { "b.example", "*.c.example" } })
    local server = serve({ certs.of({ names = { "a.example" } }), second })
    assert.equal("a.example", shown(server))
    assert.equal("a.example", shown(server, "a.example"))
    assert.equal("b.example", shown(server, "b.example"))
    assert.equal("b.example", shown(server, "www.c.example"))
  end)

  it("end the process with one line where they are no good", function()
    local good, expired = certs.of(), certs.of({ days = -1 })
    local function failure(pair)
      local result = helper.run(APP, { args = { "-l", "127.0.0.1:0", "--tls-cert", "c.pem", "--tls-key", "k.pem" },
        files = { ["c.pem"] = pair.cert, ["k.pem"] = pair.key } })
      assert.equal(1, result.code)
      assert.equal(1, select(2, result.err:gsub("\n", "\n")), result.err)
      return result.err
    end
    assert.matches("^luaserve: %-%-tls%-cert c.pem: cert: the certificate of localhost expired", failure(expired))
    assert.matches("^luaserve: %-%-tls%-cert c.pem: key: it does not belong",
      failure({ cert = good.cert, key = expired.key }))
  end)

  it("come in pairs", function()
    local result = helper.run(APP, { args = { "--tls-cert", "c.pem" } })
    assert.equal(2, result.code)
    assert.matches("each %-%-tls%-cert needs its %-%-tls%-key", result.err)
  end)
end)

describe("certificates in files", function()
  it("are read again on SIGHUP, and open connections go on", function()
    local server = serve({ certs.of() })
    local conn = helper.connect(server, { tls = true })
    replace(server, certs.of({ cn = "the new one" }))
    server:kill("HUP")
    helper.wait_for(function() return shown(server) == "the new one" end, "the new certificate")
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal("from the app", conn:read_response().body)
  end)

  it("stay in use where the new ones are no good", function()
    local server = serve({ certs.of() })
    replace(server, { cert = certs.of().cert, key = certs.of({ names = { "other.example" } }).key })
    server:kill("HUP")
    server:wait_output("key: it does not belong to the certificate of localhost; the certificate in use stays")
    os.remove(server.dir .. "/cert1.pem")
    server:kill("HUP")
    server:wait_output("ENOENT: [^\n]*; the certificate in use stays")
    assert.equal("localhost", shown(server))
  end)

  it("are read again when they have changed", function()
    local server = serve({ certs.of() })
    replace(server, certs.of({ cn = "the new one" }))
    server:wait_output("certificates read again", 15)
    assert.equal("the new one", shown(server))
  end)
end)

describe("--tls dev", function()
  local function start(folder)
    return helper.serve(APP, { listen = true, args = { "--tls", "dev" }, env = { XDG_DATA_HOME = folder } })
  end

  local function curl(server, host, folder)
    local command = "curl -sS --cacert %s/luaserve/ca.pem https://%s:%d/ 2>&1"
    local pipe = io.popen(command:format(folder, host, server.port))
    local out = pipe:read("a")
    pipe:close()
    return out
  end

  it("makes an authority and a certificate for localhost, and says how to trust it", function()
    local folder = helper.tmpdir()
    local server = start(folder)
    local path = folder:gsub("%p", "%%%0") .. "/luaserve/ca.pem"
    assert.matches("signed by your own authority, " .. path, server:stderr())
    assert.equal("from the app", curl(server, "localhost", folder))
    assert.equal("from the app", curl(server, "127.0.0.1", folder))
    local pipe = io.popen("stat -c %a " .. folder .. "/luaserve/*.key")
    assert.equal("600\n600\n", pipe:read("a"))
    pipe:close()
  end)

  it("keeps both for the next time", function()
    local folder = helper.tmpdir()
    start(folder):stop()
    local before = helper.read_file(folder .. "/luaserve/ca.pem")
    local server = start(folder)
    assert.equal(before, helper.read_file(folder .. "/luaserve/ca.pem"))
    assert.equal("from the app", curl(server, "localhost", folder))
  end)

  it("makes anew what was damaged", function()
    local folder = helper.tmpdir()
    start(folder):stop()
    helper.write_file(folder .. "/luaserve/localhost.key", "damaged")
    assert.equal("from the app", curl(start(folder), "localhost", folder))
    helper.write_file(folder .. "/luaserve/ca.pem", "damaged")
    assert.equal("from the app", curl(start(folder), "localhost", folder))
  end)

  it("vouches for localhost alone", function()
    local folder = helper.tmpdir()
    start(folder):stop()
    local ca = {}
    ca.cert, ca.key = helper.read_file(folder .. "/luaserve/ca.pem"), helper.read_file(folder .. "/luaserve/ca.key")
    local forged = certs.of({ ca = ca, names = { "bank.example" } })
    helper.write_file(folder .. "/forged.pem", forged.cert)
    assert.matches("permitted subtree violation",
      certs.openssl("", "verify", "-CAfile", folder .. "/luaserve/ca.pem", folder .. "/forged.pem"))
  end)

  it("says in one line where the folder cannot be made", function()
    local result = helper.run(APP, { args = { "-l", "127.0.0.1:0", "--tls", "dev" },
      env = { XDG_DATA_HOME = "/proc/nowhere" } })
    assert.equal(1, result.code)
    assert.matches("^luaserve: %-%-tls dev: [^\n]*\n$", result.err)
  end)

  it("is the only word that --tls knows", function()
    local result = helper.run(APP, { args = { "--tls", "prod" } })
    assert.equal(2, result.code)
    assert.matches("dev is all there is", result.err)
  end)
end)
