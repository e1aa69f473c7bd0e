--- What one process has done and how it is, as `luaserve top` shows it. Requests are counted by time from when
--- somebody asks first; the loop's lag is measured while somebody does.
local fs = require "fs"
local process = require "process"
local stats = require "luaserve.core.stats"
local timers = require "timers"

local M = {}

local TICK = 50 -- milliseconds between looks at the loop's lag
local ASKED = 5 -- seconds after the last question until that ends

local timer, asked, due, lag

local function look()
  local now = process.uptime()
  lag = math.max(lag, now - due)
  due = now + TICK / 1000
  if now - asked > ASKED then
    timers.clearInterval(timer)
    timer = nil
  end
end

local function watch_lag()
  asked = process.uptime()
  if timer then return end
  lag, due = 0, asked + TICK / 1000
  timer = timers.setInterval(look, TICK)
  timer:unref()
end

--- Counts over all routes: requests, seconds in all, and those in each bucket.
local function sums()
  local count, seconds, buckets = 0, 0, {}
  for i = 1, #stats.bounds do buckets[i] = 0 end
  for _, row in ipairs(stats.series()) do
    count, seconds = count + row[4], seconds + row[5]
    for i = 1, #buckets do buckets[i] = buckets[i] + row[5 + i] end
  end
  return count, seconds, buckets
end

local function resident()
  local text = fs.readFileSync("/proc/self/statm", "utf8")
  return (tonumber(text:match("^%d+ (%d+)")) or 0) * 4096
end

--- The counts as they are.
---@return table
function M.take()
  stats.enable()
  watch_lag()
  local requests, connections, memory = stats.process()
  local count, seconds, buckets = sums()
  local cpu = process.cpuUsage()
  local taken = {
    pid = process.pid, requests = requests, connections = connections, lua = memory, rss = resident(),
    cpu = (cpu.user + cpu.system) / 1e6, lag = lag, uptime = process.uptime(),
    count = count, seconds = seconds, buckets = buckets,
  }
  lag = 0
  return taken
end

return M
