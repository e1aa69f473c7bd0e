--- Reads C sources as far as the rules of the house need it: includes, the
-- functions that a file defines or declares, names that it calls or defines.
-- Heuristic and fast: comments, literals and macros are blanked out, and what is
-- left is cut at the braces of the outermost level.
local files = require("spec.helper.files")

local M = {}

---@class spec.Source
---@field path string
---@field text string as it is
---@field code string without comments, literals and preprocessor lines
---@field line_count integer

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

-- The end of the comment or literal that begins at `at`.
local function opaque_end(text, at)
  local two = text:sub(at, at + 1)
  if two == "/*" then
    return select(2, text:find("*/", at + 2, true)) or #text
  elseif two == "//" then
    return (text:find("\n", at, true) or #text + 1) - 1
  end
  local quote = text:sub(at, at)
  local i = at + 1
  while i <= #text and text:sub(i, i) ~= quote do
    i = i + (text:sub(i, i) == "\\" and 2 or 1)
  end
  return i
end

local function strip_opaque(text)
  local parts, at = {}, 1
  while true do
    local first = text:find("[/\"']", at)
    if not first then
      break
    end
    table.insert(parts, text:sub(at, first - 1))
    local byte, two = text:sub(first, first), text:sub(first, first + 1)
    if byte == "/" and two ~= "/*" and two ~= "//" then
      table.insert(parts, "/")
      at = first + 1
    else
      local last = opaque_end(text, first)
      table.insert(parts, blank(text:sub(first, last)))
      at = last + 1
    end
  end
  return table.concat(parts) .. text:sub(at)
end

local function strip_macros(text)
  local parts, continued = {}, false
  for line, ending in text:gmatch("([^\n]*)(\n?)") do
    local macro = continued or line:find("^%s*#")
    continued = macro and line:find("\\%s*$") ~= nil
    table.insert(parts, (macro and blank(line) or line) .. ending)
  end
  return table.concat(parts)
end

--- Reads one file.
---@param path string
---@return spec.Source
function M.read(path)
  local text = assert(files.read_file(path))
  return {
    path = path,
    text = text,
    code = strip_macros(strip_opaque(text)),
    line_count = select(2, text:gsub("\n", "\n")),
  }
end

--- The line that the byte at `at` is in.
---@param text string
---@param at integer
---@return integer
function M.line_of(text, at)
  return select(2, text:sub(1, at - 1):gsub("\n", "\n")) + 1
end

--- Calls `fn(line, name, is_system)` for each include.
---@param source spec.Source
---@param fn fun(line: integer, name: string, is_system: boolean)
function M.each_include(source, fn)
  local number = 0
  for line in source.text:gmatch("([^\n]*)\n?") do
    number = number + 1
    local open, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)')
    if name then
      fn(number, name, open == "<")
    end
  end
end

-- What a text at the outermost level says of a function: its name, or nil.
local function function_name(head)
  head = head:gsub("__attribute__%s*%b()", ""):gsub("_Alignas%s*%b()", "")
  if head:find("=", 1, true) or head:find("_Static_assert", 1, true)
    or head:find("%f[%w_]typedef%f[^%w_]") then
    return nil
  end
  local name, behind = head:match("([%a_][%w_]*)%s*%(()")
  if not name or head:find("^%s*%*", behind) then
    return nil
  end
  return name, head:find("%f[%w_]static%f[^%w_]") ~= nil
end

--- Calls `fn(what)` for each function: what.kind is "definition" or "declaration",
--- with name, static, line (of the name's text), first and last (of the body).
---@param source spec.Source
---@param fn fun(what: table)
function M.each_function(source, fn)
  local code = source.code
  local at = 1
  while true do
    local stop = code:find("[;{]", at)
    if not stop then
      return
    end
    local head = code:sub(at, stop - 1)
    local name, static = function_name(head)
    local line = M.line_of(code, at + #head:match("^%s*"))
    if code:sub(stop, stop) == ";" then
      at = stop + 1
      if name then
        fn({ kind = "declaration", name = name, static = static, line = line })
      end
    else
      local _, last = code:find("^%b{}", stop)
      last = last or #code
      if name then
        fn({ kind = "definition", name = name, static = static, line = line,
          first = M.line_of(code, stop), last = M.line_of(code, last) })
        at = last + 1
      else -- a struct, an enum or an initialiser: it goes on to its semicolon
        at = (code:find(";", last, true) or #code) + 1
      end
    end
  end
end

--- Calls `fn(line, name)` for each call of a function of `names` (a set).
---@param source spec.Source
---@param names table<string, boolean>
---@param fn fun(line: integer, name: string)
function M.each_call(source, names, fn)
  for at, name in source.code:gmatch("()%f[%w_]([%a_][%w_]*)%s*%(") do
    if names[name] then
      fn(M.line_of(source.code, at), name)
    end
  end
end

return M
