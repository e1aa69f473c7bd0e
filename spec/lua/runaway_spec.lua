-- A run of Lua that does not end by itself: after the CPU budget it is ended by
-- an error that no pcall can swallow, the request is answered 503, and the
-- process goes on serving.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

-- LuaJIT: hooks do not reach compiled code, where nothing but the supervisor can
-- end a loop. So it is told to interpret.
local ENV = lab.luajit and { LAB_INTERPRETS = "1" } or nil
local OPTS = { args = { "--cpu-budget", "0.2" }, env = ENV }

local it_on_54 = lab.luajit and pending or it

local function value(code) return lab.value(server, code) end

-- The code is ended, within time, and the process serves on.
local function is_ended(code, status)
  local response = lab.ask(server, code)
  assert.equal(status or 503, response.status, code)
  assert.equal("alive", value([[return "alive"]]))
end

setup(function()
  server = lab.serve(OPTS)
  before = lab.counts(server)
end)

describe("a runaway", function()
  for name, code in pairs({
    ["plain loop"] = [[while true do end]],
    ["loop after a wait"] = [[sleep(1) while true do end]],
    ["loop that calls"] = [[local function f(x) return x + 1 end local n = 0 while true do n = f(n) end]],
    ["loop in a pcall"] = [[pcall(function() while true do end end) return "swallowed"]],
    ["pcall in a loop"] = [[while true do pcall(function() while true do end end) end]],
    ["pcall with a handler in a loop"] = [[
      while true do xpcall(function() while true do end end, function(e) while true do end return e end) end]],
    ["loop of pcalls that fail"] = [[while true do pcall(error, "x") end]],
    ["coroutine"] = [[coroutine.wrap(function() while true do end end)()]],
    ["coroutine, resumed in a loop"] = [[
      while true do coroutine.resume(coroutine.create(function() while true do end end)) end]],
    ["coroutine inside a pcall in a loop"] = [[
      while true do
        pcall(coroutine.wrap(function() while true do pcall(function() while true do end end) end end))
      end]],
    ["coroutine in a coroutine in a pcall in a loop"] = [[
      while true do
        pcall(coroutine.wrap(function()
          while true do pcall(coroutine.wrap(function() while true do end end)) end
        end))
      end]],
    ["pair of coroutines that yield for ever"] = [[
      local co = coroutine.wrap(function() while true do coroutine.yield() end end)
      while true do co() end]],
    ["coroutine after a wait in it"] = [[coroutine.wrap(function() sleep(1) while true do end end)()]],
    ["setTimeout function"] = [[setTimeout(function() while true do end end, 1)]],
    ["setImmediate function"] = [[setImmediate(function() while true do pcall(error) end end)]],
    ["fs callback"] = [[require("fs").stat(".", function() while true do end end)]],
    ["listener"] = [[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() while true do end end)
      while true do pcall(emitter.emit, emitter, "x") end]],
    ["listener in a coroutine of the emitter of a listener"] = [[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() coroutine.wrap(function() emitter:emit("y") end)() end)
      emitter:on("y", function() pcall(function() while true do end end) while true do end end)
      emitter:emit("x")]],
    ["__index function"] = [[
      local t = setmetatable({}, { __index = function() while true do end end })
      return t.x]],
    ["__tostring function"] = [[
      return "x" .. tostring(setmetatable({}, { __tostring = function() while true do end end }))]],
    ["__tostring function of an error"] = [[
      error(setmetatable({}, { __tostring = function() while true do end end }))]],
    ["comparator of table.sort"] = [[table.sort({ 3, 2, 1 }, function() while true do end end)]],
    ["iterator"] = [[for _ in function() return 1 end do end]],
    ["onHead hook"] = [[res:onHead(function() while true do end end) return "x"]],
    ["loop that has a wait behind a condition that never comes"] = [[
      local done = false
      while not done do if done then sleep(1) end end]],
    ["recursion that goes up and down"] = [[
      local function f(n) if n > 0 then f(n - 1) f(n - 1) end end
      f(200)]],
  }) do
    it("in a " .. name .. " is ended", function()
      is_ended(code, name:find("of an error") and 500 or 503)
    end)
  end

  it("names the line that was at work, and the option", function()
    is_ended("\n\nlocal n = 0\nwhile true do\n  n = n + 1\nend")
    lab.wait_for_log(server, "error: GET /: snippet:[456]: CPU budget of 0%.2 s exceeded without waiting "
      .. "%(%-%-cpu%-budget%)\n\tstack traceback:\n\t\tsnippet:[456]: in ")
  end)

  it("after the head has left is the end of its connection", function()
    local conn = lab.start(server, [[res:write("some") while true do end]])
    assert.is_true(conn:closed())
    assert.is_nil(conn.buffer:find("0\r\n\r\n", 1, true))
  end)

  it_on_54("in a to-be-closed variable of a handler that failed is ended, too (Lua 5.4 alone has them)", function()
    is_ended([[
      local a <close> = setmetatable({}, { __close = function() shared.closed = true end })
      local b <close> = setmetatable({}, { __close = function() while true do end end })
      error("first")
    ]], 500)
    is_ended([[
      local a <close> = setmetatable({}, { __close = function() while true do end end })
      while true do end
    ]])
  end)

  it("after the answer is logged, and the answer is kept", function()
    assert.equal("x", value([[
      setTimeout(function() while true do end end, 1)
      return "x"
    ]]))
    assert.equal("alive", value([[return "alive"]]))
  end)

  it("in a close listener is logged", function()
    assert.equal("x", value([[res:on("close", function() local n = 0 while true do n = n + 1 end end) return "x"]]))
    assert.equal("alive", value([[return "alive"]]))
  end)

  it("outside of requests is logged, and the process lives", function()
    local other = helper.serve([[
      if jit then jit.off() end
      local http = require "http"
      setTimeout(function() while true do pcall(error) end end, 1)
      local server = http.createServer(function() return "alive" end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]], OPTS)
    lab.wait_for_log(other, "CPU budget")
    assert.equal("alive", helper.get(other).body)
  end)

  it("at the top level of the script ends it with 1", function()
    local result = helper.run("if jit then jit.off() end local n = 0\nwhile true do n = n + 1 end\n", OPTS)
    assert.equal(1, result.code)
    assert.truthy(result.err:find("app.lua:2: CPU budget", 1, true), result.err)
  end)

  it("while others wait: they are served when it has been ended", function()
    local conns = {}
    conns[1] = lab.start(server, [[while true do end]])
    for i = 2, 6 do conns[i] = lab.start(server, [[sleep(1) return "served"]]) end
    for i = 2, 6 do assert.equal("served", conns[i]:read_response().body) end
    assert.equal(503, conns[1]:read_response().status)
  end)

  it("leaves coroutines that it has touched usable by others", function()
    value([[
      shared.co = coroutine.create(function()
        while true do
          if coroutine.yield() == "run" then while true do end end
        end
      end)
      coroutine.resume(shared.co)
      shared.other = coroutine.wrap(function() while true do coroutine.yield("well") end end)
      return shared.other()
    ]])
    is_ended([[shared.other() pcall(coroutine.resume, shared.co, "go on") while true do end]])
    assert.equal("well true", value([[
      return shared.other() .. " " .. tostring((coroutine.resume(shared.co, "go on")))
    ]]))
    is_ended([[coroutine.resume(shared.co, "run")]])
    assert.equal("well", value([[return shared.other()]]))
  end)

  it("twenty times over leaves the process as it was", function()
    local small = { args = { "--cpu-budget", "0.02" }, env = ENV }
    local other = lab.serve(small)
    local counts = lab.counts(other)
    local code = [[while true do pcall(coroutine.wrap(function() while true do end end)) end]]
    for _ = 1, 20 do assert.equal(503, lab.ask(other, code).status) end
    lab.wait_for_counts(other, counts)
  end)
end)

describe("what is no runaway", function()
  it("waits as long as it likes", function()
    assert.equal("slept", value([[sleep(600) return "slept"]]))
  end)

  it("works long, but in parts that each wait", function()
    assert.equal("worked", value([[
      for _ = 1, 10 do
        local began = os.clock()
        while os.clock() - began < 0.08 do end
        sleep(0)
      end
      return "worked"
    ]]))
  end)

  it("is many requests, none of which is long", function()
    local conns = {}
    for i = 1, 12 do
      conns[i] = lab.start(server, [[
        local began = os.clock()
        while os.clock() - began < 0.05 do end
        return "done"
      ]])
    end
    for i = 1, 12 do assert.equal("done", conns[i]:read_response().body) end
  end)

  it("is what a budget of 0 allows", function()
    local other = lab.serve({ args = { "--cpu-budget", "0" } })
    assert.equal("long", lab.value(other, [[
      local began = os.clock()
      while os.clock() - began < 0.5 do end
      return "long"
    ]]))
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    value([[shared.co, shared.other = nil return ""]])
    lab.wait_for_counts(server, before)
  end)
end)
