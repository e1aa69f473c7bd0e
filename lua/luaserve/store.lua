--- The store: tables of values that all workers share, and that outlive each of
--- them. The work is in C (src/script/l_store.c, src/proc/store.c), in memory that
--- the processes share, or in the file of --store. Calls answer at once: they take
--- microseconds, and wait for nobody but another process that is writing.
---
--- What fails for reasons of the world (no room at all, a damaged file, a key or
--- value that is too big) is nil, message, code; what is a mistake of the program
--- raises.
local core = require "luaserve.core"
local native = require "luaserve.core.store"

local M = {}

local TRIES = 1000 -- of update, before it gives up

---@class luaserve.Store a table of the store
---@field get fun(self: luaserve.Store, key: string): any the value; nil where there is none
---@field set fun(self: luaserve.Store, key: string, value: any, ttl: number?): boolean?, string?, string?
---@field add fun(self: luaserve.Store, key: string, value: any, ttl: number?): boolean?, string?, string?
---@field replace fun(self: luaserve.Store, key: string, value: any, ttl: number?): boolean?, string?, string?
---@field delete fun(self: luaserve.Store, key: string): boolean?, string?, string?
---@field touch fun(self: luaserve.Store, key: string, ttl: number?): boolean?, string?, string?
---@field incr fun(self: luaserve.Store, key: string, n: number?, ttl: number?): number?, string?, string?
---@field ttl fun(self: luaserve.Store, key: string): number? seconds; math.huge for ever
---@field keys fun(self: luaserve.Store, prefix: string?): string[] sorted
---@field count fun(self: luaserve.Store): integer
---@field clear fun(self: luaserve.Store): boolean
local Store = native.methods

local KNOWN = { maxBytes = "integer" }

local function check_name(name)
  if type(name) ~= "string" or #name > native.nameMax or not name:find("^%w[%w_.:-]*$") then
    core.raise(("the name of a store is up to %d letters, digits and . _ : - that begin with a letter or a digit")
      :format(native.nameMax))
  end
end

--- Opens the table of that name, which is made when it is new: the same one in
--- every worker. maxBytes limits what it may grow to; else that is the whole store,
--- which its tables share. Full, it loses what was written longest ago.
---@param name string up to 64 letters, digits and . _ : -
---@param options {maxBytes: integer?}?
---@return luaserve.Store? store
---@return string? message
---@return string? code
function M.open(name, options)
  check_name(name)
  options = require("luaserve.options").check("store.open", options, KNOWN)
  local bytes = options.maxBytes
  if bytes and bytes < native.bytesMin then
    core.raise(("maxBytes of a store is at least %d, not %d"):format(native.bytesMin, bytes))
  end
  return native.open(name, bytes or 0)
end

--- Changes an entry while others may be changing it, too: fn gets the value (nil
--- where there is none) and returns the new one, or nil, which removes it; and the
--- seconds that it is to live, where that is to change. fn is called again where
--- another was faster, so it should do nothing else, and must not wait.
---@param key string
---@param fn fun(value: any): any, number?
---@return any value the new one
---@return string? message
---@return string? code
function Store:update(key, fn)
  if type(fn) ~= "function" then core.raise("store:update takes a key and a function") end
  for _ = 1, TRIES do
    local version, old, code = native.read(self, key)
    if not version then return nil, old, code end
    local value, ttl = fn(old)
    local ok, done, message, why = pcall(native.swap, self, key, version, value, ttl)
    if not ok then core.raise(tostring(done)) end
    if done then return value end
    if done == nil then return nil, message, why end
  end
  return nil, "others change this entry all the time", "EBUSY"
end

return M
