-- New code for a running cluster: no request is lost, and code that does not work is not taken.
local h2 = require("spec.helper.h2")
local helper = require("spec.helper")

local TIMES = 20

local function app(version, more)
  return ("%s return function(req, res) return %q .. ' ' .. process.pid end"):format(more or "", version)
end

local function serve(code, args, opts)
  opts = opts or {}
  opts.args, opts.listen = { "--workers", "2", table.unpack(args or {}) }, true
  return helper.serve(code, opts)
end

local function write(server, code)
  -- Renamed, as a deployment does: a worker never reads half a file.
  helper.write_file(server.dir .. "/new.lua", code)
  assert(os.rename(server.dir .. "/new.lua", server.script))
end

local function reloads(server)
  return select(2, server:stderr():gsub("info: reloaded: 2 workers with new code\n", ""))
end

local function wait_for_reload(server, n)
  helper.wait_for(function() return reloads(server) >= n end, function()
    return "reload " .. n .. "\n" .. server:output()
  end, helper.seconds(15))
end

local function version_of(server)
  return helper.get(server, "/").body:match("^%S+")
end

-- A client of HTTP/1.1 that keeps its connection until the server says "close".
local function keep_alive(server)
  local conn
  return function()
    conn = conn or helper.connect(server, { timeout = helper.seconds(10) })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return function()
      local response = conn:read_response()
      if response.headers.connection == "close" then
        conn:close()
        conn = nil
      end
      return response.body
    end
  end
end

local function fresh(server)
  return function()
    local conn = helper.connect(server, { timeout = helper.seconds(10) })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return function()
      local body = conn:read_response().body
      conn:close()
      return body
    end
  end
end

-- One of HTTP/2, which opens another connection when it has been told of the end of its own.
local function multiplexed(server)
  local conn
  return function()
    if conn and conn.goaways then conn = nil end
    conn = conn or h2.connect(server, { timeout = helper.seconds(10) })
    local ids = {}
    for i = 1, 3 do ids[i] = conn:request(h2.fields("GET", "/")) end
    return function()
      local body
      for _, id in ipairs(ids) do body = conn:response(id).body end
      return body
    end
  end
end

describe("a reload", function()
  it("takes new code, by SIGHUP", function()
    local server = serve(app("one"))
    assert.equal("one", version_of(server))
    write(server, app("two"))
    server:kill("SIGHUP")
    wait_for_reload(server, 1)
    for _ = 1, 20 do assert.equal("two", version_of(server)) end
    assert.equal(0, (server:stop()))
  end)

  it("takes new code, by --reload and the pid file", function()
    local file = helper.tmpdir() .. "/pid"
    local server = serve(app("one"), { "--pid-file", file })
    write(server, app("two"))
    local run = helper.run(nil, { args = { "--reload", file } })
    assert.same({ 0, "", "" }, { run.code, run.out, run.err })
    wait_for_reload(server, 1)
    assert.equal("two", version_of(server))
  end)

  it("loses no request, twenty times under load", function()
    local server = serve(app("v0"))
    local clients, failed, answered = {}, {}, 0
    for i = 1, 4 do
      clients[i] = keep_alive(server)
      clients[4 + i] = fresh(server)
    end
    clients[9] = multiplexed(server)
    for time = 1, TIMES do
      write(server, app("v" .. time))
      server:kill("SIGHUP")
      local rounds, settled = 0, 0
      repeat
        local answers, seen = {}, true
        for i, client in ipairs(clients) do answers[i] = { pcall(client) } end
        for i, answer in ipairs(answers) do
          local ok, body = answer[1], answer[2]
          if ok then ok, body = pcall(body) end
          if ok then answered = answered + 1 else table.insert(failed, i .. ": " .. tostring(body)) end
          seen = seen and ok and body:find("^v" .. time .. " ") ~= nil
        end
        assert.same({}, failed)
        rounds = rounds + 1
        settled = seen and reloads(server) >= time and settled + 1 or 0
      until settled == 2 or rounds > 3000
      assert.equal(2, settled, "reload " .. time .. " after " .. rounds .. " rounds\n" .. server:stderr())
    end
    assert.is_true(answered > TIMES * 20)
    assert.equal(TIMES, reloads(server))
  end)

  for what, case in pairs({
    ["does not compile"] = { "return function(", "%.lua:1: .-near '?<eof>" },
    ["fails as it loads"] = { "error('no config')", "no config\nstack traceback:" },
    ["ends at once"] = { "process.exit(4)", "it ended with code 4" },
    ["does not listen"] = { "setInterval(function() end, 1000)", "it does not listen, as the old one does" },
    ["fails when it is asked"] = { "return function() error('oops') end", "asked for /, and answered with 500" },
  }) do
    it("keeps the old code where the new " .. what, function()
      local server = serve(app("old"))
      local pids = {}
      helper.wait_for(function()
        pids[helper.get(server, "/").body:match("%d+")] = true
        return next(pids, (next(pids))) ~= nil
      end, "both workers")
      write(server, case[1])
      server:kill("SIGHUP")
      server:wait_output("error: the new code is not taken, the old goes on: ", helper.seconds(15))
      server:wait_output(case[2])
      for _ = 1, 20 do
        local body = helper.get(server, "/").body
        assert.equal("old", body:match("^%S+"))
        assert.is_true(pids[body:match("%d+")])
      end
      write(server, app("new"))
      server:kill("SIGHUP")
      wait_for_reload(server, 1)
      assert.equal("new", version_of(server))
    end)
  end

  it("answers requests at work, and idle connections once more, with Connection: close", function()
    local server = serve([[return function(req)
      if req.url == "/slow" then
        print("at work")
        require("timers").sleep(500)
      end
      return "old"
    end]])
    local idle, busy = helper.connect(server), helper.connect(server)
    idle:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal("old", idle:read_response().body)
    busy:send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("at work")
    write(server, app("new"))
    server:kill("SIGHUP")
    wait_for_reload(server, 1)
    local response = busy:read_response()
    assert.same({ "old", "close" }, { response.body, response.headers.connection })
    idle:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    response = idle:read_response()
    assert.same({ "old", "close" }, { response.body, response.headers.connection })
    assert.is_true(idle:closed())
    assert.equal("new", version_of(server))
  end)

  it("ends connections that stay idle at the drain deadline", function()
    local server = serve(app("one"), { "--drain-timeout", "0.5" })
    local idle = helper.connect(server)
    idle:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    idle:read_response()
    server:kill("SIGHUP")
    wait_for_reload(server, 1)
    assert.is_true(idle:closed())
  end)

  it("stops at once with idle connections of workers that were replaced", function()
    local server = serve(app("one"))
    local idle = helper.connect(server)
    idle:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    idle:read_response()
    server:kill("SIGHUP")
    wait_for_reload(server, 1)
    assert.equal(0, (server:stop()))
    assert.is_true(idle:closed())
  end)

  it("picks up a new binary", function()
    local dir = helper.tmpdir()
    local binary = os.getenv("LUASERVE_BIN") or "build/luaserve"
    local function install(name)
      os.execute(("cp %q %s/fresh && mv %s/fresh %s/luaserve"):format(binary, dir, dir, dir))
      return name
    end
    install()
    local code = [[return function()
      local file = assert(io.popen("stat -L -c %i /proc/]] .. [[" .. process.pid .. "/exe"))
      return file:read("*a")
    end]]
    local server = serve(code, {}, { program = dir .. "/luaserve" })
    local before = helper.get(server, "/").body
    install()
    server:kill("SIGHUP")
    wait_for_reload(server, 1)
    assert.not_equal(before, helper.get(server, "/").body)
  end)

  it("explains a pid file that is of no use", function()
    local file = helper.tmpdir() .. "/pid"
    for text, message in pairs({ ["hello"] = "holds no process id", ["1\n"] = "names process 1, which is no luaserve",
      [""] = "it is empty" }) do
      helper.write_file(file, text)
      local run = helper.run(nil, { args = { "--reload", file } })
      assert.equal(1, run.code)
      assert.matches(message, run.err, 1, true)
    end
    local run = helper.run(nil, { args = { "--reload", file .. "x" } })
    assert.matches("No such file or directory: start the server with --pid-file", run.err, 1, true)
  end)
end)
