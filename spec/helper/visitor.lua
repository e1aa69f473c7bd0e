--- A browser, as far as it keeps cookies: `local kim = require("spec.helper.visitor").new(server)`.
local request = require("spec.helper.request")

local M = {}

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
