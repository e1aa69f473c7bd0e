-- req: what a handler learns of a request's head. Its body is in
-- request_body_spec.lua.
local helper = require("spec.helper")

-- Answers with what the expression prints to: a handler for one question.
local function ask(expression, request)
  local server = helper.serve_handler("res:finish(tostring(" .. expression .. "))", request and request.opts)
  return helper.request(server, request or {}).body
end

-- The lines that a handler prints about one request.
local function report(body, request)
  local server = helper.serve_handler([[
    local lines = {}
    local function say(...)
      local parts = {}
      for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
      lines[#lines + 1] = table.concat(parts, " ")
    end
    ]] .. body:gsub("\n", " ") .. [[ res:finish(table.concat(lines, "\n"))]])
  return helper.request(server, request or {}).body
end

describe("req", function()
  it("has method, url and version", function()
    assert.equal("PATCH /a/b?c=d%20e 1.1", ask("req.method .. ' ' .. req.url .. ' ' .. req.httpVersion",
      { method = "PATCH", path = "/a/b?c=d%20e" }))
    assert.equal("1.0", ask("req.httpVersion", { version = "1.0" }))
  end)

  it("is complete when its body has arrived", function()
    assert.equal("true", ask("req.complete"))
    assert.equal("false true", report("local before = req.complete req:text() say(before, req.complete)",
      { method = "POST", body = { "x" } }))
  end)

  it("knows the socket", function()
    local server = helper.serve_handler([[
      local s = req.socket
      res:finish(table.concat({s.remoteAddress, s.remotePort, s.localAddress, s.localPort, tostring(s.encrypted),
        tostring(s == req.connection)}, " "))]])
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(("127.0.0.1 %d 127.0.0.1 %d false true"):format(conn:local_port(), server.port),
      conn:read_response().body)
  end)

  it("knows the client's address", function()
    assert.equal("127.0.0.1", ask("req.ip"))
  end)

  it("has an id that no other request has", function()
    local server = helper.serve_handler("res:finish(req.id .. ' ' .. tostring(req.id == req.id))")
    local first, second = helper.get(server, "/").body, helper.get(server, "/").body
    assert.matches("^[%w-]+ true$", first)
    assert.are_not.equal(first, second)
  end)

  it("takes fields of the script's own", function()
    assert.equal("kim nil", report("req.user = 'kim' say(req.user, req.nothing)"))
  end)

  it("says what it is when a method is called without it", function()
    local server = helper.serve_handler("req.text()")
    assert.equal(500, helper.get(server, "/").status)
    assert.matches("req or res expected; call the method with ':'", server:stderr(), 1, true)
  end)
end)

describe("req.headers", function()
  local function headers(list)
    return report([[
      local names = {}
      for name, value in pairs(req.headers) do
        if type(value) == "table" then value = "[" .. table.concat(value, "|") .. "]" end
        names[#names + 1] = name .. "=" .. value
      end
      table.sort(names)
      say(table.concat(names, "\n"))]], { headers = list })
  end

  it("is a plain table with lower-case names", function()
    assert.equal("nil nil", ask("tostring(getmetatable(req.headers)) .. ' ' .. tostring(req.headers.nothing)"))
    assert.equal("connection=close\nhost=a\nx-one=1", headers({ { "Host", "a" }, { "X-ONE", "1" },
      { "ConneCtion", "close" } }))
  end)

  it("joins repeated ones by a comma, cookies by a semicolon, and lists set-cookie", function()
    assert.equal("cookie=a=1; b=2; c=3\nhost=a\nset-cookie=[x=1|y=2]\nx=1, 2, , 3", headers({ { "Host", "a" },
      { "X", "1" }, { "Cookie", "a=1; b=2" }, { "x", "2" }, { "Set-Cookie", "x=1" }, { "X", "" }, { "cookie", "c=3" },
      { "X", "3" }, { "Set-Cookie", "y=2" } }))
  end)

  it("lists a single set-cookie, too", function()
    assert.equal("host=a\nset-cookie=[x=1]", headers({ { "Host", "a" }, { "Set-Cookie", "x=1" } }))
  end)

  it("keeps the first of those that can stand only once", function()
    for _, name in ipairs({ "Age", "Authorization", "Content-Type", "ETag", "Expires", "From", "If-Modified-Since",
      "If-Unmodified-Since", "Last-Modified", "Location", "Max-Forwards", "Proxy-Authorization", "Referer",
      "Retry-After", "Server", "User-Agent" }) do
      assert.equal("1", ask(("req.headers['%s']"):format(name:lower()),
        { headers = { { "Host", "a" }, { name, "1" }, { name, "2" } } }), name)
    end
  end)

  it("holds names that mean something to Lua as names", function()
    assert.equal("__gc=4\n__index=1\n__metatable=5\n__newindex=2\n__pairs=6\nend=7\nhost=a\nn=3",
      headers({ { "Host", "a" }, { "__index", "1" }, { "__newindex", "2" }, { "n", "3" }, { "__gc", "4" },
        { "__metatable", "5" }, { "__pairs", "6" }, { "end", "7" } }))
  end)

  it("does not make fields of req", function()
    assert.equal("GET function", report("say(req.method, type(req.text))",
      { headers = { { "Host", "a" }, { "method", "x" }, { "text", "y" } } }))
  end)

  it("is the same table at each use, and the script's to change", function()
    assert.equal("true 1", report("req.headers.mine = 1 say(req.headers == req.headers, req.headers.mine)"))
  end)

  it("keeps bytes beyond ASCII as they came", function()
    assert.equal("\195\164\255", ask("req.headers.x", { headers = { { "Host", "a" }, { "X", "\195\164\255" } } }))
  end)

  it("has all as they came in rawHeaders", function()
    assert.equal("Host|a|X-b|1|x-B|2", ask("table.concat(req.rawHeaders, '|')",
      { headers = { { "Host", "a" }, { "X-b", "1" }, { "x-B", "2" } } }))
  end)

  it("is found in a time that does not depend on the names", function()
    local list = { { "Host", "a" } }
    for i = 1, 99 do list[i + 1] = { ("x"):rep(i), i } end
    assert.equal("99", ask("req.headers[('x'):rep(99)]", { headers = list }))
  end)
end)

describe("req.trailers", function()
  it("are there when the body has ended, apart from the headers", function()
    local text = report([[
      req:text()
      say(req.trailers["x-sum"], req.headers["x-sum"], table.concat(req.rawTrailers, "|"))]],
      { raw = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "1\r\nx\r\n0\r\nX-Sum: 7\r\nX-Sum: 8\r\n\r\n" })
    assert.equal("7, 8 nil X-Sum|7|X-Sum|8", text)
  end)

  it("are empty where there are none", function()
    assert.equal("nil 0", report("say(next(req.trailers), #req.rawTrailers)"))
  end)
end)

describe("req.path", function()
  for target, path in pairs({
    ["/"] = "/",
    ["/a/b?c=d"] = "/a/b",
    ["/a%20b/%C3%A4"] = "/a b/\195\164",
    ["/a/./b/../c"] = "/a/c",
    ["/../../etc/passwd"] = "/etc/passwd",
    ["/%2e%2e/%2E%2E/etc"] = "/etc",
    ["/a//b"] = "/a//b",
    ["/a%2Fb"] = "/a/b",
    ["http://other/x/../y?z"] = "/y",
  }) do
    it("of " .. target .. " is " .. path, function()
      assert.equal(path, ask("req.path", { path = target }))
    end)
  end

  for _, target in ipairs({ "/bad%zz", "/nul%00", "/..%2f..%2fetc" }) do
    it("of " .. target .. " answers 400 when it is read", function()
      local server = helper.serve_handler("res:finish(req.path)")
      local response = helper.get(server, target)
      assert.equal(400, response.status)
      assert.equal("Bad Request: the path is malformed", response.body)
    end)
  end

  it("of OPTIONS * is *", function()
    assert.equal("*", ask("req.path", { method = "OPTIONS", path = "*" }))
  end)
end)

describe("req.query", function()
  local function query(target)
    return report([[
      local names = {}
      for name, value in pairs(req.query) do
        if type(value) == "table" then value = "[" .. table.concat(value, "|") .. "]" end
        names[#names + 1] = name .. "=" .. value
      end
      table.sort(names)
      say(table.concat(names, "&"))]], { path = target })
  end

  it("is an empty table without one", function()
    assert.equal("", query("/a"))
    assert.equal("", query("/a?"))
  end)

  it("has values, decoded", function()
    assert.equal("a=1&b=x y&\195\164=\195\182", query("/?a=1&b=x+y&%C3%A4=%c3%b6"))
  end)

  it("lists repeated keys", function()
    assert.equal("a=[1|2|3]&b=4", query("/?a=1&b=4&a=2&a=3"))
  end)

  it("takes whatever stands there", function()
    assert.equal("=x&a=&b=%zz&c===", query("/?a&b=%zz&=x&&c==="))
  end)

  it("holds names that mean something to Lua as names", function()
    assert.equal("__index=1&n=2", query("/?__index=1&n=2"))
  end)
end)

describe("req.cookies", function()
  local function cookies(...)
    local list = { { "Host", "a" } }
    for _, value in ipairs({ ... }) do table.insert(list, { "Cookie", value }) end
    return report([[
      local names = {}
      for name, value in pairs(req.cookies) do names[#names + 1] = name .. "=" .. value end
      table.sort(names)
      say(table.concat(names, "&"))]], { headers = list })
  end

  it("has names and values, decoded", function()
    assert.equal("a=1&b=x y", cookies("a=1; b=x%20y"))
  end)

  it("takes quotes off, and the first of a name", function()
    assert.equal("a=1&b=q", cookies("a=1; b=\"q\"; a=2"))
  end)

  it("reads several headers", function()
    assert.equal("a=1&b=2", cookies("a=1", "b=2"))
  end)

  it("lets odd ones be", function()
    assert.equal("a=%zz&b=2&c=x=y", cookies("a=%zz; ; junk; b=2; =z; c=x=y"))
  end)

  it("are none without the header", function()
    assert.equal("", cookies())
  end)
end)

describe("req and res after the end", function()
  it("answer nil and closed, and never another request", function()
    local server = helper.serve_handler([[
      if req.url == "/keep" then
        kept = { req = req, res = res }
        return res:finish("kept")
      end
      if req.url == "/use" then
        local r = kept.res
        print("state", kept.req.url, tostring(kept.req.headers), tostring(kept.req.ip))
        print("set", r:setHeader("X", "1"))
        print("write", r:write("intruder"))
        print("finish", r:finish("intruder"))
        print("flush", r:flushHeaders())
        print("read", kept.req:read())
        print("text", kept.req:text())
        print("form", kept.req:form())
        print("get", kept.req:get("Host"), kept.req:is("json"), kept.req:accepts("json"))
        return res:finish("used")
      end]], { before = "local kept" })
    local conn = helper.connect(server)
    for _, path in ipairs({ "keep", "use" }) do
      conn:send("GET /" .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      local response = conn:read_response()
      assert.is_nil(response.headers.x)
      assert.equal(path == "keep" and "kept" or "used", response.body)
    end
    local out = server:stdout()
    assert.matches("state\t/keep\tnil\tnil\n", out)
    for _, call in ipairs({ "set", "write", "finish", "flush" }) do
      assert.matches(call .. "\tnil\tclosed\n", out)
    end
    assert.matches("read\tnil", out)
    assert.matches("text\tnil\taborted\nform\tnil\taborted\n", out)
    assert.matches("get\tnil\tfalse\tjson\n", out)
  end)
end)
