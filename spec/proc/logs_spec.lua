-- The access log and the server's log, the pid file, user and group.
local helper = require("spec.helper")
local lfs = require("lfs")
local cjson = require("cjson")

local is_root = (io.popen("id -u"):read("l")) == "0"

local HELLO = "res:finish('hello')"

-- Serves HELLO with these options, asks once, stops; returns the process.
local function ask(args, request, body)
  local server = helper.serve_handler(body or HELLO, { args = args })
  helper.request(server, request or { path = "/a?b=1", headers = { Referer = "http://x/", ["User-Agent"] = "spec" } })
  assert.equal(0, (server:stop()))
  return server
end

local STAMP = "%[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%]"

describe("--access-log", function()
  it("writes the combined format unless told otherwise", function()
    local file = helper.tmpdir() .. "/access.log"
    ask({ "--access-log", file })
    assert.matches("^127%.0%.0%.1 %- %- " .. STAMP .. ' "GET /a%?b=1 HTTP/1%.1" 200 5 "http://x/" "spec"\n$',
      helper.read_file(file))
    assert.equal("rw-r-----", lfs.attributes(file, "permissions"))
  end)

  it("writes the common format", function()
    local file = helper.tmpdir() .. "/access.log"
    ask({ "--access-log", file, "--log-format", "common" })
    assert.matches("^127%.0%.0%.1 %- %- " .. STAMP .. ' "GET /a%?b=1 HTTP/1%.1" 200 5\n$', helper.read_file(file))
  end)

  it("writes one JSON object a line", function()
    local file = helper.tmpdir() .. "/access.log"
    ask({ "--access-log", file, "--log-format=json" })
    local text = helper.read_file(file)
    assert.matches("^{[^\n]*}\n$", text)
    local entry = cjson.decode(text)
    assert.equal("GET", entry.method)
    assert.equal(200, entry.status)
    assert.equal(5, entry.bytes)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d", entry.time)
  end)

  it("writes the ids of requests and traces into JSON, where there are any", function()
    local file = helper.tmpdir() .. "/access.log"
    local trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    local headers = { ["X-Request-Id"] = "theirs", traceparent = trace }
    ask({ "--access-log", file, "--log-format=json" }, { headers = headers })
    ask({ "--access-log", file, "--log-format=json" }, { headers = { ["X-Request-Id"] = "theirs" } },
      "res:setHeader('X-Request-Id', 'ours') res:finish('x')")
    ask({ "--access-log", file, "--log-format=json" })
    local entries = {}
    for line in helper.read_file(file):gmatch("[^\n]+") do table.insert(entries, cjson.decode(line)) end
    assert.same({ "theirs", trace }, { entries[1].requestId, entries[1].traceparent })
    assert.same({ "ours" }, { entries[2].requestId, entries[2].traceparent })
    assert.is_nil(entries[3].requestId)
  end)

  it("writes to standard output for -", function()
    local server = ask({ "--access-log", "-" })
    assert.matches('\n127%.0%.0%.1 [^\n]+ "GET /a%?b=1 HTTP/1%.1" 200 5 [^\n]+\n$', server:stdout())
  end)

  it("is written while the server runs", function()
    local server = helper.serve_handler(HELLO, { args = { "--access-log", "-" } })
    helper.get(server, "/first")
    server:wait_output("GET /first")
  end)

  it("adds to what is in the file", function()
    local file = helper.write_file(helper.tmpdir() .. "/access.log", "before\n")
    ask({ "--access-log", file })
    assert.matches("^before\n127", helper.read_file(file))
  end)

  it("tells of bad requests and of failures", function()
    local file = helper.tmpdir() .. "/access.log"
    ask({ "--access-log", file }, { raw = "garbage\r\n\r\n" })
    ask({ "--access-log", file }, { path = "/x" }, "error('x')")
    assert.matches('" 400 %d+', helper.read_file(file))
    assert.matches('"GET /x HTTP/1%.1" 500 %d+', helper.read_file(file))
  end)

  it("loses nothing at process.exit", function()
    local file = helper.tmpdir() .. "/access.log"
    local server = helper.serve_handler("res:finish('x', function() process.exit(4) end)",
      { args = { "--access-log", file } })
    helper.get(server, "/last")
    assert.equal(4, (server:wait_exit()))
    assert.matches("GET /last", helper.read_file(file))
  end)

  it("ends the process with a line where the file cannot be opened", function()
    local ran = helper.run("print('ran')", { args = { "--access-log", "/nowhere/access.log" } })
    assert.same({ 1, "", "luaserve: --access-log /nowhere/access.log: No such file or directory\n" },
      { ran.code, ran.out, ran.err })
  end)
end)

describe("--log", function()
  local LEVELS = "for _, level in ipairs({ 'error', 'warn', 'info', 'debug' }) do console[level](level) end"

  local function levels_of(text)
    local levels = {}
    for level, said in text:gmatch("%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ (%a+): (%a+)\n") do
      assert.equal(level, said)
      table.insert(levels, level)
    end
    return table.concat(levels, " ")
  end

  it("is standard error where it is missing", function()
    assert.equal("error warn info", levels_of(helper.run(LEVELS).err))
  end)

  it("may be a file", function()
    local file = helper.tmpdir() .. "/server.log"
    local ran = helper.run(LEVELS, { args = { "--log", file } })
    assert.equal("", ran.err)
    assert.equal("error warn info", levels_of(helper.read_file(file)))
  end)

  it("holds what is as important as --log-level", function()
    for level, expected in pairs({ error = "error", warn = "error warn", info = "error warn info",
      debug = "error warn info debug" }) do
      assert.equal(expected, levels_of(helper.run(LEVELS, { args = { "--log-level", level } }).err))
    end
  end)

  it("ends the process with a line where the file cannot be opened", function()
    local ran = helper.run("print('ran')", { args = { "--log", "/" } })
    assert.same({ 1, "", "luaserve: --log /: Is a directory\n" }, { ran.code, ran.out, ran.err })
  end)
end)

describe("--pid-file", function()
  it("holds the process id until the end", function()
    local file = helper.tmpdir() .. "/luaserve.pid"
    local server = helper.serve_handler(HELLO, { args = { "--pid-file", file } })
    assert.equal(server.pid .. "\n", helper.read_file(file))
    server:stop()
    assert.is_nil(lfs.attributes(file))
  end)

  it("is removed at process.exit, and where the script fails", function()
    local file = helper.tmpdir() .. "/luaserve.pid"
    local see = "print(require('fs').existsSync('" .. file .. "')) "
    assert.equal("true\n", helper.run(see .. "process.exit(0)", { args = { "--pid-file", file } }).out)
    assert.is_nil(lfs.attributes(file))
    assert.equal("true\n", helper.run(see .. "error('x')", { args = { "--pid-file", file } }).out)
    assert.is_nil(lfs.attributes(file))
  end)

  it("keeps a second server from being started", function()
    local file = helper.tmpdir() .. "/luaserve.pid"
    local server = helper.serve_handler(HELLO, { args = { "--pid-file", file } })
    local ran = helper.run("print('ran')", { args = { "--pid-file", file } })
    assert.equal(1, ran.code)
    assert.equal("", ran.out)
    assert.matches("^luaserve: [^\n]*runs already as process " .. server.pid .. "; stop it %(kill %d+%)[^\n]*\n$",
      ran.err)
  end)
end)

describe("--user and --group", function()
  local SHOW = [[
    local status = require("fs").readFileSync("/proc/self/status")
    return function(req, res)
      status = require("fs").readFileSync("/proc/self/status")
      return { uid = status:match("Uid:%s+(%d+)"), gid = status:match("Gid:%s+(%d+)"),
        groups = status:match("Groups:%s+(.-)%s*\n") }
    end]]

  local function id(option, name)
    return io.popen("id " .. option .. " " .. name):read("l")
  end

  it("give up root once the server listens", function()
    if not is_root then
      return pending("needs root")
    end
    local server = helper.serve(SHOW, { listen = true, args = { "--user", "nobody" } })
    local identity = cjson.decode(helper.get(server, "/").body)
    assert.equal(id("-u", "nobody"), identity.uid)
    assert.equal(id("-g", "nobody"), identity.gid)
    server:stop()
    server = helper.serve(SHOW, { listen = true, args = { "--user", "nobody", "--group", "daemon" } })
    identity = cjson.decode(helper.get(server, "/").body)
    assert.equal(id("-u", "nobody"), identity.uid)
    assert.equal(id("-g", "daemon"), identity.gid)
  end)

  it("refuse a name that nobody has before the script runs", function()
    for option, kind in pairs({ user = "user", group = "group" }) do
      local ran = helper.run("print('ran')", { args = { "--" .. option, "no-such-name" } })
      assert.same({ 2, "" }, { ran.code, ran.out })
      assert.matches("^luaserve: %-%-" .. option .. ": there is no " .. kind .. " no%-such%-name here; [^\n]+\n$",
        ran.err)
    end
  end)
end)
