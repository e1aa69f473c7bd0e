-- http.createServer, its handlers and limits, and the forms of listen.
local helper = require("spec.helper")

local function ask(server, path, port)
  return helper.request(server, { path = path, connect = { port = port or server.port } })
end

-- Runs code that ends by itself and returns what it printed.
local function printed(code, opts)
  local result = helper.run(code, opts)
  assert.same({ 0, "" }, { result.code, result.err })
  return result.out
end

-- A port that is taken for as long as the spec runs.
local function taken_port()
  local server = helper.serve_handler("res:finish('first')")
  return server.port
end

local LISTEN = [[
local http = require("http")
local server = http.createServer(function(req, res) res:finish("hello") end)
server:listen(%s)
]]

local ANNOUNCE = "function() print('port ' .. server:address().port) end"

describe("createServer", function()
  local function answer_of(arguments)
    local server = helper.serve(([[
local http = require("http")
local server
server = http.createServer(%s)
server:listen(0, "127.0.0.1", %s)
]]):format(arguments, ANNOUNCE))
    return helper.get(server, "/")
  end

  it("takes a handler", function()
    assert.equal("hi", answer_of("function(req, res) res:finish('hi') end").body)
  end)

  it("takes options and a handler", function()
    assert.equal("5000", answer_of("{keepAliveTimeout = 5000}, function(req, res) "
      .. "res:finish(tostring(server.keepAliveTimeout)) end").body)
  end)

  it("takes a table with __call as the handler", function()
    assert.equal("called", answer_of(
      "setmetatable({}, {__call = function(self, req, res) res:finish('called') end})").body)
  end)

  it("takes options and a table with __call", function()
    assert.equal("called", answer_of(
      "{}, setmetatable({}, {__call = function(self, req, res) res:finish('called') end})").body)
  end)

  it("takes nothing, and the handler as a listener", function()
    local server = helper.serve(([[
local server = require("http").createServer()
server:on("request", function(req, res) res:finish("listened") end)
server:listen(0, "127.0.0.1", %s)
]]):format(ANNOUNCE))
    assert.equal("listened", helper.get(server, "/").body)
  end)

  it("complains of anything else, at the caller's line", function()
    for _, arguments in ipairs({ "42", "'text'", "{}, 42", "true" }) do
      local result = helper.run("local http = require('http')\nhttp.createServer(" .. arguments .. ")\n")
      assert.equal(1, result.code)
      assert.matches("app%.lua:2:", result.err)
    end
  end)

  it("names statuses and methods", function()
    assert.equal("Not Found\ttrue\n", printed([[
local http = require("http")
local methods = {}
for _, name in ipairs(http.METHODS) do methods[name] = true end
print(http.STATUS_CODES[404], methods.GET and methods.PATCH and not methods.BREW)
]]))
  end)
end)

describe("the listeners of a server", function()
  it("all get the request, in the order of adding", function()
    local server = helper.serve(([[
local server = require("http").createServer()
local seen = {}
server:on("request", function(req, res) seen[#seen + 1] = "first" end)
server:on("request", function(req, res) seen[#seen + 1] = "second" end)
server:on("request", function(req, res) res:finish(table.concat(seen, " ")) end)
server:listen(0, "127.0.0.1", %s)
]]):format(ANNOUNCE))
    assert.equal("first second", helper.get(server, "/").body)
  end)

  it("may answer by what they return, also when there are several", function()
    local server = helper.serve(([[
local server = require("http").createServer(function() end)
server:on("request", function(req, res) return "returned" end)
server:listen(0, "127.0.0.1", %s)
]]):format(ANNOUNCE))
    assert.equal("returned", helper.get(server, "/").body)
  end)

  it("get one request where they were added by once", function()
    local server = helper.serve(([[
local server = require("http").createServer()
server:once("request", function(req, res)
  server:on("request", function(req, res) res:finish("next") end)
  res:finish("once")
end)
server:listen(0, "127.0.0.1", %s)
]]):format(ANNOUNCE))
    assert.equal("once", helper.get(server, "/").body)
    assert.equal("next", helper.get(server, "/").body)
    assert.equal("next", helper.get(server, "/").body)
  end)

  it("can be exchanged while it serves", function()
    local server = helper.serve(([[
local server
local function second(req, res) res:finish("second") end
local function first(req, res)
  server:off("request", first):on("request", second)
  res:finish("first")
end
server = require("http").createServer(first)
server:listen(0, "127.0.0.1", %s)
]]):format(ANNOUNCE))
    assert.equal("first", helper.get(server, "/").body)
    assert.equal("second", helper.get(server, "/").body)
  end)
end)

describe("listen", function()
  it("takes port 0 and a host", function()
    local server = helper.serve(LISTEN:format("0, '127.0.0.1', " .. ANNOUNCE))
    assert.equal("hello", helper.get(server, "/").body)
  end)

  it("takes a number as it is written in a string as a port", function()
    local server = helper.serve(LISTEN:format("'0', " .. ANNOUNCE))
    assert.equal("hello", helper.get(server, "/").body)
  end)

  it("takes a table of options", function()
    local server = helper.serve(LISTEN:format("{port = 0, host = '127.0.0.1', backlog = 16}, " .. ANNOUNCE))
    assert.equal("hello", helper.get(server, "/").body)
  end)

  it("takes a backlog behind the host", function()
    local server = helper.serve(LISTEN:format("0, '127.0.0.1', 16, " .. ANNOUNCE))
    assert.equal("hello", helper.get(server, "/").body)
  end)

  it("takes a name of a host", function()
    local server = helper.serve(LISTEN:format("0, 'localhost', function() local at = server:address() "
      .. "print('address ' .. at.address) print('port ' .. at.port) end"))
    local host = server:wait_output("address (%S+)")
    assert.equal("hello", helper.request(server, { connect = { host = host } }).body)
  end)

  it("listens on all interfaces without a host, for IPv6 and IPv4", function()
    local server = helper.serve(LISTEN:format("0, " .. ANNOUNCE))
    assert.equal("hello", helper.request(server, { connect = { host = "127.0.0.1" } }).body)
    assert.equal("hello", helper.request(server, { connect = { host = "127.0.0.2" } }).body)
    assert.equal("hello", helper.request(server, { connect = { host = "::1" } }).body)
  end)

  it("takes an IPv6 address", function()
    local server = helper.serve(LISTEN:format("0, '::1', " .. ANNOUNCE))
    assert.equal("hello", helper.request(server, { connect = { host = "::1" } }).body)
    assert.is_nil((helper.connect(server, { try = true })))
  end)

  it("takes the path of a Unix socket, which goes with the server", function()
    local dir = helper.tmpdir()
    local path = dir .. "/app.sock"
    local server = helper.serve([[
local http = require("http")
local server = http.createServer(function(req, res) res:finish("hello " .. tostring(req.socket.remoteAddress)) end)
server:listen("]] .. path .. [[", function() print("listening on unix:" .. server:address()) end)
]])
    assert.equal("hello nil", helper.get(server, "/").body)
    server:stop()
    assert.is_nil(helper.read_file(path))
    assert.is_nil((os.rename(path, path)))
  end)

  it("takes a path in a table, and over a socket that nobody listens on any more", function()
    local path = helper.tmpdir() .. "/app.sock"
    local code = [[
local http = require("http")
local server = http.createServer(function(req, res) res:finish("hello") end)
server:listen({path = "]] .. path .. [["}, function() print("listening on unix:" .. server:address()) end)
]]
    local first = helper.serve(code)
    first:kill("KILL")
    first:wait_exit()
    assert.is_not_nil((os.rename(path, path)))
    assert.equal("hello", helper.get(helper.serve(code), "/").body)
  end)

  it("complains of anything else, at the caller's line", function()
    for _, arguments in ipairs({ "-1", "65536", "1.5", "{}", "{port = 'http'}", "true", "{port = 70000}" }) do
      local result = helper.run("local server = require('http').createServer()\nserver:listen("
        .. arguments .. ")\n")
      assert.equal(1, result.code, arguments)
      assert.matches("app%.lua:2:", result.err)
    end
  end)

  it("complains of a second call", function()
    local out = printed([[
local server = require("http").createServer()
server:listen(0, "127.0.0.1", function() server:close() end)
print(pcall(server.listen, server, 0))
]])
    assert.equal("false\tListen method has been called more than once without closing.\n",
      (out:gsub("\t[^\t]-:%d+: ", "\t")))
  end)

  it("returns the server, as all methods that register or set do", function()
    assert.equal("true\n", printed([[
local server = require("http").createServer()
local same = server:on("error", print) == server and server:once("close", function() end) == server
  and server:listen(0) == server and server:close() == server
print(same)
]]))
  end)

  it("fires no event before it returns", function()
    assert.equal("returned\nlistening\ncallback\nclosing\nclose\n", printed([[
local server = require("http").createServer()
server:on("listening", function() print("listening") end)
server:on("close", function() print("close") end)
server:listen(0, "127.0.0.1", function()
  print("callback")
  server:close()
  print("closing")
end)
print("returned")
]]))
  end)

  it("knows its address at once, where the host is no name", function()
    local out = printed([[
local server = require("http").createServer()
print(server:address(), server.listening)
server:listen(0, "127.0.0.1")
local at = server:address()
print(at.address, at.family, math.type and math.type(at.port) or "integer", at.port > 0, server.listening)
server:on("listening", function()
  print(server.listening)
  server:close(function() print(server:address(), server.listening) end)
end)
]])
    assert.equal("nil\tfalse\n127.0.0.1\tIPv4\tinteger\ttrue\tfalse\ntrue\nnil\tfalse\n", out)
  end)

  it("names the family of IPv6", function()
    assert.equal("::\tIPv6\n", printed([[
local server = require("http").createServer()
server:listen(0)
print(server:address().address, server:address().family)
server:close()
]]))
  end)

  it("can follow close, with the same limits", function()
    local server = helper.serve([[
local server
local count = 0
server = require("http").createServer({maxBodySize = 77}, function(req, res)
  res:finish(count .. " " .. server.maxBodySize)
end)
local function announce()
  count = count + 1
  print("port " .. server:address().port)
end
server:listen(0, "127.0.0.1", function()
  announce()
  server:close(function() server:listen(0, "127.0.0.1", announce) end)
end)
]], { ports = 2 })
    assert.equal("2 77", ask(server, "/", server.ports[2]).body)
  end)

  it("serves two servers in one process", function()
    local both = helper.serve([[
local http = require("http")
for _, name in ipairs({"a", "b"}) do
  local server
  server = http.createServer(function(req, res) res:finish(name) end)
  server:listen(0, "127.0.0.1", function() print("port " .. server:address().port .. " " .. name) end)
end
]], { ports = 2 })
    assert.equal("a", ask(both, "/", both.ports.a).body)
    assert.equal("b", ask(both, "/", both.ports.b).body)
  end)
end)

describe("a port that is taken", function()
  it("is an error event with Node's code, message and fields", function()
    local port = taken_port()
    local result = helper.run([[
local server = require("http").createServer()
server:on("error", function(err)
  print(err.code, err.message, err.syscall, err.address, err.port, tostring(err), server.listening)
end)
server:on("listening", function() print("listening") end)
server:listen(]] .. port .. [[, "127.0.0.1")
print("returned")
]])
    local message = "listen EADDRINUSE: address already in use 127.0.0.1:" .. port
    assert.equal("returned\n" .. table.concat({ "EADDRINUSE", message, "listen", "127.0.0.1", port, message,
      "false" }, "\t") .. "\n", result.out)
    assert.equal(0, result.code)
  end)

  it("is named as in Node where all interfaces were meant", function()
    local server = helper.serve(LISTEN:format("0, " .. ANNOUNCE))
    local result = helper.run("require('http').createServer():on('error', function(err) print(err) end):listen("
      .. server.port .. ")")
    assert.equal("listen EADDRINUSE: address already in use :::" .. server.port .. "\n", result.out)
  end)

  it("ends the process with 3 and says what to do, without a listener", function()
    local port = taken_port()
    local result = helper.run(LISTEN:format(port .. ", '127.0.0.1'"))
    assert.equal(3, result.code)
    assert.matches("^luaserve: listen EADDRINUSE: address already in use 127%.0%.0%.1:" .. port .. "; [^\n]*ss %-ltnp",
      result.err)
    assert.equal(1, select(2, result.err:gsub("\n", "")))
  end)

  it("may be tried again when it is free", function()
    local first = helper.serve_handler("res:finish('first')")
    local server = helper.serve([[
local server = require("http").createServer(function(req, res) res:finish("second") end)
server:on("error", function(err)
  print(err.code)
  setTimeout(function() server:listen(]] .. first.port .. [[, "127.0.0.1") end, 20)
end)
server:on("listening", function() print("port " .. server:address().port) end)
server:listen(]] .. first.port .. [[, "127.0.0.1")
]], { ready = "EADDRINUSE" })
    first:stop()
    server:wait_output("port %d+")
    assert.equal("second", ask(server, "/", first.port).body)
  end)

  it("is an error for the path of a Unix socket, too", function()
    local path = helper.tmpdir() .. "/app.sock"
    helper.serve([[
local server = require("http").createServer(function(req, res) res:finish() end)
server:listen("]] .. path .. [[", function() print("listening on unix:" .. server:address()) end)
]])
    local result = helper.run("require('http').createServer():listen('" .. path .. "')")
    assert.equal(3, result.code)
    assert.matches("EADDRINUSE: address already in use " .. path, result.err, 1, true)
  end)

  it("is told from other failures", function()
    local result = helper.run("require('http').createServer():on('error', function(err) print(err.code, err) end)"
      .. ":listen(0, '192.0.2.1')")
    assert.equal("EADDRNOTAVAIL\tlisten EADDRNOTAVAIL: address not available 192.0.2.1:0\n", result.out)
    result = helper.run("require('http').createServer():on('error', function(err) print(err.code, err.syscall) end)"
      .. ":listen(0, 'no-such-host.invalid')", { timeout = 30 })
    assert.equal("ENOTFOUND\tgetaddrinfo\n", result.out)
  end)
end)

describe("the count of connections", function()
  it("is a result and comes to a callback", function()
    local server = helper.serve_handler([[
      server:getConnections(function(err, count)
        res:finish(tostring(err) .. " " .. count .. " " .. server:getConnections())
      end)]])
    local other = helper.connect(server)
    other:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("nil 1 1", other:read_response().body)
    assert.equal("nil 2 2", helper.get(server, "/").body)
  end)
end)

describe("the limits of a server", function()
  it("have Node's names, in milliseconds, and the defaults of the contract", function()
    assert.equal("75000 20000 300000 60000 60000 100 32768 8192 16384 1048576 500 0 0\n", printed([[
local s = require("http").createServer()
print(table.concat({s.keepAliveTimeout, s.headersTimeout, s.requestTimeout, s.handlerTimeout, s.writeTimeout,
  s.maxHeadersCount, s.maxHeaderSize, s.maxRequestLineSize, s.maxTrailerSize, s.maxBodySize, s.minBodyRate,
  s.maxRequestsPerSocket, s.maxConnections}, " "))
]]))
  end)

  it("can be set, and begin with those of the command line", function()
    assert.equal("1500 2000 7\n", printed([[
local s = require("http").createServer({requestTimeout = 1500})
s.maxBodySize = 7
print(s.requestTimeout, s.headersTimeout, s.maxBodySize)
]], { args = { "--headers-timeout", "2", "--request-timeout", "3" } }):gsub("\t", " "))
  end)

  it("must be numbers, as the caller's line is told", function()
    for _, value in ipairs({ "'5000'", "-1", "nil", "0/0", "{}" }) do
      local result = helper.run("local s = require('http').createServer()\ns.keepAliveTimeout = " .. value .. "\n")
      assert.equal(1, result.code)
      assert.matches("app%.lua:2: keepAliveTimeout must be a number", result.err)
    end
    local result = helper.run("local http = require('http')\nhttp.createServer({maxHeaderSize = 1})\n")
    assert.matches("app%.lua:2: maxHeaderSize must be a number from 64", result.err)
  end)

  it("do not stand in the way of fields of the script's own", function()
    assert.equal("mine\n", printed("local s = require('http').createServer() s.name = 'mine' print(s.name)"))
  end)

  it("leave a server that nobody uses to the collector", function()
    assert.equal("true\n", printed([[
local http, core = require("http"), require("luaserve.core")
local weak = setmetatable({}, {__mode = "k"})
local before = core.counts().slots
for i = 1, 50 do
  local server = http.createServer(function() end)
  server.maxBodySize = i
  server:on("upgrade", function() end)
  weak[server] = true
end
collectgarbage() collectgarbage()
print(next(weak) == nil and core.counts().slots == before)
]]))
  end)
end)
