-- What spec/bench/store asks for: requests of visitors that have a session. COUNT sessions
-- are made first, as they would be by so many visitors, and the cookies of some of them,
-- from all over, are written to the file COOKIES.
local luaserve = require "luaserve"
local fields = require "luaserve.fields"
local reply = require "luaserve.core.reply"
local sessions = require "luaserve.core.session"
local values = require "luaserve.core.store"

local SECRET = ("s"):rep(32)
local COOKIES = 50000 -- at most

local count = tonumber(process.env.COUNT)

local function make_sessions()
  local signer, table_of = reply.signer(SECRET), assert(values.open("sessions", 0))
  local cookies, step = {}, math.max(1, math.floor(count / COOKIES))
  for i = 1, count do
    local id = fields.random()
    local record = values.encode { { user = "kim", name = "Kim of Example Street", visits = i }, os.time() }
    assert(sessions.swap(table_of, id, 0, record, 24 * 60 * 60))
    if i % step == 0 then
      cookies[#cookies + 1] = ("session=%s.%s\n"):format(id, signer:sign("session session=" .. id))
    end
  end
  local file = assert(io.open(process.env.COOKIES, "w"))
  file:write(table.concat(cookies))
  file:close()
end

make_sessions()

local app = luaserve()
app:set("secret", SECRET)
app:use(luaserve.session())

app:get("/alone", function()
  return "Hello, World!"
end)

app:get("/read", function(req)
  if req.session.user ~= "kim" then return 500, "no session" end
  return "Hello, World!"
end)

app:get("/write", function(req)
  local session = req.session
  session.visits = session.visits + 1
  return "Hello, World!"
end)

local server
server = app:listen(0, "127.0.0.1", function()
  print("port " .. server:address().port)
end)
