---@meta luaserve.store

--- Tables of values that all processes of a cluster share.
---@class luaserve.store
local store = {}

--#region lua/luaserve/store.lua M=store. Store=Store:
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
local Store = {}

--- Opens the table of that name, which is made when it is new: the same one in
--- every worker. maxBytes limits what it may grow to; else that is the whole store,
--- which its tables share. Full, it loses what was written longest ago.
---@param name string up to 64 letters, digits and . _ : -
---@param options {maxBytes: integer?}?
---@return luaserve.Store? store
---@return string? message
---@return string? code
function store.open(name, options) end

--- Changes an entry while others may be changing it, too: fn gets the value (nil
--- where there is none) and returns the new one, or nil, which removes it; and the
--- seconds that it is to live, where that is to change. fn is called again where
--- another was faster, so it should do nothing else, and must not wait.
---@param key string
---@param fn fun(value: any): any, number?
---@return any value the new one
---@return string? message
---@return string? code
function Store:update(key, fn) end
--#endregion

return store
