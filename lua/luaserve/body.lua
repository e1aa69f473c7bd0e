--- Whole bodies of requests: bytes, text, JSON and forms. What a client should see
--- (400, 413, 415) is raised, so that `return req:json()` is safe. A coded body
--- (Content-Encoding) is decoded here, within the limit; the chunks of a stream
--- are as they came.
local core = require "luaserve.core"
local incoming = require "luaserve.incoming"
local json = require "json"
local native = require "luaserve.core.body"
local request = require "luaserve.core.request"

local M = {}

local Request = incoming.IncomingMessage

local FIELDS = 1000 -- of an urlencoded form

--- Raises an error that answers the request with status.
---@param status integer
---@param message string
function M.fail(status, message)
  local err = core.error(core.statuses()[status] .. ": " .. message)
  err.status = status
  error(err, 0)
end

local fail = M.fail

local function check(self)
  if type(self) ~= "table" then core.raise("req or res expected; call the method with ':'") end
end

--- A field of the head; nil where there is none, also where the request is over.
---@param req IncomingMessage
---@param name string in lower case
---@return string?
function M.header(req, name)
  local headers = req.headers
  return headers and headers[name]
end

local header = M.header

--- Whether the request has a body, which may be empty. Over HTTP/2 nothing may
--- announce it.
---@param req IncomingMessage
---@return boolean
function M.is_there(req)
  return header(req, "content-length") ~= nil or header(req, "transfer-encoding") ~= nil or not req.complete
end

--- The media type of the body, in lower case; nil where the client does not say.
---@param req IncomingMessage
---@return string?
function M.media_type(req)
  local value = header(req, "content-type")
  local name = value and value:match("^%s*([^;%s]+)")
  return name and name:lower()
end

local media_type = M.media_type

-- ---- Content-Encoding

--- A decoder for the body, nil where it is not coded. Raises 415 where nobody
--- here can decode it, and says what could be.
---@param req IncomingMessage
---@return userdata? decoder, string? coding
function M.decoder(req)
  local value = header(req, "content-encoding")
  local coding = value and value:match("^%s*(.-)%s*$"):lower()
  if not coding or coding == "" or coding == "identity" then return nil end
  local decoder = native.decoder(coding)
  if decoder then return decoder, coding end
  native.refusal(req, "Accept-Encoding", native.codings) -- RFC 9110 15.5.16
  return fail(415, "the Content-Encoding " .. coding .. " is not known; these are: " .. native.codings)
end

--- The next piece of what comes out of decoder, "" where there is none yet, nil
--- where more is needed. Raises 400 where the body is malformed.
---@param decoder userdata
---@param coding string
---@return string
function M.pull(decoder, coding)
  return decoder:pull() or fail(400, "the body is not " .. coding)
end

--- Raises 400 where the body ends before its coding does.
function M.check_end(decoder, coding)
  if not decoder:complete() then fail(400, "the body ends before its " .. coding .. " does") end
end

local function too_large(limit)
  return fail(413, ("the body has more than %d bytes"):format(limit))
end

--- The bytes that the client announces, nil where it does not.
---@param req IncomingMessage
---@return number?
function M.announced(req)
  return tonumber(header(req, "content-length"))
end

--- Decodes all of the body: what would come to more than limit is never made.
local function decode(self, decoder, coding, limit)
  local pieces, size = {}, 0
  if (M.announced(self) or 0) > limit then too_large(limit) end
  while true do
    local chunk, why = self:read()
    if why then return nil, why end
    if chunk then decoder:push(chunk) end
    repeat
      local piece = M.pull(decoder, coding)
      size = size + #piece
      if size > limit then too_large(limit) end
      pieces[#pieces + 1] = piece
    until #piece < native.pullSize
    if not chunk then break end
  end
  M.check_end(decoder, coding)
  return table.concat(pieces)
end

--- Waits for the whole body: its bytes, decoded where it has a Content-Encoding
--- (gzip, deflate, br, zstd). Raises 413 over the limit, 415 where the coding is
--- not known, 400 where it is malformed.
---@param limit integer? bytes, also of what is decoded; else the server's maxBodySize
---@return string? body nil, "aborted" where the client is gone
---@return string? message
function Request:raw(limit)
  check(self)
  local body = rawget(self, "_body")
  if body then return body end
  local decoder, coding = M.decoder(self)
  local why
  if decoder then
    body, why = decode(self, decoder, coding, limit or native.limit(self))
  else
    body, why = self:collect(limit)
    if why == "too large" then too_large(limit or native.limit(self)) end
  end
  if body then rawset(self, "_body", body) end
  return body, why
end

local raw = Request.raw

-- ---- text

--- The charset that the client names, nil where it names none. Raises 415 where it
--- is not known.
local function charset_of(req)
  local value = header(req, "content-type")
  local name = value and value:find(";", 1, true) and native.param(value, "charset")
  if not name or name == "" then return nil end
  if native.charset(name) then return name end
  return fail(415, "the charset " .. name .. " is not known; utf-8, us-ascii, iso-8859-1 and utf-16 are")
end

--- Whether a byte order mark in front of a body of this type is one.
local function is_text(kind)
  return kind and (kind:find("^text/") or kind:find("json$") or kind:find("xml$"))
end

local function to_text(self, body, charset)
  if not charset and not is_text(media_type(self)) then return body end
  local text, why = native.text(body, charset)
  if not text then fail(400, "the body is " .. why .. " " .. (charset or "UTF-16")) end
  return text
end

--- Waits for the whole body, as UTF-8 where the client says that it is something
--- else (us-ascii, iso-8859-1, utf-16, or UTF-16 by its byte order mark). Raises
--- as `raw` does, and 415 where the charset is not known.
---@param limit integer? bytes, else the server's maxBodySize
---@return string? body nil, "aborted" where the client is gone
---@return string? message
function Request:text(limit)
  check(self)
  local text = rawget(self, "_text")
  if text then return text end
  local charset = charset_of(self)
  local body, why = raw(self, limit)
  if not body then return nil, why end
  text = to_text(self, body, charset)
  rawset(self, "_text", text)
  return text
end

--- Waits for the body and decodes it as JSON. Raises 400 where it is malformed,
--- 413 over the limit, 415 where the Content-Type says it is something else.
---@return any value nil, "aborted" where the client is gone
---@return string? message
function Request:json()
  check(self)
  local kind = media_type(self)
  if kind and kind ~= "application/json" and not kind:find("+json", 1, true) then
    fail(415, "application/json is expected, not " .. kind)
  end
  local body, why = Request.text(self)
  if not body then return nil, why end
  local ok, value = pcall(json.decode, body)
  if not ok then fail(400, "the body is not JSON: " .. tostring(value)) end
  return value
end

-- ---- forms

local function each(value, convert)
  if type(value) == "string" then return convert(value) end
  for i = 1, #value do value[i] = convert(value[i]) end
  return value
end

--- Names and values of a form, once they are decoded, in UTF-8.
local function convert(form, charset)
  local converted = {}
  local function to_utf8(text)
    return native.text(text, charset) or fail(400, "the form is malformed " .. charset)
  end
  for name, value in pairs(form) do converted[to_utf8(name)] = each(value, to_utf8) end
  return converted
end

local function urlencoded(self, options)
  local charset = charset_of(self)
  if charset and not select(2, native.charset(charset)) then
    fail(415, "a form is UTF-8, not " .. charset)
  end
  local body, why = raw(self)
  if not body then return nil, why end
  local most = options and options.maxFields or FIELDS
  local form = request.form(body, most) or fail(413, ("the form has more than %d fields"):format(most))
  return charset and convert(form, charset) or form
end

--- Waits for the body and decodes it as a form: application/x-www-form-urlencoded,
--- or multipart/form-data, whose files are then in `req.files` and, while the
--- request lasts, on disk. Raises 413 over a limit, 400 where it is malformed, 415
--- where it is something else. Options are the limits of `luaserve.multipart`.
---@param options table?
---@return table<string, string|string[]>? form nil, "aborted" where the client is gone
---@return table|string|nil files the same as req.files; or the message
function Request:form(options)
  check(self)
  local form, files = rawget(self, "_form"), nil
  if form then return form, rawget(self, "files") end
  local kind = media_type(self)
  if kind == "multipart/form-data" then
    form, files = require("luaserve.multipart").form(self, options)
  elseif kind == nil or kind == "application/x-www-form-urlencoded" then
    form, files = urlencoded(self, options)
  else
    fail(415, "application/x-www-form-urlencoded or multipart/form-data is expected, not " .. kind)
  end
  if form then rawset(self, "_form", form) end
  return form, files
end

--- Iterates over the parts of a multipart/form-data body as they come, each of
--- which is read before the next one: `for part in req:parts() do`. Raises as
--- `form` does, and where the client goes away.
---@param options table?
---@return fun(): Part?
function Request:parts(options)
  check(self)
  local kind = media_type(self)
  if kind ~= "multipart/form-data" then
    fail(415, "multipart/form-data is expected, not " .. (kind or "a body without a Content-Type"))
  end
  return require("luaserve.multipart").parts(self, options)
end

return M
