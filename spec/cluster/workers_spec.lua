-- `--workers`: one script, many processes, kept alive by a supervisor.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")

local APP = "return function(req) if req.url == '/exit' then process.exit(9) end return tostring(process.pid) end"

local function serve(code, args, opts)
  opts = opts or {}
  opts.args, opts.listen = args, true
  return helper.serve(code, opts)
end

local function pid_of(server)
  return helper.get(server, "/").body
end

local function wait_for_pids(server, n, not_this)
  local pids, count = {}, 0
  helper.wait_for(function()
    local pid = pid_of(server)
    if not pids[pid] and pid ~= not_this then
      pids[pid], count = true, count + 1
    end
    return count == n
  end, n .. " workers to answer")
  return pids
end

local function is_gone(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return true end
  local text = file:read("a")
  file:close()
  return not text or text:find("%) Z") ~= nil
end

describe("--workers", function()
  it("serves one script with so many processes, and says so once", function()
    local server = serve(APP, { "--workers", "3" })
    local pids = wait_for_pids(server, 3)
    assert.is_nil(pids[tostring(server.pid)])
    assert.matches("^listening on http://127.0.0.1:%d+ %(3 workers%)\n$", server:stdout())
    assert.equal(0, (server:stop()))
    for pid in pairs(pids) do assert.is_true(is_gone(pid)) end
    assert.equal("", server:stderr())
  end)

  it("takes auto for the CPUs that the process may use", function()
    local count = helper.run(nil, { args = { "-e", "print(require('cluster').cpus())" } }).out:match("%d+")
    assert.is_true(tonumber(count) <= tonumber(io.popen("nproc"):read("l")))
    local server = serve(APP, { "-w", "auto" })
    assert.matches("%(" .. count .. " workers?%)", server:stdout())
  end)

  it("counts the affinity", function()
    local run = helper.run(nil, { program = "/usr/bin/taskset", args = { "-c", "0",
      os.getenv("LUASERVE_BIN") or "build/luaserve", "-e", "print(require('cluster').cpus())" }, cwd = "." })
    assert.equal("1\n", run.out)
  end)

  it("explains values that are none", function()
    for _, value in ipairs({ "0", "many", "-1", "1000000" }) do
      local run = helper.run(APP, { args = { "--workers", value } })
      assert.equal(2, run.code)
      assert.matches("%-%-workers", run.err)
    end
  end)

  it("leaves a script that forks itself to its part as a worker", function()
    local server = helper.serve([[
      local cluster, http = require "cluster", require "http"
      print(cluster.isPrimary)
      http.createServer(function() end):listen(0, "127.0.0.1", function(s) print("port 1") end)
    ]], { args = { "-w", "1" } })
    assert.matches("^false\n", server:stdout())
  end)

  it("replaces a worker that ends, and says so", function()
    local server = serve(APP, { "--workers", "2" })
    local pids = wait_for_pids(server, 2)
    local dead = next(pids)
    os.execute("kill -KILL " .. dead)
    helper.wait_for(function() return is_gone(dead) end, "the worker to be gone")
    local now = wait_for_pids(server, 2, dead)
    local known = 0
    for pid in pairs(now) do known = known + (pids[pid] and 1 or 0) end
    assert.equal(1, known)
    assert.matches("warn: worker %d+ %(process " .. dead .. "%) has ended by SIGKILL; another takes its place\n",
      server:stderr())
  end)

  it("holds a worker back that dies again and again", function()
    local server = serve(APP, { "--workers", "1" })
    local deaths, till = 0, helper.now() + helper.seconds(2)
    while helper.now() < till do
      local conn = helper.connect(server)
      conn:send("GET /exit HTTP/1.1\r\nHost: x\r\n\r\n")
      conn:closed(3)
      conn:close()
      deaths = deaths + 1
    end
    assert.is_true(deaths < 12 * helper.scale, "deaths: " .. deaths)
    assert.equal(200, helper.get(server, "/").status)
  end)

  it("gives up with code 1 and the traceback where the script never comes up", function()
    local run = helper.run("local function boom()\n  error('no config')\nend\nboom()", { args = { "--workers", "4" } })
    assert.equal(1, run.code)
    assert.matches("app.lua:2: no config\nstack traceback:\n", run.err)
    assert.matches("the script has failed 5 times at its start %(.-ended with code 1%); giving up\n$", run.err)
    assert.equal(5, select(2, run.err:gsub("no config", "")))
  end)

  it("gives up at once, with code 3, where the port is taken", function()
    local other = helper.serve_handler("return 'other'")
    local run = helper.run(APP, { args = { "--workers", "2" }, listen = "127.0.0.1:" .. other.port })
    assert.equal(3, run.code)
    assert.matches("EADDRINUSE", run.err)
    assert.equal(1, select(2, run.err:gsub("EADDRINUSE", "")))
  end)

  it("ends with code 2 where the script is not there", function()
    local run = helper.run(nil, { args = { "--workers", "2", "/nowhere/app.lua" } })
    assert.equal(2, run.code)
    assert.matches("cannot run /nowhere/app.lua", run.err)
  end)

  it("writes the primary's process id, and keeps it when workers end", function()
    local file = helper.tmpdir() .. "/pid"
    local server = serve(APP, { "--workers", "2", "--pid-file", file })
    assert.equal(tostring(server.pid), helper.read_file(file):match("%d+"))
    local pid = next(wait_for_pids(server, 2))
    os.execute("kill -TERM " .. pid)
    helper.wait_for(function() return is_gone(pid) end, "the worker to be gone")
    wait_for_pids(server, 2, pid)
    assert.equal(tostring(server.pid), helper.read_file(file):match("%d+"))
    assert.equal(0, (server:stop()))
    assert.is_nil(io.open(file))
  end)

  it("kills and replaces a worker that gives no sign of life for longer than the CPU budget", function()
    local server = serve(APP, { "--workers", "2", "--cpu-budget", "0.5" })
    local pid = next(wait_for_pids(server, 2))
    os.execute("kill -STOP " .. pid)
    server:wait_output("error: worker %d+ %(process " .. pid .. "%) has given no sign of life", helper.seconds(20))
    helper.wait_for(function() return is_gone(pid) end, "the worker to be killed")
    wait_for_pids(server, 2, pid)
  end)

  it("shares the keys of TLS sessions between workers, also with those that come later", function()
    local pair = certs.of({ names = { "a.example" } })
    local dir = helper.tmpdir()
    local cert, key = helper.write_file(dir .. "/a.pem", pair.cert), helper.write_file(dir .. "/a.key", pair.key)
    local server = serve(APP, { "--workers", "3", "--tls-cert", cert, "--tls-key", key })
    local function ask(...)
      local out = certs.s_client(server.port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "-servername", "a.example", ...)
      return out:match("\n(%d+)\n?"), out:find("\nReused, TLS") ~= nil
    end
    ask("-sess_out", dir .. "/session")
    server:kill("SIGHUP")
    server:wait_output("reloaded: 3 workers", helper.seconds(15))
    for _ = 1, 8 do
      local _, reused = ask("-sess_in", dir .. "/session")
      assert.is_true(reused)
    end
  end)

  if io.popen("id -u"):read("l") == "0" then
    it("binds as root for workers that have become another user, new ones too", function()
      local server = serve("return function() return process.pid .. ' ' .. process.getuid() end",
        { "--workers", "2", "--user", "nobody" })
      local pid, user = helper.get(server, "/").body:match("(%d+) (%d+)")
      assert.not_equal("0", user)
      assert.equal("0", io.popen("stat -c %u /proc/" .. server.pid):read("l"))
      os.execute("kill -KILL " .. pid)
      server:wait_output("another takes its place")
      for _ = 1, 10 do assert.equal(user, helper.get(server, "/").body:match(" (%d+)")) end
    end)
  end

  it("replaces a worker that is over its memory, after its requests", function()
    local server = serve([[
      HOARD = {}
      return function(req)
        if req.url == "/hoard" then
          for i = 1, 70 do HOARD[i] = ("x"):rep(1024 * 1024) .. i end
          require("timers").sleep(50)
        end
        return tostring(process.pid)
      end
    ]], { "--workers", "1", "--max-memory", "64M" })
    local response = helper.get(server, "/hoard")
    assert.equal(200, response.status)
    assert.not_equal(response.body, helper.wait_for(function()
      local pid = pid_of(server)
      return pid ~= response.body and pid
    end, "another worker to answer"))
    assert.matches("over %-%-max%-memory", server:stderr())
  end)
end)

-- Answers after 300 ms.
local SLOW = [[return function(req)
  print("at work")
  require("timers").sleep(req.url == "/for-ever" and 1e7 or 300)
  return "worked"
end]]

local function at_work(server, path)
  local conn = helper.connect(server)
  conn:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n")
  server:wait_output("at work")
  return conn
end

describe("stopping a cluster", function()
  for _, signal in ipairs({ "SIGTERM", "SIGINT" }) do
    it("answers the requests at work after " .. signal, function()
      local server = serve(SLOW, { "--workers", "2" })
      local conn = at_work(server, "/")
      server:kill(signal)
      helper.wait_for(function() return helper.connect(server, { try = true }) == nil end, "the port to be closed")
      local response = conn:read_response()
      assert.equal("worked", response.body)
      assert.equal("close", response.headers.connection)
      assert.equal(0, (server:wait_exit()))
    end)
  end

  it("answers them where the signal goes to the whole group, as from a terminal", function()
    local server = serve(SLOW, { "--workers", "2" })
    local conn = at_work(server, "/")
    os.execute("kill -s INT -- -" .. server.pid)
    assert.equal("worked", conn:read_response().body)
    assert.equal(0, (server:wait_exit()))
  end)

  it("ends at the deadline, and leaves no worker behind", function()
    local server = serve(SLOW, { "--workers", "2", "--drain-timeout", "0.2" })
    local conn = at_work(server, "/for-ever")
    server:kill("SIGTERM")
    assert.is_true(conn:closed())
    assert.equal(0, (server:wait_exit()))
    assert.matches("still at work after %-%-drain%-timeout", server:stderr())
  end)

  it("ends at once at a second signal, and leaves no worker behind", function()
    local server = serve(SLOW, { "--workers", "2" })
    local conn = at_work(server, "/for-ever")
    server:kill("SIGTERM")
    helper.wait_for(function() return helper.connect(server, { try = true }) == nil end, "the port to be closed")
    server:kill("SIGTERM")
    assert.equal(143, (server:wait_exit()))
    assert.is_true(conn:closed())
    helper.wait_for(function()
      return not io.popen("ps -o stat= -s " .. server.pid):read("a"):find("[RSD]")
    end, "no worker to be left")
  end)
end)
