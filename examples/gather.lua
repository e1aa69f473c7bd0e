-- One answer out of three, asked for at the same time: luaserve examples/gather.lua
--   curl 'http://127.0.0.1:8080/?id=7'
--   UPSTREAM=http://shop.internal luaserve examples/gather.lua     the services of somebody else
-- A service that is slow or gone costs its part of the answer, and no more than a
-- second.
local http, luaserve, timers = require "http", require "luaserve", require "timers"

-- The three services, for trying this out.
local services = {
  ["/price"] = function(id) return { amount = 100 + id, currency = "EUR" } end,
  ["/stock"] = function(id) timers.sleep(20) return { count = id % 5 } end,
  ["/reviews"] = function(id) return { { stars = 1 + id % 5, text = "as described" } } end,
}

local upstream = process.env.UPSTREAM

local function ask(path, id)
  return function()
    local response, message, code = luaserve.fetch(upstream .. path, { query = { id = id }, timeout = 1 })
    if not response then return nil, message, code end
    if not response.ok then return nil, ("%s answered %d"):format(path, response.status) end
    return response:json()
  end
end

local function gather(req)
  local id = tonumber(req.query.id) or luaserve.error(400, "which id?")
  local parts, errors = luaserve.all {
    price = ask("/price", id),
    stock = ask("/stock", id),
    reviews = ask("/reviews", id),
  }
  for name, err in pairs(errors or {}) do console.warn(("%s is missing: %s"):format(name, err.message)) end
  if not parts.price then return 502, { error = "there is no price now" } end
  return { id = id, price = parts.price, stock = parts.stock, reviews = parts.reviews }
end

local function serve()
  local front = http.createServer(gather)
  front:listen(process.env.PORT or 8080, "127.0.0.1", function()
    print("listening on http://127.0.0.1:" .. front:address().port)
  end)
end

if upstream then return serve() end

local server = http.createServer(function(req)
  local service = services[req.path]
  if not service then return 404, "no such service" end
  return service(tonumber(req.query.id))
end)
server:listen(0, "127.0.0.1", function()
  upstream = "http://127.0.0.1:" .. server:address().port
  serve()
end)
