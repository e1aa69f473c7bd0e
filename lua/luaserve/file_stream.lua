--- What the read and write streams of `fs` have in common: a handle that is opened at the end of the turn, and
--- their ends. The operations of a handle run in the order of their calls, so that nothing in the streams
--- waits for the file to be open, or for another coroutine.

local core = require "luaserve.core"
local native = require "luaserve.core.fs"

local M = {}

M.CHUNK = 64 * 1024 -- bytes

local function ignore() end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value % 1 == 0
end

--- A whole number among the options; raises at the caller of the public function.
function M.count(options, name)
  local value = options[name]
  if value == nil or is_count(value) then return value end
  error(("option '%s' must be a whole number from 0, not %s"):format(name, tostring(value)), 3)
end

--- Options may be an encoding, as in Node.
function M.options(options)
  return type(options) == "table" and options or {}
end

--- Makes a stream of class on the file path, of the fields given; raises at the caller of the public function.
function M.new(class, path, flags, mode, fields)
  local valid, handle = pcall(native.file, path, flags, mode)
  if not valid then error(handle, 3) end
  local self = setmetatable(fields, class)
  self.path, self.pending, self.destroyed = path, true, false
  self._handle, self._context = handle, core.context()
  core.defer(M.open, self)
  return self
end

--- Ends the stream by a failure: the "error" listeners get it; without one it is raised here, in the stream's
--- own context. "close" follows in any case.
function M.fail(self, message, code)
  if self.destroyed then return end
  self.destroyed, self.errored = true, core.error(message, code, nil, self.path)
  self._handle:close(ignore)
  core.deferIn(self._context, self.emit, self, "close")
  self:emit("error", self.errored)
end

--- Opens the file, and says so. Where somebody asks for chunks, a failure is theirs.
function M.open(self)
  if self.destroyed then return end
  local ok, message, code = self._handle:open()
  if self.destroyed or (not ok and self._pulled) then return end
  if not ok then return M.fail(self, message, code) end
  self.pending = false
  self:emit("open", self._handle)
  self:emit("ready")
end

--- Ends the stream now: nothing more is read or written. With an error, "error" is emitted before "close".
function M.destroy(self, err)
  if self.destroyed then return self end
  self.destroyed, self._flowing = true, false
  self._handle:close(function()
    if err ~= nil then core.deferIn(self._context, self.emit, self, "error", err) end
    core.deferIn(self._context, self.emit, self, "close")
  end)
  return self
end

return M
