-- Under a service manager: what it is told, and sockets that it has bound.
local helper = require("spec.helper")
local unix = require("socket.unix")

local APP = "return function() return 'pid ' .. process.pid end"
local BINARY = os.getenv("LUASERVE_BIN") or "build/luaserve"

-- The manager's socket; the function returned receives the next message but "WATCHDOG=1".
local function manager()
  local path = helper.tmpdir() .. "/notify"
  local socket = assert(unix.dgram())
  assert(socket:bind(path))
  socket:settimeout(helper.seconds(5))
  helper.defer(function() socket:close() end)
  return path, function(watchdog)
    repeat
      local text, message = socket:receive()
      assert(text, message)
      if (text == "WATCHDOG=1") == (watchdog or false) then return text end
    until false
  end
end

-- Binds a free port of 127.0.0.1, prints it, and becomes luaserve with that as descriptor 3.
local ACTIVATE = [[
  use Socket; $^F = 9;
  socket(S, PF_INET, SOCK_STREAM, 0) and bind(S, sockaddr_in(0, INADDR_LOOPBACK)) and listen(S, 100) or die $!;
  $| = 1; print "port ", (sockaddr_in(getsockname(S)))[0], "\n";
  $ENV{PORTS} = (sockaddr_in(getsockname(S)))[0];
  fileno(S) == 3 or die "not 3";
  $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_PID} = $$ + $ENV{OFF};
  exec @ARGV;
]]

local function activate(code, args, off)
  local dir = helper.tmpdir()
  local script = helper.write_file(dir .. "/app.lua", code)
  if BINARY:sub(1, 1) ~= "/" then BINARY = io.popen("pwd"):read("l") .. "/" .. BINARY end
  local argv = { "-e", ACTIVATE, "--", BINARY }
  for _, word in ipairs(args or {}) do table.insert(argv, word) end
  table.insert(argv, script)
  return helper.serve(nil, { program = "/usr/bin/perl", args = argv, env = { OFF = off or 0 }, ready = "listening on" })
end

describe("a service manager", function()
  it("is told that one process is ready, alive and stopping", function()
    local path, receive = manager()
    local server = helper.serve(APP, { listen = true, env = { NOTIFY_SOCKET = path, WATCHDOG_USEC = "200000" } })
    assert.equal("READY=1", receive())
    for _ = 1, 3 do receive(true) end
    server:kill("SIGTERM")
    assert.equal("STOPPING=1", receive())
    assert.equal(0, (server:wait_exit()))
  end)

  it("is told when all workers are ready, and of reloads", function()
    local path, receive = manager()
    local server = helper.serve(APP, { listen = true, args = { "-w", "2" }, env = { NOTIFY_SOCKET = path } })
    assert.equal("READY=1", receive())
    server:kill("SIGHUP")
    assert.matches("^RELOADING=1\nMONOTONIC_USEC=%d+$", receive())
    assert.equal("READY=1", receive())
    assert.equal(0, (server:stop()))
    assert.equal("STOPPING=1", receive())
  end)

  it("is told once where a script has forked", function()
    local path, receive = manager()
    local server = helper.serve([[
      local cluster, http = require "cluster", require "http"
      if cluster.isPrimary then
        cluster.fork() cluster.fork()
      else
        local server = http.createServer(print)
        server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
      end
    ]], { ports = 2, env = { NOTIFY_SOCKET = path } })
    assert.equal("READY=1", receive())
    assert.equal(0, (server:stop()))
    assert.equal("STOPPING=1", receive())
  end)

  it("keeps its variables from scripts and their programs", function()
    local path = manager()
    local run = helper.run([[
      print(process.env.NOTIFY_SOCKET, process.env.WATCHDOG_USEC, io.popen('env'):read('*a'):find('NOTIFY'))
    ]], { env = { NOTIFY_SOCKET = path, WATCHDOG_USEC = "100000" } })
    assert.equal("nil\tnil\tnil\n", run.out)
  end)
end)

describe("sockets of a service manager", function()
  for what, args in pairs({ ["one process"] = {}, ["workers"] = { "-w", "2" } }) do
    it("are what " .. what .. " serves an app on, where there is no --listen", function()
      local server = activate(APP, args)
      assert.matches("listening on http://127.0.0.1:" .. server.ports[1], server:stdout())
      for _ = 1, 5 do assert.matches("^pid %d+$", helper.get(server, "/").body) end
      assert.equal(0, (server:stop()))
    end)

    it("are found by their address in " .. what, function()
      local server = activate([[
        require("http").createServer(function() return "served" end):listen(tonumber(process.env.PORTS), "127.0.0.1",
          function() print("listening on x") end)
      ]], args)
      assert.equal("served", helper.get(server, "/").body)
    end)

    it("are found by their descriptor in " .. what, function()
      local server = activate([[
        local http = require "http"
        http.createServer(function() return "served" end):listen({ fd = 3 }, function() print("listening on x") end)
        http.createServer(print):listen({ fd = 9 }):on("error", function(err) print(err.code, err.message) end)
      ]], args)
      assert.equal("served", helper.get(server, "/").body)
      server:wait_output("EBADF\tlisten EBADF: descriptor 9 is none that was passed %(LISTEN_FDS%)")
    end)
  end

  it("are not for a process that they were not passed to", function()
    local server = activate([[
      local server = require("http").createServer(print):listen({ fd = 3 })
      server:on("error", function(err) print("listening on " .. err.code) end)
    ]], {}, 1)
    assert.matches("listening on EBADF", server:stdout())
  end)
end)

describe("the files of examples/deploy", function()
  -- The options of a command line, with what a manager would fill in.
  local function options_of(text)
    local words, dir = {}, helper.tmpdir()
    for word in text:gsub("\\\n", " "):gsub("%${[%w_]+}", dir):gsub('[",%[%]]', " "):gmatch("%S+") do
      table.insert(words, word)
    end
    table.remove(words, 1)
    if words[#words]:find("%.lua$") then table.remove(words) end
    return words
  end

  for file, pattern in pairs({
    ["luaserve.service"] = "\nExecStart=(.-[^\\])\n",
    Containerfile = "\nENTRYPOINT (.-)\n",
  }) do
    it("start luaserve with options that it has: " .. file, function()
      local words = options_of(helper.read_file("examples/deploy/" .. file):match(pattern))
      assert.is_true(#words >= 4)
      table.insert(words, 1, "--check")
      local run = helper.run(APP, { args = words })
      assert.same({ 0, "" }, { run.code, run.err })
    end)
  end
end)
