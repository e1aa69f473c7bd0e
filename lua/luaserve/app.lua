--- Apps: what `luaserve()` makes. Here is what is defined, and checked when it is: routes,
--- middlewares, mounts, names, settings. router.lua answers requests with it.
local core = require "luaserve.core"
local pattern = require "luaserve.pattern"

local M = {}

---@class App
local App = {}

local router -- loaded with the first request

-- ---- what is given

local function text_of(value)
  return type(value) == "string" and "'" .. value .. "'" or "a " .. type(value)
end

local app_meta

local function is_app(value)
  return type(value) == "table" and getmetatable(value) == app_meta
end

M.is_app = is_app
M.made = {} -- what the script has made until it has ended; then nil

local sources = setmetatable({}, { __mode = "k" }) -- what a handler was made of, where it was no function

--- The table that can be called which a handler stands for, or nil.
---@param fn function
---@return table?
function M.source(fn)
  return sources[fn]
end

local function called(value)
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) ~= "table" or not meta.__call then return nil end
  local function fn(...) return value(...) end
  sources[fn] = value
  return fn
end

--- Adds a handler to fns; a list of them is as if each was given.
local function add_handler(fns, value, what)
  if type(value) == "function" then
    fns[#fns + 1] = value
  elseif type(value) == "table" and getmetatable(value) then
    fns[#fns + 1] = called(value) or core.raise(what .. " needs functions, not a table that cannot be called")
  elseif type(value) == "table" and value[1] ~= nil and getmetatable(value) == nil then
    for i = 1, #value do add_handler(fns, value[i], what) end
  else
    core.raise(what .. " needs functions, not " .. (value == nil and "nil" or text_of(value)))
  end
end

local function handlers(what, ...)
  local fns, n = {}, select("#", ...)
  if n == 0 then core.raise(what .. " needs a function: function(req, res) ... end") end
  for i = 1, n do add_handler(fns, (select(i, ...)), what) end
  return fns
end

local function changed(app)
  while app do
    app._state = nil
    app = app._parent
  end
end

local function add_layer(app, layer)
  layer.where = core.where()
  app._layers[#app._layers + 1] = layer
  changed(app)
  return layer
end

-- ---- routes

---@class Route what app:get and the others return; all methods of its app can be called on it, too
local Route = {}

local route_meta = { __name = "Route", __index = function(_, name)
  if Route[name] then return Route[name] end
  if not App[name] then return nil end
  return function(self, ...) return App[name](self._app, ...) end
end }

--- Names the route, for app:url.
---@param name string
---@return self
function Route:name(name)
  if type(name) ~= "string" or name == "" then core.raise("a route's name is a string, not " .. text_of(name)) end
  local app = self._app
  while app._group do app = app._parent end
  local known = app._names[name]
  if known then core.raise(("the name '%s' is taken by %s %s"):format(name, known.method, known.path)) end
  app._names[name] = self._layer
  self._layer.name, self._layer.app = name, self._app
  return self
end

local ABOUT = { summary = "string", description = "string", tags = "table", responses = "table", operationId = "string",
  deprecated = "boolean", hidden = "boolean", params = "table", query = "table", headers = "table",
  body = "table string" }

--- Says what the route is for, in the document of app:docs: summary, description, tags,
--- responses (by status, a text or a schema), operationId, deprecated, hidden; and
--- schemas that nothing checks: params, query, headers, body.
---@param about table
---@return self
function Route:describe(about)
  if type(about) ~= "table" then core.raise("describe needs a table: summary, description, tags, responses...") end
  self._layer.about = require("luaserve.options").check("describe", about, ABOUT)
  return self
end

local function check_twice(app, layer)
  for _, list in ipairs(layer.lists) do
    local key = layer.method .. " " .. pattern.key(list)
    local known = app._known[key]
    if known and known ~= layer then
      core.raise(("%s %s is defined twice: the first time at %s"):format(layer.method, layer.path,
        (known.where:gsub(": $", ""))))
    end
    app._known[key] = layer
  end
end

local function define(app, method, path, ...)
  local what = ("%s %s"):format(method, tostring(path))
  local lists, message = pattern.parse(path)
  if not lists then core.raise(("bad path %s: %s"):format(text_of(path), message)) end
  local layer = { kind = "route", method = method, path = path, lists = lists, fns = handlers(what, ...) }
  check_twice(app, layer)
  add_layer(app, layer)
  return setmetatable({ _app = app, _layer = layer }, route_meta)
end

--- Serves GET (and HEAD) of a path; with one argument that is no path, reads a setting.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:get(path, ...)
  if select("#", ...) == 0 and type(path) == "string" and path:sub(1, 1) ~= "/" and path ~= "*" then
    return self:setting(path)
  end
  return define(self, "GET", path, ...)
end

--- Serves POST of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:post(path, ...)
  return define(self, "POST", path, ...)
end

--- Serves PUT of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:put(path, ...)
  return define(self, "PUT", path, ...)
end

--- Serves PATCH of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:patch(path, ...)
  return define(self, "PATCH", path, ...)
end

--- Serves DELETE of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:delete(path, ...)
  return define(self, "DELETE", path, ...)
end

--- Serves HEAD of a path, in place of what GET does.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:head(path, ...)
  return define(self, "HEAD", path, ...)
end

--- Serves OPTIONS of a path, in place of the answer that names its methods.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:options(path, ...)
  return define(self, "OPTIONS", path, ...)
end

--- Serves every method of a path that has no route of its own.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:all(path, ...)
  return define(self, "ALL", path, ...)
end

--- Serves any other method of a path: app:method("PROPFIND", "/", fn).
---@param method string in upper case
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:method(method, path, ...)
  if type(method) ~= "string" or not method:find("^[%u-]+$") or method == "ALL" then
    core.raise("a method is a string in upper case, as \"PROPFIND\", not " .. text_of(method))
  end
  return define(self, method, path, ...)
end

---@class PathRoutes the methods of an app that define routes, with the path given already
local path_meta = { __name = "PathRoutes" }

function path_meta.__index(_, verb)
  if not path_meta[verb] then return nil end
  return function(self, ...)
    App[verb](self._app, self._path, ...)
    return self
  end
end

for _, verb in ipairs { "get", "post", "put", "patch", "delete", "head", "options", "all" } do
  path_meta[verb] = true
end

--- Several methods of one path: app:route("/users"):get(list):post(add).
---@param path string
---@return PathRoutes
function App:route(path)
  local lists, message = pattern.parse(path)
  if not lists then core.raise(("bad path %s: %s"):format(text_of(path), message)) end
  return setmetatable({ _app = self, _path = path }, path_meta)
end

-- ---- middlewares, mounts

local function prefix_of(text)
  local list, message = pattern.prefix(text)
  if not list then core.raise(("bad prefix %s: %s"):format(text_of(text), message)) end
  return list
end

local function holds(app, inner)
  if app == inner then return true end
  for _, layer in ipairs(app._layers) do
    if layer.kind == "mount" and holds(layer.app, inner) then return true end
  end
  return false
end

local function mount(app, prefix, inner, group)
  local list = prefix_of(prefix)
  if holds(inner, app) then core.raise("an app cannot be mounted in itself") end
  if not inner._parent then inner._parent, inner._prefix = app, list end
  add_layer(app, { kind = "mount", prefix = list, path = prefix, app = inner, group = group })
  return app
end

--- Has functions run for what is defined after it, in order; with a prefix only below
--- that, which they do not see in req.path. An app is mounted.
---@param prefix string|luaserve.Middleware|App|function[]
---@param ... luaserve.Middleware|App|function[]
---@return self
function App:use(prefix, ...)
  if type(prefix) ~= "string" then return App.use(self, "/", prefix, ...) end
  local list, n = prefix_of(prefix), select("#", ...)
  if n == 0 then core.raise("app:use needs a function: function(req, res, next) ... end") end
  for i = 1, n do
    local value = select(i, ...)
    if is_app(value) then
      mount(self, prefix, value)
    else
      add_layer(self, { kind = "use", prefix = list, path = prefix, fns = handlers("app:use", value) })
    end
  end
  return self
end

--- Serves another app below prefix. It sees req.path without it; what it has no answer
--- for goes on behind it.
---@param prefix string
---@param app App
---@return self
function App:mount(prefix, app)
  if not is_app(app) then core.raise("app:mount needs a prefix and an app, not " .. text_of(app)) end
  return mount(self, prefix, app)
end

--- Defines routes and middlewares that have a prefix in common: fn gets a group, which
--- has the methods of an app.
---@param prefix string
---@param fn fun(group: App)
---@return self
function App:group(prefix, fn)
  if type(fn) ~= "function" then core.raise("app:group needs a prefix and a function(group)") end
  local inner = M.new()
  inner._group = true
  mount(self, prefix, inner, true)
  fn(inner)
  return self
end

--- Has fn(err, req, res, next) answer where a handler, a middleware or a callback of a
--- request has failed and nothing of the answer has left; next(err) asks the next one.
---@param fn fun(err: table, req: IncomingMessage, res: ServerResponse, next: fun(err: any))
---@return self
function App:onError(fn)
  if type(fn) ~= "function" and not called(fn) then
    core.raise("app:onError needs a function(err, req, res), not " .. text_of(fn))
  end
  require("luaserve.rescue").watch()
  self._rescuers[#self._rescuers + 1] = fn
  return self
end

-- ---- addresses of named routes

--- The layer of that name in an app and those mounted in it.
local function named(app, name)
  local layer = app._names[name]
  if layer then return layer end
  for _, inner in ipairs(app._layers) do
    local found = inner.kind == "mount" and named(inner.app, name)
    if found then return found end
  end
end

--- The path of a named route, with params escaped, and a query.
---@param name string
---@param params table<string, string|number>?
---@param query table|string|nil
---@return string
function App:url(name, params, query)
  local top = self
  while top._parent do top = top._parent end
  local layer = named(self, name) or named(top, name)
  if not layer then core.raise(("there is no route named %s"):format(text_of(name))) end
  local lists = { {} }
  local app = layer.app
  while app._parent do
    table.insert(lists, 2, app._prefix)
    app = app._parent
  end
  return require("luaserve.address").of(layer, lists, params, query)
end

-- ---- settings

--- Sets a setting; see the reference for those that luaserve knows.
---@param name string
---@param value any
---@return self
function App:set(name, value)
  if type(name) ~= "string" then core.raise("the name of a setting is a string, not " .. text_of(name)) end
  value = require("luaserve.settings").check(name, value)
  self._settings[name] = value
  return self
end

--- A setting; a mounted app has those of the app in which it is mounted.
---@param name string
---@return any
function App:setting(name)
  local value = self._settings[name]
  if value == nil and self._parent then return self._parent:setting(name) end
  return value
end

-- ---- what it offers

--- Serves a page that shows the routes, and lets them be tried out; below it
--- /openapi.json. Options: title, version, description, servers (URLs).
---@param path string
---@param options {title: string?, version: string?, description: string?, servers: string[]?}?
---@return self
function App:docs(path, options)
  if not pattern.prefix(path) then core.raise("app:docs needs the path of its page, not " .. text_of(path)) end
  require("luaserve.openapi").serve(self, path, options)
  return self
end

-- ---- serving

--- Serves a path that says how this process is: see luaserve.health.
---@param path string? "/health" where missing
---@param checks table<string, function>? by name
---@return Route
function App:health(path, checks)
  if type(path) == "table" then path, checks = nil, path end
  return self:get(path or "/health", require("luaserve.health").handler(checks))
end

--- Makes a server for the app and listens, as server:listen does.
---@param ... any port | path | options [, host] [, callback]
---@return Server
function App:listen(...)
  return require("http").createServer(self):listen(...)
end

app_meta = { __name = "App", __index = App }

local function count_routes(app)
  local n = 0
  for _, layer in ipairs(app._layers) do
    n = n + (layer.kind == "route" and 1 or layer.kind == "mount" and count_routes(layer.app) or 0)
  end
  return n
end

--- For prompts and console.log: "App (3 routes, app.lua:2)".
function app_meta.__tostring(app)
  local n, place = count_routes(app), app._where:match("([^/]*): $") or ""
  return ("App (%d route%s%s)"):format(n, n == 1 and "" or "s", place ~= "" and ", " .. place or "")
end

--- For http.createServer: the function that answers requests. What is wrong with the app
--- is found here.
function app_meta.__serve(app)
  router = router or require "luaserve.router"
  router.start(app)
  local handle = router.handle
  return function(req, res) return handle(app, req, res) end
end

function app_meta.__call(app, req, res, next)
  router = router or require "luaserve.router"
  if next and not rawget(req, "app") then req._out = next end
  return router.handle(app, req, res)
end

--- Makes an app.
---@param settings table<string, any>?
---@return App
function M.new(settings)
  if settings ~= nil and type(settings) ~= "table" then
    core.raise("luaserve() takes a table of settings, not " .. text_of(settings))
  end
  local app = { _layers = {}, _names = {}, _known = {}, _settings = {}, _rescuers = {}, _where = core.where() }
  setmetatable(app, app_meta)
  for name, value in pairs(settings or {}) do app:set(name, value) end
  if core.showing then core.showing[#core.showing + 1] = app end
  if M.made then M.made[#M.made + 1] = app end
  return app
end

M.App = App

return M
