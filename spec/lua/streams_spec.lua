-- The body of a request as events: a listener that waits holds the stream up, so
-- that chunks never overtake each other and the end comes last.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function value(code, request) return lab.value(server, code, request) end

setup(function()
  server = lab.serve()
  before = lab.counts(server)
end)

local LOG = [[
  shared.log = {}
  local function log(...) table.insert(shared.log, table.concat({ ... }, " ")) end
]]

local function log() return value([[return table.concat(shared.log or {}, "|")]]) end

local function wait_for_log(expected)
  helper.wait_for(function() return log() == expected end,
    function() return ("%q; it is %q\n%s"):format(expected, log(), server:output()) end)
end

-- Begins a chunked POST; send(text) sends one chunk, send("") ends the body.
local function post(code)
  value([[shared.log = nil return ""]])
  local conn = lab.start(server, (LOG .. code):gsub("\n%s*", " "),
    { method = "POST", headers = { ["Transfer-Encoding"] = "chunked" } })
  return conn, function(text) conn:send(("%x\r\n%s\r\n"):format(#text, text)) end
end

describe("a data listener that waits", function()
  it("gets the next chunk when it has come back, and end after the last", function()
    local conn, send = post([[
      req:on("data", function(chunk)
        log("begins", chunk)
        sleep(20)
        log("ends", chunk)
      end)
      req:on("end", function() log("end") res:finish("done") end)
    ]])
    send("one")
    wait_for_log("begins one")
    send("two")
    send("three")
    send("")
    assert.equal("done", conn:read_response().body)
    -- What came together is one chunk.
    local seen = log():gsub("begins twothree|ends twothree", "begins two|ends two|begins three|ends three")
    assert.equal("begins one|ends one|begins two|ends two|begins three|ends three|end", seen)
  end)

  it("holds up the other listeners of the chunk, too: they are called in order", function()
    local conn, send = post([[
      req:on("data", function(chunk) sleep(10) log("first", chunk) end)
      req:on("data", function(chunk) log("second", chunk) end)
      req:on("end", function() log("end") res:finish("done") end)
    ]])
    send("one")
    send("")
    assert.equal("done", conn:read_response().body)
    assert.equal("first one|second one|end", log())
  end)

  it("pauses the client: what it does not take is not read", function()
    value([[shared.gate = require("luaserve.core").waiter() return ""]])
    local conn = lab.start(server, [[
      local size = 0
      req:on("data", function(chunk)
        size = size + #chunk
        if shared.gate then shared.gate:wait() end
      end)
      req:on("end", function() res:finish(tostring(size)) end)
    ]], { method = "POST", headers = { ["Content-Length"] = 64 * 1048576 } })
    local chunk = ("x"):rep(1048576)
    local sent = 0
    repeat
      local ok, _, part = conn:send(chunk, 0.3)
      sent = sent + (ok and #chunk or part)
    until not ok or sent >= 64 * 1048576
    assert.is_true(sent < 32 * 1048576, sent) -- what the kernel's buffers hold
    assert.is_true(server:private_memory() < 64 * 1048576)
    value([[local gate = shared.gate shared.gate = nil gate:wake() return ""]])
    while sent < 64 * 1048576 do
      local rest = math.min(#chunk, 64 * 1048576 - sent)
      assert(conn:send(chunk:sub(1, rest)))
      sent = sent + rest
    end
    assert.equal(tostring(64 * 1048576), conn:read_response().body)
  end)

  it("that waits in an end listener does not keep close from coming", function()
    local conn, send = post([[
      req:on("data", function() end)
      req:on("end", function() log("end") sleep(30) log("slept") end)
      res:on("close", function() log("close") end)
    ]])
    send("one")
    send("")
    wait_for_log("end")
    conn:reset()
    wait_for_log("end|close|slept")
  end)
end)

describe("pause and resume", function()
  it("stop the chunks and let them go on, from anywhere", function()
    local conn, send = post([[
      req:on("data", function(chunk) log("data", chunk) req:pause() end)
      req:on("end", function() log("end") res:finish("done") end)
      shared.req = req
    ]])
    send("one")
    wait_for_log("data one")
    send("two")
    value([[sleep(20) return ""]])
    assert.equal("data one", log())
    value([[shared.req:resume() return ""]])
    wait_for_log("data one|data two")
    send("")
    value([[shared.req:resume() return ""]])
    assert.equal("done", conn:read_response().body)
    value([[shared.req = nil return ""]])
  end)

  it("within a listener that waits do not let the next chunk overtake it", function()
    local conn, send = post([[
      req:on("data", function(chunk)
        log("begins", chunk)
        req:pause()
        req:resume()
        sleep(20)
        log("ends", chunk)
      end)
      req:on("end", function() res:finish("done") end)
    ]])
    send("one")
    wait_for_log("begins one")
    send("two")
    send("")
    assert.equal("done", conn:read_response().body)
    assert.equal("begins one|ends one|begins two|ends two", log())
  end)
end)

describe("events and waits on a body", function()
  it("see the whole body whatever its size, in order", function()
    local body = {}
    for i = 1, 40000 do body[i] = ("%08d"):format(i) end
    body = table.concat(body)
    for _, code in ipairs({
      [[local parts = {}
        req:on("data", function(chunk) parts[#parts + 1] = chunk end)
        req:on("end", function() res:finish(table.concat(parts)) end)]],
      [[local parts = {}
        req:on("data", function(chunk) sleep(0) parts[#parts + 1] = chunk end)
        req:on("end", function() res:finish(table.concat(parts)) end)]],
      [[local parts = {}
        for chunk in req:chunks() do parts[#parts + 1] = chunk sleep(0) end
        return table.concat(parts)]],
      [[return req:text()]],
      [[sleep(5) return req:text()]],
      [[for chunk in req:chunks() do res:write(chunk) end res:finish()]],
    }) do
      assert.equal(body, value(code, { method = "POST", body = body }), code)
      local chunks = {}
      for at = 1, #body, 30011 do chunks[#chunks + 1] = body:sub(at, at + 30010) end
      local conn = lab.start(server, code, { method = "POST", headers = { ["Transfer-Encoding"] = "chunked" } })
      local function send(text) conn:send(("%x\r\n%s\r\n"):format(#text, text)) end
      for _, chunk in ipairs(chunks) do send(chunk) end
      send("")
      assert.equal(body, conn:read_response().body, code)
    end
  end)

  it("of a request without a body are its end alone", function()
    assert.equal("end", value([[
      req:on("data", function() res:finish("data") end)
      req:on("end", function() res:finish("end") end)
    ]]))
    assert.equal("nil", value([[for chunk in req:chunks() do return chunk end return "nil"]]))
    assert.equal("", value([[return req:text()]]))
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
