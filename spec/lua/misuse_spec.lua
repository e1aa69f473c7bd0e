-- What is said of a script that misuses what it is given: once for each place, with file and line.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local APP = [[
local luaserve, timers, fs = require "luaserve", require "timers", require "fs"
local native = require "luaserve.core.misuse"
if arg[1] == "watch" then native.watch() end
counter = 0
local app, list = luaserve(), {}
local function get(path, fn) app:get(path, fn) end
get("/", function() return "fine" end)
app:get("/counts", function()
  collectgarbage() collectgarbage()
  local counts = require("luaserve.core").counts()
  return ("exchanges %d\ncontexts %d\nslots %d\ncalls %d\n"):format(counts.exchanges, counts.contexts, counts.slots,
    counts.calls)
end)
]]

-- Handlers, and what is told of them; each stands in a file line of its own.
local function serve(code, opts)
  opts = opts or {}
  return helper.serve(APP .. code .. [[

local server
server = app:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]], { args = opts.args, script_args = { opts.mode or "watch" }, files = opts.files })
end

local FIRST = select(2, APP:gsub("\n", "")) + 1 -- the line of code's first

-- The place of the line of code that has that mark: "--mark".
local function line_in(code, mark)
  local before = code:sub(1, assert(code:find("%-%-" .. mark .. "%f[%W]"), mark))
  return "app%.lua:" .. FIRST + select(2, before:gsub("\n", "")) .. ": "
end

local function count(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

-- Asks, and does not wait for an answer.
local function start(server, path)
  local conn = helper.connect(server)
  conn:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n")
  return conn
end

-- Waits until all that was sent has been worked on.
local function settle(server)
  assert.equal("fine", helper.get(server, "/").body)
end

local GLOBALS = [[
  get("/made", function() made = 1 return tostring(made) end) --made
  get("/known", function() counter = counter + 1 return "" .. counter end)
  get("/raw", function() rawset(_G, "quiet", 1) return "" .. quiet end)
  get("/late", function() return "" .. require("late").value .. late_global end)
  get("/timer", function(req, res)
    setTimeout(function()
      from_timer = true --timer
      res:finish("later")
    end, 1)
  end)
  get("/many", function() for i = 1, 70 do _G["name" .. i] = i end return "" end)
  get("/read", function() return undeclared.field end) --read
  get("/call", function() return undeclared_function() end)]]

describe("a global that a request makes", function()
  local server
  local function line(mark) return line_in(GLOBALS, mark) end

  setup(function()
    server = serve(GLOBALS,
      { files = { ["late.lua"] = "late_global = 1\nlate_function = function() end\nreturn { value = late_global }" } })
  end)

  it("is told with its line, once, and made all the same", function()
    assert.equal("1", helper.get(server, "/made").body)
    assert.equal("1", helper.get(server, "/made").body)
    lab.wait_for_log(server, "warn: [^\n]*" .. line("made") .. "the global 'made' is made here")
    assert.equal("later", helper.get(server, "/timer").body)
    lab.wait_for_log(server, line("timer") .. "the global 'from_timer' is made here")
    assert.equal(1, count(server:stderr(), "'made'"))
  end)

  it("is none where the script has made it while it was loaded, by rawset, or in a module that loads late", function()
    assert.equal("1", helper.get(server, "/known").body)
    assert.equal("1", helper.get(server, "/raw").body)
    assert.equal("11", helper.get(server, "/late").body)
    assert.is_nil(server:stderr():match("counter") or server:stderr():match("quiet") or server:stderr():match("late_"))
  end)

  it("that is read is a nil whose error has its name", function()
    assert.equal(500, helper.get(server, "/read").status)
    lab.wait_for_log(server, line("read") .. "attempt to index [^\n]*undeclared")
    assert.equal(500, helper.get(server, "/call").status)
    lab.wait_for_log(server, "attempt to call [^\n]*undeclared_function")
  end)

  it("of many is told 64 times, and then counted", function()
    assert.equal(200, helper.get(server, "/many").status)
    lab.wait_for_log(server, "64 places of the script misuse what they are given[^\n]* 1 more times")
    assert.is_true(count(server:stderr(), "is made here") <= 64)
  end)

  it("is the script's own affair where that has given _G a metatable", function()
    local code = 'setmetatable(_G, { __newindex = function(_, name) error("no " .. name, 2) end })\n'
      .. 'get("/own", function() own = 1 end) --own'
    local strict = serve(code)
    assert.equal(500, helper.get(strict, "/own").status)
    assert.is_nil(strict:stderr():match("is made here"))
    lab.wait_for_log(strict, line_in(code, "own") .. "no own")
  end)
end)

-- What is told at once while a developer watches, and else when time or client are gone.
local LEAVING = [[
  get("/nothing", function(req, res) end) --nothing
  get("/half", function(req, res) res:write("half") end) --half
  get("/head", function(req, res) res:writeHead(200):flushHeaders() end) --head
  get("/listed", function(req, res) list[#list + 1] = res end) --listed
  get("/begun", function(req, res) res:write("x") list[#list + 1] = res end) --begun
  get("/later", function(req, res) setTimeout(function() res:finish("later") end, 5) end)
  get("/waits", function(req, res) timers.sleep(5) return "waited" end)
  get("/file", function(req, res) fs.readFile("app.lua", function() res:finish("read") end) end)
  get("/hooked", function(req, res) res:onFinish(function() print("hook " .. tostring(res.statusCode)) end) end) --hooked
  get("/cut", function(req, res) res:write("half") res:destroy() end)
  get("/cut-later", function(req, res) res:write("half") timers.sleep(5) return res:destroy() end)
  app:post("/event", function(req, res) req:on("end", function() res:finish("ended") end):resume() end)
  app:post("/data", function(req, res)
    local n = 0
    req:on("data", function(chunk) n = n + #chunk end):on("end", function() res:finish("" .. n) end)
  end)
  get("/answer-all", function() for _, res in ipairs(list) do res:finish("news") end list = {} return "told" end)
  local inner = luaserve()
  inner:use(function(req, res, next) if req.query.stop then return end return next() end) --front
  inner:get("/x", function() return "inner" end) --inner
  app:mount("/inner", inner)
  app:use("/silent", function(req, res, next) next() end, function() end) --silent
]]

describe("an answer that nobody can give any more", function()
  local function line(mark) return line_in(LEAVING, mark) end

  it("is told at once where a developer watches", function()
    local server = serve(LEAVING)
    local conns = {}
    for _, path in ipairs { "/nothing", "/nothing", "/half", "/head", "/hooked", "/inner/x?stop=1", "/silent" } do
      conns[#conns + 1] = start(server, path)
    end
    settle(server)
    lab.wait_for_log(server, line("nothing") ..
      "GET /nothing: the handler returned without an answer, and nothing it started")
    lab.wait_for_log(server, line("half") .. "GET /half: the handler has begun an answer and left it without an end")
    lab.wait_for_log(server, line("head") .. "GET /head: the handler has begun an answer")
    lab.wait_for_log(server, line("hooked") .. "GET /hooked: the handler returned without an answer")
    lab.wait_for_log(server, line("inner") .. "GET /inner/x%?stop=1: the handler %(in front of it: " ..
      line("front"):gsub(": $", "") .. "%) returned without an answer")
    lab.wait_for_log(server, line("silent") .. "GET /silent: ")
    assert.equal(1, count(server:stderr(), "GET /nothing"))
    for _, conn in ipairs(conns) do conn:close() end
    helper.wait_for(function() return server:stdout():match("hook 200") end, "the hook of a res that was looked for")
  end)

  it("is told at once with --watch, also by the code that was saved last", function()
    local server = helper.serve([[
      return function(req, res)
        if req.url == "/fine" then return "fine" end
      end]], { listen = true, args = { "--watch" } })
    local conn = start(server, "/")
    lab.wait_for_log(server, "app%.lua:1: GET /: the handler returned without an answer")
    assert.equal("fine", helper.get(server, "/fine").body)
    helper.write_file(server.script, [[

      return function(req, res)
        made = 1
        return "new"
      end]])
    helper.wait_for(function() return helper.get(server, "/fine").body == "new" end, "the new code")
    lab.wait_for_log(server, "app%.lua:3: the global 'made' is made here")
    conn:close()
  end)

  it("is none where something can still give it", function()
    local server = serve(LEAVING)
    local before = lab.counts(server)
    local listed, begun = start(server, "/listed"), start(server, "/begun")
    assert.equal("later", helper.get(server, "/later").body)
    assert.equal("waited", helper.get(server, "/waits").body)
    assert.equal("read", helper.get(server, "/file").body)
    assert.equal("ended", helper.request(server, { method = "POST", path = "/event", body = "x" }).body)
    assert.equal("3", helper.request(server, { method = "POST", path = "/data", body = "abc" }).body)
    assert.equal("told", helper.get(server, "/answer-all").body)
    assert.equal("news", listed:read_response().body)
    assert.equal("xnews", begun:read_response().body)
    assert.equal("", server:stderr())
    listed:close()
    begun:close()
    lab.wait_for_counts(server, before)
  end)

  it("is meant where the script has cut it off", function()
    for _, mode in ipairs { false, "" } do
      local server = serve(LEAVING, mode and { mode = mode })
      for _, path in ipairs { "/cut", "/cut-later" } do
        local conn = start(server, path)
        assert.is_true(conn:closed())
        conn:close()
      end
      assert.equal("later", helper.get(server, "/later").body)
      assert.equal("", server:stderr())
    end
  end)

  it("is told when the client or the time is gone, else", function()
    local server = serve(LEAVING, { mode = "", args = { "--handler-timeout", "0.2" } })
    local before = lab.counts(server)
    local half, begun = start(server, "/half"), start(server, "/begun")
    assert.equal(503, helper.get(server, "/nothing").status)
    assert.equal(503, helper.get(server, "/nothing").status)
    assert.equal(503, helper.get(server, "/listed").status)
    lab.wait_for_log(server, line("nothing") .. "GET /nothing: the handler returned without an answer")
    assert.is_nil(server:stderr():match("/half"))
    half:close()
    begun:close()
    lab.wait_for_log(server, line("half") .. "GET /half: the handler has begun an answer")
    assert.equal("told", helper.get(server, "/answer-all").body)
    assert.equal(1, count(server:stderr(), line("nothing")))
    assert.is_nil(server:stderr():match(line("listed")) or server:stderr():match(line("begun")))
    lab.wait_for_counts(server, before)
  end)
end)

local AGAIN = [[
  get("/finish", function(req, res)
    res:finish("first")
    res:finish("second") --finish
  end)
  get("/write", function(req, res)
    res:finish("first")
    timers.sleep(1)
    res:write("second") --write
  end)
  get("/json", function(req, res)
    res:json({ a = 1 })
    res:json({ b = 2 }) --json
  end)
  get("/both", function(req, res) --both
    res:send("first")
    return "second"
  end)
  get("/tail", function(req, res) --lost
    res:send("first")
    return res:finish("second") --tail
  end)
  get("/chained", function(req, res) return res:status(201):send("fine") end)
  get("/failed", function(req, res)
    setTimeout(function() error("first") end, 1)
    timers.sleep(20)
    res:finish("second")
  end)
  get("/status", function() return 201 end) --status
  get("/gone", function(req, res)
    res:on("close", function() res:finish("too late") print("closed") end)
    res:write("begun")
    timers.sleep(60000)
  end)]]

describe("a res that is used again", function()
  local server
  local function line(mark) return line_in(AGAIN, mark) end

  setup(function()
    server = serve(AGAIN)
  end)

  it("is told where it is used, and the first answer stands", function()
    for _, path in ipairs { "/finish", "/write", "/both", "/tail", "/finish" } do
      assert.equal("first", helper.get(server, path).body)
    end
    lab.wait_for_log(server, "warn: [^\n]*" .. line("finish") .. "GET /finish: res:finish after the answer has ended")
    lab.wait_for_log(server, line("write") .. "GET /write: res:write after the answer has ended")
    lab.wait_for_log(server, line("both") .. "GET /both: the handler returned an answer after it had sent one")
    lab.wait_for_log(server, line(lab.luajit and "lost" or "tail") ..
      "GET /tail: res:finish after the answer has ended")
    assert.equal(1, count(server:stderr(), "/finish: "))
    assert.equal('{"a":1}', helper.get(server, "/json").body)
    lab.wait_for_log(server, line("json") .. "Cannot set headers after they are sent")
  end)

  it("is no mistake where somebody else was first: a failure, or the client who went away", function()
    assert.equal(201, helper.get(server, "/chained").status)
    assert.equal(500, helper.get(server, "/failed").status)
    local conn = start(server, "/gone")
    conn:read_until("begun", true)
    conn:reset()
    helper.wait_for(function() return server:stdout():match("closed") end, "the close of a request")
    settle(server)
    local before = server:stderr()
    assert.is_nil(before:match("/chained") or before:match("/failed: res") or before:match("/gone"))
  end)

  it("is told of a status that was returned alone", function()
    local conn = start(server, "/status")
    lab.wait_for_log(server, line("status") .. "GET /status: the handler returned 201 alone, which is no answer yet")
    conn:close()
    settle(server)
    assert.equal(1, count(server:stderr(), "/status"))
  end)
end)

local BODIES = [[
  app:post("/ignored", function(req, res) return "saved" end) --ignored
  app:put("/chunked", function(req, res) return "saved" end) --chunked
  app:patch("/late", function(req, res) timers.sleep(2) res:finish("saved") end) --late
  app:post("/json", function(req, res) return req:json() end) --json
  app:post("/text", function(req, res) res:finish("early") req:text() end) --text
  app:post("/resumed", function(req, res) req:resume() return "not wanted" end) --resumed
  app:post("/refused", function(req, res) return 403, "no" end) --refused
  app:post("/elsewhere", function(req, res) return res:redirect("/") end) --elsewhere
  app:delete("/deleted", function(req, res) return "gone" end) --deleted
  app:post("/schema", luaserve.validate { body = { type = "object", properties = { a = { type = "integer" } } } }, function(req) return "checked" end) --schema
]]

describe("a body that nobody reads", function()
  local server
  local function line(mark) return line_in(BODIES, mark) end

  setup(function()
    server = serve(BODIES)
  end)

  local function send(method, path, body, headers)
    return helper.request(server, { method = method, path = path, body = body, headers = headers })
  end

  it("is told of routes whose point is the body and that answered as if all was well", function()
    assert.equal("saved", send("POST", "/ignored", "a=1").body)
    assert.equal("saved", send("POST", "/ignored", "a=2").body)
    lab.wait_for_log(server, line("ignored") ..
      "POST /ignored: the handler answered 200 and read nothing of the request's "
      .. "body %(3 bytes%)")
    assert.equal("saved", send("PATCH", "/late", "abc").body)
    lab.wait_for_log(server, line("late") .. "PATCH /late")
    assert.equal(1, count(server:stderr(), "/ignored"))
  end)

  it("is told over chunks that have not come to their end", function()
    local conn = helper.connect(server)
    conn:send("PUT /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    assert.equal("saved", conn:read_response().body)
    conn:send("0\r\n\r\n")
    lab.wait_for_log(server, line("chunked") .. "PUT /chunked: [^\n]*%(in chunks%)")
  end)

  it("is no mistake where it was read, waved away or empty, or where the answer is another", function()
    assert.equal('{"a":1}', send("POST", "/json", '{"a":1}', { ["Content-Type"] = "application/json" }).body)
    assert.equal("early", send("POST", "/text", "abc").body)
    assert.equal("not wanted", send("POST", "/resumed", "abc").body)
    assert.equal(403, send("POST", "/refused", "abc").status)
    assert.equal(302, send("POST", "/elsewhere", "abc").status)
    assert.equal("gone", send("DELETE", "/deleted", "abc").body)
    assert.equal("checked", send("POST", "/schema", '{"a":1}', { ["Content-Type"] = "application/json" }).body)
    settle(server)
    for mark in BODIES:gmatch("%-%-(%w+)\n") do
      local told = mark == "ignored" or mark == "late" or mark == "chunked"
      if not told then assert.is_nil(server:stderr():match(line(mark)), server:stderr()) end
    end
  end)
end)

describe("an app that nothing serves", function()
  local MADE = [[
local luaserve = require "luaserve"
local part = luaserve()
part:get("/", function() return "part" end)
local app = luaserve()
app:mount("/part", part)
%s]]

  local function err_of(code)
    local ran = helper.run(MADE:format(code))
    assert.equal(0, ran.code)
    return ran.err
  end

  it("is told when the script has ended, with the line that makes it", function()
    local told = "app.lua:4: the app that is made here is not served: end the script with return app"
    assert.matches(told, err_of(""), 1, true)
  end)

  it("is told, once, where the process goes on", function()
    local _, n = err_of('setTimeout(function() console.log("done") end, 1200)'):gsub("is not served", "")
    assert.equal(1, n)
  end)

  it("is no mistake where it is asked without a port, or listens in a callback", function()
    assert.equal("", err_of('require("luaserve.test")(app):get("/part"):expect(200)'))
    assert.equal("", err_of('setTimeout(function() local s s = app:listen(0, function() s:close() end) end, 5)'))
    assert.equal("", err_of("process.exit(0)"))
  end)

  it("is none that has nothing to serve", function()
    assert.equal("", helper.run('local app = require("luaserve")()').err)
  end)
end)
