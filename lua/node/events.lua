--- Node's EventEmitter. Listeners run in the context of the emitter: an error in
--- one is raised to the caller of emit where that is the same request, and else
--- is the emitter's request's own failure.
local core = require "luaserve.core"

local M = {}

local unpack = table.unpack or unpack

---@class EventEmitter
local EventEmitter = {}
EventEmitter.__index = EventEmitter
M.EventEmitter = EventEmitter
M.defaultMaxListeners = 10

--- A fresh emitter.
---@return EventEmitter
function EventEmitter.new()
  return setmetatable({ _events = { lists = {}, context = core.context() } }, EventEmitter)
end

setmetatable(EventEmitter, { __call = function(class) return class.new() end })

--- Makes class inherit the methods; instances need no set-up.
---@param class table
---@return table class
function M.inherit(class)
  for name, fn in pairs(EventEmitter) do
    if class[name] == nil and name ~= "__index" and name ~= "new" then class[name] = fn end
  end
  return class
end

local function check(event, fn)
  if event == nil then core.raise("the name of an event is expected") end
  if type(fn) ~= "function" then core.raise("the listener of '" .. tostring(event) .. "' must be a function") end
end

-- Listeners of an emitter: {lists = {[event] = {{fn =, once =}, ...}}, context =
-- userdata?}. A list is replaced, never changed, so that emit can walk the one it
-- has found. Instances of a script's classes get theirs with the first listener.
local function table_of(self)
  local events = rawget(self, "_events")
  if not events then
    events = { lists = {}, context = core.contextOf(self) }
    rawset(self, "_events", events)
  end
  return events
end

local function copy(list)
  local new = {}
  for i = 1, list and #list or 0 do new[i] = list[i] end
  return new
end

local function warn_of_leak(self, event, count)
  local max = rawget(self, "_maxListeners") or M.defaultMaxListeners
  if max == 0 or count ~= max + 1 then return end
  core.log("warn", ("possible leak: %d listeners of '%s'; setMaxListeners raises the limit")
    :format(count, tostring(event)))
end

local function add(self, event, listener, first)
  local events = table_of(self)
  if events.lists.newListener and event ~= "newListener" then
    self:emit("newListener", event, listener.fn)
  end
  local list = copy(events.lists[event])
  table.insert(list, first and 1 or #list + 1, listener)
  events.lists[event] = list
  warn_of_leak(self, event, #list)
  return self
end

--- Calls fn with the arguments of every emit of event, in the order of adding.
---@param event any
---@param fn function
---@return self
function EventEmitter:on(event, fn)
  check(event, fn)
  return add(self, event, { fn = fn })
end

EventEmitter.addListener = EventEmitter.on

--- Calls fn for the next emit alone.
---@param event any
---@param fn function
---@return self
function EventEmitter:once(event, fn)
  check(event, fn)
  return add(self, event, { fn = fn, once = true })
end

--- As on, in front of the others.
---@return self
function EventEmitter:prependListener(event, fn)
  check(event, fn)
  return add(self, event, { fn = fn }, true)
end

--- As once, in front of the others.
---@return self
function EventEmitter:prependOnceListener(event, fn)
  check(event, fn)
  return add(self, event, { fn = fn, once = true }, true)
end

local function drop(self, event, index)
  local lists = table_of(self).lists
  local list = copy(lists[event])
  local listener = table.remove(list, index)
  lists[event] = #list > 0 and list or nil
  if lists.removeListener and event ~= "removeListener" then
    self:emit("removeListener", event, listener.fn)
  end
end

--- Takes the last listener of event that is fn away.
---@return self
function EventEmitter:off(event, fn)
  local list = table_of(self).lists[event] or {}
  for i = #list, 1, -1 do
    if list[i].fn == fn then
      drop(self, event, i)
      break
    end
  end
  return self
end

EventEmitter.removeListener = EventEmitter.off

--- Takes all listeners of event away, or all there are.
---@return self
function EventEmitter:removeAllListeners(event)
  local events = table_of(self)
  if event == nil then events.lists = {} else events.lists[event] = nil end
  return self
end

--- How many listeners event has.
---@return integer
function EventEmitter:listenerCount(event)
  local events = rawget(self, "_events")
  local list = events and events.lists[event]
  return list and #list or 0
end

--- The listeners of event, as a fresh array.
---@return function[]
function EventEmitter:listeners(event)
  local events, fns = rawget(self, "_events"), {}
  for i, listener in ipairs(events and events.lists[event] or {}) do fns[i] = listener.fn end
  return fns
end

--- The events that have listeners.
---@return any[]
function EventEmitter:eventNames()
  local events, names = rawget(self, "_events"), {}
  for event in pairs(events and events.lists or {}) do names[#names + 1] = event end
  return names
end

--- How many listeners of one event are no sign of a leak; 0: any number.
---@return self
function EventEmitter:setMaxListeners(n)
  rawset(self, "_maxListeners", n)
  return self
end

local function forget_once(self, event, listener)
  if not listener.once then return true end
  local list = table_of(self).lists[event] or {}
  for i = 1, #list do
    if list[i] == listener then
      drop(self, event, i)
      return true
    end
  end
  return false -- has run, within a nested emit
end

local function unheard(event, ...)
  if event ~= "error" then return false end
  local err = ...
  if err == nil then err = "unhandled error event" end
  error(err, 2) -- a tail call: level 1 is here, 2 is who called emit
end

--- Calls the listeners of event, each in a coroutine of its own: one that waits
--- does not hold up the others. An "error" that nobody listens to is raised.
---@param event any
---@return boolean heard
function EventEmitter:emit(event, ...)
  local events = rawget(self, "_events")
  local list = events and events.lists[event]
  if not list then return unheard(event, ...) end
  local run = events.context == core.context() and core.try or core.spawn
  for i = 1, #list do
    local listener = list[i]
    if forget_once(self, event, listener) then run(events.context, listener.fn, ...) end
  end
  return true
end

--- As emit, for what the runtime has to tell: an error in a listener is the
--- failure of the emitter's context, and keeps none of the others from being
--- called.
---@param emitter EventEmitter
---@param event any
---@return boolean heard
function M.tell(emitter, event, ...)
  local events = rawget(emitter, "_events")
  local list = events and events.lists[event]
  if not list then return false end
  for i = 1, #list do
    local listener = list[i]
    if forget_once(emitter, event, listener) then core.spawn(events.context, listener.fn, ...) end
  end
  return true
end

--- Calls the listeners one after the other in the running coroutine, which
--- waits where they wait: for streams, whose chunks must not overtake each other.
---@param emitter EventEmitter
---@param event any
---@return boolean heard
function M.emitInOrder(emitter, event, ...)
  local events = rawget(emitter, "_events")
  local list = events and events.lists[event]
  if not list then return unheard(event, ...) end
  for i = 1, #list do
    local listener = list[i]
    if forget_once(emitter, event, listener) then listener.fn(...) end
  end
  return true
end

local function settle(waiter, ...)
  waiter.values = { n = select("#", ...), ... }
  waiter.object:wake()
end

--- Waits for the next emit of event and returns its arguments; an "error"
--- meanwhile returns nil and the error.
---@param emitter EventEmitter
---@param event any
---@return any ...
function M.once(emitter, event)
  local waiter = { object = core.waiter() }
  local on_event, on_error
  function on_event(...)
    emitter:off("error", on_error)
    settle(waiter, ...)
  end
  function on_error(err)
    emitter:off(event, on_event)
    settle(waiter, nil, err)
  end
  emitter:once(event, on_event)
  if event ~= "error" then emitter:once("error", on_error) end
  waiter.object:wait()
  return unpack(waiter.values, 1, waiter.values.n)
end

return M
