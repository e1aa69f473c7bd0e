-- luaserve.static with much to send, and clients that are slow or gone: what it
-- holds is bounded, and given back.
local helper = require("spec.helper")
local lfs = require("lfs")

local MIB = 1024 * 1024

describe("luaserve.static", function()
  local server, www
  local LARGE = ("0123456789abcdef"):rep(16 * MIB / 16)

  before_each(function()
    server = helper.serve_handler([[
      if req.path == "/other" then return "other" end
      return site(req, res)
    ]], { before = 'local site = require("luaserve").static("www")', files = {
      ["www/large.bin"] = LARGE,
      ["www/small.txt"] = "small",
    } })
    www = server.dir .. "/www"
  end)

  -- A client that has asked for a file, and has read no more than its head.
  local function slow(path)
    local conn = helper.connect(server, { rcvbuf = 4096 })
    conn:send(("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path))
    conn:read_until("\r\n\r\n")
    return conn
  end

  it("sends large files whole, to many at once", function()
    local conns = {}
    for i = 1, 4 do
      conns[i] = slow("/large.bin")
    end
    for _, conn in ipairs(conns) do
      assert.is_true(conn:read(#LARGE) == LARGE)
    end
  end)

  it("holds no more of a large file than a slow client takes", function()
    helper.get(server, "/small.txt")
    local before = server:private_memory()
    local conns = {}
    for i = 1, 8 do
      conns[i] = slow("/large.bin")
    end
    assert.equal("other", helper.get(server, "/other").body)
    assert.is_true(server:private_memory() - before < (helper.sanitized and 100 or 8) * MIB)
    assert.is_true(conns[8]:read(#LARGE) == LARGE)
  end)

  it("lets go of what clients have left", function()
    helper.get(server, "/large.bin")
    local before = server:fds()
    local conns = {}
    for i = 1, 10 do
      conns[i] = slow("/large.bin")
    end
    for i, conn in ipairs(conns) do
      if i % 2 == 0 then conn:reset() else conn:close() end
    end
    helper.wait_for(function()
      return server:fds() <= before
    end, "the connections and files to be closed")
    assert.equal("small", helper.get(server, "/small.txt").body)
  end)

  it("answers the next request of a connection after a large file", function()
    local conn = helper.connect(server)
    conn:send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n"
      .. "GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_true(conn:read_response().body == LARGE)
    assert.equal("small", conn:read_response().body)
    assert.equal("other", conn:read_response().body)
  end)

  it("breaks off where a file gets shorter while it is sent", function()
    local conn = slow("/large.bin")
    local file = assert(io.open(www .. "/large.bin", "wb")) -- empty now
    file:close()
    local got = conn:read_all()
    assert.is_true(#got < #LARGE)
    assert.is_true(LARGE:sub(1, #got) == got)
    assert.equal("other", helper.get(server, "/other").body)
  end)

  it("keeps few files open, and few in memory, however many there are", function()
    for i = 1, 600 do
      helper.write_file(("%s/n/%d.txt"):format(www, i), ("%d "):format(i):rep(i % 2 == 0 and 10 or 8000))
    end
    local before = server:fds()
    for i = 1, 600 do
      local response = helper.get(server, ("/n/%d.txt"):format(i))
      assert.is_true(response.body == ("%d "):format(i):rep(i % 2 == 0 and 10 or 8000))
    end
    assert.is_true(server:fds() - before <= 40)
    assert.equal(404, helper.get(server, "/n/601.txt").status)
  end)

  it("reads what is not in memory on a thread", function()
    -- out of the page cache, where the file system has one
    os.execute(("dd if='%s/large.bin' of='%s/large.bin' conv=notrunc,fsync count=0 status=none 2>/dev/null"):format(
      www, www))
    os.execute(("dd if='%s/large.bin' iflag=nocache count=0 status=none"):format(www))
    assert.is_true(helper.get(server, "/large.bin").body == LARGE)
    os.execute(("dd if='%s/small.txt' iflag=nocache count=0 status=none"):format(www))
    assert.equal("small", helper.get(server, "/small.txt").body)
  end)

  it("ends while files are being sent", function()
    local conn = slow("/large.bin")
    server:kill("TERM")
    assert.is_true(conn:read(#LARGE) == LARGE)
    assert.equal(0, (server:wait_exit()))
  end)

  it("answers 403 for what may not be read", function()
    if lfs.attributes("/proc/self", "uid") == 0 then return end -- root may read everything
    os.execute(("chmod 000 '%s/small.txt'"):format(www))
    assert.equal(403, helper.get(server, "/small.txt").status)
  end)
end)
