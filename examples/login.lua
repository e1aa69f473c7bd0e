-- Registering, logging in and out: hashed passwords in users.db beside it, forms of this site alone, few guesses.
--   luaserve --workers 2 --store login.store examples/login.lua     and logins survive a restart
local luaserve, crypto = require "luaserve", require "crypto"

local app, DAY = luaserve(), 24 * 3600
app:set("views", ".")
app:set("secret", process.env.SECRET) -- without one a random one is made, and kept in the store
local db = luaserve.sqlite.open(process.env.USERS or "users.db")
assert(db:exec("CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY COLLATE NOCASE, hash TEXT NOT NULL)"))

local by_address = luaserve.rateLimit { name = "login-from", limit = 30, window = 900 }
local by_name = luaserve.rateLimit { name = "login-of", limit = 5, window = 900, onError = "closed" }
app:use(luaserve.helmet { csp = true }, luaserve.session { ttl = DAY, cookie = { persistent = false } })
app:use(luaserve.csrf { bind = function(req) return req.session.user end }) -- who logs in gets other tokens

local function show(req, res, page, status, problem, name)
  res:status(status):setHeader("Cache-Control", "no-store") -- it is this visitor's alone
  return res:render("login", { page = page, problem = problem, name = name, user = req.session.user,
    since = req.session.since, nonce = luaserve.helmet.nonce(req), csrf = luaserve.csrf.field(req) })
end

local function enter(req, res, name, stays)
  req.session:regenerate() -- an id that somebody else knows is worth nothing from here on
  req.session.user, req.session.since = name, os.date("!%d %B, %H:%M UTC")
  req.session:remember(stays and 30 * DAY or nil) -- else the cookie goes with the browser
  return res:redirect(303, "/")
end

local function sent(req)
  local form = req:form()
  return tostring(form.name or ""):match("^%s*(.-)%s*$"), tostring(form.password or ""), form.stay == "on"
end

app:get("/", function(req, res) return show(req, res, req.session.user and "home" or "login", 200) end)
app:get("/register", function(req, res) return show(req, res, "register", 200) end)
app:post("/register", by_address, function(req, res)
  local name, password, stays = sent(req)
  local problem = #password < 10 and "A password has at least 10 characters."
  if not name:find("^[%w_.-]+$") or #name > 30 then problem = "A name is up to 30 letters, digits and . _ -" end
  if problem then return show(req, res, "register", 422, problem, name) end
  local added = assert(db:exec("INSERT OR IGNORE INTO users VALUES (?, ?)", name, crypto.hashPassword(password)))
  if added.changes == 0 then return show(req, res, "register", 409, "Somebody has this name already.", name) end
  return enter(req, res, name, stays)
end)

app:post("/login", by_address, function(req, res)
  local name, password, stays = sent(req)
  if not by_name:take(name:lower()) then return show(req, res, "login", 429, "Too many tries: wait a while.", name) end
  local user = db:one("SELECT name, hash FROM users WHERE name = ?", name)
  if not crypto.verifyPassword(password, user and user.hash) then -- as slow where there is nobody of that name
    return show(req, res, "login", 422, "This name and password do not belong together.", name)
  end
  by_name:reset(name:lower())
  return enter(req, res, user.name, stays)
end)

app:post("/logout", function(req, res) return req.session:destroy() and res:redirect(303, "/") end)
return app
