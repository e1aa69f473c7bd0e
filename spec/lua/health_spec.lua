-- app:health: what load balancers and monitors are told.
local helper = require("spec.helper")

local function serve(code, opts)
  opts = opts or {}
  opts.listen = true
  return helper.serve("local luaserve = require 'luaserve' local app = luaserve() " .. code .. " return app", opts)
end

local function ask(server, path)
  local response = helper.get(server, path or "/health")
  return response.status, response.body, response
end

describe("app:health", function()
  it("says that the process is well, and not to keep that", function()
    local status, body, response = ask(serve("app:health()"))
    assert.same({ 200, '{"status":"ok"}' }, { status, body })
    assert.equal("no-store", response.headers["cache-control"])
    assert.equal("application/json", response.headers["content-type"])
  end)

  it("takes another path, and the checks alone", function()
    assert.equal(200, (ask(serve("app:health('/healthz')"), "/healthz")))
    local status, body = ask(serve("app:health { db = function() return true end }"))
    assert.same({ 200, true }, { status, body:find('"db":"ok"', 1, true) ~= nil })
  end)

  for what, case in pairs({
    ["raises"] = { "error('no db', 0)", "no db" },
    ["returns false"] = { "return false", "failed" },
    ["returns nil and a message"] = { "return nil, 'refused'", "refused" },
    ["waits and fails"] = { "require('timers').sleep(5) return false", "failed" },
  }) do
    it("is unwell where a check " .. what, function()
      local server = serve(("app:health('/h', { db = function() %s end, other = function() end })"):format(case[1]))
      local status, body = ask(server, "/h")
      assert.equal(503, status)
      assert.matches('"status":"failing"', body)
      assert.matches('"db":"' .. case[2] .. '"', body)
      assert.matches('"other":"ok"', body)
    end)
  end

  it("is not ready while the process stops", function()
    local server = serve([[
      app:health()
      app:get("/slow", function() print("at work") require("timers").sleep(400) return "done" end)
    ]])
    local conn = helper.connect(server)
    conn:send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("at work")
    local asking = helper.connect(server)
    asking:send("GET /health HTTP/1.1\r\nHost: x\r\n")
    helper.get(server, "/health") -- a round trip: the half of a request is there
    server:kill("SIGTERM")
    helper.wait_for(function() return helper.connect(server, { try = true }) == nil end, "the drain to begin")
    asking:send("\r\n")
    local response = asking:read_response()
    assert.same({ 503, '{"status":"draining"}' }, { response.status, response.body })
    assert.equal("close", response.headers.connection)
    assert.equal("done", conn:read_response().body)
  end)

  it("explains checks that are none", function()
    local run = helper.run("require('luaserve')():health { db = 1 }")
    assert.equal(1, run.code)
    assert.matches("app.lua:1: the check 'db' must be a function", run.err)
  end)
end)
