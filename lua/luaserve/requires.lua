-- Which modules a text of Lua requires by name, for --check. The text is read
-- as Lua reads it, so that what stands in comments and strings is nothing, and
-- so is a name that is computed: require("a" .. b) says nothing of a module "a".
local M = {}

--- Where the long bracket that begins at that byte ends, and what is in it; nil where there is none.
local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return end
  local open, close = at + #level + 2, "]" .. level .. "]"
  local first, last = text:find(close, open, true)
  if not first then return #text + 1, text:sub(open) end
  return last + 1, text:sub(open, first - 1)
end

--- The same for a quoted string; false where it has escapes, which no name of a module has.
local function quoted(text, at)
  local quote, from, escaped = text:sub(at, at), at + 1, false
  while true do
    local stop = text:find("[\\" .. quote .. "]", from) or #text + 1
    if text:sub(stop, stop) ~= "\\" then return stop + 1, not escaped and text:sub(at + 1, stop - 1) end
    from, escaped = stop + 2, true
  end
end

--- What stands at that byte, and where it ends.
---@return "name"|"string"|"sign" kind, string|false value, integer after
local function token(text, at)
  local byte = text:sub(at, at)
  local name = text:match("^[%a_][%w_]*", at)
  if name then return "name", name, at + #name end
  local after, value
  if byte == "[" then after, value = long_bracket(text, at) end
  if byte == '"' or byte == "'" then after, value = quoted(text, at) end
  if after then return "string", value, after end
  if text:sub(at, at + 1) == ".." then return "sign", "..", at + 2 end
  return "sign", byte, at + 1
end

--- Steps over white space and comments.
local function skip(text, at)
  while true do
    at = text:find("%S", at) or #text + 1
    if text:sub(at, at + 1) ~= "--" then return at end
    at = long_bracket(text, at + 2) or text:find("\n", at, true) or #text + 1
  end
end

--- The tokens of a text, without its comments.
local function tokens(text)
  local at = 1
  return function()
    at = skip(text, at)
    if at > #text then return end
    local from = at
    local kind, value, after = token(text, at)
    at = after
    return { kind = kind, value = value, at = from }
  end
end

--- The name that a call of require at list[i] gives, where it is a literal one.
local function name_at(list, i)
  local before, one, two, three = list[i - 1], list[i + 1], list[i + 2], list[i + 3]
  if before and before.kind ~= "string"
    and (before.value == "." or before.value == ":" or before.value == "function") then
    return
  end
  if not one then return end
  if one.kind == "string" then return one.value end
  local alone = three and three.kind == "sign" and (three.value == ")" or three.value == ",")
  if one.kind == "sign" and one.value == "(" and two and two.kind == "string" and alone then return two.value end
end

--- The modules that a text requires by a literal name.
---@param text string
---@return { name: string, line: integer }[]
function M.list(text)
  local list, found = {}, {}
  for item in tokens(text) do list[#list + 1] = item end
  local line, last = 1, 1
  for i, item in ipairs(list) do
    local name = item.kind == "name" and item.value == "require" and name_at(list, i)
    if name then
      local _, newlines = text:sub(last, item.at - 1):gsub("\n", "")
      line, last = line + newlines, item.at
      found[#found + 1] = { name = name, line = line }
    end
  end
  return found
end

return M
