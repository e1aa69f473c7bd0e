-- server:close and its kin: nobody who was heard goes without an answer, and
-- nothing waits for ever.
local helper = require("spec.helper")

-- Runs code that ends by itself and returns what it printed.
local function printed(code)
  local result = helper.run(code)
  assert.same({ 0, "" }, { result.code, result.err })
  return result.out
end

describe("close", function()
  local SLOW = [[
local server
server = require("http").createServer(function(req, res)
  if req.url == "/slow" then
    print("slow")
    server:close(function() print("closed") end)
    setTimeout(function() res:finish("slow") end, 100)
    return
  end
  res:finish("quick")
end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]

  it("accepts nobody any more, but answers what was asked", function()
    local server = helper.serve(SLOW)
    local conn = helper.connect(server)
    conn:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    server:wait_output("slow")
    assert.is_nil((helper.connect(server, { try = true })))
    local response = conn:read_response()
    assert.equal("slow", response.body)
    assert.equal("close", response.headers.connection)
    assert.is_true(conn:closed())
    server:wait_output("closed")
  end)

  it("ends idle connections at once", function()
    local server = helper.serve(SLOW)
    local idle = helper.connect(server)
    idle:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("quick", idle:read_response().body)
    local conn = helper.connect(server)
    conn:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_true(idle:closed())
    assert.equal("slow", conn:read_response().body)
  end)

  it("does not wait for connections that never end", function()
    local server = helper.serve(SLOW)
    local idle = helper.connect(server)
    idle:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    idle:read_response()
    local silent = helper.connect(server)
    helper.get(server, "/slow")
    server:wait_output("closed", 3)
    assert.equal(0, (server:wait_exit(3)))
    assert.is_false(idle.eof and silent.eof)
  end)

  it("answers requests that were on their way to an idle connection", function()
    local server = helper.serve(SLOW)
    local conns = {}
    for i = 1, 20 do
      conns[i] = helper.connect(server)
      conns[i]:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      conns[i]:read_response()
    end
    server:kill("STOP")
    local closer = helper.connect(server)
    closer:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    for i = 1, 20 do
      conns[i]:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    server:kill("CONT")
    for i = 1, 20 do
      assert.equal("quick", conns[i]:read_response().body)
    end
    assert.equal("slow", closer:read_response().body)
  end)

  it("answers connections that the kernel had accepted already", function()
    local server = helper.serve(SLOW)
    server:kill("STOP")
    local conns = {}
    for i = 1, 20 do
      conns[i] = helper.connect(server)
      conns[i]:send("GET /" .. (i == 1 and "slow" or "") .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    server:kill("CONT")
    for i = 1, 20 do
      assert.equal(i == 1 and "slow" or "quick", conns[i]:read_response().body)
    end
  end)

  it("calls back with an error where the server is not open", function()
    assert.equal("Server is not running.\tERR_SERVER_NOT_RUNNING\n", printed([[
local server = require("http").createServer()
server:close(function(err) print(err.message, err.code) end)
]]))
  end)

  it("closes once, and tells the second caller so", function()
    assert.equal("close\nfirst\tnil\nsecond\tServer is not running.\n", printed([[
local server = require("http").createServer()
server:on("close", function() print("close") end)
server:listen(0, "127.0.0.1", function()
  server:close(function(err) print("first", err) end)
  server:close(function(err) print("second", err) end)
end)
]]))
  end)

  it("within the same turn as listen takes it back", function()
    assert.equal("close\n", printed([[
local server = require("http").createServer()
server:on("close", function() print("close") end)
server:listen(0, "127.0.0.1", function() print("listening") end)
server:close()
]]))
  end)

  it("while the name of a host is looked up takes it back, too", function()
    assert.equal("close\n", printed([[
local server = require("http").createServer()
server:on("close", function() print("close") end)
server:listen(0, "localhost", function() print("listening") end)
server:close()
]]))
  end)

  it("ends a process that has nothing else to do", function()
    local server = helper.serve(SLOW)
    helper.get(server, "/slow")
    assert.equal(0, (server:wait_exit()))
  end)

  it("is told of in a drain, too", function()
    local server = helper.serve([[
local server
server = require("http").createServer(function(req, res)
  print("asked")
  setTimeout(function()
    server:close(function() print("closed") end)
    res:finish("late")
  end, 50)
end)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]])
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server:wait_output("asked")
    server:kill("TERM")
    assert.equal("late", conn:read_response().body)
    assert.equal(0, (server:wait_exit()))
    assert.matches("closed", server:stdout())
  end)

  it("cuts all connections by closeAllConnections", function()
    local server = helper.serve_handler("server:closeAllConnections()")
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_true(conn:closed())
    assert.is_true(server:alive())
  end)

  it("ends the idle ones alone by closeIdleConnections", function()
    local server = helper.serve_handler("if req.url == '/idle' then server:closeIdleConnections() end res:finish('x')")
    local idle, busy = helper.connect(server), helper.connect(server)
    idle:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    idle:read_response()
    for _ = 1, 2 do
      busy:send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal("x", busy:read_response().body)
    end
    assert.is_true(idle:closed())
  end)
end)
