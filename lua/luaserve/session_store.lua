--- Where sessions are kept: in the store that all workers share, in the visitor's
--- cookie, or in what a script brings. Each is an object with load, save and destroy,
--- which return nil and a table {message, code} where what a script brought fails.
--- What is kept is the data and the time from which its life counts. Two requests that
--- change one session at once: what each has changed is put into what is there then.
local core = require "luaserve.core"
local resolve_store = require("luaserve.options").store
local crypto = require "crypto"
local native = require "luaserve.core.store"
local read, swap = require("luaserve.core.session").read, require("luaserve.core.session").swap
local unbase64 = require("luaserve.core.crypto").unbase64

local M = {}

local TABLE = "sessions"
local MOST = 4096 -- bytes of a cookie: RFC 6265 6.1

local function fail(message)
  error("session: " .. tostring(message), 0)
end

local function open(name)
  local opened, message = native.open(name, 0)
  return opened or fail(message)
end

--- Puts what a request has changed, names, into what is there.
local function merge(into, state, names)
  for name in pairs(names or {}) do into[name] = state.data[name] end
  return into
end

-- ---- shared by the workers

local Shared = {}
Shared.__index = Shared

--- The table is read by C (luaserve.core.session), together with the cookie.
function Shared:open()
  self.table = self.table or open(TABLE)
end

--- Stores all of it, bytes, where nobody has since it was loaded, else what was changed. What is there once we
--- have stored may be another's, too: state.version is false then, and nothing is stored whole again.
function Shared:save(state, changes_of, left, bytes)
  local sessions, version, names = self.table, state.version, nil
  if version == nil then version = 0 end
  while true do
    local done, message = false, nil
    if version then done, message = swap(sessions, state.id, version, bytes, left) end
    if done then break end
    if done == nil then fail(message) end
    local data, why, _, now = read(sessions, state.id)
    if not data then return why and fail(why) or false end -- another request has ended it
    names = names or changes_of and changes_of(state)
    bytes, version = native.encode { merge(data, state, names), state.at }, now
  end
  state.version = false
  return true
end

function Shared:destroy(id)
  local done, message = self.table:delete(id)
  if done == nil then fail(message) end
end

-- ---- in the cookie

local Cookie = { in_cookie = true }
Cookie.__index = Cookie

--- The keys of the secrets, in their order.
local function seal_keys(state)
  local keys = state.keys
  if not keys.seal then
    keys.seal = {}
    for i, secret in ipairs(keys.list) do
      keys.seal[i] = crypto.createHmac("sha256", secret):update("luaserve session in a cookie"):digest()
    end
  end
  return keys.seal
end

function Cookie.unseal(_, state, text)
  local bytes = unbase64(text)
  for i, key in ipairs(bytes and seal_keys(state) or {}) do
    local plain = crypto.open(bytes, key, state.settings.name)
    local record = plain and native.decode(plain)
    if record then
      if record[2] + (record[4] or state.settings.ttl) <= os.time() then return nil end
      state.id, state.at, state.life, state.resign = record[3], record[2], record[4], i > 1
      return record[1]
    end
  end
end

local function base64url(bytes)
  return (require("luaserve.core.cipher").base64url(bytes))
end

function Cookie.save(_, state)
  local plain = native.encode({ state.data, state.at, state.id, state.life })
  local text = base64url(crypto.seal(plain, seal_keys(state)[1], state.settings.name))
  if #text > MOST - 200 then
    fail(("it takes %d bytes in a cookie, and browsers keep %d: keep less in it, or use store = \"shared\"")
      :format(#text, MOST - 200))
  end
  state.sealed = text
  return true
end

function Cookie:destroy() end -- luacheck: ignore

-- ---- the script's own

local Own = { waits = true }
Own.__index = Own

--- What a method of a store could not do; methods return it behind nil.
local function failure_of(message, code)
  return { message = tostring(message), code = code }
end

local function ask(self, id)
  local record, message, code = self.own:get(id)
  if record == nil and message then return nil, failure_of(message, code) end
  if record == nil then return nil end
  if type(record) ~= "table" or type(record.data) ~= "table" then
    fail("get of the store has to return what set was given, or nil")
  end
  return record
end

function Own:load(state, id)
  local record, failure = ask(self, id)
  if not record then return nil, failure end
  state.at, state.version = tonumber(record.at) or 0, 1
  return record.data
end

--- Whether a method that returns nothing of interest has done it.
local function outcome(done, message, code)
  if done == nil and message then return nil, failure_of(message, code) end
  return true
end

--- For stores that put together themselves what several requests change.
local function update(self, state, changed, left)
  local change = { at = state.at, new = not state.version, set = {}, remove = {} }
  for name in pairs(changed or {}) do
    if state.data[name] == nil then
      table.insert(change.remove, name)
    else
      change.set[name] = state.data[name]
    end
  end
  local done, message, code = self.own:update(state.id, change, left)
  if done == nil then return nil, failure_of(message or "update of the store has to return true or false", code) end
  return done
end

local function replace(self, state, changed, left)
  local data = state.data
  if state.version then -- it was there
    local record, failure = ask(self, state.id)
    if not record then return failure == nil and false or nil, failure end
    if not changed then
      return outcome(self.own:touch(state.id, left, { data = record.data, at = state.at }))
    end
    data = merge(record.data, state, changed)
  end
  local plain = {}
  for name, value in pairs(data) do plain[name] = value end
  return outcome(self.own:set(state.id, { data = plain, at = state.at }, left))
end

function Own:save(state, changes_of, left)
  local changed = changes_of and changes_of(state)
  local done, failure = (self.own.update and update or replace)(self, state, changed, left)
  if done then state.version = 1 end
  return done, failure
end

function Own:destroy(id)
  return outcome(self.own:destroy(id))
end

-- ----

local function has_methods(store, ...)
  for _, name in ipairs { ... } do
    if type(store) ~= "table" or type(store[name]) ~= "function" then return false end
  end
  return true
end

--- The place that the option store means.
---@param store string|table|nil
---@return table
function M.new(store)
  if store == nil or store == "shared" then return setmetatable({}, Shared) end
  if store == "cookie" then return setmetatable({}, Cookie) end
  store = resolve_store(store)
  if not (has_methods(store, "get", "update", "destroy") or has_methods(store, "get", "set", "touch", "destroy")) then
    core.raise('the store of sessions is "shared", "cookie", a client of Redis, a database of SQLite, or a table with '
      .. "the methods get, set, touch and destroy")
  end
  return setmetatable({ own = store }, Own)
end

return M
