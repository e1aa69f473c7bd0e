-- Windows both ways (RFC 9113 5.2), priorities (RFC 9218), and how a connection
-- ends (6.8).
local helper = require("spec.helper")
local h2 = require("spec.helper.h2")

local APP = [[
local timers = require("timers")
local path = req.path
if path == "/big" then return res:finish(("x"):rep(300000))
elseif path == "/kept" then KEPT = KEPT or ("k"):rep(1048576) return res:finish(KEPT)
elseif path == "/stream" then
  for i = 1, 200 do if not res:write(("%03d"):format(i):rep(500)) then STOPPED = i end WRITTEN = i end
  return res:finish()
elseif path == "/written" then return tostring(WRITTEN or 0)
elseif path == "/unread" then return nil -- never answered
elseif path == "/slow" then
  local n = 0
  while not GO do timers.sleep(2) end
  for chunk in req:chunks() do n = n + #chunk end
  return tostring(n)
elseif path == "/go" then GO = true return "gone"
elseif path == "/size" then return tostring(#req:text(1e9))
elseif path == "/late" then timers.sleep(50) return "late"
elseif path == "/drain" then
  res:on("drain", function() res:finish("end") end)
  res:write(("x"):rep(100000), function() end)
  return
end
return "answer"
]]

describe("HTTP/2", function()
  local server

  setup(function()
    server = helper.serve_handler(APP)
  end)

  local function open(opts)
    local conn = h2.connect(server, opts)
    conn:until_true(function() return conn.settings end, "sending SETTINGS")
    return conn
  end

  describe("answers within windows", function()
    it("of the stream, as they are opened", function()
      local conn = open({ windows = false, settings = { { 4, 1000 } } })
      local id = conn:request(h2.fields("GET", "/big"))
      local stream = conn:stream(id)
      conn:ping()
      conn:ping()
      assert.equal(1000, stream.size)
      conn:send(h2.window_update(id, 1))
      conn:ping()
      conn:ping()
      assert.equal(1001, stream.size)
      conn:send(h2.window_update(0, 1000000) .. h2.window_update(id, 1000000))
      assert.equal(300000, #conn:response(id).body)
    end)

    it("of the connection, shared by its streams", function()
      local conn = open({ windows = false, settings = { { 4, 1000000 } } })
      local one = conn:request(h2.fields("GET", "/big"))
      local two = conn:request(h2.fields("GET", "/big"))
      conn:ping()
      conn:ping()
      assert.equal(65535, conn:stream(one).size + conn:stream(two).size)
      conn:send(h2.window_update(0, 1000000))
      assert.equal(300000, #conn:response(one).body)
      assert.equal(300000, #conn:response(two).body)
    end)

    it("that SETTINGS change, below zero too", function()
      local conn = open({ windows = false, settings = { { 4, 5000 } } })
      local id = conn:request(h2.fields("GET", "/big"))
      conn:ping()
      conn:send(h2.settings({ { 4, 1000 } }) .. h2.window_update(id, 4000))
      conn:ping()
      conn:ping()
      assert.equal(5000, conn:stream(id).size)
      conn:send(h2.window_update(id, 7))
      conn:ping()
      conn:ping()
      assert.equal(5007, conn:stream(id).size)
      conn:send(h2.settings({ { 4, 400000 } }) .. h2.window_update(0, 400000))
      assert.equal(300000, #conn:response(id).body)
    end)

    it("while others are answered", function()
      local conn = open({ windows = false, settings = { { 4, 10 } } })
      local stuck = conn:request(h2.fields("GET", "/big"))
      assert.equal("answer", conn:response(conn:request(h2.fields("GET", "/"))).body)
      assert.equal(10, conn:stream(stuck).size)
    end)

    it("and a frame size of more than the least is not used", function()
      local conn = open({ settings = { { 5, 1000000 }, { 4, 1000000 } } })
      assert.equal(300000, #conn:response(conn:request(h2.fields("GET", "/big"))).body)
    end)
  end)

  it("holds a writer up when its stream is stuck", function()
    local conn = open({ windows = false, settings = { { 4, 0 } } })
    local id = conn:request(h2.fields("GET", "/stream"))
    local function written()
      return tonumber(h2.get(server, "/written").body)
    end
    conn:ping()
    local before = written()
    assert.is_true(before < 100, "written: " .. before)
    conn:send(h2.window_update(id, 2000000) .. h2.window_update(0, 2000000))
    assert.equal(200 * 1500, #conn:response(id).body)
  end)

  it("tells a writer when its queue has emptied", function()
    local conn = open({ windows = false, settings = { { 4, 10 } } })
    local id = conn:request(h2.fields("GET", "/drain"))
    conn:ping()
    conn:ping()
    assert.equal(10, conn:stream(id).size)
    conn:send(h2.window_update(id, 1000000) .. h2.window_update(0, 1000000))
    assert.equal(100003, #conn:response(id).body)
  end)

  it("takes from a stream no more than its handler reads", function()
    local conn = open()
    local id = conn:request(h2.fields("POST", "/slow"), { open = true })
    conn:data(id, ("x"):rep(65536))
    conn:ping()
    assert.is_nil(conn:stream(id).window)
    h2.get(server, "/go")
    conn:until_true(function() return (conn:stream(id).window or 0) > 0 end, "opening the window")
    conn:data(id, ("x"):rep(1000), true)
    assert.equal("66536", conn:response(id).body)
  end)

  it("takes bodies of any length", function()
    local conn = open()
    local id = conn:request(h2.fields("POST", "/size"), { open = true })
    local stream, conn_stream = conn:stream(id), conn:stream(0)
    local sent, chunk = 0, ("x"):rep(16384)
    while sent < 3000000 do
      conn:until_true(function()
        return sent + #chunk <= 65536 + (stream.window or 0) and sent + #chunk <= 65535 + (conn_stream.window or 0)
      end, "opening a window")
      conn:data(id, chunk)
      sent = sent + #chunk
    end
    conn:data(id, "", true)
    assert.equal(tostring(sent), conn:response(id).body)
  end)

  it("gives back the window of bodies that nobody reads", function()
    local conn = open()
    for _ = 1, 40 do -- 2.5 MiB in all; the connection's window is 1 MiB
      local id = conn:request(h2.fields("POST", "/late"), { open = true })
      conn:data(id, ("x"):rep(65536))
      conn:response(id)
    end
    for _ = 1, 40 do
      local id = conn:request(h2.fields("POST", "/unread"), { open = true })
      conn:data(id, ("x"):rep(65536))
      conn:send(h2.rst_stream(id))
      conn:ping()
    end
    assert.equal("answer", conn:response(conn:request(h2.fields("GET", "/"))).body)
  end)

  it("sends an answer that many streams share without a copy for each", function()
    h2.get(server, "/kept")
    local before = server:rss()
    local conns = {}
    for i = 1, 10 do
      conns[i] = open({ windows = false })
      for _ = 1, 20 do
        conns[i]:request(h2.fields("GET", "/kept"))
      end
      conns[i]:ping()
    end
    assert.is_true(server:rss() - before < 30e6, "grown by " .. server:rss() - before)
  end)

  describe("sends first", function()
    -- The order in which the bodies of these streams begin, and end.
    local function order(priorities)
      local conn = open({ windows = false, settings = { { 4, 1000000 } } })
      local ids, ends = {}, {}
      local block = conn:request(h2.fields("GET", "/big")) -- takes all of the connection's window
      conn:until_true(function() return conn:stream(block).size == 65535 end, "filling the window")
      conn:send(h2.rst_stream(block))
      for i, priority in ipairs(priorities) do
        ids[conn:request(h2.fields("GET", "/big", { priority ~= "" and { "priority", priority } or nil }))] = i
      end
      conn:ping()
      conn:ping()
      conn:send(h2.window_update(0, 2000000))
      while #ends < #priorities do
        local frame = conn:step()
        if frame.type == h2.DATA and frame.flags & h2.END_STREAM ~= 0 then
          table.insert(ends, ids[frame.id])
        end
      end
      return ends, conn
    end

    it("what is more urgent", function()
      assert.same({ 3, 2, 1 }, (order({ "u=7", "", "u=1" })))
    end)

    it("what was asked for first, where nothing is said", function()
      assert.same({ 1, 2, 3 }, (order({ "", "", "" })))
    end)

    it("a bit of each, where that is asked for", function()
      local conn = open({ windows = false, settings = { { 4, 1000000 } } })
      local block = conn:request(h2.fields("GET", "/big"))
      conn:until_true(function() return conn:stream(block).size == 65535 end, "filling the window")
      local one = conn:request(h2.fields("GET", "/big", { { "priority", "u=0, i" } }))
      local two = conn:request(h2.fields("GET", "/big", { { "priority", "u=0, i" } }))
      conn:ping()
      conn:send(h2.window_update(0, 100000))
      conn:until_true(function() return conn:stream(one).size + conn:stream(two).size == 100000 end, "sending")
      assert.is_true(math.abs(conn:stream(one).size - conn:stream(two).size) <= 16384)
    end)

    it("what PRIORITY_UPDATE makes more urgent", function()
      local conn = open({ windows = false, settings = { { 4, 1000000 } } })
      local block = conn:request(h2.fields("GET", "/big"))
      conn:until_true(function() return conn:stream(block).size == 65535 end, "filling the window")
      local one = conn:request(h2.fields("GET", "/big"))
      local two = conn:request(h2.fields("GET", "/big"))
      conn:send(h2.frame(h2.PRIORITY_UPDATE, 0, 0, string.pack(">I4", two) .. "u=0"))
      conn:ping()
      conn:send(h2.window_update(0, 300000))
      conn:until_true(function() return conn:stream(two).ended end, "sending")
      assert.is_true(conn:stream(one).size < 16384)
    end)
  end)
end)

describe("An HTTP/2 connection ends", function()
  local END = [[
    local timers = require("timers")
    if req.path == "/late" then timers.sleep(100) return "late" end
    if req.path == "/close" then server:close() return "closing" end
    if req.path == "/idle" then server:closeIdleConnections() return "closed" end
    if req.path == "/block" then while not GO do timers.sleep(2) end return end
    if req.path == "/go" then GO = true return "gone" end
    return "answer"
  ]]

  local function serve(options)
    return helper.serve(([[
      local http = require("http")
      local server
      server = http.createServer({ %s }, function(req, res) %s end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]]):format(options or "", END))
  end

  it("in two steps when the server closes: requests on their way are answered", function()
    local server = serve()
    local conn = h2.connect(server)
    conn.pongs = false -- the second step waits for us
    local late = conn:request(h2.fields("GET", "/late"))
    conn:request(h2.fields("GET", "/close"))
    assert.equal("NO_ERROR", conn:goaway())
    assert.equal(0x7fffffff, conn.last_stream)
    local after = conn:request(h2.fields("GET", "/after")) -- crossed the notice
    conn:send(h2.frame(h2.PING, h2.ACK, 0, ("\0"):rep(8)))
    assert.equal("answer", conn:response(after).body)
    conn:until_true(function() return conn.goaways == 2 end, "naming the last stream")
    assert.equal(after, conn.last_stream)
    assert.equal("late", conn:response(late).body)
    assert.is_true(conn:closed())
    assert.equal(0, (server:wait_exit()))
  end)

  it("within a second where the client does not answer", function()
    local server = serve()
    local conn = h2.connect(server)
    conn.pongs = false
    conn:response(conn:request(h2.fields("GET", "/")))
    server:kill("TERM")
    assert.is_true(conn:closed())
    assert.equal(2, conn.goaways)
    assert.equal(0, (server:wait_exit()))
  end)

  it("when it has been quiet for keepAliveTimeout", function()
    local conn = h2.connect(serve("keepAliveTimeout = 100"))
    conn:response(conn:request(h2.fields("GET", "/")))
    assert.equal("NO_ERROR", conn:goaway())
    assert.is_true(conn:closed())
  end)

  it("where it is closed as idle, which it is told", function()
    local server = serve()
    local conn = h2.connect(server)
    conn:response(conn:request(h2.fields("GET", "/")))
    helper.get(server, "/idle")
    assert.equal("NO_ERROR", conn:goaway())
    assert.is_true(conn:closed())
  end)

  it("when no request has come within headersTimeout", function()
    local server = serve("headersTimeout = 100")
    local conn = h2.connect(server)
    assert.equal("NO_ERROR", conn:goaway())
    assert.is_true(conn:closed())
    local raw = helper.connect(server)
    raw:send(h2.PREFACE:sub(1, 10))
    assert.is_true(raw:closed())
  end)

  it("when a head is not complete within headersTimeout", function()
    local conn = h2.connect(serve("headersTimeout = 100"))
    conn:response(conn:request(h2.fields("GET", "/")))
    conn:send(h2.frame(h2.HEADERS, 1, 3, "\x82"))
    assert.equal("ENHANCE_YOUR_CALM", conn:goaway())
    assert.is_true(conn:closed())
  end)

  it("behind the last of maxRequestsPerSocket", function()
    local conn = h2.connect(serve("maxRequestsPerSocket = 2"))
    assert.equal("answer", conn:response(conn:request(h2.fields("GET", "/"))).body)
    assert.is_nil(conn.error)
    assert.equal("answer", conn:response(conn:request(h2.fields("GET", "/"))).body)
    assert.equal("NO_ERROR", conn:goaway())
    assert.is_true(conn:closed())
  end)

  it("when its client goes", function()
    local server = serve()
    local conn = h2.connect(server)
    conn:response(conn:request(h2.fields("GET", "/")))
    conn:send(h2.frame(h2.GOAWAY, 0, 0, ("\0"):rep(8)))
    assert.is_true(conn:closed())
    conn = h2.connect(server)
    conn:response(conn:request(h2.fields("GET", "/")))
    conn.raw:shutdown_write()
    assert.is_true(conn:closed())
  end)

  it("when its client has shut its side down, behind the answers owed", function()
    local conn = h2.connect(serve())
    local id = conn:request(h2.fields("GET", "/late"))
    conn.raw:shutdown_write()
    assert.equal("late", conn:response(id).body)
    assert.is_true(conn:closed())
  end)

  it("not for a stream that breaks a limit of time", function()
    local conn = h2.connect(serve("handlerTimeout = 200"))
    assert.equal(503, conn:response(conn:request(h2.fields("GET", "/block"))).status)
    assert.equal("gone", conn:response(conn:request(h2.fields("GET", "/go"))).body)
    assert.equal("late", conn:response(conn:request(h2.fields("GET", "/late"))).body)
  end)
end)
