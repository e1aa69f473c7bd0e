---@meta luaserve.sqlite

--- SQLite, off the loop.
---@class luaserve.sqlite
local sqlite = {}

--- What keeps sessions and counts in SQLite.
---@class SqliteStore

--#region lua/luaserve/sqlite.lua M=sqlite. Database=Database: Transaction=Transaction:
---@class Database
local Database = {}

---@class Transaction
local Transaction = {}

--- Runs a statement and returns its rows, each a table by column. Values are bound
--- to its parameters (?).
---@param sql string
---@param ... any number | string | boolean | nil | sqlite.blob, and maybe a callback(err, rows)
---@return table[]? rows nil, message, code where it failed
---@return string? message
---@return string? code "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_BUSY"...
function Database:query(sql, ...) end

--- The first row alone; nil where there is none.
---@param sql string
---@param ... any as for query
---@return table? row
---@return string? message
---@return string? code
function Database:one(sql, ...) end

--- Runs a statement that changes something; without values also several of them.
---@param sql string
---@param ... any as for query
---@return {changes: integer, lastInsertRowid: integer}?
---@return string? message
---@return string? code
function Database:exec(sql, ...) end

--- The same within a transaction.
function Transaction:query(sql, ...) end

--- The same within a transaction.
function Transaction:one(sql, ...) end

--- The same within a transaction.
function Transaction:exec(sql, ...) end

--- Runs fn(tx) in a transaction: tx has query, one and exec. What fn raises rolls
--- it back and is raised again; so does a client that goes away meanwhile. Else it
--- is committed, and what fn returned is returned.
---@param fn fun(tx: Transaction): any
---@return any value nil, message, code where it could not begin or be committed
function Database:transaction(fn) end

--- Runs the .sql files of a folder that have not been run yet, in the order of
--- their names, each in a transaction of its own; several processes may do so at
--- once. Raises where one fails: it is rolled back, and those before it stay.
---@param folder string relative to the script's folder
---@return string[] names of those that were run
function Database:migrate(folder) end

--- Closes the connections, each when its query has ended.
function Database:close() end

--- A database, whose file is made when it is first asked. Options: readers, the
--- connections that read at the same time (3); maxResultBytes of one query (64
--- MiB); readOnly; timeout, seconds that a write waits for its turn (30).
---@param file string relative to the script's folder; ":memory:" for one of the process
---@param options {readers: integer?, maxResultBytes: integer?, readOnly: boolean?, timeout: number?}?
---@return Database
function sqlite.open(file, options) end

--- What keeps sessions in a database, where `store = db` is not enough:
--- `luaserve.session { store = sqlite.store(db, {table = "visits"}) }`. Options: table, its
--- name ("luaserve_sessions"); it is made when it is first needed.
---@param db Database
---@param options {table: string?}?
---@return SqliteStore
function sqlite.store(db, options) end

--- A value that is stored as a BLOB; strings are stored as TEXT.
---@param text string
---@return table
function sqlite.blob(text) end
--#endregion

return sqlite
