--- What requests and sockets have in common: bytes that come when somebody asks
--- for them, with `self:read()`. Here they become "data" and "end", an iterator
--- and a pipe.
local core = require "luaserve.core"
local events = require "events"

local M = {}

--- Waits until the stream is not paused; false when it is over instead.
local function flows(self)
  local paused = rawget(self, "_paused")
  while paused do
    paused:wait()
    paused = rawget(self, "_paused")
  end
  return not rawget(self, "_over")
end

--- Reads to the end and emits, chunk by chunk: a listener that waits holds the
--- next chunk up.
local function pump(self)
  while flows(self) do
    local chunk, err = self:read()
    if err or not flows(self) then return end
    if not chunk then
      rawset(self, "readableEnded", true)
      events.emitInOrder(self, "end")
      if self._ended then self:_ended() end
      return
    end
    events.emitInOrder(self, "data", chunk)
  end
end

--- Has everything read and emitted, from the end of this turn on; once.
function M.start(self)
  if rawget(self, "_pumping") then return end
  rawset(self, "_pumping", true)
  core.defer(pump, self)
end

--- Nothing comes any more: whoever waits in a pause goes on, to its end.
function M.stop(self)
  local paused = rawget(self, "_paused")
  rawset(self, "_over", true)
  rawset(self, "_paused", nil)
  if paused then paused:wake() end
end

--- Stops "data" after the chunk at hand, until resume.
---@return self
function M.pause(self)
  if not rawget(self, "_paused") and not rawget(self, "_over") then rawset(self, "_paused", core.waiter()) end
  return self
end

--- Lets "data" go on; without a listener what comes is read and dropped.
---@return self
function M.resume(self)
  local paused = rawget(self, "_paused")
  rawset(self, "_paused", nil)
  if paused then paused:wake() end
  M.start(self)
  return self
end

---@return boolean
function M.isPaused(self)
  return rawget(self, "_paused") ~= nil
end

--- Iterates over the chunks as they come: `for chunk in req:chunks() do`. It ends
--- where the client is gone, too; then `req.complete` is false.
---@return fun(): string?
function M.chunks(self)
  return function() return (self:read()) end
end

local function copy(self, target)
  while true do
    local chunk, err = self:read()
    if err then -- half of it is not an end
      if target.destroy then target:destroy() end
      return
    end
    if not chunk then return target:finish() end
    local taken = target:write(chunk)
    if taken == nil then return end
    if taken == false then events.once(target, "drain") end
  end
end

--- Copies what comes into a writable (a response, a file stream), no faster than
--- it is taken there, and finishes it; where the client goes away before the end,
--- the target is destroyed.
---@param target table
---@return table target
function M.pipe(self, target)
  core.defer(copy, self, target)
  return target
end

return M
