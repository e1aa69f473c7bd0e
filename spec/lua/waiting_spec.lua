-- The two styles of waiting, and everything that a wait passes through on its
-- way: protected calls, metamethods, iterators, coroutines of the script's own.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local it_on_54 = lab.luajit and pending or it
local server, before, value, ask

setup(function()
  server = lab.serve({ files = { ["there.txt"] = "contents" } })
  before = lab.counts(server)
  function value(code, request) return lab.value(server, code, request) end
  function ask(code, request) return lab.ask(server, code, request) end
end)

describe("a call that takes time", function()
  it("calls its callback later and returns at once", function()
    assert.equal("returned,called nil contents", value([[
      local order = {}
      require("fs").readFile("there.txt", function(err, data)
        order[#order + 1] = "called " .. tostring(err) .. " " .. data
        res:finish(table.concat(order, ","))
      end)
      order[#order + 1] = "returned"
    ]]))
  end)

  it("calls its callback even after nothing but time has passed", function()
    assert.equal("slept true nil", value([[
      require("timers").sleep(1, function(err, slept)
        res:finish("slept " .. tostring(slept) .. " " .. tostring(err))
      end)
    ]]))
  end)

  it("waits and returns its value without one", function()
    assert.equal("contents nil", value([[
      local data, err = require("fs").readFile("there.txt")
      return data .. " " .. tostring(err)
    ]]))
  end)

  it("returns nil, message, code where it fails", function()
    assert.equal("nil|ENOENT: no such file or directory, open './x'|ENOENT", value([[
      local data, message, code = require("fs").readFile("./x")
      return tostring(data) .. "|" .. message .. "|" .. code
    ]]))
  end)

  it("gives the callback an error with fields, that prints and concatenates as its message", function()
    assert.equal("table|ENOENT: no such file or directory, open './x'|ENOENT|open|./x|true|true|true", value([[
      require("fs").readFile("./x", function(err, data)
        local text = "ENOENT: no such file or directory, open './x'"
        res:finish(table.concat({ type(err), err.message, err.code, err.syscall, err.path,
          tostring(tostring(err) == text), tostring("a " .. err == "a " .. text and err .. " b" == text .. " b"),
          tostring(err .. err == text .. text and data == nil) }, "|"))
      end)
    ]]))
  end)

  it("raises at once, whoever waits, where it is called wrongly", function()
    assert.equal("false snippet:1: bad argument", value([[
      local ok, err = pcall(function() require("fs").readFile(42 == 42) end)
      return tostring(ok) .. " " .. tostring(err):match("^.-bad argument")
    ]]))
  end)

  it("with Sync behind its name raises, and so does json.decode", function()
    assert.equal("contents|false ENOENT: no such file or directory, open './x' ENOENT|false", value([[
      local fs, json = require "fs", require "json"
      local ok, err = pcall(fs.readFileSync, "./x")
      local decoded = pcall(json.decode, "{")
      return fs.readFileSync("there.txt") .. "|" .. tostring(ok) .. " " .. tostring(err) .. " " .. err.code
        .. "|" .. tostring(decoded)
    ]]))
    assert.equal(500, ask([[require("fs").readFileSync("./x")]]).status)
  end)

  it("takes both styles within each other", function()
    assert.equal("1 contents 2 contents 3 true", value([[
      local fs = require "fs"
      local first = fs.readFile("there.txt")
      fs.readFile("there.txt", function(_, second)
        local data = fs.readFile("there.txt")
        assert(data == first)
        fs.exists("there.txt", function(_, there)
          sleep(1)
          res:finish("1 " .. first .. " 2 " .. second .. " 3 " .. tostring(fs.exists("there.txt") and there))
        end)
      end)
      sleep(1)
    ]]))
  end)

  it("may be the last thing that a function does", function()
    assert.equal("contents", value([[
      local function read(...) return require("fs").readFile(...) end
      return read("there.txt")
    ]]))
  end)

  it("lets hundreds of coroutines wait at the same time, each with its own values", function()
    assert.equal("300 45150", value([[
      local count, sum, done = 0, 0, require("luaserve.core").waiter()
      for i = 1, 300 do
        setImmediate(function(n)
          local mine = n
          sleep(n % 7)
          assert(require("fs").readFile("there.txt") == "contents")
          sleep(n % 3)
          count, sum = count + 1, sum + mine
          if count == 300 then done:wake() end
        end, i)
      end
      done:wait()
      return count .. " " .. sum
    ]]))
  end)

  it("keeps requests apart that wait at the same time", function()
    local conns = {}
    for i = 1, 40 do
      conns[i] = lab.start(server, ("local n = %d sleep(%d) return 'answer ' .. n"):format(i, i % 5))
    end
    for i = 40, 1, -1 do
      assert.equal("answer " .. i, conns[i]:read_response().body)
    end
  end)
end)

describe("waiting", function()
  -- Where: the code that ends by calling finish(what it waited for).
  local places = {
    ["a handler"] = [[finish(wait())]],
    ["the callback of an fs function"] = [[require("fs").stat(".", function() finish(wait()) end)]],
    ["a setTimeout function"] = [[setTimeout(function() finish(wait()) end, 1)]],
    ["a setImmediate function"] = [[setImmediate(function() finish(wait()) end)]],
    ["a setInterval function"] = [[local t t = setInterval(function() clearInterval(t) finish(wait()) end, 1)]],
    ["a listener"] = [[
      local emitter = require("events").EventEmitter.new()
      emitter:on("x", function() finish(wait()) end)
      emitter:emit("x")]],
    ["a listener of an emitter of the process"] = [[
      shared.emitter = shared.emitter or require("events").EventEmitter.new()
      shared.emitter:once("x", function() finish(wait()) end)
      shared.emitter:emit("x")]],
    ["a data listener"] = [[req:on("data", function() finish(wait()) end)]],
    ["an end listener"] = [[req:on("data", function() end) req:on("end", function() finish(wait()) end)]],
    ["the callback of res:write"] = [[
      res:setHeader("Content-Length", 14)
      res:write("write ", function() finish(wait()) end)]],
    ["an onHead hook"] = [[
      local waited
      res:onHead(function() waited = wait() res:setHeader("X-Waited", waited) end)
      res:finish("contents")]],
    ["the callback of sleep"] = [[sleep(1, function() finish(wait()) end)]],
    ["a callback within a callback within a wait"] = [[
      sleep(1)
      setTimeout(function()
        wait()
        require("fs").stat(".", function() setImmediate(function() finish(wait()) end) end)
        wait()
      end, 1)
      wait()]],
  }

  for place, code in pairs(places) do
    it("is possible in " .. place, function()
      local body = value([[
        local function wait()
          sleep(1)
          return (require("fs").readFile("there.txt"))
        end
        local function finish(text) res:finish(text) end
      ]] .. code, { method = "POST", body = "some" })
      assert.equal("contents", body:match("contents$"))
    end)
  end

  it("is possible in a close listener and an onFinish hook, after the answer", function()
    value([[
      res:on("close", function() sleep(2) shared.close = require("fs").readFile("there.txt") end)
      res:on("finish", function() sleep(2) shared.finish = require("fs").readFile("there.txt") end)
      res:onFinish(function() sleep(2) shared.onFinish = require("fs").readFile("there.txt") end)
      return "x"
    ]])
    helper.wait_for(function()
      return value([[return tostring(shared.close) .. tostring(shared.finish) .. tostring(shared.onFinish)]])
        == "contentscontentscontents"
    end, "the listeners to have waited")
  end)

  it("is possible in a close callback of a server, and in its listening listener", function()
    assert.equal("listening,closed", value([[
      local order, done = {}, require("luaserve.core").waiter()
      local other = require("http").createServer(function() end)
      other:listen(0, "127.0.0.1", function()
        sleep(1)
        order[1] = "listening"
        other:close(function()
          sleep(1)
          order[2] = "closed"
          done:wake()
        end)
      end)
      done:wait()
      return table.concat(order, ",")
    ]]))
  end)

  it("is possible in a listener of a signal", function()
    local other = helper.serve([[
      local http, timers = require "http", require "timers"
      local server = http.createServer(function() return "x" end)
      process.on("SIGUSR2", function() timers.sleep(1) print("slept") end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]])
    other:kill("USR2")
    other:wait_output("slept")
  end)

  it("is possible at the top level of the script", function()
    local other = helper.serve([[
      local timers, fs = require "timers", require "fs"
      local text = "before"
      setImmediate(function() text = text .. " immediate" end)
      timers.sleep(2)
      local ok, err = pcall(function() timers.sleep(1) error("caught", 0) end)
      text = text .. " " .. err .. " " .. fs.readFile("there.txt") .. " " .. tostring(ok)
      local server = require("http").createServer(function() return text end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]], { files = { ["there.txt"] = "contents" } })
    assert.equal("before immediate caught contents false", helper.get(other).body)
  end)

  it("is possible in the script of -e and of standard input", function()
    for _, opts in ipairs({ { args = { "-e", "require('timers').sleep(1) print('slept')" } },
      { args = { "-" }, stdin = "require('timers').sleep(1) print('slept')" } }) do
      local result = helper.run(nil, opts)
      assert.equal(0, result.code)
      assert.equal("slept\n", result.out)
    end
  end)
end)

describe("a wait passes through", function()
  it("pcall, also when the function fails after it", function()
    assert.equal("true contents false snippet:3: late", value([[
      local ok, data = pcall(require("fs").readFile, "there.txt")
      local failed, err = pcall(function() sleep(1)
        error("late") end)
      return tostring(ok) .. " " .. data .. " " .. tostring(failed) .. " " .. err
    ]]))
  end)

  it("xpcall, whose handler still sees where the error was raised", function()
    assert.equal("false handled snippet:4: late true", value([[
      local trace
      local ok, err = xpcall(function(a)
        sleep(a)
        error("late")
      end, function(e) trace = debug.traceback() return "handled " .. e end, 1)
      return tostring(ok) .. " " .. err .. " " .. tostring(trace:find("snippet:4", 1, true) ~= nil)
    ]]))
  end)

  it("pcalls twenty deep, of which one in the middle catches", function()
    assert.equal("caught at 10: deep", value([[
      local function descend(n)
        if n == 0 then sleep(1) error("deep", 0) end
        local ok, result = pcall(descend, n - 1)
        sleep(1)
        if ok then return result end
        if n == 10 then return "caught at 10: " .. result end
        error(result, 0)
      end
      return descend(20)
    ]]))
  end)

  local metamethods = {
    __index = [[return t.field]], __newindex = [[t.field = 1 return rawget(t, "got")]], __call = [[return t(1)]],
    __add = [[return t + 1]], __sub = [[return 1 - t]], __mul = [[return t * t]], __div = [[return t / 2]],
    __mod = [[return t % 2]], __pow = [[return t ^ 2]], __unm = [[return -t]], __concat = [[return "a" .. t]],
  }
  for name, code in pairs(metamethods) do
    it(name, function()
      assert.equal("contents", value(([[
        local t = setmetatable({}, { %s = function(self)
          sleep(1)
          local data = require("fs").readFile("there.txt")
          if type(self) == "table" then rawset(self, "got", data) end
          return data
        end })
        %s
      ]]):format(name, code)))
    end)
  end

  for name, code in pairs({ __eq = "a == b", __lt = "a < b", __le = "a <= b" }) do
    it(name, function()
      assert.equal("true true", value(([[
        local meta = { %s = function() sleep(1) return 1 end }
        local a, b = setmetatable({}, meta), setmetatable({}, meta)
        return tostring(%s) .. " " .. tostring(not not (%s))
      ]]):format(name, code, code)))
    end)
  end

  it_on_54("__len, __idiv, __band, __shl and __bnot (LuaJIT has none of them)", function()
    assert.equal("5", value([[
      local wait = function() sleep(1) return 1 end
      local t = setmetatable({}, { __len = wait, __idiv = wait, __band = wait, __shl = wait, __bnot = wait })
      return tostring(#t + t // 1 + (t & 1) + (t << 1) + ~t)
    ]]))
  end)

  it_on_54("a to-be-closed variable, in the order of closing (Lua 5.4 alone has them)", function()
    assert.equal("body b a", value([[
      local order = {}
      local function closing(name)
        return setmetatable({}, { __close = function() sleep(1) order[#order + 1] = name end })
      end
      do
        local a <close> = closing("a")
        local b <close> = closing("b")
        sleep(1)
        order[#order + 1] = "body"
      end
      return table.concat(order, " ")
    ]]))
  end)

  it_on_54("a to-be-closed variable of a handler that fails (Lua 5.4 alone has them)", function()
    assert.equal(500, ask([[
      local a <close> = setmetatable({}, { __close = function(_, err) shared.closed_by = err end })
      sleep(1)
      error("the reason", 0)
    ]]).status)
    assert.equal("the reason", value([[return shared.closed_by]]))
  end)

  it("an iterator of a generic for", function()
    assert.equal("1 2 3", value([[
      local function count(n, i)
        sleep(1)
        if i < n then return i + 1 end
      end
      local seen = {}
      for i in count, 3, 0 do
        sleep(1)
        seen[#seen + 1] = i
      end
      return table.concat(seen, " ")
    ]]))
  end)

  it_on_54("__pairs (LuaJIT ignores it)", function()
    assert.equal("a=1", value([[
      local t = setmetatable({}, { __pairs = function() sleep(1) return next, { a = 1 } end })
      local seen = {}
      for k, v in pairs(t) do sleep(1) seen[#seen + 1] = k .. "=" .. v end
      return table.concat(seen)
    ]]))
  end)

  it("a method found through three __index functions that each wait", function()
    assert.equal("method of inner", value([[
      local function layer(below)
        return setmetatable({}, { __index = function(_, key) sleep(1) return below[key] end })
      end
      local object = layer(layer(layer({ name = "inner", tell = function(self) return "method of " .. self.name end })))
      return object:tell()
    ]]))
  end)
end)

describe("where Lua cannot suspend", function()
  local places = {
    sort = [[table.sort({ 3, 2, 1 }, function(a, b) wait() return a < b end)]],
    gsub = [[string.gsub("abc", ".", function() wait() end)]],
    print = [[print(setmetatable({}, { __tostring = function() wait() return "x" end }))]],
    load = [[assert(load(function() wait() end))]],
  }
  if not lab.luajit then -- which suspends it
    places.tostring = [[tostring(setmetatable({}, { __tostring = function() wait() return "x" end }))]]
  end
  for name, code in pairs(places) do
    it("the error names " .. name .. ", the script's line, and what to do", function()
      local wanted = "snippet:2: cannot wait inside '" .. name
        .. "', which Lua cannot suspend: wait before it, or pass a callback as the last argument"
      local response = ask("local function wait()\n sleep(1) end " .. code)
      assert.equal(500, response.status)
      lab.wait_for_log(server, (wanted:gsub("%p", "%%%0")))
    end)
  end

  it("the error names what is in the way behind pcall and through coroutines", function()
    local wanted = "snippet:3: cannot wait inside 'sort', which Lua cannot suspend: wait before it, "
      .. "or pass a callback as the last argument"
    assert.equal(wanted, value([[
      local err
      local function wait() return sleep(1),
        nil end
      table.sort({ 3, 2, 1 }, function(a, b)
        coroutine.wrap(function()
          local ok
          ok, err = pcall(coroutine.wrap(function() xpcall(wait, function(e) err = e end) error(err, 0) end))
        end)()
        return a < b
      end)
      return err
    ]]):gsub("snippet:2", "snippet:3"))
  end)

  it("the callback form works, and so does a wait afterwards", function()
    assert.equal("1 2 3 contents contents", value([[
      local got
      local list = { 3, 2, 1 }
      table.sort(list, function(a, b)
        require("fs").readFile("there.txt", function(_, data) got = data end)
        return a < b
      end)
      local data = require("fs").readFile("there.txt")
      sleep(1)
      while not got do sleep(1) end
      return table.concat(list, " ") .. " " .. data .. " " .. got
    ]]))
  end)

  it("a caught error leaves everything as it was", function()
    assert.equal("6 true", value([[
      local failures = 0
      pcall(table.sort, { 3, 2, 1 }, function(a, b)
        if not pcall(sleep, 1) then failures = failures + 1 end
        return a < b
      end)
      local ok = pcall(sleep, 1)
      ;("abc"):gsub(".", function() if not pcall(sleep, 1) then failures = failures + 1 end end)
      return (failures >= 5 and 6 or failures) .. " " .. tostring(ok)
    ]]))
  end)

  it("listeners are no obstacle: they run in coroutines of their own", function()
    assert.equal("emitted waited", value([[
      local order, emitter = {}, require("events").EventEmitter.new()
      emitter:on("x", function() sleep(1) order[2] = "waited" end)
      table.sort({ 2, 1 }, function(a, b)
        emitter:emit("x")
        order[1] = "emitted"
        return a < b
      end)
      sleep(5)
      return table.concat(order, " ")
    ]]))
  end)

  it("a listener that waits there still suspends a coroutine of its own within it", function()
    assert.equal("1 2", value([[
      local seen, emitter = {}, require("events").EventEmitter.new()
      emitter:on("x", function()
        for i in coroutine.wrap(function() sleep(1) coroutine.yield(1) sleep(1) coroutine.yield(2) end) do
          seen[#seen + 1] = i
        end
        shared.done:wake()
      end)
      shared.done = require("luaserve.core").waiter()
      local once = true
      ;("a"):gsub(".", function() emitter:emit("x") end)
      shared.done:wait()
      return table.concat(seen, " ")
    ]]))
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
  end)
end)
