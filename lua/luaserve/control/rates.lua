--- What happened between two reports of a server: rates, and how long requests took, worker by worker.
local stats = require "luaserve.core.stats"

local M = {}

--- The time that so many of the counted requests took at most, in seconds, as far as the buckets tell: between the
--- ends of one it is taken to grow evenly. nil where there was none; math.huge for more than the last bucket has.
---@param buckets number[] counts, each for itself
---@param count number of all
---@param part number 0.5 for the median
---@return number?
function M.quantile(buckets, count, part)
  if count <= 0 then return nil end
  local wanted, below, from = count * part, 0, 0
  for i, bound in ipairs(stats.bounds) do
    local here = buckets[i]
    if here > 0 and below + here >= wanted then return from + (bound - from) * (wanted - below) / here end
    below, from = below + here, bound
  end
  return math.huge
end

--- What has been added; all of it where the process is another one by now.
local function growth(now, before, name)
  local value = now[name]
  if not value then return nil end
  local old = before and before[name] or 0
  return value >= old and value - old or value
end

local function bucket_growth(now, before)
  local list = {}
  for i, value in ipairs(now.buckets or {}) do
    local old = before and before.buckets and before.buckets[i] or 0
    list[i] = value >= old and value - old or value
  end
  return list
end

local function row_of(now, before, seconds)
  local row = { id = now.id, pid = now.pid, state = now.state, age = now.uptime, silent = now.silent,
    requests = now.requests, connections = now.connections, lua = now.lua, rss = now.rss, lag = now.lag }
  if not before or seconds <= 0 then return row end
  local requests, cpu = growth(now, before, "requests"), growth(now, before, "cpu")
  row.rate, row.cpu = requests and requests / seconds, cpu and cpu / seconds
  if now.buckets and before.buckets then
    row.count, row.buckets = growth(now, before, "count"), bucket_growth(now, before)
    row.p50, row.p99 = M.quantile(row.buckets, row.count, 0.5), M.quantile(row.buckets, row.count, 0.99)
  end
  return row
end

local SUMS = { "requests", "connections", "lua", "rss", "rate", "cpu", "count" }

--- All workers as one row. The longest lag is that of all.
---@param rows table[]
---@return table
function M.total(rows)
  local all = { id = "all", buckets = {} }
  for i = 1, #stats.bounds do all.buckets[i] = 0 end
  for _, row in ipairs(rows) do
    for _, name in ipairs(SUMS) do
      if row[name] then all[name] = (all[name] or 0) + row[name] end
    end
    for i, value in ipairs(row.buckets or {}) do all.buckets[i] = all.buckets[i] + value end
    if row.lag then all.lag = math.max(all.lag or 0, row.lag) end
  end
  all.p50 = M.quantile(all.buckets, all.count or 0, 0.5)
  all.p99 = M.quantile(all.buckets, all.count or 0, 0.99)
  return all
end

--- The rows of a report, compared with the one before it.
---@param now table[] the processes of a report
---@param before table[]? those of the last
---@param seconds number between them
---@return table[]
function M.rows(now, before, seconds)
  local old, rows = {}, {}
  for _, one in ipairs(before or {}) do old[one.id .. "/" .. one.pid] = one end
  for i, one in ipairs(now) do rows[i] = row_of(one, old[one.id .. "/" .. one.pid], seconds) end
  return rows
end

return M
