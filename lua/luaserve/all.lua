--- Several things at once: each function runs in a coroutine of its own, and the
--- caller waits for the slowest.
local core = require "luaserve.core"

local M = {}

local function check(tasks)
  if type(tasks) ~= "table" then core.raise("all needs a table of functions, not a " .. type(tasks)) end
  for key, task in pairs(tasks) do
    if type(task) ~= "function" then
      core.raise(("all needs functions; [%s] is a %s"):format(tostring(key), type(task)))
    end
  end
end

--- What a task has returned: a value, or nil, message, code.
local function settle(state, key, ok, value, message, code)
  if not ok then
    state.raised = state.raised or { value }
  elseif value == nil and message ~= nil then
    state.errors = state.errors or {}
    state.errors[key] = core.error(tostring(message), code and tostring(code))
  else
    state.results[key] = value
  end
  state.left = state.left - 1
  if state.left == 0 then state.waiter:wake() end
end

local function run(state, key, task)
  return settle(state, key, pcall(task))
end

--- Runs functions at the same time and waits for all of them.
---@param tasks table<any, fun(): any>
---@return table results by the same keys
---@return table? errors by key, of those that returned nil and a message; nil where there are none. What one
---  raised is raised again when all have ended
function M.run(tasks)
  check(tasks)
  local state = { results = {}, left = 1, waiter = core.waiter() }
  for key, task in pairs(tasks) do
    state.left = state.left + 1
    core.spawn(core.context(), run, state, key, task)
  end
  state.left = state.left - 1
  if state.left > 0 then state.waiter:wait() end
  if state.raised then error(state.raised[1], 0) end
  return state.results, state.errors
end

setmetatable(M, { __call = function(_, tasks) return M.run(tasks) end })

return M
