--- The server's side of the control socket: who comes says first what for. `top` is answered here, in the process
--- that the pid file names; `attach` is passed on, as a descriptor, to the worker that is meant, which nobody stands
--- between from then on.
local core = require "luaserve.core"
local message = require "luaserve.control.message"
local native = require "luaserve.core.control"
local timers = require "timers"

local M = {}

local VISITORS_MAX = 16 -- in one process
local PATIENCE = 10000 -- milliseconds until the first word

local visitors = 0

local function refuse(peer, text)
  peer:send(message.encode({ t = "refused" }, text))
  peer:close()
end

--- The workers of this process by id; nil where it has none.
local function workers()
  local primary = package.loaded["luaserve.cluster.primary"]
  return primary and next(primary.workers) and primary.workers or nil
end

local function ids_of(list)
  local ids = {}
  for id, worker in pairs(list) do
    if not worker._dead and not worker._retired then ids[#ids + 1] = id end
  end
  table.sort(ids)
  return ids
end

-- ---- attach

--- Has the peer talk to this process.
local function settle(visitor)
  visitor.shell = require("luaserve.control.shell").new(visitor.peer)
end

--- One who was passed on by the primary.
---@param bound userdata
function M.attach(bound)
  local visitor = M.receive(bound)
  if visitor then settle(visitor) end
end

local function attach(visitor, head)
  local list = workers()
  local wanted = head.worker
  if not list then
    if wanted and wanted ~= 0 then
      return refuse(visitor.peer, "this server is one process, without workers: leave --worker out")
    end
    return settle(visitor)
  end
  if wanted == 0 then return settle(visitor) end
  local ids = ids_of(list)
  local worker = list[wanted or ids[1]]
  if not worker or worker._dead then
    return refuse(visitor.peer, ("there is no worker %s; there are %s"):format(tostring(wanted),
      #ids > 0 and table.concat(ids, ", ") or "none now"))
  end
  visitor.leave()
  return require("luaserve.cluster.primary").attach(worker, visitor.peer:detach())
end

-- ---- top

local function report(peer, list, respawns)
  peer:send(message.encode { t = "top", processes = list, respawns = respawns, pid = require("process").pid,
    version = core.version, uptime = require("process").uptime(), script = core.argv[2],
    workers = workers() ~= nil })
end

local function top(visitor)
  if not workers() then
    local own = require("luaserve.control.counts").take()
    own.id, own.state = 0, core.draining() and "draining" or "serving"
    return report(visitor.peer, { own }, 0)
  end
  return require("luaserve.cluster.census").take(function(list)
    report(visitor.peer, list, require("luaserve.cluster.measures").respawns)
  end)
end

-- ---- visitors

local words = { attach = attach, top = top }

local function on_message(visitor, bytes)
  if bytes == nil then
    visitor.leave()
    return visitor.shell and visitor.shell:close()
  end
  local head, text = message.decode(bytes)
  timers.clearTimeout(visitor.timer)
  if not head then
    visitor.leave()
    return refuse(visitor.peer, "that is no message of luaserve's")
  end
  if visitor.shell then return visitor.shell:receive(head, text) end
  local word = words[head.t]
  if word then return word(visitor, head) end
  return refuse(visitor.peer, "this server does not know '" .. tostring(head.t) .. "': it is of another version ("
    .. core.version .. ")")
end

--- Takes a connection; nil where there are too many.
---@param bound userdata
---@return table? visitor
function M.receive(bound)
  local visitor = {}
  visitor.peer = native.adopt(bound, function(bytes) return on_message(visitor, bytes) end)
  if visitors >= VISITORS_MAX then
    refuse(visitor.peer, ("%d connections to the control socket are open already"):format(visitors))
    return nil
  end
  visitors = visitors + 1
  local here = true
  function visitor.leave()
    if here then visitors = visitors - 1 end
    here = false
    timers.clearTimeout(visitor.timer)
  end
  return visitor
end

--- Somebody has come.
---@param bound userdata
function M.serve(bound)
  local visitor = M.receive(bound)
  if not visitor then return end
  visitor.timer = timers.setTimeout(function()
    visitor.leave()
    visitor.peer:close()
  end, PATIENCE)
  visitor.timer:unref()
end

return M
