-- What a client must not send, case by case (RFC 9113 3 to 8): the outcome is the
-- error that the section asks for. An error of a stream leaves the connection to
-- the others; after an error of the connection it is closed.
local helper = require("spec.helper")
local h2 = require("spec.helper.h2")
local hpack = require("spec.helper.hpack")

local APP = [[
if req.path == "/read" then return res:finish(req:text()) end
if req.path == "/hold" then return end -- nor read
if req.path == "/wait" then req:text() return end -- never answered
return "answer"
]]

local OK, CALM = "status 200", "goaway ENHANCE_YOUR_CALM"
local STREAM = "reset PROTOCOL_ERROR"
local CONNECTION, SIZE = "goaway PROTOCOL_ERROR", "goaway FRAME_SIZE_ERROR"
local COMPRESSION = "goaway COMPRESSION_ERROR"

local frame, headers, fields = h2.frame, h2.headers, h2.fields

local function with(...)
  return fields("GET", "/", { ... })
end

-- A request whose fields are these alone.
local function alone(...)
  return headers(1, { ... })
end

local function u32(n)
  return string.pack(">I4", n)
end

local GET = headers(1, fields())
local POST = headers(1, fields("POST", "/read"), { open = true })
local OPEN = headers(1, fields("POST", "/wait"), { open = true })
local BLOCK = hpack.encode(fields())
local METHOD, SCHEME, PATH, AUTHORITY = { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" },
  { ":authority", "localhost" }

-- Section, name, bytes, and what becomes of stream 1 (or of the stream named).
local CASES = {
  { "4.1", "frames of an unknown type are ignored", frame(0x4d, 0xff, 0, "hey") .. GET, OK },
  { "4.1", "unknown flags and the reserved bit are ignored",
    frame(h2.HEADERS, 0xc0 | h2.END_HEADERS | h2.END_STREAM | 0x12, 1 | 0x80000000, BLOCK), OK },
  { "4.2", "DATA over the frame size", POST .. frame(h2.DATA, 0, 1, ("x"):rep(16385)), SIZE },
  { "4.2", "HEADERS over the frame size", frame(h2.HEADERS, 5, 1, ("\0"):rep(16385)), SIZE },
  { "4.2", "a frame of the greatest size", POST .. frame(h2.DATA, 1, 1, ("x"):rep(16384)), OK },
  { "4.3", "a block that cannot be decoded", frame(h2.HEADERS, 5, 1, "\x80"), COMPRESSION },
  { "4.3", "a block interrupted by PRIORITY", frame(h2.HEADERS, 1, 1, BLOCK)
    .. frame(h2.PRIORITY, 0, 1, u32(0) .. "\15"), CONNECTION },
  { "4.3", "a block interrupted by a block", frame(h2.HEADERS, 1, 1, BLOCK) .. headers(3, fields()), CONNECTION },
  { "4.3", "a block in pieces of a byte", (function()
    local parts = { frame(h2.HEADERS, 1, 1, BLOCK:sub(1, -5)) }
    for at = #BLOCK - 3, #BLOCK do
      parts[#parts + 1] = frame(h2.CONTINUATION, at == #BLOCK and 4 or 0, 1, BLOCK:sub(at, at))
    end
    return table.concat(parts)
  end)(), OK },
  { "5.1", "DATA on an idle stream", frame(h2.DATA, 0, 1, "x"), CONNECTION },
  { "5.1", "RST_STREAM on an idle stream", h2.rst_stream(1), CONNECTION },
  { "5.1", "WINDOW_UPDATE on an idle stream", h2.window_update(1, 1), CONNECTION },
  { "5.1", "CONTINUATION on an idle stream", frame(h2.CONTINUATION, 4, 1, BLOCK), CONNECTION },
  { "5.1", "DATA behind the end of the request", headers(1, fields("POST", "/wait")) .. frame(h2.DATA, 0, 1, "x"),
    { "reset STREAM_CLOSED", "goaway STREAM_CLOSED", "status 200" } },
  { "5.1", "HEADERS behind the end of the request", headers(1, fields("GET", "/wait")) .. GET,
    { "reset STREAM_CLOSED", "goaway STREAM_CLOSED", "goaway PROTOCOL_ERROR" } },
  { "5.1", "CONTINUATION behind a complete head", OPEN .. frame(h2.CONTINUATION, 4, 1, BLOCK), CONNECTION },
  { "5.1", "DATA behind RST_STREAM", OPEN .. h2.rst_stream(1) .. frame(h2.DATA, 1, 1, "x") .. headers(3, fields()),
    { "status 200", "reset STREAM_CLOSED", "goaway STREAM_CLOSED" }, 3 },
  { "5.1.1", "a stream with an even number", headers(2, fields()), CONNECTION, 2 },
  { "5.1.1", "a stream with a smaller number", headers(5, fields("GET", "/wait")) .. headers(3, fields()),
    { CONNECTION, "goaway STREAM_CLOSED" }, 3 },
  { "5.1.1", "HEADERS on stream 0", headers(0, fields()), CONNECTION },
  { "5.3", "PRIORITY of a stream on itself", frame(h2.PRIORITY, 0, 1, u32(1) .. "\1") .. headers(3, fields()),
    { OK, CONNECTION }, 3 },
  { "5.5", "an unknown frame within a block", frame(h2.HEADERS, 1, 1, BLOCK) .. frame(0x4d, 0, 0, "x"), CONNECTION },
  { "6.1", "DATA on stream 0", frame(h2.DATA, 0, 0, "x"), CONNECTION },
  { "6.1", "more padding than DATA", POST .. frame(h2.DATA, h2.PADDED, 1, "\5abcd"), CONNECTION },
  { "6.2", "more padding than HEADERS", frame(h2.HEADERS, h2.PADDED | 5, 1, "\xff" .. BLOCK), CONNECTION },
  { "6.2", "HEADERS too short for its priority", frame(h2.HEADERS, h2.PRIORITIZED | 5, 1, "\0\0"),
    { CONNECTION, SIZE } },
  { "6.3", "PRIORITY on stream 0", frame(h2.PRIORITY, 0, 0, u32(1) .. "\1"), CONNECTION },
  { "6.3", "PRIORITY of another length", OPEN .. frame(h2.PRIORITY, 0, 1, u32(3)),
    { "reset FRAME_SIZE_ERROR", SIZE } },
  { "6.4", "RST_STREAM on stream 0", h2.rst_stream(0), CONNECTION },
  { "6.4", "RST_STREAM of another length", OPEN .. frame(h2.RST_STREAM, 0, 1, "\0\0\0"), SIZE },
  { "6.5", "SETTINGS with ACK and a payload", frame(h2.SETTINGS, h2.ACK, 0, "\0\3\0\0\0\1"), SIZE },
  { "6.5", "SETTINGS on a stream", frame(h2.SETTINGS, 0, 1, "\0\3\0\0\0\1"), CONNECTION },
  { "6.5", "SETTINGS of another length", frame(h2.SETTINGS, 0, 0, "\0\3\0\0\0"), SIZE },
  { "6.5.2", "ENABLE_PUSH neither 0 nor 1", h2.settings({ { 2, 2 } }), CONNECTION },
  { "6.5.2", "INITIAL_WINDOW_SIZE over the greatest", h2.settings({ { 4, 0x80000000 } }), "goaway FLOW_CONTROL_ERROR" },
  { "6.5.2", "MAX_FRAME_SIZE under the least", h2.settings({ { 5, 16383 } }), CONNECTION },
  { "6.5.2", "MAX_FRAME_SIZE over the greatest", h2.settings({ { 5, 16777216 } }), CONNECTION },
  { "6.5.2", "an unknown setting is ignored", h2.settings({ { 0xff, 1 } }) .. GET, OK },
  { "6.5", "a frame of thousands of settings", frame(h2.SETTINGS, 0, 0, ("\0\3\0\0\0\1"):rep(2400)),
    { CALM, "closed", CONNECTION } },
  { "6.6", "PUSH_PROMISE from a client", frame(h2.PUSH_PROMISE, 4, 1, u32(2) .. BLOCK), CONNECTION },
  { "6.7", "PING on a stream", frame(h2.PING, 0, 1, "12345678"), CONNECTION },
  { "6.7", "PING of another length", frame(h2.PING, 0, 0, "1234567"), SIZE },
  { "6.8", "GOAWAY on a stream", frame(h2.GOAWAY, 0, 1, u32(0) .. u32(0)), CONNECTION },
  { "6.8", "GOAWAY too short", frame(h2.GOAWAY, 0, 0, u32(0)), SIZE },
  { "6.9", "WINDOW_UPDATE of 0 on the connection", h2.window_update(0, 0), CONNECTION },
  { "6.9", "WINDOW_UPDATE of 0 on a stream", OPEN .. h2.window_update(1, 0), { STREAM, CONNECTION } },
  { "6.9", "WINDOW_UPDATE of another length", frame(h2.WINDOW_UPDATE, 0, 0, "\0\0\1"), SIZE },
  { "6.9.1", "a window of the connection beyond 2^31-1", h2.window_update(0, 0x7fffffff):rep(2),
    "goaway FLOW_CONTROL_ERROR" },
  { "6.9.1", "a window of a stream beyond 2^31-1", OPEN .. h2.window_update(1, 0x7fffffff):rep(2),
    { "reset FLOW_CONTROL_ERROR", "goaway FLOW_CONTROL_ERROR" } },
  { "6.9.1", "a body beyond the window", headers(1, fields("POST", "/hold"), { open = true })
    .. frame(h2.DATA, 0, 1, ("x"):rep(16384)):rep(10),
    { "goaway FLOW_CONTROL_ERROR", "reset FLOW_CONTROL_ERROR" } },
  { "6.9.2", "SETTINGS that carry a window beyond 2^31-1", OPEN .. h2.window_update(1, 0x7fffff00)
    .. h2.settings({ { 4, 0x7fffffff } }), { "goaway FLOW_CONTROL_ERROR", "reset FLOW_CONTROL_ERROR" } },
  { "6.10", "CONTINUATION on stream 0", frame(h2.HEADERS, 1, 1, BLOCK) .. frame(h2.CONTINUATION, 4, 0, ""),
    CONNECTION },
  { "6.10", "CONTINUATION of another stream", frame(h2.HEADERS, 1, 1, BLOCK) .. frame(h2.CONTINUATION, 4, 3, ""),
    CONNECTION },
  { "6.10", "CONTINUATION alone", frame(h2.CONTINUATION, 4, 1, BLOCK), CONNECTION },
  { "6.10", "CONTINUATION behind the end of a block", OPEN .. frame(h2.CONTINUATION, 4, 1, ""), CONNECTION },
  { "6.10", "DATA within a block", frame(h2.HEADERS, 0, 1, BLOCK) .. frame(h2.DATA, 1, 1, "x"), CONNECTION },

  { "8.1", "trailers without the end of the stream", POST .. headers(1, { { "x", "y" } }, { open = true }), STREAM },
  { "8.1", "pseudo-header fields in trailers", POST .. headers(1, { { ":method", "GET" } }), STREAM },
  { "8.1.1", "more body than the Content-Length", headers(1, fields("POST", "/wait", { { "content-length", "1" } }),
    { open = true }) .. frame(h2.DATA, 1, 1, "xx"), STREAM },
  { "8.1.1", "less body than the Content-Length", headers(1, fields("POST", "/wait", { { "content-length", "9" } }),
    { open = true }) .. frame(h2.DATA, 1, 1, "xx"), STREAM },
  { "8.1.1", "a Content-Length without a body", headers(1, fields("POST", "/", { { "content-length", "9" } })),
    STREAM },
  { "8.1.1", "two Content-Lengths", headers(1, with({ "content-length", "0" }, { "content-length", "0" })), STREAM },
  { "8.1.1", "a Content-Length that is no number", headers(1, with({ "content-length", "+1" })), STREAM },
  { "8.2.1", "upper case in a name", headers(1, with({ "X-Upper", "1" })), STREAM },
  { "8.2.1", "an empty name", headers(1, with({ "", "1" })), STREAM },
  { "8.2.1", "a space in a name", headers(1, with({ "x y", "1" })), STREAM },
  { "8.2.1", "a colon in a name", headers(1, with({ "x:y", "1" })), STREAM },
  { "8.2.1", "CRLF in a name", headers(1, with({ "x\r\ny", "1" })), STREAM },
  { "8.2.1", "a byte beyond ASCII in a name", headers(1, with({ "x\xe4", "1" })), STREAM },
  { "8.2.1", "CRLF in a value", headers(1, with({ "x", "1\r\nhost: evil" })), STREAM },
  { "8.2.1", "LF in a value", headers(1, with({ "x", "1\nhost: evil" })), STREAM },
  { "8.2.1", "CR in a value", headers(1, with({ "x", "1\r" })), STREAM },
  { "8.2.1", "NUL in a value", headers(1, with({ "x", "1\0002" })), STREAM },
  { "8.2.1", "a space before a value", headers(1, with({ "x", " 1" })), STREAM },
  { "8.2.1", "a tab behind a value", headers(1, with({ "x", "1\t" })), STREAM },
  { "8.2.1", "LF in a trailer", POST .. headers(1, { { "x", "1\n" } }), STREAM },
  { "8.2.2", "Connection", headers(1, with({ "connection", "keep-alive" })), STREAM },
  { "8.2.2", "Keep-Alive", headers(1, with({ "keep-alive", "1" })), STREAM },
  { "8.2.2", "Proxy-Connection", headers(1, with({ "proxy-connection", "close" })), STREAM },
  { "8.2.2", "Transfer-Encoding", headers(1, with({ "transfer-encoding", "chunked" })), STREAM },
  { "8.2.2", "Upgrade", headers(1, with({ "upgrade", "websocket" })), STREAM },
  { "8.2.2", "TE with more than trailers", headers(1, with({ "te", "trailers, gzip" })), STREAM },
  { "8.2.2", "TE with trailers is fine", headers(1, with({ "te", "trailers" })), OK },
  { "8.3", "an unknown pseudo-header field", alone(METHOD, SCHEME, PATH, AUTHORITY, { ":test", "x" }), STREAM },
  { "8.3", "a pseudo-header field of responses", alone(METHOD, SCHEME, PATH, AUTHORITY, { ":status", "200" }), STREAM },
  { "8.3", "a pseudo-header field behind others", alone(METHOD, SCHEME, { "x", "y" }, PATH, AUTHORITY), STREAM },
  { "8.3.1", "no :method", alone(SCHEME, PATH, AUTHORITY), STREAM },
  { "8.3.1", "no :scheme", alone(METHOD, PATH, AUTHORITY), STREAM },
  { "8.3.1", "no :path", alone(METHOD, SCHEME, AUTHORITY), STREAM },
  { "8.3.1", "an empty :path", alone(METHOD, SCHEME, { ":path", "" }, AUTHORITY), STREAM },
  { "8.3.1", "neither :authority nor Host", alone(METHOD, SCHEME, PATH), STREAM },
  { "8.3.1", ":method twice", alone(METHOD, METHOD, SCHEME, PATH, AUTHORITY), STREAM },
  { "8.3.1", ":scheme twice", alone(METHOD, SCHEME, SCHEME, PATH, AUTHORITY), STREAM },
  { "8.3.1", ":path twice", alone(METHOD, SCHEME, PATH, PATH, AUTHORITY), STREAM },
  { "8.3.1", ":authority twice", alone(METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY), STREAM },
  { "8.3.1", "a :method that is no token", alone({ ":method", "GET /x" }, SCHEME, PATH, AUTHORITY), STREAM },
  { "8.3.1", "CRLF in :method", alone({ ":method", "GET\r\nx: y" }, SCHEME, PATH, AUTHORITY), STREAM },
  { "8.3.1", "a space in :path", alone(METHOD, SCHEME, { ":path", "/a HTTP/1.1" }, AUTHORITY), STREAM },
  { "8.3.1", "CRLF in :path", alone(METHOD, SCHEME, { ":path", "/\r\nx: y" }, AUTHORITY), STREAM },
  { "8.3.1", "a :path without a slash", alone(METHOD, SCHEME, { ":path", "x" }, AUTHORITY), STREAM },
  { "8.3.1", "an absolute :path", alone(METHOD, SCHEME, { ":path", "http://a/" }, AUTHORITY), STREAM },
  { "8.3.1", "an asterisk without OPTIONS", alone(METHOD, SCHEME, { ":path", "*" }, AUTHORITY), STREAM },
  { "8.3.1", "a fragment in :path", alone(METHOD, SCHEME, { ":path", "/a#b" }, AUTHORITY), "status 400" },
  { "8.3.1", "another :scheme", alone(METHOD, { ":scheme", "ftp" }, PATH, AUTHORITY), "status 400" },
  { "8.3.1", "CRLF in :scheme", alone(METHOD, { ":scheme", "http\r\n" }, PATH, AUTHORITY), STREAM },
  { "8.3.1", "user information in :authority", alone(METHOD, SCHEME, PATH, { ":authority", "u@localhost" }),
    { STREAM, "status 400" } },
  { "8.3.1", "CRLF in :authority", alone(METHOD, SCHEME, PATH, { ":authority", "a\r\nx: y" }), STREAM },
  { "8.3.1", "an empty :authority", alone(METHOD, SCHEME, PATH, { ":authority", "" }), { STREAM, "status 400" } },
  { "8.3.1", "a slash in :authority", alone(METHOD, SCHEME, PATH, { ":authority", "a/b" }), { STREAM, "status 400" } },
  { "8.3.1", "a Host that is another", headers(1, with({ "host", "other" })), "status 400" },
  { "8.3.1", "two Hosts", headers(1, with({ "host", "localhost" }, { "host", "localhost" })), { STREAM,
    "status 400" } },
  { "8.3.1", "a Host that is the same", headers(1, with({ "host", "LOCALHOST" })), OK },
  { "8.5", "CONNECT with :scheme and :path", alone({ ":method", "CONNECT" }, SCHEME, PATH, AUTHORITY), STREAM },
  { "8.5", "CONNECT without :authority", alone({ ":method", "CONNECT" }), STREAM },
  { "8441", ":protocol that was not offered", alone({ ":method", "CONNECT" }, { ":protocol", "websocket" }, SCHEME,
    PATH,
    AUTHORITY), STREAM },
}

local HPACK = {
  { "2.3.3", "an index in no table", "\xff\x80\x01", COMPRESSION },
  { "6.1", "the index 0", "\x80", COMPRESSION },
  { "6.2.1", "a name with an index in no table", "\x7e\1x", COMPRESSION },
  { "5.1", "an integer without end", "\xff" .. ("\xff"):rep(20), COMPRESSION },
  { "5.2", "a string that is cut", BLOCK .. "\x10\x01x\x7fabc", COMPRESSION },
  { "5.2", "Huffman padding of more than 7 bits", BLOCK .. "\x10\1x\x82\x1f\xff\xff", COMPRESSION },
  { "5.2", "Huffman padding that is not EOS", BLOCK .. "\x10\1x\x81\x18", COMPRESSION },
  { "5.2", "EOS within a Huffman string", BLOCK .. "\x10\1x\x84\xff\xff\xff\xff", COMPRESSION },
  { "4.2", "a table size over the limit", "\x3f\xe2\x1f" .. BLOCK, COMPRESSION },
  { "4.2", "a table size behind a field", BLOCK .. "\x20", COMPRESSION },
  { "4.2", "a table size at the limit", "\x3f\xe1\x1f" .. BLOCK, OK },
  { "4.2", "two table sizes", "\x20\x3f\xe1\x1f" .. BLOCK, OK },
  { "6.2.2", "literals that are not indexed", hpack.encode(fields(), "plain"), OK },
  { "6.2.1", "literals that are indexed", hpack.encode(fields(), "indexed"), OK },
  { "4.4", "a field greater than the table empties it", hpack.encode(with({ "x", ("y"):rep(5000) }), "indexed"), OK },
}

describe("HTTP/2 frames", function()
  local server

  setup(function()
    server = helper.serve_handler(APP)
  end)

  local function contains(list, value)
    for _, one in ipairs(type(list) == "table" and list or { list }) do
      if one == value then
        return true
      end
    end
    return false
  end

  local function check(bytes, expected, id)
    local conn = h2.connect(server)
    conn:send(bytes)
    local outcome = conn:outcome(id or 1)
    if not contains(expected, outcome) then
      error(("%s, expected %s"):format(outcome, type(expected) == "table" and table.concat(expected, " or ")
        or expected), 0)
    end
    if outcome:find("^goaway") or outcome == "closed" then
      assert.is_true(conn:closed())
    else
      conn:send(h2.headers(99, fields("GET", "/next")))
      assert.equal("status 200", conn:outcome(99))
    end
    conn:close()
  end

  for _, case in ipairs(CASES) do
    it(("%s (%s)"):format(case[2], case[1]), function()
      check(case[3], case[4], case[5])
    end)
  end

  for _, case in ipairs(HPACK) do
    it(("%s (RFC 7541 %s)"):format(case[2], case[1]), function()
      check(h2.frame(h2.HEADERS, 5, 1, case[3]), case[4])
    end)
  end

  it("begin with the preface and SETTINGS (3.4)", function()
    local conn = h2.connect(server, { raw = true })
    conn:send(h2.PREFACE .. h2.frame(h2.PING, 0, 0, "12345678"))
    assert.equal("PROTOCOL_ERROR", conn:goaway())
    assert.is_true(conn:closed())
  end)

  it("of the server begin with SETTINGS, and acknowledge those of the client (3.4, 6.5.3)", function()
    local conn = h2.connect(server)
    assert.equal(h2.SETTINGS, conn:step().type)
    conn:until_true(function() return conn.acked end, "acknowledging SETTINGS")
    assert.same({ [3] = 100, [4] = 65536, [6] = 32768, [9] = 1 }, conn.settings)
  end)

  it("echo the payload of a PING (6.7)", function()
    local conn = h2.connect(server)
    conn:ping()
    assert.equal("12345678", conn.pong)
  end)

  it("cut anywhere leave the server serving", function()
    local bytes = h2.PREFACE .. h2.settings({}) .. headers(1, fields("POST", "/wait"), { open = true })
      .. frame(h2.DATA, 0, 1, "body")
    for at = #h2.PREFACE, #bytes do
      local conn = h2.connect(server, { raw = true })
      conn:send(bytes:sub(1, at))
      if at % 2 == 0 then conn.raw:reset() else conn:close() end
    end
    -- CVE-2024-27983: a reset between HEADERS and CONTINUATION
    local conn = h2.connect(server)
    conn:send(frame(h2.HEADERS, 0, 1, BLOCK) .. h2.rst_stream(1))
    assert.equal("PROTOCOL_ERROR", conn:goaway())
    assert.equal("answer", h2.get(server, "/").body)
  end)
end)
