--- What `--workers` runs in the primary: starts the workers, replaces those that end, gives up where none will
--- ever serve.
local core = require "luaserve.core"
local cluster = require "cluster"
local native = require "luaserve.core.cluster"
local primary = require "luaserve.cluster.primary"
local process = require "process"
local timers = require "timers"

local M = {}

local TRIES = 5 -- of the first worker, at the start
local LOOK = 1000 -- milliseconds between looks at the workers' signs of life
local GRACE = 3 -- seconds above the CPU budget without one

local wanted = 0 -- workers
local serving = false -- the first worker has come up
local tries = 0

local function start_missing()
  local n = 0
  for _, worker in pairs(primary.workers) do
    if not worker._retired and not worker._dead then n = n + 1 end
  end
  for _ = n + 1, serving and wanted or 1 do primary.fork() end
end

local function plural(n)
  return n == 1 and "1 worker" or n .. " workers"
end

local function how(code, signal)
  return signal and "by " .. signal or "with code " .. tostring(code)
end

--- The first worker has ended before it was ready. What another try cannot change is the end: a bad command
--- line, a port that is taken.
local function start_failed(code, signal)
  tries = tries + 1
  if code ~= 2 and code ~= 3 and tries < TRIES then return start_missing() end
  if code ~= 2 and code ~= 3 then
    io.stderr:write(("luaserve: the script has failed %d times at its start (the last time it ended %s); giving up\n")
      :format(tries, how(code, signal)))
  end
  core.exit((code == 2 or code == 3) and code or 1)
end

local function on_exit(worker, code, signal)
  if primary.stopping or worker._trial then return end
  if not serving then
    if code == 0 then return core.exit(0) end -- a script that is done
    return start_failed(code, signal)
  end
  if not worker.exitedAfterDisconnect then
    core.log("warn", ("worker %d (process %d) has ended %s; another takes its place")
      :format(worker.id, worker.process.pid or 0, how(code, signal)))
  end
  start_missing()
end

local urls, ready = {}, {}

local function announce()
  local n = 0
  for _ in pairs(ready) do n = n + 1 end
  if n < wanted or not urls then return end
  for _, url in ipairs(urls) do print(("listening on %s (%s)"):format(url, plural(wanted))) end
  urls = nil
  native.notify("READY=1")
end

local function on_ready(worker)
  ready[worker] = true
  if not serving then
    serving = true
    start_missing()
  end
  announce()
end

local function on_serving(url)
  for _, known in ipairs(urls or {}) do
    if known == url then return end
  end
  if urls then table.insert(urls, url) end
end

-- ---- workers that give no sign of life

--- Ends workers that have run for longer than any code may: a loop that LuaJIT has compiled, a call of C.
local function look_after()
  for _, worker in pairs(primary.workers) do
    local state = worker._link.channel.state and worker._link.channel:state()
    local silent = state and (state.age or process.uptime() - worker._born) or 0
    if silent > core.cpuBudget + GRACE then
      core.log("error", ("worker %d (process %d) has given no sign of life for %.0f seconds, more than --cpu-budget: "
        .. "it is killed"):format(worker.id, worker.process.pid, silent))
      worker:kill("SIGKILL")
    end
  end
end

-- ---- new code

local reloading, once_more = false, false

local function reload()
  if reloading or not serving then
    once_more = reloading
    return
  end
  reloading = true
  repeat
    once_more = false
    local now = process.hrtime()
    native.notify(("RELOADING=1\nMONOTONIC_USEC=%.0f"):format(now[1] * 1e6 + now[2] / 1e3))
    local done, why = require("luaserve.cluster.reload").run()
    native.notify("READY=1")
    if done then
      core.log("info", "reloaded: " .. plural(done) .. " with new code")
    else
      core.log("error", "the new code is not taken, the old goes on: " .. why)
    end
  until not once_more
  reloading = false
  if not primary.stopping then start_missing() end
end

--- Runs as many workers as that; for ever.
---@param count integer|"auto"
function M.run(count)
  wanted = count == "auto" and cluster.cpus() or count
  cluster.on("exit", on_exit)
  cluster.on("_ready", on_ready)
  cluster.on("_retired", function(worker)
    ready[worker] = nil
    if serving and not reloading and not primary.stopping and not worker._dead then start_missing() end
  end)
  primary.on_serving = on_serving
  process.on("SIGHUP", reload)
  if core.cpuBudget > 0 then timers.setInterval(look_after, LOOK):unref() end
  start_missing()
end

return M
