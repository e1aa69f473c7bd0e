--- How busted reports to spec/run: a line for each test, in the form that the C
-- tests have, and at the end a file: "PASSED FAILED SKIPPED" and the names of what
-- failed. A run that dies on its way leaves no such file.
--
-- busted -o spec/report.lua -Xoutput FILE
local pretty = require("pl.pretty")

local write, flush = io.write, io.flush -- as they were before any spec ran

local SLOW = 2 -- seconds after which a test's line says how long it took

local function indent(text)
  return "    " .. tostring(text):gsub("%s+$", ""):gsub("\n", "\n    ")
end

local function where(element)
  local trace = element.trace
  return trace and trace.short_src and (" (%s:%d)"):format(trace.short_src, trace.currentline) or ""
end

local function took(element)
  local seconds = element.duration or 0
  return seconds >= SLOW and (" [%.1f s]"):format(seconds) or ""
end

return function(options)
  local busted = require("busted")
  local handler = require("busted.outputHandlers.base")()
  local passed, skipped = 0, 0
  local failed = {} -- names

  local function say(...)
    write(...)
    write("\n")
    flush()
  end

  local function say_failure(report)
    local element, message = report.element, report.message
    if type(message) ~= "string" then
      message = message == nil and "nil" or pretty.write(message)
    end
    table.insert(failed, (report.name:gsub("%s+", " ")))
    say("not ok ", report.name, where(element), took(element), ":\n", indent(message))
    if report.isError and report.trace and report.trace.traceback then
      say(indent(report.trace.traceback:gsub("^\n", "")))
    end
  end

  local function on_test_end(element, _, status)
    if status == "success" then
      passed = passed + 1
      say("ok ", handler.getFullName(element), took(element))
    elseif status == "pending" then
      local pending = handler.pendings[#handler.pendings]
      skipped = skipped + 1
      say("skipped ", pending.name, pending.message and ": " .. pending.message or "")
    elseif status == "failure" then
      say_failure(handler.failures[#handler.failures])
    else
      say_failure(handler.errors[#handler.errors])
    end
    return nil, true
  end

  -- Outside of a test: a file that does not load, a setup that raises.
  local function on_error(element)
    if element.descriptor ~= "it" then
      say_failure(handler.errors[#handler.errors])
    end
    return nil, true
  end

  local function on_exit()
    local file = assert(io.open(options.arguments[1], "w"))
    file:write(("%d %d %d\n"):format(passed, #failed, skipped))
    for _, name in ipairs(failed) do
      file:write(name, "\n")
    end
    file:close()
    return nil, true
  end

  busted.subscribe({ "test", "end" }, on_test_end)
  busted.subscribe({ "error" }, on_error)
  busted.subscribe({ "failure" }, on_error)
  busted.subscribe({ "suite", "end" }, on_exit)
  return handler
end
