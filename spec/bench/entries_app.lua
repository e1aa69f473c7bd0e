-- The tables of luaserve for spec/bench/entries.lua.
local store = require "luaserve.store"

local SIZE = 64 * 1024 * 1024

local entries = dofile("spec/bench/entries.lua")
local big, small = assert(store.open("big")), assert(store.open("small", { maxBytes = SIZE }))
local first, n

local function fill(key, value)
  first, n = first or key, (n or 0) + 1
  small:set(key, value)
  return n % 1000 == 0 and small:get(first) == nil
end

print(entries(big, tonumber(process.env.COUNT), fill, SIZE))
