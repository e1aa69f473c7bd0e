--- A client of HTTP/2 for the specs, frame by frame: whatever RFC 9113 forbids can
-- be sent. What comes is read strictly, and answered where a connection would
-- stall (SETTINGS, PING, windows), unless a spec says otherwise.
--
--   h2.connect(server, opts) -> conn    sends the preface and SETTINGS. Options are
--                                       those of helper.connect, and: settings =
--                                       {{id, value}...}, raw = true (send nothing),
--                                       windows = false (never open them again)
--   h2.get(server, path, fields, opts) -> response
--   h2.frame(type, flags, id, payload) -> bytes; types and flags: h2.DATA, h2.END_STREAM...
--   h2.fields(method, path, more) -> list of pseudo-header fields and more
--   conn:send(bytes)    conn:request(fields, opts) -> id    conn:data(id, text, last)
--   conn:response(id) -> response     raises unless the stream ends well
--   conn:reset_of(id) -> error code   waits for RST_STREAM
--   conn:goaway() -> error code       waits for GOAWAY; conn:closed()
--   conn:ping()                       a round trip: what was sent before has been read
--   conn:step() -> frame              reads one frame; nil where the server has closed
--   conn:outcome(id) -> "reset NAME" | "goaway NAME" | "status N" | "closed"
local client = require("spec.helper.client")
local hpack = require("spec.helper.hpack")

local M = {
  PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4, PUSH_PROMISE = 5,
  PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9, PRIORITY_UPDATE = 16,
  END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITIZED = 32,
}

M.ERRORS = { [0] = "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
  "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED" }

local FRAME_MAX = 16384

--- The bytes of a frame (RFC 9113 4.1).
---@return string
function M.frame(type, flags, id, payload)
  payload = payload or ""
  return string.pack(">I3BBI4", #payload, type, flags, id) .. payload
end

--- SETTINGS of a list of {id, value}.
---@return string
function M.settings(list)
  local parts = {}
  for _, entry in ipairs(list) do
    table.insert(parts, string.pack(">I2I4", entry[1], entry[2]))
  end
  return M.frame(M.SETTINGS, 0, 0, table.concat(parts))
end

--- WINDOW_UPDATE.
---@return string
function M.window_update(id, n)
  return M.frame(M.WINDOW_UPDATE, 0, id, string.pack(">I4", n))
end

--- RST_STREAM.
---@return string
function M.rst_stream(id, code)
  return M.frame(M.RST_STREAM, 0, id, string.pack(">I4", code or 8))
end

--- The fields of a request; `more` is a list of {name, value}.
---@return string[][]
function M.fields(method, path, more)
  local list = { { ":method", method or "GET" }, { ":scheme", "http" }, { ":path", path or "/" },
    { ":authority", "localhost" } }
  return table.move(more or {}, 1, #(more or {}), 5, list)
end

--- HEADERS, with CONTINUATION where the block needs it. Options: open (no
--- END_STREAM), how (of hpack.encode), block (instead of fields).
---@return string
function M.headers(id, fields, opts)
  opts = opts or {}
  local block = opts.block or hpack.encode(fields, opts.how)
  local flags = opts.open and 0 or M.END_STREAM
  if #block <= FRAME_MAX then
    return M.frame(M.HEADERS, flags | M.END_HEADERS, id, block)
  end
  local parts = { M.frame(M.HEADERS, flags, id, block:sub(1, FRAME_MAX)) }
  for at = FRAME_MAX + 1, #block, FRAME_MAX do
    local last = at + FRAME_MAX > #block
    table.insert(parts, M.frame(M.CONTINUATION, last and M.END_HEADERS or 0, id, block:sub(at, at + FRAME_MAX - 1)))
  end
  return table.concat(parts)
end

---@class spec.H2Conn
local Conn = {}
Conn.__index = Conn

--- Connects.
---@return spec.H2Conn
function M.connect(target, opts)
  opts = opts or {}
  local self = setmetatable({
    raw = client.connect(target, opts),
    decoder = hpack.decoder(),
    streams = {},
    next_id = 1,
    windows = opts.windows ~= false,
    frames = 0,
  }, Conn)
  if not opts.raw then
    self:send(M.PREFACE .. M.settings(opts.settings or {}))
  end
  return self
end

function Conn:send(bytes, timeout)
  return self.raw:send(bytes, timeout)
end

function Conn:stream(id)
  self.streams[id] = self.streams[id] or { body = {}, size = 0, interim = {}, order = {} }
  return self.streams[id]
end

--- Sends the head of a request on the next stream. Options: those of h2.headers,
--- and body (a string, sent at once).
---@return integer id
function Conn:request(fields, opts)
  opts = opts or {}
  local id = self.next_id
  self.next_id = id + 2
  self:send(M.headers(id, fields, { open = opts.open or opts.body, how = opts.how }))
  if opts.body then
    self:data(id, opts.body, true)
  end
  return id
end

--- Sends DATA in frames that fit; `last`: with END_STREAM.
function Conn:data(id, text, last)
  for at = 1, math.max(#text, 1), FRAME_MAX do
    local is_last = last and at + FRAME_MAX > #text
    self:send(M.frame(M.DATA, is_last and M.END_STREAM or 0, id, text:sub(at, at + FRAME_MAX - 1)))
  end
end

-- ---- reading

local function as_headers(fields)
  local headers = {}
  for _, field in ipairs(fields) do
    local name, value = field[1], field[2]
    assert(name == name:lower(), "upper case in the name " .. name)
    if headers[name] == nil then
      headers[name] = value
    elseif type(headers[name]) == "table" then
      table.insert(headers[name], value)
    else
      headers[name] = { headers[name], value }
    end
  end
  return headers
end

local on = {}

on[M.SETTINGS] = function(self, frame)
  if frame.flags & M.ACK ~= 0 then
    self.acked = true
    return
  end
  self.settings = self.settings or {}
  for at = 1, #frame.payload, 6 do
    local id, value = string.unpack(">I2I4", frame.payload, at)
    self.settings[id] = value
  end
  self:send(M.frame(M.SETTINGS, M.ACK, 0))
end

on[M.PING] = function(self, frame)
  if frame.flags & M.ACK == 0 then
    if self.pongs ~= false then
      self:send(M.frame(M.PING, M.ACK, 0, frame.payload))
    end
  else
    self.pong = frame.payload
  end
end

local function on_block(self, id, block, ended)
  local fields = self.decoder:decode(block)
  local headers = as_headers(fields)
  local stream = self:stream(id)
  if headers[":status"] and tonumber(headers[":status"]) < 200 then
    table.insert(stream.interim, headers)
  elseif headers[":status"] then
    stream.headers, stream.status = headers, math.tointeger(tonumber(headers[":status"]))
  else
    stream.trailers = headers
  end
  stream.ended = ended or stream.ended
end

on[M.HEADERS] = function(self, frame)
  local ended = frame.flags & M.END_STREAM ~= 0
  if frame.flags & M.END_HEADERS ~= 0 then
    return on_block(self, frame.id, frame.payload, ended)
  end
  self.block = { frame.payload, ended = ended }
end

on[M.CONTINUATION] = function(self, frame)
  table.insert(self.block, frame.payload)
  if frame.flags & M.END_HEADERS ~= 0 then
    on_block(self, frame.id, table.concat(self.block), self.block.ended)
  end
end

on[M.DATA] = function(self, frame)
  local stream = self:stream(frame.id)
  table.insert(stream.body, frame.payload)
  stream.size = stream.size + #frame.payload
  stream.ended = frame.flags & M.END_STREAM ~= 0 or stream.ended
  if self.windows and #frame.payload > 0 then
    self:send(M.window_update(0, #frame.payload)
      .. (stream.ended and "" or M.window_update(frame.id, #frame.payload)))
  end
end

on[M.RST_STREAM] = function(self, frame)
  self:stream(frame.id).reset = string.unpack(">I4", frame.payload)
end

on[M.GOAWAY] = function(self, frame)
  local last, code = string.unpack(">I4I4", frame.payload)
  self.last_stream, self.error = last, code
  self.goaways = (self.goaways or 0) + 1
end

on[M.WINDOW_UPDATE] = function(self, frame)
  local stream = self:stream(frame.id)
  stream.window = (stream.window or 0) + string.unpack(">I4", frame.payload)
end

--- Reads one frame and does what it asks for. Returns it, or nil where the server
--- has closed; raises where nothing comes.
---@return table?
function Conn:step()
  local raw = self.raw
  local ok, message = raw:fill(9)
  if not ok and message == "closed" then
    self.ended = true
    return nil
  end
  local head = raw:read(9)
  local length, type, flags, id = string.unpack(">I3BBI4", head)
  assert(length <= FRAME_MAX, "a frame of " .. length .. " bytes")
  local frame = { type = type, flags = flags, id = id, payload = raw:read(length) }
  self.frames = self.frames + 1
  if on[type] then
    on[type](self, frame)
  end
  return frame
end

--- Reads frames until `condition()` is true; raises where the server closes first.
function Conn:until_true(condition, what)
  while not condition() do
    if not self:step() then
      error(("the server closed (%s) instead of %s"):format(M.ERRORS[self.error] or "no GOAWAY", what), 2)
    end
  end
end

--- The answer on a stream, complete.
---@return table status, headers, body, trailers, interim
function Conn:response(id)
  local stream = self:stream(id)
  self:until_true(function() return stream.ended or stream.reset end, "answering stream " .. id)
  if not stream.ended then
    error("stream " .. id .. " was reset: " .. tostring(M.ERRORS[stream.reset]), 2)
  end
  return { status = stream.status, headers = stream.headers, body = table.concat(stream.body),
    trailers = stream.trailers, interim = stream.interim }
end

--- Waits until a stream is reset; returns the name of the error.
---@return string
function Conn:reset_of(id)
  local stream = self:stream(id)
  self:until_true(function() return stream.reset end, "resetting stream " .. id)
  return M.ERRORS[stream.reset]
end

--- Waits for GOAWAY; returns the name of its error.
---@return string
function Conn:goaway()
  self:until_true(function() return self.error end, "sending GOAWAY")
  return M.ERRORS[self.error]
end

--- True where the server closes the connection.
---@return boolean
function Conn:closed()
  local ok, message = pcall(function()
    while self:step() do end -- luacheck: ignore 542
  end)
  return ok or error(message, 2)
end

--- A round trip.
function Conn:ping()
  self.pong = nil
  self:send(M.frame(M.PING, 0, 0, "12345678"))
  self:until_true(function() return self.pong end, "answering a PING")
end

--- What becomes of a stream, or of the connection on its account.
---@return string
function Conn:outcome(id)
  local stream = self:stream(id)
  while not (stream.ended or stream.reset or self.error) do
    if not self:step() then
      return "closed"
    end
  end
  if self.error then
    return "goaway " .. M.ERRORS[self.error]
  end
  return stream.reset and "reset " .. M.ERRORS[stream.reset] or "status " .. stream.status
end

function Conn:close()
  self.raw:close()
end

--- One GET on a connection of its own.
function M.get(target, path, more, opts)
  local conn = M.connect(target, opts)
  local response = conn:response(conn:request(M.fields("GET", path, more)))
  conn:close()
  return response
end

return M
