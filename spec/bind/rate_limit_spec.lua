-- rateLimit in Redis: processes count together, by the clock of Redis; with Redis gone, by choice
-- requests are let through or answered with 503.
local helper = require("spec.helper")
local redis = require("spec.helper.redis")

local LONG = 30000000 -- a window in which no token comes back while a spec runs

local function serve(port, options)
  return helper.serve(([[
    local luaserve = require "luaserve"
    local r = luaserve.redis.connect("redis://127.0.0.1:%d")
    local app = luaserve()
    app:get("/", luaserve.rateLimit { name = "site", store = r, key = function(req) return req.query.key end, %s },
      function(req) return tostring(req.rateLimit.remaining) end)
    return app
  ]]):format(port, options), { listen = true })
end

describe("rateLimit in Redis", function()
  local server
  setup(function() server = redis.start() end)

  -- What a script prints that has a store of buckets, in Redis, and r.
  local function printed(code)
    local run = helper.run(([[
      local luaserve, timers = require "luaserve", require "timers"
      local r = luaserve.redis.connect("redis://127.0.0.1:%d")
      local store = luaserve.redis.store(r, { prefix = "shop:" })
      local function show(...)
        local values = { ... }
        for i, value in ipairs(values) do
          values[i] = type(value) == "number" and ("%%.3g"):format(value) or tostring(value)
        end
        print(table.concat(values, " "))
      end
    ]]):format(server.port) .. code)
    assert.equal("", run.err)
    assert.equal(0, run.code)
    return run.out
  end

  it("is one limit for all that ask it, and lets not one request too many through", function()
    local options = "limit = 10, window = " .. LONG
    local servers, conns, counts = { serve(server.port, options), serve(server.port, options) }, {}, {}
    for i = 1, 40 do
      conns[i] = helper.connect(servers[i % 2 + 1])
      conns[i]:send("GET /?key=all HTTP/1.1\r\nHost: x\r\n\r\n")
    end
    for i = 1, 40 do
      local response = conns[i]:read_response()
      counts[response.status] = (counts[response.status] or 0) + 1
    end
    assert.same({ [200] = 10, [429] = 30 }, counts)
    assert.equal("9", helper.get(servers[1], "/?key=other").body)
  end)

  it("takes, looks and gives back", function()
    assert.equal("true 2 1e+07 0\ntrue 0 3e+07 0\nfalse 0 3e+07 1e+07\ntrue 0 3e+07 0\nfalse 0 3e+07 2e+07\n"
      .. "true 2 1e+07 0\nfalse 2 1e+07 1e+07\ntrue 3 0 0\n0\ntrue 0 3e+07 0\n1\ntrue\n0\n", printed([[
      local function take(cost) show(store:take("k", cost, 3, 3e7, 3)) end
      for _, cost in ipairs { 1, 2, 1, 0, 2, -2, 3, -5 } do take(cost) end
      print(r:exists("shop:limit:k"))
      take(1000)
      print(r:exists("shop:limit:k"))
      print(store:reset("k"))
      print(r:exists("shop:limit:k"))
    ]]))
  end)

  it("says the same as the store that workers share", function()
    assert.equal("500\t500\n", printed([[
      local options = { limit = 70, window = 2e7, burst = 100 }
      local shared = luaserve.rateLimit(options)
      options.store = r
      local kept, same = luaserve.rateLimit(options), 0
      for i = 1, 500 do
        local cost = math.random(-2, 7) / (i % 3 == 0 and 4 or 1)
        if i % 100 == 0 then
          shared:reset("k")
          kept:reset("k")
        end
        local allowed, info = shared:take("k", cost)
        local also, other = kept:take("k", cost)
        if allowed == also and info.remaining == other.remaining and math.abs(info.reset - other.reset) < 60
          and math.abs(info.wait - other.wait) < 60 then same = same + 1 end
      end
      print(500, same)
    ]]))
  end)

  it("gives tokens back evenly, by the clock of Redis, and forgets what is full", function()
    assert.equal("true\ntrue\ntrue\n0\n", printed([[
      local uptime, taken = process.uptime, 0
      local began = uptime()
      os.time = function() return 0 end -- which nobody asks
      while uptime() - began < 0.4 do
        if store:take("k", 1, 100, 1, 5) then taken = taken + 1 end
      end
      print(taken <= 5 + 100 * (uptime() - began))
      print(taken >= 10)
      local left = r:pttl("shop:limit:k")
      print(left > 0 and left <= 50)
      while r:exists("shop:limit:k") == 1 do timers.sleep(5) end
      print(r:exists("shop:limit:k"))
    ]]))
  end)

  it("has a bucket that cannot be read as a full one, and one from the future as it is", function()
    assert.equal("true 2\ntrue 0\n", printed([[
      r:set("shop:limit:k", "nonsense")
      show(select(1, store:take("k", 1, 3, 3e7, 3)), (select(2, store:take("k", 0, 3, 3e7, 3))))
      r:set("shop:limit:k", ("%.0f 2"):format((os.time() + 1e6) * 1e6)) -- the clock was set back
      show((store:take("k", 1, 3, 3e7, 3)), (select(2, store:take("k", 0, 3, 3e7, 3))))
    ]]))
  end)

  it("is refused where the store is none of limits", function()
    local run = helper.run([[
      local luaserve = require "luaserve"
      print(pcall(luaserve.rateLimit, { limit = 1, store = luaserve.sqlite.open(":memory:") }))
    ]])
    assert.matches("the store of rateLimit is a client of Redis, or an object with a method take", run.out)
  end)
end)

describe("rateLimit whose Redis goes", function()
  local function start(options)
    local server = redis.start()
    local web = serve(server.port, "limit = 2, window = " .. LONG .. options)
    assert.equal("1", helper.get(web, "/").body)
    server:stop()
    return web, function() redis.start({ port = server.port }) end
  end

  it("lets requests through, and counts again when Redis is back", function()
    local web, back = start("")
    for _ = 1, 4 do assert.equal(200, helper.get(web, "/").status) end
    web:wait_output("rateLimit: the store does not answer %(redis 127.0.0.1:%d+: [^\n]*%), so requests are let through")
    back()
    helper.wait_for(function() return helper.get(web, "/").status == 429 end, "limits", 20)
  end)

  it("answers 503 where the script says so, until Redis is back", function()
    local web, back = start(', onError = "closed"')
    for _ = 1, 4 do assert.equal(503, helper.get(web, "/").status) end
    back()
    helper.wait_for(function() return helper.get(web, "/").status == 200 end, "limits", 20)
  end)
end)
