-- To which request things belong: luaserve.context(), and whose failure an error
-- is. A callback belongs to the request in which it was registered, a listener to
-- its emitter's.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function value(code, request) return lab.value(server, code, request) end
local function ask(code, request) return lab.ask(server, code, request) end

setup(function()
  server = lab.serve()
  before = lab.counts(server)
end)

describe("luaserve.context()", function()
  it("is the same table wherever the request's own code runs", function()
    local seen = value([[
      local luaserve, fs = require "luaserve", require "fs"
      local mine, seen, done = luaserve.context(), {}, require("luaserve.core").waiter()
      local function note(place) seen[#seen + 1] = place .. "=" .. tostring(luaserve.context() == mine) end
      note "handler"
      sleep(1) note "wait"
      fs.stat(".") note "fs wait"
      setTimeout(function() note "timeout" sleep(1) note "timeout wait" end, 1)
      local interval interval = setInterval(function() clearInterval(interval) note "interval" end, 1)
      setImmediate(function() note "immediate" end)
      fs.stat(".", function() note "fs callback" end)
      coroutine.wrap(function() note "coroutine" sleep(1) note "coroutine wait" end)()
      pcall(function() sleep(1) note "pcall" end)
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() note "listener" end)
      emitter:emit("x")
      req:on("data", function() note "data" sleep(1) note "data wait" end)
      req:on("end", function() note "end" done:wake() end)
      res:onHead(function() note "onHead" sleep(1) note "onHead wait" end)
      done:wait()
      sleep(10)
      res:write("", function() note "write callback" done:wake() end)
      done:wait()
      return res:finish(table.concat(seen, "\n"))
    ]], { method = "POST", body = "some" })
    assert.equal("", (seen:gsub("[^\n]*=true\n?", "")))
    local places = {}
    for place in seen:gmatch("([^\n]*)=true") do places[place] = true end
    for _, place in ipairs({ "handler", "wait", "fs wait", "timeout", "timeout wait", "interval", "immediate",
      "fs callback", "coroutine", "coroutine wait", "pcall", "listener", "data", "data wait", "end", "onHead",
      "onHead wait", "write callback" }) do
      assert.is_true(places[place], place)
    end
  end)

  it("is the same in what happens after the answer", function()
    value([[
      local luaserve = require "luaserve"
      local mine = luaserve.context()
      shared.after = {}
      local function note(place) shared.after[place] = luaserve.context() == mine end
      res:onFinish(function() note "onFinish" end)
      res:on("finish", function() note "finish" sleep(1) note "finish wait" end)
      res:on("close", function() note "close" end)
      req:on("close", function() note "req close" end)
      setTimeout(function() note "timeout" end, 20)
      return "x"
    ]])
    helper.wait_for(function()
      return value([[
        local names = {}
        for name, same in pairs(shared.after) do names[#names + 1] = name .. "=" .. tostring(same) end
        table.sort(names)
        return table.concat(names, " ")
      ]]) == "close=true finish wait=true finish=true onFinish=true req close=true timeout=true"
    end, "everything after the answer")
  end)

  it("is a fresh one in every request, though coroutines are used again", function()
    for _ = 1, 5 do
      assert.equal("nil", value([[
        local context = require("luaserve").context()
        local found = context.user
        context.user = "kim"
        return tostring(found)
      ]]))
    end
  end)

  it("keeps requests apart that run at the same time", function()
    local conns = {}
    for i = 1, 20 do
      conns[i] = lab.start(server, ([[
        local context = require("luaserve").context()
        context.n = %d
        sleep(10 - %d %% 7)
        local n
        setTimeout(function() n = require("luaserve").context().n end, 3)
        while not n do sleep(1) end
        return n == context.n and tostring(n) or "mixed up"
      ]]):format(i, i))
    end
    for i = 1, 20 do assert.equal(tostring(i), conns[i]:read_response().body) end
  end)

  it("does not show in what a script sees of req and res", function()
    assert.equal("", value([[
      require("luaserve").context().secret = "x"
      local seen = {}
      for key, item in pairs(req) do if item == "x" then seen[#seen + 1] = tostring(key) end end
      return table.concat(seen)
    ]]))
  end)

  it("is one table of the process outside of requests", function()
    local other = helper.serve([[
      local luaserve, timers = require "luaserve", require "timers"
      local top = luaserve.context()
      top.from = "top"
      local seen = {}
      setTimeout(function() seen[1] = luaserve.context() == top end, 1)
      timers.sleep(5)
      seen[2] = luaserve.context() == top
      local server
      server = require("http").createServer(function()
        return tostring(seen[1]) .. tostring(seen[2]) .. tostring(seen[3]) .. tostring(luaserve.context().from)
      end)
      server:listen(0, "127.0.0.1", function()
        seen[3] = luaserve.context() == top
        print("port " .. server:address().port)
      end)
    ]])
    assert.equal("truetruetruenil", helper.get(other).body)
  end)
end)

describe("a callback", function()
  it("belongs to the request in which it was registered: its error is that one's 500", function()
    for _, code in ipairs({
      [[setTimeout(function() error("late") end, 1)]],
      [[setImmediate(function() error("late") end)]],
      [[require("fs").stat(".", function() error("late") end)]],
      [[sleep(1, function() error("late") end)]],
      [[coroutine.wrap(function() setTimeout(function() error("late") end, 1) end)()]],
      [[setTimeout(function() require("fs").stat(".", function() sleep(1) error("late") end) end, 1)]],
    }) do
      assert.equal(500, ask(code).status, code)
    end
  end)

  it("belongs to that request also when another request's code makes it run", function()
    local first = lab.start(server, [[
      shared.waiter = require("luaserve.core").waiter()
      shared.mine = require("luaserve").context()
      shared.waiter:wait()
      shared.same = require("luaserve").context() == shared.mine
      error("woken")
    ]])
    helper.wait_for(function() return value([[return tostring(shared.waiter ~= nil)]]) == "true" end, "the first")
    assert.equal("true", value([[return tostring(shared.waiter:wake())]]))
    assert.equal(500, first:read_response().status)
    assert.equal("true", value([[return tostring(shared.same)]]))
  end)

  it("that another request calls itself is that request's", function()
    local first = lab.start(server, [[
      shared.callback = function() shared.seen = require("luaserve").context().name error("whose") end
      require("luaserve").context().name = "first"
      shared.gate = require("luaserve.core").waiter()
      shared.gate:wait()
      return "unharmed"
    ]])
    helper.wait_for(function() return value([[return tostring(shared.gate ~= nil)]]) == "true" end, "the first")
    assert.equal(500, ask([[require("luaserve").context().name = "second" shared.callback()]]).status)
    assert.equal("second", value([[shared.gate:wake() return shared.seen]]))
    assert.equal("unharmed", first:read_response().body)
  end)
end)

describe("an emitter", function()
  it("of a request runs its listeners in that request, whoever emits and whoever listens", function()
    local first = lab.start(server, [[
      require("luaserve").context().name = "first"
      shared.emitter = require("events").EventEmitter.new()
      shared.emitter:on("x", function() shared.heard = require("luaserve").context().name end)
      shared.first_gate = require("luaserve.core").waiter()
      shared.first_gate:wait()
      return "answered"
    ]])
    helper.wait_for(function() return value([[return tostring(shared.first_gate ~= nil)]]) == "true" end, "the first")
    assert.equal("first first second", value([[
      require("luaserve").context().name = "second"
      local heard
      shared.emitter:on("x", function() heard = require("luaserve").context().name end)
      shared.emitter:emit("x")
      return shared.heard .. " " .. heard .. " " .. require("luaserve").context().name
    ]]))
    value([[shared.first_gate:wake() return ""]])
    assert.equal("answered", first:read_response().body)
  end)

  it("of a request takes the error of its listener as that request's 500, not the emitter's caller's", function()
    local first = lab.start(server, [[
      shared.failing = require("events").EventEmitter.new()
      shared.failing:on("x", function() error("in the listener") end)
      shared.fail_gate = require("luaserve.core").waiter()
      shared.fail_gate:wait()
    ]])
    helper.wait_for(function() return value([[return tostring(shared.fail_gate ~= nil)]]) == "true" end, "the first")
    assert.equal("unharmed", value([[shared.failing:emit("x") return "unharmed"]]))
    assert.equal(500, first:read_response().status)
    value([[shared.fail_gate:wake() return ""]])
  end)

  it("belongs to where it was made, though its first listener comes from a request", function()
    local other = helper.serve([[
      local luaserve, events = require "luaserve", require "events"
      local Class = events.inherit({}) Class.__index = Class
      local emitters = { made = events.EventEmitter.new(), called = events.EventEmitter() }
      local server = require("http").createServer(function(req)
        local emitter = emitters[req.query.name]
        local context = luaserve.context()
        local seen
        emitter:once("x", function() seen = luaserve.context() end)
        emitter:emit("x")
        return seen == context and "the request's" or "the process's"
      end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]])
    assert.equal("the process's", helper.get(other, "/?name=made").body)
    assert.equal("the process's", helper.get(other, "/?name=called").body)
  end)

  it("of the process: the error of a listener is logged, and harms no request", function()
    local other = helper.serve([[
      local events = require "events"
      local emitter = events.EventEmitter.new()
      emitter:on("x", function() error("in the process's listener") end)
      local server = require("http").createServer(function()
        emitter:emit("x")
        return "unharmed"
      end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]])
    assert.equal("unharmed", helper.get(other).body)
    lab.wait_for_log(other, "in the process's listener")
  end)

  it("which is a req or res is that request's, though another registers first", function()
    local first = lab.start(server, [[
      require("luaserve").context().name = "first"
      shared.res, shared.req = res, req
      shared.res_gate = require("luaserve.core").waiter()
      shared.res_gate:wait()
      return "x"
    ]])
    helper.wait_for(function() return value([[return tostring(shared.res_gate ~= nil)]]) == "true" end, "the first")
    value([[
      require("luaserve").context().name = "second"
      shared.names = {}
      local function note() table.insert(shared.names, tostring(require("luaserve").context().name)) end
      shared.res:on("close", note)
      shared.req:on("close", note)
      shared.res:onFinish(note)
      shared.res_gate:wake()
      return ""
    ]])
    assert.equal(200, first:read_response().status)
    helper.wait_for(function() return value([[return table.concat(shared.names, " ")]]) == "first first first" end,
      function() return "the listeners; they saw " .. value([[return table.concat(shared.names, " ")]]) end)
    value([[shared.res, shared.req = nil return ""]])
  end)

  it("raises the error of a listener to the caller of emit in the same request", function()
    assert.equal("false snippet:2: caught", value([[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() error("caught") end)
      local ok, err = pcall(emitter.emit, emitter, "x")
      return tostring(ok) .. " " .. err
    ]]))
  end)

  it("cannot raise what a listener fails with after a wait: that is the request's 500", function()
    assert.equal(500, ask([[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() sleep(1) error("late") end)
      pcall(emitter.emit, emitter, "x")
      sleep(20)
      return "too late"
    ]]).status)
  end)
end)

describe("a request that is over", function()
  it("has its late errors logged, and nothing else", function()
    assert.equal("x", value([[
      setTimeout(function() error("after the answer") end, 5)
      return "x"
    ]]))
    lab.wait_for_log(server, "snippet:1: after the answer")
    assert.equal("alive", value([[return "alive"]]))
  end)

  it("keeps its context for what still runs in it, and lets go with the last", function()
    value([[
      require("luaserve").context().name = "mine"
      setTimeout(function()
        sleep(5)
        setTimeout(function() shared.late = require("luaserve").context().name end, 5)
      end, 5)
      return "x"
    ]])
    helper.wait_for(function() return value([[return tostring(shared.late)]]) == "mine" end, "the last timer")
    lab.wait_for_counts(server, before)
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
