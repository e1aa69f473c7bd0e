-- luaserve.session: what is remembered of a visitor, and where. Who attacks it is in session_attacks_spec.lua.
local helper = require("spec.helper")
local visits = require("spec.helper.visitor")

local serve, visitor = visits.serve, visits.new

local SECRET = '{ secret = "a secret of some length" }'
local COUNT = "req.session.n = (req.session.n or 0) + 1 return tostring(req.session.n)"

describe("a session", function()
  it("is remembered from one request to the next, and is each visitor's own", function()
    local server = serve(SECRET, COUNT)
    local kim, sam = visitor(server), visitor(server)
    assert.are.equal("1", (kim.get()))
    assert.are.equal("2", (kim.get()))
    assert.are.equal("1", (sam.get()))
    assert.are.equal("3", (kim.get()))
  end)

  it("holds tables, whose changes within are found", function()
    local server = serve(SECRET, [[
      local s = req.session
      s.cart = s.cart or { items = {} }
      table.insert(s.cart.items, { id = #s.cart.items + 1 })
      local names = {}
      for name in pairs(s) do names[#names + 1] = name end
      return table.concat(names, ",") .. " " .. json.encode(s.cart)
    ]])
    local kim = visitor(server)
    kim.get()
    assert.are.equal('cart {"items":[{"id":1},{"id":2}]}', (kim.get()))
  end)

  it("forgets what is set to nil", function()
    local server = serve(SECRET, [[
      if req.path == "/set" then req.session.a, req.session.b = 1, 2 end
      if req.path == "/unset" then req.session.a = nil end
      return tostring(req.session.a) .. " " .. tostring(req.session.b)
    ]])
    local kim = visitor(server)
    kim.get("/set")
    kim.get("/unset")
    assert.are.equal("nil 2", (kim.get()))
  end)

  it("costs nothing where it is not touched, and sets no cookie where it stays empty", function()
    local server = serve(SECRET, [[
      if req.path == "/touch" then return tostring(req.session.n) end
      if req.path == "/set" then req.session.n = 1 end
      return "-"
    ]])
    local kim = visitor(server)
    kim.get("/")
    assert.is_nil(kim.set)
    assert.are.equal("nil", (kim.get("/touch")))
    assert.is_nil(kim.set)
    kim.get("/set")
    assert.truthy(kim.set)
    kim.get("/touch")
    assert.is_nil(kim.set)
  end)

  it("has a cookie that scripts of the page do not see, and other sites do not use", function()
    local server = serve(SECRET, COUNT)
    local kim = visitor(server)
    kim.get()
    assert.matches("^session=[%w_-]+%.[%w_-]+; Path=/; Max%-Age=86400; Expires=[^;]+; HttpOnly; SameSite=Lax$", kim.set)
  end)

  it("has a cookie that is the host's alone over TLS", function()
    local server = serve(SECRET, COUNT, { over_tls = true })
    local jar = helper.tmpdir() .. "/jar"
    local function ask()
      local pipe = io.popen(("curl -skD - -b %s -c %s https://localhost:%d/"):format(jar, jar, server.port))
      local out = pipe:read("a")
      pipe:close()
      return out
    end
    local first = ask()
    assert.matches("[Cc]ookie: __Host%-session=[^\n]*; Secure; SameSite=Lax\r\n", first)
    assert.matches("\r\n\r\n1$", first)
    assert.matches("\r\n\r\n2$", ask())
  end)

  it("has the cookie that its options ask for", function()
    local server = serve([[{ secret = "12345678", name = "visit", ttl = 60,
      cookie = { path = "/shop", sameSite = "strict", persistent = false } }]], COUNT)
    local kim = visitor(server)
    kim.get()
    assert.matches("^visit=[^;]+; Path=/shop; HttpOnly; SameSite=Strict$", kim.set)
  end)

  it("starts anew for cookies that are forged, cut off, unknown or of another secret", function()
    local server = serve(SECRET, COUNT)
    local kim = visitor(server)
    kim.get()
    local value = kim.jar.session
    local id, signature = value:match("^(.*)%.(.*)$")
    local other = serve('{ secret = "another secret" }', COUNT)
    local stranger = visitor(other)
    stranger.get()
    for _, bad in ipairs { "", "x", id, id .. ".", id .. "." .. ("A"):rep(43), id:reverse() .. "." .. signature,
      value .. "x", value:sub(1, -2), stranger.jar.session, ("A"):rep(24) .. "." .. signature, "%00%ff.x" } do
      local eve = visitor(server)
      eve.jar.session = bad
      local body, res = eve.get()
      assert.are.equal(200, res.status)
      assert.are.equal("1", body, bad)
      assert.truthy(eve.jar.session ~= bad)
    end
    assert.are.equal("2", (kim.get()))
  end)

  it("gets a new id from regenerate, and keeps its data; the old id is worth nothing", function()
    local server = serve(SECRET, [[
      local s = req.session
      if req.path == "/login" then
        s:regenerate()
        s.user = "kim"
      end
      s.seen = (s.seen or 0) + 1
      return tostring(s.user) .. " " .. s.seen .. " " .. s.id
    ]])
    local kim = visitor(server)
    local before = kim.get():match("^nil 1 (%S+)$")
    local eve = visitor(server)
    eve.jar.session = kim.jar.session
    local after = kim.get("/login"):match("^kim 2 (%S+)$")
    assert.truthy(before and after and before ~= after)
    assert.are.equal("kim 3 " .. after, (kim.get()))
    assert.matches("^nil 1 ", (eve.get()))
  end)

  it("is gone after destroy, with its cookie", function()
    local server = serve(SECRET, [[
      if req.path == "/logout" then
        req.session:destroy()
        return next(req.session) == nil and "empty" or "full"
      end
      ]] .. COUNT)
    local kim = visitor(server)
    kim.get()
    local old = kim.jar.session
    assert.are.equal("empty", (kim.get("/logout")))
    assert.matches("^session=; Path=/; Max%-Age=0; ", kim.set)
    assert.is_nil(kim.jar.session)
    kim.jar.session = old
    assert.are.equal("1", (kim.get()))
  end)

  -- Two requests of a visitor's session, which nothing has answered yet.
  local function at_once(server, who, ...)
    local conns = {}
    for i, path in ipairs { ... } do
      conns[i] = helper.connect(server)
      conns[i]:send(("GET %s HTTP/1.1\r\nHost: x\r\nCookie: session=%s\r\n\r\n"):format(path, who.jar.session))
    end
    return table.unpack(conns)
  end

  it("keeps what two requests at once have changed, each its own keys", function()
    local server = serve(SECRET, [[
      local s = req.session
      if req.path == "/first" then s.a, s.b, s.gone = 0, 0, 1 end
      if req.path == "/slow" then
        s.a = 1
        waits = true
        while not go do timers.sleep(1) end
      elseif req.path == "/fast" then
        while not waits do timers.sleep(1) end
        s.b, s.gone = 2, nil
        res:onFinish(function() go = true end)
      end
      return json.encode(s, { sort = true })
    ]], { ahead = "local go, waits\n" })
    local kim = visitor(server)
    kim.get("/first")
    local slow, fast = at_once(server, kim, "/slow", "/fast")
    assert.are.equal('{"a":0,"b":2}', fast:read_response().body)
    assert.are.equal('{"a":1,"b":0,"gone":1}', slow:read_response().body)
    assert.are.equal('{"a":1,"b":2}', (kim.get()))
  end)

  it("keeps what another request has changed where it is stored twice", function()
    local server = serve(SECRET, [[
      local s = req.session
      if req.path == "/first" then s.a, s.b = 0, 0 end
      if req.path == "/slow" then
        local before = s.b
        waits = true
        while not go do timers.sleep(1) end
        s.a = before + 1
        s:save()
        s.c = 3
      elseif req.path == "/fast" then
        while not waits do timers.sleep(1) end
        s.b = 2
        res:onFinish(function() go = true end)
      end
      return json.encode(s, { sort = true })
    ]], { ahead = "local go, waits\n" })
    local kim = visitor(server)
    kim.get("/first")
    local slow, fast = at_once(server, kim, "/slow", "/fast")
    fast:read_response()
    assert.are.equal('{"a":1,"b":0,"c":3}', slow:read_response().body)
    assert.are.equal('{"a":1,"b":2,"c":3}', (kim.get()))
  end)

  it("keeps what requests change at once in several workers", function()
    local server = helper.serve([[
      local session = require("luaserve").session { secret = "12345678" }
      return function(req, res)
        return session(req, res, function()
          local s, n = req.session, 0
          if req.query.key then s[req.query.key] = process.pid end
          if req.path == "/slow" then require("timers").sleep(5) end
          for _ in pairs(s) do n = n + 1 end
          return ("%d %d"):format(n, process.pid)
        end)
      end
    ]], { listen = true, args = { "--workers", "2" } })
    local kim, conns, pids, workers = visitor(server), {}, {}, 0
    local function note(body)
      local pid = body:match("%d+$")
      if not pids[pid] then pids[pid], workers = true, workers + 1 end
    end
    kim.get("/?key=first")
    helper.wait_for(function()
      note((kim.get()))
      return workers == 2
    end, "both workers", 20)
    for i = 1, 60 do
      conns[i] = helper.connect(server)
      conns[i]:send(("GET /slow?key=k%d HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n"):format(i, kim.cookie()))
    end
    pids, workers = {}, 0
    for i = 1, 60 do note(conns[i]:read_response().body) end
    assert.are.equal(2, workers)
    assert.are.equal("61", kim.get():match("^%d+"))
  end)

  it("stays ended where another request that had it changes it later", function()
    local server = serve(SECRET, [[
      local s = req.session
      if req.path == "/first" then s.user = "kim" end
      if req.path == "/slow" then
        s.a = 1
        waits = true
        while not go do timers.sleep(1) end
      elseif req.path == "/logout" then
        while not waits do timers.sleep(1) end
        s:destroy()
        res:onFinish(function() go = true end)
      end
      return tostring(s.user)
    ]], { ahead = "local go, waits\n" })
    local kim = visitor(server)
    kim.get("/first")
    local slow, out = at_once(server, kim, "/slow", "/logout")
    out:read_response()
    assert.is_nil(slow:read_response().headers["set-cookie"])
    assert.are.equal("nil", (kim.get()))
  end)

  it("expires, and lives on where it is used", function()
    local server = serve('{ secret = "12345678", ttl = 2 }', COUNT)
    local kim, sam = visitor(server), visitor(server)
    kim.get()
    sam.get()
    local n, last, stop = 1, helper.now(), helper.now() + 2.5
    helper.wait_for(function()
      local count = tonumber((kim.get()))
      if count ~= n + 1 then
        assert.is_true(helper.now() - last > 0.9) -- this machine was busy: once more
        count, stop = 1, helper.now() + 2.5
      end
      n, last = count, helper.now()
      return helper.now() > stop
    end, "time to pass", 20)
    assert.are.equal("1", (sam.get()))
  end)

  it("ends with its time where it does not roll", function()
    local server = serve('{ secret = "12345678", ttl = 2, rolling = false }', COUNT)
    local kim = visitor(server)
    kim.get()
    helper.wait_for(function() return kim.get() == "1" end, "the session to end", 10)
  end)

  it("is taken with an old secret, and given with the new one", function()
    local dir = helper.tmpdir()
    local function start(secrets)
      return serve("{ secret = " .. secrets .. " }", COUNT, { args = { "--store", dir .. "/store" } })
    end
    local kim = visitor(start('"the old secret"'))
    kim.get()
    local server = start('{ "the new secret", "the old secret" }')
    local later = visitor(server)
    later.jar.session = kim.jar.session
    assert.are.equal("2", (later.get()))
    assert.truthy(later.set)
    local last = visitor(start('"the new secret"'))
    last.jar.session = later.jar.session
    assert.are.equal("3", (last.get()))
  end)

  it("is saved by hand in an answer that takes long", function()
    local server = serve(SECRET, [[
      if req.path == "/long" then
        res:write("begins ")
        req.session.late = "yes"
        req.session:save()
        return res:finish("ends")
      end
      req.session.late = req.session.late or "no"
      return req.session.late
    ]])
    local kim = visitor(server)
    assert.are.equal("no", (kim.get()))
    assert.are.equal("begins ends", (kim.get("/long")))
    assert.are.equal("yes", (kim.get()))
  end)

  it("says so where it is changed too late to be stored", function()
    local server = serve(SECRET, [[
      local s = req.session
      if req.path ~= "/none" then s.before = 1 end
      res:write("begins ")
      if req.path == "/saved" then s.late = "yes" s:save() end
      if req.path == "/late" then s.late = "no" end
      return res:finish("ends")
    ]])
    local kim = visitor(server)
    for _, path in ipairs { "/none", "/saved", "/late", "/late" } do
      assert.are.equal("begins ends", (kim.get(path)))
    end
    server:wait_output("app.lua:%d+: GET /late: req.session.late is set after the answer has begun, and is not stored")
    assert.are.equal(1, select(2, server:stderr():gsub("is set after the answer has begun", "")))
  end)

  it("is not stored where the request fails", function()
    local server = serve(SECRET, [[
      req.session.n = (req.session.n or 0) + 1
      if req.path == "/fail" then error("so") end
      return tostring(req.session.n)
    ]])
    local kim = visitor(server)
    kim.get()
    kim.get("/fail")
    assert.are.equal("2", (kim.get()))
  end)
end)

describe("a session without a secret", function()
  it("gets a random one, and a warning says what to do", function()
    local server = serve("", COUNT)
    local kim = visitor(server)
    kim.get()
    assert.are.equal("2", (kim.get()))
    assert.matches("sessions and forms have no secret, so one was made that is gone with this server", server:stderr())
  end)

  it("is the same for all workers, and over restarts with --store", function()
    local app = [[
      local session = require("luaserve").session()
      return function(req, res)
        return session(req, res, function()
          req.session.n = (req.session.n or 0) + 1
          return req.session.n .. " " .. process.pid
        end)
      end
    ]]
    local path = helper.tmpdir() .. "/store"
    local options = { listen = true, args = { "--workers", "2", "--store", path } }
    local server = helper.serve(app, options)
    local kim = visitor(server)
    local pids, seen, n = {}, 0, 0
    helper.wait_for(function()
      local count, pid = kim.get():match("^(%d+) (%d+)$")
      n = n + 1
      assert.are.equal(n, tonumber(count))
      if not pids[pid] then pids[pid], seen = true, seen + 1 end
      return seen == 2
    end, "both workers", 20)
    os.execute("kill -9 " .. next(pids))
    for _ = 1, 5 do
      local count = helper.wait_for(function()
        local ok, body = pcall(kim.get)
        return ok and body:match("^%d+")
      end, "an answer")
      assert.is_true(tonumber(count) > n)
      n = tonumber(count)
    end
    server:stop()
    local again = visitor(helper.serve(app, options))
    again.jar.session = kim.jar.session
    assert.are.equal(n + 1, tonumber(again.get():match("^%d+")))
  end)
end)

describe("a session in its cookie", function()
  local COOKIE = '{ secret = "a secret of some length", store = "cookie" }'

  it("is sealed: it needs no store, and shows and takes nothing", function()
    local server = serve(COOKIE, [[
      if req.path == "/out" then req.session:destroy() return "out" end
      req.session.word = req.session.word or "swordfish"
      ]] .. COUNT)
    local kim = visitor(server)
    kim.get()
    local value = kim.jar.session
    assert.are.equal("2", (kim.get()))
    assert.is_nil(value:find("swordfish", 1, true))
    local other = value:sub(1, 1) == "A" and "B" or "A"
    for _, bad in ipairs { "", "x", value:sub(1, -2), other .. value:sub(2), value:reverse() } do
      local eve = visitor(server)
      eve.jar.session = bad
      assert.are.equal("1", (eve.get()), bad)
    end
    kim.get("/out")
    assert.is_nil(kim.jar.session)
    assert.are.equal("1", (kim.get()))
  end)

  it("says so where it becomes too big", function()
    local server = serve(COOKIE, "req.session.text = ('x'):rep(4000) return 'stored'")
    local _, res = visitor(server).get()
    assert.are.equal(500, res.status)
    assert.is_nil(res.headers["set-cookie"])
    server:wait_output("")
    assert.matches("session: it takes %d+ bytes in a cookie, and browsers keep 3896: keep less in it", server:stderr())
  end)

  it("expires", function()
    local server = serve('{ secret = "12345678", store = "cookie", ttl = 1 }', COUNT)
    local kim = visitor(server)
    kim.get()
    local value = kim.jar.session
    helper.wait_for(function()
      kim.jar.session = value
      return kim.get() == "1"
    end, "the session to end", 10)
  end)
end)

describe("a session in a store of the script's own", function()
  local OWN = [[
    local kept, calls = {}, {}
    local own = {}
    for _, name in ipairs { "get", "set", "touch", "destroy" } do
      own[name] = function(self, id, a, b)
        require("timers").sleep(1)
        calls[#calls + 1] = name
        if broken then return nil, "it is broken" end
        if name == "get" then return kept[id] and require("json").decode(kept[id]) end
        if name == "set" then kept[id] = require("json").encode(a) end
        if name == "destroy" then kept[id] = nil end
        return true
      end
    end
  ]]
  local function serve_own(body)
    return serve('{ secret = "12345678", store = own }', body, { ahead = "local broken\n" .. OWN })
  end

  it("waits for it, with each of its functions", function()
    local server = serve_own([[
      if req.path == "/calls" then return table.concat(calls, " ") end
      if req.path == "/out" then req.session:destroy() return "out" end
      if req.path == "/break" then broken = true end
      ]] .. COUNT)
    local kim = visitor(server)
    assert.are.equal("1", (kim.get()))
    assert.are.equal("2", (kim.get()))
    assert.are.equal("set get get set", (kim.get("/calls")))
    local cookie = kim.jar.session
    kim.get("/out")
    kim.jar.session = cookie
    assert.are.equal("1", (kim.get()))
    local _, res = kim.get("/break")
    assert.are.equal(503, res.status)
    assert.matches("session: it is broken", server:stderr())
  end)

  it("does not ask it where the session is not touched, and has stored before the cookie leaves", function()
    local server = serve_own([[
      if req.path == "/calls" then return table.concat(calls, " ") end
      if req.path == "/read" then return tostring(req.session.n) end
      if req.path == "/lose" then
        req.session.n = 0
        broken = true
        return "lost"
      end
      ]] .. COUNT)
    local kim = visitor(server)
    kim.get()
    assert.are.equal("set", (kim.get("/calls")))
    assert.are.equal("1", (kim.get("/read")))
    assert.are.equal("set get", (kim.get("/calls")))
    local body, res = visitor(server).get("/lose")
    assert.are.equal(503, res.status)
    assert.is_nil(res.headers["set-cookie"])
    assert.is_nil(body:find("lost", 1, true))
  end)
end)

describe("what a session refuses", function()
  local function complaint(code)
    return helper.run('local luaserve = require "luaserve"\n' .. code).err:match("app.lua:2: ([^\n]*)")
  end

  it("are wrong options, at the start", function()
    assert.matches("session has no option 'tll'; there are: cookie, name, onError, rolling",
      complaint("luaserve.session { tll = 1 }"))
    assert.matches("the ttl of a session is a number of seconds, from 1", complaint("luaserve.session { ttl = 0 }"))
    assert.matches("the name of a session's cookie is letters", complaint("luaserve.session { name = 'a b' }"))
    assert.matches('the store of sessions is "shared", "cookie", a client of Redis',
      complaint("luaserve.session { store = 'redis' }"))
    assert.matches("session's cookie has no option 'maxAge'", complaint("luaserve.session { cookie = { maxAge = 1 } }"))
  end)

  it("are values that cannot be kept, names of its own, and other tables", function()
    local server = serve(SECRET, [[
      if req.path == "/function" then req.session.user = { f = print } end
      if req.path == "/id" then req.session.id = "mine" end
      if req.path == "/table" then req.session = { user = "kim" } end
      if req.path == "/nil" then req.session = nil end
      if req.path == "/seen" then req.session = req.session.user and {} or nil end
      if req.path == "/other" then req.other = req.path return req.other end
      if req.path == "/late" then res:write("x") req.session:regenerate() end
      return "-"
    ]])
    local kim = visitor(server)
    local function log_of(path)
      local before = #server:stderr()
      pcall(kim.get, path)
      return server:stderr():sub(before + 1)
    end
    assert.matches("req.session.user: a function at .f cannot be kept; a session holds strings", log_of("/function"))
    assert.matches("req.session.id is the session's own: take another name", log_of("/id"))
    assert.matches("app.lua:%d+: req.session is a table to be filled, not to be replaced; req.session:destroy%(%)",
      log_of("/table"))
    assert.matches("app.lua:%d+: req.session is a table to be filled", log_of("/nil"))
    assert.matches("req.session is a table to be filled", log_of("/seen"))
    assert.equal("/other", helper.get(server, "/other").body)
    assert.matches("the session's cookie is part of the answer's head, which has been sent", log_of("/late"))
  end)

  it("is to be used without its middleware", function()
    local server = helper.serve_handler("return tostring(req.session)")
    assert.are.equal(500, helper.get(server, "/").status)
    assert.matches("req.session needs the middleware: app:use%(luaserve.session%(%)%)", server:stderr())
  end)
end)
