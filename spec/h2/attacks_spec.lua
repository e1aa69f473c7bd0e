-- Attacks on HTTP/2: each is ended with GOAWAY or a reset, memory stays where it
-- was, and another client is served meanwhile. The rates are in src/http/h2.h.
local helper = require("spec.helper")
local h2 = require("spec.helper.h2")
local hpack = require("spec.helper.hpack")

local APP = [[
CALLS = (CALLS or 0) + 1
local path = req.path
if path == "/calls" then return tostring(CALLS) end
if path == "/wait" then return end -- never answered
if path == "/big" then return res:finish(("x"):rep(1048576)) end
if path == "/read" then return res:finish(tostring(#(req:text() or ""))) end
return "answer"
]]

local frame, headers, fields = h2.frame, h2.headers, h2.fields
local GROWTH = 24e6 -- bytes that a server may keep of buffers it has used

describe("HTTP/2 under attack:", function()
  local server, other

  setup(function()
    server = helper.serve_handler(APP)
    for _ = 1, 50 do h2.get(server, "/") end
  end)

  before_each(function()
    other = h2.connect(server)
  end)

  -- Runs `attack(conn)`; another client is served meanwhile, and memory is flat.
  local function under(attack, opts)
    local before = server:private_memory()
    local conn = h2.connect(server, opts)
    attack(conn)
    assert.equal("answer", other:response(other:request(fields())).body)
    local grown = server:private_memory() - before
    assert.is_true(helper.sanitized or grown < GROWTH, ("grown by %d bytes"):format(grown))
    return conn
  end

  -- Sends `bytes` n times over, until the server has had enough.
  local function flood(conn, bytes, n)
    for _ = 1, n do
      if not conn:send(bytes) then
        break
      end
    end
  end

  local function assert_calmed(conn)
    assert.equal("ENHANCE_YOUR_CALM", conn:goaway())
    assert.is_true(conn:closed())
  end

  local function calls()
    return tonumber(h2.get(server, "/calls").body)
  end

  it("rapid reset (CVE-2023-44487) runs no handler and is ended", function()
    local before = calls()
    local conn = under(function(conn)
      local parts = {}
      for id = 1, 1999, 2 do
        parts[#parts + 1] = headers(id, fields("GET", "/wait")) .. h2.rst_stream(id)
      end
      conn:send(table.concat(parts))
    end)
    assert_calmed(conn)
    assert.is_true(calls() - before < 20, "handlers run: " .. calls() - before)
  end)

  it("rapid reset one by one is ended", function()
    local conn = h2.connect(server)
    for id = 1, 1999, 2 do
      if not conn:send(headers(id, fields("GET", "/wait"))) or not conn:send(h2.rst_stream(id)) then
        break
      end
    end
    assert_calmed(conn)
  end)

  for name, provoke in pairs({
    ["a window of 0"] = function(id) return h2.window_update(id, 0) end,
    ["a window too great"] = function(id) return h2.window_update(id, 0x7fffffff) end,
    ["PRIORITY of a wrong length"] = function(id) return frame(h2.PRIORITY, 0, id, "\0") end,
    ["DATA behind the end"] = function(id)
      return frame(h2.DATA, h2.END_STREAM, id, "") .. frame(h2.DATA, 0, id, "x")
    end,
    ["a body shorter than its length"] = function(id) return frame(h2.DATA, 0, id, "123456789abcdef") end,
  }) do
    it("made you reset (CVE-2025-8671) by " .. name .. " is ended", function()
      local conn = under(function(conn)
        local head = fields("POST", "/wait", { { "content-length", "10" } })
        for id = 1, 1999, 2 do
          if not conn:send(headers(id, head, { open = true }) .. provoke(id)) then
            break
          end
        end
      end)
      conn:goaway()
      assert.is_true(conn:closed())
    end)
  end

  it("malformed requests without end are ended", function()
    local conn = under(function(conn)
      for id = 1, 1999, 2 do
        conn:send(headers(id, fields("GET", "/", { { "Upper", "1" } })))
      end
    end)
    assert_calmed(conn)
  end)

  it("CONTINUATION without end (CVE-2024-27316) is ended", function()
    local conn = under(function(conn)
      conn:send(frame(h2.HEADERS, 1, 1, hpack.encode(fields())))
      flood(conn, frame(h2.CONTINUATION, 0, 1, hpack.encode({ { "x", ("y"):rep(1000) } })), 5000)
    end)
    assert.is_true(conn:closed())
  end)

  it("empty CONTINUATION without end is ended", function()
    local conn = under(function(conn)
      conn:send(frame(h2.HEADERS, 1, 1, hpack.encode(fields())))
      flood(conn, frame(h2.CONTINUATION, 0, 1, ""), 5000)
    end)
    assert.is_true(conn:closed())
  end)

  it("an HPACK bomb is ended", function()
    local conn = under(function(conn)
      local block = hpack.encode(fields()) .. hpack.encode({ { "x-bomb", ("y"):rep(3900) } }, "indexed")
        .. ("\xbe"):rep(16000 - 4200)
      conn:send(headers(1, nil, { block = block }))
    end)
    assert_calmed(conn)
  end)

  it("a head over the limit is refused, and the connection goes on", function()
    local conn = h2.connect(server)
    local many = {}
    for i = 1, 101 do many[i] = { "x-" .. i, "1" } end
    assert.equal("status 431", conn:outcome(conn:request(fields("GET", "/", many))))
    assert.equal("status 431", conn:outcome(conn:request(fields("GET", "/", { { "x", ("y"):rep(33000) } }))))
    assert.equal("status 414", conn:outcome(conn:request(fields("GET", "/" .. ("y"):rep(9000)))))
    assert.equal("status 200", conn:outcome(conn:request(fields())))
  end)

  it("trailers over the limit are reset", function()
    local conn = h2.connect(server)
    local id = conn:request(fields("POST", "/read"), { open = true })
    conn:send(headers(id, { { "x", ("y"):rep(20000) } }))
    assert.equal("reset CANCEL", conn:outcome(id))
    assert.equal("status 200", conn:outcome(conn:request(fields())))
  end)

  for name, bytes in pairs({
    SETTINGS = h2.settings({}),
    ["full SETTINGS"] = h2.settings({ { 3, 1 }, { 4, 1000 }, { 6, 1000 } }),
    PING = frame(h2.PING, 0, 0, "12345678"),
    PRIORITY = frame(h2.PRIORITY, 0, 1, "\0\0\0\0\15"),
    PRIORITY_UPDATE = frame(h2.PRIORITY_UPDATE, 0, 0, "\0\0\0\1u=1"),
    ["WINDOW_UPDATE"] = h2.window_update(0, 1),
  }) do
    it("a flood of " .. name .. " is ended", function()
      local conn = under(function(conn)
        flood(conn, bytes:rep(500), 20)
      end)
      assert.equal("ENHANCE_YOUR_CALM", conn:goaway())
      assert.is_true(conn:closed())
    end)

    it("a flood of " .. name .. " by a client that reads nothing is ended", function()
      local conn = under(function(conn)
        flood(conn, bytes:rep(500), 200)
      end, { rcvbuf = 4096 })
      assert.is_true(conn:closed())
    end)
  end

  it("a flood of empty DATA is ended", function()
    local conn = under(function(conn)
      local id = conn:request(fields("POST", "/read"), { open = true })
      flood(conn, frame(h2.DATA, 0, id, ""):rep(100) .. frame(h2.DATA, h2.PADDED, id, "\1\0"):rep(100), 10)
    end)
    assert_calmed(conn)
  end)

  it("more streams than allowed are refused", function()
    local conn = under(function(conn)
      conn:until_true(function() return conn.acked end, "settling")
      for _ = 1, 120 do
        conn:request(fields("GET", "/wait"))
      end
    end)
    local outcome = conn:outcome(203)
    assert.is_true(outcome == "reset REFUSED_STREAM" or outcome == "goaway PROTOCOL_ERROR", outcome)
  end)

  it("hundreds of streams before SETTINGS are acknowledged are refused, not served", function()
    local before = calls()
    local conn = under(function(conn)
      local parts = {}
      for id = 1, 399, 2 do
        parts[#parts + 1] = headers(id, fields("GET", "/wait"))
      end
      conn:send(table.concat(parts))
    end)
    assert.equal("reset REFUSED_STREAM", conn:outcome(203))
    assert.is_true(calls() - before <= 102)
  end)

  it("answers that nobody takes hold further requests of the connection", function()
    local before = calls()
    local conn = under(function(conn)
      for _ = 1, 90 do
        conn:request(fields("GET", "/big"))
      end
    end, { settings = { { 4, 0 } }, windows = false })
    conn:ping()
    assert.is_true(calls() - before < 10, "handlers run: " .. calls() - before)
    conn:close()
  end)

  it("such a connection goes on when its windows open", function()
    local conn = h2.connect(server, { settings = { { 4, 0 } } })
    local ids = {}
    for i = 1, 10 do
      ids[i] = conn:request(fields("GET", "/big"))
    end
    conn:ping()
    conn:send(h2.settings({ { 4, 2000000 } }))
    for _, id in ipairs(ids) do
      assert.equal(1048576, #conn:response(id).body)
    end
  end)

  it("windows of a byte are ended", function()
    local conn = under(function(conn)
      local id = conn:request(fields("GET", "/big"))
      flood(conn, h2.window_update(id, 1):rep(100), 50)
    end, { settings = { { 4, 0 } }, windows = false })
    assert_calmed(conn)
  end)

  it("a window overflow frees the session (CVE-2026-21714)", function()
    local before = server:fds()
    under(function()
      for _ = 1, 40 do
        local conn = h2.connect(server)
        conn:send(h2.window_update(0, 0x7fffffff):rep(2))
        assert.equal("FLOW_CONTROL_ERROR", conn:goaway())
        assert.is_true(conn:closed())
        conn:close()
      end
    end)
    helper.wait_for(function() return server:fds() <= before + 2 end, "descriptors to be closed")
  end)

  it("resets and GOAWAY meet frames that wait (CVE-2023-35945)", function()
    under(function()
      for _ = 1, 20 do
        local conn = h2.connect(server, { settings = { { 4, 0 } }, windows = false })
        for _ = 1, 10 do conn:request(fields("GET", "/big")) end
        conn:send(h2.rst_stream(1) .. frame(h2.GOAWAY, 0, 0, ("\0"):rep(8)) .. h2.rst_stream(3))
        conn:ping()
        conn.raw:reset()
      end
    end)
  end)

  it("clients that vanish at any point leave nothing behind", function()
    local before = server:fds()
    under(function()
      for _, path in ipairs({ "/wait", "/big", "/read", "/" }) do
        for _ = 1, 10 do
          local conn = h2.connect(server)
          local id = conn:request(fields("POST", path), { open = true })
          conn:send(frame(h2.DATA, 0, id, "some"))
          conn.raw:reset()
        end
      end
    end)
    helper.wait_for(function() return server:fds() <= before + 2 end, "descriptors to be closed")
  end)
end)

describe("An HTTP/2 client that stalls", function()
  local function serve(options)
    return helper.serve(([[
      local http = require("http")
      local server
      local closed = 0
      server = http.createServer({ %s }, function(req, res)
        if req.path == "/closed" then return tostring(closed) end
        if req.path == "/connections" then return tostring(server:getConnections()) end
        res:on("close", function() closed = closed + 1 end)
        if req.path == "/exact" then res:write("0123456789") require("timers").sleep(1) return res:finish() end
        if req.path == "/big" then return res:finish(("x"):rep(300000)) end
        if req.path == "/read" then return res:finish(tostring(#(req:text() or ""))) end
        return "answer"
      end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]]):format(options))
  end

  it("with its window closed loses the stream, not the connection", function()
    local conn = h2.connect(serve("writeTimeout = 100"), { settings = { { 4, 0 } }, windows = false })
    local id = conn:request(fields("GET", "/big"))
    assert.equal("CANCEL", conn:reset_of(id))
    assert.equal("1", (function()
      conn:send(h2.settings({ { 4, 100000 } }))
      return conn:response(conn:request(fields("GET", "/closed"))).body
    end)())
  end)

  it("with its window used up to the byte loses the stream, whose end it does not take", function()
    local conn = h2.connect(serve("writeTimeout = 100"), { settings = { { 4, 10 } }, windows = false })
    local id = conn:request(fields("GET", "/exact"))
    assert.equal("CANCEL", conn:reset_of(id))
    assert.equal(10, conn:stream(id).size)
  end)

  it("with the window of its connection closed loses its streams", function()
    local conn = h2.connect(serve("writeTimeout = 100"), { settings = { { 4, 1000000 } }, windows = false })
    local one, two = conn:request(fields("GET", "/big")), conn:request(fields("GET", "/big"))
    assert.equal("CANCEL", conn:reset_of(one))
    assert.equal("CANCEL", conn:reset_of(two))
  end)

  it("and reads nothing at all is cut off", function()
    local server = serve("writeTimeout = 200")
    local conn = h2.connect(server, { settings = { { 4, 0x7fffffff } }, rcvbuf = 4096 })
    local function wait_for_connections(count, what)
      helper.wait_for(function() return helper.get(server, "/connections").body == count end, what)
    end
    wait_for_connections("2", "the connection to be accepted")
    conn:send(h2.window_update(0, 0x7fffffff - 65535))
    for _ = 1, 90 do
      conn:request(fields("GET", "/big"))
    end
    wait_for_connections("1", "the connection to be closed")
  end)

  it("in its body is answered 408", function()
    local conn = h2.connect(serve("requestTimeout = 100"))
    local id = conn:request(fields("POST", "/read"), { open = true })
    assert.equal(408, conn:response(id).status)
    assert.equal("answer", conn:response(conn:request(fields())).body)
  end)
end)
