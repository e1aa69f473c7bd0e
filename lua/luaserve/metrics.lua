--- Measures for Prometheus, of all processes of a cluster together: requests by route, method and status, how long
--- they took, connections, memory, the loop's lag.
local core = require "luaserve.core"
local native = require "luaserve.core.stats"
local process = require "process"
local timers = require "timers"

local M = {}

local PUSH = 1000 -- milliseconds between reports to the primary

local labels = { [0] = "" } -- of routes, by number
local enabled = false

-- ---- what this process has

--- The whole path of a route, as it was written: that of its mounts and its own.
local function label_of(entry)
  local parts = {}
  for i, segment in ipairs(entry.flat.at.list) do
    parts[i] = "/" .. (segment.names[1] and ":" .. segment.names[1] or segment.text)
  end
  return table.concat(parts) .. entry.flat.layer.path
end

local function number_of(entry)
  local label = label_of(entry)
  for i = 1, #labels do
    if labels[i] == label then return i end
  end
  labels[#labels + 1] = label
  return #labels
end

--- {route, method, status, count, seconds, bucket...} with the route's path.
local function rows()
  local list = native.series()
  for _, row in ipairs(list) do row[1] = labels[row[1]] end
  return list
end

local lag, due = 0, nil

local function measure_lag()
  local now = process.uptime()
  if due then lag = math.max(0, now - due) end
  due = now + PUSH / 1000
end

local function report()
  return { rows = rows() }
end

local last_count

--- Tells the primary what has been counted since, so that it is not lost where this process is killed.
local function push(child)
  local count = native.process()
  if count == last_count then return end
  last_count = count
  child.report(report())
end

local function enable()
  if enabled then return end
  enabled = true
  native.enable()
  require("luaserve.router").observe(native.route, number_of)
  if core.worker then
    local child = require "luaserve.cluster.child"
    child.reporter = report
    timers.setInterval(push, PUSH, child):unref()
    process.on("exit", function() child.report(report()) end)
  else
    timers.setInterval(measure_lag, PUSH):unref()
  end
end

-- ---- the text

local function escaped(text)
  return (text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function number(n)
  return n % 1 == 0 and ("%d"):format(n) or ("%.9g"):format(n)
end

local function add(out, name, kind, help)
  out[#out + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(name, help, name, kind)
end

local function sample(out, name, tags, value)
  out[#out + 1] = ("%s%s %s\n"):format(name, tags and "{" .. tags .. "}" or "", number(value))
end

--- Rows of equal routes and methods, whatever the status: for the histogram.
local function by_route(list)
  local found, order = {}, {}
  for _, row in ipairs(list) do
    local tags = ('method="%s",route="%s"'):format(row[2], escaped(row[1]))
    local sum = found[tags]
    if not sum then
      sum = { tags = tags, count = 0, seconds = 0, buckets = {} }
      found[tags], order[#order + 1] = sum, sum
    end
    sum.count, sum.seconds = sum.count + row[4], sum.seconds + row[5]
    for i = 1, #native.bounds do sum.buckets[i] = (sum.buckets[i] or 0) + row[5 + i] end
  end
  return order
end

local function add_requests(out, list)
  table.sort(list, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  add(out, "http_requests_total", "counter", "Requests that have ended.")
  for _, row in ipairs(list) do
    sample(out, "http_requests_total", ('method="%s",route="%s",status="%d"'):format(row[2], escaped(row[1]), row[3]),
      row[4])
  end
  add(out, "http_request_duration_seconds", "histogram", "From the head of a request to the end of its answer.")
  for _, sum in ipairs(by_route(list)) do
    local below = 0
    for i, bound in ipairs(native.bounds) do
      below = below + sum.buckets[i]
      sample(out, "http_request_duration_seconds_bucket", ('%s,le="%s"'):format(sum.tags, number(bound)), below)
    end
    sample(out, "http_request_duration_seconds_bucket", sum.tags .. ',le="+Inf"', sum.count)
    sample(out, "http_request_duration_seconds_sum", sum.tags, sum.seconds)
    sample(out, "http_request_duration_seconds_count", sum.tags, sum.count)
  end
end

local GAUGES = {
  { "luaserve_connections", "connections", "Open connections." },
  { "luaserve_lua_memory_bytes", "memory", "Lua's memory." },
  { "luaserve_loop_lag_seconds", "lag", "How late the loop's last timer was." },
}

--- The text of {rows, processes = {{id, connections, memory, lag}...}, respawns, uptime}.
local function render(all)
  local out = {}
  add_requests(out, all.rows)
  for _, gauge in ipairs(GAUGES) do
    add(out, gauge[1], "gauge", gauge[3])
    for _, one in ipairs(all.processes) do
      sample(out, gauge[1], ('worker="%d"'):format(one.id), one[gauge[2]])
    end
  end
  add(out, "luaserve_workers", "gauge", "Processes that serve.")
  sample(out, "luaserve_workers", nil, #all.processes)
  add(out, "luaserve_respawns_total", "counter", "Workers that have ended without being told to.")
  sample(out, "luaserve_respawns_total", nil, all.respawns)
  add(out, "luaserve_uptime_seconds", "gauge", "Since the start of the primary.")
  sample(out, "luaserve_uptime_seconds", nil, all.uptime)
  return table.concat(out)
end

local function alone()
  local _, connections, memory = native.process()
  return { rows = rows(), respawns = 0, uptime = process.uptime(),
    processes = { { id = 0, connections = connections, memory = memory, lag = lag } } }
end

--- A handler that answers with the measures of all workers, in Prometheus's text format; requests are counted from
--- its making on.
---@return luaserve.Handler
function M.handler()
  enable()
  return function(_, res)
    local all = alone
    if core.worker then all = require("luaserve.cluster.child").measure end
    local found = all()
    if not found then return 503, "the primary does not answer\n" end
    res:setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
    res:setHeader("Cache-Control", "no-store")
    return render(found)
  end
end

setmetatable(M, { __call = function() return M.handler() end })

return M
