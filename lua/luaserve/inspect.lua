--- Any value as text for people, as Node's util.inspect does it: `{ 1, 2, name = "kim", next = [Circular] }`.
--
-- Only what a table holds itself is shown, in the order of its keys, and at most so much of it that a log stays
-- readable. Nothing of the value is called but __tostring, so that looking at it never fails.

local concat, floor = table.concat, math.floor

local M = {}

local DEPTH = 2 -- tables within the outermost one
local ENTRIES_MAX = 100 -- shown of one table
local TEXT_MAX = 10000 -- bytes shown of a string within a table
local WIDTH = 72 -- columns of a table in one line

local RESERVED = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then
  true until while]]):gmatch("%a+") do
  RESERVED[word] = true
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function escape(c)
  return ESCAPES[c] or ("\\%03d"):format(c:byte())
end

local function quoted(text)
  local more = #text > TEXT_MAX and ("... %d more bytes"):format(#text - TEXT_MAX) or ""
  return '"' .. text:sub(1, TEXT_MAX):gsub('[%c\\"]', escape) .. '"' .. more
end

local function described(value)
  local ok, text = pcall(tostring, value)
  return ok and text or "[" .. type(value) .. " whose __tostring fails]"
end

local function metafield(value, name)
  local mt = getmetatable(value)
  return type(mt) == "table" and rawget(mt, name) or nil
end

local RANK = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 4, RANK[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a <= 2 then return a < b end
  return described(a) < described(b)
end

--- The keys of t behind its array part, which has n elements, sorted.
local function other_keys(t, n)
  local keys = {}
  for key in next, t do
    local in_array = type(key) == "number" and key >= 1 and key <= n and floor(key) == key
    if not in_array then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return keys
end

local inspect

local function key_text(key, state)
  if type(key) ~= "string" then return "[" .. inspect(key, state) .. "]" end
  if key:find("^[%a_][%w_]*$") and not RESERVED[key] then return key end
  return "[" .. quoted(key) .. "]"
end

--- What is in t, one text for each entry.
local function entries_of(t, state)
  local entries, n = {}, 0
  while rawget(t, n + 1) ~= nil do n = n + 1 end
  for i = 1, math.min(n, ENTRIES_MAX) do entries[i] = inspect(rawget(t, i), state) end
  local keys = other_keys(t, n)
  for i = 1, math.min(#keys, ENTRIES_MAX) do
    entries[#entries + 1] = key_text(keys[i], state) .. " = " .. inspect(rawget(t, keys[i]), state)
  end
  local hidden = math.max(n - ENTRIES_MAX, 0) + math.max(#keys - ENTRIES_MAX, 0)
  if hidden > 0 then entries[#entries + 1] = ("... %d more"):format(hidden) end
  return entries
end

--- In one line where that is short, else a line for each.
local function laid_out(entries, prefix, indent)
  if #entries == 0 then return prefix .. "{}" end
  local line = prefix .. "{ " .. concat(entries, ", ") .. " }"
  if #line + #indent <= WIDTH and not line:find("\n", 1, true) then return line end
  local inner = indent .. "  "
  return prefix .. "{\n" .. inner .. concat(entries, ",\n" .. inner) .. "\n" .. indent .. "}"
end

local function inspect_table(t, state)
  if metafield(t, "__tostring") then return described(t) end
  if state.within[t] then return "[Circular]" end
  if state.level > state.depth then return "[table]" end
  local indent = ("  "):rep(state.level)
  local name = metafield(t, "__name")
  state.within[t], state.level = true, state.level + 1
  local entries = entries_of(t, state)
  state.within[t], state.level = nil, state.level - 1
  return laid_out(entries, type(name) == "string" and name .. " " or "", indent)
end

function inspect(value, state)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "table" then return inspect_table(value, state) end
  if kind == "function" then return "[function]" end
  return described(value)
end

--- The text of a value.
---@param value any
---@param depth number? tables shown within the outermost one, 2; math.huge for all
---@return string
function M.inspect(value, depth)
  return inspect(value, { within = {}, level = 0, depth = depth or DEPTH })
end

return M
