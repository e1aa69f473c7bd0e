-- Bodies of multipart/form-data, as forms and part by part, over every protocol.
local certs = require("spec.helper.certs")
local files = require("spec.helper.files")
local helper = require("spec.helper")
local lfs = require("lfs")

local MIB = 1024 * 1024

local function part(name, value, filename, kind)
  return ("--b\r\nContent-Disposition: form-data; name=\"%s\"%s%s\r\n\r\n%s\r\n"):format(name,
    filename and ('; filename="%s"'):format(filename) or "", kind and "\r\nContent-Type: " .. kind or "", value)
end

local TYPE = "multipart/form-data; boundary=b"

local function post(server, body, headers)
  headers = headers or {}
  headers["Content-Type"] = headers["Content-Type"] or TYPE
  return helper.request(server, { method = "POST", body = body, headers = headers })
end

-- A server whose temporary folder is the spec's own.
local function serve(body, opts)
  opts = opts or {}
  local folder = helper.tmpdir()
  opts.env = opts.env or {}
  opts.env.TMPDIR = folder
  local server = helper.serve_handler(body, opts)
  server.uploads = folder
  return server
end

-- The files that lie in the folders of uploads.
local function kept(server)
  local found = {}
  for _, path in ipairs(files.find(server.uploads, ".")) do
    if not path:find("/lock$") then table.insert(found, path) end
  end
  return found
end

local function wait_until_empty(server)
  helper.wait_for(function() return #kept(server) == 0 end, "the uploads are gone")
end

-- A connection that has sent the head of a POST and this much of its body.
local function begin(server, length, sent, more)
  local conn = helper.connect(server)
  conn:send(("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(TYPE, length,
    more or "", sent))
  return conn
end

local DESCRIBE = [[
  local form, files = req:form()
  for _, file in pairs(files) do
    for _, one in ipairs(file.path and { file } or file) do
      one.content, one.path = require("fs").readFileSync(one.path), nil
    end
  end
  return { form = form, files = files, same = files == req.files, again = req:form() == form }
]]

describe("req:form() of multipart/form-data", function()
  it("has fields and files, arrays where a name is repeated", function()
    local server = serve(DESCRIBE)
    local response = post(server, part("a", "1") .. part("t", "x\r\ny") .. part("a", "2") .. part("a", "3") ..
      part("f", "one", "1.txt", "text/css") .. part("g", "", "e") .. part("g", "two", "2") .. part("n", "",
        "") .. "--b--")
    assert.equal(200, response.status)
    local json = require("cjson").decode(response.body)
    assert.same({ a = { "1", "2", "3" }, t = "x\r\ny" }, json.form)
    assert.same({ filename = "1.txt", type = "text/css", size = 3, content = "one" }, json.files.f)
    assert.same({ { filename = "e", type = "text/plain", size = 0, content = "" },
      { filename = "2", type = "text/plain", size = 3, content = "two" } }, json.files.g)
    assert.is_nil(json.files.n) -- no file was chosen
    assert.is_true(json.same and json.again)
    wait_until_empty(server)
  end)

  it("serves urlencoded forms just as well", function()
    local server = serve("local form, files = req:form() return { a = form.a, files = files }")
    local response = post(server, "a=1", { ["Content-Type"] = "application/x-www-form-urlencoded" })
    assert.equal('{"a":"1"}', response.body)
  end)

  it("keeps files for the request alone, also those of a failing handler", function()
    local server = serve("local f = req:form() and req.files.f\n" ..
      "assert(require('fs').statSync(f.path).size == f.size)\n" ..
      "if req.url == '/fail' then error('oh') end if req.url == '/move' then\n" ..
      "require('fs').renameSync(f.path, __dirname .. '/moved') end return f.path")
    local response = post(server, part("f", "data", "n") .. "--b--")
    assert.equal(200, response.status)
    assert.truthy(response.body:find(server.uploads, 1, true))
    wait_until_empty(server)
    for _, path in ipairs { "/fail", "/move" } do
      response = helper.request(server, { method = "POST", path = path, body = part("f", "data", "n") .. "--b--",
        headers = { ["Content-Type"] = TYPE } })
      assert.equal(path == "/fail" and 500 or 200, response.status)
      wait_until_empty(server)
    end
    assert.equal("data", helper.read_file(server.dir .. "/moved"))
  end)

  it("removes the files of a client that goes away", function()
    local server = serve("local form, why = req:form() print(tostring(form) .. ' ' .. tostring(why))")
    local conn = begin(server, 1000000, part("f", ("x"):rep(300000), "n"):sub(1, -3))
    helper.wait_for(function() return #kept(server) > 0 end, "the upload has begun")
    conn:close()
    server:wait_output("nil aborted")
    wait_until_empty(server)
  end)

  it("removes what a killed process has left, and its own folder at the end", function()
    local server = serve("req:form()")
    local conn = begin(server, 1000000, part("f", ("x"):rep(300000), "n"):sub(1, -3))
    helper.wait_for(function() return #kept(server) > 0 end, "the upload has begun")
    server:kill("SIGKILL")
    server:wait_exit()
    conn:close()
    assert.truthy(#kept(server) > 0)
    local again = helper.serve_handler("return req:form() and 'ok'", { env = { TMPDIR = server.uploads } })
    helper.wait_for(function() return #files.find(server.uploads, ".") == 0 end, "the leftovers are gone")
    assert.equal("ok", post(again, part("f", "x", "n") .. "--b--").body)
    again:stop()
    for name in lfs.dir(server.uploads) do assert.truthy(name:find("^%.+$"), name) end
  end)

  it("raises 400 with the reason for what is malformed", function()
    local server = serve("return req:form()")
    local function refused(body, reason, kind)
      local response = post(server, body, { ["Content-Type"] = kind })
      assert.equal("400 Bad Request: " .. reason, response.status .. " " .. response.body)
    end
    refused("", "the body ends before its last boundary")
    refused(part("a", "1"), "the body ends before its last boundary")
    refused("--b\r\n\r\n\r\n--b--", "a part has no Content-Disposition")
    refused("--bx", "a boundary is malformed")
    refused("", "the Content-Type of the body has no boundary", "multipart/form-data")
    refused("", "the Content-Type of the body has no boundary", "multipart/form-data; boundary")
    local none = "the boundary of the body is none: it has 1 to 70 characters of RFC 2046"
    refused("", none, 'multipart/form-data; boundary=""')
    refused("", none, "multipart/form-data; boundary=" .. ("x"):rep(71))
    assert.equal("{}", post(server, "--" .. ("x"):rep(70) .. "--",
      { ["Content-Type"] = "multipart/form-data; boundary=" .. ("x"):rep(70) }).body)
    assert.equal('{"a":"1"}', post(server, part("a", "1"):gsub("%-%-b", "--a b") .. "--a b--",
      { ["Content-Type"] = 'Multipart/Form-Data; charset=utf-8; Boundary="a b"' }).body)
    assert.equal(415, post(server, "", { ["Content-Type"] = "multipart/mixed; boundary=b" }).status)
    assert.equal("", server:stderr())
  end)

  it("keeps its limits", function()
    local server = serve([[
      local form = req:form { maxFileSize = 5, maxFiles = 2, maxFields = 2, maxFieldSize = 4, maxNameSize = 3,
        maxTotalSize = 2000 }
      return form]], { args = { "--max-body", "6" } })
    local function refused(body, reason)
      local response = post(server, body .. "--b--")
      assert.equal("413 Payload Too Large: " .. reason, response.status .. " " .. response.body)
    end
    assert.equal(200, post(server, part("a", "1234") .. part("f", "12345", "n") .. part("f", "", "n") ..
      "--b--").status)
    refused(part("f", "123456", "n"), "the file 'f' has more than 5 bytes (maxFileSize)")
    refused(part("a", "12345"), "the field 'a' has more than 4 bytes (maxFieldSize)")
    refused(part("a", "1234") .. part("b", "123"), "the fields have more than 6 bytes (maxBodySize)")
    refused(part("f", "", "n"):rep(3), "there are more than 2 files (maxFiles)")
    refused(part("a", ""):rep(3), "there are more than 2 fields (maxFields)")
    refused(part("a", ""):rep(5), "there are more than 2 fields (maxFields)")
    refused(part("long", ""), "the name of a field is too long")
    local long = ("x"):rep(2000)
    assert.equal(413, post(server, { part("f", "1", "n"), long }).status)
    wait_until_empty(server)
  end)

  it("says 413 before 100 Continue where the length says so", function()
    local server = serve("return req:form { maxTotalSize = 100 }")
    local response = begin(server, 101, "", "Expect: 100-continue\r\n"):read_response()
    assert.equal(413, response.status)
    assert.same({}, response.interim or {})
    local conn = begin(server, 100, "", "Expect: 100-continue\r\n")
    conn:read_until("HTTP/1.1 100 Continue\r\n\r\n", true)
  end)

  it("takes a middleware's limits", function()
    local server = serve("return limit(req, res, function() return req:form() end)",
      { before = 'local limit = require("luaserve").multipart { maxFileSize = 3 }' })
    assert.equal(200, post(server, part("f", "123", "n") .. "--b--").status)
    assert.equal(413, post(server, part("f", "1234", "n") .. "--b--").status)
    local result = helper.run('require("luaserve").multipart { maxFile = 3 }')
    assert.truthy(result.err:find("app.lua:1: multipart has no option 'maxFile'; there are: maxFieldSize", 1, true))
    result = helper.run('require("luaserve").multipart { maxFiles = 1.5 }')
    assert.truthy(result.err:find("app.lua:1: the option maxFiles of multipart is a whole number, not 1.5", 1, true))
  end)

  it("decodes a Content-Encoding, within the limits", function()
    local server = serve(DESCRIBE)
    local dir = helper.tmpdir()
    helper.write_file(dir .. "/body", part("a", "1") .. part("f", ("x"):rep(100000), "n") .. "--b--")
    os.execute("gzip -k " .. dir .. "/body")
    local body = helper.read_file(dir .. "/body.gz")
    local response = post(server, body, { ["Content-Encoding"] = "gzip" })
    assert.truthy(response.body:find('"size":100000', 1, true))
    response = post(server, body:sub(1, -20), { ["Content-Encoding"] = "gzip" })
    assert.equal("Bad Request: the body ends before its gzip does", response.body)
    os.execute(("head -c %d /dev/zero | gzip > %s/bomb.gz"):format(70 * MIB, dir))
    local before = server:rss()
    response = post(server, helper.read_file(dir .. "/bomb.gz"), { ["Content-Encoding"] = "gzip" })
    assert.equal("413 Payload Too Large: the body has more than 67108864 bytes (maxTotalSize)",
      response.status .. " " .. response.body)
    assert.truthy(helper.sanitized or server:rss() - before < 16 * MIB)
  end)

  it("takes 48 MiB without growing by 8", function()
    local server = serve("local form = req:form { maxFileSize = 50 * 1048576 } return req.files.f.size .. ''")
    post(server, part("f", ("x"):rep(MIB), "n") .. "--b--")
    local before = server:rss()
    local head, last = part("f", "", "n"):sub(1, -3), "\r\n--b--"
    local conn = begin(server, #head + 48 * MIB + #last, head)
    local piece, most = ("0123456789abcde\r"):rep(MIB / 16), before
    for _ = 1, 48 do
      assert(conn:send(piece))
      most = math.max(most, server:rss())
    end
    conn:send(last)
    assert.equal(tostring(48 * MIB), conn:read_response().body)
    assert.truthy(helper.sanitized or most - before < 8 * MIB, ("it grew by %d bytes"):format(most - before))
  end)
end)

describe("req:parts()", function()
  it("gives each part while the next are on their way", function()
    local server = serve([[
      for part in req:parts() do
        res:write(("<%s %s %s %s>"):format(part.name, part.filename, part.type, part.headers["x-y"]))
        for chunk in part:chunks() do res:write(chunk) end
      end
      res:finish()]])
    local first, second = part("a", "one"), part("f", "two", "n", "text/css\r\nX-Y: z")
    local conn = begin(server, #first + #second + 5, first .. second:sub(1, 3))
    conn:read_until("<a nil nil nil>.*one")
    conn:send(second:sub(4) .. "--b--")
    conn:read_until("<f n text/css z>.*two")
  end)

  it("skips what is not read, and refuses a part that is over", function()
    local server = serve([[
      local kept, names = nil, {}
      for part in req:parts() do
        if kept then names[#names + 1] = select(2, pcall(kept.text, kept)) end
        kept = part
        names[#names + 1] = part.name
      end
      return table.concat(names, ", ")]])
    local response = post(server, part("a", "one") .. part("b", ("x"):rep(200000)) .. "--b--")
    assert.truthy(response.body:find("^a, .*the part 'a' is over: it is read before the next one, b$"), response.body)
    assert.equal("", server:stderr())
  end)

  it("saves parts to files, as texts by their charset, and within limits", function()
    local server = serve([[
      local out = {}
      for part in req:parts() do
        if part.filename then
          out[#out + 1] = tostring(part:save(__dirname .. "/saved"))
          out[#out + 1] = tostring(part:text())
        else
          out[#out + 1] = part:text(4)
        end
      end
      return table.concat(out, ",")]])
    local response = post(server, part("a", "\xe4", nil, "text/plain; charset=iso-8859-1") ..
      part("f", ("x"):rep(300000), "n") .. "--b--")
    assert.equal("\xc3\xa4,300000,", response.body)
    assert.equal(("x"):rep(300000), helper.read_file(server.dir .. "/saved"))
    assert.equal("Payload Too Large: 'a' has more than 4 bytes", post(server, part("a", "12345") .. "--b--").body)
    assert.equal(415, post(server, part("a", "x", nil, "text/plain; charset=klingon") .. "--b--").status)
    assert.equal(400, post(server, part("a", "\x80", nil, "text/plain; charset=us-ascii") .. "--b--").status)
    response = helper.request(server, { method = "POST", body = "a=1", headers = { ["Content-Type"] = "text/plain" } })
    assert.equal("415 Unsupported Media Type: multipart/form-data is expected, not text/plain",
      response.status .. " " .. response.body)
  end)

  it("raises where the client goes away, and leaves no half of a file", function()
    local server = serve([[
      local ok, err = pcall(function()
        for part in req:parts() do part:save(__dirname .. "/half") end
      end)
      print(ok, err, require("fs").existsSync(__dirname .. "/half"))]])
    local conn = begin(server, 1000000, part("f", ("x"):rep(300000), "n"):sub(1, -3))
    helper.wait_for(function() return lfs.attributes(server.dir .. "/half") end, "the file was begun")
    conn:close()
    server:wait_output("false\tthe client went away within the body: aborted\tfalse")
  end)
end)

describe("Forms and uploads", function()
  local APP = [[
local http, https, http2, fs = require "http", require "https", require "http2", require "fs"
local function handler(req)
  local form, files = req:form()
  return ("%s %s %d %s"):format(req.httpVersion, form.a, files.f.size, fs.readFileSync(files.f.path):sub(-4))
end
local pair = { cert = fs.readFileSync("cert.pem"), key = fs.readFileSync("key.pem") }
local servers = { h1 = http.createServer(handler), h2c = http2.createServer(handler), tls = https.createServer(pair,
  handler) }
for name, server in pairs(servers) do
  server:listen(0, "127.0.0.1", function() print("port " .. server:address().port .. " " .. name) end)
end
]]

  it("are the same over h1, h2c, https and h2", function()
    local pair, dir = certs.of(), helper.tmpdir()
    local server = helper.serve(APP, { ports = 3, files = { ["cert.pem"] = pair.cert, ["key.pem"] = pair.key } })
    helper.write_file(dir .. "/big", ("x"):rep(3 * MIB) .. "last")
    local function curl(name, options)
      local pipe = io.popen(("curl -sk %s -F a=1 -F f=@%s/big %s://127.0.0.1:%d/"):format(options, dir,
        name == "tls" and "https" or "http", server.ports[name]))
      local out = pipe:read("a")
      pipe:close()
      return out
    end
    assert.equal("1.1 1 3145732 last", curl("h1", ""))
    assert.equal("1.1 1 3145732 last", curl("h1", "-H 'Transfer-Encoding: chunked'"))
    assert.equal("2.0 1 3145732 last", curl("h2c", "--http2-prior-knowledge"))
    assert.equal("1.1 1 3145732 last", curl("tls", "--http1.1"))
    assert.equal("2.0 1 3145732 last", curl("tls", "--http2"))
  end)
end)
