--- Node's http: servers whose handlers get req and res. What touches the wire is
--- in C (l_server, l_exchange); here are the events of a server, its limits, and
--- what becomes of an answer that a handler returns.
local core = require "luaserve.core"
local events = require "events"
local incoming = require "luaserve.incoming"
local json = require "json"
local listen = require "luaserve.listen"
local listeners = require "luaserve.listeners"
local native = require "luaserve.core.server"
local outgoing = require "luaserve.outgoing"
local socket = require "luaserve.socket"
local socket_of = require("luaserve.core.socket").of

local M = {}

--- Reason phrases by status code.
M.STATUS_CODES = core.statuses()
--- The methods that requests may have.
M.METHODS = { "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "M-SEARCH",
  "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND",
  "PROPPATCH", "PURGE", "PUT", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK",
  "UNLOCK", "UNSUBSCRIBE" }

local EventEmitter = events.EventEmitter

-- ---- events of an exchange

local function tell(res, event)
  local raw = rawget(res, "_socket")
  if raw then
    outgoing.call_back(raw, event)
    socket.tell(raw, event)
  end
  incoming.tell(native.req(res), event)
  outgoing.tell(res, event)
end

native.setup(incoming.meta, outgoing.meta, tell)

-- ---- returned answers

local array_meta = getmetatable(json.array({}))

local function is_answer(value)
  if type(value) == "string" then return true end
  if type(value) ~= "table" then return false end
  local meta = getmetatable(value)
  return meta == nil or meta == array_meta
end

local function send(res, status, body)
  if status then res.statusCode = status end
  if outgoing.tagging then return require("luaserve.reply").send(res, body) end
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

local BODYLESS = { [204] = true, [205] = true, [304] = true }

--- A status was returned alone, by a handler that has left nothing behind that could still answer: one
--- that has no body is the answer. Any other is a body forgotten, which is told at once and not at the
--- handler timeout.
local function settle_status(res, status)
  if BODYLESS[status] then
    res.statusCode = status
    return res:finish()
  end
  return require("luaserve.misuse").status_alone(res, status)
end

--- A handler has returned: a string, a plain table, a status and either of
--- them, or a status that has no body, is its answer; anything else is none.
local function settle(res, first, second)
  if first == nil then return end
  if res.headersSent or res.writableEnded then
    if is_answer(first) or is_status(first) and is_answer(second) then require("luaserve.misuse").returned(res) end
    return
  end
  if is_answer(first) then return send(res, nil, first) end
  if not is_status(first) then return end
  if is_answer(second) then return send(res, first, second) end
  if second == nil and core.alone() then return settle_status(res, first) end
end

M._settle = settle -- for apps, whose error handlers answer as well

-- ---- who gets what

---@class Server: EventEmitter emits request, checkContinue, upgrade, connection, clientError, listening, error, close
---@field listening boolean
---@field keepAliveTimeout integer milliseconds, as all of these that are times
---@field headersTimeout integer
---@field requestTimeout integer
---@field handlerTimeout integer
---@field writeTimeout integer
---@field maxHeadersCount integer
---@field maxHeaderSize integer bytes, as all of these that are sizes
---@field maxRequestLineSize integer
---@field maxTrailerSize integer
---@field maxBodySize integer
---@field minBodyRate integer bytes a second
---@field maxConnections integer 0: those of the process
---@field maxRequestsPerSocket integer 0: any number
local Server = events.inherit({})

local function listeners_of(server, event)
  local emitter = rawget(server, "_events")
  return emitter and emitter.lists[event]
end

local function answer(res, fn, req)
  return settle(res, fn(req, res))
end

--- Calls the listeners of event as parts of the running request. Each may answer
--- by what it returns.
local function hand_over(server, event, req, res)
  local list = listeners_of(server, event) or {}
  for i = 1, #list do
    local listener = list[i]
    if listener.once then EventEmitter.off(server, event, listener.fn) end
    core.spawn(core.context(), answer, res, listener.fn, req)
  end
end

--- The function that requests go to: the only listener itself where there is
--- nothing else to do, so that an ordinary request costs no more.
local function dispatcher(server)
  local list, vetoes = listeners_of(server, "request"), listeners_of(server, "checkContinue")
  if list and #list == 1 and not list[1].once and not vetoes then return list[1].fn end
  return function(req, res)
    local event = vetoes and native.holdContinue(req) and "checkContinue" or "request"
    return hand_over(server, event, req, res)
  end
end

-- As in script/l_server.h.
local CONNECTION, REFUSAL, UPGRADE, NAME, FAILURE, MISUSE = 1, 2, 3, 4, 5, 6
local told = { connection = CONNECTION, clientError = REFUSAL, upgrade = UPGRADE, tlsClientError = FAILURE }

listeners.observe(Server, function(self, event)
  for name, kind in pairs(told) do
    if event == name or event == nil then rawget(self, "_handle"):tell(kind, listeners_of(self, name) ~= nil) end
  end
  if event == "request" or event == "checkContinue" or event == nil then
    rawset(self, "_dispatch", dispatcher(self))
  end
end, true)

-- Codes as Node has them, where it has one.
local codes = { [408] = "ERR_HTTP_REQUEST_TIMEOUT", [414] = "HPE_HEADER_OVERFLOW", [431] = "HPE_HEADER_OVERFLOW",
  [501] = "HPE_INVALID_METHOD", [505] = "HPE_INVALID_VERSION" }

--- Calls the listeners as parts of the running request, which a failure then ends.
local function emit_here(server, event, ...)
  local list = listeners_of(server, event) or {}
  for i = 1, #list do
    local listener = list[i]
    if listener.once then server:off(event, listener.fn) end
    core.spawn(core.context(), listener.fn, ...)
  end
end

local special = {}

special[CONNECTION] = function(server, conn)
  events.tell(server, "connection", socket_of(conn))
end

special[REFUSAL] = function(server, x, status)
  local _, res, raw, bytes = native.take(x)
  socket.take_over(raw, res)
  local err = core.error(("%d %s"):format(status, M.STATUS_CODES[status]), codes[status] or "HPE_INVALID_REQUEST")
  err.status, err.rawPacket = status, bytes
  return emit_here(server, "clientError", err, raw)
end

special[UPGRADE] = function(server, x)
  local req, res, raw, head = native.take(x)
  socket.take_over(raw, res)
  return emit_here(server, "upgrade", req, raw, head)
end

special[NAME] = function(server, id)
  return server._choose(id)
end

special[FAILURE] = function(server, ip, why)
  EventEmitter.emit(server, "tlsClientError", core.error(why, "ERR_SSL"), { remoteAddress = ip, encrypted = true })
end

special[MISUSE] = function(server, context, what)
  return require("luaserve.misuse").tell(server, context, what)
end

-- ---- limits

local limits = native.limits
local server_meta = { __name = "Server" }

local function set_limit(server, name, value, level)
  local ok, message = rawget(server, "_handle"):limit(name, value)
  if not ok then error(message, level + 1) end
end

function server_meta.__index(self, key)
  if limits[key] then return rawget(self, "_handle"):limit(key) end
  return Server[key]
end

function server_meta.__newindex(self, key, value)
  if limits[key] then
    set_limit(self, key, value, 2)
  else
    rawset(self, key, value)
  end
end

-- ---- servers

local function callable(value)
  if type(value) == "function" then return value end
  local meta = type(value) == "table" and getmetatable(value)
  if type(meta) ~= "table" then return end
  if meta.__serve then return meta.__serve(value) end -- an app: what it lacks is found here
  if meta.__call then
    return function(...) return value(...) end
  end
end

local function read_options(options, handler, level)
  local alone = callable(options)
  if alone then return {}, alone end
  if options ~= nil and type(options) ~= "table" then
    error("createServer needs a function, or options and a function, not " .. type(options), level + 1)
  end
  local fn = callable(handler)
  if handler ~= nil and not fn then
    error("the handler of a server must be a function, not " .. type(handler), level + 1)
  end
  return options or {}, fn
end

--- In development: what _gate serves itself comes first, and the frames of an error are kept where it arises.
local function gated(server)
  local gate = M._gate
  return function(x)
    local req, res = native.make(x)
    if gate(req, res) then return end
    local ok, first, second = xpcall(server._dispatch, core.keepTrace, req, res)
    if not ok then error(first, 0) end
    if first ~= nil then return settle(res, first, second) end
  end
end

--- createServer, where what is wrong is at that level of the stack.
local function create(options, onRequest, level)
  local handler
  options, handler = read_options(options, onRequest, level + 1)
  local make = native.make
  local server = { listening = false }
  server._handle = native.new(M._gate and gated(server) or function(x)
    local req, res = make(x)
    local first, second = server._dispatch(req, res)
    if first ~= nil then return settle(res, first, second) end
  end, function(kind, ...)
    return special[kind](server, ...)
  end)
  setmetatable(server, server_meta)
  rawset(server, "_dispatch", dispatcher(server))
  for name in pairs(limits) do
    if options[name] ~= nil then set_limit(server, name, options[name], level + 1) end
  end
  if options.proxyProtocol ~= nil then server._handle:proxied(options.proxyProtocol) end
  if handler then server:on("request", handler) end
  M._made = true
  return server
end

--- Makes a server whose requests go to onRequest(req, res).
---@param options table|luaserve.Handler|nil fields are limits, as on the server
---@param onRequest luaserve.Handler?
---@return Server
function M.createServer(options, onRequest)
  return (create(options, onRequest, 2)) -- no tail call: levels count
end

M._create = create -- for https

M.Server = M.createServer

-- Servers that have been told to listen, in order: for the names `app` and `client` of prompts.
local listened, places = setmetatable({}, { __mode = "k" }), 0
core.listened = listened

local function next_place()
  places = places + 1
  return places
end

--- Tells how binding went; not where the server was closed meanwhile.
local function started(server, target, address, err)
  local child = listen.is_shared(target) and require "luaserve.cluster.child"
  local wanted = rawget(server, "_target") == target
  if not wanted then return child and child.has_listened(server) end
  if address then
    rawset(server, "listening", true)
    events.tell(server, "listening")
    return child and child.has_listened(server)
  end
  rawset(server, "_target", nil)
  if server:listenerCount("error") == 0 then return listen.give_up(err) end
  if child then child.has_listened(server, true) end
  server:emit("error", err)
end

local function start(server, target)
  local address, err = listen.bind(server._handle, target, function() return rawget(server, "_target") == target end)
  core.defer(started, server, target, address, err)
end

--- Listens on a port, a path of a Unix socket, or {port, host, path, backlog};
--- without a host on all interfaces. Events follow later: "listening", which the
--- callback listens to, or "error".
---@param ... any port | path | options [, host] [, backlog] [, callback]
---@return self
function Server:listen(...)
  local target, callback = listen.arguments(2, ...)
  if rawget(self, "_target") then
    error("Listen method has been called more than once without closing.", 2)
  end
  listened[self] = listened[self] or next_place()
  if core.showing then return self end -- the script runs only to tell of its apps
  if callback then self:once("listening", callback) end
  rawset(self, "_target", target)
  if listen.is_shared(target) then require("luaserve.cluster.child").will_listen(self) end
  if listen.is_name(target) or listen.is_shared(target) then
    core.defer(start, self, target)
  else
    start(self, target)
  end
  return self
end

--- The address listened on: {address, family, port}, the path of a Unix socket,
--- or nil.
---@return table|string|nil
function Server:address()
  return (self._handle:address())
end

--- Stops accepting, ends idle connections, and calls back when the last request
--- has been answered; with an error where the server was not open.
---@param callback fun(err: table?)?
---@return self
function Server:close(callback)
  local open = rawget(self, "_target") ~= nil
  rawset(self, "_target", nil)
  rawset(self, "listening", false)
  if callback and open then self:once("close", function() return callback() end) end
  if callback and not open then
    self:once("close", function() return callback(core.error("Server is not running.", "ERR_SERVER_NOT_RUNNING")) end)
  end
  if rawget(self, "_closing") then return self end
  rawset(self, "_closing", true)
  if core.worker then require("luaserve.cluster.child").closed(self, self._handle) end
  local function closed()
    rawset(self, "_closing", nil)
    events.tell(self, "close")
  end
  if not self._handle:close(closed) then core.defer(closed) end
  return self
end

--- Cuts all connections.
---@return self
function Server:closeAllConnections()
  self._handle:abort()
  return self
end

--- Closes the connections on which no request is under way.
---@return self
function Server:closeIdleConnections()
  self._handle:closeIdle()
  return self
end

--- The count of open connections, to callback(nil, count) or as a result.
---@param callback fun(err: nil, count: integer)?
---@return integer
function Server:getConnections(callback)
  local count = self._handle:connections()
  if callback then core.defer(callback, nil, count) end
  return count
end

-- ---- requests to other servers: lua/luaserve/client.lua

--- Makes a request to another server, which is sent by its finish.
---@param first string|table a URL, or options
---@param second table? options
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function M.request(first, second, callback)
  return require("luaserve.client").request("http:", first, second, callback)
end

--- The same without a body, sent at once.
---@param first string|table
---@param second table?
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function M.get(first, second, callback)
  return require("luaserve.client").get("http:", first, second, callback)
end

return M
