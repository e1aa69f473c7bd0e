-- The test client, and --routes: what helps those who write apps.
local helper = require("spec.helper")

local BEFORE = [[
local luaserve = require "luaserve"
local app = luaserve()
app:set("secret", "s")
app:get("/users/:id", function(req) return { id = req.params.id, ip = req.ip, x = req.headers["x-a"], q = req.query.q } end)
app:post("/users", function(req) return 201, req:json() end)
app:post("/form", function(req) return req:form() end)
app:post("/text", function(req) return req.headers["content-type"] .. " " .. req:text() end)
app:post("/file", function(req) local form = req:form() return form.name .. " " .. req.files.doc.filename .. " " .. req.files.doc.size end)
app:get("/in", function(req, res) res:cookie("u", "kim") return "in" end)
app:get("/out", function(req, res) res:clearCookie("u") return "out" end)
app:get("/who", function(req, res) return req.cookies.u or "nobody" end)
app:get("/chunks", function(req, res) res:write("a") setTimeout(function() res:write("b") res:finish("c") end, 1) end)
app:get("/cut", function(req, res) res:write("a") error("cut") end)
app:get("/boom", function() error("boom") end)
local t = luaserve.test(app)
]]

local function run(code)
  return helper.run(BEFORE .. code .. "\nprint('done')\n")
end

local function passes(code)
  local result = run(code)
  assert.equal("done\n", result.out, result.err)
  assert.equal(0, result.code)
end

local function fails(code)
  local result = run(code)
  assert.equal(1, result.code)
  return result.err
end

describe("luaserve.test", function()
  it("asks an app within the process, and ends with the script", function()
    passes [[
      t:get("/users/1"):query { q = "a b" }:set("X-A", "1"):expect(200, { id = "1", ip = "127.0.0.1", x = "1", q = "a b" })
        :expect("Content-Type", "application/json")
      t:post("/users"):send({ a = { 1, 2 } }):expect(201, { a = { 1, 2 } })
      t:post("/form"):form({ a = "1 2" }):expect({ a = "1 2" })
      t:post("/text"):send("hello"):expect("text/plain hello")
      t:post("/text"):send("x", "text/x"):expect("text/x x")
      t:post("/file"):attach("name", "kim"):attach("doc", "12345", "a.txt", "text/plain"):expect(200, "kim a.txt 5")
      t:head("/who"):expect(200, ""):expect("Content-Length", 6)
      t:options("/users"):expect(204):expect("allow", "OPTIONS, POST")
      t:get("/users/2"):expect(function(response) assert(response.status == 200 and response.body:find('"2"')) end)
      assert(t:get("/users/3"):json().id == "3" and t:get("/none").status == 404)
      assert(t:request("PUT", "/users").headers.allow == "OPTIONS, POST")]]
  end)

  it("keeps the cookies of each client", function()
    passes [[
      t:get("/who"):expect("nobody")
      t:get("/in"):expect(200)
      t:get("/who"):expect("kim")
      luaserve.test(app):get("/who"):expect("nobody")
      t:get("/out"):expect(200)
      t:get("/who"):expect("nobody")]]
  end)

  it("waits for what is sent later, and for several at a time", function()
    passes [[
      t:get("/chunks"):expect(200, "abc")
      local a, b = t:get("/chunks"), t:get("/users/1")
      assert(a.body == "abc" and b.status == 200)]]
  end)

  it("asks handlers and servers too", function()
    passes [[
      luaserve.test(function(req) return "plain " .. req.url end):get("/x"):expect("plain /x")
      luaserve.test(require("http").createServer(app)):get("/who"):expect("nobody")]]
  end)

  it("says what came instead, at the line that expected it", function()
    assert.truthy(fails('t:get("/none"):expect(200)'):find(
      "app.lua:%d+: GET /none: expected the status 200, found 404\n404: Not Found"))
    assert.truthy(fails('t:get("/who"):expect("kim")'):find('expected the body "kim", found "nobody"', 1, true))
    assert.truthy(fails('t:post("/users"):send({ a = 1 }):expect({ a = 2 })'):find(
      'expected JSON {"a":2}, found {"a":1}', 1, true))
    assert.truthy(fails('t:get("/who"):expect("X-None", "1")'):find('the header X-None to be "1", found nil', 1, true))
    assert.truthy(fails('t:get("/cut"):expect(200)'):find("GET /cut: the answer was cut off", 1, true))
    assert.truthy(fails('t:get("who")'):find("a request needs a path that begins with '/'", 1, true))
    assert.truthy(fails('luaserve.test(1)'):find("needs an app, a handler or a server, not a number", 1, true))
    assert.truthy(fails('t:get("/"):set("A", "b\\r\\nc")'):find("holds a line break", 1, true))
    local result = run('t:get("/boom"):expect(500)')
    assert.equal("done\n", result.out)
    assert.truthy(result.err:find("GET /boom", 1, true))
  end)
end)

describe("--routes", function()
  local function routes(code, files)
    return helper.run(code, { args = { "--routes" }, files = files })
  end

  it("prints what handles and what guards each route, and serves nothing", function()
    local result = routes([[
local luaserve = require "luaserve"
local app = require "inner"
local outer = luaserve()
outer:use(luaserve.cors())
outer:mount("/api", app)
outer:use("/s", luaserve.static("."))
outer:get("/", function() end, function() end)
outer:listen(0, function() print("listening") end)
setInterval(function() end, 1000)
print("noise")]], { ["inner.lua"] = [[
local app = require("luaserve")()
app:use(function() end)
app:get("/x/:id?", function() end):name("x")
return app]] })
    assert.equal(0, result.code, result.err)
    assert.equal("noise\n", result.err)
    local lines = {}
    for line in result.out:gmatch("[^\n]+") do lines[#lines + 1] = line:gsub("/%S+/", "", 0):gsub("  +", "|") end
    assert.same({
      "METHOD|PATH|NAME|HANDLER|GUARDED BY",
      "GET|/api/x/:id?|x|inner.lua:3|luaserve.cors (app.lua:4), inner.lua:2",
      "GET|/|app.lua:7|luaserve.cors (app.lua:4), app.lua:7",
      "-|(all else)|404|luaserve.cors (app.lua:4), inner.lua:2 below /api, luaserve.static (app.lua:6) below /s",
    }, lines)
  end)

  it("prints the routes of all apps", function()
    local result = routes('local l = require "luaserve"\nl():get("/a", print)\nl():get("/b", print)\nreturn 1 + 1')
    assert.truthy(result.out:find("^app of app.lua:2\n.*/a .*\n\napp of app.lua:3\n.*/b "))
  end)

  it("says so where there is no app, and what is wrong where there is a mistake", function()
    local result = routes("local x = (1)")
    assert.equal(1, result.code)
    assert.equal('luaserve: the script has made no app: require("luaserve")() makes one\n', result.err)
    result = routes('local app = require("luaserve")()\napp:get("/", nil)')
    assert.equal(1, result.code)
    assert.truthy(result.err:find("app.lua:2: GET / needs functions", 1, true))
  end)
end)
