--- The answer to those who ask whether this process is well: load balancers, orchestrators, monitors.
local core = require "luaserve.core"

local M = {}

--- One check: nil where it is fine, else what is the matter.
local function try(check)
  local results = { pcall(check) }
  if not results[1] then return tostring(results[2]) end
  if results[2] == false or results[2] == nil and results[3] ~= nil then return tostring(results[3] or "failed") end
end

local function checked(checks)
  local report, good
  for name, check in pairs(checks) do
    local wrong = try(check)
    report = report or {}
    report[name] = wrong or "ok"
    good = good ~= false and not wrong
  end
  return good ~= false, report
end

--- A handler that answers 200 with {"status": "ok"}; 503 with "draining" once this process has begun to stop, or
--- "failing" where a check raises, or returns false, or nil and a message. Each result of checks is in the answer.
---@param checks table<string, function>? by name; they may wait
---@return luaserve.Handler
function M.handler(checks)
  if checks ~= nil and type(checks) ~= "table" then core.raise("health needs a table of checks by name") end
  for name, check in pairs(checks or {}) do
    if type(check) ~= "function" then core.raise(("the check '%s' must be a function"):format(tostring(name))) end
  end
  return function(_, res)
    res:setHeader("Cache-Control", "no-store")
    if core.draining() then return 503, { status = "draining" } end
    local good, report = checked(checks or {})
    return good and 200 or 503, { status = good and "ok" or "failing", checks = report }
  end
end

return M
