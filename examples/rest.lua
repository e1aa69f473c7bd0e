-- A REST service over a plain table, in Node's style: luaserve examples/rest.lua
--   curl -d '{"text": "buy tea"}' http://127.0.0.1:8080/notes
--   curl http://127.0.0.1:8080/notes/1
local http, json = require "http", require "json"

local notes, last_id = {}, 0
local collection, member = {}, {} -- what can be done with all notes, and with one

local function send(res, status, value)
  res:writeHead(status, { ["Content-Type"] = "application/json" })
  res:finish(json.encode(value))
end

-- Collects the body, chunk by chunk, and stores the note in it.
local function store(req, res, id, status)
  local body = ""
  req:on("data", function(chunk)
    body = body .. chunk
    if #body > 10000 then req:destroy() end -- nobody's note is that long
  end)
  req:on("end", function()
    local ok, note = pcall(json.decode, body)
    if not ok or type(note) ~= "table" or type(note.text) ~= "string" then
      return send(res, 400, { error = 'a note is {"text": "..."}' })
    end
    notes[id] = { id = id, text = note.text }
    send(res, status, notes[id])
  end)
end

function collection.GET(req, res)
  local all = json.array({}) -- an empty one is [] and not {}
  for id = 1, last_id do all[#all + 1] = notes[id] end
  send(res, 200, all)
end

function collection.POST(req, res)
  last_id = last_id + 1
  store(req, res, last_id, 201)
end

function member.GET(req, res, id) send(res, 200, notes[id]) end
function member.PUT(req, res, id) store(req, res, id, 200) end
function member.DELETE(req, res, id)
  notes[id] = nil
  res:writeHead(204):finish()
end

local server = http.createServer(function(req, res)
  local id = tonumber(req.url:match("^/notes/(%d+)$"))
  local methods = req.url == "/notes" and collection or notes[id] and member
  if not methods then return send(res, 404, { error = "there is no " .. req.url }) end
  local handler = methods[req.method]
  if not handler then return send(res, 405, { error = req.method .. " is not for notes" }) end
  handler(req, res, id)
end)
server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
