--- A server that runs the Lua code that a request brings, for specs about what a
-- handler may do. One server serves all the examples of a file:
--
--   local lab = require("spec.lua.lab")
--   local server = lab.serve()                    in setup
--   lab.ask(server, [[return 201, "x"]])          -> response
--   lab.value(server, [[return "x"]])             -> "x", the body of a 200
--   lab.start(server, code, request) -> conn      sent, the answer not read yet
--   lab.bytes(code, request)                      what start sends
--
-- The code is the body of function(req, res); it knows also sleep(ms) and shared,
-- a table of the process. Its lines count from 1, and its file is "snippet".
local helper = require("spec.helper")

local M = {}

local ENGINE = os.getenv("LUASERVE_ENGINE") or "lua5.4"

--- True where the program under test runs on LuaJIT.
M.luajit = ENGINE == "luajit"

local APP = [[
if os.getenv("LAB_INTERPRETS") then jit.off() end
local http, timers, core = require "http", require "timers", require "luaserve.core"
local load_text = rawget(_G, "loadstring") or load
local unescape = require("querystring").unescape
local shared = {}
local server
local function run(req, res)
  if req.path == "/counts" then
    collectgarbage()
    collectgarbage()
    local counts = core.counts()
    return ("exchanges %d\ncontexts %d\nslots %d\ncalls %d\n"):format(counts.exchanges, counts.contexts,
      counts.slots, counts.calls)
  end
  local code = unescape(req.headers["x-code"])
  return assert(load_text("local req, res, sleep, shared, server = ... " .. code, "=snippet"))(
    req, res, timers.sleep, shared, server)
end
server = http.createServer(run)
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]

--- Starts the server; options as for helper.serve. With LAB_INTERPRETS in its
--- environment LuaJIT compiles nothing.
---@param opts table?
---@return spec.Process
function M.serve(opts)
  return helper.serve(APP, opts)
end

local function encode(code)
  return (code:gsub("[^%w ]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- The request that has code run: a table for helper.request. The code travels in
--- a header, so that the body and the lines of the log are the spec's.
---@param code string
---@param request table? its other fields
---@return table
function M.request(code, request)
  local made = { headers = { ["X-Code"] = encode(code) } }
  for name, value in pairs(request or {}) do
    if name ~= "headers" then made[name] = value end
  end
  for name, value in pairs(request and request.headers or {}) do made.headers[name] = value end
  return made
end

--- Has code run and reads the answer.
---@return spec.Response
function M.ask(server, code, request)
  return helper.request(server, M.request(code, request))
end

--- Has code run, which must succeed, and returns what it answered.
---@return string
function M.value(server, code, request)
  local response = M.ask(server, code, request)
  if response.status ~= 200 then
    error(("%d %s\n%s"):format(response.status, response.body, server:output()), 2)
  end
  return response.body
end

--- The bytes of the request that has code run.
---@return string
function M.bytes(code, request)
  local spec = M.request(code, request)
  local lines = { ("%s / HTTP/1.1\r\nHost: x\r\n"):format(spec.method or "GET") }
  for name, text in pairs(spec.headers) do
    table.insert(lines, ("%s: %s\r\n"):format(name, text))
  end
  return table.concat(lines) .. "\r\n" .. (spec.body or "")
end

--- Sends the request on a connection of its own.
---@return spec.Conn
function M.start(server, code, request)
  local conn = helper.connect(server)
  conn:send(M.bytes(code, request))
  return conn
end

--- What the process holds now, as text: exchanges, contexts, slots, calls.
---@return string
function M.counts(server)
  return helper.get(server, "/counts").body
end

--- Waits until the process holds what it held when `before` was asked for.
---@param before string
function M.wait_for_counts(server, before)
  local now
  helper.wait_for(function()
    now = M.counts(server)
    return now == before
  end, function() return ("counts\n%sas at first; they are\n%s"):format(before, now) end)
end

--- Waits until `pattern` is in the log (standard error).
function M.wait_for_log(server, pattern)
  return helper.wait_for(function() return server:stderr():match(pattern) end,
    function() return ("a log line like %q\n%s"):format(pattern, server:output()) end)
end

return M
