---@meta luaserve.postgres

--- PostgreSQL, with a pool of connections.
---@class luaserve.postgres
local postgres = {}

--#region lua/luaserve/postgres.lua M=postgres. Postgres=Postgres: Transaction=PostgresTransaction: Subscription=PostgresSubscription:
---@class Postgres
local Postgres = {}

---@class PostgresTransaction
local PostgresTransaction = {}

---@class PostgresSubscription
local PostgresSubscription = {}

--- Runs a statement and returns its rows, each a table by column. Values are bound
--- to its parameters ($1, $2...).
---@param sql string
---@param ... any number | string | boolean | nil | table (as JSON) | postgres.bytea, and maybe a callback(err, rows)
---@return table[]? rows nil, message, code where it failed
---@return string? message
---@return string? code SQLSTATE ("23505"), or "ECONNREFUSED", "ETIMEDOUT"...
function Postgres:query(sql, ...) end

--- The first row alone; nil where there is none.
---@param sql string
---@param ... any as for query
---@return table? row
---@return string? message
---@return string? code
function Postgres:one(sql, ...) end

--- Runs a statement that changes something; without values also several of them.
---@param sql string
---@param ... any as for query
---@return {changes: integer, command: string}?
---@return string? message
---@return string? code
function Postgres:exec(sql, ...) end

--- Runs fn(tx) in a transaction: tx has query, one and exec. What fn raises rolls
--- it back and is raised again; so does a client that goes away meanwhile. Else it
--- is committed, and what fn returned is returned.
---@param fn fun(tx: PostgresTransaction): any
---@param isolation string? "read committed" (as the server has it), "repeatable read" or "serializable"
---@return any value nil, message, code where it could not begin or be committed
function Postgres:transaction(fn, isolation) end

--- Runs the .sql files of a folder that have not been run yet, in the order of
--- their names, each in a transaction of its own; several processes may do so at
--- once. Raises where one fails: it is rolled back, and those before it stay.
---@param folder string relative to the script's folder
---@return string[] names of those that were run
function Postgres:migrate(folder) end

--- Has fn(payload, channel) called for each NOTIFY of a channel, from when this
--- returns; over a connection of its own, which is made again when it is lost.
---@param channel string
---@param fn fun(payload: string, channel: string)
---@return PostgresSubscription? listener nil, message, code where the server is not there
---@return string? message
---@return string? code
function Postgres:listen(channel, fn) end

--- Ends it.
function PostgresSubscription:unlisten() end

--- Closes the connections, each when its query has ended.
function Postgres:close() end

--- A client, which connects when it is first asked. Options, or a URL
--- ("postgres://user:password@host:5432/database"): url, host (a name, an address,
--- or the folder of the Unix socket), port, user, password, database; pool, the
--- most connections (10); timeout of a query (30 seconds; 0: none) and
--- connectTimeout (5); prepare (true); params, further parameters of libpq
--- ({sslmode = "verify-full"}). What is left out is libpq's default.
---@param options table|string|nil
---@return Postgres
function postgres.connect(options) end

--- A value that is sent as bytes, for columns of type bytea.
---@param text string
---@return table
function postgres.bytea(text) end
--#endregion

return postgres
