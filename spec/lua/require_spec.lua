-- require: modules that wait while they load, where they are looked for, what wins.
local helper = require("spec.helper")

-- Runs main.lua among files, which must end well, and returns what it printed.
local function run(main, files, opts)
  local all = { files = files, code = true, name = "main.lua" }
  for name, text in pairs(opts or {}) do all[name] = text end
  local result = helper.run(main, all)
  if result.code ~= 0 then error(("code %s\n%s"):format(tostring(result.code), result.err), 2) end
  return result.out, result
end

local function fails(main, files, opts)
  local all = { files = files, code = true, name = "main.lua" }
  for name, text in pairs(opts or {}) do all[name] = text end
  local result = helper.run(main, all)
  assert.equal(1, result.code, result.out)
  return result.err
end

describe("require", function()
  it("loads a file beside the script once, and returns what it returns", function()
    assert.equal("loading\ntrue\t7\n", run([[
      local a, b = require "mod", require "mod"
      print(a == b, a.n)
    ]], { ["mod.lua"] = "print 'loading' return { n = 7 }" }))
  end)

  it("finds folders by dots and init.lua", function()
    assert.equal("inner\tinit\tdeep\n", run([[
      print(require("lib.inner"), require("pack"), (require("pack.sub.deep")))
    ]], { ["lib/inner.lua"] = "return 'inner'", ["pack/init.lua"] = "return 'init'",
      ["pack/sub/deep.lua"] = "return 'deep'" }))
  end)

  it("looks in the script's folder first, wherever it was started", function()
    local dir = helper.tmpdir()
    helper.write_file(dir .. "/mod.lua", "return 'of the working directory'")
    assert.equal("of the script\n", run([[print((require("mod")))]], { ["mod.lua"] = "return 'of the script'" },
      { cwd = dir }))
    assert.equal("of the working directory\n", run([[print((require("mod")))]], {}, { cwd = dir }))
  end)

  it("gives a module its name and its path", function()
    local out = run([[print(select(2, require("lib.mod"))) require "luaserve"]],
      { ["lib/mod.lua"] = "print(...) return 1" })
    local name, path, again = out:match("^(%S+)\t(%S+)\n(%S+)\n$")
    assert.equal("lib.mod", name)
    assert.truthy(path:find("/lib/mod.lua$"), path)
    assert.equal(path, again)
  end)

  it("has true for a module that returns nothing, and what it put into package.loaded", function()
    assert.equal("true\tput\tfalse\n", run([[print(require "nothing", require "put", (require "no"))]],
      { ["nothing.lua"] = "", ["put.lua"] = "package.loaded[...] = 'put'", ["no.lua"] = "return false" }))
  end)

  it("takes package.preload before files, and package.loaded before everything", function()
    assert.equal("preloaded mod :preload:\tloaded\tmine\n", run([[
      package.preload.mod = function(...) return table.concat({ "preloaded", ... }, " ") end
      package.loaded.other = "loaded"
      package.loaded.url = "mine"
      print(require "mod", require "other", require "url")
    ]], { ["mod.lua"] = "return 'file'", ["other.lua"] = "return 'file'" }))
  end)

  it("asks the searchers that a script or a library has added", function()
    assert.equal("made module of made\textra\n", run([[
      local searchers = package.searchers or package.loaders
      table.insert(searchers, function(name)
        if name:find("^made") then return function(...) return "made module of " .. ... end, "extra" end
        return "\n\tnot made: " .. name
      end)
      print(require "made")
      local ok, err = pcall(require, "nowhere")
      assert(not ok and err:find("not made: nowhere", 1, true), err)
    ]]))
  end)

  it("of what is nowhere lists where it looked", function()
    local err = fails("\nrequire('nothing.here')", {})
    assert.truthy(err:find("module 'nothing.here' not found:", 1, true), err)
    assert.truthy(err:find("no built-in module 'nothing.here'", 1, true))
    assert.truthy(err:find("/nothing/here.lua'", 1, true))
    assert.truthy(err:find("/nothing/here/init.lua'", 1, true))
    assert.truthy(err:find("main.lua:2:", 1, true))
  end)

  it("of a file that does not compile names its line", function()
    local err = fails("require 'bad'", { ["bad.lua"] = "local x = 1\nlocal = 2" })
    assert.truthy(err:find("bad.lua:2:", 1, true), err)
    assert.truthy(err:find("error loading module 'bad'", 1, true), err)
  end)

  it("of a file that fails names its line, and tries again the next time", function()
    assert.equal("false\tfirst\nsecond\n", run([[
      count = 0
      local ok, err = pcall(require, "flaky")
      print(ok, err:match("flaky.lua:3: (%w+)"))
      print((require "flaky"))
    ]], { ["flaky.lua"] = "count = count + 1\nif count == 1 then\n error 'first' end\nreturn 'second'" }))
  end)

  it("keeps an error value that is no string", function()
    assert.equal("table\tx\n", run([[
      local ok, err = pcall(require, "mod")
      print(type(err), err.field)
    ]], { ["mod.lua"] = "error({ field = 'x' })" }))
  end)

  it("refuses what is no name", function()
    local err = fails("\nrequire({})", {})
    assert.truthy(err:find("main.lua:2: bad argument #1 to 'require' (string expected)", 1, true), err)
  end)

  it("skips a first line that begins with #, and a byte order mark", function()
    assert.equal("2\tok\n", run([[print(require "shebang", (require "bom"))]], {
      ["shebang.lua"] = "#!/usr/bin/env luaserve\nreturn debug.getinfo(1, 'l').currentline",
      ["bom.lua"] = "\239\187\191return 'ok'",
    }))
  end)

  it("never loads bytecode", function()
    local dir = helper.tmpdir()
    local chunk = string.dump(function() return "loaded" end)
    helper.write_file(dir .. "/main.lua", "print(pcall(require, 'code'))")
    helper.write_file(dir .. "/code.lua", chunk)
    local result = helper.run(dir .. "/main.lua", { cwd = dir })
    assert.truthy(result.out:find("^false"), result.out)
  end)

  it("loads a module in C", function()
    local has = pcall(require, "socket.core")
    if not has or (os.getenv("LUASERVE_ENGINE") or "lua5.4") ~= "lua5.4" then return end
    assert.equal("table\n", run([[print(type(require "socket.core"))]]))
  end)

  it("says of a module in C that it cannot be loaded, and why", function()
    local err = fails([[
      package.cpath = require("path").dirname(process.argv[2]) .. "/?.so"
      require "broken"
    ]], { ["broken.so"] = "this is no library" })
    assert.truthy(err:find("error loading module 'broken' from file", 1, true), err)
  end)
end)

describe("built-in modules", function()
  it("win over files of their names", function()
    assert.equal("table\ttable\tfunction\n", run([[
      print(type(require "http"), type(require "fs"), type(require("json").encode))
    ]], { ["http.lua"] = "return 'file'", ["fs.lua"] = "return 'file'", ["json.lua"] = "return 'file'" }))
  end)

  it("are reached as luaserve.NAME, too: the same ones", function()
    assert.equal("true\n", run([[
      for _, name in ipairs { "http", "fs", "events", "timers", "url", "querystring", "path", "process", "json",
        "crypto" } do
        if require(name) ~= require("luaserve." .. name) then print(name) end
      end
      print(require "luaserve" == require "luaserve")
    ]]))
  end)

  it("are reached as luaserve.NAME also where a script has put something else in their place", function()
    assert.equal("mine\tfunction\n", run([[
      package.loaded.json = "mine"
      print(require "json", type(require("luaserve.json").encode))
    ]]))
    assert.equal("function\n", run([[
      print(type(require("luaserve.json").encode))
    ]], { ["luaserve/json.lua"] = "return 'file'", ["luaserve.lua"] = "return 'file'" }))
  end)

  it("include cjson, which is json", function()
    assert.equal("true\n", run([[print(require("cjson").encode == require("json").encode)]]))
  end)

  it("leave globals alone", function()
    assert.equal("", run([[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      for _, name in ipairs { "http", "fs", "events", "timers", "url", "querystring", "path", "process", "json",
        "crypto", "luaserve" } do require(name) end
      for name in pairs(_G) do if not before[name] then print(name) end end
    ]]))
  end)
end)

describe("a module", function()
  it("may wait while it loads", function()
    assert.equal("slept\tread\tdone\n", run([[print((require "slow"))]], {
      ["slow.lua"] = [[
        local timers, fs = require "timers", require "fs"
        timers.sleep(5)
        local text = fs.readFile(__dirname .. "/text")
        return "slept\t" .. text .. "\tdone"
      ]],
      text = "read",
    }))
  end)

  it("may require others that wait, through pcall and metamethods", function()
    assert.equal("a b c\n", run([[print((require "a"))]], {
      ["a.lua"] = "require('timers').sleep(1) local ok, b = pcall(require, 'b') return 'a ' .. b",
      ["b.lua"] = [[
        return setmetatable({}, { __index = function(_, key)
          require("timers").sleep(1)
          return "b " .. require(key)
        end }).c]],
      ["c.lua"] = "require('timers').sleep(1) return 'c'",
    }))
  end)

  it("that fails after a wait fails in its requirer", function()
    assert.equal("false\tlate\n", run([[
      local ok, err = pcall(require, "slow")
      print(ok, err:match("slow.lua:2: (%w+)"))
    ]], { ["slow.lua"] = "require('timers').sleep(1)\nerror('late')" }))
  end)

  it("is loaded once by coroutines that require it at the same time", function()
    assert.equal("loading\nready\tready\tready\n", run([[
      local got, timers = {}, require "timers"
      for i = 1, 3 do setImmediate(function() got[i] = require "slow" end) end
      while #got < 3 do timers.sleep(1) end
      print(got[1], got[2], got[3])
    ]], { ["slow.lua"] = "print 'loading' require('timers').sleep(5) return 'ready'" }))
  end)

  it("is loaded once by the first requests of a server", function()
    local server = helper.serve([[
      loads = 0
      local http = require "http"
      local server = http.createServer(function() return require("slow") .. " " .. loads end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]], { files = { ["slow.lua"] = "loads = loads + 1 require('timers').sleep(20) return 'ready'" } })
    local conns = {}
    for i = 1, 5 do
      conns[i] = helper.connect(server)
      conns[i]:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    end
    for i = 1, 5 do assert.equal("ready 1", conns[i]:read_response().body) end
  end)

  it("that fails is tried again by those who waited for it", function()
    assert.equal("false\ttrue\ttrue\n", run([[
      count = 0
      local got, timers = {}, require "timers"
      for i = 1, 3 do setImmediate(function() got[i] = { pcall(require, "flaky") } end) end
      while #got < 3 do timers.sleep(1) end
      print(got[1][1], got[2][1], got[3][1])
    ]], { ["flaky.lua"] = "count = count + 1 local n = count require('timers').sleep(3) assert(n > 1)" }))
  end)

  it("that requires itself, at once or in a circle, is an error that says so", function()
    assert.truthy(fails("require 'a'", { ["a.lua"] = "\nrequire 'a'" })
      :find("a.lua:2: loop or previous error loading module 'a'", 1, true))
    local err = fails("require 'a'", { ["a.lua"] = "require 'b'", ["c.lua"] = "require 'a'",
      ["b.lua"] = "require('timers').sleep(1) require 'c'" })
    assert.truthy(err:find("c.lua:1: loop or previous error loading module 'a'", 1, true), err)
  end)

  it("that has put itself into package.loaded may be required in a circle", function()
    assert.equal("a\tb of a\n", run([[
      local a = require "a"
      print(a.name, a.b.name)
    ]], {
      ["a.lua"] = [[
        local M = { name = 'a' }
        package.loaded[...] = M
        require('timers').sleep(1)
        M.b = require 'b'
        return M]],
      ["b.lua"] = "return { name = 'b of ' .. require('a').name }",
    }))
  end)

  it("that waits for another which waits for it, in another coroutine, is an error, not a hang", function()
    local out = run([[
      local results, timers = {}, require "timers"
      setImmediate(function() table.insert(results, { "a", pcall(require, "a") }) end)
      setImmediate(function() table.insert(results, { "b", pcall(require, "b") }) end)
      local began = os.time()
      while #results < 2 and os.time() - began < 5 do timers.sleep(1) end
      print(#results)
      for _, r in ipairs(results) do print(tostring(r[3]):match("loop or previous error") or "loaded") end
    ]], {
      ["a.lua"] = "require('timers').sleep(5) require 'b' return {}",
      ["b.lua"] = "require('timers').sleep(5) require 'a' return {}",
    })
    assert.truthy(out:find("^2\n"), out)
    assert.truthy(out:find("loop or previous error", 1, true), out)
  end)

  it("that another loads cannot be waited for where Lua cannot suspend", function()
    assert.equal("false\ttrue\nready\n", run([[
      setImmediate(function() require "slow" end)
      local ok, err
      setImmediate(function()
        table.sort({ 2, 1 }, function() ok, err = pcall(function() require "slow" end) end)
        print(ok, err:find("main.lua:4: module 'slow' is being loaded by another coroutine", 1, true) ~= nil)
      end)
      require("timers").sleep(10)
      print((require "slow"))
    ]], { ["slow.lua"] = "require('timers').sleep(5) return 'ready'" }))
  end)

  it("that is waited for by a request which goes away is loaded all the same", function()
    local server = helper.serve([[
      local server = require("http").createServer(function() return require "slow" end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]], { files = { ["slow.lua"] = "require('timers').sleep(30) return 'ready'" } })
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    conn:reset()
    assert.equal("ready", helper.get(server).body)
  end)
end)

describe("__dirname and __filename", function()
  it("are those of the script and of each required file, absolute", function()
    local out, result = run([[
      print(__dirname, __filename)
      print((require "lib.mod"))
      print(rawget(_G, "__dirname"), rawget(_G, "__filename"))
    ]], { ["lib/mod.lua"] = "return __dirname .. '\\t' .. __filename" })
    local dir = result.script:match("^(.*)/")
    assert.equal(("%s\t%s/main.lua\n%s/lib\t%s/lib/mod.lua\nnil\tnil\n"):format(dir, dir, dir, dir), out)
  end)

  it("are absolute where the script was named relatively", function()
    local dir = helper.tmpdir()
    helper.write_file(dir .. "/app/main.lua", "print(__dirname, __filename, (require('mod')))")
    helper.write_file(dir .. "/app/mod.lua", "return __dirname")
    local wanted = ("%s/app\t%s/app/main.lua\t%s/app\n"):format(dir, dir, dir)
    for _, name in ipairs({ "app/main.lua", "./app/main.lua", "app/../app/main.lua", "app/./main.lua",
      dir .. "/app/../app/main.lua" }) do
      local result = helper.run(nil, { args = { name }, cwd = dir })
      assert.equal(wanted, result.out, name .. "\n" .. result.err)
    end
  end)

  it("leave the lines of errors as they are, also with quotes and spaces in the path", function()
    local dir = helper.tmpdir() .. "/a \"b\" 'c' \\n"
    helper.write_file(dir .. "/main.lua", "local d = __dirname\nprint(d)\nerror('line three')")
    local result = helper.run(nil, { args = { dir .. "/main.lua" } })
    assert.equal(dir .. "\n", result.out)
    assert.truthy(result.err:find("main.lua:3: line three", 1, true), result.err)
  end)

  it("are not seen in what a string was loaded from", function()
    assert.equal("nil\n", run([[print((loadstring or load)("return __filename")())]]))
  end)
end)

describe("dofile", function()
  it("runs a file that may wait, in the same coroutine", function()
    assert.equal("slept\t42\n", run([[print(dofile(__dirname .. "/other.lua"))]],
      { ["other.lua"] = "require('timers').sleep(2) return 'slept', 42" }))
  end)

  it("of a missing or bad file raises", function()
    assert.truthy(fails("\ndofile('/nothing/there.lua')", {}):find("main.lua:2: /nothing/there.lua", 1, true))
    assert.truthy(fails("dofile(__dirname .. '/bad.lua')", { ["bad.lua"] = "\nx =" }):find("bad.lua:2", 1, true))
  end)
end)
