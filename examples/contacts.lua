-- A REST service with validation, and its page: luaserve examples/contacts.lua
--   curl --json '{"name": "Kim", "email": "kim@example.com"}' http://127.0.0.1:8080/contacts
--   http://127.0.0.1:8080/docs describes it, luaserve --routes lists it
local luaserve, json, fs = require "luaserve", require "json", require "fs"

local app, page = luaserve(), fs.readFileSync(__dirname .. "/contacts.html")
local contacts, last = {}, 0 -- a real service keeps them in a database: examples/notes.lua

local Contact = { type = "object", title = "Contact", required = { "name", "email" }, additionalProperties = false,
  properties = {
    name = { type = "string", minLength = 1, maxLength = 80, example = "Kim" },
    email = { type = "string", format = "email", maxLength = 254, example = "kim@example.com" },
    age = { type = "integer", minimum = 0, maximum = 150 },
  } }
local checked = luaserve.validate { body = Contact }
local searched = luaserve.validate { query = { q = { type = "string", maxLength = 80, default = "" } } }

local function found(req, res, next)
  req.contact = contacts[tonumber(req.params.id)] or luaserve.error(404, "there is no such contact")
  return next()
end

local function keep(id, contact)
  contact.id = id
  contacts[id] = contact
  return contact
end

app:get("/", function() return page end)
app:get("/contacts", searched, function(req)
  local list, wanted = json.array {}, req.query.q:lower()
  for id = 1, last do
    local contact = contacts[id]
    if contact and contact.name:lower():find(wanted, 1, true) then list[#list + 1] = contact end
  end
  return list
end)

app:post("/contacts", checked, function(req, res)
  last = last + 1
  res:setHeader("Location", app:url("contact", { id = last }))
  return 201, keep(last, req.body)
end)

app:get("/contacts/:id(%d+)", found, function(req) return req.contact end):name("contact")
app:put("/contacts/:id(%d+)", found, checked, function(req) return keep(req.contact.id, req.body) end)
app:delete("/contacts/:id(%d+)", found, function(req)
  contacts[req.contact.id] = nil
  return 204
end)

app:onError(function(err) return { error = err.message } end)
app:docs("/docs", { title = "Contacts" })

local server
server = app:listen(tonumber(process.env.PORT) or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
