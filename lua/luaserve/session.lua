--- Middleware: what a server remembers of a visitor, `req.session`, a table that is
--- loaded when it is first touched and stored before the answer leaves. Where it is
--- kept is session_store.lua's business; here is the cookie, and what has changed.
---
--- The cookie says an id, or the whole session, sealed. Ids that we have not given
--- out, or that have expired, are none: a visitor gets a new one with the first
--- thing that is to be remembered, and another one with regenerate. Where a session has
--- a life of its own (remember) the cookie says that, too, signed with the id.
local check_options = require("luaserve.options").check
local cookies = require "luaserve.cookies"
local core = require "luaserve.core"
local core_session = require "luaserve.core.session"
local fields = require "luaserve.fields"
local new_error = require("luaserve").new_error
local native = require "luaserve.core.body"
local reply = require "luaserve.core.reply"
local secrets = require "luaserve.secret"
local stores = require "luaserve.session_store"
local values = require "luaserve.core.store"

local M = {}

local unpack = table.unpack or unpack
local get_metatable, set_metatable = debug.getmetatable, debug.setmetatable
local given, same, untouched = core_session.given, core_session.same, core_session.untouched

local DAY = 24 * 60 * 60
local RENEWAL = 10 -- a tenth of the time to live may pass before it is renewed
local MOST = 400 * DAY -- which browsers keep a cookie
local RESERVED = { "id", "regenerate", "destroy", "remember", "save" }
local KNOWN = { secret = "string table", store = "string table", ttl = "number", rolling = "boolean", name = "string",
  cookie = "table", onError = "string" }
local KNOWN_COOKIE = { path = "string", domain = "string", secure = "boolean", httpOnly = "boolean",
  sameSite = "string boolean", partitioned = "boolean", persistent = "boolean" }

-- ---- secrets

--- What signs ids and seals sessions; made anew where the app's secret has changed.
local function keys_of(settings, req)
  local secret = secrets.of(req, settings.secret)
  local keys = settings.keys
  if keys and keys.secret == secret then return keys end
  local list = type(secret) == "table" and secret or { secret }
  if #list == 0 then error("the secrets of a session are a list whose first one signs", 0) end
  for i = 1, #list do
    if type(list[i]) ~= "string" or #list[i] < 8 then
      error("a secret of sessions is a string of 8 bytes or more; 32 random ones are good", 0)
    end
  end
  keys = { secret = secret, list = list, signer = reply.signer(unpack(list)), memo = core_session.memo() }
  settings.keys = keys
  return keys
end

-- ---- the cookie

--- Its name. On TLS no other host of the domain can set it, where that is possible.
local function cookie_name(settings, req)
  return settings.fixed_name or fields.is_secure(req) and settings.host_name or settings.name
end

--- The seconds that the session lives.
local function life_of(state)
  return state.life or state.settings.ttl
end

--- The seconds after which the time to live is to begin anew, and the cookie to be sent again.
local function renewal_of(state)
  return state.settings.rolling and life_of(state) / RENEWAL or math.huge
end

--- Adds the cookie to the answer; value nil takes it away.
local function set_cookie(state, res, value, age)
  local settings, req = state.settings, state.req
  local cookie, options = settings.cookie, {}
  for key, option in pairs(cookie) do options[key] = option end
  options.persistent = nil
  if cookie.httpOnly == nil then options.httpOnly = true end
  if cookie.sameSite == nil then options.sameSite = "Lax" end
  if cookie.secure == nil then options.secure = fields.is_secure(req) end
  if not value then
    options.maxAge = 0
  elseif state.life or cookie.persistent ~= false then
    options.maxAge = age * 1000
  end
  res:appendHeader("Set-Cookie", cookies.format(req, cookie_name(settings, req), value or "", options, 1))
end

--- What is in the cookie: ID.SIGNATURE, or ID.LIFE.SIGNATURE where it has a life of its own.
local function cookie_text(state)
  local settings, text = state.settings, state.life and ("%s.%d"):format(state.id, state.life) or state.id
  return text .. "." .. keys_of(settings, state.req).signer:sign(settings.prefix .. text)
end

-- ---- what has changed

--- A value such that the same one means the same content.
local function print_of(name, value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return value end
  local bytes, message = values.encode(value)
  if bytes then return bytes .. "\0" end -- as no string of a script happens to be
  error(("req.session.%s: %s; a session holds strings, numbers, booleans and tables of these"):format(tostring(name),
    message), 0)
end

local function take_prints(data)
  local prints = {}
  for name, value in pairs(data) do prints[name] = print_of(name, value) end
  return prints
end

local function check_names(data)
  for i = 1, #RESERVED do
    if rawget(data, RESERVED[i]) ~= nil then
      error("req.session." .. RESERVED[i] .. " is the session's own: take another name", 0)
    end
  end
end

--- The names of what was changed, added or removed since it was loaded, of which state.bytes are the
--- record; nil: none.
local function changes_of(state)
  local bytes = state.bytes
  local data, prints, changed = state.data, bytes and take_prints((core_session.unpack(bytes))) or {}, nil
  for name, value in pairs(data) do
    if prints[name] ~= print_of(name, value) then
      changed = changed or {}
      changed[name] = true
    end
  end
  for name in pairs(prints) do
    if data[name] == nil then
      changed = changed or {}
      changed[name] = true
    end
  end
  return changed
end

-- ---- storing

local function new_id(state)
  state.id = state.id or fields.random()
  return state.id
end

--- The store cannot be asked: by choice an error, or on without a session. The log
--- hears of it once, until it can be asked again.
local function fail(state, failure, is_without)
  local settings = state.settings
  if not is_without then
    error(new_error(503, "session: " .. failure.message, { code = failure.code }), 0)
  end
  state.without = failure.message
  if failure.code and not settings.is_warned then -- else the request is over
    settings.is_warned = true
    core.log("warn", ("session: %s; going on without sessions"):format(failure.message))
  end
end

--- Passes on what a method of the store returned.
local function checked(state, result, failure)
  if failure then
    fail(state, failure, state.settings.without)
  else
    state.settings.is_warned = false
  end
  return result
end

--- Removes the entries that have been left; who logs out has to know where that fails.
local function drop_old(state)
  local dropped = state.dropped
  if not dropped then return end
  for i = 1, #dropped do
    local _, failure = state.settings.store:destroy(dropped[i])
    if failure then fail(state, failure) end
  end
  state.dropped, state.gone = nil, true
end

--- The record of what is there; raises where it cannot be kept.
local function pack(state)
  local bytes = values.encode { state.data, state.at }
  if not bytes then changes_of(state) end -- which says where
  return bytes or error("req.session: its tables are too deep", 0)
end

--- Stores what is to be stored. Returns whether the cookie has to follow.
local function store(state)
  if state.without then return false end
  local now, data, bytes, place, _ = os.time(), state.data, state.bytes, state.settings.store, nil
  local due, changed = now >= state.dueAt, not (bytes and same(data, bytes))
  if not changed and not due then return false end
  check_names(data)
  if bytes then _, state.at = core_session.unpack(bytes) end
  local empty = state.fresh and next(data) == nil
  if not empty then
    if state.fresh or state.settings.rolling and due then state.at = now end
    bytes = pack(state)
  end
  drop_old(state)
  if empty then return false end
  new_id(state)
  state.left = math.max(1, state.at + life_of(state) - now)
  local saved = checked(state, place:save(state, changed and changes_of, state.left, bytes))
  state.ended = not saved
  if not saved then return false end -- by another request
  state.fresh, state.bytes, state.dueAt = false, bytes, state.at + renewal_of(state)
  return due or place.in_cookie
end

local function commit(state, res)
  if rawget(state.req, "session") ~= state.data then
    error("req.session is a table to be filled, not to be replaced; req.session:destroy() empties it", 0)
  end
  if store(state) then
    local value = state.settings.store.in_cookie and state.sealed
    set_cookie(state, res, value or cookie_text(state), state.left)
  elseif state.gone and state.has_cookie then
    set_cookie(state, res, nil)
  end
end

-- ---- what scripts see

---@class luaserve.Session: table the data; and from its metatable:
---@field id string
local Session = {}

--- A session's metatable is its state.
local function state_of(session, name)
  local state = getmetatable(session)
  if type(state) == "table" and state.settings and state.req then return state end
  error(("call req.session:%s() with a colon"):format(name), 3)
end

local function check_open(state)
  local res = native.response(state.req)
  if not res or res.headersSent then
    error("the session's cookie is part of the answer's head, which has been sent", 3)
  end
end

--- Whoever logs in or out has to know that it was not possible.
local function check_there(state)
  if state.without then fail(state, { message = state.without }) end
end

--- Forgets the old entry with the next store.
local function leave(state)
  if not state.fresh then
    state.dropped = state.dropped or {}
    table.insert(state.dropped, state.id)
  end
  state.fresh, state.id, state.version, state.bytes, state.dueAt = true, nil, nil, nil, 0
end

--- Gives the session another id, and keeps what is in it: for when somebody logs in
--- (or out), so that an id that another knows is worth nothing.
---@return self
function Session:regenerate()
  local state = state_of(self, "regenerate")
  check_open(state)
  check_there(state)
  leave(state)
  return self
end

--- Empties the session, and forgets it: its id means nothing any more.
---@return self
function Session:destroy()
  local state = state_of(self, "destroy")
  check_open(state)
  check_there(state)
  leave(state)
  for name in pairs(state.data) do state.data[name] = nil end
  state.life = nil
  return self
end

--- Has the session live for so many seconds after its last use, in a cookie that outlives the
--- browser, whatever the options say: for those who want to stay logged in. Without seconds it is
--- as the options say again.
---@param seconds number? up to 400 days
---@return self
function Session:remember(seconds)
  local state = state_of(self, "remember")
  check_open(state)
  check_there(state)
  local valid = seconds == nil or type(seconds) == "number" and seconds >= 1 and seconds <= MOST
  if not valid then error("session:remember takes a number of seconds, from 1 to 400 days", 2) end
  state.life, state.dueAt = seconds and math.floor(seconds), 0
  return self
end

--- Stores what has changed now, and not when the answer begins: for an answer that
--- takes long. Its first store needs the cookie, and so an answer that has not begun.
---@return self? session nil, message where the request goes on without a session
---@return string? message
function Session:save()
  local state = state_of(self, "save")
  if state.fresh or state.settings.store.in_cookie then check_open(state) end
  state.saved = store(state) or state.saved
  if state.without then return nil, state.without end
  return self
end

local function index(session, name)
  if name == "id" then return new_id(getmetatable(session)) end
  return Session[name]
end

-- ---- loading

--- The whole session of its cookie.
local function unseal(state, text)
  state.has_cookie = text ~= nil
  return type(text) == "string" and state.settings.store:unseal(state, text) or nil
end

--- What a store of the script's own has of the session that the cookie says.
local function ask(state, name)
  local settings, keys = state.settings, state.keys
  local id, which, life = given(state.req, name, keys.signer, keys.memo, settings.prefix)
  if id == nil then return nil end
  state.has_cookie = true
  local data = id and checked(state, settings.store:load(state, id))
  if not data or state.at + (life or settings.ttl) <= os.time() then return nil end
  state.id, state.life, state.resign = id, life, which > 1
  return data
end

local LONG = { write = true, flushHeaders = true } -- what begins an answer that goes on

--- What was changed after the head has left is lost, and can only be a mistake.
local function check_late(res, state)
  local changed = not state.without and not state.ended and changes_of(state)
  if changed then require("luaserve.misuse").late(state.req, res, tostring(next(changed))) end
end

--- Before the head leaves. As nearly always, nothing has changed and nothing is due.
local function on_head(res, state, method)
  local bytes = state.bytes
  if LONG[method] then res:once("finish", function() return check_late(res, state) end) end
  if state.saved then
    state.dueAt = 0 -- by save, whose cookie has not been sent
  elseif bytes and untouched(state.req, state.data, bytes, state.dueAt) then
    return
  end
  return commit(state, res)
end

local State = { __index = { fresh = false, has_cookie = true, run = on_head, dueAt = 0 } }

local attach = core_session.attacher(index, State, require("luaserve.outgoing").hooked)

--- A session that is new, or not in the shared store.
local function begin(state, name)
  local req, place, data = state.req, state.settings.store, nil
  if not place.table then
    if place.in_cookie then data = unseal(state, req.cookies[name]) else data = ask(state, name) end
    local loaded = rawget(req, "session") -- by another coroutine, while a store was asked
    if loaded then return loaded end
  end
  if data then
    state.bytes = values.encode { data, state.at }
    state.dueAt = state.resign and 0 or state.at + renewal_of(state)
  else
    data, state.fresh = {}, true
  end
  state.data = data
  rawset(req, "session", setmetatable(data, setmetatable(state, State)))
  local res = native.response(req)
  if res and not res.headersSent then res:onHead(function(answer, method) return on_head(answer, state, method) end) end
  return data
end

--- The session of a request: what req.session is when it is first touched.
---@param req IncomingMessage
---@return luaserve.Session
function M.of(req)
  local settings = req._sessions
  if not settings then core.raise("req.session needs the middleware: app:use(luaserve.session())") end
  local keys, place, fixed, has_cookie = keys_of(settings, req), settings.store, settings.fixed_name, false
  if fields.trusting and not fixed then fixed = cookie_name(settings, req) end
  if place.open and not place.table then place:open() end
  if place.table then
    local data, state, message = attach(req, fixed or settings.name, keys.signer, keys.memo, settings.prefix, settings,
      place.table, settings.ttl, settings.rolling and RENEWAL or 0, not fixed and settings.host_name or nil)
    if data then
      if state then native.response(req):onHead(function(res, method) return on_head(res, state, method) end) end
      return data
    end
    if message then error("session: " .. message, 0) end
    has_cookie = data == false
  end
  return begin({ __index = index, settings = settings, keys = keys, req = req, has_cookie = has_cookie, at = 0 },
    fixed or cookie_name(settings, req))
end

-- ---- the middleware

local guarded = {} -- the metatables of requests: of those whose session has to be waited for, and of others

--- The session is filled: what is put in its place would be kept nowhere, and nil would log nobody out.
local function assign(req, name, value)
  if name == "session" then
    core.raise("req.session is a table to be filled, not to be replaced; req.session:destroy() empties it")
  end
  rawset(req, name, value)
end

--- C calls cannot wait, so where the store has to be waited for the session is looked up in Lua.
local function new_guard(meta, waits)
  local guard, computed = {}, meta.__index
  for name, value in pairs(meta) do guard[name] = value end
  guard.__newindex = assign
  if waits then
    guard.__index = function(self, name)
      if name == "session" then return M.of(self) end
      return computed(self, name)
    end
  end
  guarded[waits] = guard
  return guard
end

local function check_ttl(ttl)
  if ttl and not (ttl >= 1 and ttl <= MOST) then
    core.raise("the ttl of a session is a number of seconds, from 1 to 400 days")
  end
end

--- The cookie's name where it is the same over TLS and without.
local function fixed_name(name, cookie)
  if cookie.domain or (cookie.path or "/") ~= "/" or cookie.secure == false then return name end
  return cookie.secure and "__Host-" .. name or nil
end

--- Middleware that gives requests a `req.session`. Options: secret, a string or a list
--- whose first one signs (else the app's, else a random one); store, "shared" (the
--- default), "cookie", a client of Redis, a database of SQLite, or a table with the methods
--- get, set, touch and destroy; onError, where such a store cannot be asked: "503" (the
--- default), or "without" a session; ttl, seconds (a day); rolling, whether that begins
--- anew with each use (true); name, of the cookie ("session"); cookie, its path, domain,
--- secure, httpOnly, sameSite, partitioned, and persistent, whether it outlives the
--- browser (true).
---@param options table?
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("session", options, KNOWN)
  check_ttl(options.ttl)
  local name = options.name or "session"
  if name:find("[^%w_-]") or name == "" then
    core.raise("the name of a session's cookie is letters, digits, - and _")
  end
  local without = options.onError == "without"
  if options.onError and not without and options.onError ~= "503" then
    core.raise('the option onError of session is "503" or "without"')
  end
  local cookie = check_options("session's cookie", options.cookie, KNOWN_COOKIE)
  local settings = { without = without, secret = options.secret, ttl = options.ttl or DAY, name = name,
    rolling = options.rolling ~= false, fixed_name = fixed_name(name, cookie), host_name = "__Host-" .. name,
    prefix = "session " .. name .. "=", cookie = cookie, store = stores.new(options.store) }
  if settings.secret then keys_of(settings) end
  local waits = settings.store.waits == true
  return function(req, _, next)
    rawset(req, "_sessions", settings)
    set_metatable(req, guarded[waits] or new_guard(get_metatable(req), waits))
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
