-- luaserve repl: lines from a pipe, and a person at a terminal.
local helper = require("spec.helper")
local pty = require("spec.helper.pty")
local process = require("spec.helper.process")

local APP = [[
local luaserve = require "luaserve"
local app = luaserve()
app:get("/", function() return { hello = "world" } end)
app:get("/slow", function() require("timers").sleep(5) return "slept" end)
return app
]]

local function repl(lines, opts)
  opts = opts or {}
  local argv = { process.binary() }
  for _, list in ipairs({ opts.options or {}, { "repl" }, opts.arguments or {} }) do
    table.move(list, 1, #list, #argv + 1, argv)
  end
  local p = helper.start(argv, { stdin = lines, cwd = helper.tmpdir() })
  local code = p:wait_exit(10)
  return { code = code, out = p:stdout(), err = p:stderr() }
end

local function app_file()
  return helper.write_file(helper.tmpdir() .. "/app.lua", APP)
end

describe("luaserve repl, with lines from a pipe,", function()
  it("prints the values of expressions, and ends with 0", function()
    local r = repl('1 + 1\n"a", nil, { x = { 1 } }\nlocal unused = 1\nnil\n= 7\nmath.max(3,\n4)\n_ + 1')
    assert.same({ 0, "" }, { r.code, r.err })
    assert.equal('2\n"a"\tnil\t{ x = { 1 } }\nnil\n7\n4\n5\n', r.out)
  end)

  it("keeps locals from line to line, and those of blocks to their blocks", function()
    local r = repl(table.concat({
      "local x, y = 1, 2", "local z", "x + y, z", "local function inc() x = x + 1 return x end", "inc()", "x",
      "do local x = 99 end", "x", "local t <const> = 'local s = 5' -- local u = 6", "t, s, u",
      "rawget(_G, 'x')", "function g() local inner = 1 return inner end", "g(), inner",
      "local a, b =\n  1, --[[ local ]] [==[ local ]] ]==]", "a",
    }, "\n"))
    assert.same({ 0, "" }, { r.code, r.err })
    assert.equal('3\tnil\n2\n2\n2\n"local s = 5"\tnil\tnil\nnil\n1\tnil\n1\n', r.out)
  end)

  it("runs statements of several lines", function()
    local r = repl("for i = 1, 2 do\n  print(i)\n\nend\nfunction f(a)\n  return a * 2\nend\nf(21)\n")
    assert.same({ 0, "1\n2\n42\n" }, { r.code, r.out })
  end)

  it("lets lines wait, and the loop turn meanwhile", function()
    local r = repl([[
local fs, timers, ticks = require "fs", require "timers", 0
local timer = setInterval(function() ticks = ticks + 1 end, 1)
#fs.readFile("/proc/self/status", "utf8") > 10
while ticks < 3 do timers.sleep(1) end
ticks >= 3
]])
    assert.same({ 0, "true\ntrue\n" }, { r.code, r.out })
  end)

  it("ends with 1 at the first error, which it tells with the frames of the script", function()
    local file = helper.write_file(helper.tmpdir() .. "/lib.lua",
      "local M = {}\nfunction M.f()\n  error('bad')\nend\nreturn M")
    local r = repl("local lib = dofile('" .. file .. "')\n(lib.f())\nprint 'not reached'\n")
    assert.same({ 1, "" }, { r.code, r.out })
    local escaped = file:gsub("%p", "%%%0")
    assert.truthy(r.err:find("^error: " .. escaped .. ":3: bad\n  [^\n]*lib.lua:3: in [^\n]*\n$"), r.err)
    r = repl("error { code = 'E1' }")
    assert.same({ 1, 'error: { code = "E1" }\n' }, { r.code, r.err })
    r = repl("x = = 1\n")
    assert.equal(1, r.code)
    assert.truthy(r.err:find("^error: %(line%):1: unexpected symbol near '='"), r.err)
  end)

  it("ends with 1 where the last line is not complete", function()
    local r = repl("x = { 1,\n")
    assert.equal(1, r.code)
    assert.truthy(r.err:find("near '?<eof>'?"), r.err)
  end)

  it("ends a line that runs for ever by the CPU budget", function()
    local r = repl("while true do end", { options = { "--cpu-budget", "0.1" } })
    assert.equal(1, r.code)
    assert.truthy(r.err:find("CPU budget of 0.1 s exceeded", 1, true), r.err)
  end)

  it("loads the app, with a test client of it", function()
    local r = repl('client:get("/"):json()\nclient:get("/slow").body\nclient:get("/")\n' .. 'type(app)\narg[1]\n',
      { arguments = { app_file(), "first" } })
    local pattern = '^{ hello = "world" }\n"slept"\n{\n  body = .-\n  status = 200\n}\n"table"\n"first"\n$'
    assert.equal(0, r.code, r.err)
    assert.truthy(r.out:find(pattern), r.out)
  end)

  it("knows the server that the script listens on, which serves meanwhile", function()
    local file = helper.write_file(helper.tmpdir() .. "/app.lua", [[
      require("http").createServer(function(req, res) res:finish("served") end):listen(0, "127.0.0.1")]])
    local r = repl([[
client:get("/").body
local socket = app:address()
socket.port > 0
]], { arguments = { file } })
    assert.same({ 0, '"served"\ntrue\n' }, { r.code, r.out .. r.err })
  end)

  it("says what is wrong with its arguments", function()
    local r = repl("", { arguments = { "--frob" } })
    assert.same({ 2, "luaserve: repl has no option '--frob': luaserve repl [app.lua [arguments]]\n" },
      { r.code, r.err })
    r = repl("", { arguments = { "/nowhere/app.lua" } })
    assert.equal(2, r.code)
    assert.truthy(r.err:find("cannot run /nowhere/app.lua", 1, true))
    r = repl("", { arguments = { "--help" } })
    assert.equal(0, r.code)
    assert.truthy(r.out:find("usage: luaserve", 1, true))
  end)
end)

describe("luaserve repl, on a terminal,", function()
  local function start(opts)
    opts = opts or {}
    local home = opts.home or helper.tmpdir()
    local argv = { process.binary(), "repl", table.unpack(opts.arguments or {}) }
    local t = pty.start(argv, { columns = opts.columns, rows = opts.rows, cwd = helper.tmpdir(),
      env = { XDG_STATE_HOME = home, TERM = opts.term } })
    t.home = home
    t:expect(nil, "\n>")
    return t
  end

  it("edits lines, in several rows and in characters of any width", function()
    local t = start { columns = 40 }
    t:expect("1 + 2\r", "> 1 + 2\n3\n>")
    t:expect('"' .. ("日本"):rep(10) .. 'xy"', '> "' .. ("日本"):rep(9) .. "\n日本xy\"")
    t:expect("\27[D\27[D\27[D\127\127", '> "' .. ("日本"):rep(9) .. "x\ny\"") -- left, backspace
    t:expect("\1\27[3~#'\5'\r", "> #'" .. ("日本"):rep(9) .. "\nxy\"'\n57\n>") -- Ctrl-A, delete, Ctrl-E
    t:expect("abc def\23ghi", "> abc ghi") -- Ctrl-W
    t:expect("\21\25\r", "near 'ghi'\n>") -- Ctrl-U, Ctrl-Y
    t:expect("do\rabc", "> do\n>> abc")
    t:expect("\3", "> do\n>> abc^C\n>")
    assert.equal(1, t.wrapped) -- the greeting, which is not ours to wrap
    t:send("\4")
    assert.equal(0, t.process:wait_exit())
  end)

  it("keeps the history from one time to the next, for its owner alone", function()
    local t = start()
    t:expect("a = 1\r", "> a = 1\n>")
    t:expect(" secret = 2\r", "secret = 2\n>") -- begins with a space: not kept
    t:expect("for i = 1, 1 do\rprint(a)\rend\r", ">> end\n1\n>")
    t:send("\4")
    t.process:wait_exit()
    local file = t.home .. "/luaserve/repl_history"
    assert.equal("a = 1\nfor i = 1, 1 do\\nprint(a)\\nend\n", helper.read_file(file))
    local pipe = io.popen("stat -c %a '" .. file .. "' '" .. t.home .. "/luaserve'")
    assert.equal("600\n700\n", pipe:read("a"))
    pipe:close()
    t = start { home = t.home }
    t:expect("\27[A", "> for i = 1, 1 do\n>> print(a)\n>> end")
    t:expect("\27[A\27[A\27[A", "> a = 1") -- up through its rows
    t:expect("\27[B", "> for i = 1, 1 do\n>> print(a)\n>> end")
    t:expect("\3", "^C\n>")
    t:expect("\18a =", "(search 'a =') a = 1")
    t:expect("\r", "> a = 1\n>")
  end)

  it("bounds the history", function()
    local home = helper.tmpdir()
    local lines = {}
    for i = 1, 1500 do
      lines[i] = "x = " .. i
    end
    helper.write_file(home .. "/luaserve/repl_history", table.concat(lines, "\n") .. "\n")
    local t = start { home = home }
    t:expect("\27[A", "> x = 1500")
    local text = helper.read_file(home .. "/luaserve/repl_history")
    assert.equal("x = 501", text:match("^[^\n]*"))
    assert.equal(1000, select(2, text:gsub("\n", "")))
  end)

  it("completes names, fields, methods and modules", function()
    local t = start { arguments = { app_file() } }
    t:expect("cli\t", "> client")
    t:expect(":ge\t", "> client:get")
    t:expect("\21string.for\t", "> string.format")
    t:expect("\21local words = { alpha = 1, beta = 2 }\rwords.\t\t", "\nalpha  beta\n> words.")
    t:expect("\21require 'luaserve.ses\t", "> require 'luaserve.session")
  end)

  it("takes pasted lines as one text", function()
    local t = start()
    local pasted = "local a = 1\nlocal b = 2\n\n\tprint(a + b)"
    t:expect("\27[200~" .. pasted .. "\27[201~",
      "> local a = 1\n>> local b = 2\n>>\n>>   print(a + b)")
    t:expect("\r", "print(a + b)\n3\n>")
  end)

  it("ends what runs at Ctrl-C, and what waits, and goes on", function()
    local t = start()
    t:expect("print 'on' while true do end\r", "end\non")
    t:expect("\3", "error: (line):1: interrupted\n>")
    t:expect("print 'on' require('timers').sleep(1e7)\r", "sleep(1e7)\non")
    t:expect("\3", "interrupted: the line was waiting, and goes on without the prompt\n>")
    t:expect("1\r", "> 1\n1\n>")
    t:send("\4")
    assert.equal(0, t.process:wait_exit())
  end)

  it("asks on terminals that cannot edit, and goes on after an error", function()
    local t = start { term = "dumb" }
    t:expect("1 +\n", "\n>>")
    t:expect("2\n", "3\n>")
    t:expect("error 'bad'\n", "bad\n>")
    t:send("\4")
    assert.equal(0, t.process:wait_exit())
  end)

  it("shows what timers print above the line that is typed", function()
    local t = start()
    t:expect("setTimeout(function() print 'tick' end, 300)\r", "\n>")
    t:expect("half a line", "tick\n> half a line")
    t:expect("\21setTimeout(function() io.write('a') io.stdout:write('b\\n') end, 200)\r", "\n>")
    t:expect("rest", "\na\nb\n> rest")
  end)
end)
