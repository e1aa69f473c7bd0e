--- What an error in a handler is made into: lua/luaserve/trouble.lua.
local helper = require("spec.helper")

local APP = [[
local trouble, luaserve, json = require "luaserve.trouble", require "luaserve", require "json"
trouble.enable { caught = true }
local app, last = luaserve(), nil
trouble.listen(function(t) last = { table = t, text = trouble.text(t) } end)
local config = { place = "here", password = "hunter2" }
app:use(function(req, res, next) return next() end)
app:use("/other", function(req, res, next) return next() end)
local function find(id, ...)
  local user, token, files = nil, "s3cret", require "fs"
  local list = { 1, { deep = { deeper = { deepest = 1 } } } }
  list.self = list
  local odd = setmetatable({}, { __tostring = function() while true do end end, __name = "Odd" })
  return user.name .. config.place -- it fails here
end
app:get("/plain/:id", function(req) return (find(req.params.id, "more")) end)
app:get("/wait", function()
  require("timers").sleep(1)
  return (find("7"))
end)
app:get("/callback", function(req, res) setTimeout(function() find("7") end, 1) end)
app:get("/again", function()
  local ok, err = pcall(function() return (find("7")) end)
  error(err, 0)
end)
app:get("/wrapped", function()
  local f = coroutine.wrap(function() return (find("7")) end)
  f()
end)
app:get("/table", function() local x = 1; error({ a = 1 }) end)
app:get("/nil", function() local x = 1; error(nil) end)
app:get("/raising", function() error(setmetatable({}, { __tostring = function() error("no") end })) end)
app:get("/deep", function()
  local function f(n, ...) return 1 + f(n + 1, ...) end
  f(1, (table.unpack or unpack)({}, 1, 200)) -- so that fewer frames fill the stack
end)
app:get("/template", function(req, res)
  local ok, err = pcall(res.render, res, "bad", { user = "kim", token = "s3cret", list = { 1, 2 } })
  error(err, 0)
end)
app:get("/open", function(req, res) return res:render("open") end)
app:get("/busy", function() error(luaserve.error(503, "busy")) end)
app:get("/missing", function() error(luaserve.error(404, "missing")) end)
app:get("/loop", function() local n = 0; while true do n = n + 1; if n == -1 then print(n) end end end)
local outer = luaserve()
outer:get("/last", function()
  local found = last
  last = nil
  return found or {}
end)
outer:mount("/", app)
local server = require("http").createServer(outer):listen(0, function(server)
end)
server:on("listening", function() print("port " .. server:address().port) end)
]]

describe("the trouble of an error", function()
  local json = require("cjson")
  local server

  setup(function() server = helper.serve(APP, { args = { "--log", "/dev/null", "--cpu-budget", "0.5" },
    files = { ["views/bad.html"] = "<p>\n<% local near = 1 %><%= nobody.name %>\n",
      ["views/open.html"] = "<% if user then %>\n" } }) end)

  --- The trouble of a request for path.
  local function trouble_of(path, headers)
    helper.get(server, path, headers)
    local found = json.decode(helper.get(server, "/last").body)
    return found.table, found.text
  end

  local function local_of(frame, name)
    for _, pair in ipairs(frame.locals or {}) do
      if pair.name == name then return pair.value end
    end
  end

  local function first_own(t)
    for _, frame in ipairs(t.frames) do
      if not frame.own then return frame end
    end
  end

  local is_jit = (helper.run("print(jit and 'jit' or 'lua')").out):find("jit") ~= nil

  for _, path in ipairs { "/plain/7", "/wait", "/callback", "/again", "/wrapped" } do
    it("tells where it was raised: " .. path, function()
      local t, text = trouble_of(path)
      local frame = first_own(t)
      assert.matches("app.lua:13: attempt to index", t.message)
      assert.matches("app.lua$", frame.file)
      assert.equal(13, frame.line)
      assert.matches("it fails here", frame.source["13"])
      assert.matches(">   13 |", text, 1, true)
      if not is_jit then
        assert.equal('"7"', local_of(frame, "id"))
        assert.equal("nil", local_of(frame, "user"))
        assert.equal("[masked]", local_of(frame, "token"))
        assert.matches("circular", local_of(frame, "list"))
        assert.equal("Odd {}", local_of(frame, "odd"))
        assert.equal("module 'fs'", local_of(frame, "files"))
      end
    end)
  end

  it("tells of the request, with secrets masked, its route and the middlewares that ran", function()
    local t, text = trouble_of("/plain/7?token=abcdef&page=2", { Cookie = "sid=abcdef; a=1",
      Authorization = "Bearer abcdef", ["X-Api-Key"] = "abcdef", ["X-Other"] = "shown" })
    assert.equal("/plain/7?token=[masked]&page=2", t.request.url)
    assert.equal("GET", t.request.method)
    assert.equal("Bearer [masked]", t.request.headers.authorization)
    assert.equal("sid=[masked]; a=[masked]", t.request.headers.cookie)
    assert.equal("shown", t.request.headers["x-other"])
    assert.is_nil(json.encode(t):find("abcdef", 1, true))
    assert.is_nil(text:find("abcdef", 1, true))
    assert.same({ "GET", "/plain/:id" }, { t.route.method, t.route.path })
    assert.equal(1, #t.middleware)
    assert.matches("app.lua:6", t.middleware[1].at)
  end)

  it("shows what a template was given", function()
    local t, text = trouble_of("/template")
    local frame = first_own(t)
    assert.matches("views/bad.html$", frame.file)
    assert.same({ 2, "the template" }, { frame.line, frame.name })
    assert.equal('"kim"', local_of(frame, "user"))
    assert.equal("{ 1, 2 }", local_of(frame, "list"))
    assert.equal("[masked]", local_of(frame, "token"))
    assert.is_nil(local_of(frame, "_ENV"))
    assert.is_nil(local_of(frame, "__out"))
    if not is_jit then assert.equal("1", local_of(frame, "near")) end
    assert.matches('user = "kim"', text, 1, true)
  end)

  it("shows the end of a file where something is missing there", function()
    local frame = first_own(trouble_of("/open"))
    assert.matches("views/open.html$", frame.file)
    assert.same({ "<% if user then %>", "" }, frame.source) -- a list in this JSON
  end)

  it("takes any error value", function()
    assert.equal("{ a = 1 }", trouble_of("/table").value)
    assert.equal("1", local_of(first_own(trouble_of("/table")), "x"))
    assert.equal("nil", trouble_of("/nil").message)
    assert.equal("(error object is a table value)", trouble_of("/raising").message)
    local t = trouble_of("/busy")
    assert.same({ 503, "busy" }, { t.status, t.message })
  end)

  it("is bounded where the stack is deep", function()
    local t = trouble_of("/deep")
    assert.matches("stack overflow", t.message)
    assert.is_true(#t.frames < 60)
  end)

  it("is none where the client is at fault", function()
    assert.equal(404, helper.get(server, "/missing").status)
    assert.is_nil((trouble_of("/missing")))
  end)

  it("tells of a loop that was stopped", function()
    if is_jit then return end -- hooks do not reach compiled code
    local t = trouble_of("/loop")
    assert.equal(503, t.status)
    assert.matches("--cpu-budget", t.message, 1, true)
    local frame = first_own(t)
    assert.matches("while true do", frame.source[("%d"):format(frame.line)])
  end)
end)
