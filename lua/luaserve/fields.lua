--- What middlewares do with the fields of an answer, with the answer's failure in
--- mind: what a browser has to see there is kept when a handler raises.
local core = require "luaserve.core"
local crypto = require "crypto"
local native = require "luaserve.core.body"

local M = {
  trusting = false, -- whether an app of this process trusts proxies: see luaserve/proxy.lua
}

--- Sets a field of the answer, and of the one that a failure gives instead.
---@param req IncomingMessage
---@param res ServerResponse
---@param name string
---@param value string
function M.set(req, res, name, value)
  res:setHeader(name, value)
  native.refusal(req, name, value)
end

--- Raises what answers with status: an error that is the client's. It says so itself, without a traceback,
--- since these come as often as clients like.
---@param status integer
---@param message string
---@param more table? further fields of the error
function M.refuse(status, message, more)
  local err = core.error(message)
  for name, value in pairs(more or {}) do err[name] = value end
  err.status, err.stack = status, message
  return error(err, 0)
end

--- Adds names to Vary where they are not in it.
---@param res ServerResponse
---@param names string[]
function M.vary(res, names)
  local value = res:getHeader("Vary")
  if type(value) == "table" then value = table.concat(value, ", ") end
  for i = 1, #names do
    local name = names[i]
    if not value then
      value = name
    elseif not (", " .. value .. ","):lower():find(", " .. name:lower() .. ",", 1, true) and value ~= "*" then
      value = value .. ", " .. name
    end
  end
  res:setHeader("Vary", value)
  return value
end

--- 24 letters, digits, - and _ that nobody can guess.
---@return string
function M.random()
  return (crypto.hash("sha256", crypto.randomBytes(32), "base64url"):sub(1, 24))
end

--- Whether the client is known to use TLS: with us, or with a proxy that is trusted.
---@param req IncomingMessage
---@return boolean
function M.is_secure(req)
  if not M.trusting then return native.encrypted(req) end
  return req.secure and true or false
end

return M
