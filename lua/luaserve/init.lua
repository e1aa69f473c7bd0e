--- The framework's entry: `luaserve()` makes an app. `luaserve.context()` and
--- `luaserve.error` serve every handler, with or without an app; all else is a
--- module below lua/luaserve, loaded when it is first asked for: `luaserve.static`
--- is require "luaserve.static".
local core = require "luaserve.core"

local M = {}

--- A table for the running request's own data; outside of a request, one of the
--- process. It follows the request through callbacks, timers and waits.
---@return table
function M.context()
  return core.data()
end

--- An error value that, raised, answers the request with its status; the message
--- is sent to the client where the status is under 500.
---@param status integer 400 to 599
---@param message string?
---@param fields table? further fields of the error
---@return table error to be given to error()
function M.new_error(status, message, fields)
  local err = core.error(message or core.statuses()[status] or "error")
  for key, value in pairs(fields or {}) do err[key] = value end
  err.status = status
  return err
end

--- Raises an error that answers the request with status.
---@param status integer 400 to 599
---@param message string?
---@param fields table?
function M.error(status, message, fields)
  if type(status) ~= "number" or status < 400 or status > 599 then
    error("luaserve.error needs a status from 400 to 599", 2)
  end
  error(M.new_error(status, message, fields), 0)
end

--- A text safe to stand in HTML: & < > " and ' become references.
---@param text string|number
---@return string
function M.escapeHTML(text)
  return require("luaserve.core.template").escape(text)
end

M.version = core.version

local parts = {}
for _, name in ipairs(core.modules()) do
  local part = name:match("^luaserve%.(%a+)$")
  if part then parts[part] = true end
end

setmetatable(M, { __index = function(self, name)
  if not parts[name] then return nil end
  local part = require("luaserve." .. name)
  rawset(self, name, part)
  return part
end, __call = function(_, settings)
  return require("luaserve.app").new(settings)
end })

return M
