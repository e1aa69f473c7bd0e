--- How many CPUs this process may really use: those that it may run on, and no more than what the control groups
--- above it leave it (cpu.max, or cpu.cfs_quota_us of version 1).
local M = {}

local function read(path)
  local file = io.open(path, "r")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

--- The length of a list like "0-3,8".
local function count(list)
  local n = 0
  for part in list:gmatch("[^,%s]+") do
    local first, last = part:match("^(%d+)%-(%d+)$")
    n = n + (first and tonumber(last) - tonumber(first) + 1 or 1)
  end
  return n
end

local function affinity()
  local status = read("/proc/self/status") or ""
  local list = status:match("Cpus_allowed_list:%s*([%d,%-]+)")
  return list and math.max(1, count(list)) or 1
end

--- CPUs that quota microseconds in each period are.
local function quota_of(quota, period)
  quota, period = tonumber(quota), tonumber(period)
  if not quota or not period or quota <= 0 or period <= 0 then return math.huge end
  return quota / period
end

local readers = {}

readers["cgroup2"] = function(folder)
  local quota, period = (read(folder .. "/cpu.max") or ""):match("^(%d+) (%d+)")
  return quota_of(quota, period)
end

readers["cgroup"] = function(folder)
  return quota_of(read(folder .. "/cpu.cfs_quota_us"), read(folder .. "/cpu.cfs_period_us"))
end

--- The folder of our group, and where its hierarchy begins: from /proc/self/cgroup and mountinfo.
local function groups()
  local found, text = {}, read("/proc/self/cgroup") or ""
  for line in (read("/proc/self/mountinfo") or ""):gmatch("[^\n]+") do
    local root, mount, kind, super = line:match("^%S+ %S+ %S+ (%S+) (%S+) .- %- (%S+) %S+ (%S+)")
    local controls = kind == "cgroup2" or kind == "cgroup" and ("," .. super .. ","):find(",cpu,", 1, true)
    if controls then
      local path = kind == "cgroup2" and text:match("0::([^\n]*)")
        or text:match("%d+:[^:\n]*%f[%w]cpu%f[^%w][^:\n]*:([^\n]*)")
      table.insert(found, { kind = kind, root = root, mount = mount, path = path or "/" })
    end
  end
  return found
end

--- The least that the group and those above it leave.
local function least(group)
  local path = group.path
  if group.root ~= "/" and path:sub(1, #group.root) == group.root then path = path:sub(#group.root + 1) end
  local best = math.huge
  while true do
    best = math.min(best, readers[group.kind](group.mount .. (path == "/" and "" or path)))
    if path == "" or path == "/" then return best end
    path = path:match("^(.*)/[^/]*$") or ""
  end
end

--- CPUs that this process may use, at least 1; a part of one counts as one.
---@return integer
function M.count()
  local n = affinity()
  for _, group in ipairs(groups()) do n = math.min(n, least(group)) end
  return math.max(1, math.ceil(n))
end

return M
