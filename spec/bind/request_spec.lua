-- http.request and http.get: requests to other servers in Node's style.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local tls_server = require("spec.helper.tls_server")

local UPSTREAM = [[
local http, timers = require "http", require "timers"
local server = http.createServer({ maxBodySize = 4000000 }, function(req, res)
  if req.path == "/never" then return timers.sleep(60000) end
  if req.path == "/redirect" then return res:redirect("/echo") end
  if req.path == "/half" then
    res:setHeader("Content-Length", 10)
    res:write("half")
    timers.sleep(20)
    return res:destroy()
  end
  if req.path == "/big" then
    for _ = 1, 30 do res:write(("x"):rep(100000)) end
    return res:finish()
  end
  local h, body = req.headers, req:text()
  res:setHeader("Set-Cookie", { "a=1", "b=2" })
  return table.concat({ req.method, req.url, tostring(h["content-length"]), tostring(h["transfer-encoding"]),
    tostring(h["x-user"]), tostring(h.authorization), tostring(h.accept), #body < 50 and body or "#" .. #body }, "|")
end)
local function body_of(response)
  local parts = {}
  for chunk in response:chunks() do parts[#parts + 1] = chunk end
  return table.concat(parts)
end
]]

local function printed(code)
  local run = helper.run(UPSTREAM .. [[
    server:listen(0, "127.0.0.1", function()
      local port = server:address().port
      local base = "http://127.0.0.1:" .. port
      ]] .. code .. [[

    end)
  ]])
  assert.equal("", run.err)
  assert.equal(0, run.code)
  return run.out
end

describe("http.request", function()
  it("asks for a URL, and hands the answer over", function()
    assert.equal("200 OK 1.1 a=1,b=2\nGET|/echo?a=1|nil|nil|nil|nil|nil|\ntrue\nclose\n", printed([[
      http.get(base .. "/echo?a=1", function(response)
        print(response.statusCode .. " " .. response.statusMessage .. " " .. response.httpVersion .. " "
          .. table.concat(response.headers["set-cookie"], ","))
        local parts = {}
        response:on("data", function(chunk) parts[#parts + 1] = chunk end)
        response:on("end", function()
          print(table.concat(parts))
          print(response.complete)
        end)
      end):on("close", function()
        print("close")
        process.exit()
      end)
    ]]))
  end)

  it("sends bodies, whole and in chunks, with the headers that were set", function()
    assert.equal("POST|/a|5|nil|kim|Basic a2ltOm9wZW4=|*/*|hello\nPUT|/b|nil|chunked|nil|nil|nil|#30000\n"
      .. "PUT|/c|6|nil|nil|nil|nil|abcdef\n", printed([[
      local request = http.request({ host = "127.0.0.1", port = port, path = "/a", method = "POST", auth = "kim:open",
        headers = { Accept = "*/*" } })
      request:setHeader("X-User", "kim"):setHeader("X-None", 1):removeHeader("x-none")
      assert(request:getHeader("x-user") == "kim" and not request:hasHeader("X-None"))
      request:on("response", function(response)
        print(body_of(response))
        request = http.request(base .. "/b", { method = "PUT" }, function(second)
          print(body_of(second))
          request = http.request(base .. "/c", { method = "PUT", headers = { ["Content-Length"] = 6 } }, function(third)
            print(body_of(third))
            process.exit()
          end)
          request:write("abc")
          request:finish("def")
        end)
        for _ = 1, 3 do request:write(("y"):rep(10000)) end
        request:finish()
      end)
      request:finish("hello")
    ]]))
  end)

  it("tells of room in a large body, and pipes what comes", function()
    assert.equal("true\nPOST|/d|nil|chunked|nil|nil|nil|#2000000\n3000000\n", printed([[
      local drained = false
      local request = http.request(base .. "/d", { method = "POST" }, function(response)
        print(drained)
        print(body_of(response))
        http.get(base .. "/big", function(big)
          local size = 0
          local target = { write = function(_, chunk) size = size + #chunk return true end }
          function target.finish() print(size) process.exit() end
          big:pipe(target)
        end)
      end)
      local left = 20
      local function more()
        while left > 0 do
          left = left - 1
          if not request:write(("z"):rep(100000)) then
            request:once("drain", function() drained = true more() end)
            return
          end
        end
        request:finish()
      end
      more()
    ]]))
  end)

  it("follows no redirect", function()
    assert.equal("302 /echo\n", printed([[
      http.get(base .. "/redirect", function(response)
        print(response.statusCode .. " " .. response.headers.location)
        process.exit()
      end)
    ]]))
  end)

  it("emits errors: refused, cut off, destroyed, out of time", function()
    assert.equal("GET 127.0.0.1:1: Connection refused ECONNREFUSED\naborted\ncut off ECONNRESET\n"
      .. "timeout\nsocket hang up ECONNRESET\nenough\n", printed([[
      local request
      request = http.get("http://127.0.0.1:1/")
      request:on("error", function(err)
        print(err.message .. " " .. err.code)
        http.get(base .. "/half", function(response)
          response:on("aborted", function() print("aborted") end)
          response:on("error", function(cut)
            print("cut off " .. cut.code)
            request = http.get({ host = "127.0.0.1", port = port, path = "/never", timeout = 20 })
            request:on("timeout", function()
              print("timeout")
              request:destroy()
            end)
            request:on("error", function(late)
              print(late.message .. " " .. late.code)
              local last = http.request(base .. "/never")
              last:on("error", function(own) print(own.message) process.exit() end)
              last:destroy("enough")
            end)
          end)
          response:resume()
        end)
      end)
    ]]))
  end)

  it("fails the request whose error nobody listens to, alone", function()
    local server = helper.serve_handler([[
      if req.path == "/ok" then return "ok" end
      http.get("http://127.0.0.1:1/", print)
      require("timers").sleep(1000)
    ]])
    assert.equal(500, helper.get(server, "/").status)
    assert.equal("ok", helper.get(server, "/ok").body)
    assert.matches("GET 127.0.0.1:1: Connection refused", server:stderr(), 1, true)
  end)

  it("raises mistakes at the caller's line", function()
    local run = helper.run([[
      local http = require "http"
      for _, arguments in ipairs { { 7 }, { "nonsense" }, { "https://a/" }, { { path = "/a b" } },
        { { method = "A B" } }, { { host = "a/b" } }, { { port = 70000 } }, { { headers = { ["a b"] = 1 } } } } do
        print(select(2, pcall(http.request, arguments[1])))
      end
      print(select(2, pcall(function()
        http.request("http://a/"):setHeader("a", "b\n")
      end)))
    ]])
    local lines = {}
    for line in run.out:gmatch("[^\n]+") do lines[#lines + 1] = line:match("app.lua:[47]: (.*)") or line end
    assert.same({ "request needs a URL or options, not a number", "Invalid URL: nonsense",
      'Protocol "https:" not supported. Expected "http:"', "Request path contains unescaped characters",
      "not a method: A B", "not the name of a host: a/b", "not a port: 70000", '"a b" is no name of a header',
      "the header a has a line break in its value" }, lines)
  end)

  it("asks over TLS, and refuses what it does not trust", function()
    local pair = certs.of({ names = { "localhost" } })
    local server = tls_server.serve([[ return req.httpVersion .. " " .. req.url ]], { cert = pair })
    local run = helper.run(([[
      local https, ca = require "https", require("fs").readFileSync("ca.pem")
      https.get({ host = "localhost", port = %d, path = "/x", ca = ca }, function(response)
        print((response:read()))
        https.get("https://localhost:%d/"):on("error", function(err)
          print(err.code)
          https.get("https://localhost:%d/y", { rejectUnauthorized = false }, function(second)
            print((second:read()))
          end)
        end)
      end)
    ]]):gsub("%%d", tostring(server.port)), { files = { ["ca.pem"] = pair.cert } })
    assert.equal("", run.err)
    assert.equal("1.1 /x\nERR_TLS_CERT\n1.1 /y\n", run.out)
  end)
end)
