--- `luaserve test [files or folders]`: runs an app's specs with busted, in this process, so that waiting
--- calls work in them and the test client has an app to ask. busted's core is used, with a safe() of our
--- own, which gives each piece of a spec its time, and a report of our own.
local core = require "luaserve.core"
local fs = require "fs"
local path = require "path"
local process = require "process"
local timers = require "timers"

local M = {}

local LOOK = 50 -- milliseconds: how often a piece that waits is looked at
local TIMEOUT = 10 -- seconds of one test, or of what runs before or after it

local USAGE = [[
Usage: luaserve test [options] [files or folders]

Runs the specs of an app with busted: files NAME_spec.lua below spec/, or below the
folders given, or the files given. Relative paths of the app, and what its specs
require, are looked for in the working directory. The exit code is 0 when all is well.

  --filter PATTERN   only tests whose full name this Lua pattern is found in
  --timeout S        seconds that a test may take (10); 0: any]]

local function give_up(code, text, ...)
  return core.giveUp(text:format(...), code)
end

-- ---- the command line

local function seconds_of(text)
  local seconds = tonumber(text)
  if not seconds or seconds < 0 or seconds > 86400 then
    give_up(2, "--timeout needs seconds, 0 to 86400, as in --timeout 30, not '%s'", text)
  end
  return seconds
end

local function pattern_of(text)
  local ok, message = pcall(string.find, "", text)
  if not ok then
    give_up(2, "--filter needs a Lua pattern, and '%s' is none: %s", text, (message:gsub("^.-:%d+: ", "")))
  end
  return text
end

local VALUES = { ["--filter"] = pattern_of, ["--timeout"] = seconds_of }

local function parse(arguments)
  local options, i = { paths = {}, ["--timeout"] = TIMEOUT }, 1
  while arguments[i] do
    local text = arguments[i]
    local name, value = text:match("^(%-%-[%w-]+)=(.*)$")
    name = name or text
    if VALUES[name] then
      if not value then
        i = i + 1
        value = arguments[i] or give_up(2, "%s needs a value\n\n%s", name, USAGE)
      end
      options[name] = VALUES[name](value)
    elseif text:find("^%-") then
      give_up(2, "there is no option %s\n\n%s", text, USAGE)
    else
      table.insert(options.paths, text)
    end
    i = i + 1
  end
  return options
end

-- ---- the files

local function add_folder(folder, list)
  local names, message = fs.readdir(folder)
  if not names then give_up(1, "%s", message) end
  for _, name in ipairs(names) do
    local full = path.join(folder, name)
    local stats = not name:find("^%.") and fs.stat(full)
    if stats and stats:isDirectory() then
      add_folder(full, list)
    elseif stats and name:find("_spec%.lua$") then
      table.insert(list, full)
    end
  end
end

local function files_of(paths)
  local list = {}
  for _, given in ipairs(paths[1] and paths or { "spec" }) do
    local stats = fs.stat(given)
    if stats and stats:isDirectory() then
      add_folder(given, list)
    elseif stats then
      table.insert(list, given)
    elseif not paths[1] then
      give_up(1, "there is no folder spec here (%s): run this where your app.lua is, or name the specs' files",
        process.cwd())
    else
      give_up(1, "there is no %s", given)
    end
  end
  if not list[1] then
    give_up(1, "no specs in %s: a spec is a file NAME_spec.lua, such as `luaserve new` makes one",
      table.concat(paths[1] and paths or { "spec" }, ", "))
  end
  return list
end

-- ---- one piece of a spec

--- Where in the script's own files a stack is: "spec/app_spec.lua:12", or nil. Busted, luassert and luaserve are
--- passed over.
local function place_in(traceback)
  for line in traceback:gmatch("[^\n]+") do
    local file, number = line:match("^%s*(%S.-):(%d+):")
    if file and not file:find("^luaserve:") and not file:find("^%[") and not file:find("/busted/", 1, true)
      and not file:find("/luassert/", 1, true) and not file:find("/pl/", 1, true) then
      return (file:gsub("^%./", "")) .. ":" .. number
    end
  end
end

--- The lines of a traceback that are the script's.
local function own_lines(traceback)
  local lines = {}
  for line in traceback:gmatch("[^\n]+") do
    if place_in(line) then lines[#lines + 1] = "  " .. line:gsub("^%s+", ""):gsub("^%./", "") end
  end
  return lines
end

local function text_of(value)
  if type(value) == "table" and value.message ~= nil then value = value.message end
  local meta = debug.getmetatable(value)
  if type(value) == "string" or type(value) == "number" or meta and meta.__tostring then return tostring(value) end
  if value == nil then return "nil was raised" end
  return require("luaserve.inspect").inspect(value)
end

--- The kind of what was raised: busted marks what its assert and pending raise.
local function kind_of(value)
  local meta = debug.getmetatable(value)
  local kind = type(meta) == "table" and rawget(meta, "__type")
  return (kind == "failure" or kind == "pending") and kind or "error"
end

local function failure_of(value)
  local traceback = debug.traceback("", 2)
  return { kind = kind_of(value), message = text_of(value), place = place_in(traceback), lines = own_lines(traceback) }
end

--- A failure that has no error: the time is over, or the coroutine was stopped for its use of the CPU.
local function stopped(thread, message)
  local traceback = debug.traceback(thread)
  return { kind = "error", message = message, place = place_in(traceback), lines = own_lines(traceback) }
end

--- Whether a thread is still at work on fn: one that was stopped is used for something else.
local function is_within(thread, fn)
  local level = 0
  repeat
    local info = debug.getinfo(thread, level, "f")
    if info and info.func == fn then return true end
    level = level + 1
  until not info
  return false
end

--- Runs fn in a coroutine of its own; its failure, or nil. After so many seconds it is left alone, wherever it
--- waits: it cannot be ended, only forgotten.
local function run_limited(fn, seconds)
  local waiter, ended, failure, thread = core.waiter(), false, nil, nil
  local function finish(found)
    if ended then return end
    ended, failure = true, found
    waiter:wake()
  end
  local function piece()
    thread = coroutine.running()
    local ok, found = xpcall(fn, failure_of)
    finish(not ok and found or nil)
  end
  timers.setImmediate(piece)
  local left = seconds > 0 and seconds * 1000 or math.huge
  local watch = timers.setInterval(function()
    left = left - LOOK
    if not is_within(thread, piece) then
      finish(stopped(thread, "it ran for too long without waiting (--cpu-budget)"))
    elseif left <= 0 then
      finish(stopped(thread, ("not done after %g s"):format(seconds)))
    end
  end, LOOK)
  waiter:wait()
  timers.clearInterval(watch)
  return failure
end

--- busted.safe, which runs every piece: a file, a describe, an it and what stands around it.
local function safe_of(busted, seconds)
  return function(descriptor, run, element)
    busted.context.push(element)
    local failure
    if run == element.run or descriptor == "finally" then
      failure = run_limited(run, seconds)
    else
      local ok, found = xpcall(run, failure_of)
      failure = not ok and found or nil
    end
    local status = failure and failure.kind or "success"
    if status == "failure" and descriptor ~= "it" then status = "error" end
    if failure then
      local trace = element.trace -- of where it was defined
      failure.place = failure.place or trace and trace.short_src and trace.short_src .. ":" .. trace.currentline
      failure.around = descriptor ~= "it" and descriptor or nil
      busted.publish({ status, element.descriptor }, element, busted.context.parent(element), failure.message, failure)
    end
    busted.context.pop()
    return busted.status(status)
  end
end

-- ---- busted

local function load_busted()
  local found, value = pcall(require, "busted.core")
  if not found then
    if not tostring(value):find("module 'busted%.core' not found") then
      give_up(1, "busted cannot be loaded: %s", tostring(value))
    end
    give_up(1, "busted is missing, which runs the specs: apt-get install lua-busted (or: luarocks install busted)")
  end
  return value()
end

local function full_name(busted, element, name)
  local names = { name }
  while element and element.descriptor ~= "file" and element.descriptor ~= "suite" do
    table.insert(names, 1, element.name or element.descriptor)
    element = busted.context.parent(element)
  end
  return table.concat(names, " ")
end

local function filter_tests(busted, pattern)
  for _, kind in ipairs { "it", "pending" } do
    busted.subscribe({ "register", kind }, function(name)
      return nil, full_name(busted, busted.context.get(), name):find(pattern) ~= nil
    end, { priority = 1 })
  end
end

--- What busted asks a file's loader for: a stack as it is.
local function own_trace(_, info)
  return info
end

--- Has busted run a file when its turn comes; one that does not compile is reported.
local function add_file(busted, file, report)
  local fn, message = core.loadFile(file)
  if not fn then return report.broken(file, message) end
  busted.executors.file(file, setmetatable({ getTrace = own_trace }, { __call = fn }))
end

local function prepare(busted, options, report)
  busted.randomseed = os.time() -- for randomize()
  busted.safe = safe_of(busted, options["--timeout"])
  require("busted")(busted)
  pcall(function() require("busted.luajit")() end)
  if options["--filter"] then
    filter_tests(busted, options["--filter"])
    busted.register("setup", "lazy_setup") -- not where no test is left
    busted.register("teardown", "lazy_teardown")
  end
  report.subscribe(busted, full_name)
end

local function prepare_paths()
  core.argv = { "luaserve", path.join(process.cwd(), "app.lua") } -- files beside it are found from here
  package.path = "./?.lua;./?/init.lua;./src/?.lua;./src/?/init.lua;" .. package.path
end

--- Runs the command.
---@param arguments string[]
---@return integer? code
function M.run(arguments)
  if arguments[1] == "--help" or arguments[1] == "-h" then return print(USAGE) end
  local options = parse(arguments)
  local files = files_of(options.paths)
  prepare_paths()
  local busted, report = load_busted(), require("luaserve.command.test_report").new()
  prepare(busted, options, report)
  for _, file in ipairs(files) do add_file(busted, file, report) end
  require("busted.execute")(busted)(1, {})
  return report.finish(options["--filter"])
end

return M
