--- Content negotiation (RFC 9110 12): what a client accepts, by weight and by how
--- exactly it says so. Used by req:accepts and its kin, and by req:is.
local native = require "luaserve.core.reply"

local M = {}

local MOST = 64 -- elements of a list that are looked at

--- The weight of an element: 1 where it is malformed or missing.
local function weight(text)
  return text and text:find("^[01]%.?%d*$") and math.min(tonumber(text), 1) or 1
end

--- The elements of a list with their parameters, commas within quotes aside.
local function split(text, separator)
  local parts, from, quoted = {}, 1, false
  for at, c in text:gmatch('()(["\\,;])') do
    if c == '"' and text:sub(at - 1, at - 1) ~= "\\" then
      quoted = not quoted
    elseif c == separator and not quoted then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

local function unquote(text)
  local inner = text:match('^"(.*)"$')
  return inner and inner:gsub("\\(.)", "%1") or text
end

--- "a;x=1;q=0.5, b" as {{name, q, order, params}...}; names in lower case.
---@param text string
---@return table[]
function M.parse(text)
  local list = {}
  for _, element in ipairs(split(text, ",")) do
    local parts = split(element, ";")
    local name = parts[1]:match("^%s*(.-)%s*$")
    if name ~= "" and #list < MOST then
      local item = { name = name:lower(), said = name, order = #list + 1, params = {}, q = 1 }
      for i = 2, #parts do
        local key, value = parts[i]:match("^%s*([^=%s]+)%s*=%s*(.-)%s*$")
        key = key and key:lower()
        if key == "q" then
          item.q = weight(value)
        elseif key then
          item.params[key] = unquote(value):lower()
          item.precise = true
        end
      end
      list[#list + 1] = item
    end
  end
  return list
end

-- ---- how exactly an element names a value; nil: it does not

local function exact(item, name)
  return item.name == name and 1 or item.name == "*" and 0 or nil
end

local function language(item, name)
  if item.name == name then return 4 end
  if item.name:match("^[^-]*") == name then return 2 end
  if name:match("^[^-]*") == item.name then return 1 end
  return item.name == "*" and 0 or nil
end

--- Both are {name, params}.
local function media(item, _, wanted)
  local kind, sub = item.name:match("^([^/]+)/(.+)$")
  local other, othersub = wanted.name:match("^([^/]+)/(.+)$")
  if not kind or not other then return item.name == "*" and 0 or nil end
  local score = 0
  if kind == other then score = score + 4 elseif kind ~= "*" then return nil end
  if sub == othersub then score = score + 2 elseif sub ~= "*" then return nil end
  for key, value in pairs(item.params) do
    if value ~= "*" and wanted.params[key] ~= value then return nil end
    score = score + 1
  end
  return score
end

local scores = { media = media, language = language, exact = exact }

--- What of the list fits the value best: {q, score, order}.
local function priority(list, how, name, wanted)
  local best
  for _, item in ipairs(list) do
    local score = scores[how](item, name, wanted)
    if score and (not best or score > best.score or (score == best.score and item.q > best.q)) then
      best = { q = item.q, score = score, order = item.order }
    end
  end
  return best
end

local function better(a, b)
  if a.q ~= b.q then return a.q > b.q end
  if a.score ~= b.score then return a.score > b.score end
  if a.order ~= b.order then return a.order < b.order end
  return a.i < b.i
end

--- Those of wanted ({given, name, params}) that list has, the best one first.
local function rank(list, how, wanted)
  local ranked = {}
  for i, want in ipairs(wanted) do
    local found = priority(list, how, want.name, want)
    if found and found.q > 0 then
      found.given, found.i = want.given, i
      ranked[#ranked + 1] = found
    end
  end
  table.sort(ranked, better)
  return ranked
end

--- The best of wanted, or false. Without wanted, all that list names, best first.
---@param list table[] of parse
---@param how "media"|"language"|"exact"
---@param wanted table[]
---@return string|string[]|false
function M.choose(list, how, wanted)
  if #wanted > 0 then
    local best = rank(list, how, wanted)[1]
    return best and best.given or false
  end
  local names, sorted = {}, {}
  for i, item in ipairs(list) do
    if item.q > 0 then sorted[#sorted + 1] = { q = item.q, score = 0, order = i, i = i, said = item.said } end
  end
  table.sort(sorted, better)
  for i, item in ipairs(sorted) do names[i] = item.said end
  return names
end

--- A media type as {name, params}: of a type, or of an extension ("json").
---@param given string
---@return table
function M.media_type(given)
  local text = given
  if given == "urlencoded" then
    text = "application/x-www-form-urlencoded"
  elseif given == "multipart" then
    text = "multipart/*"
  elseif given:sub(1, 1) == "+" then
    text = "*/*" .. given
  elseif not given:find("/", 1, true) then
    text = native.mime(given):match("^[^;]*")
  end
  local item = M.parse(text)[1] or { name = "", params = {} }
  return { given = given, name = item.name, params = item.params }
end

--- Whether a type without parameters is one of a pattern: "text/*", "*/*+json".
---@param kind string
---@param pattern string
---@return boolean
function M.fits(kind, pattern)
  local want, wantsub = pattern:match("^([^/]+)/(.+)$")
  local is, issub = kind:match("^([^/]+)/(.+)$")
  if not want or not is then return false end
  if want ~= "*" and want ~= is then return false end
  if wantsub:sub(1, 2) == "*+" then return issub:sub(-(#wantsub - 1)) == wantsub:sub(2) and #issub >= #wantsub end
  return wantsub == "*" or wantsub == issub
end

return M
