-- What res answers in one call: status, send, json, html, text, type, vary,
-- redirect, attachment, and tags of what is made anew each time.
local helper = require("spec.helper")

-- Runs an expression of the query as the handler: res:json({1}) and the like.
local APP = [[
  req.app = app
  local run = assert((loadstring or load)("local req, res, settings = ... " .. req.query.run))
  return run(req, res, settings)
]]
local BEFORE = [[
  local settings = {}
  local app = { setting = function(_, name) return settings[name] end }
]]

local function escaped(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

describe("res", function()
  local server

  setup(function()
    server = helper.serve_handler(APP, { before = BEFORE })
  end)

  local function run(code, headers, method)
    return helper.request(server, { path = "/?run=" .. escaped(code), headers = headers, method = method })
  end

  local function is_sent(code, status, kind, body)
    local response = run(code)
    assert.same({ status, kind, body }, { response.status, response.headers["content-type"], response.body }, code)
  end

  -- What the handler raises at its own level.
  local function complaint(code)
    local response = run("local ok, err = pcall(function() " .. code .. " end) res:text(tostring(err))")
    assert.equal(200, response.status)
    return (response.body:gsub("^%[string.-%]:%d+: ", ""))
  end

  describe("send", function()
    it("takes the type from what is sent", function()
      is_sent("res:send('plain')", 200, "text/plain; charset=utf-8", "plain")
      is_sent("res:send(' <p>x')", 200, "text/html; charset=utf-8", " <p>x")
      is_sent("res:send({ a = 1 })", 200, "application/json", '{"a":1}')
      is_sent("res:send(12)", 200, "application/json", "12")
      is_sent("res:send(false)", 200, "application/json", "false")
      is_sent("res:send()", 200, nil, "")
      is_sent("res:send('')", 200, "text/plain; charset=utf-8", "")
    end)

    it("keeps the type that was set", function()
      is_sent("res:type('svg'):send('<svg/>')", 200, "image/svg+xml", "<svg/>")
      is_sent("res:type('application/problem+json'):status(409):send({})", 409, "application/problem+json", "{}")
    end)

    it("refuses what is no body", function()
      assert.equal("res:send needs a string or what can be JSON, not a function", complaint("res:send(print)"))
    end)
  end)

  it("json sends any value, and says where it is none", function()
    is_sent("res:json('text')", 200, "application/json", '"text"')
    is_sent("res:json(nil)", 200, "application/json", "null")
    is_sent("return res:status(201):json({ 1, 2 })", 201, "application/json", "[1,2]")
    assert.equal(500, run("res:json({ a = { b = print } })").status)
    assert.matches("a%.b", server:stderr())
  end)

  it("json indents where the setting says so", function()
    is_sent("settings['json spaces'] = 2 res:json({ a = { 1, {}, 'x:,{\\\"\\\\' } }) settings['json spaces'] = nil",
      200, "application/json", '{\n  "a": [\n    1,\n    {},\n    "x:,{\\"\\\\"\n  ]\n}')
  end)

  it("html and text say what they are", function()
    is_sent("res:html('plain')", 200, "text/html; charset=utf-8", "plain")
    is_sent("res:type('css'):text('<p>')", 200, "text/plain; charset=utf-8", "<p>")
    assert.equal("res:html needs a string, not a table", complaint("res:html({})"))
  end)

  it("status takes statuses alone", function()
    is_sent("res:status(418):text('')", 418, "text/plain; charset=utf-8", "")
    for _, bad in ipairs({ "199", "1000", "200.5", "'200'", "nil", "101" }) do
      assert.matches("^res:status needs a whole number from 200 to 999", complaint("res:status(" .. bad .. ")"))
    end
  end)

  it("cannot answer twice", function()
    assert.equal("ok", run("res:send('ok') local ok, err = pcall(res.json, res, 1) assert(not ok and " ..
      "err:find('Cannot set headers after they are sent to the client', 1, true), err)").body)
    assert.equal("", server:stderr():match("assert") or "")
  end)

  it("type knows extensions, file names and types", function()
    local function kind(text) return run(("res:type(%q):finish()"):format(text)).headers["content-type"] end
    assert.equal("application/json; charset=utf-8", kind("json"))
    assert.equal("text/html; charset=utf-8", kind(".html"))
    assert.equal("image/png", kind("a.b.png"))
    assert.equal("text/x-mine", kind("text/x-mine"))
    assert.equal("application/octet-stream", kind("nothing-known"))
    assert.matches("Invalid character", complaint("res:type('a/b\\r\\nX: y')"))
  end)

  it("vary names each header once", function()
    local function vary(code) return run(code .. " res:finish()").headers.vary end
    assert.equal("Accept, Origin", vary("res:vary('Accept'):vary('accept', 'Origin')"))
    assert.equal("A, B, C", vary("res:setHeader('Vary', {'A, B', 'a'}) res:vary({'C', 'b'})"))
    assert.equal("*", vary("res:vary('A'):vary('*'):vary('B')"))
    assert.equal("res:vary needs the name of a header", complaint("res:vary()"))
  end)

  describe("redirect", function()
    local function location(url, more)
      local response = run(("res:redirect(%q%s)"):format(url, more or ""))
      return response.status == 302 and response.headers.location or response.status
    end

    it("sends 302, or the code given", function()
      assert.equal("/a?b=c&d=%20e#f", location("/a?b=c&d=%20e#f"))
      local response = run("return res:redirect(308, '/new')")
      assert.same({ 308, "/new", "Permanent Redirect. Redirecting to /new\n" },
        { response.status, response.headers.location, response.body })
      for _, bad in ipairs({ "200", "304", "'/a', '/b'", "302", "{}" }) do
        assert.matches("redirect", complaint("res:redirect(" .. bad .. (bad:find(",") and "" or ", nil") .. ")"))
      end
    end)

    it("cannot be ended by its value", function()
      local response = run("res:redirect('/a\\r\\nSet-Cookie: x=1\\0\\r\\n\\r\\n<b>')")
      assert.equal("/a%0D%0ASet-Cookie:%20x=1%00%0D%0A%0D%0A%3Cb%3E", response.headers.location)
      assert.is_nil(response.headers["set-cookie"])
      assert.equal("/%C3%A4%22", location("/ä\""))
    end)

    it("goes elsewhere where the url says so plainly", function()
      assert.equal("https://example.com/a?b", location("https://example.com/a?b"))
      assert.equal("http://localhost:81/", location("http://localhost:81/"))
      assert.equal("?page=2", location("?page=2"))
      assert.equal("../up", location("../up"))
    end)

    for _, url in ipairs({ "//evil.example", "///evil.example/", [[/\evil.example]], [[\\evil.example]],
      "/\t/evil.example", " //evil.example", "\r\n//evil.example", "\0//evil.example", "http:evil.example",
      "https:/evil.example", "https:///evil.example", [[https:\\evil.example]], "http://user@evil.example/",
      "https://example.com@evil.example", "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)",
      "java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "ftp://evil.example/" }) do
      local shown = url:gsub("%c", function(c) return ("\\%d"):format(c:byte()) end)
      it("refuses '" .. shown .. "', which does not look like what it is", function()
        local response = run(("res:redirect(%q)"):format(url))
        assert.equal(400, response.status)
        assert.is_nil(response.headers.location)
      end)
    end

    it("stays on the site where that is asked for", function()
      local same = ", { sameOrigin = true }"
      assert.equal("/next", location("/next", same))
      assert.equal("next", location("next", same))
      assert.equal("http://localhost/x", location("http://localhost/x", same))
      assert.equal(400, location("https://example.com/", same))
      assert.equal(400, location("//example.com/", same))
      assert.equal("/home", location("https://example.com/", ", { sameOrigin = true, fallback = '/home' }"))
      assert.equal(400, location("http://localhost:81/", same))
    end)

    it("goes to listed hosts alone", function()
      local hosts = ", { hosts = { 'login.example', '*.shop.example' } }"
      assert.equal("https://login.example/x", location("https://login.example/x", hosts))
      assert.equal("https://LOGIN.example:444/x", location("https://LOGIN.example:444/x", hosts))
      assert.equal("https://a.shop.example/", location("https://a.shop.example/", hosts))
      assert.equal("/x", location("/x", hosts))
      assert.equal(400, location("https://evilshop.example/", hosts))
      assert.equal(400, location("https://shop.example/", hosts))
      assert.equal(400, location("https://login.example.evil/", hosts))
    end)

    it("goes anywhere where that is asked for", function()
      assert.equal("//cdn.example/", location("//cdn.example/", ", { external = true }"))
      assert.equal("mailto:a@b.example", location("mailto:a@b.example", ", { external = true }"))
      assert.equal("a redirect has no option 'extern': there are sameOrigin, fallback, hosts and external",
        complaint("res:redirect('/', { extern = true })"))
    end)
  end)

  it("attachment names the file for every client", function()
    local function field(name)
      local response = run(("res:attachment(%s):finish()"):format(name))
      return response.headers["content-disposition"], response.headers["content-type"]
    end
    assert.equal("attachment", (field("")))
    assert.same({ 'attachment; filename="a b.pdf"', "application/pdf" }, { field("'a b.pdf'") })
    assert.equal('attachment; filename="a\\"b.txt"; filename*=UTF-8\'\'a%22b.txt', (field("'a\"b.txt'")))
    assert.equal('attachment; filename="?.txt"; filename*=UTF-8\'\'%E2%82%AC.txt', (field("'€.txt'")))
    assert.equal('attachment; filename="?.txt"; filename*=UTF-8\'\'%C3%A4.txt', (field("'\\228.txt'")))
    assert.equal('attachment; filename="passwd"', (field("'../../etc/passwd'")))
    assert.equal('attachment; filename="x.exe"', (field("'c:\\\\windows\\\\x.exe'")))
    assert.equal('attachment; filename="a__X: y"', (field("'a\\r\\nX: y'")))
    assert.equal('attachment; filename="100%41.txt"; filename*=UTF-8\'\'100%2541.txt', (field("'100%41.txt'")))
    assert.equal('attachment; filename="download"', (field("'a/'")))
  end)

  describe("with the setting etag", function()
    local function tagged(mode, code, headers, method)
      return run(("settings.etag = %s %s settings.etag = nil"):format(mode, code), headers, method)
    end
    local OBJECT = "res:json({ b = 1, a = 2, d = { z = 1, y = 2 }, c = 3 })"

    it("tags answers, by their bytes alone", function()
      local first = tagged("true", OBJECT)
      assert.matches('^W/"%x+%-[%w_-]+"$', first.headers.etag)
      assert.equal('{"a":2,"b":1,"c":3,"d":{"y":2,"z":1}}', first.body)
      local other = helper.serve_handler(APP, { before = BEFORE })
      local second = helper.get(other, "/?run=" .. escaped("settings.etag = true " .. OBJECT))
      assert.equal(first.headers.etag, second.headers.etag)
      assert.not_equal(first.headers.etag, tagged("true", "res:send('x')").headers.etag)
      assert.is_nil(run("res:send('x')").headers.etag)
      assert.matches('^"%x+%-[%w_-]+"$', tagged("'strong'", "res:send('x')").headers.etag)
      assert.equal('"1"', tagged("function(body) return #body end", "res:send('x')").headers.etag)
      assert.is_nil(tagged("false", "res:send('x')").headers.etag)
    end)

    it("answers 304 to whoever has it", function()
      local tag = tagged("true", OBJECT).headers.etag
      for _, header in ipairs({ tag, tag:sub(3), '"x", ' .. tag, "*" }) do
        for _, method in ipairs({ "GET", "HEAD" }) do
          local response = tagged("true", OBJECT, { ["If-None-Match"] = header }, method)
          assert.same({ 304, "", tag }, { response.status, response.body, response.headers.etag })
          assert.is_nil(response.headers["content-type"])
          assert.is_nil(response.headers["content-length"])
        end
      end
      assert.equal(200, tagged("true", OBJECT, { ["If-None-Match"] = '"x"' }).status)
      assert.equal(200, tagged("true", OBJECT, { ["If-None-Match"] = tag, ["Cache-Control"] = "no-cache" }).status)
    end)

    it("leaves other methods and failures alone", function()
      assert.is_nil(tagged("true", OBJECT, nil, "POST").headers.etag)
      assert.is_nil(tagged("true", "res:status(404) " .. OBJECT).headers.etag)
    end)

    it("says what the setting can be", function()
      assert.equal(500, tagged("'week'", "res:send('x')").status)
      assert.matches('the setting "etag" is "weak", "strong", true, false or a function', server:stderr())
      run("settings.etag = nil res:send('')")
    end)

    it("takes the tag or date that the handler has set", function()
      local set = "res:setHeader('ETag', '\"mine\"') res:send('x')"
      assert.equal('"mine"', tagged("true", set).headers.etag)
      assert.equal(304, run(set, { ["If-None-Match"] = 'W/"mine"' }).status)
      local date = "Sun, 06 Nov 1994 08:49:37 GMT"
      set = ("res:setHeader('Last-Modified', '%s') res:send('x')"):format(date)
      assert.equal(304, run(set, { ["If-Modified-Since"] = date }).status)
      assert.equal(200, run(set, { ["If-Modified-Since"] = date, ["If-None-Match"] = '"x"' }).status)
    end)
  end)

  it("tags what handlers return, where an app has that switched on", function()
    local tagging = helper.serve_handler("return app(req, res)", { before = [[
      local app = require("luaserve")({ etag = true })
      app:get("/", function() return { b = 1, a = 2 } end)]] })
    local first = helper.get(tagging, "/")
    assert.equal('{"a":2,"b":1}', first.body)
    assert.equal(304, helper.get(tagging, "/", { ["If-None-Match"] = first.headers.etag }).status)
  end)
end)
