--- Tells of an app that a script has made and nothing serves: `return app` is missing, and the script would end, or
--- a worker would stay, without a word. Looked at when the script has ended, and once more a little later, since a
--- callback may begin to listen.
local core = require "luaserve.core"
local process = require "process"
local timers = require "timers"

local M = {}

local LATER = 1000 -- milliseconds until a callback of the script has to listen

--- The apps with something to serve that are part of no other; as long as the script has made no server.
local function idle_apps(apps)
  local list = {}
  if next(core.listened or {}) ~= nil or require("http")._made then return list end
  for _, app in ipairs(apps) do
    if app._layers[1] and not app._parent then list[#list + 1] = app end
  end
  return list
end

--- Of some apps that which the script itself has made, in whose modules others may be.
local function main_of(list)
  local script = tostring(core.argv[2]):match("[^/]*$")
  for _, app in ipairs(list) do
    if app._where:match("([^/]*):%d+: $") == script then return app end
  end
  return list[#list]
end

local function text_of(app)
  return ("%sthe app that is made here is not served: end the script with return app, or call app:listen(port)")
    :format(app._where)
end

--- Called when the script has ended without returning what is to be served. fn(message) is called, once, where an app
--- stays without a server.
---@param apps App[] that it has made
---@param fn fun(message: string)
---@return boolean whether there is one now
function M.look(apps, fn)
  local done = false
  local function tell()
    local app = main_of(idle_apps(apps))
    if app and not done then fn(text_of(app)) end
    done = true
  end
  if not idle_apps(apps)[1] then return false end
  timers.setTimeout(tell, LATER):unref()
  process.on("exit", function(code)
    if code == 0 then tell() end
  end)
  return true
end

return M
