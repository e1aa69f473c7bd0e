-- Lua's memory: running out of it is one request's error; staying over
-- --max-memory has the process finish what it has and end with 1.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local OPTS = { args = { "--max-memory", "24M", "--cpu-budget", "2" } }

local function value(server, code, request) return lab.value(server, code, request) end

describe("a handler that allocates without end", function()
  local server, before

  setup(function()
    server = lab.serve(OPTS)
    before = lab.counts(server)
  end)

  for name, code in pairs({
    ["tables"] = [[local t = {} while true do t[#t + 1] = {} end]],
    ["a table of numbers"] = [[local t = {} while true do t[#t + 1] = #t end]],
    ["strings"] = [[local t = {} while true do t[#t + 1] = ("x"):rep(10000) .. #t end]],
    ["one string"] = [[local s = "x" while true do s = s .. s end]],
    ["a string at once"] = [[local s = ("x"):rep(100000000) return s]],
    ["closures"] = [[local t = {} while true do t[#t + 1] = function() return t end end]],
    ["coroutines"] = [[local t = {} while true do t[#t + 1] = coroutine.create(function() end) end]],
    ["suspended coroutines"] = [[
      local t = {}
      while true do
        t[#t + 1] = coroutine.wrap(function() local own = {} coroutine.yield(own) end)
        t[#t]()
      end]],
    ["after a wait"] = [[sleep(1) local t = {} while true do t[#t + 1] = {} end]],
    ["in a timer"] = [[setTimeout(function() local t = {} while true do t[#t + 1] = {} end end, 1)]],
    ["in an fs callback"] = [[require("fs").stat(".", function() local t = {} while true do t[#t + 1] = {} end end)]],
    ["in a coroutine"] = [[coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end)()]],
    ["in a listener"] = [[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() local t = {} while true do t[#t + 1] = {} end end)
      emitter:emit("x")]],
    ["in a data listener"] = [[req:on("data", function() local t = {} while true do t[#t + 1] = {} end end)]],
    ["in an onHead hook"] = [[res:onHead(function() local t = {} while true do t[#t + 1] = {} end end) return "x"]],
    ["in a metamethod"] = [[
      local t = {}
      return setmetatable({}, { __index = function() while true do t[#t + 1] = {} end end }).x]],
    ["in the __tostring of its error"] = [[
      error(setmetatable({}, { __tostring = function() local t = {} while true do t[#t + 1] = {} end end }))]],
    ["listeners"] = [[
      local emitter = require("events").EventEmitter.new():setMaxListeners(0)
      while true do emitter:on({}, function() end) end]],
    ["an answer"] = [[return { ("x"):rep(8000000), ("\1"):rep(8000000) }]],
  }) do
    it("(" .. name .. ") gets a 500 or a 503, and the process lives", function()
      local response = lab.ask(server, code, { method = "POST", body = "x" })
      assert.is_true(response.status == 500 or response.status == 503, response.status)
      assert.equal("alive", value(server, [[return "alive"]]))
    end)
  end

  it("is told in the log", function()
    assert.equal(500, lab.ask(server, [[local t = {} while true do t[#t + 1] = {} end]]).status)
    lab.wait_for_log(server, "error: GET /: [^\n]*not enough memory")
  end)

  it("can catch it, and go on with what it gives back", function()
    assert.equal("false not enough memory", value(server, [[
      local t = {}
      local ok, err = pcall(function() while true do t[#t + 1] = ("x"):rep(100000) .. #t end end)
      t = nil
      return tostring(ok) .. " " .. err:match("not enough memory")
    ]]))
  end)

  it("and swallows every error is ended by the CPU budget", function()
    local response = lab.ask(server, [[
      while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end
    ]], { timeout = 20 })
    if not lab.luajit then assert.equal(503, response.status) end
    assert.equal("alive", value(server, [[return "alive"]]))
  end)

  it("does not harm those who wait meanwhile", function()
    local conns = {}
    for i = 1, 5 do conns[i] = lab.start(server, [[sleep(50) return { "served", n = nil }]]) end
    for _ = 1, 3 do lab.ask(server, [[local t = {} while true do t[#t + 1] = {} end]]) end
    for i = 1, 5 do assert.equal('["served"]', conns[i]:read_response().body) end
  end)

  it("leaves nothing behind", function()
    value(server, [[return ""]])
    -- Timers of a request last as long as they were asked to.
    assert.truthy(before)
    assert.equal("alive", value(server, [[collectgarbage() return "alive"]]))
  end)
end)

describe("garbage", function()
  it("of any amount is no reason to end", function()
    local server = lab.serve(OPTS)
    for i = 1, 60 do
      assert.equal("made", value(server, [[
        local t = {}
        for i = 1, 60 do t[i] = ("x"):rep(100000) .. i end
        if req.method == "GET" then sleep(0) end
        return "made"
      ]]), i)
    end
  end)
end)

describe("a heap that is nearly full", function()
  it("of what is needed is no reason to fail: garbage is collected in time", function()
    local server = lab.serve(OPTS)
    value(server, [[
      shared.live = {}
      for i = 1, 190 do shared.live[i] = ("x"):rep(100000) .. i end
      return "x"
    ]])
    for i = 1, 100 do
      assert.equal("made", value(server, [[
        for _ = 1, 5 do
          local t = {}
          for i = 1, 10 do t[i] = ("y"):rep(20000) .. i end
          t = table.concat(t):gsub("y", "z"):upper()
        end
        return "made"
      ]]), i)
    end
  end)
end)

describe("a process that stays over --max-memory", function()
  local HOARD = [[
    shared.hoard = {}
    for i = 1, 270 do shared.hoard[i] = ("x"):rep(100000) .. i end
    return "answered"
  ]]

  it("answers the request that did it, says why, and exits 1", function()
    local server = lab.serve(OPTS)
    assert.equal("answered", value(server, HOARD))
    assert.equal(1, (server:wait_exit()))
    assert.truthy(server:stderr():find("error: Lua's memory is %d+ MiB, over %-%-max%-memory %(24 MiB%): "
      .. "finishing the requests at work, then ending\n"), server:stderr())
  end)

  it("finishes what is at work, and takes nothing new", function()
    local server = lab.serve(OPTS)
    local working = lab.start(server, [[shared.at_work = true sleep(500) return "finished"]])
    helper.wait_for(function() return value(server, [[return tostring(shared.at_work)]]) == "true" end, "the first")
    local idle = helper.connect(server)
    assert.equal("answered", value(server, HOARD))
    helper.wait_for(function() return not helper.connect(server, { try = true }) end, "the listener to close")
    assert.is_true(server:alive())
    assert.equal("finished", working:read_response().body)
    assert.is_true(idle:closed())
    assert.equal(1, (server:wait_exit()))
  end)

  it("does so, too, where it is timers that nobody takes back", function()
    local server = lab.serve(OPTS)
    assert.equal(500, lab.ask(server, [[while true do setTimeout(function() end, 60000) end]]).status)
    assert.equal(1, (server:wait_exit()))
  end)

  it("notices it in a timer and a callback, too", function()
    for _, start in ipairs({ "setTimeout(hoard, 1)", "setImmediate(hoard)", "require('fs').stat('.', hoard)",
      "local e = require('events').EventEmitter.new() e:on('x', hoard) setTimeout(function() e:emit('x') end, 1)",
      "setTimeout(function() require('timers').sleep(1) hoard() end, 1)" }) do
      local server = helper.serve([[
        local http = require "http"
        local kept = {}
        local function hoard() for i = 1, 270 do kept[i] = ("x"):rep(100000) .. i end end
        local server = http.createServer(function() return tostring(#kept) end)
        server:listen(0, "127.0.0.1", function()
          print("port " .. server:address().port)
          ]] .. start .. [[

        end)
      ]], OPTS)
      assert.equal(1, (server:wait_exit()), start)
      assert.truthy(server:stderr():find("over --max-memory", 1, true))
    end
  end)

  it("does not mind a limit of 0, which is none", function()
    local server = lab.serve({ args = { "--max-memory", "0" } })
    assert.equal("answered", value(server, HOARD))
    assert.equal("alive", value(server, [[return "alive"]]))
  end)
end)

describe("with no memory left", function()
  -- Fills the heap to the last block of a size, has every part of the API called
  -- in that state, and lets go. Whatever fails must fail as an error of Lua.
  local TORTURE = [[
    local fs, events, timers, json = require "fs", require "events", require "timers", require "json"
    local url, path = require "url", require "path"
    local emitter = events.EventEmitter.new()
    emitter:on("x", function() end)
    local waiter = require("luaserve.core").waiter()
    local calls = {
      function() res:setHeader("X-One", "1") end,
      function() res:setHeader("X-Two", { "1", "2" }) end,
      function() return res:getHeaders(), req.headers, req.rawHeaders, req.query, req.cookies, req.path, req.socket end,
      function() return req.ip, req.id, req.httpVersion, req.trailers end,
      function() setTimeout(function() end, 0) end,
      function() setImmediate(function() end) end,
      function() sleep(0, function() end) end,
      function() fs.stat(".", function() end) end,
      function() fs.readFile("/proc/self/status", function() end) end,
      function() return fs.statSync("/nothing") end,
      function() emitter:emit("x") end,
      function() emitter:on("y", function() end) end,
      function() req:on("data", function() end) end,
      function() res:on("close", function() end) end,
      function() res:onFinish(function() end) end,
      function() return coroutine.wrap(function() coroutine.yield({}) end)() end,
      function() return json.encode({ a = { b = { 1, 2, 3 } } }), json.decode('{"a":[1,2,3]}') end,
      function() return url.parse("http://a/b?c=d"), path.resolve("a", "..", "b") end,
      function() return require("luaserve").context() end,
      function() require("luaserve").error(404, "x") end,
      function() waiter:wake({}) end,
      function() return pcall(sleep, "x") end,
      function() table.sort({ 2, 1 }, function() sleep(1) end) end,
      function() require("nothing.like.this") end,
      function() console.error("out of memory, as it should be") end,
      function() return process.memoryUsage() end,
      function() require("http").createServer(function() end) end,
    }
    local size = SIZE
    local hoard = { n = 0 }
    for i = 1, 400000 do hoard[i] = false end
    pcall(function()
      for i = 1, 400000 do hoard[i] = ("%08d"):format(i):rep(size / 8) end
    end)
    local failed = 0
    for round = 1, 3 do
      for i = 1, #calls do
        local ok = pcall(calls[i])
        if not ok then failed = failed + 1 end
      end
    end
    hoard = nil
    shared.failed = (shared.failed or 0) + failed
    return "done"
  ]]

  -- Debian's LuaJIT crashes where an allocation fails in compiled code (mended in
  -- LuaJIT after 2.1-20230119), so that it is told to interpret.
  it("everything that is called raises, or works; nothing aborts", function()
    local server = lab.serve({ args = OPTS.args, env = lab.luajit and { LAB_INTERPRETS = "1" } or nil })
    for _, size in ipairs({ 100000, 10000, 3000, 1000, 520, 256, 200, 128, 104, 80, 64, 48, 40, 32, 24, 16, 8 }) do
      local response = lab.ask(server, (TORTURE:gsub("SIZE", size)))
      assert.is_true(response.status == 200 or response.status == 500, response.status)
      assert.equal("alive", value(server, [[return "alive"]]))
    end
    assert.is_true(tonumber(value(server, [[return tostring(shared.failed)]])) > 0)
  end)

  it("a request that fails leaves room for the next, hundreds of times", function()
    local server = lab.serve(OPTS)
    local before = lab.counts(server)
    for i = 1, 40 do
      local code = i % 2 == 0 and [[local t = {} while true do t[#t + 1] = {} end]]
        or [[local s = "x" while true do s = s .. s end]]
      assert.equal(500, lab.ask(server, code).status)
    end
    lab.wait_for_counts(server, before)
  end)
end)
