--- `luaserve repl [app.lua [arguments]]`: a prompt in a process of its own, with the app loaded, whose timers and
--- servers go on while it waits.
local core = require "luaserve.core"
local prompt = require "luaserve.repl.prompt"
local session = require "luaserve.repl.session"

local M = {}

local USAGE = [==[
usage: luaserve [options] repl [app.lua [arguments]]

A prompt with everything that scripts have. With a script, which is run first:
app is what it returned (or the server on which it listens), client a test
client of that: client:get("/"). Tab completes names, the arrows walk
through the lines of before, Ctrl-R looks for one, Ctrl-C ends what runs,
Ctrl-D the prompt. Where the input is no terminal its lines are run up to the
first error (exit code 1).
]==]

local function welcome(arguments, names)
  local what = ""
  if arguments[1] then
    what = ", " .. arguments[1]
    if names.client then what = what .. " (app, client)" elseif names.app ~= nil then what = what .. " (app)" end
  end
  local engine = jit and "LuaJIT" or _VERSION
  return ("luaserve %s, %s%s; Tab completes, Ctrl-D ends"):format(core.version, engine, what)
end

--- The prompt's side of the session.
local function backend_of(own)
  local backend, current = {}, nil

  function backend.is_complete(text)
    local fn, _, incomplete = own:compile(text)
    return fn ~= nil or not incomplete
  end

  function backend.complete(text) return own:complete(text) end

  function backend.run(text)
    local fn, message = own:compile(text)
    if not fn then return false, "error: " .. message end
    local waiter = core.waiter()
    current = waiter
    own:run(fn, function(ok, result)
      if current == waiter then waiter:wake { ok, result } end
    end)
    local ended = waiter:wait()
    current = nil
    return ended[1], ended[2]
  end

  --- The line waits for something: it is left alone with that.
  function backend.interrupt()
    local waiter = current
    current = nil
    if waiter then waiter:wake { false, "interrupted: the line was waiting, and goes on without the prompt" } end
  end

  return backend
end

--- Runs the command.
---@param arguments string[]
---@return integer code
function M.run(arguments)
  local first = arguments[1]
  if first == "-h" or first == "--help" then
    io.write(USAGE)
    return 0
  elseif first and first:find("^%-.") then
    core.giveUp("repl has no option '" .. first .. "': luaserve repl [app.lua [arguments]]", 2)
  end
  local returned = first and core.runScript((table.unpack or unpack)(arguments))
  local names = require("luaserve.repl.names").find(returned)
  return prompt.run(backend_of(session.new(names)), { history = "repl_history", welcome = welcome(arguments, names) })
end

return M
