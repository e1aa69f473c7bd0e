--- `luaserve top [--once] [--interval S] PIDFILE`: what the workers of a running server do, live.
local board = require "luaserve.control.board"
local core = require "luaserve.core"
local link = require "luaserve.control.link"
local native = require "luaserve.core.process"
local process = require "process"
local rates = require "luaserve.control.rates"
local terminal = require "luaserve.core.terminal"
local timers = require "timers"

local M = {}

local FASTEST, SLOWEST = 0.1, 3600 -- seconds between reports
local SILENT = 3 -- seconds without a report that are told

local USAGE = [==[
usage: luaserve top [--once] [--interval S] PIDFILE

What the workers of the server that was started with --pid-file PIDFILE do,
anew each second, or every S; q ends it. REQ/S, P50, P99, CPU and LAG are of
the time since the last look: how long half of the requests took at most, and
all but one in a hundred (as near as the buckets of /metrics are); the share
of a CPU; how late the loop was at the worst. Where the output is no terminal
the rows are printed line by line; --once prints one table and ends.
]==]

--- Asks for a report; nil where the server has gone.
local function ask(state)
  local waiter = core.waiter()
  state.waiter = waiter
  if state.gone or not state.link.send { t = "top" } then return nil end
  local report = waiter:wait()
  state.waiter = nil
  if not report then return nil end
  report.at = native.nanoseconds() / 1e9
  return report
end

--- Adds rows to a report, compared with the last.
local function compared(report, last)
  report.rows = rates.rows(report.processes, last and last.processes, last and report.at - last.at or 0)
  report.total = #report.rows > 1 and rates.total(report.rows) or nil
  return report
end

local function table_of(report, columns, rows)
  local lines = { board.heading(report, columns), "" }
  for _, line in ipairs(board.lines(report.rows, report.total, columns, rows and rows - 2)) do
    lines[#lines + 1] = line
  end
  return lines
end

-- ---- ways to show it

local function once(state, wait)
  local first = ask(state)
  if not first then return end
  wait()
  local second = not state.stopped and ask(state)
  if second then print(table.concat(table_of(compared(second, first), terminal.size()), "\n")) end
end

--- Lines that can be kept in a file.
local function plainly(state, wait)
  local last, printed = ask(state), 0
  while last do
    wait()
    local report = not state.stopped and ask(state)
    if not report then return end
    local lines = board.lines(compared(report, last).rows, report.total, 200)
    for i, line in ipairs(lines) do
      local time = i == 1 and "TIME    " or os.date("%H:%M:%S")
      if i > 1 or printed % 20 == 0 then print(time .. " " .. line) end
    end
    last, printed = report, printed + 1
  end
end

local function draw(state, report)
  local columns, rows = terminal.size()
  local lines = table_of(report, columns - 1, rows)
  local silent = native.nanoseconds() / 1e9 - report.at
  lines[2] = silent > SILENT and ("no answer for %s"):format(board.age(silent)) or ""
  for i, line in ipairs(lines) do lines[i] = line:sub(1, columns - 1) .. "\27[K" end
  local from = #lines > rows and rows or #lines
  io.stdout:write("\27[H", table.concat(lines, "\r\n", 1, from), "\27[J")
  io.stdout:flush()
  state.shown = report
end

local function leave()
  io.stdout:write("\27[?25h\27[?1049l") -- the cursor, and what was there before
  io.stdout:flush()
  terminal.raw(false)
end

local function read_keys(state)
  while not state.stopped do
    local key = terminal.read()
    if not key or key:find("[qQ\3\4]") then return state.stop() end
    if state.shown then draw(state, state.shown) end
  end
end

local function live(state, wait)
  terminal.raw(true)
  io.stdout:write("\27[?1049h\27[?25l")
  process.on("exit", leave)
  process.on("SIGWINCH", function() return state.shown and draw(state, state.shown) end)
  core.spawn(nil, read_keys, state)
  local timer = timers.setInterval(function()
    local report = state.shown
    if report and native.nanoseconds() / 1e9 - report.at > SILENT then draw(state, report) end
  end, 1000)
  local last = ask(state)
  if last then draw(state, compared(last)) end
  while last and not state.stopped do
    wait(last.rows[1] and last.rows[1].rate == nil and 0.5 or nil) -- the first rates come soon
    local report = not state.stopped and ask(state)
    if not report then break end
    draw(state, compared(report, last))
    last = report
  end
  timers.clearInterval(timer)
  process.off("exit", leave)
  leave()
end

-- ---- the command

--- wait([part]): the time between two reports, or that part of it; ends early where there is to be no other.
local function waiter_of(state, interval)
  return function(part)
    local waiter = core.waiter()
    state.pause = waiter
    local timer = timers.setTimeout(function() waiter:wake() end, interval * (part or 1) * 1000)
    if not state.stopped and not state.gone then waiter:wait() end
    timers.clearTimeout(timer)
    state.pause = nil
  end
end

local function wake(state)
  if state.pause then state.pause:wake() end
  if state.waiter then state.waiter:wake() end
end

local function on_message(state)
  return function(head, text)
    if head and head.t == "top" then return state.waiter and state.waiter:wake(head) end
    state.gone = state.gone or text or "the server has ended"
    wake(state)
  end
end

local function interval_of(options)
  local interval = options.interval or 1
  if interval < FASTEST or interval > SLOWEST then
    core.giveUp(("--interval is between %g and %d seconds"):format(FASTEST, SLOWEST), 2)
  end
  return interval
end

--- Runs the command.
---@param arguments string[]
---@return integer code
function M.run(arguments)
  local path, options = link.arguments("top", arguments, { once = "flag", interval = "number" })
  if not path then
    io.write(USAGE)
    return 0
  end
  local state = {}
  function state.stop()
    state.stopped = true
    wake(state)
  end
  local wait = waiter_of(state, interval_of(options))
  state.link = link.open(path, on_message(state))
  process.on("SIGINT", state.stop)
  local shows = options.once and once or native.isTerminal(0) and native.isTerminal(1) and live or plainly
  shows(state, wait)
  state.link.close()
  if state.stopped or not state.gone then return 0 end
  core.giveUp(state.gone, 1)
end

return M
