-- Requests and answers over HTTP/2: what a handler sees and what it sends are
-- those of HTTP/1 (RFC 9113 8).
local helper = require("spec.helper")
local h2 = require("spec.helper.h2")

local APP = [[
local function lines(t)
  local out = {}
  for name, value in pairs(t) do
    out[#out + 1] = name .. ": " .. (type(value) == "table" and table.concat(value, " | ") or value)
  end
  table.sort(out)
  return table.concat(out, "\n")
end
local path = req.path
if path == "/headers" then return req.httpVersion .. "\n" .. lines(req.headers)
elseif path == "/raw" then return table.concat(req.rawHeaders, "|")
elseif path == "/cookies" then return lines(req.cookies)
elseif path == "/echo" then return res:finish(req:text())
elseif path == "/trailers-in" then local body = req:text() return body .. "\n" .. lines(req.trailers)
elseif path == "/trailers-out" then
  res:write("a") res:addTrailers({ ["X-Sum"] = "1" }) return res:finish("b")
elseif path == "/trailers-alone" then res:addTrailers({ ["X-Sum"] = "1" }) return res:finish()
elseif path == "/hints" then res:writeEarlyHints({ link = "</a.css>; rel=preload" }) return "hinted"
elseif path == "/connection" then
  res:setHeader("Connection", "close") res:setHeader("Keep-Alive", "timeout=5")
  res:setHeader("Transfer-Encoding", "chunked") res:setHeader("Upgrade", "x")
  res:setHeader("Proxy-Connection", "close") res.statusMessage = "Fine" res:setHeader("X-Kept", "1")
  return res:finish("plain")
elseif path == "/204" then res.statusCode = 204 return res:finish()
elseif path == "/304" then res.statusCode = 304 return res:finish("dropped")
elseif path == "/empty" then return res:finish()
elseif path == "/stream" then
  for i = 1, 20 do res:write(("%04d"):format(i):rep(1000)) end return res:finish("end")
elseif path == "/late" then require("timers").sleep(20) return "late"
elseif path == "/fails" then error("on purpose")
elseif path == "/fails-late" then res:write("x") error("on purpose")
elseif path == "/destroy" then res:destroy() return
elseif path == "/flush" then res:flushHeaders() require("timers").sleep(10) return res:finish("flushed")
elseif path == "/many" then for i = 1, 200 do res:setHeader("X-" .. i, i) end return res:finish("many")
elseif path == "/huge" then res:setHeader("X-Huge", ("x"):rep(100000)) return res:finish("huge")
end
return req.method .. " " .. req.url
]]

describe("HTTP/2 by prior knowledge", function()
  local server, conn

  setup(function()
    server = helper.serve_handler(APP)
  end)

  before_each(function()
    conn = h2.connect(server)
  end)

  local function get(path, more)
    return conn:response(conn:request(h2.fields("GET", path, more)))
  end

  it("is spoken on the port of HTTP/1.1", function()
    assert.equal("GET /a?b=1", get("/a?b=1").body)
    assert.equal("GET /a", helper.get(server, "/a").body)
  end)

  it("is recognised wherever its preface is split", function()
    local bytes = h2.PREFACE .. h2.settings({}) .. h2.headers(1, h2.fields("GET", "/split"))
    for at = 1, #h2.PREFACE + 3 do
      local split = h2.connect(server, { raw = true })
      split:send(bytes:sub(1, at))
      helper.get(server, "/")
      split:send(bytes:sub(at + 1))
      assert.equal("GET /split", split:response(1).body)
      split:close()
    end
  end)

  it("leaves a preface that is none to HTTP/1.1", function()
    local raw = helper.connect(server)
    raw:send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
    assert.equal(505, raw:read_response().status)
    raw = helper.connect(server)
    raw:send("PR")
    helper.get(server, "/")
    raw:send("OPFIND /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("PROPFIND /x", raw:read_response().body)
  end)

  it("answers with length, type and date", function()
    local response = get("/")
    assert.equal(200, response.status)
    assert.equal("5", response.headers["content-length"])
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.truthy(response.headers.date:find("GMT$"))
  end)

  it("gives handlers the pseudo-header fields, and Host from :authority", function()
    assert.equal("2.0\n:authority: localhost\n:method: GET\n:path: /headers\n:scheme: http\nhost: localhost\nx-a: 1, 2",
      get("/headers", { { "x-a", "1" }, { "x-a", "2" } }).body)
    assert.equal(":method|GET|:scheme|http|:path|/raw|:authority|localhost|x-b|1|host|localhost",
      get("/raw", { { "x-b", "1" } }).body)
  end)

  it("takes Host where there is no :authority", function()
    local id = conn:request({ { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/headers" }, { "host", "b" } })
    assert.truthy(conn:response(id).body:find("host: b", 1, true))
  end)

  it("joins the crumbs of a cookie", function()
    local crumbs = { { "cookie", "a=1" }, { "x", "y" }, { "cookie", "b=2; c=3" }, { "cookie", "d=4" } }
    assert.truthy(get("/headers", crumbs).body:find("cookie: a=1; b=2; c=3; d=4", 1, true))
    assert.truthy(get("/raw", crumbs).body:find("cookie|a=1; b=2; c=3; d=4|x|y", 1, true))
    assert.equal("a: 1\nb: 2\nc: 3\nd: 4", get("/cookies", crumbs).body)
  end)

  it("carries bodies, with a length and without", function()
    assert.equal("hello", conn:response(conn:request(h2.fields("POST", "/echo", { { "content-length", "5" } }),
      { body = "hello" })).body)
    assert.equal("hello", conn:response(conn:request(h2.fields("POST", "/echo"), { body = "hello" })).body)
    local id = conn:request(h2.fields("POST", "/echo"), { open = true })
    conn:data(id, "in ")
    conn:ping()
    conn:data(id, "pieces")
    conn:data(id, "", true)
    assert.equal("in pieces", conn:response(id).body)
  end)

  it("carries padded bodies and heads", function()
    local block = require("spec.helper.hpack").encode(h2.fields("POST", "/echo"))
    conn:send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.PADDED | h2.PRIORITIZED, 1,
      "\7" .. string.pack(">I4B", 0, 15) .. block .. ("\0"):rep(7)))
    conn:send(h2.frame(h2.DATA, h2.END_STREAM | h2.PADDED, 1, "\4text" .. ("\0"):rep(4)))
    assert.equal("text", conn:response(1).body)
  end)

  it("carries trailers in", function()
    local id = conn:request(h2.fields("POST", "/trailers-in"), { open = true })
    conn:data(id, "body")
    conn:send(h2.headers(id, { { "x-sum", "1" }, { "x-more", "2" } }))
    assert.equal("body\nx-more: 2\nx-sum: 1", conn:response(id).body)
  end)

  it("carries trailers out", function()
    local response = get("/trailers-out")
    assert.equal("ab", response.body)
    assert.same({ ["x-sum"] = "1" }, response.trailers)
    assert.same({ ["x-sum"] = "1" }, get("/trailers-alone").trailers)
  end)

  it("drops what is HTTP/1's of a response", function()
    local response = get("/connection")
    assert.equal("plain", response.body)
    assert.equal("1", response.headers["x-kept"])
    for _, name in ipairs({ "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection" }) do
      assert.is_nil(response.headers[name])
    end
  end)

  it("sends early hints and 100 Continue", function()
    local response = get("/hints")
    assert.equal("103", response.interim[1][":status"])
    assert.equal("</a.css>; rel=preload", response.interim[1].link)
    assert.equal("hinted", response.body)
    local id = conn:request(h2.fields("POST", "/echo", { { "expect", "100-continue" } }), { open = true })
    local stream = conn:stream(id)
    conn:until_true(function() return stream.interim[1] end, "continuing")
    assert.equal("100", stream.interim[1][":status"])
    conn:data(id, "now", true)
    assert.equal("now", conn:response(id).body)
  end)

  it("refuses another expectation, and continues only who reads", function()
    assert.equal(417, get("/", { { "expect", "more" } }).status)
    local id = conn:request(h2.fields("POST", "/", { { "expect", "100-continue" } }), { open = true })
    assert.same({}, conn:response(id).interim)
  end)

  it("sends no body with HEAD, 204 and 304", function()
    local response = conn:response(conn:request(h2.fields("HEAD", "/12")))
    assert.equal("8", response.headers["content-length"])
    assert.equal("", response.body)
    response = get("/204")
    assert.equal(204, response.status)
    assert.is_nil(response.headers["content-length"])
    response = get("/304")
    assert.equal(304, response.status)
    assert.equal("", response.body)
  end)

  it("ends an empty answer with its head", function()
    local id = conn:request(h2.fields("GET", "/empty"))
    local frame
    repeat frame = conn:step() until frame.type == h2.HEADERS
    assert.equal(h2.END_HEADERS | h2.END_STREAM, frame.flags)
    assert.equal("0", conn:response(id).headers["content-length"])
  end)

  it("streams", function()
    local response = get("/stream")
    assert.equal(20 * 4000 + 3, #response.body)
    assert.is_nil(response.headers["content-length"])
    assert.equal("flushed", get("/flush").body)
  end)

  it("answers streams as they are ready", function()
    local late = conn:request(h2.fields("GET", "/late"))
    local early = conn:request(h2.fields("GET", "/early"))
    assert.equal("GET /early", conn:response(early).body)
    assert.is_nil(conn:stream(late).ended)
    assert.equal("late", conn:response(late).body)
  end)

  it("answers hundreds of streams at once", function()
    local ids = {}
    for i = 1, 300 do
      ids[i] = conn:request(h2.fields("GET", "/n" .. i))
      if i % 100 == 0 then
        for k = i - 99, i do
          assert.equal("GET /n" .. k, conn:response(ids[k]).body)
        end
      end
    end
  end)

  it("answers 500 where the handler fails, and resets where it was too late", function()
    assert.equal(500, get("/fails").status)
    assert.equal("INTERNAL_ERROR", conn:reset_of(conn:request(h2.fields("GET", "/fails-late"))))
    assert.equal("INTERNAL_ERROR", conn:reset_of(conn:request(h2.fields("GET", "/destroy"))))
    assert.equal("GET /on", get("/on").body)
  end)

  it("sends hundreds of fields, and resets what no peer would take", function()
    assert.equal("200", get("/many").headers["x-200"])
    assert.equal("INTERNAL_ERROR", conn:reset_of(conn:request(h2.fields("GET", "/huge"))))
    assert.equal("GET /on", get("/on").body)
  end)

  it("refuses methods that HTTP/1 refuses", function()
    assert.equal(501, conn:response(conn:request(h2.fields("FROB"))).status)
    assert.equal(400, conn:response(conn:request(h2.fields("get"))).status)
    assert.equal(405, conn:response(conn:request({ { ":method", "CONNECT" }, { ":authority", "a:1" } })).status)
  end)

  it("resets without error a request whose answer needs no more of it", function()
    local id = conn:request(h2.fields("POST", "/"), { open = true })
    assert.equal("POST /", conn:response(id).body)
    assert.equal("NO_ERROR", conn:reset_of(id))
  end)

  it("is understood by curl", function()
    local run = helper.start({ "curl", "-s", "--http2-prior-knowledge", "-d", "from curl",
      ("http://127.0.0.1:%d/echo"):format(server.port) })
    assert.equal(0, (run:wait_exit()))
    assert.equal("from curl", run:stdout())
  end)
end)
