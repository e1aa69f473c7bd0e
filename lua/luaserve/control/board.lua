--- The table of `luaserve top` as lines of text, as wide as there is room.
local M = {}

local floor = math.floor

local function whole(n)
  return ("%.0f"):format(n)
end

--- A count in at most seven characters.
local function count(n)
  if not n then return "-" end
  if n < 1e6 then return whole(n) end
  if n < 1e9 then return ("%.1fM"):format(n / 1e6) end
  return ("%.1fG"):format(n / 1e9)
end

local function rate(n)
  if not n then return "-" end
  return n < 100 and n > 0 and ("%.1f"):format(n) or count(n)
end

local function bytes(n)
  if not n then return "-" end
  if n < 1024 * 1024 then return whole(n / 1024) .. "K" end
  if n < 1024 * 1024 * 1024 then return ("%.1fM"):format(n / 1024 / 1024) end
  return ("%.1fG"):format(n / 1024 / 1024 / 1024)
end

--- A time that something took.
local function took(seconds)
  if not seconds then return "-" end
  if seconds == math.huge then return "long" end
  if seconds < 0.01 then return ("%.1fms"):format(seconds * 1000) end
  if seconds < 1 then return whole(seconds * 1000) .. "ms" end
  return ("%.1fs"):format(seconds)
end

--- How long something has been there.
---@param seconds number?
---@return string
function M.age(seconds)
  if not seconds then return "-" end
  seconds = math.max(0, floor(seconds))
  if seconds < 60 then return seconds .. "s" end
  if seconds < 3600 then return floor(seconds / 60) .. "m" end
  if seconds < 86400 then return floor(seconds / 3600) .. "h" end
  return floor(seconds / 86400) .. "d"
end

local function percent(n)
  return n and whole(n * 100) .. "%" or "-"
end

local function state(row)
  if row.state == "busy" and row.silent and row.silent >= 2 then return "busy " .. M.age(row.silent) end
  return row.state or ""
end

local function text(value) return value and tostring(value) or "" end

-- In their order; those with the highest `drop` go first where there is no room. `left`: to the left.
local COLUMNS = {
  { title = "#", width = 4, value = function(row) return text(row.id) end },
  { title = "PID", width = 8, drop = 5, value = function(row) return text(row.pid) end },
  { title = "STATE", width = 9, drop = 1, left = true, value = state },
  { title = "AGE", width = 5, drop = 7, value = function(row) return row.age and M.age(row.age) or "" end },
  { title = "REQ/S", width = 7, value = function(row) return rate(row.rate) end },
  { title = "REQUESTS", width = 9, drop = 8, value = function(row) return count(row.requests) end },
  { title = "P50", width = 6, drop = 3, value = function(row) return took(row.p50) end },
  { title = "P99", width = 6, value = function(row) return took(row.p99) end },
  { title = "CONN", width = 6, drop = 2, value = function(row) return count(row.connections) end },
  { title = "LUA", width = 7, drop = 6, value = function(row) return bytes(row.lua) end },
  { title = "RSS", width = 7, drop = 9, value = function(row) return bytes(row.rss) end },
  { title = "CPU", width = 5, drop = 4, value = function(row) return percent(row.cpu) end },
  { title = "LAG", width = 7, drop = 3.5, value = function(row) return took(row.lag) end },
}

--- The columns that fit.
local function fitting(width)
  local shown, used = {}, 0
  for i, column in ipairs(COLUMNS) do
    shown[i] = column
    used = used + column.width
  end
  while used > width do
    local worst
    for i, column in ipairs(shown) do
      if column.drop and (not worst or column.drop > shown[worst].drop) then worst = i end
    end
    if not worst then break end
    used = used - table.remove(shown, worst).width
  end
  return shown
end

local function cell(column, value)
  if #value >= column.width then value = value:sub(1, column.width - 1) end
  if column.left then return " " .. value .. (" "):rep(column.width - 1 - #value) end
  return (" "):rep(column.width - #value) .. value
end

local function line(columns, of)
  local cells = {}
  for i, column in ipairs(columns) do cells[i] = cell(column, of(column)) end
  return (table.concat(cells):gsub("%s+$", ""))
end

--- The table's lines: titles, a row for each, and one for all where there are several.
---@param rows table[]
---@param total table?
---@param width integer columns
---@param height integer? lines that there is room for
---@return string[]
function M.lines(rows, total, width, height)
  local columns, lines = fitting(width), {}
  lines[1] = line(columns, function(column) return column.title end)
  local room = math.max(1, (height or math.huge) - 1 - (total and 1 or 0))
  local shown = #rows > room and math.max(1, room - 1) or #rows
  for i = 1, shown do lines[#lines + 1] = line(columns, function(column) return column.value(rows[i]) end) end
  if shown < #rows then lines[#lines + 1] = ("... %d more"):format(#rows - shown) end
  if total then lines[#lines + 1] = line(columns, function(column) return column.value(total) end) end
  return lines
end

--- One line about the server, with as much as there is room for.
---@param report table
---@param width integer
---@return string
function M.heading(report, width)
  local parts = { "luaserve " .. report.version, "process " .. report.pid, "up " .. M.age(report.uptime) }
  if report.workers then
    local n = #report.processes
    parts[#parts + 1] = n == 1 and "1 worker" or n .. " workers"
    if report.respawns > 0 then parts[#parts + 1] = report.respawns .. " replaced" end
  end
  parts[#parts + 1] = report.script
  local function is_long() return #table.concat(parts, ", ") > width end
  if is_long() then parts[#parts] = report.script:match("[^/]*$") end
  while is_long() and parts[2] do parts[#parts] = nil end
  return table.concat(parts, ", ")
end

return M
