-- Which route answers which request, with which parameters.
local helper = require("spec.helper")
local cjson = require("cjson")

-- Serves an app that the Lua text defines.
local function serve(code, opts)
  return helper.serve('local luaserve = require "luaserve"\nlocal app = luaserve()\n' .. code
    .. "\nlocal server\nserver = app:listen(0, '127.0.0.1', function() print('port ' .. server:address().port) end)",
    opts)
end

local function body(server, path, method)
  return helper.request(server, { method = method or "GET", path = path }).body
end

-- What a script complains of that defines an app so, with its line.
local function complaint(code)
  local result = helper.run('local luaserve = require "luaserve"\nlocal app = luaserve()\n' .. code .. "\n")
  assert.equal(1, result.code, result.err)
  return (result.err:gsub("/%S+/app%.lua", "app.lua"):match("app%.lua:[^\n]*"))
end

describe("the router", function()
  it("serves all methods", function()
    local server = serve [[
      for _, verb in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        app[verb](app, "/", function() return verb end)
      end
      app:all("/all", function(req) return "all " .. req.method end)
      app:get("/all", function() return "get" end)
      app:method("PROPFIND", "/", function() return "dav" end)]]
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
      assert.equal(method:lower(), body(server, "/", method))
    end
    assert.equal("all POST", body(server, "/all", "POST"))
    assert.equal("get", body(server, "/all"))
    assert.equal("dav", body(server, "/", "PROPFIND"))
  end)

  it("finds parameters, each decoded once", function()
    local server = serve [[
      app:get("/users/:user/posts/:post", function(req) return req.params end)
      app:get("/v:major.:minor", function(req) return req.params end)
      app:get("/f/:name.json", function(req) return req.params end)
      app:get("/plain", function(req) return tostring(next(req.params)) end)]]
    local function params(path) return cjson.decode(body(server, path)) end
    assert.same({ user = "kim", post = "7" }, params("/users/kim/posts/7?user=x"))
    assert.same({ user = "a/b", post = "%41 +" }, params("/users/a%2Fb/posts/%2541%20+"))
    assert.same({ major = "1", minor = "20" }, params("/v1.20"))
    assert.same({ name = "a.b" }, params("/f/a.b.json"))
    assert.equal("nil", body(server, "/plain"))
    assert.equal(404, helper.get(server, "/f/.json").status)
    assert.equal(404, helper.get(server, "/users/kim/posts").status)
  end)

  it("answers 400 to malformed escapes", function()
    local server = serve [[app:get("/:x", function(req) return req.params.x end)]]
    for _, path in ipairs { "/%", "/%zz", "/a%4", "/%00", "/..%2Fetc" } do
      assert.equal(400, helper.get(server, path).status, path)
    end
  end)

  it("holds parameters to Lua patterns", function()
    local server = serve [[
      app:get("/n/:id(%d+)", function(req) return "number " .. req.params.id end)
      app:get("/n/:name(%l[%w-]*)", function(req) return "name " .. req.params.name end)
      app:get("/d/:y(%d%d%d%d)-:m(%d%d)", function(req) return req.params.y .. "/" .. req.params.m end)]]
    assert.equal("number 12", body(server, "/n/12"))
    assert.equal("name a-1", body(server, "/n/a-1"))
    assert.equal(404, helper.get(server, "/n/1a").status)
    assert.equal("2026/11", body(server, "/d/2026-11"))
    assert.equal(404, helper.get(server, "/d/26-11").status)
  end)

  it("knows optional segments and wildcards", function()
    local server = serve [[
      app:get("/:lang(%l%l)?/about", function(req) return "about " .. tostring(req.params.lang) end)
      app:get("/list/:page?", function(req) return "page " .. tostring(req.params.page) end)
      app:get("/files/*rest", function(req) return "[" .. req.params.rest .. "]" end)]]
    assert.equal("about nil", body(server, "/about"))
    assert.equal("about de", body(server, "/de/about"))
    assert.equal("page nil", body(server, "/list"))
    assert.equal("page nil", body(server, "/list/"))
    assert.equal("page 2", body(server, "/list/2"))
    assert.equal("[a/b c]", body(server, "/files/a/b%20c"))
    assert.equal("[a/]", body(server, "/files/a/"))
    assert.equal("[]", body(server, "/files"))
  end)

  it("prefers static text to parameters to wildcards, whatever the order", function()
    local server = serve [[
      app:get("/*rest", function() return "rest" end)
      app:get("/a/:id", function() return "param" end)
      app:get("/a/:id(%d+)", function() return "pattern" end)
      app:get("/a/new", function() return "static" end)
      app:get("/a/:id/x", function() return "deep" end)
      app:post("/a/new", function() return "post" end)
      app:put("/a/:id", function(req) return "put " .. req.params.id end)]]
    assert.equal("static", body(server, "/a/new"))
    assert.equal("param", body(server, "/a/newer"))
    assert.equal("pattern", body(server, "/a/7"))
    assert.equal("deep", body(server, "/a/new/x"))
    assert.equal("rest", body(server, "/a/new/y"))
    assert.equal("rest", body(server, "/a"))
    assert.equal("put new", body(server, "/a/new", "PUT"))
  end)

  it("resolves a path before it looks it up, so that every spelling meets the same route", function()
    local server = serve [[
      app:get("/admin", function() return "admin" end)
      app:get("/café", function() return "café" end)
      app:get("/b c", function() return "space" end)]]
    for _, path in ipairs { "/admin", "/admin/", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/x/%2e%2E/admin",
      "/admin?x", "/../admin" } do
      assert.equal("admin", body(server, path), path)
    end
    assert.equal("café", body(server, "/caf%C3%A9"))
    assert.equal("space", body(server, "/b%20c"))
    assert.equal(404, helper.get(server, "/Admin").status)
  end)

  it("finds the same however the path is written, whether it has to be decoded or not", function()
    local server = serve [[
      local function say(name)
        return function(req)
          local list = { name }
          for key, value in pairs(req.params) do list[#list + 1] = key .. "=" .. value end
          table.sort(list)
          return table.concat(list, " ")
        end
      end
      for _, path in ipairs { "/", "/a", "/a/b", "/a/:x", "/a/:x/c", "/:x/b", "/:x/:y/d", "/a/*rest", "/p/:id(%d+)/e",
        "/p/:name/e", "/p/q/:opt?", "/deep/*all" } do
        app:get(path, say(path))
      end
      app:post("/a/b", say "post")
      app:all("/a/b/c", say "all")]]
    local deep = "/deep" .. ("/x"):rep(60)
    for _, path in ipairs { "/", "/a", "/a/", "/a/b", "/a/c", "/a/b/c", "/a/x/c", "/a/x/y", "/a/x/y/", "/z/b", "/z/y/d",
      "/z/y/e", "/p/7/e", "/p/x/e", "/p/q", "/p/q/r", "/p/q/r/s", "/deep", "/deep/", deep, deep .. "/", "/none" } do
      for _, method in ipairs { "GET", "POST" } do
        local plain = helper.request(server, { method = method, path = path .. "?a=/.//%20" })
        local escaped = helper.request(server, { method = method, path = (path:gsub("(/)(%w)", function(slash, letter)
          return ("%s%%%02X"):format(slash, letter:byte())
        end, 1)) })
        local around = helper.request(server, { method = method, path = "/." .. path })
        assert.same({ plain.status, plain.body, path }, { escaped.status, escaped.body, path })
        assert.same({ plain.status, plain.body, path }, { around.status, around.body, path })
      end
    end
    assert.equal("/a/:x x=c", body(server, "/a/c"))
    assert.equal("/deep/*all all=" .. ("/x"):rep(60):sub(2), body(server, deep))
  end)

  it("takes targets in absolute form", function()
    local server = serve [[
      app:get("/", function() return "root" end)
      app:get("/x/:y", function(req) return req.params.y end)]]
    assert.equal("1", body(server, "http://a.example/x/1?z"))
    assert.equal("root", body(server, "http://a.example"))
  end)
end)

describe("where no route is", function()
  local server
  setup(function()
    server = serve [[
      app:get("/a", function() return "a" end)
      app:post("/a", function() return "posted" end)
      app:delete("/:id", function() return "gone" end)
      app:head("/own", function(req, res) res:setHeader("X-Own", "1") res:finish() end)]]
  end)

  it("answers 404", function()
    local response = helper.get(server, "/x/y")
    assert.equal(404, response.status)
    assert.equal("Not Found", response.body)
  end)

  it("answers 405 with Allow where other methods have one", function()
    local response = helper.request(server, { method = "PUT", path = "/a" })
    assert.equal(405, response.status)
    assert.equal("DELETE, GET, HEAD, OPTIONS, POST", response.headers.allow)
    assert.equal("DELETE, OPTIONS", helper.get(server, "/b").headers.allow)
  end)

  it("answers OPTIONS with Allow, also for the server as a whole", function()
    local response = helper.request(server, { method = "OPTIONS", path = "/a" })
    assert.equal(204, response.status)
    assert.equal("DELETE, GET, HEAD, OPTIONS, POST", response.headers.allow)
    assert.equal(404, helper.request(server, { method = "OPTIONS", path = "/x/y" }).status)
    response = helper.request(server, { method = "OPTIONS", path = "*" })
    assert.equal("DELETE, GET, HEAD, OPTIONS, POST", response.headers.allow)
  end)

  it("answers HEAD as GET does, without the body", function()
    local response = helper.request(server, { method = "HEAD", path = "/a" })
    assert.equal(200, response.status)
    assert.equal("1", response.headers["content-length"])
    assert.equal("", response.body)
    assert.equal("1", helper.request(server, { method = "HEAD", path = "/own" }).headers["x-own"])
  end)
end)

describe("mistakes in routes are errors where they are defined:", function()
  local function says(expected, code)
    local said = complaint(code)
    assert.truthy(said and said:find(expected, 1, true), ("%s\nsaid: %s"):format(code, tostring(said)))
  end

  it("what is no function", function()
    says("app.lua:4: GET /x needs functions, not nil", '\napp:get("/x", nil)')
    says("app.lua:3: GET /x needs a function", 'app:get("/x")')
    says("app.lua:3: POST /x needs functions, not 'index'", 'app:post("/x", "index")')
    says("app.lua:3: app:use needs functions, not a number", "app:use(1)")
    says("app.lua:3: app:use needs a function", "app:use('/x')")
  end)

  it("bad patterns", function()
    says("app.lua:3: bad path 'x': a path begins with '/'", 'app:get("x", print)')
    says("app.lua:3: bad path '/:id(%d+': a parenthesis is not closed", 'app:get("/:id(%d+", print)')
    says("the parameter 'a' is there twice", 'app:get("/:a/:a", print)')
    says("malformed pattern", 'app:get("/:id([a)", print)')
    says("a wildcard is the last segment", 'app:get("/*a/b", print)')
    says("a wildcard has a name", 'app:get("/*", print)')
    says("a ':' must be followed by the name of a parameter", 'app:get("/:", print)')
    says("a '?' stands behind a parameter", 'app:get("/a?", print)')
    says("only a whole segment can be optional", 'app:get("/a:b?", print)')
    says("a Lua pattern may hold no captures", 'app:get("/:a((%d)x)", print)')
    says("bad path a number: a path is a string, not number", "app:get(1, print)")
    says("a prefix has no optional segments", 'app:use("/:a?", print)')
  end)

  it("the same route twice", function()
    says("app.lua:4: GET /a/:y is defined twice: the first time at app.lua:3",
      'app:get("/a/:x", print)\napp:get("/a/:y", print)')
    says("app.lua:4: GET /list is defined twice: the first time at app.lua:3",
      'app:get("/list/:page?", print)\napp:get("/list", print)')
  end)

  it("the same route in a mounted app", function()
    says("app.lua:4: GET /x is defined twice: the first time at app.lua:3", [[app:get("/api/x", print)
local api = luaserve() api:get("/x", print)
app:mount("/api", api) app:listen(0)]])
    says("the parameter 'id' is there twice", [[local api = luaserve() api:get("/:id", print)
app:mount("/:id", api) app:listen(0)]])
  end)

  it("apps in themselves, names that are taken", function()
    says("app.lua:3: an app cannot be mounted in itself", "app:mount('/x', app)")
    says("app.lua:3: an app cannot be mounted in itself", "local b = luaserve() b:use(app) app:use(b)")
    says("app.lua:4: the name 'a' is taken by GET /a", 'app:get("/a", print):name("a")\napp:get("/b", print):name("a")')
  end)
end)

describe("a URL without a route", function()
  local TRACE = [[
    local function trace(name)
      return function(req, res, next)
        req.seen = (req.seen or "") .. name .. ":" .. req.path .. " "
        return next()
      end
    end
    local function done(req) return req.seen .. "end:" .. req.path end
  ]]

  it("runs the same middlewares each time, which see the same paths", function()
    local server = serve(TRACE .. [[
      app:get("/users/:id", function() return "user" end)
      app:use("/a", trace "a")
      app:use(trace "all")
      app:use("/a/b", trace "ab")
      app:post("/only-post", function() return "post" end)
      app:head("/only-head", function(_, res) res.statusCode = 204 return res:finish() end)
      app:use(done)]])
    for _ = 1, 3 do
      for path, want in pairs({
        ["/a/b/c?x=1"] = "a:/b/c all:/a/b/c ab:/c end:/a/b/c",
        ["/a"] = "a:/ all:/a end:/a",
        ["/a/"] = "a:/ all:/a/ end:/a/",
        ["/ab"] = "all:/ab end:/ab",
        ["/a/../q"] = "all:/q end:/q",
        ["/q/../a/b/"] = "a:/b/ all:/a/b/ ab:/ end:/a/b/",
        ["/%61/b"] = "a:/b all:/a/b ab:/ end:/a/b",
        ["/users"] = "all:/users end:/users",
        ["/users/../a"] = "a:/ all:/a end:/a",
        ["/only-head"] = "all:/only-head end:/only-head",
        ["/"] = "all:/ end:/",
      }) do
        assert.equal(want, body(server, path), path)
        local status = path == "/only-head" and 204 or 200
        assert.equal(status, helper.request(server, { method = "HEAD", path = path }).status)
      end
      assert.equal("user", body(server, "/users/7"))
      assert.equal("user", body(server, "/a/../users/7"))
      assert.equal("post", body(server, "/only-post", "POST"))
      assert.equal(204, helper.request(server, { method = "HEAD", path = "/only-head" }).status)
      assert.equal(400, helper.get(server, "/a/%zz").status)
    end
  end)

  it("follows a middleware that sets the URL or the path", function()
    local server = serve(TRACE .. [[
      app:use(function(req, res, next)
        if req.query.url then req.url = req.query.url end
        if req.query.path then req.path = req.query.path end
        return next()
      end)
      app:use("/a", trace "a")
      app:use("/b", trace "b")
      app:use(function(req) return (req.seen or "") .. "end" end)]])
    for _ = 1, 3 do
      assert.equal("a:/x end", body(server, "/a/x"))
      assert.equal("b:/y end", body(server, "/b/y"))
      assert.equal("a:/z end", body(server, "/a/x?path=/a/z"))
      assert.equal("end", body(server, "/a/x?url=/c"))
      assert.matches("^b:.* end$", body(server, "/a/x?url=/b/y"))
    end
  end)

  it("gives parameters of a prefix anew to each request", function()
    local server = serve [[
      app:use("/:lang/", function(req) return req.params.lang .. " " .. req.path end)]]
    for _ = 1, 3 do
      assert.equal("en /x", body(server, "/en/x"))
      assert.equal("de /", body(server, "/de"))
    end
  end)

  it("remembers a bounded number of them", function()
    local server = serve [[
      app:use("/files", function(req)
        if req.path == "/memory" then collectgarbage() return collectgarbage("count") .. "" end
        return req.path
      end)]]
    local function ask(from, to)
      for i = from, to do
        assert.equal(("/%d"):format(i), body(server, ("/files/%d"):format(i)))
      end
      return tonumber(body(server, "/files/memory"))
    end
    local before = ask(1, 600)
    assert.is_true(ask(601, 3000) - before < 300) -- KiB: 2,400 URLs would be 1,000
  end)
end)
