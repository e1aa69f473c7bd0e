--- A browser, as far as it keeps cookies: `local kim = require("spec.helper.visitor").new(server)`.
local request = require("spec.helper.request")
local start = require("spec.helper.server")
local tls_server = require("spec.helper.tls_server")

local M = {}

local BEFORE = [[
local luaserve, timers, json = require "luaserve", require "timers", require "json"
local session = luaserve.session(%s)
local function handle(req, res)
  %s
end
]]

--- Serves a handler behind a session.
---@param options string of the session, as text
---@param body string of function(req, res), which uses luaserve, timers and json
---@param opts table? as of helper.serve; ahead: code before all; over_tls
---@return table server
function M.serve(options, body, opts)
  opts = opts or {}
  opts.before = (opts.ahead or "") .. BEFORE:format(options, body)
  local serve = opts.over_tls and tls_server.serve or start.serve_handler
  return serve("return session(req, res, function() return handle(req, res) end)", opts)
end

--- One that has no cookies yet. `visitor.get(path, headers)` -> body, response; visitor.jar is its
--- cookies by name, visitor.set what the last answer said of them, and visitor.server whom it asks.
---@param server table as of helper.serve
---@return table visitor
function M.new(server)
  local jar = {}
  local self = { jar = jar, server = server }

  --- The field Cookie that it sends, nil without one.
  function self.cookie()
    local list = {}
    for name, value in pairs(jar) do list[#list + 1] = name .. "=" .. value end
    return #list > 0 and table.concat(list, "; ") or nil
  end

  function self.get(path, headers)
    headers = headers or {}
    headers.Cookie = self.cookie()
    local res = request.get(self.server, path or "/", headers)
    local set = res.headers["set-cookie"]
    self.set = set
    for _, text in ipairs(type(set) == "table" and set or { set }) do
      local name, value = text:match("^([^=]+)=([^;]*)")
      jar[name] = not text:find("Max-Age=0", 1, true) and value or nil
    end
    return res.body, res
  end

  return self
end

return M
