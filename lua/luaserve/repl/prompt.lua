--- What `luaserve repl` and `luaserve attach` have in common: lines are read, from a terminal with an editor or
--- from a pipe as they are, given away to be run, and what comes back is printed.
--
-- A backend has is_complete(text) -> whether Enter ends it, complete(text) -> from,
-- names, and run(text) -> ok, text, which waits; interrupt() is called when Ctrl-C is pressed meanwhile. Where there
-- is nobody any more to run lines it has closed() -> exit code, which says so.
local core = require "luaserve.core"
local native = require "luaserve.core.process"
local process = require "process"
local terminal = require "luaserve.core.terminal"

local M = {}

local PROMPT, CONTINUED = "> ", ">> "

local function say(stream, text)
  if text then stream:write(text, "\n") end
  stream:flush()
end

-- ---- a terminal

--- Has what is printed and logged appear above the line that is being edited.
local function share_screen(editor)
  local function around(fn, is_whole)
    return function(...)
      editor:hide()
      local returned = fn(...)
      local last = select("#", ...) > 0 and select(-1, ...) or "\n"
      editor:show(not is_whole and tostring(last):sub(-1) ~= "\n")
      return returned
    end
  end
  local methods = getmetatable(io.stdout).__index
  local write, shown = methods.write, around(methods.write)
  rawset(methods, "write", function(file, ...)
    if file == io.stdout or file == io.stderr then return shown(file, ...) end
    return write(file, ...)
  end)
  rawset(_G, "print", around(print, true))
  rawset(io, "write", around(io.write))
  core.log = around(core.log, true)
end

local function watch_signals(editor, state, backend)
  terminal.interrupts()
  process.on("SIGINT", function()
    terminal.heard()
    if state.running then
      io.stdout:write("\n") -- behind the ^C of the terminal
      backend.interrupt()
    elseif editor.active then
      terminal.push("\3")
    end
  end)
  process.on("SIGWINCH", function()
    if editor.active then terminal.push(require("luaserve.repl.keys").RESIZE) end
  end)
end

local function run_on_terminal(backend, history_name)
  local history = require("luaserve.repl.history").open(history_name)
  local state = { running = false }
  local editor = require("luaserve.repl.editor").new {
    history = history, continued = CONTINUED, complete = backend.complete, is_complete = backend.is_complete,
  }
  share_screen(editor)
  watch_signals(editor, state, backend)
  while true do
    local text = editor:read(PROMPT)
    if backend.closed then return backend.closed() end
    if not text then return 0 end
    if text:find("%S") then
      history:add(text)
      state.running = true
      local _, result = backend.run(text)
      state.running = false
      if result then say(io.stdout, result) end
    end
    if backend.closed then return backend.closed() end
  end
end

-- ---- a pipe

local function lines_of_input()
  local pending, ended = "", false
  return function()
    while true do
      local at = pending:find("\n", 1, true)
      if at or ended then
        if not at and pending == "" then return nil end
        local line = pending:sub(1, (at or #pending + 1) - 1)
        pending = pending:sub((at or #pending) + 1)
        return line
      end
      local more = terminal.read()
      if more then pending = pending .. more else ended = true end
    end
  end
end

--- Where a person types whose terminal cannot edit lines: says that there may be more.
local function invite(is_typed, text)
  if not is_typed then return end
  io.stdout:write(text and CONTINUED or PROMPT)
  io.stdout:flush()
end

--- Runs the lines of the input, up to the first error; those that are typed all.
---@return integer code
local function run_lines(backend, is_typed)
  local text = nil
  invite(is_typed)
  for line in lines_of_input() do
    if backend.closed then return backend.closed() end
    text = text and text .. "\n" .. line or line
    if not text:find("%S") then
      text = nil
    elseif backend.is_complete(text) then
      local ok, result = backend.run(text)
      if backend.closed then return backend.closed() end
      say(ok and io.stdout or io.stderr, result)
      if not ok and not is_typed then return 1 end
      text = nil
    end
    invite(is_typed, text)
  end
  if not text then return 0 end
  local _, result = backend.run(text) -- says what is missing
  if backend.closed then return backend.closed() end
  say(io.stderr, result)
  return 1
end

--- Whether there is a terminal on which lines can be edited.
local function can_edit()
  local term = process.env.TERM
  return native.isTerminal(0) and native.isTerminal(1) and term ~= nil and term ~= "dumb"
end

--- Reads and runs lines until the end of the input.
---@param backend table
---@param options {history: string, welcome: string}
---@return integer code the exit code
function M.run(backend, options)
  local is_typed = native.isTerminal(0)
  if is_typed then say(io.stdout, options.welcome) end
  if not can_edit() then return run_lines(backend, is_typed) end
  return run_on_terminal(backend, options.history)
end

return M
