--- Node's http: servers whose handlers get req and res. What touches the wire is
--- in C (l_server, l_request, l_response); here are listeners, hooks, returned
--- answers and the forms of a body.
local core = require "luaserve.core"
local dns = require "luaserve.core.dns"
local events = require "events"
local json = require "json"
local native = require "luaserve.core.server"
local request = require "luaserve.core.request"
local response = require "luaserve.core.response"

local M = {}

--- Reason phrases by status code.
M.STATUS_CODES = core.statuses()
--- The methods that requests may have.
M.METHODS = { "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "M-SEARCH",
  "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND",
  "PROPPATCH", "PURGE", "PUT", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK",
  "UNLOCK", "UNSUBSCRIBE" }

-- As bits, in script/context.h.
local CLOSE, FINISH, ABORTED, DRAIN = 1, 2, 4, 8
local on = events.EventEmitter.on

-- ---- errors for the client

--- An error that answers the request with status when it is raised.
---@param status integer
---@param message string
local function fail(status, message)
  local err = core.error(message)
  err.status = status
  error(err, 0)
end

-- ---- req

---@class IncomingMessage: EventEmitter
local Request = events.inherit(request.methods)

local request_events = { close = CLOSE, aborted = ABORTED }

--- Reads the body and emits it, chunk by chunk; a listener that waits holds the
--- next chunk up.
local function pump(req)
  while true do
    local paused = rawget(req, "_paused")
    if paused then paused:wait() end
    local chunk, err = req:read()
    if err then return end
    if not chunk then return events.emitInOrder(req, "end") end
    events.emitInOrder(req, "data", chunk)
  end
end

local function start_pump(req)
  if rawget(req, "_pumping") then return end
  rawset(req, "_pumping", true)
  core.defer(pump, req)
end

--- Listens: "data" and "end" for the body, "close", "aborted", "error".
---@param event string
---@param fn function
---@return self
function Request:on(event, fn)
  on(self, event, fn)
  if request_events[event] then native.watch(self, request_events[event]) end
  if event == "data" then start_pump(self) end
  if event == "end" and not rawget(self, "_pumping") then core.defer(self._end_without_data, self) end
  return self
end

Request.addListener = Request.on

-- An "end" listener alone waits for somebody to read; a request without a body
-- is at its end already.
function Request:_end_without_data()
  if self.complete then start_pump(self) end
end

function Request:once(event, fn)
  events.EventEmitter.once(self, event, fn)
  if request_events[event] then native.watch(self, request_events[event]) end
  if event == "data" then start_pump(self) end
  if event == "end" then core.defer(self._end_without_data, self) end
  return self
end

--- Stops "data" after the chunk at hand, until resume.
---@return self
function Request:pause()
  if not rawget(self, "_paused") then rawset(self, "_paused", core.waiter()) end
  return self
end

--- Lets "data" go on; without a listener the body is read and dropped.
---@return self
function Request:resume()
  local paused = rawget(self, "_paused")
  rawset(self, "_paused", nil)
  if paused then paused:wake() end
  start_pump(self)
  return self
end

--- Iterates over the chunks of the body: `for chunk in req:chunks() do`.
---@return fun(): string?
function Request:chunks()
  return function() return (self:read()) end
end

--- Waits for the whole body. Raises 413 over the limit.
---@param limit integer? bytes, else the server's
---@return string? body nil, "aborted" where the client is gone
---@return string? message
function Request:text(limit)
  local body = rawget(self, "_body")
  if body then return body end
  local why
  body, why = self:collect(limit)
  if why == "too large" then fail(413, "Payload Too Large") end
  if body then rawset(self, "_body", body) end
  return body, why
end

local function media_type(req)
  local value = req.headers["content-type"]
  return value and value:match("^%s*([^;%s]+)"):lower()
end

--- Waits for the body and decodes it as JSON. Raises 400 where it is malformed,
--- 413 over the limit, 415 where the Content-Type says it is something else.
---@return any value
function Request:json()
  local kind = media_type(self)
  if kind and kind ~= "application/json" and not kind:find("+json", 1, true) then
    fail(415, "Unsupported Media Type: application/json is expected, not " .. kind)
  end
  local body, why = self:text()
  if not body then return nil, why end
  local ok, value = pcall(json.decode, body)
  if not ok then fail(400, "Bad Request: the body is not JSON: " .. tostring(value)) end
  return value
end

--- Waits for the body and decodes it as application/x-www-form-urlencoded.
--- Raises 413 over the limit, 415 where the Content-Type says otherwise.
---@return table<string, string|string[]>
function Request:form()
  local kind = media_type(self)
  if kind and kind ~= "application/x-www-form-urlencoded" then
    fail(415, "Unsupported Media Type: application/x-www-form-urlencoded is expected, not " .. kind)
  end
  local body, why = self:text()
  if not body then return nil, why end
  return request.form(body)
end

--- Copies the body into a writable (a response, a file stream) and ends it.
---@param target table
---@return table target
function Request:pipe(target)
  core.defer(function()
    for chunk in self:chunks() do
      if not target:write(chunk) then break end
    end
    target:finish()
  end)
  return target
end

Request.destroy = response.methods.destroy

local request_meta = { __index = request.methods and request.index, __metatable = false, __name = "IncomingMessage" }

-- ---- res

---@class ServerResponse: EventEmitter
local Response = events.inherit(response.methods)
Response.headersSent = false
Response.writableEnded = false
Response.statusCode = 200

local response_events = { close = CLOSE, finish = FINISH, drain = DRAIN }

--- Listens: "finish" (the answer was handed to the kernel), "close", "drain".
---@return self
function Response:on(event, fn)
  on(self, event, fn)
  if response_events[event] then native.watch(self, response_events[event]) end
  return self
end

Response.addListener = Response.on

function Response:once(event, fn)
  events.EventEmitter.once(self, event, fn)
  if response_events[event] then native.watch(self, response_events[event]) end
  return self
end

local committing = { "write", "finish", "end", "flushHeaders" }

--- Runs the hooks, once, before whatever commits the head goes on.
local function run_hooks(res)
  local hooks = rawget(res, "_hooks")
  if not hooks then return end
  rawset(res, "_hooks", nil)
  for _, name in ipairs(committing) do rawset(res, name, nil) end
  for _, hook in ipairs(hooks) do hook(res) end
end

local function hooked(name)
  return function(res, ...)
    run_hooks(res)
    return Response[name](res, ...)
  end
end

local wrappers = {}
for _, name in ipairs(committing) do wrappers[name] = hooked(name) end

--- Calls fn(res) once, before the head leaves, in the coroutine that commits it;
--- it may set headers and wait.
---@param fn fun(res: ServerResponse)
---@return self
function Response:onHead(fn)
  if type(fn) ~= "function" then error("onHead needs a function", 2) end
  if self.headersSent then error("Cannot set headers after they are sent to the client", 2) end
  local hooks = rawget(self, "_hooks")
  if not hooks then
    hooks = {}
    rawset(self, "_hooks", hooks)
    for name, wrapper in pairs(wrappers) do rawset(self, name, wrapper) end
  end
  hooks[#hooks + 1] = fn
  return self
end

--- Calls fn(res) once when the response is over, complete or cut off.
---@param fn fun(res: ServerResponse)
---@return self
function Response:onFinish(fn)
  if type(fn) ~= "function" then error("onFinish needs a function", 2) end
  local done = false
  local function run()
    if done then return end
    done = true
    return fn(self)
  end
  self:once("finish", run)
  return self:once("close", run)
end

local response_meta = { __index = Response, __metatable = false, __name = "ServerResponse" }

--- The metatable of a response of which these fields have become true.
local function later(...)
  local class = setmetatable({}, { __index = Response })
  for _, field in ipairs { ... } do class[field] = true end
  return { __index = class, __metatable = false, __name = "ServerResponse" }
end

-- ---- what the exchange tells

local names = { [CLOSE] = "close", [FINISH] = "finish", [ABORTED] = "aborted", [DRAIN] = "drain" }

local function tell(res, event)
  local name = names[event]
  local req = native.req(res)
  if event == CLOSE or event == ABORTED then events.EventEmitter.emit(req, name) end
  if event ~= ABORTED then events.EventEmitter.emit(res, name) end
end

native.setup(request_meta, response_meta, tell)
response.setup(Response.once, later("headersSent"), later("headersSent", "writableEnded"))

-- ---- returned answers

local function is_answer(value)
  if type(value) == "string" then return true end
  if type(value) ~= "table" then return false end
  local meta = getmetatable(value)
  return meta == nil or json.isArray(value)
end

local function send(res, status, body)
  if status then res.statusCode = status end
  local kind = "application/json"
  if type(body) == "string" then
    kind = body:find("^%s*<") and "text/html; charset=utf-8" or "text/plain; charset=utf-8"
  else
    body = json.encode(body)
  end
  if not res:hasHeader("Content-Type") then res:setHeader("Content-Type", kind) end
  res:finish(body)
end

local function is_status(value)
  return type(value) == "number" and value >= 200 and value <= 999 and value % 1 == 0
end

--- A handler has returned: a string, a plain table, or a status and either of
--- them is its answer; anything else is none.
local function settle(res, first, second)
  if first == nil or res.headersSent or res.writableEnded then return end
  if is_answer(first) then return send(res, nil, first) end
  if is_status(first) and is_answer(second) then return send(res, first, second) end
end

-- ---- servers

---@class Server: EventEmitter
local Server = events.inherit({})

local limits = {}
for name in ("maxRequestLineSize maxHeaderSize maxHeadersCount maxTrailerSize maxBodySize maxConnections " ..
  "maxRequestsPerSocket keepAliveTimeout headersTimeout requestTimeout minBodyRate writeTimeout " ..
  "handlerTimeout"):gmatch("%S+") do
  limits[name] = true
end

local server_meta = { __name = "Server" }

function server_meta.__index(self, key)
  if limits[key] then return rawget(self, "_handle"):limit(key) end
  return Server[key]
end

function server_meta.__newindex(self, key, value)
  if limits[key] then
    rawget(self, "_handle"):limit(key, value)
  else
    rawset(self, key, value)
  end
end

--- The function that a request goes to: the only listener itself, else emit.
local function dispatcher(server)
  local list = server:listeners("request")
  if #list == 1 then return list[1] end
  return function(req, res)
    for i = 2, #list do core.spawn(core.context(), list[i], req, res) end
    if list[1] then return list[1](req, res) end
  end
end

function Server:on(event, fn)
  on(self, event, fn)
  if event == "request" then rawset(self, "_dispatch", dispatcher(self)) end
  return self
end

Server.addListener = Server.on

function Server:off(event, fn)
  events.EventEmitter.off(self, event, fn)
  if event == "request" then rawset(self, "_dispatch", dispatcher(self)) end
  return self
end

Server.removeListener = Server.off

local function callable(value)
  if type(value) == "function" then return value end
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) == "table" and meta.__call then
    return function(...) return value(...) end
  end
end

local function read_options(options, handler)
  if callable(options) then return {}, callable(options) end
  if options ~= nil and type(options) ~= "table" then
    error("createServer needs a function, or options and a function, not " .. type(options), 3)
  end
  if handler ~= nil and not callable(handler) then
    error("the handler of a server must be a function, not " .. type(handler), 3)
  end
  return options or {}, callable(handler)
end

--- Makes a server whose requests go to onRequest(req, res).
---@param options table|function? fields are limits, as on the server
---@param onRequest function?
---@return Server
function M.createServer(options, onRequest)
  local handler
  options, handler = read_options(options, onRequest)
  local make = native.make
  local server = { listening = false }
  server._dispatch = function() end
  server._handle = native.new(function(x)
    local req, res = make(x)
    return settle(res, server._dispatch(req, res))
  end)
  setmetatable(server, server_meta)
  for name in pairs(limits) do
    if options[name] ~= nil then server[name] = options[name] end
  end
  if handler then server:on("request", handler) end
  return server
end

M.Server = M.createServer

-- ---- listening

local function port_of(value)
  if type(value) == "string" and value:find("^%d+$") then value = tonumber(value) end
  if type(value) ~= "number" then return nil end
  if value ~= math.floor(value) or value < 0 or value > 65535 then
    error(("options.port should be >= 0 and < 65536, received %s"):format(tostring(value)), 4)
  end
  return value
end

--- The address that the arguments of listen name, and the callback.
local function read_arguments(first, ...)
  local rest = { ... }
  local callback
  for i = 1, select("#", ...) do
    if type(rest[i]) == "function" then callback = rest[i] end
  end
  if type(first) == "function" then return { port = 0 }, first end
  if type(first) == "table" then
    return { port = port_of(first.port), host = first.host, path = first.path, backlog = first.backlog }, callback
  end
  local port = port_of(first or 0)
  if port then
    return { port = port, host = type(rest[1]) == "string" and rest[1] or nil,
      backlog = type(rest[2]) == "number" and rest[2] or (type(rest[1]) == "number" and rest[1] or nil) }, callback
  end
  if type(first) == "string" then return { path = (first:gsub("^unix:", "")) }, callback end
  error("listen needs a port, a path or a table of options, not " .. type(first), 3)
end

local function describe(err, address)
  return core.error(("listen %s: %s %s"):format(err.code, err.message:match(": (.-), listen$") or err.message,
    address), err.code, "listen")
end

--- What to do about a port that is taken.
local function hint(err, address)
  local port = address:match(":(%d+)$")
  if err.code == "EADDRINUSE" and port then
    return ("; another program listens there: `ss -ltnp 'sport = :%s'` shows which; stop it or take another port")
      :format(port)
  elseif err.code == "EACCES" and port then
    return "; ports under 1024 need root (with --user to drop it) or CAP_NET_BIND_SERVICE"
  end
  return ""
end

local function report(server, err, address)
  if server:listenerCount("error") > 0 then return server:emit("error", err) end
  io.stderr:write("luaserve: ", err.message, hint(err, address), "\n")
  core.exit(3)
end

local function bind(server, target)
  local backlog = target.backlog
  local host = target.path or target.host
  local address, message, code, where = server._handle:listen(host, target.port, backlog)
  if address == false then -- a name
    local ip, why, why_code = dns.lookup(host, target.port)
    if not ip then return nil, core.error(why, why_code, "getaddrinfo"), host end
    address, message, code, where = server._handle:listen(ip, target.port, backlog)
  end
  if address then return address end
  return nil, describe({ message = message, code = code }, where), where
end

local function start(server, target)
  local address, err, where = bind(server, target)
  if not address then return report(server, err, where) end
  rawset(server, "listening", true)
  server:emit("listening")
end

--- Listens on a port, a path of a Unix socket, or {port, host, path, backlog};
--- without a host on all interfaces. Events follow later: "listening", which the
--- callback listens to, or "error".
---@param ... any port | path | options [, host] [, backlog] [, callback]
---@return self
function Server:listen(...)
  local target, callback = read_arguments(...)
  if callback then self:once("listening", callback) end
  rawset(self, "_closing", false)
  local numeric = target.path or not target.host or target.host:find("^[%d.]+$") or target.host:find(":", 1, true)
  if not numeric then
    core.defer(start, self, target)
    return self
  end
  local address, err, where = bind(self, target)
  core.defer(function()
    if not address then return report(self, err, where) end
    if rawget(self, "_closing") then return end
    rawset(self, "listening", true)
    self:emit("listening")
  end)
  return self
end

--- The address listened on: {address, family, port}, the path of a Unix socket,
--- or nil.
---@return table|string|nil
function Server:address()
  return (self._handle:address())
end

--- Stops accepting, ends idle connections, and calls back when the last request
--- has been answered.
---@param callback function?
---@return self
function Server:close(callback)
  rawset(self, "_closing", true)
  rawset(self, "listening", false)
  if callback then self:once("close", callback) end
  local open = self._handle:close(function() self:emit("close") end)
  if not open then
    core.defer(function()
      self:emit("close")
    end)
  end
  return self
end

--- Cuts all connections.
---@return self
function Server:closeAllConnections()
  self._handle:abort()
  return self
end

--- The count of open connections, to callback(nil, count) or as a result.
---@return integer
function Server:getConnections(callback)
  local count = self._handle:connections()
  if callback then core.defer(callback, nil, count) end
  return count
end

M.fail = fail
M.settle = settle

return M
