-- A page from a file, read in both styles: luaserve examples/page.lua
local http, fs = require "http", require "fs"

local file = __dirname .. "/index.html"

-- Node's style: readFile returns at once, and calls back when the file is read.
local function with_a_callback(res)
  fs.readFile(file, function(err, page)
    if err then error(err) end -- the answer to this request is then a 500
    res:setHeader("Content-Type", "text/html; charset=utf-8")
    res:finish(page)
  end)
end

-- Without a callback the same function waits, and other requests are served
-- meanwhile. What goes wrong comes back as nil and a message.
local function by_waiting(res)
  local page, message = fs.readFile(file)
  if not page then error(message) end
  res:setHeader("Content-Type", "text/html; charset=utf-8")
  res:finish(page)
end

local server = http.createServer(function(req, res)
  if req.url == "/callback" then return with_a_callback(res) end
  if req.url == "/" then return by_waiting(res) end
  res:writeHead(404, { ["Content-Type"] = "text/plain" })
  res:finish("There is no " .. req.url .. " here\n")
end)

server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
