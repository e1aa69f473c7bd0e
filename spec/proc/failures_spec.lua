-- What goes wrong while a server starts: one line or a traceback, and the exit
-- code, that say what to do.
local helper = require("spec.helper")

local SERVER = [[
  local server = require("http").createServer(function(req, res) res:finish("here") end)
]]

-- Fails unless the run ended with that code and one line like that.
local function assert_line(code, pattern, ran)
  assert.equal(code, ran.code)
  assert.equal("", ran.out)
  assert.matches("^luaserve: [^\n]+\n$", ran.err)
  assert.matches(pattern, ran.err)
end

describe("a script that does not load", function()
  it("is named with its line where its syntax is wrong, exit code 1", function()
    assert_line(1, "app%.lua:2: [^\n]*near 'y'", helper.run("local x = 1\nx y = 2"))
    assert_line(1, "%(command line%):1: ", helper.run(nil, { args = { "-e", "x y" } }))
    assert_line(1, "stdin:1: ", helper.run(nil, { args = { "-" }, stdin = "x y" }))
  end)

  it("is a traceback where a file that it requires does not compile", function()
    local ran = helper.run("\nrequire('near')", { files = { ["near.lua"] = "x y" } })
    assert.equal(1, ran.code)
    assert.matches("near%.lua:1: [^\n]*near 'y'", ran.err)
    assert.matches("stack traceback:\n.*app%.lua:2: in ", ran.err)
  end)

  it("is a traceback that lists where a module was looked for", function()
    local ran = helper.run("\nrequire('data.base')")
    assert.equal(1, ran.code)
    assert.matches("^luaserve: [^\n]*module 'data%.base' not found:\n", ran.err)
    assert.matches("no file '[^\n]+/data/base%.lua'\n", ran.err)
    assert.matches("stack traceback:\n.*app%.lua:2: in ", ran.err)
  end)

  it("is a traceback with the frames of the module that failed", function()
    local files = {
      ["outer.lua"] = "local function into() require('inner') end\ninto()",
      ["inner.lua"] = "local function deep()\n  error(FAILS)\nend\nlocal function down() deep() return 1 end\ndown()",
    }
    for value, text in pairs({ ["'boom'"] = "inner%.lua:2: boom", ["{ message = 'boom' }"] = "boom" }) do
      local ran = helper.run("FAILS = " .. value .. "\npcall(require, 'inner')\nrequire('outer')", { files = files })
      assert.equal(1, ran.code)
      assert.matches("^luaserve: [^\n]*" .. text .. "\nstack traceback:\n.*inner%.lua:2: in .*inner%.lua:4: in "
        .. ".*inner%.lua:5: in .*outer%.lua:1: in .*outer%.lua:2: in .*app%.lua:3: in ", ran.err)
    end
  end)

  it("is a traceback of its own where a module's failure was caught before", function()
    local ran = helper.run("pcall(require, 'bad')\nlocal function own() error('boom', 0) end\nown()", {
      files = { ["bad.lua"] = "error('boom of the module', 0)" } })
    assert.matches("^luaserve: boom\n.*app%.lua:2: in ", ran.err)
    assert.not_matches("bad%.lua", ran.err)
  end)

  it("may raise anything", function()
    for value, text in pairs({ ["nil"] = "nil", ["{}"] = "table", ["{ message = 'from a field' }"] = "from a field",
      ["setmetatable({}, { __tostring = function() return 'from tostring' end })"] = "from tostring",
      ["setmetatable({}, { __tostring = function() error('again') end })"] = "luaserve: ", ["42"] = "42" }) do
      local ran = helper.run("error(" .. value .. ", 0)")
      assert.equal(1, ran.code)
      assert.truthy(ran.err:find(text, 1, true), ran.err)
    end
  end)
end)

describe("a script that is not there", function()
  it("is one line and exit code 2", function()
    assert_line(2, "cannot run missing%.lua: No such file or directory: check the path",
      helper.run(nil, { args = { "missing.lua" } }))
  end)

  it("is a directory: the same", function()
    assert_line(2, "cannot run /tmp: Is a directory: give the file in it that starts the server",
      helper.run(nil, { args = { "/tmp" } }))
  end)
end)

describe("a port in use", function()
  local taken

  setup(function()
    taken = helper.serve(SERVER
      .. "server:listen(0, '127.0.0.1', function() print('port ' .. server:address().port) end)")
  end)

  local function listen(listeners, opts)
    return helper.run(SERVER .. listeners .. " server:listen(" .. taken.port .. ", '127.0.0.1')", opts)
  end

  it("ends the process with exit code 3, and says whom to ask", function()
    assert_line(3, "listen EADDRINUSE: address already in use 127%.0%.0%.1:" .. taken.port .. "; .*ss %-ltnp",
      listen(""))
  end)

  it("is found for all interfaces too", function()
    assert_line(3, "EADDRINUSE: address already in use :::" .. taken.port .. "; ",
      helper.run(SERVER .. "server:listen(" .. taken.port .. ")"))
  end)

  it("does the same for --listen", function()
    assert_line(3, "EADDRINUSE: address already in use 127%.0%.0%.1:" .. taken.port .. "; ",
      helper.run("return function() end", { listen = "127.0.0.1:" .. taken.port }))
  end)

  it("is an error event where somebody listens to it, and the process goes on", function()
    local ran = listen([[server:on("error", function(err)
      print(err.code, err.syscall, err.address, err.port)
      print(err.message)
    end)]])
    assert.equal(("EADDRINUSE\tlisten\t127.0.0.1\t%d\nlisten EADDRINUSE: address already in use 127.0.0.1:%d\n")
      :format(taken.port, taken.port), ran.out)
    assert.same({ "", 0 }, { ran.err, ran.code })
  end)

  it("is no reason not to try another one", function()
    local server = helper.serve(SERVER .. ([[
      server:on("error", function() server:listen(0, "127.0.0.1") end)
      server:on("listening", function() print("port " .. server:address().port) end)
      server:listen(%d, "127.0.0.1")
    ]]):format(taken.port))
    assert.equal("here", helper.get(server, "/").body)
  end)

  it("leaves the other server alone", function()
    assert.equal("here", helper.get(taken, "/").body)
  end)
end)

describe("an address that cannot be had", function()
  it("is exit code 3 where it is another machine's", function()
    assert_line(3, "listen EADDRNOTAVAIL: .* 192%.0%.2%.1:", helper.run("return print --()",
      { code = true, listen = "192.0.2.1:0" }))
  end)

  it("is exit code 3 where its name is unknown", function()
    assert_line(3, "ENOTFOUND.*no%-such%-host%.invalid", helper.run("return print --()",
      { code = true, listen = "no-such-host.invalid:0" }))
  end)

  it("is exit code 3 where a Unix socket cannot be made", function()
    assert_line(3, "listen ENOENT: .* /nowhere/socket", helper.run("return print --()",
      { code = true, listen = "unix:/nowhere/socket" }))
  end)

  it("is exit code 3 where a file is in the place of a Unix socket, which is left alone", function()
    local path = helper.write_file(helper.tmpdir() .. "/file", "mine")
    assert_line(3, "listen EADDRINUSE: ", helper.run("return print --()", { code = true, listen = "unix:" .. path }))
    assert.equal("mine", helper.read_file(path))
  end)

  it("is exit code 3 where a living server has the Unix socket", function()
    local path = helper.tmpdir() .. "/socket"
    local server = helper.serve("return function() return 'first' end", { listen = "unix:" .. path })
    assert_line(3, "listen EADDRINUSE: ", helper.run("return print --()", { code = true, listen = "unix:" .. path }))
    assert.equal("first", helper.get(server, "/").body)
  end)
end)

describe("a wrong argument of listen", function()
  it("is raised at the script's line", function()
    for argument, message in pairs({ ["70000"] = "options%.port should be >= 0 and < 65536",
      ["-1"] = "options%.port should be", ["true"] = "listen needs a port" }) do
      local ran = helper.run("\n" .. SERVER .. " server:listen(" .. argument .. ")")
      assert.equal(1, ran.code)
      assert.matches("app%.lua:3: [^\n]*" .. message, ran.err)
    end
  end)
end)
