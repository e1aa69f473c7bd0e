-- Bodies that are coded (Content-Encoding) or in another charset than UTF-8.
local helper = require("spec.helper")

local function post(server, body, headers)
  return helper.request(server, { method = "POST", body = body, headers = headers })
end

-- What a command makes of the text.
local function filtered(text, command)
  local dir = helper.tmpdir()
  helper.write_file(dir .. "/in", text)
  assert(os.execute(("%s < %s/in > %s/out"):format(command, dir, dir)))
  return helper.read_file(dir .. "/out")
end

local ZLIB = "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15" -- hello
local CODED = {
  gzip = function(text) return filtered(text, "gzip") end,
  br = function(text) return filtered(text, "brotli") end,
  zstd = function(text) return filtered(text, "zstd -q") end,
}

local NUMBERS = {}
for i = 1, 200 do NUMBERS[i] = tostring(i * i) end
NUMBERS = table.concat(NUMBERS, " ")

describe("A coded body", function()
  it("is decoded by raw, text, json and form, whatever the coding", function()
    local server = helper.serve_handler([[
      if req.url == "/json" then return req:json() end
      if req.url == "/form" then return req:form() end
      return req.url == "/raw" and req:raw() or req:text()]])
    local function send(path, text, coding)
      return helper.request(server, { method = "POST", path = path, body = text,
        headers = { ["Content-Encoding"] = coding } })
    end
    for coding, code in pairs(CODED) do
      assert.equal("hello", send("/raw", code("hello"), coding).body)
      assert.equal(("x"):rep(200000), send("/text", code(("x"):rep(200000)), coding:upper()).body)
      assert.equal('{"a":1}', send("/json", code('{"a": 1}'), coding).body)
      assert.equal('{"a":"1"}', send("/form", code("a=1"), coding).body)
      assert.equal("", send("/text", code(""), coding).body)
    end
    assert.equal("hello", send("/text", ZLIB, "deflate").body)
    assert.equal("hello", send("/text", ZLIB:sub(3, -5), "deflate").body) -- as some send it
    assert.equal("hello", send("/text", CODED.gzip("hel") .. CODED.gzip("lo"), "x-gzip").body)
    assert.equal("plain", send("/text", "plain", "identity").body)
    assert.equal("", send("/text", "", "gzip").body)
  end)

  it("is 415 where nobody knows the coding, which says what is known", function()
    local server = helper.serve_handler("return req:text()")
    for _, coding in ipairs { "compress", "gzip, gzip", "nonsense" } do
      local response = post(server, "x", { ["Content-Encoding"] = coding })
      assert.equal("415 Unsupported Media Type: the Content-Encoding " .. coding ..
        " is not known; these are: gzip, deflate, br, zstd", response.status .. " " .. response.body)
      assert.equal("gzip, deflate, br, zstd", response.headers["accept-encoding"])
    end
  end)

  it("is 400 where it is malformed, cut short, or followed by something", function()
    local server = helper.serve_handler("return req:text()")
    for coding, code in pairs(CODED) do
      local body = code(NUMBERS)
      local headers = { ["Content-Encoding"] = coding }
      local response = post(server, body:sub(1, -3), headers)
      assert.equal("400 Bad Request: the body ends before its " .. coding .. " does",
        response.status .. " " .. response.body)
      assert.equal("Bad Request: the body is not " .. coding, post(server, body .. "more bytes", headers).body)
      assert.equal(400, post(server, "\xff\xff\xff\xff\xff\xff\xff\xff", headers).status)
    end
    assert.equal("", server:stderr())
  end)

  it("is 413 where it would be larger than the limit, without being made", function()
    local server = helper.serve_handler("return #req:text() .. ''")
    local before = server:rss()
    for coding, code in pairs(CODED) do
      local headers = { ["Content-Encoding"] = coding }
      assert.equal("1048576", post(server, code(("\0"):rep(1048576)), headers).body)
      local response = post(server, code(("\0"):rep(64 * 1048576)), headers)
      assert.equal("413 Payload Too Large: the body has more than 1048576 bytes", response.status .. " " ..
        response.body)
    end
    assert.truthy(helper.sanitized or server:rss() - before < 48 * 1048576, server:rss() - before)
  end)

  it("is as it came where it is streamed", function()
    local server = helper.serve_handler("for chunk in req:chunks() do res:write(chunk) end res:finish()")
    assert.equal(ZLIB, post(server, ZLIB, { ["Content-Encoding"] = "deflate" }).body)
  end)

  it("ends where the client goes away", function()
    local server = helper.serve_handler("local text, why = req:text() print(tostring(text) .. ' ' .. tostring(why))")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: deflate\r\nContent-Length: 100\r\n\r\n" .. ZLIB)
    conn:close()
    server:wait_output("nil aborted")
  end)
end)

describe("A text in another charset", function()
  local function sent(server, text, kind)
    local response = post(server, text, { ["Content-Type"] = kind })
    return response.status .. " " .. response.body
  end

  it("becomes UTF-8", function()
    local server = helper.serve_handler("return req:text()")
    assert.equal("200 \xc3\xa4", sent(server, "\xc3\xa4", "text/plain"))
    assert.equal("200 \xc3\xa4", sent(server, "\xe4", "text/plain; charset=ISO-8859-1"))
    assert.equal("200 \xc3\xa4", sent(server, "\xe4", 'text/plain; x="a;b"; Charset="latin1"'))
    assert.equal("200 ab", sent(server, "ab", "text/plain; charset=us-ascii"))
    assert.equal("200 \xe2\x82\xac", sent(server, "\xac\x20", "text/plain; charset=utf-16le"))
    assert.equal("200 \xe2\x82\xac", sent(server, "\xfe\xff\x20\xac", "text/plain; charset=utf-16"))
    assert.equal("200 \xe2\x82\xac", sent(server, "\xff\xfe\xac\x20", "text/plain"))
    assert.equal("200 \xc3\xa4", sent(server, "\xef\xbb\xbf\xc3\xa4", "text/plain"))
  end)

  it("is left alone where nobody says that it is a text, and by raw", function()
    local server = helper.serve_handler("return req.url == '/raw' and req:raw() or req:text()")
    assert.equal("200 \xff\xfe\xac\x20", sent(server, "\xff\xfe\xac\x20", "application/octet-stream"))
    local response = helper.request(server, { method = "POST", path = "/raw", body = "\xe4",
      headers = { ["Content-Type"] = "text/plain; charset=latin1" } })
    assert.equal("\xe4", response.body)
  end)

  it("is 415 where the charset is not known, before anything is read, and 400 where it is malformed", function()
    local server = helper.serve_handler("return req:text()")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Length: 9\r\n\r\n")
    local response = conn:read_response()
    assert.equal("415 Unsupported Media Type: " ..
      "the charset koi8-r is not known; utf-8, us-ascii, iso-8859-1 and utf-16 are",
      response.status .. " " .. response.body)
    assert.equal("400 Bad Request: the body is malformed us-ascii", sent(server, "\xe4",
      "text/plain; charset=us-ascii"))
    assert.equal("400 Bad Request: the body is malformed UTF-16", sent(server, "\xff\xfea", "text/plain"))
  end)

  it("may be JSON or a form", function()
    local server = helper.serve_handler("return req.url == '/form' and req:form() or req:json()")
    assert.equal('200 {"a":"\xc3\xa4"}', sent(server, '{\0"\0a\0"\0:\0"\0\xe4\0"\0}\0',
      "application/json; charset=utf-16"))
    assert.equal("200 {}", sent(server, "\xef\xbb\xbf{}", "application/json"))
    local function form(text, charset)
      local response = helper.request(server, { method = "POST", path = "/form", body = text,
        headers = { ["Content-Type"] = "application/x-www-form-urlencoded; charset=" .. charset } })
      return response.status .. " " .. response.body
    end
    assert.equal('200 {"\xc3\xa4":"\xc3\xb6"}', form("%e4=%F6", "iso-8859-1"))
    assert.equal('200 {"\xc3\xa4":"b"}', form("%c3%a4=b", "utf-8"))
    assert.equal("415 Unsupported Media Type: a form is UTF-8, not utf-16", form("a=b", "utf-16"))
  end)
end)

describe("An urlencoded form", function()
  it("has a limit of fields", function()
    local server = helper.serve_handler(
      "local form = req:form(req.url == '/3' and { maxFields = 3 } or nil) return form.a")
    assert.equal(200, post(server, ("a&"):rep(999) .. "a=1").status or 0)
    local response = post(server, ("a&"):rep(1001))
    assert.equal("413 Payload Too Large: the form has more than 1000 fields", response.status .. " " .. response.body)
  end)
end)
