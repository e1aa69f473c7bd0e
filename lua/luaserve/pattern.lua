--- Patterns of routes: "/users/:id", ":id(%d+)", ":lang?", "*rest". Parsed once, when a
--- route is defined, into lists of segments; optional ones make a list with and one without.
local M = {}

local MOST_OPTIONAL = 4
local MOST_IN_SEGMENT = 5

---@class Segment
---@field kind "static"|"param"|"match"|"rest"
---@field text string what is looked up: the text, or the Lua pattern of "match"
---@field names string[] of the parameters that it captures
---@field parts {text: string?, name: string?, check: string?}[]? of "param" and "match": what an address is made of
---@field optional boolean?

--- The pieces between slashes; slashes in parentheses belong to a Lua pattern.
local function split(text)
  local pieces, depth, start = {}, 0, 2
  local i = 2
  while i <= #text do
    local c = text:sub(i, i)
    if c == "%" and depth > 0 then
      i = i + 1
    elseif c == "(" then
      depth = depth + 1
    elseif c == ")" then
      depth = depth - 1
    elseif c == "/" and depth == 0 then
      pieces[#pieces + 1] = text:sub(start, i - 1)
      start = i + 1
    end
    i = i + 1
  end
  if depth ~= 0 then return nil, "a parenthesis is not closed" end
  pieces[#pieces + 1] = text:sub(start)
  if pieces[#pieces] == "" then pieces[#pieces] = nil end -- "/users/" is "/users"
  return pieces
end

--- The Lua pattern in parentheses at the start of rest, and what is behind it.
local function constraint(rest)
  local depth, i = 0, 1
  while i <= #rest do
    local c = rest:sub(i, i)
    if c == "%" then
      i = i + 1
    elseif c == "(" then
      depth = depth + 1
    elseif c == ")" then
      depth = depth - 1
      if depth == 0 then return rest:sub(2, i - 1), rest:sub(i + 1) end
    end
    i = i + 1
  end
end

local function check_constraint(lua)
  if lua == "" then return "the Lua pattern in parentheses is empty" end
  if lua:gsub("%%.", ""):find("[()]") then
    return "a Lua pattern may hold no captures: write %( and %) for parentheses"
  end
  local ok, message = pcall(string.find, "", "^(" .. lua .. ")$")
  if not ok then return "bad Lua pattern (" .. lua .. "): " .. tostring(message):gsub("^.-:%d+: ", "") end
end

local function quote(text)
  return (text:gsub("%W", "%%%0"))
end

--- Parses a piece that holds parameters among text: ":id", ":id(%d+)", ":name.json".
local function parse_params(piece)
  local lua, names, parts, rest, plain = "", {}, {}, piece, false
  while rest ~= "" do
    local text, name, behind = rest:match("^([^:]*):([%a_][%w_]*)(.*)$")
    if not name then
      if rest:find(":", 1, true) then return nil, "a ':' must be followed by the name of a parameter" end
      parts[#parts + 1] = { text = rest }
      lua, rest = lua .. quote(rest), ""
    else
      local own, check = "(.-)", nil
      if text == "" and behind == "" and lua == "" then plain = true end
      if behind:sub(1, 1) == "(" then
        local found
        found, behind = constraint(behind)
        if not found then return nil, "a parenthesis is not closed" end
        local wrong = check_constraint(found)
        if wrong then return nil, wrong end
        own, check = "(" .. found .. ")", "^" .. found .. "$"
      elseif behind ~= "" then
        own = "(.+)"
      end
      lua, rest = lua .. quote(text) .. own, behind
      names[#names + 1] = name
      if text ~= "" then parts[#parts + 1] = { text = text } end
      parts[#parts + 1] = { name = name, check = check }
    end
  end
  if #names > MOST_IN_SEGMENT then return nil, "at most " .. MOST_IN_SEGMENT .. " parameters in one segment" end
  if plain then return { kind = "param", text = ":", names = names, parts = parts } end
  return { kind = "match", text = "^" .. lua:gsub("%(%.%-%)$", "(.+)") .. "$", names = names, parts = parts }
end

local function parse_piece(piece, is_last)
  if piece == "" then return nil, "an empty segment: write one slash" end
  if piece == "." or piece == ".." then return nil, "'" .. piece .. "' is never part of a path" end
  if piece:sub(1, 1) == "*" then
    if not piece:find("^%*[%a_][%w_]*$") then return nil, "a wildcard has a name: *rest" end
    if not is_last then return nil, "a wildcard is the last segment" end
    return { kind = "rest", text = "*", names = { piece:sub(2) } }
  end
  local optional = false
  if piece:find(":", 1, true) then
    if piece:sub(-1) == "?" then
      optional, piece = true, piece:sub(1, -2)
      if piece:sub(1, 1) ~= ":" then return nil, "only a whole segment can be optional: /:lang?/" end
    end
    local segment, message = parse_params(piece)
    if not segment then return nil, message end
    if segment.kind == "param" and piece:sub(#segment.names[1] + 2) ~= "" then
      return nil, "only a whole segment can be optional"
    end
    segment.optional = optional
    return segment
  end
  if piece:find("[?*]") then
    return nil, "'" .. piece .. "': a '?' stands behind a parameter, a '*' in front of a name"
  end
  if piece:find("[()]") then return nil, "parentheses stand behind the name of a parameter: :id(%d+)" end
  piece = piece:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  return { kind = "static", text = piece, names = {} }
end

local function check_names(segments)
  local seen = {}
  for _, segment in ipairs(segments) do
    for _, name in ipairs(segment.names) do
      if seen[name] then return "the parameter '" .. name .. "' is there twice" end
      seen[name] = true
    end
  end
end

--- What is wrong with the names of a list of segments: one that is there twice.
---@param segments Segment[]
---@return string? message
M.check_names = check_names

--- All lists that leave out some of the optional segments, the whole one first.
local function variants(segments, from)
  for i = from, #segments do
    if segments[i].optional then
      local with, without = variants(segments, i + 1), {}
      for j = 1, #segments do
        if j ~= i then without[#without + 1] = segments[j] end
      end
      local list = {}
      for _, v in ipairs(with) do list[#list + 1] = v end
      for _, v in ipairs(variants(without, i)) do list[#list + 1] = v end
      return list
    end
  end
  return { segments }
end

--- Parses a pattern.
---@param text string
---@return Segment[][]|nil lists one, or more where segments are optional
---@return string? message what is wrong
function M.parse(text)
  if type(text) ~= "string" then return nil, "a path is a string, not " .. type(text) end
  if text == "" or text == "*" then text = "/" .. (text == "*" and "*rest" or "") end
  if text:sub(1, 1) ~= "/" then return nil, "a path begins with '/'" end
  local pieces, message = split(text)
  if not pieces then return nil, message end
  local segments, optional = {}, 0
  for i, piece in ipairs(pieces) do
    segments[i], message = parse_piece(piece, i == #pieces)
    if not segments[i] then return nil, message end
    if segments[i].optional then optional = optional + 1 end
  end
  if optional > MOST_OPTIONAL then return nil, "at most " .. MOST_OPTIONAL .. " segments can be optional" end
  message = check_names(segments)
  if message then return nil, message end
  return variants(segments, 1)
end

--- Parses the prefix of a group, a mount or a middleware: one list, and no wildcard.
---@param text string
---@return Segment[]|nil segments
---@return string? message
function M.prefix(text)
  if text == "*" or text == "/*" then return {} end
  local lists, message = M.parse(text)
  if not lists then return nil, message end
  if lists[2] then return nil, "a prefix has no optional segments" end
  local last = lists[1][#lists[1]]
  if last and last.kind == "rest" then return nil, "a prefix needs no wildcard: it covers all that is below it" end
  return lists[1]
end

--- What two lists have in common when they match the same paths.
---@param segments Segment[]
---@return string
function M.key(segments)
  local parts = {}
  for i, segment in ipairs(segments) do parts[i] = segment.kind:sub(1, 1) .. segment.text end
  return table.concat(parts, "/")
end

--- The names of all parameters, in order.
---@param segments Segment[]
---@return string[]
function M.names(segments)
  local names = {}
  for _, segment in ipairs(segments) do
    for _, name in ipairs(segment.names) do names[#names + 1] = name end
  end
  return names
end

--- Whether a path that matches route begins with prefix: "always", "never", or "maybe",
--- which only the path itself can tell.
---@param prefix Segment[]
---@param route Segment[]
---@return "always"|"never"|"maybe"
function M.covers(prefix, route)
  local answer = "always"
  for i, p in ipairs(prefix) do
    local r = route[i]
    if p.kind == "rest" then return answer end
    if not r then return "never" end
    if r.kind == "rest" then return "maybe" end
    if p.kind == "static" and r.kind == "static" then
      if p.text ~= r.text then return "never" end
    elseif p.kind ~= "param" and not (p.kind == r.kind and p.text == r.text) then
      answer = "maybe"
    end
  end
  return answer
end

--- Whether the first segments of a path match prefix; puts the parameters into params.
---@param prefix Segment[]
---@param path string[] decoded segments
---@param params table<string, string>?
---@return boolean
function M.begins(prefix, path, params)
  for i, p in ipairs(prefix) do
    local text = path[i]
    if p.kind == "rest" then
      if params then params[p.names[1]] = table.concat(path, "/", i) .. (path.slash and path[i] and "/" or "") end
      return true
    end
    if not text then return false end
    if p.kind == "static" then
      if text ~= p.text then return false end
    elseif p.kind == "param" then
      if text == "" then return false end
      if params then params[p.names[1]] = text end
    else
      local found = { text:match(p.text) }
      if not found[1] then return false end
      if params then
        for k, name in ipairs(p.names) do params[name] = found[k] end
      end
    end
  end
  return true
end

return M
