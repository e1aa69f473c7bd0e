-- The reference and the code name the same functions. What the modules under lua/
-- annotate, and what C adds to req and res, has to be named in docs/api.md (Node's
-- modules, and what every server has) or a page of docs/reference (luaserve's
-- own), as `fs.readFile(` or `res:write(`; and what these name has to be there.
--
-- A page of docs/reference says itself which files it describes, in a comment:
--
--   <!-- reference
--   lua/luaserve/router.lua: M = luaserve.router. App = app:
--   internal: lua/luaserve/tree.lua
--   object: app = require("luaserve")()
--   hidden: app:handle
--   -->
--
-- that is: what the tables of a file are called in the reference (M = - is not for
-- scripts), files that scripts do not require, what to look for the methods of a
-- name in (an expression, in a request's handler, which has req and res), and
-- functions that are there but not for scripts.
local helper = require("spec.helper")
local lfs = require("lfs")

local REFERENCE = helper.read_file("docs/api.md")

-- By file: what its tables are called in the reference, or false where that table
-- is not for scripts.
local FILES = {
  ["lua/luaserve/init.lua"] = { M = "luaserve." },
  ["lua/luaserve/console.lua"] = { M = "console." },
  ["lua/luaserve/client.lua"] = { M = false, Request = "request:", Answer = "response:" },
  ["lua/luaserve/incoming.lua"] = { M = false, Request = "req:" },
  ["lua/luaserve/body.lua"] = { M = false, Request = "req:" },
  ["lua/luaserve/outgoing.lua"] = { M = false, Response = "res:" },
  ["lua/luaserve/readable.lua"] = { M = "req:" },
  ["lua/luaserve/socket.lua"] = { M = false, Socket = "socket:" },
  ["lua/luaserve/read_stream.lua"] = { M = "fs.", ReadStream = "reader:" },
  ["lua/luaserve/write_stream.lua"] = { M = "fs.", WriteStream = "writer:" },
  ["lua/node/cluster.lua"] = { M = "cluster." },
  ["lua/luaserve/cluster/once.lua"] = { M = false, Job = "job:" },
  ["lua/luaserve/cluster/primary.lua"] = { M = false, told = false, Worker = "worker:" },
  ["lua/luaserve/cluster/child.lua"] = { M = false, told = false, Worker = "worker:" },
  ["lua/node/crypto.lua"] = { M = "crypto." },
  ["lua/node/events.lua"] = { M = "events.", EventEmitter = "emitter:" },
  ["lua/node/fs.lua"] = { M = "fs.", Stats = "stats:" },
  ["lua/node/http.lua"] = { M = "http.", Server = "server:" },
  ["lua/node/https.lua"] = { M = "https.", methods = "server:" },
  ["lua/node/path.lua"] = { M = "path." },
  ["lua/node/process.lua"] = { M = "process.", self = false },
  ["lua/node/http2.lua"] = { M = "http2." },
  ["lua/node/querystring.lua"] = { M = "querystring." },
  ["lua/node/tls.lua"] = { M = "tls." },
  ["lua/node/timers.lua"] = { M = "timers.", Immediate = "timer:" },
  ["lua/node/url.lua"] = { M = "url." },
  ["lua/luaserve/url/class.lua"] = { M = false, Methods = "address:", setters = false },
  ["lua/luaserve/url/legacy.lua"] = { M = "url." },
  ["lua/luaserve/url/params.lua"] = { M = false, Params = "params:" },
}

-- Lua files that scripts cannot, or should not, require; they have no reference.
local INTERNAL = {
  ["lua/luaserve/boot.lua"] = true, ["lua/luaserve/certificates.lua"] = true,
  ["lua/luaserve/file_stream.lua"] = true, ["lua/luaserve/inspect.lua"] = true,
  ["lua/luaserve/given.lua"] = true, ["lua/luaserve/listen.lua"] = true, ["lua/luaserve/listeners.lua"] = true,
  ["lua/luaserve/names.lua"] = true, ["lua/luaserve/options.lua"] = true, ["lua/luaserve/requires.lua"] = true,
  ["lua/luaserve/supervisor.lua"] = true,
  ["lua/luaserve/cluster/backoff.lua"] = true, ["lua/luaserve/cluster/channel.lua"] = true,
  ["lua/luaserve/cluster/cpus.lua"] = true,
  ["lua/luaserve/cluster/owners.lua"] = true, ["lua/luaserve/cluster/measures.lua"] = true,
  ["lua/luaserve/cluster/progress.lua"] = true, ["lua/luaserve/cluster/reload.lua"] = true,
  ["lua/luaserve/cluster/sockets.lua"] = true,
  ["lua/luaserve/url/host.lua"] = true, ["lua/luaserve/url/percent.lua"] = true, ["lua/luaserve/url/record.lua"] = true,
}

-- The methods that C gives to req and res, by the file with their table.
local IN_C = {
  ["src/script/l_response.c"] = "res:",
  ["src/script/l_headers.c"] = "res:",
  ["src/script/l_store.c"] = "hits:",
  ["src/script/l_timer.c"] = "timer:",
}

-- Not for scripts, though there.
local HIDDEN = {}
for name in ([[ emitter:new events.tell req:start req:stop res:methods timer:isActive timer:sleep
  timer:start timer:clear hits:open hits:swap hits:read hits:rows hits:share hits:isLasting
  hits:encode hits:decode ]]):gmatch("%S+") do
  HIDDEN[name] = true
end

local objects = {} -- of the pages: "name = expression"

local directives = {
  internal = function(text)
    for path in text:gmatch("%S+") do INTERNAL[path] = true end
  end,
  hidden = function(text)
    for name in text:gmatch("%S+") do HIDDEN[name] = true end
  end,
  object = function(text) table.insert(objects, text) end,
}

local function read_page(path)
  local text = helper.read_file(path)
  REFERENCE = REFERENCE .. "\n" .. text
  local comment = text:match("<!%-%- reference\n(.-)%-%->") or error(path .. ": which files does it describe?")
  for key, rest in comment:gmatch("([^:\n]+): *([^\n]*)\n") do
    if directives[key] then
      directives[key](rest)
    else
      FILES[key] = FILES[key] or {}
      for name, prefix in rest:gmatch("(%S+) = (%S+)") do
        FILES[key][name] = prefix ~= "-" and prefix
      end
    end
  end
end

if lfs.attributes("docs/reference") then
  for name in lfs.dir("docs/reference") do
    if name:find("%.md$") then read_page("docs/reference/" .. name) end
  end
end

local function is_documented(name)
  return REFERENCE:find("`[^`\n]*" .. name:gsub("%p", "%%%0") .. "%(") ~= nil
end

-- The functions that a Lua file defines behind a comment `---`, as {table, name}.
local function annotated(path)
  local found, annotation = {}, nil
  for line in helper.read_file(path):gmatch("([^\n]*)\n") do
    local owner, name = line:match("^%s*function ([%a_]+)[.:]([%a_]+)%(")
    if not owner then
      owner, name = line:match("^([%a_]+)%.([%a_]+) = ")
      -- A field is a function where its annotation says so, or it is one.
      if owner and not (annotation and annotation:find("fun(", 1, true)) and not line:find("= function") then
        owner = nil
      end
    end
    if owner and annotation and not name:find("^_") then
      table.insert(found, { owner, name })
    end
    annotation = line:match("^%s*%-%-%-") and (annotation or "") .. line or nil
  end
  return found
end

local function missing_of(path, tables)
  local missing = {}
  for _, pair in ipairs(annotated(path)) do
    local prefix = tables[pair[1]]
    assert(prefix ~= nil, path .. ": what is " .. pair[1] .. " called in the reference?")
    local name = prefix and prefix .. pair[2]
    if name and not HIDDEN[name] and not is_documented(name) then
      table.insert(missing, name)
    end
  end
  return missing
end

local function known_of(list)
  local lines = {}
  for _, object in ipairs(list) do table.insert(lines, "known." .. object .. "\n") end
  return table.concat(lines)
end

describe("the reference", function()
  it("knows every Lua file that scripts can use", function()
    local pipe = io.popen("find lua/node lua/luaserve -name '*.lua' | sort")
    for path in pipe:lines() do
      assert.truthy(FILES[path] or INTERNAL[path], path)
    end
    pipe:close()
  end)

  for path, tables in pairs(FILES) do
    it("names every function that is annotated in " .. path, function()
      assert.same({}, missing_of(path, tables))
    end)
  end

  for path, prefix in pairs(IN_C) do
    it("names every method of " .. path, function()
      local missing = {}
      for name in helper.read_file(path):gmatch('{"(%a+)", [%a_]+}') do
        if not HIDDEN[prefix .. name] and name ~= "end" and not is_documented(prefix .. name) then
          table.insert(missing, prefix .. name)
        end
      end
      assert.same({}, missing)
    end)
  end

  it("names only functions that are there", function()
    local names = {}
    for span in REFERENCE:gmatch("`([^`\n]+)`") do
      for name in span:gmatch("%f[%a]%a+[.:][%a.]+%f[(]") do
        table.insert(names, ("%q"):format(name))
      end
    end
    assert.is_true(#names > 200, #names .. " functions")
    local server = helper.serve([[
      local names = { ]] .. table.concat(names, ", ") .. [[ }
      local http, fs, url = require "http", require "fs", require "url"
      local known = { luaserve = require "luaserve", http = http, fs = fs, url = url, json = require "json",
        timers = require "timers", events = require "events", crypto = require "crypto", process = process,
        cluster = require "cluster", worker = require("luaserve.cluster.primary").Worker,
        job = require("luaserve.cluster.once").Job,
        https = require "https", tls = require "tls", console = console, querystring = require "querystring", path = require "path",
        emitter = require("events").EventEmitter(), stats = fs.statSync("."), handle = fs.open(__filename),
        reader = fs.createReadStream(__filename), writer = fs.createWriteStream("/dev/null"),
        timer = setTimeout(function() end, 1), hash = require("crypto").createHash("sha256"),
        params = url.URLSearchParams("a=1"), address = url.URL("http://x/"),
        request = http.request("http://127.0.0.1:1/"), response = require("luaserve.client").ClientAnswer,
        target = { finish = print } }
      local function callable(value)
        if type(value) == "function" then return true end
        local meta = type(value) == "table" and getmetatable(value)
        return type(meta) == "table" and meta.__call ~= nil
      end
      known.server = http.createServer(function(req, res)
        known.req, known.res = req, res
        ]] .. known_of(objects) .. [[
        local wrong = {}
        for _, name in ipairs(names) do
          local value = known
          for key in name:gmatch("%a+") do value = value and value[key] end
          if not callable(value) then wrong[#wrong + 1] = name end
        end
        res:finish(table.concat(wrong, " "))
      end)
      for name, fn in pairs(require("https").createServer({})) do -- what it has besides
        if known.server[name] == nil then known.server[name] = fn end
      end
      known.server:on("connection", function(socket) known.socket = socket end)
      known.server:listen(0, "127.0.0.1", function() print("port " .. known.server:address().port) end)
    ]])
    assert.equal("", helper.get(server, "/").body)
  end)
end)
