--- One request, one answer, over a connection of its own.
-- See spec/helper.lua for the fields.
local client = require("spec.helper.client")
local transport = require("spec.helper.transport")

local M = {}

local function field_lines(headers)
  local lines, seen = {}, {}
  local function add(name, value)
    seen[name:lower()] = true
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      if one ~= false then
        table.insert(lines, ("%s: %s\r\n"):format(name, tostring(one)))
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
  return lines, seen
end

local function chunked(list)
  local parts = {}
  for _, chunk in ipairs(list) do
    table.insert(parts, ("%x\r\n%s\r\n"):format(#chunk, chunk))
  end
  return table.concat(parts) .. "0\r\n\r\n"
end

--- The bytes of a request.
---@param spec table method, path, headers, body, version, raw
---@return string
function M.bytes(spec)
  if spec.raw then
    return spec.raw
  end
  local lines, seen = field_lines(spec.headers or {})
  local body = spec.body or ""
  if not seen.host then
    table.insert(lines, 1, "Host: localhost\r\n")
  end
  if type(body) == "table" then
    body = chunked(body)
    table.insert(lines, "Transfer-Encoding: chunked\r\n")
  elseif spec.body and not seen["content-length"] and not seen["transfer-encoding"] then
    table.insert(lines, ("Content-Length: %d\r\n"):format(#body))
  end
  return ("%s %s HTTP/%s\r\n%s\r\n%s"):format(spec.method or "GET", spec.path or "/",
    spec.version or "1.1", table.concat(lines), body)
end

--- Sends one request and reads its answer.
---@param target spec.Process|integer
---@param spec table method, path, headers, body, version, raw, timeout, connect (options)
---@return spec.Response
function M.send(target, spec)
  if transport.is_h2 and not spec.raw and not spec.connect and (spec.version or "1.1") == "1.1" then
    return transport.send_h2(target, spec)
  end
  local opts = spec.connect or {}
  opts.timeout = opts.timeout or spec.timeout
  local conn = client.connect(target, opts)
  conn:send(M.bytes(spec))
  local interim = {}
  local response
  repeat
    response = conn:read_response({ head = spec.method == "HEAD" })
    if response.status < 200 and response.status ~= 101 then
      table.insert(interim, response)
    end
  until response.status >= 200 or response.status == 101
  conn:close()
  response.interim = interim
  return response
end

--- GET `path`.
---@param target spec.Process|integer
---@param path string?
---@param headers table?
---@return spec.Response
function M.get(target, path, headers)
  return M.send(target, { path = path, headers = headers })
end

return M
