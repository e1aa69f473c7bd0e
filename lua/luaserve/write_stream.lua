--- `fs.createWriteStream`: a file written in chunks. What is written within one turn of the loop goes into the
--- file as one piece; a writer that is faster than the file waits for it.

local core = require "luaserve.core"
local events = require "events"
local file_stream = require "luaserve.file_stream"

local destroy, fail = file_stream.destroy, file_stream.fail
local concat = table.concat

local M = {}

local function ignore() end

---@class fs.WriteStream: EventEmitter emits open, ready, drain, finish, error, close
---@field path string
---@field bytesWritten integer handed to the file so far
---@field pending boolean the file is not open yet
---@field writableEnded boolean finish was called
---@field writableFinished boolean all is written
---@field destroyed boolean it is over
local WriteStream = events.inherit({})
WriteStream.__index = WriteStream
M.WriteStream = WriteStream

--- Takes what was collected, and the place in the file where it goes.
local function take(self)
  local data, position = concat(self._chunks), self._position
  self._chunks, self._collected = {}, 0
  if position then self._position = position + #data end
  self.bytesWritten = self.bytesWritten + #data
  return data, position
end

--- Writes what was collected and waits for it. Returns true, or nil, message, code.
local function put(self)
  if self._collected == 0 then return true end
  return self._handle:write(take(self))
end

--- Fails without raising: for where the writer is told.
local function fail_quietly(self, message, code)
  local unheard = self:listenerCount("error") == 0
  if unheard then self:once("error", ignore) end
  fail(self, message, code)
  if unheard then self:off("error", ignore) end
  return nil, message, code
end

--- Writes what was collected; the callback is told, or else the stream fails.
local function send(self, callback)
  local data, position = take(self)
  self._sent = self._sent + #data
  self._handle:write(data, position, function(err)
    self._sent = self._sent - #data
    if err then
      (callback and fail_quietly or fail)(self, err.message, err.code)
    elseif self._wants_drain and self._sent == 0 then
      self._wants_drain = false
      self:emit("drain")
    end
    if callback then return callback(err) end
  end)
end

--- What is written within one turn goes into the file as one piece.
local function send_collected(self)
  self._deferred = false
  if not self.destroyed and self._collected > 0 then send(self) end
end

local function send_later(self)
  if self._deferred then return true end
  self._deferred = true
  core.deferIn(self._context, send_collected, self)
  return true
end

local function collect(self, chunk)
  self._chunks[#self._chunks + 1] = chunk
  self._collected = self._collected + #chunk
end

--- Where nobody can wait: false asks for "drain".
local function send_now(self, callback)
  send(self, callback)
  if self._sent < self._size then return true end
  self._wants_drain = true
  return false
end

--- What a write after the end returns.
local function refuse(self, callback)
  local message, code = "write after end", "ERR_STREAM_WRITE_AFTER_END"
  if self.errored then
    message, code = self.errored.message, self.errored.code
  elseif not self.writableEnded then
    message, code = "closed", "ERR_STREAM_DESTROYED"
  end
  if callback then core.defer(callback, core.error(message, code, nil, self.path)) end
  return nil, message, code
end

local function text_of(chunk)
  if type(chunk) == "number" then return tostring(chunk) end
  if type(chunk) == "string" then return chunk end
  error("a chunk must be a string, not " .. type(chunk), 3)
end

--- Writes a chunk. Over the mark it waits for the file where it can. With a callback, which is told when the
--- chunk is written, or where it cannot wait, it returns false over the mark, and "drain" follows.
---@param chunk string
---@param callback fun(err: table?)?
---@return boolean? ok, string? message, string? code
function WriteStream:write(chunk, callback, last)
  if type(last) == "function" then callback = last end -- write(chunk, encoding, callback)
  if type(callback) ~= "function" then callback = nil end
  chunk = text_of(chunk)
  if self.destroyed or self.writableEnded then return refuse(self, callback) end
  collect(self, chunk)
  if callback then return send_now(self, callback) end
  if self._collected < self._size then return send_later(self) end
  if not core.canWait() then return send_now(self) end
  local ok, message, code = put(self)
  if not ok then return fail_quietly(self, message, code) end
  return true
end

--- Writes the rest and closes the file. Returns true, or nil, message, code.
local function write_rest(self)
  local ok, message, code = self._handle:open() -- also where nothing was written
  if ok then ok, message, code = put(self) end
  if ok then ok, message, code = self._handle:close() end
  if self.errored then return nil, self.errored.message, self.errored.code end
  if not ok then return fail_quietly(self, message, code) end
  self.writableFinished, self.destroyed = true, true
  self:emit("finish")
  self:emit("close")
  return true
end

local function finish_later(self, callback)
  local ok = write_rest(self)
  if callback then return callback(not ok and self.errored or nil) end
end

--- Ends the file, after a last chunk if there is one: waits until all is written and the file is closed.
--- With a callback, or where it cannot wait, it returns at once, and "finish" follows.
---@param chunk string?
---@param callback fun(err: table?)?
---@return self? self, string? message, string? code
function WriteStream:finish(chunk, callback)
  if type(chunk) == "function" then chunk, callback = nil, chunk end
  if chunk ~= nil then chunk = text_of(chunk) end
  if self.destroyed or self.writableEnded then
    if self.writableEnded and not self.errored and not chunk then return self end
    return refuse(self, callback)
  end
  if chunk then collect(self, chunk) end
  self.writableEnded = true
  if callback or not core.canWait() then
    core.deferIn(self._context, finish_later, self, callback)
    return self
  end
  local ok, message, code = write_rest(self)
  if not ok then return nil, message, code end
  return self
end

WriteStream["end"] = WriteStream.finish

--- Closes the file as it is: what was not written yet is lost. Emits "close", and "error" where err is given.
---@param err any?
---@return self
function WriteStream:destroy(err)
  return destroy(self, err)
end

---@class fs.WriteOptions
---@field flags string? "w"; "a" adds, "r+" changes
---@field mode integer|string|nil permissions of a new file, "666"
---@field start integer? the byte to begin at
---@field highWaterMark integer? bytes that are collected before a write waits, 65536

--- Writes a file in chunks. It is opened at the end of the turn.
---@param path string
---@param options fs.WriteOptions|string|nil
---@return fs.WriteStream
function M.createWriteStream(path, options)
  options = file_stream.options(options)
  local size, start = file_stream.count(options, "highWaterMark"), file_stream.count(options, "start")
  return file_stream.new(WriteStream, path, options.flags or "w", options.mode, {
    bytesWritten = 0,
    writableEnded = false,
    writableFinished = false,
    _size = size or file_stream.CHUNK,
    _position = start,
    _chunks = {},
    _collected = 0, -- bytes in _chunks
    _sent = 0, -- bytes on their way by send
  })
end

return M
