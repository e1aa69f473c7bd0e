--- The conversation of a primary and a worker, as both ends see it: values as JSON, those of the script and our
--- own, and what waits where the other end is slow.
local core = require "luaserve.core"
local json = require "json"
local native = require "luaserve.core.cluster"

local M = {}

-- As in script/l_cluster.c.
local MESSAGE, DRAIN, CLOSE, EXIT, STOP = 1, 2, 3, 4, 5

local links = {} -- by the channel of C, while something may come from it

--- Told when this process has begun to stop.
M.on_stop = nil

local function wake(link)
  local waiters = link.waiters
  link.waiters = {}
  for _, waiter in ipairs(waiters) do waiter:wake() end
end

local handlers = {}

handlers[MESSAGE] = function(link, text, bound)
  local value = json.decode(text:sub(2))
  if text:sub(1, 1) == "u" then return link.on_message(value) end
  return link.on_tell(value, bound)
end

handlers[DRAIN] = wake

handlers[CLOSE] = function(link)
  wake(link)
  return link.on_close()
end

handlers[EXIT] = function(link, code, signal)
  links[link.channel] = nil
  return link.on_exit(code, signal)
end

native.setup(function(channel, event, ...)
  if event == STOP then return M.on_stop and M.on_stop() end
  local link = links[channel]
  if link then return handlers[event](link, ...) end
end)

--- A link over that channel of C. The caller sets on_message(value), on_tell(value, bound), on_close() and, for
--- a child, on_exit(code, signal).
---@param channel userdata
---@return table link
function M.open(channel)
  local link = { channel = channel, waiters = {} }
  links[channel] = link
  return link
end

--- Closes at this end; on_close is not called.
function M.close(link)
  link.channel:close()
  wake(link)
end

--- Sends our own message, with a socket where there is one.
function M.tell(link, value, bound)
  return link.channel:send("i" .. json.encode(value), bound)
end

--- Sends a value of the script. Where much is on its way already it waits; with a callback, or where it cannot
--- wait, it returns false.
---@param link table
---@param value any what JSON can say
---@param callback fun(err: table?)?
---@return boolean? sent, string? message, string? code
function M.send(link, value, callback)
  if value == nil then error("send needs a value", 3) end
  local good, text = pcall(json.encode, value)
  if not good then error(text, 3) end
  local ok, message = link.channel:send("u" .. text)
  if callback then
    core.defer(callback, ok == nil and core.error(message, "ERR_IPC_CHANNEL_CLOSED", "send") or nil)
    return ok or false
  end
  if ok == nil then return nil, message, "ERR_IPC_CHANNEL_CLOSED" end
  if ok or not core.canWait() then return ok end
  local waiter = core.waiter()
  table.insert(link.waiters, waiter)
  waiter:wait()
  return true
end

return M
