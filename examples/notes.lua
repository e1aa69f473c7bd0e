-- A REST service whose notes stay, in notes.db beside it: luaserve examples/notes.lua
--   curl -d '{"text": "buy tea"}' -H 'Content-Type: application/json' http://127.0.0.1:8080/notes
--   curl http://127.0.0.1:8080/notes
-- The same on PostgreSQL: DATABASE_URL=postgres://user:password@host/notes luaserve examples/notes.lua
local crypto, json, luaserve = require "crypto", require "json", require "luaserve"

local url = process.env.DATABASE_URL
local db = url and luaserve.postgres.connect(url) or luaserve.sqlite.open(process.env.NOTES or "notes.db")

assert(db:exec("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, text TEXT NOT NULL, at TEXT NOT NULL)"))

local app = luaserve()

--- What a call of the database returned; without one it is not the client's fault.
local function ask(result, message)
  if result == nil and message then
    console.error(message)
    luaserve.error(503, "the notes cannot be reached now")
  end
  return result
end

local function found(note)
  return note or luaserve.error(404, "there is no such note")
end

local function text_of(req)
  local note = req:json()
  local text = type(note) == "table" and note.text
  if type(text) ~= "string" or #text > 10000 then luaserve.error(400, 'a note is {"text": "..."}') end
  return text
end

app:get("/notes", function()
  return json.array(ask(db:query("SELECT id, text FROM notes ORDER BY at, id")))
end)

app:post("/notes", function(req)
  local note = { id = crypto.randomUUID(), text = text_of(req) }
  local now = os.date("!%Y-%m-%dT%H:%M:%SZ")
  ask(db:exec("INSERT INTO notes (id, text, at) VALUES ($1, $2, $3)", note.id, note.text, now))
  return 201, note
end)

app:get("/notes/:id", function(req)
  return found(ask(db:one("SELECT id, text FROM notes WHERE id = $1", req.params.id)))
end)

app:put("/notes/:id", function(req)
  local text, id = text_of(req), req.params.id
  return found(ask(db:one("UPDATE notes SET text = $1 WHERE id = $2 RETURNING id, text", text, id)))
end)

app:delete("/notes/:id", function(req, res)
  found(ask(db:exec("DELETE FROM notes WHERE id = $1", req.params.id)).changes > 0)
  res:status(204):finish()
end)

return app
