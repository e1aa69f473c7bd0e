--- An error that was raised in a handler, as a plain table: where it arose, with the source around each frame and
--- its locals, the request, the route and the middlewares that ran. Only after enable(): frames and locals are
--- looked at where the error is raised, which costs.
local core = require "luaserve.core"
local mask = require "luaserve.mask"
local names = require "luaserve.names"
local peek = require "luaserve.peek"

local M = {}

---@class Trouble
---@field message string
---@field status integer 500, or what the error asks for
---@field value string? the error value as text, where it is a table
---@field time integer seconds since 1970
---@field frames TroubleFrame[] the innermost first
---@field request {method: string, url: string, httpVersion: string, headers: table<string, string>, peer: string}?
---@field route {method: string, path: string, at: string}?
---@field middleware {name: string, at: string}[]? those that ran

---@class TroubleFrame
---@field file string
---@field line integer
---@field name string "function 'find'"
---@field own boolean? one of luaserve's own modules, of which nothing else is told
---@field source table<integer, string>? the lines around, by their numbers
---@field locals {name: string, value: string}[]?
---@field upvalues {name: string, value: string}[]?

local FRAMES_FIRST, FRAMES_LAST = 40, 8 -- of a deep stack
local FRAMES_SHOWN = 16 -- with their locals
local LOCALS_MAX = 40 -- of a frame
local VARARGS_MAX, UPVALUES_MAX = 8, 12
local AROUND = 5 -- lines of source before and behind
local KEPT = 8 -- errors that somebody has caught, and may raise again
local LINE_MAX = 400 -- bytes of a line of source

local raw_pcall, raw_xpcall = pcall, xpcall
local getinfo, getlocal, getupvalue = debug.getinfo, debug.getlocal, debug.getupvalue

-- ---- frames

-- Levels of the running coroutine are counted as capture sees them, which calls a function, which calls one of
-- these: 0 is the function that capture calls. None of the calls in between may be a tail call.

local function info_at(co, level)
  local info
  if co then info = getinfo(co, level, "Snlf") else info = getinfo(level + 2, "Snlf") end
  return info
end

local function local_at(co, level, i)
  local name, value
  if co then name, value = getlocal(co, level, i) else name, value = getlocal(level + 2, i) end
  return name, value
end

--- How many levels there are; a level far down costs as much as all above it, so few are asked for.
local function depth_of(co, known)
  local low, high = known, known * 2
  while info_at(co, high) do low, high = high, high * 2 end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if info_at(co, middle) then low = middle else high = middle end
  end
  return low + 1
end

--- The frames of a coroutine that has failed; or, without one, of what runs, from the frame that raised: the first
--- and the last of many, and how many are left out.
local function infos_of(co)
  local list, level = {}, 0
  local info = info_at(co, level)
  while not co and info and info.func ~= core.keepTrace do
    level = level + 1
    info = info_at(co, level)
  end
  if not co then
    level = level + 1
    info = info_at(co, level)
  end
  while info do
    info.level = level
    list[#list + 1] = info
    if #list == FRAMES_FIRST then
      local depth = depth_of(co, level)
      list.left_out = math.max(0, depth - level - 1 - FRAMES_LAST)
      level = level + list.left_out
    end
    level = level + 1
    info = info_at(co, level)
  end
  return list
end

--- The name of the module that a value is, or nil.
local function module_of(value)
  if type(value) ~= "table" then return nil end
  for name, module in pairs(package.loaded) do
    if rawequal(module, value) then return name end
  end
end

local function shown_pair(name, value)
  local module = module_of(value)
  if module then return { name = name, value = "module '" .. tostring(module) .. "'" } end
  if mask.is_secret(name) and value ~= nil then return { name = name, value = mask.TEXT } end
  return { name = name, value = peek.text(value) }
end

--- Adds a variable; an inner one hides those of its name further out.
local function add(list, places, name, value)
  local at = places[name] or #list + 1
  places[name], list[at] = at, shown_pair(name, value)
end

local function level_of(co, info)
  return co and info.level or info.level + 1 -- locals_of stands one deeper
end

--- The locals of a frame, with what stands for its `...`.
local function locals_of(co, level)
  local list, places = {}, {}
  for i = 1, 250 do
    local name, value = local_at(co, level, i)
    if not name or #list >= LOCALS_MAX then break end
    if name:sub(1, 1) ~= "(" then add(list, places, name, value) end
  end
  for i = 1, VARARGS_MAX do
    local name, value = local_at(co, level, -i)
    if not name then break end
    add(list, places, "..." .. i, value)
  end
  return list[1] and list or nil
end

--- What a function uses of those around it, but for functions and modules, which would only be in the way.
local function upvalues_of(fn)
  local list, places = {}, {}
  for i = 1, 250 do
    local name, value = getupvalue(fn, i)
    if not name or #list >= UPVALUES_MAX then break end
    local plain = type(value) ~= "function" and name ~= "_ENV" and name ~= ""
    if plain and not module_of(value) then add(list, places, name, value) end
  end
  return list[1] and list or nil
end

local getfenv = rawget(_G, "getfenv")

--- What a template has been given, where the frame is one: a name that is not among its data is nil.
local function data_of(co, info)
  local env
  if getfenv then
    env = getfenv(info.func)
  else
    local name, value = local_at(co, level_of(co, info), 1)
    env = name == "_ENV" and value
  end
  return require("luaserve.template")._data_of(env)
end

--- The locals of a template, and its data, but for what it is filled with.
local function variables_of(locals, data)
  local list, places, keys = {}, {}, {}
  for _, pair in ipairs(locals or {}) do
    if pair.name ~= "_ENV" and pair.name:sub(1, 2) ~= "__" then
      list[#list + 1] = pair
      places[pair.name] = #list
    end
  end
  for name in pairs(data) do
    if type(name) == "string" and not places[name] then keys[#keys + 1] = name end
  end
  table.sort(keys)
  for i = 1, math.min(#keys, LOCALS_MAX) do add(list, places, keys[i], data[keys[i]]) end
  return list[1] and list or nil
end

local function name_of(info)
  if info.what == "main" then return "main chunk" end
  if info.name and info.name ~= "?" then return ("function '%s'"):format(info.name) end
  return ("function at line %d"):format(info.linedefined)
end

local function is_own(info)
  return info.source:sub(1, 10) == "@luaserve:"
end

local function frame_of(info)
  return { file = (info.source:gsub("^[@=]", "")), line = info.currentline, name = name_of(info),
    own = is_own(info) or nil }
end

--- What is told of the frames, the innermost first: those of C are left out.
local function frames_of(co, infos)
  local frames = {}
  for i, info in ipairs(infos) do
    if i == FRAMES_FIRST + 1 and infos.left_out > 0 then
      frames[#frames + 1] = { file = "", line = 0, own = true, name = ("... %d more frames"):format(infos.left_out) }
    end
    if info.what ~= "C" and info.currentline > 0 and info.func ~= M.pcall then
      local frame = frame_of(info)
      frames[#frames + 1] = frame
      if not frame.own and #frames <= FRAMES_SHOWN then
        frame.locals = locals_of(co, level_of(co, info))
        frame.upvalues = upvalues_of(info.func)
        local data = data_of(co, info)
        if data then frame.name, frame.locals = "the template", variables_of(frame.locals, data) end
      end
    end
  end
  while frames[2] and frames[#frames].own do frames[#frames] = nil end -- how we call the script
  return frames
end

-- ---- errors that were caught, and may be raised again

local records = {} -- {value =, context =, frames =}, the latest last

--- Whether the error was raised in one of these frames: its text names the line.
local function is_fresh(value, infos)
  if type(value) ~= "string" then return false end
  local looked = 0
  for _, info in ipairs(infos) do
    if info.currentline > 0 then
      local place = ("%s:%d: "):format(info.short_src, info.currentline)
      if value:sub(1, #place) == place then return true end
      looked = looked + 1
      if looked == 3 then return false end
    end
  end
  return false
end

local function find(value, context)
  for i = #records, 1, -1 do
    local record = records[i]
    if rawequal(record.value, value) and record.context[1] == context then return record, i end
  end
end

local function keep(value, context, frames)
  local weak = setmetatable({ context }, { __mode = "v" })
  records[#records + 1] = { value = value, context = weak, frames = frames }
  if #records > KEPT then table.remove(records, 1) end
end

-- ---- the table

local late -- the last error that was the end of the CPU budget

local function message_of(value)
  if type(value) == "string" then return value end
  local message = type(value) == "table" and rawget(value, "message")
  if type(message) == "string" then return message end
  local meta = debug.getmetatable(value)
  if value ~= nil and type(meta) == "table" and rawget(meta, "__tostring") then
    local ok, text = raw_pcall(tostring, value)
    if ok and type(text) == "string" then return text end
  end
  local kind = type(value)
  return (kind == "table" or kind == "userdata") and "(error object is a " .. kind .. " value)" or tostring(value)
end

local function status_of(value)
  local status = type(value) == "table" and rawget(value, "status")
  return type(status) == "number" and status >= 400 and status <= 599 and status % 1 == 0 and status or 500
end

local function source_of(file, line)
  local handle = io.open(file, "rb")
  if not handle then return nil end
  local lines, number = {}, 0
  for text in handle:lines() do
    number = number + 1
    if number > line + AROUND then break end
    if number >= line - AROUND then lines[number] = text:gsub("\r$", ""):sub(1, LINE_MAX) end
  end
  handle:close()
  if number > 0 and line == number + 1 then lines[line] = "" end -- where something is missing at the end
  return lines[line] and lines or nil
end

local function where(text)
  return (text:gsub(": $", ""))
end

local function route_of(req)
  local app = rawget(req, "app")
  local state = app and app._state
  if not state then return nil end
  local ok, entry = raw_pcall(require("luaserve.router").find, state, req)
  local layer = ok and entry and entry.flat.layer
  if not layer then return nil end
  return { method = layer.method, path = entry.flat.at.path .. layer.path, at = where(layer.where) }
end

local function request_of(req)
  local headers = {}
  for name, value in pairs(req.headers) do
    if name:sub(1, 1) ~= ":" then headers[name] = mask.header(name, tostring(value)) end -- of HTTP/2, told anyway
  end
  return { method = req.method, url = mask.url(req.url), httpVersion = req.httpVersion, headers = headers,
    peer = tostring(req.socket.remoteAddress or "") }
end

local function ran_of(req)
  local ran = {}
  for i, one in ipairs(rawget(req, "_ran") or {}) do ran[i] = one end
  return ran
end

--- A frame for the place that a message names: of code that could not be compiled; and of what LuaJIT tells
--- no more of, the function in which it has failed itself.
local function named_frame(message)
  local file, line = message:match("^([^\n:]+):(%d+): ")
  if not file then file, line = message:match("\n%s*([^\n:]+):(%d+): ") end
  line = tonumber(line)
  local source = line and source_of(file, line)
  return source and { file = file, line = line, name = "where it is written", source = source } or nil
end

--- Whether the message names another place than the innermost of the script's frames, and rightly so.
local function is_elsewhere(named, frames, value)
  local first = frames[1]
  if not first.own then -- LuaJIT does not know any more where it was
    return jit and type(value) == "string" and (named.file ~= first.file or named.line ~= first.line)
  end
  for _, frame in ipairs(frames) do -- luaserve has raised it: of a module or a template that is wrong
    if not frame.own then return named.file ~= frame.file or named.line ~= frame.line end
  end
  return true
end

--- Adds what the frames lack: the source, and the place that the message names.
local function complete(t, value)
  local named = named_frame(t.message)
  if type(value) == "table" and rawget(value, "_exit") or not t.frames[1] then
    t.frames = { named }
  elseif named and is_elsewhere(named, t.frames, value) then
    table.insert(t.frames, 1, named)
  end
  for _, frame in ipairs(t.frames) do
    if not frame.own and not frame.source then frame.source = source_of(frame.file, frame.line) end
  end
end

--- The table of an error; of a request's, with it.
---@param value any the error value
---@param res ServerResponse? of the request
---@return Trouble
function M.of(value, res)
  local context = core.contextOf(res)
  local record = find(value, context) or type(value) == "table" and find(rawget(value, "value"), context)
  local t = { message = message_of(value), status = status_of(value), frames = {}, time = os.time() }
  if late ~= nil and rawequal(value, late) then
    t.message, t.status = "ran for longer than --cpu-budget allows without waiting", 503
  end
  if type(value) == "table" and not rawget(value, "_exit") then t.value = peek.text(value) end
  for i, frame in ipairs(record and record.frames or {}) do t.frames[i] = frame end
  complete(t, value)
  local req = res and require("luaserve.core.server").req(res)
  if req then
    t.request, t.route, t.middleware = request_of(req), route_of(req), ran_of(req)
  end
  return t
end

-- ---- capturing

local listeners = {}

local function capture(value, co, res)
  local context = core.contextOf(res)
  local infos = infos_of(co)
  local record, at = find(value, context)
  if record and is_fresh(value, infos) then
    table.remove(records, at)
    record = nil
  end
  if not record then keep(value, context, frames_of(co, infos)) end
end

--- Notes the frames of an error: those of co, which has failed, or of what runs now.
local function on_error(value, co, res, elsewhere, is_late)
  if is_late then late = value end
  raw_pcall(capture, value, co, res)
  if not res or elsewhere then return end
  for _, fn in ipairs(listeners) do raw_pcall(fn, value, res) end
end

--- Has fn(t, res) called for each failure of a request that is answered with a status of 500 or more, before the
--- answer; it cannot wait.
---@param fn fun(t: Trouble, res: ServerResponse)
function M.listen(fn)
  listeners[#listeners + 1] = function(value, res)
    if status_of(value) >= 500 then return fn(M.of(value, res), res) end
  end
end

local enabled = false

--- pcall as it is, but for the frames of what it catches, which are kept in case that it is raised again.
function M.pcall(...)
  if select("#", ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
  local fn = ...
  return raw_xpcall(fn, core.keepTrace, select(2, ...))
end

--- Notes the middlewares that run, in req._ran.
local function note_middleware(fn, flat)
  local info = getinfo(fn, "S")
  local own = is_own(info) and info.source:match("([%w_]+)%.lua$")
  local note = { name = own and "luaserve." .. own or info.short_src:match("[^/]*$") .. ":" .. info.linedefined,
    at = where(flat.layer.where) }
  return function(req, res, next)
    local ran = rawget(req, "_ran")
    if not ran then
      ran = {}
      rawset(req, "_ran", ran)
    end
    ran[#ran + 1] = note
    return fn(req, res, next)
  end
end

--- Begins to look at errors. caught: at those, too, that pcall catches.
---@param options {caught: boolean?}?
function M.enable(options)
  if not enabled then
    enabled = true
    core.onCapture(on_error)
    core.capture = on_error
    require("luaserve.layers").wrap = note_middleware
  end
  if options and options.caught then rawset(_G, "pcall", M.pcall) end
end

---@return boolean
function M.enabled() return enabled end

--- A copy that is small enough to be sent to another process.
---@param t Trouble
---@return Trouble
function M.brief(t)
  local copy = {}
  for name, value in pairs(t) do copy[name] = value end
  copy.frames = {}
  for i = 1, math.min(#t.frames, 12) do copy.frames[i] = t.frames[i] end
  return copy
end

--- A trouble that came as JSON, where numbers cannot be keys of an object.
---@param t Trouble
---@return Trouble
function M.revive(t)
  for _, frame in ipairs(t.frames) do
    local source = {}
    for number, line in pairs(frame.source or {}) do source[tonumber(number)] = line end
    frame.source = frame.source and source
  end
  return t
end

-- ---- for terminals

local function add_source(out, frame)
  local numbers = {}
  for number in pairs(frame.source) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local mark = number == frame.line and ">" or " "
    out[#out + 1] = ("  %s %4d | %s"):format(mark, number, peek.printable(frame.source[number]))
  end
end

local function add_values(out, values)
  for _, pair in ipairs(values or {}) do
    out[#out + 1] = ("         %s = %s"):format(peek.printable(pair.name), (peek.printable(pair.value):gsub("\n",
      "\n         ")))
  end
end

--- The text of a trouble, for a terminal.
---@param t Trouble
---@return string
function M.text(t)
  local out, told = { peek.printable(t.message), "" }, false
  for _, frame in ipairs(t.frames) do
    out[#out + 1] = ("  %s%s in %s"):format(frame.file, frame.line > 0 and ":" .. frame.line or "", frame.name)
    if frame.source and not told then add_source(out, frame) end
    if frame.source and not told then add_values(out, frame.locals) end
    told = told or frame.source ~= nil
  end
  if t.request then
    local r = t.request
    out[#out + 1] = ""
    out[#out + 1] = peek.printable(("  %s %s HTTP/%s"):format(r.method, r.url, r.httpVersion))
    for _, name in ipairs(names.sorted(r.headers)) do
      out[#out + 1] = peek.printable(("    %s: %s"):format(name, r.headers[name]))
    end
  end
  if t.route then
    out[#out + 1] = ("  route %s %s%s"):format(t.route.method, t.route.path,
      t.route.at ~= "" and " (" .. t.route.at .. ")" or "")
  end
  for _, one in ipairs(t.middleware or {}) do
    out[#out + 1] = ("  after %s%s"):format(one.name, one.at ~= "" and " (" .. one.at .. ")" or "")
  end
  return table.concat(out, "\n")
end

return M
