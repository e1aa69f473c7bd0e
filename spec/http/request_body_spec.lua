-- The body of a request, in all the ways in which a handler can read it.
local helper = require("spec.helper")

local function post(server, body, headers)
  return helper.request(server, { method = "POST", body = body, headers = headers })
end

-- Answers with what the expression prints to.
local function echo(expression, opts)
  return helper.serve_handler("res:finish(tostring(" .. expression .. "))", opts)
end

local function kilobytes(n)
  local parts = {}
  for i = 1, n do parts[i] = ("%08d"):format(i):rep(128) end
  return table.concat(parts)
end

-- A connection that has sent the head of a POST and this much of its body.
local function begin(server, length, sent, path)
  local conn = helper.connect(server)
  conn:send(("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(path or "/", length, sent))
  return conn
end

describe("req:text()", function()
  it("waits for the whole body", function()
    local server = echo("req:text()")
    local conn = begin(server, 11, "hello")
    conn:send(" ")
    conn:send("world")
    assert.equal("hello world", conn:read_response().body)
  end)

  it("takes bodies of any framing and up to the limit", function()
    local server = echo("#req:text() .. ' ' .. req:text():sub(-8)")
    local text = kilobytes(1024)
    assert.equal("1048576 00001024", post(server, text).body)
    local chunks = {}
    for at = 1, #text, 5000 do table.insert(chunks, text:sub(at, at + 4999)) end
    assert.equal("1048576 00001024", post(server, chunks).body)
    assert.equal("0 ", post(server, "").body)
    assert.equal("0 ", helper.get(server, "/").body)
  end)

  it("gives the same again", function()
    assert.equal("onceonce", post(echo("req:text() .. req:text()"), "once").body)
  end)

  it("raises 413 over the limit, before anything is read where the length says so", function()
    local server = echo("req:text()", { args = { "--max-body", "10" } })
    assert.equal("0123456789", post(server, "0123456789").body)
    local response = begin(server, 11, ""):read_response()
    assert.equal(413, response.status)
    assert.equal("Payload Too Large: the body has more than 10 bytes", response.body)
    assert.equal(413, post(server, { "012345", "678901" }).status)
    assert.equal("", server:stderr())
  end)

  it("takes a limit of its own", function()
    local server = echo("req:text(3)")
    assert.equal("abc", post(server, "abc").body)
    assert.equal(413, post(server, "abcd").status)
  end)

  it("returns nil and aborted when the client goes away", function()
    local server = helper.serve_handler("print('got', req:text()) print('then', res:finish('late'))")
    local conn = begin(server, 100, "some")
    conn:close()
    server:wait_output("got\tnil\taborted")
    server:wait_output("then\tnil\tclosed")
  end)

  it("cannot be called twice at once", function()
    local server = helper.serve_handler([[
      setImmediate(function() print(pcall(req.text, req)) end)
      res:finish(req:text())]])
    local conn = begin(server, 2, "a")
    server:wait_output("false\t.*the body is being read already")
    conn:send("b")
    assert.equal("ab", conn:read_response().body)
  end)
end)

describe("req:json()", function()
  local server

  setup(function()
    server = helper.serve_handler("return { got = req:json() }")
  end)

  it("decodes", function()
    assert.equal('{"got":[1,{"a":true}]}', post(server, '[1,{"a":true}]').body)
  end)

  it("takes JSON's media types, and none", function()
    for _, kind in ipairs({ "application/json", "Application/JSON; charset=utf-8", "application/problem+json" }) do
      assert.equal(200, post(server, "1", { ["Content-Type"] = kind }).status)
    end
    assert.equal(200, post(server, "1").status)
    assert.equal(200, post(server, "1", { ["Content-Type"] = ";" }).status)
  end)

  it("raises 415 for others, and says which", function()
    local response = post(server, "1", { ["Content-Type"] = "text/xml" })
    assert.equal(415, response.status)
    assert.matches("application/json is expected, not text/xml", response.body, 1, true)
  end)

  it("raises 400 for what is malformed, and says where", function()
    for _, body in ipairs({ "", "{", "[1,]", "1 2", "\255" }) do
      local response = post(server, body)
      assert.equal(400, response.status, body)
      assert.matches("^Bad Request: the body is not JSON", response.body)
    end
    assert.equal("", server:stderr())
  end)

  it("can be caught", function()
    local catching = helper.serve_handler([[
      local ok, err = pcall(req.json, req)
      return err.status .. " " .. tostring(ok)]])
    assert.equal("400 false", post(catching, "{").body)
  end)
end)

describe("req:form()", function()
  local server

  setup(function()
    server = helper.serve_handler([[
      local lines = {}
      for name, value in pairs(req:form()) do
        if type(value) == "table" then value = "[" .. table.concat(value, "|") .. "]" end
        lines[#lines + 1] = name .. "=" .. value
      end
      table.sort(lines)
      res:finish(table.concat(lines, "&"))]])
  end)

  it("decodes names and values", function()
    assert.equal("__index=1&a=[x y|z]&b=", post(server, "a=x+y&b=&a=%7a&__index=1").body)
  end)

  it("raises 415 for other types", function()
    assert.equal(415, post(server, "a=1", { ["Content-Type"] = "text/plain" }).status)
    assert.equal(200, post(server, "a=1", { ["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8" })
      .status)
  end)
end)

describe("req:chunks() and req:read()", function()
  it("stream what comes", function()
    local server = helper.serve_handler("for chunk in req:chunks() do res:write('<' .. chunk .. '>') end res:finish()")
    local conn = begin(server, 6, "abc")
    conn:read_until("<abc>", true)
    conn:send("def")
    conn:read_until("<def>", true)
  end)

  it("read bodies that are larger than every limit", function()
    local server = helper.serve_handler("local n = 0 for chunk in req:chunks() do n = n + #chunk end return n .. ''")
    assert.equal("5242880", post(server, kilobytes(5 * 1024)).body)
  end)

  it("end where the client goes away, which req.complete tells", function()
    local server = helper.serve_handler([[
      print("first", req:read())
      for chunk in req:chunks() do print("more", chunk) end
      print("over", req.complete, req:read())]])
    local conn = begin(server, 10, "abc")
    server:wait_output("first\tabc")
    conn:close()
    server:wait_output("over\tfalse\tnil\taborted")
  end)

  it("return nil at the end, again and again", function()
    local server = helper.serve_handler("print(req:read(), req:read()) print(req:read()) res:finish()")
    post(server, "x")
    assert.matches("x\tnil\nnil\n", server:stdout())
  end)

  it("can be followed by text, which has the rest", function()
    local server = helper.serve_handler("local first = req:read() res:finish(first .. '|' .. req:text())")
    local conn = begin(server, 6, "abc")
    conn:send("def")
    assert.equal("abcdef", (conn:read_response().body:gsub("|", "", 1)))
  end)

  it("take no more from the client than the handler reads", function()
    local server = helper.serve_handler(([[
      req:read()
      setTimeout(function() res:finish("enough") end, %d)]]):format(300 * helper.scale))
    local conn = begin(server, 1e9, "")
    local ok, why, sent = conn:send(("x"):rep(64 * 1024 * 1024), 0.2)
    assert.same({ nil, "timeout" }, { ok, why })
    assert.is_true(sent < 16 * 1024 * 1024)
  end)
end)

describe("a data listener", function()
  it("gets the chunks, and end comes behind them", function()
    local server = helper.serve_handler([[
      local parts = {}
      req:on("data", function(chunk) parts[#parts + 1] = chunk end)
         :on("end", function() res:finish(table.concat(parts)) end)]])
    assert.equal("hello", post(server, { "he", "l", "lo" }).body)
    assert.equal("", post(server, "").body)
    local text = kilobytes(3000)
    assert.equal(text, post(server, text).body)
  end)

  it("that waits holds up the next chunk and the end", function()
    local server = helper.serve_handler([[
      local parts, at_work = {}, 0
      req:on("data", function(chunk)
        at_work = at_work + 1
        require("timers").sleep(1)
        parts[#parts + 1] = chunk .. at_work
        at_work = at_work - 1
      end)
      req:on("end", function() res:finish(table.concat(parts)) end)]])
    assert.equal("a1b1c1", post(server, { "a", "b", "c" }).body)
  end)

  it("may come with others, each of which gets all", function()
    local server = helper.serve_handler([[
      local a, b = 0, 0
      req:on("data", function(chunk) a = a + #chunk end)
      req:on("data", function(chunk) b = b + #chunk end)
      req:once("end", function() res:finish(a .. " " .. b) end)]])
    assert.equal("5 5", post(server, { "ab", "cde" }).body)
  end)

  it("that fails is the request's 500", function()
    local server = helper.serve_handler("req:on('data', function(chunk) error('bad chunk') end)")
    assert.equal(500, post(server, "x").status)
    assert.matches("app.lua:1: bad chunk", server:stderr(), 1, true)
  end)

  it("can pause, and nothing comes until it resumes", function()
    local server = helper.serve_handler([[
      local parts, paused = {}, false
      req:on("data", function(chunk)
        if paused then parts[#parts + 1] = "!" end
        parts[#parts + 1] = chunk
        req:pause()
        paused = true
        setTimeout(function()
          paused = false
          req:resume()
        end, 5)
      end)
      req:on("end", function() res:finish(table.concat(parts)) end)]])
    assert.equal("abc", post(server, { "a", "b", "c" }).body)
  end)

  it("pauses the client, too", function()
    local server = helper.serve_handler(([[
      req:on("data", function(chunk)
        req:pause()
        setTimeout(function() res:finish("enough") end, %d)
      end)]]):format(300 * helper.scale))
    local conn = begin(server, 1e9, "")
    local ok, why, sent = conn:send(("x"):rep(64 * 1024 * 1024), 0.2)
    assert.same({ nil, "timeout" }, { ok, why })
    assert.is_true(sent < 16 * 1024 * 1024)
  end)
end)

describe("an end listener alone", function()
  it("waits for somebody to read, as in Node", function()
    local server = helper.serve_handler([[
      local ended = false
      req:on("end", function() ended = true end)
      setTimeout(function() res:finish(tostring(ended)) end, 20)]])
    assert.equal("false", post(server, "x").body)
    assert.equal("true", helper.get(server, "/").body)
  end)

  it("is served by resume, which drops the body", function()
    local server = helper.serve_handler("req:on('end', function() res:finish('read') end) req:resume()")
    assert.equal("read", post(server, kilobytes(2000)).body)
  end)
end)

describe("req:pipe()", function()
  it("copies the body into the response and ends it", function()
    local server = helper.serve_handler("req:pipe(res)")
    local text = kilobytes(2000)
    assert.equal(text, post(server, text).body)
    assert.equal("", post(server, "").body)
  end)

  it("copies it into a file", function()
    local path = helper.tmpdir() .. "/upload"
    local server = helper.serve_handler(([[
      local file = require("fs").createWriteStream(%q)
      file:on("finish", function() res:finish("stored") end)
      req:pipe(file)]]):format(path))
    local text = kilobytes(2000)
    assert.equal("stored", post(server, text).body)
    assert.equal(text, helper.read_file(path))
  end)

  it("does not end the target where the client goes away: it is destroyed", function()
    local server = helper.serve_handler([[
      local target = { size = 0 }
      function target:write(chunk) self.size = self.size + #chunk return true end
      function target:finish() print("finished", self.size) end
      function target:destroy() print("destroyed", self.size) end
      req:pipe(target)]])
    local conn = begin(server, 10, "abc")
    conn:close()
    server:wait_output("destroyed\t3")
    assert.is_nil(server:stdout():find("finished"))
    begin(server, 4, "abcd")
    server:wait_output("finished\t4")
  end)
end)

describe("a client that goes away in its body", function()
  local function events_of(server, leave)
    local conn = begin(server, 10, "abc")
    server:wait_output("began")
    leave(conn)
    server:wait_output("close")
    return server:stdout():match("began\n(.*)$")
  end

  local LISTENERS = [[
    %s
    for _, name in ipairs({"aborted", "close", "end"}) do req:on(name, function() print(name) end) end
    req:on("error", function(err) print("error", err.code, err.message, req.aborted) end)
    print("began")]]

  it("is told by aborted, error and close", function()
    for _, leave in ipairs({ "close", "reset", "shutdown_write" }) do
      local server = helper.serve_handler(LISTENERS:format("req:on('data', function() end)"))
      assert.equal("aborted\nerror\tECONNRESET\taborted\ttrue\nclose\n", events_of(server, function(conn)
        conn[leave](conn)
      end))
    end
  end)

  it("needs no error listener", function()
    local server = helper.serve_handler([[
      req:on("data", function() end)
      req:on("close", function() print("close") end)
      print("began")]])
    assert.equal("close\n", events_of(server, function(conn) conn:close() end))
    assert.equal("", server:stderr())
  end)

  it("is told while the stream is paused, too, and nothing stays behind", function()
    local server = helper.serve_handler([[
      local core = require("luaserve.core")
      if req.url == "/count" then
        local counts = core.counts()
        return counts.exchanges .. " " .. counts.calls
      end
      req:on("data", function() req:pause() print("began") end)
      req:on("close", function() print("close") end)]])
    assert.equal("close\n", events_of(server, function(conn) conn:reset() end))
    helper.wait_for(function() return helper.get(server, "/count").body == "1 0" end, "the request to be forgotten")
  end)
end)

describe("a malformed body", function()
  it("is an aborted body for the handler, and a 400 for the client", function()
    local server = helper.serve_handler([[
      req:on("aborted", function() print("aborted") end)
      print("read", req:text())]])
    local response = helper.request(server, { raw =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n" })
    assert.equal(400, response.status)
    assert.equal("close", response.headers.connection)
    server:wait_output("read\tnil\taborted")
    server:wait_output("aborted\n")
  end)

  it("cuts the answer off where that has begun", function()
    local server = helper.serve_handler("res:write('begun') print('read', req:text()) res:finish('done')")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n")
    local text = conn:read_all()
    assert.matches("5\r\nbegun\r\n$", text)
    server:wait_output("read\tnil\taborted")
  end)
end)

describe("req:destroy()", function()
  it("cuts the connection off", function()
    local server = helper.serve_handler("req:on('close', function() print('close') end) req:destroy() print('after')")
    local conn = begin(server, 10, "abc")
    assert.is_true(conn:closed())
    assert.equal("", conn.buffer)
    server:wait_output("close")
    assert.matches("after\n.*close", server:stdout())
  end)
end)
