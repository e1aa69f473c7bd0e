--- What carries the requests of a spec: HTTP/1.1 in the clear, or what
-- LUASERVE_TRANSPORT says: "https", "h2c" or "h2". So one spec tells that all are
-- alike; spec/transports_spec.lua runs a list of them over each.
--
-- The scripts stay as they are: on an encrypted transport a line in front has
-- http.createServer make an https server. What opens connections by hand still
-- speaks HTTP/1.1 in them, over TLS where that is the transport's.
local certs = require("spec.helper.certs")

local M = {}

--- "h1", "https", "h2c" or "h2".
M.name = os.getenv("LUASERVE_TRANSPORT") or "h1"
M.encrypted = M.name == "https" or M.name == "h2"
M.is_h2 = M.name == "h2c" or M.name == "h2"

-- On the first line of the script, whose lines so keep their numbers. https itself
-- uses http.createServer, which is what it was while that runs.
local PRELUDE = [[do local http, https = require("http"), require("https") local tls = { cert = %q, key = %q }
local plain = http.createServer local function secure(options, handler) if handler == nil and
(type(options) == "function" or getmetatable(options)) then options, handler = {}, options end
local all = { cert = tls.cert, key = tls.key } for name, value in pairs(options or {}) do all[name] = value end
http.createServer = plain local server = https.createServer(all, handler) http.createServer = secure
return server end http.createServer = secure end ]]

--- The script's code for this transport.
---@param code string
---@return string
function M.code(code)
  if not M.encrypted then
    return code
  end
  local pair = certs.of()
  local function flat(text)
    return (text:gsub("\n", "\\n"))
  end
  local prelude = PRELUDE:gsub("\n", " "):gsub("%%q", '"%%s"'):format(flat(pair.cert), flat(pair.key))
  return prelude .. code
end

--- The path of a file with the certificate ("cert") or its key ("key").
---@param what string
---@return string
function M.file(what)
  local files = require("spec.helper.files")
  return files.write_file(files.tmpdir() .. "/" .. what .. ".pem", certs.of()[what])
end

local function list_fields(headers)
  local fields, authority = {}, "localhost"
  local function add(name, value)
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      if name:lower() == "host" then
        authority = one
      elseif one ~= false and name:lower() ~= "connection" then
        table.insert(fields, { name:lower(), tostring(one):match("^%s*(.-)%s*$") })
      end
    end
  end
  for _, pair in ipairs(headers) do
    add(pair[1], pair[2])
  end
  for name, value in pairs(headers) do
    if type(name) == "string" then
      add(name, value)
    end
  end
  return fields, authority
end

-- Sends a body as far as the windows of the stream and of the connection allow,
-- and goes on as they open (RFC 9113 5.2).
local function send_body(conn, id, body)
  local whole, stream = conn:stream(0), conn:stream(id)
  local sent = 0
  repeat
    local first = conn.settings and conn.settings[4] or 65535
    local room = math.min(first + (stream.window or 0), 65535 + (whole.window or 0)) - sent
    local n = math.min(room, #body - sent, 16384)
    if n > 0 or #body == sent then
      conn:data(id, body:sub(sent + 1, sent + n), sent + n == #body)
      sent = sent + n
    elseif stream.ended or stream.reset or not conn:step() then
      return -- refused before its end
    end
  until sent == #body
end

local function reset_as_closed(conn, id)
  local stream = conn:stream(id)
  if stream.reset then
    error("the server closed the connection: the stream was reset, " .. stream.reset, 0)
  end
end

--- Sends one request over HTTP/2; the answer is one of helper.request.
---@param target spec.Process|integer
---@param spec table as for helper.request
---@return spec.Response
function M.send_h2(target, spec)
  local h2 = require("spec.helper.h2")
  local opts = { timeout = spec.timeout, tls = M.encrypted and { alpn = { "h2" } } or nil }
  local conn = h2.connect(target, opts)
  local fields, authority = list_fields(spec.headers or {})
  local all = { { ":method", spec.method or "GET" }, { ":scheme", M.encrypted and "https" or "http" },
    { ":path", spec.path or "/" }, { ":authority", authority } }
  table.move(fields, 1, #fields, 5, all)
  local body = type(spec.body) == "table" and table.concat(spec.body) or spec.body
  local id = conn:request(all, { open = body ~= nil })
  if body then
    send_body(conn, id, body)
  end
  local stream = conn:stream(id)
  conn:until_true(function() return stream.ended or stream.reset end, "answering")
  reset_as_closed(conn, id)
  local answer = conn:response(id)
  conn:close()
  return { status = answer.status, version = "2.0", headers = answer.headers, body = answer.body,
    trailers = answer.trailers or {}, interim = answer.interim, raw_headers = {},
    framing = answer.headers["content-length"] and "length" or answer.body == "" and "none" or "chunked" }
end

return M
