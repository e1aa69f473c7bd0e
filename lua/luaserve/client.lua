--- Requests to other servers in Node's style: http.request and http.get, on the
--- same connections as luaserve.fetch. HTTP/1.1, no redirects, nothing decoded.
local answer = require "luaserve.answer"
local core = require "luaserve.core"
local events = require "events"
local listeners = require "luaserve.listeners"
local readable = require "luaserve.readable"
local timers = require "timers"

local M = {}

local EventEmitter = events.EventEmitter
local NO_LIMIT = 1e8 -- seconds: Node waits for ever
local PORTS = { ["http:"] = 80, ["https:"] = 443 }

local function native()
  return require("luaserve.bind").load("fetch", "libcurl4-openssl-dev")
end

-- ---- answers

---@class ClientAnswer: EventEmitter emits data, end, aborted, error, close
---@field statusCode integer
---@field statusMessage string
---@field httpVersion string
---@field headers table<string, string|string[]>
---@field rawHeaders string[]
---@field trailers table<string, string> after the end
---@field complete boolean all of it has arrived
local Answer = events.inherit({})
Answer.__index = Answer
Answer.__name = "IncomingMessage"

listeners.observe(Answer, function(self, event)
  if event == "data" then readable.start(self) end
end)

--- It did not come to its end.
local function break_off(self, message, code)
  if self._over then return end
  readable.stop(self)
  self.aborted = true
  events.tell(self, "aborted")
  if EventEmitter.listenerCount(self, "error") > 0 then events.tell(self, "error", core.error(message, code)) end
  events.tell(self, "close")
end

--- The next bytes, nil at the end; waits for them.
---@return string? chunk nil, message, code where the rest does not come
---@return string? message
---@return string? code
function Answer:read()
  if self.complete then return nil end
  if self.destroyed then return nil, "closed" end
  local chunk, message, code = self._transfer:read(NO_LIMIT)
  if chunk then return chunk end
  if message then
    break_off(self, message, code)
    return nil, message, code
  end
  self.complete = true
  self.trailers, self.rawTrailers = answer.fields(self._transfer:trailers())
  return nil
end

function Answer:_ended()
  events.tell(self, "close")
end

--- Ends it before all has been read; its connection is closed.
---@return self
function Answer:destroy()
  if self.destroyed then return self end
  self.destroyed = true
  self._transfer:cancel()
  if not self.complete then break_off(self, "aborted", "ECONNRESET") end
  return self
end

--- For the sake of scripts from Node: chunks are Lua strings in any encoding.
---@return self
function Answer:setEncoding()
  return self
end

Answer.pause = readable.pause
Answer.resume = readable.resume
Answer.isPaused = readable.isPaused
Answer.chunks = readable.chunks
Answer.pipe = readable.pipe

local function new_answer(transfer, status, version, lines)
  local reason, headers, raw = answer.head(lines)
  return setmetatable({ statusCode = status, statusMessage = reason, httpVersion = version, headers = headers,
    rawHeaders = raw, complete = false, destroyed = false, _transfer = transfer }, Answer)
end

-- ---- requests

---@class ClientRequest: EventEmitter emits response, error, finish, drain, timeout, close
---@field method string
---@field path string
---@field host string
---@field protocol string
---@field destroyed boolean
---@field writableEnded boolean finish was called
---@field reusedSocket boolean?
local Request = events.inherit({})
Request.__index = Request
Request.__name = "ClientRequest"

local function check_name(name)
  if type(name) ~= "string" then core.raise("the name of a header is a string, not a " .. type(name)) end
  return name:lower()
end

--- Sets a header, before anything was sent.
---@param name string
---@param value string|number|string[]
---@return self
function Request:setHeader(name, value)
  local key = check_name(name)
  if self._transfer then core.raise("Cannot set headers after they are sent") end
  for _, one in ipairs(type(value) == "table" and value or { value }) do M.check_header(name, one) end
  self._headers[key] = { name, value }
  return self
end

---@param name string
---@return string|number|string[]|nil
function Request:getHeader(name)
  local entry = self._headers[check_name(name)]
  return entry and entry[2]
end

---@param name string
---@return boolean
function Request:hasHeader(name)
  return self._headers[check_name(name)] ~= nil
end

---@param name string
---@return self
function Request:removeHeader(name)
  if self._transfer then core.raise("Cannot remove headers after they are sent") end
  self._headers[check_name(name)] = nil
  return self
end

--- Values that could be two headers are refused as luaserve.fetch refuses them.
function M.check_header(name, value)
  return require("luaserve.fetch").line(name, value)
end

-- What libcurl says itself.
local OURS = { ["content-length"] = true, ["transfer-encoding"] = true, connection = true, expect = true }

local function lines_of(headers)
  local lines = { "Expect:" }
  for key, entry in pairs(headers) do
    local value = entry[2]
    for _, one in ipairs(not OURS[key] and (type(value) == "table" and value or { value }) or {}) do
      lines[#lines + 1] = M.check_header(entry[1], one)
    end
  end
  if not headers.accept then lines[#lines + 1] = "Accept:" end -- Node says nothing by itself
  return lines
end

--- The request is over, one way or the other: tells so, once.
local function close(self)
  if self._closed then return end
  self._closed = true
  timers.clearTimeout(self._timer)
  events.tell(self, "close")
end

local function fail(self, message, code)
  if self._closed or self._failed then return end
  self._failed = true
  self.destroyed = true
  local err = core.error(message, code or "ECONNRESET")
  core.deferIn(self._context, function()
    self:emit("error", err)
  end)
  core.deferIn(self._context, close, self)
end

--- Waits for the head and hands the answer over.
local function receive(self)
  local status, version, lines = self._transfer:head(NO_LIMIT)
  if not status then
    if self.destroyed and not self._failed then return close(self) end
    return fail(self, ("%s %s: %s"):format(self.method, self._authority, version), lines)
  end
  timers.clearTimeout(self._timer)
  local response = new_answer(self._transfer, status, version, lines)
  self.res = response
  if EventEmitter.listenerCount(self, "response") == 0 then
    response:destroy()
  else
    EventEmitter.once(response, "close", function() close(self) end)
    events.tell(self, "response", response)
  end
end

local function start(self, body)
  local setup, headers = self._setup, self._headers
  local length = headers["content-length"] and tonumber(headers["content-length"][2])
  setup.headers = lines_of(headers)
  setup.streams, setup.length, setup.body = body == nil, body == nil and length or nil, body
  if body == "" and (self.method == "GET" or self.method == "HEAD" or self.method == "DELETE"
    or self.method == "OPTIONS") then
    setup.body = nil
  end
  self._transfer = native().start(setup)
  self.headersSent = true
  core.spawn(self._context, receive, self)
end

local function drain(self)
  local ok = self._transfer:drain(NO_LIMIT)
  self._draining = false
  if ok then events.tell(self, "drain") end
end

--- Sends a part of the body: in chunks, unless a Content-Length was set. Where it
--- returns false, "drain" follows.
---@param chunk string
---@param callback fun()?
---@return boolean? room nil, message where the request is over
---@return string? message
function Request:write(chunk, callback)
  if type(chunk) ~= "string" then core.raise("a chunk is a string, not a " .. type(chunk)) end
  if self.writableEnded then core.raise("write after end") end
  if self.destroyed then return nil, "closed" end
  if not self._transfer then start(self) end
  local room, message = self._transfer:write(chunk)
  if callback then core.deferIn(self._context, callback) end
  if room == false and not self._draining then
    self._draining = true
    core.spawn(self._context, drain, self)
  end
  return room, message
end

--- Sends the request, or the last of it. Node's `end`, which is a word of Lua's;
--- `request["end"]` is the same.
---@param chunk string?
---@param callback fun()?
---@return self
function Request:finish(chunk, callback)
  if type(chunk) == "function" then chunk, callback = nil, chunk end
  if self.writableEnded or self.destroyed then return self end
  if self._transfer then
    if chunk then self:write(chunk) end
    self._transfer:finish()
  else
    start(self, chunk or "")
  end
  self.writableEnded = true
  if callback then self:once("finish", callback) end
  core.deferIn(self._context, events.tell, self, "finish")
  return self
end

Request["end"] = Request.finish

--- Ends it: "error" where err is given or no answer had begun, then "close".
---@param err any?
---@return self
function Request:destroy(err)
  if self.destroyed then return self end
  if self.res then
    self.res:destroy()
  else
    fail(self, err and tostring(err) or "socket hang up", type(err) == "table" and err.code or "ECONNRESET")
  end
  self.destroyed = true
  if self._transfer then self._transfer:cancel() end
  return self
end

Request.abort = Request.destroy

--- Emits "timeout" where no answer has come after so many milliseconds; the
--- listener may destroy the request.
---@param milliseconds number 0: never
---@param callback fun()?
---@return self
function Request:setTimeout(milliseconds, callback)
  if type(milliseconds) ~= "number" then core.raise("setTimeout needs milliseconds") end
  timers.clearTimeout(self._timer)
  if callback then self:once("timeout", callback) end
  if milliseconds > 0 and not self._closed then
    self._timer = timers.setTimeout(function() self:emit("timeout") end, milliseconds)
  end
  return self
end

--- Sends the head alone; the body follows with write and finish.
---@return self
function Request:flushHeaders()
  if not self._transfer and not self.destroyed then start(self) end
  return self
end

-- ---- making one

local function from_url(text)
  local ok, address = pcall(require("url").URL, text)
  if not ok then core.raise("Invalid URL: " .. tostring(text)) end
  local auth = address.username ~= "" and address.username .. ":" .. address.password or nil
  return { protocol = address.protocol, hostname = address.hostname, port = address.port ~= "" and address.port or nil,
    path = address.pathname .. address.search, auth = auth and require("querystring").unescape(auth) }
end

local function merge(first, second)
  if type(first) == "string" or type(first) == "table" and first.href then first = from_url(first.href or first) end
  if type(first) ~= "table" then core.raise("request needs a URL or options, not a " .. type(first)) end
  if type(second) ~= "table" then return first end
  local merged = {}
  for key, value in pairs(first) do merged[key] = value end
  for key, value in pairs(second) do merged[key] = value end
  return merged
end

local function authority_of(options, protocol)
  local host = options.hostname or options.host or "localhost"
  if host:find(":", 1, true) and host:sub(1, 1) ~= "[" then host = "[" .. host .. "]" end
  local port = tonumber(options.port) or options.defaultPort or PORTS[protocol]
  if not host:find("^[%w._:%[%]-]+$") then core.raise("not the name of a host: " .. host) end
  if port < 1 or port > 65535 or port % 1 ~= 0 then core.raise("not a port: " .. tostring(options.port)) end
  return port == PORTS[protocol] and host or ("%s:%d"):format(host, port)
end

local function check(options, protocol, method, path)
  if options.protocol and options.protocol ~= protocol then
    core.raise(('Protocol "%s" not supported. Expected "%s"'):format(options.protocol, protocol))
  end
  if not method:find("^[%w!#$%%&'*+.^_`|~-]+$") then core.raise("not a method: " .. method) end
  if method == "CONNECT" then core.raise("CONNECT is not supported") end
  if path:find("[%z\1-\32\127]") then core.raise("Request path contains unescaped characters") end
end

--- Makes a request, which is sent by its finish.
---@param protocol "http:"|"https:"
---@param first string|table
---@param second table?
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function M.request(protocol, first, second, callback)
  if type(second) == "function" then second, callback = nil, second end
  local options = merge(first, second)
  local method, path = (options.method or "GET"):upper(), options.path or "/"
  check(options, protocol, method, path)
  local authority = authority_of(options, protocol)
  local user, password = (options.auth or ""):match("^([^:]*):?(.*)$")
  local fresh = options.agent == false or type(options.agent) == "table" and options.agent.keepAlive == false
  local self = setmetatable({ method = method, path = path, host = options.hostname or options.host or "localhost",
    protocol = protocol, destroyed = false, writableEnded = false, headersSent = false, _authority = authority,
    _headers = {}, _context = core.context(), _setup = { method = method, url = protocol .. "//" .. authority .. path,
      username = options.auth and user, password = options.auth and password, version = "1.1", fresh = fresh,
      unverified = options.rejectUnauthorized == false, ca = options.ca, cert = options.cert, key = options.key,
      passphrase = options.passphrase, socketPath = options.socketPath, limit = 2 ^ 52,
      connectTimeout = 300 } }, Request)
  for name, value in pairs(options.headers or {}) do self:setHeader(name, value) end
  if callback then self:once("response", callback) end
  if options.timeout then self:setTimeout(options.timeout) end
  return self
end

--- The same, sent at once: it has no body.
---@return ClientRequest
function M.get(protocol, first, second, callback)
  return M.request(protocol, first, second, callback):finish()
end

M.ClientRequest = Request
M.ClientAnswer = Answer

return M
