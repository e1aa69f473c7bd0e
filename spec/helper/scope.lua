--- How long the things live that a spec makes (processes, connections, folders):
-- as long as the busted block in which they were made. Made in an `it` or a
-- `before_each`, they go after that `it`; made in `setup` or in the body of a
-- `describe` or a file, they go at its end. So nothing leaks when a spec raises,
-- and a server started in `setup` serves all `it`s of its block.
local busted = require("busted")

local M = {}

local scopes = { {} } -- innermost last; the first lives as long as the run
local checks = {}

--- Runs `fn` when the innermost block ends; the last one registered runs first.
--- What it raises fails the spec (or is an error of the block).
---@param fn fun()
function M.defer(fn)
  table.insert(scopes[#scopes], fn)
end

--- Runs `fn` after every `it`, before the things of that `it` are cleaned up.
---@param fn fun()
function M.check(fn)
  table.insert(checks, fn)
end

local function run_all(list, first, last, step)
  local failure
  for i = first, last, step do
    local ok, message = pcall(list[i])
    if not ok then
      failure = failure or message
    end
  end
  return failure
end

local function push()
  table.insert(scopes, {})
end

local function pop()
  local scope = #scopes > 1 and table.remove(scopes) or scopes[1]
  local failure = run_all(scope, #scope, 1, -1)
  if scope == scopes[1] then
    scopes[1] = {}
  end
  if failure then
    error(failure, 0)
  end
end

local function end_of_test()
  local unchecked = run_all(checks, 1, #checks, 1)
  local ok, uncleaned = pcall(pop)
  if unchecked or not ok then
    error(unchecked or uncleaned, 0)
  end
end

local function on(channel, fn)
  busted.subscribe(channel, function()
    fn()
    return nil, true -- busted's handlers return this to let the others run too
  end)
end

on({ "file", "start" }, push)
on({ "file", "end" }, pop)
on({ "describe", "start" }, push)
on({ "describe", "end" }, pop)
on({ "exit" }, pop)

-- Registered in the outermost block (see .busted), so that they surround the
-- before_each and after_each of the specs.
busted.before_each(push)
busted.after_each(end_of_test)

return M
