--- The application that answers the cases of one wire document: one server for
-- the echo handler and one for each handler of a case, all in one process.
local M = {}

--- The target that is answered beside the case's own handler, to see that a
--- connection is still in step.
M.PROBE = "/-/probe"
M.PROBE_ANSWER = "in step"

local HEAD = [[
local http = require("http")

local handlers = {}

local function field_lines(prefix, fields)
  local lines = {}
  for name, value in pairs(fields) do
    if name:sub(1, 1) ~= ":" then
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        lines[#lines + 1] = "\n" .. prefix .. name .. ": " .. one
      end
    end
  end
  table.sort(lines)
  return table.concat(lines)
end

function handlers.echo(req, res)
  local body = {}
  req:on("data", function(chunk) body[#body + 1] = chunk end)
  req:on("end", function()
    local rest = table.concat(body) .. field_lines("trailer ", req.trailers or {})
    res:setHeader("Content-Type", "text/plain")
    res:finish(req.method .. " " .. req.url .. field_lines("", req.headers)
      .. (rest == "" and "" or "\n\n" .. rest))
  end)
end
]]

local PLAIN = "\nlocal create = http.createServer\n"

local ENCRYPTED = [[

local function create(handler)
  return require("https").createServer({ cert = %q, key = %q }, handler)
end
]]

local TAIL = [[

for name, handler in pairs(handlers) do
  local server
  server = create(function(req, res)
    if req.url == "/-/probe" then return res:finish("in step") end
    return handler(req, res)
  end)
  server:listen(0, "127.0.0.1", function()
    print("port " .. server:address().port .. " " .. name)
  end)
end
]]

--- The name of the case's handler in the application.
---@param case spec.Case
---@return string
function M.handler_name(case)
  return case.handler and "line" .. case.line or "echo"
end

--- The application's code, and how many ports it announces.
---@param document table of wire.parse
---@param pair { cert: string, key: string }? serves over TLS with it
---@return string code, integer ports
function M.code(document, pair)
  local parts, ports = { HEAD }, 1
  for _, case in ipairs(document.cases) do
    if case.handler then
      ports = ports + 1
      table.insert(parts, ("\nhandlers.%s = function(req, res) -- %s\n%s\nend\n"):format(
        M.handler_name(case), case.name, case.handler))
    end
  end
  table.insert(parts, pair and ENCRYPTED:format(pair.cert, pair.key) or PLAIN)
  table.insert(parts, TAIL)
  return table.concat(parts), ports
end

return M
