--- What a line being edited looks like on a terminal: its rows, of so many columns each, and the place of the
--- cursor. Every row is ended here and not by the terminal's own wrapping, so that what is above can be found again.
local terminal = require "luaserve.core.terminal"

local M = {}

local widths = {} -- of characters beyond ASCII

--- Columns of one character.
local function width_of(c)
  local byte = c:byte()
  if byte < 0x80 then return 1 end
  local width = widths[c]
  if not width then
    width = terminal.width(c)
    widths[c] = width
  end
  return width
end

--- The pattern of a character in UTF-8; a byte that belongs to none is one for itself.
M.CHARACTER = "[%z\1-\127\192-\255][\128-\191]*"

--- Where the character before, and the one behind a place begins; what has no width goes with what it is on.
---@param text string
---@param at integer a place between bytes: 0 is in front of the first
---@return integer
function M.left(text, at)
  while at > 0 do
    local byte = text:byte(at)
    at = at - 1
    if byte < 0x80 or byte >= 0xC0 then
      local c = text:match("^" .. M.CHARACTER, at + 1)
      if not c or width_of(c) > 0 then return at end
    end
  end
  return 0
end

---@return integer
function M.right(text, at)
  local first = true
  while at < #text do
    local c = text:match("^" .. M.CHARACTER, at + 1) or text:sub(at + 1, at + 1)
    if not first and width_of(c) > 0 then return at end
    first = false
    at = at + #c
  end
  return at
end

--- What a character is shown as.
local function shown(c)
  local byte = c:byte()
  if byte == 9 then return "  ", 2 end
  if byte < 32 or byte == 127 then return "?", 1 end
  if #c == 1 and byte >= 0x80 then return "?", 1 end -- not UTF-8
  return c, width_of(c)
end

--- Lays a text out.
---@param prompt string
---@param continued string the prompt of further lines
---@param text string
---@param at integer the place of the cursor
---@param columns integer
---@return string[] rows, integer row, integer column of the cursor, from 1 and 0
function M.lay_out(prompt, continued, text, at, columns)
  local rows, parts, column = {}, { prompt }, #prompt
  local row, cursor = 1, #prompt
  local function new_row(start)
    rows[#rows + 1] = table.concat(parts)
    parts, column = { start }, #start
  end
  local function mark(place)
    if place == at then row, cursor = #rows + 1, column end
  end
  local place = 0
  for c in text:gmatch(M.CHARACTER) do
    local piece, width = shown(c)
    if c ~= "\n" and column + width > columns then new_row("") end
    mark(place)
    place = place + #c
    if c == "\n" then
      new_row(continued)
    else
      parts[#parts + 1] = piece
      column = column + width
    end
  end
  if column >= columns then new_row("") end
  mark(place)
  new_row("")
  return rows, row, cursor
end

return M
