--- Templates: text with Lua in it, compiled once to a Lua function.
---
---   <%= value %>   the value, escaped for HTML      <%- value %>  as it is
---   <% code %>     Lua                              <%# note %>   nothing
---   -%>            eats the line's end behind it    <%% and %%>   are <% and %>
---
--- A template becomes Lua code with as many lines as it has itself, so that errors
--- name its lines; texts and values that follow each other are one call of C.
local core = require "luaserve.core"
local fs = require "fs"
local native = require "luaserve.core.template"
local path = require "path"

local M = {}

local load_text = rawget(_G, "loadstring") or load
local setfenv = rawget(_G, "setfenv")
local MAX_PIECES = 60 -- of one call: each is a register of the Lua function
local MAX_DEPTH = 100 -- of templates within templates

-- ---- from a template to Lua

--- Writes Lua code; what it adds in lines it takes off the lines that follow.
local Writer = {}
Writer.__index = Writer

function Writer:flush()
  if #self.pieces == 0 then return end
  self.code[#self.code + 1] = "__put(__out," .. table.concat(self.pieces, ",") .. ") "
  self.pieces = {}
end

--- Adds an expression. Odd pieces are raw and even ones escaped: an empty one in
--- between keeps the order.
function Writer:piece(expression, escaped)
  if (#self.pieces % 2 == 1) ~= escaped then self.pieces[#self.pieces + 1] = "nil" end
  self.pieces[#self.pieces + 1] = expression
  if #self.pieces >= MAX_PIECES then self:flush() end
end

function Writer:text(text)
  if text == "" then return end
  local literal = ("%q"):format(text):gsub("\\\n", function(newline)
    if self.ahead == 0 then return newline end
    self.ahead = self.ahead - 1
    return "\\n"
  end)
  self:piece(literal:gsub("\r", "\\13"), false)
end

--- A line of the template that prints nothing.
function Writer:newline()
  self:flush()
  if self.ahead > 0 then
    self.ahead = self.ahead - 1
  else
    self.code[#self.code + 1] = "\n"
  end
end

function Writer:statement(code)
  self:flush()
  if code:find("--", 1, true) then -- a comment ends with its line
    code = code .. "\n"
    self.ahead = self.ahead + 1
  end
  self.code[#self.code + 1] = code .. " "
end

local function line_at(source, at)
  return select(2, source:sub(1, at):gsub("\n", "\n")) + 1
end

local function fail(name, source, at, message)
  error(name .. ":" .. line_at(source, at) .. ": " .. message, 0)
end

--- The tag that opens at `open`: its kind, what is in it, where the text goes on,
--- and the line's end that it eats.
local function read_tag(source, open, name)
  local kind = source:match("^[=#-]", open + 2) or ""
  local first = open + 2 + #kind
  local last, close = source:find("%-?%%>", first)
  while last and source:sub(last - 1, last - 1) == "%" do -- %%> is none
    last, close = source:find("%-?%%>", close + 1)
  end
  if not last then fail(name, source, open, "'<%" .. kind .. "' is never closed by '%>'") end
  local trims = source:sub(last, last) == "-"
  local eaten = trims and source:match("^\r?\n", close + 1) or ""
  return kind, source:sub(first, last - 1), close + 1 + #eaten, eaten
end

local function unmask(text)
  return (text:gsub("<%%%%", "<%%"):gsub("%%%%>", "%%>"))
end

local function tag(writer, kind, inner, eaten)
  if kind == "=" or kind == "-" then
    writer:piece("(" .. inner .. ")", kind == "=")
  else
    writer:statement(kind == "#" and inner:gsub("[^\n]", "") or inner)
  end
  if eaten ~= "" then writer:newline() end
end

--- The Lua code of a template.
local function translate(source, name)
  local writer = setmetatable({ code = {}, pieces = {}, ahead = 0 }, Writer)
  local at = 1
  while true do
    local open = source:find("<%%[^%%]", at)
    if not open and source:find("<%%$", at) then open = #source - 1 end
    writer:text(unmask(source:sub(at, (open or 0) - 1)))
    if not open then break end
    local kind, inner, behind, eaten = read_tag(source, open, name)
    tag(writer, kind, unmask(inner), eaten)
    at = behind
  end
  writer:flush()
  return table.concat(writer.code)
end

--- Compiles Lua code to fill(env, out), which runs it with env as its globals.
local function load_code(code, name)
  local parameters = setfenv and "__out" or "_ENV,__out"
  local chunk, message = load_text("local __put=... return function(" .. parameters .. ") " .. code .. " end",
    "@" .. name, "t")
  if not chunk then error(message, 0) end
  if not setfenv then return chunk(native.put) end
  return function(env, out) -- a function for each run: others may wait in theirs
    return setfenv(chunk, env)(native.put)(out)
  end
end

-- ---- running

-- What a template sees: env = {data, template, parent env, depth}, where a name is
-- looked for in data, then among the helpers, in what included it, and in _G.
local helpers = {}
local env_meta = {}

function env_meta.__index(env, name)
  local value = rawget(env, 1)[name]
  if value ~= nil then return value end
  local helper = helpers[name]
  if helper then
    value = helper(env)
    rawset(env, name, value)
    return value
  end
  local parent = rawget(env, 3)
  if parent then return parent[name] end
  return _G[name]
end

-- The data that a running template was given, where env is what it sees, or nil; for trouble.lua.
function M._data_of(env)
  return type(env) == "table" and debug.getmetatable(env) == env_meta and rawget(env, 1) or nil
end

local idle = {} -- outputs that no template is filling

local function run(template, data, parent)
  local depth = parent and rawget(parent, 4) + 1 or 1
  if depth > MAX_DEPTH then error("templates include each other more than " .. MAX_DEPTH .. " deep", 0) end
  local out = table.remove(idle) or native.out()
  local env = setmetatable({ data, template, parent or false, depth, false }, env_meta)
  rawset(env, "__output", out)
  template.fill(env, out)
  local text = native.cut(out)
  idle[#idle + 1] = out
  local layout = rawget(env, 5)
  if not layout then return text end
  rawset(env, 5, false)
  rawset(env, "body", text)
  return run(layout.template, layout.data, env)
end

local function check_data(data, level)
  if data == nil then return {} end
  if type(data) ~= "table" then error("the data of a template is a table, not a " .. type(data), level + 1) end
  return data
end

--- The template that another one names: one of its partials, or a file beside it.
local function named(env, name)
  local template = rawget(env, 2)
  if type(name) ~= "string" then error("the name of a template is a string, not a " .. type(name), 3) end
  local partial = template.partials and template.partials[name]
  if type(partial) == "string" then
    partial = M.new(partial, { name = name, partials = template.partials, views = template.views })
    template.partials[name] = partial
  end
  if partial then return partial end
  if not template.views then error("there is no partial '" .. name .. "', and no folder of views to look in", 3) end
  return M.find(template.views, name)
end

--- include(name[, data]) -> text
function helpers.include(env)
  return function(name, data)
    return run(named(env, name), check_data(data, 2), env)
  end
end

--- layout(name[, data]): what this template prints becomes `body` of that one.
function helpers.layout(env)
  return function(name, data)
    rawset(env, 5, { template = named(env, name), data = check_data(data, 2) })
  end
end

local function capture(env, fn, ...)
  local out = rawget(env, "__output")
  local from = native.length(out)
  fn(...)
  return native.cut(out, from)
end

--- capture(fn, ...) -> what fn(...) prints
function helpers.capture(env)
  return function(fn, ...) return capture(env, fn, ...) end
end

--- block(name, fn): what fn prints is `blocks.name` in the layout.
function helpers.block(env)
  return function(name, fn)
    env.blocks[name] = capture(env, fn)
  end
end

function helpers.blocks(env)
  local parent = rawget(env, 3)
  return parent and parent.blocks or {}
end

-- ---- templates

local template_meta = { __name = "Template" }

function template_meta.__call(template, data)
  return run(template, check_data(data, 2))
end

local known = { name = "string", partials = "table", views = "string" }

local function check_options(options, level)
  for key, value in pairs(options) do
    if not known[key] then
      error("unknown option '" .. tostring(key) .. "': there are name, partials and views", level + 1)
    end
    if type(value) ~= known[key] then
      error("the option " .. key .. " is a " .. known[key] .. ", not a " .. type(value), level + 1)
    end
  end
end

--- A template as an object, which can be called with data.
---@param source string
---@param options table as for compile
---@return table
function M.new(source, options)
  local name = options.name or "template"
  local partials
  if options.partials then
    partials = {}
    for key, value in pairs(options.partials) do partials[key] = value end
  end
  return setmetatable({ fill = load_code(translate(source, name), name), views = options.views, partials = partials },
    template_meta)
end

--- Compiles a template. The function that comes back makes a text of data, whose
--- fields are the template's globals. Raises where the template is wrong, with its
--- line. Options: name, for messages; partials, the templates that it may name;
--- views, else the folder to look for them in.
---@param source string
---@param options {name: string?, partials: table<string, string>?, views: string?}?
---@return fun(data: table?): string
function M.compile(source, options)
  if type(source) ~= "string" then error("template.compile needs the text of a template, not a " .. type(source), 2) end
  options = options or {}
  check_options(options, 2)
  local template = M.new(source, options)
  return function(data) return run(template, check_data(data, 2)) end
end

-- ---- files

local views = {} -- folder -> file -> template

local function read(file)
  if core.canWait() then return fs.readFile(file) end
  local ok, text = pcall(fs.readFileSync, file)
  if ok then return text end
  return nil, tostring(text)
end

--- The file of a view; raises where it lies outside of its folder.
local function file_of(folder, name)
  if name:find("%z") or name:sub(1, 1) == "/" or ("/" .. name .. "/"):find("/../", 1, true) then
    error("the name of a view is a path within its folder, not '" .. name .. "'", 0)
  end
  return path.join(folder, path.extname(name) == "" and name .. ".html" or name)
end

--- The view of that name in a folder, compiled when it is first asked for.
---@param folder string absolute
---@param name string a path in it; without an extension, .html is meant
---@return table template
function M.find(folder, name)
  local cache = views[folder] or {}
  views[folder] = cache
  if cache[name] then return cache[name] end
  local file = file_of(folder, name)
  if core.loads then core.loads(file) end
  local text, message = read(file)
  if not text then error("no view '" .. name .. "': " .. message, 0) end
  cache[name] = M.new(text, { name = file, views = folder })
  return cache[name]
end

--- Prints the view of that name in a folder. Waits where the file has to be read.
---@param folder string relative to the script's folder
---@param name string a path in it; without an extension, .html is meant
---@param data table?
---@return string
function M.render(folder, name, data)
  if type(folder) ~= "string" or type(name) ~= "string" then error("template.render needs a folder and a name", 2) end
  return run(M.find(core.beside(folder), name), check_data(data, 2))
end

return M
