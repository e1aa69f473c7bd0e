--- Sessions in a database of SQLite, for one machine: a row for each. A change is put
--- into what is there, and stored where nobody has stored since; else once more.
--- What has expired is swept out now and then.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local values = require "luaserve.core.store"

local M = {}

local KNOWN = { table = "string" }
local SWEEP = 60 -- seconds from one to the next, in a process
local SWEPT = 1000 -- rows that one statement removes, while others wait to write

local MAKE = [[
CREATE TABLE IF NOT EXISTS "%s" (id TEXT PRIMARY KEY, data BLOB NOT NULL, at REAL NOT NULL,
  version INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "%s_expires" ON "%s" (expires)]]

local STATEMENTS = {
  get = [[SELECT data, at, version FROM "%s" WHERE id = ? AND expires > ?]],
  insert = [[INSERT OR REPLACE INTO "%s" (id, data, at, version, expires) VALUES (?, ?, ?, 1, ?)]],
  update = [[UPDATE "%s" SET data = ?, at = ?, expires = max(expires, ?), version = version + 1
    WHERE id = ? AND version = ?]],
  touch = [[UPDATE "%s" SET at = max(at, ?), expires = max(expires, ?) WHERE id = ? AND expires > ?]],
  destroy = [[DELETE FROM "%s" WHERE id = ?]],
  sweep = [[DELETE FROM "%s" WHERE id IN (SELECT id FROM "%s" WHERE expires <= ? LIMIT ]] .. SWEPT .. ")",
}

---@class SqliteStore
local Store = {}
Store.__index = Store

--- Makes the table when it is first needed.
local function ready(self)
  if self.made then return true end
  local name = self.table
  local done, message, code = self.db:exec(MAKE:format(name, name, name))
  if not done then return nil, message, code end
  self.made = true
  return true
end

--- Runs a statement that changes something: how many rows it did.
local function change_rows(self, name, ...)
  local done, message, code = ready(self)
  if done then done, message, code = self.db:exec(self.sql[name], ...) end
  if not done then return nil, message, code end
  return done.changes
end

local function row_of(self, id)
  local done, message, code = ready(self)
  if not done then return nil, message, code end
  return self.db:one(self.sql.get, id, os.time())
end

-- ---- what has expired

local function sweep(self)
  repeat
    local changes = change_rows(self, "sweep", os.time())
  until changes ~= SWEPT
end

local function sweep_now_and_then(self)
  local now = process.uptime()
  if now < self.next_sweep then return end
  self.next_sweep = now + SWEEP
  core.spawn(nil, sweep, self) -- in nobody's name
end

-- ---- sessions

--- The record of a session; nil where there is none.
---@param id string
---@return {data: table, at: number}?
---@return string? message
---@return string? code
function Store:get(id)
  local row, message, code = row_of(self, id)
  if not row then return nil, message, code end
  return { data = values.decode(row.data), at = row.at }
end

local function bytes_of(self, data)
  return self.blob((values.encode(data)))
end

local function insert(self, id, change, expires)
  local changes, message, code = change_rows(self, "insert", id, bytes_of(self, change.set), change.at, expires)
  if not changes then return nil, message, code end
  sweep_now_and_then(self)
  return true
end

--- Changes a session: sets and removes names, and nothing else of it.
---@param id string
---@param change {set: table, remove: any[], at: number, new: boolean}
---@param ttl number seconds
---@return boolean? done false where there is none, and it is not new; nil, message, code
---@return string? message
---@return string? code
function Store:update(id, change, ttl)
  local now = os.time()
  local expires = now + ttl
  if change.new then return insert(self, id, change, expires) end
  local changes, message, code
  if next(change.set) == nil and #change.remove == 0 then
    changes, message, code = change_rows(self, "touch", change.at, expires, id, now)
    if not changes then return nil, message, code end
    return changes > 0
  end
  repeat
    local row
    row, message, code = row_of(self, id)
    if not row then
      if message then return nil, message, code end
      return false
    end
    local data = values.decode(row.data)
    for name, value in pairs(change.set) do data[name] = value end
    for _, name in ipairs(change.remove) do data[name] = nil end
    changes, message, code = change_rows(self, "update", bytes_of(self, data), math.max(row.at, change.at), expires,
      id, row.version)
    if not changes then return nil, message, code end
  until changes > 0
  return true
end

--- Removes a session.
---@param id string
---@return boolean? done nil, message, code
---@return string? message
---@return string? code
function Store:destroy(id)
  local changes, message, code = change_rows(self, "destroy", id)
  if not changes then return nil, message, code end
  return true
end

-- ----

--- A store of sessions in a table of a database. Options: table, its name
--- ("luaserve_sessions").
---@param db Database
---@param blob fun(text: string): table
---@param options {table: string?}?
---@return SqliteStore
function M.new(db, blob, options)
  local meta = getmetatable(db)
  if type(db) ~= "table" or type(meta) ~= "table" or meta.__name ~= "Database" then
    core.raise("sqlite.store needs a database: sqlite.store(sqlite.open(file), options)")
  end
  options = check_options("sqlite.store", options, KNOWN)
  local name = options.table or "luaserve_sessions"
  if not name:find("^[%a_][%w_]*$") then core.raise("the table of sqlite.store is letters, digits and _") end
  local self = { db = db, blob = blob, table = name, sql = {}, next_sweep = 0 }
  for statement, text in pairs(STATEMENTS) do self.sql[statement] = text:gsub("%%s", name) end
  return setmetatable(self, Store)
end

return M
