--- --watch: new code as soon as a file is saved, over the same socket, with the old code as long as the new one fails.
local helper = require("spec.helper")

local ROUTES = 'return { text = "one" }\n'

local APP = [[
local luaserve, store = require "luaserve", require "store"
local app, routes, notes = luaserve(), require "routes", store.open("notes")
app:use(luaserve.helmet { csp = true })
app:use("/files", luaserve.static("public"))
app:set("views", "views")
app:get("/", function() return "<!doctype html><title>page</title><p>" .. routes.text end)
app:get("/pid", function() return tostring(process.pid) end)
app:get("/squeezed", luaserve.compress { threshold = 0 }, function()
  return "<!doctype html><p>" .. ("squeezed "):rep(100)
end)
app:get("/fragment", function() return "<p>part</p>" end)
app:get("/text", function() return "plain" end)
app:get("/view", function(req, res) res:render("view", { name = "kim" }) end)
app:get("/streamed", function(req, res)
  res:setHeader("Content-Type", "text/html")
  res:write("<!doctype html><p>streamed")
  res:finish("<p>end")
end)
app:get("/sized", function(req, res)
  local body = "<!doctype html><p>sized"
  res:writeHead(200, { ["Content-Type"] = "text/html", ["Content-Length"] = #body })
  res:finish(body)
end)
app:get("/coded", function(req, res)
  res:setHeader("Content-Type", "text/html")
  res:setHeader("Content-Encoding", "x-odd")
  res:finish("<!doctype html><p>coded")
end)
app:get("/note", function() return tostring(notes:incr("n", 1)) end)
app:get("/boom/:id", function(req, res)
  res:setHeader("Access-Control-Allow-Origin", "*")
  local password, user = "hunter2", nil
  return user.name
end)
app:get("/attack", function() error("<script>alert(1)</script>", 0) end)
app:get("/wrong", function(req, res) return res:render("wrong") end)
app:get("/refused", function() error(luaserve.error(404, "no such thing")) end)
return app
]]

local FILES = { ["routes.lua"] = ROUTES,
  ["views/wrong.html"] = "<%= nobody.name %>\n", ["elsewhere/words.lua"] = 'return "linked one"\n',
  ["views/view.html"] = "<!doctype html><p>hello <%= name %>",
  ["public/page.html"] = "<!doctype html><p>a file", ["public/style.css"] = "p { color: red }" }

local TAG = '<script src="/.luaserve/watch.js" data-page='

local function serve(code, files, args)
  local all = { "--watch" }
  for _, argument in ipairs(args or {}) do table.insert(all, argument) end
  return helper.serve(code, { args = all, listen = true, files = files, timeout = 15 })
end

local function save(server, name, text)
  local path = server.dir .. "/" .. name
  helper.write_file(path .. "~", text)
  assert(os.rename(path .. "~", path)) -- as editors do
end

local function body_of(server, path) return helper.get(server, path).body end

local function wait_for_body(server, path, text)
  helper.wait_for(function() return body_of(server, path):find(text, 1, true) end, path .. " to say " .. text, 15)
end

describe("--watch", function()
  local server

  setup(function() server = serve(APP, FILES) end)

  it("serves new code when a file is saved that was required", function()
    assert.matches("one", body_of(server, "/"))
    local pid = body_of(server, "/pid")
    save(server, "routes.lua", 'return { text = "two" }\n')
    wait_for_body(server, "/", "two")
    assert.are_not.equal(pid, body_of(server, "/pid"))
    assert.matches("reloaded in %d+ ms: routes.lua", server:stderr())
  end)

  it("follows links to the files that they lead to", function()
    assert.is_true(os.execute(("ln -s elsewhere/words.lua %s/linked.lua"):format(server.dir)) and true)
    save(server, "routes.lua", 'return { text = require("linked") }\n')
    wait_for_body(server, "/", "linked one")
    save(server, "elsewhere/words.lua", 'return "linked two"\n')
    wait_for_body(server, "/", "linked two")
    save(server, "routes.lua", 'return { text = "two" }\n')
    wait_for_body(server, "/", "two")
  end)

  it("keeps the store", function()
    assert.equal("1", body_of(server, "/note"))
    save(server, "routes.lua", 'return { text = "three" }\n')
    wait_for_body(server, "/", "three")
    assert.equal("2", body_of(server, "/note"))
  end)

  it("refuses no connection meanwhile, and takes many files as one change", function()
    local before = select(2, server:stderr():gsub("reloaded in", ""))
    for i = 1, 30 do save(server, "routes.lua", ('return { text = "many %d." }\n'):format(i)) end
    helper.wait_for(function()
      local response = helper.get(server, "/") -- raises where the connection is refused
      assert.equal(200, response.status)
      return response.body:find("many 30.", 1, true)
    end, "the last of many changes", 15)
    assert.is_true(select(2, server:stderr():gsub("reloaded in", "")) - before < 20)
  end)

  it("goes on with the old code where the new one fails, and says where", function()
    save(server, "routes.lua", 'return { text = "broken\n')
    server:wait_output("routes.lua:1: unfinished string", 15)
    server:wait_output("the old code goes on", 15)
    assert.matches(">    1 | return { text = \"broken", server:stderr(), 1, true)
    assert.matches("many 30.", body_of(server, "/"), 1, true)
    local trouble = helper.get(server, "/.luaserve/trouble", { Accept = "text/html" }).body
    assert.matches("unfinished string", trouble)
    save(server, "routes.lua", 'return { text = "mended" }\n')
    wait_for_body(server, "/", "mended")
    assert.is_nil(helper.get(server, "/.luaserve/trouble").body:find("unfinished", 1, true))
  end)

  it("goes on with the old code where the new one makes an app and serves none", function()
    save(server, "app.lua", (APP:gsub("return app%s*$", "")))
    server:wait_output("the old code goes on: [^\n]*app.lua:2: the app that is made here is not served", 15)
    assert.matches("mended", body_of(server, "/"), 1, true)
    local trouble = helper.get(server, "/.luaserve/trouble", { Accept = "text/html" }).body
    assert.matches("end the script with return app", trouble, 1, true)
    assert.is_nil(trouble:find("_exit", 1, true))
    save(server, "app.lua", APP .. "-- again\n")
    helper.wait_for(function()
      return not helper.get(server, "/.luaserve/trouble").body:find("return app", 1, true)
    end, "the mended script", 15)
  end)

  it("waits for a module that is missing", function()
    save(server, "routes.lua", 'return { text = require("words").text }\n')
    server:wait_output("module 'words' not found", 15)
    save(server, "words.lua", 'return { text = "found" }\n')
    wait_for_body(server, "/", "found")
    save(server, "routes.lua", ROUTES)
    wait_for_body(server, "/", "one")
  end)

  it("has templates reload, too", function()
    assert.matches("hello kim", body_of(server, "/view"))
    save(server, "views/view.html", "<!doctype html><p>good bye <%= name %>")
    wait_for_body(server, "/view", "good bye kim")
    save(server, "views/view.html", "<!doctype html>\n<p>never closed <% if x then %>")
    wait_for_body(server, "/view", ">    2 | <p>never closed")
    local pid = body_of(server, "/pid")
    save(server, "views/view.html", FILES["views/view.html"])
    helper.wait_for(function() return body_of(server, "/pid") ~= pid end, "the new code", 15)
    wait_for_body(server, "/view", "hello kim")
  end)

  it("tells pages of changed files, without new code", function()
    local pid = body_of(server, "/pid")
    local conn = helper.connect(server)
    conn:send("GET /.luaserve/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
    conn:read_until('"styles":%d+')
    save(server, "public/style.css", "p { color: blue }")
    conn:read_until('"styles":[1-9]')
    save(server, "public/page.html", "<!doctype html><p>changed")
    conn:read_until('"generation":"%x+%-%d+"')
    assert.matches("changed", body_of(server, "/files/page.html"))
    assert(os.execute("mkdir -p " .. server.dir .. "/public/new/deep"))
    conn:read_until('"generation":"%x+%-%d+"')
    local function generation() return tonumber(body_of(server, "/"):match('data%-page="%x+%-(%d+)"')) end
    local before = generation()
    helper.wait_for(function() -- each of them is a change, whenever the folder came to be watched
      helper.write_file(server.dir .. "/public/new/deep/more.html", "<!doctype html><p>more")
      return generation() >= before + 4
    end, "changes in a new folder", 15)
    assert.equal("no-cache", helper.get(server, "/files/style.css").headers["cache-control"])
    assert.equal(pid, body_of(server, "/pid"))
    conn:close()
  end)

  it("puts its script behind pages, and behind nothing else", function()
    for _, path in ipairs { "/", "/view", "/streamed", "/sized", "/files/page.html" } do
      local response = helper.get(server, path)
      assert.matches(TAG, response.body, 1, true)
      assert.equal("no-store", response.headers["cache-control"])
      assert.is_nil(response.headers.etag)
    end
    for _, path in ipairs { "/fragment", "/text", "/coded", "/files/style.css", "/pid" } do
      assert.is_nil(body_of(server, path):find(TAG, 1, true), path)
    end
    assert.matches(TAG, helper.get(server, "/fragment", { ["Sec-Fetch-Dest"] = "document" }).body, 1, true)
    assert.is_nil(helper.get(server, "/", { ["Sec-Fetch-Dest"] = "empty" }).body:find(TAG, 1, true))
    assert.equal("gzip", helper.get(server, "/squeezed", { ["Accept-Encoding"] = "gzip" }).headers["content-encoding"])
    assert.matches(TAG, helper.get(server, "/squeezed").body, 1, true)
    local head = helper.request(server, { method = "HEAD", path = "/files/page.html" })
    assert.equal("", head.body)
    assert.matches("javascript", helper.get(server, "/.luaserve/watch.js").headers["content-type"])
  end)

  describe("the error page", function()
    local cjson = require("cjson")
    local HTML = { Accept = "text/html,*/*;q=0.8" }

    it("shows the source, locals, request, route and middlewares", function()
      local response = helper.get(server, "/boom/7?token=abcdef", { Accept = "text/html", Cookie = "sid=abcdef" })
      assert.equal(500, response.status)
      assert.matches("^text/html", response.headers["content-type"])
      assert.is_nil(response.headers["access-control-allow-origin"])
      assert.matches("script-src 'self'", response.headers["content-security-policy"], 1, true)
      for _, text in ipairs { "attempt to index", "local</b> password, user", "<td>user</td><td>nil</td>",
        "/boom/:id", "luaserve.helmet", "[masked]", TAG } do
        assert.matches(text, response.body, 1, true)
      end
      assert.is_nil(response.body:find("abcdef", 1, true))
      assert.is_nil(response.body:find("<td>&quot;hunter2", 1, true))
    end)

    it("is JSON for those who ask for it, and text for others", function()
      local response = helper.get(server, "/boom/7", { Accept = "application/json" })
      local t = cjson.decode(response.body)
      assert.equal(500, response.status)
      assert.matches("attempt to index", t.message)
      assert.equal("/boom/:id", t.route.path)
      local first = helper.get(server, "/wrong", { Accept = "application/json" }).body
      assert.matches('"source":{"1":"<%= nobody.name %>"}', first, 1, true) -- no list, from line 1 on, too
      local text = helper.get(server, "/boom/7", { Accept = "*/*" })
      assert.matches("^text/plain", text.headers["content-type"])
      assert.matches("route GET /boom/:id", text.body, 1, true)
    end)

    it("escapes what it shows", function()
      local body = helper.get(server, "/attack?<script>alert(2)</script>",
        { Accept = "text/html", ["X-Bad"] = "<script>alert(3)</script>" }).body
      assert.is_nil(body:find("<script>alert", 1, true))
      assert.matches("&lt;script&gt;alert(1)", body, 1, true)
      assert.matches("&lt;script&gt;alert(3)", body, 1, true)
    end)

    it("leaves errors of the client alone", function()
      local response = helper.get(server, "/refused", HTML)
      assert.equal(404, response.status)
      assert.is_nil(response.body:find("Locals", 1, true))
    end)

    it("is for this machine alone", function()
      for _, headers in ipairs { { ["X-Forwarded-For"] = "192.0.2.1" }, { Forwarded = "for=192.0.2.1" },
        { Host = "evil.example" }, { Host = "localhost.evil.example" }, { Host = "127.0.0.1.evil.example:80" } } do
        headers.Accept = "text/html"
        local response = helper.get(server, "/boom/7", headers)
        assert.equal(500, response.status)
        assert.is_nil(response.body:find("password", 1, true))
        assert.is_nil(response.body:find("boom", 1, true))
        assert.equal(403, helper.get(server, "/.luaserve/trouble", headers).status)
      end
      for _, host in ipairs { "localhost:8080", "app.localhost", "[::1]:8080", "127.0.0.1" } do
        assert.matches("password", helper.get(server, "/boom/7", { Host = host, Accept = "text/html" }).body)
      end
    end)
  end)

  it("ends at once on SIGTERM, open streams or not", function()
    local conn = helper.connect(server)
    conn:send("GET /.luaserve/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
    conn:read_until("generation")
    assert.equal(0, (server:stop()))
    conn:close()
  end)
end)

describe("--watch", function()
  it("takes another port when the script does", function()
    local code = [[
require("http").createServer(function(req, res) res:finish("first") end)
  :listen(%s, function(server) print("port " .. %d) end)
]]
    local ports = {}
    for i = 1, 2 do
      local probe = helper.serve([[local s = require("http").createServer(print)
s:listen(0, function() print("port " .. s:address().port) end)]])
      ports[i] = probe.port
      probe:stop()
    end
    local server = serve(code:format(ports[1], ports[1]))
    assert.equal("first", body_of(server, "/"))
    save(server, "app.lua", (code:format(ports[2], ports[2]):gsub("first", "second")))
    helper.wait_for(function()
      local ok, response = pcall(helper.get, ports[2], "/")
      return ok and response.body == "second"
    end, "the new port", 15)
    helper.wait_for(function() return not pcall(helper.get, ports[1], "/") end, "the old port to be given up", 15)
  end)

  it("shows what is wrong on the port that the script names, and takes a port over for another host", function()
    local probe = helper.serve([[local s = require("http").createServer(print)
s:listen(0, function() print("port " .. s:address().port) end)]])
    local port = probe.port
    probe:stop()
    local code = [[
require("http").createServer(function(req, res)
  if req.url == "/boom" then error("it is broken") end
  res:finish("served")
end):listen(%d%s)%s
]]
    local server = helper.serve(code:format(port, "", " )"), { args = { "--watch" }, timeout = 15,
      ready = "listening on http://localhost:" .. port })
    assert.matches("does not start", helper.get(port, "/", { Accept = "text/html" }).body)
    save(server, "app.lua", code:format(port, ', "127.0.0.1"', ""))
    local function served()
      local ok, response = pcall(helper.get, port, "/")
      return ok and response.body == "served"
    end
    helper.wait_for(served, "the script", 15)
    assert.matches("it is broken", helper.get(port, "/boom").body) -- without an app, too
    save(server, "app.lua", (code:format(port, "", ""):gsub("served", "served anew")))
    helper.wait_for(function()
      local ok, response = pcall(helper.get, port, "/")
      return ok and response.body == "served anew"
    end, "the script, on all hosts", 15)
  end)

  it("shows what is wrong from the first start, and serves when it is mended", function()
    local server = serve('return function(req, res)\n  res:finish("x"\nend\n')
    local response = helper.get(server, "/any", { Accept = "text/html" })
    assert.equal(500, response.status)
    assert.matches("does not start", response.body)
    assert.matches("app.lua", response.body)
    assert.matches("near", response.body)
    save(server, "app.lua", 'return function(req, res)\n  res:finish("mended")\nend\n')
    wait_for_body(server, "/any", "mended")
  end)

  it("runs a script again that serves nothing, or has ended", function()
    local server = helper.serve('print("ran once")', { args = { "--watch" }, ready = "ran once", timeout = 15 })
    save(server, "app.lua", 'print("ran twice")\nprocess.exit(0)')
    server:wait_output("ran twice", 15)
    save(server, "app.lua", 'print("ran a third time")')
    server:wait_output("ran a third time", 15)
  end)

  it("is one worker", function()
    local result = helper.run('print(1)', { args = { "--watch", "--workers", "2" } })
    assert.equal(2, result.code)
    assert.matches("leave --workers out", result.err, 1, true)
  end)

  it("has no part in a server without it", function()
    local server = helper.serve(APP, { listen = true, files = FILES, args = { "--log", "/dev/null" } })
    assert.is_nil(body_of(server, "/"):find(TAG, 1, true))
    assert.equal(404, helper.get(server, "/.luaserve/watch.js").status)
    assert.equal("Internal Server Error", helper.get(server, "/boom/7", { Accept = "text/html" }).body)
  end)
end)
