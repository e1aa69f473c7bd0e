-- Sessions in Redis and in SQLite: two processes share them, and each key has the value that was
-- stored last; with Redis gone, by choice a 503, or on without a session.
local helper = require("spec.helper")
local redis = require("spec.helper.redis")
local visitor = require("spec.helper.visitor").new

local SECRET = "the secret of both machines"

-- A server with sessions, whose options are Lua text, around the body of a handler.
local function serve(ahead, options, body)
  return helper.serve(([[
    local http, luaserve, timers, json = require "http", require "luaserve", require "timers", require "json"
    local redis, sqlite = require "luaserve.redis", require "luaserve.sqlite"
    %s
    local session = luaserve.session { secret = %q, %s }
    local ended
    local server = http.createServer(function(req, res)
      return session(req, res, function()
        if req.path == "/free" then return "free" end
        local s = req.session
        %s
      end)
    end)
    server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
  ]]):format(ahead, SECRET, options, body))
end

local BODY = [[
  if req.path == "/set" then
    s[req.query.key] = 1
    return "set"
  elseif req.path == "/slow" then -- all of them have it before the first one stores
    timers.sleep(50)
    s[req.query.key] = 1
    return "set"
  elseif req.path == "/touch" then
    return "touched"
  elseif req.path == "/types" then
    s.kept = { 1, 2.5, true, { "a\0\255", x = json.null } }
    s[7], s[""], s.at, s.big = "seven", "empty", "at", ("x"):rep(100000)
    return "set"
  elseif req.path == "/check" then
    local k = s.kept
    return table.concat({ #k, k[1], k[2], tostring(k[3]), tostring(k[4][1] == "a\0\255"), tostring(k[4].x == json.null),
      s[7], s[""], s.at, #s.big, (math.type or type)(k[1]) }, " ")
  elseif req.path == "/unset" then
    s[req.query.key] = nil
    return "unset"
  elseif req.path == "/login" then
    s:regenerate()
    s.user = "kim"
    return s.id
  elseif req.path == "/out" then
    s:destroy()
    return "out"
  elseif req.path == "/late" then -- changes what another request ends meanwhile
    s.late = 1
    console.log("loaded")
    while not ended do timers.sleep(1) end
    return "late"
  elseif req.path == "/end" then
    s:destroy()
    res:onFinish(function() ended = true end)
    return "ended"
  end
  local names = {}
  for name in pairs(s) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return table.concat(names, ",")
]]

-- Both kinds of store, each shared by two processes.
local function shared_by_two(options, ahead)
  local one, other, kim

  setup(function()
    one, other = serve(ahead(), options, BODY), serve(ahead(), options, BODY)
  end)
  before_each(function() kim = visitor(one) end)

  local function on(server, ...)
    kim.server = server
    return (kim.get(...))
  end

  it("is known to both", function()
    on(one, "/set?key=a")
    assert.equal("a", on(other))
    on(other, "/set?key=b")
    assert.equal("a,b", on(one))
    on(one, "/unset?key=a")
    assert.equal("b", on(other))
    assert.equal("", (visitor(other).get()))
  end)

  it("keeps types, bytes, and names that are no strings", function()
    on(one, "/types")
    assert.matches("^4 1 2.5 true true true seven empty at 100000 %a+$", on(other, "/check"))
  end)

  it("has each key as it was stored last, where many change it at once", function()
    on(one, "/set?key=first")
    local conns, names = {}, { "first" }
    for i = 1, 40 do
      conns[i] = helper.connect(i % 2 == 0 and one or other)
      names[#names + 1] = "k" .. i
      conns[i]:send(("GET /slow?key=k%d HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n"):format(i, kim.cookie()))
    end
    for i = 1, 40 do assert.equal("set", conns[i]:read_response().body) end
    table.sort(names)
    assert.equal(table.concat(names, ","), on(other))
  end)

  it("has another id after a login, and none after a logout", function()
    on(one, "/set?key=a")
    local before = kim.cookie()
    on(one, "/login")
    assert.equal("a,user", on(other))
    assert.equal("", helper.get(other, "/", { Cookie = before }).body)
    before = kim.cookie()
    on(other, "/out")
    assert.is_nil(kim.cookie())
    assert.equal("", helper.get(one, "/", { Cookie = before }).body)
  end)

  it("stays ended where another request that had it changes it later", function()
    on(one, "/set?key=a")
    local cookie, late = kim.cookie(), helper.connect(one)
    late:send("GET /late HTTP/1.1\r\nHost: x\r\nCookie: " .. cookie .. "\r\n\r\n")
    one:wait_output("loaded")
    on(one, "/end")
    assert.is_nil(late:read_response().headers["set-cookie"])
    assert.equal("", helper.get(other, "/", { Cookie = cookie }).body)
  end)

  it("ends with its time, which begins anew with each use", function()
    local short = serve(ahead(), options .. ", ttl = 2", BODY)
    local function try() -- nil: the machine was too slow for it
      local used, left = visitor(short), visitor(short)
      used.get("/set?key=a")
      left.get("/set?key=b")
      local last = helper.now()
      local stop = last + 2.5
      while last < stop do
        local body = used.get()
        if helper.now() - last > 0.9 then return nil end
        assert.equal("a", body)
        last = helper.now()
      end
      assert.equal("", (left.get()))
      return true
    end
    helper.wait_for(try, "a try that nobody disturbs", 60)
  end)
end

describe("a session in Redis", function()
  local server
  setup(function() server = redis.start() end)

  local function cli(...)
    local pipe = io.popen(("redis-cli -p %d %s"):format(server.port, table.concat({ ... }, " ")))
    local out = pipe:read("a")
    pipe:close()
    return (out:gsub("\n$", ""))
  end

  shared_by_two("store = r", function()
    return ('local r = redis.connect("redis://127.0.0.1:%d")'):format(server.port)
  end)

  it("is a hash that lives as long as the session, below the prefix", function()
    local web = serve(('local r = redis.connect("redis://127.0.0.1:%d")'):format(server.port),
      'store = redis.store(r, { prefix = "shop:" }), ttl = 1000.5', BODY)
    local kim = visitor(web)
    local id = kim.get("/login")
    local key = "shop:session:" .. id
    assert.equal("shop:session:" .. id, cli("--scan", "--pattern", "'shop:*'"))
    assert.equal(".user\nat", cli("--raw", "hkeys", key, "| sort"))
    local left = tonumber(cli("pttl", key))
    assert.is_true(left > 900000 and left <= 1000500)
    cli("script", "flush")
    kim.get("/set?key=a")
    assert.equal("a,user", (kim.get()))
    cli("expire", key, "100")
    kim.get("/touch")
    assert.is_true(tonumber(cli("ttl", key)) <= 100)
    kim.get("/out")
    assert.equal("0", cli("exists", key))
  end)
end)

describe("a session in SQLite", function()
  local path
  setup(function() path = helper.tmpdir() .. "/sessions.db" end)

  shared_by_two("store = db", function()
    return ("local db = sqlite.open(%q)"):format(path)
  end)

  it("is in the table that it is told, from which it is swept when its time is over", function()
    local file = helper.tmpdir() .. "/shop.db"
    local web = serve(([[
      local db = sqlite.open(%q)
      local uptime = process.uptime
      local later = 0
      function process.uptime() return uptime() + later end
    ]]):format(file), 'store = sqlite.store(db, { table = "visits" }), ttl = 1', [[
      if req.path == "/count" then return db:one("SELECT count(*) AS n FROM visits").n .. "" end
      if req.path == "/later" then later = later + 61 end
      s.n = 1
      return "set"
    ]])
    for _ = 1, 3 do visitor(web).get("/set") end
    assert.is_true(tonumber((visitor(web).get("/count"))) > 0) -- where this takes its time some are gone by now
    helper.wait_for(function()
      visitor(web).get("/later") -- so that it is time to sweep
      return visitor(web).get("/count") == "1"
    end, "the sweep", 20)
  end)

  it("fails and is back as with Redis", function()
    local dir = helper.tmpdir() .. "/later"
    local web = serve(("local db = sqlite.open(%q)"):format(dir .. "/s.db"), 'store = db, onError = "without"', BODY)
    local kim = visitor(web)
    assert.equal("set", (kim.get("/set?key=a")))
    assert.is_nil(kim.cookie())
    web:wait_output("session: cannot open [^\n]*; going on without sessions")
    os.execute("mkdir " .. dir)
    kim.get("/set?key=a")
    assert.equal("a", (kim.get()))
  end)
end)

describe("a session whose Redis goes", function()
  -- Loads a session, waits until Redis is gone, and changes it.
  local GONE = [[
    if req.path == "/midway" then
      console.log("loaded")
      repeat timers.sleep(2) until not r:ping()
    elseif req.path == "/save" then
      s.n = 0
      local ok, message = s:save()
      return ok and "saved" or message
    elseif req.path == "/login" then
      s:regenerate()
    elseif req.path == "/out" then
      s:destroy()
    end
    s.n = (s.n or 0) + 1
    return tostring(s.n)
  ]]

  local function start(onError)
    local keep = helper.tmpdir()
    local server = redis.start({ keep = keep })
    local web = serve(('local r = redis.connect("redis://127.0.0.1:%d")'):format(server.port),
      "store = r, onError = " .. onError, GONE)
    local kim = visitor(web)
    assert.equal("1", (kim.get()))
    local midway = helper.connect(web)
    midway:send("GET /midway HTTP/1.1\r\nHost: x\r\nCookie: " .. kim.cookie() .. "\r\n\r\n")
    web:wait_output("loaded")
    server:stop()
    return { kim = kim, web = web, midway = midway:read_response(), message = "redis 127.0.0.1:" .. server.port .. ": ",
      back = function() redis.start({ keep = keep, port = server.port }) end }
  end

  it("is a 503, and there again when Redis is", function()
    local it = start("nil")
    assert.equal(503, it.midway.status)
    assert.is_nil(it.midway.headers["set-cookie"])
    for _, path in ipairs { "/", "/save", "/out", "/login" } do
      local body, res = it.kim.get(path)
      assert.equal(503, res.status)
      assert.is_nil(body:find("redis", 1, true)) -- which is for the log
      assert.truthy(it.kim.cookie())
    end
    it.web:wait_output("session: " .. it.message)
    assert.equal(200, helper.get(it.web, "/free").status) -- it asks nothing
    it.back()
    local body
    helper.wait_for(function()
      local res
      body, res = it.kim.get()
      return res.status == 200
    end, "Redis to be found again", 20)
    assert.equal("2", body)
  end)

  it("is none where the script says so: requests go on, and nobody logs in or out unawares", function()
    local it = start('"without"')
    assert.same({ 200, "2" }, { it.midway.status, it.midway.body })
    assert.is_nil(it.midway.headers["set-cookie"])
    for _ = 1, 3 do
      local body, res = it.kim.get()
      assert.same({ 200, "1" }, { res.status, body })
      assert.is_nil(it.kim.set)
    end
    assert.matches("^" .. it.message:gsub("%p", "%%%0"), (it.kim.get("/save")))
    for _, path in ipairs { "/login", "/out" } do
      local _, res = it.kim.get(path)
      assert.equal(503, res.status)
    end
    assert.truthy(it.kim.cookie())
    it.web:wait_output("session: " .. it.message .. "[^\n]*; going on without sessions")
    local _, warnings = it.web:stderr():gsub("going on without sessions", "")
    assert.equal(1, warnings)
    it.back()
    helper.wait_for(function() return it.kim.get() == "2" end, "Redis to be found again", 20)
    assert.equal("saved", (it.kim.get("/save")))
  end)
end)

describe("the stores of sessions", function()
  it("refuse what they cannot use", function()
    local run = helper.run([[
      local luaserve, redis, sqlite = require "luaserve", require "luaserve.redis", require "luaserve.sqlite"
      for _, fn in ipairs {
        function() luaserve.session { store = {} } end,
        function() luaserve.session { store = "redis" } end,
        function() luaserve.session { onError = "ignore" } end,
        function() redis.store("redis://127.0.0.1") end,
        function() redis.store(redis.connect(), { prefx = "a" }) end,
        function() sqlite.store("file.db") end,
        function() sqlite.store(sqlite.open(":memory:"), { table = "a b" }) end,
      } do print((select(2, pcall(fn)):gsub("^.-app.lua:", ""))) end
    ]])
    assert.equal([[
3: the store of sessions is "shared", "cookie", a client of Redis, a database of SQLite, or a table with the methods get, set, touch and destroy
4: the store of sessions is "shared", "cookie", a client of Redis, a database of SQLite, or a table with the methods get, set, touch and destroy
5: the option onError of session is "503" or "without"
6: redis.store needs a client: redis.store(redis.connect(url), options)
7: redis.store has no option 'prefx'; there are: prefix
8: sqlite.store needs a database: sqlite.store(sqlite.open(file), options)
9: the table of sqlite.store is letters, digits and _
]], run.out)
  end)
end)
