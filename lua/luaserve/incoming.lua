--- Requests: Node's http.IncomingMessage. What is computed of a head, and reading
--- itself, is in C (l_request); whole bodies are in body.lua.
local core = require "luaserve.core"
local events = require "events"
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
---@field signedCookies table<string, string|false> false where the signature does not fit
---@field session luaserve.Session behind luaserve.session()
---@field ip string of the client
---@field ips string[] those of the client and the proxies behind it, where "trust proxy" is set
---@field hostname string? of the Host, without its port
---@field protocol string "http" or "https"
---@field secure boolean
---@field app App? that serves it, with these:
---@field params table<string, string> of the route's pattern
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

-- These put themselves in their places when one of them is first called, so that
-- a server that reads no bodies starts without them.
for _, name in ipairs { "raw", "text", "json", "form", "parts" } do
  Request[name] = function(...)
    require "luaserve.body"
    return Request[name](...)
  end
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

-- ---- what is loaded when it is first used: lua/luaserve/ask.lua

local ask
for _, name in ipairs { "get", "is", "accepts", "acceptsEncodings", "acceptsLanguages", "acceptsCharsets" } do
  Request[name] = function(self, ...)
    if type(self) ~= "table" then error("req or res expected; call the method with ':'", 2) end
    ask = ask or require("luaserve.ask")
    return ask[name](self, ...)
  end
end

function request.getters.signedCookies(self)
  local values = require("luaserve.cookies").signed(self)
  rawset(self, "signedCookies", values)
  return values
end

local proxy
for _, name in ipairs { "ips", "hostname", "protocol", "secure" } do
  request.getters[name] = function(self)
    proxy = proxy or require("luaserve.proxy")
    return proxy[name](self)
  end
end

local session_of
function request.getters.session(self)
  session_of = session_of or require("luaserve.session").of
  return session_of(self)
end

M.meta = { __index = request.index, __metatable = false, __name = "IncomingMessage" }
M.IncomingMessage = Request

return M
