-- What spec/bench/store measures of a table of entries, in luaserve and in nginx: runs
-- on both. big takes count entries; fill(key, value) puts one into a table of size bytes
-- and says whether others had to go for it. Returns a line: sets a second of CPU time,
-- gets a second, bytes of an entry.
local VALUE = ("v"):rep(100)

local function key(i)
  return ("session:%016d"):format(i)
end

return function(big, count, fill, size)
  local keys = {}
  for i = 1, count do keys[i] = key(i) end
  local began = os.clock()
  for i = 1, count do big:set(keys[i], VALUE) end
  local set = os.clock() - began
  began = os.clock()
  local found, at = 0, 1
  for _ = 1, count do
    if big:get(keys[at]) == VALUE then found = found + 1 end
    at = (at + 618033) % count + 1 -- here and there
  end
  local get = os.clock() - began
  assert(found == count, "entries are missing")
  local n = 1
  while not fill(key(n), VALUE) do n = n + 1 end
  return ("%12.0f %12.0f %12.0f"):format(count / set, count / get, size / n)
end
