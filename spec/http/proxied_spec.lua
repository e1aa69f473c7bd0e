-- The PROXY protocol, versions 1 and 2: who the client is behind a proxy.
local certs = require("spec.helper.certs")
local h2 = require("spec.helper.h2")
local helper = require("spec.helper")

local APP = [[
  return function(req)
    return { ip = req.ip, address = req.socket.remoteAddress, port = req.socket.remotePort }
  end
]]

local REQUEST = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"

local function v2(command, family, body)
  return SIGNATURE .. string.pack(">BBs2", 0x20 + command, family, body)
end

local FOUR = string.pack(">BBBBBBBBI2I2", 192, 0, 2, 7, 127, 0, 0, 1, 4711, 80)
local SIX = ("\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\7") .. ("\0"):rep(15) .. "\1" .. string.pack(">I2I2", 4711, 80)

local HEADERS = {
  ["version 1, IPv4"] = { "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", "192.0.2.7" },
  ["version 1, IPv6"] = { "PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "2001:db8::7" },
  ["version 2, IPv4"] = { v2(1, 0x11, FOUR), "192.0.2.7" },
  ["version 2, IPv4 and more fields"] = { v2(1, 0x11, FOUR .. "\4\0\5hello"), "192.0.2.7" },
  ["version 2, IPv6"] = { v2(1, 0x21, SIX), "2001:db8::7" },
}

local NAMELESS = {
  ["version 1, UNKNOWN"] = "PROXY UNKNOWN\r\n",
  ["version 1, UNKNOWN and what it says"] = "PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n",
  ["version 2, LOCAL"] = v2(0, 0x00, ""),
  ["version 2, a family that has no addresses"] = v2(1, 0x00, "\4\0\0"),
}

local BAD = {
  ["a request"] = REQUEST,
  ["TLS"] = "\22\3\1\2\0\1\0\1\252\3\3" .. ("x"):rep(40),
  ["a word that only begins like it"] = "PROXYTCP4 192.0.2.7 127.0.0.1 4711 80\r\n" .. REQUEST,
  ["an address that is none"] = "PROXY TCP4 192.0.2.777 127.0.0.1 4711 80\r\n" .. REQUEST,
  ["an address of the other kind"] = "PROXY TCP4 2001:db8::7 ::1 4711 80\r\n" .. REQUEST,
  ["a name"] = "PROXY TCP4 localhost 127.0.0.1 4711 80\r\n" .. REQUEST,
  ["a port over 65535"] = "PROXY TCP4 192.0.2.7 127.0.0.1 65536 80\r\n" .. REQUEST,
  ["too few words"] = "PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n" .. REQUEST,
  ["too many words"] = "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80 1\r\n" .. REQUEST,
  ["a bare LF"] = "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\n" .. REQUEST,
  ["a line without end"] = "PROXY TCP4 " .. ("1"):rep(200),
  ["version 3"] = SIGNATURE .. "\x31\x11" .. string.pack(">s2", FOUR) .. REQUEST,
  ["an unknown command"] = v2(5, 0x11, FOUR) .. REQUEST,
  ["addresses that are too short"] = v2(1, 0x11, FOUR:sub(1, 11)) .. REQUEST,
  ["a length over 4 KiB"] = SIGNATURE .. "\x21\x11\xff\xff" .. FOUR,
}

local function serve(opts)
  opts = opts or {}
  opts.listen = opts.listen or true
  opts.args = { "--proxy-protocol", table.unpack(opts.args or {}) }
  return helper.serve(opts.code or APP, opts)
end

local function body_of(server, header, send)
  local conn = helper.connect(server)
  conn[send or "send"](conn, header .. REQUEST)
  return conn:read_response().body
end

describe("--proxy-protocol", function()
  local server
  setup(function() server = serve() end)

  for what, case in pairs(HEADERS) do
    it("has the client's address of " .. what, function()
      local body = body_of(server, case[1])
      assert.matches('"ip":"' .. case[2] .. '"', body, 1, true)
      assert.matches('"address":"' .. case[2] .. '"', body, 1, true)
      assert.matches('"port":4711', body, 1, true)
    end)

    it("reads it a byte at a time: " .. what, function()
      assert.matches('"ip":"' .. case[2] .. '"', body_of(server, case[1], "send_slowly"), 1, true)
    end)
  end

  for what, header in pairs(NAMELESS) do
    it("takes who is connected for the client: " .. what, function()
      assert.matches('"ip":"127.0.0.1"', body_of(server, header), 1, true)
    end)
  end

  for what, bytes in pairs(BAD) do
    it("closes a connection that begins with " .. what, function()
      local conn = helper.connect(server)
      conn:send(bytes)
      assert.is_true(conn:closed())
      assert.matches('"ip":"192.0.2.7"', body_of(server, HEADERS["version 1, IPv4"][1]), 1, true)
    end)
  end

  it("closes a connection that ends, and says nothing of it", function()
    local own = serve()
    local conn = helper.connect(own)
    conn:shutdown_write()
    assert.is_true(conn:closed())
    assert.equal("", own:stderr())
  end)

  it("serves HTTP/2 behind it", function()
    local conn = h2.connect(server, { raw = true })
    conn:send(HEADERS["version 2, IPv4"][1] .. h2.PREFACE .. h2.settings({}))
    local id = conn:request(h2.fields("GET", "/"))
    assert.matches('"ip":"192.0.2.7"', conn:response(id).body, 1, true)
  end)

  it("serves TLS behind it", function()
    local pair = certs.of({ names = { "a.example" } })
    local dir = helper.tmpdir()
    local cert, key = helper.write_file(dir .. "/a.pem", pair.cert), helper.write_file(dir .. "/a.key", pair.key)
    local own = serve({ args = { "--tls-cert", cert, "--tls-key", key } })
    local out = io.popen(("curl -sk --haproxy-protocol https://127.0.0.1:%d/"):format(own.port)):read("a")
    assert.matches('"ip":"127.0.0.1"', out, 1, true)
    out = io.popen(("curl -sk --max-time 5 https://127.0.0.1:%d/ ; echo $?"):format(own.port)):read("a")
    assert.is_nil(out:find("ip", 1, true))
  end)

  it("names clients on a Unix socket, too", function()
    local path = helper.tmpdir() .. "/app.sock"
    local own = serve({ listen = "unix:" .. path, ready = "listening" })
    local conn = helper.connect(own)
    conn:send(HEADERS["version 1, IPv4"][1] .. REQUEST)
    assert.matches('"address":"192.0.2.7"', conn:read_response().body, 1, true)
  end)

  it("is a server's own option, too", function()
    local own = helper.serve([[
      local http = require "http"
      local function handler(req) return req.ip end
      local one = http.createServer({ proxyProtocol = true }, handler)
      one:listen(0, "127.0.0.1", function() print("port " .. one:address().port .. " one") end)
      local two = http.createServer(handler)
      two:listen(0, "127.0.0.1", function() print("port " .. two:address().port .. " two") end)
    ]], { ports = 2 })
    local function ask(name, bytes)
      local conn = helper.connect(own.ports[name])
      conn:send(bytes)
      return conn:read_response()
    end
    assert.equal("192.0.2.7", ask("one", HEADERS["version 1, IPv4"][1] .. REQUEST).body)
    assert.equal("127.0.0.1", ask("two", REQUEST).body)
    assert.equal(400, ask("two", HEADERS["version 1, IPv4"][1] .. REQUEST).status)
  end)

  it("stops although a connection has said nothing yet, and serves one that hurries", function()
    local own = serve({ args = { "--workers", "1" } })
    local silent, late = helper.connect(own), helper.connect(own)
    late:send("PROXY TCP4 192.0.2.7 127.0.0.1 ")
    body_of(own, HEADERS["version 1, IPv4"][1])
    own:kill("SIGTERM")
    helper.wait_for(function() return helper.connect(own, { try = true }) == nil end, "the port to be closed")
    late:send("4711 80\r\n" .. REQUEST)
    assert.equal(200, late:read_response().status)
    assert.is_true(silent:closed())
    assert.equal(0, (own:wait_exit()))
  end)
end)
