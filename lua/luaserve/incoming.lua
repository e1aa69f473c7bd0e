--- Requests: Node's http.IncomingMessage, and the forms of a body that are waited
--- for. What is computed of a head, and reading itself, is in C (l_request).
local core = require "luaserve.core"
local events = require "events"
local json = require "json"
local listeners = require "luaserve.listeners"
local native = require "luaserve.core.server"
local readable = require "luaserve.readable"
local request = require "luaserve.core.request"
local response = require "luaserve.core.response"

local M = {}

local EventEmitter = events.EventEmitter

-- As bits, in script/context.h.
local CLOSE, ABORTED = 1, 4
local watched = { close = CLOSE + ABORTED, aborted = ABORTED, error = ABORTED }

---@class IncomingMessage: EventEmitter emits data, end, aborted, error, close
---@field method string
---@field url string as it was sent
---@field httpVersion "1.0"|"1.1"|"2.0"
---@field headers table<string, string|string[]> lower-case names, joined by Node's rules
---@field rawHeaders string[] names and values as they were sent
---@field trailers table<string, string> after the end of the body
---@field rawTrailers string[]
---@field complete boolean the whole request has arrived
---@field aborted boolean the client went away before the answer was complete
---@field socket Socket
---@field path string|false decoded, without dot segments; false where it cannot be decoded
---@field query table<string, string|string[]>
---@field cookies table<string, string>
---@field ip string of the client
---@field id string that no other request has
local Request = events.inherit(request.methods)
Request.readableEnded = false

local function start_if_complete(self)
  if self.complete then readable.start(self) end
end

listeners.observe(Request, function(self, event)
  if watched[event] then native.watch(self, watched[event]) end
  if event == "data" then return readable.start(self) end
  -- "end" alone waits for somebody to read; without a body it is there already.
  if event == "end" then core.defer(start_if_complete, self) end
end)

--- Stops "data" after the chunk at hand, until resume.
---@return self
function Request:pause()
  native.watch(self, CLOSE) -- so that nobody waits for ever
  return readable.pause(self)
end

Request.resume = readable.resume
Request.isPaused = readable.isPaused
Request.chunks = readable.chunks
Request.pipe = readable.pipe
Request.destroy = response.methods.destroy

--- For the sake of scripts from Node: chunks are Lua strings in any encoding.
---@return self
function Request:setEncoding()
  return self
end

-- ---- the whole body

--- An error that answers the request with status when it is raised.
---@param status integer
---@param message string
local function fail(status, message)
  local err = core.error(message)
  err.status = status
  error(err, 0)
end

local function check(self)
  if type(self) ~= "table" then error("req or res expected; call the method with ':'", 3) end
end

--- Waits for the whole body. Raises 413 over the limit.
---@param limit integer? bytes, else the server's maxBodySize
---@return string? body nil, "aborted" where the client is gone
---@return string? message
function Request:text(limit)
  check(self)
  local body = rawget(self, "_body")
  if body then return body end
  local why
  body, why = self:collect(limit)
  if why == "too large" then fail(413, "Payload Too Large") end
  if body then rawset(self, "_body", body) end
  return body, why
end

--- The media type of the body, in lower case; nil where the client does not say.
local function media_type(req)
  local value = req.headers["content-type"]
  local name = value and value:match("^%s*([^;%s]+)")
  return name and name:lower()
end

--- Waits for the body and decodes it as JSON. Raises 400 where it is malformed,
--- 413 over the limit, 415 where the Content-Type says it is something else.
---@return any value nil, "aborted" where the client is gone
---@return string? message
function Request:json()
  check(self)
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
---@return table<string, string|string[]>? form nil, "aborted" where the client is gone
---@return string? message
function Request:form()
  check(self)
  local kind = media_type(self)
  if kind and kind ~= "application/x-www-form-urlencoded" then
    fail(415, "Unsupported Media Type: application/x-www-form-urlencoded is expected, not " .. kind)
  end
  local body, why = self:text()
  if not body then return nil, why end
  return request.form(body)
end

-- ---- what the exchange tells

--- The client went away before the answer was complete.
local function abort(req)
  if rawget(req, "readableEnded") then return end -- as in Node: then only "close"
  events.tell(req, "aborted")
  if EventEmitter.listenerCount(req, "error") > 0 then
    events.tell(req, "error", core.error("aborted", "ECONNRESET"))
  end
end

--- Tells the request of an event of its exchange.
---@param req IncomingMessage
---@param event integer a bit of script/context.h
function M.tell(req, event)
  if event == ABORTED then
    abort(req)
  elseif event == CLOSE then
    readable.stop(req)
    events.tell(req, "close")
  end
end

M.meta = { __index = request.index, __metatable = false, __name = "IncomingMessage" }
M.IncomingMessage = Request

return M
