-- cluster.once: what one process does for all.
local helper = require("spec.helper")

local APP = [[
  local cluster, http = require "cluster", require "http"
  cluster.once("job", 20, function() print("run " .. process.pid) end)
  return function() return tostring(process.pid) end
]]

-- The last process that has run the job, once it has run so often since `from`.
local function runner(server, from, n)
  return helper.wait_for(function()
    local pids, count = {}, 0
    for pid in server:stdout():sub(from):gmatch("run (%d+)\n") do
      pids[pid], count = true, count + 1
    end
    if count < n then return nil end
    local pid = next(pids)
    assert.is_nil(next(pids, pid), "more than one process has run it")
    return pid
  end, n .. " runs")
end

describe("cluster.once", function()
  it("runs again and again in a process that is alone", function()
    local server = helper.serve(APP, { listen = true })
    assert.equal(tostring(server.pid), runner(server, 1, 3))
  end)

  it("runs in one worker, and in another when that one dies or is replaced", function()
    local server = helper.serve(APP, { listen = true, args = { "--workers", "3" } })
    local first = runner(server, 1, 5)
    os.execute("kill -KILL " .. first)
    server:wait_output("process " .. first .. "%) has ended")
    local second = runner(server, #server:stdout() + 1, 5)
    assert.not_equal(first, second)
    server:kill("SIGHUP")
    server:wait_output("reloaded: 3 workers", helper.seconds(15))
    local third = runner(server, #server:stdout() + 1, 5)
    assert.not_equal(second, third)
  end)

  it("is not overtaken by itself, survives an error, and can be stopped", function()
    local server = helper.serve([[
      local cluster = require "cluster"
      local within, n = 0, 0
      local job
      job = cluster.once("slow", 5, function()
        within, n = within + 1, n + 1
        assert(within == 1, "overtaken")
        require("timers").sleep(30)
        within = within - 1
        if n == 1 then error("the first fails") end
        if n == 3 then job:stop() print("stopped") end
      end)
    ]], { ready = "stopped" })
    assert.equal(0, (server:wait_exit()))
    assert.matches("cluster.once 'slow': .-the first fails\nstack traceback:", (server:stderr():gsub("\n%s+", "\n")))
    assert.is_nil(server:stderr():find("overtaken"))
  end)

  it("is an emitter's once without a time", function()
    local run = helper.run([[
      local cluster = require "cluster"
      cluster.once("x", function(v) print("once", v) end)
      cluster:once("x", function(v) print("again", v) end)
      cluster.emit("x", 1)
      cluster.emit("x", 2)
    ]])
    assert.equal("once\t1\nagain\t1\n", run.out)
  end)

  it("explains wrong arguments", function()
    local run = helper.run([[
      local cluster = require "cluster"
      print(select(2, pcall(cluster.once, 1, 10, print)))
      print(select(2, pcall(cluster.once, "a", 0, print)))
      print(select(2, pcall(cluster.once, "a", 10)))
      local job = cluster.once("a", 1000, print)
      print(select(2, pcall(cluster.once, "a", 10, print)))
      job:stop()
    ]])
    for _, text in ipairs({ "needs a name, a string, for its job", "at least 1", "needs a function to call",
      "there is a job 'a' already" }) do
      assert.matches(text, run.out, 1, true)
    end
  end)
end)
