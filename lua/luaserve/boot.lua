-- What a script finds when it starts: globals, a `require` whose modules may
-- wait while they load, coroutines through which the runtime's own suspension
-- passes. Loaded once, by script.c, which calls the functions returned.
local core = ...

local M = {}
local raw = { resume = coroutine.resume, yield = coroutine.yield, create = coroutine.create,
  status = coroutine.status }
local load_text = rawget(_G, "loadstring") or load
local unpack = table.unpack or unpack

-- ---- coroutines

local SUSPENSION = core.suspension
local waiting = setmetatable({}, { __mode = "k" })

local resume

--- Control came back from co: passes the runtime's suspension on to whoever
--- resumed it, everything else to the caller.
local function pass(co, ok, token, ...)
  core.leave()
  if ok and token == SUSPENSION then
    waiting[co] = true
    return resume(co, raw.yield(SUSPENSION))
  end
  return ok, token, ...
end

function resume(co, ...)
  waiting[co] = nil
  core.enter(co)
  return pass(co, raw.resume(co, ...))
end

local function checked_resume(co, ...)
  if type(co) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  if waiting[co] then return false, "cannot resume a coroutine that waits for the runtime" end
  return resume(co, ...)
end

local function unwrap(ok, ...)
  if ok then return ... end
  error((...), 0)
end

local function wrap(fn)
  local co = raw.create(fn)
  return function(...) return unwrap(checked_resume(co, ...)) end
end

coroutine.resume = checked_resume
coroutine.wrap = wrap

-- ---- files

local function dirname(path)
  return path:match("^(.*)/[^/]*$") or "."
end

local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local cwd = require("process").cwd()
  path = path:gsub("^%./", "")
  return (cwd == "/" and "" or cwd) .. "/" .. path
end

local function read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local text, why = file:read("*a")
  file:close()
  if not text then return nil, path .. ": " .. tostring(why) end
  return text
end

--- Compiles a file's text. __filename and __dirname are locals in front of its
--- first line, where the file speaks of them.
local function compile(text, name, path)
  text = text:gsub("^\239\187\191", ""):gsub("^#[^\n]*", "", 1)
  if path and (text:find("__filename", 1, true) or text:find("__dirname", 1, true)) then
    text = ("local __filename, __dirname = %q, %q "):format(path, dirname(path)) .. text
  end
  return load_text(text, name, "t")
end

local function load_file(path)
  local text, message = read(path)
  if not text then return nil, message end
  return compile(text, "@" .. path, absolute(path))
end

-- ---- require

local builtin = {}
for _, name in ipairs(core.modules()) do
  if not name:find("^luaserve%.boot$") then builtin[name] = true end
end

local function search_path(name, path, tried)
  local file = name:gsub("%.", "/")
  for template in path:gmatch("[^;]+") do
    local candidate = template:gsub("%?", (file:gsub("%%", "%%%%")))
    local handle = io.open(candidate, "rb")
    if handle then
      handle:close()
      return candidate
    end
    tried[#tried + 1] = "\n\tno file '" .. candidate .. "'"
  end
end

local function load_c(name, tried)
  local path = search_path(name, package.cpath, tried)
  if not path then return end
  local symbol = "luaopen_" .. name:gsub("^.*%-", ""):gsub("%.", "_")
  local fn, message = package.loadlib(path, symbol)
  if not fn then error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. message, 0) end
  return fn, path
end

local function find_loader(name)
  if builtin[name] then return core.module(name), ":builtin:" end
  if package.preload[name] then return package.preload[name], ":preload:" end
  local tried = {}
  local path = search_path(name, package.path, tried)
  if path then
    local fn, message = load_file(path)
    if not fn then error("error loading module '" .. name .. "':\n\t" .. message, 0) end
    return fn, path
  end
  local fn, file = load_c(name, tried)
  if fn then return fn, file end
  error("module '" .. name .. "' not found:\n\tno built-in module '" .. name .. "'" .. table.concat(tried), 0)
end

local loading = {} -- name -> list of waiters

--- Another coroutine is loading the module: waits for it. The one that loads it
--- itself has found a loop.
local function wait_for(name)
  local entry = loading[name]
  if entry.by == core.running() then
    error("loop or previous error loading module '" .. name .. "'", 3)
  end
  local waiter = core.waiter()
  entry[#entry + 1] = waiter
  waiter:wait()
end

local function finish(name, ok, value, path)
  local entry = loading[name]
  loading[name] = nil
  if ok then
    if value ~= nil then package.loaded[name] = value end
    if package.loaded[name] == nil then package.loaded[name] = true end
  end
  for _, waiter in ipairs(entry) do waiter:wake() end
  if not ok then error(value, 0) end
  return package.loaded[name], path
end

--- Loads a module once. Built-in names win; then package.preload, package.path
--- (the script's folder first) and package.cpath. A module may wait.
---@param name string
---@return any module, string? path
local function require_module(name)
  if type(name) ~= "string" then error("bad argument #1 to 'require' (string expected)", 2) end
  while loading[name] do wait_for(name) end
  if package.loaded[name] ~= nil then return package.loaded[name] end
  loading[name] = { by = core.running() }
  local found, loader, path = pcall(find_loader, name)
  if not found then return finish(name, false, loader) end
  return finish(name, pcall(loader, name, path))
end

rawset(_G, "require", require_module)
for name in pairs(builtin) do package.loaded[name] = nil end

--- Runs a file in the running coroutine, so that it may wait.
local function run_file(path)
  if path == nil then error("dofile needs the path of a file", 2) end
  local fn, message = load_file(path)
  if not fn then error(message, 2) end
  return fn()
end

rawset(_G, "dofile", run_file)

-- ---- globals

local function install_globals()
  local timers = require "timers"
  for _, name in ipairs { "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval",
    "clearImmediate" } do
    rawset(_G, name, timers[name])
  end
  rawset(_G, "process", require "process")
  rawset(_G, "console", require "luaserve.console")
end

-- ---- the script

local function unreadable(path, message)
  local hint = message:find("Is a directory", 1, true) and ": give the file in it that starts the server"
    or message:find("No such file", 1, true) and ": check the path, or run `luaserve -e CODE` for a line of code"
    or ""
  local err = { message = "cannot run " .. path .. ": " .. message:gsub("^.*: ", "") .. hint, plain = true }
  error(setmetatable(err, { __tostring = function(self) return self.message end }), 0)
end

--- The chunk of a source {path = or text =, ...}, its name and its absolute path.
local function load_source(source)
  if source.text then
    local fn, message = compile(source.text, "=(command line)")
    return fn, message, "-e"
  end
  if not source.path then
    local fn, message = compile(io.read("*a"), "=stdin")
    return fn, message, "-"
  end
  local text, message = read(source.path)
  if not text then unreadable(source.path, message) end
  local path = absolute(source.path)
  local fn, why = compile(text, "@" .. source.path, path)
  return fn, why, path
end

local function add_script_folder(path)
  if not path then return end
  local folder = dirname(path)
  package.path = folder .. "/?.lua;" .. folder .. "/?/init.lua;" .. package.path
end

--- Runs the script; what it returns is served.
---@param source {path: string?, text: string?, [integer]: string}
---@return any app
function M.main(source)
  core.argv = { "luaserve", source.path and absolute(source.path) or (source.text and "-e" or "-"), unpack(source) }
  add_script_folder(source.path)
  install_globals()
  rawset(_G, "arg", { [0] = source.path, unpack(source) }) -- as the lua command has it
  local fn, message = load_source(source)
  if not fn then
    error(setmetatable({ message = message, plain = true }, { __tostring = function(self) return self.message end }), 0)
  end
  return fn(unpack(source))
end

-- ---- --check

local function requires_of(text)
  local names = {}
  for name in text:gmatch("require%s*%(?%s*[\"']([%w_./-]+)[\"']") do names[#names + 1] = name end
  return names
end

local function check_text(text, name, seen)
  local fn, message = compile(text, name)
  if not fn then
    io.stderr:write("luaserve: ", message, "\n")
    return false
  end
  local good = true
  for _, module in ipairs(requires_of(text)) do
    local path = not builtin[module] and not seen[module] and search_path(module, package.path, {})
    seen[module] = true
    if path then good = check_text(read(path), "@" .. path, seen) and good end
  end
  return good
end

--- Compiles the script and every file that it requires by a literal name.
---@return boolean good
function M.check(source)
  add_script_folder(source.path)
  local text, message = source.text, nil
  if not text and not source.path then text = io.read("*a") end
  if not text then text, message = read(source.path) end
  if not text then
    io.stderr:write("luaserve: ", message, "\n")
    return false
  end
  return check_text(text, source.path and "@" .. source.path or "=(command line)", {})
end

-- ---- an app that the script returned

local function url_of(address)
  if type(address) == "string" then return "unix:" .. address end
  local host = address.address
  if host == "::" or host == "0.0.0.0" then host = "localhost" end
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return "http://" .. host .. ":" .. address.port
end

--- Serves app on the addresses of --listen.
---@param app function|table
---@param addresses {host: string?, port: integer?, path: string?}[]
function M.serve(app, addresses)
  local http = require "http"
  for _, address in ipairs(addresses) do
    local server = http.createServer(app)
    server:listen(address, function() print("listening on " .. url_of(server:address())) end)
  end
end

return M
