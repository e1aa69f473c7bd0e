-- A login form, a cookie and a table of sessions: luaserve examples/login.lua
local http, crypto = require "http", require "crypto"

local users = { kim = "swordfish" } -- a real service keeps salted hashes
local sessions = {} -- id -> {user, ends}
local LIFETIME = 3600 -- seconds

local function page(title, body)
  return '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>' .. title .. "</title>" .. body
end

local form = page("Log in", [[<h1>Log in</h1><form method="post" action="/login">
<label>Name <input name="name" autofocus></label>
<label>Password <input name="password" type="password"></label> <button>Log in</button></form>]])

local function home(user) -- user is a key of users, so it needs no escaping
  return page("Hello", "<h1>Hello, " .. user .. [[!</h1>
<form method="post" action="/logout"><button>Log out</button></form>]])
end

-- A cookie that we never gave out, or that is too old, is simply nobody's.
local function session_of(req)
  local session = sessions[req.cookies.sid]
  return session and session.ends > os.time() and session or nil
end

local function redirect(res, cookie)
  res:writeHead(303, { Location = "/", ["Set-Cookie"] = cookie .. "; Path=/; HttpOnly; SameSite=Lax" }):finish()
end

local function login(req, res)
  local fields = req:form() -- waits for the body
  local password = users[fields.name]
  if not password or password ~= fields.password then return 401, form end
  local id = crypto.randomUUID() -- nobody can guess it
  sessions[id] = { user = fields.name, ends = os.time() + LIFETIME }
  redirect(res, "sid=" .. id .. "; Max-Age=" .. LIFETIME)
end

local server = http.createServer(function(req, res)
  local session = session_of(req)
  if req.method == "POST" and req.url == "/login" then return login(req, res) end
  if req.method == "POST" and req.url == "/logout" then
    sessions[req.cookies.sid or ""] = nil
    return redirect(res, "sid=; Max-Age=0")
  end
  if req.url ~= "/" then return 404, "There is nothing here\n" end
  return session and home(session.user) or form
end)

setInterval(function() -- forgets the sessions that have ended
  for id, session in pairs(sessions) do
    if session.ends <= os.time() then sessions[id] = nil end
  end
end, 60000):unref()
server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
