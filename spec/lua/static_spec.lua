-- luaserve.static: which file is sent, with what head, and which bytes of it.
-- (That nothing else is ever sent: static_paths_spec.lua.)
local helper = require("spec.helper")
local lfs = require("lfs")

local HOUR = 3600

describe("luaserve.static", function()
  local server, www

  -- A server of www, with more folders where a spec needs other options.
  local BEFORE = [[
    local luaserve = require "luaserve"
    local sites = {
      plain = luaserve.static("www"),
      cached = luaserve.static("www", { maxAge = 3600.5, immutable = true }),
      bare = luaserve.static("www", { etag = false, lastModified = false, acceptRanges = false, cacheControl = false,
        precompressed = false }),
      lists = luaserve.static("www", { listing = true, index = { "start.htm", "index.html" } }),
      strict = luaserve.static("www", { fallthrough = false, redirect = false, index = false }),
      set = luaserve.static("www", { cacheControl = "private, no-store" }),
    }
  ]]
  local HANDLER = [[
    local site = sites[req.query.site or "plain"]
    if req.query.tag then res:setHeader("ETag", req.query.tag) end
    if req.query.type then res:setHeader("Content-Type", req.query.type) end
    if req.query.status then res.statusCode = tonumber(req.query.status) end
    if req.query.vary then res:setHeader("Vary", req.query.vary) end
    if req.query.hook then res:onHead(function() require("timers").sleep(1) res:setHeader("X-Hook", "ran") end) end
    return site(req, res, not req.query.alone and function()
      res.statusCode = 404
      return res:finish("passed " .. req.method)
    end or nil)
  ]]
  local DIGITS = ("0123456789"):rep(10) -- 100 bytes
  local BIG = ("0123456789abcdef"):rep(64 * 1024) -- 1 MiB

  setup(function()
    server = helper.serve_handler(HANDLER, { before = BEFORE, files = {
      ["www/digits.txt"] = DIGITS,
      ["www/big.bin"] = BIG,
      ["www/empty.css"] = "",
      ["www/index.html"] = "<p>home",
      ["www/docs/index.html"] = "<p>docs",
      ["www/docs/a b.txt"] = "spaced",
      ["www/list/start.htm"] = "<p>start",
      ["www/names/<b>&.txt"] = "odd",
      ["www/names/Zoo.txt"] = "zoo",
      ["www/names/ape.txt"] = ("x"):rep(2048),
      ["www/names/.hidden"] = "no",
      ["www/names/sub/x.txt"] = "x",
      ["www/app.js"] = "plain script",
      ["www/app.js.br"] = "br bytes",
      ["www/app.js.gz"] = "gzip bytes",
      ["www/old.js"] = "newer than its sibling",
      ["www/old.js.gz"] = "stale",
      ["www/größe.txt"] = "umlaut",
      ["www/100%.txt"] = "percent",
      ["www/.well-known/security.txt"] = "contact",
      ["www/.env"] = "secret",
      ["www/.git/config"] = "secret",
    } })
    www = server.dir .. "/www"
    local past = os.time() - HOUR
    for _, name in ipairs({ "digits.txt", "big.bin", "app.js", "index.html" }) do
      lfs.touch(www .. "/" .. name, past, past)
    end
    lfs.touch(www .. "/old.js.gz", past, past)
  end)

  local function get(path, headers, method)
    return helper.request(server, { path = path, headers = headers, method = method })
  end

  local function fields(response, ...)
    local list = {}
    for i, name in ipairs({ ... }) do
      list[i] = response.headers[name] or false
    end
    return list
  end

  describe("a file", function()
    it("is sent whole, with its type, size, date and tag", function()
      local response = get("/digits.txt")
      assert.equal(200, response.status)
      assert.equal(DIGITS, response.body)
      assert.same({ "text/plain; charset=utf-8", "100", "bytes", "public, max-age=0" },
        fields(response, "content-type", "content-length", "accept-ranges", "cache-control"))
      assert.matches('^"%x+%-64"$', response.headers.etag)
      assert.equal(os.date("!%a, %d %b %Y %H:%M:%S GMT", lfs.attributes(www .. "/digits.txt", "modification")),
        response.headers["last-modified"])
    end)

    it("is sent whole when it is large, and when it is empty", function()
      local response = get("/big.bin")
      assert.equal(BIG, response.body)
      assert.same({ "application/octet-stream", tostring(#BIG) }, fields(response, "content-type", "content-length"))
      response = get("/empty.css")
      assert.same({ 200, "" }, { response.status, response.body })
      assert.same({ "text/css; charset=utf-8", "0" }, fields(response, "content-type", "content-length"))
    end)

    it("answers HEAD with the same head", function()
      for _, path in ipairs({ "/digits.txt", "/big.bin" }) do
        local whole, head = get(path), get(path, nil, "HEAD")
        assert.equal(200, head.status)
        assert.equal("", head.body)
        for _, name in ipairs({ "content-type", "content-length", "etag", "last-modified", "accept-ranges" }) do
          assert.equal(whole.headers[name], head.headers[name])
        end
      end
    end)

    it("is found by escaped names", function()
      assert.equal("spaced", get("/docs/a%20b.txt").body)
      assert.equal("umlaut", get("/gr%C3%B6%C3%9Fe.txt").body)
      assert.equal("percent", get("/100%25.txt").body)
      assert.equal(DIGITS, get("/docs/../digits.txt").body)
    end)

    it("that is not there is left to what follows, or is 404", function()
      for _, path in ipairs({ "/none.txt", "/digits.txt/more", "/digits.txt/", "/" .. ("x"):rep(300) }) do
        assert.equal("passed GET", get(path).body, path)
        assert.equal("Not Found\n", get(path .. "?alone=1").body)
        assert.equal(404, get(path .. "?site=strict").status)
      end
    end)

    it("is for GET and HEAD alone", function()
      assert.equal("passed POST", get("/digits.txt", nil, "POST").body)
      local response = get("/digits.txt?site=strict", nil, "DELETE")
      assert.same({ 405, "GET, HEAD" }, { response.status, response.headers.allow })
      assert.equal(405, get("/digits.txt?alone=1", nil, "PUT").status)
    end)

    it("keeps the fields that the handler has set, and the hooks of its head", function()
      local response = get("/digits.txt?type=text/x-mine&tag=%22mine%22&hook=1")
      assert.same({ "text/x-mine", '"mine"', "ran" }, fields(response, "content-type", "etag", "x-hook"))
      assert.equal(304, get("/digits.txt?tag=%22mine%22", { ["If-None-Match"] = '"mine"' }).status)
      response = get("/digits.txt?status=404", { ["Range"] = "bytes=0-1", ["If-None-Match"] = "*" })
      assert.same({ 404, DIGITS }, { response.status, response.body })
    end)

    it("that changes is sent anew, with another tag", function()
      local path = www .. "/changing.txt"
      helper.write_file(path, "one")
      local first = get("/changing.txt")
      assert.equal("one", first.body)
      helper.write_file(path, "second")
      helper.wait_for(function()
        local response = get("/changing.txt", { ["If-None-Match"] = first.headers.etag })
        return response.status == 200 and response.body == "second"
      end, "the new text")
      os.remove(path)
      helper.wait_for(function()
        return get("/changing.txt").status == 404
      end, "the end of the file")
      helper.write_file(path, "third")
      helper.wait_for(function()
        return get("/changing.txt").body == "third"
      end, "the file to come back")
    end)

    it("that is replaced while it is sent is still the old one", function()
      helper.write_file(www .. "/swap.bin", BIG)
      local conn = helper.connect(server, { rcvbuf = 4096 })
      conn:send("GET /swap.bin HTTP/1.1\r\nHost: a\r\n\r\n")
      conn:read_until("\r\n\r\n")
      helper.write_file(www .. "/swap.new", ("n"):rep(#BIG))
      os.rename(www .. "/swap.new", www .. "/swap.bin")
      assert.equal(BIG, conn:read(#BIG))
      conn:close()
    end)
  end)

  describe("Cache-Control", function()
    it("is what the options say", function()
      assert.equal("public, max-age=3600, immutable", get("/digits.txt?site=cached").headers["cache-control"])
      assert.equal("private, no-store", get("/digits.txt?site=set").headers["cache-control"])
      assert.same({ false, false, false, false },
        fields(get("/digits.txt?site=bare"), "cache-control", "etag", "last-modified", "accept-ranges"))
    end)

    it("stands in a 304, too", function()
      local tag = get("/digits.txt").headers.etag
      local response = get("/digits.txt?site=cached", { ["If-None-Match"] = tag })
      assert.same({ 304, "public, max-age=3600, immutable", tag },
        { response.status, response.headers["cache-control"], response.headers.etag })
      assert.same({ false, false }, fields(response, "content-type", "content-length"))
    end)
  end)

  describe("conditions", function()
    local tag, date

    local function status(headers, path)
      return get(path or "/digits.txt", headers).status
    end

    setup(function()
      local response = get("/digits.txt")
      tag, date = response.headers.etag, response.headers["last-modified"]
    end)

    local function at(offset)
      return os.date("!%a, %d %b %Y %H:%M:%S GMT", lfs.attributes(www .. "/digits.txt", "modification") + offset)
    end

    it("If-None-Match compares tags, weak ones too", function()
      for _, value in ipairs({ tag, "W/" .. tag, '"x", ' .. tag, "*", ' "a",W/"b" , ' .. tag .. "," }) do
        assert.equal(304, status({ ["If-None-Match"] = value }), value)
      end
      for _, value in ipairs({ '"x"', 'W/"x"', "x", "", '"' }) do
        assert.equal(200, status({ ["If-None-Match"] = value }), value)
      end
      assert.equal(304, get("/digits.txt", { ["If-None-Match"] = tag }, "HEAD").status)
    end)

    it("If-Modified-Since compares dates, unless there is If-None-Match", function()
      assert.equal(304, status({ ["If-Modified-Since"] = date }))
      assert.equal(304, status({ ["If-Modified-Since"] = at(60) }))
      assert.equal(200, status({ ["If-Modified-Since"] = at(-60) }))
      assert.equal(200, status({ ["If-Modified-Since"] = "yesterday" }))
      assert.equal(200, status({ ["If-Modified-Since"] = date, ["If-None-Match"] = '"x"' }))
      assert.equal(200, status({ ["If-Modified-Since"] = date }, "/digits.txt?site=bare"))
    end)

    it("If-Match and If-Unmodified-Since answer 412", function()
      assert.equal(200, status({ ["If-Match"] = tag }))
      assert.equal(200, status({ ["If-Match"] = "*" }))
      assert.equal(412, status({ ["If-Match"] = '"x"' }))
      assert.equal(412, status({ ["If-Match"] = "W/" .. tag }))
      assert.equal(412, status({ ["If-Unmodified-Since"] = at(-60) }))
      assert.equal(200, status({ ["If-Unmodified-Since"] = date }))
      assert.equal("", get("/digits.txt", { ["If-Match"] = '"x"' }).body)
    end)
  end)

  describe("ranges", function()
    local function range(value, more, path)
      local headers = { Range = value }
      for name, v in pairs(more or {}) do
        headers[name] = v
      end
      return get(path or "/digits.txt", headers)
    end

    it("send the part that was asked for", function()
      for value, want in pairs({ ["bytes=0-9"] = "0-9", ["bytes=95-"] = "95-99", ["bytes=-5"] = "95-99",
        ["bytes=10-10"] = "10-10", ["bytes=90-5000"] = "90-99", ["bytes=-5000"] = "0-99", ["BYTES = 3-4"] = "3-4",
        ["bytes=0-99999999999999999999"] = "0-99", ["bytes=0-4,5-9"] = "0-9", ["bytes=2-3, 200-300"] = "2-3" }) do
        local response = range(value)
        local from, to = want:match("(%d+)-(%d+)")
        assert.equal(206, response.status, value)
        assert.equal("bytes " .. want .. "/100", response.headers["content-range"], value)
        assert.equal(DIGITS:sub(from + 1, to + 1), response.body, value)
        assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
      end
    end)

    it("send parts of large files", function()
      for _, want in ipairs({ { 0, 0 }, { 5, 70000 }, { 65535, 65536 }, { 100000, #BIG - 1 } }) do
        local response = range(("bytes=%d-%d"):format(want[1], want[2]), nil, "/big.bin")
        assert.equal(206, response.status)
        assert.equal(BIG:sub(want[1] + 1, want[2] + 1), response.body)
      end
    end)

    it("that cannot be met are 416", function()
      for _, value in ipairs({ "bytes=100-", "bytes=500-600", "bytes=-0", "bytes=100-101,300-" }) do
        local response = range(value)
        assert.equal(416, response.status, value)
        assert.equal("bytes */100", response.headers["content-range"])
        assert.equal("", response.body)
      end
      assert.equal(416, range("bytes=0-", nil, "/empty.css").status)
    end)

    it("that are malformed, too many, or of other units count as none", function()
      local many = {}
      for i = 1, 17 do
        many[i] = ("%d-%d"):format(i * 4, i * 4)
      end
      for _, value in ipairs({ "bytes=9-1", "bytes=a-b", "bytes=-", "bytes", "bytes=", "items=0-1", "bytes=1-2-3",
        "bytes=0x1-2", "bytes=" .. table.concat(many, ",") }) do
        local response = range(value)
        assert.equal(200, response.status, value)
        assert.equal(DIGITS, response.body)
      end
    end)

    it("that are many are a multipart/byteranges", function()
      for path, all in pairs({ ["/digits.txt"] = DIGITS, ["/big.bin"] = BIG }) do
        local response = range("bytes=0-4, 20-29,-3", nil, path)
        assert.equal(206, response.status)
        local boundary = response.headers["content-type"]:match("^multipart/byteranges; boundary=([%w-]+)$")
        assert.is_truthy(boundary)
        assert.equal(tostring(#response.body), response.headers["content-length"])
        local want, kind = {}, path == "/big.bin" and "application/octet-stream" or "text/plain; charset=utf-8"
        for _, part in ipairs({ { 0, 4 }, { 20, 29 }, { #all - 3, #all - 1 } }) do
          local form = "--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%s\r\n"
          table.insert(want, form:format(boundary, kind, part[1], part[2], #all, all:sub(part[1] + 1, part[2] + 1)))
        end
        assert.equal(table.concat(want) .. "--" .. boundary .. "--\r\n", response.body)
      end
    end)

    it("that overlap are sent once", function()
      local response = range("bytes=0-9,50-59,5-14,0-0")
      local _, parts = response.body:gsub("Content%-Range: ", "")
      assert.equal(2, parts)
      assert.is_truthy(response.body:find("bytes 0-14/100", 1, true))
    end)

    it("hold for If-Range's tag or date alone", function()
      local whole = get("/digits.txt")
      local tag, date = whole.headers.etag, whole.headers["last-modified"]
      assert.equal(206, range("bytes=0-1", { ["If-Range"] = tag }).status)
      assert.equal(206, range("bytes=0-1", { ["If-Range"] = date }).status)
      for _, value in ipairs({ '"x"', "W/" .. tag, "Mon, 01 Jan 2001 00:00:00 GMT", "" }) do
        assert.equal(200, range("bytes=0-1", { ["If-Range"] = value }).status, value)
      end
    end)

    it("are for GET, where the option allows them", function()
      local response = get("/digits.txt", { Range = "bytes=0-1" }, "HEAD")
      assert.same({ 200, "100" }, { response.status, response.headers["content-length"] })
      assert.equal(200, range("bytes=0-1", nil, "/digits.txt?site=bare").status)
    end)

    it("come after conditions", function()
      local tag = get("/digits.txt").headers.etag
      assert.equal(304, range("bytes=0-1", { ["If-None-Match"] = tag }).status)
      assert.equal(412, range("bytes=0-1", { ["If-Match"] = '"x"' }).status)
    end)
  end)

  describe("precompressed siblings", function()
    local function coded(accept, path)
      local response = get(path or "/app.js", { ["Accept-Encoding"] = accept })
      return { response.body, response.headers["content-encoding"] or false, response.headers.vary or false }
    end

    it("are sent to who accepts them, the most wanted first", function()
      assert.same({ "br bytes", "br", "Accept-Encoding" }, coded("gzip, deflate, br"))
      assert.same({ "gzip bytes", "gzip", "Accept-Encoding" }, coded("gzip"))
      assert.same({ "gzip bytes", "gzip", "Accept-Encoding" }, coded("br;q=0.5, gzip"))
      assert.same({ "br bytes", "br", "Accept-Encoding" }, coded("*"))
      assert.same({ "plain script", false, "Accept-Encoding" }, coded("br;q=0, gzip;q=0"))
      assert.same({ "plain script", false, "Accept-Encoding" }, coded("identity, gzip;q=0.5"))
      assert.same({ "plain script", false, "Accept-Encoding" }, coded(nil))
    end)

    it("have the type of the file, and tags of their own", function()
      local tags = {}
      for _, accept in ipairs({ "br", "gzip", "identity" }) do
        local response = get("/app.js", { ["Accept-Encoding"] = accept })
        assert.equal("text/javascript; charset=utf-8", response.headers["content-type"])
        assert.is_nil(tags[response.headers.etag])
        tags[response.headers.etag] = true
        local again = get("/app.js", { ["Accept-Encoding"] = accept, ["If-None-Match"] = response.headers.etag })
        assert.same({ 304, "Accept-Encoding" }, { again.status, again.headers.vary })
      end
      local part = get("/app.js", { ["Accept-Encoding"] = "gzip", Range = "bytes=0-3" })
      assert.same({ 206, "gzip", "gzip" }, { part.status, part.body, part.headers["content-encoding"] })
    end)

    it("are told of in Vary, behind what stands there", function()
      for vary, want in pairs({ Origin = { "Origin", "Accept-Encoding" }, ["*"] = "*",
        ["accept-encoding"] = "accept-encoding" }) do
        local response = get("/app.js?vary=" .. vary, { ["Accept-Encoding"] = "gzip" })
        assert.same({ "gzip bytes", want }, { response.body, response.headers.vary })
      end
    end)

    it("are left alone where they are older, or switched off", function()
      assert.same({ "newer than its sibling", false, false }, coded("gzip", "/old.js"))
      assert.same({ "plain script", false, false }, coded("gzip, br", "/app.js?site=bare"))
    end)

    it("are files of their own by their own name", function()
      assert.same({ "gzip bytes", false, false }, coded("gzip", "/app.js.gz"))
      assert.equal("application/gzip", get("/app.js.gz").headers["content-type"])
    end)
  end)

  describe("a folder", function()
    it("is its index, with a slash at its end", function()
      assert.equal("<p>home", get("/").body)
      assert.equal("<p>docs", get("/docs/").body)
      assert.equal("<p>start", get("/list/?site=lists").body)
      assert.equal("<p>docs", get("/docs/?site=lists").body)
      assert.equal("passed GET", get("/list/").body)
      assert.equal("passed GET", get("/names/").body)
      assert.equal(404, get("/docs/?site=strict").status)
      assert.equal("text/html; charset=utf-8", get("/docs/").headers["content-type"])
    end)

    it("is redirected to without one, on this host", function()
      local function location(path)
        local response = get(path)
        return response.status == 301 and response.headers.location
      end
      assert.equal("/docs/", location("/docs"))
      assert.equal("/docs/?a=1&b=%2F", location("/docs?a=1&b=%2F"))
      assert.is_false(location("//docs"))
      assert.is_false(location("/\\docs"))
      assert.is_false(location("//other.example/docs"))
      assert.equal("/list/../docs/", location("/list/../docs"))
      assert.equal(404, get("/docs?site=strict").status)
    end)

    it("is redirected to from an absolute form on this host, too", function()
      assert.equal("/docs/", get("http://other.example/docs").headers.location)
    end)

    it("is listed where the option says so", function()
      local response = get("/names/?site=lists")
      assert.equal(200, response.status)
      assert.same({ "text/html; charset=utf-8", "no-cache" }, fields(response, "content-type", "cache-control"))
      local names = {}
      for href, name in response.body:gmatch('<a[^>]- href="([^"]*)">(.-)</a>') do
        table.insert(names, href .. " " .. name)
      end
      assert.same({ "../ Parent folder", "./sub/ sub", "./%3Cb%3E%26.txt &lt;b&gt;&amp;.txt", "./ape.txt ape.txt",
        "./Zoo.txt Zoo.txt" }, names)
      assert.is_truthy(response.body:find("2.0 KB", 1, true))
      assert.is_nil(response.body:find("hidden", 1, true))
      assert.equal("passed GET", get("/nowhere/?site=lists").body)
      assert.equal("passed GET", get("/digits.txt/?site=lists").body)
    end)

    it("without names is listed as empty", function()
      lfs.mkdir(www .. "/void")
      assert.is_truthy(get("/void/?site=lists").body:find("This folder is empty", 1, true))
    end)
  end)

  describe("options", function()
    local function complaint(code)
      local result = helper.run('require("luaserve").static(' .. code .. ")\n", { files = { ["www/a"] = "" } })
      assert.equal(1, result.code)
      return result.err:match("app%.lua:1: ([^\n]+)")
    end

    it("that are unknown or wrong are errors at their line", function()
      assert.matches("^static has no option 'maxage': there are acceptRanges, .*precompressed, redirect$",
        complaint('"www", { maxage = 1 }'))
      assert.equal("static: the option maxAge is a number, not a string", complaint('"www", { maxAge = "1d" }'))
      assert.matches("maxAge is a count of seconds", complaint('"www", { maxAge = -1 }'))
      assert.matches("'ignore', 'deny' or 'allow', not 'hide'", complaint('"www", { dotfiles = "hide" }'))
      assert.matches("index is a file name", complaint('"www", { index = "a/b" }'))
      assert.matches("index is a file name", complaint('"www", { index = 5 }'))
      assert.matches("cacheControl is the value", complaint('"www", { cacheControl = "a\\r\\nb" }'))
      assert.equal("static: the options are a table, not a string", complaint('"www", "x"'))
      assert.equal("static: the folder is a path, a string, not nil", complaint(""))
    end)

    it("name a folder that is there", function()
      assert.matches("^static: the folder cannot be served: ENOENT: no such file or directory, open '.*/none'$",
        complaint('"none"'))
      assert.matches("ENOTDIR", complaint('"www/a"'))
    end)
  end)
end)
