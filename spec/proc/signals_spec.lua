-- What signals do to one process: the drain, a script's own listeners, logs that
-- are opened anew.
local helper = require("spec.helper")

-- /now answers at once; /work answers once POST /go, or SIGUSR2, has arrived.
local APP = [[
  local http = require("http")
  local waiting = {}
  local function go()
    for _, answer in ipairs(waiting) do answer() end
    waiting = {}
  end
  process.on("SIGUSR2", go)
  local server = http.createServer(function(req, res)
    if req.url == "/work" then
      waiting[#waiting + 1] = function() res:finish("worked") end
      print("at work")
      return
    end
    if req.url == "/go" then go() end
    res:finish("now")
  end)
  server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]

local function refuses(server)
  return helper.connect(server, { try = true }) == nil
end

-- A connection whose request the server has begun to serve.
local function at_work(server)
  local conn = helper.connect(server)
  conn:send("GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
  server:wait_output("at work")
  return conn
end

for _, signal in ipairs({ "SIGTERM", "SIGINT" }) do
  describe(signal, function()
    it("ends an idle server with code 0", function()
      local server = helper.serve(APP)
      server:kill(signal)
      assert.equal(0, (server:wait_exit()))
      assert.equal("", server:stderr())
    end)

    it("lets a request at work be answered, and refuses new connections", function()
      local server = helper.serve(APP)
      local conn = at_work(server)
      server:kill(signal)
      helper.wait_for(function() return refuses(server) end, "the server to stop accepting")
      assert.is_true(server:alive())
      server:kill("SIGUSR2")
      local response = conn:read_response()
      assert.equal("worked", response.body)
      assert.equal("close", response.headers.connection)
      assert.is_true(conn:closed())
      assert.equal(0, (server:wait_exit()))
    end)

    it("closes idle connections", function()
      local server = helper.serve(APP)
      local idle, fresh = helper.connect(server), helper.connect(server)
      idle:send("GET /now HTTP/1.1\r\nHost: x\r\n\r\n")
      assert.equal("now", idle:read_response().body)
      local conn = at_work(server)
      server:kill(signal)
      assert.is_true(idle:closed())
      assert.is_true(fresh:closed())
      server:kill("SIGUSR2")
      assert.equal("worked", conn:read_response().body)
      assert.equal(0, (server:wait_exit()))
    end)

    it("ends at once when it comes again", function()
      local server = helper.serve(APP)
      local conn = at_work(server)
      server:kill(signal)
      helper.wait_for(function() return refuses(server) end, "the server to stop accepting")
      server:kill(signal)
      assert.equal(signal == "SIGTERM" and 143 or 130, (server:wait_exit()))
      assert.is_true(conn:closed())
    end)

    it("calls a script's own listener instead", function()
      local server = helper.serve(APP .. ([[
        local count = 0
        process.on("%s", function(name, number)
          count = count + 1
          print("got", name, number, count)
          if count == 2 then server:close() end
        end)
      ]]):format(signal))
      server:kill(signal)
      server:wait_output("got\t" .. signal .. "\t%d+\t1\n")
      assert.equal("now", helper.get(server, "/now").body)
      server:kill(signal)
      server:wait_output("got\t" .. signal .. "\t%d+\t2\n")
      assert.equal(0, (server:wait_exit()))
    end)
  end)
end

describe("the drain", function()
  it("ends after --drain-timeout, and says so", function()
    local server = helper.serve(APP, { args = { "--drain-timeout", "0.1" } })
    local conn = at_work(server)
    server:kill("SIGTERM")
    assert.equal(0, (server:wait_exit()))
    assert.is_true(conn:closed())
    assert.matches("warn: [^\n]*%-%-drain%-timeout", server:stderr())
  end)

  it("ends handlers that are still waiting then", function()
    local server = helper.serve_handler("print('at work') require('timers').sleep(60000)",
      { args = { "--drain-timeout", "0.1" } })
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("at work")
    server:kill("SIGTERM")
    assert.equal(0, (server:wait_exit()))
    assert.is_true(conn:closed())
  end)

  it("waits for files that are being written, but not forever", function()
    local folder = helper.tmpdir()
    assert(os.execute("mkfifo " .. folder .. "/fifo"))
    local body = "require('fs').readFile('" .. folder .. "/fifo', function(err, text) print('read ' .. text) end) "
      .. "res:finish('now')"
    local server = helper.serve_handler(body)
    helper.get(server, "/")
    server:kill("SIGTERM")
    helper.wait_for(function() return refuses(server) end, "the server to stop accepting")
    helper.write_file(folder .. "/fifo", "in time")
    assert.equal(0, (server:wait_exit()))
    assert.matches("read in time\n$", server:stdout())
    server = helper.serve_handler(body, { args = { "--drain-timeout", "0.1" } })
    helper.get(server, "/")
    server:kill("SIGTERM")
    assert.equal(0, (server:wait_exit()))
    assert.matches("%-%-drain%-timeout", server:stderr())
  end)

  it("lets the rest of a body arrive", function()
    local server = helper.serve_handler("print('reading') res:finish(req:text())")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
    server:wait_output("reading")
    server:kill("SIGTERM")
    helper.wait_for(function() return refuses(server) end, "the server to stop accepting")
    conn:send("world")
    assert.equal("helloworld", conn:read_response().body)
    assert.equal(0, (server:wait_exit()))
  end)

  it("lets an answer be sent to its end", function()
    local server = helper.serve_handler([[
      for i = 1, 64 do res:write(("x"):rep(65536)) end
      res:finish()
      print("written")]])
    local conn = helper.connect(server, { rcvbuf = 4096 })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    local head = conn:read(1)
    server:kill("SIGTERM")
    helper.wait_for(function() return refuses(server) end, "the server to stop accepting")
    conn.buffer = head .. conn.buffer
    assert.equal(64 * 65536, #conn:read_response().body)
    assert.equal(0, (server:wait_exit()))
  end)

  it("does not wait for timers", function()
    local server = helper.serve(APP .. " setInterval(function() end, 60000)")
    assert.equal(0, (server:stop()))
  end)

  it("emits exit at the process", function()
    local server = helper.serve(APP .. "process.on('exit', function(code) print('exit', code) end)")
    server:stop()
    assert.matches("\nexit\t0\n$", server:stdout())
  end)

  it("ends a script that is still waiting at its top level", function()
    local server = helper.serve("print('up') require('timers').sleep(60000)", { ready = "up" })
    assert.equal(0, (server:stop()))
  end)
end)

describe("log rotation", function()
  local function rotate(server, file, signal, logged)
    assert(os.rename(file, file .. ".1"))
    server:kill(signal)
    helper.wait_for(function() return helper.read_file(file) end, "a new log")
    logged()
    return helper.read_file(file .. ".1")
  end

  for _, signal in ipairs({ "SIGHUP", "SIGUSR1" }) do
    it("happens at " .. signal .. ", for both logs, without a line lost", function()
      local folder = helper.tmpdir()
      local access, log = folder .. "/access.log", folder .. "/server.log"
      local server = helper.serve(APP .. " process.on('SIGUSR2', function() console.log('logged') end)",
        { args = { "--access-log", access, "--log", log } })
      local function act()
        helper.get(server, "/now")
        server:kill("SIGUSR2")
        helper.wait_for(function()
          return (helper.read_file(access) or ""):find("GET /now") and (helper.read_file(log) or ""):find("logged")
        end, "lines in both logs")
      end
      act()
      assert(os.rename(log, log .. ".1"))
      local old = rotate(server, access, signal, act)
      local _, count = (old .. helper.read_file(access)):gsub("GET /now", "")
      assert.equal(2, count)
      assert.matches("^%S+ info: logged\n$", helper.read_file(log .. ".1"))
      assert.matches("^%S+ info: logged\n$", helper.read_file(log))
      assert.equal(0, (server:stop()))
    end)
  end

  it("keeps the old log where the new one cannot be made", function()
    local folder = helper.tmpdir()
    local access = folder .. "/logs/access.log"
    os.execute("mkdir " .. folder .. "/logs")
    local server = helper.serve(APP, { args = { "--access-log", access } })
    os.execute("mv " .. folder .. "/logs " .. folder .. "/old")
    server:kill("SIGUSR1")
    server:wait_output("cannot reopen the access log: No such file or directory")
    helper.get(server, "/now")
    helper.wait_for(function()
      return helper.read_file(folder .. "/old/access.log"):find("GET /now")
    end, "a line in the old log")
  end)
end)

describe("SIGHUP", function()
  it("is nothing to a server without logs", function()
    local server = helper.serve(APP)
    server:kill("SIGHUP")
    server:kill("SIGUSR1")
    assert.equal("now", helper.get(server, "/now").body)
    assert.equal(0, (server:stop()))
  end)
end)

describe("SIGPIPE", function()
  it("does not end the process", function()
    local server = helper.serve(APP)
    server:kill("SIGPIPE")
    assert.equal("now", helper.get(server, "/now").body)
  end)
end)
