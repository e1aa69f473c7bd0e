-- Waits in coroutines that the script makes itself: the runtime's suspension goes
-- through them, and theirs stays theirs.
local lab = require("spec.lua.lab")

local it_on_54 = lab.luajit and pending or it
local server, before, value, ask

setup(function()
  server = lab.serve({ files = { ["there.txt"] = "contents" } })
  before = lab.counts(server)
  function value(code, request) return lab.value(server, code, request) end
  function ask(code, request) return lab.ask(server, code, request) end
end)

describe("in a coroutine of the script's own", function()
  it("a generator mixes its own yields with waits", function()
    assert.equal("1 contents 2 contents 3 contents", value([[
      local function lines()
        return coroutine.wrap(function()
          for i = 1, 3 do
            sleep(1)
            coroutine.yield(i, (require("fs").readFile("there.txt")))
            sleep(1)
          end
        end)
      end
      local seen = {}
      for i, data in lines() do
        sleep(1)
        seen[#seen + 1] = i .. " " .. data
      end
      return table.concat(seen, " ")
    ]]))
  end)

  it("resume and yield carry their values beside the waits", function()
    assert.equal("true a 1 | true b 2 | true end 3 | false cannot resume dead coroutine", value([[
      local co = coroutine.create(function(x)
        sleep(1)
        local y = coroutine.yield("a", x)
        sleep(1)
        local z = coroutine.yield("b", y)
        sleep(1)
        return "end", z
      end)
      local seen = {}
      for i = 1, 4 do
        local ok, first, second = coroutine.resume(co, i)
        seen[i] = tostring(ok) .. " " .. first .. (second and " " .. second or "")
      end
      return table.concat(seen, " | ")
    ]]))
  end)

  it("waits come through coroutines eight deep, each with yields of its own", function()
    assert.equal("8 8 8", value([[
      local function nest(n)
        return coroutine.wrap(function()
          if n == 1 then
            for _ = 1, 3 do sleep(1) coroutine.yield(1) end
            return
          end
          for inner in nest(n - 1) do
            sleep(1)
            coroutine.yield(inner + 1)
          end
        end)
      end
      local seen = {}
      for n in nest(8) do seen[#seen + 1] = n end
      return table.concat(seen, " ")
    ]]))
  end)

  it("an error after a wait in the innermost is each resumer's to catch", function()
    assert.equal("false snippet:4: innermost | false snippet:4: innermost", value([[
      local function deep(n)
        if n == 0 then
          sleep(1)
          error("innermost")
        end
        return coroutine.wrap(deep)(n - 1)
      end
      local ok, err = pcall(deep, 5)
      local co = coroutine.create(deep)
      local resumed, why = coroutine.resume(co, 5)
      return tostring(ok) .. " " .. err .. " | " .. tostring(resumed) .. " " .. why
    ]]))
  end)

  it("an error that nobody catches is the request's 500", function()
    local response = ask([[
      coroutine.wrap(function() coroutine.wrap(function() sleep(1) error("uncaught in two") end)() end)()
    ]])
    assert.equal(500, response.status)
    lab.wait_for_log(server, "snippet:1: uncaught in two")
  end)

  it("pcall, a metamethod and an iterator around it pass the wait on", function()
    assert.equal("false late contents", value([[
      local t = setmetatable({}, { __index = function(_, key)
        for data in coroutine.wrap(function() sleep(1) coroutine.yield((require("fs").readFile(key))) end) do
          return data
        end
      end })
      local ok, err = pcall(function()
        coroutine.wrap(function() pcall(sleep, 1) error("late", 0) end)()
      end)
      return tostring(ok) .. " " .. err .. " " .. t["there.txt"]
    ]]))
  end)

  it("status is that of a coroutine that runs another while it waits", function()
    assert.equal("suspended normal normal false cannot resume a coroutine that waits for the runtime dead", value([[
      local co = coroutine.create(function() sleep(5) end)
      local seen = { coroutine.status(co) }
      local done = require("luaserve.core").waiter()
      setImmediate(function()
        seen[#seen + 1] = coroutine.status(co)
        local inner = coroutine.wrap(function() seen[#seen + 1] = coroutine.status(co) end)
        inner()
        local ok, err = coroutine.resume(co)
        seen[#seen + 1] = tostring(ok)
        seen[#seen + 1] = err
      end)
      coroutine.resume(co)
      seen[#seen + 1] = coroutine.status(co)
      return table.concat(seen, " ")
    ]]))
  end)

  it("two requests that share a generator do not disturb each other", function()
    value([[
      shared.numbers = coroutine.wrap(function()
        for i = 1, 100 do
          repeat sleep(1) until shared.asked >= 2
          coroutine.yield(i)
        end
      end)
      return "x"
    ]])
    local code = [[
      shared.asked = (shared.asked or 0) + 1
      local ok, n = pcall(shared.numbers)
      return tostring(ok) .. " " .. n
    ]]
    local one, two = lab.start(server, code), lab.start(server, code)
    local answers = { one:read_response().body, two:read_response().body }
    table.sort(answers)
    assert.same({ "false cannot resume a coroutine that waits for the runtime", "true 1" }, answers)
    assert.equal("true 2", value(code))
  end)

  it("wrap of something that is no function names the caller", function()
    assert.equal("snippet:1: bad argument #1 to 'wrap' (function expected)", value([[
      local ok, err = pcall(function() coroutine.wrap(42) end)
      return err
    ]]))
    assert.equal("snippet:1: bad argument #1 to 'resume' (coroutine expected)", value([[
      local ok, err = pcall(function() coroutine.resume("co") end)
      return err
    ]]))
  end)

  it("one that fails before any wait says so to its resumer", function()
    assert.equal("false snippet:1: early false cannot resume dead coroutine", value([[
      local co = coroutine.create(function() error("early") end)
      local ok, err = coroutine.resume(co)
      local again, dead = coroutine.resume(co)
      return tostring(ok) .. " " .. err .. " " .. tostring(again) .. " " .. dead
    ]]))
  end)

  it("nested ones up to the limit of C fail alone", function()
    local response = ask([[
      local function f() return coroutine.wrap(f)() end
      f()
    ]])
    assert.equal(500, response.status)
    assert.equal("alive", value([[return "alive"]]))
  end)

  it_on_54("closing one that waits ends it, and its resumer hears of that (Lua 5.4 alone closes)", function()
    assert.equal("true false cannot resume dead coroutine", value([[
      local co = coroutine.create(function() sleep(5) end)
      local closed
      setImmediate(function() closed = coroutine.close(co) end)
      local ok, err = coroutine.resume(co)
      return tostring(closed) .. " " .. tostring(ok) .. " " .. err
    ]]))
  end)

  it_on_54("the to-be-closed variables of one that fails in wrap are closed (Lua 5.4 alone has them)", function()
    assert.equal("closed", value([[
      local closed
      local f = coroutine.wrap(function()
        local x <close> = setmetatable({}, { __close = function() closed = "closed" end })
        sleep(1)
        error("x")
      end)
      pcall(f)
      return closed
    ]]))
  end)

  it("the callback form works where the waiting one would", function()
    assert.equal("contents", value([[
      coroutine.wrap(function()
        require("fs").readFile("there.txt", function(_, data) res:finish(data) end)
      end)()
    ]]))
  end)
end)

describe("coroutine.yield outside of a coroutine", function()
  it("raises and can be caught", function()
    assert.equal("false snippet:1: attempt to yield from outside a coroutine", value([[
      local ok, err = pcall(function() coroutine.yield(1) end)
      return tostring(ok) .. " " .. err
    ]]))
  end)

  it("is the request's 500 where it is not caught, also after a wait", function()
    assert.equal(500, ask([[coroutine.yield("x")]]).status)
    assert.equal(500, ask([[sleep(1)
      coroutine.yield("x")]]).status)
    lab.wait_for_log(server, "snippet:2: attempt to yield from outside a coroutine")
  end)

  it("raises in a callback and a listener, though a coroutine emits", function()
    assert.equal("false snippet:3: attempt to yield from outside a coroutine", value([[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function()
        coroutine.yield("from the listener")
      end)
      local ok, err = coroutine.wrap(function() return pcall(emitter.emit, emitter, "x") end)()
      return tostring(ok) .. " " .. tostring(err)
    ]]))
    assert.equal(500, ask([[setTimeout(function() coroutine.yield() end, 1)]]).status)
  end)

  it("is what isyieldable tells", function()
    assert.equal("false true false", value([[
      local outside = coroutine.isyieldable()
      local inside = coroutine.wrap(function() return coroutine.isyieldable() end)()
      sleep(1)
      return tostring(outside) .. " " .. tostring(inside) .. " " .. tostring(coroutine.isyieldable())
    ]]))
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
