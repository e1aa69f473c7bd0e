-- luaserve.metrics: what Prometheus reads, of one process and of a cluster.
local helper = require("spec.helper")

local APP = [[
  local luaserve = require "luaserve"
  local app, admin = luaserve(), luaserve()
  app:get("/metrics", luaserve.metrics())
  app:get("/users/:id", function(req) return { id = req.params.id } end)
  app:post("/users/:id", function(req, res) return 201, "made" end)
  app:get("/slow", function() require("timers").sleep(30) return "slow" end)
  app:get("/fail", function() error("on purpose") end)
  app:get("/pid", function() return tostring(process.pid) end)
  admin:get("/users/:id(%d+)", function() return "admin" end)
  app:mount("/admin/:tenant", admin)
  return app
]]

local function serve(args)
  return helper.serve(APP, { listen = true, args = args })
end

local function scrape(server)
  local response = helper.get(server, "/metrics")
  assert.equal(200, response.status)
  return response.body, response
end

local function value(text, name, tags)
  local line = name .. (tags and "{" .. tags .. "}" or "") .. " "
  local at = text:find("\n" .. line, 1, true)
  return at and tonumber(text:match("^[%d.e+-]+", at + 1 + #line))
end

local function requests(text, method, route, status)
  return value(text, "http_requests_total", ('method="%s",route="%s",status="%d"'):format(method, route, status))
end

describe("metrics", function()
  it("count requests by route, method and status", function()
    local server = serve()
    for i = 1, 3 do helper.get(server, "/users/" .. i) end
    helper.request(server, { method = "POST", path = "/users/1", body = "" })
    helper.get(server, "/admin/acme/users/7")
    helper.get(server, "/fail")
    for i = 1, 4 do helper.get(server, "/nothing/" .. i) end
    helper.request(server, { method = "BREW", path = "/users/1" })
    helper.request(server, { method = "PROPFIND", path = "/users/1" })
    local text, response = scrape(server)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", response.headers["content-type"])
    assert.equal(3, requests(text, "GET", "/users/:id", 200))
    assert.equal(1, requests(text, "POST", "/users/:id", 201))
    assert.equal(1, requests(text, "GET", "/admin/:tenant/users/:id(%d+)", 200))
    assert.equal(1, requests(text, "GET", "/fail", 500))
    assert.equal(4, requests(text, "GET", "", 404))
    assert.equal(1, requests(text, "OTHER", "", 405))
    assert.is_nil(requests(text, "GET", "/metrics", 200))
    assert.equal(1, requests(scrape(server), "GET", "/metrics", 200))
  end)

  it("have histograms of how long requests took", function()
    local server = serve()
    for _ = 1, 4 do helper.get(server, "/slow") end
    local text = scrape(server)
    local tags = 'method="GET",route="/slow"'
    local last = 0
    for _, bound in ipairs({ "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10" }) do
      local n = value(text, "http_request_duration_seconds_bucket", tags .. ',le="' .. bound .. '"')
      assert.is_true(n >= last)
      if tonumber(bound) < 0.03 then assert.equal(0, n) end
      last = n
    end
    assert.equal(4, value(text, "http_request_duration_seconds_bucket", tags .. ',le="+Inf"'))
    assert.equal(4, value(text, "http_request_duration_seconds_count", tags))
    assert.is_true(value(text, "http_request_duration_seconds_sum", tags) >= 0.12)
  end)

  it("are lines that the format allows, each kind announced once", function()
    local server = serve()
    helper.get(server, "/users/1")
    local kinds = {}
    for line in scrape(server):gmatch("([^\n]*)\n") do
      local kind = line:match("^# TYPE ([%w_]+) %a+$")
      if kind then
        assert.is_nil(kinds[kind])
        kinds[kind] = true
      else
        assert.truthy(line:find("^# HELP [%w_]+ .") or line:find("^[%w_]+ [%d.e+-]+$")
          or line:find('^[%w_]+{[%w_]+="[^"]*"[^}]*} [%d.e+-]+$'), line)
      end
    end
    for _, name in ipairs({ "http_requests_total", "http_request_duration_seconds", "luaserve_connections",
      "luaserve_lua_memory_bytes", "luaserve_loop_lag_seconds", "luaserve_workers", "luaserve_respawns_total" }) do
      assert.is_true(kinds[name], name)
    end
  end)

  it("say what one process holds", function()
    local server = serve()
    local idle = helper.connect(server)
    idle:send("GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
    idle:read_response()
    local text = scrape(server)
    assert.is_true(value(text, "luaserve_connections", 'worker="0"') >= 2)
    assert.is_true(value(text, "luaserve_lua_memory_bytes", 'worker="0"') > 100000)
    assert.equal(1, value(text, "luaserve_workers"))
  end)

  it("are those of all workers, whichever is asked", function()
    local server = serve({ "--workers", "3" })
    for i = 1, 60 do helper.get(server, "/users/" .. i) end
    for _ = 1, 6 do
      local text = scrape(server)
      assert.equal(60, requests(text, "GET", "/users/:id", 200))
      assert.equal(3, value(text, "luaserve_workers"))
    end
  end)

  it("never fall when workers are replaced", function()
    local server = serve({ "--workers", "2" })
    for i = 1, 40 do helper.get(server, "/users/" .. i) end
    assert.equal(40, requests(scrape(server), "GET", "/users/:id", 200))
    server:kill("SIGHUP")
    server:wait_output("reloaded: 2 workers", helper.seconds(15))
    assert.equal(40, requests(scrape(server), "GET", "/users/:id", 200))
    os.execute("kill -KILL " .. helper.get(server, "/pid").body)
    server:wait_output("another takes its place")
    local text = scrape(server)
    assert.equal(40, requests(text, "GET", "/users/:id", 200))
    assert.equal(1, value(text, "luaserve_respawns_total"))
  end)

  it("fold what clients can make up", function()
    local server = serve()
    local conn = helper.connect(server)
    for i = 1, 300 do
      conn:send(("X%d /p%d HTTP/1.1\r\nHost: x\r\n\r\n"):format(i, i))
      if i % 50 == 0 then conn = helper.connect(server) end
    end
    for i = 1, 200 do helper.get(server, "/made/up/" .. i) end
    local text = scrape(server)
    assert.equal(200, requests(text, "GET", "", 404))
    assert.is_true(#text < 12000, #text .. " bytes")
  end)
end)
