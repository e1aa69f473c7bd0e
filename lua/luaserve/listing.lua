--- The page that lists a folder: luaserve.static(dir, {listing = true}).
local M = {}

local PAGE = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<style>
:root { color-scheme: light dark; --line: rgb(128 128 128 / .25);
  --dim: color-mix(in srgb, currentColor 62%%, transparent); --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --link: #8ab4f8; } }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 54rem;
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 1.25rem; font-size: 1.35rem; font-weight: 600; overflow-wrap: anywhere; }
h1 a { color: inherit; }
table { width: 100%%; border-collapse: collapse; }
th { text-align: left; font-size: .8rem; font-weight: 600; color: var(--dim); }
th, td { padding: .45rem .6rem; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { padding-left: 0; width: 100%%; overflow-wrap: anywhere; }
td + td, th + th { text-align: right; white-space: nowrap; color: var(--dim);
  font-variant-numeric: tabular-nums; padding: .45rem 0 .45rem 2rem; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
.folder::after { content: "/"; }
p { color: var(--dim); }
@media (max-width: 34rem) { td:nth-child(3), th:nth-child(3) { display: none; } }
</style>
</head>
<body>
<h1>%s</h1>
<table>
<thead><tr><th scope="col">Name</th><th scope="col">Size</th><th scope="col">Modified (UTC)</th></tr></thead>
<tbody>
%s</tbody>
</table>
%s</body>
</html>
]]

local function percent(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function size_text(bytes)
  if bytes < 1024 then return ("%.0f B"):format(bytes) end
  for _, unit in ipairs({ "KB", "MB", "GB", "TB" }) do
    bytes = bytes / 1024
    if bytes < 1024 or unit == "TB" then return (bytes < 10 and "%.1f %s" or "%.0f %s"):format(bytes, unit) end
  end
end

--- Folders first, then by name without regard to case.
local function before(a, b)
  if a.folder ~= b.folder then return a.folder end
  local x, y = a.name:lower(), b.name:lower()
  if x ~= y then return x < y end
  return a.name < b.name
end

local function row(escape, entry)
  return ('<tr><td><a%s href="./%s%s">%s</a></td><td>%s</td><td>%s</td></tr>\n'):format(
    entry.folder and ' class="folder"' or "", percent(entry.name), entry.folder and "/" or "", escape(entry.name),
    entry.folder and "" or size_text(entry.size), os.date("!%Y-%m-%d %H:%M", entry.modified))
end

--- Sends the page of a folder.
---@param res ServerResponse
---@param path string of the folder below the one that is served, with a slash at its end
---@param entries {name: string, folder: boolean, size: integer, modified: integer}[]
---@param more boolean there are more than these
function M.send(res, path, entries, more)
  local escape = require("luaserve").escapeHTML
  table.sort(entries, before)
  local rows = {}
  if path ~= "/" then rows[1] = '<tr><td><a href="../">Parent folder</a></td><td></td><td></td></tr>\n' end
  for _, entry in ipairs(entries) do rows[#rows + 1] = row(escape, entry) end
  local title = "Index of " .. escape(path)
  local note = #entries == 0 and "<p>This folder is empty.</p>\n"
    or more and ("<p>Only the first %d names are shown.</p>\n"):format(#entries) or ""
  res:setHeader("Content-Type", "text/html; charset=utf-8")
  res:setHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'")
  res:setHeader("Cache-Control", "no-cache")
  local body = PAGE:format(title, title, table.concat(rows), note)
  return res:finish(body)
end

return M
