---@meta store

-- The store, unless the script has a store.lua of its own.
return require("luaserve.store")
