--- Programs on a terminal: `script` of bsdutils gives them one, keys come over a fifo, and what they draw is kept as
-- the screen that a person would see, as far as luaserve's own sequences go.
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")
local scope = require("spec.helper.scope")

local M = {}

---@class spec.Terminal
---@field process spec.Process of script, whose exit code is the program's
local Terminal = {}
Terminal.__index = Terminal

--- Starts `argv` on a terminal. Options: columns (80), rows (24), env, cwd.
---@param argv string[]
---@param opts table?
---@return spec.Terminal
function M.start(argv, opts)
  opts = opts or {}
  local self = setmetatable({ columns = opts.columns or 80, rows = opts.rows or 24 }, Terminal)
  local words = {}
  for i, word in ipairs(argv) do
    words[i] = files.quote(word)
  end
  local command = ("stty cols %d rows %d; exec %s"):format(self.columns, self.rows, table.concat(words, " "))
  local fifo = files.tmpdir() .. "/keys"
  assert(os.execute("mkfifo " .. files.quote(fifo)))
  local env = { TERM = "xterm" }
  for name, value in pairs(opts.env or {}) do
    env[name] = value
  end
  -- Both ends are opened for reading and writing: neither waits for the other.
  self.keys = assert(io.open(fifo, "r+b"))
  scope.defer(function()
    self.keys:close()
  end)
  self.process = process.start({ "bash", "-c", 'exec script -qfec "$1" /dev/null <"$0"', fifo, command },
    { env = env, cwd = opts.cwd })
  return self
end

--- Types these bytes.
---@param ... string
---@return spec.Terminal
function Terminal:send(...)
  for _, bytes in ipairs({ ... }) do
    assert(self.keys:write(bytes))
  end
  self.keys:flush()
  return self
end

local function is_wide(code)
  return code >= 0x1100 and code <= 0x115F or code >= 0x2E80 and code <= 0xA4CF or code >= 0xAC00 and code <= 0xD7A3
end

-- ---- the screen

local Screen = {}
Screen.__index = Screen

function Screen:line()
  self.lines[self.row] = self.lines[self.row] or {}
  return self.lines[self.row]
end

function Screen:put(c)
  local width = is_wide(utf8.codepoint(c)) and 2 or 1
  if self.column + width > self.columns then
    self.wrapped = self.wrapped + 1 -- the terminal had to wrap: the program has miscounted
    self.row, self.column = self.row + 1, 0
  end
  local line = self:line()
  line[self.column + 1] = c
  if width == 2 then
    line[self.column + 2] = ""
  end
  self.column = self.column + width
end

function Screen:clear_below()
  for row in pairs(self.lines) do
    if row > self.row then
      self.lines[row] = nil
    end
  end
  local line = self:line()
  for column in pairs(line) do
    if column > self.column then
      line[column] = nil
    end
  end
end

local sequences = {
  A = function(self, n) self.row = math.max(self.top, self.row - math.max(1, n)) end,
  B = function(self, n) self.row = self.row + math.max(1, n) end,
  C = function(self, n) self.column = math.min(self.columns - 1, self.column + math.max(1, n)) end,
  H = function(self) self.row, self.column = self.top, 0 end,
  J = function(self, n)
    if n == 2 then
      self.lines = {}
    else
      self:clear_below()
    end
  end,
  K = function(self)
    local line = self:line()
    for column in pairs(line) do
      if column > self.column then
        line[column] = nil
      end
    end
  end,
}

local function draw(text, columns, rows)
  local self = setmetatable({ lines = {}, row = 1, column = 0, top = 1, columns = columns, wrapped = 0 }, Screen)
  local at = 1
  while at <= #text do
    local number, final, behind = text:match("^\27%[[?]?([%d;]*)([@-~])()", at)
    local c = text:match("^" .. utf8.charpattern, at)
    if final then
      if sequences[final] then
        sequences[final](self, tonumber(number) or 0)
      end
      at = behind
    elseif c == "\r" then
      self.column, at = 0, at + 1
    elseif c == "\n" then
      self.row, at = self.row + 1, at + 1
      self.top = math.max(self.top, self.row - rows + 1)
    elseif c:byte() < 32 then
      at = at + 1
    else
      self:put(c)
      at = at + #c
    end
  end
  return self
end

--- Everything that is, or has scrolled off, the screen, without spaces at the ends of lines.
---@return string
function Terminal:screen()
  local screen = draw(self.process:stdout(), self.columns, self.rows)
  local last, lines = 0, {}
  for row in pairs(screen.lines) do
    last = math.max(last, row)
  end
  for row = 1, last do
    local cells, line = {}, screen.lines[row] or {}
    for column = 1, self.columns do
      cells[column] = line[column] or " "
    end
    lines[row] = table.concat(cells):gsub("%s+$", "")
  end
  self.wrapped = screen.wrapped
  return (table.concat(lines, "\n"):gsub("\n+$", ""))
end

--- Waits until the screen ends with this text (plain), after what is typed first.
---@param keys string? typed before
---@param text string
---@param timeout number?
---@return string screen
function Terminal:expect(keys, text, timeout)
  if keys then
    self:send(keys)
  end
  local screen
  poll.wait_for(function()
    screen = self:screen()
    return screen:sub(-#text) == text
  end, function()
    return ("a screen that ends with\n%s\n--- it is\n%s\n---"):format(text, screen)
  end, timeout)
  return screen
end

return M
