--- SQLite: queries run on the thread pool, so a handler waits for its own and holds
--- up nobody. One connection writes, and who waits for it is served in turn; a few read,
--- out of one queue (src/bind/sqlite_readers.c). A database is opened when it is first asked.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local fs = require "fs"
local queue = require "luaserve.queue"
local timers = require "timers"
local native = require("luaserve.bind").load("sqlite", "libsqlite3-dev")

local M = {}

native.null(require("json").null)

local unpack = table.unpack or unpack
local KNOWN = { readers = "integer", maxResultBytes = "integer", readOnly = "boolean", timeout = "seconds" }
local TIMEOUT, LATE = 30, "late" -- seconds that a write waits for its turn; what it is woken with then
local BUSY, PAUSE = 5, 10 -- seconds; milliseconds
local MOST_KNOWN = 1000
local READS = { SELECT = true, EXPLAIN = true, VALUES = true, WITH = true }
local WRITES = { "INSERT", "UPDATE", "DELETE", "REPLACE" } -- may follow WITH

---@class Database
local Database = {}
---@class Transaction
local Transaction = {}

-- ---- connections

local function connect_once(db, reads)
  local conn = native.new()
  local ok, message, code = conn:open(db.path, reads or db.readOnly)
  if not ok then return nil, ("cannot open %s: %s"):format(db.path, message), code end
  local setup = reads and "PRAGMA query_only=1" or db.readOnly and "PRAGMA foreign_keys=1"
    or "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON"
  ok, message, code = conn:run(setup, db.limit, 0)
  if ok then return conn end
  conn:close()
  return nil, ("cannot open %s: %s"):format(db.path, message), code
end

--- One that is open, with the settings that each needs. SQLite waits where others hold
--- the file, but not where they turn it to WAL, as several processes do that begin at once.
local function connect(db, reads)
  local stop = process.uptime() + BUSY
  while true do
    local conn, message, code = connect_once(db, reads)
    if conn or code ~= "SQLITE_BUSY" or process.uptime() > stop then return conn, message, code end
    timers.sleep(PAUSE)
  end
end

local give

--- The connection that writes, made where there is none; waits in a queue where it is taken.
local take
function take(db, pool)
  if db.closed then return nil, "the database is closed", "SQLITE_MISUSE" end
  local conn = table.remove(pool.idle)
  if conn then return conn end
  if pool.count < pool.most then
    pool.count = pool.count + 1
    local message, code
    conn, message, code = connect(db, false)
    if not conn then pool.count = pool.count - 1 end
    return conn, message, code
  end
  local woken = queue.wait(pool.queue, db.timeout, LATE) -- a connection; false where one can be made
  if woken == LATE then
    return nil, ("another transaction took more than %g s: within its function call tx, not the database")
      :format(db.timeout), "SQLITE_BUSY"
  end
  return woken or take(db, pool)
end

--- Gives a connection back; one on which something still runs, since nobody waits
--- for it any more, is closed instead, which rolls back what it had begun.
function give(db, pool, conn)
  if db.closed or conn:busy() then
    conn:close()
    pool.count = pool.count - 1
    conn = nil
  end
  while pool.queue[1] do
    if table.remove(pool.queue, 1):wake(conn or false) then return end
  end
  if conn then table.insert(pool.idle, conn) end
end

--- One more of those that read; true, or nil, message, code where none could be opened.
local function open_reader(db)
  local readers = db.readers
  if db.writer.count == 0 and not db.readOnly then -- it makes the file
    local writer, why, code = take(db, db.writer)
    if not writer then return nil, why, code end
    give(db, db.writer, writer)
    if readers.count >= readers.most then return true end
  end
  readers.count = readers.count + 1
  local conn, message, code = connect(db, true)
  if conn and not db.closed then
    readers.queue:add(conn)
    return true
  end
  readers.count = readers.count - 1
  if conn then conn:close() end
  if db.closed then return nil, "the database is closed", "SQLITE_MISUSE" end
  if readers.count == 0 then readers.queue:fail(message) end
  return nil, message, code
end

local reads = {} -- by statement, whether it does; a script has few of them
local known = 0

local function does_read(sql)
  local does = reads[sql]
  if does ~= nil then return does end
  local text = sql:upper()
  local word = text:match("^[%s(]*(%u+)")
  does = READS[word or ""] or false
  for i = 1, word == "WITH" and #WRITES or 0 do
    if text:find("%f[%w_]" .. WRITES[i] .. "%f[^%w_]") then does = false end
  end
  if known == MOST_KNOWN then reads, known = {}, 0 end
  reads[sql], known = does, known + 1
  return does
end

-- ---- statements

local function check_sql(sql)
  if type(sql) ~= "string" then core.raise("the statement is a string, not a " .. type(sql)) end
end

--- Runs one on a connection; mistakes in the values are raised at the caller.
local function run_on(db, conn, sql, n, ...)
  local result = { pcall(conn.run, conn, sql, db.limit, n, ...) }
  if not result[1] then core.raise(result[2]) end
  return unpack(result, 2, 5)
end

local function checked(ok, ...)
  if not ok then core.raise((...)) end
  return ...
end

local function read(db, sql, ...)
  local readers = db.readers
  if db.closed then return nil, "the database is closed", "SQLITE_MISUSE" end
  local line = readers.queue
  if readers.count < readers.most and not line:idle() then
    local opened, message, code = open_reader(db)
    if not opened and readers.count == 0 then return nil, message, code end
    if db.closed then return nil, "the database is closed", "SQLITE_MISUSE" end
  end
  return checked(pcall(line.run, line, sql, db.limit, select("#", ...), ...))
end

local function run(db, sql, ...)
  check_sql(sql)
  if db.readers and does_read(sql) then return read(db, sql, ...) end
  local pool = db.writer
  if db.owner == core.running() then
    core.raise("this runs in a transaction of its database: call its object (tx:query), not the database's")
  end
  local conn, message, code = take(db, pool)
  if not conn then return nil, message, code end
  local result = { pcall(conn.run, conn, sql, db.limit, select("#", ...), ...) }
  give(db, pool, conn)
  if not result[1] then core.raise(result[2]) end
  return unpack(result, 2, 5)
end

local function changed(rows, changes, rowid)
  if not rows then return nil, changes, rowid end
  return { changes = changes, lastInsertRowid = rowid }
end

local function first(rows, message, code)
  if not rows then return nil, message, code end
  return rows[1]
end

local function all(rows, message, code)
  if not rows then return nil, message, code end
  return rows
end

--- Gives fn the form with a callback, where that is the last argument.
local function both_forms(fn)
  return function(self, ...)
    local n = select("#", ...)
    local callback = n > 0 and (select(n, ...))
    if type(callback) ~= "function" then return fn(self, ...) end
    local arguments = { ... }
    core.spawn(core.context(), function()
      local value, message, code = fn(self, unpack(arguments, 1, n - 1))
      if value == nil and message then return callback(core.error(message, code)) end
      return callback(nil, value)
    end)
  end
end

--- Runs a statement and returns its rows, each a table by column. Values are bound
--- to its parameters (?).
---@param sql string
---@param ... any number | string | boolean | nil | sqlite.blob, and maybe a callback(err, rows)
---@return table[]? rows nil, message, code where it failed
---@return string? message
---@return string? code "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_BUSY"...
function Database:query(sql, ...)
  return all(run(self, sql, ...))
end

--- The first row alone; nil where there is none.
---@param sql string
---@param ... any as for query
---@return table? row
---@return string? message
---@return string? code
function Database:one(sql, ...)
  return first(run(self, sql, ...))
end

--- Runs a statement that changes something; without values also several of them.
---@param sql string
---@param ... any as for query
---@return {changes: integer, lastInsertRowid: integer}?
---@return string? message
---@return string? code
function Database:exec(sql, ...)
  return changed(run(self, sql, ...))
end

--- The same within a transaction.
function Transaction:query(sql, ...)
  check_sql(sql)
  return all(run_on(self.db, self.conn, sql, select("#", ...), ...))
end

--- The same within a transaction.
function Transaction:one(sql, ...)
  check_sql(sql)
  return first(run_on(self.db, self.conn, sql, select("#", ...), ...))
end

--- The same within a transaction.
function Transaction:exec(sql, ...)
  check_sql(sql)
  return changed(run_on(self.db, self.conn, sql, select("#", ...), ...))
end

for _, class in ipairs { Database, Transaction } do
  for _, name in ipairs { "query", "one", "exec" } do class[name] = both_forms(class[name]) end
end

-- ---- transactions

local function finish(tx, ok, ...)
  local conn, gone = tx.conn, core.gone(core.context())
  tx.conn = setmetatable({}, { __index = function() error("the transaction is over", 3) end })
  if not ok or gone or conn:busy() then
    if not conn:busy() then conn:run("ROLLBACK", 0, 0) end
    if not ok then error((...), 0) end
    return nil, gone or "aborted"
  end
  local done, message, code = conn:run("COMMIT", 0, 0)
  if done then return ... end
  if not conn:busy() then conn:run("ROLLBACK", 0, 0) end
  return nil, message, code
end

local function guarded(tx, fn)
  return finish(tx, pcall(fn, tx))
end

--- Runs fn(tx) in a transaction: tx has query, one and exec. What fn raises rolls
--- it back and is raised again; so does a client that goes away meanwhile. Else it
--- is committed, and what fn returned is returned.
---@param fn fun(tx: Transaction): any
---@return any value nil, message, code where it could not begin or be committed
function Database:transaction(fn)
  if type(fn) ~= "function" then error("transaction needs a function", 2) end
  local pool = self.writer
  if self.owner == core.running() then error("a transaction cannot begin within another one", 2) end
  local conn, message, code = take(self, pool)
  if not conn then return nil, message, code end
  local begun
  begun, message, code = conn:run("BEGIN IMMEDIATE", 0, 0)
  if not begun then
    give(self, pool, conn)
    return nil, message, code
  end
  self.owner = core.running()
  local result = { pcall(guarded, setmetatable({ db = self, conn = conn }, { __index = Transaction }), fn) }
  self.owner = nil
  give(self, pool, conn)
  if not result[1] then error(result[2], 0) end
  return unpack(result, 2, 4)
end

-- ---- migrations

local function apply(tx, folder, name)
  local found, why = tx:one("SELECT 1 FROM migrations WHERE name = ?", name)
  if found then return false end
  if why then error(why, 0) end
  local text = assert(fs.readFile(folder .. "/" .. name))
  local ok, message = tx:exec(text)
  if not ok then error(("migration %s: %s"):format(name, message), 0) end
  assert(tx:exec("INSERT INTO migrations (name) VALUES (?)", name))
  return true
end

--- Runs the .sql files of a folder that have not been run yet, in the order of
--- their names, each in a transaction of its own; several processes may do so at
--- once. Raises where one fails: it is rolled back, and those before it stay.
---@param folder string relative to the script's folder
---@return string[] names of those that were run
function Database:migrate(folder)
  folder = core.beside(folder)
  local names, message = fs.readdir(folder)
  if not names then error(message, 2) end
  table.sort(names)
  assert(self:exec("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP)"))
  local applied = {}
  for _, name in ipairs(names) do
    if name:find("%.sql$") then
      local fresh, why = self:transaction(function(tx) return apply(tx, folder, name) end)
      if fresh == nil then error(why, 0) end
      if fresh then table.insert(applied, name) end
    end
  end
  return applied
end

-- ---- databases

--- Closes the connections, each when its query has ended.
function Database:close()
  self.closed = true
  for _, conn in ipairs(self.writer.idle) do conn:close() end
  self.writer.idle, self.writer.count = {}, 0
  if self.readers then self.readers.queue:close() end
end

--- A database, whose file is made when it is first asked. Options: readers, the
--- connections that read at the same time (3); maxResultBytes of one query (64
--- MiB); readOnly; timeout, seconds that a write waits for its turn (30).
---@param file string relative to the script's folder; ":memory:" for one of the process
---@param options {readers: integer?, maxResultBytes: integer?, readOnly: boolean?, timeout: number?}?
---@return Database
function M.open(file, options)
  if type(file) ~= "string" then error("sqlite.open needs the path of a file", 2) end
  options = check_options("sqlite.open", options, KNOWN)
  local most = options.readers or 3
  if most < 1 then core.raise("the option readers of sqlite.open is a whole number from 1 on") end
  local db = { limit = options.maxResultBytes or 64 * 1024 * 1024, readOnly = options.readOnly or false,
    timeout = options.timeout or TIMEOUT }
  db.path = file == ":memory:" and file or core.beside(file)
  db.writer = { idle = {}, queue = {}, count = 0, most = 1 }
  if file ~= ":memory:" then db.readers = { queue = native.readers(), count = 0, most = most } end
  return setmetatable(db, { __index = Database, __name = "Database", __store = M.store })
end

--- What keeps sessions in a database, where `store = db` is not enough:
--- `luaserve.session { store = sqlite.store(db, {table = "visits"}) }`. Options: table, its
--- name ("luaserve_sessions"); it is made when it is first needed.
---@param db Database
---@param options {table: string?}?
---@return SqliteStore
function M.store(db, options)
  return require("luaserve.sqlite.store").new(db, M.blob, options)
end

--- A value that is stored as a BLOB; strings are stored as TEXT.
---@param text string
---@return table
function M.blob(text)
  return native.blob(text)
end

--- The version of SQLite.
M.version = native.version

return M
