--- Middleware that lets in what fits a schema, and answers 422 to all else, with each
--- error's place and what is wrong with it.
local body = require "luaserve.body"
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local schema = require "luaserve.schema"

local M = {}

local PLACES = { "params", "query", "headers", "body" }
-- What OpenAPI calls them.
local NAMES = { params = "path", query = "query", headers = "header", body = "body" }

local KNOWN = { params = "table", query = "table", headers = "table", body = "table string", onError = "function",
  maxErrors = "integer", summary = "string", description = "string", tags = "table", operationId = "string",
  deprecated = "boolean", responses = "table" }

local FORMS = { ["multipart/form-data"] = true, ["application/x-www-form-urlencoded"] = true }

--- Values by name are an object, whose properties may be given alone.
local function object_of(given, place)
  if given.type == "object" or type(given.allOf) == "table" then return given end
  local required = {}
  if place == "params" then
    for name in pairs(given) do required[#required + 1] = name end
  end
  return { type = "object", properties = given, required = required }
end

local function lowered(given)
  local schema_of, required = {}, {}
  for key, value in pairs(given) do schema_of[key] = value end
  schema_of.properties = {}
  for name, property in pairs(given.properties or {}) do schema_of.properties[tostring(name):lower()] = property end
  for i, name in ipairs(given.required or {}) do required[i] = tostring(name):lower() end
  schema_of.required = required
  return schema_of
end

--- A file of a form is where its schema looks for it.
local function with_files(form, files)
  for name, file in pairs(files or {}) do
    if form[name] == nil then form[name] = file end
  end
  return form
end

--- The body, and whether it is texts alone; nil, false where there is none.
local function read_body(req)
  if not body.is_there(req) or body.announced(req) == 0 then return nil, false end
  if not FORMS[body.media_type(req) or ""] then return req:json(), false end
  local form, files = req:form()
  return form and with_files(form, files), true
end

local read = {
  params = function(req) return req.params or {}, true end,
  query = function(req) return req.query, true end,
  headers = function(req)
    local found = {}
    for name, value in pairs(req.headers) do found[name] = value end
    return found, true
  end,
  body = read_body,
}

local function add(errors, place, found)
  for _, each in ipairs(found) do
    errors[#errors + 1] = { ["in"] = NAMES[place], path = each.path, message = each.message }
  end
end

--- Checks one place and puts what it is then where the handler looks for it.
local function check_place(req, place, check, most, errors)
  local value, texts = read[place](req)
  if value == nil then
    if not req.headers then return false end -- the client is gone
    return add(errors, place, { { path = "", message = "is missing" } })
  end
  local valid, found = check(value, { coerce = texts, maxErrors = most })
  if found then return add(errors, place, found) end
  if place ~= "headers" then req[place] = valid end
end

local function compile(options)
  local checks = {}
  for _, place in ipairs(PLACES) do
    local given = options[place]
    if given and place ~= "body" then given = object_of(given, place) end
    if given and place == "headers" then given = lowered(given) end
    if given then checks[place] = schema.compile(given, place) end
  end
  if not next(checks) then core.raise("validate needs a schema for params, query, headers or body") end
  return checks
end

--- Middleware. Its options are schemas: for `params`, `query` and `headers` by name, whose values are turned
--- from texts into what they are; for `body`, JSON or a form. What fits is `req.params`, `req.query` and
--- `req.body` then; what does not is answered 422 with `{errors = {{in, path, message}...}}`, or by
--- onError(errors, req, res). What OpenAPI says of a route can stand here too: summary, description, tags,
--- operationId, deprecated, responses.
---@param options table
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("validate", options, KNOWN)
  local checks, most = compile(options), options.maxErrors or 50
  local refuse = options.onError or function(errors) return 422, { errors = errors } end
  local function run(_, req, res, next)
    local errors = {}
    for _, place in ipairs(PLACES) do
      if checks[place] and check_place(req, place, checks[place], most, errors) == false then return nil end
    end
    if errors[1] then return refuse(errors, req, res) end
    return next()
  end
  return setmetatable({ schema = options, name = "validate" }, { __call = run })
end

--- Compiles a schema to check(value, options) -> value, or nil and a list of `{path, message}`. Options:
--- coerce, whether texts become what is asked for; maxErrors (50).
---@param given table|string
---@return fun(value: any, options: table?): any, SchemaError[]?
function M.compile(given)
  return schema.compile(given)
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
