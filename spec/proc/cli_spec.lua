-- The command line of one process: what runs, with which arguments, where it is
-- served, what it prints and with which code it ends.
local helper = require("spec.helper")
local process = require("spec.helper.process")

-- Runs a script that must end well; returns its output.
local function output_of(code, opts)
  local ran = helper.run(code, opts)
  assert.equal("", ran.err)
  assert.equal(0, ran.code)
  return ran.out
end

local function run_with(...)
  return helper.run(nil, { args = { ... } })
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    table.insert(lines, line)
  end
  return lines
end

-- Fails unless the run ended with that code and one line that begins so.
local function assert_line(code, start, ran)
  assert.equal("", ran.out)
  assert.equal(1, #lines_of(ran.err), ran.err)
  assert.equal("luaserve: " .. start, ran.err:sub(1, #start + 10))
  assert.equal(code, ran.code)
end

local PRINT_ARGUMENTS = "print(...) print(table.concat(process.argv, '|', 3))"

describe("what runs", function()
  it("is a file, which gets its arguments as ... and in process.argv", function()
    local ran = helper.run("print(...)\nprint(#process.argv, process.argv[1], process.argv[3], process.argv[4])\n"
      .. "print(process.argv[2] == __filename, __filename)", { script_args = { "one", "two" } })
    assert.same({ "one\ttwo", "4\tluaserve\tone\ttwo", "true\t" .. ran.script }, lines_of(ran.out))
    assert.equal(0, ran.code)
  end)

  it("is code behind -e", function()
    assert.equal("a\tb\na|b\n", output_of(nil, { args = { "-e", PRINT_ARGUMENTS, "a", "b" } }))
    assert.equal("-e\n", output_of(nil, { args = { "--eval=print(process.argv[2])" } }))
  end)

  it("is standard input for -", function()
    assert.equal("a\tb\na|b\n", output_of(nil, { args = { "-", "a", "b" }, stdin = PRINT_ARGUMENTS }))
    assert.equal("-\n", output_of(nil, { args = { "-" }, stdin = "print(process.argv[2])" }))
  end)

  it("has the arguments in arg, as with the lua command", function()
    assert.equal("1\tx\n", output_of("print(#arg, arg[1])", { script_args = { "x" } }))
  end)

  it("leaves options behind the script to the script", function()
    assert.equal("-l\t--help\n", output_of("print(...)", { script_args = { "-l", "--help" } }))
  end)

  it("may begin with a byte order mark and a line for the shell", function()
    local ran = helper.run("\239\187\191#!/usr/bin/env luaserve\nprint('ran') error('here')")
    assert.equal("ran\n", ran.out)
    assert.matches("app%.lua:2: here", ran.err)
  end)

  it("is never bytecode", function()
    local ran = helper.run("\27Lua()", { code = true })
    assert.equal(1, ran.code)
  end)
end)

describe("modules and paths", function()
  local FILES = {
    ["near.lua"] = "return { name = ..., file = __filename, folder = __dirname }",
    ["deep/init.lua"] = "return __dirname",
    ["http.lua"] = "error('a file must not hide a built-in module')",
  }

  it("are found in the script's folder first, wherever luaserve was started", function()
    local ran = helper.run("print(require('near').name, require('near').file)\nprint((require('deep')))",
      { files = FILES, cwd = "/" })
    local folder = ran.script:match("^(.*)/")
    assert.same({ "near\t" .. folder .. "/near.lua", folder .. "/deep" }, lines_of(ran.out))
  end)

  it("stay found after process.chdir", function()
    assert.equal("near\n", output_of("process.chdir('/')\nprint(require('near').name)", { files = FILES }))
  end)

  it("may have the names of built-in ones, which win", function()
    assert.equal("function\n", output_of("print(type(require('http').createServer))", { files = FILES }))
  end)

  it("have a second name where they are built in", function()
    assert.equal("true\ttrue\ttrue\n", output_of("print(require('luaserve.http') == require('http'), "
      .. "require('luaserve.luaserve') == require('luaserve'), require('cjson') == require('json'))",
      { files = { ["luaserve/http.lua"] = "error('hidden')" } }))
  end)

  it("may wait while they load", function()
    assert.equal("here\n", output_of("print((require('slow')))",
      { files = { ["slow.lua"] = "require('timers').sleep(1) return 'here'" } }))
  end)

  it("include the script's own __filename and __dirname", function()
    local ran = helper.run("print(__filename)\nprint(__dirname)")
    assert.same({ ran.script, (ran.script:match("^(.*)/")) }, lines_of(ran.out))
  end)

  it("are relative to the working directory in fs", function()
    local folder = helper.tmpdir()
    helper.write_file(folder .. "/note", "found")
    assert.equal("found\n", output_of("print(require('fs').readFileSync('note'))", { cwd = folder }))
  end)
end)

describe("--check", function()
  local function check(code, files)
    return helper.run(code, { args = { "-c" }, files = files })
  end

  it("compiles and does not run", function()
    local ran = check("print('ran')\nrequire('near')", { ["near.lua"] = "print('ran too')" })
    assert.same({ "", "", 0 }, { ran.out, ran.err, ran.code })
  end)

  it("takes code and standard input", function()
    assert.equal("", output_of(nil, { args = { "-c", "-e", "print(1)" } }))
    assert.equal("", output_of(nil, { args = { "-c", "-" }, stdin = "print(1)" }))
    assert.equal(1, helper.run(nil, { args = { "-c", "-" }, stdin = "print(" }).code)
  end)

  it("finds what is wrong in the script", function()
    local ran = check("local x = 1\nlocal = 2")
    assert.matches("^luaserve: %S+app%.lua:2: [^\n]+\n$", ran.err)
    assert.equal(1, ran.code)
  end)

  it("finds what is wrong in the files that it requires, all of them", function()
    local ran = check("require('one')\nrequire 'two'", {
      ["one.lua"] = "return require('sub.three')", ["two.lua"] = "x =", ["sub/three.lua"] = "\ny = = 1",
    })
    assert.same(2, #lines_of(ran.err), ran.err)
    assert.matches("/sub/three%.lua:2: ", ran.err)
    assert.matches("/two%.lua:1: ", ran.err)
    assert.equal(1, ran.code)
  end)

  it("finds modules that are not there", function()
    local ran = check("local http = require('http')\n\nlocal db = require 'data.base'\n-- require 'nothing'\n"
      .. "--[[ require 'nothing'\n]] local ok, x = pcall(require, 'optional')")
    assert.matches("^luaserve: %S+app%.lua:3: module 'data%.base' not found\n$", ran.err)
    assert.equal(1, ran.code)
  end)

  it("looks at literal names alone, as Lua reads them", function()
    local ran = check([==[
      local part = "x"
      local ok = pcall(function() return require("a" .. part), require(part), require("esc\z
        aped") end)
      print("-- require('in.a.string')", [[ require "in.long.brackets" ]], 'it\'s require("quoted")')
      --[=[ require "in.a.comment" ]] ]=]
      local t = { require = print }
      t.require("a.field")
      t:require "a.method"
      local url = "http://x--y" local b = require "b" .. ""
    ]==])
    assert.matches("^luaserve: %S+app%.lua:9: module 'b' not found\n$", ran.err)
    assert.equal(1, ran.code)
    assert.equal("", check("return require('http', 1), require[[json]], require --[[so]] ( --x\n 'fs' )").err)
  end)

  it("says which file it cannot read", function()
    assert_line(2, "cannot run missing.lua: No such file or directory: check the path", run_with("-c", "missing.lua"))
  end)
end)

describe("--version and --help", function()
  it("print the versions on one line", function()
    for _, option in ipairs({ "-v", "--version" }) do
      local line = output_of(nil, { args = { option } })
      assert.matches("^luaserve %d+%.%d+%.%d+ %(Lua[^\n]*libev %d[^\n]*llhttp %d[^\n]*OpenSSL %d[^\n]*%)\n$", line)
    end
  end)

  local function assert_page(args, word)
    local page = output_of(nil, { args = args })
    local lines = lines_of(page)
    assert.is_true(#lines <= 24, #lines .. " lines")
    for _, line in ipairs(lines) do
      assert.is_true(#line <= 80, line)
    end
    assert.truthy(page:find(word, 1, true))
  end

  it("print pages that fit a screen of 80 by 24", function()
    assert_page({ "-h" }, "--listen ADDR")
    assert_page({ "--help" }, "--listen ADDR")
    assert_page({ "--help", "service" }, "--pid-file FILE")
    assert_page({ "--help", "limits" }, "--max-body SIZE")
    assert_page({ "--help", "commands" }, "attach")
  end)
end)

describe("the exit code", function()
  it("is 0 when nothing is left to wait for", function()
    assert.equal("1\n2\n3\n", output_of([[
      setTimeout(function() print(2) end, 5)
      require("fs").readFile(process.argv[2], function(err) assert(not err) print(1) end)
      local server = require("http").createServer(function() end)
      server:listen(0, function() setTimeout(function() server:close(function() print(3) end) end, 30) end)
    ]]))
  end)

  it("is 0 when only timers without a reference are left", function()
    output_of("setTimeout(function() end, 60000):unref() setInterval(function() end, 60000):unref()")
  end)

  it("is 0 when only listeners to signals are left", function()
    output_of("process.on('SIGTERM', function() end) process.on('SIGUSR2', function() end)")
  end)

  it("is that of process.exit, process.exitCode and os.exit", function()
    assert.equal(7, run_with("-e", "process.exit(7)").code)
    assert.equal(3, run_with("-e", "process.exitCode = 3").code)
    assert.equal(5, run_with("-e", "os.exit(5)").code)
    assert.equal(1, run_with("-e", "os.exit(false)").code)
    assert.equal(0, run_with("-e", "os.exit(true, true)").code)
  end)

  it("reaches the listeners of exit, also without process.exit", function()
    local listen = "process.on('exit', function(code) print('exit', code) end) "
    assert.equal("exit\t0\n", output_of(nil, { args = { "-e", listen } }))
    assert.equal("exit\t4\n", run_with("-e", listen .. "process.exit(4)").out)
    assert.equal("exit\t1\n", run_with("-e", listen .. "error('x')").out)
  end)

  it("is 1 when the script fails", function()
    local ran = helper.run("local function fail()\n  error('out of tea')\nend\nfail()")
    assert.matches("^luaserve: %S+app%.lua:2: out of tea\nstack traceback:\n", ran.err)
    assert.matches("app%.lua:4: in main chunk", ran.err)
    assert.equal(1, ran.code)
  end)

  it("is 1 when the script fails after it has waited, and listens", function()
    local ran = helper.run([[
      require("http").createServer(function() end):listen(0)
      require("timers").sleep(1)
      error({ message = "out of tea" })
    ]])
    assert.matches("^luaserve: out of tea\nstack traceback:\n", ran.err)
    assert.equal(1, ran.code)
  end)

  it("is 2 for a wrong command line", function()
    assert_line(2, "no script given; usage: luaserve [options] app.lua", run_with())
    assert_line(2, "unknown option --lisen; did you mean --listen?", run_with("--lisen", "80", "app.lua"))
    assert_line(2, "unknown option -z; see luaserve --help", run_with("-z"))
    assert_line(2, "--listen 80800: a port is a number from 0 to 65535", run_with("-l", "80800", "app.lua"))
    assert_line(2, "--max-body x: not a size in bytes, K, M or G", run_with("--max-body", "x", "app.lua"))
    assert_line(2, "--log-level loud: not error, warn, info or debug", run_with("--log-level=loud", "app.lua"))
    assert_line(2, "--pid-file needs a value, as in --pid-file", run_with("--pid-file"))
  end)
end)

describe("--listen", function()
  local HANDLER = "return function(req, res) res:finish(req.url) end"

  local function serves(address, opts)
    opts = opts or {}
    opts.listen = address
    local server = helper.serve(HANDLER, opts)
    assert.equal("/here", helper.request(server, { path = "/here" }).body)
    return server
  end

  local function url(server)
    return server:stdout():match("^listening on (%S+)\n$")
  end

  it("serves a function that the script returns", function()
    local server = serves("127.0.0.1:0")
    assert.equal("http://127.0.0.1:" .. server.port, url(server))
    assert.equal(0, (server:stop()))
  end)

  it("serves a table that can be called", function()
    local server = helper.serve("return setmetatable({}, { __call = function(self, req) return req.method end })",
      { listen = true })
    assert.equal("GET", helper.get(server, "/").body)
  end)

  it("serves nothing for other values", function()
    for _, value in ipairs({ "nil", "42", "'app'", "{}", "true" }) do
      assert.equal("", output_of("return " .. value .. " --()", { listen = true, code = true }))
    end
  end)

  it("waits until the script has ended", function()
    local server = helper.serve("require('timers').sleep(5) print('ready') " .. HANDLER, { listen = true })
    assert.matches("^ready\nlistening on ", server:stdout())
  end)

  it("takes a port of 127.0.0.1", function()
    assert.matches("^http://127%.0%.0%.1:%d+$", url(serves("0")))
  end)

  it("takes :port for all interfaces", function()
    local server = serves(":0")
    assert.matches("^http://localhost:%d+$", url(server))
    assert.equal("/six", helper.request(server, { path = "/six", connect = { host = "::1" } }).body)
  end)

  it("takes an IPv6 address in brackets", function()
    local server = helper.serve(HANDLER, { listen = "[::1]:0" })
    assert.equal("http://[::1]:" .. server.port, url(server))
    assert.equal("/six", helper.request(server, { path = "/six", connect = { host = "::1" } }).body)
  end)

  it("takes a name", function()
    local server = helper.serve(HANDLER, { listen = "localhost:0" })
    assert.matches("^http://[%[%]:%d%.]+$", url(server))
  end)

  it("takes a Unix socket, and removes its file at the end", function()
    local path = helper.tmpdir() .. "/socket"
    local server = serves("unix:" .. path)
    assert.equal("unix:" .. path, url(server))
    server:stop()
    assert.is_nil(io.open(path))
  end)

  it("takes the place of a Unix socket that a dead process left", function()
    local path = helper.tmpdir() .. "/socket"
    local first = serves("unix:" .. path)
    first:stop("KILL")
    serves("unix:" .. path)
  end)

  it("takes several addresses", function()
    local path = helper.tmpdir() .. "/socket"
    local server = helper.serve(HANDLER, { listen = { "127.0.0.1:0", "127.0.0.1:0", "unix:" .. path }, ports = 2 })
    for _, port in ipairs(server.ports) do
      assert.equal("/", helper.get(port, "/").body)
    end
    assert.equal("/", helper.request(nil, { path = "/", connect = { unix = path } }).body)
    assert.equal(0, (server:stop()))
  end)

  it("is HOST and PORT of the environment where it is missing", function()
    local server = helper.serve(HANDLER, { env = { HOST = "::1", PORT = "0" } })
    assert.equal("http://[::1]:" .. server.port, url(server))
    assert_line(2, "PORT=http in the environment: a port is a number", helper.run(HANDLER, { env = { PORT = "http" } }))
  end)

  it("serves what code and standard input return", function()
    local server = helper.serve(nil, { listen = true, args = { "-e", HANDLER } })
    assert.equal("/a", helper.get(server, "/a").body)
    server = helper.serve(nil, { listen = true, args = { "-" }, stdin = HANDLER })
    assert.equal("/b", helper.get(server, "/b").body)
  end)

  it("is left alone by a script that listens itself", function()
    local server = helper.serve([[
      local server = require("http").createServer(function(req, res) res:finish("own") end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]], { args = { "-l", "127.0.0.1:1" } })
    assert.equal("own", helper.get(server, "/").body)
  end)
end)

describe("the limits", function()
  local FIELDS = [[
    local server = require("http").createServer({ maxHeadersCount = 5 }, function() end)
    for _, name in ipairs { "maxRequestLineSize", "maxHeaderSize", "maxHeadersCount", "maxBodySize",
      "keepAliveTimeout", "headersTimeout", "requestTimeout", "writeTimeout", "handlerTimeout",
      "maxConnections", "maxRequestsPerSocket" } do
      print(name, server[name])
    end
  ]]

  local function fields(...)
    local found = {}
    for name, value in output_of(FIELDS, { args = { ... } }):gmatch("(%a+)\t(%S+)\n") do
      found[name] = value
    end
    return found
  end

  it("of the command line are those of every server, which may have others", function()
    assert.same({ maxRequestLineSize = "4096", maxHeaderSize = "65536", maxHeadersCount = "5", maxBodySize = "10",
      keepAliveTimeout = "1000", headersTimeout = "2500", requestTimeout = "3000", writeTimeout = "0",
      handlerTimeout = "5000", maxConnections = fields().maxConnections, maxRequestsPerSocket = "7" },
      fields("--max-request-line=4K", "--max-header-size=64k", "--max-headers=50", "--max-body=10",
        "--keep-alive-timeout=1", "--headers-timeout=2.5", "--request-timeout=3", "--write-timeout=0",
        "--handler-timeout=5", "--max-requests=7"))
  end)

  it("are on by default", function()
    local found = fields()
    assert.equal("1048576", found.maxBodySize)
    assert.equal("75000", found.keepAliveTimeout)
    assert.equal("20000", found.headersTimeout)
    assert.equal("300000", found.requestTimeout)
    assert.equal("60000", found.writeTimeout)
    assert.equal("60000", found.handlerTimeout)
  end)
end)

describe("print", function()
  it("reaches a pipe at once", function()
    local code = "print('now') setTimeout(function() end, 60000)"
    local shell = helper.start({ "bash", "-c", [["$0" -e "$1" | while read -r line; do echo "read $line"; done]],
      process.binary(), code })
    assert.equal("now", shell:wait_output("read (%w+)"))
  end)
end)
