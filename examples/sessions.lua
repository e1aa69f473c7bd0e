-- A session: a basket for visitors who have not logged in, the same in every worker.
--   luaserve --workers 2 --store basket.store examples/sessions.lua     and it survives a restart
local luaserve = require "luaserve"

local app = luaserve()
app:set("views", ".")
app:set("secret", process.env.SECRET) -- without one a random one is made, and kept in the store

local TEAS = { -- prices in cents
  { id = "assam", name = "Assam", about = "malty, dark", price = 690 },
  { id = "jasmine", name = "Jasmine", about = "green, with flowers", price = 850 },
  { id = "rooibos", name = "Rooibos", about = "red, no caffeine", price = 520 },
}
for _, tea in ipairs(TEAS) do TEAS[tea.id] = tea end
local MOST = 20 -- of one tea

app:use(luaserve.helmet { csp = true }, luaserve.session { ttl = 7 * 24 * 3600 }, luaserve.csrf())

-- A visitor who only looks has no session, and gets no cookie of one: reading it makes none.
app:get("/", function(req, res)
  local basket, rows, total, count = req.session.basket or {}, {}, 0, 0
  for _, tea in ipairs(TEAS) do
    local n = basket[tea.id]
    if n then
      rows[#rows + 1] = { tea = tea, n = n }
      total, count = total + n * tea.price, count + n
    end
  end
  res:setHeader("Cache-Control", "no-store") -- this page is one visitor's
  return res:render("sessions", { teas = TEAS, rows = rows, total = total, count = count, most = MOST,
    nonce = luaserve.helmet.nonce(req), csrf = luaserve.csrf.field(req),
    euros = function(cents) return ("%.2f €"):format(cents / 100) end })
end)

app:post("/basket/:tea", function(req, res)
  local tea = TEAS[req.params.tea] or luaserve.error(404, "there is no such tea")
  local by = req:form().by == "-1" and -1 or 1
  local basket = req.session.basket or {}
  local n = math.min((basket[tea.id] or 0) + by, MOST)
  basket[tea.id] = n > 0 and n or nil
  req.session.basket = basket -- what changes in it later is found, too
  return res:redirect(303, "/")
end)

app:post("/empty", function(req, res)
  req.session:destroy() -- here and in the browser
  return res:redirect(303, "/")
end)

local server
server = app:listen(tonumber(process.env.PORT) or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
