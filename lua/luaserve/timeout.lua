--- Middleware: what is behind it answers in time, or the client gets a 503. The
--- rest goes on in a coroutine of its own, which is never killed: what it waits for
--- of the body ends with "timeout", and what it answers comes too late.
local core = require "luaserve.core"
local native = require "luaserve.core.server"
local timer = require "luaserve.core.timer"

local M = {}

local unpack = table.unpack or unpack

local function pack(...)
  return { n = select("#", ...), ... }
end

--- Runs next, and tells the one that waits.
local function run(race, next)
  race.results = pack(pcall(next))
  if race.waiter then race.waiter:wake() end
end

local function expire(race)
  race.late = true
  if race.waiter then race.waiter:wake() end
end

local function give(results)
  if not results[1] then error(results[2], 0) end
  return unpack(results, 2, results.n)
end

--- Middleware that gives what is defined after it so many seconds until the answer
--- begins; then it raises a 503, as luaserve.error does.
---@param seconds number
---@return luaserve.Middleware
function M.middleware(seconds)
  if type(seconds) ~= "number" or not (seconds > 0 and seconds < 2147483) then
    core.raise("timeout needs a number of seconds, more than 0")
  end
  return function(req, res, next)
    local race = {}
    core.spawn(core.context(), run, race, next)
    if race.results then return give(race.results) end
    local clock = timer.start(function() return expire(race) end, seconds, false)
    repeat
      race.waiter = core.waiter()
      race.waiter:wait()
      if not race.results and res.headersSent then race.late = false end -- it answers: it may go on
    until race.results or race.late
    clock:close()
    if race.results then return give(race.results) end
    if req.aborted then return nil end
    native.expire(req)
    local err = core.error(("Service Unavailable: no answer within %g seconds"):format(seconds))
    err.status = 503
    return error(err, 0)
  end
end

setmetatable(M, { __call = function(_, seconds) return M.middleware(seconds) end })

return M
