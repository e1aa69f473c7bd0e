-- --record: what is kept of requests that end in a 500 or take too long, and what is not.
local helper = require("spec.helper")
local cjson = require("cjson")
local lfs = require("lfs")

local APP = [[
local luaserve, timers = require "luaserve", require "timers"
local app = luaserve()
app:get("/fine", function() return "fine" end)
app:post("/fine", function(req) return "" .. #req:text() end)
app:get("/boom", function() local user return user.name end)
app:post("/boom", function(req) req:text() error("no luck") end)
app:post("/json", function(req) local t = req:json() return t.none.field end)
app:post("/unread", function(req) error("before the body") end)
app:post("/pieces", function(req) for _ in req:chunks() do end error("after the body") end)
app:get("/said", function() return 500, "said" end)
app:get("/busy", function() return 503, "busy" end)
app:get("/refused", function() luaserve.error(403, "no") end)
app:get("/hang", function() timers.sleep(60000) end)
app:get("/half", function(req, res) res:write("half") error("too late for a 500") end)
app:get("/runaway", function() while os do end end)
app:get("/caught", function() error("for onError") end)
app:onError(function(err, req, res, next)
  if req.path == "/caught" then return 418, "tea" end
  return next()
end)
return app
]]

local function names_in(dir)
  local list = {}
  for name in lfs.dir(dir) do if name ~= "." and name ~= ".." then list[#list + 1] = name end end
  table.sort(list)
  return list
end

-- The records that are there, the oldest first, once there are n.
local function records(dir, n)
  local names
  helper.wait_for(function()
    names = names_in(dir)
    for _, name in ipairs(names) do if name:sub(1, 1) == "." then return false end end
    return #names == n
  end, function() return ("%d records; there are %s"):format(n, table.concat(names, " ")) end)
  local list = {}
  for i, name in ipairs(names) do
    local text = helper.read_file(dir .. "/" .. name)
    list[i] = cjson.decode(text)
    list[i].text, list[i].name = text, name
  end
  return list
end

local function serve(opts)
  local dir = opts and opts.dir or helper.tmpdir() .. "/failed"
  local args = { "--record", dir, "--handler-timeout", "0.3", "--cpu-budget", "0.3" }
  for _, arg in ipairs(opts and opts.args or {}) do args[#args + 1] = arg end
  return helper.serve(APP, { listen = true, args = args, ports = opts and opts.ports }), dir
end

-- The only record that this request leaves behind.
local function record_of(request)
  local server, dir = serve()
  helper.request(server, request)
  return records(dir, 1)[1], dir
end

describe("--record keeps", function()
  it("what a request was, how it ended, and the traceback", function()
    local record, dir = record_of { method = "POST", path = "/boom?a=1", body = "text",
      headers = { ["X-Mine"] = "yes", ["Content-Type"] = "text/plain" } }
    assert.equal(1, record["luaserve record"])
    assert.equal("POST", record.method)
    assert.equal("/boom?a=1", record.url)
    assert.equal("1.1", record.httpVersion)
    assert.equal(500, record.status)
    assert.is_true(record.answered)
    assert.equal("127.0.0.1", record.remoteAddress)
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+Z$", record.time)
    assert.equal("text", record.body.text)
    assert.equal(4, record.body.bytes)
    assert.matches("app%.lua:6: no luck", record.error[1])
    assert.matches("app%.lua:6: in function", table.concat(record.error, "\n"))
    assert.matches('%["X%-Mine","yes"%]', record.text)
    assert.equal("rw-------", lfs.attributes(dir .. "/" .. record.name, "permissions"))
    assert.equal("rwx------", lfs.attributes(dir, "permissions"))
  end)

  it("a 500 that was answered, a handler out of time with what it waited for, a runaway, an answer cut off", function()
    local server, dir = serve()
    for _, path in ipairs { "/said", "/hang" } do helper.get(server, path) end
    local conn = helper.connect(server)
    conn:send("GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
    conn:closed()
    local n = 3
    if os.getenv("LUASERVE_ENGINE") ~= "luajit" then
      assert.equal(503, helper.get(server, "/runaway").status)
      n = 4
    end
    local by_path = {}
    for _, record in ipairs(records(dir, n)) do by_path[record.url] = record end
    assert.equal(500, by_path["/said"].status)
    assert.is_nil(by_path["/said"].error)
    assert.equal(503, by_path["/hang"].status)
    assert.matches("sleep", table.concat(by_path["/hang"].error, "\n"))
    assert.matches("app%.lua:13: in function", table.concat(by_path["/hang"].error, "\n"))
    assert.is_false(by_path["/half"].answered)
    if n == 4 then assert.matches("CPU budget", by_path["/runaway"].error[1]) end
    helper.wait_for(function() return server:stderr():match("kept GET /half, which failed after its head had left") end,
      "the line of the log")
  end)

  it("nothing of what ends well, is refused, or was answered by an error handler with something else", function()
    local server, dir = serve()
    assert.equal("4", helper.request(server, { method = "POST", path = "/fine", body = "text" }).body)
    for path, status in pairs { ["/fine"] = 200, ["/refused"] = 403, ["/busy"] = 503, ["/none"] = 404,
      ["/caught"] = 418 } do
      assert.equal(status, helper.get(server, path).status)
    end
    helper.get(server, "/said")
    assert.equal("/said", records(dir, 1)[1].url)
  end)

  it("no body that was not read as a whole, and says so", function()
    assert.equal("nobody has read it", record_of({ method = "POST", path = "/unread", body = "text" }).body.missing)
    assert.matches("in pieces", record_of({ method = "POST", path = "/pieces", body = "text" }).body.missing)
    assert.is_nil(record_of({ path = "/boom" }).body)
  end)

  it("256 KiB of a body, and bytes that are no text as base64", function()
    local long = record_of { method = "POST", path = "/boom", body = ("x"):rep(300000) }
    assert.equal(262144, #long.body.text)
    assert.is_true(long.body.cut)
    assert.equal(300000, long.body.bytes)
    assert.equal("AP-A", record_of({ method = "POST", path = "/boom", body = "\0\255\128" }).body.base64)
  end)
end)

describe("--record hides by name", function()
  it("headers, cookies and parameters", function()
    local record = record_of { path = "/boom?token=t0p&page=2&my%5Fpassword=t0p&empty_secret=&x=1",
      headers = { Authorization = "Bearer t0p", Cookie = "sid=t0p; theme=t0p", ["X-Api-Key"] = "t0p",
        Referer = "http://x/?access_token=t0p", Accept = "text/html" } }
    assert.is_nil(record.text:find("t0p", 1, true), record.text)
    assert.matches("page=2", record.url, 1, true)
    assert.matches('["Accept","text/html"]', record.text, 1, true)
    assert.matches("sid=", record.text, 1, true)
    local masked = table.concat(record.masked, ",")
    for _, name in ipairs { "query token", "query my_password", "header Authorization", "header Cookie",
      "header X-Api-Key", "header Referer" } do
      assert.matches(name, masked, 1, true)
    end
  end)

  local function hidden(body, kind)
    local record = record_of { method = "POST", path = "/boom", body = body, headers = { ["Content-Type"] = kind } }
    assert.is_nil(record.text:find("t0p", 1, true), record.text)
    return record.body.text
  end

  it("fields of JSON, whatever they hold, and leaves the rest of it as it was", function()
    assert.equal('{ "user":"kim","password": "[masked]", "n": [1,2] }',
      hidden('{ "user":"kim","password": "t0p\\"t0p", "n": [1,2] }', "application/json"))
    assert.equal('{"api_key":"[masked]","a":{"Secret":"[masked]"},"b":2}',
      hidden('{"api_key":["t0p","}",{"x":"t0p]"}],"a":{"Secret":{"t0p":1}},"b":2}', "application/json"))
    assert.equal('{"token":"[masked]","list":[{"pin":"[masked]"}]}',
      hidden('{"token":"t0p","list":[{"pin":"t0p"}]}', "application/vnd.x+json"))
  end)

  it("fields of JSON that is malformed, written with escapes, or not said to be JSON", function()
    assert.equal('{"a":1,"token":"[masked]"', hidden('{"a":1,"token":"t0p', "application/json"))
    assert.equal('{"token":"[masked]"', hidden('{"token":{"x":"t0p', "application/json"))
    assert.equal('{"pass\\u0077ord":"[masked]"}', hidden('{"pass\\u0077ord":"t0p"}', "application/json"))
    assert.equal(' [{"token":"[masked]"}]', hidden(' [{"token":"t0p"}]', "text/plain"))
  end)

  it("fields of forms", function()
    local form = "application/x-www-form-urlencoded"
    assert.equal("user=kim&password=[masked]&b=2", hidden("user=kim&password=t0p%20&b=2", form))
    assert.equal("pass%77ord=[masked]", hidden("pass%77ord=t0p", form))
    assert.equal("token=[masked]", hidden("token=t0p", "text/plain"))
    local part = '--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    assert.equal(part:format("user", "kim") .. part:format("password", "[masked]") ..
      part:format("x", "1") .. "--b--\r\n",
      hidden(part:format("user", "kim") .. part:format("password", "t0p\r\nt0p") ..
        part:format("x", "1") .. "--b--\r\n",
        "multipart/form-data; boundary=b"))
  end)

  it("in a time that grows with the body alone", function()
    for _, body in ipairs { ('"'):rep(100000), ('{"token":'):rep(20000), ('["a":'):rep(20000), ("a=&"):rep(60000),
      ('{"a\\'):rep(20000) } do
      assert.equal(#body, record_of({ method = "POST", path = "/boom", body = body }).body.bytes)
    end
  end)
end)

describe("the folder of --record", function()
  it("keeps the latest, as many as --record-max says, and leaves other files alone", function()
    local dir = helper.tmpdir()
    helper.write_file(dir .. "/mine.json", "mine")
    local server = serve { dir = dir, args = { "--record-max", "3" } }
    for i = 1, 5 do
      helper.get(server, "/boom?n=" .. i)
      helper.wait_for(function()
        local last
        for _, name in ipairs(names_in(dir)) do if name:find("^%d") then last = name end end
        return last and last:find(("%06d.json"):format(i), 1, true)
      end, "record " .. i)
    end
    local left
    helper.wait_for(function()
      left = names_in(dir)
      return #left == 4
    end, "three records")
    assert.equal("mine.json", left[4])
    assert.equal("/boom?n=3", cjson.decode(helper.read_file(dir .. "/" .. left[1])).url)
  end)

  it("counts what comes faster than it can be written", function()
    local server, dir = serve()
    local conn = helper.connect(server)
    conn:send(("GET /said HTTP/1.1\r\nHost: x\r\n\r\n"):rep(200))
    for _ = 1, 200 do assert.equal(500, conn:read_response().status) end
    helper.wait_for(function()
      local kept = select(2, server:stderr():gsub("kept GET", ""))
      local dropped = 0
      for n in server:stderr():gmatch("%-%-record: (%d+) requests are not kept") do dropped = dropped + tonumber(n) end
      return kept + dropped == 200
    end, function() return "200 requests that are kept or counted\n" .. server:stderr():sub(-500) end)
    for _, name in ipairs(names_in(dir)) do assert.matches("^%d+T%d+Z%-%d+%-%d+%.json$", name) end
  end)

  it("is one for all workers", function()
    local server, dir = serve { args = { "--workers", "2" } }
    for _ = 1, 12 do
      local conn = helper.connect(server)
      conn:send("GET /said HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      assert.equal(500, conn:read_response().status)
    end
    for _, record in ipairs(records(dir, 12)) do assert.is_true(record.worker == 1 or record.worker == 2) end
  end)

  it("is filled with --watch, too", function()
    local server, dir = serve { args = { "--watch" } }
    assert.equal(500, helper.get(server, "/boom").status)
    assert.matches("app%.lua:5: attempt to index", records(dir, 1)[1].error[1])
  end)

  it("is never left by what a client sends", function()
    local root = helper.tmpdir()
    local server = serve { dir = root .. "/failed" }
    local conn = helper.connect(server)
    for _, target in ipairs { "/../../said", "/said/../../../x", "/%2e%2e/%2e%2e/boom",
      "/said?../../x", "/said%00", "//said" } do
      conn:send("GET " .. target .. " HTTP/1.1\r\nHost: x\r\nX-Name: ../../x\r\nCookie: ../x=1\r\n\r\n")
      conn:read_response()
    end
    helper.get(server, "/boom?last")
    helper.wait_for(function() return server:stderr():match("kept GET /boom%?last") end, "the last")
    assert.same({ "failed" }, names_in(root))
    for _, name in ipairs(names_in(root .. "/failed")) do assert.matches("^%d+T%d+Z%-%d+%-%d+%.json$", name) end
  end)

  it("that cannot be is told before the script runs", function()
    local dir = helper.tmpdir()
    local function complaint(path)
      local result = helper.run("print('ran')\n", { args = { "--record", path } })
      assert.equal(1, result.code)
      assert.equal("", result.out)
      return result.err
    end
    helper.write_file(dir .. "/file", "")
    assert.equal("luaserve: --record " .. dir .. "/none/failed: No such file or directory\n",
      complaint(dir .. "/none/failed"))
    assert.equal("luaserve: --record " .. dir .. "/file: Not a directory\n",
      complaint(dir .. "/file"))
    assert.equal(2, helper.run("", { code = true, args = { "--record-max", "0", "--record", dir } }).code)
  end)

  it("that goes away is told once, and requests are answered as ever", function()
    local server, dir = serve()
    lfs.rmdir(dir)
    for _ = 1, 3 do assert.equal(500, helper.get(server, "/said").status) end
    helper.wait_for(function() return server:stderr():match("a request is not kept: ENOENT") end, "the complaint")
    assert.equal("fine", helper.get(server, "/fine").body)
    assert.equal(1, select(2, server:stderr():gsub("is not kept", "")))
  end)
end)
