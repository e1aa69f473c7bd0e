-- The cluster module in scripts that fork: events and their order, messages, settings, listening together.
local helper = require("spec.helper")

-- Runs a script whose primary part and worker part are given; `log` prints.
local function cluster(primary, worker, opts)
  return helper.serve(([[
    local cluster, http, json = require "cluster", require "http", require "json"
    local function serve(server)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    end
    if cluster.isPrimary then %s else %s end
  ]]):format(primary, worker), opts)
end

local ECHO = [[
  serve(http.createServer(function(req, res)
    if req.url == "/throw" then setTimeout(function() process.exit(1) end, 0) end
    return tostring(process.pid)
  end))
]]

local function pids_of(server, n)
  local pids, count = {}, 0
  helper.wait_for(function()
    local pid = helper.get(server, "/").body
    if not pids[pid] then
      pids[pid] = true
      count = count + 1
    end
    return count == n
  end, n .. " workers to answer")
  return pids
end

describe("cluster", function()
  it("tells of a worker's life in Node's order, with Node's arguments", function()
    local server = cluster([[
      for _, event in ipairs { "fork", "online", "listening", "message", "disconnect", "exit" } do
        cluster.on(event, function(worker, a, b)
          if type(a) == "table" then a = a.address .. " " .. a.addressType .. " " .. tostring(a.port > 0) end
          print("cluster", event, worker.id, a, b, worker.exitedAfterDisconnect)
        end)
      end
      local worker = cluster.fork()
      print("forked", worker.id, worker.process.pid > 0, cluster.workers[1] == worker, worker:isDead(), worker:isConnected())
      for _, event in ipairs { "online", "listening", "message", "disconnect", "exit" } do
        worker:on(event, function() print("worker", event) end)
      end
      cluster.on("exit", function(w) print("gone", cluster.workers[1] == nil, w:isDead(), w:isConnected(), w.process.exitCode) end)
    ]], [[
      local server = http.createServer(function() end)
      server:listen(0, "127.0.0.1", function()
        process.send("up")
        print("port " .. server:address().port)
        process.exit(1)
      end)
    ]])
    assert.equal(0, (server:wait_exit()))
    local seen = server:stdout():gsub("port %d+\n", "")
    assert.equal(table.concat({
      "forked\t1\ttrue\ttrue\tfalse\ttrue",
      "cluster\tfork\t1\tnil\tnil\tnil",
      "worker\tonline", "cluster\tonline\t1\tnil\tnil\tnil",
      "worker\tlistening", "cluster\tlistening\t1\t127.0.0.1 4 true\tnil\tnil",
      "cluster\tmessage\t1\tup\tnil\tnil", "worker\tmessage",
      "worker\tdisconnect", "cluster\tdisconnect\t1\tnil\tnil\tnil",
      "worker\texit", "cluster\texit\t1\t1\tnil\tfalse",
      "gone\ttrue\ttrue\tfalse\t1", "" }, "\n"), seen)
  end)

  it("says by which signal a worker was ended", function()
    local server = cluster([[
      cluster.on("exit", function(worker, code, signal) print("exit", code, signal, worker.process.signalCode) end)
      cluster.fork():on("listening", function(a) cluster.workers[1]:kill("SIGKILL") end)
    ]], ECHO, { ready = "exit" })
    assert.equal(0, (server:wait_exit()))
    assert.matches("exit\tnil\tSIGKILL\tSIGKILL", server:stdout())
  end)

  it("has the same port 0 for all workers, and shares connections out", function()
    local server = cluster("cluster.fork() cluster.fork() cluster.fork()", ECHO, { ports = 3 })
    assert.equal(server.ports[1], server.ports[2])
    assert.equal(server.ports[1], server.ports[3])
    pids_of(server, 3)
  end)

  it("shares a Unix socket, and removes its file at the end", function()
    local path = helper.tmpdir() .. "/app.sock"
    local server = cluster("cluster.fork() cluster.fork()", ([[
      http.createServer(function() return tostring(process.pid) end):listen(%q, function() print("up " .. process.pid) end)
    ]]):format(path), { ready = "up %d+\nup %d+\n" })
    server.unix = path
    for _ = 1, 10 do assert.matches("^%d+$", helper.get(server, "/").body) end
    assert.equal(0, (server:stop()))
    assert.is_nil(io.open(path))
  end)

  it("finds out in the worker that another program has the port", function()
    local other = helper.serve_handler("return 'other'")
    local server = cluster([[
      cluster.on("exit", function(_, code) print("exit", code) end) cluster.fork() cluster.fork()
    ]], ([[
      local server = http.createServer(function() end)
      server:on("error", function(err) print(err.code, err.message, err.port) process.exit(7) end)
      server:listen(%d, "127.0.0.1")
    ]]):format(other.port), { ready = "exit\t7\n.*exit\t7\n" })
    assert.matches(("EADDRINUSE\tlisten EADDRINUSE: address already in use 127.0.0.1:%d\t%d"):format(other.port,
      other.port), server:stdout())
  end)

  it("gives up a port when the last worker has closed its server, and not before", function()
    local server = cluster([[
      local workers = { cluster.fork(), cluster.fork() }
      process.on("SIGUSR2", function() table.remove(workers):send("close") end)
    ]], [[
      local server = http.createServer(function() return "served" end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
      process.on("message", function() server:close(function() print("closed") end) end)
    ]], { ports = 2 })
    server:kill("SIGUSR2")
    server:wait_output("closed")
    for _ = 1, 30 do assert.equal("served", helper.get(server, "/").body) end
    server:kill("SIGUSR2")
    server:wait_output("closed\nclosed")
    helper.wait_for(function() return helper.connect(server, { try = true }) == nil end, "the port to be free")
  end)

  it("lends the place of a dead worker to a sibling where the script never forks again", function()
    local server = cluster([[
      cluster.fork() cluster.fork()
      cluster.on("exit", function(worker) print("lost " .. worker.process.pid) end)
    ]], ECHO, { ports = 2 })
    local pid = next(pids_of(server, 2))
    os.execute("kill -KILL " .. pid)
    server:wait_output("lost " .. pid)
    local conns = {}
    for i = 1, 40 do
      conns[i] = helper.connect(server)
      conns[i]:send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    end
    for i = 1, 40 do
      local response = conns[i]:read_response()
      assert.equal(200, response.status)
      assert.not_equal(pid, response.body)
    end
  end)

  it("never becomes a fork bomb where exit forks again", function()
    local server = cluster([[
      local n = 0
      cluster.on("exit", function() n = n + 1 cluster.fork() end)
      cluster.fork() cluster.fork()
      setTimeout(function() print("count " .. n) process.exit(0) end, 2000)
    ]], "error('at once')", { ready = "count %d+" })
    assert.is_true(tonumber(server:stdout():match("count (%d+)")) <= 14)
  end)

  it("raises in a worker what only a primary can do, and explains wrong settings", function()
    local server = cluster([[
      print(cluster.isPrimary, cluster.isMaster, cluster.isWorker, cluster.worker, process.send)
      print(select(2, pcall(cluster.fork, "x")))
      print(select(2, pcall(cluster.setupPrimary, { silent = true })))
      print(select(2, pcall(cluster.setupPrimary, { args = "x" })))
      cluster.fork()
    ]], [[
      print(cluster.isPrimary, cluster.isMaster, cluster.isWorker, cluster.worker.id, cluster.workers)
      print(select(2, pcall(cluster.fork)))
      print("done")
      cluster.worker:disconnect()
    ]], { ready = "done" })
    assert.equal(0, (server:wait_exit()))
    local out = server:stdout()
    assert.matches("^true\ttrue\tfalse\tnil\tnil\n", out)
    assert.matches("fork needs a table of environment variables", out)
    assert.matches("setupPrimary has no setting 'silent'", out)
    assert.matches("the setting args must be a table, not string", out)
    assert.matches("\nfalse\tfalse\ttrue\t1\tnil\n.*cluster.fork is for the primary: this process is a worker", out)
  end)
end)

describe("a worker's messages", function()
  it("are any JSON value, both ways, also large ones", function()
    local server = cluster([[
      local worker = cluster.fork()
      local values = { false, 0, "text", { a = { 1, 2, { b = "ä\n" } } }, json.array {}, json.null, ("x"):rep(5 * 1024 * 1024) }
      local n = 0
      cluster.on("message", function(_, back)
        n = n + 1
        assert(json.encode(back) == json.encode(values[n]), n)
        if n == #values then print("all the same") worker:disconnect() end
      end)
      for _, value in ipairs(values) do worker:send(value) end
    ]], "process.on('message', function(value) process.send(value) end)", { ready = "all the same" })
    assert.equal(0, (server:wait_exit()))
    assert.equal("", server:stderr())
  end)

  it("stay in order, and make the sender wait where the other end is slow", function()
    local server = cluster([[
      local worker = cluster.fork()
      cluster.on("message", function(_, value) print("received " .. value) worker:disconnect() end)
      local text = ("x"):rep(100 * 1024)
      for i = 1, 300 do assert(worker:send { i = i, text = text }) end
      print("sent", process.memoryUsage().rss < 200 * 1024 * 1024)
    ]], [[
      local last = 0
      process.on("message", function(value)
        assert(value.i == last + 1)
        last = value.i
        if last == 1 then local till = process.uptime() + 0.3 while process.uptime() < till do end end
        if last == 300 then process.send(last) end
      end)
    ]], { ready = "received 300" })
    assert.equal(0, (server:wait_exit()))
    assert.matches("sent\ttrue", server:stdout())
  end)

  it("wait for the script that listens to them later", function()
    local server = cluster("cluster.fork():send('early')", [[
      require("timers").sleep(100)
      process.on("message", function(value) print("got " .. value) cluster.worker:disconnect() end)
    ]], { ready = "got early" })
    assert.equal(0, (server:wait_exit()))
  end)

  it("are refused by name where they cannot be said, or nobody hears them", function()
    local server = cluster([[
      local worker = cluster.fork()
      print(select(2, pcall(worker.send, worker, print)))
      print(select(2, pcall(worker.send, worker)))
      worker:on("exit", function()
        print(worker:send("x"))
        worker:send("x", function(err) print("late", err.code) end)
      end)
    ]], "process.exit(0)", { ready = "late" })
    local out = server:stdout()
    assert.matches("function", out)
    assert.matches("send needs a value", out)
    assert.matches("nil\tthe channel is closed\tERR_IPC_CHANNEL_CLOSED", out)
    assert.matches("late\tERR_IPC_CHANNEL_CLOSED", out)
  end)
end)

describe("a worker's start", function()
  it("adds to the environment, and leaves the primary's alone", function()
    local server = cluster("process.env.B = 'changed' cluster.fork { A = 1, B = nil }",
      "print(process.env.A, process.env.B, process.env.C, process.env.LUASERVE_WORKER) print('done') process.exit(0)",
      { env = { B = "b", C = "c" }, ready = "done" })
    assert.matches("^1\tchanged\tc\tnil\n", server:stdout())
  end)

  it("has the same script and arguments, or those of setupPrimary", function()
    local server = cluster([[
      cluster.on("setup", function(settings) print("setup", settings.args[1]) end)
      cluster.fork()
      cluster.setupPrimary { exec = "other.lua", args = { "x", 2 } }
      cluster.fork()
    ]], "print('same', process.argv[2], ...) process.exit(0)", { script_args = { "one", "two" },
      files = { ["other.lua"] = "print('other', process.argv[2], ...) process.exit(0)" }, ready = "other" })
    assert.equal(0, (server:wait_exit()))
    assert.matches("setup\tone\n", server:stdout())
    assert.matches("setup\tx\n", server:stdout())
    assert.matches("same\t/%S+/app.lua\tone\ttwo\n", server:stdout())
    assert.matches("other\t/%S+/other.lua\tx\t2\n", server:stdout())
  end)

  it("passes -e and standard input on", function()
    local code = "local c = require 'cluster' if c.isPrimary then c.fork() else print('worker', ...) os.exit() end"
    local run = helper.run(nil, { args = { "-e", code, "a" } })
    assert.equal("worker\ta\n", run.out)
    run = helper.run(nil, { args = { "-", "b" }, stdin = code })
    assert.equal("worker\tb\n", run.out)
    assert.equal(0, run.code)
  end)

  it("leaves a worker no file that the script has open", function()
    local server = cluster("HELD = io.open('held.txt', 'w') cluster.fork()", [[
      local p = io.popen("ls -l /proc/" .. process.pid .. "/fd")
      print(p:read("*a"):find("held.txt", 1, true) and "leaked" or "clean")
      process.exit(0)
    ]], { ready = "clean" })
    assert.equal(0, (server:wait_exit()))
  end)
end)

describe("a worker's end", function()
  it("lets requests be answered where the primary disconnects it", function()
    local server = cluster([[
      local worker = cluster.fork()
      process.on("SIGUSR2", function() worker:disconnect() end)
      cluster.on("exit", function(w, code) print("exit", code, w.exitedAfterDisconnect) end)
    ]], [[
      serve(http.createServer(function(req, res)
        print("at work")
        require("timers").sleep(300)
        return "answered"
      end))
    ]])
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("at work")
    server:kill("SIGUSR2")
    assert.equal("answered", conn:read_response().body)
    assert.equal(0, (server:wait_exit()))
    assert.matches("exit\t0\ttrue", server:stdout())
  end)

  it("calls back when cluster.disconnect has ended all of them", function()
    local server = cluster([[
      cluster.fork() cluster.fork()
      local n = 0
      cluster.on("listening", function()
        n = n + 1
        if n == 2 then cluster.disconnect(function() print("all gone", next(cluster.workers)) end) end
      end)
    ]], ECHO)
    assert.equal(0, (server:wait_exit()))
    assert.matches("all gone\tnil", server:stdout())
  end)

  it("follows when the primary dies, after the requests at work", function()
    local server = cluster("cluster.fork() cluster.fork()", [[
      serve(http.createServer(function(req, res)
        print("at work")
        require("timers").sleep(300)
        return tostring(process.pid)
      end))
    ]], { ports = 2 })
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("at work")
    server:kill("SIGKILL")
    local pid = conn:read_response().body
    helper.wait_for(function() return not io.open("/proc/" .. pid .. "/stat") end, "the worker to end")
    assert.is_nil(helper.connect(server, { try = true }))
  end)
end)
