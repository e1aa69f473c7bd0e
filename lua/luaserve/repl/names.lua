--- The names that a prompt has besides the globals: the app, and a test client of it.
local core = require "luaserve.core"

local M = {}

local function is_app(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- The server that was the first to listen.
local function first_server()
  local found, place
  for server, at in pairs(core.listened or {}) do
    if not place or at < place then found, place = server, at end
  end
  return found
end

--- `app` is what the script returned, else the server on which it listens; `client` asks it.
---@param returned any
---@return {app: any, client: TestClient?}
function M.find(returned)
  local app = returned
  if app == nil or app == false then app = first_server() end
  local names = { app = app }
  if app ~= nil and (is_app(app) or app ~= returned) then names.client = require("luaserve.test").client(app) end
  return names
end

return M
