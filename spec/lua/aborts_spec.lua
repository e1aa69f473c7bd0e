-- The client goes away, or a deadline passes: coroutines are never killed, their
-- waits end, and whatever comes late answers nobody.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function value(code, request) return lab.value(server, code, request) end

setup(function()
  server = lab.serve()
  before = lab.counts(server)
end)

-- What the code under test has noted with note(...), joined by "|".
local NOTE = [[
  shared.notes = {}
  local function note(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
    table.insert(shared.notes, table.concat(parts, " "))
  end
]]

local function notes()
  return value([[return table.concat(shared.notes or {}, "|")]])
end

local function wait_for_notes(expected)
  helper.wait_for(function() return notes() == expected end,
    function() return ("%q; noted: %q\n%s"):format(expected, notes(), server:output()) end)
end

-- Sends the request, waits until it has noted "here", and goes away.
local function start(code, request)
  value([[shared.notes = nil return ""]])
  local conn = lab.start(server, (NOTE .. code):gsub("\n%s*", " "), request)
  helper.wait_for(function() return notes():find("^here") end, function() return "the handler\n" .. server:output() end)
  return conn
end

local function leave(code, request, how)
  local conn = start(code, request)
  conn[how or "reset"](conn)
  return conn
end

-- A request whose body does not come to its end.
local function half_a_body(headers)
  local fields = { ["Content-Length"] = "1000" }
  for name, text in pairs(headers or {}) do fields[name] = text end
  return { method = "POST", headers = fields, body = "the beginning" }
end

describe("a client that goes away while its body is waited for", function()
  for name, case in pairs({
    text = [[note(req:text())]],
    json = [[note(req:json())]],
    form = [[note(req:form())]],
  }) do
    for _, how in ipairs({ "reset", "close" }) do
      it("ends the wait of " .. name .. " with nil, \"aborted\" (" .. how .. ")", function()
        local headers = name == "form" and { ["Content-Type"] = "application/x-www-form-urlencoded" } or nil
        leave([[note("here") ]] .. case .. [[ note("went on")]], half_a_body(headers), how)
        wait_for_notes("here|nil aborted|went on")
        lab.wait_for_counts(server, before)
      end)
    end
  end

  it("ends the chunks, and the body is not complete", function()
    leave([[
      for chunk in req:chunks() do note(chunk == "the beginning" and "here" or chunk) end
      note("complete", req.complete)
    ]], half_a_body())
    wait_for_notes("here|complete false")
  end)

  it("ends the chunks of a chunked body", function()
    leave([[
      for chunk in req:chunks() do note(chunk == "some" and "here" or chunk) end
      note("complete", req.complete)
    ]], { method = "POST", headers = { ["Transfer-Encoding"] = "chunked" }, body = "4\r\nsome\r\n5\r\nab" })
    helper.wait_for(function() return notes():find("complete false") end, function() return notes() end)
  end)

  it("ends the wait in a coroutine of the script's own, through pcall", function()
    leave([[
      note("here")
      coroutine.wrap(function() note(pcall(req.text, req)) end)()
      note("went on")
    ]], half_a_body())
    wait_for_notes("here|true nil aborted|went on")
  end)

  it("is aborted and close to the listeners of req, close to those of res; there is no end", function()
    leave([[
      req:on("data", function() note("here") end)
      req:on("end", function() note("end") end)
      req:on("aborted", function() note("aborted") end)
      req:on("close", function() note("req close") end)
      res:on("close", function() note("res close") end)
      res:on("finish", function() note("finish") end)
      res:onFinish(function() note("onFinish") end)
    ]], half_a_body())
    wait_for_notes("here|aborted|req close|res close|onFinish")
    lab.wait_for_counts(server, before)
  end)

  it("is an error with the code ECONNRESET to the error listeners of req", function()
    leave([[
      req:on("error", function(err) note(err.code, err.message) end)
      req:on("data", function() note("here") end)
    ]], half_a_body())
    wait_for_notes("here|ECONNRESET aborted")
  end)

  it("changes nothing for a data listener that waits elsewhere: it goes on", function()
    leave([[
      req:on("data", function()
        note("here")
        sleep(20)
        note("slept")
      end)
      req:on("end", function() note("end") end)
    ]], half_a_body())
    wait_for_notes("here|slept")
  end)
end)

describe("a client that goes away while it is being sent to", function()
  local STREAM = [[
    local chunk = ("x"):rep(65536)
    note("here")
    local sent = 0
    while true do
      local ok, err = res:write(chunk)
      sent = sent + 1
      if not ok then note(ok, err) break end
    end
    note(sent > 1)
  ]]

  it("ends the wait of write with nil, \"aborted\", and what follows is closed", function()
    local conn = start(STREAM .. [[ note(res:write("x")) note(res:finish()) ]])
    conn:read(100000)
    conn:reset()
    wait_for_notes("here|nil aborted|true|nil closed|nil closed")
    lab.wait_for_counts(server, before)
  end)

  it("does so too in a timer and a coroutine", function()
    local conn = start([[setTimeout(function() coroutine.wrap(function() ]] .. STREAM .. [[ end)() end, 1)]])
    conn:read(100000)
    conn:reset()
    wait_for_notes("here|nil aborted|true")
  end)

  it("ends the wait of another request that writes to it, and harms that one no further", function()
    local conn = start([[shared.target = res note("here") sleep(300)]])
    local other = lab.start(server, [[
      local ok, err
      repeat ok, err = shared.target:write(("x"):rep(65536)) until not ok
      return tostring(ok) .. " " .. err
    ]])
    conn:read(100000)
    conn:reset()
    assert.equal("nil aborted", other:read_response().body)
    value([[shared.target = nil return ""]])
  end)

  it("fires close, and drain no more", function()
    local conn = start([[
      res:on("drain", function() note("drain") end)
      res:on("close", function() note("close") end)
      req:on("aborted", function() note("aborted") end)
      note("here")
      for i = 1, 200 do res:write(("x"):rep(65536), function() end) end
    ]])
    conn:read(100000)
    conn:reset()
    wait_for_notes("here|aborted|close")
  end)

  it("lets go of the strings that were queued for it", function()
    local conn = start([[
      note("here")
      for i = 1, 50 do res:write(("x"):rep(1048576), function() end) end
      sleep(1)
    ]])
    conn:read(100000)
    conn:reset()
    helper.wait_for(function() return tonumber(value([[
      collectgarbage() collectgarbage()
      return tostring(math.floor(collectgarbage("count")))
    ]])) < 8192 end, "the memory")
  end)

  it("is closed to those who come later, in every method of res", function()
    leave([[
      note("here")
      sleep(30)
      local calls = {
        { "setHeader", "A", "b" }, { "appendHeader", "A", "b" }, { "removeHeader", "A" },
        { "writeHead", 200 }, { "flushHeaders" }, { "write", "x" }, { "finish", "x" }, { "end", "x" },
        { "addTrailers", { A = "b" } }, { "writeContinue" }, { "writeEarlyHints", { link = "</x>; rel=preload" } },
      }
      for _, call in ipairs(calls) do
        local ok, err = res[call[1] ](res, call[2], call[3])
        if ok ~= nil or err ~= "closed" then note(call[1], ok, err) end
      end
      note("checked")
    ]])
    wait_for_notes("here|checked")
    lab.wait_for_counts(server, before)
  end)
end)

describe("a client that goes away while the handler is elsewhere", function()
  it("does not end its sleep, and its answer goes nowhere, silently", function()
    local log = #server:stderr()
    leave([[note("here") sleep(20) note("slept") return "an answer"]])
    wait_for_notes("here|slept")
    lab.wait_for_counts(server, before)
    assert.equal(log, #server:stderr())
  end)

  it("leaves errors that come later to the log", function()
    leave([[note("here") sleep(20) note("slept") error("after the client has left")]])
    lab.wait_for_log(server, "after the client has left\n\tstack traceback")
    assert.equal("alive", value([[return "alive"]]))
  end)

  it("has close fire at once, in the middle of a sleep", function()
    leave([[
      local woken = false
      res:on("close", function() note("close", woken) end)
      note("here")
      sleep(100)
      woken = true
    ]])
    wait_for_notes("here|close false")
  end)

  it("has what was cleaned up in the end cleaned up", function()
    leave([[
      local gone
      res:on("close", function() gone = true end)
      note("here")
      local ok, err = pcall(function()
        while not gone do sleep(5) end
        if not res:write("x") then error("gone", 0) end
      end)
      note("cleaned up", ok, err)
    ]])
    wait_for_notes("here|cleaned up false gone")
  end)

  it("onHead hooks run for what is written to nobody, and may wait", function()
    leave([[
      res:onHead(function() sleep(5) note("hook") end)
      local gone
      res:on("close", function() gone = true end)
      note("here")
      while not gone do sleep(5) end
      note(res:finish("x"))
    ]])
    helper.wait_for(function() return notes():find("nil closed$") end, function() return notes() end)
  end)

  it("does not stop a file from being read for it", function()
    leave([[
      local noted
      res:on("close", function()
        note(require("fs").stat(".") ~= nil)
        noted = true
      end)
      note("here")
      while not noted do sleep(5) end
      require("fs").stat(".", function(err) note(err) end)
    ]])
    wait_for_notes("here|true|nil")
    lab.wait_for_counts(server, before)
  end)
end)

describe("a deadline that passes", function()
  it("for the body is a 408, and the wait of the handler ends with nil and why", function()
    local other = lab.serve({ args = { "--request-timeout", "0.3" } })
    local counts = lab.counts(other)
    local conn = lab.start(other, [[
      local body, err = req:text()
      assert(err == "timeout" or err == "aborted")
      shared.seen = tostring(body) .. " " .. table.concat({ tostring(res:finish("late")), select(2, res:finish("x")) }, " ")
    ]], half_a_body())
    assert.equal(408, conn:read_response().status)
    helper.wait_for(function() return lab.value(other, [[return shared.seen or ""]]) == "nil nil closed" end,
      function() return lab.value(other, [[return shared.seen or ""]]) end)
    lab.wait_for_counts(other, counts)
  end)

  it("for the handler is a 503, and its later answer goes nowhere", function()
    local other = lab.serve({ args = { "--handler-timeout", "0.2" } })
    local counts = lab.counts(other)
    local conn = lab.start(other, [[
      res:on("close", function() shared.close = true end)
      sleep(400)
      local ok, err = res:finish("late")
      shared.seen = tostring(ok) .. " " .. tostring(err) .. " " .. tostring(shared.close)
    ]])
    assert.equal(503, conn:read_response().status)
    conn:send(("GET /counts HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert.equal(200, conn:read_response().status)
    helper.wait_for(function() return lab.value(other, [[return shared.seen or ""]]) == "nil closed true" end,
      function() return lab.value(other, [[return shared.seen or ""]]) end)
    lab.wait_for_counts(other, counts)
  end)

  it("for the handler is not held against one that waits for a slow body", function()
    local other = lab.serve({ args = { "--handler-timeout", "0.2" } })
    local conn = lab.start(other, [[return req:text()]], half_a_body())
    assert.is_false(conn:closed(0.5))
    assert.equal("", conn.buffer)
    conn:send(("x"):rep(1000 - #"the beginning"))
    assert.equal(1000, #conn:read_response().body)
  end)
end)

describe("a late callback", function()
  it("never answers the next request of its connection", function()
    local conn = lab.start(server, [[
      shared.late = res
      setTimeout(function() shared.results = { res:write("LATE"), res:finish("LATE") } end, 20)
      return "first"
    ]])
    assert.equal("first", conn:read_response().body)
    for i = 1, 20 do
      conn:send(lab.bytes(([[
        sleep(3)
        local written, finished = shared.late:write("LATE"), shared.late:finish("LATE")
        pcall(shared.late.setHeader, shared.late, "X-Late", "1")
        return tostring(written) .. " " .. tostring(finished) .. " %d"
      ]]):format(i)))
      local response = conn:read_response()
      assert.equal("nil nil " .. i, response.body)
      assert.is_nil(response.headers["x-late"])
    end
    value([[shared.late = nil return ""]])
  end)

  it("of hundreds of finished requests answers none of those at work", function()
    value([[
      shared.old = {}
      shared.failures = 0
      return ""
    ]])
    for i = 1, 200 do
      assert.equal("own " .. i, value(([[
        for _, old in ipairs(shared.old) do
          if old:write("STRAY") ~= nil or old:finish("STRAY") ~= nil then shared.failures = shared.failures + 1 end
        end
        shared.old[#shared.old %% 50 + 1] = res
        if #shared.old > 1 then table.remove(shared.old, 1) end
        return "own %d"
      ]]):format(i)))
    end
    assert.equal("0", value([[shared.old = nil return tostring(shared.failures)]]))
  end)

  it("sees a request that is over as closed: its fields that were not read are gone, others stay", function()
    value([[
      local headers = req.headers
      shared.over, shared.over_res = req, res
      return headers.host
    ]], { headers = { Host = "there" } })
    helper.wait_for(function()
      return value([[
        local over, res = shared.over, shared.over_res
        return table.concat({ over.method, tostring(over.headers.host), tostring(over.httpVersion),
          tostring((over:text())), tostring(res:getHeader("x")), tostring(res.statusCode) }, " ")
      ]]) == "GET there nil nil nil 200"
    end, "the request to be over")
    value([[shared.over, shared.over_res = nil return ""]])
  end)
end)

describe("many clients that go away, at every stage and at once,", function()
  it("leave nothing behind", function()
    local fds = server:fds()
    local codes = {
      [[req:text()]],
      [[for _ in req:chunks() do sleep(1) end]],
      [[req:on("data", function() sleep(2) end) req:on("end", function() res:finish("x") end)]],
      [[sleep(5) return "x"]],
      [[while res:write(("x"):rep(70000)) do end]],
      [[setTimeout(function() res:finish(("x"):rep(100000)) end, 3)]],
      [[res:on("close", function() sleep(3) end) res:write("x") sleep(2) error("logged")]],
      [[res:onHead(function() sleep(3) end) return "x"]],
      [[require("fs").readdir(".", function() sleep(1) res:finish("x") end)]],
      [[coroutine.wrap(function() pcall(req.text, req) sleep(1) end)() return "x"]],
      [[return "x"]],
    }
    for round = 1, 10 do
      local conns = {}
      for i, code in ipairs(codes) do
        conns[i] = lab.start(server, code, half_a_body())
        if (i + round) % 4 == 0 then conns[i]:reset() end
      end
      for i, conn in ipairs(conns) do
        if (i + round) % 3 == 0 then conn:close() else conn:reset() end
      end
    end
    lab.wait_for_counts(server, before)
    -- Connections of specs before may have been closing still when they were counted.
    helper.wait_for(function() return server:fds() <= fds end, "the descriptors")
  end)
end)
