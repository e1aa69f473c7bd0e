-- For "make lint". The code under lua/ runs on Lua 5.4 and on LuaJIT alike, so
-- it is held to what both have.
std = "min"
max_line_length = 120
max_string_line_length = false
ignore = { "542" } -- an empty branch, where a comment says why

-- luaserve's own globals, the same as in Node.
read_globals = {
  "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval",
}

-- What one of the two lacks and code asks for first: `table.unpack or unpack`.
files["lua"] = {
  read_globals = {
    "jit", "unpack", "loadstring", "setfenv", "getfenv", "utf8",
    table = { fields = { "unpack", "pack", "move" } },
    math = { fields = { "type", "tointeger", "maxinteger", "mininteger" } },
    package = { fields = { "searchers", "loaders", "searchpath" } },
    string = { fields = { "pack", "unpack", "packsize" } },
  },
}

-- Handlers take (req, res, next) whether they use them or not.
files["examples"] = { std = "lua54", unused_args = false }
files["spec"] = { std = "lua54+busted", unused_args = false, read_globals = { "jit", "unpack" } }
