-- The streams of fs, alone and between a server and its files.

local helper = require("spec.helper")

-- What every script here begins with; without comments, as it may end up in one line. `tell(stream)` prints the
-- events of a stream as they come.
local PRELUDE = [[
local fs, timers = require("fs"), require("timers")
local function await(condition)
  while not condition() do timers.sleep(1) end
end
local function tell(stream)
  for _, event in ipairs { "open", "ready", "end", "finish", "close" } do
    stream:on(event, function() print(event) end)
  end
  stream:on("error", function(err) print("error", err) end)
  return stream
end
]]

local function run(code, opts)
  local result = helper.run(PRELUDE .. code, opts)
  assert.equal("", result.err)
  assert.equal(0, result.code)
  return result.out
end

local function serve(handler, opts)
  opts = opts or {}
  opts.before = PRELUDE .. (opts.before or "")
  return helper.serve_handler(handler, opts)
end

local TEN = { files = { f = "0123456789" } }

describe("fs.createReadStream", function()
  it("emits open, the chunks, end and close", function()
    assert.equal("open\nready\ndata 0123\ndata 4567\ndata 89\nend\nclose\n", run([[
      tell(fs.createReadStream("f", { highWaterMark = 4 })):on("data", function(chunk) print("data " .. chunk) end)
    ]], TEN))
  end)

  it("reads from start to stop, both included", function()
    assert.equal("345\n3456789\n012\n0\n9\n", run([[
      for _, options in ipairs { { start = 3, stop = 5 }, { start = 3 }, { stop = 2 }, { start = 0, stop = 0 },
        { start = 9, stop = 100 } } do
        options.highWaterMark = 2
        local text = ""
        for chunk in fs.createReadStream("f", options):chunks() do text = text .. chunk end
        print(text)
      end
    ]], TEN))
  end)

  it("takes stop under Node's name too", function()
    assert.equal("34\n", run([[
      for chunk in fs.createReadStream("f", { start = 3, ["end"] = 4 }):chunks() do print(chunk) end
    ]], TEN))
  end)

  it("ends at once for an empty file", function()
    assert.equal("open\nready\nend\nclose\n", run([[tell(fs.createReadStream("f")):resume()]], { files = { f = "" } }))
  end)

  it("refuses options that make no sense, where it was called", function()
    local out = run([[
      print(select(2, pcall(function() fs.createReadStream("f", { start = 5, stop = 4 }) end)))
      print(select(2, pcall(function() fs.createReadStream("f", { start = -1 }) end)))
      print(select(2, pcall(function() fs.createReadStream("f", { highWaterMark = "x" }) end)))
      print(select(2, pcall(function() fs.createReadStream() end)))
    ]])
    assert.matches("^[^\n]*app%.lua:%d+: option 'start' is behind 'stop'\n", out)
    assert.matches("\n[^\n]*app%.lua:%d+: option 'start' must be a whole number from 0, not %-1\n", out)
    assert.matches("\n[^\n]*app%.lua:%d+: option 'highWaterMark' must be", out)
    assert.matches("\n[^\n]*bad argument #1 [^\n]*string expected[^\n]*\n$", out)
  end)

  it("waits for its data listeners, so that chunks never overtake each other", function()
    assert.equal("<01 ><23 ><45 ><67 ><89 >end\n", run([[
      fs.createReadStream("f", { highWaterMark = 2 }):on("data", function(chunk)
        io.write("<", chunk)
        timers.sleep(2)
        io.write(" >")
      end):on("end", function() print("end") end)
    ]], TEN))
  end)

  it("reads nothing before somebody listens", function()
    assert.equal("open\nready\n0\n0123456789\nend\nclose\n", run([[
      local stream = tell(fs.createReadStream("f"))
      timers.sleep(10)
      print(stream.bytesRead)
      stream:on("data", print)
    ]], TEN))
  end)

  it("pauses and resumes", function()
    assert.equal("01\npaused\tfalse\ttrue\n23\n45\n67\n89\n", run([[
      local stream = fs.createReadStream("f", { highWaterMark = 2 })
      local more = false
      stream:once("data", function(chunk)
        print(chunk)
        stream:pause()
        stream:on("data", function(text) more = true print(text) end)
        setTimeout(function()
          print("paused", more, stream:isPaused())
          stream:resume()
        end, 10)
      end)
    ]], TEN))
  end)

  it("gives its errors to the listener, and closes", function()
    assert.equal("error\tENOENT: no such file or directory, open 'x'\nclose\n", run([[tell(fs.createReadStream("x"))]]))
    assert.equal("open\nready\nerror\tEISDIR: illegal operation on a directory, read\nclose\n",
      run([[tell(fs.createReadStream(".")):resume()]]))
  end)

  it("raises its error where nobody listens to it", function()
    local result = helper.run([[
      local fs = require("fs")
      fs.createReadStream("x"):on("close", function() print("close") end)
      fs.createReadStream("x"):resume()
    ]])
    assert.equal("close\n", result.out)
    assert.matches("error: ENOENT: no such file or directory, open 'x'", result.err)
  end)

  it("gives chunks to a for loop, which raises what goes wrong", function()
    assert.equal("0123|4567|89|\nfalse\tENOENT: no such file or directory, open 'x'\tENOENT\n", run([[
      for chunk in fs.createReadStream("f", { highWaterMark = 4 }):chunks() do io.write(chunk, "|") end
      print()
      local ok, err = pcall(function() for _ in fs.createReadStream("x"):chunks() do print("never") end end)
      print(ok, err, err.code)
    ]], TEN))
  end)

  it("is over when it is destroyed", function()
    assert.equal("01\nclose\nerror\toops\nclose\n", run([[
      local stream = fs.createReadStream("f", { highWaterMark = 2 })
      stream:on("close", function() print("close") end)
      stream:on("end", function() print("never") end)
      stream:on("data", function(chunk) print(chunk) stream:destroy() end)
      await(function() return stream.destroyed end)
      timers.sleep(10)
      tell(fs.createReadStream("f")):destroy("oops")
    ]], TEN))
  end)

  it("reads 8 MiB in order", function()
    assert.equal("true\n", run([[
      local parts = {}
      for i = 1, 1024 * 1024 do parts[i] = ("%08d"):format(i) end
      local data, got = table.concat(parts), {}
      fs.writeFile("large", data)
      fs.createReadStream("large"):on("data", function(chunk) got[#got + 1] = chunk end)
        :on("end", function() print(table.concat(got) == data) end)
    ]]))
  end)

  it("reads what the kernel does not have in memory, and what it has in part", function()
    local dir = helper.tmpdir()
    local parts = {}
    for i = 1, 128 * 1024 do parts[i] = ("%07d\n"):format(i) end
    helper.write_file(dir .. "/cold", table.concat(parts))
    local function drop(options)
      local command = "dd of='%s/cold' oflag=nocache conv=notrunc,fdatasync count=0 %s 2>/dev/null"
      assert(os.execute(command:format(dir, options)))
    end
    for _, options in ipairs { "", "bs=4096 seek=3 oflag=nocache,seek_bytes" } do
      drop(options)
      assert.equal(table.concat(parts), run(([[
        for chunk in fs.createReadStream(%q):chunks() do io.write(chunk) end
      ]]):format(dir .. "/cold")))
    end
  end)

  it("waits at a pipe for what it has, and not for a whole chunk", function()
    local dir = helper.tmpdir()
    assert(os.execute("mkfifo " .. dir .. "/fifo"))
    local server = helper.serve(PRELUDE .. ([[
      fs.createReadStream(%q):on("data", function(chunk) print("got " .. chunk) end)
      print("port 1")
    ]]):format(dir .. "/fifo"))
    local writer = assert(io.open(dir .. "/fifo", "w"))
    for _, text in ipairs { "one", "two" } do
      writer:write(text)
      writer:flush()
      server:wait_output("got " .. text .. "\n")
    end
    writer:close()
    assert.equal(0, (server:wait_exit()))
  end)

  it("lets others run between chunks that are there at once", function()
    assert.equal("true\n", run([[
      fs.writeFile("large", ("x"):rep(4 * 1024 * 1024))
      local turns = 0
      local timer = setInterval(function() turns = turns + 1 end, 0)
      local chunks = 0
      for _ in fs.createReadStream("large", { highWaterMark = 256 }):chunks() do chunks = chunks + 1 end
      clearInterval(timer)
      print(chunks == 16 * 1024 and turns > 10)
    ]]))
  end)

  it("leaves no descriptor open, used, broken off or forgotten", function()
    assert.equal("true\n", run([[
      local function open_files() return #fs.readdirSync("/proc/self/fd") end
      fs.readFile("f")
      local before = open_files()
      for _ = 1, 20 do
        fs.createReadStream("f")
        fs.createReadStream("f"):resume()
        fs.createReadStream("f"):destroy()
        fs.createReadStream("."):on("error", function() end):resume()
        fs.createReadStream("f"):pause():on("data", print)
        for _ in fs.createReadStream("f", { highWaterMark = 1 }):chunks() do break end
      end
      timers.sleep(20)
      collectgarbage() collectgarbage()
      await(function() return open_files() == before end)
      print(true)
    ]], TEN))
  end)
end)

describe("fs.createWriteStream", function()
  it("writes chunks in order, and emits finish and close", function()
    assert.equal("open\nready\nfinish\nclose\ntrue\t108894\t108894\n", run([[
      local out, expected = tell(fs.createWriteStream("f")), {}
      for i = 1, 20000 do
        out:write(("%d\n"):format(i))
        expected[i] = ("%d\n"):format(i)
      end
      out:finish()
      local text = fs.readFile("f")
      print(text == table.concat(expected), #text, out.bytesWritten)
    ]]))
  end)

  it("has all in the file when finish has returned", function()
    assert.equal("one, two\ttrue\n", run([[
      local out = fs.createWriteStream("f")
      out:write("one, ")
      local same = out:finish("two") == out
      print(fs.readFile("f"), same)
    ]]))
  end)

  it("tells callbacks, and then never waits", function()
    assert.equal("true\tfalse\nwritten\tnil\ndrain\nwritten\tnil\nfinished\tnil\tabcd\n", run([[
      local out = fs.createWriteStream("f", { highWaterMark = 4 })
      out:on("drain", function()
        print("drain")
        out:finish(function(err) print("finished", err, fs.readFile("f")) end)
      end)
      print(out:write("ab", function(err) print("written", err) end),
        out:write("cd", function(err) print("written", err) end))
    ]]))
  end)

  it("makes an empty file, adds to one, and writes into one", function()
    assert.equal("|oldnew|o--\n", run([[
      fs.createWriteStream("empty"):finish()
      fs.createWriteStream("a", { flags = "a" }):finish("new")
      fs.createWriteStream("b", { flags = "r+", start = 1 }):finish("--")
      print(fs.readFile("empty") .. "|" .. fs.readFile("a") .. "|" .. fs.readFile("b"))
    ]], { files = { a = "old", b = "old" } }))
  end)

  it("is there soon, also without finish", function()
    assert.equal("log\n", run([[
      local out = fs.createWriteStream("f")
      out:write("log")
      await(function() return fs.exists("f") and fs.readFile("f") == "log" end)
      print(fs.readFile("f"))
    ]]))
  end)

  it("returns its errors to who waits, and emits them to who listens", function()
    local code = [[
      local out = fs.createWriteStream("/dev/full")
      LISTEN
      print(out:write(("x"):rep(100000)))
      print(out:write("x"))
      print(out:finish())
      print(out:finish("x"))
    ]]
    local failed = "nil\tENOSPC: no space left on device, write '/dev/full'\tENOSPC\n"
    assert.equal(failed:rep(4), run((code:gsub("LISTEN", ""))))
    assert.equal("error" .. failed:match("\t.*\t"):sub(1, -2) .. "\n" .. failed:rep(4) .. "close\n",
      run((code:gsub("LISTEN", "tell(out)"))))
  end)

  it("raises an error that nobody was told", function()
    local result = helper.run([[require("fs").createWriteStream("no/f"):write("x")]])
    assert.matches("error: ENOENT: no such file or directory, open 'no/f'", result.err)
  end)

  it("refuses chunks after the end, and what is no text", function()
    assert.equal("nil\twrite after end\tERR_STREAM_WRITE_AFTER_END\n", run([[
      local out = fs.createWriteStream("f")
      out:finish()
      print(out:write("x"))
    ]]))
    assert.matches("app%.lua:%d+: a chunk must be a string, not table", run([[
      print(select(2, pcall(function() fs.createWriteStream("f"):write({}) end)))
    ]]))
  end)

  it("takes what a read stream gives, at its own pace", function()
    assert.equal("finish\ntrue\n", run([[
      local data = ("0123456789abcdef"):rep(512 * 1024)
      fs.writeFile("large", data)
      local out = fs.createReadStream("large"):pipe(fs.createWriteStream("copy"))
      out:on("finish", function()
        print("finish")
        print(fs.readFile("copy") == data)
      end)
    ]]))
  end)

  it("fails aloud in a pipe", function()
    local result = helper.run(PRELUDE .. [[
      fs.createReadStream("/dev/zero", { stop = 200000 }):pipe(fs.createWriteStream("/dev/full"))
    ]])
    assert.matches("error: ENOSPC: no space left on device, write '/dev/full'", result.err)
  end)
end)

describe("fs.createReadStream(path):pipe(res)", function()
  if not helper.sanitized then
    it("takes its memory from what the last stream has left", function()
      local server = serve([[fs.createReadStream("f"):pipe(res)]],
        { files = { f = ("0123456789abcdef"):rep(512 * 1024) } })
      local function faults() -- minor ones, of all threads
        local stat = helper.read_file("/proc/" .. server.pid .. "/stat"):match("%) (.*)")
        local n = 0
        for field in stat:gmatch("%S+") do
          n = n + 1
          if n == 8 then return tonumber(field) end
        end
      end
      local function ask() -- sixteen at once
        local url = ("http://127.0.0.1:%d/ "):format(server.port)
        assert(os.execute("curl -sfZ --parallel-max 16 " .. ("-o /dev/null "):rep(16) .. url:rep(16)))
      end
      ask()
      local before = faults()
      ask()
      local pages = 16 * 8 * 256 -- of what was sent
      assert.is_true(faults() - before < pages / 8, (faults() - before) .. " page faults")
    end)
  end

  local SIZE = 8 * 1024 * 1024

  local function large(server)
    local data = ("0123456789abcdef"):rep(SIZE / 16)
    helper.write_file(server.dir .. "/large", data)
    return data
  end

  it("sends the file", function()
    local server = serve([[fs.createReadStream("large"):pipe(res)]])
    local data = large(server)
    local response = helper.get(server, "/")
    assert.equal(200, response.status)
    assert.is_true(response.body == data)
    helper.wait_for(function() return helper.get(server, "/").status == 200 end, "a second answer")
  end)

  it("sends a part, under the head that was set", function()
    local server = serve([[
      res:writeHead(206, { ["Content-Length"] = 4 })
      return fs.createReadStream("f", { start = 2, stop = 5, highWaterMark = 3 }):pipe(res)
    ]], TEN)
    local response = helper.get(server, "/")
    assert.equal(206, response.status)
    assert.equal("2345", response.body)
  end)

  it("answers 500 for a file that cannot be read", function()
    local server = serve([[fs.createReadStream("x"):pipe(res)]])
    local response = helper.get(server, "/")
    assert.equal(500, response.status)
    helper.wait_for(function()
      return server:stderr():find("ENOENT: no such file or directory, open 'x'", 1, true)
    end, "the log")
    assert.is_true(server:alive())
  end)

  it("leaves the answer to the error listener where there is one", function()
    local server = serve([[
      fs.createReadStream("x"):on("error", function(err)
        res.statusCode = 404
        res:finish(err.code)
      end):pipe(res)
    ]])
    local response = helper.get(server, "/")
    assert.equal(404, response.status)
    assert.equal("ENOENT", response.body)
    assert.equal("", server:stderr())
  end)

  it("reads no faster than the client", function()
    local server = serve([[
      if req.url == "/read" then return tostring(read and read.bytesRead or 0) end
      read = fs.createReadStream("large")
      read:pipe(res)
    ]], { before = "local read" })
    large(server)
    local conn = helper.connect(server, { rcvbuf = 4096 })
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    local before
    helper.wait_for(function()
      local now = tonumber(helper.get(server, "/read").body)
      local still = now > 0 and now == before
      before = now
      return still
    end, "the stream to wait for its client")
    assert.is_true(before < SIZE)
  end)

  it("closes the file when the client is gone", function()
    local server = serve([[fs.createReadStream(req.url == "/" and "large" or "f"):pipe(res)]], TEN)
    large(server)
    helper.get(server, "/f")
    local before = server:fds()
    for _ = 1, 10 do
      local conn = helper.connect(server, { rcvbuf = 4096 })
      conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      conn:read(1000)
      conn:reset()
    end
    helper.wait_for(function() return server:fds() <= before end, "the files to be closed")
    assert.equal("0123456789", helper.get(server, "/f").body)
  end)
end)

describe("an upload", function()
  local body = ("0123456789abcdef"):rep(128 * 1024)

  local function stores(handler)
    local server = serve(handler)
    for _, sent in ipairs({ body, { body:sub(1, 1000), body:sub(1001) } }) do
      local response = helper.request(server, { method = "POST", path = "/", body = sent })
      assert.equal("stored", response.body)
      assert.is_true(helper.read_file(server.dir .. "/upload") == body)
    end
  end

  it("is stored chunk by chunk", function()
    stores([[
      local out = fs.createWriteStream("upload")
      for chunk in req:chunks() do out:write(chunk) end
      assert(out:finish())
      return "stored"
    ]])
  end)

  it("is stored by req:pipe", function()
    stores([[
      req:pipe(fs.createWriteStream("upload")):on("finish", function() res:finish("stored") end)
    ]])
  end)

  it("is stored by data listeners", function()
    stores([[
      local out = fs.createWriteStream("upload")
      req:on("data", function(chunk) out:write(chunk) end)
      req:on("end", function() out:finish(function(err) res:finish(err and err.message or "stored") end) end)
    ]])
  end)
end)
