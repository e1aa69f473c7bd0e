--- The test client: asks an app within its own process, without a port. A request goes
--- the whole way, through the parser and all limits (src/script/l_probe.c).
local core = require "luaserve.core"
local http = require "http"
local json = require "json"
local probe = require "luaserve.core.probe"
local querystring = require "querystring"

local M = {}

-- ---- answers

local function read_chunks(text)
  local pieces, at = {}, 1
  while true do
    local _, stop, size = text:find("^(%x+)[^\r\n]*\r\n", at)
    if not stop then return nil end
    size = tonumber(size, 16)
    if size == 0 then return table.concat(pieces) end
    pieces[#pieces + 1] = text:sub(stop + 1, stop + size)
    at = stop + size + 3
  end
end

local function read_fields(head)
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    local old = headers[name]
    if name == "set-cookie" then
      headers[name] = old or {}
      table.insert(headers[name], value)
    else
      headers[name] = old and old .. ", " .. value or value
    end
  end
  return headers
end

--- Takes the bytes of an answer apart; nil where it is cut off.
local function parse(bytes, method)
  local head, behind
  repeat -- 1xx are passed over
    head, behind = bytes:match("^(HTTP/1%.1 .-\r\n)\r\n()")
    if not head then return nil end
    bytes = bytes:sub(behind)
  until head:sub(10, 10) ~= "1"
  local headers, body = read_fields(head), bytes
  if method == "HEAD" then
    body = ""
  elseif headers["transfer-encoding"] then
    body = read_chunks(bytes)
  elseif headers["content-length"] and #body < tonumber(headers["content-length"]) then
    return nil
  end
  if not body then return nil end
  local status = tonumber(head:match("^HTTP/1%.1 (%d+)"))
  return { status = math.tointeger and math.tointeger(status) or status, headers = headers, body = body }
end

-- ---- cookies

local function keep_cookies(client, headers)
  for _, line in ipairs(headers["set-cookie"] or {}) do
    local name, value = line:match("^([^=;]*)=([^;]*)")
    if name then
      local age, expires = line:lower():match("; *max%-age=(-?%d+)"), line:match("; *[Ee]xpires=[^;]*1970")
      local over = (age and tonumber(age) <= 0) or (not age and expires)
      client.cookies[name] = not over and value or nil
    end
  end
end

local function cookie_field(client)
  local list = {}
  for name, value in pairs(client.cookies) do list[#list + 1] = name .. "=" .. value end
  table.sort(list)
  return list[1] and table.concat(list, "; ") or nil
end

-- ---- requests

---@class TestRequest
---@field status integer of the answer, for which reading it waits; as do these
---@field headers table<string, string|string[]> lower-case names
---@field body string
local Request = {}

local request_meta = { __name = "TestRequest" }

local function check_field(name, value)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+%-.^_`|~]+$") then
    core.raise("the name of a header is a token, not '" .. tostring(name) .. "'")
  end
  if tostring(value):find("[\r\n%z]") then core.raise("the value of the header " .. name .. " holds a line break") end
end

--- Sets a header of the request.
---@param name string|table<string, string>
---@param value string|number|nil
---@return self
function Request:set(name, value)
  local fields = type(name) == "table" and name or { [name] = value }
  for key, one in pairs(fields) do
    check_field(key, one)
    self._fields[key:lower()] = tostring(one)
  end
  return self
end

--- Sets the body: a table is sent as JSON, a string as it is.
---@param body table|string
---@param kind string? the Content-Type
---@return self
function Request:send(body, kind)
  if type(body) ~= "table" and type(body) ~= "string" then
    core.raise("send needs a table or a string, not a " .. type(body))
  end
  local is_text = type(body) == "string"
  self._body = is_text and body or json.encode(body)
  local usual = is_text and "text/plain" or "application/json"
  self._fields["content-type"] = kind or self._fields["content-type"] or usual
  return self
end

--- Sets the body to a form.
---@param fields table<string, string|string[]>
---@return self
function Request:form(fields)
  if type(fields) ~= "table" then core.raise("form needs a table of fields") end
  return self:send(querystring.stringify(fields), "application/x-www-form-urlencoded")
end

--- Adds a field or a file to a form with files (multipart/form-data).
---@param name string
---@param content string
---@param filename string? a field has none
---@param kind string? the file's Content-Type
---@return self
function Request:attach(name, content, filename, kind)
  local boundary = "luaserve-test-5b1ffa2e7c63"
  local head = ('--%s\r\nContent-Disposition: form-data; name="%s"'):format(boundary, (name:gsub('[\r\n"]', "_")))
  if filename then
    head = ('%s; filename="%s"\r\nContent-Type: %s'):format(head, (filename:gsub('[\r\n"]', "_")),
      kind or "application/octet-stream")
  end
  self._parts = (self._parts or "") .. head .. "\r\n\r\n" .. content .. "\r\n"
  return self:send(self._parts .. "--" .. boundary .. "--\r\n", "multipart/form-data; boundary=" .. boundary)
end

--- Adds to the query.
---@param values table
---@return self
function Request:query(values)
  self._path = self._path .. (self._path:find("?", 1, true) and "&" or "?") .. querystring.stringify(values)
  return self
end

local function bytes_of(request)
  local fields, lines = {}, {}
  for name, value in pairs(request._fields) do fields[name] = value end
  fields.host, fields.connection = fields.host or "localhost", "close"
  fields.cookie = fields.cookie or cookie_field(request._client)
  if request._body then fields["content-length"] = #request._body end
  for name, value in pairs(fields) do lines[#lines + 1] = name .. ": " .. value .. "\r\n" end
  table.sort(lines)
  return ("%s %s HTTP/1.1\r\n%s\r\n%s"):format(request._method, request._path, table.concat(lines), request._body or "")
end

--- Sends the request, once, and waits for its answer.
---@return {status: integer, headers: table, body: string}
function Request:response()
  local response = rawget(self, "_response")
  if not response then
    local bytes, message = probe.ask(self._client.server._handle, bytes_of(self))
    response = bytes and parse(bytes, self._method)
    if not response then
      local why = message and ": " .. message or ""
      core.raise(("%s %s: the answer was cut off%s"):format(self._method, self._path, why))
    end
    keep_cookies(self._client, response.headers)
    rawset(self, "_response", response)
  end
  return response
end

--- The body of the answer, decoded. Raises where it is no JSON.
---@return any
function Request:json()
  return json.decode(self:response().body)
end

--- What a prompt shows of a request: its answer.
function request_meta.__shown(self)
  local response = self:response()
  return { status = response.status, headers = response.headers, body = response.body }
end

function request_meta.__index(self, key)
  if Request[key] then return Request[key] end
  if key == "status" or key == "headers" or key == "body" then return self:response()[key] end
end

-- ---- expectations

local function show(value)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) ~= "table" then return tostring(value) end
  local ok, text = pcall(json.encode, value, { sort = true })
  return ok and text or tostring(value)
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function fail(request, what, expected, found)
  core.raise(("%s %s: expected %s %s, found %s\n%d: %s"):format(request._method, request._path, what, show(expected),
    show(found), request.status, request.body:sub(1, 500)))
end

local function expect_body(request, expected)
  if type(expected) == "string" then
    if request.body ~= expected then fail(request, "the body", expected, request.body) end
    return
  end
  local ok, value = pcall(json.decode, request.body)
  if not ok then fail(request, "JSON", expected, request.body) end
  if not same(value, expected) then fail(request, "JSON", expected, value) end
end

--- Sends the request and raises unless its answer is so: expect(status),
--- expect(status, body), expect(body), a table being JSON, expect(header, value), or
--- expect(function(response)), which raises itself.
---@param expected integer|string|table|function
---@param value string|table|nil
---@return self
function Request:expect(expected, value)
  local kind = type(expected)
  if kind == "function" then
    expected(self:response())
  elseif kind == "number" then
    if self.status ~= expected then fail(self, "the status", expected, self.status) end
    if value ~= nil then expect_body(self, value) end
  elseif kind == "string" and value ~= nil then
    local found = self.headers[expected:lower()]
    if type(found) == "table" then found = table.concat(found, ", ") end
    if found ~= tostring(value) then fail(self, "the header " .. expected .. " to be", tostring(value), found) end
  elseif kind == "string" or kind == "table" then
    expect_body(self, expected)
  else
    core.raise("expect needs a status, a body, a header and its value, or a function, not a " .. kind)
  end
  return self
end

-- ---- clients

---@class TestClient
---@field cookies table<string, string> that answers have set
local Client = {}

--- A request of any method.
---@param method string
---@param path string
---@return TestRequest
function Client:request(method, path)
  if type(path) ~= "string" or not path:find("^[/*]") or path:find("[%c ]") then
    core.raise("a request needs a path that begins with '/', not '" .. tostring(path) .. "'")
  end
  return setmetatable({ _client = self, _method = method, _path = path, _fields = {} }, request_meta)
end

for _, verb in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  Client[verb] = function(self, path) return (self:request(verb:upper(), path)) end
end

local client_meta = { __name = "TestClient", __index = Client }

--- A client of an app, a handler, or a server. It keeps cookies.
---@param app App|Server|luaserve.Handler
---@return TestClient
function M.client(app)
  local server = app
  if type(app) ~= "table" or not rawget(app, "_handle") then
    local meta = type(app) == "table" and getmetatable(app)
    if type(app) ~= "function" and not (type(meta) == "table" and meta.__call) then
      local hint = app == true and ": a file that is required has to return its app" or ""
      core.raise("luaserve.test needs an app, a handler or a server, not a " .. type(app) .. hint)
    end
    server = http.createServer(app)
  end
  return setmetatable({ server = server, cookies = {} }, client_meta)
end

setmetatable(M, { __call = function(_, app) return M.client(app) end })

return M
