--- `luaserve new NAME`: makes a folder with a small app, from the files of lua/starter that the
--- program carries, and the annotations for editors of lua/library.
local core = require "luaserve.core"
local fs = require "fs"
local names = require "luaserve.names"
local path = require "path"
local process = require "process"

local M = {}

local USAGE = [[
Usage: luaserve new NAME              a small app in a new folder, NAME
       luaserve new --library [DIR]   only what tells editors about luaserve, for an
                                      app that is there, in DIR or here

The app has routes, templates, static files, a spec, a README and settings for
editors. NAME may be a path, as in apps/shop, or an empty folder.]]

local LIBRARY = ".luaserve/library/"
local NAME_MAX = 64

--- Ends the process with a message that says what to do.
local function give_up(code, text, ...)
  return core.giveUp(text:format(...), code)
end

-- ---- the files

--- The files below a folder of lua/, by their paths: those in the program, or, for who works on them, of LUASERVE_LUA.
local function files_of(folder)
  local texts, source = core.texts(folder), process.env.LUASERVE_LUA
  for name in pairs(texts) do
    if source and source ~= "" then texts[name] = fs.readFileSync(source .. "/" .. folder .. name) end
  end
  return texts
end

--- What stands for {{...}} in the files.
local function values_of(name)
  local jit = rawget(_G, "jit") ~= nil
  return { name = name, std = jit and "luajit" or "lua54", runtime = jit and "LuaJIT" or "Lua 5.4" }
end

local function fill(text, values)
  return (text:gsub("{{(%l+)}}", values))
end

--- The files of a new app by their paths; dot_gitignore is .gitignore.
local function app_files(name)
  local files, values = {}, values_of(name)
  for file, text in pairs(files_of("starter/")) do
    files[(file:gsub("^dot_", "."))] = fill(text, values)
  end
  return files
end

local function library_files()
  local files = {}
  for file, text in pairs(files_of("library/")) do files[LIBRARY .. file] = text end
  return files
end

-- ---- writing

local function reason_of(message)
  return (tostring(message):gsub("^%u+: ", ""):gsub(",? ?%l* '.*$", ""))
end

local function make_folder(folder)
  local made, message, code = fs.mkdir(folder, { recursive = true })
  if made then return end
  local hint = (code == "EACCES" or code == "EPERM" or code == "EROFS")
    and "choose a folder in which you may write"
    or (code == "ENOTDIR" or code == "EEXIST") and "something on the way is a file" or "nothing was made"
  give_up(1, "the folder %s cannot be made: %s; %s", folder, reason_of(message), hint)
end

local function write_file(file, text, flag)
  make_folder(path.dirname(file))
  local done, message, code = fs.writeFile(file, text, { flag = flag })
  if not done and code ~= "EEXIST" then
    give_up(1, "%s cannot be written: %s; what was made before it is still there", file, reason_of(message))
  end
end

--- Writes files below a folder; never over one that is there, unless the flag is "w".
local function write_files(folder, files, flag)
  for _, name in ipairs(names.sorted(files)) do write_file(path.join(folder, name), files[name], flag) end
end

-- ---- names

local function check_name(name, given)
  if name:find("^%w[%w._-]*$") and #name <= NAME_MAX then return end
  local better = name:gsub("[^%w._-]+", "-"):gsub("^[._-]+", ""):sub(1, NAME_MAX)
  local hint = better ~= "" and (", as in " .. path.join(path.dirname(given), better)) or ""
  give_up(2, "'%s' is no name for an app: up to %d letters, digits, '-', '_' and '.', beginning with one of the first "
    .. "two%s", name, NAME_MAX, hint)
end

--- A folder that is there may be taken if it is empty, but for a repository's own files.
local function check_free(folder, given)
  local stats = fs.lstat(folder)
  if not stats then return end
  local there, message = fs.readdir(folder)
  if not there then
    give_up(1, "%s is there already: %s; choose another name", given, stats:isDirectory() and reason_of(message)
      or "it is not a folder")
  end
  for _, name in ipairs(there) do
    if name ~= ".git" then
      give_up(1, "the folder %s is there already and not empty (%s is in it); choose another name, or, for editor "
        .. "settings alone, run: luaserve new --library %s", given, name, given)
    end
  end
end

-- ---- what is told

local WHAT = {
  { "app.lua", "the routes" },
  { "views/", "templates: pages and their layout" },
  { "public/", "style and icon, served as they are" },
  { "spec/", "a spec" },
  { "README.md", "what is where" },
  { ".luarc.json, .luaserve/", "luaserve's names, for lua-language-server" },
  { ".gitignore, .luacheckrc, .vscode/", "" },
}

local function quote(text)
  return text:find("^[%w._/-]+$") and text or "'" .. text:gsub("'", "'\\''") .. "'"
end

--- How luaserve is called here: by its name where a shell finds it, else by its path.
local function program()
  local me = fs.realpathSync(process.execPath)
  for folder in (process.env.PATH or ""):gmatch("[^:]+") do
    local found, real = pcall(fs.realpathSync, folder .. "/luaserve")
    if found and real == me then return "luaserve" end
  end
  return quote(process.execPath)
end

local function tell(folder, given)
  print("Made " .. given .. ":")
  for _, what in ipairs(WHAT) do print((("  %-34s %s"):format(what[1], what[2]):gsub("%s+$", ""))) end
  local me = program()
  print("\nNext:")
  if folder ~= process.cwd() then print("  cd " .. quote(given)) end
  print("  " .. me .. " --watch app.lua     # http://127.0.0.1:8080")
  print("  " .. me .. " test")
end

-- ---- the command

local function new_app(given)
  local folder = path.resolve(given)
  check_name(path.basename(folder), given)
  check_free(folder, given)
  write_files(folder, app_files(path.basename(folder)), "wx")
  write_files(folder, library_files(), "w")
  tell(folder, given)
end

local function new_library(given)
  local folder = path.resolve(given)
  local stats = fs.stat(folder)
  if not stats or not stats:isDirectory() then
    give_up(1, "there is no folder %s; to make an app there run: luaserve new %s", given, given)
  end
  if fs.exists(folder .. "/" .. LIBRARY) then fs.rm(folder .. "/" .. LIBRARY, { recursive = true }) end
  write_files(folder, library_files(), "w")
  print("Made " .. path.join(given, LIBRARY))
  local settings, name = fs.readFile(folder .. "/.luarc.json"), LIBRARY:sub(1, -2)
  if not settings then
    write_files(folder, { [".luarc.json"] = app_files("")[".luarc.json"] }, "wx")
    print("Made " .. path.join(given, ".luarc.json"))
  elseif not settings:find(name, 1, true) then
    print(('"%s" is missing in "workspace.library" of the .luarc.json that is there'):format(name))
  end
end

--- Runs the command.
---@param arguments string[]
---@return integer? code
function M.run(arguments)
  local first, second = arguments[1], arguments[2]
  if first == "--help" or first == "-h" then return print(USAGE) end
  if first == "--library" then
    if arguments[3] then give_up(2, "--library takes one folder, not also '%s'", arguments[3]) end
    return new_library(second or ".")
  end
  if first == nil or first == "" then give_up(2, "the new app needs a name, as in: luaserve new shop\n\n%s", USAGE) end
  if first:find("^%-") then give_up(2, "there is no option %s\n\n%s", first, USAGE) end
  if second then
    give_up(2, "one name is enough, and '%s' is a second one; a name has no spaces, as in: luaserve new %s-%s", second,
      first, second)
  end
  return new_app(first)
end

return M
