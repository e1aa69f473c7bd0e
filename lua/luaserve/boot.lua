-- What a script finds when it starts: globals, a `require` whose modules may
-- wait while they load, coroutines through which the runtime's own suspension
-- passes. Loaded once, by script.c, which calls the functions returned.
local core = ...

local M = {}
local raw = { resume = coroutine.resume, yield = coroutine.yield, create = coroutine.create,
  status = coroutine.status, close = coroutine.close }
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
  if not ok and core.capture then core.capture(token, co) end
  if ok and token == SUSPENSION then
    waiting[co] = true
    return resume(co, raw.yield(SUSPENSION))
  end
  return ok, token, ...
end

function resume(co, ...)
  waiting[co] = nil
  if not core.enter(co) then return false, "C stack overflow" end
  return pass(co, raw.resume(co, ...))
end

local function checked_resume(co, ...)
  if type(co) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
  if waiting[co] and raw.status(co) == "suspended" then
    return false, "cannot resume a coroutine that waits for the runtime"
  end
  return resume(co, ...)
end

local function unwrap(co, ok, ...)
  if ok then return ... end
  if raw.close and raw.status(co) == "dead" then raw.close(co) end -- its <close> variables
  error((...), 0)
end

local function wrap(fn)
  if type(fn) ~= "function" then error("bad argument #1 to 'wrap' (function expected)", 2) end
  local co = raw.create(fn)
  return function(...) return unwrap(co, checked_resume(co, ...)) end
end

--- One that waits for the runtime cannot be resumed by the script: it is not "suspended", but, like one
--- that has resumed another, "normal".
local function status(co)
  local found = raw.status(co)
  return found == "suspended" and waiting[co] and "normal" or found
end

coroutine.resume = checked_resume
coroutine.wrap = wrap
coroutine.yield = core.yield
coroutine.isyieldable = core.canYield
coroutine.status = status

-- ---- files

local function dirname(path)
  return path:match("^(.*)/[^/]*$") or "."
end

local function absolute(path)
  if path:sub(1, 1) == "/" and not path:find("/[./]") then return path end
  return require("path").resolve(require("process").cwd(), path)
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
  if core.loads then core.loads(path) end
  local text, message = read(path)
  if not text then return nil, message end
  return compile(text, "@" .. path, absolute(path))
end

core.loadFile = load_file

-- ---- require

local builtin = {}
for _, name in ipairs(core.modules()) do
  if not name:find("^luaserve%.boot$") then builtin[name] = true end
end

--- The built-in module that name means, or nil: "luaserve.http" is "http", too.
local function builtin_name(name)
  if builtin[name] then return name end
  local inner = name == "cjson" and "json" or name:match("^luaserve%.(.+)$")
  return inner and builtin[inner] and inner or nil
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

--- The names that the function of a module in C may have, as in Lua 5.4: what is
--- before a hyphen, or, as in 5.1, behind it.
local function symbols_of(name)
  local flat = name:gsub("%.", "_")
  local before, behind = flat:match("^(.-)%-(.*)$")
  return before and { before, behind } or { flat }
end

--- Looks for the module in the library of name, or, where root is given, of that.
local function load_c(name, tried, root)
  local path = search_path(root or name, package.cpath, tried)
  if not path then return end
  local fn, message, why
  for _, symbol in ipairs(symbols_of(name)) do
    fn, message, why = package.loadlib(path, "luaopen_" .. symbol)
    if fn then return fn, path end
  end
  if root and why == "init" then
    tried[#tried + 1] = "\n\tno module '" .. name .. "' in file '" .. path .. "'"
    return
  end
  error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. message, 0)
end

local function load_lua(name, tried)
  local path = search_path(name, package.path, tried)
  if not path then return end
  local fn, message = load_file(path)
  if not fn then error("error loading module '" .. name .. "':\n\t" .. message, 0) end
  return fn, path
end

local stock = {} -- the searchers of Lua itself, in whose place all this is
for _, searcher in ipairs(package.searchers or package.loaders) do stock[searcher] = true end

--- Asks what a script or a library has added to package.searchers.
local function ask_searchers(name, tried)
  for _, searcher in ipairs(package.searchers or package.loaders) do
    if not stock[searcher] then
      local found, extra = searcher(name)
      if type(found) == "function" then return found, extra end
      if type(found) == "string" then tried[#tried + 1] = found end
    end
  end
end

local own = {} -- the values of built-in modules, whatever package.loaded says

local function load_own(name)
  if own[name] == nil then
    local value = core.module(name)(name, ":builtin:")
    own[name] = value == nil and true or value
  end
  return own[name]
end

-- Names that scripts may well have a file of their own for: then that is meant.
local LATE = { store = "luaserve.store" }

--- A file that would be the module may come yet.
local function note_missing(tried)
  for _, line in ipairs(tried) do
    local file = line:match("^\n\tno file '(.+%.lua)'$")
    if file and file:sub(1, 5) ~= "/usr/" then core.loads(file) end
  end
end

local function find_loader(name)
  local inner = builtin_name(name)
  if inner then return function() return load_own(inner) end, ":builtin:" end
  if package.preload[name] then return package.preload[name], ":preload:" end
  local tried, root = {}, name:match("^([^.]+)%.")
  local fn, extra = load_lua(name, tried)
  if not fn then fn, extra = load_c(name, tried) end
  if not fn and root then fn, extra = load_c(name, tried, root) end
  if not fn then fn, extra = ask_searchers(name, tried) end
  if fn then return fn, extra end
  if LATE[name] then return function() return load_own(LATE[name]) end, ":builtin:" end
  if core.loads then note_missing(tried) end
  error("module '" .. name .. "' not found:\n\tno built-in module '" .. name .. "'" .. table.concat(tried), 0)
end

local loading = {} -- name -> {by = the call that loads it, waiters...}
local waits = {} -- call -> name of the module that it waits for

--- Whether the module is being loaded by what runs now, or by what waits, maybe
--- over others, for a module that it loads.
local function is_circular(name)
  while name do
    local by = loading[name] and loading[name].by
    if by == core.running() then return true end
    name = waits[by]
  end
  return false
end

--- Another coroutine is loading the module: waits for it.
local function wait_for(name)
  if not core.canWait() then
    core.raise("module '" .. name .. "' is being loaded by another coroutine, for which this one cannot wait here")
  end
  local waiter, me = core.waiter(), core.running()
  table.insert(loading[name], waiter)
  waits[me] = name
  waiter:wait()
  waits[me] = nil
end

local function finish(name, ok, value, extra)
  local entry = loading[name]
  loading[name] = nil
  if ok then
    if value ~= nil then package.loaded[name] = value end
    if package.loaded[name] == nil then package.loaded[name] = true end
  end
  for _, waiter in ipairs(entry) do waiter:wake() end
  if not ok then error(value, 0) end
  return package.loaded[name], extra
end

--- Loads a module once. Built-in names win; then package.preload, package.path
--- (the script's folder first), package.cpath and package.searchers. A module may
--- wait. In a circle of modules that which is not complete yet is an error,
--- unless it has put itself into package.loaded.
---@param name string
---@return any module, string? path
local function require_module(name)
  if type(name) ~= "string" then error("bad argument #1 to 'require' (string expected)", 2) end
  while loading[name] do
    if not is_circular(name) then
      wait_for(name)
    elseif package.loaded[name] ~= nil then
      return package.loaded[name]
    else
      error("loop or previous error loading module '" .. name .. "'", 2)
    end
  end
  if package.loaded[name] ~= nil then return package.loaded[name] end
  if next(loading) == nil then core.forgetTrace() end
  loading[name] = { by = core.running() }
  local found, loader, extra = pcall(find_loader, name)
  if not found then return finish(name, false, loader) end
  local ok, value = xpcall(loader, core.keepTrace, name, extra)
  return finish(name, ok, value, extra)
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

--- os.exit as process.exit: what C's exit() takes apart, threads may be using.
local function exit(code)
  if code == nil or code == true then code = 0 end
  require("process").exit(code or 1)
end

local function install_globals()
  local timers = require "timers"
  for _, name in ipairs { "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval",
    "clearImmediate" } do
    rawset(_G, name, timers[name])
  end
  rawset(_G, "process", require "process")
  rawset(_G, "console", require "luaserve.console")
  rawset(os, "exit", exit)
end

--- Whether the running call loads a module, which may make what globals it likes.
local function is_loading()
  for _, entry in pairs(loading) do
    if entry.by == core.running() then return true end
  end
  return false
end

--- The script has ended: what it and its modules have made are its globals, and a new one is told. A script
--- that watches its globals itself goes on doing so.
function core.guardGlobals()
  if getmetatable(_G) ~= nil then return end
  setmetatable(_G, { __newindex = function(globals, name, value)
    rawset(globals, name, value)
    if value ~= nil and not is_loading() then require("luaserve.misuse").global(name, core.where()) end
  end })
end

M.ended = core.guardGlobals

-- ---- the script

--- Ends the process with a message that explains itself; no traceback is printed.
---@param message string
---@param code integer the exit code
local function give_up(message, code)
  local err = { message = message, _exit = code }
  error(setmetatable(err, { __tostring = function(self) return self.message end }), 0)
end

core.giveUp = give_up

local function unreadable(path, message)
  local hint = message:find("Is a directory", 1, true) and ": give the file in it that starts the server"
    or message:find("No such file", 1, true) and ": check the path, or run a line of code with -e"
    or ": the file must be readable for this user"
  give_up("cannot run " .. path .. ": " .. message:gsub("^.*: ", "") .. hint, 2)
end

--- The text of a source {path = or text =, ...} and the name of its chunk.
local function read_source(source)
  if source.text then return source.text, "=(command line)" end
  if not source.path then
    local text, why = io.read("*a")
    if not text then give_up("cannot read the script from standard input: " .. tostring(why or "it is closed"), 2) end
    core.stdinText = text -- for workers
    return text, "=stdin"
  end
  local text, message = read(source.path)
  if not text then unreadable(source.path, message) end
  return text, "@" .. source.path
end

--- The path as it is from the script's folder; from the working directory where
--- the script is no file.
---@param path string
---@return string absolute
function core.beside(path)
  local script = core.argv[2]
  local folder = script:sub(1, 1) == "/" and dirname(script) or "."
  return require("path").resolve(require("process").cwd(), folder, path)
end

local function add_script_folder(path)
  local folder = dirname(path)
  package.path = folder .. "/?.lua;" .. folder .. "/?/init.lua;" .. package.path
end

--- The function of a script. Who calls it calls what this returns, not a local that has it: a traceback names a
--- function by what it was called as, and a main chunk by what it is where it has no such name.
local function compiled(text, name, path)
  local fn, message = compile(text, name, path)
  return fn or give_up(message, 1)
end

--- Loads a script for a command, as if it had been started; it may wait.
---@param path string
---@param ... string its arguments
---@return any app what it returned
function core.runScript(path, ...)
  local full = absolute(path)
  core.argv = { "luaserve", full, ... }
  add_script_folder(full)
  rawset(_G, "arg", { [0] = path, ... })
  return compiled(read_source { path = path }, "@" .. path, full)(...)
end

--- Runs a command, luaserve/command/NAME.lua, with its arguments; ends the process with the code that it returns.
local function run_command(source)
  core.argv = { "luaserve", source.command, unpack(source) }
  install_globals()
  local code = require("luaserve.command." .. source.command).run { unpack(source) }
  core.exit(code or 0)
end

--- The script has ended, and has returned app or nothing: what it has made is to be served. on_unserved(message) is
--- called where an app of its own is not.
local function check_served(on_unserved, app, ...)
  local apps = own["luaserve.app"]
  local made = apps and apps.made
  if apps then apps.made = nil end
  if app ~= nil or not made or not made[1] then return app, ... end
  local idle = require("luaserve.unserved").look(made, on_unserved)
  if idle and core.watching then require("luaserve.watch.worker").idle() end
end

local function warn_unserved(message)
  if not core.worker or core.worker == 1 then core.log("warn", message) end
end

--- Runs the script of a worker that is watched.
local function run_watched(source, path)
  local watch = require "luaserve.watch.worker"
  watch.start()
  local ports = require("process").env.LUASERVE_STAND_IN
  if ports then return watch.stand_in(ports) end
  if path then core.loads(path) end
  local function run(...)
    local text, name = read_source(source)
    return check_served(watch.unserved, compiled(text, name, path)(...))
  end
  return watch.run(run, unpack(source))
end

--- Runs the script; what it returns is served.
---@param source {path: string?, text: string?, command: string?, [integer]: string}
---@return any app
function M.main(source)
  if source.command then return run_command(source) end
  local path = source.path and absolute(source.path)
  core.argv = { "luaserve", path or (source.text and "-e" or "-"), unpack(source) }
  if path then add_script_folder(path) end
  install_globals()
  rawset(_G, "arg", { [0] = source.path, unpack(source) }) -- as the lua command has it
  if core.worker then require("luaserve.cluster.child").start() end
  if core.watching then require("luaserve.core.misuse").watch() end
  if core.record and not core.workers and not source.show then
    require("luaserve.record").start(core.record, core.recordMax)
  end
  if core.watching and core.worker then return run_watched(source, path) end
  local text, name = read_source(source)
  if core.workers and core.watching then return require("luaserve.watch.primary").run() end
  if core.workers then return require("luaserve.supervisor").run(core.workers) end
  if not source.show then return check_served(warn_unserved, compiled(text, name, path)(unpack(source))) end
  require("luaserve.show").prepare()
  compiled(text, name, path)(unpack(source))
  return require("luaserve.show").print(source.show)
end

-- ---- --check

local function complain(message)
  io.stderr:write("luaserve: ", message, "\n")
  return false
end

local check_text

--- Whether the module is there, and, where it is a file of Lua, good.
local function check_module(name, where, seen)
  if seen[name] or package.loaded[name] or package.preload[name] or builtin_name(name) then return true end
  seen[name] = true
  local path = search_path(name, package.path, {})
  if not path then
    return LATE[name] ~= nil or search_path(name, package.cpath, {}) ~= nil
      or complain(where .. ": module '" .. name .. "' not found")
  end
  local text, message = read(path)
  if not text then return complain(message) end
  return check_text(text, "@" .. path, seen)
end

function check_text(text, name, seen)
  local fn, message = compile(text, name)
  if not fn then return complain(message) end
  local good = true
  for _, module in ipairs(require("luaserve.requires").list(text)) do
    good = check_module(module.name, name:sub(2) .. ":" .. module.line, seen) and good
  end
  return good
end

--- Compiles the script and every file that it requires by a literal name, and says what is wrong.
---@return integer code the exit code: 0, 1, or 2 where the script cannot be read
function M.check(source)
  if source.path then add_script_folder(absolute(source.path)) end
  local ok, text, name = pcall(read_source, source)
  if not ok then
    complain(text.message)
    return text._exit
  end
  return check_text(text, name, {}) and 0 or 1
end

-- ---- an app that the script returned

local function url_of(address, scheme)
  if type(address) == "string" then return "unix:" .. address end
  local host = address.address
  if host == "::" or host == "0.0.0.0" then host = "localhost" end
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return scheme .. "://" .. host .. ":" .. address.port
end

local function announce(url)
  if core.worker then return require("luaserve.cluster.child").serving(url) end
  print("listening on " .. url)
end

--- Serves app on the addresses of --listen.
---@param app function|table
---@param addresses {host: string?, port: integer?, path: string?}[]
function M.serve(app, addresses)
  core.served = app
  local create = require("http").createServer
  if addresses.tls then create = require("luaserve.certificates").creator(addresses.tls, give_up) end
  local passed = addresses.usual and require("luaserve.given").targets() or {}
  for _, address in ipairs(#passed > 0 and passed or addresses) do
    local server = create(app)
    server:listen(address, function()
      announce(url_of(server:address(), addresses.tls and "https" or "http"))
    end)
  end
  if core.worker then M.loaded() end
end

--- The script of a worker has run.
function M.loaded()
  require("luaserve.cluster.child").loaded()
end

--- Somebody has come to the control socket.
---@param bound userdata
function M.control(bound)
  require("luaserve.control").serve(bound)
end

--- Reads what came from files again, on SIGHUP.
function M.reload()
  local https = package.loaded.https
  if https then https.reload() end
end

return M
