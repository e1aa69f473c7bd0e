--- The page that shows an error to whoever develops the app: what luaserve.trouble has found out about it, as HTML.
--- It has no script of its own and loads nothing. Whether it may be shown at all is its caller's to say.
local escape_html = require("luaserve").escapeHTML
local names = require "luaserve.names"
local peek = require "luaserve.peek"
local status_codes = require("http").STATUS_CODES

local M = {}

--- What a response with this page is to have as its Content-Security-Policy, where its head has no script.
M.POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

local STYLE = [[
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2230; --soft: #5b6475; --line: #dfe3ea;
  --bad: #c92a2a; --bad-back: #fff0f0; --name: #1864ab; --key: #7b3fc4; --str: #0a6b3d; --note: #667080; }
@media (prefers-color-scheme: dark) {
  :root { --back: #12151c; --card: #1b202b; --text: #e8ebf2; --soft: #a0a9bb; --line: #343c4c; --bad: #ff8787;
    --bad-back: #3b1d22; --name: #91c7ff; --key: #c9a4ff; --str: #83d9a2; --note: #8d97a8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
header { background: var(--card); border-top: .4rem solid var(--bad); border-bottom: 1px solid var(--line);
  padding: 1.5rem clamp(1rem, 4vw, 3rem); }
header p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
h1 { margin: .4rem 0; font: 600 1.35rem/1.4 ui-monospace, monospace; color: var(--bad); white-space: pre-wrap;
  overflow-wrap: anywhere; }
main { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 22rem); gap: 2rem; align-items: start;
  padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; }
main.alone { grid-template-columns: minmax(0, 1fr); }
@media (max-width: 60rem) { main { grid-template-columns: minmax(0, 1fr); } }
h2 { margin: 0 0 .6rem; font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
section + section { margin-top: 2rem; }
details, .own { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
.own { background: none; border-style: dashed; color: var(--soft); padding: .35rem .9rem; font-size: .875rem; }
summary { padding: .6rem .9rem; cursor: pointer; overflow-wrap: anywhere; }
summary:focus-visible { outline: 2px solid var(--name); outline-offset: 2px; border-radius: .5rem; }
summary span { color: var(--soft); }
pre, code, td, .place { font-family: ui-monospace, monospace; font-size: .875rem; }
pre { margin: 0; padding: .5rem 0; overflow-x: auto; border-top: 1px solid var(--line); line-height: 1.6; tab-size: 4; }
pre div { padding: 0 .9rem; width: max-content; min-width: 100%; }
pre .at { background: var(--bad-back); box-shadow: inset .25rem 0 var(--bad); font-weight: 600; }
pre i { display: inline-block; min-width: 3ch; margin-right: 1.2em; text-align: right; font-style: normal;
  color: var(--soft); user-select: none; }
pre b { font-weight: inherit; } b.k { color: var(--key); } b.s { color: var(--str); } b.n { color: var(--name); }
b.c { color: var(--note); font-style: italic; }
table { width: 100%; border-collapse: collapse; }
details table { border-top: 1px solid var(--line); padding-bottom: .5rem; border-collapse: separate; border-spacing: 0; }
th { padding: .5rem .9rem .1rem; text-align: left; font-size: .8rem; color: var(--soft); font-weight: 600; }
td { padding: .2rem .9rem; vertical-align: top; white-space: pre-wrap; overflow-wrap: anywhere; }
td:first-child { width: 1%; color: var(--name); white-space: nowrap; }
aside td:first-child { white-space: normal; width: 38%; }
aside .card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 0; }
ol { margin: 0; padding: 0 .9rem 0 2.4rem; } li { padding: .15rem 0; overflow-wrap: anywhere; } .soft { color: var(--soft); }
]]

local function escape(text)
  return escape_html(peek.printable(tostring(text)))
end

--- A place without the folder that the program was started in.
local function short(place)
  local folder = require("process").cwd() .. "/"
  return place:sub(1, #folder) == folder and place:sub(#folder + 1) or place
end

--- A text with its escaped values in the places of %s; %% is %.
local function fill(text, ...)
  local values, n = { ... }, 0
  return (text:gsub("%%(.)", function(kind)
    if kind == "%" then return "%" end
    n = n + 1
    return escape(values[n])
  end))
end

-- ---- source

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then
  true until while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

local function tagged(class, text)
  return ('<b class="%s">%s</b>'):format(class, escape(text))
end

--- The token that begins at a place of a line, as HTML, and where the next one begins.
local function token(line, at)
  local word = line:match("^[%a_][%w_]*", at)
  if word then return KEYWORDS[word] and tagged("k", word) or escape(word), at + #word end
  local number = line:match("^%d[%w.]*", at)
  if number then return tagged("n", number), at + #number end
  if line:find("^%-%-", at) then return tagged("c", line:sub(at)), #line + 1 end
  local quote = line:match("^[\"']", at)
  if not quote then
    local rest = line:match("^[^%w_\"'-]+", at) or line:sub(at, at)
    return escape(rest), at + #rest
  end
  local last = at + 1
  while last <= #line and line:sub(last, last) ~= quote do
    last = last + (line:sub(last, last) == "\\" and 2 or 1)
  end
  return tagged("s", line:sub(at, last)), last + 1
end

--- A line of Lua with its words in colours; what spans lines is taken for code.
local function coloured(line)
  local parts, at = {}, 1
  while at <= #line do
    parts[#parts + 1], at = token(line, at)
  end
  return table.concat(parts)
end

-- ---- frames

local function add_source(out, frame)
  local is_lua = not frame.file:find("%.html?$") -- a template
  local numbers = {}
  for number in pairs(frame.source) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  out[#out + 1] = "<pre>"
  for _, number in ipairs(numbers) do
    local line = frame.source[number]
    out[#out + 1] = ("<div%s><i>%d</i>%s</div>"):format(number == frame.line and ' class="at"' or "", number,
      is_lua and coloured(line) or escape(line))
  end
  out[#out + 1] = "</pre>"
end

local function add_values(out, title, values)
  if not values then return end
  out[#out + 1] = fill('<tr><th colspan="2">%s</th></tr>', title)
  for _, pair in ipairs(values) do out[#out + 1] = fill("<tr><td>%s</td><td>%s</td></tr>", pair.name, pair.value) end
end

local function add_frame(out, frame, open)
  local place = frame.file ~= "" and short(frame.file) .. ":" .. frame.line or ""
  if frame.own or not (frame.source or frame.locals or frame.upvalues) then
    out[#out + 1] = fill('<div class="own"><span class="place">%s</span> %s</div>', place, frame.name)
    return
  end
  out[#out + 1] = open and "<details open>" or "<details>"
  out[#out + 1] = fill('<summary><b class="place">%s</b> <span>in %s</span></summary>', place, frame.name)
  if frame.source then add_source(out, frame) end
  out[#out + 1] = "<table>"
  add_values(out, "Locals", frame.locals)
  add_values(out, "From around the function", frame.upvalues)
  out[#out + 1] = "</table></details>"
end

--- All frames; the innermost of the app is open.
local function add_frames(out, frames)
  local shown = false
  out[#out + 1] = "<section><h2>Where it happened</h2>"
  if #frames == 0 then out[#out + 1] = '<p class="soft">Nothing is known of that.</p>' end
  for _, frame in ipairs(frames) do
    local open = not shown and not frame.own and frame.source ~= nil
    add_frame(out, frame, open)
    shown = shown or open
  end
  out[#out + 1] = "</section>"
end

-- ---- what was asked for

local function add_route(out, route)
  out[#out + 1] = '<section><h2>Route</h2><div class="card"><table>'
  out[#out + 1] = fill("<tr><td>%s</td><td>%s</td></tr>", route.method, route.path)
  out[#out + 1] = fill("<tr><td>defined</td><td>%s</td></tr></table></div></section>", short(route.at))
end

local function add_middleware(out, ran)
  out[#out + 1] = '<section><h2>Middleware that ran</h2><div class="card"><ol>'
  for _, one in ipairs(ran) do
    local place = short(one.at)
    if place:match("[^/]*$") == one.name then place = "" end -- told already
    out[#out + 1] = fill('<li>%s <span class="soft">%s</span></li>', one.name, place)
  end
  out[#out + 1] = "</ol></div></section>"
end

local function add_request(out, request)
  out[#out + 1] = '<section><h2>Request</h2><div class="card"><table>'
  out[#out + 1] = fill("<tr><td>%s</td><td>%s</td></tr>", request.method, request.url)
  out[#out + 1] = fill("<tr><td>HTTP/%s</td><td>from %s</td></tr>", request.httpVersion, request.peer)
  for _, name in ipairs(names.sorted(request.headers)) do
    out[#out + 1] = fill("<tr><td>%s</td><td>%s</td></tr>", name, request.headers[name])
  end
  out[#out + 1] = "</table></div></section>"
end

local function add_aside(out, t)
  out[#out + 1] = "<aside>"
  if t.route then add_route(out, t.route) end
  if t.middleware and t.middleware[1] then add_middleware(out, t.middleware) end
  add_request(out, t.request)
  out[#out + 1] = "</aside>"
end

-- ---- the page

--- The first line of a message is the title; the rest, where there is one, is no less part of it.
local function head_of(t)
  local request = t.request
  local said = request and request.method .. " " .. request.url or "The app does not start"
  local status = request and ("%d %s · "):format(t.status, status_codes[t.status] or "") or ""
  return fill("<p>%s</p><h1>%s</h1>", status .. said, short(t.message))
end

--- The page of an error.
---@param t Trouble
---@param head string? HTML to have in its head, such as the script that reloads it
---@return string html
function M.render(t, head)
  local out = { '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    fill("<title>%s</title>", short(t.message):match("^[^\n]*")), "<style>" .. STYLE .. "</style>", head or "",
    "</head><body><header>" .. head_of(t) }
  if t.value and t.value ~= t.message then out[#out + 1] = fill("<p><code>%s</code></p>", t.value) end
  out[#out + 1] = t.request and "</header><main><div>" or '</header><main class="alone"><div>'
  add_frames(out, t.frames)
  out[#out + 1] = "</div>"
  if t.request then add_aside(out, t) end
  out[#out + 1] = "</main></body></html>\n"
  return table.concat(out)
end

return M
