---@meta luaserve

---@alias luaserve.Handler fun(req: IncomingMessage, res: ServerResponse): any, any
---@alias luaserve.Next fun(err: any?): any, any
---@alias luaserve.Middleware luaserve.RateLimiter|fun(req: IncomingMessage, res: ServerResponse, next: luaserve.Next): any, any

---@class luaserve.CookieOptions
---@field maxAge number? milliseconds
---@field expires number? seconds since 1970
---@field path string?
---@field domain string?
---@field secure boolean?
---@field httpOnly boolean?
---@field sameSite "strict"|"lax"|"none"|boolean|nil
---@field signed boolean? with the app's setting "secret"; not of a session
---@field partitioned boolean?
---@field priority "low"|"medium"|"high"|nil
---@field encode (fun(value: string): string)? encodes the value instead
---@field persistent boolean? of a session alone: whether it outlives the browser

--- luaserve() makes an app of routes and middlewares.
---@class luaserve
---@overload fun(settings: table<string, any>?): App
local luaserve = {}

---@type string
luaserve.version = ""

--#region lua/luaserve/init.lua M=luaserve.
--- A table for the running request's own data; outside of a request, one of the
--- process. It follows the request through callbacks, timers and waits.
---@return table
function luaserve.context() end

--- An error value that, raised, answers the request with its status; the message
--- is sent to the client where the status is under 500.
---@param status integer 400 to 599
---@param message string?
---@param fields table? further fields of the error
---@return table error to be given to error()
function luaserve.new_error(status, message, fields) end

--- Raises an error that answers the request with status.
---@param status integer 400 to 599
---@param message string?
---@param fields table?
function luaserve.error(status, message, fields) end

--- A text safe to stand in HTML: & < > " and ' become references.
---@param text string|number
---@return string
function luaserve.escapeHTML(text) end
--#endregion

luaserve.all = require("luaserve.all")
luaserve.basicAuth = require("luaserve.basicAuth")
luaserve.compress = require("luaserve.compress")
luaserve.cors = require("luaserve.cors")
luaserve.csrf = require("luaserve.csrf")
luaserve.fetch = require("luaserve.fetch")
luaserve.health = require("luaserve.health")
luaserve.helmet = require("luaserve.helmet")
luaserve.jwt = require("luaserve.jwt")
luaserve.logger = require("luaserve.logger")
luaserve.metrics = require("luaserve.metrics")
luaserve.multipart = require("luaserve.multipart")
luaserve.postgres = require("luaserve.postgres")
luaserve.rateLimit = require("luaserve.rateLimit")
luaserve.redis = require("luaserve.redis")
luaserve.requestId = require("luaserve.requestId")
luaserve.session = require("luaserve.session")
luaserve.sqlite = require("luaserve.sqlite")
luaserve.static = require("luaserve.static")
luaserve.store = require("luaserve.store")
luaserve.template = require("luaserve.template")
luaserve.test = require("luaserve.test")
luaserve.timeout = require("luaserve.timeout")
luaserve.validate = require("luaserve.validate")

-- ---- apps

--#region lua/luaserve/app.lua App=App: Route=Route:
---@class App
local App = {}

---@class Route what app:get and the others return; all methods of its app can be called on it, too
local Route = {}

--- Names the route, for app:url.
---@param name string
---@return self
function Route:name(name) end

--- Says what the route is for, in the document of app:docs: summary, description, tags,
--- responses (by status, a text or a schema), operationId, deprecated, hidden; and
--- schemas that nothing checks: params, query, headers, body.
---@param about table
---@return self
function Route:describe(about) end

--- Serves GET (and HEAD) of a path; with one argument that is no path, reads a setting.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:get(path, ...) end

--- Serves POST of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:post(path, ...) end

--- Serves PUT of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:put(path, ...) end

--- Serves PATCH of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:patch(path, ...) end

--- Serves DELETE of a path.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:delete(path, ...) end

--- Serves HEAD of a path, in place of what GET does.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:head(path, ...) end

--- Serves OPTIONS of a path, in place of the answer that names its methods.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:options(path, ...) end

--- Serves every method of a path that has no route of its own.
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:all(path, ...) end

--- Serves any other method of a path: app:method("PROPFIND", "/", fn).
---@param method string in upper case
---@param path string
---@param ... luaserve.Middleware
---@return Route
function App:method(method, path, ...) end

---@class PathRoutes the methods of an app that define routes, with the path given already

--- Several methods of one path: app:route("/users"):get(list):post(add).
---@param path string
---@return PathRoutes
function App:route(path) end

--- Has functions run for what is defined after it, in order; with a prefix only below
--- that, which they do not see in req.path. An app is mounted.
---@param prefix string|luaserve.Middleware|App|function[]
---@param ... luaserve.Middleware|App|function[]
---@return self
function App:use(prefix, ...) end

--- Serves another app below prefix. It sees req.path without it; what it has no answer
--- for goes on behind it.
---@param prefix string
---@param app App
---@return self
function App:mount(prefix, app) end

--- Defines routes and middlewares that have a prefix in common: fn gets a group, which
--- has the methods of an app.
---@param prefix string
---@param fn fun(group: App)
---@return self
function App:group(prefix, fn) end

--- Has fn(err, req, res, next) answer where a handler, a middleware or a callback of a
--- request has failed and nothing of the answer has left; next(err) asks the next one.
---@param fn fun(err: table, req: IncomingMessage, res: ServerResponse, next: fun(err: any))
---@return self
function App:onError(fn) end

--- The path of a named route, with params escaped, and a query.
---@param name string
---@param params table<string, string|number>?
---@param query table|string|nil
---@return string
function App:url(name, params, query) end

--- Sets a setting; see the reference for those that luaserve knows.
---@param name string
---@param value any
---@return self
function App:set(name, value) end

--- A setting; a mounted app has those of the app in which it is mounted.
---@param name string
---@return any
function App:setting(name) end

--- Serves a page that shows the routes, and lets them be tried out; below it
--- /openapi.json. Options: title, version, description, servers (URLs).
---@param path string
---@param options {title: string?, version: string?, description: string?, servers: string[]?}?
---@return self
function App:docs(path, options) end

--- Serves a path that says how this process is: see luaserve.health.
---@param path string? "/health" where missing
---@param checks table<string, function>? by name
---@return Route
function App:health(path, checks) end

--- Makes a server for the app and listens, as server:listen does.
---@param ... any port | path | options [, host] [, callback]
---@return Server
function App:listen(...) end
--#endregion

--- All methods of its app can be called on a route, too.
---@class Route: App

--- The methods of an app that define routes, with the path given already.
---@class PathRoutes
---@field get fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field post fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field put fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field patch fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field delete fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field head fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field options fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes
---@field all fun(self: PathRoutes, ...: luaserve.Middleware): PathRoutes

return luaserve
