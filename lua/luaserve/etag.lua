--- Entity tags of answers that are made anew each time (RFC 9110 8.8.3), and
--- whether a client has that answer already. A tag is made of the bytes alone, so
--- that it is the same in every worker, and on every machine.
local crypto = require "luaserve.core.crypto"
local server = require "luaserve.core.server"

local M = {}

local MODES = { weak = "weak", strong = "strong", [true] = "weak", [false] = false }

--- How the app of a request has answers tagged: "weak", "strong", a function of
--- the body, or false (the default). Raises where the setting is none of them.
---@param req IncomingMessage
---@return string|function|false
function M.mode(req)
  local app = rawget(req, "app")
  local value = app and app:setting("etag")
  if value == nil then return false end
  if type(value) == "function" then return value end
  local mode = MODES[value]
  if mode == nil then
    error('the setting "etag" is "weak", "strong", true, false or a function of the body, not '
      .. tostring(value), 0)
  end
  return mode
end

--- The tag of a body.
---@param body string
---@param mode string|function
---@return string? tag with its quotes
function M.of(body, mode)
  if type(mode) == "function" then
    local tag = mode(body)
    if tag == nil or tag == false then return nil end
    tag = tostring(tag)
    return tag:find('^W?/?"') and tag or '"' .. tag .. '"'
  end
  local tag = ('"%x-%s"'):format(#body, crypto.hash("sha256", body, "base64url"):sub(1, 22))
  return mode == "strong" and tag or "W/" .. tag
end

local function lists(header, tag)
  if header:find("^%s*%*%s*$") then return true end
  local opaque = tag:gsub("^W/", "")
  for one in header:gmatch('"[^"]*"') do -- the weak comparison, RFC 9110 13.1.2
    if one == opaque then return true end
  end
  return false
end

--- Whether the client has the answer with these tags already (RFC 9110 13.2.2).
---@param req IncomingMessage
---@param tag string?
---@param modified string? the Last-Modified
---@return boolean
function M.fresh(req, tag, modified)
  local headers = req.headers
  local match, since = headers["if-none-match"], headers["if-modified-since"]
  if not match and not since then return false end
  local control = headers["cache-control"]
  if control and control:lower():find("no-cache", 1, true) then return false end -- a reload
  if match then return tag ~= nil and lists(match, tag) end
  return modified ~= nil and since == modified
end

--- Tags a body that is about to be sent, and makes the answer a 304 where the
--- client has it.
---@param res ServerResponse
---@param body string
---@return string? body nil: there is none to send
function M.apply(res, body)
  local req = server.req(res)
  local method, status = req.method, res.statusCode
  if (method ~= "GET" and method ~= "HEAD") or status < 200 or status > 299 then return body end
  local tag, mode = res:getHeader("ETag"), M.mode(req)
  if not tag and mode then
    tag = M.of(body, mode)
    if tag then res:setHeader("ETag", tag) end
  end
  local modified = res:getHeader("Last-Modified")
  if not (tag or modified) or not M.fresh(req, tag, modified) then return body end
  res.statusCode = 304
  res:removeHeader("Content-Type")
  res:removeHeader("Content-Length")
  return nil
end

return M
