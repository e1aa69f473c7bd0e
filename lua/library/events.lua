---@meta events

--- Emitters: who has something to tell, and who listens.
---@class events
local events = {}

--- How many listeners of one event are no sign of a leak.
events.defaultMaxListeners = 10

--#region lua/node/events.lua M=events. EventEmitter=EventEmitter: not=new,tell
---@class EventEmitter
local EventEmitter = {}

--- Makes class inherit the methods; instances need no set-up.
---@param class table
---@return table class
function events.inherit(class) end

--- Calls fn with the arguments of every emit of event, in the order of adding.
---@param event any
---@param fn function
---@return self
function EventEmitter:on(event, fn) end

--- Calls fn for the next emit alone.
---@param event any
---@param fn function
---@return self
function EventEmitter:once(event, fn) end

--- As on, in front of the others.
---@return self
function EventEmitter:prependListener(event, fn) end

--- As once, in front of the others.
---@return self
function EventEmitter:prependOnceListener(event, fn) end

--- Takes the last listener of event that is fn away.
---@return self
function EventEmitter:off(event, fn) end

--- Takes all listeners of event away, or all there are.
---@return self
function EventEmitter:removeAllListeners(event) end

--- How many listeners event has.
---@return integer
function EventEmitter:listenerCount(event) end

--- The listeners of event, as a fresh array.
---@return function[]
function EventEmitter:listeners(event) end

--- The events that have listeners.
---@return any[]
function EventEmitter:eventNames() end

--- How many listeners of one event are no sign of a leak; 0: any number.
---@return self
function EventEmitter:setMaxListeners(n) end

--- Calls the listeners of event, each in a coroutine of its own: one that waits
--- does not hold up the others. An "error" that nobody listens to is raised.
---@param event any
---@return boolean heard
function EventEmitter:emit(event, ...) end

--- Calls the listeners one after the other in the running coroutine, which
--- waits where they wait: for streams, whose chunks must not overtake each other.
---@param emitter EventEmitter
---@param event any
---@return boolean heard
function events.emitInOrder(emitter, event, ...) end

--- Waits for the next emit of event and returns its arguments; an "error"
--- meanwhile returns nil and the error.
---@param emitter EventEmitter
---@param event any
---@return any ...
function events.once(emitter, event) end
--#endregion

EventEmitter.addListener = EventEmitter.on
EventEmitter.removeListener = EventEmitter.off

--- A fresh emitter.
---@return EventEmitter
function events.EventEmitter() end

return events
