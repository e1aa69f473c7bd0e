-- A site that runs on one machine or on many: what has to be the same on all of them is in Redis.
--   SECRET=... REDIS_URL=redis://10.0.0.2 luaserve --workers auto --listen :8080 --proxy-protocol site.lua
local luaserve = require "luaserve"

local r = luaserve.redis.connect(os.getenv("REDIS_URL") or "redis://127.0.0.1")
local app = luaserve()

app:set("secret", os.getenv("SECRET")) -- signs the cookies: the same on each machine
app:health() -- for the balancer
app:use(luaserve.session { store = r })

app:get("/", function(req)
  local user = req.session.user
  return { user = user, ip = req.ip, machine = os.getenv("MACHINE"), process = process.pid }
end)

local logins = luaserve.rateLimit { name = "login", limit = 10, window = 60, store = r, onError = "closed" }

app:post("/login", logins, function(req, res)
  local form = req:form()
  if form.password ~= "swordfish" then return 401, "no\n" end -- a real site keeps hashes: crypto.verifyPassword
  req.session:regenerate()
  req.session.user = form.name
  return res:redirect(303, "/")
end)

app:post("/logout", function(req, res)
  req.session:destroy()
  return res:redirect(303, "/")
end)

return app
