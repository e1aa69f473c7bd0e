-- A worker that is killed loses the requests that it was executing, and no others.
local helper = require("spec.helper")

local ROUNDS, HELD, FRESH = 12, 60, 120 -- requests of each kind in a round

-- /held/ID is noted in begun.txt when it begins, and answered when the primary gets SIGUSR2.
local APP = [[
  local cluster, fs, http = require "cluster", require "fs", require "http"
  if cluster.isPrimary then
    cluster.on("exit", function(worker) cluster.fork() end)
    process.on("SIGUSR2", function()
      for _, worker in pairs(cluster.workers) do worker:send("go") end
    end)
    for _ = 1, 3 do cluster.fork() end
    return
  end
  local waiting = {}
  process.on("message", function()
    for _, answer in ipairs(waiting) do answer() end
    waiting = {}
  end)
  local server = http.createServer(function(req, res)
    local id = req.url:match("^/held/(%d+)$")
    if not id then return res:finish("fresh " .. process.pid) end
    waiting[#waiting + 1] = function() res:finish("held") end
    fs.appendFileSync("begun.txt", process.pid .. " " .. id .. "\n")
  end)
  server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]

local function send(server, path)
  local conn = helper.connect(server, { timeout = helper.seconds(20) })
  conn:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
  return conn
end

-- Which process has begun which request of the round, once all have begun.
local function begun(server, round)
  local by = {}
  helper.wait_for(function()
    local n = 0
    for pid, id in (helper.read_file(server.dir .. "/begun.txt") or ""):gmatch("(%d+) (%d+)\n") do
      if tonumber(id) // 1000 == round then
        by[tonumber(id)], n = pid, n + 1
      end
    end
    return n == HELD
  end, "all requests to begin")
  return by
end

local function answered(conn)
  local ok, response = pcall(conn.read_response, conn)
  conn:close()
  return ok and response.status == 200
end

describe("a worker that is killed under load", function()
  it("loses only the requests that it was executing", function()
    local server = helper.serve(APP, { ports = 3 })
    local lost, expected = 0, 0
    for round = 1, ROUNDS do
      local held, fresh = {}, {}
      for i = 0, HELD - 1 do held[round * 1000 + i] = send(server, "/held/" .. round * 1000 + i) end
      local by = begun(server, round)
      local victim = by[round * 1000]
      os.execute("kill -KILL " .. victim)
      for i = 1, FRESH do fresh[i] = send(server, "/fresh") end
      for i = 1, FRESH do assert.is_true(answered(fresh[i]), "a fresh request is lost in round " .. round) end
      server:kill("SIGUSR2")
      for id, conn in pairs(held) do
        local executing = by[id] == victim
        assert.equal(not executing, answered(conn), "request " .. id)
        lost = lost + (executing and 1 or 0)
      end
      for _, pid in pairs(by) do expected = expected + (pid == victim and 1 or 0) end
    end
    assert.equal(expected, lost)
    assert.is_true(lost > 0 and lost < ROUNDS * HELD)
  end)
end)
