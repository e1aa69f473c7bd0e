--- Bodies of multipart/form-data, read as they come: a part is handed on while the
--- next ones are still on their way, and files go to disk. Finding the parts is in
--- C (src/http/multipart.c). Limits hold for all of it.
local body = require "luaserve.body"
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local fs = require "fs"
local native = require "luaserve.core.body"

local M = {}

local fail = body.fail

local MIB = 1024 * 1024
local WRITE = 128 * 1024 -- bytes of a file that are written at once

local DEFAULT = {
  maxFileSize = 32 * MIB,
  maxTotalSize = 64 * MIB,
  maxFiles = 20,
  maxFields = 1000,
  maxFieldSize = MIB,
  maxNameSize = 200,
  maxHeaderSize = 8 * 1024, -- of each part
}

local KNOWN = {}
for name in pairs(DEFAULT) do KNOWN[name] = "integer" end

---@class MultipartOptions
---@field maxFileSize integer? bytes of each file, 32 MiB
---@field maxTotalSize integer? bytes of the whole body, 64 MiB
---@field maxFiles integer? 20
---@field maxFields integer? 1000
---@field maxFieldSize integer? bytes of each field, 1 MiB; all together the server's maxBodySize
---@field maxNameSize integer? bytes of a field's name, 200
---@field maxHeaderSize integer? bytes of the headers of each part, 8 KiB

local function merge(options, base)
  local limits = {}
  for name, default in pairs(base) do limits[name] = options[name] or default end
  return limits
end

--- The limits for a request: those of the call, of the middleware, or ours.
local function limits_of(req, options)
  local base = rawget(req, "_multipart") or DEFAULT
  if options == nil then return base end
  return merge(check_options("req:form and req:parts", options, KNOWN), base)
end

-- ---- reading

local function open(req, limits)
  local decoder, coding = body.decoder(req)
  local boundary = native.param(body.header(req, "content-type"), "boundary")
  if not boundary then fail(400, "the Content-Type of the body has no boundary") end
  local parser = native.multipart(boundary, limits.maxFiles + limits.maxFields, limits.maxHeaderSize,
    limits.maxNameSize) or fail(400, "the boundary of the body is none: it has 1 to 70 characters of RFC 2046")
  if (body.announced(req) or 0) > limits.maxTotalSize then
    fail(413, ("the body has more than %d bytes (maxTotalSize)"):format(limits.maxTotalSize))
  end
  return { req = req, limits = limits, parser = parser, decoder = decoder, coding = coding, total = 0,
    files = 0, fields = 0 }
end

--- The next piece of a coded body.
local function decoded(self)
  while true do
    if not self.dry then
      local piece = body.pull(self.decoder, self.coding)
      self.dry = #piece < native.pullSize
      if #piece > 0 then return piece end
    end
    local chunk, why = self.req:read()
    if not chunk then
      if not why then body.check_end(self.decoder, self.coding) end
      return nil, why
    end
    self.decoder:push(chunk)
    self.dry = false
  end
end

--- The next piece of the body; nil at its end, nil and why where the client is gone.
local function read(self)
  local piece, why
  if self.decoder then
    piece, why = decoded(self)
  else
    piece, why = self.req:read()
  end
  if not piece then return nil, why end
  self.total = self.total + #piece
  if self.total > self.limits.maxTotalSize then
    fail(413, ("the body has more than %d bytes (maxTotalSize)"):format(self.limits.maxTotalSize))
  end
  return piece
end

--- Reads away what follows the last part.
local function read_epilogue(self)
  local piece, why
  repeat piece, why = read(self) until not piece
  self.over = why == nil
  return nil, why
end

--- The next event of the parser: "part", name, filename, type, headers | "data",
--- bytes | "end"; nil at the end, nil and why where the client is gone.
local function step(self)
  while true do
    local event, a, b, c, d = self.parser:next()
    if event == "close" then return read_epilogue(self) end
    if event == "bad" then fail(a, b) end
    if event then return event, a, b, c, d end
    local piece, why = read(self)
    if why then return nil, why end
    self.parser:push(piece or fail(400, "the body ends before its last boundary"))
  end
end

-- ---- parts

---@class Part a part of a body that is read
---@field name string
---@field filename string? of a file: without a path; "" where none was chosen
---@field type string? its Content-Type
---@field headers table<string, string> by lower-case name
---@field size integer bytes read so far
local Part = {}
Part.__index = Part
M.Part = Part
Part.__name = "Part"

local function count(self, part)
  local kind, most = "fields", "maxFields"
  if part.filename then kind, most = "files", "maxFiles" end
  self[kind] = self[kind] + 1
  if self[kind] > self.limits[most] then
    fail(413, ("there are more than %d %s (%s)"):format(self.limits[most], kind, most))
  end
end

local function gone(why)
  local err = core.error("the client went away within the body: " .. why, "ECONNRESET")
  err.status, err.gone = 400, why
  return err
end

--- The next piece of the part, nil at its end. Raises where the client is gone.
---@return string?
function Part:read()
  local reader = self._reader
  if reader.part ~= self then
    if self._ended and not self._skipped then return nil end
    core.raise("the part '" .. self.name .. "' is over: it is read before the next one")
  end
  local event, data = step(reader)
  if event == "data" then
    self.size = self.size + #data
    if self.size > self._most then
      fail(413, ("%s '%s' has more than %d bytes (%s)"):format(self.filename and "the file" or "the field", self.name,
        self._most, self.filename and "maxFileSize" or "maxFieldSize"))
    end
    return data
  end
  reader.part, self._ended = nil, true
  if event ~= "end" then error(gone(data), 0) end
  return nil
end

--- Iterates over the pieces of the part as they come.
---@return fun(): string?
function Part:chunks()
  return function() return self:read() end
end

--- Waits for the whole part, as UTF-8 where its Content-Type names another charset.
--- Raises 413 over the limit.
---@param limit integer? bytes, else the server's maxBodySize
---@return string
function Part:text(limit)
  local most, pieces = limit or native.limit(self._reader.req), {}
  for piece in self:chunks() do
    if self.size > most then fail(413, ("'%s' has more than %d bytes"):format(self.name, most)) end
    pieces[#pieces + 1] = piece
  end
  local text, charset = table.concat(pieces), self.type and native.param(self.type, "charset")
  if not charset then return text end
  local converted, why = native.text(text, charset)
  if why == "unknown" then fail(415, "the charset " .. charset .. " of '" .. self.name .. "' is not known") end
  return converted or fail(400, "'" .. self.name .. "' is malformed " .. charset)
end

--- Copies the part into the file, WRITE bytes at a time. Returns true, or nil and why.
local function copy(part, handle)
  local pieces, size = {}, 0
  for piece in part:chunks() do
    pieces[#pieces + 1], size = piece, size + #piece
    if size >= WRITE then
      local ok, message, code = handle:write(table.concat(pieces))
      if not ok then return nil, message, code end
      pieces, size = {}, 0
    end
  end
  if size == 0 then return true end
  return handle:write(table.concat(pieces))
end

local function write_file(part, path, flags, mode)
  local handle, message, code = fs.open(path, flags, mode)
  if not handle then return nil, message, code end
  local ran, ok
  ran, ok, message, code = pcall(copy, part, handle)
  local closed, close_message, close_code = handle:close()
  if ran and ok and closed then return part.size end
  fs.unlink(path)
  if not ran then error(ok, 0) end
  if ok then message, code = close_message, close_code end
  return nil, message, code
end

--- Writes the part to a file, as it comes; half a file is removed. Raises where the
--- client is gone or a limit is passed.
---@param path string
---@return integer? size in bytes; or nil, message, code
---@return string? message
---@return string? code
function Part:save(path)
  if type(path) ~= "string" then core.raise("part:save needs the path of a file") end
  return write_file(self, path, "w", "666")
end

--- Reads the rest of the part at hand away.
local function skip(self)
  local part = self.part
  while part and self.part == part do part._skipped = part:read() ~= nil or part._skipped end
end

--- The next part, nil at the end, nil and why where the client is gone.
local function next_part(self)
  if self.over then return nil end
  skip(self)
  local event, name, filename, kind, headers = step(self)
  if event ~= "part" then return nil, name end
  local part = setmetatable({ name = name, filename = filename, type = kind, headers = headers, size = 0,
    _reader = self, _most = filename and self.limits.maxFileSize or self.limits.maxFieldSize }, Part)
  count(self, part)
  self.part = part
  return part
end

--- What `req:parts(options)` returns.
---@param req IncomingMessage
---@param options MultipartOptions?
---@return fun(): Part?
function M.parts(req, options)
  local reader = open(req, limits_of(req, options))
  return function()
    local part, why = next_part(reader)
    if why then error(gone(why), 0) end
    return part
  end
end

-- ---- forms

local files_made = 0

--- A path for a file of the request, which goes when the request does.
local function temporary(self)
  local folder, message = native.folder()
  if not folder then error("uploads cannot be kept: " .. message, 0) end
  files_made = files_made + 1
  local path = ("%s/%d"):format(folder, files_made)
  local paths = self.paths
  if not paths then
    paths = {}
    self.paths = paths
    local res = native.response(self.req)
    if not res then error(gone("aborted"), 0) end
    res:onFinish(function()
      for i = 1, #paths do fs.unlink(paths[i]) end -- what was moved away is fine
    end)
  end
  paths[#paths + 1] = path
  return path
end

--- The part as a file on disk; nil where the browser had none to send.
local function store(self, part)
  local first = part:read()
  if not first and part.filename == "" then return nil end
  local path, pending = temporary(self), first
  local source = setmetatable({ chunks = function()
    return function()
      local piece = pending
      pending = nil
      return piece or part:read()
    end
  end }, { __index = part })
  local size, message = write_file(source, path, "wx", "600")
  if not size then error("uploads cannot be kept: " .. message, 0) end
  return { filename = part.filename, type = part.type or "text/plain", size = part.size, path = path }
end

--- t[name] = value, or, repeated, an array of all.
local function add(t, counts, name, value)
  local n = (counts[name] or 0) + 1
  counts[name] = n
  if n == 1 then
    t[name] = value
  elseif n == 2 then
    t[name] = { t[name], value }
  else
    t[name][n] = value
  end
end

local function text_of(self, part)
  local text = part:text()
  self.collected = (self.collected or 0) + #text
  if self.collected > native.limit(self.req) then
    fail(413, ("the fields have more than %d bytes (maxBodySize)"):format(native.limit(self.req)))
  end
  return text
end

local function collect(self)
  local fields, files = {}, {}
  local field_counts, file_counts = {}, {}
  while true do
    local part, why = next_part(self)
    if why then error(gone(why), 0) end
    if not part then return fields, files end
    if part.filename then
      local file = store(self, part)
      if file then add(files, file_counts, part.name, file) end
    else
      add(fields, field_counts, part.name, text_of(self, part))
    end
  end
end

--- What `req:form(options)` returns for a body of this kind.
---@param req IncomingMessage
---@param options MultipartOptions?
---@return table? fields, table|string|nil files
function M.form(req, options)
  local ok, fields, files = pcall(collect, open(req, limits_of(req, options)))
  if not ok then
    if type(fields) == "table" and fields.gone then return nil, fields.gone end
    error(fields, 0)
  end
  rawset(req, "files", files)
  return fields, files
end

-- ---- the middleware

--- Middleware that sets the limits of `req:form` and `req:parts` for what is defined
--- after it.
---@param options MultipartOptions?
---@return luaserve.Middleware
function M.middleware(options)
  local limits = merge(check_options("multipart", options, KNOWN), DEFAULT)
  return function(req, _, next)
    rawset(req, "_multipart", limits)
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
