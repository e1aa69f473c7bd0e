--- The class URLSearchParams (URL Standard 6.2): query parameters in order, as a list of {name, value}.
--
-- A URL looks at `dirty` to see that its parameters were changed, when it is next asked for something.

local querystring = require "querystring"
local percent = require "luaserve.url.percent"

local gmatch, gsub, concat = string.gmatch, string.gsub, table.concat
local text_of = percent.text_of

local M = {}

local function form_text(text)
  return (gsub(percent.encode(text, percent.FORM), " ", "+"))
end

local function form_decoded(text)
  return querystring.unescape((gsub(text, "+", " ")))
end

---@class url.URLSearchParams
---@field size integer number of pairs
local Params = {}
local params_meta = { __name = "URLSearchParams" }

function params_meta.__index(self, key)
  if key == "size" then return #self.list end
  return Params[key]
end

local function fill_from_text(list, text)
  for pair in gmatch(text, "[^&]+") do
    local name, value = percent.split_at(pair, "=")
    list[#list + 1] = { form_decoded(name), form_decoded(value or "") }
  end
end

local function fill_from_pairs(list, init)
  for i, pair in ipairs(init) do
    if type(pair) ~= "table" or #pair ~= 2 then
      error(("Each query pair must be a {name, value} table; number %d is not"):format(i), 4)
    end
    list[i] = { text_of(pair[1]), text_of(pair[2]) }
  end
end

--- A table of fields, as querystring.parse gives it; sorted by name, as pairs has no order.
local function fill_from_fields(list, init)
  local names, values = {}, {}
  for name, value in pairs(init) do
    local text = text_of(name)
    if values[text] == nil then names[#names + 1] = text end
    values[text] = value
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = values[name]
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      list[#list + 1] = { name, text_of(one) }
    end
  end
end

--- New parameters from what URLSearchParams takes. Errors are at the level of the caller's caller.
function M.new(init)
  local list = {}
  if getmetatable(init) == params_meta then
    for i, pair in ipairs(init.list) do list[i] = { pair[1], pair[2] } end
  elseif type(init) ~= "table" then
    fill_from_text(list, (gsub(text_of(init or ""), "^%?", "")))
  elseif type(init[1]) == "table" then
    fill_from_pairs(list, init)
  else
    fill_from_fields(list, init)
  end
  return setmetatable({ list = list }, params_meta)
end

--- Replaces all parameters with those of a query, as when the URL they belong to was changed.
function M.refill(self, query)
  self.list, self.dirty = {}, false
  fill_from_text(self.list, query or "")
end

local function changed(self)
  self.dirty = true
  return self
end

---@param name string
---@param value any made a string
---@return url.URLSearchParams self
function Params:append(name, value)
  self.list[#self.list + 1] = { text_of(name), text_of(value) }
  return changed(self)
end

local function keep_pairs(self, wanted)
  local kept = {}
  for _, pair in ipairs(self.list) do
    if wanted(pair) then kept[#kept + 1] = pair end
  end
  self.list = kept
  return changed(self)
end

--- Takes away every pair of this name; of this name and value where one is given.
---@param name string
---@param value? string
---@return url.URLSearchParams self
function Params:delete(name, value)
  name, value = text_of(name), value ~= nil and text_of(value)
  return keep_pairs(self, function(pair)
    return pair[1] ~= name or value and pair[2] ~= value
  end)
end

---@param name string
---@return string? # the first value; nil without one
function Params:get(name)
  name = text_of(name)
  for _, pair in ipairs(self.list) do
    if pair[1] == name then return pair[2] end
  end
  return nil
end

---@param name string
---@return string[]
function Params:getAll(name)
  local values = {}
  name = text_of(name)
  for _, pair in ipairs(self.list) do
    if pair[1] == name then values[#values + 1] = pair[2] end
  end
  return values
end

---@param name string
---@param value? string
---@return boolean
function Params:has(name, value)
  name, value = text_of(name), value ~= nil and text_of(value)
  for _, pair in ipairs(self.list) do
    if pair[1] == name and (not value or pair[2] == value) then return true end
  end
  return false
end

--- Gives the first pair of this name the value, and takes away the others; else appends.
---@param name string
---@param value any made a string
---@return url.URLSearchParams self
function Params:set(name, value)
  if not self:has(name) then return self:append(name, value) end
  local seen = false
  name, value = text_of(name), text_of(value)
  return keep_pairs(self, function(pair)
    if pair[1] ~= name then return true end
    if seen then return false end
    seen, pair[2] = true, value
    return true
  end)
end

--- Sorts by name, bytewise; pairs of one name keep their order.
---@return url.URLSearchParams self
function Params:sort()
  local position = {}
  for i, pair in ipairs(self.list) do position[pair] = i end
  table.sort(self.list, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return position[a] < position[b]
  end)
  return changed(self)
end

---@param visit fun(value: string, name: string, params: url.URLSearchParams)
function Params:forEach(visit)
  for name, value in self:entries() do visit(value, name, self) end
end

--- `for name, value in params:entries() do`; it sees what is changed meanwhile.
---@return fun(): string?, string?
function Params:entries()
  local i = 0
  return function()
    i = i + 1
    local pair = self.list[i]
    if pair then return pair[1], pair[2] end
  end
end

---@return fun(): string?
function Params:keys()
  local step = self:entries()
  return function() return (step()) end
end

---@return fun(): string?
function Params:values()
  local step = self:entries()
  return function() return (select(2, step())) end
end

---@return string # without a "?"
function Params:toString()
  local out = {}
  for i, pair in ipairs(self.list) do out[i] = form_text(pair[1]) .. "=" .. form_text(pair[2]) end
  return concat(out, "&")
end

params_meta.__tostring = Params.toString
params_meta.__pairs = Params.entries

return M
