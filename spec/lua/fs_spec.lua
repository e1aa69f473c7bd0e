-- The module fs: what takes time in both its forms and as ...Sync; open files. Streams are in
-- fs_stream_spec.lua.

local helper = require("spec.helper")

-- What every script here begins with. `all(name, ...)` calls a function of fs in its three forms and prints
-- what they give, or what they fail with; `calm(fn)` runs fn and checks that it leaves no descriptor open.
local PRELUDE = [[
local fs, timers = require("fs"), require("timers")
local function show(how, ...)
  local words = { how }
  for i = 1, select("#", ...) do words[#words + 1] = tostring((select(i, ...))) end
  print(table.concat(words, "|"))
end
local function await(condition)
  while not condition() do timers.sleep(1) end
end
local function all(name, ...)
  local args, n, called = { ... }, select("#", ...), false
  show("waits", fs[name](...))
  args[n + 1] = function(...) called = true; show("calls", ...) end
  fs[name]((table.unpack or unpack)(args, 1, n + 1))
  assert(not called, "the callback was called at once")
  await(function() return called end)
  show("sync", pcall(fs[name .. "Sync"], ...))
end
local function open_files()
  return #fs.readdirSync("/proc/self/fd")
end
local function calm(fn)
  fs.readFile("/dev/null") -- starts a thread
  local before = open_files()
  fn()
  collectgarbage() collectgarbage()
  assert(open_files() == before, "descriptors are left open")
end
]]

local function run(code, opts)
  local result = helper.run(PRELUDE .. code, opts)
  assert.equal("", result.err)
  assert.equal(0, result.code)
  return result.out
end

local function lines(text)
  local list = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(list, line) end
  return list
end

-- Runs `all(...)` and compares its three lines with what each form should give for `value`.
local function gives(value, call, opts)
  assert.same({ "waits|" .. value, "calls|nil|" .. value, "sync|true|" .. value }, lines(run(call, opts)))
end

local function fails(message, call, opts)
  local code = message:match("^[A-Z]+")
  assert.same({ ("waits|nil|%s|%s"):format(message, code), "calls|" .. message, "sync|false|" .. message },
    lines(run(call, opts)))
end

describe("fs.readFile", function()
  it("gives the contents of a file", function()
    gives("hello", 'all("readFile", "./a.txt")', { files = { ["a.txt"] = "hello" } })
  end)

  it("takes an encoding and ignores it", function()
    gives("h\195\164", 'all("readFile", "a.txt", "utf8")', { files = { ["a.txt"] = "h\195\164" } })
  end)

  it("gives an empty string for an empty file", function()
    gives("", 'all("readFile", "a.txt")', { files = { ["a.txt"] = "" } })
  end)

  it("gives any bytes as they are", function()
    assert.equal("true\n", run([[
      local bytes = {}
      for i = 0, 255 do bytes[i + 1] = string.char(i) end
      bytes = table.concat(bytes)
      fs.writeFile("b", bytes)
      print(fs.readFile("b") == bytes)
    ]]))
  end)

  it("says which file is missing", function()
    fails("ENOENT: no such file or directory, open './x'", 'all("readFile", "./x")')
  end)

  it("refuses a directory", function()
    fails("EISDIR: illegal operation on a directory, read", 'all("readFile", "/tmp")')
  end)

  it("reads files of /proc, whose size is 0", function()
    assert.equal("Name:\n", run([[print(fs.readFile("/proc/self/status"):sub(1, 5))]]))
  end)

  it("reads 8 MiB", function()
    assert.equal("true\ttrue\ttrue\n", run([[
      local data = ("0123456789abcdef"):rep(512 * 1024)
      fs.writeFile("large", data)
      local called
      fs.readFile("large", function(err, got) called = not err and got == data end)
      local waited = fs.readFile("large") == data
      await(function() return called ~= nil end)
      print(waited, called, fs.readFileSync("large") == data)
    ]]))
  end)

  it("refuses what would not fit into the memory that is left", function()
    fails("EFBIG: file too large, read 'sparse'", [[
      fs.writeFile("sparse", "")
      fs.truncate("sparse", 64 * 1024 * 1024)
      all("readFile", "sparse")
    ]], { args = { "--max-memory", "16M" } })
  end)

  it("refuses an endless file", function()
    assert.equal("nil\tEFBIG\n", run([[
      local data, _, code = fs.readFile("/dev/zero")
      print(data, code)
    ]], { args = { "--max-memory", "16M" } }))
  end)

  it("gives an error with fields", function()
    assert.equal("ENOENT -2 open ./x ENOENT: no such file or directory, open './x'!\n", run([[
      fs.readFile("./x", function(err)
        print(err.code .. " " .. err.errno .. " " .. err.syscall .. " " .. err.path .. " " .. err .. "!")
      end)
    ]]))
    assert.equal("ENOENT -2 open ./x table\n", run([[
      local _, err = pcall(fs.readFileSync, "./x")
      print(err.code .. " " .. err.errno .. " " .. err.syscall .. " " .. err.path .. " " .. type(err))
    ]]))
  end)

  it("raises a wrong argument where it was called", function()
    local out = run([[
      print(select(2, pcall(function() fs.readFile() end)))
      print(select(2, pcall(function() fs.readFileSync({}) end)))
      print(select(2, pcall(function() fs.readFile("a\0b") end)))
      print(select(2, pcall(function() fs.readFile("a", {}, 5) end)))
    ]])
    local found = lines(out)
    assert.equal(4, #found)
    for _, line in ipairs(found) do assert.matches("^[^:]*app%.lua:%d+: bad argument #", line) end
    assert.matches("string expected, got no value", found[1])
    assert.matches("string expected, got table", found[2])
    assert.matches("without NUL bytes", found[3])
    assert.matches("function expected, got number", found[4])
  end)

  it("runs many at a time and loses none", function()
    assert.equal("1000\n", run([[
      local n = 0
      for i = 1, 1000 do
        fs.readFile("a.txt", function(err, data) n = n + (data == "hello" and 1 or 0) end)
      end
      await(function() return n == 1000 end)
      print(n)
    ]], { files = { ["a.txt"] = "hello" } }))
  end)

  it("is given up when the process ends before it", function()
    local many = [[
      fs.writeFile("large", ("x"):rep(1024 * 1024))
      for i = 1, 300 do fs.readFile("large", function() end) end
      setTimeout(function() fs.readFile("large") end, 0)
    ]]
    local result = helper.run(PRELUDE .. many .. "setTimeout(function() process.exit(3) end, 1)")
    assert.equal(3, result.code)
    local server = helper.serve(PRELUDE .. "print('port 1')" .. many .. "setInterval(function() end, 1000)")
    assert.equal(0, (server:stop()))
  end)

  it("raises in the callback's own coroutine, which is logged", function()
    local result = helper.run([[
      require("fs").readFile("/dev/null", function() error("in the callback") end)
    ]])
    assert.matches("error: .-in the callback", result.err)
    assert.matches("stack traceback", result.err)
  end)

  it("cannot wait inside a sort, and says so", function()
    assert.matches("cannot wait inside 'sort'", run([[
      print(pcall(function()
        table.sort({ 2, 1, 3 }, function(a, b) fs.readFile("/dev/null") return a < b end)
      end))
    ]]))
  end)
end)

describe("a FIFO", function()
  local function make(dir)
    assert(os.execute("mkfifo " .. dir .. "/fifo"))
    return dir .. "/fifo"
  end

  it("is read while the loop goes on", function()
    local path = make(helper.tmpdir())
    local server = helper.serve(PRELUDE .. ([[
      local ticks = 0
      local timer = setInterval(function() ticks = ticks + 1 if ticks == 5 then print("port 1") end end, 5)
      fs.readFile(%q, function(err, data) print("read " .. tostring(data)) clearInterval(timer) end)
    ]]):format(path))
    helper.write_file(path, "late")
    server:wait_output("read late\n")
    assert.equal(0, (server:wait_exit()))
  end)

  it("does not keep process.exit from ending the process", function()
    local path = make(helper.tmpdir())
    local result = helper.run(([[
      require("fs").readFile(%q, function() print("never") end)
      setTimeout(function() print("exit") process.exit(3) end, 20)
    ]]):format(path))
    assert.equal("exit\n", result.out)
    assert.equal(3, result.code)
  end)

  it("does not keep SIGTERM from ending the process", function()
    local path = make(helper.tmpdir())
    local server = helper.serve(([[
      require("fs").readFile(%q, function() print("never") end)
      setTimeout(function() print("port 1") end, 20)
    ]]):format(path), { args = { "--drain-timeout", "0.2" } })
    assert.equal(0, (server:stop()))
  end)
end)

describe("fs.writeFile and fs.appendFile", function()
  it("make, replace and continue a file", function()
    gives("true", 'all("writeFile", "f", "abc")')
    gives("true", 'all("appendFile", "f", "abc")')
    assert.equal("one\nonetwo\nthree\n", run([[
      fs.writeFile("f", "one")
      print(fs.readFile("f"))
      fs.appendFile("f", "two")
      print(fs.readFile("f"))
      fs.writeFileSync("f", "th")
      fs.appendFileSync("f", "ree")
      print(fs.readFile("f"))
    ]]))
  end)

  it("write numbers, as Lua prints them", function()
    assert.equal("12\n", run([[fs.writeFile("f", 12) print(fs.readFile("f"))]]))
  end)

  it("say why they cannot", function()
    fails("ENOENT: no such file or directory, open 'no/f'", 'all("writeFile", "no/f", "x")')
    fails("EISDIR: illegal operation on a directory, open '/tmp'", 'all("appendFile", "/tmp", "x")')
    fails("ENOSPC: no space left on device, write '/dev/full'", 'all("writeFile", "/dev/full", "x")')
  end)

  it("take a flag and a mode", function()
    fails("EEXIST: file already exists, open 'f'", 'fs.writeFile("f", "") all("writeFile", "f", "x", { flag = "wx" })')
    assert.equal("100600\n100640\n", run([[
      fs.writeFile("f", "x", { mode = 384 })
      fs.writeFile("g", "x", { mode = "640" })
      print(("%o\n%o"):format(fs.stat("f").mode, fs.stat("g").mode))
    ]]))
  end)

  it("refuse options that are none", function()
    local out = run([[
      print(pcall(fs.writeFile, "f", {}))
      print(pcall(fs.writeFile, "f", "x", { flag = "q" }))
      print(pcall(fs.writeFile, "f", "x", { mode = "9" }))
      print(pcall(fs.writeFile, "f", "x", true))
      print(fs.exists("f"))
    ]])
    assert.matches("string expected, got table", out)
    assert.matches("invalid flag 'q'", out)
    assert.matches("invalid mode", out)
    assert.matches("a table of options expected", out)
    assert.matches("false\n$", out)
  end)
end)

describe("fs.stat", function()
  it("tells size, times and kind", function()
    local out = run([[
      fs.utimes("f", 1000000000, 1234567890.5)
      local s = fs.stat("f")
      print(s.size, s.mtime, s.mtimeMs, s.atime, s.atimeMs)
      print(s:isFile(), s:isDirectory(), s:isSymbolicLink(), s:isFIFO(), s:isSocket())
      print(fs.statSync("."):isDirectory(), fs.stat("/dev/null"):isCharacterDevice())
    ]], { files = { f = "12345" } })
    assert.same({ "5\t1234567890.5\t1234567890500\t1000000000\t1000000000000",
      "true\tfalse\tfalse\tfalse\tfalse", "true\ttrue" }, lines(out))
  end)

  it("follows links, and lstat does not", function()
    assert.equal("true\tfalse\ntrue\tf\n", run([[
      fs.symlink("f", "l")
      print(fs.stat("l"):isFile(), fs.stat("l"):isSymbolicLink())
      print(fs.lstat("l"):isSymbolicLink(), fs.readlink("l"))
    ]], { files = { f = "" } }))
  end)

  it("fails for what is not there", function()
    fails("ENOENT: no such file or directory, stat 'x'", 'all("stat", "x")')
    fails("ENOENT: no such file or directory, lstat 'x'", 'all("lstat", "x")')
    fails("ENOTDIR: not a directory, stat 'f/x'", 'all("stat", "f/x")', { files = { f = "" } })
  end)
end)

describe("fs.exists and fs.access", function()
  it("exists says true or false, to a callback as its second argument", function()
    gives("true", 'all("exists", "f")', { files = { f = "" } })
    gives("false", 'all("exists", "x")')
  end)

  it("access fails where something is missing or not allowed", function()
    gives("true", 'all("access", "f", fs.constants.R_OK)', { files = { f = "" } })
    fails("ENOENT: no such file or directory, access 'x'", 'all("access", "x")')
    fails("EACCES: permission denied, access 'f'", 'all("access", "f", fs.constants.X_OK)', { files = { f = "" } })
  end)
end)

describe("directories", function()
  it("are listed sorted", function()
    assert.equal("B a b c\n\n", run([[
      print(table.concat(fs.readdir("d"), " "))
      fs.mkdir("e")
      print(table.concat(fs.readdirSync("e"), " "))
    ]], { files = { ["d/b"] = "", ["d/a"] = "", ["d/c"] = "", ["d/B"] = "" } }))
    fails("ENOENT: no such file or directory, scandir 'x'", 'all("readdir", "x")')
  end)

  it("list thousands of names", function()
    assert.equal("3000\tn1\tn999\n", run([[
      fs.mkdir("d")
      for i = 1, 3000 do fs.writeFileSync("d/n" .. i, "") end
      local called
      fs.readdir("d", function(err, names) called = names end)
      await(function() return called end)
      print(#called, called[1], called[3000])
    ]]))
  end)

  it("are made, with those above them where asked", function()
    assert.equal("true\n", run([[print(fs.mkdir("d"))]]))
    fails("EEXIST: file already exists, mkdir 'd'", 'fs.mkdir("d") all("mkdir", "d")')
    fails("ENOENT: no such file or directory, mkdir 'a/b/c'", 'all("mkdir", "a/b/c")')
    gives("true", 'all("mkdir", "a//b/c/", { recursive = true }) assert(fs.stat("a/b/c"):isDirectory())')
    fails("EEXIST: file already exists, mkdir 'f'", 'all("mkdir", "f", { recursive = true })', { files = { f = "" } })
    fails("ENOTDIR: not a directory, mkdir 'f/g'", 'all("mkdir", "f/g", { recursive = true })', { files = { f = "" } })
  end)

  it("are removed when empty", function()
    assert.equal("true\tfalse\n", run([[fs.mkdir("d") print(fs.rmdir("d"), fs.exists("d"))]]))
    fails("ENOTEMPTY: directory not empty, rmdir 'd'", 'all("rmdir", "d")', { files = { ["d/f"] = "" } })
  end)

  it("are removed with all in them by rm", function()
    assert.equal("true\tfalse\tkept\n", run([[
      fs.mkdir("d/e/f", { recursive = true })
      for i = 1, 50 do fs.writeFileSync("d/e/f/" .. i, "") end
      fs.symlink("../outside", "d/link")
      calm(function() print(fs.rm("d", { recursive = true }), fs.exists("d"), fs.readFile("outside/f")) end)
    ]], { files = { ["outside/f"] = "kept" } }))
    fails("EISDIR: illegal operation on a directory, rm 'd'", 'all("rm", "d")', { files = { ["d/f"] = "" } })
    fails("ENOENT: no such file or directory, rm 'x'", 'all("rm", "x", { recursive = true })')
    gives("true", 'all("rm", "x", { recursive = true, force = true })')
    assert.equal("true\tfalse\n", run([[print(fs.rm("f"), fs.exists("f"))]], { files = { f = "" } }))
  end)

  it("get a name of their own from mkdtemp", function()
    local out = run([[
      local a, b = fs.mkdtemp("t-"), fs.mkdtempSync("t-")
      print(a, b, a ~= b, ("%o"):format(fs.stat(a).mode))
    ]])
    assert.matches("^t%-%w%w%w%w%w%w\tt%-%w%w%w%w%w%w\ttrue\t40700\n$", out)
    fails("ENOENT: no such file or directory, mkdtemp 'no/t'", 'all("mkdtemp", "no/t")')
  end)
end)

describe("names", function()
  it("are changed by rename", function()
    assert.equal("true\tfalse\tx\n", run([[print(fs.rename("a", "b"), fs.exists("a"), fs.readFile("b"))]],
      { files = { a = "x", b = "y" } }))
    fails("ENOENT: no such file or directory, rename 'a' -> 'b'", 'all("rename", "a", "b")')
  end)

  it("of both files are in the error", function()
    assert.equal("a b ENOENT\n", run([[
      fs.rename("a", "b", function(err) print(err.path, err.dest, err.code) end)
    ]]):gsub("\t", " "), nil)
  end)

  it("are taken away by unlink", function()
    assert.equal("true\tfalse\n", run([[print(fs.unlink("a"), fs.exists("a"))]], { files = { a = "x" } }))
    fails("ENOENT: no such file or directory, unlink 'a'", 'all("unlink", "a")')
  end)

  it("are made absolute by realpath", function()
    assert.equal("true\n", run([[
      fs.mkdir("d") fs.symlink("d", "l")
      print(fs.realpath("./l/../f") == process.cwd() .. "/f")
    ]], { files = { f = "" } }))
    fails("ENOENT: no such file or directory, realpath 'x'", 'all("realpath", "x")')
  end)

  it("can be two for one file", function()
    assert.equal("true\tx\t2\n", run([[print(fs.link("a", "b"), fs.readFile("b"), fs.stat("a").nlink)]],
      { files = { a = "x" } }))
  end)
end)

describe("fs.copyFile", function()
  it("copies contents and permissions", function()
    assert.equal("true\ttrue\t100751\n", run([[
      local data = ("x"):rep(3000000)
      fs.writeFile("a", data)
      fs.chmod("a", "751")
      fs.writeFile("b", "longer or not")
      print(fs.copyFile("a", "b"), fs.readFile("b") == data, ("%o"):format(fs.stat("b").mode))
    ]]))
  end)

  it("copies what has no size", function()
    assert.equal("true\ttrue\n", run([[
      print(fs.copyFile("/proc/self/cmdline", "b"), fs.readFile("b") == fs.readFile("/proc/self/cmdline"))
    ]]))
  end)

  it("leaves a file alone that is copied onto itself", function()
    assert.equal("true\tx\n", run([[print(fs.copyFile("a", "./a"), fs.readFile("a"))]], { files = { a = "x" } }))
  end)

  it("keeps what is there where asked", function()
    fails("EEXIST: file already exists, copyfile 'a' -> 'b'",
      'all("copyFile", "a", "b", fs.constants.COPYFILE_EXCL)', { files = { a = "x", b = "y" } })
    fails("ENOENT: no such file or directory, copyfile 'a' -> 'b'", 'all("copyFile", "a", "b")')
    fails("EISDIR: illegal operation on a directory, copyfile '.' -> 'b'", 'all("copyFile", ".", "b")')
  end)
end)

describe("an open file", function()
  it("is read and written at any place", function()
    assert.equal("hello|world|nil|lo w|HELLO|9\n", run([[
      local h = fs.open("f", "r+")
      local a, b, c = h:read(5), h:read(6), h:read(5)
      local d = h:read(4, 3)
      h:write("HELLO", 0)
      h:truncate(9)
      print(table.concat({ a, b:sub(2), tostring(c), d, h:read(5, 0), h:stat().size }, "|"))
      h:close()
    ]], { files = { f = "hello world" } }))
  end)

  it("takes callbacks", function()
    assert.equal("nil file 'f'\nnil he\nnil nil\nnil true\nEBADF: bad file descriptor, read nil\n", run([[
      fs.open("f", function(err, h)
        print(err, h)
        h:read(2, function(...) print(...) end)
        h:read(2, 5, function(...) print(...) end)
        h:close(function(...) print(...) end)
        h:read(function(err, data) print(err, data) end)
      end)
    ]], { files = { f = "hello" } }):gsub("\t", " "), nil)
  end)

  it("does in order what it was asked to", function()
    assert.equal("0123456789\n", run([[
      local h, n = fs.open("f", "w"), 0
      for i = 0, 9 do h:write(tostring(i), function() n = n + 1 end) end
      h:close()
      print(fs.readFile("f"))
      assert(n == 10)
    ]]))
  end)

  it("says why it could not be opened", function()
    assert.equal("nil\tENOENT: no such file or directory, open 'x'\tENOENT\n", run([[print(fs.open("x"))]]))
    assert.matches("app%.lua:%d+: .*invalid flag 'q'", run([[
      print(select(2, pcall(function() fs.open("x", "q") end)))
    ]]))
  end)

  it("is closed when it is collected, after what it is at", function()
    assert.equal("", run([[
      calm(function()
        for i = 1, 100 do fs.open("f") end
        local n = 0
        for i = 1, 100 do fs.open("f"):read(function() n = n + 1 end) collectgarbage() end
        await(function() return n == 100 end)
      end)
    ]], { files = { f = "hello" } }))
  end)

  it("is closed at the end of its block", function()
    if os.getenv("LUASERVE_ENGINE") == "luajit" then return end
    assert.equal("", run([[
      collectgarbage("stop")
      local before = open_files()
      do local h <close> = fs.open("f") assert(open_files() == before + 1) end
      await(function() return open_files() == before end)
    ]], { files = { f = "hello" } }))
  end)
end)

it("fs leaves no descriptor open, also when it fails", function()
  assert.equal("", run([[
    calm(function()
      for i = 1, 20 do
        fs.readFile("f") fs.readFile("x") fs.readFile(".") fs.readdir(".") fs.copyFile("f", "g")
        fs.copyFile("f", "no/g") fs.copyFile(".", "g") fs.writeFile("/dev/full", "x") fs.writeFile("g", "x")
        pcall(fs.readFileSync, "x") pcall(fs.readFileSync, ".") fs.readFileSync("f") fs.rm("x/y", { recursive = true })
      end
    end)
  ]], { files = { f = "hello" } }))
end)
