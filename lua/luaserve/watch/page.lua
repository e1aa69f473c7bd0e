--- The page of an error: HTML for browsers, JSON for those who ask for it, text for terminals. Everything in it is
--- escaped, and its policy lets no script run but the one by which it reloads itself.
local escape = require("luaserve.core.template").escape
local fields = require "luaserve.fields"
local json = require "json"
local trouble = require "luaserve.trouble"

local M = {}

local STYLE = [[
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--dim:#5c6672;--line:#e1e5ea;--red:#c4314b;
--redbg:#fdebee;--mark:#ffe1e6;--code:#fbfcfd;--key:#8250df;--str:#0a6b3d;--num:#0550ae;--note:#6e7781;--tag:#eef1f5}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1c2026;--ink:#e4e8ed;--dim:#98a3b0;--line:#2d333b;
--red:#ff7b8e;--redbg:#3a1c24;--mark:#4d222c;--code:#171b20;--key:#c49bff;--str:#7ad79b;--num:#84bdff;
--note:#8b949e;--tag:#272d35}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 20px 48px}
header{background:var(--card);border:1px solid var(--line);border-left:5px solid var(--red);border-radius:10px;
padding:18px 22px;margin-bottom:18px}
.kind{color:var(--red);font-weight:600;font-size:13px;letter-spacing:.02em;margin:0 0 6px}
h1{font:600 21px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:0;white-space:pre-wrap;
overflow-wrap:anywhere}
.where{color:var(--dim);margin:8px 0 0;font-size:14px;overflow-wrap:anywhere}
h2{font-size:13px;font-weight:600;color:var(--dim);margin:26px 0 10px;letter-spacing:.03em}
details,.box{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:0 0 10px;overflow:hidden}
summary{cursor:pointer;padding:10px 16px;display:flex;gap:4px 12px;flex-wrap:wrap;align-items:baseline;list-style:none}
summary::-webkit-details-marker{display:none}
summary::before{content:"\25B8";color:var(--dim);font-size:12px}
details[open]>summary::before{content:"\25BE"}
summary:focus-visible{outline:2px solid var(--num);outline-offset:-2px}
.place{font:600 14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.name{color:var(--dim);font-size:14px}
.own{padding:4px 16px;color:var(--dim);font-size:13px;overflow-wrap:anywhere}
pre{margin:0;padding:10px 0;background:var(--code);border-top:1px solid var(--line);overflow-x:auto;
font:13px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;tab-size:2}
pre span.l{display:block;padding:0 16px 0 0;min-width:max-content;border-left:4px solid transparent}
pre span.l.at{background:var(--mark);border-left-color:var(--red)}
pre i{display:inline-block;width:4.2em;padding-right:1.2em;text-align:right;color:var(--note);font-style:normal;
user-select:none}
b.k{color:var(--key);font-weight:500}b.s{color:var(--str);font-weight:400}b.n{color:var(--num);font-weight:400}
b.c{color:var(--note);font-weight:400;font-style:italic}
h3{font-size:12px;font-weight:600;color:var(--dim);margin:0;padding:10px 16px 4px;border-top:1px solid var(--line)}
table{width:100%;border-collapse:collapse;font:13px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
td,th{text-align:left;vertical-align:top;padding:4px 16px;font-weight:400;overflow-wrap:anywhere;
white-space:pre-wrap}
th{width:1%;min-width:13em;color:var(--key);padding-right:8px;white-space:normal}
tr:last-child>*{padding-bottom:12px}
.line{padding:12px 16px;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.line strong{font-weight:600}
.box table{border-top:1px solid var(--line)}.box tr:first-child>*{padding-top:10px}
ol{margin:0;padding:12px 16px 12px 40px}li{padding:2px 0;overflow-wrap:anywhere}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.at-place{color:var(--dim)}
footer{color:var(--dim);font-size:13px;margin-top:24px}
@media(max-width:600px){main{padding:14px 10px 32px}header{padding:14px 16px}h1{font-size:17px}
th,td{display:block;width:auto}td{padding-top:0;padding-bottom:8px}tr>th{padding-bottom:0!important}
pre i{width:3.2em;padding-right:.8em}}
]]

-- ---- source

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then
  true until while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

local function tagged(class, text)
  return ("<b class=%s>%s</b>"):format(class, escape(text))
end

--- The token that begins at a place of a line, as HTML, and where the next one begins.
local function token(line, at)
  local word = line:match("^[%a_][%w_]*", at)
  if word then return KEYWORDS[word] and tagged("k", word) or escape(word), at + #word end
  local number = line:match("^%d[%w.]*", at)
  if number then return tagged("n", number), at + #number end
  if line:find("^%-%-", at) then return tagged("c", line:sub(at)), #line + 1 end
  local quote = line:match("^[\"']", at)
  if quote then
    local last = at + 1
    while last <= #line and line:sub(last, last) ~= quote do
      last = last + (line:sub(last, last) == "\\" and 2 or 1)
    end
    return tagged("s", line:sub(at, last)), last + 1
  end
  local rest = line:match("^[^%w_\"'-]+", at) or line:sub(at, at)
  return escape(rest), at + #rest
end

--- A line of Lua with its words in colours; what spans lines is taken for code.
local function coloured(line)
  local parts, at = {}, 1
  while at <= #line do
    parts[#parts + 1], at = token(line, at)
  end
  return table.concat(parts)
end

local function source_of(frame)
  local numbers, out = {}, { "<pre>" }
  for number in pairs(frame.source) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  local is_lua = not frame.file:find("%.html?$")
  for _, number in ipairs(numbers) do
    local line = frame.source[number]
    out[#out + 1] = ("<span class=\"l%s\"><i>%d</i>%s</span>"):format(number == frame.line and " at" or "", number,
      is_lua and coloured(line) or escape(line))
  end
  out[#out + 1] = "</pre>"
  return table.concat(out)
end

-- ---- the parts of the page

local function rows(pairs_of)
  local out = {}
  for i, pair in ipairs(pairs_of) do
    out[i] = ("<tr><th>%s</th><td>%s</td></tr>"):format(escape(pair.name), escape(pair.value))
  end
  return "<table>" .. table.concat(out) .. "</table>"
end

local function short(file)
  local cwd = require("process").cwd() .. "/"
  return file:sub(1, #cwd) == cwd and file:sub(#cwd + 1) or file
end

local function frame_html(frame, is_open)
  if frame.own or not frame.source then
    local place = frame.line > 0 and ("%s:%d "):format(short(frame.file), frame.line) or ""
    return ("<div class=own>%s%s</div>"):format(escape(place), escape(frame.name))
  end
  local out = { ("<details%s><summary><span class=place>%s:%d</span><span class=name>%s</span></summary>"):format(
    is_open and " open" or "", escape(short(frame.file)), frame.line, escape(frame.name)), source_of(frame) }
  if frame.locals then out[#out + 1] = "<h3>Locals</h3>" .. rows(frame.locals) end
  if frame.upvalues then out[#out + 1] = "<h3>From around the function</h3>" .. rows(frame.upvalues) end
  out[#out + 1] = "</details>"
  return table.concat(out)
end

local function frames_html(frames)
  local out, shown = {}, 0
  for _, frame in ipairs(frames) do
    local counts = not frame.own and frame.source
    if counts then shown = shown + 1 end
    out[#out + 1] = frame_html(frame, counts and shown <= 1)
  end
  return out[1] and "<h2>Where</h2>" .. table.concat(out) or ""
end

local function request_html(t)
  local r, list = t.request, {}
  if not r then return "" end
  for name, value in pairs(r.headers) do list[#list + 1] = { name = name, value = value } end
  table.sort(list, function(a, b) return a.name < b.name end)
  return ("<h2>Request</h2><div class=box><div class=line><strong>%s</strong> %s <span class=at-place>HTTP/%s from %s"
    .. "</span></div>%s</div>"):format(escape(r.method), escape(r.url), escape(r.httpVersion),
    escape(r.peer), rows(list))
end

local function place_html(at)
  return at and at ~= "" and (" <span class=at-place>%s</span>"):format(escape(short(at))) or ""
end

local function route_html(t)
  local out = {}
  if t.route then
    out[#out + 1] = ("<h2>Route</h2><div class=box><div class=line><strong>%s</strong> %s%s</div></div>"):format(
      escape(t.route.method), escape(t.route.path), place_html(t.route.at))
  end
  if t.middleware and t.middleware[1] then
    out[#out + 1] = "<h2>Middlewares that ran</h2><div class=box><ol>"
    for _, one in ipairs(t.middleware) do
      out[#out + 1] = ("<li><code>%s</code>%s</li>"):format(escape(one.name), place_html(one.at))
    end
    out[#out + 1] = "</ol></div>"
  end
  return table.concat(out)
end

--- The message without the place that it begins with, and that place.
local function split_message(message)
  local place, rest = message:match("^([^\n:]+:%d+): (.+)$")
  if not place then place, rest = message:match("^error loading module '[^\n]*':%s+([^\n:]+:%d+): (.+)$") end
  if place then return rest, place end
  return message, nil
end

--- The page.
---@param t Trouble
---@param tag string what reloads it, or ""
---@param nonce string of its style
---@return string
function M.html(t, tag, nonce)
  local message, place = split_message(t.message)
  local kind = t.request and ("%d · %s %s"):format(t.status, t.request.method, t.request.url)
    or "The new code does not run"
  return table.concat { "<!doctype html>\n<html lang=en data-luaserve-error><head><meta charset=utf-8>",
    "<meta name=viewport content=\"width=device-width,initial-scale=1\"><title>", escape(message:sub(1, 80)),
    "</title><style nonce=\"", nonce, "\">", STYLE, "</style></head><body><main><header><p class=kind>",
    escape(kind), "</p><h1>", escape(message), "</h1>", place and "<p class=where>" .. escape(short(place)) .. "</p>"
    or "", t.value and "<p class=where>" .. escape(t.value) .. "</p>" or "", "</header>", frames_html(t.frames),
    route_html(t), request_html(t), "<footer>This page goes away when the file is saved without the mistake. ",
    "It is shown with --watch, on this machine alone.</footer></main>", tag, "</body></html>\n" }
end

--- How the client wants it: "html", "json" or "text".
local function form_of(req)
  local accept = tostring(req.headers.accept or ""):lower()
  if accept:find("text/html", 1, true) then return "html" end
  if accept:find("application/json", 1, true) or accept:find("+json", 1, true) then return "json" end
  return "text"
end

--- Answers with a trouble.
---@param req IncomingMessage
---@param res ServerResponse
---@param t Trouble
---@param options {status: integer?, still: boolean?}? still: without the script that reloads it
function M.answer(req, res, t, options)
  local form = form_of(req)
  res.statusCode = options and options.status or t.status
  res:setHeader("Cache-Control", "no-store")
  res:setHeader("X-Content-Type-Options", "nosniff")
  if form == "json" then
    res:setHeader("Content-Type", "application/json")
    return res:finish(json.encode(t) .. "\n")
  elseif form == "text" then
    res:setHeader("Content-Type", "text/plain; charset=utf-8")
    return res:finish(trouble.text(t) .. "\n")
  end
  local nonce = fields.random()
  res:setHeader("Content-Type", "text/html; charset=utf-8")
  res:setHeader("Content-Security-Policy", ("default-src 'none'; style-src 'nonce-%s'; script-src 'self'; "
    .. "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"):format(nonce))
  rawset(res, "_tag", false) -- it has its own
  local tag = options and options.still and "" or require("luaserve.watch.inject").tag()
  return res:finish(M.html(t, tag, nonce))
end

return M
