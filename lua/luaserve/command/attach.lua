--- `luaserve attach [--worker N] PIDFILE`: a prompt inside a running worker, over the control socket.
local core = require "luaserve.core"
local link = require "luaserve.control.link"
local prompt = require "luaserve.repl.prompt"
local session = require "luaserve.repl.session"
local terminal = require "luaserve.core.terminal"
local timers = require "timers"

local M = {}

local PATIENCE = 10000 -- milliseconds until the server's first word

local USAGE = [==[
usage: luaserve attach [--worker N] PIDFILE

A prompt inside the running server that was started with --pid-file PIDFILE,
for its own user and root. With workers it is that of the worker N, the first
where none is named; 0 is the primary. app is the app of the script, client a
test client of it. A line has half a second of CPU time for each run and may
wait as long as it likes; what it prints and returns comes back here. Tab, the
arrows, Ctrl-R, Ctrl-C and Ctrl-D are those of luaserve repl. Where the input
is no terminal its lines are run up to the first error (exit code 1).
]==]

--- Sends a question and waits for the message with its number.
local function asker(state)
  local last = 0
  return function(head, text)
    if state.gone then return nil end
    last = last + 1
    head.seq = last
    local waiter = core.waiter()
    state.waiting[last] = waiter
    state.link.send(head, text)
    local answer = waiter:wait()
    state.waiting[last] = nil
    return answer
  end
end

local function on_message(state)
  return function(head, text)
    if head == nil or head.t == "refused" then return state.give_up(text) end
    if head.t == "output" then return print(text) end
    if head.t == "hello" then
      state.waiting.hello:wake(head)
    elseif state.waiting[head.seq] then
      head.text = text
      state.waiting[head.seq]:wake(head)
    end
  end
end

local function backend_of(backend, state)
  local ask, known = asker(state), session.new({})

  function backend.is_complete(text)
    local fn, _, incomplete = known:compile(text)
    return fn ~= nil or not incomplete
  end

  function backend.complete(text)
    local answer = ask({ t = "complete" }, text)
    if answer then return answer.from, answer.names end
  end

  function backend.run(text)
    local answer = ask({ t = "run" }, text)
    if not answer then return false, nil end
    return answer.ok, answer.has and answer.text or nil
  end

  function backend.interrupt() state.link.send { t = "interrupt" } end
end

local function place(hello)
  if hello.worker == 0 then return "process " .. hello.pid end
  return ("worker %d, process %d"):format(hello.worker, hello.pid)
end

--- Says what we have come for; nil where nobody answers.
local function greet(state, worker)
  local waiter = core.waiter()
  state.waiting.hello = waiter
  state.link.send { t = "attach", worker = worker }
  local timer = timers.setTimeout(function()
    state.give_up "it does not answer: it is busy with something that does not wait"
  end, PATIENCE)
  state.hello = waiter:wait()
  timers.clearTimeout(timer)
  state.waiting.hello = nil
  return state.hello
end

--- Runs the command.
---@param arguments string[]
---@return integer code
function M.run(arguments)
  local path, options = link.arguments("attach", arguments, { worker = "number" })
  if not path then
    io.write(USAGE)
    return 0
  end
  local backend, state = {}, { waiting = {} }
  function state.give_up(text)
    state.gone = state.gone or text or true
    function backend.closed()
      io.stderr:write("luaserve: ", state.farewell(), "\n")
      return 1
    end
    for _, waiter in pairs(state.waiting) do waiter:wake() end
    terminal.push(require("luaserve.repl.keys").CLOSED)
  end

  function state.farewell()
    if type(state.gone) == "string" then return state.gone end
    return state.hello and "the server has ended (" .. place(state.hello) .. "), or has begun anew: attach again"
      or "the server has closed the connection"
  end
  state.link = link.open(path, on_message(state))
  backend_of(backend, state)
  local hello = greet(state, options.worker)
  if not hello then return backend.closed() end
  local names = hello.client and " (app, client)" or hello.app and " (app)" or ""
  local code = prompt.run(backend, { history = "attach_history",
    welcome = ("attached to %s%s: luaserve %s, %s; Tab completes, Ctrl-D leaves"):format(place(hello), names,
      hello.version, hello.engine) })
  state.link.close()
  return backend.closed and state.gone and 1 or code
end

return M
