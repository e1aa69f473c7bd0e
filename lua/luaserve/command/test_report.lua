--- What `luaserve test` prints: a line for each test as it ends, then each failure with its place, and
--- a sum. In colour where standard output is a terminal and NO_COLOR is not set.
local process = require "process"

local M = {}

local SLOW = 0.5 -- seconds: from then on a test's time is told
local MAX_LINES = 8 -- of a traceback

local CODES = { red = "31", green = "32", yellow = "33", dim = "2", bold = "1" }

local function painter()
  local is_on = process.stdout.isTTY and (process.env.NO_COLOR or "") == "" and process.env.TERM ~= "dumb"
  return function(colour, text)
    return is_on and ("\27[%sm%s\27[0m"):format(CODES[colour], text) or text
  end
end

local function indent(text, by)
  return (text:gsub("[^\n]+", by .. "%0"))
end

--- A message without the place in front of it, where that is the same as the failure's.
local function strip_place(message, place)
  message = message:gsub("^%./", "")
  if place and message:sub(1, #place + 2) == place .. ": " then return message:sub(#place + 3) end
  return message
end

local function new_state()
  return { passed = 0, failed = 0, pending = 0, failures = {}, started = process.hrtime.bigint(), paint = painter(),
    headings = {} }
end

-- ---- lines

--- Prints the names of the file and of the describes around a test, where they are not those of the last one.
local function print_headings(state, names)
  local same = true
  for depth, name in ipairs(names) do
    same = same and state.headings[depth] == name
    if not same then print(("  "):rep(depth - 1) .. (depth == 1 and state.paint("bold", name) or name)) end
  end
  state.headings = names
end

local function names_around(busted, element)
  local names = {}
  while element and element.descriptor ~= "suite" do
    table.insert(names, 1, tostring(element.name or element.descriptor))
    element = busted.context.parent(element)
  end
  return names
end

local MARKS = { success = { "green", "+" }, pending = { "yellow", "-" } }

local function print_test(state, busted, element, parent, status)
  local names, mark = names_around(busted, parent), MARKS[status] or { "red", "x" }
  print_headings(state, names)
  local note = ""
  if status == "pending" then note = state.paint("dim", " (pending)") end
  if (element.duration or 0) >= SLOW then note = note .. state.paint("dim", (" (%.1f s)"):format(element.duration)) end
  print(("  "):rep(#names) .. state.paint(mark[1], mark[2]) .. " " .. element.name .. note)
end

-- ---- failures

local function print_failure(state, failure)
  print("")
  print(state.paint("red", "FAILED ") .. state.paint("bold", failure.name))
  if failure.place then print("  " .. failure.place) end
  print(indent(strip_place(failure.message, failure.place), "    "))
  for i = 2, math.min(#failure.lines, MAX_LINES) do print(state.paint("dim", "  " .. failure.lines[i])) end
end

local function keep(state, name, message, about)
  table.insert(state.failures, { name = name, message = message, place = about.place, lines = about.lines or {} })
end

-- What failed, in words.
local AROUND = { before_each = "before each test", after_each = "after each test", strict_setup = "setup",
  strict_teardown = "teardown", lazy_setup = "setup", lazy_teardown = "teardown", finally = "finally",
  file = "the file cannot be run" }

local function name_of(busted, full_name, element, parent, failure)
  local file = names_around(busted, element)[1] or "?"
  local where = failure.around and AROUND[failure.around] or nil
  if element.descriptor == "file" then return ("%s: %s"):format(element.name, AROUND.file) end
  local name = full_name(busted, parent, element.descriptor == "it" and element.name or nil)
  return ("%s: %s%s"):format(file, name, where and (name == "" and "" or ", ") .. where or "")
end

-- ---- the report

--- A report: subscribe(busted, full_name), broken(file, message), finish(filter) -> the exit code.
---@return table
function M.new()
  local state, report = new_state(), {}

  function report.broken(file, message)
    local place, text = message:gsub("^%./", ""):match("^(.-:%d+): (.*)$")
    keep(state, file .. ": the file does not compile", text or message, { place = place })
  end

  function report.subscribe(busted, full_name)
    busted.subscribe({ "test", "end" }, function(element, parent, status)
      print_test(state, busted, element, parent, status)
      if status == "success" then state.passed = state.passed + 1 end
      if status == "pending" then state.pending = state.pending + 1 end
      return nil, true
    end)
    local function on_failure(element, parent, message, failure)
      keep(state, name_of(busted, full_name, element, parent, failure), message, failure)
      return nil, true
    end
    busted.subscribe({ "failure" }, on_failure)
    busted.subscribe({ "error" }, on_failure)
  end

  function report.finish(filter)
    for _, failure in ipairs(state.failures) do print_failure(state, failure) end
    local failed, seconds = #state.failures, (process.hrtime.bigint() - state.started) / 1e9
    if state.headings[1] or failed > 0 then print("") end
    if failed + state.passed + state.pending == 0 then
      print(filter and ("No test has a name with '%s' in it."):format(filter) or "There are no tests in these files.")
      return 1
    end
    local pending = state.pending > 0 and (", %d pending"):format(state.pending) or ""
    print(("%s, %s%s, in %.1f s"):format(state.paint("green", state.passed .. " passed"),
      state.paint(failed > 0 and "red" or "dim", failed .. " failed"), pending, seconds))
    return failed > 0 and 1 or 0
  end

  return report
end

return M
