--- Reads one HTTP/1 answer from a connection, strictly: what RFC 9112 does not
-- allow a server to send raises, so that every spec watches our own syntax.
local M = {}

---@class spec.Response
---@field status integer
---@field reason string
---@field version string "1.1"
---@field headers table<string, string|string[]> by lower-case name; a list where a name is repeated
---@field raw_headers string[][] pairs of name and value, as they came
---@field trailers table<string, string|string[]>
---@field body string without the framing
---@field framing "length"|"chunked"|"close"|"none"
---@field raw string all its bytes
---@field interim spec.Response[]? 1xx answers before it (helper.request alone fills it)

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$" -- RFC 9110 5.6.2

local function malformed(what, text)
  error(("malformed answer: %s in %q"):format(what, text), 0)
end

local function add(fields, raw, name, value)
  local key = name:lower()
  local old = fields[key]
  if old == nil then
    fields[key] = value
  elseif type(old) == "table" then
    table.insert(old, value)
  else
    fields[key] = { old, value }
  end
  table.insert(raw, { name, value })
end

-- Field lines, each with its CRLF (RFC 9112 5).
local function parse_fields(text)
  local fields, raw = {}, {}
  for line in text:gmatch("(.-)\r\n") do
    local name, value = line:match("^([^:]*):[ \t]*(.-)[ \t]*$")
    if not name or not name:find(TOKEN) then
      malformed("field line", line)
    end
    if value:find("[%z\1-\8\10-\31\127]") then
      malformed("control character in a value", line)
    end
    add(fields, raw, name, value)
  end
  return fields, raw
end

local function parse_head(head)
  local line, rest = head:match("^(.-)\r\n(.*)\r\n$")
  local version, status, reason = line:match("^HTTP/(1%.[01]) ([1-5]%d%d) ([^%c\127]*)$")
  if not version then
    malformed("status line", line)
  end
  local headers, raw = parse_fields(rest)
  return {
    version = version,
    status = math.tointeger(tonumber(status)),
    reason = reason,
    headers = headers,
    raw_headers = raw,
    trailers = {},
    body = "",
  }
end

local function read_chunks(conn, self)
  local parts, raw = {}, {}
  while true do
    local line = conn:read_until("\r\n", true)
    table.insert(raw, line)
    local size = tonumber(line:match("^(%x+)\r\n$") or malformed("chunk size", line), 16)
    if size == 0 then
      break
    end
    local chunk = conn:read(size + 2)
    if chunk:sub(-2) ~= "\r\n" then
      malformed("end of a chunk", chunk:sub(-40))
    end
    table.insert(parts, chunk:sub(1, -3))
    table.insert(raw, chunk)
  end
  local trailers = {}
  repeat
    local line = conn:read_until("\r\n", true)
    table.insert(raw, line)
    table.insert(trailers, line ~= "\r\n" and line or "")
  until line == "\r\n"
  self.trailers = parse_fields(table.concat(trailers))
  self.body = table.concat(parts)
  return table.concat(raw)
end

-- RFC 9112 6.1 and 6.2: what must not be there.
local function check_framing(self)
  local headers = self.headers
  local length, coding = headers["content-length"], headers["transfer-encoding"]
  local bodiless = self.status < 200 or self.status == 204
  if length and coding then
    malformed("Content-Length beside Transfer-Encoding", self.raw)
  end
  if bodiless and (length or coding) then
    malformed("framing on a " .. self.status, self.raw)
  end
  if length and (type(length) ~= "string" or not length:find("^%d+$")) then
    malformed("Content-Length", self.raw)
  end
  if coding and coding ~= "chunked" then
    malformed("Transfer-Encoding", self.raw)
  end
end

local function read_body(conn, self, head_only)
  local length = self.headers["content-length"]
  if head_only or self.status < 200 or self.status == 204 or self.status == 304 then
    self.framing = "none"
    return ""
  elseif self.headers["transfer-encoding"] then
    self.framing = "chunked"
    return read_chunks(conn, self)
  elseif length then
    self.framing = "length"
    self.body = conn:read(math.tointeger(tonumber(length)))
    return self.body
  end
  self.framing = "close"
  self.body = conn:read_all()
  return self.body
end

--- Reads one answer from `conn` (spec.Conn).
---@param conn spec.Conn
---@param opts { head: boolean? }
---@return spec.Response
function M.read(conn, opts)
  local head = conn:read_until("\r\n\r\n", true)
  local self = parse_head(head)
  self.raw = head
  check_framing(self)
  self.raw = head .. read_body(conn, self, opts.head)
  return self
end

return M
