-- A guest book: a form that no other site can send, and a page in which nothing that
-- a guest writes can run: luaserve examples/form.lua
local http, fs, luaserve = require "http", require "fs", require "luaserve"

local helmet = luaserve.helmet { csp = true } -- scripts and styles need the page's nonce
local csrf = luaserve.csrf { secret = process.env.SECRET }
local page = luaserve.template.compile(fs.readFileSync(__dirname .. "/form.html"))

local entries = {} -- {name, text, time}, the newest first
local LONGEST = { name = 60, text = 500 }

local function show(req, res, status, form, problem)
  res.statusCode = status
  res:setHeader("Cache-Control", "no-store") -- the token is this visitor's
  return page { entries = entries, form = form, problem = problem, longest = LONGEST,
    nonce = luaserve.helmet.nonce(req), token = luaserve.csrf.field(req) }
end

local function trimmed(value)
  return type(value) == "string" and value:match("^%s*(.-)%s*$") or ""
end

-- What is wrong with what a guest has written, nil where all is well.
local function check(form)
  if form.name == "" or form.text == "" then return "Please fill in both fields." end
  for field, most in pairs(LONGEST) do
    if #form[field] > most then return ("The %s has more than %d bytes."):format(field, most) end
  end
end

local function sign(req, res)
  local sent = req:form()
  local form = { name = trimmed(sent.name), text = trimmed(sent.text) }
  local problem = check(form)
  if problem then return show(req, res, 422, form, problem) end
  form.time = os.date("!%d %B %Y, %H:%M UTC")
  table.insert(entries, 1, form)
  entries[101] = nil
  return res:writeHead(303, { Location = "/" }):finish() -- so that reloading sends nothing again
end

local server = http.createServer(function(req, res)
  return helmet(req, res, function()
    return csrf(req, res, function()
      if req.path ~= "/" then return 404, "There is nothing here\n" end
      if req.method == "POST" then return sign(req, res) end
      return show(req, res, 200, { name = "", text = "" })
    end)
  end)
end)

server:listen(process.env.PORT or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
