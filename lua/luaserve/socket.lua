--- A connection: `req.socket`, and what the events "connection", "clientError" and
--- "upgrade" of a server get. While it speaks HTTP it can be looked at and
--- destroyed; after an upgrade (or an error of the client) it is a stream of
--- bytes both ways. The C half is l_socket.
local core = require "luaserve.core"
local events = require "events"
local listeners = require "luaserve.listeners"
local native = require "luaserve.core.server"
local readable = require "luaserve.readable"
local request = require "luaserve.core.request"
local response = require "luaserve.core.response"
local socket = require "luaserve.core.socket"
local tls = require "luaserve.core.tls"

local M = {}

-- As bits, in script/context.h.
local ABORTED, DRAIN = 4, 8

---@class Socket: EventEmitter emits data, end, drain, error, close
---@field remoteAddress string? of the client; a Unix socket has none
---@field remotePort integer?
---@field localAddress string?
---@field localPort integer?
---@field encrypted boolean
---@field authorized boolean? the client has shown a certificate that is trusted
---@field authorizationError string? why not, where one was asked for
---@field alpnProtocol string|false|nil
---@field servername string? the host that the client has asked for
---@field writable boolean
---@field destroyed boolean
local Socket = events.inherit({})
Socket.writable = true
Socket.destroyed = false

--- Whether self is a stream of bytes. [1] is what carries them (script/l_socket.c).
local function is_raw(self)
  return rawget(self, 1) ~= nil
end

local function check_raw(self)
  if is_raw(self) then return end
  error("this connection speaks HTTP: answer with res, or take it over in an 'upgrade' listener", 3)
end

listeners.observe(Socket, function(self, event)
  if event == "data" and is_raw(self) then readable.start(self) end
end)

--- The next bytes, nil at the end, or nil, "aborted"; waits for them.
---@return string?
---@return string? message
function Socket:read()
  check_raw(self)
  return request.methods.read(self)
end

--- Sends bytes as they are. Over the mark it waits where it can; with a callback,
--- or where it cannot wait, it returns false and "drain" follows.
---@param chunk string
---@param callback fun(err: table?)?
---@return boolean? ok, string? message
function Socket:write(chunk, callback)
  check_raw(self)
  return response.methods.write(self, chunk, callback)
end

--- Sends the last bytes, if any, and closes when they have left.
---@param chunk string?
---@param callback fun()? when it has closed
---@return self
function Socket:finish(chunk, callback)
  check_raw(self)
  if type(chunk) == "function" then chunk, callback = nil, chunk end
  if callback then self:once("close", callback) end
  response.methods.finish(self, chunk)
  rawset(self, "writable", false)
  return self
end

Socket["end"] = Socket.finish

--- The client has ended its side, and "end" was told: so does ours, as nobody is
--- there to hear.
function Socket:_ended()
  if self.writable then self:finish() end
end

--- Closes at once. What was written before is sent if the client takes it now.
---@return self
function Socket:destroy()
  rawset(self, "writable", false)
  rawset(self, "destroyed", true)
  rawget(self, 2):close()
  return self
end

-- What there is to know of an encrypted one (script/l_tls_peer.c); nil for others.
for name, fn in pairs(tls.methods) do Socket[name] = fn end

Socket.pause = readable.pause
Socket.isPaused = readable.isPaused
Socket.chunks = readable.chunks
Socket.pipe = readable.pipe

--- Lets "data" go on.
---@return self
function Socket:resume()
  check_raw(self)
  return readable.resume(self)
end

--- The socket has become a stream of bytes, carried by the exchange of res.
---@param self Socket
---@param res ServerResponse
function M.take_over(self, res)
  rawset(res, "_socket", self)
  native.watch(self, ABORTED + DRAIN)
  if self:listenerCount("data") > 0 then readable.start(self) end
end

--- Tells the socket of an event of the exchange that carries it.
---@param self Socket
---@param event integer a bit of script/context.h
function M.tell(self, event)
  if event == DRAIN then
    events.tell(self, "drain")
  elseif event == ABORTED and not self.destroyed and self:listenerCount("error") > 0 then
    events.tell(self, "error", core.error("aborted", "ECONNRESET"))
  end
end

local function closed(self)
  rawset(self, "writable", false)
  rawset(self, "destroyed", true)
  readable.stop(self)
  events.tell(self, "close")
end

socket.setup({ __index = Socket, __metatable = false, __name = "Socket" }, closed)

return M
