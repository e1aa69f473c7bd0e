--- `fs.createReadStream`: a file read in chunks, the next one when everybody is done with the last.

local core = require "luaserve.core"
local events = require "events"
local file_stream = require "luaserve.file_stream"

local EventEmitter = events.EventEmitter
local destroy, fail = file_stream.destroy, file_stream.fail
local min = math.min

local M = {}

---@class fs.ReadStream: EventEmitter emits open, ready, data, end, error, close
---@field path string
---@field bytesRead integer so far
---@field pending boolean the file is not open yet
---@field destroyed boolean it is over
local ReadStream = events.inherit({})
ReadStream.__index = ReadStream
M.ReadStream = ReadStream

--- The next chunk, nil at the end, or nil, message, code.
local function read(self)
  local chunk = self._held
  if chunk then
    self._held = nil
    return chunk
  end
  if self._left and self._left <= 0 then return nil end
  local size = self._left and min(self._left, self._size) or self._size
  local message, code
  chunk, message, code = self._handle:read(size, self._position)
  if not chunk then return nil, message, code end
  self.bytesRead = self.bytesRead + #chunk
  if self._left then self._left = self._left - #chunk end
  if self._position then self._position = self._position + #chunk end
  return chunk
end

local function read_to_end(self)
  self.readableEnded = true
  events.emitInOrder(self, "end")
  destroy(self)
end

--- Reads and emits as long as the stream flows; the next chunk is read when all listeners have returned.
local function flow(self)
  while self._flowing and not self.destroyed do
    local chunk, message, code = read(self)
    if self.destroyed then break end
    if message then return fail(self, message, code) end
    if not chunk then return read_to_end(self) end
    if not self._flowing then
      self._held = chunk
      break
    end
    events.emitInOrder(self, "data", chunk)
  end
  self._at_work = false
end

--- Lets the chunks come; a "data" listener and pipe do so by themselves.
---@return self
function ReadStream:resume()
  if self.destroyed then return self end
  self._flowing = true
  if not self._at_work then
    self._at_work = true
    core.deferIn(self._context, flow, self)
  end
  return self
end

--- Holds the chunks back until resume.
---@return self
function ReadStream:pause()
  self._flowing = false
  return self
end

---@return boolean
function ReadStream:isPaused()
  return self._flowing == false
end

--- Closes the file and emits nothing more but "close", and "error" where err is given.
---@param err any?
---@return self
function ReadStream:destroy(err)
  return destroy(self, err)
end

--- For the sake of scripts from Node: chunks are Lua strings in any encoding.
---@return self
function ReadStream:setEncoding()
  return self
end

-- A "data" listener starts the stream, unless it was paused on purpose.
local function starting(add)
  return function(self, event, fn)
    if event ~= "data" or type(fn) ~= "function" then return add(self, event, fn) end
    add(self, event, fn)
    if self._flowing == nil then self:resume() end
    return self
  end
end

ReadStream.on = starting(EventEmitter.on)
ReadStream.once = starting(EventEmitter.once)
ReadStream.addListener = ReadStream.on

--- Takes a destination of pipe away; the last one takes the file with it.
local function let_go(self, dest, listener)
  self:off("data", listener)
  if self._pipes then self._pipes[dest] = nil end
  if self:listenerCount("data") == 0 then destroy(self) end
end

--- A write stream that fails and has no "error" listener must not lose data in silence.
local function raise_unheard(dest)
  if dest.errored and dest:listenerCount("error") == 0 then error(dest.errored, 0) end
end

--- Writes every chunk to dest, at the pace at which dest takes them, and then calls dest:finish(). The file
--- is closed when dest is.
---@param dest table with write and finish: a response, a write stream
---@param options {finish: boolean?}? false: dest is left open
---@return table dest
function ReadStream:pipe(dest, options)
  local function copy(chunk)
    local ok = dest:write(chunk)
    if ok == nil then
      let_go(self, dest, copy)
      return raise_unheard(dest)
    end
    if ok or not dest.once then return end
    self:pause()
    dest:once("drain", function() self:resume() end)
  end
  self._pipes = self._pipes or {}
  self._pipes[dest] = copy
  if not (options and (options.finish == false or options["end"] == false)) then
    self:once("end", function()
      if self._pipes[dest] ~= copy then return end
      if not dest:finish() then raise_unheard(dest) end
    end)
  end
  return self:on("data", copy) and dest
end

--- Ends a pipe; the stream goes on, paused.
---@param dest table
---@return self
function ReadStream:unpipe(dest)
  local copy = self._pipes and self._pipes[dest]
  if not copy then return self end
  self._pipes[dest] = nil
  self:off("data", copy)
  if self:listenerCount("data") == 0 then self._flowing = nil end
  return self
end

--- The chunks one by one, each read when it is asked for: `for chunk in stream:chunks() do`. Waits, and
--- raises what goes wrong.
---@return fun(): string?
function ReadStream:chunks()
  self._pulled = true
  return function()
    if self.destroyed then return nil end
    local chunk, message, code = read(self)
    if chunk then return chunk end
    destroy(self)
    if message then error(core.error(message, code, nil, self.path), 2) end
    return nil
  end
end

---@class fs.ReadOptions
---@field start integer? the first byte, counted from 0
---@field stop integer? the last byte, which is still read: Node's `end`
---@field highWaterMark integer? bytes of a chunk, 65536

--- Reads a file in chunks. It is opened at the end of the turn, so that listeners can be attached.
---@param path string
---@param options fs.ReadOptions|string|nil
---@return fs.ReadStream
function M.createReadStream(path, options)
  options = file_stream.options(options)
  local start, stop = file_stream.count(options, "start"), file_stream.count(options, "stop")
  stop = stop or file_stream.count(options, "end")
  if stop and (start or 0) > stop then error("option 'start' is behind 'stop'", 2) end
  local size = file_stream.count(options, "highWaterMark")
  return file_stream.new(ReadStream, path, options.flags or "r", nil, {
    bytesRead = 0,
    _size = size and size > 0 and size or file_stream.CHUNK,
    _position = start,
    _left = stop and stop - (start or 0) + 1,
  })
end

return M
