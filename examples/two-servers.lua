-- Two servers in one process: one for everybody, and one that shows what the
-- first has counted. They share the script's variables, and no lock is needed:
-- Lua runs one handler at a time, until it waits or returns.
-- luaserve examples/two-servers.lua
local http = require "http"

local port = tonumber(process.env.PORT) or 8080
local visits = {} -- path -> how often it was asked for

local site = http.createServer(function(req, res)
  visits[req.url] = (visits[req.url] or 0) + 1
  res:setHeader("Content-Type", "text/plain; charset=utf-8")
  res:finish("You are visitor " .. visits[req.url] .. " of " .. req.url .. "\n")
end)

-- A handler may also return its answer: a table is sent as JSON.
local statistics = http.createServer(function()
  return { uptime = process.uptime(), visits = visits }
end)

site:listen(port, "127.0.0.1", function()
  print("the site:   listening on http://127.0.0.1:" .. site:address().port)
end)

-- Port 0 lets the system choose; next to a given port we take the one behind it.
statistics:listen(port == 0 and 0 or port + 1, "127.0.0.1", function()
  print("statistics: listening on http://127.0.0.1:" .. statistics:address().port)
end)
