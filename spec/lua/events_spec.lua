-- EventEmitter, by Node's rules.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local server, before

local function value(code, request) return lab.value(server, code, request) end

-- Code that has emitter, log(...) and answers with what was logged.
local function logged(code)
  return value([[
    local events = require "events"
    local emitter, lines = events.EventEmitter.new(), {}
    local function log(...)
      local parts = {}
      for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
      lines[#lines + 1] = table.concat(parts, " ")
    end
    local function logger(name) return function(...) log(name, ...) end end
  ]] .. code .. [[
    return table.concat(lines, "|")
  ]])
end

setup(function()
  server = lab.serve()
  before = lab.counts(server)
end)

describe("an emitter", function()
  it("calls listeners in the order of adding, with all arguments", function()
    assert.equal("a 1 nil false nil|b 1 nil false nil|true|false", logged([[
      emitter:on("x", logger "a"):addListener("x", logger "b")
      log(emitter:emit("x", 1, nil, false, nil))
      log(emitter:emit("y"))
    ]]))
  end)

  it("is made by EventEmitter.new, by calling it, and by inheriting", function()
    assert.equal("new|called|inherited|own|inherited method", logged([[
      local function try(e, name) e:on("x", logger(name)) e:emit("x") end
      try(events.EventEmitter.new(), "new")
      try(events.EventEmitter(), "called")
      local Class = events.inherit({ own = function() return "own" end })
      Class.__index = Class
      local object = setmetatable({}, Class)
      try(object, "inherited")
      log(object:own())
      function Class:twice(event) self:emit(event) end
      object:on("y", logger "inherited method")
      object:twice("y")
    ]]))
  end)

  it("keeps instances of a class apart", function()
    assert.equal("one|0 1", logged([[
      local Class = events.inherit({})
      Class.__index = Class
      local one, two = setmetatable({}, Class), setmetatable({}, Class)
      one:on("x", logger "one")
      one:emit("x")
      two:emit("x")
      log(two:listenerCount("x"), one:listenerCount("x"))
    ]]))
  end)

  it("calls a listener of once for one emit alone, also where it emits itself", function()
    assert.equal("once 1|on 1|on 2|inner|0", logged([[
      emitter:once("x", logger "once")
      emitter:on("x", logger "on")
      emitter:emit("x", 1)
      emitter:emit("x", 2)
      emitter:once("y", function() log "inner" emitter:emit("y") end)
      emitter:emit("y")
      log(emitter:listenerCount("y"))
    ]]))
  end)

  it("puts prepended listeners in front", function()
    assert.equal("c|b|a|c|a", logged([[
      emitter:on("x", logger "a")
      emitter:prependOnceListener("x", logger "b")
      emitter:prependListener("x", logger "c")
      emitter:emit("x")
      emitter:emit("x")
    ]]))
  end)

  it("takes away the last of equal listeners, and none where there is none", function()
    assert.equal("2|1|0|0", logged([[
      local function f() end
      emitter:on("x", f):on("x", f)
      log(emitter:listenerCount("x"))
      emitter:off("x", f)
      log(emitter:listenerCount("x"))
      emitter:removeListener("x", f):off("x", f):off("y", f)
      log(emitter:listenerCount("x"))
      emitter:once("x", f):off("x", f)
      log(emitter:listenerCount("x"))
    ]]))
  end)

  it("takes all listeners away, of one event or of all", function()
    assert.equal("0 1|0 0", logged([[
      emitter:on("x", print):on("y", print)
      emitter:removeAllListeners("x")
      log(emitter:listenerCount("x"), emitter:listenerCount("y"))
      emitter:on("x", print):removeAllListeners()
      log(emitter:listenerCount("x"), emitter:listenerCount("y"))
    ]]))
  end)

  it("calls in an emit those that were there when it began", function()
    assert.equal("a|b|c||b|c|added", logged([[
      local function b() log "b" end
      local function a()
        log "a"
        emitter:off("x", a)
        emitter:on("x", logger "added")
      end
      emitter:on("x", a):on("x", b):on("x", logger "c")
      emitter:emit("x")
      log ""
      emitter:emit("x")
    ]]))
  end)

  it("tells of listeners and events", function()
    assert.equal("2|true|x y|false true", logged([[
      local function f() end
      emitter:on("x", print):on("x", f):once("y", f)
      log(#emitter:listeners("x"))
      log(emitter:listeners("x")[2] == f and emitter:listeners("y")[1] == f)
      local names = emitter:eventNames()
      table.sort(names)
      log(table.concat(names, " "))
      log(emitter:emit("nothing"), #emitter:listeners("nothing") == 0)
    ]]))
  end)

  it("takes any value but nil as the name of an event", function()
    assert.equal("number|table|boolean|empty", logged([[
      local key = {}
      emitter:on(1, logger "number"):on(key, logger "table"):on(false, logger "boolean"):on("", logger "empty")
      emitter:emit(1)
      emitter:emit(key)
      emitter:emit(false)
      emitter:emit("")
      emitter:emit({})
    ]]))
  end)

  it("tells newListener before and removeListener after", function()
    assert.equal("new x 0|new y 0|gone x 0|gone y 0", logged([[
      emitter:on("newListener", function(event) log("new", event, emitter:listenerCount(event)) end)
      emitter:on("x", print)
      emitter:once("y", function() end)
      emitter:on("removeListener", function(event, fn)
        log("gone", event, emitter:listenerCount(event))
      end)
      lines = { lines[1], lines[2] }
      emitter:off("x", print)
      emitter:emit("y")
    ]]):gsub("new removeListener %d|", ""))
  end)

  it("refuses what is no listener, at the line of the script", function()
    for _, method in ipairs({ "on", "once", "addListener", "prependListener", "prependOnceListener" }) do
      local text = value(([[
        local emitter = require("events").EventEmitter.new()
        local ok, err = pcall(function()
          emitter:%s("x", "y") end)
        return err
      ]]):format(method))
      assert.equal("snippet:3: the listener of 'x' must be a function", text)
    end
    assert.equal("snippet:1: the name of an event is expected", value([[
      local ok, err = pcall(function() require("events").EventEmitter.new():on(nil, print) end)
      return err
    ]]))
  end)

  it("warns once of what looks like a leak, unless it was told not to", function()
    value([[
      local events = require "events"
      local emitter = events.EventEmitter.new()
      for _ = 1, 20 do emitter:on("leaking", function() end) end
      local quiet = events.EventEmitter.new():setMaxListeners(0)
      for _ = 1, 20 do quiet:on("quiet", function() end) end
      local more = events.EventEmitter.new():setMaxListeners(20)
      for _ = 1, 20 do more:on("more", function() end) end
      return ""
    ]])
    lab.wait_for_log(server, "warn: possible leak: 11 listeners of 'leaking'")
    local log = server:stderr()
    assert.equal(1, select(2, log:gsub("possible leak", "")))
  end)
end)

describe("an error event", function()
  it("that nobody listens to is raised to the caller of emit", function()
    assert.equal("false snippet:4: boom|false table|false snippet:6: unhandled error event", value([[
      local emitter = require("events").EventEmitter.new()
      local lines = {}
      local function try(fn) local ok, err = pcall(fn) lines[#lines + 1] = tostring(ok) .. " " .. (type(err) == "table" and "table" or err) end
      try(function() emitter:emit("error", "boom") end)
      try(function() emitter:emit("error", { message = "x" }) end)
      try(function() emitter:emit("error") end)
      return table.concat(lines, "|")
    ]]))
  end)

  it("that somebody listens to is an event like any other", function()
    assert.equal("heard boom|true", logged([[
      emitter:on("error", logger "heard")
      log(emitter:emit("error", "boom"))
    ]]))
  end)

  it("with an error value of ours keeps its status", function()
    assert.equal(404, lab.ask(server, [[
      local err = require("luaserve").new_error(404, "no such thing")
      require("events").EventEmitter.new():emit("error", err)
    ]]).status)
  end)
end)

describe("listeners", function()
  it("each run in a coroutine of their own: one that waits holds up no other", function()
    assert.equal("a begins|b|emitted|a ends", logged([[
      emitter:on("x", function() log "a begins" sleep(1) log "a ends" end)
      emitter:on("x", logger "b")
      emitter:emit("x")
      log "emitted"
      sleep(10)
    ]]))
  end)

  it("stop with the first that raises, which the caller of emit gets", function()
    assert.equal("a|false snippet failed|c", logged([[
      emitter:on("x", logger "a")
      emitter:on("x", function() error("snippet failed", 0) end)
      emitter:on("x", logger "b")
      log(pcall(emitter.emit, emitter, "x"))
      emitter:on("y", logger "c")
      emitter:emit("y")
    ]]))
  end)

  it("may emit within each other fifteen deep", function()
    assert.equal("15", logged([[
      local depth = 0
      emitter:on("x", function()
        depth = depth + 1
        if depth < 15 then emitter:emit("x") end
      end)
      emitter:emit("x")
      log(depth)
    ]]))
  end)
end)

describe("events.once", function()
  it("waits for an event and returns its arguments", function()
    assert.equal("1 nil 3|0 0", logged([[
      setTimeout(function() emitter:emit("x", 1, nil, 3) end, 2)
      log(events.once(emitter, "x"))
      log(emitter:listenerCount("x"), emitter:listenerCount("error"))
    ]]))
  end)

  it("returns nil and the error of an error event meanwhile", function()
    assert.equal("nil boom|0 0", logged([[
      setTimeout(function() emitter:emit("error", "boom") end, 2)
      log(events.once(emitter, "x"))
      log(emitter:listenerCount("x"), emitter:listenerCount("error"))
    ]]))
  end)

  it("waits for an error event as for any other", function()
    assert.equal("boom", logged([[
      setTimeout(function() emitter:emit("error", "boom") end, 2)
      log(events.once(emitter, "error"))
    ]]))
  end)

  it("is taken where it was emitted at once", function()
    assert.equal("now", logged([[
      setImmediate(function() emitter:emit("x", "now") end)
      log(events.once(emitter, "x"))
    ]]))
  end)
end)

describe("in the end", function()
  it("nothing of all that is left behind", function()
    lab.wait_for_counts(server, before)
    assert.truthy(helper)
  end)
end)
