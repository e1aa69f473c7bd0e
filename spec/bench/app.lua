-- What "make bench" asks for: a constant, some JSON, the echo of a JSON body.
local http, json = require "http", require "json"

local function items()
  local list = {}
  for i = 1, 10 do
    list[i] = { id = i, name = "item " .. i, quantity = i * 3, active = i % 2 == 0 }
  end
  return { message = "Hello, World!", id = 4242, items = list }
end

local server = http.createServer(function(req, res)
  if req.url == "/" then
    res:setHeader("Content-Type", "text/plain")
    res:finish("Hello, World!")
  elseif req.url == "/json" then
    res:setHeader("Content-Type", "application/json")
    res:finish(json.encode(items()))
  else
    res:setHeader("Content-Type", "application/json")
    res:finish(json.encode(req:json()))
  end
end)

server:listen(process.env.PORT or 0, "127.0.0.1", function()
  print("port " .. server:address().port)
end)
