--- A raw socket to the server under test: bytes out, bytes in, and answers read
-- strictly by RFC 9112 (spec/helper/response.lua). Everything that waits has a
-- deadline and raises with what had arrived until then.
-- See spec/helper.lua for what specs use of this.
local socket = require("socket")
local unix_socket = require("socket.unix")
local poll = require("spec.helper.poll")
local response = require("spec.helper.response")
local scope = require("spec.helper.scope")
local transport = require("spec.helper.transport")

local M = {}

local READ_SIZE = 65536

---@class spec.Conn
---@field buffer string what has arrived and was not consumed
---@field eof boolean the peer has closed, all that it sent is in the buffer
---@field timeout number seconds that one reading call waits
local Conn = {}
Conn.__index = Conn

local function open_unix(path)
  local sock = assert(unix_socket.stream())
  local ok, message = sock:connect(path)
  if not ok then
    sock:close()
    return nil, message
  end
  return sock
end

local function open_tcp(host, port, opts)
  local sock = assert((host:find(":", 1, true) and socket.tcp6 or socket.tcp4)())
  sock:setoption("tcp-nodelay", true)
  if opts.rcvbuf then -- before connect: it bounds the window that is offered
    assert(sock:setoption("recv-buffer-size", opts.rcvbuf))
  end
  sock:settimeout(poll.seconds(opts.timeout))
  local ok, message = sock:connect(host, port)
  if not ok then
    sock:close()
    return nil, message
  end
  return sock
end

local function open(target, opts)
  if type(target) == "table" then
    if target.unix and not opts.port then
      return open_unix(target.unix)
    end
    return open_tcp(opts.host or "127.0.0.1", opts.port or target.port, opts)
  end
  if opts.unix then
    return open_unix(opts.unix)
  end
  return open_tcp(opts.host or "127.0.0.1", target, opts)
end

local function encrypt(sock, opts)
  local params = { mode = "client", protocol = "any", verify = "none", options = "all" }
  for name, value in pairs(type(opts.tls) == "table" and opts.tls or {}) do
    params[name] = value
  end
  -- What the wrapped socket can no longer be told: closing resets.
  assert(sock:setoption("linger", { on = true, timeout = 0 }))
  local wrapped = assert(require("ssl").wrap(sock, params))
  if params.servername then
    wrapped:sni(params.servername)
  end
  wrapped:settimeout(poll.seconds(opts.timeout or 5))
  local ok, message = wrapped:dohandshake()
  if not ok then
    wrapped:close()
    return nil, message
  end
  return wrapped
end

--- Connects. `target` is a server of the specs, or a port of 127.0.0.1. Options:
--- host, port, unix (a path), timeout (of each later read, seconds, default 5),
--- rcvbuf (bytes), try (return nil and a message where nobody listens), tls (true,
--- or options of LuaSec, and servername: conn.sock is then LuaSec's).
---@param target spec.Process|integer|nil
---@param opts table?
---@return spec.Conn?, string?
function M.connect(target, opts)
  opts = opts or {}
  local sock, message = open(target, opts)
  local tls = opts.tls
  if tls == nil then
    tls = transport.encrypted
  end
  if sock and tls then
    sock, message = encrypt(sock, { tls = tls, timeout = opts.timeout })
  end
  if not sock then
    if opts.try then
      return nil, message
    end
    error("cannot connect: " .. tostring(message), 2)
  end
  sock:settimeout(0)
  local self = setmetatable({
    sock = sock,
    buffer = "",
    eof = false,
    timeout = opts.timeout or 5,
  }, Conn)
  scope.defer(function()
    self:close()
  end)
  return self
end

--- True where somebody accepts connections there.
---@param opts table host, port or unix
---@return boolean
function M.answers(opts)
  local sock = open(opts.port, opts)
  if sock then
    sock:close()
  end
  return sock ~= nil
end

--- The client's own port.
---@return integer
function Conn:local_port()
  local _, port = self.sock:getsockname()
  return math.tointeger(tonumber(port))
end

--- Sends all bytes. Returns true, or nil, "closed" or "timeout", and how many
--- were sent: a server may rightly close while we still write.
---@param bytes string
---@param timeout number? seconds
---@return true?, string?, integer?
function Conn:send(bytes, timeout)
  local deadline = poll.now() + poll.seconds(timeout or self.timeout)
  local at = 0
  while at < #bytes do
    local last, message, partial = self.sock:send(bytes, at + 1)
    at = math.tointeger(last or partial)
    if not last then
      if message ~= "timeout" and message ~= "wantwrite" and message ~= "wantread" then
        return nil, message, at
      end
      local left = deadline - poll.now()
      if left <= 0 then
        return nil, "timeout", at
      end
      socket.select(nil, { self.sock }, left)
    end
  end
  return true
end

--- Sends the bytes in writes of `n`, each its own packet; `pause` (seconds) is
--- waited between them. Returns as send does.
---@param bytes string
---@param n integer? default 1
---@param pause number?
---@return true?, string?, integer?
function Conn:send_slowly(bytes, n, pause)
  n = n or 1
  for at = 1, #bytes, n do
    local ok, message, sent = self:send(bytes:sub(at, at + n - 1))
    if not ok then
      return nil, message, at - 1 + sent
    end
    if pause then
      socket.sleep(pause)
    end
  end
  return true
end

-- Takes what has arrived, or waits for it until the deadline. Returns the bytes,
-- or nil and "timeout" or "closed".
function Conn:receive(deadline)
  while not self.eof do
    local data, message, partial = self.sock:receive(READ_SIZE)
    data = data or partial
    if message == "closed" then
      self.eof = true
    end
    if data and data ~= "" then
      return data
    end
    if not self.eof then
      local left = deadline - poll.now()
      if left <= 0 then
        return nil, "timeout"
      end
      socket.select({ self.sock }, nil, left)
    end
  end
  return nil, "closed"
end

function Conn:fail(message, what, level)
  local shown = self.buffer
  if #shown > 2000 then
    shown = shown:sub(1, 2000) .. "..."
  end
  local how = message == "closed" and "the server closed the connection"
    or ("nothing came for %g s"):format(poll.seconds(self.timeout))
  error(("%s while reading %s; unread: %q"):format(how, what, shown), (level or 1) + 1)
end

--- Makes the buffer at least `n` bytes long; returns true, or nil and a message.
function Conn:fill(n)
  if #self.buffer >= n then
    return true
  end
  local deadline = poll.now() + poll.seconds(self.timeout)
  local parts, size = { self.buffer }, #self.buffer
  local message
  while size < n and not message do
    local data
    data, message = self:receive(deadline)
    if data then
      table.insert(parts, data)
      size = size + #data
    end
  end
  self.buffer = table.concat(parts)
  return size >= n or nil, message
end

--- Consumes `n` bytes of the buffer, which must be there.
function Conn:take(n)
  local bytes = self.buffer:sub(1, n)
  self.buffer = self.buffer:sub(n + 1)
  return bytes
end

--- Reads exactly `n` bytes.
---@param n integer
---@return string
function Conn:read(n)
  local ok, message = self:fill(n)
  if not ok then
    self:fail(message, n .. " bytes", 2)
  end
  return self:take(n)
end

--- Reads what has arrived, at least one byte; nil at the end.
---@return string?
function Conn:read_some()
  local ok, message = self:fill(1)
  if not ok and message == "timeout" then
    self:fail(message, "anything", 2)
  end
  return self.buffer ~= "" and self:take(#self.buffer) or nil
end

--- Reads until the Lua pattern matches; returns everything up to the match's end.
---@param pattern string
---@param plain boolean? the pattern is a plain string
---@return string
function Conn:read_until(pattern, plain)
  local _, last = self.buffer:find(pattern, 1, plain)
  while not last do
    local ok, message = self:fill(#self.buffer + 1)
    if not ok then
      self:fail(message, ("until %q"):format(pattern), 2)
    end
    _, last = self.buffer:find(pattern, 1, plain)
  end
  return self:take(last)
end

--- Reads to the end of the stream.
---@return string
function Conn:read_all()
  local _, message = self:fill(math.huge)
  if message == "timeout" then
    self:fail(message, "to the end", 2)
  end
  return self:take(#self.buffer)
end

--- Reads one answer, informational ones (1xx) too. Options: head = true after a
--- HEAD request. Raises where it is not well-formed.
---@param opts { head: boolean? }?
---@return spec.Response
function Conn:read_response(opts)
  return response.read(self, opts or {})
end

--- Waits for the peer to close (an end or a reset); false where it has not after
--- `timeout` seconds. What it sent before stays to be read.
---@param timeout number? default: that of the connection
---@return boolean
function Conn:closed(timeout)
  local deadline = poll.now() + poll.seconds(timeout or self.timeout)
  local parts = { self.buffer }
  local data, message
  repeat
    data, message = self:receive(deadline)
    table.insert(parts, data)
  until message
  self.buffer = table.concat(parts)
  return message == "closed"
end

--- Ends our direction of the stream; the answer can still be read.
function Conn:shutdown_write()
  self.sock:shutdown("send")
end

--- Closes with a reset (RST) instead of an orderly end.
function Conn:reset()
  if self.sock.setoption then -- LuaSec's was told when it was made
    self.sock:setoption("linger", { on = true, timeout = 0 })
  end
  self:close()
end

--- Closes.
function Conn:close()
  self.sock:close()
  self.eof = true
end

return M
