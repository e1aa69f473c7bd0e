-- luaserve replay: a request that was kept is run again, or becomes a spec.
local helper = require("spec.helper")
local cjson = require("cjson")

local APP = [[
local luaserve = require "luaserve"
local app = luaserve()
app:post("/orders", function(req)
  local order = req:json()
  local total = order.price * order.count
  return { total = total, by = req.cookies.sid, token = req.query.token, password = order.password }
end)
app:get("/hang", function() require("timers").sleep(60000) end)
app:get("/twice", function(req, res)
  leaked = 1
  res:finish("fine")
end)
return app
]]

local RECORD = {
  ["luaserve record"] = 1, method = "POST", url = "/orders?token=[masked]&page=1", httpVersion = "1.1", status = 500,
  answered = true, time = "2026-01-02T03:04:05Z",
  error = { "app.lua:5: attempt to perform arithmetic", "stack traceback:" },
  headers = { { "Host", "shop.example" }, { "Content-Type", "application/json" }, { "Content-Length", "44" },
    { "Cookie", "sid=[masked]; theme=dark" }, { "X-Odd", 'a"b\\c' } },
  body = { bytes = 44, text = '{"price":3,"password":"[masked]"}' },
  masked = { "query token", "header Cookie", "body password" },
}

local function with(changes)
  local record = {}
  for name, value in pairs(RECORD) do record[name] = value end
  for name, value in pairs(changes or {}) do record[name] = value end
  return record
end

local function run(args, files, options)
  local all = { ["app.lua"] = APP, ["kept.json"] = cjson.encode(RECORD) }
  for name, text in pairs(files or {}) do all[name] = type(text) == "table" and cjson.encode(text) or text end
  local list = {}
  for _, arg in ipairs(options or {}) do list[#list + 1] = arg end
  list[#list + 1] = "replay"
  for _, arg in ipairs(args) do list[#list + 1] = arg end
  return helper.run(nil, { args = list, files = all, timeout = 30 })
end

-- A folder in which app.lua has failed as a request asked it to; the only record's path.
local function keep(request, app)
  local dir = helper.tmpdir()
  local server = helper.serve(app or APP, { listen = true, args = { "--record", dir, "--handler-timeout", "0.3" } })
  helper.request(server, request)
  helper.wait_for(function() return server:stderr():match("kept ") end, "a record")
  return server:stderr():match(": (" .. dir:gsub("%p", "%%%0") .. "/%S+)")
end

describe("luaserve replay", function()
  it("runs a request that was kept once more, and shows what is wrong, until it is not", function()
    local file = keep { method = "POST", path = "/orders?token=t0p", body = '{"price":3,"password":"t0p"}',
      headers = { ["Content-Type"] = "application/json", Cookie = "sid=t0p" } }
    local result = run { file, "app.lua" }
    assert.equal(1, result.code, result.err)
    assert.matches("^POST /orders%?token=%[masked%]\n  was answered 500 on %S+ to 127%.0%.0%.1\n", result.out)
    assert.matches('\n  hidden: header Cookie; give it with --header "Cookie: ..."\n', result.out, 1, true)
    assert.matches("\n  hidden: query token; give it with --set token=...\n", result.out, 1, true)
    assert.matches("app%.lua:5: attempt to perform arithmetic on [^\n]*count", result.out)
    assert.matches("order = { [^\n]*price = 3", result.out) -- on LuaJIT, too
    assert.matches("\n500 Internal Server Error\n", result.out)
    local fixed = APP:gsub("order%.count", "(order.count or 1)")
    result = run({ file, "app.lua" }, { ["app.lua"] = fixed })
    assert.equal(0, result.code, result.err)
    assert.matches("\n200 OK\n", result.out)
    assert.matches('"total":3', result.out, 1, true)
    assert.is_nil((result.out .. result.err):find("t0p", 1, true))
  end)

  it("takes what was hidden, and other headers", function()
    local fixed = APP:gsub("order%.count", "(order.count or 1)")
    local result = run({ "--set", "token=a b&c", "--set=password=say \"hi\" %1", "--set", "sid=77", "--header",
      "X-Odd: new", "kept.json", "app.lua" }, { ["app.lua"] = fixed })
    assert.equal(0, result.code, result.out .. result.err)
    assert.is_nil(result.out:find("hidden:", 1, true))
    local answer = cjson.decode(result.out:match("(%b{})\n$"))
    assert.same({ total = 3, by = "77", token = "a b&c", password = 'say "hi" %1' }, answer)
    result = run({ "--header", "Cookie: sid=whole", "kept.json", "app.lua" }, { ["app.lua"] = fixed })
    assert.matches('"by":"whole"', result.out, 1, true)
    result = run { "--set", "none=1", "kept.json", "app.lua" }
    assert.equal(2, result.code)
    assert.matches("nothing of that name was hidden in kept.json; what was: query token, header Cookie, body password",
      result.err, 1, true)
  end)

  it("says where a handler waits that takes too long, and which mistakes are made on the way", function()
    local result = run({ "kept.json", "app.lua" }, {
      ["kept.json"] = with { method = "GET", url = "/hang", body = cjson.null } },
      { "--handler-timeout", "0.2" })
    assert.equal(1, result.code)
    assert.matches("app%.lua:8: in function", result.out)
    assert.matches("\n503 Service Unavailable\n", result.out)
    result = run({ "kept.json", "app.lua" }, {
      ["kept.json"] = with { method = "GET", url = "/twice", body = cjson.null } })
    assert.equal(0, result.code)
    assert.matches("the global 'leaked' is made here", result.err)
  end)

  it("finds the app of a script that listens itself, and listens nowhere", function()
    local script = [[
      local server = require("http").createServer(function(req, res)
        res:finish("from " .. req.method .. " " .. arg[1])
      end)
      print("starting")
      server:listen(8080, function() print("listening") end)]]
    local result = run({ "kept.json", "app.lua", "argument" }, { ["app.lua"] = script })
    assert.equal(0, result.code, result.err)
    assert.matches("from POST argument\n$", result.out)
    assert.is_nil(result.out:match("starting") or result.err:match("listening\n"))
    local app = 'local app = require("luaserve")()\napp:post("/orders", function() return "made" end)\napp:listen(8080)'
    assert.matches("\nmade\n$", run({ "kept.json", "app.lua" }, { ["app.lua"] = app }).out)
  end)

  it("shows bytes that a terminal would obey as what they are", function()
    local app = 'return function(req, res) res:finish("\\27]0;title\\7") end'
    assert.matches("\n\\x1b]0;title\\x07\n$", run({ "kept.json", "app.lua" }, { ["app.lua"] = app }).out)
  end)

  local function refuses(pattern, code, args, files)
    local result = run(args, files)
    assert.equal(code, result.code, result.out .. result.err)
    assert.matches(pattern, result.err)
    assert.is_nil(result.err:find("traceback", 1, true))
  end

  it("refuses what is no record, and says what is one", function()
    refuses("cannot read none.json: ENOENT", 1, { "none.json", "app.lua" })
    refuses("app.lua is no record of a request: it is no JSON.*one of the files that %-%-record DIR has written", 1,
      { "app.lua", "app.lua" })
    refuses("%. is no record of a request: it is no file", 1, { ".", "app.lua" })
    refuses("version 2, and this luaserve knows 1", 1, { "kept.json", "app.lua" },
      { ["kept.json"] = with { ["luaserve record"] = 2 } })
    for name, bad in pairs { method = { "GET /\r\nX: y", 1, {} }, url = { "/a b", "/a\r\nX: y", "", 5 },
      headers = { "x", { { "a b", "c" } }, { { "a", "b\r\nc" } }, { 1 } }, body = { "x", {}, { text = 5 } } } do
      for _, value in ipairs(bad) do
        refuses("kept.json is no record of a request: ", 1, { "kept.json", "app.lua" },
          { ["kept.json"] = with { [name] = value } })
      end
    end
    refuses("no base64", 1, { "kept.json", "app.lua" }, { ["kept.json"] = with { body = { base64 = "!" } } })
    refuses('it has no "luaserve record"', 1, { "kept.json", "app.lua" }, { ["kept.json"] = "[]" })
  end)

  it("refuses scripts without an app, and calls that are wrong", function()
    refuses("app.lua has no app: it has to return one", 1, { "kept.json", "app.lua" }, { ["app.lua"] = "local x = 1" })
    refuses("cannot run none.lua: ", 2, { "kept.json", "none.lua" })
    refuses("app.lua:1: ", 1, { "kept.json", "app.lua" }, { ["app.lua"] = "return return" })
    refuses("needs a file that %-%-record has written\n\nusage:", 2, {})
    refuses("needs the script", 2, { "kept.json" })
    refuses("there is no option %-%-none", 2, { "--none", "kept.json", "app.lua" })
    refuses("as in %-%-header \"Cookie: sid=1\"", 2, { "--header", "x", "kept.json", "app.lua" })
    refuses("as in %-%-set password=secret", 2, { "--set", "x", "kept.json", "app.lua" })
    assert.matches("^usage: luaserve", run({ "--help" }).out)
  end)
end)

-- What a spec that was printed does: each call with its arguments.
local function calls_of(text)
  local calls = {}
  local request = { status = 200, body = "", set = function(_, ...) calls[#calls + 1] = { "set", ... } end,
    send = function(_, ...) calls[#calls + 1] = { "send", ... } end }
  local client = { request = function(_, ...)
    calls[#calls + 1] = { "request", ... }
    return request
  end }
  local env = { assert = assert, require = function(name)
    calls[#calls + 1] = { "require", name }
    return { test = function() return client end }
  end, describe = function(name, fn) calls[#calls + 1] = { "describe", name } fn() end, it = function(_, fn) fn() end }
  assert(load(text, "spec", "t", env))()
  return calls
end

describe("luaserve replay --as-spec", function()
  it("prints a spec that fails as the request did, and passes when that is mended", function()
    local result = run { "--as-spec", "kept.json", "app.lua" }
    assert.equal(0, result.code, result.err)
    assert.matches("^%-%- POST /orders%?token=%[masked%]&page=1 was answered 500 on 2026%-01%-02T03:04:05Z%.\n"
      .. "%-%- app%.lua:5: attempt to perform arithmetic\n%-%- Hidden, to be put in: query token\n", result.out)
    local runner = [[
      function describe(name, fn) fn() end
      it = describe
      dofile("kept_spec.lua")]]
    local function run_spec(app)
      return helper.run(runner, { files = { ["app.lua"] = app, ["kept_spec.lua"] = result.out }, name = "runner.lua" })
    end
    local failed = run_spec(APP)
    assert.equal(1, failed.code)
    assert.matches("500: Internal Server Error", failed.err)
    assert.equal(0, run_spec((APP:gsub("order%.count", "(order.count or 1)"))).code)
  end)

  it("quotes what a client has sent, and what stands in the file, so that nothing of it is code", function()
    local evil = '"]] os.exit(7) --[[\n\r\0\127\195\164\\"'
    local record = with { url = '/a"..os.exit(7).."?x=%22]]', time = "1\nos.exit(7)", error = { "x\n os.exit(7)" },
      masked = { "body \nos.exit(7)", 'query "\nos.exit(7)' }, body = { text = evil .. "[masked]",
        bytes = "1\nos.exit(7)",
        cut = true }, headers = { { "X-Evil", 'a"]]..os.exit(7)--\\' }, { "Content-Type", 'text/"..os.exit(7).."' } } }
    local text = run({ "--as-spec", "kept.json", 'x"]].lua' }, { ["kept.json"] = record }).out
    local calls = calls_of(text)
    assert.same({ "require", "luaserve" }, calls[1])
    assert.same({ "require", 'x"]]' }, calls[2])
    assert.same({ "describe", 'POST /a"..os.exit(7).."' }, calls[3])
    assert.same({ "request", "POST", record.url }, calls[4])
    assert.same({ "set", "X-Evil", 'a"]]..os.exit(7)--\\' }, calls[5])
    assert.same({ "send", evil .. "[masked]", 'text/"..os.exit(7).."' }, calls[7])
  end)

  it("needs no script, and says what the request lacks", function()
    local text = run({ "--as-spec", "kept.json" }, { ["kept.json"] = with { body = { missing = "it was read in pieces",
      bytes = 5 } } }).out
    assert.matches("\n-- Without its body: it was read in pieces\n", text, 1, true)
    assert.matches('require "app"', text, 1, true)
  end)
end)
