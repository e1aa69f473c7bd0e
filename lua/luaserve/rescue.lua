--- What app:onError does. A failure of a request, wherever it was raised, comes here
--- from C, once it is logged and while nothing of the answer has left.
local core = require "luaserve.core"
local native = require "luaserve.core.server"

local M = {}

local DESCRIBING = { "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "Content-Range",
  "Cache-Control", "ETag", "Last-Modified", "Accept-Ranges", "Location" }

--- The innermost apps first: of those that own the route, or, where there is none,
--- those mounted where the path is.
local function owners_of(app, req)
  local state = app._state
  if not state then return { app } end
  local ok, entry = pcall(require("luaserve.router").find, state, req)
  if not ok then return { app } end -- the path is malformed
  if entry then return entry.flat.owners end
  local segments, pattern = require "luaserve.segments", require "luaserve.pattern"
  local best = { app }
  for _, mount in ipairs(state.mounts) do
    if #mount.owners > #best and pattern.begins(mount.list, segments.of(req)) then best = mount.owners end
  end
  return best
end

local function rescuers_of(app, req)
  local list = {}
  for _, owner in ipairs(owners_of(app, req)) do
    for _, fn in ipairs(owner._rescuers) do list[#list + 1] = fn end
  end
  return list
end

--- What handlers get is always a table: with message, status, and stack where it is ours.
local function error_of(value)
  local err = value
  if type(err) ~= "table" then
    err = core.error(tostring(value))
    err.value = value
  end
  if type(rawget(err, "message")) == "string" then
    if rawget(err, "status") == nil then rawset(err, "status", 500) end
    if rawget(err, "stack") == nil then rawset(err, "stack", native.reported()) end
  end
  return err
end

local function status_of(err)
  local status = type(err) == "table" and rawget(err, "status")
  return type(status) == "number" and status >= 400 and status <= 599 and status % 1 == 0 and status or 500
end

M.show = nil -- in development, show(res, err): answers with the error's page where it may, and returns true

--- As if nobody had been asked.
local function answer(res, err)
  if M.show and status_of(err) >= 500 and M.show(res, err) then return end
  local message = type(err) == "table" and rawget(err, "message")
  native.fail(res, status_of(err), type(message) == "string" and message or nil)
end

local function reset(res, err)
  for i = 1, #DESCRIBING do res:removeHeader(DESCRIBING[i]) end
  rawset(res, "statusMessage", nil)
  res.statusCode = status_of(err)
end

local function rescue(value, res)
  local req = native.req(res)
  local app = rawget(req, "app")
  rawset(req, "path", nil) -- whole again, where it was left behind a prefix
  local list = app and rescuers_of(app, req) or {}
  if not list[1] then return answer(res, value) end
  local err, at = error_of(value), 0
  local function next(other)
    if other ~= nil then err = error_of(other) end
    at = at + 1
    local fn = list[at]
    if not fn then return answer(res, err) end
    reset(res, err)
    return fn(err, req, res, next)
  end
  return require("http")._settle(res, next())
end

local watching = false

--- Has failures come here from now on.
function M.watch()
  if watching then return end
  watching = true
  native.onFail(rescue)
end

return M
