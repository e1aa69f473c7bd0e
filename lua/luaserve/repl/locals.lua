--- A line at a prompt is a chunk of its own, so a `local` of one line would be gone on the next. Here the word is
--- taken off where it stands in no block: the names become the session's, which keeps them.
local M = {}

local OPENS = { ["function"] = 1, ["do"] = 1, ["if"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1 }

--- The end of the string, long string or comment that begins at i; nil where none does.
local function opaque_end(text, i)
  local equals = text:match("^%-%-%[(=*)%[", i) or text:match("^%[(=*)%[", i)
  if equals then
    local _, stop = text:find("]" .. equals .. "]", i, true)
    return stop or #text
  end
  if text:sub(i, i + 1) == "--" then return (text:find("\n", i, true) or #text + 1) - 1 end
  local quote = text:match("^[\"']", i)
  if not quote then return nil end
  local at = i + 1
  while at <= #text and text:sub(at, at) ~= quote do
    at = at + (text:sub(at, at) == "\\" and 2 or 1)
  end
  return at
end

--- The tokens that matter: words, and other characters one by one; where each begins.
local function tokens(text)
  local list, i = {}, 1
  while i <= #text do
    local stop = opaque_end(text, i)
    local number = not stop and text:match("^%.?%d[%w.]*()", i)
    local word, behind = text:match("^([%a_][%w_]*)()", i)
    if stop then
      list[#list + 1] = text:sub(i, i) ~= "-" and { "''", i } or nil
      i = stop + 1
    elseif number then
      list[#list + 1] = { "0", i }
      i = number
    elseif word then
      list[#list + 1] = { word, i }
      i = behind
    else
      local c = text:sub(i, i)
      if not c:find("%s") then list[#list + 1] = { c, i } end
      i = i + 1
    end
  end
  return list
end

--- The names behind `local` at index i of the tokens, and what stands there instead; nil where it has to stay: one
--- with <close> is closed when the line ends.
local function declaration(text, list, i)
  if list[i + 1] and list[i + 1][1] == "function" then
    local name = list[i + 2]
    return name and { name[1] }, list[i + 1][2], ""
  end
  local names, at = {}, i + 1
  while list[at] and list[at][1]:find("^[%a_]") do
    names[#names + 1] = list[at][1]
    at = at + 1
    if list[at] and list[at][1] == "<" then
      if list[at + 1] and list[at + 1][1] == "close" then return nil end
      at = at + 3
    end
    if not list[at] or list[at][1] ~= "," then break end
    at = at + 1
  end
  if #names == 0 then return nil end
  local next_token = list[at]
  local stop = next_token and next_token[2] or #text + 1
  local gap = text:sub(list[at - 1][2], stop - 1):match("%s*$")
  local value = next_token and next_token[1] == "=" and "" or " = nil"
  return names, stop, table.concat(names, ", ") .. value .. gap
end

--- The text without those `local`s, and the names that they declare.
---@param text string
---@return string text, string[] names
function M.lift(text)
  if not text:find("local", 1, true) then return text, {} end
  local list, depth, from = tokens(text), 0, 1
  local parts, all = {}, {}
  for i, token in ipairs(list) do
    depth = depth + (OPENS[token[1]] or 0)
    if token[1] == "local" and depth == 0 then
      local names, stop, instead = declaration(text, list, i)
      if names then
        parts[#parts + 1] = text:sub(from, token[2] - 1) .. instead
        from = stop
        for _, name in ipairs(names) do all[#all + 1] = name end
      end
    end
  end
  return table.concat(parts) .. text:sub(from), all
end

return M
