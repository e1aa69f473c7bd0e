--- The outside of the cases in this folder, for specs: runs those of a module in
-- luaserve and hands out what came of each group.
local assert = require("luassert")
local helper = require("spec.helper")

package.path = "spec/lua/cases/?.lua;" .. package.path

--- What a run printed: of each group the failures and the count of cases, and
-- the count of all.
local function read(out)
  local groups, failures, total = {}, {}, 0
  for line in out:gmatch("[^\n]+") do
    local count, name = line:match("^group (%d+) (.+)$")
    if name then
      groups[name] = { count = tonumber(count), failures = failures }
      failures = {}
    elseif line:find("^done %d+$") then
      total = tonumber(line:match("%d+"))
    else
      table.insert(failures, line)
    end
  end
  return groups, total
end

local M = {}

--- The names of a module's groups.
---@param module string
---@return string[]
function M.names(module)
  local names = {}
  for _, file in ipairs(require("cases").files[module]) do
    for _, group in ipairs(require(file)) do
      table.insert(names, group[1])
    end
  end
  return names
end

--- Runs a module's cases, of which there are at least `least`. Returns a
-- function that asserts for a group's name that none failed.
---@param module string
---@param least integer
---@return fun(name: string)
function M.run(module, least)
  local run = helper.run("spec/lua/cases/" .. module .. "_run.lua", { timeout = 60 })
  local groups, total = read(run.out)
  assert.equal("", run.err)
  assert.equal(0, run.code)
  assert.is_true(total >= least, "only " .. total .. " cases ran")
  return function(name)
    assert.same({}, groups[name].failures)
    assert.is_true(groups[name].count > 0)
  end
end

return M
