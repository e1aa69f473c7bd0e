-- Clients that go away at every stage, and clients that send anything: what the
-- server keeps of them is nothing.
local helper = require("spec.helper")

-- Each path is a handler that is at some stage when its client goes.
local APP = [[
local http, core, timers = require("http"), require("luaserve.core"), require("timers")
local big = ("x"):rep(8 * 1024 * 1024)
local routes = {}

routes["/waits"] = function(req, res)
  timers.sleep(20)
  return "late"
end
routes["/timer"] = function(req, res)
  setTimeout(function() res:finish("late") end, 20)
end
routes["/text"] = function(req, res)
  local text, why = req:text()
  return why or text
end
routes["/data"] = function(req, res)
  req:on("data", function() timers.sleep(1) end)
  req:on("end", function() res:finish("read") end)
end
routes["/paused"] = function(req, res)
  req:on("data", function() req:pause() end)
  req:on("aborted", function() end)
end
routes["/unread"] = function(req, res)
  timers.sleep(20)
  res:finish("unread")
end
routes["/chunks"] = function(req, res)
  for chunk in req:chunks() do res:write(chunk) end
  res:finish()
end
routes["/pipe"] = function(req, res) req:pipe(res) end
routes["/big"] = function(req, res) res:finish(big) end
routes["/stream"] = function(req, res)
  for _ = 1, 1000 do
    if not res:write(("x"):rep(65536)) then return end
  end
  res:finish()
end
routes["/callbacks"] = function(req, res)
  local function fill()
    repeat local ok = res:write(("x"):rep(65536), function() end) until not ok
  end
  res:on("drain", fill)
  fill()
end
routes["/hooks"] = function(req, res)
  res:onHead(function() timers.sleep(5) end):onFinish(function() end)
  res:on("close", function() res:setHeader("X", 1) end)
  return "hooked"
end
routes["/events"] = function(req, res)
  for _, name in ipairs({"data", "end", "close", "aborted", "error"}) do req:on(name, function() end) end
  for _, name in ipairs({"finish", "close", "drain"}) do res:on(name, function() end) end
  req.socket:on("close", function() end)
  timers.sleep(10)
  return "told"
end
routes["/error"] = function() error("meant") end
routes["/counts"] = function()
  collectgarbage()
  collectgarbage()
  local counts = core.counts()
  return ("%d exchanges, %d contexts, %d calls, %d slots"):format(counts.exchanges, counts.contexts, counts.calls,
    counts.slots)
end

local server = http.createServer(function(req, res)
  local route = routes[req.path or ""]
  if not route then return 404, "no such path" end
  return route(req, res)
end)
server:on("upgrade", function(req, socket)
  socket:write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
  socket:on("data", function(chunk) socket:write(chunk) end)
  socket:on("close", function() end)
end)
server.writeTimeout = 2000
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]

local function get(path, ...)
  return table.concat({ "GET " .. path .. " HTTP/1.1", "Host: a", ... }, "\r\n") .. "\r\n\r\n"
end

local function post(path, length, body)
  return ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"):format(path, length, body)
end

local function chunked(path, body)
  return "POST " .. path .. " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" .. body
end

local STAGES = {
  ["before it says anything"] = "",
  ["in the request line"] = "GET / HT",
  ["in its headers"] = "GET / HTTP/1.1\r\nHost: a\r\nX: ",
  ["behind a blank line"] = "\r\n",
  ["while the handler waits"] = get("/waits"),
  ["while a timer runs"] = get("/timer"),
  ["before its body"] = post("/text", 10, ""),
  ["in a body that is collected"] = post("/text", 10, "abc"),
  ["in a body that is listened to"] = post("/data", 1000, ("x"):rep(500)),
  ["in a body that is paused"] = post("/paused", 1000, ("x"):rep(500)),
  ["in a body that nobody reads"] = post("/unread", 1000, "abc"),
  ["in a body that is iterated"] = post("/chunks", 1000, "abc"),
  ["in a body that is piped"] = post("/pipe", 1000, "abc"),
  ["in a chunk"] = chunked("/text", "5\r\nab"),
  ["between chunks"] = chunked("/data", "2\r\nab\r\n"),
  ["in the size of a chunk"] = chunked("/chunks", "2"),
  ["in the trailers"] = chunked("/text", "2\r\nab\r\n0\r\nX: "),
  ["while it is asked to continue"] = "POST /text HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
    .. "Content-Length: 5\r\n\r\n",
  ["while a large answer is sent"] = get("/big"),
  ["while an answer is streamed"] = get("/stream"),
  ["while writes wait for callbacks"] = get("/callbacks"),
  ["while hooks run"] = get("/hooks"),
  ["while everybody listens"] = get("/events"),
  ["when the handler fails"] = get("/error"),
  ["after its answer"] = get("/nothing"),
  ["with a pipeline behind it"] = get("/waits") .. get("/timer") .. get("/big") .. post("/text", 5, "abc"),
  ["behind garbage"] = "garbage\r\n\r\n",
  ["after an upgrade"] = get("/up", "Connection: upgrade", "Upgrade: echo"),
  ["after an upgrade, at work"] = get("/up", "Connection: upgrade", "Upgrade: echo") .. ("x"):rep(100000),
}

local WAYS = {
  { "closes", function(conn) conn:close() end },
  { "resets", function(conn) conn:reset() end },
  { "reads a little and resets", function(conn)
    conn.timeout = 0.01
    pcall(conn.read_some, conn)
    conn:reset()
  end },
  { "ends its side and closes later", function(conn)
    conn:shutdown_write()
    conn.timeout = 0.01
    pcall(conn.read_some, conn)
    conn:close()
  end },
}

-- Waits until the server is as it was.
local function settle(server, counts, fds)
  local now
  helper.wait_for(function()
    now = helper.get(server, "/counts").body
    return now == counts and server:fds() <= fds
  end, function()
    return ("%s and %d descriptors; they are %s and %d"):format(counts, fds, now, server:fds())
  end, 10)
end

describe("a client that goes away", function()
  local server, counts, fds

  setup(function()
    server = helper.serve(APP)
    for _ = 1, 3 do counts = helper.get(server, "/counts").body end
    fds = server:fds() + 1 -- the connection of the question itself
  end)

  local stages = {}
  for stage in pairs(STAGES) do table.insert(stages, stage) end
  table.sort(stages)

  for _, stage in ipairs(stages) do
    it(stage .. " leaves nothing behind", function()
      for _, way in ipairs(WAYS) do
        local conns = {}
        for i = 1, 5 do
          conns[i] = helper.connect(server, { rcvbuf = 8192 })
          conns[i]:send(STAGES[stage])
        end
        for i = 1, 5 do way[2](conns[i]) end
      end
      settle(server, counts, fds)
    end)
  end
end)

-- ---- anything

-- A generator of its own, so that a seed means the same everywhere.
local function random(seed)
  local state = seed * 2654435761 % 4294967296
  return function(n)
    state = (state * 1664525 + 1013904223) % 4294967296
    return state // 65536 % n + 1
  end
end

local PARTS = { "GET ", "POST ", "/", "/text", "/data", "/pipe", " HTTP/1.1", " HTTP/1.0", "\r\n", "\n", "\r", ":", " ",
  "\t",
  "Host: a", "Content-Length: 5", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked", "Connection: close", "Connection: upgrade", "Upgrade: echo",
  "Expect: 100-continue",
  "5\r\nhello\r\n", "0\r\n\r\n", "ffffffffffffffff\r\n", ";ext=\"", "\0", "\255\254", "%00%2e%2e/", "?a=b&c",
  "\r\n\r\n", ("A"):rep(300), "Cookie: a=b; c", "X-A: ", "hello" }

local VALID = { get("/nothing"), post("/text", 5, "hello"), chunked("/data", "5\r\nhello\r\n0\r\n\r\n"),
  get("/up", "Connection: upgrade", "Upgrade: echo"), chunked("/pipe", "1;a=\"b\"\r\nx\r\n0\r\nT: 1\r\n\r\n") }

-- Bytes without sense, parts in any order, or a good request with some bytes
-- changed, cut or doubled.
local function garbage(seed)
  local next_number = random(seed)
  local kind, list = next_number(3), {}
  if kind == 1 then
    for i = 1, next_number(200) do list[i] = string.char(next_number(256) - 1) end
    return table.concat(list)
  elseif kind == 2 then
    for i = 1, next_number(12) do list[i] = PARTS[next_number(#PARTS)] end
    return table.concat(list)
  end
  local text = VALID[next_number(#VALID)]
  for _ = 1, next_number(4) do
    local at, what = next_number(#text), next_number(3)
    local before, behind = text:sub(1, at - 1), text:sub(at + 1)
    text = before .. (what == 1 and "" or what == 2 and string.char(next_number(256) - 1) or text:sub(at, at):rep(2))
      .. behind
    if text == "" then break end
  end
  return text
end

describe("a client that sends anything", function()
  it("gets an end, and leaves nothing behind", function()
    local server = helper.serve(APP)
    local counts
    for _ = 1, 3 do counts = helper.get(server, "/counts").body end
    local fds = server:fds() + 1
    for seed = 1, helper.sanitized and 2000 or 10000 do
      local conn = helper.connect(server)
      conn:send(garbage(seed))
      conn:shutdown_write()
      if not conn:closed(5) then
        error(("seed %d is not answered: %q"):format(seed, garbage(seed)))
      end
      conn:close()
    end
    settle(server, counts, fds)
    assert.equal(404, helper.get(server, "/nothing").status)
  end)
end)
