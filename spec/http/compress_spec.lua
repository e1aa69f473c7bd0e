-- The middleware compress: which answers are coded, and that what comes out is
-- what went in, by the decoders of gzip, brotli and zstd themselves.
local helper = require("spec.helper")
local files = require("spec.helper.files")

local DECODERS = { gzip = "gzip -dc", br = "brotli -dc", zstd = "zstd -dc" }

local function decoded(response)
  local coding = assert(response.headers["content-encoding"], "the answer is not coded")
  local input = files.write_file(helper.tmpdir() .. "/coded", response.body)
  local pipe = io.popen(DECODERS[coding] .. " < " .. input)
  local text = pipe:read("a")
  assert(pipe:close(), "the answer does not decode")
  return text
end

-- A server that answers as the body of a handler says, behind compress{options}.
local function serve(body, options)
  return helper.serve_handler(("return code(req, res, function() %s end)"):format(body), {
    before = ("local code = require('luaserve').compress(%s) local text = ('all the same '):rep(1000)"):format(
      options or ""),
  })
end

local function get(server, accept, path)
  return helper.get(server, path or "/", { ["Accept-Encoding"] = accept })
end

local TEXT = ("all the same "):rep(1000)

describe("compress", function()
  describe("of a text", function()
    local server

    setup(function()
      server = serve([[
        res:setHeader("Content-Type", req.query.type or "text/plain; charset=utf-8")
        for name, value in pairs(req.query) do
          if name:find("^X") then res:setHeader(name:sub(2), value) end
        end
        if req.query.status then res.statusCode = tonumber(req.query.status) end
        res:finish(req.query.body or text)]])
    end)

    for coding in pairs(DECODERS) do
      it("codes it with " .. coding .. ", and says its length", function()
        for _ = 1, 3 do -- with a new coder, and with one that was used
          local response = get(server, coding)
          assert.equal(coding, response.headers["content-encoding"])
          assert.equal("Accept-Encoding", response.headers.vary)
          assert.equal("length", response.framing)
          assert.is_true(#response.body < 500)
          assert.equal(TEXT, decoded(response))
        end
      end)
    end

    it("takes what the client wants most, and else zstd, br, gzip", function()
      local function coding(accept)
        return get(server, accept).headers["content-encoding"]
      end
      assert.equal("zstd", coding("gzip, deflate, br, zstd"))
      assert.equal("br", coding("gzip, br"))
      assert.equal("gzip", coding("gzip;q=1.0, br;q=0.5"))
      assert.equal("zstd", coding("*"))
      assert.equal("br", coding("*, zstd;q=0"))
      assert.equal("gzip", coding("X-GZIP, GZip"))
      assert.is_nil(coding("deflate"))
      assert.is_nil(coding("gzip;q=0, br; q=0.000"))
      assert.is_nil(coding("identity, gzip;q=0.5"))
      assert.is_nil(coding(""))
      assert.is_nil(coding(nil))
    end)

    it("leaves it alone, and says that others may get it coded", function()
      local response = get(server, "identity")
      assert.is_nil(response.headers["content-encoding"])
      assert.equal("Accept-Encoding", response.headers.vary)
      assert.equal(TEXT, response.body)
    end)

    it("leaves alone what is small, of another type, or coded already", function()
      local function is_plain(query)
        assert.is_nil(get(server, "gzip", "/?" .. query).headers["content-encoding"], query)
      end
      is_plain("body=short")
      is_plain("type=image/png")
      is_plain("type=text/event-stream")
      is_plain("XCache-Control=public,%20no-transform")
      is_plain("XContent-Range=bytes%200-1/2&status=206")
      is_plain("status=204")
      assert.equal("identity", get(server, "gzip", "/?XContent-Encoding=identity").headers["content-encoding"])
    end)

    it("codes JSON, SVG and the like", function()
      for _, kind in ipairs({ "application/json", "image/svg%2Bxml", "application/problem%2Bjson", "TEXT/HTML" }) do
        assert.equal("gzip", get(server, "gzip", "/?type=" .. kind).headers["content-encoding"], kind)
      end
    end)

    it("weakens its tag, and adds to Vary", function()
      local response = get(server, "gzip", "/?XETag=%22a%22&XVary=Origin&XAccept-Ranges=bytes")
      assert.equal('W/"a"', response.headers.etag)
      assert.same({ "Origin", "Accept-Encoding" }, response.headers.vary)
      assert.is_nil(response.headers["accept-ranges"])
      assert.equal("*", get(server, "gzip", "/?XVary=*").headers.vary)
    end)

    it("says the same to HEAD, but for the length", function()
      local response = helper.request(server, { method = "HEAD", headers = { ["Accept-Encoding"] = "gzip" } })
      assert.equal("gzip", response.headers["content-encoding"])
      assert.is_nil(response.headers["content-length"])
    end)

    it("ignores a length that was set for the text", function()
      local response = get(server, "gzip", "/?XContent-Length=" .. #TEXT)
      assert.equal(TEXT, decoded(response))
    end)
  end)

  it("sends each write at once, coded", function()
    local server = serve([[
      res:setHeader("Content-Type", "text/plain")
      res:write("one ")
      res:on("close", function() end)
      req:on("data", function(chunk) res:write(chunk) end)
      req:on("end", function() res:finish(" end") end)]])
    for coding in pairs(DECODERS) do
      local conn = helper.connect(server)
      conn:send("POST / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: " .. coding .. "\r\nContent-Length: 4\r\n\r\n")
      conn:send_slowly("two ", 2)
      local response = conn:read_response()
      assert.equal("chunked", response.framing)
      assert.equal("one two  end", decoded(response))
    end
  end)

  it("codes what is much larger than a buffer", function()
    local server = serve([[
      res:setHeader("Content-Type", "text/plain")
      math.randomseed(7)
      local parts = {}
      for i = 1, 20000 do parts[i] = ("%08x%08x "):format(math.random(0, 2 ^ 31 - 1), i) end
      local all = table.concat(parts)
      res:setHeader("X-Digest", require("crypto").createHash("sha256"):update(all):digest("hex"))
      if req.path == "/whole" then return res:finish(all) end
      for i = 1, #all, 50000 do res:write(all:sub(i, i + 49999)) end
      res:finish()]])
    for coding in pairs(DECODERS) do
      for _, path in ipairs({ "/whole", "/parts" }) do
        local response = get(server, coding, path)
        local file = files.write_file(helper.tmpdir() .. "/text", decoded(response))
        local pipe = io.popen("sha256sum < " .. file)
        assert.equal(response.headers["x-digest"], pipe:read("a"):match("^%x+"))
        pipe:close()
      end
    end
  end)

  it("codes no error that comes instead", function()
    local server = serve([[
      res:setHeader("Content-Type", "text/plain")
      res:onHead(function() error("no") end)
      res:finish(text)]])
    local response = get(server, "gzip")
    assert.equal(500, response.status)
    assert.is_nil(response.headers["content-encoding"])
    assert.equal("Internal Server Error", response.body)
  end)

  it("obeys its options", function()
    local server = serve([[
      res:setHeader("Content-Type", req.query.type or "text/plain")
      res:finish(text:sub(1, tonumber(req.query.n)))]],
      "{ threshold = 100, codings = { 'gzip' }, level = 9, types = { 'application/x-mine' } }")
    assert.equal("gzip", get(server, "zstd, br, gzip", "/?n=100").headers["content-encoding"])
    assert.is_nil(get(server, "zstd, br", "/?n=100").headers["content-encoding"])
    assert.is_nil(get(server, "gzip", "/?n=99").headers["content-encoding"])
    assert.equal("gzip", get(server, "gzip", "/?n=200&type=application/x-mine").headers["content-encoding"])
  end)

  it("refuses options that are none", function()
    local run = helper.run([[
      local compress = require("luaserve").compress
      for _, options in ipairs({ 5, { treshold = 1 }, { threshold = "1" }, { threshold = -1 }, { level = 99 },
          { codings = { "deflate" } }, { codings = {} }, { types = { "x" } } }) do
        print((select(2, pcall(compress, options))))
      end
    ]])
    local said = {}
    for line in run.out:gmatch("[^\n]+") do table.insert(said, (line:gsub("^[^ ]*app.lua:%d+: ", ""))) end
    assert.same({
      "the options of compress are a table, not a number",
      "compress has no option 'treshold'; there are: codings, level, threshold, types",
      "the option threshold of compress is a number, not a string",
      "the option threshold of compress is a whole number from 0 to 1099511627776",
      "the option level of compress is a whole number from 0 to 22",
      "compress knows gzip, br and zstd, not 'deflate'",
      "the option codings of compress names at least one of gzip, br and zstd",
      "the option types of compress has media types such as \"text/plain\", not 'x'",
    }, said)
  end)

  it("codes files, large and small, and leaves their parts alone", function()
    local large = ("a line of the file\n"):rep(20000)
    local server = helper.serve_handler("return code(req, res, function() return site(req, res) end)", {
      before = "local luaserve = require 'luaserve' local code, site = luaserve.compress(), luaserve.static('www')",
      files = { ["www/large.txt"] = large, ["www/small.txt"] = TEXT:sub(1, 5000), ["www/small.js"] = TEXT,
        ["www/small.js.gz"] = "precompressed" },
    })
    for path, text in pairs({ ["/large.txt"] = large, ["/small.txt"] = TEXT:sub(1, 5000) }) do
      for coding in pairs(DECODERS) do
        local response = get(server, coding, path)
        assert.is_true(decoded(response) == text, path .. " " .. coding)
        assert.equal("Accept-Encoding", response.headers.vary)
        local tag = response.headers.etag
        assert.equal('W/"', tag:sub(1, 3))
        local again = helper.get(server, path, { ["Accept-Encoding"] = coding, ["If-None-Match"] = tag })
        assert.same({ 304, "" }, { again.status, again.body })
      end
      assert.is_true(get(server, "identity", path).body == text)
      local part = helper.get(server, path, { ["Accept-Encoding"] = "gzip", Range = "bytes=3000-3999" })
      assert.same({ 206, text:sub(3001, 4000) }, { part.status, part.body })
      assert.is_nil(part.headers["content-encoding"])
    end
    local response = get(server, "gzip", "/small.js")
    assert.same({ "precompressed", "gzip" }, { response.body, response.headers["content-encoding"] })
    local head = helper.request(server, { method = "HEAD", path = "/large.txt",
      headers = { ["Accept-Encoding"] = "gzip" } })
    assert.same({ 200, "" }, { head.status, head.body })
  end)

  it("frees its coders when clients go away", function()
    local server = serve([[
      res:setHeader("Content-Type", "text/plain")
      while res:write(text) do end]])
    local function vanish(n)
      for _ = 1, n do
        local conn = helper.connect(server)
        conn:send("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        conn:read(100)
        conn:reset()
      end
    end
    vanish(20)
    local before = server:rss()
    vanish(60) -- 260 KB each
    assert.is_true(server:rss() - before < 5e6, "memory grows")
  end)
end)
