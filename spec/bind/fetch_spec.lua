-- The client of HTTP: requests there, answers back, what is refused, what happens
-- to a request to another server when the one that made it is over.
local certs = require("spec.helper.certs")
local helper = require("spec.helper")
local process = require("spec.helper.process")
local tls_server = require("spec.helper.tls_server")

-- A server beside the script's own code, at `base`; what a request says is printed
-- by "/echo". The script ends when its code has.
local UPSTREAM = [[
local http, luaserve, timers = require "http", require "luaserve", require "timers"
local fetch = luaserve.fetch
local connections, aborted = 0, 0
local FORM = "application/x-www-form-urlencoded"
local routes = {
  ["/echo"] = function(req)
    local h, body = req.headers, req:text()
    return table.concat({ req.method, req.url, tostring(h["content-type"]), tostring(h["content-length"]),
      tostring(h["transfer-encoding"]), (#body < 100 and h["content-type"] ~= FORM) and body or "#" .. #body }, "|")
  end,
  ["/headers"] = function(req) return req.headers end,
  ["/set"] = function(req, res)
    res:setHeader("Set-Cookie", { "a=1", "b=2" })
    res:setHeader("X-Many", { "1", "2" })
    return 201, "made"
  end,
  ["/never"] = function(req)
    req:on("aborted", function() aborted = aborted + 1 end)
    timers.sleep(30000)
  end,
  ["/big"] = function(req, res)
    for i = 1, 40 do res:write(("x"):rep(100000)) end
    res:finish()
  end,
  ["/half"] = function(req, res)
    res:setHeader("Content-Length", 10)
    res:write("half")
    timers.sleep(20)
    res:destroy()
  end,
  ["/to"] = function(req, res)
    res:writeHead(tonumber(req.query.status), { Location = req.query.to })
    res:finish("elsewhere")
  end,
  ["/loop"] = function(req, res) res:redirect("/loop") end,
  ["/zip"] = function(req, res)
    return luaserve.compress({ threshold = 0 })(req, res, function() return ("zip"):rep(1000) end)
  end,
  ["/bad"] = function(req, res) return "{ no JSON" end,
  ["/trailers"] = function(req, res)
    res:setHeader("Trailer", "X-Sum")
    res:write("body")
    res:addTrailers({ ["X-Sum"] = "42" })
    res:finish()
  end,
  ["/empty"] = function(req, res) res.statusCode = 204 res:finish() end,
}
local server = http.createServer(function(req, res)
  if not routes[req.path] then res.statusCode = 404 return "nothing here" end
  return routes[req.path](req, res)
end)
server:on("connection", function() connections = connections + 1 end)
]]

local function printed(code, opts)
  local run = helper.run(UPSTREAM .. [[
    server:listen(0, "127.0.0.1", function()
      local base = "http://127.0.0.1:" .. server:address().port
      local _, message, code
      local function fails(_, message, code) print((message:gsub(":%d%d%d%d+", ":PORT")) .. "\t" .. tostring(code)) end
      ]] .. code .. [[

      process.exit()
    end)
  ]], opts)
  assert.equal("", run.err)
  assert.equal(0, run.code)
  return run.out
end

describe("fetch", function()
  it("returns the answer: status, headers, body", function()
    assert.equal("200\tOK\ttrue\ttext/plain; charset=utf-8\t1.1\ttrue\nGET|/echo?a=1|nil|nil|nil|\n"
      .. "201\ttrue\tmade\ta=1 b=2\t1, 2\n404\tfalse\tnothing here\n204\t\n", printed([[
      local r = assert(fetch(base .. "/echo?a=1"))
      print(r.status, r.statusText, r.ok, r.headers["content-type"], r.httpVersion, r.url == base .. "/echo?a=1")
      print(r.body)
      r = assert(fetch(base .. "/set"))
      print(r.status, r.ok, r.body, table.concat(r.headers["set-cookie"], " "), r.headers["x-many"])
      r = assert(fetch(base .. "/none"))
      print(r.status, r.ok, r:text())
      r = assert(fetch(base .. "/empty"))
      print(r.status, r.body)
    ]]))
  end)

  it("sends bodies: text, JSON, a form, chunks", function()
    assert.equal(table.concat({
      "POST|/echo|nil|5|nil|hello", "PUT|/echo|text/css|0|nil|", "POST|/echo|nil|0|nil|",
      "POST|/echo|application/json|7|nil|{\"a\":1}",
      "POST|/echo|application/x-www-form-urlencoded|9|nil|#9", "DELETE|/echo|nil|nil|nil|",
      "POST|/echo|nil|nil|chunked|#500000", "PUT|/echo|nil|500000|nil|#500000", "GET|/echo?a=1&b=2&b=3|nil|nil|nil|",
    }, "\n") .. "\n", printed([[
      local function echo(options, path) print(assert(fetch(base .. (path or "/echo"), options)).body) end
      local function chunks()
        local n = 0
        return function() n = n + 1 if n <= 50 then return ("y"):rep(10000) end end
      end
      echo { body = "hello" }
      echo { method = "PUT", body = "", headers = { ["Content-Type"] = "text/css" } }
      echo { method = "POST" }
      echo { json = { a = 1 } }
      echo { form = { a = "1", b = "&" } }
      echo { method = "DELETE" }
      echo { body = chunks() }
      echo { method = "PUT", body = chunks(), headers = { ["Content-Length"] = 500000 } }
      echo({ query = { b = { 2, 3 } } }, "/echo?a=1")
    ]]))
  end)

  it("sends the headers that it is given, and none of another connection's", function()
    assert.equal("kim\t1, 2\tBasic a2ltOm9wZW4gc2VzYW1l\tnil\tnil\tshop.example\n", printed([[
      local h = assert(fetch((base:gsub("//", "//kim:open%%20sesame@")) .. "/headers", { headers = {
        ["X-User"] = "kim", ["X-List"] = { "1", "2" }, Connection = "close", [":path"] = "/", TE = "trailers",
        Host = "shop.example" } })):json()
      print(h["x-user"], h["x-list"], h.authorization, h.te, h.connection ~= "keep-alive" and h.connection or nil, h.host)
    ]]))
  end)

  it("tells what went wrong, with host and code, and never a password", function()
    assert.equal(table.concat({
      "GET 127.0.0.1:1: Connection refused\tECONNREFUSED",
      "GET name.invalid: Could not resolve host: name.invalid\tENOTFOUND",
      "GET 127.0.0.1:PORT: the body is larger than maxBodySize\tERR_BODY_TOO_LARGE",
      "GET 127.0.0.1:PORT: there was no answer in time\tETIMEDOUT",
      "GET 127.0.0.1:PORT: more than 3 redirects\tERR_TOO_MANY_REDIRECTS",
      "GET 127.0.0.1:PORT: the answer is a redirect\tERR_REDIRECT",
      "cut off\tECONNRESET",
      "POST 127.0.0.1:PORT: the answer is not JSON\tERR_JSON",
      "the body could not be sent: broken\tERR_BODY",
    }, "\n") .. "\n", printed([[
      fails(fetch("http://kim:secret@127.0.0.1:1/"))
      fails(fetch("http://name.invalid/"))
      fails(fetch(base .. "/big", { maxBodySize = 100000 }))
      fails(fetch(base .. "/never", { timeout = 0.05 }))
      fails(fetch(base .. "/loop", { maxRedirects = 3 }))
      fails(fetch(base .. "/loop", { redirect = "error" }))
      _, message, code = fetch(base .. "/half")
      fails(nil, message:find("^GET 127.0.0.1:%d+: ") and "cut off", code)
      _, message, code = assert(fetch(base .. "/bad", { method = "POST" })):json()
      fails(nil, (message:gsub("JSON: .*", "JSON")), code)
      fails(fetch(base .. "/echo", { body = function() error("broken", 0) end }))
    ]]))
  end)

  it("raises mistakes at the caller's line", function()
    local run = helper.run([[
      local fetch = require("luaserve").fetch
      for _, arguments in ipairs { {}, { "nonsense" }, { "ftp://a/" }, { "http://a/", { tiemout = 1 } },
        { "http://a/", { timeout = "1" } }, { "http://a/", { body = "a", json = 1 } }, { "http://a/", { body = 7 } },
        { "http://a/", { headers = { ["a b"] = 1 } } }, { "http://a/", { headers = { a = "1\r\nb: 2" } } },
        { "http://a/", { redirect = "maybe" } }, { "http://a/", { method = "A B" } },
        { "http://a/", { timeout = -1 } }, { "http://a/", { json = print } } } do
        print(select(2, pcall(fetch, arguments[1], arguments[2])))
      end
      print(select(2, pcall(function()
        fetch(nil)
      end)))
    ]])
    local lines = {}
    for line in run.out:gmatch("[^\n]+") do lines[#lines + 1] = line:match("app.lua:7: (.*)") or line end
    assert.same({ "fetch needs a URL, not a nil", "not a URL: nonsense",
      "only http: and https: can be fetched, not ftp:",
      "fetch has no option 'tiemout'; there are: body, ca, cert, connectTimeout, decompress, form, headers, "
        .. "httpVersion, json, key, maxBodySize, maxRedirects, method, passphrase, proxy, query, redirect, socketPath, "
        .. "stream, timeout, verify", "the option timeout of fetch is a number of seconds over 0, not a string",
      "fetch sends one of body, json and form",
      "the body is a string, a function that returns chunks, or something to read, not a number",
      '"a b" is no name of a header', "the header a has a line break in its value",
      'the option redirect of fetch cannot be "maybe"', '"A B" is no method that fetch can send',
      "the option timeout of fetch is a number of seconds over 0, not -1",
      "the option json of fetch: json: cannot encode a function",
    }, { table.unpack(lines, 1, 13) })
    assert.matches("app.lua:10: fetch needs a URL, not a nil", lines[14])
  end)

  it("follows redirects as browsers do", function()
    assert.equal(table.concat({
      "GET|/echo|nil|nil|nil|\ttrue", "GET|/echo|nil|nil|nil|\ttrue", "POST|/echo|nil|4|nil|body\ttrue",
      "PUT|/echo|nil|4|nil|body\ttrue", "GET|/echo|nil|nil|nil|\ttrue", "302\telsewhere\t/echo\tfalse",
      "a streamed body cannot be sent again to where the redirect leads", "kim\tnil\tnil" }, "\n") .. "\n", printed([[
      local function to(status, options)
        local r = assert(fetch(base .. "/to?to=/echo&status=" .. status, options))
        print(r.body, r.redirected)
      end
      to(302, {})
      to(302, { body = "body" })
      to(307, { body = "body" })
      to(301, { body = "body", method = "PUT" })
      to(303, { body = "body", method = "PUT" })
      local r = assert(fetch(base .. "/to?to=/echo&status=302", { redirect = "manual" }))
      print(r.status, r.body, r.headers.location, r.redirected)
      _, message = fetch(base .. "/to?to=/echo&status=308", { body = function() end })
      print((message:gsub("^.*: ", "")))
      local other = base:gsub("127.0.0.1", "localhost")
      local secrets = { ["X-User"] = "kim", Authorization = "Basic x", Cookie = "a=1" }
      local h = assert(fetch(other .. "/to?status=302&to=" .. base .. "/headers", { headers = secrets })):json()
      print(h["x-user"], h.authorization, h.cookie)
    ]]))
  end)

  it("decodes what is coded, and leaves it where that is not wanted", function()
    assert.equal("3000\tnil\tnil\nzzz\tgzip\ttrue\n", printed([[
      local r = assert(fetch(base .. "/zip"))
      print(#r.body, r.headers["content-encoding"], r.headers["content-length"])
      r = assert(fetch(base .. "/zip", { decompress = false, headers = { ["Accept-Encoding"] = "gzip" } }))
      print("zzz", r.headers["content-encoding"], #r.body < 200)
    ]]))
  end)

  it("bounds what a coded body becomes", function()
    local out = printed([[
      routes["/bomb"] = function(req, res)
        return luaserve.compress({ threshold = 0, codings = { "gzip" } })(req, res, function() return ("x"):rep(2^24) end)
      end
      fails(fetch(base .. "/bomb", { maxBodySize = 2^20 }))
    ]])
    assert.matches("the body is larger than maxBodySize\tERR_BODY_TOO_LARGE", out)
  end)

  it("streams a body as it comes, and holds it back while nobody reads", function()
    assert.equal("200\ttrue\ntrue\n40000000\nnil\nbody\t42\nfalse\tECONNRESET\n", printed([[
      local sent = 0
      routes["/endless"] = function(req, res)
        for i = 1, 400 do res:write(("x"):rep(100000)) sent = i end
        res:finish()
      end
      local r = assert(fetch(base .. "/endless", { stream = true }))
      print(r.status, r.body == nil)
      timers.sleep(50)
      print(sent < 400)
      local size = 0
      for chunk in r:chunks() do size = size + #chunk end
      print(size)
      print(r:read())
      r = assert(fetch(base .. "/trailers", { stream = true }))
      print(r:text(), r:trailers()["x-sum"])
      r = assert(fetch(base .. "/half", { stream = true }))
      local ok, err = pcall(function() for _ in r:chunks() do end end)
      print(ok, err.code)
    ]]))
  end)

  it("keeps connections for the next request", function()
    assert.equal("1\n", printed([[
      for _ = 1, 5 do assert(fetch(base .. "/echo", { body = "x" })) end
      print(connections)
    ]]))
  end)

  it("calls back", function()
    assert.equal("nil\t200\nECONNREFUSED\tnil\n", printed([[
      local waiting, done = 2, nil
      fetch(base .. "/echo", function(err, r)
        print(err, r.status)
        fetch("http://127.0.0.1:1", {}, function(failure, none) print(failure.code, none) done = true end)
      end)
      while not done do timers.sleep(5) end
    ]]))
  end)

  it("asks several servers at once", function()
    assert.equal("true\ta b c\tnil\nConnection refused\ta\n", printed([[
      local here, together = 0, false
      routes["/meet"] = function(req)
        here = here + 1
        while here < 3 do timers.sleep(2) end
        return req.query.name
      end
      local function ask(name) return function() return (assert(fetch(base .. "/meet?name=" .. name)).body) end end
      local results, errors = luaserve.all { a = ask("a"), b = ask("b"), c = ask("c") }
      print(here == 3, results.a .. " " .. results.b .. " " .. results.c, errors)
      results, errors = luaserve.all { ask("a"), function() return fetch("http://127.0.0.1:1") end }
      print((errors[2].message:gsub("^.*: ", "")), results[1])
    ]]))
  end)

  it("raises what one of several raises, when all have ended", function()
    assert.equal("false\toops\tended\n", printed([[
      local ended
      local ok, message = pcall(luaserve.all, { function() error("oops", 0) end,
        function() timers.sleep(10) ended = "ended" end })
      print(ok, message, ended)
    ]]))
  end)

  it("ends with the request that waits for it: gone, or out of time", function()
    local server = helper.serve(UPSTREAM .. [[
      server:listen(0, "127.0.0.1", function()
        local base, said = "http://127.0.0.1:" .. server:address().port, "nothing"
        local front = http.createServer({ handlerTimeout = 100 }, function(req, res)
          if req.path == "/said" then return said .. " " .. aborted end
          print("began")
          local r, message, code = fetch(base .. "/never")
          said = tostring(r) .. " " .. message .. " " .. tostring(code)
        end)
        front:listen(0, "127.0.0.1", function() print("port " .. front:address().port) end)
      end)
    ]])
    assert.equal(503, helper.get(server, "/").status)
    helper.wait_for(function() return helper.get(server, "/said").body == "nil timeout nil 1" end, "the timeout")
    local conn = helper.connect(server)
    conn:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server:wait_output("began\nbegan")
    conn:reset()
    helper.wait_for(function() return helper.get(server, "/said").body == "nil aborted nil 2" end, "the abort")
  end)

  it("passes a request on as it comes, and its answer back", function()
    local server = helper.serve(UPSTREAM .. [[
      server:listen(0, "127.0.0.1", function()
        local base = "http://127.0.0.1:" .. server:address().port
        local front = http.createServer(function(req, res)
          local r, message = fetch(base .. req.url, { method = req.method, headers = req.headers, stream = true,
            body = req.method == "POST" and req or nil })
          if not r then return 502, message end
          res.statusCode = r.status
          return r:pipe(res)
        end)
        front:listen(0, "127.0.0.1", function() print("port " .. front:address().port) end)
      end)
    ]])
    assert.equal("POST|/echo|nil|300000|nil|#300000",
      helper.request(server, { method = "POST", path = "/echo", body = ("a"):rep(300000) }).body)
    assert.equal("POST|/echo|nil|nil|chunked|#30000",
      helper.request(server, { method = "POST", path = "/echo", body = { ("a"):rep(10000), ("b"):rep(20000) } }).body)
    assert.equal(4000000, #helper.get(server, "/big").body)
    assert.equal(404, helper.get(server, "/none").status)
  end)

  describe("over TLS", function()
    it("checks certificates, and speaks HTTP/2", function()
      local pair = certs.of({ names = { "localhost" } })
      local server = tls_server.serve([[ return req.httpVersion .. " " .. req.url ]], { cert = pair })
      local run = helper.run(([[
        local fetch, fs = require("luaserve").fetch, require "fs"
        local ca = fs.readFileSync("ca.pem")
        local function show(url, options)
          local r, message, code = fetch(url, options)
          print(r and r.body .. " " .. r.httpVersion or code .. " " .. tostring(message ~= nil))
        end
        show("https://localhost:%d/a", { ca = ca })
        show("https://localhost:%d/b", { ca = ca, httpVersion = "1.1" })
        show("https://localhost:%d/c")
        show("https://127.0.0.1:%d/d", { ca = ca })
        show("https://127.0.0.1:%d/e", { verify = false })
      ]]):gsub("%%d", tostring(server.port)), { files = { ["ca.pem"] = pair.cert } })
      assert.equal("", run.err)
      assert.equal("2.0 /a 2.0\n1.1 /b 1.1\nERR_TLS_CERT true\nERR_TLS_CERT true\n2.0 /e 2.0\n", run.out)
    end)

    it("sends many requests over one HTTP/2 connection, bodies both ways", function()
      local pair = certs.of({ names = { "localhost" } })
      local server = tls_server.serve([[
        if req.path == "/count" then return tostring(count) end
        return #req:text() .. ("x"):rep(200000)
      ]], { cert = pair, before = "local count = 0",
        after = "server:on('connection', function() count = count + 1 end)" })
      local run = helper.run(([[
        local luaserve, base = require("luaserve"), "https://localhost:%d"
        local options = { ca = require("fs").readFileSync("ca.pem") }
        local tasks = {}
        for i = 1, 20 do
          tasks[i] = function()
            local n = 0
            local r = assert(luaserve.fetch(base .. "/", { ca = options.ca, body = function()
              n = n + 1
              if n %% 10 == 0 then require("timers").sleep(1) end
              if n <= 30 then return ("y"):rep(10000) end
            end }))
            return r.body:sub(1, 6) .. " " .. #r.body
          end
        end
        local results = luaserve.all(tasks)
        for i = 1, 20 do assert(results[i] == "300000 200006", results[i]) end
        print(luaserve.fetch(base .. "/count", options).body)
      ]]):format(server.port), { files = { ["ca.pem"] = pair.cert }, timeout = 30 })
      assert.equal("", run.err)
      assert.equal("1\n", run.out)
    end)
  end)

  it("asks over a Unix socket", function()
    local server = helper.serve("return function(req) return 'unix ' .. req.headers.host end\n",
      { listen = "unix:" .. helper.tmpdir() .. "/s" })
    local run = helper.run(([[
      print(require("luaserve").fetch("http://app/", { socketPath = %q }).body)
    ]]):format(server.unix))
    assert.equal("unix app\n", run.out)
  end)

  it("says which package is missing where the module is not there", function()
    local dir = helper.tmpdir()
    assert(os.execute(("cp '%s' '%s/luaserve'"):format(process.binary(), dir)))
    local run = helper.run("require('luaserve').fetch('http://a/')\n", { program = dir .. "/luaserve" })
    assert.equal(1, run.code)
    assert.matches("luaserve.fetch is not part of this build: apt%-get install libcurl4%-openssl%-dev", run.err)
  end)
end)
