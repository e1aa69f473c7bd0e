-- Cookies are set, read, changed and cleared: a page that knows your language, and how
-- often you have looked at it: luaserve examples/cookies.lua
--   curl -b "visits=41; language=fr" http://127.0.0.1:8080/
local luaserve = require "luaserve"

local app = luaserve()
app:set("views", ".")

local YEAR = 365 * 24 * 3600 * 1000 -- milliseconds
local GREETINGS = { en = "Hello!", de = "Guten Tag!", es = "¡Buenos días!", fr = "Bonjour !", it = "Buongiorno!" }
local LANGUAGES = { { "de", "Deutsch" }, { "en", "English" }, { "es", "Español" },
  { "fr", "Français" }, { "it", "Italiano" } }

-- Scripts of the page do not see them, and other sites' pages do not send them along.
local function remember(res, name, value)
  res:cookie(name, value, { maxAge = YEAR, httpOnly = true, sameSite = "lax" })
end

-- What comes back is whatever the visitor likes to send, so that it is checked as any input.
local function language_of(req)
  local chosen = req.cookies.language
  if GREETINGS[chosen] then return chosen end
  return req:acceptsLanguages("en", "de", "es", "fr", "it") or "en" -- what the browser says
end

local function visits_of(req)
  local text = req.cookies.visits or ""
  return text:find("^%d+$") and #text < 10 and tonumber(text) or 0
end

app:get("/", function(req, res)
  local visits, language = visits_of(req) + 1, language_of(req)
  remember(res, "visits", visits)
  res:vary("Cookie", "Accept-Language")
  return res:render("cookies", { visits = visits, language = language, greeting = GREETINGS[language],
    languages = LANGUAGES, sent = req.cookies })
end)

app:post("/language", function(req, res)
  local language = req:form().language
  if not GREETINGS[language] then luaserve.error(422, "there is no greeting in this language") end
  remember(res, "language", language)
  return res:redirect(303, "/")
end)

app:post("/forget", function(_, res)
  res:clearCookie("visits")
  res:clearCookie("language")
  return res:redirect(303, "/")
end)

local server
server = app:listen(tonumber(process.env.PORT) or 8080, "127.0.0.1", function()
  print("listening on http://127.0.0.1:" .. server:address().port)
end)
