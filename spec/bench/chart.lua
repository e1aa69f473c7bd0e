-- The chart of spec/bench/store: reads lines "sessions alone read write" and prints an SVG
-- of what a read and a write cost more than a request that leaves its session alone,
-- against the number of sessions. Readable on light and dark.
local WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 64, 120, 56, 56

local rows = {}
for line in io.lines() do
  local count, _, read, write = line:match("^(%d+)%s+(%S+)%s+(%S+)%s+(%S+)")
  if count then rows[#rows + 1] = { count = tonumber(count), read = tonumber(read), write = tonumber(write) } end
end
assert(#rows > 1, "the chart needs two lines or more")

local most = 0
for _, row in ipairs(rows) do most = math.max(most, row.read, row.write) end
local step = most > 40 and 10 or most > 16 and 5 or 2
local top = math.ceil(most / step) * step

local function log10(n)
  return math.log(n) / math.log(10)
end

local first, last = log10(rows[1].count), log10(rows[#rows].count)

local function x_of(count)
  return LEFT + (log10(count) - first) / (last - first) * (WIDTH - LEFT - RIGHT)
end

local function y_of(cost)
  return HEIGHT - BOTTOM - math.max(cost, 0) / top * (HEIGHT - TOP - BOTTOM)
end

local function grouped(n)
  local text = ("%d"):format(n)
  while true do
    local changed
    text, changed = text:gsub("^(%d+)(%d%d%d)", "%1,%2")
    if changed == 0 then return text end
  end
end

local out = {}

local function add(format, ...)
  out[#out + 1] = format:format(...)
end

local function text(x, y, anchor, content, class)
  add('<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>', x, y, anchor,
    class and ' class="' .. class .. '"' or "", content)
end

local function curve(name, label)
  local points = {}
  for i, row in ipairs(rows) do points[i] = ("%.1f,%.1f"):format(x_of(row.count), y_of(row[name])) end
  add('<polyline class="%s line" points="%s"/>', name, table.concat(points, " "))
  for _, row in ipairs(rows) do
    add('<circle class="%s" cx="%.1f" cy="%.1f" r="4"><title>%s sessions: %.1f µs</title></circle>', name,
      x_of(row.count), y_of(row[name]), grouped(row.count), row[name])
  end
  local end_of = rows[#rows]
  text(x_of(end_of.count) + 12, y_of(end_of[name]) + 4, "start", ("%s, %.1f"):format(label, end_of[name]), name)
end

add('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img"', WIDTH, HEIGHT,
  WIDTH, HEIGHT)
add('  aria-label="What a session costs a request, against the number of sessions">')
add([[<style>
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #ddd } .axis { stroke: #888 } .line { fill: none; stroke-width: 2.5 }
  .back { fill: #fff }
  .read { fill: #0b62c4 } .read.line { fill: none; stroke: #0b62c4 }
  .write { fill: #b4460b } .write.line { fill: none; stroke: #b4460b }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .back { fill: #16181c } .grid { stroke: #3a3d42 } .axis { stroke: #888 }
    .read { fill: #6cb2ff } .read.line { stroke: #6cb2ff }
    .write { fill: #ff9a5c } .write.line { stroke: #ff9a5c }
  }
</style>]])
add('<rect class="back" width="%d" height="%d" rx="6"/>', WIDTH, HEIGHT)
text(LEFT, 30, "start", "What a session costs a request: CPU microseconds more than one left alone", "title")
for cost = 0, top, step do
  add('<line class="%s" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>', cost == 0 and "axis" or "grid", LEFT, WIDTH - RIGHT,
    y_of(cost), y_of(cost))
  text(LEFT - 10, y_of(cost) + 4, "end", ("%d"):format(cost))
end
for _, row in ipairs(rows) do
  add('<line class="axis" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>', x_of(row.count), x_of(row.count), y_of(0),
    y_of(0) + 5)
  text(x_of(row.count), HEIGHT - BOTTOM + 22, "middle", grouped(row.count))
end
text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "middle", "sessions in the store, each request another visitor's")
curve("write", "written")
curve("read", "read")
add("</svg>")
print(table.concat(out, "\n"))
