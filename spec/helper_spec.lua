-- The harness itself: what it reads, starts and cleans up. No luaserve is needed:
-- servers are sockets and small shell scripts of this file.
local lfs = require("lfs")
local socket = require("socket")
local helper = require("spec.helper")
local wire = require("spec.helper.wire")
local wire_check = require("spec.helper.wire_check")

-- A connection of the harness, and the other end of it.
local function pair()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local conn = helper.connect(math.tointeger(tonumber(port)), { timeout = 0.3 })
  local peer = assert(listener:accept())
  listener:close()
  return conn, peer
end

-- Reads one answer out of `bytes`, behind which the server closes.
local function read(bytes, opts)
  local conn, peer = pair()
  peer:send(bytes)
  peer:close()
  return conn:read_response(opts), conn
end

describe("read_response", function()
  it("reads a body by its length and leaves what follows", function()
    local response, conn = read("HTTP/1.1 200 Very OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhelloHTTP")
    assert.equal(200, response.status)
    assert.equal("Very OK", response.reason)
    assert.equal("1.1", response.version)
    assert.equal("1", response.headers["x-a"])
    assert.same({ "X-A", "1" }, response.raw_headers[2])
    assert.equal("hello", response.body)
    assert.equal("length", response.framing)
    assert.equal("HTTP", conn:read_all())
  end)

  it("reads a chunked body and its trailers", function()
    local response, conn = read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "5\r\nhello\r\nB\r\n world, you\r\n0\r\nX-Sum: 15\r\n\r\nrest")
    assert.equal("hello world, you", response.body)
    assert.equal("15", response.trailers["x-sum"])
    assert.equal("chunked", response.framing)
    assert.equal("rest", conn:read_all())
  end)

  it("reads a body that ends with the connection", function()
    local response = read("HTTP/1.1 200 OK\r\n\r\nhello")
    assert.equal("hello", response.body)
    assert.equal("close", response.framing)
  end)

  it("keeps repeated headers in a list", function()
    local response = read("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n")
    assert.same({ "a", "b" }, response.headers["set-cookie"])
  end)

  it("reads no body behind HEAD, 1xx, 204 and 304", function()
    for _, case in ipairs({
      { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", { head = true } },
      { "HTTP/1.1 100 Continue\r\n\r\n" },
      { "HTTP/1.1 204 No Content\r\n\r\n" },
      { "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" },
    }) do
      local response, conn = read(case[1] .. "next", case[2])
      assert.equal("", response.body)
      assert.equal("next", conn:read_all())
    end
  end)

  it("raises at an answer that breaks RFC 9112", function()
    for _, bytes in ipairs({
      "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
      "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX-A: a\nb: c\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n",
    }) do
      assert.error_matches(function()
        read(bytes)
      end, "malformed answer")
    end
  end)

  it("raises with what had arrived when the answer is cut off or does not come", function()
    assert.error_matches(function()
      read("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
    end, 'closed the connection while reading 50 bytes; unread: "hello"')
    local conn, peer = pair()
    peer:send("HTTP/1.1 2")
    assert.error_matches(function()
      conn:read_response()
    end, "nothing came for .*HTTP/1.1 2")
  end)
end)

describe("a connection", function()
  it("tells an open peer from one that has closed, and keeps what it sent", function()
    local conn, peer = pair()
    peer:send("last")
    assert.is_false(conn:closed(0.02))
    peer:close()
    assert.is_true(conn:closed())
    assert.equal("last", conn:read(4))
    assert.is_nil(conn:read_some())
  end)

  it("tells a reset from an open peer", function()
    local conn, peer = pair()
    peer:setoption("linger", { on = true, timeout = 0 })
    peer:close()
    assert.is_true(conn:closed())
  end)

  it("resets, ends its direction, and sends in small writes", function()
    local conn, peer = pair()
    assert.is_true(conn:send_slowly("hello", 2))
    conn:shutdown_write()
    assert.equal("hello", peer:receive("*a"))
    peer:close()
    conn, peer = pair()
    conn:reset()
    peer:settimeout(1)
    assert.equal("closed", select(2, peer:receive(1)))
    peer:close()
  end)

  it("says how much it has sent when the peer does not read", function()
    local conn, peer = pair()
    local ok, message, sent = conn:send(("x"):rep(50000000), 0.05)
    assert.same({ nil, "timeout" }, { ok, message })
    assert.is_true(sent > 0 and sent < 50000000)
    peer:close()
  end)

  it("reads until a pattern", function()
    local conn, peer = pair()
    peer:send("one\ntwo: 22\nthree")
    assert.equal("one\ntwo: 22", conn:read_until("%d+"))
    assert.equal("\n", conn:read(1))
    peer:close()
  end)
end)

describe("wait_for", function()
  it("returns what the condition returns", function()
    local n = 0
    assert.equal(3, helper.wait_for(function()
      n = n + 1
      return n == 3 and n
    end, "three"))
  end)

  it("raises with what was waited for", function()
    assert.error_matches(function()
      helper.wait_for(function() end, "the moon", 0.02)
    end, "in vain for the moon")
  end)
end)

describe("a process", function()
  local function shell(code, opts)
    return helper.start({ "/bin/sh", "-c", code }, opts)
  end

  it("gives its exit code or the signal that ended it", function()
    assert.same({ 7 }, { shell("exit 7"):wait_exit() })
    local process = shell("kill -USR1 $$")
    assert.same({ nil, "SIGUSR1" }, { process:wait_exit() })
    assert.is_false(process:alive())
  end)

  it("keeps both outputs, and reads its input to the end", function()
    local process = shell("cat; echo oops >&2", { stdin = "hello" })
    process:wait_exit()
    assert.equal("hello", process:stdout())
    assert.equal("oops\n", process:stderr())
  end)

  it("gets the environment and the folder it was given, and no HOST or PORT", function()
    local dir = helper.tmpdir()
    local process = shell('echo "$A|$HOST$PORT|$PWD"', { env = { A = "b 'c'" }, cwd = dir })
    process:wait_exit()
    assert.equal("b 'c'||" .. dir .. "\n", process:stdout())
  end)

  it("inherits no descriptor but the three", function()
    local conn = pair()
    local process = shell("exec sleep 100")
    helper.wait_for(function()
      return (lfs.symlinkattributes("/proc/" .. process.pid .. "/exe", "target") or ""):find("sleep")
    end, "the shell to become sleep")
    helper.wait_for(function() return process:fds() == 3 end, "what sleep itself opens as it starts to be closed")
    assert.is_true(process:rss() > 0)
    assert.is_true(process:private_memory() > 0)
    local before = process:cpu()
    assert.is_true(before >= 0 and before < 1, "a sleeping process uses no processor")
    conn:close()
  end)

  it("stops on SIGTERM, and fails the spec where it does not", function()
    assert.same({ nil, "SIGTERM" }, { shell("exec sleep 100"):stop() })
    local process = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    process:wait_output("ready")
    process.wait_exit = function(self, timeout) -- five seconds are long
      return getmetatable(self).__index.wait_exit(self, timeout and 0.1)
    end
    assert.error_matches(function()
      process:stop()
    end, "in vain for the end of process")
    assert.equal("SIGKILL", process.signal)
  end)

  it("raises where a sanitizer has reported, or a crash", function()
    for _, code in ipairs({
      "echo '==7==ERROR: AddressSanitizer: heap-use-after-free' >&2",
      "echo 'src/a.c:3:5: runtime error: signed integer overflow' >&2",
      "kill -SEGV $$",
    }) do
      local process = shell(code)
      process:wait_exit()
      assert.has_error(function()
        helper.check_sanitizer(process)
      end)
    end
    shell("kill -SEGV $$", { may_crash = true }):wait_exit()
  end)
end)

describe("serve", function()
  local function serve(code, opts)
    opts = opts or {}
    opts.program, opts.code = "/bin/sh", true
    return helper.serve(code, opts)
  end

  it("waits for the ports that are announced on either output", function()
    local server = serve([[
      echo port 12
      echo '2026-01-01 info: listening on http://[::1]:8080' >&2
      echo port 34 admin
      exec sleep 100]], { ports = 3 })
    assert.equal(12, server.port)
    assert.equal(34, server.ports.admin)
    assert.equal(34, server.ports[2])
    assert.equal(8080, server.ports[3])
  end)

  it("passes arguments and files, and waits for another sign", function()
    local server = serve('cat "$(dirname "$0")/www/a.txt"; echo "$1" >&2; exec sleep 100', {
      script_args = { "one two" },
      files = { ["www/a.txt"] = "text" },
      ready = "one",
    })
    assert.equal("text", server:stdout())
    assert.equal("one two\n", server:stderr())
    assert.equal(server.dir .. "/app.lua", server.script)
  end)

  it("raises with the output where the server ends instead", function()
    assert.error_matches(function()
      serve("echo no such thing >&2; exit 3")
    end, "ended %(3%) instead of serving.*no such thing")
  end)

  it("runs a program to its end", function()
    local result = helper.run("echo out; echo err >&2; exit 5", { program = "/bin/sh", code = true })
    assert.same({ 5, "out\n", "err\n" }, { result.code, result.out, result.err })
  end)

  it("ends a program that runs too long", function()
    assert.error_matches(function()
      helper.run("sleep 100", { program = "/bin/sh", code = true, timeout = 0.05 })
    end, "in vain for the end")
  end)
end)

describe("what a spec makes", function()
  local shared, shared_dir
  local process, conn, dir

  setup(function()
    shared = helper.start({ "/bin/sleep", "100" })
    shared_dir = helper.tmpdir()
  end)

  it("lives as long as its spec", function()
    process = helper.start({ "/bin/sleep", "100" })
    conn = pair()
    dir = helper.tmpdir()
    helper.write_file(dir .. "/deep/er/file", "text")
    assert.equal("text", helper.read_file(dir .. "/deep/er/file"))
  end)

  it("is gone in the next one", function()
    assert.is_false(process:alive())
    assert.is_nil(conn.sock:getpeername())
    assert.is_nil(lfs.attributes(dir))
  end)

  it("lives as long as the block, made in setup", function()
    assert.is_true(shared:alive())
    assert.equal("directory", lfs.attributes(shared_dir, "mode"))
  end)

  describe("in a block inside", function()
    it("is there too", function()
      assert.is_true(shared:alive())
    end)
  end)

  it("is there behind it, too", function()
    assert.is_true(shared:alive())
  end)
end)

describe("a wire document", function()
  local function document(case)
    return "# Title\n\n## Case\n\n" .. case
  end

  local REQUEST = "```request\nGET / HTTP/1.1\n\n```\n"
  local RESPONSE = "```response\nHTTP/1.1 200 OK\n```\n"

  local function bytes(text)
    local parsed = wire.parse(document("```request\n" .. text .. "\n```\n" .. RESPONSE
      .. "connection: open\n"), "doc.md")
    return parsed.cases[1].steps[1].bytes
  end

  it("has lines that end in CRLF, escapes and repetitions", function()
    assert.equal("GET / HTTP/1.1\r\nA: b\r\n\r\n", bytes("GET / HTTP/1.1\nA: b\n"))
    assert.equal("a\r\0\xff\t\\b", bytes("a\\r\\0\\xff\\t\\\\\\\nb\\"))
    assert.equal("a\\\r\n", bytes("a\\\\"))
    assert.equal("xxxyzyz{{{", bytes("{{x*3}}{{yz*2}}\\{{{{*2}}\\"))
    assert.equal("a: bb\r\na: bb\r\n", bytes("{{a: {{b*2}}\\r\\n*2}}\\"))
  end)

  it("says what an answer must have", function()
    local parsed = wire.parse(document("transports: h1\n\n```lua\nreturn 1\n```\n" .. REQUEST
      .. "```response head\nHTTP/1.1 200|204\nA: *\nB: ~ %d+\nC: d\n!E\n+F: g\n\none\ntwo\\n\\\n```\n"
      .. "connection: closed\n"), "doc.md")
    local case = parsed.cases[1]
    local expected = case.steps[2].expected
    assert.equal("return 1", case.handler)
    assert.equal("closed", case.connection)
    assert.is_true(wire.applies(parsed, case, "h1"))
    assert.is_false(wire.applies(parsed, case, "h2"))
    assert.is_true(expected.head)
    assert.equal("one\ntwo\n", expected.body)
    assert.same({ f = "g" }, expected.trailers)

    local response = {
      status = 204,
      headers = { a = "1", b = "22", c = "d", date = "Sun, 06 Nov 1994 08:49:37 GMT" },
      trailers = { f = "g" },
      body = "one\ntwo\n",
    }
    assert.is_true(wire_check.compare(expected, response))
    for _, change in ipairs({
      { "status", 201 }, { "body", "one" }, { "trailers", {} },
    }) do
      local kept = response[change[1]]
      response[change[1]] = change[2]
      assert.is_nil(wire_check.compare(expected, response))
      response[change[1]] = kept
    end
    for _, change in ipairs({
      { "a", nil }, { "b", "x22" }, { "c", { "d", "d" } }, { "e", "" }, { "date", "now" },
    }) do
      local kept = response.headers[change[1]]
      response.headers[change[1]] = change[2]
      assert.is_nil(wire_check.compare(expected, response))
      response.headers[change[1]] = kept
    end
  end)

  it("is refused where it is malformed, with file and line", function()
    for text, message in pairs({
      [REQUEST .. RESPONSE] = "does not end in `connection",
      [REQUEST .. RESPONSE .. "connection: ajar\n"] = "`open` or `closed`",
      [REQUEST .. RESPONSE .. "connection: open\nconnection: open\n"] = "once",
      [REQUEST .. RESPONSE .. "connection: open\nmore\n"] = "text behind",
      [REQUEST .. "connection: open\n"] = "without an answer",
      [RESPONSE .. "connection: open\n"] = "response before",
      ["connection: open\n"] = "no request",
      ["```bash\nls\n```\n"] = "unknown block",
      ["```request\nGET /\n"] = "no end",
      ["```request\n```\n"] = "empty",
      ["colour: red\n"] = "unknown directive",
      ["transports: h9\n"] = "unknown transport",
      ["```request\na\tb\n```\n"] = "must be escaped",
      ["```request\na \n```\n"] = "must be escaped",
      ["```request\n\\q\n```\n"] = "unknown escape",
      ["```request\n{{a}}\n```\n"] = "repetition",
      [REQUEST .. "```response\n200 OK\n```\n"] = "begins with",
      [REQUEST .. "```response\nHTTP/1.1 900 OK\n```\n"] = "no status",
      [REQUEST .. "```response\nHTTP/1.1 200 OK\nA\n```\n"] = "is no `Name: value`",
      [REQUEST .. RESPONSE .. "connection: open\n## Case\n"] = "second case",
      ["### Deep\n"] = "headings",
    }) do
      local ok, raised = pcall(wire.parse, document(text), "doc.md")
      assert.is_false(ok, text)
      assert.matches("^doc%.md:%d+: ", raised)
      assert.is_truthy(raised:find(message, 1, true), raised)
    end
  end)
end)
