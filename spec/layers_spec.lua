-- The rules of the house, read off the sources: who may include whom, how
-- functions are called, how long things may be. docs/architecture.md and
-- docs/style.md say why. A rule that is broken names each file and line.
local lfs = require("lfs")
local files = require("spec.helper.files")
local source = require("spec.helper.source")

local FILE_LINES, FUNCTION_LINES, EXAMPLE_LINES = 600, 70, 60

-- Folders of src and those that each may include, besides itself; "" is src. A
-- name with a slash is one header.
local BELOW = {
  base = {},
  net = { "base" },
  http = { "base", "net" },
  proc = { "base", "net/loop.h" },
  script = { "base", "net", "http", "proc", "" },
  bind = { "script/plugin.h" },
  [""] = { "base", "net", "http", "proc", "script" },
}

-- script sees these of src itself; the others are parts of main.
local SHARED_BY_ROOT = { ["version.h"] = true }

-- Libraries and the folders that know them.
local LIBRARIES = {
  { "^ev%.h$", "net" },
  { "^openssl/", "net", "script", "bind" },
  { "^llhttp%.h$", "http" },
  { "^nghttp2/", "http" },
  { "^wslay/", "http" },
  { "^zlib%.h$", "http" },
  { "^brotli/", "http" },
  { "^zstd%.h$", "http" },
  { "^lmdb%.h$", "proc" },
  { "^hiredis/", "bind" },
  { "^sqlite3%.h$", "bind" },
  { "^libpq%-fe%.h$", "bind" },
  { "^curl/", "bind" },
}

local LUA_HEADERS = { ["lua.h"] = true, ["lualib.h"] = true, ["lauxlib.h"] = true, ["luajit.h"] = true }
local LUA_INCLUDERS = { ["src/script/compat.h"] = true, ["src/script/plugin.h"] = true }

-- A tool of the build: it compiles Lua, so it needs Lua.
local EMBED = "src/embed.c"

-- Functions that run Lua code or suspend it under protection.
local PROTECTED = {
  lua_pcall = true, lua_pcallk = true, lua_callk = true, lua_cpcall = true, lua_resume = true,
  lua_yieldk = true, compat_resume = true, luaL_dofile = true, luaL_dostring = true,
}
local PROTECTORS = { ["src/script/call.c"] = true, ["src/script/compat.h"] = true }

-- Declarations that a header has for other files: modules.h lists what opens the
-- modules that are written in C.
local LISTED = { ["src/script/modules.h"] = "^l_%w+_open$" }

local TOP_LEVEL = {
  ["Makefile"] = true, ["README.md"] = true, ["LICENSE"] = true, ["CHANGELOG.md"] = true,
  src = true, lua = true, examples = true, spec = true, docs = true,
  build = true, -- made by make, not kept
}

local sources = {}
for _, path in ipairs(files.find("src", "%.[ch]$")) do
  table.insert(sources, source.read(path))
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do
    set[name] = true
  end
  return set
end

local function folder_of(path)
  return path:match("^(.*)/[^/]*$") or ""
end

local function in_src(path)
  return folder_of(path:sub(#"src/" + 1))
end

-- Collects what breaks a rule and raises all of it at once.
local function complaints()
  local list = {}
  return {
    add = function(path, line, message, ...)
      table.insert(list, ("%s:%d: "):format(path, line) .. message:format(...))
    end,
    check = function()
      if #list > 0 then
        error(#list .. " broken:\n" .. table.concat(list, "\n"), 0)
      end
    end,
  }
end

local function check_each(items, fn)
  local broken = complaints()
  for _, item in ipairs(items) do
    fn(item, broken.add)
  end
  broken.check()
end

local function lines_of(path)
  return select(2, files.read_file(path):gsub("\n", "\n"))
end

local function check_length(paths, limit)
  check_each(paths, function(path, complain)
    local lines = lines_of(path)
    if lines > limit then
      complain(path, lines, "%d lines, the wall is %d", lines, limit)
    end
  end)
end

describe("the C sources", function()
  it("include only what is in their folder or below it", function()
    check_each(sources, function(file, complain)
      local folder = in_src(file.path)
      local allowed = set_of(BELOW[folder] or {})
      source.each_include(file, function(line, name, is_system)
        local target = folder_of(name)
        local ok = target == folder or allowed[target] or allowed[name]
        if target == "" and folder == "script" then
          ok = SHARED_BY_ROOT[name]
        end
        if not is_system and not ok then
          complain(file.path, line, "%s may not include %s",
            folder == "" and "src" or folder, name)
        end
      end)
    end)
  end)

  it("stand in a folder of the house", function()
    check_each(sources, function(file, complain)
      if not BELOW[in_src(file.path)] then
        complain(file.path, 1, "there is no folder %s", folder_of(file.path))
      end
    end)
  end)

  it("include headers that are there, by their path from src", function()
    check_each(sources, function(file, complain)
      source.each_include(file, function(line, name, is_system)
        if not is_system and not lfs.attributes("src/" .. name) then
          complain(file.path, line, "there is no src/%s", name)
        end
      end)
    end)
  end)

  it("know a library only where it belongs", function()
    check_each(sources, function(file, complain)
      source.each_include(file, function(line, name)
        for _, library in ipairs(LIBRARIES) do
          local owners = set_of({ table.unpack(library, 2) })
          if name:find(library[1]) and not owners[in_src(file.path)] then
            complain(file.path, line, "%s is for %s", name, table.concat(library, ", ", 2))
          end
        end
      end)
    end)
  end)

  it("include lua.h only through script/compat.h and script/plugin.h", function()
    check_each(sources, function(file, complain)
      local folder = in_src(file.path)
      local border = folder == "script" or file.path == EMBED
      source.each_include(file, function(line, name)
        if LUA_HEADERS[name] and not LUA_INCLUDERS[file.path] then
          complain(file.path, line, "%s comes through script/compat.h", name)
        elseif name == "script/compat.h" and not border then
          complain(file.path, line, "only script/ knows Lua")
        end
      end)
    end)
  end)

  it("call Lua under protection in script/call.c alone", function()
    check_each(sources, function(file, complain)
      if PROTECTORS[file.path] then
        return
      end
      source.each_call(file, PROTECTED, function(line, name)
        complain(file.path, line, "%s is for script/call.c", name)
      end)
    end)
  end)

  it("name their functions after their file", function()
    check_each(sources, function(file, complain)
      local prefix = file.path:match("([^/]+)%.[ch]$")
      if prefix == "compat" then -- Lua 5.4's own names, for LuaJIT
        return
      end
      local is_header = file.path:find("%.h$")
      source.each_function(file, function(what)
        local is_public = is_header or (what.kind == "definition" and not what.static)
        local is_named = what.name == prefix or what.name:find(prefix .. "_", 1, true) == 1
        local is_entry = what.name == "main" or what.name:find("^luaopen_")
          or what.name:find(LISTED[file.path] or "^$")
        if is_public and not is_named and not is_entry then
          complain(file.path, what.line, "%s is not called %s_...", what.name, prefix)
        end
      end)
    end)
  end)

  it("are declared in headers, not where they are used", function()
    check_each(sources, function(file, complain)
      if not file.path:find("%.c$") then
        return
      end
      source.each_function(file, function(what)
        if what.kind == "declaration" and not what.static then
          complain(file.path, what.line, "%s is declared in a .c file", what.name)
        end
      end)
    end)
  end)

  it("have functions of at most " .. FUNCTION_LINES .. " lines", function()
    check_each(sources, function(file, complain)
      source.each_function(file, function(what)
        if what.kind == "definition" and what.last - what.first > FUNCTION_LINES then
          complain(file.path, what.first, "%s has %d lines", what.name, what.last - what.first)
        end
      end)
    end)
  end)

  it("define no types by typedef and no names that end in _t", function()
    check_each(sources, function(file, complain)
      for at in file.code:gmatch("()%f[%w_]typedef%f[^%w_]") do
        complain(file.path, source.line_of(file.code, at), "typedef")
      end
      for at, name in file.code:gmatch("()%f[%w_]%a+%s+([%a_][%w_]*_t)%s*{") do
        complain(file.path, source.line_of(file.code, at), "%s ends in _t", name)
      end
      for at, name in file.text:gmatch("()#%s*define%s+([%w_]+_t)%f[^%w_]") do
        complain(file.path, source.line_of(file.text, at), "%s ends in _t", name)
      end
      source.each_function(file, function(what)
        if what.name:find("_t$") then
          complain(file.path, what.line, "%s ends in _t", what.name)
        end
      end)
    end)
  end)

  it("open with a comment that says what they are", function()
    check_each(sources, function(file, complain)
      if not file.text:find("^/%*") then
        complain(file.path, 1, "the file opens without a comment")
      end
    end)
  end)

  it("have a guard in each header, named after its path", function()
    check_each(sources, function(file, complain)
      local name = file.path:match("^src/(.*)%.h$")
      local guard = name and name:upper():gsub("[^%w]", "_") .. "_H"
      if guard and not file.text:find("\n#ifndef " .. guard .. "\n#define " .. guard .. "\n", 1, true) then
        complain(file.path, 1, "the guard is not %s", guard)
      end
    end)
  end)
end)

describe("the Lua modules", function()
  local modules = files.find("lua/node", "%.lua$")
  for _, path in ipairs(files.find("lua/luaserve", "%.lua$")) do
    table.insert(modules, path)
  end

  it("are a local table M that is returned", function()
    check_each(modules, function(path, complain)
      local text = files.read_file(path)
      if not ("\n" .. text):find("\nlocal M = ") then
        complain(path, 1, "there is no `local M = ...`")
      end
      local last = text:match("\n([^\n]*)\n*$")
      if last ~= "return M" then
        complain(path, lines_of(path), "the last line is %q, not `return M`", last or "")
      end
    end)
  end)

  it("set no globals", function()
    check_each(modules, function(path, complain)
      -- The compiler's own listing: a store to a field of _ENV is a global.
      local listing = assert(io.popen("luac5.4 -l -l -p " .. files.quote(path) .. " 2>&1"))
      for line in listing:lines() do
        local number, name = line:match('%[(%d+)%]%s+SETTABUP.*_ENV "([^"]+)"')
        if number then
          complain(path, tonumber(number), "sets the global %s", name)
        elseif line:find("^luac") then
          complain(path, 1, "%s", line)
        end
      end
      listing:close()
    end)
  end)
end)

describe("the tree", function()
  it("has no files over " .. FILE_LINES .. " lines", function()
    local paths = {}
    for _, folder in ipairs({ "src", "lua", "spec" }) do
      for _, pattern in ipairs({ "%.[ch]$", "%.lua$", "%.sh$", "%.md$" }) do
        for _, path in ipairs(files.find(folder, pattern)) do
          table.insert(paths, path)
        end
      end
    end
    check_length(paths, FILE_LINES)
  end)

  it("has no examples over " .. EXAMPLE_LINES .. " lines", function()
    check_length(files.find("examples", "%.lua$"), EXAMPLE_LINES)
  end)

  it("has nothing at its top but what was agreed", function()
    local broken = complaints()
    for name in lfs.dir(".") do
      if name:sub(1, 1) ~= "." and not TOP_LEVEL[name] then
        broken.add(name, 1, "is no entry of the top level")
      end
    end
    broken.check()
  end)
end)
