-- The middlewares that answer, or refuse, by what a request's head says: cors,
-- helmet, csrf, basicAuth, requestId, timeout, logger.
local helper = require("spec.helper")
local tls_server = require("spec.helper.tls_server")
local cjson = require("cjson")

local BEFORE = [[
local luaserve, timers = require "luaserve", require "timers"
local function chain(list, last)
  return function(req, res)
    local i = 0
    local function next()
      i = i + 1
      if i <= #list then return list[i](req, res, next) end
      return last(req, res, next)
    end
    return next()
  end
end
local guard = chain({ %s }, function(req, res) %s end)
]]

-- Serves what the body answers behind middlewares, both Lua text.
local function serve(middlewares, body, opts)
  opts = opts or {}
  opts.before = BEFORE:format(middlewares, body or "return 'ok'")
  local start = opts.tls_too and tls_server.serve or helper.serve_handler
  return start("return guard(req, res)", opts)
end

local function ask(server, headers, method, path, body)
  return helper.request(server, { method = method or "GET", path = path or "/", headers = headers or {}, body = body })
end

-- What a script that is only `code` complains of.
local function complaint(code)
  return helper.run('local luaserve = require "luaserve"\n' .. code).err:match("app.lua:2: ([^\n]*)")
end

describe("cors", function()
  it("lets everybody read by default, and varies by nothing", function()
    local server = serve("luaserve.cors()")
    local headers = ask(server, { Origin = "https://a.com" }).headers
    assert.equal("*", headers["access-control-allow-origin"])
    assert.is_nil(headers.vary)
    assert.is_nil(headers["access-control-allow-credentials"])
    assert.is_nil(ask(server).headers["access-control-allow-origin"])
  end)

  it("knows origins by name, in lists, by patterns and functions", function()
    local server = serve([[function(req, res, next)
      local kinds = { ["/name"] = "https://a.com", ["/list"] = { "https://b.com:8443", "null",
        "^https://%w+%.c%.com$" },
        ["/fn"] = function(origin, r) return r.url == "/fn" and origin:find("d.com", 1, true) ~= nil end }
      return luaserve.cors { origin = kinds[req.url] }(req, res, next)
    end]])
    local function allowed(path, origin)
      local response = ask(server, { Origin = origin }, "GET", path)
      assert.equal("Origin", response.headers.vary)
      assert.equal(200, response.status)
      return response.headers["access-control-allow-origin"]
    end
    assert.equal("https://a.com", allowed("/name", "https://a.com"))
    assert.is_nil(allowed("/name", "https://a.com.evil.net"))
    assert.is_nil(allowed("/name", "http://a.com"))
    assert.equal("https://b.com:8443", allowed("/list", "https://b.com:8443"))
    assert.equal("https://x.c.com", allowed("/list", "https://x.c.com"))
    assert.equal("null", allowed("/list", "null"))
    assert.is_nil(allowed("/list", "https://x.y.c.com"))
    assert.is_nil(allowed("/name", "null"))
    assert.equal("https://d.com", allowed("/fn", "https://d.com"))
    assert.is_nil(allowed("/fn", "https://e.com"))
    assert.is_nil(allowed("/name", nil))
  end)

  it("answers preflights, and only these", function()
    local server = serve(
      'luaserve.cors { origin = "https://a.com", credentials = true, maxAge = 600, exposed = {"X-A"} }',
      "return req.method")
    local response = ask(server, { Origin = "https://a.com", ["Access-Control-Request-Method"] = "PUT",
      ["Access-Control-Request-Headers"] = "x-b" }, "OPTIONS")
    assert.equal(204, response.status)
    assert.equal("https://a.com", response.headers["access-control-allow-origin"])
    assert.equal("true", response.headers["access-control-allow-credentials"])
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", response.headers["access-control-allow-methods"])
    assert.equal("x-b", response.headers["access-control-allow-headers"])
    assert.equal("600", response.headers["access-control-max-age"])
    assert.equal("Origin, Access-Control-Request-Method, Access-Control-Request-Headers", response.headers.vary)
    assert.is_nil(response.headers["access-control-allow-private-network"])
    assert.equal("OPTIONS", ask(server, { Origin = "https://a.com" }, "OPTIONS").body)
    response = ask(server, { Origin = "https://b.com", ["Access-Control-Request-Method"] = "PUT" }, "OPTIONS")
    assert.equal(403, response.status)
    assert.is_nil(response.headers["access-control-allow-origin"])
    assert.equal("X-A", ask(server, { Origin = "https://a.com" }).headers["access-control-expose-headers"])
  end)

  it("is on failures, so that a page sees their status", function()
    local server = serve('luaserve.cors { origin = "https://a.com" }', "error('oh')")
    local response = ask(server, { Origin = "https://a.com" })
    assert.equal("500 https://a.com Origin", response.status .. " " ..
      response.headers["access-control-allow-origin"] ..
      " " .. response.headers.vary)
  end)

  it("is told of options that are mistakes", function()
    assert.equal("cors with credentials needs the origins that may use them: origin = \"https://example.com\"",
      complaint("luaserve.cors { credentials = true }"))
    assert.truthy(complaint("luaserve.cors { origin = 'example.com' }"):find("'example.com' is not an origin", 1, true))
    assert.truthy(complaint("luaserve.cors { origin = 'https://a.com/' }"):find("is not an origin", 1, true))
    assert.truthy(complaint("luaserve.cors { origin = '^https://a' }"):find("must end in $", 1, true))
    assert.truthy(complaint("luaserve.cors { origin = { '*' } }"):find("alone", 1, true))
    assert.truthy(complaint("luaserve.cors { origins = '*' }"):find("cors has no option 'origins'; there are: ", 1,
      true))
    assert.truthy(complaint("luaserve.cors { maxAge = -1 }"):find("a whole number, not -1", 1, true))
    assert.truthy(complaint("luaserve.cors { methods = { 'A B' } }"):find("'A B' among the methods", 1, true))
  end)
end)

describe("helmet", function()
  it("sets careful headers, each of which can be left out", function()
    local headers = ask(serve("luaserve.helmet()")).headers
    assert.equal("nosniff", headers["x-content-type-options"])
    assert.equal("SAMEORIGIN", headers["x-frame-options"])
    assert.equal("frame-ancestors 'self'", headers["content-security-policy"])
    assert.equal("strict-origin-when-cross-origin", headers["referrer-policy"])
    assert.equal("same-origin", headers["cross-origin-opener-policy"])
    assert.equal("same-origin", headers["cross-origin-resource-policy"])
    assert.equal("camera=(), geolocation=(), microphone=(), payment=(), usb=()", headers["permissions-policy"])
    assert.is_nil(headers["strict-transport-security"])
    headers = ask(serve("luaserve.helmet { noSniff = false, frameAncestors = false, referrerPolicy = false, " ..
      "openerPolicy = false, resourcePolicy = false, permissions = false }")).headers
    for _, name in ipairs { "x-content-type-options", "x-frame-options", "content-security-policy", "referrer-policy",
      "cross-origin-opener-policy", "cross-origin-resource-policy", "permissions-policy" } do
      assert.is_nil(headers[name], name)
    end
  end)

  it("takes values of one's own", function()
    local headers = ask(serve("luaserve.helmet { frameAncestors = { 'none' }, referrerPolicy = 'no-referrer', " ..
      "permissions = { camera = { 'self', 'https://a.com' }, fullscreen = { '*' } } }")).headers
    assert.equal("DENY", headers["x-frame-options"])
    assert.equal("frame-ancestors 'none'", headers["content-security-policy"])
    assert.equal("no-referrer", headers["referrer-policy"])
    assert.equal('camera=(self "https://a.com"), fullscreen=(*)', headers["permissions-policy"])
    headers = ask(serve("luaserve.helmet { frameAncestors = { 'self', 'https://a.com' } }")).headers
    assert.is_nil(headers["x-frame-options"])
    assert.equal("frame-ancestors 'self' https://a.com", headers["content-security-policy"])
  end)

  it("sends HSTS over TLS alone, on failures too", function()
    local server = serve("luaserve.helmet { hsts = { maxAge = 60, includeSubDomains = false, preload = true } }",
      "error('oh')", { tls_too = true })
    local pipe = io.popen("curl -skD - https://127.0.0.1:" .. server.port)
    local out = pipe:read("a"):lower()
    pipe:close()
    assert.truthy(out:find("strict-transport-security: max-age=60; preload\r\n", 1, true), out)
    assert.truthy(out:find("x-content-type-options: nosniff\r\n", 1, true), out)
  end)

  it("writes a content security policy, with a nonce of the request's own", function()
    local server = serve("luaserve.helmet { csp = { defaultSrc = { 'self' }, scriptSrc = { 'self', 'nonce' }, " ..
      "imgSrc = { 'self', 'data:', 'https://img.a.com' }, objectSrc = {}, upgradeInsecureRequests = true } }",
      "return luaserve.helmet.nonce(req)")
    local first, second = ask(server), ask(server)
    local policy = first.headers["content-security-policy"]
    assert.equal("default-src 'self'; img-src 'self' data: https://img.a.com; " ..
      "object-src 'none'; script-src 'self' 'nonce-" ..
      first.body .. "'; upgrade-insecure-requests; frame-ancestors 'self'", policy)
    assert.truthy(#first.body == 24 and first.body ~= second.body)
    local headers = ask(serve("luaserve.helmet { csp = { defaultSrc = 'self' }, cspReportOnly = true }",
      "return tostring(luaserve.helmet.nonce(req))"))
    assert.equal("nil", headers.body)
    assert.equal("default-src 'self'; frame-ancestors 'self'", headers.headers["content-security-policy-report-only"])
    assert.truthy(ask(serve("luaserve.helmet { csp = true }")).headers["content-security-policy"]
      :find("script-src 'self' 'nonce-", 1, true))
  end)

  it("is told of options that are mistakes", function()
    assert.truthy(complaint("luaserve.helmet { csp = { scriptSrc = { 'self; x' } } }"):find("is not a source", 1, true))
    assert.truthy(complaint("luaserve.helmet { csp = { scriptSrc = 1 } }"):find("is a list of sources", 1, true))
    assert.truthy(complaint("luaserve.helmet { hsts = { age = 1 } }"):find("helmet's hsts has no option 'age'", 1,
      true))
    assert.truthy(complaint("luaserve.helmet { referrerPolicy = 'a\\nb' }"):find("needs a text", 1, true))
  end)
end)

describe("csrf", function()
  local function post(server, headers, body)
    headers["Content-Type"] = headers["Content-Type"] or "application/x-www-form-urlencoded"
    return ask(server, headers, "POST", "/", body or "")
  end

  it("takes what the browser says of where a request comes from", function()
    local server = serve('luaserve.csrf { secret = "s", origins = { "https://partner.com" } }')
    local function status(headers) return post(server, headers).status end
    assert.equal(200, status { ["Sec-Fetch-Site"] = "same-origin" })
    assert.equal(200, status { ["Sec-Fetch-Site"] = "none" })
    assert.equal(403, status { ["Sec-Fetch-Site"] = "cross-site" })
    assert.equal(403, status { ["Sec-Fetch-Site"] = "same-site", Origin = "https://sub.example.com" })
    assert.equal(200, status { ["Sec-Fetch-Site"] = "cross-site", Origin = "https://partner.com" })
    assert.equal(200, status { Host = "example.com:8080", Origin = "http://Example.com:8080" })
    assert.equal(403, status { Host = "example.com:8080", Origin = "http://example.com" })
    assert.equal(403, status { Host = "example.com", Origin = "http://example.com.evil.net" })
    assert.equal(403, status { Host = "example.com", Origin = "null" })
    assert.equal(403, status {})
    assert.equal("Forbidden: the request comes from another site", post(server, { Origin = "null" }).body)
    for _, method in ipairs { "GET", "HEAD", "OPTIONS" } do
      assert.equal(200, ask(server, { Origin = "https://evil.net" }, method).status)
    end
    for _, method in ipairs { "PUT", "PATCH", "DELETE" } do
      assert.equal(403, ask(server, { Origin = "https://evil.net" }, method).status)
    end
  end)

  -- A page's token and cookie.
  local function visit(server, headers)
    local response = ask(server, headers)
    local cookie = response.headers["set-cookie"]
    return response.body, cookie and cookie:match("^([^;]*)"), cookie
  end

  it("takes a token else, in a field or a header, with its cookie", function()
    local server = serve('luaserve.csrf { secret = { "new", "s" } }', "return luaserve.csrf.token(req)")
    local token, cookie, whole = visit(server)
    assert.truthy(whole:find("^csrf=[%w_-]+; Path=/; HttpOnly; SameSite=Lax$"), whole)
    assert.equal(200, post(server, { Cookie = cookie }, "_csrf=" .. token).status)
    assert.equal(200, post(server, { Cookie = cookie, ["X-CSRF-Token"] = token,
      ["Content-Type"] = "text/plain" }).status)
    assert.equal(200, post(server, { Cookie = cookie, ["Content-Type"] = "multipart/form-data; boundary=b" },
      "--b\r\nContent-Disposition: form-data; name=_csrf\r\n\r\n" .. token .. "\r\n--b--").status)
    local another, none = visit(server, { Cookie = cookie })
    assert.is_nil(none)
    assert.are_not.equal(token, another)
    assert.equal(200, post(server, { Cookie = cookie }, "_csrf=" .. another).status)
    local _, foreign = visit(server)
    for _, case in ipairs { { foreign, token }, { cookie, token:sub(1, -2) }, { cookie, "x." .. token:match("%.(.*)") },
      { "a=b", token }, { cookie, "" }, { cookie, token .. "&_csrf=" .. token }, { "csrf=", token } } do
      assert.equal(403, post(server, { Cookie = case[1] }, "_csrf=" .. case[2]).status)
    end
    local old = serve('luaserve.csrf { secret = "new" }', "return luaserve.csrf.token(req)")
    token, cookie = visit(old)
    assert.equal(200, post(server, { Cookie = cookie }, "_csrf=" .. token).status)
  end)

  it("makes a field for a page, and belongs to what bind says", function()
    local server = serve(
      'luaserve.csrf { secret = "s", field = "t", bind = function(req) return req.headers["x-user"] end }',
      "return luaserve.csrf.field(req)")
    local field, cookie = visit(server, { ["X-User"] = "kim" })
    local token = field:match('^<input type="hidden" name="t" value="([%w._-]+)">$')
    assert.equal(200, post(server, { Cookie = cookie, ["X-User"] = "kim" }, "t=" .. token).status)
    assert.equal(403, post(server, { Cookie = cookie, ["X-User"] = "lee" }, "t=" .. token).status)
  end)

  it("has a random secret where none is set, and says so", function()
    local server = serve("luaserve.csrf()", "return luaserve.csrf.token(req)")
    local token, cookie = visit(server)
    assert.equal(200, post(server, { Cookie = cookie }, "_csrf=" .. token).status)
    server:wait_output('sessions and forms have no secret, so one was made that is gone with this server')
    local other = serve("luaserve.csrf()", "return luaserve.csrf.token(req)")
    assert.equal(403, post(other, { Cookie = cookie }, "_csrf=" .. token).status)
  end)

  it("says what is missing", function()
    local server = serve("", "return luaserve.csrf.token(req)")
    assert.equal(500, ask(server).status)
    server:wait_output("needs the middleware: app:use%(luaserve.csrf%(%)%)")
    assert.truthy(complaint("luaserve.csrf { origins = { 'a.com' } }"):find("'a.com' is not an origin", 1, true))
  end)
end)

describe("basicAuth", function()
  local function with(name, password)
    return { Authorization = "Basic " .. require("mime").b64(name .. ":" .. password) }
  end

  it("lets in who is known, whose name is req.user", function()
    local server = serve('luaserve.basicAuth { users = { kim = "s:e\xc3\xa4", lee = "" }, realm = "Here" }',
      "return req.user")
    assert.equal("kim", ask(server, with("kim", "s:e\xc3\xa4")).body)
    assert.equal("lee", ask(server, with("lee", "")).body)
    for _, headers in ipairs { {}, with("kim", "s:e"), with("kim", ""), with("nobody", ""), with("kim\0",
      "s:e\xc3\xa4"),
      { Authorization = "Basic" }, { Authorization = "Basic a2lt" }, { Authorization = "Basic ????" },
      { Authorization = "Bearer a2ltOng=" } } do
      local response = ask(server, headers)
      assert.equal(401, response.status)
      assert.equal('Basic realm="Here", charset="UTF-8"', response.headers["www-authenticate"])
    end
    assert.equal("kim", ask(server, { Authorization = "bASIC  " .. with("kim",
      "s:e\xc3\xa4").Authorization:sub(7) }).body)
  end)

  it("asks a function, which may wait", function()
    local server = serve([[luaserve.basicAuth { check = function(name, password, req)
      timers.sleep(1)
      return name == password and req.url == "/"
    end }]], "return req.user")
    assert.equal("kim", ask(server, with("kim", "kim")).body)
    assert.equal(401, ask(server, with("kim", "lee")).status)
  end)

  it("is told of options that are mistakes", function()
    assert.truthy(complaint("luaserve.basicAuth {}"):find("basicAuth needs users", 1, true))
    assert.truthy(complaint("luaserve.basicAuth { users = { 'a' } }"):find("passwords by name", 1, true))
    assert.truthy(complaint("luaserve.basicAuth { users = {}, realm = '\"' }"):find("the realm has no quotes", 1, true))
  end)
end)

describe("requestId", function()
  it("gives an id and a trace, whatever the client says", function()
    local server = serve("luaserve.requestId()", "return { req.id, req.traceparent, req.trace.span }")
    local response = ask(server, { ["X-Request-Id"] = "mine", traceparent = "00-" .. ("a"):rep(32) .. "-" ..
      ("b"):rep(16) .. "-01" })
    local got = cjson.decode(response.body)
    assert.equal(response.headers["x-request-id"], got[1])
    assert.truthy(got[1]:find("^%x+%-%x+%-4%x+%-%x+%-%x+$"))
    assert.truthy(got[2]:find("^00%-" .. ("%x"):rep(32) .. "%-" .. got[3] .. "%-00$"))
    assert.is_nil(got[2]:find("aaaaaaaa", 1, true))
    assert.are_not.equal(got[1], ask(server).headers["x-request-id"])
  end)

  it("takes over what is sane where it is told to", function()
    local server = serve('luaserve.requestId { accept = true, header = "X-Id" }', "return { req.id, req.traceparent }")
    local trace, parent = ("a1"):rep(16), ("b"):rep(16)
    local function got(id, traceparent)
      local response = ask(server, { ["X-Id"] = id, traceparent = traceparent })
      return response.headers["x-id"], cjson.decode(response.body)[2]
    end
    local id, given = got("Root=1-2.3:4/5", "00-" .. trace .. "-" .. parent .. "-01")
    assert.equal("Root=1-2.3:4/5", id)
    assert.truthy(given:find("^00%-" .. trace .. "%-" .. ("%x"):rep(16) .. "%-01$"))
    assert.is_nil(given:find(parent, 1, true))
    assert.truthy(got("a", "01-" .. trace .. "-" .. parent .. "-00-more"))
    for _, bad in ipairs { "a b", "<a>", ("a"):rep(129), "a,b" } do assert.are_not.equal(bad, (got(bad))) end
    for _, bad in ipairs { "00-" .. trace .. "-" .. parent .. "-01-x", "ff-" .. trace .. "-" .. parent .. "-01",
      "00-" .. ("0"):rep(32) .. "-" .. parent .. "-01", "00-" .. trace .. "-" .. ("0"):rep(16) .. "-01", "00-" .. trace,
      "00-" .. trace:upper() .. "-" .. parent .. "-01" } do
      assert.is_nil(select(2, got("a", bad)):lower():find(trace, 1, true), bad)
    end
  end)

  it("is on failures", function()
    assert.truthy(ask(serve("luaserve.requestId { trace = false }", "error('oh')")).headers["x-request-id"])
  end)
end)

describe("timeout", function()
  it("leaves alone what is in time", function()
    local server = serve("luaserve.timeout(60)", [[
      if req.url == "/waits" then timers.sleep(5) end
      if req.url == "/raises" then luaserve.error(409, "no") end
      if req.url == "/raises-late" then timers.sleep(5) luaserve.error(409, "no") end
      if req.url == "/finish" then timers.sleep(5) res:finish("done") return end
      return 201, "made"]])
    for path, expected in pairs { ["/"] = "201 made", ["/waits"] = "201 made", ["/raises"] = "409 no",
      ["/raises-late"] = "409 no", ["/finish"] = "200 done" } do
      local response = ask(server, {}, "GET", path)
      assert.equal(expected, response.status .. " " .. response.body)
    end
  end)

  it("answers 503, as luaserve.error does, and ends the wait for a body", function()
    local server = serve([[function(req, res, next)
      local ok, err = pcall(next)
      if not ok then return err.status, err.message end
    end, luaserve.timeout(0.05)]], [[
      if req.method == "POST" then
        local text, why = req:text()
        print("text", text, why, req:text())
      else
        timers.sleep(200)
        print("late", res:finish("late"))
      end]])
    local response = ask(server)
    assert.equal("503 Service Unavailable: no answer within 0.05 seconds", response.status .. " " .. response.body)
    server:wait_output("late\tnil\t")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    assert.equal(503, conn:read_response().status)
    server:wait_output("text\tnil\ttimeout\tnil\ttimeout")
    assert.equal("", server:stderr())
  end)

  it("does not count once the answer has begun", function()
    local server = serve("luaserve.timeout(0.05)", "res:write('a') timers.sleep(300) res:finish('b')")
    assert.equal("ab", ask(server).body)
  end)

  it("is told of what is no time", function()
    assert.equal("timeout needs a number of seconds, more than 0", complaint("luaserve.timeout('1s')"))
    assert.equal("timeout needs a number of seconds, more than 0", complaint("luaserve.timeout(0)"))
  end)
end)

describe("logger", function()
  local BODY = [[if req.url == "/fail" then error("oh") end
    if req.url == "/slow" then timers.sleep(100000) end
    return "12345"]]

  it("writes lines to the log", function()
    local server = serve("luaserve.logger()", BODY)
    ask(server, {}, "GET", "/a?b=%22")
    server:wait_output("info: GET /a%?b=%%22 200 %d+%.%d%d%d ms %- 5\n")
    ask(server, {}, "GET", "/fail")
    server:wait_output("info: GET /fail 500 %d+%.%d%d%d ms %- 21\n")
    local conn = helper.connect(server)
    conn:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    conn:close()
    server:wait_output("info: GET /slow %- %d+%.%d%d%d ms %- 0\n")
  end)

  local function lines_of(format, headers, middlewares)
    local dir = helper.tmpdir()
    local server = serve(("%s luaserve.logger { format = %s, file = %q }"):format(middlewares or "", format, dir ..
      "/log"), BODY)
    ask(server, headers)
    helper.wait_for(function()
      return (helper.read_file(dir .. "/log") or ""):find("\n$")
    end, "a line in the file")
    return helper.read_file(dir .. "/log"), server, dir .. "/log"
  end

  it("writes the common formats to a file, and nothing that breaks a line", function()
    local stamp = "%[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%]"
    local line = lines_of("'common'")
    assert.truthy(line:find("^127%.0%.0%.1 %- %- " .. stamp .. ' "GET / HTTP/1%.1" 200 5\n$'), line)
    line = lines_of("'combined'", { Referer = 'http://a/"', ["User-Agent"] = "x\xe4\\" })
    assert.truthy(line:find(' 200 5 "http://a/\\x22" "x\\xE4\\x5C"\n$'), line)
    line = lines_of("'common'", { Authorization = "Basic " .. require("mime").b64("k m:x") },
      "luaserve.basicAuth { check = function() return true end },")
    assert.truthy(line:find("^127%.0%.0%.1 %- k\\x20m %["), line)
  end)

  it("writes JSON, and what a function makes of a request", function()
    local entry = cjson.decode((lines_of("'json'", { ["User-Agent"] = "x" }, "luaserve.requestId(),")))
    assert.equal("GET / 200 5 127.0.0.1 1.1 x", ("%s %s %d %d %s %s %s"):format(entry.method, entry.url, entry.status,
      entry.bytes, entry.remote, entry.httpVersion, entry.userAgent))
    assert.truthy(entry.id and entry.duration >= 0 and entry.time:find("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
    assert.equal("GET 200 /\n",
      (lines_of("function(entry, req, res) return entry.method .. ' ' .. res.statusCode .. ' ' .. req.url end")))
  end)

  it("goes on in a new file where the old one is moved away, and leaves requests out", function()
    local _, server, path = lines_of("'dev'", nil, "function(_, _, next) return next() end,")
    os.rename(path, path .. ".old")
    ask(server, {}, "GET", "/again")
    helper.wait_for(function() return (helper.read_file(path) or ""):find("^GET /again 200") end,
      "the line in a new file")
    server = serve("luaserve.logger { skip = function(req, res) " ..
      "return req.url == '/health' and res.statusCode < 400 end }", BODY)
    ask(server, {}, "GET", "/health")
    ask(server, {}, "GET", "/other")
    server:wait_output("GET /other")
    assert.is_nil(server:stderr():find("/health", 1, true))
  end)

  it("says once that its file cannot be written", function()
    local server = serve("luaserve.logger { file = '/nonexistent/log' }", BODY)
    for _ = 1, 3 do ask(server) end
    server:wait_output("error: logger: ENOENT: no such file or directory, open '/nonexistent/log'; lines are lost")
    assert.equal(1, select(2, server:stderr():gsub("lines are lost", "")))
    assert.equal("logger has no format 'short'; there are: dev, common, combined, json",
      complaint("luaserve.logger('short')"))
  end)
end)
