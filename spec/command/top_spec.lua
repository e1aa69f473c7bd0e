-- luaserve top: what the workers do, once, line by line and on a terminal.
local helper = require("spec.helper")
local pty = require("spec.helper.pty")
local process = require("spec.helper.process")

local APP = [[
local luaserve = require "luaserve"
local app = luaserve()
app:get("/", function() return "hello" end)
app:get("/spin", function() while true do end end)
return app
]]

local function serve(...)
  local file = helper.tmpdir() .. "/server.pid"
  local server = helper.serve(APP, { listen = true, args = { "--pid-file", file, ... }, timeout = 20 })
  server.pid_file = file
  return server
end

local function top(server, ...)
  local p = helper.start({ process.binary(), "top", server.pid_file, ... }, {})
  local code = p:wait_exit(15)
  return { code = code, out = p:stdout(), err = p:stderr() }
end

local function run(code)
  local r = helper.run(code)
  assert.equal(0, r.code, r.err)
  return r.out
end

describe("luaserve top --once", function()
  it("prints a table of one process", function()
    local server = serve()
    top(server, "--once", "--interval", "0.1") -- counts by time from now on
    for _ = 1, 3 do
      helper.get(server, "/")
    end
    local r = top(server, "--once", "--interval=0.1")
    assert.same({ 0, "" }, { r.code, r.err })
    local lines = {}
    for line in r.out:gmatch("[^\n]*") do
      table.insert(lines, line)
      assert.truthy(#line <= 80, line)
    end
    assert.truthy(lines[1]:find("^luaserve [%d.]+, process " .. server.pid .. ", up %d+s, [^,]*app.lua$"), lines[1])
    assert.truthy(lines[3]:find("^   #     PID STATE     AGE  REQ/S REQUESTS   P50   P99  CONN    LUA  CPU    LAG$"))
    assert.truthy(lines[4]:find("^   0 +" .. server.pid .. " serving +%d+s +[%d.]+ +3 "), lines[4])
    assert.falsy(r.out:find("\n all", 1, true))
  end)

  it("has a row for each worker and one for all", function()
    local server = serve("--workers", "2")
    for _ = 1, 4 do
      helper.get(server, "/")
    end
    local r
    helper.wait_for(function() -- a worker that is slow to answer is told of by what it last wrote down
      r = top(server, "--once", "--interval", "0.1")
      return r.out:find("\n all +[%d.]+ +4 ")
    end, "all requests", 10)
    assert.truthy(r.out:find(", 2 workers, ", 1, true), r.out)
    assert.truthy(r.out:find("\n   1 +%d+ serving"), r.out)
    assert.truthy(r.out:find("\n   2 +%d+ serving"), r.out)
  end)

  it("tells of a worker that answers nobody", function()
    local server = serve("--workers", "2", "--cpu-budget", "60")
    local conn = helper.connect(server)
    conn:send("GET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
    helper.wait_for(function()
      local out = top(server, "--once", "--interval", "0.1").out
      return out:find("\n   %d +%d+ busy") and out:find("\n   %d +%d+ serving")
    end, "a busy worker and another", 15)
    server:kill("KILL")
  end)
end)

describe("luaserve top", function()
  it("prints lines where the output is no terminal, until the server ends", function()
    local server = serve()
    local p = helper.start({ process.binary(), "top", "--interval", "0.1", server.pid_file }, {})
    p:wait_output("\n%d+:%d+:%d+ +0 +%d+ serving.*\n%d+:%d+:%d+ +0 +%d+ serving")
    assert.truthy(p:stdout():find("^TIME +# +PID STATE"))
    server:stop()
    assert.equal(1, p:wait_exit())
    assert.equal("luaserve: the server has ended\n", p:stderr())
  end)

  it("shows them on a terminal, as wide as it is, until q", function()
    local server = serve()
    local wide = pty.start({ process.binary(), "top", "--interval", "0.2", server.pid_file }, { columns = 80 })
    local narrow = pty.start({ process.binary(), "top", server.pid_file }, { columns = 40 })
    helper.wait_for(function() return wide:screen():find("%d%% +[%d.]+m?s$") end, "a row with rates")
    assert.truthy(wide:screen():find("\n\n   #     PID STATE     AGE  REQ/S REQUESTS   P50   P99  CONN"))
    wide:send("x") -- draws once more
    helper.wait_for(function() return narrow:screen():find("\n   0 serving") end, "a row")
    assert.truthy(narrow:screen():find("\n   # STATE     REQ/S   P50   P99  CONN\n", 1, true), narrow:screen())
    assert.same({ 0, 0 }, { wide.wrapped, narrow.wrapped })
    wide:send("q")
    narrow:send("\3")
    assert.same({ 0, 0 }, { wide.process:wait_exit(), narrow.process:wait_exit() })
    assert.truthy(wide.process:stdout():find("\27%[%?25h\27%[%?1049l"), "the terminal as it was")
  end)

  it("says what is wrong with its arguments", function()
    local function told(...)
      local p = helper.start({ process.binary(), "top", ... }, {})
      local code = p:wait_exit()
      return { code, p:stderr() }
    end
    assert.same({ 2, "luaserve: top needs the pid file of a server: luaserve top PIDFILE\n" }, told())
    assert.same({ 2, "luaserve: --interval is between 0.1 and 3600 seconds\n" }, told("--interval", "0", "x"))
    assert.same({ 2, "luaserve: top has no option '--worker': luaserve top --help says more\n" }, told("--worker", "1"))
    assert.same({ 0, "" }, told("--help"))
    assert.equal(1, told("/nowhere/x.pid")[1])
  end)
end)

describe("what luaserve top reckons", function()
  it("is quantiles out of buckets", function()
    assert.equal("nil 0.0005 0.003 inf 0.001\n", run([[
      local quantile = require("luaserve.control.rates").quantile
      local function buckets(...)
        local list = { ... }
        for i = #list + 1, 12 do list[i] = 0 end
        return list
      end
      local function text(n) return n == nil and "nil" or ("%.4g"):format(n) end
      print(text(quantile(buckets(), 0, 0.5)), text(quantile(buckets(10), 10, 0.5)), text(quantile(buckets(0, 4), 4, 0.5)),
        text(quantile(buckets(1), 100, 0.99)), text(quantile(buckets(2, 2), 4, 0.5)))
    ]]):gsub("\t", " "):gsub("  ", " "))
  end)

  it("is rates between two reports, also of a worker that is new or another by now", function()
    assert.equal("10 0.5 nil 7\n30 12 0.2\n", run([[
      local rates = require "luaserve.control.rates"
      local function one(id, pid, requests, cpu)
        return { id = id, pid = pid, requests = requests, cpu = cpu, lag = id / 10 }
      end
      local rows = rates.rows({ one(1, 11, 30, 2), one(2, 99, 0, 1) }, { one(1, 11, 10, 1), one(2, 22, 5, 1) }, 2)
      print(rows[1].rate, rows[1].cpu, rows[2].rate, #rates.rows({}, nil, 1) + 7)
      local total = rates.total { { requests = 10, rate = 4, lag = 0.1 }, { requests = 20, rate = 8, lag = 0.2 }, {} }
      print(total.requests, total.rate, total.lag)
    ]]):gsub("\t", " "):gsub("%.0", ""))
  end)

  it("is shown in as many columns and lines as there are", function()
    assert.equal([[
   #     PID STATE     AGE  REQ/S REQUESTS   P50   P99  CONN    LUA    RSS  CPU    LAG
   1    4711 serving    2d  12345     1.2M 0.5ms  1.5s    12   1.5M   3.0G  99%   long
   # STATE     REQ/S   P99
   1 serving   12345  1.5s
... 2 more
 all             7.5     -
]], (run([[
      local board = require "luaserve.control.board"
      local row = { id = 1, pid = 4711, state = "serving", age = 2e5, rate = 12345, requests = 1234567, p50 = 0.0005,
        p99 = 1.5, connections = 12, lua = 1.5 * 1024 * 1024, rss = 3 * 1024 * 1024 * 1024, cpu = 0.99, lag = math.huge }
      print(table.concat(board.lines({ row }, nil, 200), "\n"))
      print(table.concat(board.lines({ row, row, row }, { id = "all", rate = 7.5 }, 30, 4), "\n"))
    ]])))
  end)
end)
