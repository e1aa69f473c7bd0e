-- The module process, and the global of that name.

local helper = require("spec.helper")

local function run(code, opts)
  local result = helper.run(code, opts)
  assert.equal("", result.err)
  return result.out, result.code
end

-- A process that has printed "ready" and runs until it is told to end.
local function start(code, opts)
  opts = opts or {}
  opts.ready = "ready"
  return helper.serve(code .. "\nsetInterval(function() end, 1000) print('ready')", opts)
end

describe("process", function()
  it("is a global, and a module", function()
    assert.equal("true\n", run([[print(process == require("process"))]]))
  end)

  it("knows who it is", function()
    local out = run([[
      print(process.pid == tonumber(require("fs").readlinkSync("/proc/self")))
      print(process.pid, process.ppid, process.platform, process.version, process.versions.luaserve)
      print(process.title, #process.arch > 0, process.execPath, process.argv0)
      print(type(process.versions.lua), type(process.versions.openssl), type(process.versions.libev))
    ]])
    assert.matches("^true\n%d+\t%d+\tlinux\tv(%d+%.%d+%.%d+)\t%1\n", out)
    assert.matches("\nluaserve\ttrue\t/[^\n]*luaserve\tluaserve\nstring\tstring\tstring\n$", out)
  end)

  it("has the script and its arguments in argv", function()
    local result = helper.run([[print(#process.argv, table.concat(process.argv, "|"))]],
      { script_args = { "a b", "-x" } })
    assert.equal("4\tluaserve|" .. result.script .. "|a b|-x\n", result.out)
    assert.equal("luaserve|-e|x\n", run(nil, { args = { "-e", "print(table.concat(process.argv, '|'))", "x" } }))
  end)

  it("has the environment as a plain table, which can be changed", function()
    assert.equal("some text = yes\ntrue\nnil\tnew\n", run([[
      print(process.env.SOME)
      local found = false
      for name, value in pairs(process.env) do
        found = found or name == "SOME" and value == "some text = yes"
      end
      print(found)
      process.env.SOME, process.env.OTHER = nil, "new"
      print(process.env.SOME, process.env.OTHER)
      require("json").encode(process.env)
    ]], { env = { SOME = "some text = yes" } }))
  end)

  it("changes and tells its directory", function()
    local dir = helper.tmpdir()
    assert.equal(("true\t%s\nnil\tENOENT: no such file or directory, chdir '/no'\tENOENT\n"):format(dir), run(([[
      print(process.chdir(%q), process.cwd())
      print(process.chdir("/no"))
    ]]):format(dir)))
  end)

  it("changes and tells its umask", function()
    assert.equal("true\n2\n", run([[
      local before = process.umask()
      print(process.umask(2) == before)
      print(process.umask())
    ]]))
  end)

  it("tells its user and group", function()
    assert.equal("true\ttrue\ttrue\ttrue\n", run([[
      local function id(option) return tonumber(io.popen("id " .. option):read("*a")) end
      print(process.getuid() == id("-ru"), process.geteuid() == id("-u"), process.getgid() == id("-rg"),
        process.getegid() == id("-g"))
    ]]))
  end)

  it("has its title in the kernel's list", function()
    assert.equal("shop worker of today\tshop worker of \n", run([[
      process.title = "shop worker of today"
      print(process.title, (require("fs").readFileSync("/proc/self/comm"):gsub("\n", "")))
    ]]))
  end)
end)

describe("its measures", function()
  it("are whole numbers of bytes and microseconds", function()
    local out = run([[
      local memory, cpu = process.memoryUsage(), process.cpuUsage()
      for _, n in ipairs { memory.rss, memory.heapTotal, memory.heapUsed, memory.external, cpu.user, cpu.system } do
        print(n)
      end
    ]])
    local n = 0
    for line in out:gmatch("([^\n]*)\n") do
      n = n + 1
      assert.matches("^%d+$", line)
      assert.is_true(tonumber(line) > 0 or n > 3, line)
    end
    assert.equal(6, n)
  end)

  it("grow with what is used", function()
    assert.equal("true\ttrue\n", run([[
      local memory, cpu = process.memoryUsage(), process.cpuUsage()
      local text = ("x"):rep(10000000)
      local more = process.memoryUsage()
      for _ = 1, 1000000 do text = text:sub(1, 10) end
      local used = process.cpuUsage(cpu)
      print(more.heapUsed - memory.heapUsed >= 8000000, used.user + used.system > 0)
    ]]))
  end)

  it("hrtime gives seconds and nanoseconds, also since an earlier time", function()
    local out = run([[
      local earlier = process.hrtime()
      require("timers").sleep(5)
      local passed = process.hrtime(earlier)
      print(#earlier, #passed, passed[1], passed[2] >= 4000000 and passed[2] < 1000000000)
      local a, b = process.hrtime.bigint(), process.hrtime.bigint()
      print(b >= a, a, passed[2])
    ]])
    assert.matches("^2\t2\t0\ttrue\ntrue\t[%d.e+]+\t%d+\n$", out)
  end)

  it("uptime counts from the start", function()
    assert.equal("true\ttrue\n", run([[
      local first = process.uptime()
      require("timers").sleep(5)
      print(first >= 0 and first < 5, process.uptime() - first >= 0.004)
    ]]))
  end)
end)

describe("process.nextTick", function()
  it("calls a function with its arguments when the caller has returned", function()
    assert.equal("first\nthen\t1\tnil\t3\n", run([[
      process.nextTick(print, "then", 1, nil, 3)
      print("first")
    ]]))
  end)
end)

describe("process.exit", function()
  it("ends at once with its code, after the exit listeners", function()
    local out, code = run([[
      process.on("exit", function(n) print("exit", n, process.exitCode) end)
      setTimeout(function() print("never") end, 1)
      process.nextTick(function()
        process.exit(7)
        print("never")
      end)
    ]])
    assert.equal("exit\t7\t7\n", out)
    assert.equal(7, code)
  end)

  it("takes process.exitCode where no code is given, else 0", function()
    assert.equal(0, select(2, run("process.exit()")))
    assert.equal(5, select(2, run("process.exitCode = 5 process.exit()")))
    assert.equal(6, select(2, run("process.exitCode = 5 process.exit(6)")))
    assert.equal(9, select(2, run("process.on('exit', function() process.exitCode = 9 end) process.exit(1)")))
  end)

  it("may be called by an exit listener", function()
    local out, code = run([[
      process.on("exit", function(n)
        print(n)
        process.exit(4)
      end)
      process.exit(3)
    ]])
    assert.equal("3\n", out)
    assert.equal(4, code)
  end)

  it("waits for no listener that waits, and survives one that fails", function()
    local result = helper.run([[
      process.on("exit", function()
        print("begins")
        require("timers").sleep(1)
        print("never")
      end)
      process.on("exit", function() error("in the listener") end)
      process.exit(2)
    ]])
    assert.equal("begins\n", result.out)
    assert.equal(2, result.code)
    assert.matches("in the listener", result.err)
  end)

  it("writes what was printed", function()
    local out = run([[
      io.write(("x"):rep(10000))
      process.exit()
    ]])
    assert.equal(10000, #out)
  end)

  it("refuses codes that are none, where it was called", function()
    local out = run([[
      print(select(2, pcall(function() process.exit("one") end)))
      print(select(2, pcall(function() process.exit(256) end)))
      print(select(2, pcall(function() process.exitCode = 1.5 end)))
    ]])
    assert.matches("^[^\n]*app%.lua:1: the exit code must be [^\n]* not one\n", out)
    assert.matches("\n[^\n]*app%.lua:2: the exit code must be [^\n]* not 256\n", out)
    assert.matches("\n[^\n]*app%.lua:3: the exit code must be [^\n]* not 1%.5\n$", out)
  end)

  it("ends a server in the middle of a request", function()
    local server = helper.serve_handler([[
      process.exit(3)
    ]])
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal(3, (server:wait_exit()))
  end)
end)

describe("a process with nothing left to do", function()
  it("ends with process.exitCode", function()
    assert.equal(0, select(2, run("print(1)")))
    assert.equal(3, select(2, run("setTimeout(function() process.exitCode = 3 end, 1)")))
  end)

  it("calls the exit listeners, which may still change the code", function()
    local out, code = run([[
      process.on("exit", function(n)
        print("exit", n)
        process.exitCode = 4
      end)
      setTimeout(function() process.exitCode = 3 end, 1)
    ]])
    assert.equal("exit\t3\n", out)
    assert.equal(4, code)
  end)
end)

describe("a signal", function()
  local function send(server, signal, answer)
    server:kill(signal)
    server:wait_output(answer)
  end

  it("calls its listeners with name and number, each time", function()
    local server = start([[
      for _, name in ipairs { "SIGUSR2", "SIGHUP", "SIGUSR1", "SIGWINCH" } do
        process.on(name, function(...) print("got", ...) end)
      end
    ]])
    send(server, "USR2", "got\tSIGUSR2\t12\n")
    send(server, "USR2", "got\tSIGUSR2\t12\ngot\tSIGUSR2\t12\n")
    send(server, "HUP", "got\tSIGHUP\t1\n")
    send(server, "USR1", "got\tSIGUSR1\t10\n")
    send(server, "WINCH", "got\tSIGWINCH\t28\n")
    assert.is_true(server:alive())
  end)

  it("that is listened to does not end the process by itself", function()
    local server = start([[
      process.on("SIGTERM", function() print("term") end)
      process:on("SIGINT", function() print("int") process.exit(9) end)
    ]])
    send(server, "TERM", "term\n")
    assert.is_true(server:alive())
    server:kill("INT")
    assert.equal(9, (server:wait_exit()))
    assert.matches("int\n", server:stdout())
  end)

  it("does what it did before when its listeners are gone", function()
    local server = start([[
      local function on_term() print("term") process.off("SIGTERM", on_term) end
      process.on("SIGTERM", on_term)
      process.once("SIGHUP", function() print("hup") end)
      process.on("SIGUSR2", print)
      process.removeAllListeners("SIGUSR2")
    ]])
    send(server, "HUP", "hup\n")
    send(server, "TERM", "term\n")
    assert.is_true(server:alive())
    server:kill("USR2")
    local code, signal = server:wait_exit()
    assert.same({ nil, "SIGUSR2" }, { code, signal })
  end)

  it("ends the process by default: SIGTERM with code 0", function()
    assert.equal(0, (start(""):stop()))
  end)

  it("may be waited for by a listener that does slow things", function()
    local server = start([[
      process.on("SIGTERM", function()
        require("timers").sleep(5)
        print("cleaned up")
        process.exit(0)
      end)
    ]])
    assert.equal(0, (server:stop()))
    assert.matches("cleaned up\n", server:stdout())
  end)

  it("with a listener does not keep the process alive", function()
    assert.equal("done\n", run([[
      process.on("SIGTERM", print)
      process.on("SIGUSR2", print)
      print("done")
    ]]))
  end)

  it("fails in a listener without harm", function()
    local server = start([[process.once("SIGTERM", function() error("in the listener") end)]])
    server:kill("TERM")
    helper.wait_for(function() return server:stderr():find("in the listener", 1, true) end, "the log")
    assert.is_true(server:alive())
    assert.equal(0, (server:stop()))
  end)

  it("that nobody can catch is refused", function()
    local out = run([[
      print(select(2, pcall(function() process.on("SIGKILL", print) end)))
      print(select(2, pcall(function() process:once("SIGSEGV", print) end)))
      print(select(2, pcall(function() process.on("SIGTERM", 5) end)))
    ]])
    assert.matches("^[^\n]*app%.lua:1: no process can listen to SIGKILL\n", out)
    assert.matches("\n[^\n]*app%.lua:2: no process can listen to SIGSEGV\n", out)
    assert.matches("\n[^\n]*app%.lua:3: the listener of 'SIGTERM' must be a function\n$", out)
  end)

  it("is sent by process.kill", function()
    local out = run([[
      process.on("SIGUSR2", function(name) print(name) clearInterval(timer) end)
      timer = setInterval(function() end, 1000)
      print(process.kill(process.pid, 0), process.kill(process.pid, "SIGUSR2"))
      print(process.kill(2 ^ 22 + 1, 0))
      print(select(2, pcall(function() process.kill(1, "SIGNOPE") end)))
      print(select(2, pcall(function() process.kill("x") end)))
    ]])
    assert.matches("^true\ttrue\nnil\tESRCH: no such process, kill\tESRCH\n", out)
    assert.matches("\n[^\n]*app%.lua:5: unknown signal: SIGNOPE\n", out)
    assert.matches("\n[^\n]*app%.lua:6: the pid must be a whole number\n", out)
    assert.matches("\nSIGUSR2\n$", out)
  end)
end)

describe("process as an emitter", function()
  it("takes both ways of calling, and returns itself", function()
    assert.equal("true\ttrue\na\t1\nb\t2\nb\t3\n1\t0\ttrue\n", run([[
      print(process.on("x", function(n) print("a", n) process.removeAllListeners("x") end) == process,
        process:on("y", function(n) print("b", n) end) == process)
      process.emit("x", 1)
      process:emit("y", 2)
      process.emit("y", 3)
      print(process.listenerCount("y"), process:listenerCount("x"), process.off("y", print) == process)
    ]]))
  end)

  it("emits and logs warnings", function()
    local result = helper.run([[
      process.on("warning", function(err) print(err.name, err.message, err.code) end)
      process.emitWarning("old style", { type = "DeprecationWarning", code = "DEP1" })
      process.emitWarning("look out")
    ]])
    assert.equal("DeprecationWarning\told style\tDEP1\nWarning\tlook out\tnil\n", result.out)
    assert.matches("warn: %[DEP1%] DeprecationWarning: old style\n", result.err)
    assert.matches("warn: Warning: look out\n", result.err)
  end)
end)

describe("process.stdout and process.stderr", function()
  it("write texts as they are, in order with print", function()
    local result = helper.run([[
      print("one")
      print(process.stdout:write("two "), process.stdout.write(3))
      process.stderr:write("four")
      print(process.stdout.fd, process.stderr.fd, process.stdout.isTTY)
    ]])
    assert.equal("one\ntwo 3true\ttrue\n1\t2\tfalse\n", result.out)
    assert.equal("four", result.err)
  end)
end)
