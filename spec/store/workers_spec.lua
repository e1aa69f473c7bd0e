-- The store of a cluster: one for all workers, whoever of them dies.
local helper = require("spec.helper")

local APP = [[
local store = require "luaserve.store"
local hits = assert(store.open("hits"))
return function(req)
  return ("%d %d %s"):format(hits:incr("n"), process.pid, (require("luaserve.core.store").share()))
end
]]

local function ask(server)
  local n, pid, path = helper.get(server, "/").body:match("^(%d+) (%d+) (%S+)$")
  return tonumber(n), tonumber(pid), path
end

--- Asks until count other workers have answered. Returns the last number, their pids and the path. given_up: requests
--- whose clients have left are still in a queue, and are counted by who takes it over.
local function ask_workers(server, count, but, given_up)
  local pids, seen, last, path = {}, 0, nil, nil
  helper.wait_for(function()
    local n, pid, file = ask(server)
    local follows = last == nil or n == last + 1 or given_up and n > last
    assert.is_true(follows, "another count in another worker")
    last, path = n, file
    if pid ~= but and not pids[pid] then
      pids[pid], seen = true, seen + 1
    end
    return seen == count
  end, "the workers to answer", 20)
  return last, pids, path
end

describe("the store of a cluster", function()
  it("is one for all workers, outlives each, and goes with the primary", function()
    local server = helper.serve(APP, { listen = true, args = { "--workers", "2" } })
    local last, pids, path = ask_workers(server, 2)
    local victim = next(pids)
    assert.truthy(require("lfs").attributes(path))
    os.execute("kill -9 " .. victim)
    local after = ask_workers(server, 2, victim)
    assert.is_true(after > last)
    server:stop()
    assert.is_nil(require("lfs").attributes(path))
  end)

  it("is written by the others while a worker is stopped, which is replaced", function()
    local server = helper.serve(APP, { listen = true, args = { "--workers", "2", "--cpu-budget", "0.5" } })
    local last, pids = ask_workers(server, 2)
    local victim = next(pids)
    os.execute("kill -STOP " .. victim)
    local conn, answers = nil, 0
    helper.wait_for(function() -- of the two queues one is the stopped worker's
      conn = helper.connect(server, { try = true, timeout = 1 })
      if not conn then return false end
      conn:send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      local done, response = pcall(conn.read_response, conn)
      conn:close()
      if done and response.status == 200 then answers = answers + 1 end
      return answers == 5
    end, "the other worker to count", 20)
    server:wait_output("has given no sign of life", helper.seconds(20))
    local after = ask_workers(server, 2, victim, true)
    assert.is_true(after >= last + 5)
  end)

  it("is in the file of --store for workers and for those of the next start", function()
    local path = helper.tmpdir() .. "/store"
    local options = { listen = true, args = { "--workers", "2", "--store", path } }
    local server = helper.serve(APP, options)
    local last, _, file = ask_workers(server, 2)
    assert.are.equal(path, file)
    server:stop()
    server = helper.serve(APP, options)
    assert.are.equal(last + 1, (ask(server)))
  end)

  it("is shared by what cluster.fork starts", function()
    local server = helper.serve([[
local cluster, http, store = require "cluster", require "http", require "luaserve.store"
local hits = store.open("hits")
if cluster.isPrimary then
  hits:set("n", 100)
  cluster.fork({ NAME = "one" })
  cluster.fork()
else
  local server = http.createServer(function()
    return ("%d %d %s"):format(hits:incr("n"), process.pid, (require("luaserve.core.store").share()))
  end)
  server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
end
]], { ports = 2 })
    assert.is_true(ask_workers(server, 2) > 100)
  end)
end)
