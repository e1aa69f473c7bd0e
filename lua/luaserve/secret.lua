--- The secrets by which what comes back from a client is known to be ours, for sessions
--- and CSRF tokens: those of the middleware, else the app's, else a random one, which is
--- made once and lies in the store, so that all workers have the same.
local crypto = require "crypto"
local native = require "luaserve.core.store"

local M = {}

local TABLE, KEY, SIZE = ".luaserve", "session-secret", 32

local function fail(message)
  error("secret: " .. tostring(message), 0)
end

local made -- or found, by this process

--- The random one. Who makes it says that it goes with the server, if it does.
---@return string
function M.shared()
  if made then return made end
  local own, message = native.open(TABLE, 0)
  if not own then fail(message) end
  local added, why = own:add(KEY, crypto.randomBytes(SIZE))
  if added == nil then fail(why) end
  if added and not native.isLasting() then
    console.warn('sessions and forms have no secret, so one was made that is gone with this server. To keep visitors '
      .. 'over restarts set app:set("secret", "...") or the option secret, and start with --store FILE')
  end
  made = own:get(KEY) or fail("that of the workers is gone")
  return made
end

--- The secrets for a request.
---@param req IncomingMessage
---@param own string|string[]|nil those of the middleware
---@return string|string[]
function M.of(req, own)
  if own then return own end
  local app = rawget(req, "app")
  return app and app.setting and app:setting("secret") or M.shared()
end

return M
