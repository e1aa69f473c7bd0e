--- The OpenAPI document of an app (3.1), made of its routes, of the schemas that their
--- middlewares check, and of what route:describe says; and the page that shows it.
local apps = require "luaserve.app"
local core = require "luaserve.core"
local json = require "json"
local names = require "luaserve.names"
local segments = require "luaserve.segments"

local M = {}

local VERBS = { GET = true, POST = true, PUT = true, PATCH = true, DELETE = true, HEAD = true, OPTIONS = true }

-- ---- schemas

local PLAIN = { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
  "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "format", "title", "description", "default",
  "deprecated", "readOnly", "writeOnly", "const" }
local LISTS = { "allOf", "anyOf", "oneOf" }

local function list_of(values)
  local list = json.array({})
  for i, value in ipairs(values) do list[i] = value end
  return list
end

--- The regular expression that means the same as a Lua pattern; nil where that is not plain.
local function regex_of(pattern)
  local text = pattern:gsub("^%^", ""):gsub("%$$", "")
  if text:find("%%[^adlusw%p]") or text:find("[()-]") then return nil end
  local classes = { a = "A-Za-z", d = "0-9", l = "a-z", u = "A-Z", w = "A-Za-z0-9", s = "\\s" }
  text = text:gsub("%[[^%]]*%]", function(set) -- in a set the classes stand bare
    return (set:gsub("%%([adluws])", classes))
  end)
  text = text:gsub("%%([adluws])", function(class) return "[" .. classes[class] .. "]" end):gsub("%%(%p)", "\\%1")
  return (pattern:sub(1, 1) == "^" and "^" or "") .. text .. (pattern:find("[^%%]%$$") and "$" or "")
end

local translate

local function translate_all(given, out, known)
  if given.items then out.items = translate(given.items, known) end
  if given["not"] then out["not"] = translate(given["not"], known) end
  for _, name in ipairs(LISTS) do
    for i, one in ipairs(given[name] or {}) do
      out[name] = out[name] or json.array({})
      out[name][i] = translate(one, known)
    end
  end
  for name, one in pairs(given.properties or {}) do
    out.properties = out.properties or {}
    out.properties[name] = translate(one, known)
  end
  local additional = given.additionalProperties
  if type(additional) == "boolean" then
    out.additionalProperties = additional
  elseif additional ~= nil then
    out.additionalProperties = translate(additional, known)
  end
end

local function type_of(given)
  local kinds = type(given.type) == "table" and list_of(given.type) or given.type
  if not given.nullable or not kinds then return kinds end
  kinds = type(kinds) == "table" and kinds or json.array({ kinds })
  kinds[#kinds + 1] = "null"
  return kinds
end

--- A schema as JSON Schema has it. One that holds itself becomes a component with a name;
--- known has those, by table, and at the same time those that are being translated.
function translate(given, known)
  if type(given) ~= "table" then return type(given) == "string" and { type = given } or json.null end
  if known.open[given] then
    known.names[given] = known.names[given] or given.title and given.title:gsub("[^%w._-]", "_") or nil
    if not known.names[given] then
      known.count = known.count + 1
      known.names[given] = "Schema" .. known.count
    end
    return { ["$ref"] = "#/components/schemas/" .. known.names[given] }
  end
  known.open[given] = true
  local out = { type = type_of(given) }
  for _, name in ipairs(PLAIN) do out[name] = given[name] end
  for name, value in pairs(given) do
    if type(name) == "string" and name:find("^x%-") then out[name] = value end
  end
  if given.enum then out.enum = list_of(given.enum) end
  if given.required then out.required = list_of(given.required) end
  if given.example ~= nil or given.examples then out.examples = list_of(given.examples or { given.example }) end
  if given.pattern then out.pattern = regex_of(given.pattern) end
  translate_all(given, out, known)
  known.open[given] = nil
  local name = known.names[given]
  if not name then return out end
  known.components[name] = out
  return { ["$ref"] = "#/components/schemas/" .. name }
end

-- ---- operations

--- What luaserve.validate was given in front of a route: its schemas, and what it says of the route.
local function options_of(entry)
  local all = {}
  local function add(fns)
    for _, fn in ipairs(fns) do
      local source = apps.source(fn)
      if source and source.name == "validate" then
        for name, value in pairs(source.schema) do all[name] = value end
      end
    end
  end
  for _, use in ipairs(entry.guarded_by) do add(use.layer.fns) end
  add(entry.flat.layer.fns)
  for name, value in pairs(entry.flat.layer.about or {}) do all[name] = value end
  return all
end

--- Schemas by name, which stand alone or as the properties of an object; and which are required.
local function properties_of(given)
  if not given then return {}, {} end
  local required = {}
  for _, name in ipairs(given.type == "object" and given.required or {}) do required[name] = true end
  return given.type == "object" and given.properties or given, required
end

local function parameter(name, place, required, given, known)
  return { name = name, ["in"] = place, required = required or nil,
    description = type(given) == "table" and given.description or nil, schema = translate(given, known) }
end

local function add_parameters(list, place, given, known)
  local properties, required = properties_of(given)
  for _, name in ipairs(names.sorted(properties)) do
    list[#list + 1] = parameter(name, place, required[name], properties[name], known)
  end
end

--- The parameters of the path: those that a schema describes, and the others as strings.
local function path_parameters(list, entry, given, known)
  local properties = properties_of(given)
  for _, segment in ipairs(entry.list) do
    local checks = {}
    for _, part in ipairs(segment.parts or {}) do
      if part.name then checks[part.name] = part.check end
    end
    for _, name in ipairs(segment.names) do
      local own = properties[name] or { type = "string", pattern = checks[name] }
      list[#list + 1] = parameter(name, "path", true, own, known)
    end
  end
end

local function segment_text(segment)
  if segment.kind == "static" then return segment.text end
  if segment.kind == "rest" then return "{" .. segment.names[1] .. "}" end
  local text = ""
  for _, part in ipairs(segment.parts) do text = text .. (part.text or "{" .. part.name .. "}") end
  return text
end

local function path_of(list)
  local texts = {}
  for i, segment in ipairs(list) do texts[i] = segment_text(segment) end
  return "/" .. table.concat(texts, "/")
end

local PROBLEM = { type = "object", properties = { errors = { type = "array", items = { type = "object",
  properties = { ["in"] = "string", path = "string", message = "string" } } } } }

local function content(schema, kind)
  return { [kind or "application/json"] = { schema = schema } }
end

local TYPE_NAMES = { string = true, number = true, integer = true, boolean = true, array = true, object = true }

local function responses_of(about, known)
  local responses = {}
  for status, what in pairs(about.responses or {}) do
    local phrase = core.statuses()[tonumber(status)] or "answer"
    if type(what) == "string" and not TYPE_NAMES[what] then
      responses[tostring(status)] = { description = what }
    else
      local text = type(what) == "table" and what.description or phrase
      responses[tostring(status)] = { description = text, content = content(translate(what, known)) }
    end
  end
  if not next(responses) then responses["200"] = { description = "OK" } end
  if (about.params or about.query or about.headers or about.body) and not responses["422"] then
    responses["422"] = { description = "what was sent is not valid", content = content(translate(PROBLEM, known)) }
  end
  return responses
end

--- Whether a body holds files, which only forms do.
local function has_files(schema)
  for _, one in pairs(type(schema) == "table" and schema.properties or {}) do
    if type(one) == "table" and one.format == "binary" then return true end
  end
  return false
end

local function operation_of(entry, known)
  local about = options_of(entry)
  local parameters = {}
  path_parameters(parameters, entry, about.params, known)
  add_parameters(parameters, "query", about.query, known)
  add_parameters(parameters, "header", about.headers, known)
  local operation = { operationId = about.operationId or entry.flat.layer.name, summary = about.summary,
    description = about.description, deprecated = about.deprecated, tags = about.tags and list_of(about.tags) or nil,
    parameters = parameters[1] and list_of(parameters) or nil, responses = responses_of(about, known) }
  if about.body then
    operation.requestBody = { required = true,
      content = content(translate(about.body, known), has_files(about.body) and "multipart/form-data" or nil) }
  end
  return operation
end

local KNOWN = { title = "string", version = "string", description = "string", servers = "table" }

--- The document. Options: title, version, description, servers (a list of URLs).
---@param app App
---@param options table?
---@return table
function M.document(app, options)
  options = require("luaserve.options").check("app:docs", options, KNOWN)
  local state = app._state or require("luaserve.router").start(app)
  local paths, known = {}, { open = {}, names = {}, components = {}, count = 0 }
  for _, made in ipairs(state.entries) do
    local method, about = made.entry.flat.layer.method, made.entry.flat.layer.about or {}
    if VERBS[method] and not about.hidden then
      local path = path_of(made.list)
      paths[path] = paths[path] or {}
      paths[path][method:lower()] = operation_of(made.entry, known)
    end
  end
  local servers
  for i, url in ipairs(options.servers or {}) do
    servers = servers or json.array({})
    servers[i] = { url = url }
  end
  return { openapi = "3.1.0", info = { title = options.title or "API", version = options.version or "1.0.0",
    description = options.description }, servers = servers, paths = paths,
    components = next(known.components) and { schemas = known.components } or nil }
end

-- ---- the page

local function send(res, kind, text)
  res:setHeader("Content-Type", kind)
  res:setHeader("Cache-Control", "no-cache")
  return res:finish(text)
end

--- Adds the routes of the page and the document to app, below path.
---@param app App
---@param path string
---@param options table?
function M.serve(app, path, options)
  require("luaserve.options").check("app:docs", options, KNOWN)
  app._docs = options -- for --openapi
  local base, hidden = path:gsub("/+$", ""), { hidden = true }
  local files, escape = require "luaserve.docs_page", require("luaserve").escapeHTML
  local title = escape(options and options.title or "API")
  local function page(req, res)
    local own = escape((segments.raw(req.url):gsub("/+$", ""))) -- with the prefixes of mounts
    return send(res, "text/html; charset=utf-8", (files.html:gsub("{(%a+)}", { title = title, base = own })))
  end
  local function document(req, res)
    return send(res, "application/json", json.encode(M.document(req.app, options), { sort = true }))
  end
  app:get(base == "" and "/" or base, page):describe(hidden)
  app:get(base .. "/openapi.json", document):describe(hidden)
  app:get(base .. "/docs.js", function(_, res)
    return send(res, "text/javascript; charset=utf-8", files.script)
  end):describe(hidden)
  app:get(base .. "/docs.css", function(_, res)
    return send(res, "text/css; charset=utf-8", files.style)
  end):describe(hidden)
  app:get(base .. "/icon.svg", function(_, res) return send(res, "image/svg+xml", files.icon) end):describe(hidden)
end

return M
