-- Sends back what it is sent, while it is still coming in: however long the body
-- is, only a few chunks of it are in memory. luaserve examples/echo.lua, then
--   curl -T some-large-file http://127.0.0.1:8080
local http = require "http"

local server = http.createServer(function(req, res)
  res:setHeader("Content-Type", req.headers["content-type"] or "application/octet-stream")
  for chunk in req:chunks() do -- waits for the next chunk
    res:write(chunk) -- waits where the client reads more slowly than it sends
  end
  res:finish()
end)

server.requestTimeout = 0 -- a body may take as long as it likes

server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
