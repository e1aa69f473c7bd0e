-- The client of Redis against a real redis-server: commands, batches, transactions,
-- messages, and what happens when Redis or the client of a request is gone.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local process = require("spec.helper.process")
local redis = require("spec.helper.redis")

describe("redis", function()
  local server
  setup(function() server = redis.start() end)

  -- What a script prints that has r, a client of an empty database.
  local function printed(code, opts)
    local run = helper.run(([[
      local redis, luaserve, timers = require "luaserve.redis", require "luaserve", require "timers"
      local r = redis.connect("redis://127.0.0.1:%d")
      r:flushall()
      local function fails(_, message, code) print((message:gsub(":%%d%%d%%d%%d+", ":PORT")) .. "\t" .. tostring(code)) end
    ]]):format(server.port) .. code, opts)
    assert.equal("", run.err)
    assert.equal(0, run.code)
    return run.out
  end

  it("has every command as a method", function()
    assert.equal("OK\t1\tnil\t42\n2\tz\nb,a\nPONG\t0\nOK\t1.5\t7\n", printed([[
      print(r:set("a", 1), r:get("a"), r:get("none"), (r:incrby("a", 41)))
      print(r:hset("h", { x = 1, y = "z" }), r:hgetall("h").y)
      r:rpush("l", { "b", "a" })
      print(table.concat(r:lrange("l", 0, -1), ","))
      print(r:ping(), #r:command("CLIENT", "no-evict", "off") - 2)
      print(r:set("f", 1.5), r:get("f"), r:strlen("redis-1") + r:append("x", "1234567"))
    ]]))
  end)

  it("keeps bytes as they are", function()
    assert.equal("true\t3000000\n", printed([[
      local bytes = "a\0\r\n\255" .. ("x"):rep(3000000 - 5)
      r:set("k", bytes)
      print(r:get("k") == bytes, r:strlen("k"))
    ]]))
  end)

  it("tells what went wrong, with a code", function()
    assert.equal(table.concat({
      "WRONGTYPE Operation against a key holding the wrong kind of value\tWRONGTYPE",
      "ERR unknown command 'nonsense', with args beginning with: 'x' \tERR",
      "redis 127.0.0.1:1: Connection refused\tECONNREFUSED",
      "redis 127.0.0.1:1: Connection refused\tECONNREFUSED",
      "redis name.invalid:PORT: Name or service not known\tENOTFOUND" }, "\n") .. "\n", printed([[
      r:rpush("l", 1)
      local function cause(_, message, code) fails(nil, message:gsub("^redis 127.0.0.1:%d%d+: ", ""), code) end
      cause(r:get("l"))
      cause(r:nonsense("x"))
      local none = redis.connect { port = 1 }
      fails(none:get("x"))
      fails(none:get("x"))
      fails(redis.connect({ host = "name.invalid" }):get("x"))
    ]]))
  end)

  it("raises mistakes at the caller's line", function()
    local run = helper.run([[
      local redis = require "luaserve.redis"
      local r = redis.connect { port = 1 }
      for _, fn in ipairs {
        function() redis.connect { prot = 1 } end,
        function() redis.connect { port = "1" } end,
        function() redis.connect("http://a") end,
        function() redis.connect { db = -1 } end,
        function() r:subscribe("a") end,
        function() r:select(1) end,
        function() r.get("a") end,
        function() r:pipeline() end,
        function() redis.connect { port = 70000 } end,
        function() redis.connect { timeout = math.huge } end,
        function() redis.connect { tls = { ca = "ca.pem" } } end,
      } do print(select(2, pcall(fn))) end
    ]])
    local lines = {}
    for line in run.out:gmatch("[^\n]+") do lines[#lines + 1] = line:match("app.lua:(.*)$") end
    assert.same({ "4: redis.connect has no option 'prot'; there are: db, host, password, path, pool, port, timeout, "
      .. "tls, url, username",
      "5: the option port of redis.connect is a number, not a string",
      "6: redis.connect needs a URL like redis://:password@host:6379/0 or unix:///path",
      "7: the option db of redis.connect is a whole number from 0 to 1000000",
      "8: subscribe needs a function of messages",
      "9: select is not for a shared connection: use the option db", "10: call the command with ':', as r:get(...)",
      "11: pipeline needs a function of the commands to send",
      "12: the option port of redis.connect is a whole number from 1 to 65535",
      "13: the option timeout of redis.connect is a number of seconds over 0, not inf",
      "14: redis.connect: the option tls: ca is no certificate in PEM" }, lines)
    assert.matches("an argument of a command is a string, a number or a table of these, not a nil",
      printed("print(select(2, pcall(r.set, r, 'a', nil)))"))
  end)

  it("sends several commands at once", function()
    assert.equal("OK\t2\ttrue\tWRONGTYPE\t1\n0\n", printed([[
      r:rpush("l", 1)
      local p = r:pipeline(function(p)
        p:set("b", 2)
        p:get("b")
        p:get("none")
        p:get("l")
        p:llen("l")
      end)
      print(p[1], p[2], p[3] == redis.null, p[4].code, p[5])
      print(#r:pipeline(function() end))
    ]]))
  end)

  it("runs transactions, whole or not at all", function()
    assert.equal("OK\t2\t2\nnil\tERR\nnil\n", printed([[
      local m = r:multi(function(t)
        t:set("n", 1)
        t:incr("n")
      end)
      print(m[1], m[2], r:get("n"))
      local none, message, code = r:multi(function(t) t:set("x", 1) t:nonsense() end)
      print(none, code)
      print((r:get("x")))
    ]]))
  end)

  it("watches keys, and tries again where somebody has changed them", function()
    assert.equal("2\t15\nnil\tCONFLICT\nnil\tgiven up\tnil\n", printed([[
      r:set("n", 4)
      local runs = 0
      local done = r:watch("n", function(w)
        runs = runs + 1
        local n = w:get("n")
        if runs == 1 then r:set("n", 14) end
        return w:multi(function(t) t:set("n", n + 1) end)
      end)
      print(runs, (r:get("n")))
      local ok, _, code = r:watch("n", function(w)
        r:incr("n")
        return w:multi(function(t) t:set("n", 0) end)
      end)
      print(ok, code)
      print(r:watch("n", function() return nil, "given up" end))
    ]]))
  end)

  it("lets nobody wait for a command that blocks", function()
    assert.equal("queue job\tfree\tnil\n", printed([[
      local results = luaserve.all {
        function() return table.concat(r:blpop("queue", 5), " ") end,
        function()
          r:set("other", "free")
          local value = r:get("other")
          r:rpush("queue", "job")
          return value
        end,
      }
      print(results[1], results[2], (r:blpop("queue", 0.05)))
    ]]))
  end)

  it("ends the wait for a connection of one's own", function()
    assert.equal("no connection became free in 0.1 s\tETIMEDOUT\njob\n", printed(([[
      local small = redis.connect { port = %d, pool = 1, timeout = 0.1 }
      local first
      small:blpop("slow", 5, function(_, pair) first = pair end)
      local _, message, code = small:blpop("other", 1)
      print(message:match("%%d: (.*)"), code)
      r:rpush("slow", "job")
      while not first do timers.sleep(2) end
      print(first[2])
    ]]):format(server.port)))
  end)

  it("calls back", function()
    assert.equal("nil\tv\nWRONGTYPE\tnil\n", printed([[
      r:set("k", "v")
      r:rpush("l", 1)
      r:get("k", function(err, value)
        print(err, value)
        r:get("l", function(failure, none) print(failure.code, none) end)
      end)
    ]]))
  end)

  it("delivers the messages of channels and of patterns", function()
    assert.equal("news:1 other:2 news.eu:3\n2\n", printed([[
      local got = {}
      local function note(message, channel) got[#got + 1] = channel .. ":" .. message end
      local first = assert(r:subscribe({ "news", "other" }, note))
      local second = assert(r:psubscribe("news.*", note))
      r:publish("news", 1)
      r:publish("other", 2)
      r:publish("news.eu", 3)
      while #got < 3 do timers.sleep(2) end
      print(table.concat(got, " "))
      first:unsubscribe()
      second:unsubscribe()
      while r:publish("news", 4) > 0 do timers.sleep(2) end
      got = {}
      first = assert(r:subscribe("again", note))
      second = assert(r:subscribe("again", note))
      r:publish("again", 5)
      while #got < 2 do timers.sleep(2) end
      print(#got)
      r:close()
    ]]))
  end)

  it("lets the process end", function()
    local run = helper.run(([[
      local r = require("luaserve.redis").connect { port = %d }
      print(r:ping())
    ]]):format(server.port))
    assert.equal("PONG\n", run.out)
  end)

  it("shares a connection between requests, and ends waits with their request", function()
    local app = helper.serve_handler([[
      if req.path == "/clients" then
        local _, n = r:command("client", "list"):gsub("name=spec", "")
        return tostring(n)
      end
      if req.path == "/said" then return said end
      if req.path == "/block" then
        print("began")
        local value, message, code = r:blpop("nobody", 0)
        said = tostring(value) .. " " .. message .. " " .. tostring(code)
        return
      end
      return tostring(r:incr("n"))
    ]], { before = ([[ local r, said = require("luaserve.redis").connect { port = %d }, "nothing" r:flushall()
      r:command("client", "setname", "spec") ]]):format(server.port) })
    local seen = {}
    for _ = 1, 20 do seen[helper.get(app, "/").body] = true end
    assert.is_true(seen["1"] and seen["20"])
    assert.equal("1", helper.get(app, "/clients").body)
    local conn = helper.connect(app)
    conn:send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
    app:wait_output("began")
    conn:reset()
    helper.wait_for(function() return helper.get(app, "/said").body == "nil aborted nil" end, "the abort")
    assert.equal("21", helper.get(app, "/").body)
  end)

  it("has a connection for who still waits where another has gone from the queue", function()
    local app = helper.serve_handler([[
      if req.path == "/push" then return tostring(r:rpush("held", "x") and r:rpush("wanted", "y")) end
      print("began " .. req.path)
      local pair, message, code = small:blpop(req.path == "/held" and "held" or "wanted", 0)
      if not pair then print(req.path, message, code) end
      return pair and pair[2]
    ]], { before = ([[ local redis = require "luaserve.redis"
      local r, small = redis.connect { port = %d }, redis.connect { port = %d, pool = 1, timeout = 300 }
      r:flushall() ]]):format(server.port, server.port) })
    local conns = {}
    for _, path in ipairs { "/held", "/gone", "/still" } do
      conns[path] = helper.connect(app)
      conns[path]:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      app:wait_output("began " .. path)
    end
    conns["/gone"]:reset()
    assert.equal(200, helper.get(app, "/push").status)
    assert.equal("x", conns["/held"]:read_response().body)
    assert.equal("y", conns["/still"]:read_response().body)
  end)

  it("makes connections of one's own again that were lost while nobody used them", function()
    assert.equal("a\ngone\nb\n", printed(([[
      local small = redis.connect { port = %d, pool = 1, timeout = 1 }
      r:rpush("l", { "a", "b" })
      print(small:blpop("l", 1)[2])
      r:command("client", "kill", "type", "normal", "skipme", "yes")
      for _ = 1, 50 do r:ping() end
      print("gone")
      local pair, message, code
      repeat pair, message, code = small:blpop("l", 1) until code ~= "ECONNRESET"
      print(pair and pair[2], message, code)
    ]]):format(server.port)):gsub("\tnil\tnil", "") .. "")
  end)

  it("says at once that Redis is gone, and is back when it is back", function()
    local own = redis.start()
    local app = helper.serve_handler([[
      local value, message, code = r:incr("n")
      if value then return tostring(value) end
      return 503, code .. " " .. message:gsub(":%d+", "")
    ]], { before = ("local r = require('luaserve.redis').connect { port = %d, timeout = 2 }"):format(own.port) })
    assert.equal("1", helper.get(app, "/").body)
    own:kill("KILL")
    own:wait_exit()
    local response = helper.get(app, "/")
    assert.equal(503, response.status)
    assert.matches("^ECONN%u+ redis 127.0.0.1: ", response.body)
    assert.equal(503, helper.get(app, "/").status)
    redis.start({ port = own.port })
    helper.wait_for(function() return helper.get(app, "/").status == 200 end, "Redis to be back", 10)
  end)

  it("takes a server that answers nothing for gone", function()
    local own = redis.start()
    local run = helper.run(([[
      local redis, timers = require "luaserve.redis", require "timers"
      local r, other = redis.connect { port = %d, timeout = 0.2 }, redis.connect { port = %d }
      assert(r:ping() and other:ping())
      other:command("debug", "sleep", "1", function() end)
      timers.sleep(50)
      print(select(2, r:get("a")):match(": (.*)"), select(3, r:get("a")))
      other:ping()
      timers.sleep(300)
      print(r:ping())
    ]]):format(own.port, own.port))
    assert.equal("there was no answer in 0.2 s\tETIMEDOUT\nPONG\n", run.out)
  end)

  it("subscribes again where the connection was lost", function()
    assert.equal("before after\n", helper.run(([[
      local r, timers = require("luaserve.redis").connect { port = %d }, require "timers"
      local got = {}
      assert(r:subscribe("lost", function(message) got[#got + 1] = message end))
      r:publish("lost", "before")
      while #got < 1 do timers.sleep(2) end
      r:command("client", "kill", "type", "pubsub")
      while r:publish("lost", "after") == 0 do timers.sleep(5) end
      while #got < 2 do timers.sleep(2) end
      print(table.concat(got, " "))
      r:close()
    ]]):format(server.port)).out)
  end)

  it("logs in, selects a database, and goes over a Unix socket", function()
    local own = redis.start({ password = "open sesame" })
    local run = helper.run(([[
      local redis, port, path = require "luaserve.redis", %d, %q
      local r = redis.connect("redis://:open%%20sesame@127.0.0.1:" .. port .. "/3")
      print(r:set("k", 3), redis.connect({ path = path, password = "open sesame", db = 3 }):get("k"))
      print(redis.connect("unix://" .. path .. "?db=3"):get("k"))
      print(select(3, redis.connect({ port = port, password = "wrong" }):get("k")))
    ]]):format(own.port, own.path))
    assert.equal("", run.err)
    assert.matches("^OK\t3\nnil\t.*NOAUTH Authentication required.\tNOAUTH\nWRONGPASS\n$", run.out)
    assert.is_nil(run.out:find("sesame", 1, true))
  end)

  it("names host and cause of what fails, and never a password", function()
    local run = helper.run([[
      local luaserve = require "luaserve"
      local r = luaserve.redis.connect("redis://kim:sesame@127.0.0.1:1/0")
      print(r:get("k"))
      print(r:pipeline(function(p) p:get("k") end))
      print(r:blpop("k", 1))
      print(luaserve.redis.store(r):take("k", 1, 1, 1, 1))
      print(luaserve.redis.store(r):get("id"))
      print(tostring(r), require("json").encode(pcall(tostring, r)))
      print(pcall(luaserve.redis.connect, "http://kim:sesame@127.0.0.1"))
    ]])
    local _, told = run.out:gsub("nil\tredis 127%.0%.0%.1:1: Connection refused\tECONNREFUSED\n", "")
    assert.equal(5, told)
    assert.is_nil((run.out .. run.err):find("sesame", 1, true))
  end)

  it("speaks TLS, and checks the certificate", function()
    local pair = certs.of({ names = { "localhost" } })
    local own = redis.start({ tls = pair })
    local run = helper.run(([[
      local redis, port, ca = require "luaserve.redis", %d, require("fs").readFileSync("ca.pem")
      local function show(options)
        options.port = port
        local r = redis.connect(options)
        local value, message, code = r:ping()
        print(value, code, value and #assert(r:set("k", ("x"):rep(1000000))) + #r:get("k"))
      end
      show { host = "localhost", tls = { ca = ca } }
      show { tls = { ca = ca } }
      show { tls = { ca = ca, servername = "localhost" } }
      show { tls = true }
      show { tls = { verify = false } }
    ]]):format(own.port), { files = { ["ca.pem"] = pair.cert } })
    assert.equal("", run.err)
    assert.equal("PONG\tnil\t1000002\nnil\tERR_TLS_CERT\tnil\nPONG\tnil\t1000002\nnil\tERR_TLS_CERT\tnil\n"
      .. "PONG\tnil\t1000002\n", run.out)
  end)

  it("says that what answers is not Redis", function()
    local other = helper.serve_handler("return 'no'")
    local run = helper.run(([[
      local r = require("luaserve.redis").connect { port = %d }
      print(select(3, r:get("x\r\n\r\n")))
    ]]):format(other.port))
    assert.equal("EPROTO\n", run.out)
  end)

  it("says which package is missing where the module is not there", function()
    local dir = helper.tmpdir()
    assert(os.execute(("cp '%s' '%s/luaserve'"):format(process.binary(), dir)))
    local run = helper.run("require('luaserve.redis')\n", { program = dir .. "/luaserve" })
    assert.equal(1, run.code)
    assert.matches("luaserve.redis is not part of this build: apt%-get install libhiredis%-dev", run.err)
  end)
end)
