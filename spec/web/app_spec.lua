-- What surrounds an app's routes: middlewares, mounted apps, groups, error handlers,
-- names, settings, and who is asking behind a proxy.
local helper = require("spec.helper")
local cjson = require("cjson")

-- Serves an app that the Lua text defines.
local function serve(code, opts)
  return helper.serve('local luaserve, timers = require "luaserve", require "timers"\nlocal app = luaserve()\n' .. code
    .. "\nlocal server\nserver = app:listen(0, '127.0.0.1', function() print('port ' .. server:address().port) end)",
    opts)
end

local function get(server, path, headers)
  return helper.get(server, path, headers)
end

local function complaint(code)
  local result = helper.run('local luaserve = require "luaserve"\nlocal app = luaserve()\n' .. code .. "\n")
  assert.equal(1, result.code, result.err)
  return (result.err:match("app%.lua:[^\n]*"))
end

describe("an app", function()
  it("is a handler of every server, and what a script may return", function()
    local code = 'local luaserve = require "luaserve"\nlocal app = luaserve()\n'
      .. 'app:get("/", function() return "app" end)\n'
    local returned = helper.serve(code .. "return app", { listen = true })
    assert.equal("app", get(returned, "/").body)
    local handler = helper.serve(code .. [[
      local server
      server = require("http").createServer({ maxBodySize = 10 }, app):listen(0, "127.0.0.1", function()
        print("port " .. server:address().port)
      end)]])
    assert.equal("app", get(handler, "/").body)
    local called = helper.serve(code .. [[
      local server
      server = require("http").createServer(function(req, res)
        return app(req, res, function() return "next" end)
      end):listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)]])
    assert.equal("app", get(called, "/").body)
    assert.equal("next", get(called, "/x").body)
  end)

  it("takes what handlers return as the answer", function()
    local server = serve [[
      app:get("/t", function() return { a = 1 } end)
      app:get("/s", function() return 201, "made" end)
      app:get("/h", function() return "<p>" end)
      app:get("/w", function(req, res) timers.sleep(1) return "waited" end)]]
    assert.equal('{"a":1}', get(server, "/t").body)
    assert.equal(201, get(server, "/s").status)
    assert.equal("text/html; charset=utf-8", get(server, "/h").headers["content-type"])
    assert.equal("waited", get(server, "/w").body)
  end)

  it("takes routes that are defined while it serves", function()
    local server = serve [[
      app:get("/add", function() app:get("/new", function() return "new" end) return "added" end)]]
    assert.equal(404, get(server, "/new").status)
    assert.equal("added", get(server, "/add").body)
    assert.equal("new", get(server, "/new").body)
  end)
end)

describe("middlewares", function()
  it("run for what is defined after them, in order, and around it", function()
    local server = serve [[
      local function step(name)
        return function(req, res, next)
          req.steps = (req.steps or "") .. name
          local answer = next()
          return answer and answer .. name:upper()
        end
      end
      app:get("/none", function(req) return tostring(req.steps) end)
      app:use(step "a")
      app:get("/one", function(req) return req.steps end)
      app:use("/p", step "b")
      app:use(step "c", { step "d" })
      app:get("/p/two", step "e", function(req) return req.steps end)
      app:get("/px", function(req) return req.steps end)]]
    assert.equal("nil", get(server, "/none").body)
    assert.equal("aA", get(server, "/one").body)
    assert.equal("abcdeEDCBA", get(server, "/p/two").body)
    assert.equal("acdDCA", get(server, "/px").body)
  end)

  it("may answer themselves, later too, and pass statuses on", function()
    local server = serve [[
      app:use("/no", function() return 403, "no" end)
      app:use(function(req, res, next) timers.sleep(1) return next() end)
      app:use("/later", function(req, res, next) setTimeout(function() res:send("later") end, 1) end)
      app:use("/cb", function(req, res, next) setTimeout(function() res:send("got " .. next()) end, 1) end)
      app:get("/cb", function() return "inner" end)
      app:get("/made", function() return 201, "made" end)]]
    assert.equal(403, get(server, "/no/where").status)
    assert.equal("later", get(server, "/later").body)
    assert.equal("got inner", get(server, "/cb").body)
    local made = get(server, "/made")
    assert.same({ 201, "made" }, { made.status, made.body })
  end)

  it("see the path without their prefix, and its parameters", function()
    local server = serve [[
      local seen
      app:use("/a/:id", function(req, res, next)
        seen = { req.path, req.url, req.params.id }
        return next()
      end)
      app:get("/a/:user/x", function(req) return { seen, req.path, req.params.user, req.params.id } end)
      app:use("/files", function(req) return req.path end)]]
    assert.same({ { "/x", "/a/7/x?q", "7" }, "/a/7/x", "7", "7" }, cjson.decode(get(server, "/a/7/x?q").body))
    assert.equal("/", get(server, "/files").body)
    assert.equal("/", get(server, "/files/").body)
    assert.equal("/b c/", get(server, "/files/b%20c/").body)
    assert.equal("/x", get(server, "//files//./x").body)
    assert.equal(404, get(server, "/filesystem").status)
  end)

  it("guard every spelling of a path", function()
    local server = serve [[
      app:use("/private", function() return 403, "guarded" end)
      app:use(function(req) return "file " .. req.path end)]]
    for _, path in ipairs { "/private", "/private/x", "//private/x", "/./private", "/a/../private/x", "/%70rivate",
      "/a/%2e%2e/private", "/private/.%2e/private/x" } do
      assert.equal("guarded", get(server, path).body, path)
    end
    for _, path in ipairs { "/privat", "/privatex", "/a/private", "/private/../b" } do
      assert.equal(200, get(server, path).status, path)
    end
  end)

  it("serve what nothing matched, where they are defined last", function()
    local server = serve [[
      app:get("/a", function() return "a" end)
      app:use(function(req) return 404, "no " .. req.path end)]]
    assert.equal("a", get(server, "/a").body)
    assert.equal("no /b", get(server, "/b").body)
    local response = helper.request(server, { method = "PUT", path = "/a" })
    assert.equal(405, response.status)
    assert.equal("GET, HEAD, OPTIONS", response.headers.allow)
    assert.equal("no /b", helper.request(server, { method = "PUT", path = "/b" }).body)
  end)

  it("stand before the answers of the app itself", function()
    local server = serve [[
      app:use(luaserve.cors())
      app:use(function(req, res, next) res:setHeader("X-Seen", "1") return next() end)
      app:post("/", function() return "posted" end)
      app:use(function(req, res, next) return req.path == "/" and "a file" or next() end)]]
    local response = helper.request(server, { method = "OPTIONS", path = "/",
      headers = { Origin = "http://a.example", ["Access-Control-Request-Method"] = "POST" } })
    assert.equal("*", response.headers["access-control-allow-origin"])
    response = helper.request(server, { method = "PUT", path = "/" })
    assert.same({ 405, "1" }, { response.status, response.headers["x-seen"] })
    assert.equal("a file", get(server, "/").body) -- a folder of files behind a form's address
    assert.same({ 404, "1" }, { get(server, "/x").status, get(server, "/x").headers["x-seen"] })
  end)

  it("go on with the next best route where a handler calls next", function()
    local server = serve [[
      local order = ""
      local function note(name)
        return function(req, res, next) order = order .. name return next() end
      end
      app:use(note "a")
      app:get("/f/special", note "s")
      app:use(note "b")
      app:get("/f/:name", function(req, res, next) order = order .. "(" .. req.params.name .. ")" return next() end)
      app:get("/f/*rest", function(req, res, next) order = order .. "[" .. req.params.rest .. "]" return next() end)
      app:use(function(req) local all = order order = "" return all end)]]
    assert.equal("asb(special)[special]", get(server, "/f/special").body)
    assert.equal("ab(x)[x]", get(server, "/f/x").body)
    assert.equal("ab", get(server, "/x").body)
  end)
end)

describe("mounted apps", function()
  it("see the path below their prefix, and pass on what they do not know", function()
    local server = serve [[
      local api, deep = luaserve(), luaserve()
      app:mount("/api/:v", api)
      api:use(function(req, res, next) res:setHeader("X-Path", req.path) return next() end)
      api:get("/x/:id", function(req) return { req.path, req.url, req.params.v, req.params.id } end)
      api:mount("/deep", deep)
      deep:get("/", function(req) return req.path end)
      deep:get("/y", function(req) return req.path end)
      app:get("/api/:v/z", function(req) return "outer " .. req.path end)
      app:use(function(req) return 404, "nobody: " .. req.path end)]]
    local response = get(server, "/api/1/x/2?q")
    assert.same({ "/x/2", "/api/1/x/2?q", "1", "2" }, cjson.decode(response.body))
    assert.equal("/x/2", response.headers["x-path"])
    assert.equal("/", get(server, "/api/1/deep").body)
    assert.equal("/y", get(server, "/api/1/deep/y").body)
    response = get(server, "/api/1/z")
    assert.equal("outer /api/1/z", response.body)
    assert.equal("/z", response.headers["x-path"])
    assert.equal("nobody: /api/1/none", get(server, "/api/1/none").body)
    assert.is_nil(get(server, "/other").headers["x-path"])
  end)

  it("may be mounted with use, several times, and in groups", function()
    local server = serve [[
      local one = luaserve()
      one:get("/", function(req) return req.path end)
      app:use("/a", one):use("/b", one)
      app:group("/g", function(group)
        group:use(function(req, res, next) res:setHeader("X-Group", req.path) return next() end)
        group:get("/x", function(req) return req.path end)
        group:mount("/c", one)
      end)
      app:get("/x", function() return "x" end)]]
    assert.equal("/", get(server, "/a").body)
    assert.equal("/", get(server, "/b").body)
    assert.equal("/", get(server, "/g/c").body)
    local response = get(server, "/g/x")
    assert.same({ "/g/x", "/g/x" }, { response.body, response.headers["x-group"] })
    assert.is_nil(get(server, "/x").headers["x-group"])
  end)

  it("inherit settings; req.app is the one that serves", function()
    local server = serve [[
      local api = luaserve { colour = "red" }
      app:set("colour", "blue"):set("taste", "sour")
      app:mount("/api", api)
      local function show(req) return { api:setting("colour"), api:get("taste"), req.app:get("colour") } end
      api:get("/", show)]]
    assert.same({ "red", "sour", "blue" }, cjson.decode(get(server, "/api").body))
  end)
end)

describe("app:route", function()
  it("defines several methods of a path", function()
    local server = serve [[
      app:route("/r/:id"):get(function(req) return "got " .. req.params.id end):post(function() return "posted" end)]]
    assert.equal("got 1", get(server, "/r/1").body)
    assert.equal("posted", helper.request(server, { method = "POST", path = "/r/1" }).body)
  end)
end)

describe("app:onError", function()
  it("answers what handlers, middlewares and callbacks raise", function()
    local server = serve [[
      app:use("/mw", function() error("in a middleware") end)
      app:get("/raise", function(req, res) res:setHeader("ETag", '"x"') error("raised") end)
      app:get("/table", function() error({ status = 409, message = "taken", field = "name" }) end)
      app:get("/status", function() luaserve.error(404, "no such user") end)
      app:get("/timer", function() setTimeout(function() error("in a timer") end, 1) end)
      app:get("/next", function(req, res, next) return next("given to next") end)
      app:get("/sent", function(req, res) res:write("x") error("too late") end)
      app:onError(function(err, req, res)
        return { message = err.message:gsub("^.-:%d+: ", ""), status = err.status, field = err.field, path = req.path,
          stack = err.stack and err.stack:find("traceback", 1, true) and true }
      end)]]
    local function answer(path)
      local response = get(server, path)
      assert.is_nil(response.headers.etag)
      local value = cjson.decode(response.body)
      assert.equal(response.status, value.status)
      assert.equal(path, value.path)
      assert.is_true(value.stack)
      return value
    end
    assert.equal("raised", answer("/raise").message)
    assert.equal("in a middleware", answer("/mw").message)
    assert.equal("in a timer", answer("/timer").message)
    assert.equal("given to next", answer("/next").message)
    local value = answer("/table")
    assert.same({ 409, "taken", "name" }, { value.status, value.message, value.field })
    assert.same({ 404, "no such user" }, { answer("/status").status, answer("/status").message })
    assert.has_error(function() get(server, "/sent") end)
    assert.truthy(server:stderr():find("GET /raise: .-app.lua:%d+: raised"))
    assert.is_nil(server:stderr():find("no such user", 1, true))
  end)

  it("passes on with next; its own failure is answered too", function()
    local server = serve [[
      app:get("/", function() luaserve.error(418, "first") end)
      app:onError(function(err, req, res, next) return next(err) end)
      app:onError(function(err, req, res, next)
        if req.query.fail then error("in the error handler") end
        if req.query.wait then timers.sleep(1) return 200, "waited" end
        return next()
      end)]]
    local response = get(server, "/")
    assert.same({ 418, "first" }, { response.status, response.body })
    assert.equal("waited", get(server, "/?wait").body)
    assert.equal(500, get(server, "/?fail").status)
    assert.truthy(server:stderr():find("in the error handler", 1, true))
  end)

  it("asks the app that owns the route first, then those around it", function()
    local server = serve [[
      local api, inner = luaserve(), luaserve()
      app:mount("/api", api)
      api:mount("/inner", inner)
      inner:get("/", function() error("x") end)
      api:get("/", function() error("x") end)
      app:get("/", function() error("x") end)
      api:onError(function(err, req, res, next)
        if req.query.on then return next(err) end
        return 500, "api"
      end)
      app:onError(function() return 500, "app" end)]]
    assert.equal("app", get(server, "/").body)
    assert.equal("api", get(server, "/api").body)
    assert.equal("api", get(server, "/api/inner").body)
    assert.equal("app", get(server, "/api/inner?on=1").body)
    assert.equal("app", get(server, "/api/%zz").body) -- nobody can say where that is
  end)

  it("leaves other servers of the process alone", function()
    local server = serve([[
      app:onError(function() return 200, "handled" end)
      local plain
      plain = require("http").createServer(function() luaserve.error(410, "gone") end)
        :listen(0, "127.0.0.1", function() print("port " .. plain:address().port .. " plain") end)
      ]], { ports = 2 })
    local conn = helper.connect(server.ports.plain)
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    local response = conn:read_response()
    assert.same({ 410, "gone" }, { response.status, response.body })
  end)
end)

describe("app:url", function()
  it("makes addresses of named routes", function()
    local server = serve [[
      local api = luaserve()
      app:get("/u/:id(%d+)/:part?", function() return "" end):name("user")
      app:get("/f/:a.:b/*rest", function() return "" end):name("file")
      app:group("/g", function(g) g:get("/:x", print):name("grouped") end)
      api:get("/item/:id", function() return "" end):name("item")
      app:mount("/api/:v", api)
      app:get("/", function()
        return { app:url("user", { id = 1 }), app:url("user", { id = 7, part = "a/b ü" }, { q = "x y" }),
          app:url("file", { a = "x", b = "y", rest = "p/q r/s" }), app:url("grouped", { x = "1" }),
          app:url("item", { v = 2, id = "k" }), api:url("item", { v = 2, id = "k" }), api:url("user", { id = 1 }, "q=1") }
      end)
      app:get("/wrong", function(req) app:url(req.query.name, { id = req.query.id }) end)
      app:onError(function(err) return err.message:gsub("^.-:%d+: ", "") end)]]
    assert.same({ "/u/1", "/u/7/a%2Fb%20%C3%BC?q=x%20y", "/f/x.y/p/q%20r/s", "/g/1", "/api/2/item/k", "/api/2/item/k",
      "/u/1?q=1" }, cjson.decode(get(server, "/").body))
    assert.equal("there is no route named 'x'", get(server, "/wrong?name=x").body)
    assert.equal("the address of 'user' needs the parameter 'id'", get(server, "/wrong?name=user").body)
    assert.equal("the address of 'user': the parameter 'id' is 'x', which its pattern does not match",
      get(server, "/wrong?name=user&id=x").body)
    assert.equal("the address of 'item' needs the parameter 'v'", get(server, "/wrong?name=item&id=1").body)
  end)
end)

describe("settings", function()
  it("are checked where luaserve reads them", function()
    assert.truthy(complaint('app:set("etag", 5)'):find('app.lua:3: the setting "etag" is "weak", "strong"', 1, true))
    local said = complaint('app:set("trust proxy", "10.0.0.0/64")')
    assert.truthy(said:find('app.lua:3: the setting "trust proxy" is', 1, true))
    assert.truthy(complaint('app:set("json spaces", -1)'):find("app.lua:3", 1, true))
    assert.truthy(complaint('app:set(1, 2)'):find("the name of a setting is a string", 1, true))
  end)

  it("indent and tag answers", function()
    local server = serve [[
      app:set("json spaces", 2):set("etag", "strong")
      app:get("/", function() return { a = 1 } end)]]
    local response = get(server, "/")
    assert.equal('{\n  "a": 1\n}', response.body)
    assert.equal(304, get(server, "/", { ["If-None-Match"] = response.headers.etag }).status)
  end)

  it("say where views are", function()
    local server = serve([[
      app:set("views", "pages")
      app:get("/", function(req, res) return res:render("hello", { name = "<kim>" }) end)
      app:get("/none", function(req, res) return res:render("none") end)]],
      { files = { ["pages/hello.html"] = "<p><%= name %></p>" } })
    local response = get(server, "/")
    assert.equal("<p>&lt;kim&gt;</p>", response.body)
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    assert.equal(500, get(server, "/none").status)
  end)
end)

describe("behind proxies", function()
  local APP = [[
    app:set("trust proxy", %s)
    app:get("/", function(req)
      return { ip = req.ip, ips = require("json").array(req.ips), host = req.hostname, protocol = req.protocol,
        secure = req.secure }
    end)]]

  local function ask(setting, headers)
    return cjson.decode(get(serve(APP:format(setting)), "/", headers).body)
  end

  local FORWARDED = { ["X-Forwarded-For"] = "6.6.6.6, 1.2.3.4, 10.0.0.7", ["X-Forwarded-Proto"] = "https",
    ["X-Forwarded-Host"] = "shop.example:8443", Host = "inner:80" }

  it("believes nobody unless told to", function()
    assert.same({ ip = "127.0.0.1", ips = {}, host = "inner", protocol = "http", secure = false },
      ask("nil", FORWARDED))
    assert.equal("127.0.0.1", ask("'10.0.0.0/8'", FORWARDED).ip)
  end)

  it("believes proxies by address, count, or function", function()
    assert.same({ ip = "1.2.3.4", ips = { "1.2.3.4", "10.0.0.7" }, host = "shop.example", protocol = "https",
      secure = true }, ask("{ 'loopback', '10.0.0.0/8' }", FORWARDED))
    assert.equal("10.0.0.7", ask("1", FORWARDED).ip)
    assert.equal("1.2.3.4", ask("2", FORWARDED).ip)
    assert.equal("6.6.6.6", ask("true", FORWARDED).ip)
    assert.equal("1.2.3.4", ask("function(ip, hop) return hop < 2 end", FORWARDED).ip)
    assert.equal("10.0.0.7", ask("'loopback, 10.0.0.0/30'", FORWARDED).ip)
  end)

  it("takes only addresses from X-Forwarded-For", function()
    local function ip(value) return ask("true", { ["X-Forwarded-For"] = value }).ip end
    assert.equal("127.0.0.1", ip("<script>"))
    assert.equal("9.9.9.9", ip("unknown, 9.9.9.9"))
    assert.equal("9.9.9.9", ip("9.9.9.9:1234"))
    assert.equal("2001:db8::1", ip("[2001:db8::1]:443"))
    assert.equal("::ffff:1.2.3.4", ip("::ffff:1.2.3.4"))
    assert.equal("127.0.0.1", ip("1.2.3.400"))
    assert.equal("127.0.0.1", ip(":::1"))
  end)
end)
