--- Emitters that have to know who listens, because what nobody listens to is
--- never asked for.
local EventEmitter = require("events").EventEmitter

local M = {}

local function check(event, fn)
  if event == nil then error("the name of an event is expected", 3) end
  if type(fn) ~= "function" then error("the listener of '" .. tostring(event) .. "' must be a function", 3) end
end

--- Has changed(self, event, fn) called after a listener was added to an instance
--- of class, and changed(self, event) after some were taken away, of all events
--- where event is nil.
---@param class table that inherits from EventEmitter
---@param changed fun(self: table, event: any, fn: function?)
---@param removal boolean? whether taking away counts, too
function M.observe(class, changed, removal)
  for _, name in ipairs { "on", "addListener", "once", "prependListener", "prependOnceListener" } do
    local add = EventEmitter[name]
    class[name] = function(self, event, fn)
      check(event, fn)
      add(self, event, fn)
      changed(self, event, fn)
      return self
    end
  end
  if not removal then return end
  for _, name in ipairs { "off", "removeListener", "removeAllListeners" } do
    local remove = EventEmitter[name]
    class[name] = function(self, event, fn)
      remove(self, event, fn)
      changed(self, event)
      return self
    end
  end
end

return M
