--- Schemas: JSON Schema's words for values, compiled once to functions. A schema is a table of keywords,
--- or a string, which is its type. A mistake in a schema is an error at the line that gave it.
--
-- A table is an array where json.isArray says so, else an object: an empty one, too.
--
-- Left out: $ref and $defs (a schema is a Lua table, and may hold itself), patternProperties, if/then/else,
-- and contains; `pattern` is a Lua pattern.
local core = require "luaserve.core"
local formats = require "luaserve.schema.formats"
local json = require "json"
local types = require "luaserve.schema.types"

local M = {}

local concat, floor, sort = table.concat, math.floor, table.sort
local is_type, report = types.is, types.report

---@class SchemaError
---@field path string JSON Pointer (RFC 6901) into the value, "" for the whole
---@field message string

-- ---- values

local function copy(value)
  if type(value) ~= "table" then return value end
  local made = {}
  for k, v in pairs(value) do made[k] = copy(v) end
  return setmetatable(made, getmetatable(value))
end

local function length(text) return select(2, text:gsub("[^\128-\191]", "")) end

local function plural(n, one) return ("%d %s%s"):format(n, one, n == 1 and "" or "s") end

local function pointer(path, name)
  return path .. "/" .. tostring(name):gsub("~", "~0"):gsub("/", "~1")
end

-- ---- mistakes in schemas

local function wrong(where, message, ...)
  core.raise(("the schema%s: %s"):format(where == "" and "" or " of " .. where, message:format(...)))
end

local function want(where, keyword, value, kind, fits)
  if type(value) ~= kind or fits and not fits(value) then
    wrong(where, "%s is a %s, not %s", keyword, fits == nil and kind or "whole number from 0 on",
      type(value) == "number" and tostring(value) or "a " .. type(value))
  end
end

local function is_count(value) return value >= 0 and value % 1 == 0 end

-- ---- keywords, by the type of value that they are about

local compile -- (schema, where, seen) -> check(value, path, state) -> value

-- A keyword of numbers, texts, lists or objects with a number, and how it is said.
local function limit(kind, measure, fits, said, is_length)
  return function(bound, _, where, keyword)
    want(where, keyword, bound, "number", is_length and is_count or nil)
    local message = type(said) == "function" and said(bound) or said:format(bound)
    local test = is_type[kind]
    return function(value, path, state)
      if test(value) and not fits(measure and measure(value) or value, bound) then report(state, path, message) end
      return value
    end
  end
end

local function at_least(n, bound) return n >= bound end
local function at_most(n, bound) return n <= bound end
local function over(n, bound) return n > bound end
local function below(n, bound) return n < bound end

-- A step of a float is taken with what floats lose: 0.3 is a multiple of 0.1.
local function is_multiple(n, step)
  local ratio = n / step
  return math.abs(ratio - floor(ratio + 0.5)) <= 1e-9 * math.max(1, math.abs(ratio))
end

local function count_of(object)
  local n = 0
  for _ in pairs(object) do n = n + 1 end
  return n
end

local function sized(word, one)
  return function(n) return ("must have %s %s"):format(word, plural(n, one)) end
end

local KEYWORDS = {
  minimum = limit("number", nil, at_least, "must be at least %s"),
  maximum = limit("number", nil, at_most, "must be at most %s"),
  exclusiveMinimum = limit("number", nil, over, "must be more than %s"),
  exclusiveMaximum = limit("number", nil, below, "must be less than %s"),
  multipleOf = limit("number", nil, is_multiple, "must be a multiple of %s"),
  minLength = limit("string", length, at_least, sized("at least", "character"), true),
  maxLength = limit("string", length, at_most, sized("at most", "character"), true),
  minItems = limit("array", function(v) return #v end, at_least, sized("at least", "item"), true),
  maxItems = limit("array", function(v) return #v end, at_most, sized("at most", "item"), true),
  minProperties = limit("object", count_of, at_least, sized("at least", "field"), true),
  maxProperties = limit("object", count_of, at_most, sized("at most", "field"), true),
}

function KEYWORDS.pattern(pattern, schema, where)
  want(where, "pattern", pattern, "string")
  local ok, message = pcall(string.find, "", pattern)
  if not ok then wrong(where, "pattern is a Lua pattern: %s", message) end
  local said = schema.patternMessage or "must match " .. pattern
  return function(value, path, state)
    if type(value) == "string" and not value:find(pattern) then report(state, path, said) end
    return value
  end
end

function KEYWORDS.format(name, _, where)
  if name == "binary" or name == "password" or name == "byte" or name == "int32" or name == "int64" then return end
  local format = formats[name]
  if not format then
    local known = {}
    for each in pairs(formats) do known[#known + 1] = each end
    sort(known)
    wrong(where, "there is no format '%s'; there are %s", tostring(name), concat(known, ", "))
  end
  return function(value, path, state)
    if type(value) == "string" and not format[1](value) then report(state, path, format[2]) end
    return value
  end
end

local function is_scalar(value) return type(value) ~= "table" and type(value) ~= "function" end

local function said_of(value)
  return type(value) == "string" and value or tostring(value)
end

function KEYWORDS.enum(values, _, where)
  want(where, "enum", values, "table")
  local known, list = {}, {}
  for i, value in ipairs(values) do
    if not is_scalar(value) then wrong(where, "the values of enum are strings, numbers, booleans or json.null") end
    known[value], list[i] = true, said_of(value)
  end
  if #list == 0 then wrong(where, "enum is a list of values") end
  local message = "must be one of " .. concat(list, ", ")
  return function(value, path, state)
    if not known[value] then report(state, path, message) end
    return value
  end
end

function KEYWORDS.const(expected, _, where)
  if not is_scalar(expected) then wrong(where, "const is a string, a number, a boolean or json.null") end
  return function(value, path, state)
    if value ~= expected then report(state, path, "must be " .. said_of(expected)) end
    return value
  end
end

function KEYWORDS.items(schema, _, where, _, seen)
  local check = compile(schema, where .. "[]", seen)
  return function(list, path, state)
    if not is_type.array(list) then return list end
    for i = 1, #list do list[i] = check(list[i], pointer(path, i - 1), state) end
    return list
  end
end

function KEYWORDS.uniqueItems(unique, _, where)
  want(where, "uniqueItems", unique, "boolean")
  if not unique then return end
  return function(list, path, state)
    if not is_type.array(list) then return list end
    local seen = {}
    for i = 1, #list do
      local key = type(list[i]) == "table" and json.encode(list[i], { sort = true }) or list[i]
      if seen[key] then report(state, pointer(path, i - 1), "must not be there twice") end
      seen[key] = true
    end
    return list
  end
end

-- ---- objects

local function check_known(object, path, state, properties, rest)
  local found = {}
  for name in pairs(object) do
    if not properties[name] then found[#found + 1] = name end
  end
  sort(found, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(found) do
    if rest then
      object[name] = rest(object[name], pointer(path, name), state)
    else
      report(state, pointer(path, name), "is not known")
    end
  end
end

local function compile_properties(schema, where, seen)
  local checks, order, defaults = {}, {}, {}
  for name, property in pairs(schema.properties or {}) do
    if type(name) ~= "string" then wrong(where, "properties are schemas by name") end
    checks[name] = compile(property, where == "" and name or where .. "." .. name, seen)
    if type(property) == "table" then defaults[name] = property.default end
    order[#order + 1] = name
  end
  sort(order)
  return checks, order, defaults
end

--- properties, required and additionalProperties, which are one walk.
local function compile_object(schema, where, seen)
  want(where, "properties", schema.properties or {}, "table")
  want(where, "required", schema.required or {}, "table")
  local checks, order, defaults = compile_properties(schema, where, seen)
  local rest, others = nil, schema.additionalProperties
  if others ~= nil and type(others) ~= "boolean" then rest = compile(others, where .. ".*", seen) end
  return function(object, path, state)
    if not is_type.object(object) then return object end
    for _, name in ipairs(order) do
      if object[name] == nil then
        object[name] = copy(defaults[name])
      else
        object[name] = checks[name](object[name], pointer(path, name), state)
      end
    end
    for _, name in ipairs(schema.required or {}) do
      if object[name] == nil then report(state, pointer(path, name), "is missing") end
    end
    if others == false or rest then check_known(object, path, state, checks, rest) end
    return object
  end
end

-- ---- alternatives

--- How many of the checks a value passes, the first of which, and what it then is.
local function try(checks, value, path, state)
  local passed, first = 0, nil
  for _, check in ipairs(checks) do
    local trial = { errors = {}, most = 1, coerce = state.coerce }
    local result = check(copy(value), path, trial)
    if #trial.errors == 0 then
      passed = passed + 1
      if first == nil then first = result end
    end
  end
  return passed, first
end

local function alternatives(choose)
  return function(schemas, _, where, keyword, seen)
    want(where, keyword, schemas, "table")
    local checks = {}
    for i, schema in ipairs(schemas) do checks[i] = compile(schema, where, seen) end
    return function(value, path, state)
      local passed, first = try(checks, value, path, state)
      local message = choose(passed)
      if message then
        report(state, path, message)
        return value
      end
      return first
    end
  end
end

KEYWORDS.anyOf = alternatives(function(n) return n == 0 and "must be one of the alternatives" or nil end)
KEYWORDS.oneOf = alternatives(function(n)
  return n == 0 and "must be one of the alternatives" or n > 1 and "must be only one of the alternatives" or nil
end)

function KEYWORDS.allOf(schemas, _, where, _, seen)
  want(where, "allOf", schemas, "table")
  local checks = {}
  for i, schema in ipairs(schemas) do checks[i] = compile(schema, where, seen) end
  return function(value, path, state)
    for _, check in ipairs(checks) do value = check(value, path, state) end
    return value
  end
end

KEYWORDS["not"] = function(schema, _, where, _, seen)
  local checks = { compile(schema, where, seen) }
  return function(value, path, state)
    if try(checks, value, path, state) > 0 then report(state, path, "must not be so") end
    return value
  end
end

-- ---- compiling

-- In this order, which is that of the messages.
local ORDER = { "enum", "const", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf",
  "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "items", "uniqueItems", "minProperties",
  "maxProperties", "allOf", "anyOf", "oneOf", "not" }

local OTHERS = { "type", "nullable", "properties", "required", "additionalProperties", "default", "title",
  "description", "example", "examples", "deprecated", "readOnly", "writeOnly", "patternMessage", "name" }

local KNOWN = {}
for _, list in ipairs { ORDER, OTHERS } do
  for _, name in ipairs(list) do KNOWN[name] = true end
end

local function check_keywords(schema, where)
  for name in pairs(schema) do
    if not KNOWN[name] and not tostring(name):find("^x%-") then
      wrong(where, "there is no keyword '%s'; there are %s, %s", tostring(name), concat(ORDER, ", "),
        concat(OTHERS, ", "))
    end
  end
end

--- A file of a form, which is no string though its schema says so.
local function check_file(value, path, state)
  if type(value) ~= "table" or type(value.filename) ~= "string" then report(state, path, "must be a file") end
  return value
end

local function steps_of(schema, where, seen)
  local steps = {}
  for _, keyword in ipairs(ORDER) do
    if schema[keyword] ~= nil then
      steps[#steps + 1] = KEYWORDS[keyword](schema[keyword], schema, where, keyword, seen)
    end
  end
  if schema.properties or schema.required or schema.additionalProperties ~= nil then
    steps[#steps + 1] = compile_object(schema, where, seen)
  end
  return steps
end

local function build(schema, where, seen)
  check_keywords(schema, where)
  if schema.type == "string" and schema.format == "binary" then return check_file end
  local check_type = types.check(schema, function(...) wrong(where, ...) end)
  local steps = steps_of(schema, where, seen)
  return function(value, path, state)
    if check_type then
      local ok
      value, ok = check_type(value, path, state)
      if not ok or schema.nullable and value == json.null then return value end
    end
    for i = 1, #steps do value = steps[i](value, path, state) end
    return value
  end
end

function compile(schema, where, seen)
  if type(schema) == "string" then schema = { type = schema } end
  if type(schema) ~= "table" then
    wrong(where, "a schema is a table of keywords, or a type as a string, not a %s", type(schema))
  end
  local check = seen[schema]
  if not check then -- before it is built: a schema may hold itself
    seen[schema] = function(...) return check(...) end
    check = build(schema, where, seen)
    seen[schema] = check
  end
  return check
end

--- Compiles a schema to check(value, options) -> value, or nil and a list of what is wrong with it.
--- Options: coerce, whether texts are turned into the types that are asked for, as for queries and forms;
--- maxErrors (50). The value may be changed: defaults are filled in.
---@param schema table|string
---@param where string? what to call it in messages
---@return fun(value: any, options: {coerce: boolean?, maxErrors: integer?}?): any, SchemaError[]?
function M.compile(schema, where)
  local check = compile(schema, where or "", {})
  return function(value, options)
    local state = { errors = {}, most = options and options.maxErrors or 50, coerce = options and options.coerce }
    local result = check(value, "", state)
    if state.errors[1] then return nil, state.errors end
    return result
  end
end

return M
