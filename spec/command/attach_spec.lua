-- luaserve attach: a prompt inside a running server, over the socket beside its pid file.
local helper = require("spec.helper")
local lfs = require("lfs")
local pty = require("spec.helper.pty")
local process = require("spec.helper.process")

local APP = [[
local luaserve = require "luaserve"
local app = luaserve()
shared = 0
app:get("/", function() return "hello" end)
app:get("/pid", function() return tostring(require("process").pid) end)
return app
]]

local function serve(opts)
  opts = opts or {}
  local file = opts.pid_file or helper.tmpdir() .. "/server.pid"
  local args = { "--pid-file", file, table.unpack(opts.args or {}) }
  local server = helper.serve(APP, { listen = true, args = args, timeout = 20 })
  server.pid_file = file
  return server
end

local function attach(server, lines, ...)
  local argv = { process.binary(), "attach" }
  for _, word in ipairs({ ... }) do
    table.insert(argv, word)
  end
  table.insert(argv, server.pid_file)
  local p = helper.start(argv, { stdin = lines, cwd = helper.tmpdir() })
  local code = p:wait_exit(15)
  return { code = code, out = p:stdout(), err = p:stderr() }
end

local function on_terminal(server, ...)
  local t = pty.start({ process.binary(), "attach", server.pid_file, ... },
    { env = { XDG_STATE_HOME = helper.tmpdir() }, columns = 120 })
  t:expect(nil, "\n>", 10)
  return t
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  pipe:close()
  return text
end

describe("luaserve attach", function()
  local server

  setup(function()
    server = serve()
  end)

  it("runs lines in the live process, and brings back what they return and print", function()
    local r = attach(server, [[
1 + 1, "ä"
print("one", nil, 2)
client:get("/").body
shared = 41
local mine = 1
shared + mine
for i = 1, 2 do
  print(i)
end
"\255\0"
]])
    assert.same({ 0, "" }, { r.code, r.err })
    assert.equal('2\t"ä"\none\tnil\t2\n"hello"\n42\n1\n2\n"\\255\\000"\n', r.out)
    r = attach(server, "shared, mine\nrequire('process').pid")
    assert.equal("41\tnil\n" .. server.pid .. "\n", r.out)
  end)

  it("lets lines wait, while requests are served", function()
    local r = attach(server,
      "local slept = require('timers').sleep(20)\n#require('fs').readFile('/proc/self/status', 'utf8') > 10")
    assert.same({ 0, "true\n" }, { r.code, r.out })
    assert.equal(200, helper.get(server, "/").status)
  end)

  it("ends a line that does not end, and a print that does not, and serves on", function()
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal(200, conn:read_response().status)
    local r = attach(server, "while true do end")
    assert.same({ 1, "error: (line):1: ended after 0.5 s of CPU time without waiting\n" }, { r.code, r.err })
    r = attach(server, "while true do pcall(error) end")
    assert.equal(1, r.code)
    r = attach(server, "for i = 1, 1e9 do print(('x'):rep(1000)) end")
    assert.equal(1, r.code)
    assert.truthy(#r.out < 400 * 1024, #r.out)
    assert.truthy(r.out:find("... more is printed than is shown", 1, true))
    r = attach(server, "('x'):rep(200000)")
    assert.truthy(#r.out < 70000, #r.out)
    assert.truthy(r.out:find("more bytes\n$"))
    r = attach(server, "error({}, 2)")
    assert.same({ 1, "error: {}\n" }, { r.code, r.err })
    conn:send("GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal(tostring(server.pid), conn:read_response().body)
    assert.falsy(server:stderr():find("error:", 1, true), server:stderr())
  end)

  it("serves several at once, each with locals of its own", function()
    local one, two = on_terminal(server), on_terminal(server)
    one:expect("local n = 1; shared = 5\r", "shared = 5\n>")
    two:expect("n, shared\r", "5\n>")
    two:expect("client:po\t", "> client:post")
    two:expect("\3", "^C\n>")
    two:expect("print 'on' require('timers').sleep(1e7)\r", "\non")
    two:expect("\3", "interrupted: the line was waiting, and goes on in the server\n>")
    two:expect("setTimeout(function() print 'later' end, 50) wait\27[D\27[D\27[D\27[D\11\r", "later\n>")
    one:expect("n\r", "> n\n1\n>")
    for _, t in ipairs({ one, two }) do
      t:send("\4")
      assert.equal(0, t.process:wait_exit())
    end
  end)

  it("refuses the seventeenth, and forgets those who have gone", function()
    local path, conns = server.pid_file .. ".control", {}
    for i = 1, 16 do
      conns[i] = helper.connect(nil, { unix = path })
    end
    local r
    helper.wait_for(function()
      r = attach(server, "1")
      return r.code == 1
    end, "a refusal")
    assert.equal("luaserve: 16 connections to the control socket are open already\n", r.err)
    for _, conn in ipairs(conns) do
      conn:close()
    end
    helper.wait_for(function() return attach(server, "1").out == "1\n" end, "the others to be gone")
  end)

  it("closes on what is no message of its own, whatever its size", function()
    local path = server.pid_file .. ".control"
    local function frame(text) return string.pack("=I4I4", #text, 0) .. text end
    for _, bytes in ipairs({
      ("\255"):rep(100), frame("nonsense"), frame('{"t":"frob"}\n'), frame("[1]\n"), frame("7\n"), frame(""),
      string.pack("=I4I4", 2 * 1024 * 1024, 0) .. "x",
    }) do
      local conn = helper.connect(nil, { unix = path })
      conn:send(bytes)
      assert.is_true(conn:closed(), bytes)
    end
    assert.equal("1\n", attach(server, "1").out)
  end)

  it("says when the server has gone", function()
    local other = serve()
    local r = attach(other, "require('process').exit(0)\n1\n")
    assert.equal(1, r.code)
    assert.truthy(r.err:find("^luaserve: the server has ended %(process %d+%)"), r.err)
    other = serve()
    local t = on_terminal(other)
    t:send("half")
    other:stop()
    assert.equal(1, t.process:wait_exit())
    assert.truthy(t:screen():find("\nluaserve: the server has ended", 1, true), t:screen())
  end)

  it("tells a worker from another, and lasts as long as it", function()
    local many = serve { args = { "--workers", "2" } }
    local pids = {}
    for i = 0, 2 do
      local r = attach(many, "require('process').pid", "--worker", i)
      assert.equal(0, r.code, r.err)
      pids[i] = r.out
    end
    assert.equal(many.pid .. "\n", pids[0])
    assert.truthy(pids[0] ~= pids[1] and pids[1] ~= pids[2])
    assert.equal(pids[1], attach(many, "require('process').pid").out)
    local r = attach(many, "1", "--worker=7")
    assert.same({ 1, "luaserve: there is no worker 7; there are 1, 2\n" }, { r.code, r.err })
    r = attach(many, "while true do end", "--worker", "1")
    assert.equal(1, r.code)
    local t = on_terminal(many)
    many:kill("HUP")
    assert.equal(1, t.process:wait_exit(15))
    assert.truthy(t:screen():find("the server has ended (worker 1, ", 1, true), t:screen())
    assert.truthy(t:screen():find("attach again", 1, true))
    helper.wait_for(function() return attach(many, "app ~= nil").out == "true\n" end, "a new worker", 10)
    many:stop()
    assert.is_nil(lfs.attributes(many.pid_file .. ".control"))
  end)
end)

describe("the control socket", function()
  it("is for its owner alone, and goes with the process", function()
    local server = serve()
    local path = server.pid_file .. ".control"
    assert.equal("600 socket\n", output_of("stat -c '%a %F' '" .. path .. "'"))
    server:stop()
    assert.is_nil(lfs.attributes(path))
  end)

  it("takes the place of one that a killed process has left", function()
    local server = serve()
    server:kill("KILL")
    server:wait_exit()
    assert.equal("socket", lfs.attributes(server.pid_file .. ".control", "mode"))
    local r = attach(server, "1")
    assert.equal(1, r.code)
    assert.truthy(r.err:find("which is gone: start the server again", 1, true), r.err)
    local second = serve { pid_file = server.pid_file }
    assert.equal("1\n", attach(second, "1").out)
  end)

  it("leaves alone what is no socket, and serves without it", function()
    local file = helper.tmpdir() .. "/server.pid"
    helper.write_file(file .. ".control", "mine")
    local server = serve { pid_file = file }
    assert.equal(200, helper.get(server, "/").status)
    assert.truthy(server:stderr():find("no control socket, so attach and top do not work: ", 1, true))
    assert.equal("mine", helper.read_file(file .. ".control"))
    local r = attach(server, "1")
    assert.equal(1, r.code)
    server:stop()
    assert.equal("mine", helper.read_file(file .. ".control"))
  end)

  it("lets nobody in of another user", function()
    if output_of("id -u") ~= "0\n" then
      return pending("only root can be somebody else")
    end
    local file = os.tmpname()
    os.remove(file)
    helper.defer(function() os.remove(file) end)
    local server = serve { pid_file = file }
    local path = file .. ".control"
    local function as_nobody()
      return output_of(("echo 1 | setpriv --reuid=65534 --regid=65534 --clear-groups '%s' attach '%s' 2>&1"):format(
        process.binary(), file))
    end
    local text = as_nobody()
    if text:find("setpriv", 1, true) then
      return pending("the program cannot be run by others here")
    end
    assert.equal("luaserve: the server is another user's: attach as that one, or as root\n", text)
    os.execute("chmod 666 '" .. path .. "'") -- the kernel's word counts, not the file's mode
    assert.equal("luaserve: the server has closed the connection\n", as_nobody())
    assert.truthy(server:wait_output("user 65534 %(process %d+%) was refused at the control socket"))
  end)
end)

describe("luaserve attach says what is wrong with", function()
  local function told(...)
    local p = helper.start({ process.binary(), "attach", ... }, {})
    local code = p:wait_exit()
    return { code, p:stderr() }
  end

  it("its arguments", function()
    assert.same({ 2, "luaserve: attach needs the pid file of a server: luaserve attach PIDFILE\n" }, told())
    assert.same({ 2, "luaserve: attach has no option '--frob': luaserve attach --help says more\n" },
      told("--frob", "x"))
    assert.same({ 2, "luaserve: attach takes one pid file: luaserve attach --help says more\n" }, told("x", "y"))
    assert.same({ 2, "luaserve: --worker needs a number: luaserve attach --help says more\n" }, told("--worker", "x"))
    assert.same({ 0, "" }, told("--help"))
  end)

  it("the pid file", function()
    local dir = helper.tmpdir()
    local missing = dir .. "/none.pid"
    assert.same({ 1, ("luaserve: %s: No such file or directory: start the server with --pid-file %s, and name that "
      .. "file\n"):format(missing, missing) }, told(missing))
    local file = helper.write_file(dir .. "/text", "hello")
    assert.same({ 1, "luaserve: " .. file .. " holds no process id: name the file of --pid-file\n" }, told(file))
    local other = helper.start({ "sleep", "60" })
    helper.write_file(file, other.pid .. "\n")
    local text = told(file)[2]
    local expected = "the server has no control socket there (" .. file .. ".control): it is older"
    assert.truthy(text:find(expected, 1, true), text)
  end)
end)
