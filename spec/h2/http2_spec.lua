-- The module http2: what Node's users type.
local helper = require("spec.helper")
local certs = require("spec.helper.certs")
local h2 = require("spec.helper.h2")

describe("http2", function()
  it("makes servers of HTTP/2, which take HTTP/1.1 as well", function()
    local server = helper.serve([[
      local http2 = require("http2")
      local server = http2.createServer(function(req, res)
        res:setHeader("Connection", "close")
        res:finish(req.httpVersion .. " " .. tostring(req.headers[":path"]) .. " " .. req.headers.host)
      end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]])
    assert.equal("2.0 /a localhost", h2.get(server, "/a").body)
    assert.equal("1.1 nil localhost", helper.get(server, "/a").body)
  end)

  it("makes encrypted servers of HTTP/2 alone, which refuse others with a 403", function()
    local pair = certs.of()
    local function serve(options)
      return helper.serve(([[
        local fs = require("fs")
        local server
        server = require("http2").createSecureServer({ cert = fs.readFileSync("cert.pem"),
          key = fs.readFileSync("key.pem"), %s }, function(req, res) return req.httpVersion end)
        server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
      ]]):format(options), { files = { ["cert.pem"] = pair.cert, ["key.pem"] = pair.key } })
    end
    local server = serve("")
    assert.equal("2.0", h2.get(server, "/", nil, { tls = { alpn = { "h2", "http/1.1" } } }).body)
    local conn = helper.connect(server, { tls = true }) -- offers nothing
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    local response = conn:read_response()
    assert.equal(403, response.status)
    assert.matches("speaks HTTP/2 alone", response.body)
    assert.is_true(conn:closed())
    local refused, message = helper.connect(server, { tls = { alpn = { "http/1.1" } }, try = true })
    assert.is_nil(refused)
    assert.matches("no application protocol", message)
    server = serve("allowHTTP1 = true")
    assert.equal("1.1", helper.request(server, { connect = { tls = true } }).body)
  end)

  it("has Node's constants", function()
    local run = helper.run([[
      local c = require("http2").constants
      print(c.NGHTTP2_CANCEL, c.HTTP2_HEADER_PATH, c.HTTP2_HEADER_CONTENT_TYPE, c.HTTP2_METHOD_M_SEARCH,
        c.HTTP_STATUS_NOT_FOUND)
    ]])
    assert.equal("8\t:path\tcontent-type\tM-SEARCH\t404\n", run.out)
  end)

  it("emits what http does: finish, close, aborted", function()
    local server = helper.serve([[
      local server
      server = require("http2").createServer(function(req, res)
        res:on("finish", function() print("finish " .. req.url) end)
        res:on("close", function() print("close " .. req.url) end)
        req:on("aborted", function() print("aborted " .. req.url) end)
        if req.url == "/done" then res:finish("done") end
      end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]])
    h2.get(server, "/done")
    server:wait_output("finish /done\nclose /done\n")
    local conn = h2.connect(server)
    local id = conn:request(h2.fields("POST", "/aborted"), { open = true })
    conn:ping()
    conn:send(h2.rst_stream(id))
    server:wait_output("aborted /aborted\nclose /aborted\n")
  end)
end)
