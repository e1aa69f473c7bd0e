--- Runs the cases of wire documents over a transport. A transport is a table
--   name, title                          h1, https or h2; what it is called (name)
--   start(document) -> target            a server that answers the document's cases
--   run(case, target)                    as written; raises where an answer differs
--   can_split(case) -> boolean           whether run_split says anything about it
--   run_split(case, target)              the same with the bytes split at every place
-- and stands in M.transports; another one is added there and nowhere else.
local certs = require("spec.helper.certs")
local client = require("spec.helper.client")
local server = require("spec.helper.server")
local wire_app = require("spec.helper.wire_app")
local wire_check = require("spec.helper.wire_check")
local wire_h2 = require("spec.helper.wire_h2")

local M = {}

local SPLIT_LIMIT = 600 -- bytes of a case up to which it is split at each of them
local BATCH = 64 -- connections that are split at the same time

local PROBE = ("GET %s HTTP/1.1\r\nHost: probe\r\n\r\n"):format(wire_app.PROBE)

-- Adds to an error where it belongs; `how` says how the bytes were sent.
local function located(document_line, how, conn, fn, ...)
  local ok, message = pcall(fn, ...)
  if not ok then
    error(("line %d, %s: %s\nunread: %q"):format(document_line, how, message,
      conn.buffer:sub(1, 1000)), 0)
  end
end

local function check_answer(conn, expected)
  local response = conn:read_response({ head = expected.head })
  if response.version ~= "1.1" then -- RFC 9110 2.5: our own, whatever was asked
    error(("the answer is HTTP/%s"):format(response.version), 0)
  end
  local ok, message = wire_check.compare(expected, response)
  if not ok then
    error(("%s\nanswer: %q"):format(message, response.raw:sub(1, 2000)), 0)
  end
end

local function check_probe(conn)
  local response = conn:read_response()
  if response.status ~= 200 or response.body ~= wire_app.PROBE_ANSWER then
    error(("the next request is answered %q"):format(response.raw:sub(1, 1000)), 0)
  end
end

local function check_closed(conn)
  if not conn:closed() then
    error("the connection stays open", 0)
  elseif conn.buffer ~= "" then
    error("something follows the last answer", 0)
  end
end

local function check_end(conn, case, probed)
  if case.connection == "closed" then
    check_closed(conn)
    return
  end
  if not probed then
    conn:send(PROBE)
  end
  check_probe(conn)
end

local function port_of(case, target)
  local name = wire_app.handler_name(case)
  return target.ports[name] or error("the server did not announce the port of " .. name, 0)
end

-- One connection through all steps; `send(conn, bytes)` writes.
local function run_once(case, target, how, send)
  local conn = client.connect(port_of(case, target), { tls = target.tls })
  for _, step in ipairs(case.steps) do
    if step.kind == "request" then
      send(conn, step.bytes)
    else
      located(step.line, how, conn, check_answer, conn, step.expected)
    end
  end
  located(case.line, how, conn, check_end, conn, case)
  conn:reset() -- leaves no TIME_WAIT behind
end

-- Every place where a case can be split: the step, and how many of its bytes go
-- first.
local function split_points(case)
  local points, total, last = {}, 0, nil
  for i, step in ipairs(case.steps) do
    if step.kind == "request" then
      total, last = total + #step.bytes, i
      for at = 1, #step.bytes - 1 do
        table.insert(points, { step = i, at = at })
      end
    end
  end
  return total <= SPLIT_LIMIT and points or {}, last
end

-- Waits until the server has seen what was sent before: it is asked on another
-- connection, and events are served in their order.
local function wait_until_read(sync)
  sync:send(PROBE)
  check_probe(sync)
end

-- Sends step `i` on every connection of the batch, in two parts where it is the
-- one that is split. The probe follows the last request at once: pipelined.
local function send_step(batch, step, i, tail, sync)
  for _, point in ipairs(batch) do
    if point.step == i then
      point.conn:send(step.bytes:sub(1, point.at))
    else
      point.conn:send(step.bytes .. tail)
    end
  end
  wait_until_read(sync)
  for _, point in ipairs(batch) do
    if point.step == i then
      point.conn:send(step.bytes:sub(point.at + 1) .. tail)
    end
  end
end

local function read_step(batch, step)
  for _, point in ipairs(batch) do
    local how = ("split before byte %d of the request"):format(point.at + 1)
    located(step.line, how, point.conn, check_answer, point.conn, step.expected)
  end
end

local function run_batch(case, batch, last, port, sync)
  for _, point in ipairs(batch) do
    point.conn = client.connect(port)
  end
  for i, step in ipairs(case.steps) do
    if step.kind == "request" then
      local tail = i == last and case.connection == "open" and PROBE or ""
      send_step(batch, step, i, tail, sync)
    else
      read_step(batch, step)
    end
  end
  for _, point in ipairs(batch) do
    local how = ("split before byte %d of the request"):format(point.at + 1)
    located(case.line, how, point.conn, check_end, point.conn, case, true)
    point.conn:reset()
  end
end

local h1 = { name = "h1" }

function h1.start(document)
  local code, ports = wire_app.code(document)
  return server.serve(code, { ports = ports, timeout = 10 })
end

function h1.run(case, target)
  run_once(case, target, "in one write", function(conn, bytes)
    conn:send(bytes)
  end)
end

function h1.can_split(case)
  return #split_points(case) > 0
end

-- In two parts, split at every place, and byte by byte.
function h1.run_split(case, target)
  local points, last = split_points(case)
  run_once(case, target, "byte by byte", function(conn, bytes)
    conn:send_slowly(bytes, 1)
  end)
  local sync = client.connect(target.ports.echo)
  for first = 1, #points, BATCH do
    local batch = table.move(points, first, math.min(first + BATCH - 1, #points), 1, {})
    run_batch(case, batch, last, port_of(case, target), sync)
  end
  sync:close()
end

-- Over TLS each write is a record. Byte by byte is all that is split: a handshake
-- for every place would take minutes, and what parses is the same.
local https = { name = "https", run = h1.run }

function https.start(document)
  local code, ports = wire_app.code(document, certs.of())
  local target = server.serve(code, { ports = ports, timeout = 10 })
  target.tls = true
  return target
end

function https.can_split(case)
  local bytes = 0
  for _, step in ipairs(case.steps) do
    bytes = bytes + (step.kind == "request" and #step.bytes or 0)
  end
  return bytes <= SPLIT_LIMIT
end

function https.run_split(case, target)
  run_once(case, target, "byte by byte", function(conn, bytes)
    conn:send_slowly(bytes, 1)
  end)
end

--- What the documents are run over.
M.transports = { h1, https, wire_h2, wire_h2.encrypted }

return M
