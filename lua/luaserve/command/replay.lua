--- `luaserve replay FILE app.lua`: runs a request again that --record has kept, without a port, and says what is wrong;
--- or prints a spec of it.
local core = require "luaserve.core"
local file = require "luaserve.record.file"
local http = require "http"
local names = require "luaserve.names"

local M = {}

local unpack = table.unpack or unpack

local USAGE = [==[
usage: luaserve [options] replay [--header "NAME: VALUE"] [--set NAME=VALUE] [--as-spec] FILE app.lua [arguments]

Runs the request of FILE, which --record has kept, once more: app.lua is started without listening and gets it.
Shown are the error with its source and locals, and the answer; the exit code is 1 where that is a 500 or above.
  --header "NAME: VALUE"   a header in place of what FILE has of that name; may be repeated
  --set NAME=VALUE         the value of what was hidden by its name: in the query, the body, a header, a cookie
  --as-spec                print a spec of it for `luaserve test`, which app.lua is not started for
]==]

local function give_up(code, text, ...)
  return core.giveUp(select("#", ...) > 0 and text:format(...) or text, code)
end

-- ---- the command line

local function header_of(text)
  local name, value = text:match("^([%w!#$%%&'*+.^_`|~-]+):%s*(.-)%s*$")
  if not name or value:find("[\r\n%z]") then
    give_up(2, "--header %s: a name, a colon and a value are needed, as in --header \"Cookie: sid=1\"", text)
  end
  return { name, value }
end

local function pair_of(text)
  local name, value = text:match("^([^=]+)=(.*)$")
  if not name then give_up(2, "--set %s: a name and a value are needed, as in --set password=secret", text) end
  return { name, value }
end

local VALUES = { ["--header"] = header_of, ["--set"] = pair_of }

local function parse(arguments)
  local options, i = { ["--header"] = {}, ["--set"] = {} }, 1
  while arguments[i] and arguments[i]:find("^%-") do
    local name, value = arguments[i]:match("^(%-%-%w+)=(.*)$")
    name = name or arguments[i]
    if name == "--as-spec" then
      options.spec = true
    elseif name == "--help" or name == "-h" then
      options.help = true
    elseif VALUES[name] then
      if not value then
        i = i + 1
        value = arguments[i] or give_up(2, "%s needs a value\n\n%s", name, USAGE)
      end
      table.insert(options[name], VALUES[name](value))
    else
      give_up(2, "there is no option %s\n\n%s", name, USAGE)
    end
    i = i + 1
  end
  options.file, options.script = arguments[i], { unpack(arguments, i + 1) }
  return options
end

local function read(options)
  local ok, record = pcall(file.read, options.file)
  if not ok then give_up(1, "%s", tostring(record)) end
  for _, pair in ipairs(options["--set"]) do
    if file.reveal(record, pair[1], pair[2]) == 0 then
      local hidden = table.concat(file.hidden(record), ", ")
      give_up(2, "--set %s: nothing of that name was hidden in %s; what was: %s", pair[1], options.file,
        hidden ~= "" and hidden or "nothing")
    end
  end
  for _, header in ipairs(options["--header"]) do file.set_header(record, header[1], header[2]) end
  return record
end

-- ---- the app

--- The server that was the first to listen, or would have been.
local function first_listening()
  local first
  for server, place in pairs(core.listened) do
    if not first or place < core.listened[first] then first = server end
  end
  return first
end

--- The server, app or handler of the script, which listens nowhere.
local function load_app(script)
  require("luaserve.show").prepare()
  local app = core.runScript(unpack(script))
  local meta = type(app) == "table" and getmetatable(app)
  if type(app) == "function" or type(meta) == "table" and meta.__call then return app end
  local server = first_listening()
  if server then return server:listeners("request")[1] end
  for _, one in ipairs(core.showing) do
    if not one._parent then return one end
  end
  give_up(1, "%s has no app: it has to return one (return app), or a server of it has to listen", script[1])
end

-- ---- the request

-- What the test client says itself, or what is not so any more: the body is decoded.
local LEFT_OUT = { ["content-length"] = true, ["transfer-encoding"] = true, ["content-encoding"] = true, expect = true,
  connection = true, ["keep-alive"] = true, upgrade = true, ["http2-settings"] = true, te = true, trailer = true }

--- The fields of a record, joined where they are repeated, and in order.
---@param record table
---@return {[1]: string, [2]: string}[]
function M.fields(record)
  local list, places = {}, {}
  for _, header in ipairs(record.headers) do
    local lower = header[1]:lower()
    local known = list[places[lower]]
    if known then
      known[2] = known[2] .. (lower == "cookie" and "; " or ", ") .. header[2]
    elseif not LEFT_OUT[lower] and lower:sub(1, 1) ~= ":" then
      places[lower] = #list + 1
      list[#list + 1] = { header[1], header[2] }
    end
  end
  return list
end

local function request_of(client, record)
  local request, kind = client:request(record.method, record.url), nil
  for _, field in ipairs(M.fields(record)) do
    if field[1]:lower() == "content-type" then kind = field[2] end
    request:set(field[1], field[2])
  end
  if record.content then request:send(record.content, kind) end
  return request
end

-- ---- what is shown

local function printable(text)
  return (text:gsub("[^\n\t\32-\126\128-\255]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

local function say(text) io.stdout:write(printable(text), "\n") end

local function say_record(record)
  say(("%s %s"):format(record.method, record.url))
  say(("  %s on %s%s"):format(require("luaserve.record").ending(record), tostring(record.time or "?"),
    record.remoteAddress and " to " .. tostring(record.remoteAddress) or ""))
  local body = type(record.body) == "table" and record.body
  if body and body.missing then
    say(("  without its body (%s bytes): %s"):format(tostring(body.bytes), body.missing))
  end
  if body and body.cut then
    say(("  with the first %d of %s bytes of its body"):format(#record.content, tostring(body.bytes)))
  end
  for _, name in ipairs(file.hidden(record)) do
    local where, what = name:match("^(%a+) (.*)$")
    say(("  hidden: %s; give it with %s"):format(name, where == "header" and '--header "' .. what .. ': ..."'
      or "--set " .. what .. "=..."))
  end
end

local BODY_SHOWN = 2000 -- bytes

local function say_answer(answer)
  say(("%d %s"):format(answer.status, http.STATUS_CODES[answer.status] or ""))
  for _, name in ipairs(names.sorted(answer.headers)) do
    local value = answer.headers[name]
    for _, one in ipairs(type(value) == "table" and value or { value }) do say(name .. ": " .. one) end
  end
  if answer.body == "" then return end
  say("")
  say(answer.body:sub(1, BODY_SHOWN))
  if #answer.body > BODY_SHOWN then say(("... and %d more bytes"):format(#answer.body - BODY_SHOWN)) end
end

--- Has errors told with their source and locals; those that have none, as that of a handler which took too long, with
--- their traceback.
local function listen(texts)
  local native, trouble = require "luaserve.core.record", require "luaserve.trouble"
  trouble.enable { caught = true }
  http._gate = function() return false end -- so that LuaJIT, too, keeps the frame that has failed
  trouble.listen(function(t) texts[#texts + 1] = trouble.text(t) end)
  native.on(function(context)
    local trace = rawget(native.request(context), "_failed")
    if trace and not texts[1] then texts[1] = trace end
  end)
end

--- Runs it; the answer, or nil and why there is none.
local function replay(record, app)
  local client = require("luaserve.test").client(app)
  local ok, answer = pcall(function() return request_of(client, record):response() end)
  if ok then return answer end
  return nil, type(answer) == "table" and answer.message or answer
end

-- ---- as a spec

--- A string as Lua, of printable letters alone: nothing in it ends it.
local function lua_string(text)
  return '"' .. (text:gsub('[%c"\\\127-\255]', function(byte)
    if byte == '"' or byte == "\\" then return "\\" .. byte end
    if byte == "\n" then return "\\n" end
    return ("\\%03d"):format(byte:byte())
  end)) .. '"'
end

--- Text for a comment: one line.
local function comment(text)
  return (text:gsub("[%c\127]", " "))
end

--- A spec of a record, for busted.
---@param record table
---@param module string what requires the app
---@return string
function M.spec(record, module)
  local out = { ("-- %s %s %s on %s."):format(record.method, comment(record.url),
    require("luaserve.record").ending(record), comment(tostring(record.time or "?"))) }
  local first = type(record.error) == "table" and record.error[1]
  if first then out[#out + 1] = "-- " .. comment(tostring(first)) end
  for _, name in ipairs(file.hidden(record)) do out[#out + 1] = "-- Hidden, to be put in: " .. comment(name) end
  local body = type(record.body) == "table" and record.body or {}
  if body.missing then out[#out + 1] = "-- Without its body: " .. comment(tostring(body.missing)) end
  if body.cut then
    out[#out + 1] = ("-- Its body had %s bytes, of which these are the first."):format(comment(tostring(body.bytes)))
  end
  local path = record.url:match("^[^?]*")
  out[#out + 1] = 'local luaserve = require "luaserve"\n'
  out[#out + 1] = ("local client = luaserve.test(require %s)\n"):format(lua_string(module))
  out[#out + 1] = ("describe(%s, function()"):format(lua_string(record.method .. " " .. path))
  out[#out + 1] = '  it("is answered", function()'
  out[#out + 1] = ("    local request = client:request(%s, %s)"):format(lua_string(record.method),
    lua_string(record.url))
  local kind
  for _, field in ipairs(M.fields(record)) do
    if field[1]:lower() == "content-type" then kind = field[2] end
    out[#out + 1] = ("    request:set(%s, %s)"):format(lua_string(field[1]), lua_string(field[2]))
  end
  if record.content then
    local more = kind and ", " .. lua_string(kind) or ""
    out[#out + 1] = ("    request:send(%s%s)"):format(lua_string(record.content), more)
  end
  out[#out + 1] = "    assert(request.status < 500, request.status .. \": \" .. request.body)"
  out[#out + 1] = "  end)\nend)\n"
  return table.concat(out, "\n")
end

local function module_of(script)
  return ((script or "app.lua"):gsub("^%./", ""):gsub("%.lua$", ""):gsub("/", "."))
end

-- ---- the command

--- Runs the command.
---@param arguments string[]
---@return integer code
function M.run(arguments)
  local options = parse(arguments)
  if options.help then
    io.stdout:write(USAGE)
    return 0
  end
  if not options.file then give_up(2, "replay needs a file that --record has written\n\n%s", USAGE) end
  local record = read(options)
  if options.spec then
    io.stdout:write(M.spec(record, module_of(options.script[1])))
    return 0
  end
  if not options.script[1] then give_up(2, "replay needs the script that is to answer\n\n%s", USAGE) end
  say_record(record)
  local texts = {}
  listen(texts)
  require("luaserve.core.misuse").watch()
  local app = load_app(options.script)
  core.guardGlobals()
  local answer, failure = replay(record, app)
  for _, text in ipairs(texts) do say("\n" .. text) end
  say("")
  if not answer then
    say(tostring(failure))
    return 1
  end
  say_answer(answer)
  return answer.status >= 500 and 1 or 0
end

return M
