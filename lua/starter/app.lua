-- {{name}}. While you work on it: luaserve --watch app.lua
local luaserve = require "luaserve"

local app = luaserve()
local visits = assert(luaserve.store.open("visits")) -- one table for all workers

-- What the page may be asked for. Anything else is answered with 422, and a list of what is wrong.
local asked = luaserve.validate {
  query = { name = { type = "string", maxLength = 40, default = "" } },
}

app:use(luaserve.helmet()) -- headers that make browsers careful

app:get("/", asked, function(req, res)
  return res:render("index", { name = req.query.name, visits = visits:incr("index") })
end)

app:get("/api/hello/:name", function(req)
  return { hello = req.params.name } -- a table is answered as JSON
end)

app:use(luaserve.static("public"))

app:use(function(_, res)
  return res:status(404):render("missing")
end)

return app
