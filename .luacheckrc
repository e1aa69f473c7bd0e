-- For "make lint". The code under lua/ runs on Lua 5.4 and on LuaJIT alike, so
-- it is held to what both have.
std = "min"
max_line_length = 120
max_string_line_length = false
ignore = { "542" } -- an empty branch, where a comment says why

-- luaserve's own globals, the same as in Node.
read_globals = {
  "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate",
  "console", "__dirname", "__filename",
}
globals = { "process" } -- process.title, process.exitCode and process.env can be set

-- What one of the two lacks and code asks for first: `table.unpack or unpack`.
files["lua"] = {
  read_globals = {
    "jit", "unpack", "loadstring", "setfenv", "getfenv", "utf8",
    coroutine = { fields = { "isyieldable", "close" } },
    table = { fields = { "unpack", "pack", "move" } },
    math = { fields = { "type", "tointeger", "maxinteger", "mininteger" } },
    package = { fields = { "searchers", "loaders", "searchpath" } },
    string = { fields = { "pack", "unpack", "packsize" } },
  },
}

-- Puts its own in the place of Lua's.
files["lua/luaserve/boot.lua"] = {
  globals = { coroutine = { fields = { "resume", "wrap", "close", "status", "create", "yield", "running" } },
    os = { fields = { "exit" } } },
}

-- The app of `luaserve new`, and the annotations for editors, which only declare.
files["lua/starter"] = { std = "lua54" }
files["lua/starter/spec"] = { std = "lua54+busted" }
exclude_files = { "lua/library" }

-- Handlers take (req, res, next) whether they use them or not.
files["examples"] = { std = "lua54", unused_args = false }
files["spec"] = { std = "lua54+busted", unused_args = false, read_globals = { "jit", "unpack" } }
