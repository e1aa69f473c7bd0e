-- The file of the store: between processes, over restarts and deaths, damaged,
-- and without room.
local helper = require("spec.helper")

local LUASERVE = os.getenv("LUASERVE_BIN") or require("lfs").currentdir() .. "/build/luaserve"
local OPEN = 'local hits = assert(require("luaserve.store").open("hits"))\n'

local function run(path, code, opts)
  opts = opts or {}
  local args = { "--store", path }
  for _, arg in ipairs(opts.args or {}) do table.insert(args, arg) end
  opts.args = args
  return helper.run(OPEN .. code, opts)
end

local function path_in(dir)
  return dir .. "/store"
end

local function file_size(path)
  local file = assert(io.open(path, "rb"))
  local n = file:seek("end")
  file:close()
  return n
end

--- Writes bytes over the file at that place.
local function damage(path, at, bytes)
  local file = assert(io.open(path, "r+b"))
  file:seek("set", at)
  file:write(bytes)
  file:close()
end

describe("a store in a file", function()
  it("is there after a restart", function()
    local path = path_in(helper.tmpdir())
    assert.are.equal(0, run(path, 'hits:set("kim", { age = 30 })').code)
    assert.are.equal("30\n", run(path, 'print(hits:get("kim").age)').out)
  end)

  it("is read and written by several processes at once", function()
    local path = path_in(helper.tmpdir())
    local function serve()
      return helper.serve_handler([[
if req.path == "/update" then
  hits:update("updated", function(n) return (n or 0) + 1 end)
  return 204, ""
end
return tostring(hits:incr("n"))
]], { before = OPEN, args = { "--store", path } })
    end
    local one, two = serve(), serve()
    for i = 1, 50 do
      assert.are.equal(tostring(2 * i - 1), helper.get(one, "/").body)
      assert.are.equal(tostring(2 * i), helper.get(two, "/").body)
    end
    local conns = {}
    for i = 1, 8 do conns[i] = helper.connect(i % 2 == 0 and one or two) end
    for _ = 1, 25 do
      for i = 1, 8 do conns[i]:send("GET /update HTTP/1.1\r\nHost: x\r\n\r\n") end
    end
    for i = 1, 8 do
      for _ = 1, 25 do assert.are.equal(204, conns[i]:read_response().status) end
    end
    assert.are.equal("200\n", run(path, 'print(hits:get("updated"))').out)
  end)

  it("is as big as --store-size, and grows with it", function()
    local path = path_in(helper.tmpdir())
    run(path, 'hits:set("a", 1)', { args = { "--store-size", "1M" } })
    assert.are.equal(1024 * 1024, file_size(path))
    assert.are.equal("1\n", run(path, 'print(hits:get("a"))', { args = { "--store-size", "2M" } }).out)
    assert.are.equal(2 * 1024 * 1024, file_size(path))
  end)

  it("is for its owner alone", function()
    local path = path_in(helper.tmpdir())
    run(path, "")
    assert.are.equal("-rw-------", require("lfs").attributes(path, "permissions") and "-"
      .. require("lfs").attributes(path, "permissions"))
  end)
end)

describe("a store in shared memory", function()
  it("leaves nothing behind, at a normal end or another", function()
    local SHOW = OPEN .. 'print(hits:incr("n"), (require("luaserve.core.store").share()))'
    local function gone(output)
      local folder = output:match("^1\t(/dev/shm/luaserve%-[^/]+)/store\n")
      assert.truthy(folder, output)
      assert.is_nil(require("lfs").attributes(folder), folder .. " is left behind")
    end
    gone(helper.run(SHOW).out)
    gone(helper.run(SHOW .. " process.exit(0)").out)
    gone(helper.run(SHOW .. " error('so')").out)
    local server = helper.serve_handler("return 'served'", { before = SHOW })
    local line = server:wait_output("(1\t[^\n]+\n)")
    assert.are.equal("served", helper.get(server, "/").body)
    server:stop()
    gone(line)
  end)

  it("that a killed process has left goes when another is made", function()
    local server = helper.serve_handler("return tostring(hits:incr('n'))", { before = OPEN .. [[
print("in " .. (require("luaserve.core.store").share()))
]] })
    local folder = server:wait_output("in (%S+)/store\n")
    server:kill("SIGKILL")
    server:wait_exit()
    assert.truthy(require("lfs").attributes(folder))
    os.execute("touch -d '1 hour ago' " .. folder)
    helper.run(OPEN)
    assert.is_nil(require("lfs").attributes(folder))
  end)
end)

describe("what makes no store", function()
  local function refused(path, pattern, opts)
    local result = run(path, "", opts)
    assert.are.equal(1, result.code)
    assert.truthy(result.err:find(pattern), result.err)
  end

  it("is a file of something else", function()
    local path = path_in(helper.tmpdir())
    helper.write_file(path, ("something else\n"):rep(10000))
    refused(path, "cannot use the store " .. path:gsub("%-", "%%-") ..
      ": it is no store, or its header is damaged; move it away to start with an empty one")
    assert.are.equal(("something else\n"):rep(10000), helper.read_file(path))
  end)

  it("is one that is cut off, or has damaged pages", function()
    local path = path_in(helper.tmpdir())
    local small = { args = { "--store-size", "4M", "--cpu-budget", "0" } }
    run(path, 'for i = 1, 2000 do hits:set("key" .. i, ("v"):rep(i % 2500)) end', small)
    local whole = helper.read_file(path)
    local function damaged(at, bytes)
      helper.write_file(path, whole)
      damage(path, at, bytes)
      refused(path, "damaged", { args = small.args })
    end
    damaged(0, ("\0"):rep(4096))
    damaged(4096 + 16, "\1\2\3\4")
    damaged(56, "\255\255")
    helper.write_file(path, whole:sub(1, 100 * 4096))
    refused(path, "cut off", { args = small.args })
    local found = 0 -- of single pages that are written over; free ones may be
    for page = 2, 200 do
      helper.write_file(path, whole)
      damage(path, page * 4096, ("\90"):rep(64))
      local result = run(path, "", { args = small.args })
      assert.truthy(result.code == 0 or result.err:find("damaged"), result.err)
      assert.is_nil(result.signal)
      if result.code == 1 then found = found + 1 end
      if page > 20 and found > 10 then break end
    end
    assert.truthy(found > 10)
  end)

  it("is not one whose older header a killed process has half written over", function()
    local path = path_in(helper.tmpdir())
    run(path, 'for i = 1, 100 do hits:set("key" .. i, i) end', { args = { "--store-size", "1M" } })
    local whole = helper.read_file(path)
    local function transaction(page)
      local low, high = whole:byte(page * 4096 + 145, page * 4096 + 146)
      return low + 256 * high
    end
    local older = transaction(0) < transaction(1) and 0 or 1
    damage(path, older * 4096 + 136, "\2") -- the last page of before, with the roots of after
    assert.are.equal("100\n", run(path, "print(hits:count())", { args = { "--store-size", "1M" } }).out)
    helper.write_file(path, whole)
    damage(path, (1 - older) * 4096 + 136, "\2")
    refused(path, "damaged")
  end)

  it("is one of another version", function()
    local path = path_in(helper.tmpdir())
    run(path, "")
    local whole = helper.read_file(path)
    local at = whole:find("format\0\1\0\0\0", 1, true)
    damage(path, at - 1 + 7, "\2")
    refused(path, "of another version of luaserve")
  end)

  it("is a folder, or a file in none", function()
    refused("/", "cannot open the store /: ")
    refused("/nonexistent/store", "cannot open the store /nonexistent/store: No such file or directory")
  end)

  it("is one that the disk has no room for", function()
    refused(path_in(helper.tmpdir()), "no room for the store .*free some, or make it smaller with %-%-store%-size",
      { args = { "--store-size", "1023G" } })
  end)

  it("is one over the size that files may have, and no signal ends the process", function()
    local dir = helper.tmpdir()
    local program = helper.write_file(dir .. "/limited", "#!/bin/sh\nulimit -f 4096\nexec \"$LUASERVE_BIN\" \"$@\"\n")
    os.execute("chmod +x " .. program)
    local opts = { program = program, env = { LUASERVE_BIN = LUASERVE } }
    refused(path_in(dir), "no room for the store .*: File too large; ", opts)
    assert.are.equal(0, file_size(path_in(dir)))
    opts.args = { "--store-size", "1M" }
    assert.are.equal("1\n", run(path_in(dir), 'print(hits:incr("n"))', opts).out)
  end)

  if io.popen("id -u"):read("l") == "0" then
    it("is one that a small file system has no room for, at any size of what is free", function()
      local dir = helper.tmpdir()
      local done = os.execute("mount -t tmpfs -o size=2M none " .. dir .. " 2>/dev/null")
      if done ~= true and done ~= 0 then
        return pending("mounting is not allowed here")
      end
      helper.defer(function() os.execute("umount " .. dir) end)
      local path, made = path_in(dir), 0
      local writes = [[
for i = 1, 3000 do assert(hits:set("key" .. i, ("v"):rep(i % 1000))) end
print(hits:get("key3000"))
]]
      for _, size in ipairs { "1M", "1920K", "1968K", "1972K", "1976K", "1980K", "2M", "4M" } do
        local result = run(path, writes, { args = { "--store-size", size } })
        assert.is_nil(result.signal)
        if result.code == 0 then
          made = made + 1
        else
          assert.truthy(result.err:find("no room for the store", 1, true), result.err)
        end
        os.remove(path)
        os.remove(path .. "-lock")
        os.remove(path .. "-turn")
      end
      assert.is_true(made >= 1 and made <= 6)
      os.execute("head -c 3M /dev/zero >" .. dir .. "/all 2>/dev/null")
      refused(path, "cannot make .*store%-lock: No space left on device")
    end)
  end
end)
