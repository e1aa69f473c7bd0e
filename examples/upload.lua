-- Uploads with a progress bar, kept in a folder: luaserve examples/upload.lua [folder]
local http, fs, crypto, json = require "http", require "fs", require "crypto", require "json"

local folder = ... or "uploads"
local GIB = 1024 * 1024 * 1024
local page = fs.readFileSync(__dirname .. "/upload.html")
local kept = json.array({}) -- {id, name, size}; a real service keeps them in a database
fs.mkdirSync(folder, { recursive = true })

-- Each file goes to disk while it arrives, under a name of ours: what the client
-- calls it is only for people to read.
local function store(req)
  local stored = json.array({})
  for part in req:parts { maxFileSize = GIB, maxTotalSize = 4 * GIB } do
    if part.filename and part.filename ~= "" then
      local file = { id = crypto.randomUUID(), name = part.filename }
      file.size = assert(part:save(folder .. "/" .. file.id))
      stored[#stored + 1] = file
    end
  end
  if #stored == 0 then return 400, "Choose a file.\n" end
  for _, file in ipairs(stored) do kept[#kept + 1] = file end
  return 201, stored
end

local function find(id)
  for place, file in ipairs(kept) do
    if file.id == id then return file, place end
  end
end

local function send(res, file)
  res:attachment(file.name) -- saved, never shown: it may be anything
  res:setHeader("Content-Length", file.size)
  fs.createReadStream(folder .. "/" .. file.id):pipe(res)
end

local function remove(res, place)
  local file = table.remove(kept, place)
  fs.unlink(folder .. "/" .. file.id)
  res:writeHead(204):finish()
end

local server = http.createServer(function(req, res)
  if req.path == "/" then return page end
  if req.path == "/files" and req.method == "GET" then return kept end
  if req.path == "/files" and req.method == "POST" then return store(req) end
  local file, place = find(req.path:match("^/files/([%w-]+)$"))
  if not file then return 404, "There is nothing here\n" end
  if req.method == "DELETE" then return remove(res, place) end
  return send(res, file)
end)
server.requestTimeout = 3600 * 1000 -- a large file on a slow line

server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
