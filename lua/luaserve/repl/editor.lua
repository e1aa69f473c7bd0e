--- A line editor, in the keys of Emacs as shells have them: history, search in it, completion, several rows, pasted
--- lines. It is our own because it shares the loop with the app (each key is a wait like any other), asks a worker
--- for completions, and brings no library with a licence of its own.
local keys = require "luaserve.repl.keys"
local screen = require "luaserve.repl.screen"
local terminal = require "luaserve.core.terminal"

local M = {}

local SHOWN_MAX = 200 -- names that are listed
local TEXT_MAX = 1024 * 1024 -- bytes of a text

---@class repl.Editor
local Editor = {}
Editor.__index = Editor

--- An editor on the terminal. complete(text) -> from, names; is_complete(text) tells whether Enter ends the text.
---@param options {history: repl.History, complete: function, is_complete: function, continued: string}
---@return repl.Editor
function M.new(options)
  local self = setmetatable({ pending = "", text = "", at = 0, row = 1, active = false, killed = "" }, Editor)
  for name, value in pairs(options) do self[name] = value end
  return self
end

-- ---- drawing

local write_raw = io.stdout.write -- the prompt puts another in its place

local function write(...)
  write_raw(io.stdout, ...)
  io.stdout:flush()
end

--- Control sequences from the row of the cursor to a clear first row.
local function to_start(self)
  return (self.row > 1 and ("\27[%dA"):format(self.row - 1) or "") .. "\r\27[J"
end

local function draw(self)
  local columns, lines = terminal.size()
  local rows, row, column = screen.lay_out(self.label, self.continued, self.text, self.at, math.max(columns, 8))
  local first = math.max(1, math.min(row, #rows - lines + 1)) -- what is higher than the screen is cut
  if row - first >= lines then first = row - lines + 1 end
  local last = math.min(#rows, first + lines - 1)
  local out = { to_start(self), table.concat(rows, "\r\n", first, last) }
  if last > row then out[#out + 1] = ("\27[%dA"):format(last - row) end
  out[#out + 1] = "\r" .. (column > 0 and ("\27[%dC"):format(column) or "")
  self.row = row - first + 1
  write(table.concat(out))
end

--- Puts the cursor below the text, which stays on the screen, with the mark behind it.
local function leave(self, mark)
  self.at = #self.text
  draw(self)
  write(mark or "", "\r\n")
  self.row = 1
end

--- Takes the text off the screen, for others to write there; show draws it again, below a line that others have not
-- ended.
function Editor:hide()
  if not self.active then return end
  write(to_start(self))
  self.row = 1
end

function Editor:show(is_unended)
  if not self.active then return end
  if is_unended then write("\r\n") end
  draw(self)
end

-- ---- changing the text

local function insert(self, piece)
  if #self.text + #piece > TEXT_MAX then return end
  self.text = self.text:sub(1, self.at) .. piece .. self.text:sub(self.at + 1)
  self.at = self.at + #piece
end

--- Removes what is between two places, and puts the cursor there.
local function remove(self, from, to)
  local gone = self.text:sub(from + 1, to)
  self.text = self.text:sub(1, from) .. self.text:sub(to + 1)
  self.at = from
  return gone
end

local function line_start(self)
  return self.text:sub(1, self.at):match("^.*\n()") and self.text:sub(1, self.at):match("^.*\n()") - 1 or 0
end

local function line_end(self)
  return (self.text:find("\n", self.at + 1, true) or #self.text + 1) - 1
end

local function word_left(self)
  local before = self.text:sub(1, self.at)
  return #(before:match("^(.-)[%w_\128-\255]*[^%w_\128-\255]*$") or "")
end

local function word_right(self)
  return self.text:match("^[^%w_\128-\255]*[%w_\128-\255]*()", self.at + 1) - 1
end

local function set(self, text)
  self.text, self.at = text, #text
end

--- A step through the history; the line that was being typed is at its end.
local function step(self, by)
  local history = self.history
  local index = self.index + by
  if index < 1 or index > #history + 1 then return end
  self.drafts[self.index] = self.text
  self.index = index
  set(self, self.drafts[index] or history[index] or "")
end

--- Moves to the row above or below within the text. False where there is none.
local function move_row(self, by)
  local start = line_start(self)
  local column = self.at - start
  if by < 0 then
    if start == 0 then return false end
    self.at = start - 1
    local above = line_start(self)
    self.at = math.min(above + column, start - 1)
  else
    local stop = line_end(self)
    if stop == #self.text then return false end
    self.at = stop + 1
    self.at = math.min(stop + 1 + column, line_end(self))
  end
  while self.at > 0 and (self.text:byte(self.at + 1) or 0) >= 0x80 and self.text:byte(self.at + 1) < 0xC0 do
    self.at = self.at - 1
  end
  return true
end

-- ---- completion

local function common(names)
  local prefix = names[1]
  for i = 2, #names do
    while names[i]:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
  end
  return prefix
end

--- Names in columns below the line.
local function list(self, names)
  local columns, widest = terminal.size(), 0
  for _, name in ipairs(names) do widest = math.max(widest, #name) end
  local across = math.max(1, math.floor(columns / (widest + 2)))
  local down = math.ceil(math.min(#names, SHOWN_MAX) / across)
  leave(self)
  for row = 1, down do
    local cells = {}
    for column = 1, across do
      local name = names[(column - 1) * down + row]
      if name then cells[column] = name .. (" "):rep(widest + 2 - #name) end
    end
    write(table.concat(cells):gsub("%s+$", ""), "\r\n")
  end
  if #names > SHOWN_MAX then write(("... %d more\r\n"):format(#names - SHOWN_MAX)) end
end

local function complete(self, twice)
  local before = self.text:sub(1, self.at)
  if not before:match("[^\n]*$"):find("%S") then return insert(self, "  ") end
  local from, names = self.complete(before)
  if not names or #names == 0 then return end
  local prefix = common(names)
  local typed = before:sub(from)
  if #prefix > #typed then return insert(self, prefix:sub(#typed + 1)) end
  if #names > 1 and twice then
    local at = self.at
    list(self, names)
    self.at = at
  end
end

-- ---- keys

local commands = {
  left = function(self) self.at = screen.left(self.text, self.at) end,
  right = function(self) self.at = screen.right(self.text, self.at) end,
  home = function(self) self.at = line_start(self) end,
  backspace = function(self) remove(self, screen.left(self.text, self.at), self.at) end,
  delete = function(self) remove(self, self.at, screen.right(self.text, self.at)) end,
  newline = function(self) insert(self, "\n") end,
  resize = function(self) self.row = math.max(1, self.row) end,
  ["end"] = function(self) self.at = line_end(self) end,
  ["word-left"] = function(self) self.at = word_left(self) end,
  ["word-right"] = function(self) self.at = word_right(self) end,
  ["delete-word"] = function(self) self.killed = remove(self, self.at, word_right(self)) end,
  up = function(self)
    if not move_row(self, -1) then step(self, -1) end
  end,
  down = function(self)
    if not move_row(self, 1) then step(self, 1) end
  end,
  ["\11"] = function(self) self.killed = remove(self, self.at, line_end(self)) end, -- Ctrl-K
  ["\21"] = function(self) self.killed = remove(self, line_start(self), self.at) end, -- Ctrl-U
  ["\23"] = function(self) self.killed = remove(self, word_left(self), self.at) end, -- Ctrl-W
  ["\25"] = function(self) insert(self, self.killed) end, -- Ctrl-Y
  ["\12"] = function(self) -- Ctrl-L
    write("\27[H\27[2J")
    self.row = 1
  end,
}

local read_key

--- Ctrl-R: the newest line of the history that holds what is typed then. Enter and the keys that move take it,
--- Ctrl-G and Ctrl-C leave everything as it was.
local function search(self)
  local old_text, old_at, label, wanted, from = self.text, self.at, self.label, "", #self.history
  local function look()
    for i = from, 1, -1 do
      local at = self.history[i]:find(wanted, 1, true)
      if at then
        from, self.text, self.at = i, self.history[i], at - 1
        return
      end
    end
  end
  while true do
    self.label = "(search '" .. wanted .. "') "
    draw(self)
    local key, text = read_key(self)
    if key == "\18" then
      from = math.max(1, from - 1)
      look()
    elseif key == "backspace" then
      wanted = wanted:sub(1, screen.left(wanted, #wanted))
      from = #self.history
      look()
    elseif key == "text" then
      wanted = wanted .. text
      look()
    elseif key ~= "unknown" then
      self.label = label
      if key == "cancel" or key == "\3" or not key then
        self.text, self.at = old_text, old_at
        return nil
      end
      return key, text -- it means what it always does
    end
  end
end

--- The next key; nil at the end of the input. Waits.
function read_key(self)
  while true do
    local key, bytes, text = keys.next(self.pending)
    if key then
      self.pending = self.pending:sub(bytes + 1)
      return key, text
    end
    local more = terminal.read()
    if not more then return nil end
    self.pending = self.pending .. more
  end
end

local function enter(self)
  if not self.is_complete(self.text) then
    insert(self, "\n")
    return false
  end
  leave(self)
  return true
end

local function suspend(self)
  local process = require "process"
  leave(self)
  write("\27[?2004l")
  terminal.raw(false)
  process.kill(process.pid, "SIGTSTP")
  terminal.raw(true)
  write("\27[?2004h")
end

--- One key; returns true where the text is done, and "end" where there will be none.
local function press(self, key, text)
  if key == nil or key == "closed" or key == "\4" and self.text == "" then
    leave(self)
    return "end"
  elseif key == "enter" then
    return enter(self)
  elseif key == "\3" then
    leave(self, "^C")
    self.text = ""
    return true
  elseif key == "\4" then
    commands.delete(self)
  elseif key == "\26" then
    suspend(self)
  elseif key == "paste" then
    insert(self, (text:gsub("\r\n?", "\n"):gsub("[%z\1-\8\11-\31\127]", "")))
  elseif key == "tab" then
    complete(self, self.last == "tab")
  elseif commands[key] then
    commands[key](self)
  elseif key == "text" then
    insert(self, text)
  end
  return false
end

local function one(self)
  local key, text = read_key(self)
  if key == "\18" then key, text = search(self) end
  local done = press(self, key, text)
  self.last = key
  if not done then draw(self) end
  return done
end

--- Reads a text; nil at the end of the input (Ctrl-D), "" where Ctrl-C was pressed. Waits.
---@param label string the prompt
---@return string?
function Editor:read(label)
  self.label, self.text, self.at, self.row, self.last = label, "", 0, 1, nil
  self.index, self.drafts = #self.history + 1, {}
  terminal.raw(true)
  write("\27[?2004h") -- pastes are marked
  self.active = true
  draw(self)
  local done
  repeat done = one(self) until done
  self.active = false
  write("\27[?2004l")
  terminal.raw(false)
  if done == "end" then return nil end
  return self.text
end

return M
