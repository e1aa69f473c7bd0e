--- The transport of wire documents over HTTP/2: each request of a case becomes a
-- stream, with the same fields and body. What is HTTP/1's alone is left out: reason
-- phrases, fields that frame a message, and whether the connection is closed; but
-- the next request on it must be answered in any case.
local certs = require("spec.helper.certs")
local h2 = require("spec.helper.h2")
local server = require("spec.helper.server")
local wire_app = require("spec.helper.wire_app")
local wire_check = require("spec.helper.wire_check")

local M = { name = "h2", title = "h2c" }

local CONNECTION_FIELDS = { connection = true, ["keep-alive"] = true, ["transfer-encoding"] = true,
  ["proxy-connection"] = true, upgrade = true, host = true, te = true }
local FRAMING = { connection = true, ["keep-alive"] = true, ["transfer-encoding"] = true }

function M.start(document)
  local code, ports = wire_app.code(document)
  return server.serve(code, { ports = ports, timeout = 10 })
end

--- The first request of `bytes`: its fields for HTTP/2, its body so far, how much
--- of the body is missing, and what follows it; nil where `bytes` is none.
local function parse(bytes, scheme)
  local method, target, rest = bytes:match("^(%S+) (%S+) HTTP/1%.1\r\n(.*)$")
  if not method then
    return nil
  end
  local head, behind = rest:match("^(.-\r\n)\r\n(.*)$")
  if not head then
    head, behind = "", rest:gsub("^\r\n", "")
  end
  local more, length = {}, 0
  local authority = "localhost"
  for name, value in head:gmatch("([^:\r\n]+):[ \t]*(.-)[ \t]*\r\n") do
    name = name:lower()
    length = name == "content-length" and tonumber(value) or length
    authority = name == "host" and value or authority
    if not CONNECTION_FIELDS[name] then
      table.insert(more, { name, value })
    end
  end
  local fields = { { ":method", method }, { ":scheme", scheme }, { ":path", target }, { ":authority", authority } }
  table.move(more, 1, #more, #fields + 1, fields)
  local body = behind:sub(1, length)
  return { fields = fields, body = body, missing = length - #body }, behind:sub(length + 1)
end

-- Sends what a step holds: requests, or the rest of the last one's body. Adds the
-- streams that are to be answered to `owed`.
local function send(conn, bytes, owed, last)
  while bytes ~= "" do
    local request, rest = parse(bytes, conn.scheme)
    if request then
      local has_body = request.body ~= "" or request.missing > 0
      request.id = conn:request(request.fields, { open = has_body })
      if has_body and (request.body ~= "" or request.missing == 0) then
        conn:data(request.id, request.body, request.missing == 0)
      end
      table.insert(owed, request.id)
      last, bytes = request, rest
    else
      assert(last and last.missing >= #bytes, "this cannot be said in HTTP/2")
      last.missing = last.missing - #bytes
      conn:data(last.id, bytes, last.missing == 0)
      bytes = ""
    end
  end
  return last
end

-- The next answer on a stream: an interim one that was not looked at, or the last.
local function next_answer(conn, id)
  local stream = conn:stream(id)
  stream.seen = stream.seen or 0
  conn:until_true(function()
    return stream.ended or stream.reset or #stream.interim > stream.seen
  end, "answering stream " .. id)
  if #stream.interim > stream.seen then
    stream.seen = stream.seen + 1
    local headers = stream.interim[stream.seen]
    return { status = math.tointeger(tonumber(headers[":status"])), headers = headers, trailers = {}, body = "" }
  end
  local response = conn:response(id)
  response.trailers = response.trailers or {}
  return response
end

local function expected_of(expected)
  local copy = setmetatable({ fields = {} }, { __index = expected })
  for _, field in ipairs(expected.fields) do
    if not FRAMING[field.name] or field.how == "absent" then
      table.insert(copy.fields, field)
    end
  end
  copy.reason = false
  return copy
end

function M.run(case, target)
  local tls = target.tls and { alpn = { "h2" } }
  local conn = h2.connect({ port = target.ports[wire_app.handler_name(case)] }, { tls = tls })
  conn.scheme = tls and "https" or "http"
  local owed, last = {}, nil
  for _, step in ipairs(case.steps) do
    if step.kind == "request" then
      last = send(conn, step.bytes, owed, last)
    else
      local response = next_answer(conn, owed[1])
      local ok, message = wire_check.compare(expected_of(step.expected), response)
      if not ok then
        error(("line %d: %s"):format(step.line, message), 0)
      end
      if response.status >= 200 then
        table.remove(owed, 1)
      end
    end
  end
  assert(#owed == 0, "an answer was not asked for")
  local probe = conn:response(conn:request(h2.fields("GET", wire_app.PROBE)))
  assert(probe.body == wire_app.PROBE_ANSWER, "the next request is not answered")
  conn:close()
end

function M.can_split()
  return false
end

--- The same over TLS, where a client asks for h2 by ALPN.
M.encrypted = setmetatable({ title = "h2 over TLS" }, { __index = M })

function M.encrypted.start(document)
  local code, ports = wire_app.code(document, certs.of())
  local target = server.serve(code, { ports = ports, timeout = 10 })
  target.tls = true
  return target
end

return M
