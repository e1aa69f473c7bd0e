-- Timers: Node's names, milliseconds, and rules.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function value(code, request) return lab.value(server, code, request) end

setup(function()
  server = lab.serve()
  before = lab.counts(server)
end)

describe("setTimeout", function()
  it("calls its function once, after the delay, with the arguments that follow", function()
    local seen = value([[
      local began, calls = process.hrtime(), 0
      setTimeout(function(...)
        calls = calls + 1
        local now = process.hrtime()
        local passed = (now[1] - began[1]) * 1000 + (now[2] - began[2]) / 1e6
        shared.seen = table.concat({ select("#", ...), tostring((...)), tostring(select(2, ...)),
          tostring(select(3, ...)), tostring(passed >= 20), calls }, " ")
      end, 20, "a", nil, false)
      while not shared.seen do sleep(1) end
      sleep(30)
      return shared.seen .. " " .. calls
    ]])
    assert.equal("3 a nil false true 1 1", seen)
  end)

  it("calls in the order of time, and of making where the time is the same", function()
    assert.equal("1 2 3 4 5", value([[
      local order = {}
      local function note(n) order[#order + 1] = n end
      setTimeout(note, 30, 5)
      setTimeout(note, 5, 2)
      setTimeout(note, 1, 1)
      setTimeout(note, 10, 3)
      setTimeout(note, 10, 4)
      sleep(60)
      return table.concat(order, " ")
    ]]))
  end)

  it("takes what is no delay as 1 ms, as Node does", function()
    for _, delay in ipairs({ "0", "-5", "0/0", "nil", "'x'", "1e12", "math.huge", "{}", "0.5", "'2'" }) do
      assert.equal("called", value(([[
        local called
        setTimeout(function() called = "called" end, %s)
        for _ = 1, 200 do if called then return called end sleep(5) end
        return "not called"
      ]]):format(delay)), delay)
    end
  end)

  it("without a function raises at the line of the script", function()
    for _, name in ipairs({ "setTimeout", "setInterval", "setImmediate" }) do
      assert.equal(("snippet:2: bad argument #1 to '%s' (function expected)"):format(name), value(([[
        local ok, err = pcall(function()
          %s("print(1)", 10) end)
        return err
      ]]):format(name)))
    end
  end)

  it("is taken back by clearTimeout and close, also from within, and twice", function()
    assert.equal("0", value([[
      local calls = 0
      local function count() calls = calls + 1 end
      local one, two, three = setTimeout(count, 5), setTimeout(count, 5), setTimeout(count, 5)
      clearTimeout(one)
      clearTimeout(one)
      two:close():close()
      clearInterval(three)
      local four
      four = setTimeout(function() clearTimeout(four) end, 1)
      sleep(20)
      clearTimeout(four)
      return tostring(calls)
    ]]))
  end)

  it("that expires in the same turn as another can still be taken back by that", function()
    assert.equal("first", value([[
      local called, other = {}, nil
      setTimeout(function() called[#called + 1] = "first" clearTimeout(other) end, 5)
      other = setTimeout(function() called[#called + 1] = "second" end, 5)
      local until_then = os.clock() + 0.02
      while os.clock() < until_then do end
      sleep(20)
      return table.concat(called, " ")
    ]]))
  end)

  it("has clearTimeout ignore whatever is no timer", function()
    assert.equal("ignored", value([[
      for _, thing in ipairs({ 1, "x", true, {}, print, coroutine.create(print), io.stdout,
        setmetatable({}, { __index = function() error("asked") end }) }) do
        clearTimeout(thing)
        clearInterval(thing)
        clearImmediate(thing)
      end
      clearTimeout()
      clearTimeout(nil)
      io.stdout:write("")
      return "ignored"
    ]]))
  end)

  it("is kept while it runs, though nobody holds it, and not longer", function()
    assert.equal("called collected", value([[
      local called, collected = nil, "kept"
      local marks = setmetatable({}, { __mode = "k" })
      do
        local mark = {}
        marks[mark] = true
        setTimeout(function() called = mark and "called" end, 5)
      end
      collectgarbage()
      collectgarbage()
      sleep(15)
      collectgarbage()
      collectgarbage()
      if next(marks) == nil then collected = "collected" end
      return tostring(called) .. " " .. collected
    ]]))
  end)

  it("begins anew with refresh, while it runs and after it has run", function()
    assert.equal("0 1 2 2", value([[
      local calls = 0
      local seen = {}
      local timer = setTimeout(function() calls = calls + 1 end, 40)
      sleep(25)
      timer:refresh()
      sleep(25)
      seen[1] = calls
      while calls == 0 do sleep(2) end
      seen[2] = calls
      timer:refresh()
      while calls == 1 do sleep(2) end
      seen[3] = calls
      timer:close()
      timer:refresh()
      sleep(60)
      seen[4] = calls
      return table.concat(seen, " ")
    ]]))
  end)
end)

describe("setInterval", function()
  it("calls again and again, with its arguments, until it is taken back", function()
    assert.equal("x3 3", value([[
      local calls, last = 0, nil
      local timer
      timer = setInterval(function(prefix)
        calls = calls + 1
        last = prefix .. calls
        if calls == 3 then clearInterval(timer) end
      end, 2, "x")
      sleep(30)
      return last .. " " .. calls
    ]]))
  end)

  it("goes on while a call of it waits", function()
    assert.equal("true", value([[
      local most, now = 0, 0
      local timer = setInterval(function()
        now = now + 1
        most = math.max(most, now)
        sleep(20)
        now = now - 1
      end, 3)
      sleep(60)
      timer:close()
      return tostring(most > 1)
    ]]))
  end)

  it("goes on after an error in it, which is its request's failure", function()
    assert.equal(500, lab.ask(server, [[
      local calls = 0
      local timer
      timer = setInterval(function()
        calls = calls + 1
        shared.interval_calls = calls
        if calls == 3 then clearInterval(timer) end
        error("each time")
      end, 2)
    ]]).status)
    helper.wait_for(function() return value([[return tostring(shared.interval_calls)]]) == "3" end, "three calls")
  end)

  it("is ended from outside while a call of it waits", function()
    assert.equal("1", value([[
      local calls = 0
      local timer = setInterval(function() calls = calls + 1 sleep(10) end, 5)
      sleep(7)
      timer:close()
      sleep(30)
      return tostring(calls)
    ]]))
  end)
end)

describe("setImmediate", function()
  it("calls at the end of the turn, in order, before a timer of 1 ms", function()
    assert.equal("now 1 2 3 later", value([[
      local order, done = {}, require("luaserve.core").waiter()
      local function note(text) order[#order + 1] = text end
      setTimeout(function() note "later" done:wake() end, 1)
      setImmediate(note, "1")
      setImmediate(note, "2")
      setImmediate(function() note "3" end)
      note "now"
      done:wait()
      return table.concat(order, " ")
    ]]))
  end)

  it("within one waits for the next turn, so that input is not starved", function()
    local conn = lab.start(server, [[
      shared.spinning = true
      local function spin()
        if not shared.spinning then return res:finish("stopped") end
        setImmediate(spin)
      end
      spin()
    ]])
    helper.wait_for(function() return value([[return tostring(shared.spinning)]]) == "true" end, "the first")
    assert.equal("asked", value([[shared.spinning = false return "asked"]]))
    assert.equal("stopped", conn:read_response().body)
  end)

  it("calls those made in one after those made before it", function()
    assert.equal("1 2 1a 2a", value([[
      local order, done = {}, require("luaserve.core").waiter()
      for i = 1, 2 do
        setImmediate(function()
          order[#order + 1] = i
          setImmediate(function()
            order[#order + 1] = i .. "a"
            if i == 2 then done:wake() end
          end)
        end)
      end
      done:wait()
      return table.concat(order, " ")
    ]]))
  end)

  it("is taken back by clearImmediate and by close, also by an earlier one", function()
    assert.equal("kept", value([[
      local order = {}
      local one = setImmediate(function() order[#order + 1] = "one" end)
      local two
      setImmediate(function() clearImmediate(two) order[#order + 1] = "kept" end)
      two = setImmediate(function() order[#order + 1] = "two" end)
      one:close()
      sleep(5)
      return table.concat(order, " ")
    ]]))
  end)
end)

describe("timers.sleep", function()
  it("waits at least as long as it was asked to, and returns true", function()
    assert.equal("true true", value([[
      local began = process.hrtime()
      local slept = sleep(30)
      local now = process.hrtime()
      return tostring(slept) .. " " .. tostring((now[1] - began[1]) * 1000 + (now[2] - began[2]) / 1e6 >= 29.9)
    ]]))
  end)

  it("takes zero, negative numbers and digits; refuses the rest", function()
    assert.equal("true true true", value([[
      return tostring(sleep(0)) .. " " .. tostring(sleep(-10)) .. " " .. tostring(sleep("1"))
    ]]))
    assert.equal("snippet:1: bad argument #1 to 'sleep' (milliseconds expected)", value([[
      local ok, err = pcall(function() sleep("long") end)
      return err
    ]]))
    assert.equal("snippet:1: bad argument #2 to 'sleep' (function expected)", value([[
      local ok, err = pcall(function() sleep(1, "later") end)
      return err
    ]]))
  end)

  it("sleeps in the order of time, whoever began first", function()
    assert.equal("1 2 3", value([[
      local order = {}
      for _, n in ipairs({ 3, 1, 2 }) do
        setImmediate(function() sleep(n * 15) order[#order + 1] = n end)
      end
      while #order < 3 do sleep(2) end
      return table.concat(order, " ")
    ]]))
  end)
end)

describe("require 'timers'", function()
  it("has the same functions as the globals", function()
    assert.equal("true", value([[
      local timers = require "timers"
      for _, name in ipairs { "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval",
        "clearImmediate" } do
        if rawget(_G, name) ~= timers[name] then return name end
      end
      return "true"
    ]]))
  end)
end)

describe("a process", function()
  local function run(code) return helper.run(code .. "\n") end

  it("ends when no timer is left, with 0", function()
    local result = run([[
      setTimeout(function() print "one" setTimeout(function() print "two" end, 5) end, 5)
      setImmediate(function() print "zero" end)]])
    assert.equal(0, result.code)
    assert.equal("zero\none\ntwo\n", result.out)
  end)

  it("does not wait for a timer that was unrefed, but does again after ref", function()
    local result = run([[
      local timer = setTimeout(function() print "never" end, 60000)
      print(timer:hasRef(), timer:unref() == timer, timer:hasRef())
      setInterval(function() print "never" end, 60000):unref()
      setTimeout(function() print "kept" end, 20):unref():ref()]])
    assert.equal(0, result.code)
    assert.equal("true\ttrue\tfalse\nkept\n", result.out)
  end)

  it("calls an unrefed timer while something else keeps it", function()
    local result = run([[
      setTimeout(function() print "unrefed" end, 5):unref()
      local interval
      interval = setInterval(function() print "interval" end, 8):unref()
      setTimeout(function() end, 20)]])
    assert.truthy(result.out:find("^unrefed\ninterval\n"), result.out)
    assert.equal(0, result.code)
  end)

  it("ends though an unrefed timer was unrefed after it had run, or was taken back", function()
    local result = run([[
      local one = setTimeout(function() end, 1)
      local two = setTimeout(function() end, 60000):unref()
      setTimeout(function() one:unref() two:close() two:ref() two:unref() print "done" end, 10)]])
    assert.equal(0, result.code)
    assert.equal("done\n", result.out)
  end)

  it("waits for a sleep at the top level", function()
    local result = run([[require("timers").sleep(10) print "slept"]])
    assert.equal("slept\n", result.out)
    assert.equal(0, result.code)
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
