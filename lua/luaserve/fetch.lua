--- Requests to other servers: `luaserve.fetch(url)`. libcurl does what is on the
--- wire, on the loop; here is what a request means, and what its answer is.
local answer = require "luaserve.answer"
local core = require "luaserve.core"
local json = require "json"
local native = require("luaserve.bind").load("fetch", "libcurl4-openssl-dev")
local options_of = require("luaserve.options").check
local process = require "process"
local readable = require "luaserve.readable"
local url = require "url"

local M = {}

local uptime = process.uptime
local unpack = table.unpack or unpack

local TIMEOUT, CONNECT_TIMEOUT = 30, 10 -- seconds
local MAX_BODY = 16 * 1024 * 1024
local MAX_REDIRECTS = 20
local DISCARDED = 64 * 1024 -- bytes of a redirect's body that are read so that its connection can be kept

local KNOWN = { method = "string", headers = "table", body = "any", json = "any", form = "table", query = "table",
  timeout = "seconds", connectTimeout = "seconds", maxBodySize = "number", redirect = "string",
  maxRedirects = "integer", verify = "boolean", ca = "string", cert = "string", key = "string",
  passphrase = "string", httpVersion = "string", proxy = "string", socketPath = "string", stream = "boolean",
  decompress = "boolean" }
local ONE_OF = { redirect = { follow = true, manual = true, error = true },
  httpVersion = { ["1.1"] = true, ["2"] = true } }

-- Of the connection, or ours to say: what a handler's req.headers has of these is
-- not for another server.
local DROPPED = {}
for name in ([[connection keep-alive proxy-connection transfer-encoding te upgrade trailer expect http2-settings
  content-length]]):gmatch("%S+") do
  DROPPED[name] = true
end

-- ---- options

local function check_options(options)
  options = options_of("fetch", options, KNOWN)
  for name, value in pairs(options) do
    if ONE_OF[name] and not ONE_OF[name][value] then
      core.raise(("the option %s of fetch cannot be %q"):format(name, value))
    end
  end
  return options
end

local function parse(text, base)
  local ok, address = pcall(url.URL, text, base)
  if not ok then return nil, "not a URL: " .. text end
  if address.protocol ~= "http:" and address.protocol ~= "https:" then
    return nil, "only http: and https: can be fetched, not " .. address.protocol
  end
  return address
end

--- A line of a header; raises where it could be two.
---@param name string
---@param value any
---@return string
function M.line(name, value)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    core.raise(("%q is no name of a header"):format(tostring(name)))
  end
  if type(value) == "number" and value % 1 == 0 then value = ("%d"):format(value) end
  value = tostring(value)
  if value:find("[\r\n%z]") then core.raise("the header " .. name .. " has a line break in its value") end
  return value == "" and name .. ";" or name .. ": " .. value
end

local function lines_of(headers)
  local lines, given = {}, {}
  for name, value in pairs(headers or {}) do
    local lower = tostring(name):lower()
    if not DROPPED[lower] and lower:sub(1, 1) ~= ":" then
      given[lower] = value
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        lines[#lines + 1] = { lower, M.line(name, one) }
      end
    end
  end
  return lines, given
end

local function add(request, name, value)
  if request.given[name:lower()] ~= nil then return end
  table.insert(request.lines, { name:lower(), M.line(name, value) })
end

--- What is sent, as a string or as a function that returns chunks.
local function set_body(request, options)
  local kinds = 0
  for _, name in ipairs { "body", "json", "form" } do
    if options[name] ~= nil then kinds = kinds + 1 end
  end
  if kinds > 1 then core.raise("fetch sends one of body, json and form") end
  if options.json ~= nil then
    local ok, text = pcall(json.encode, options.json)
    request.body = ok and text or core.raise("the option json of fetch: " .. tostring(text))
    add(request, "Content-Type", "application/json")
  elseif options.form then
    request.body = require("querystring").stringify(options.form)
    add(request, "Content-Type", "application/x-www-form-urlencoded")
  end
  local body = options.body
  if body == nil then return end
  if type(body) == "string" then
    request.body = body
  elseif type(body) == "function" then
    request.chunks = body
  elseif type(body) == "table" and body.read then -- a request: half of it is not an end
    request.chunks = function() return body:read() end
  elseif type(body) == "table" and body.chunks then
    request.chunks = body:chunks()
  else
    core.raise("the body is a string, a function that returns chunks, or something to read, not a " .. type(body))
  end
end

--- Where a stream's length is known it is said, as it was said to us.
local function set_length(request, headers)
  for name, value in pairs(headers or {}) do
    if request.chunks and tostring(name):lower() == "content-length" then request.length = tonumber(value) end
  end
end

local function add_query(address, query)
  for name, value in pairs(query or {}) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      address.searchParams:append(tostring(name), tostring(one))
    end
  end
end

local function new_request(text, options)
  local address, message = parse(text)
  if not address then core.raise(message) end
  add_query(address, options.query)
  local request = { address = address, options = options }
  request.lines, request.given = lines_of(options.headers)
  set_body(request, options)
  set_length(request, options.headers)
  request.method = options.method or (request.body or request.chunks) and "POST" or "GET"
  if not request.method:find("^[%w!#$%%&'*+.^_`|~-]+$") or request.method == "CONNECT" then
    core.raise(("%q is no method that fetch can send"):format(request.method))
  end
  if (request.body or request.chunks) and request.method == "HEAD" then core.raise("a HEAD request has no body") end
  add(request, "User-Agent", "luaserve/" .. core.version)
  return request
end

-- ---- one request and its answer

--- Credentials go into a header, so that nothing else shows them.
local function take_credentials(address, setup)
  if address.username == "" and address.password == "" then return end
  local querystring = require "querystring"
  setup.username, setup.password = querystring.unescape(address.username), querystring.unescape(address.password)
  address.username, address.password = "", ""
end

local function header_lines(request, decompress)
  local lines = { "Expect:" } -- libcurl's waits a second for servers that do not know it
  for _, pair in ipairs(request.lines) do
    if not (decompress and pair[1] == "accept-encoding") then lines[#lines + 1] = pair[2] end
  end
  return lines
end

local function start(request)
  local options, address = request.options, request.address
  -- A stream over HTTP/2 could not be held back (see bind/fetch_transfer.c).
  local setup = { method = request.method, body = request.body, streams = request.chunks ~= nil,
    length = request.length, version = options.httpVersion or options.stream and "1.1" or nil,
    whole = not options.stream, limit = options.maxBodySize or MAX_BODY,
    unverified = options.verify == false, ca = options.ca,
    cert = options.cert, key = options.key, passphrase = options.passphrase, proxy = options.proxy,
    socketPath = options.socketPath, encrypted = address.protocol == "https:",
    connectTimeout = options.connectTimeout or CONNECT_TIMEOUT,
    decompress = options.decompress ~= false }
  if setup.version == "2" and address.protocol == "https:" then setup.version = nil end
  if not request.body and (request.method == "POST" or request.method == "PUT") then
    setup.body = not setup.streams and "" or nil
  end
  take_credentials(address, setup)
  address.hash = ""
  setup.url = address.href
  setup.headers = header_lines(request, setup.decompress)
  request.host = address.host
  return native.start(setup)
end

--- What went wrong, with the host; what ends the waits of a request ("aborted",
--- "timeout") is left as it is.
local function failed(request, message, code)
  if not code then return nil, message end
  return nil, ("%s %s: %s"):format(request.method, request.host, message), code
end

local function send_chunks(request, transfer)
  while true do
    local chunk, why = request.chunks()
    if chunk == nil and why then error(why, 0) end
    if chunk == nil then return transfer:finish() end
    local room = chunk == "" or transfer:write(chunk)
    if room == nil or not room and not transfer:drain(request.options.timeout or TIMEOUT) then return end
  end
end

--- Sends a body in chunks while its answer is waited for.
local function pump(request, transfer)
  local ok, message = pcall(send_chunks, request, transfer)
  if ok then return end
  request.broken = tostring(message)
  transfer:cancel()
end

-- ---- answers

---@class fetch.Response
---@field status integer
---@field statusText string "" on HTTP/2
---@field ok boolean the status is 200 to 299
---@field headers table<string, string|string[]> by lower-case name; set-cookie is a list
---@field httpVersion "1.0"|"1.1"|"2.0"
---@field url string that was answered, behind redirects
---@field redirected boolean
---@field body string? all of it, unless it was asked for as a stream
local Response = {}
Response.__index = Response
Response.__name = "Response"

--- The next bytes of a streamed body, nil at the end; waits for them.
---@return string? chunk nil, message, code where the rest does not come
---@return string? message
---@return string? code
function Response:read()
  if self.body then
    local body = self.body
    if self._read or body == "" then return nil end
    self._read = true
    return body
  end
  local chunk, message, code = self._transfer:read(self._timeout)
  if chunk or not message then return chunk end
  return failed(self._request, message, code)
end

--- Iterates over the body as it comes; raises where the rest of it does not come.
---@return fun(): string?
function Response:chunks()
  return function()
    local chunk, message, code = self:read()
    if message then error(core.error(message, code), 2) end
    return chunk
  end
end

--- All of the body.
---@return string? text nil, message, code where it does not come, or is over maxBodySize
---@return string? message
---@return string? code
function Response:text()
  if self.body then return self.body end
  local body, message, code = self._transfer:all(self._timeout, self._limit)
  if not body then return failed(self._request, message, code) end
  self.body = body
  return body
end

--- The body, read as JSON.
---@return any value nil, message, code where it is none
---@return string? message
---@return string? code
function Response:json()
  local body, message, code = self:text()
  if not body then return nil, message, code end
  local ok, value = pcall(json.decode, body)
  if ok then return value end
  return failed(self._request, "the answer is not JSON: " .. tostring(value), "ERR_JSON")
end

--- Ends a streamed answer of which no more is wanted.
function Response:cancel()
  self._transfer:cancel()
end

Response.destroy = Response.cancel

--- Copies the body into a writable (a response, a file), no faster than it is taken
--- there, and finishes it; half a body destroys it instead.
---@param target table
---@return table target
function Response:pipe(target)
  return readable.pipe(self, target)
end

--- Fields that arrived behind the body.
---@return table<string, string|string[]>
function Response:trailers()
  return (answer.fields(self._transfer:trailers()))
end

local function new_response(request, transfer, status, version, lines)
  local reason, headers = answer.head(lines)
  local options = request.options
  if options.decompress ~= false and headers["content-encoding"] and request.method ~= "HEAD" then
    headers["content-encoding"], headers["content-length"] = nil, nil -- they spoke of what was decoded
  end
  return setmetatable({ status = status, statusText = reason, ok = status >= 200 and status < 300,
    headers = headers, httpVersion = version, url = request.address.href, redirected = request.redirects > 0,
    _transfer = transfer, _request = request, _timeout = options.timeout or TIMEOUT,
    _limit = options.maxBodySize or MAX_BODY }, Response)
end

local function left(request)
  return math.max(request.deadline - uptime(), 0)
end

local function exchange(request)
  local transfer = start(request)
  if request.chunks then core.spawn(core.context(), pump, request, transfer) end
  local status, version, lines = transfer:head(left(request))
  if status then return new_response(request, transfer, status, version, lines) end
  if request.broken then return nil, "the body could not be sent: " .. request.broken, "ERR_BODY" end
  return failed(request, version, lines)
end

-- ---- redirects

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local SECRETS = { authorization = true, cookie = true, ["proxy-authorization"] = true }
local OF_BODY = { ["content-type"] = true, ["content-encoding"] = true, ["content-language"] = true }

local function drop(request, names)
  local kept = {}
  for _, pair in ipairs(request.lines) do
    if not names[pair[1]] then kept[#kept + 1] = pair end
  end
  request.lines = kept
end

--- Turns a request into the one that the answer asks for (RFC 9110 15.4).
local function follow(request, response)
  local address, message = parse(response.headers.location, request.address.href)
  if not address then return nil, "the redirect leads nowhere: " .. message, "ERR_REDIRECT" end
  local status, method = response.status, request.method
  local to_get = status == 303 and method ~= "HEAD" or status < 303 and method == "POST"
  if to_get then
    request.method, request.body, request.chunks, request.length = "GET", nil, nil, nil
    drop(request, OF_BODY)
  elseif request.chunks then
    return nil, "a streamed body cannot be sent again to where the redirect leads", "ERR_REDIRECT"
  end
  if address.origin ~= request.address.origin then
    drop(request, SECRETS)
    drop(request, { host = true })
    if request.options.socketPath then
      return nil, "a redirect leads away from the Unix socket", "ERR_REDIRECT"
    end
  elseif response._request.credentials then
    address.username, address.password = unpack(response._request.credentials)
  end
  request.address = address
  return true
end

--- The answer behind all redirects.
local function run(request)
  local options = request.options
  local most = options.maxRedirects or MAX_REDIRECTS
  request.redirects = 0
  while true do
    local address = request.address
    request.credentials = address.username ~= "" and { address.username, address.password } or nil
    local response, message, code = exchange(request)
    if not response then return nil, message, code end
    if not REDIRECTS[response.status] or not response.headers.location or options.redirect == "manual" then
      return response
    end
    if options.redirect == "error" then
      response:cancel()
      return failed(request, "the answer is a redirect", "ERR_REDIRECT")
    end
    request.redirects = request.redirects + 1
    if request.redirects > most then
      response:cancel()
      return failed(request, ("more than %d redirects"):format(most), "ERR_TOO_MANY_REDIRECTS")
    end
    response._transfer:all(left(request), DISCARDED)
    local ok
    ok, message, code = follow(request, response)
    if not ok then return failed(request, message, code) end
  end
end

local function fetch(request)
  request.deadline = uptime() + (request.options.timeout or TIMEOUT)
  local response, message, code = run(request)
  if not response or request.options.stream then return response, message, code end
  response._timeout = left(request)
  local body
  body, message, code = response:text()
  if not body then return nil, message, code end
  return response
end

local function call_back(request, callback)
  local response, message, code = fetch(request)
  if response then return callback(nil, response) end
  return callback(core.error(message, code))
end

--- Sends a request and waits for the answer. Options: method (GET, with a body
--- POST), headers, body (a string, a function that returns chunks, or something to
--- read, such as a request), json, form, query; timeout (30 seconds for all of it;
--- of a stream until its head, and for each further chunk), connectTimeout (10),
--- maxBodySize (16 MiB), stream, redirect ("follow", "manual", "error"),
--- maxRedirects (20), decompress, httpVersion, verify, ca, cert, key, passphrase,
--- proxy, socketPath.
---@param address string|url.URL
---@param options table?
---@param callback fun(err: table?, response: fetch.Response?)?
---@return fetch.Response? response nil, message, code where there is no answer
---@return string? message
---@return string? code "ECONNREFUSED", "ENOTFOUND", "ETIMEDOUT", "ERR_TLS_CERT"...
function M.fetch(address, options, callback)
  if type(options) == "function" then options, callback = nil, options end
  if type(address) ~= "string" and type(address) ~= "table" then
    core.raise("fetch needs a URL, not a " .. type(address))
  end
  options = check_options(options)
  local request = new_request(type(address) == "table" and address.href or address, options)
  if not callback then return fetch(request) end
  core.spawn(core.context(), call_back, request, callback)
end

M.Response = Response -- its methods
M.version = native.version -- of libcurl

setmetatable(M, { __call = function(_, ...) return M.fetch(...) end })

return M
