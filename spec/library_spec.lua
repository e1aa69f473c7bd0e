-- The annotations for editors (lua/library) and the reference name the same
-- functions; spec/api_docs_spec.lua compares the reference with the code. What is
-- copied from sources is as it is there. No language server is needed for that:
-- the tags' types are read here, by LuaCATS's grammar.
local helper = require("spec.helper")
local files = require("spec.helper.files")
local library = dofile(".ci/library.lua")
local lfs = require("lfs")

local FOLDER = "lua/library/"

-- What a name in the reference is an object of.
local CLASSES = {}
for name, classes in ([[
  address=url.URL answer=fetch.Response app=App ask=TestRequest client=TestClient db=Database
  emitter=EventEmitter handle=fs.Handle hash=crypto.Hash hits=luaserve.Store job=cluster.Job
  listener=PostgresSubscription params=url.URLSearchParams part=Part pg=Postgres
  postgres=luaserve.postgres r=Redis reader=fs.ReadStream redis=luaserve.redis req=IncomingMessage
  request=ClientRequest res=ServerResponse response=ClientAnswer route=Route server=Server,https.Server
  session=luaserve.Session limiter=luaserve.RateLimiter socket=Socket sqlite=luaserve.sqlite stats=fs.Stats store=luaserve.store
  subscription=Subscription template=luaserve.template timer=timers.Timer,timers.Immediate
  tx=Transaction,PostgresTransaction worker=cluster.Worker writer=fs.WriteStream
]]):gmatch("(%a+)=(%S+)") do
  CLASSES[name] = {}
  for class in classes:gmatch("[^,]+") do table.insert(CLASSES[name], class) end
end
local EXAMPLES = { target = true } -- names of the reference that are anybody's objects

-- What the reference tells in words.
local IN_WORDS = { PathRoutes = true, ["process.Output"] = true, ["process.send"] = true,
  ["process.disconnect"] = true }

local paths = files.find("lua/library", "%.lua$")
table.sort(paths)

local function module_of(path)
  return (path:sub(#FOLDER + 1, -5):gsub("/", "."))
end

-- ---- what the library declares

local classes = {} -- name -> { members = {name = class or true}, parents = {}, functions = {names} }
local module_classes = {}

local function class_of(name)
  classes[name] = classes[name] or { members = {}, parents = {}, functions = {} }
  return classes[name]
end

local function add_function(class, name)
  class.members[name] = class.members[name] or true
  table.insert(class.functions, name)
end

local function read_class(line)
  local name, rest = line:match("^%-%-%-@class ([%w_.]+)(.*)$")
  if not name then return end
  local class, parent = class_of(name), rest:match("^: ([%w_.]+)")
  if parent then table.insert(class.parents, parent) end
  return name
end

-- A line of code, given the class that the lines above it have named.
local function read_code(line, vars, named)
  local var = line:match("^local (%w+) = {}") or line:match("^([%w.]+) = {}")
  if var and named then vars[var] = named end
  local owner, name = line:match("^function ([%w.]+)[.:]([%w_]+)%(")
  if owner and vars[owner] then return add_function(class_of(vars[owner]), name) end
  local value
  owner, name, value = line:match("^([%w.]+)%.([%w_]+) = (.*)$")
  if owner and vars[owner] then
    class_of(vars[owner]).members[name] = named or value:match('^require%("(.-)"%)$') or true
  end
end

for _, path in ipairs(paths) do
  local vars, named, field_of, returned = {}, nil, nil, nil
  for line in helper.read_file(path):gmatch("([^\n]*)\n") do
    if line:find("^%-%-%-") then
      named = read_class(line) or named
      field_of = read_class(line) or field_of
      local name, kind = line:match("^%-%-%-@field ([%w_%[%]]+)%?? (.*)$")
      if name then
        class_of(field_of).members[name] = true
        if kind:find("^fun%(") and not field_of:find("Options$") and name ~= "[string]" then
          table.insert(class_of(field_of).functions, name)
        end
      end
    else
      read_code(line, vars, named)
      returned = line:match("^return (%w+)$") or returned
      named = nil
    end
  end
  module_classes[module_of(path)] = vars[returned]
end

-- The member of a class: its class, or true; false where there is none.
local function member_of(class, name)
  if not classes[class] then return false end
  local found = classes[class].members[name] or classes[class].members["[string]"]
  for _, parent in ipairs(classes[class].parents) do found = found or member_of(parent, name) end
  return found or false
end

local function has(class, keys)
  for key in keys:gmatch("[%w_]+") do
    local found = member_of(class, key)
    if not found then return false end
    class = module_classes[found] or found
  end
  return true
end

-- ---- the reference

local REFERENCE = helper.read_file("docs/api.md")
for name in lfs.dir("docs/reference") do
  if name:find("%.md$") then REFERENCE = REFERENCE .. "\n" .. helper.read_file("docs/reference/" .. name) end
end

local function is_documented(name)
  return REFERENCE:find("`[^`\n]*%f[%w]" .. name:gsub("%p", "%%%0") .. "%(") ~= nil
end

local function documented_names()
  local names = {}
  for span in REFERENCE:gmatch("`([^`\n]+)`") do
    for name in span:gmatch("%f[%a]%a+[.:][%w_.]+%f[(]") do names[name] = true end
  end
  return names
end

-- By class: what its objects are called in the reference, with "." or ":".
local function prefixes_of(class)
  local list = {}
  for name, of in pairs(CLASSES) do
    for _, one in ipairs(of) do
      if one == class then table.insert(list, name .. ":") table.insert(list, name .. ".") end
    end
  end
  for child, other in pairs(classes) do
    for _, parent in ipairs(other.parents) do
      if parent == class and child ~= class then
        for _, prefix in ipairs(prefixes_of(child)) do table.insert(list, prefix) end
      end
    end
  end
  table.insert(list, class .. ".")
  if class == "url.URLClass" then table.insert(list, "url.URL.") end
  if class == "process.Clock" then table.insert(list, "process.hrtime.") end
  return list
end

local function is_known(class, name)
  for _, prefix in ipairs(prefixes_of(class)) do
    if is_documented(prefix .. name) then return true end
  end
  return false
end

-- ---- types

local BUILTIN = {}
for name in ("any nil boolean string number integer function table thread userdata self true false T"):gmatch("%S+") do
  BUILTIN[name] = true
end
local aliases = {}
for _, path in ipairs(paths) do
  for name in helper.read_file(path):gmatch("%-%-%-@alias ([%w_.]+)") do aliases[name] = true end
end

local parse_type

local function skip(text, at) return text:match("^ *()", at) end

local function parse_list(text, at, closing, item)
  at = skip(text, at)
  if text:sub(at, at) == closing then return at + 1 end
  while true do
    at = skip(text, item(text, skip(text, at)))
    local sign = text:sub(at, at)
    if sign == closing then return at + 1 end
    if sign ~= "," then error(("'%s' or ',' is missing at: %s"):format(closing, text:sub(at)), 0) end
    at = at + 1
  end
end

local function parse_named(text, at)
  local behind = text:match("^%[[%w_]+%]%?? *: *()", at) or text:match("^[%w_.]+%?? *: *()", at)
    or text:match("^%.%.%. *: *()", at)
  if behind then return parse_type(text, behind) end
  return text:match("^%.%.%.()", at) or text:match("^[%w_]+%??()", at) or error("no name at: " .. text:sub(at), 0)
end

local function parse_function(text, at)
  at = parse_list(text, at, ")", parse_named)
  local behind = text:match("^ *: *()", at)
  while behind do
    at = parse_type(text, text:match("^%.%.%.()", behind) or behind)
    behind = text:match("^, *()", at)
  end
  return at
end

local function parse_name(text, at)
  local name, behind = text:match("^([%a_][%w_.]*%f[^%w_.])()", at)
  if not name then error("no type at: " .. text:sub(at), 0) end
  name = name:gsub("%.+$", "")
  if not (BUILTIN[name] or classes[name] or aliases[name]) then error("there is no type " .. name, 0) end
  if text:sub(behind, behind) == "<" then return parse_list(text, behind + 1, ">", parse_type) end
  return behind
end

local function parse_one(text, at)
  local sign = text:sub(at, at)
  if sign == '"' then return text:match('^"[^"]*"()', at) or error("a string has no end: " .. text:sub(at), 0) end
  if sign == "(" then
    local behind = skip(text, parse_type(text, at + 1))
    return text:match("^%)()", behind) or error("')' is missing at: " .. text:sub(behind), 0)
  end
  if sign == "{" then return parse_list(text, at + 1, "}", parse_named) end
  local behind = text:match("^fun%(()", at)
  if behind then return parse_function(text, behind) end
  return parse_name(text, at)
end

function parse_type(text, at)
  while true do
    at = parse_one(text, at)
    at = text:match("^%[%]()", at) or at
    local behind = text:match("^ *| *()", at)
    if not behind then break end
    at = behind
  end
  at = text:match("^%?()", at) or at -- of all that stands before it
  if text:find("^|", at) then error("'?' stands at the end of a type, or in parentheses: " .. text, 0) end
  return at
end

local TAGS = {
  param = function(text)
    return parse_type(text, text:match("^[%w_.]+%??%s+()") or error("a parameter without a type", 0))
  end,
  ["return"] = function(text)
    local at = parse_type(text, 1)
    local behind = text:match("^ *[%a_]*, *()", at)
    while behind do
      at = parse_type(text, behind)
      behind = text:match("^ *[%a_]*, *()", at)
    end
    return at
  end,
  field = function(text)
    return parse_type(text, text:match("^[%w_%[%]]+%??%s+()") or error("a field without a type", 0))
  end,
  type = function(text) return parse_type(text, 1) end,
  alias = function(text) return parse_type(text, text:match("^[%w_.]+%s+()") or error("an alias of nothing", 0)) end,
  overload = function(text) return parse_type(text, 1) end,
  class = function(text)
    local parent = text:match("^[%w_.]+: ([%w_.]+)")
    return parent and parse_type(parent, 1) or 1
  end,
  generic = function(text) return assert(text:match("^%a+: *()")) end,
  meta = function(text) return assert(text:match("^[%w_.]+$")) end,
}

local function complaints_of(path)
  local found, number = {}, 0
  for line in helper.read_file(path):gmatch("([^\n]*)\n") do
    number = number + 1
    local tag, text = line:match("^%-%-%-@(%a+) *(.*)$")
    local ok, message = true, nil
    if tag then ok, message = pcall(TAGS[tag] or function() error("there is no tag @" .. tag, 0) end, text) end
    if not ok then table.insert(found, ("%s:%d: %s"):format(path, number, message)) end
  end
  return found
end

describe("the library for editors", function()
  it("has regions that are as their sources say: else run make library", function()
    for _, path in ipairs(paths) do
      local text = helper.read_file(path)
      assert.is_true(library.render(text) == text, path .. " is out of date: run make library")
    end
  end)

  it("is Lua that begins with its module's name", function()
    for _, path in ipairs(paths) do
      assert(loadfile(path))
      local name = module_of(path)
      local meta = helper.read_file(path):match("^%-%-%-@meta ([%w_.]+)\n")
      assert.equal(name == "globals" and "_" or name, meta, path)
    end
  end)

  it("has types that can be read, and are there", function()
    local found = {}
    for _, path in ipairs(paths) do
      for _, complaint in ipairs(complaints_of(path)) do table.insert(found, complaint) end
    end
    assert.same({}, found)
  end)

  it("notices what is wrong with a type", function()
    for _, text in ipairs { "param x", "param x Nothing", "return fun(a: string", "field a {b: }", "type string|",
      "type string?|table", "return table<string, >" } do
      local tag, rest = text:match("^(%a+) (.*)$")
      assert.is_false(pcall(TAGS[tag], rest), text)
    end
  end)

  it("names every function of the reference", function()
    local missing = {}
    for name in pairs(documented_names()) do
      local object, keys = name:match("^(%a+)[.:](.*)$")
      if not EXAMPLES[object] then
        local there = false
        for _, class in ipairs(CLASSES[object] or { object }) do there = there or has(class, keys) end
        if not there then table.insert(missing, name) end
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("names no other function", function()
    local unknown = {}
    for class, about in pairs(classes) do
      for _, name in ipairs(about.functions) do
        if not IN_WORDS[class] and not IN_WORDS[class .. "." .. name] and not is_known(class, name) then
          table.insert(unknown, class .. ": " .. name)
        end
      end
    end
    table.sort(unknown)
    assert.same({}, unknown)
  end)

  it("names only options and fields that the reference has", function()
    local unknown = {}
    for _, path in ipairs(paths) do
      local by_hand = helper.read_file(path):gsub("%-%-#region.-%-%-#endregion", "")
      for name in by_hand:gmatch("%-%-%-@field ([%w_]+)") do
        if not REFERENCE:find("`[^`\n]*%f[%w]" .. name .. "%f[%W][^`\n]*`") then
          table.insert(unknown, path .. ": " .. name)
        end
      end
    end
    assert.same({}, unknown)
  end)

  it("names every option that the reference has a row for", function()
    local text, missing, in_table = {}, {}, false
    for _, path in ipairs(paths) do table.insert(text, helper.read_file(path)) end
    text = table.concat(text)
    for line in REFERENCE:gmatch("([^\n]*)\n") do
      in_table = line:find("^| option |") ~= nil or in_table and line:find("^|") ~= nil
      for name in (in_table and line:match("^| ([^|]*)|") or ""):gmatch("`(%a[%w_]*)`") do
        if not text:find("%f[%w]" .. name .. "%f[%W]") then table.insert(missing, name) end
      end
    end
    assert.same({}, missing)
  end)

  it("has a file for every module that can be required", function()
    for name in pairs(classes.luaserve.members) do
      local value = classes.luaserve.members[name]
      if type(value) == "string" then
        assert.is_not_nil(lfs.attributes(FOLDER .. value:gsub("%.", "/") .. ".lua"), value)
      end
    end
    for name in lfs.dir("lua/node") do
      if name:find("%.lua$") then assert.is_not_nil(lfs.attributes(FOLDER .. name), name) end
    end
    for name in ("json store luaserve globals"):gmatch("%a+") do
      assert.is_not_nil(lfs.attributes(FOLDER .. name .. ".lua"), name)
    end
  end)

  it("is written by luaserve new, as it is here", function()
    local folder = helper.tmpdir()
    local result = helper.run(nil, { args = { "new", "--library", folder } })
    assert.equal(0, result.code, result.err)
    for _, path in ipairs(paths) do
      local copy = folder .. "/.luaserve/library/" .. path:sub(#FOLDER + 1)
      assert.is_true(helper.read_file(copy) == helper.read_file(path), path)
    end
  end)
end)
