--- Responses: Node's http.ServerResponse. What sends is in C (l_response); here
--- are listeners, hooks and the callbacks of write and finish.
local core = require "luaserve.core"
local events = require "events"
local listeners = require "luaserve.listeners"
local native = require "luaserve.core.server"
local response = require "luaserve.core.response"

local M = {
  tagging = false, -- whether an app of this process has its answers tagged, or indented: see luaserve/reply.lua
}

-- As bits, in script/context.h.
local CLOSE, FINISH, DRAIN = 1, 2, 8
local watched = { close = CLOSE, finish = FINISH, drain = DRAIN }
local names = { [CLOSE] = "close", [FINISH] = "finish", [DRAIN] = "drain" }

---@class ServerResponse: EventEmitter emits finish, close, drain
---@field statusCode integer
---@field statusMessage string? nil: the usual one
---@field headersSent boolean
---@field writableEnded boolean finish was called
---@field writableFinished boolean all was handed to the kernel, where "finish" is listened to
local Response = events.inherit(response.methods)
Response.headersSent = false
Response.writableEnded = false
Response.writableFinished = false
Response.statusCode = 200

--- It is over already: a listener that comes late is told all the same, unless it
--- is told with the others.
local function tell_late(self, event, fn, was_told)
  if not was_told and rawget(self, "_told_" .. event) then return end
  if event == "finish" and not self.writableEnded then return end
  return fn()
end

listeners.observe(Response, function(self, event, fn)
  local bit = watched[event]
  if bit and not native.watch(self, bit) and bit ~= DRAIN then
    core.defer(tell_late, self, event, fn, rawget(self, "_told_" .. event))
  end
end)

-- ---- hooks

local set_meta = debug.setmetatable

--- What sends the head, of a response that has hooks.
local Hooked = setmetatable({}, { __index = Response })

--- Runs the hooks, once, before whatever commits the head goes on; name is the method that does.
local function run_hooks(res, name)
  local hooks = rawget(res, "_hooks")
  if not hooks then return end
  rawset(res, "_hooks", nil)
  set_meta(res, M.meta)
  if type(hooks) == "function" then return hooks(res, name) end
  local run = hooks.run
  if run then return run(res, hooks, name) end
  for i = 1, #hooks do hooks[i](res, name) end
end

M.run_hooks = run_hooks

for _, name in ipairs { "write", "finish", "end", "flushHeaders" } do
  Hooked[name] = function(res, ...)
    run_hooks(res, name)
    return Response[name](res, ...)
  end
end

--- A response with hooks: its field _hooks is a function, a list of them, or a session's state, which has the
--- method run.
local hooked = { __index = Hooked, __newindex = response.assign, __metatable = false, __name = "ServerResponse" }

M.hooked = hooked

--- Calls fn(res) once, before the head leaves, in the coroutine that commits it;
--- it may set headers and wait.
---@param fn fun(res: ServerResponse)
---@return self
function Response:onHead(fn)
  if type(fn) ~= "function" then error("onHead needs a function", 2) end
  if self.headersSent then error("Cannot set headers after they are sent to the client", 2) end
  local hooks = rawget(self, "_hooks")
  if not hooks then
    rawset(self, "_hooks", fn) -- alone, as nearly always
    set_meta(self, hooked)
  elseif type(hooks) == "function" then
    rawset(self, "_hooks", { hooks, fn })
  elseif hooks.run then
    rawset(self, "_hooks", { function(res, name) return hooks.run(res, hooks, name) end, fn })
  else
    hooks[#hooks + 1] = fn
  end
  return self
end

--- Calls fn(res) once when the response is over, complete or cut off.
---@param fn fun(res: ServerResponse)
---@return self
function Response:onFinish(fn)
  if type(fn) ~= "function" then error("onFinish needs a function", 2) end
  local done = false
  local function run()
    if done then return end
    done = true
    return fn(self)
  end
  self:once("finish", run)
  return self:once("close", run)
end

-- ---- callbacks and events

local bits = { finish = FINISH, drain = DRAIN }

local function gone()
  return core.error("the client is gone", "ERR_STREAM_PREMATURE_CLOSE")
end

--- Calls fn() when event has happened, or fn(err) when it cannot any more: what
--- the callbacks of write and finish are. self is a response, or a socket.
local function notify(self, event, fn)
  if not native.watch(self, CLOSE + FINISH + DRAIN) then return core.defer(fn, gone()) end
  local waiting = rawget(self, "_callbacks")
  if not waiting then
    waiting = {}
    rawset(self, "_callbacks", waiting)
  end
  waiting[#waiting + 1] = { bit = bits[event], fn = fn }
end

--- Calls the callbacks that wait for event: all that are left, at the end.
---@param self ServerResponse|Socket
---@param event integer a bit of script/context.h
function M.call_back(self, event)
  local waiting = rawget(self, "_callbacks")
  if not waiting then return end
  local rest = {}
  rawset(self, "_callbacks", rest)
  for _, callback in ipairs(waiting) do
    if event == DRAIN and callback.bit ~= DRAIN then
      rest[#rest + 1] = callback
    else
      core.spawn(core.contextOf(self), callback.fn, event == CLOSE and gone() or nil)
    end
  end
end

--- Tells the response of an event of its exchange.
---@param res ServerResponse
---@param event integer a bit of script/context.h
function M.tell(res, event)
  local name = names[event]
  if not name then return end
  response.refresh(res)
  M.call_back(res, event)
  if event == FINISH then rawset(res, "writableFinished", true) end
  if event ~= DRAIN then rawset(res, "_told_" .. name, true) end
  events.tell(res, name)
end

-- ---- what is loaded when it is first used: lua/luaserve/reply.lua

local reply
for _, name in ipairs { "status", "send", "json", "html", "text", "redirect", "cookie", "clearCookie", "sendFile",
  "download", "attachment", "render", "type", "vary" } do
  Response[name] = function(self, ...)
    if type(self) ~= "table" then error("req or res expected; call the method with ':'", 2) end
    reply = reply or require("luaserve.reply")
    return reply[name](self, ...)
  end
end

--- A response is used once more after it was answered.
require("luaserve.core.misuse").again(function(res, method, where)
  return require("luaserve.misuse").again(res, method, where)
end)

--- The metatable of a response of which these fields have become true.
local function later(...)
  local class = setmetatable({}, { __index = Response })
  for _, field in ipairs { ... } do class[field] = true end
  return { __index = class, __metatable = false, __name = "ServerResponse" }
end

response.setup(notify, later("headersSent"), later("headersSent", "writableEnded"))

M.meta = { __index = Response, __newindex = response.assign, __metatable = false, __name = "ServerResponse" }
M.ServerResponse = Response

return M
