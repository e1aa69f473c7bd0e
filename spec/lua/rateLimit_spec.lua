-- luaserve.rateLimit: buckets of tokens that all workers share.
local helper = require("spec.helper")
local cjson = require("cjson")

-- A time in which no token comes back while a spec runs.
local LONG = 30000000

local function serve(options, body, opts)
  opts = opts or {}
  return helper.serve(([[
local luaserve = require "luaserve"
local app = luaserve()
%s
local limiter = luaserve.rateLimit { %s }
app:use(limiter)
app:get("/*rest", function(req, res) %s end)
app:onError(function(err, req, res, next)
  if req.path == "/key" then return err.status, err.rateLimit.key end
  return next()
end)
return app
]]):format(opts.before or "", options, body or "return req.rateLimit or 'free'"),
    { listen = true, args = opts.args, env = opts.env })
end

local function get(server, headers, path)
  return helper.get(server, path or "/", headers)
end

local function from(address)
  return { ["X-Forwarded-For"] = address }
end

local TRUST = { before = 'app:set("trust proxy", true)' }

describe("rateLimit", function()
  it("lets so many requests through, says how many are left, and refuses more with 429", function()
    local server = serve("limit = 3, window = " .. LONG)
    for left = 2, 0, -1 do
      local response = get(server)
      assert.equal(200, response.status)
      assert.equal("3", response.headers["ratelimit-limit"])
      assert.equal(tostring(left), response.headers["ratelimit-remaining"])
      assert.near((3 - left) * LONG / 3, tonumber(response.headers["ratelimit-reset"]), 100)
      local info = cjson.decode(response.body)
      assert.same({ 3, 3 - left, left, 0 }, { info.limit, info.used, info.remaining, info.wait })
    end
    local response = get(server)
    assert.equal(429, response.status)
    assert.equal("Too Many Requests", response.reason)
    assert.truthy(response.body:find("^Too Many Requests: try again in %d+ s$"))
    assert.near(LONG / 3, tonumber(response.headers["retry-after"]), 100)
    assert.equal("0", response.headers["ratelimit-remaining"])
    response = get(server, nil, "/key")
    assert.truthy(response.status == 429 and response.body:find("@127.0.0.1", 1, true), "app:onError has seen it")
    assert.is_nil(server:stderr():find("Too Many", 1, true), "a refusal is no error of the server's")
  end)

  it("fills the bucket evenly while time passes, up to burst", function()
    local server = serve("limit = 1, window = 1, burst = 2")
    local conn = helper.connect(server)
    conn:send(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(9))
    local statuses = {}
    for i = 1, 9 do statuses[i] = conn:read_response().status end
    assert.equal("200200", table.concat(statuses, "", 1, 2))
    assert.truthy(table.concat(statuses):find("429", 1, true))
    helper.wait_for(function() return get(server).status == 200 end, "a token to come back")
    helper.wait_for(function() return get(server).headers["ratelimit-remaining"] == "0" end, "it to be taken")
  end)

  it("counts by address, IPv6 by network, and by what key says", function()
    local server = serve("limit = 1, window = " .. LONG .. [[, key = function(req)
      return req.headers["x-key"] or tonumber(req.headers["x-number"])
    end]], nil, TRUST)
    local function passes(headers)
      local status = get(server, headers).status
      assert.truthy(status == 200 or status == 429)
      return status == 200
    end
    assert.is_true(passes(from("192.0.2.1")))
    assert.is_false(passes(from("192.0.2.1")))
    assert.is_true(passes(from("192.0.2.2")))
    assert.is_true(passes(from("2001:db8:1:2:3::4")))
    assert.is_false(passes(from("2001:db8:1:2:ffff::")))
    assert.is_true(passes(from("2001:db8:1:3::")))
    assert.is_false(passes(from("::ffff:192.0.2.2")))
    assert.is_true(passes({ ["X-Key"] = "192.0.2.1" }))
    assert.is_false(passes({ ["X-Key"] = "192.0.2.1", ["X-Forwarded-For"] = "192.0.2.9" }))
    assert.is_true(passes({ ["X-Number"] = "7" }))
    assert.is_false(passes({ ["X-Key"] = "7" }))
    local long = ("k"):rep(5000)
    assert.is_true(passes({ ["X-Key"] = long .. "a" }))
    assert.is_true(passes({ ["X-Key"] = long .. "b" }))
    assert.is_false(passes({ ["X-Key"] = long .. "a" }))
  end)

  it("takes other networks, costs and limits of a client's own", function()
    local server = serve("limit = function(req) return req.query.n and tonumber(req.query.n) or 4 end, window = " ..
      LONG .. ", ipv6Subnet = 48, cost = function(req) return tonumber(req.query.cost or 1) end", nil, TRUST)
    local function left(path, address)
      local response = get(server, from(address), path)
      return (response.status == 429 and "no " or "") .. response.headers["ratelimit-remaining"]
    end
    assert.equal("1", left("/?cost=3", "2001:db8:1:1::1"))
    assert.equal("no 1", left("/?cost=2", "2001:db8:1:2::1"))
    assert.equal("1", left("/?cost=0", "2001:db8:1:2::1"))
    assert.equal("0", left("/", "2001:db8:1:2::1"))
    assert.equal("3", left("/", "2001:db8:2:2::1"))
    assert.equal("0", left("/?cost=99", "192.0.2.1"), "more than all is all")
    assert.equal("no 0", left("/?cost=99", "192.0.2.1"))
    assert.equal("99", left("/?n=100", "192.0.2.2"))
    assert.equal("no 0", left("/?n=1&cost=2", "192.0.2.1"))
    assert.equal(500, get(server, from("192.0.2.3"), "/?n=0").status)
    assert.equal(500, get(server, from("192.0.2.3"), "/?cost=-1").status)
    assert.truthy(server:stderr():find("the limit of rateLimit is a whole number from 1 on, not 0", 1, true))
  end)

  it("writes the fields of the newer draft, one item a limiter, or none", function()
    local server = serve('limit = 5, window = 10, name = "second", headers = "combined"', nil, { before = [[
      app:use(luaserve.rateLimit { limit = 100, window = 3600, burst = 10, name = "hour", headers = "combined" })
      app:use(luaserve.rateLimit { limit = 1000, headers = false })]] })
    local response = get(server)
    assert.equal('"hour";q=10;w=360, "second";q=5;w=10', response.headers["ratelimit-policy"])
    assert.equal('"hour";r=9;t=36, "second";r=4;t=2', response.headers.ratelimit)
    assert.is_nil(response.headers["ratelimit-limit"])
    assert.equal(5, cjson.decode(response.body).limit, "that with the least left")
  end)

  it("tells of the limiter that has the least left", function()
    local server = serve('limit = 100, window = ' .. LONG, "error('oh')", { before =
      'app:use(luaserve.rateLimit { limit = 2, window = ' .. LONG .. ' })' })
    local response = get(server)
    assert.equal("500 2 1", response.status .. " " .. response.headers["ratelimit-limit"] .. " " ..
      response.headers["ratelimit-remaining"])
  end)

  it("leaves out what skip says, and answers as handler or message say", function()
    local server = serve("limit = 1, window = " .. LONG .. [[, skip = function(req) return req.path == "/health" end,
      handler = function(req, res, info)
        if req.query.why then return { wait = info.wait > 0 } end
        return 503, "later"
      end]])
    assert.equal("free", get(server, nil, "/health").body)
    assert.equal(200, get(server).status)
    assert.equal("free", get(server, nil, "/health").body)
    local response = get(server)
    assert.equal("503 later", response.status .. " " .. response.body)
    response = get(server, nil, "/?why=1")
    assert.equal('429 {"wait":true}', response.status .. " " .. response.body)
    assert.truthy(response.headers["retry-after"])
    server = serve("limit = 1, message = 'Slow down.', window = " .. LONG)
    get(server)
    assert.equal("Slow down.", get(server).body)
  end)

  it("gives tokens back for answers that do not count", function()
    local before = 'local failed = luaserve.rateLimit { name = "failed", limit = 2, window = ' .. LONG ..
      [[, skipFailedRequests = true }
      app:get("/failed/:status", failed, function(req) return tonumber(req.params.status), "x" end)]]
    local server = serve("limit = 2, skipSuccessfulRequests = true, window = " .. LONG,
      "return tonumber(req.query.status or 200), req.rateLimit.remaining .. ''", { before = before })
    local function left(path)
      local response = get(server, nil, path)
      return response.status .. " " .. response.headers["ratelimit-remaining"]
    end
    for _ = 1, 4 do assert.equal("200 1", left("/")) end
    assert.equal("403 1", left("/?status=403"))
    assert.equal("200 0", left("/"))
    assert.equal("500 0", left("/?status=500"))
    assert.equal("429 0", left("/"))
    for _ = 1, 3 do assert.equal("404 1", left("/failed/404")) end
    assert.equal("200 1", left("/failed/200"))
    assert.equal("200 0", left("/failed/200"))
    assert.equal("429 0", left("/failed/404"))
  end)

  it("has methods for what only a handler knows", function()
    local server = serve("limit = 1000", [[
      local name, cost = req.query.name, tonumber(req.query.cost)
      if req.path == "/reset" then return tostring(by_name:reset(name)) end
      local allowed, info = by_name:take(name, cost)
      return ("%s %d %s"):format(tostring(allowed), info.remaining, info.key)]], { before =
      'local by_name = luaserve.rateLimit { name = "by-name", limit = 2, window = ' .. LONG .. " }" })
    local function take(path) return get(server, nil, path).body end
    assert.equal("true 1 by-name:kim", take("/?name=kim"))
    assert.equal("true 0 by-name:kim", take("/?name=kim"))
    assert.equal("false 0 by-name:kim", take("/?name=kim"))
    assert.equal("true 1 by-name:kim", take("/?name=kim&cost=-1"))
    assert.equal("true 2 by-name:kim", take("/?name=kim&cost=-100"))
    assert.equal("true 0 by-name:kim", take("/?name=kim&cost=2"))
    assert.equal("true 2 by-name:lee", take("/?name=lee&cost=0"))
    assert.equal("true", take("/reset?name=kim"))
    assert.equal("true 1 by-name:kim", take("/?name=kim"))
    assert.equal(500, get(server, nil, "/").status, "without a key")
  end)

  it("counts exactly with several workers under load", function()
    local server = serve("limit = 250, name = 'all', window = " .. LONG, "return tostring(process.pid)",
      { args = { "--workers", "3" } })
    local conns, each = {}, 20
    for i = 1, 15 do conns[i] = helper.connect(server) end
    for i = 1, 15 do conns[i]:send(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(each)) end
    local statuses, pids = { [200] = 0, [429] = 0 }, {}
    for i = 1, 15 do
      for _ = 1, each do
        local response = conns[i]:read_response()
        statuses[response.status] = statuses[response.status] + 1
        if response.status == 200 then pids[response.body] = true end
      end
    end
    assert.same({ [200] = 250, [429] = 15 * each - 250 }, statuses)
    assert.truthy(next(pids, next(pids)), "several workers have let requests through")
  end)

  it("forgets buckets that are full, and believes none that is emptier than empty", function()
    local server = serve("limit = 2, name = 'n', window = 0.2", "return 'ok'", { before = [[
      local buckets = require("luaserve.store").open("rate-limits")
      app:get("/rows", function() return tostring(buckets:count()) end)
      app:get("/set", function(req)
        if req.query.text then return tostring(buckets:set("n@127.0.0.1", "text")) end
        return tostring(require("luaserve.core.rate").take(buckets, "n@127.0.0.1", 900, 1000, 3600, 1000))
      end)]] })
    assert.equal("ok", get(server).body)
    helper.wait_for(function() return get(server, nil, "/rows").body == "0" end, "the bucket to be full")
    get(server, nil, "/set?text=1")
    assert.equal("ok", get(server).body)
    get(server, nil, "/set")
    local response = get(server)
    assert.equal("429 1", response.status .. " " .. response.headers["retry-after"])
    helper.wait_for(function() return get(server).status == 200 end, "a clock that was set back to be forgiven")
  end)

  it("asks a store of the script's own, which may wait", function()
    local server = serve("limit = 5, window = 10, burst = 7, name = 'own', store = mine", nil, { before = [[
      local timers, taken = require "timers", 0
      mine = {}
      function mine:take(key, cost, limit, window, burst)
        timers.sleep(1)
        assert(self == mine and key == "own@127.0.0.1" and cost == 1 and limit == 5 and window == 10 and burst == 7)
        taken = taken + 1
        if taken > 2 then return false, 0, 10, 1.2 end
        return true, 7 - taken, 1.5, 0
      end]] })
    local response = get(server)
    assert.equal("200 7 6 2", response.status .. " " .. response.headers["ratelimit-limit"] .. " " ..
      response.headers["ratelimit-remaining"] .. " " .. response.headers["ratelimit-reset"])
    get(server)
    response = get(server)
    assert.equal("429 2", response.status .. " " .. response.headers["retry-after"])
  end)

  it("lets requests through, or refuses them, while its store does not answer", function()
    local server = serve("limit = 5, store = gone", nil, { before = [[
      gone = { take = function() return nil, "connection refused" end }
      local closed = luaserve.rateLimit { limit = 1, store = gone, onError = "closed" }
      app:get("/closed", closed, function() return "never" end)]] })
    local response = get(server)
    assert.equal(200, response.status)
    local info = cjson.decode(response.body) -- a handler that asks for it finds something
    assert.same({ "connection refused", 5 }, { info.error, info.remaining })
    assert.is_nil(response.headers["ratelimit-limit"])
    get(server)
    response = get(server, nil, "/closed")
    assert.equal("503 Service Unavailable", response.status .. " " .. response.body)
    local line = "rateLimit: the store does not answer %(connection refused%), so requests are let through"
    local _, count = server:stderr():gsub(line, "")
    assert.equal(1, count, "it is said once in a while")
    assert.truthy(server:stderr():find("so requests are refused", 1, true))
  end)

  it("says when all clients of a proxy share one limit", function()
    local server = serve("limit = 1, window = " .. LONG)
    for _ = 1, 3 do get(server, from("192.0.2.1")) end
    local _, count = server:stderr():gsub('unless app:set%("trust proxy"', "")
    assert.equal(1, count)
  end)

  it("counts on servers without an app, and on Unix sockets", function()
    local path = helper.tmpdir() .. "/s"
    local server = helper.serve([[
local http, luaserve = require "http", require "luaserve"
local limiter = luaserve.rateLimit { limit = 1, window = ]] .. LONG .. [[ }
http.createServer(function(req, res)
  return limiter(req, res, function() return req.rateLimit.key end)
end):listen("]] .. path .. [[", function() print("listening on unix:]] .. path .. [[") end)
]])
    local conn = helper.connect(nil, { unix = path })
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.truthy(conn:read_response().body:find("@local", 1, true))
    assert.equal(429, conn:read_response().status)
    server:stop()
  end)

  it("is told of options that are mistakes", function()
    local function complaint(options)
      return helper.run('local luaserve = require "luaserve"\nluaserve.rateLimit' .. options).err:match(
        "app.lua:2: ([^\n]*)")
    end
    local mistakes = {
      { "()", "rateLimit needs a limit: luaserve.rateLimit { limit = 100, window = 60 }" },
      { "{ limit = 0 }", "limit and burst of rateLimit are whole numbers from 1 to 1000000000" },
      { "{ limit = 1.5 }", "the option limit of rateLimit is a whole number or a function, not 1.5" },
      { "{ limit = 1, window = 0 }", "the window of rateLimit is a number of seconds, up to a year" },
      { "{ limit = 1, burst = 1e6, window = 60 }",
        "the bucket of rateLimit would take more than a year to refill: take a smaller burst or window" },
      { "{ limit = 1, headers = 'draft' }", 'headers of rateLimit are "separate", "combined", or false for none' },
      { "{ limit = 1, onError = 'pass' }", 'onError of rateLimit is "open", to let requests through, or "closed"' },
      { "{ limit = 1, name = 'a:b' }",
        "the name of rateLimit is up to 64 letters, digits and _ . - that begin with a letter or a digit" },
      { "{ limit = 1, store = {} }",
        "the store of rateLimit is a client of Redis, or an object with a method " ..
          "take(self, key, cost, limit, window, burst)" },
      { "{ limit = 1, ipv6Subnet = 129 }", "the ipv6Subnet of rateLimit is a number of bits, 1 to 128" },
      { "{ limit = 1, cost = -1 }", "the cost of rateLimit is a number from 0 on" },
      { "{ limit = 1 }:take()", "limiter:take needs a key" },
      { "{ limit = 1, store = { take = print } }:reset('a')", "the store of this rateLimit has no method reset" },
    }
    for _, mistake in ipairs(mistakes) do assert.equal(mistake[2], complaint(mistake[1])) end
    assert.truthy(complaint("{ max = 1 }"):find("rateLimit has no option 'max'; there are: ", 1, true))
  end)
end)
