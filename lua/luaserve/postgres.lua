--- PostgreSQL: a pool of connections, each with one query in flight; who waits
--- for one is served in turn. They are made when they are needed. Calls are those
--- of luaserve.sqlite.
local core = require "luaserve.core"
local fs = require "fs"
local json = require "json"
local native = require("luaserve.bind").load("postgres", "libpq-dev")
local options_of = require "luaserve.postgres.options"
local queue = require "luaserve.queue"
local timers = require "timers"

local M = {}

local unpack = table.unpack or unpack

local PAUSE, PAUSE_MAX = 0.1, 3 -- seconds between attempts to connect
local STATEMENTS = 256 -- that a connection keeps prepared
local STALE = { ["26000"] = true, ["0A000"] = true } -- of a statement that was prepared before the tables changed
local ISOLATION = { ["read committed"] = true, ["repeatable read"] = true, serializable = true }

---@class Postgres
local Postgres = {}
---@class PostgresTransaction
local Transaction = {}
---@class PostgresSubscription
local Subscription = {}
Subscription.__index = Subscription

--- The client behind pg.
local function state_of(self)
  return type(self) == "table" and rawget(self, "_state") or core.raise("call the method with ':', as pg:query(...)")
end

-- ---- connections

--- Names are looked up off the loop, which libpq would not do.
local function address_of(client)
  local host = client.params.host
  if not host or host:sub(1, 1) == "/" or client.params.hostaddr then return nil end
  return require("luaserve.core.dns").lookup(host, 0)
end

local function connect(client)
  local pairs_of = {}
  local address, message, code = address_of(client)
  if not address and message then return nil, message, code end
  for name, value in pairs(client.params) do
    pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = name, value
  end
  if address then pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = "hostaddr", address end
  local conn = native.new()
  local ok
  ok, message, code = conn:connect(pairs_of, client.connectTimeout)
  if not ok then
    conn:close()
    return nil, message, code
  end
  conn:limit(client.timeout)
  client.statements[conn] = { count = 0, names = {} }
  return conn
end

local function named(client, message, code)
  if not code then return nil, message end -- "aborted", "timeout": the request's own end
  if message:find(client.where, 1, true) or message:find("connection to server", 1, true) then
    return nil, "postgres: " .. message, code
  end
  return nil, ("postgres %s: %s"):format(client.where, message), code
end

local function wake_next(client)
  local waiter = table.remove(client.queue, 1)
  if waiter then waiter:wake(true) end
end

local function take(client)
  while true do
    if client.closed then return nil, "the client is closed", "ECONNRESET" end
    local conn = table.remove(client.idle)
    if conn then
      if conn:state() == "idle" then return conn end
      conn:close()
      client.count = client.count - 1
    elseif client.count < client.pool then
      break
    elseif not queue.wait(client.queue, client.timeout > 0 and client.timeout or nil, false) then
      return nil, ("no connection became free in %g s"):format(client.timeout), "ETIMEDOUT"
    end
  end
  local failed = client.failed
  if failed and process.uptime() < failed.until_time then return nil, failed.message, failed.code end
  client.count = client.count + 1
  local conn, message, code = connect(client)
  if conn then
    client.failures, client.failed = 0, nil
    return conn
  end
  client.count = client.count - 1
  if code then
    client.failures = client.failures + 1
    client.failed = { message = message, code = code,
      until_time = process.uptime() + math.min(PAUSE * 2 ^ (client.failures - 1), PAUSE_MAX) }
  end
  wake_next(client)
  return nil, message, code
end

--- Gives one back; one whose query nobody waits for any more, or that is within a
--- transaction, is closed.
local function give(client, conn)
  local state, transaction = conn:state()
  if state == "idle" and transaction == "idle" and not client.closed then
    table.insert(client.idle, conn)
  else
    conn:close()
    client.count = client.count - 1
  end
  wake_next(client)
end

-- ---- statements

--- Values as they are sent: nil and json.null are NULL, tables JSON.
local function values_of(n, ...)
  local values = { ... }
  for i = 1, n do
    local value = values[i]
    if value == json.null then
      values[i] = nil
    elseif type(value) == "table" and getmetatable(value) ~= M.bytea_meta then
      values[i] = json.encode(value)
    end
  end
  return values
end

local function prepared(client, conn, sql)
  local statements = client.statements[conn]
  if not client.prepare or not statements then return nil end
  local name = statements.names[sql]
  if name or statements.count == STATEMENTS then return name end
  statements.count = statements.count + 1
  name = "s" .. statements.count
  local ok, message, code = conn:prepare(name, sql)
  if not ok then return nil, message, code end
  statements.names[sql] = name
  return name
end

local function run_once(client, conn, sql, n, values)
  local name, message, code
  if n > 0 then
    name, message, code = prepared(client, conn, sql)
    if message then return nil, message, code end
  end
  local result = { pcall(conn.run, conn, name or sql, name ~= nil, n, unpack(values, 1, n)) }
  if not result[1] then core.raise(result[2]) end
  return unpack(result, 2, 5)
end

local function decode(rows, columns)
  for _, row in ipairs(rows) do
    for _, name in ipairs(columns or {}) do
      if row[name] ~= nil then row[name] = json.decode(row[name]) end
    end
  end
  return rows
end

--- Runs a statement on a connection; once more where it was prepared for tables
--- that have changed.
local function run_on(client, conn, sql, n, ...)
  local values = values_of(n, ...)
  local rows, changes, command, columns = run_once(client, conn, sql, n, values)
  local statements = client.statements[conn]
  if not rows and STALE[command] and statements and statements.names[sql] then
    statements.names[sql] = nil
    if select(2, conn:state()) == "idle" then
      rows, changes, command, columns = run_once(client, conn, sql, n, values)
    end
  end
  if not rows then return named(client, changes, command) end
  return decode(rows, columns), changes, command
end

local function check_sql(sql)
  if type(sql) ~= "string" then core.raise("the statement is a string, not a " .. type(sql)) end
  if sql:find("%z") then core.raise("the statement has a zero byte in it") end
end

local function run(client, sql, ...)
  local conn, message, code = take(client)
  if not conn then return named(client, message, code) end
  local result = { pcall(run_on, client, conn, sql, select("#", ...), ...) }
  give(client, conn)
  if not result[1] then error(result[2], 0) end
  return unpack(result, 2, 4)
end

-- What query, one and exec return of it.
local SHAPES = {
  query = function(rows, message, code)
    if not rows then return nil, message, code end
    return rows
  end,
  one = function(rows, message, code)
    if not rows then return nil, message, code end
    return rows[1]
  end,
  exec = function(rows, changes, command)
    if not rows then return nil, changes, command end
    return { changes = changes, command = command }
  end,
}

--- Calls fn, or has it call back where the last argument is a function.
local function both_forms(fn, ...)
  local n = select("#", ...)
  local callback = n > 0 and (select(n, ...))
  if type(callback) ~= "function" then return fn(...) end
  local arguments = { ... }
  core.spawn(core.context(), function()
    local value, message, code = fn(unpack(arguments, 1, n - 1))
    if value == nil and message then return callback(core.error(message, code)) end
    return callback(nil, value)
  end)
end

local function method(shape)
  return function(client, sql, ...)
    return SHAPES[shape](run(client, sql, ...))
  end
end

local query, one, exec = method("query"), method("one"), method("exec")

--- Runs a statement and returns its rows, each a table by column. Values are bound
--- to its parameters ($1, $2...).
---@param sql string
---@param ... any number | string | boolean | nil | table (as JSON) | postgres.bytea, and maybe a callback(err, rows)
---@return table[]? rows nil, message, code where it failed
---@return string? message
---@return string? code SQLSTATE ("23505"), or "ECONNREFUSED", "ETIMEDOUT"...
function Postgres:query(sql, ...)
  check_sql(sql)
  return both_forms(query, state_of(self), sql, ...)
end

--- The first row alone; nil where there is none.
---@param sql string
---@param ... any as for query
---@return table? row
---@return string? message
---@return string? code
function Postgres:one(sql, ...)
  check_sql(sql)
  return both_forms(one, state_of(self), sql, ...)
end

--- Runs a statement that changes something; without values also several of them.
---@param sql string
---@param ... any as for query
---@return {changes: integer, command: string}?
---@return string? message
---@return string? code
function Postgres:exec(sql, ...)
  check_sql(sql)
  return both_forms(exec, state_of(self), sql, ...)
end

-- ---- transactions

local function within(shape)
  return function(self, sql, ...)
    check_sql(sql)
    if not self._conn then core.raise("the transaction is over") end
    return both_forms(function(...)
      return SHAPES[shape](run_on(self._client, self._conn, sql, select("#", ...), ...))
    end, ...)
  end
end

--- The same within a transaction.
Transaction.query = within("query")
Transaction.one = within("one")
Transaction.exec = within("exec")

local function finish(client, conn, tx, ok, ...)
  tx._conn = nil
  local gone = core.gone(core.context())
  local _, transaction = conn:state()
  if not ok or gone or transaction ~= "transaction" then
    if conn:state() == "idle" then conn:run("ROLLBACK", false, 0) end
    if not ok then error((...), 0) end
    if gone then return nil, gone end
    if (...) == nil and select(2, ...) ~= nil then return ... end -- what failed, and was given back as it is
    return nil, "a statement of the transaction has failed: it was rolled back", "25P02"
  end
  local done, message, code = conn:run("COMMIT", false, 0)
  if not done then return named(client, message, code) end
  return ...
end

local function guarded(client, conn, fn)
  local tx = setmetatable({ _client = client, _conn = conn }, { __index = Transaction })
  return finish(client, conn, tx, pcall(fn, tx))
end

--- Runs fn(tx) in a transaction: tx has query, one and exec. What fn raises rolls
--- it back and is raised again; so does a client that goes away meanwhile. Else it
--- is committed, and what fn returned is returned.
---@param fn fun(tx: PostgresTransaction): any
---@param isolation string? "read committed" (as the server has it), "repeatable read" or "serializable"
---@return any value nil, message, code where it could not begin or be committed
function Postgres:transaction(fn, isolation)
  local client = state_of(self)
  if type(fn) ~= "function" then core.raise("transaction needs a function") end
  if isolation and not ISOLATION[isolation] then core.raise("there is no isolation " .. tostring(isolation)) end
  local conn, message, code = take(client)
  if not conn then return named(client, message, code) end
  local begun
  begun, message, code = conn:run("BEGIN" .. (isolation and " ISOLATION LEVEL " .. isolation or ""), false, 0)
  if not begun then
    give(client, conn)
    return named(client, message, code)
  end
  local result = { pcall(guarded, client, conn, fn) }
  give(client, conn)
  if not result[1] then error(result[2], 0) end
  return unpack(result, 2, 4)
end

-- ---- migrations

local function apply(tx, folder, name)
  assert(tx:exec("LOCK TABLE migrations"))
  local found, why = tx:one("SELECT 1 FROM migrations WHERE name = $1", name)
  if found then return false end
  if why then error(why, 0) end
  local ok, message = tx:exec(assert(fs.readFile(folder .. "/" .. name)))
  if not ok then error(("migration %s: %s"):format(name, message), 0) end
  assert(tx:exec("INSERT INTO migrations (name) VALUES ($1)", name))
  return true
end

--- Runs the .sql files of a folder that have not been run yet, in the order of
--- their names, each in a transaction of its own; several processes may do so at
--- once. Raises where one fails: it is rolled back, and those before it stay.
---@param folder string relative to the script's folder
---@return string[] names of those that were run
function Postgres:migrate(folder)
  state_of(self)
  folder = core.beside(folder)
  local names, message = fs.readdir(folder)
  if not names then core.raise(tostring(message)) end
  table.sort(names)
  local made, why = self:transaction(function(tx)
    assert(tx:exec("SELECT pg_advisory_xact_lock(5287016)")) -- CREATE IF NOT EXISTS may collide with itself
    return tx:exec("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())")
  end)
  if not made then error(why, 0) end
  local applied = {}
  for _, name in ipairs(names) do
    if name:find("%.sql$") then
      local fresh
      fresh, why = self:transaction(function(tx) return apply(tx, folder, name) end)
      if fresh == nil then error(why, 0) end
      if fresh then table.insert(applied, name) end
    end
  end
  return applied
end

-- ---- notifications

local function quoted(name)
  return '"' .. name:gsub('"', '""') .. '"'
end

local function wake_all(hub, result)
  local waiters = hub.waiters
  hub.waiters = {}
  for _, waiter in ipairs(waiters) do waiter:wake(result) end
end

local function hear(hub, conn)
  for name in pairs(hub.channels) do
    local ok, message, code = conn:run("LISTEN " .. quoted(name), false, 0)
    if not ok then return message, code end
  end
  hub.conn = conn
  wake_all(hub, true)
  while next(hub.channels) do
    local payload, channel, code = conn:notification()
    if not payload then return channel, code end
    for subscription in pairs(hub.channels[channel] or {}) do
      core.spawn(subscription.context, subscription.fn, payload, channel)
    end
  end
end

local function stay(client, hub)
  local failures = 0
  while next(hub.channels) and not client.closed do
    local conn, message, code = connect(client)
    if conn then
      failures = 0
      message, code = hear(hub, conn)
      hub.conn = nil
      conn:close()
    end
    if not next(hub.channels) or client.closed then break end
    failures = failures + 1
    wake_all(hub, { message, code })
    if not next(hub.channels) then break end
    if failures == 1 then core.log("warn", ("postgres %s: %s; listening again"):format(client.where, message)) end
    timers.sleep(1000 * math.min(PAUSE * 2 ^ (failures - 1), PAUSE_MAX))
  end
  if client.hub == hub then client.hub = nil end
end

--- Tells the server of a channel; waits until it has heard.
local function announce(hub, name)
  while hub.conn and hub.conn:state() == "busy" do timers.sleep(1) end
  if not hub.conn then
    local waiter = core.waiter()
    table.insert(hub.waiters, waiter)
    return waiter:wait()
  end
  local ok, message, code = hub.conn:run("LISTEN " .. quoted(name), false, 0)
  return ok and true or { message, code }
end

--- Has fn(payload, channel) called for each NOTIFY of a channel, from when this
--- returns; over a connection of its own, which is made again when it is lost.
---@param channel string
---@param fn fun(payload: string, channel: string)
---@return PostgresSubscription? listener nil, message, code where the server is not there
---@return string? message
---@return string? code
function Postgres:listen(channel, fn)
  local client = state_of(self)
  if type(channel) ~= "string" or type(fn) ~= "function" then
    core.raise("listen needs the name of a channel and a function of its messages")
  end
  local hub = client.hub
  local subscription = setmetatable({ fn = fn, context = core.context(), channel = channel }, Subscription)
  if not hub then
    hub = { channels = {}, waiters = {} }
    client.hub = hub
  end
  subscription.hub, subscription.client = hub, client
  hub.channels[channel] = hub.channels[channel] or {}
  hub.channels[channel][subscription] = true
  if not hub.runs then
    hub.runs = true
    core.defer(function() core.spawn(nil, stay, client, hub) end)
  end
  local result = announce(hub, channel)
  if result == true then return subscription end
  subscription:unlisten()
  return named(client, result[1], result[2])
end

--- Ends it.
function Subscription:unlisten()
  local hub = self.hub
  local set = hub.channels[self.channel]
  if not set or not set[self] then return end
  set[self] = nil
  if next(set) then return end
  hub.channels[self.channel] = nil
  if not next(hub.channels) then -- whoever listens from now on begins anew
    if self.client.hub == hub then self.client.hub = nil end
    if hub.conn then hub.conn:close() end
  elseif hub.conn and hub.conn:state() == "idle" then
    hub.conn:run("UNLISTEN " .. quoted(self.channel), false, 0)
  end
end

-- ---- clients

--- Closes the connections, each when its query has ended.
function Postgres:close()
  local client = state_of(self)
  client.closed = true
  for _, conn in ipairs(client.idle) do conn:close() end
  client.idle = {}
  if client.hub and client.hub.conn then client.hub.conn:close() end
end

--- A client, which connects when it is first asked. Options, or a URL
--- ("postgres://user:password@host:5432/database"): url, host (a name, an address,
--- or the folder of the Unix socket), port, user, password, database; pool, the
--- most connections (10); timeout of a query (30 seconds; 0: none) and
--- connectTimeout (5); prepare (true); params, further parameters of libpq
--- ({sslmode = "verify-full"}). What is left out is libpq's default.
---@param options table|string|nil
---@return Postgres
function M.connect(options)
  local client = options_of.read(options)
  client.idle, client.queue, client.count, client.failures, client.closed = {}, {}, 0, 0, false
  client.statements = setmetatable({}, { __mode = "k" })
  return setmetatable({ _state = client }, { __index = Postgres, __name = "Postgres" })
end

--- A value that is sent as bytes, for columns of type bytea.
---@param text string
---@return table
function M.bytea(text)
  return native.bytea(text)
end

M.bytea_meta = getmetatable(native.bytea(""))

return M
