-- The server that everything begins with: luaserve examples/hello.lua
local http = require "http"

local server = http.createServer(function(_, res)
  res:setHeader("Content-Type", "text/plain; charset=utf-8")
  res:finish("Hello, World!\n")
end)

server:listen(tonumber(process.env.PORT) or 8080, "127.0.0.1", function()
  print("http://127.0.0.1:" .. server:address().port .. " says hello; Ctrl-C stops it")
end)
