--- How long a worker that takes the place of one that has died too soon is held back, so that a script which
--- fails as it starts does not take a core: not at all the first time, and then twice as long each time.
local M = {}

local YOUNG, SETTLED = 1, 10 -- seconds of life: less counts as a failure, more forgets those before
local FIRST, LONGEST = 100, 30000 -- milliseconds

local failures = {} -- by slot: in a row

--- A worker of the slot has ended.
---@param slot integer
---@param seconds number that it has lived
---@param harmless boolean it was at work, and has been killed
function M.note(slot, seconds, harmless)
  if seconds >= SETTLED or harmless then
    failures[slot] = nil
  elseif seconds < YOUNG then
    failures[slot] = (failures[slot] or 0) + 1
  end
end

--- Milliseconds for the next worker of the slot, give or take a quarter, so that many do not come at once.
---@param slot integer
---@return integer
function M.delay(slot)
  local n = failures[slot] or 0
  if n < 2 then return 0 end
  local most = math.min(FIRST * 2 ^ (n - 2), LONGEST)
  return math.floor(most * (0.75 + math.random() / 2))
end

return M
