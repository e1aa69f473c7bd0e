-- Hundreds of requests of every kind, good, bad and broken off, leave a process
-- as it was: exchanges, contexts, anchors, coroutines, descriptors, memory.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local CODES = {
  -- what goes well
  [[return "text"]],
  [[return { a = { 1, 2, 3 } }]],
  [[return 201, { id = 1 }]],
  [[sleep(1) return "slept"]],
  [[res:write("a") res:write("b") res:finish("c")]],
  [[for i = 1, 20 do res:write(("x"):rep(20000)) end res:finish()]],
  [[return req:text()]],
  [[local n = 0 for chunk in req:chunks() do n = n + #chunk end return tostring(n)]],
  [[req:on("data", function() sleep(0) end) req:on("end", function() res:finish("end") end)]],
  [[require("fs").readFile("/proc/self/status", function(err, data) res:finish(err and "no" or data) end)]],
  [[return (require("fs").readFile("/proc/self/status"))]],
  [[setTimeout(function() setImmediate(function() res:finish("later") end) end, 1)]],
  [[local t t = setInterval(function() clearInterval(t) res:finish("interval") end, 1)]],
  [[clearTimeout(setTimeout(function() end, 60000)) clearImmediate(setImmediate(function() end)) return "x"]],
  [[res:onHead(function() sleep(1) res:setHeader("X", "y") end) return "hooked"]],
  [[res:onFinish(function() sleep(1) end) res:on("close", function() sleep(1) end) return "x"]],
  [[local e = require("events").EventEmitter.new() e:on("x", function() sleep(2) end) e:emit("x") return "x"]],
  [[for i in coroutine.wrap(function() for i = 1, 3 do sleep(1) coroutine.yield(i) end end) do end return "x"]],
  [[coroutine.wrap(function() coroutine.yield() end)() return "suspended for ever"]],
  [[setTimeout(function() res:finish("after") end, 3) return res:write("x") and nil]],
  [[require("luaserve").context().req = req req.self = res res.self = req return "cyclic"]],
  [[shared.last = res return "kept"]],
  [[pcall(sleep, 1) pcall(error, "x") return "caught"]],
  [[local w = require("luaserve.core").waiter() setImmediate(function() w:wake(1) end) return tostring(w:wait())]],
  [[return 204, ""]],
  [[res:writeEarlyHints({ link = "</a>; rel=preload" }) return "x"]],
  -- what fails
  [[error("x")]],
  [[error({ status = 404, message = "x" })]],
  [[sleep(1) error("x")]],
  [[setTimeout(function() error("x") end, 1)]],
  [[res:write("x") error("x")]],
  [[res:write("x") sleep(1) error("x")]],
  [[coroutine.wrap(function() sleep(1) error("x") end)()]],
  [[req:on("data", function() error("x") end) req:on("end", function() error("x") end)]],
  [[res:onHead(function() error("x") end) return "x"]],
  [[res:on("close", function() error("x") end) return "x"]],
  [[error(setmetatable({}, { __tostring = function() error("x") end }))]],
  [[table.sort({ 2, 1 }, function() sleep(1) end)]],
  [[coroutine.yield()]],
  [[return { print }]],
  [[return require("no.such.module")]],
  [[return req:json()]],
  [[local function f() return f() + 1 end return f()]],
  [[local s = "x" while true do s = s .. s end]],
  [[setTimeout(function() error("after the answer") end, 2) return "x"]],
  [[res:destroy() sleep(1) return "x"]],
  -- what takes longer than the handler may
  [[sleep(400) return "late"]],
  [[return]],
}

-- What is sent: whole, cut, or nothing; and how the client leaves.
local function send_one(server, code, kind)
  local request = { method = "POST", body = ("b"):rep(3000), headers = { ["Content-Length"] = "3000" } }
  if kind == "cut" then request.body = request.body:sub(1, 1000) end
  local conn = lab.start(server, code, request)
  if kind == "reset" or kind == "cut" then return conn:reset() end
  if kind == "closed" then return conn:close() end
  conn:closed(0) -- read what there is, sooner or later
  return conn
end

local OPTS = { args = { "--handler-timeout", "0.2", "--max-memory", "64M", "--cpu-budget", "2" } }

describe("a process", function()
  it("is as it was after hundreds of requests of all kinds", function()
    local server = lab.serve(OPTS)
    local function round(kinds)
      local open = {}
      for i, code in ipairs(CODES) do
        local conn = send_one(server, code, kinds[i % #kinds + 1])
        if conn then table.insert(open, conn) end
      end
      for _, conn in ipairs(open) do
        helper.wait_for(function() return conn:closed(0) or conn.buffer:find("HTTP/1.1 [2-5]") end, "an answer")
        conn:close()
      end
    end
    round({ "whole" }) -- what is loaded when it is first needed
    lab.value(server, [[shared.last = nil return ""]])
    local before, fds = nil, nil
    helper.wait_for(function()
      local now = lab.counts(server)
      local same = now == before
      before, fds = now, server:fds()
      return same and now:find("exchanges 1\n", 1, true) and now:find("calls 0\n", 1, true)
    end, "the process to come to rest")
    for _ = 1, 2 do
      round({ "whole", "reset", "closed", "cut" })
      round({ "cut", "whole", "reset" })
      round({ "whole", "whole", "closed" })
    end
    lab.value(server, [[shared.last = nil return ""]])
    lab.wait_for_counts(server, before)
    helper.wait_for(function() return server:fds() <= fds end,
      function() return ("%d descriptors; there are %d"):format(fds, server:fds()) end)
  end)

  it("needs no more memory after thousands of requests", function()
    if helper.sanitized then return end -- whose allocator keeps what is freed
    local server = lab.serve(OPTS)
    local codes = { [[return "x"]], [[sleep(0) return { 1, 2, 3 }]], [[error("x")]],
      [[setTimeout(function() res:finish("x") end, 0)]], [[res:write("x") error("y")]],
      [[coroutine.wrap(function() sleep(0) end)() return "x"]] }
    local function many(n)
      for i = 1, n do
        local conn = lab.start(server, codes[i % #codes + 1])
        conn:closed(0)
        helper.wait_for(function() return conn:closed(0) or #conn.buffer > 0 end, "an answer")
        conn:close()
      end
      lab.counts(server)
      return server:private_memory()
    end
    -- Caches fill and heaps settle; a leak would go on.
    local last, grown = many(600), nil
    for _ = 1, 5 do
      local now = many(600)
      grown, last = now - last, now
      if grown < 32768 then return end
    end
    error(("%d bytes more for the last 600 requests"):format(grown))
  end)

  it("reuses a coroutine without anything of the last one in it", function()
    local server = lab.serve(OPTS)
    for i = 1, 50 do
      local seen = lab.value(server, [[
        local co = coroutine.running()
        shared.seen = shared.seen or {}
        local again = shared.seen[co]
        shared.seen[co] = true
        local level, names = 1, {}
        while true do
          local name = debug.getlocal(1, level)
          if not name then break end
          names[#names + 1] = name
          level = level + 1
        end
        local hook = debug.gethook and debug.gethook()
        return tostring(again) .. " " .. tostring(hook) .. " " .. tostring(require("luaserve").context().mark)
      ]])
      assert.truthy(seen:find(" nil nil$"), seen)
      lab.ask(server, i % 3 == 0 and [[error("x")]]
        or [[require("luaserve").context().mark = true local a, b, c = {}, {}, {} sleep(0) return "x"]])
    end
  end)

  it("collects what a request has left hanging: coroutines, cycles, emitters, the request itself", function()
    local server = lab.serve(OPTS)
    lab.value(server, [[
      shared.marks = setmetatable({}, { __mode = "k" })
      return "x"
    ]])
    for _ = 1, 10 do
      lab.value(server, [[
        local marks = shared.marks
        local function mark(thing) marks[thing] = true return thing end
        mark(req) mark(res)
        mark(require("luaserve").context())
        local gen = mark(coroutine.create(function() coroutine.yield(req) end))
        coroutine.resume(gen)
        local e = mark(require("events").EventEmitter.new())
        e:on("x", function() return e, req, res end)
        req.e, e.req = e, req
        res:on("close", function() return res, e end)
        local w = mark({})
        setTimeout(function() return w end, 1)
        require("luaserve.core").waiter()
        mark(require("http").createServer(function() return w end))
        return "x"
      ]])
    end
    helper.wait_for(function()
      return lab.value(server, [[
        collectgarbage() collectgarbage()
        local n = 0
        for _ in pairs(shared.marks) do n = n + 1 end
        return tostring(n)
      ]]) == "0"
    end, "the collector to find all of it")
  end)

  it("reuses a coroutine without a hook that a handler has set (in LuaJIT hooks are the process's)", function()
    if lab.luajit then return end
    local server = lab.serve(OPTS)
    for _ = 1, 5 do
      assert.equal("nil", lab.value(server, [[
        local before = debug.gethook()
        debug.sethook(function() shared.hooked = (shared.hooked or 0) + 1 end, "l")
        sleep(0)
        return tostring(before)
      ]]))
    end
  end)

  it("calls finalizers in which nothing can wait, while it runs and at its end", function()
    local result = helper.run([[
      local finalized = newproxy and function(fn)
        local proxy = newproxy(true)
        getmetatable(proxy).__gc = fn
        return proxy
      end or function(fn) return setmetatable({}, { __gc = fn }) end
      local timers, fs = require "timers", require "fs"
      local function try(name)
        return function()
          print(name, pcall(timers.sleep, 1))
          print(name, pcall(fs.stat, ".", function() end))
          setTimeout(function() print(name, "timer") end, 1)
          setImmediate(function() print(name, "immediate") end)
          pcall(coroutine.wrap(function() timers.sleep(1) end))
        end
      end
      finalized(try "early")
      collectgarbage()
      collectgarbage()
      kept = finalized(try "late")
    ]])
    assert.equal(0, result.code, result.err)
    assert.truthy(result.out:find("early\tfalse\t[^\n]*cannot wait inside"), result.out)
    assert.truthy(result.out:find("early\ttimer\n", 1, true), result.out)
    assert.truthy(result.out:find("late\tfalse\t[^\n]*the process is ending"), result.out)
    assert.is_nil(result.out:find("late\ttimer", 1, true))
  end)

  it("ends cleanly though things are still at work", function()
    local server = lab.serve({ args = { "--drain-timeout", "0.2" } })
    for _, code in ipairs({ [[sleep(60000)]], [[req:text()]], [[setInterval(function() end, 1)]],
      [[while res:write(("x"):rep(65536)) do end]], [[coroutine.wrap(function() sleep(60000) end)()]],
      [[require("luaserve.core").waiter():wait()]] }) do
      lab.start(server, code, { method = "POST", headers = { ["Content-Length"] = "10" }, body = "x" })
    end
    assert.equal("x", lab.value(server, [[return "x"]]))
    assert.equal(0, (server:stop()))
  end)
end)
