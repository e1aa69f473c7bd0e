-- One process for each CPU, by hand: the primary forks and looks after the workers,
-- which share the port and are told how many visits there were in all of them.
-- `luaserve --workers auto app.lua` does all but the counting by itself.
local cluster, http = require "cluster", require "http"

if cluster.isPrimary then
  local visits = 0

  for _ = 1, cluster.cpus() do cluster.fork() end

  cluster.on("message", function(worker, message)
    visits = visits + message.visits
    for _, other in pairs(cluster.workers) do other:send({ visits = visits }) end
  end)

  cluster.on("exit", function(worker, code, signal)
    console.log(("worker %d has ended (%s)"):format(worker.id, signal or code))
    if not worker.exitedAfterDisconnect then cluster.fork() end
  end)
else
  local visits = 0

  process.on("message", function(message) visits = message.visits end)

  local server = http.createServer(function(req, res)
    process.send({ visits = 1 })
    return { worker = cluster.worker.id, process = process.pid, visits = visits + 1 }
  end)

  server:listen(tonumber(process.env.PORT) or 8080, "127.0.0.1", function()
    print("worker " .. cluster.worker.id .. " on http://127.0.0.1:" .. server:address().port)
  end)
end
