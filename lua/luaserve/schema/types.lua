--- The types of a schema's values: which a value is of, and what a text of a query or a form means as one.
local json = require "json"

local M = {}

local concat = table.concat

M.is = {
  string = function(v) return type(v) == "string" end,
  number = function(v) return type(v) == "number" end,
  integer = function(v) return type(v) == "number" and v % 1 == 0 end,
  boolean = function(v) return type(v) == "boolean" end,
  null = function(v) return v == json.null end,
  array = function(v) return type(v) == "table" and json.isArray(v) end,
  object = function(v) return type(v) == "table" and not json.isArray(v) end,
}

local is_type = M.is

local names = { string = "a string", number = "a number", integer = "a whole number", boolean = "true or false",
  null = "null", array = "a list", object = "an object" }

local DECIMAL = { "^[+-]?%d+$", "^[+-]?%d+%.?%d*[eE]?[+-]?%d*$", "^[+-]?%.%d+$" }

local function to_number(text)
  for _, pattern in ipairs(DECIMAL) do
    if text:find(pattern) then return tonumber(text) end
  end
end

local BOOLEANS = { ["true"] = true, ["1"] = true, on = true, ["false"] = false, ["0"] = false, off = false }

-- What a text of a query or a form means as each type; nil where it means nothing.
local coerce = {
  number = to_number,
  integer = function(text) return text:find(DECIMAL[1]) and tonumber(text) or nil end,
  boolean = function(text) return BOOLEANS[text] end,
  null = function(text) return text == "" and json.null or nil end,
  array = function(text) return { text } end,
}

--- Notes an error of the value at path.
function M.report(state, path, message)
  local errors = state.errors
  if #errors < state.most then errors[#errors + 1] = { path = path, message = message } end
end

local report = M.report

local function types_of(schema, wrong)
  local list = schema.type
  if list == nil then return nil end
  list = type(list) == "table" and list or { list }
  local said, types = {}, {}
  for i, name in ipairs(list) do
    if not is_type[name] then
      wrong("there is no type '%s'; there are string, number, integer, boolean, array, object and null",
        tostring(name))
    end
    types[i], said[i] = name, names[name]
  end
  if schema.nullable then types[#types + 1] = "null" end
  return types, "must be " .. concat(said, " or ")
end

local function fits(value, types)
  for _, name in ipairs(types) do
    if is_type[name](value) then return true end
  end
  return false
end

local function coerced(value, types)
  for _, name in ipairs(types) do
    local convert = coerce[name]
    local result
    if convert then result = convert(value) end
    if result ~= nil then return result end
  end
  return value
end

--- What checks the type of a value, and turns a text into it where texts are all that there is; nil where a
--- schema names no type. wrong(format, ...) raises its mistakes.
---@return (fun(value: any, path: string, state: table): any, boolean)?
function M.check(schema, wrong)
  local types, message = types_of(schema, wrong)
  if not types then return nil end
  return function(value, path, state)
    if state.coerce and type(value) == "string" and not fits(value, types) then value = coerced(value, types) end
    if fits(value, types) then return value, true end
    report(state, path, message)
    return value, false
  end
end

return M
