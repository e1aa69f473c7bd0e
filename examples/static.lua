-- A site of files: luaserve examples/static.lua
local http, luaserve = require "http", require "luaserve"

-- What has its version in its name may be kept for a year; pages are asked for
-- each time, which is a 304 as long as they have not changed.
local assets = luaserve.static("site/assets", { maxAge = 365 * 24 * 3600, immutable = true })
local pages = luaserve.static("site", { listing = true })

local function missing(res)
  return res:status(404):sendFile("site/404.html")
end

local server = http.createServer(function(req, res)
  res:setHeader("X-Content-Type-Options", "nosniff")
  if req.path == "/guide.txt" then return res:download("site/assets/notes.txt", "guide.txt") end

  local name = (req.path or ""):match("^/assets(/.*)$")
  if name then
    req.path = name -- as app:use("/assets", assets) does
    return assets(req, res, function() return missing(res) end)
  end
  return pages(req, res, function() return missing(res) end)
end)

server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
