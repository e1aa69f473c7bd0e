--- What `luaserve --routes` prints: for each app of a script a table of its routes, with
--- what handles and what guards them; and `--openapi`, the document. The script is run, but nothing listens.
local core = require "luaserve.core"

local M = {}

--- Has servers listen nowhere, and what the script prints go to standard error.
function M.prepare()
  core.showing = {} -- the apps that are made from now on
  rawset(_G, "print", function(...)
    local texts = {}
    for i = 1, select("#", ...) do texts[i] = tostring((select(i, ...))) end
    io.stderr:write(table.concat(texts, "\t"), "\n")
  end)
end

--- A place as it is seen from the working directory.
local function near(where)
  local folder = require("process").cwd():gsub("/$", "") .. "/"
  where = where:gsub(": $", "")
  return where:sub(1, #folder) == folder and where:sub(#folder + 1) or where
end

--- A function's name where it is one of ours, else where it was made.
---@param fn function
---@return string
function M.name_of(fn)
  local source = require("luaserve.app").source(fn)
  if source and type(rawget(source, "name")) == "string" then return "luaserve." .. source.name end
  local info = debug.getinfo(fn, "S")
  local own = info.source:match("^@luaserve:luaserve/([%w_/]+)%.lua$")
  if own then return "luaserve." .. own:gsub("/", ".") end
  if info.what == "C" then return "a function in C" end
  return near((info.source:gsub("^[@=]", ""))) .. ":" .. info.linedefined
end

local name_of = M.name_of

--- The names of middlewares; where all is true, with their whole prefixes.
local function guard_names(uses, all)
  local names = {}
  for _, use in ipairs(uses) do
    for _, fn in ipairs(use.layer.fns) do
      local name, where = name_of(fn), near(use.layer.where)
      if name:find("^luaserve%.") then name = name .. " (" .. where .. ")" end
      local below = use.layer.path ~= "/" and use.at.path .. use.layer.path or all and use.at.path or ""
      if below ~= "" then name = name .. " below " .. below end
      names[#names + 1] = name
    end
  end
  return names
end

local function rows_of(state)
  local rows = { { "METHOD", "PATH", "NAME", "HANDLER", "GUARDED BY" } }
  local seen = {}
  for _, made in ipairs(state.entries) do
    local flat, layer = made.entry.flat, made.entry.flat.layer
    if not seen[flat] then
      seen[flat] = true
      local guards = guard_names(made.entry.guarded_by)
      for i = 1, #layer.fns - 1 do guards[#guards + 1] = name_of(layer.fns[i]) end
      local path = flat.at.path .. layer.path
      rows[#rows + 1] = { layer.method, #path > 1 and path:gsub("/$", "") or path, layer.name or "",
        name_of(layer.fns[#layer.fns]), table.concat(guards, ", ") }
    end
  end
  rows[#rows + 1] = { "-", "(all else)", "", "404", table.concat(guard_names(state.uses, true), ", ") }
  return rows
end

local function format(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i = 1, #row do widths[i] = math.max(widths[i] or 0, #row[i]) end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i = 1, #row do cells[i] = row[i] .. (" "):rep(widths[i] - #row[i]) end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub(" +$", ""))
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The apps of the script that are not mounted in others, in order.
local function apps()
  local list = {}
  for _, app in ipairs(core.showing) do
    if not app._parent then list[#list + 1] = app end
  end
  return list
end

local show = {}

function show.routes(app, several)
  local rows = rows_of(require("luaserve.router").start(app))
  if several then io.stdout:write("app of ", near(app._where), "\n") end
  io.stdout:write(format(rows))
end

function show.openapi(app)
  local json = require "json"
  io.stdout:write(json.encode(require("luaserve.openapi").document(app, app._docs), { sort = true }), "\n")
end

--- Prints what is asked for of all apps of the script, which has ended, and exits.
---@param what "routes"|"openapi"
function M.print(what)
  local list = apps()
  if not list[1] then
    io.stderr:write("luaserve: the script has made no app: require(\"luaserve\")() makes one\n")
    return require("process").exit(1)
  end
  for i, app in ipairs(list) do
    if i > 1 then io.stdout:write("\n") end
    show[what](app, #list > 1)
  end
  io.stdout:flush()
  return require("process").exit(0)
end

return M
