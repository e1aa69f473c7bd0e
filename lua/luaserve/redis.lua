--- Redis: every command is a method. The commands of all requests share one
--- connection, which is made when the first one comes and again when it is lost;
--- what needs a connection of its own (WATCH, blocking commands, subscriptions)
--- gets one.
local core = require "luaserve.core"
local json = require "json"
local native = require("luaserve.bind").load("redis", "libhiredis-dev")
local queue = require "luaserve.queue"
local timers = require "timers"

native.null(json.null)

local M = {}

local unpack = table.unpack or unpack

local PAUSE, PAUSE_MAX = 0.1, 3 -- seconds between attempts to connect
local WATCH_ATTEMPTS = 32

-- Commands that keep their connection busy, and the server's other answers waiting.
local BLOCKING = {}
for name in ([[blpop brpop blmove brpoplpush blmpop bzpopmin bzpopmax bzmpop xread xreadgroup wait waitaof]])
  :gmatch("%S+") do
  BLOCKING[name] = true
end
-- Those that would change what the shared connection is to everybody else.
local REFUSED = { subscribe = "r:subscribe", psubscribe = "r:psubscribe", ssubscribe = "r:subscribe",
  monitor = "redis-cli", multi = "r:multi", exec = "r:multi", watch = "r:watch", select = "the option db",
  auth = "the option password", hello = "the option password", quit = "r:close", reset = "r:close" }

---@class Redis any command of Redis is a method: r:get(key), r:hset(key, {name = value}), r:zadd(key, 1, "a")
local Redis = {}
---@class Batch any command is a method, which sends nothing yet
local Batch = {}
---@class Subscription
local Subscription = {}
Subscription.__index = Subscription

--- The client behind r: its fields are no commands.
local function state_of(self)
  local client = type(self) == "table" and rawget(self, "_state")
  return client or core.raise("call the command with ':', as r:get(...)")
end

-- ---- connecting

local function described(client)
  return client.path or ("%s:%d"):format(client.host, client.port)
end

local function named(client, message, code)
  if not code then return nil, message end -- "aborted", "timeout": the request's own end
  return nil, ("redis %s: %s"):format(described(client), message), code
end

--- Says who we are, on a fresh connection.
local function greet(client, conn)
  local commands = {}
  if client.password then
    commands[1] = { "AUTH", client.username or client.password, client.username and client.password }
  end
  if client.db ~= 0 then commands[#commands + 1] = { "SELECT", client.db } end
  if #commands == 0 then return true end
  local replies, message, code = conn:pipeline(commands)
  if not replies then return nil, message, code end
  for _, reply in ipairs(replies) do
    if type(reply) == "table" then return nil, reply.message, reply.code end
  end
  return true
end

--- A new connection, ready for commands.
local function connect(client)
  local conn = native.new()
  local name = client.tls and client.tls.verify ~= false and (client.tls.servername or client.host) or nil
  local ok, message, code = conn:open(client.path or client.host, not client.path and tostring(client.port) or nil,
    client.context, name, client.timeout)
  if ok then ok, message, code = greet(client, conn) end
  if ok then return conn end
  conn:close()
  return nil, message, code
end

--- Connects in nobody's name, so that it goes on where the request that asked for
--- it is over.
local function connect_for_all(client, waiters)
  local conn, message, code = connect(client)
  client.connecting = nil
  if conn then
    client.conn, client.failures, client.failed = conn, 0, nil
  else
    client.failures = client.failures + 1
    local pause = math.min(PAUSE * 2 ^ (client.failures - 1), PAUSE_MAX)
    client.failed = { until_time = process.uptime() + pause, message = message, code = code }
  end
  if client.closed and conn then conn:close() end
  for _, waiter in ipairs(waiters) do waiter:wake() end
end

--- The shared connection; nil, message, code where there is none: at once, where
--- it could not be made a moment ago.
local function shared(client)
  while true do
    if client.closed then return nil, "the client is closed", "ECONNRESET" end
    if client.conn and client.conn:state() == "open" then return client.conn end
    client.conn = nil
    local failed = client.failed
    if failed and process.uptime() < failed.until_time then return nil, failed.message, failed.code end
    if not client.connecting then
      client.connecting = {}
      core.spawn(nil, connect_for_all, client, client.connecting)
    end
    local tries = client.connecting
    if tries then
      local waiter = core.waiter()
      table.insert(tries, waiter)
      waiter:wait()
      if not client.conn and client.failed then return nil, client.failed.message, client.failed.code end
    end
  end
end

-- ---- connections of one's own

local function wake_next(client)
  local waiter = table.remove(client.queue, 1)
  if waiter then waiter:wake(true) end
end

local function take(client)
  while true do
    if client.closed then return nil, "the client is closed", "ECONNRESET" end
    local conn = table.remove(client.idle)
    if conn then
      if conn:state() == "open" then return conn end
      conn:close() -- lost while nobody used it
      client.busy = client.busy - 1
    elseif client.busy < client.pool then
      break
    elseif not queue.wait(client.queue, client.timeout, false) then
      return nil, ("no connection became free in %g s"):format(client.timeout), "ETIMEDOUT"
    end
  end
  client.busy = client.busy + 1
  local conn, message, code = connect(client)
  if conn then return conn end
  client.busy = client.busy - 1
  wake_next(client)
  return nil, message, code
end

--- Gives one back; one that still owes an answer, which nobody waits for, is closed.
local function give(client, conn)
  local state, owed = conn:state()
  if state == "open" and owed == 0 and not client.closed then
    conn:limit(client.timeout)
    table.insert(client.idle, conn)
  else
    conn:close()
    client.busy = client.busy - 1
  end
  wake_next(client)
end

--- Runs fn(conn) with a connection of its own.
local function with_own(client, fn)
  local conn, message, code = take(client)
  if not conn then return named(client, message, code) end
  local gone = core.gone(core.context()) -- meanwhile: what it would take is for somebody else
  if gone then
    give(client, conn)
    return nil, gone
  end
  local result = { pcall(fn, conn) }
  give(client, conn)
  if not result[1] then error(result[2], 0) end
  return unpack(result, 2, 4)
end

-- ---- commands

--- Fields by name, for replies that are a list of both.
local function paired(reply)
  if type(reply) ~= "table" or reply.message then return reply end
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

local function shaped(name, reply, message, code)
  if reply == nil then return nil, message, code end
  if name == "hgetall" then return paired(reply) end
  return reply
end

local function checked(client, name, ok, reply, message, code)
  if not ok then core.raise(tostring(reply)) end
  if reply == nil and code then return named(client, message, code) end
  return shaped(name, reply, message, code)
end

local function run(client, name, ...)
  if BLOCKING[name] then
    local arguments, n = { ... }, select("#", ...)
    return with_own(client, function(conn)
      conn:limit(0) -- the command says itself how long it waits
      return checked(client, name, pcall(conn.command, conn, name, unpack(arguments, 1, n)))
    end)
  end
  local conn, message, code = shared(client)
  if not conn then return named(client, message, code) end
  return checked(client, name, pcall(conn.command, conn, name, ...))
end

--- Calls fn, or has it call back where the last argument is a function.
local function both_forms(fn, client, name, ...)
  local n = select("#", ...)
  local callback = n > 0 and (select(n, ...))
  if type(callback) ~= "function" then return fn(client, name, ...) end
  local arguments = { ... }
  core.spawn(core.context(), function()
    local value, message, code = fn(client, name, unpack(arguments, 1, n - 1))
    if value == nil and message then return callback(core.error(message, code)) end
    return callback(nil, value)
  end)
end

local function check_name(name)
  if type(name) ~= "string" or not name:find("^%a[%w_.|-]*$") then
    core.raise("the name of a command is expected, not " .. tostring(name))
  end
  local lower = name:lower()
  if REFUSED[lower] then core.raise(("%s is not for a shared connection: use %s"):format(name, REFUSED[lower])) end
  return lower
end

--- Sends any command, by its name: r:command("client", "info").
---@param name string
---@param ... string|number|table a table is written out: a list, or names and values
---@return any reply nil where it is none; nil, message, code where it failed
---@return string? message
---@return string? code the first word of Redis's error ("WRONGTYPE"), or "ECONNREFUSED", "ETIMEDOUT"...
function Redis:command(name, ...)
  return both_forms(run, state_of(self), check_name(name), ...)
end

-- ---- several at once

local function batch_of(fn)
  local batch = setmetatable({ commands = {} }, Batch)
  fn(batch)
  return batch.commands
end

function Batch.__index(_, name)
  local lower = check_name(name)
  return function(self, ...)
    local arguments = { lower, ... }
    for i = 1, select("#", ...) do
      if arguments[i + 1] == nil then core.raise("an argument of " .. name .. " is nil") end
    end
    table.insert(self.commands, arguments)
    return self
  end
end

local function shape_all(commands, replies, first)
  for i = 1, #commands do replies[i] = shaped(commands[i][1], replies[i + first - 1]) end
  return replies
end

local function check_function(fn, name)
  if type(fn) ~= "function" then core.raise(name .. " needs a function of the commands to send") end
end

local function send_batch(client, conn, commands)
  local ok, replies, message, code = pcall(conn.pipeline, conn, commands)
  if not ok then core.raise(tostring(replies)) end
  if not replies then return named(client, message, code) end
  return replies
end

--- Sends the commands that fn calls on its argument together, and returns the list
--- of their replies; that of one that failed is an error value, of nil json.null.
---@param fn fun(batch: Batch)
---@return any[]? replies nil, message, code where they could not be sent
---@return string? message
---@return string? code
function Redis:pipeline(fn)
  check_function(fn, "pipeline")
  local commands = batch_of(fn)
  if #commands == 0 then return {} end
  local client = state_of(self)
  local conn, message, code = shared(client)
  if not conn then return named(client, message, code) end
  local replies
  replies, message, code = send_batch(client, conn, commands)
  if not replies then return nil, message, code end
  return shape_all(commands, replies, 1)
end

local function transact(client, conn, commands)
  local all = { { "MULTI" } }
  for _, command in ipairs(commands) do table.insert(all, command) end
  table.insert(all, { "EXEC" })
  local replies, message, code = send_batch(client, conn, all)
  if not replies then return nil, message, code end
  local result = replies[#replies]
  if result == json.null then return nil, "another client has changed a key", "CONFLICT" end
  if result.message then -- refused: one of the commands says why
    for i = 2, #replies - 1 do
      if type(replies[i]) == "table" then return nil, replies[i].message, replies[i].code end
    end
    return nil, result.message, result.code
  end
  return shape_all(commands, result, 1)
end

--- The same as a transaction: all of them, and nothing of anybody else between.
---@param fn fun(batch: Batch)
---@return any[]? replies nil, message, code where nothing of it was done
---@return string? message
---@return string? code
function Redis:multi(fn)
  check_function(fn, "multi")
  local client, commands = state_of(self), batch_of(fn)
  local conn, message, code = shared(client)
  if not conn then return named(client, message, code) end
  return transact(client, conn, commands)
end

--- What fn of watch gets: commands on its connection, and multi.
local Watched = {}

local function watched_multi(self, fn)
  check_function(fn, "multi")
  self._done = true
  return transact(self._client, self._conn, batch_of(fn))
end

function Watched.__index(self, name)
  if name == "multi" then return watched_multi end
  local lower = check_name(name)
  return function(_, ...)
    return checked(self._client, lower, pcall(self._conn.command, self._conn, lower, ...))
  end
end

local function watch_once(client, conn, keys, fn)
  local ok, message, code = conn:command("watch", keys)
  if not ok then return named(client, message, code) end
  local watched = setmetatable({ _client = client, _conn = conn, _done = false }, Watched)
  local result = { pcall(fn, watched) }
  if not watched._done and conn:state() == "open" and not core.gone(core.context()) then conn:command("unwatch") end
  if not result[1] then error(result[2], 0) end
  return unpack(result, 2, 4)
end

--- Reads and then writes where nobody else has changed the keys meanwhile:
--- fn(w) calls commands on w and ends with w:multi(fn), and is called again where
--- somebody has.
---@param keys string|string[]
---@param fn fun(w: Redis): any
---@return any what fn returned; nil, message, "CONFLICT" after 32 attempts
---@return string? message
---@return string? code
function Redis:watch(keys, fn)
  check_function(fn, "watch")
  local client = state_of(self)
  return with_own(client, function(conn)
    local result
    for _ = 1, WATCH_ATTEMPTS do
      result = { watch_once(client, conn, keys, fn) }
      if result[1] ~= nil or result[3] ~= "CONFLICT" then break end
    end
    return unpack(result, 1, 3)
  end)
end

-- ---- messages

local function names_of(names)
  if type(names) == "string" then return { names } end
  if type(names) ~= "table" or #names == 0 then core.raise("subscribe needs the name of a channel, or a list") end
  return names
end

--- Calls the functions of those who have subscribed, each in its own request.
local function deliver(hub, message)
  local kind = message[1]
  if kind == "subscribe" or kind == "psubscribe" then
    local waiters = hub.waiting[kind .. " " .. message[2]] or {}
    hub.waiting[kind .. " " .. message[2]] = nil
    for _, waiter in ipairs(waiters) do waiter:wake(true) end
    return
  end
  if kind ~= "message" and kind ~= "pmessage" then return end
  local key = (kind == "message" and "subscribe " or "psubscribe ") .. message[2]
  local channel, text = message[#message - 1], message[#message]
  for subscription in pairs(hub.subscriptions[key] or {}) do
    core.spawn(subscription.context, subscription.fn, text, channel)
  end
end

local function listen(client, hub, conn)
  hub.conn = conn
  for key in pairs(hub.subscriptions) do
    local kind, name = key:match("^(%S+) (.*)$")
    conn:send(kind, name)
  end
  while next(hub.subscriptions) do
    local message, why, code = conn:message()
    if not message then return why, code end
    deliver(hub, message)
  end
  conn:close()
  client.hub = nil
end

local function stay(client, hub)
  local failures = 0
  while next(hub.subscriptions) and not client.closed do
    local conn, message, code = connect(client)
    if conn then
      failures = 0
      message, code = listen(client, hub, conn)
      hub.conn = nil
    end
    if not next(hub.subscriptions) or client.closed then break end
    failures = failures + 1
    for key, waiters in pairs(hub.waiting) do
      hub.waiting[key] = nil
      for _, waiter in ipairs(waiters) do waiter:wake({ message, code }) end
    end
    if failures == 1 then core.log("warn", ("redis %s: %s; subscribing again"):format(described(client), message)) end
    timers.sleep(1000 * math.min(PAUSE * 2 ^ (failures - 1), PAUSE_MAX))
  end
  if client.hub == hub then client.hub = nil end
end

local function subscribe(client, kind, names, fn)
  if type(fn) ~= "function" then core.raise("subscribe needs a function of messages") end
  local hub = client.hub or { subscriptions = {}, waiting = {} }
  local subscription = setmetatable({ hub = hub, keys = {}, fn = fn, context = core.context() }, Subscription)
  local failure
  local fresh = client.hub == nil
  client.hub = hub
  local waiters = {}
  for _, name in ipairs(names_of(names)) do
    local key = kind .. " " .. name
    subscription.keys[#subscription.keys + 1] = key
    local known = hub.subscriptions[key]
    hub.subscriptions[key] = known or {}
    hub.subscriptions[key][subscription] = true
    local waiter = core.waiter()
    hub.waiting[key] = hub.waiting[key] or {}
    table.insert(hub.waiting[key], waiter)
    waiters[#waiters + 1] = waiter
    if hub.conn then hub.conn:send(kind, name) end
  end
  local results, left, all = {}, #waiters, core.waiter()
  for _, waiter in ipairs(waiters) do
    core.spawn(core.context(), function()
      results[#results + 1] = waiter:wait()
      left = left - 1
      if left == 0 then all:wake() end
    end)
  end
  if fresh then core.spawn(nil, stay, client, hub) end
  if left > 0 then all:wait() end
  for _, result in ipairs(results) do
    if type(result) == "table" then failure = result end
  end
  if not failure then return subscription end
  subscription:unsubscribe()
  return named(client, failure[1], failure[2])
end

--- Has fn(message, channel) called for each message of a channel, from when this
--- returns; over a connection of its own, which is made again when it is lost.
---@param channels string|string[]
---@param fn fun(message: string, channel: string)
---@return Subscription? subscription nil, message, code where Redis is not there
---@return string? message
---@return string? code
function Redis:subscribe(channels, fn)
  return subscribe(state_of(self), "subscribe", channels, fn)
end

--- The same for channels whose names fit a pattern: "news.*".
---@param patterns string|string[]
---@param fn fun(message: string, channel: string)
---@return Subscription?
---@return string? message
---@return string? code
function Redis:psubscribe(patterns, fn)
  return subscribe(state_of(self), "psubscribe", patterns, fn)
end

--- Ends it.
function Subscription:unsubscribe()
  local hub = self.hub
  for _, key in ipairs(self.keys) do
    local set = hub.subscriptions[key]
    if set and set[self] then
      set[self] = nil
      if not next(set) then
        hub.subscriptions[key] = nil
        local kind, name = key:match("^(%S+) (.*)$")
        if hub.conn then hub.conn:send(kind == "subscribe" and "unsubscribe" or "punsubscribe", name) end
      end
    end
  end
end

-- ---- clients

--- Closes the connections; commands that wait end with an error.
function Redis:close()
  local client = state_of(self)
  client.closed = true
  if client.conn then client.conn:close() end
  if client.hub and client.hub.conn then client.hub.conn:close() end
  for _, conn in ipairs(client.idle) do conn:close() end
  client.idle, client.conn = {}, nil
end

--- Any other name is a command.
local function index(_, name)
  if Redis[name] then return Redis[name] end
  if type(name) ~= "string" or name:sub(1, 1) == "_" then return nil end
  local lower = check_name(name)
  local method = function(self, ...)
    return both_forms(run, state_of(self), lower, ...)
  end
  Redis[name] = method
  return method
end

--- What TLS needs; raises where the certificates are none.
local function context_of(tls)
  local ok, context = pcall(native.tls, tls.verify ~= false, tls.ca, tls.cert, tls.key)
  if not ok then core.raise("redis.connect: the option tls: " .. tostring(context)) end
  return context
end

--- A client, which connects when it is first asked. Options, or a URL
--- ("redis://user:password@host:6379/0", "rediss://" over TLS, "unix:///path"):
--- url, host ("127.0.0.1"), port (6379), path of a Unix socket, username, password,
--- db (0), tls (true, or {ca, cert, key, verify, servername}), timeout of a
--- connection and of an answer (5 seconds), pool, the connections that may be in
--- use by blocking commands and watch (10).
---@param options table|string|nil
---@return Redis
function M.connect(options)
  local client = require("luaserve.redis.options").read(options)
  client.context = client.tls and context_of(client.tls)
  client.idle, client.queue, client.busy, client.failures, client.closed = {}, {}, 0, 0, false
  return setmetatable({ _state = client }, { __index = index, __name = "Redis", __store = M.store })
end

--- What keeps sessions and limits in Redis, where `store = r` is not enough:
--- `luaserve.session { store = redis.store(r, {prefix = "shop:"}) }`. Options: prefix, of
--- its keys ("luaserve:").
---@param client Redis
---@param options {prefix: string?}?
---@return RedisStore
function M.store(client, options)
  return require("luaserve.redis.store").new(client, options)
end

M.null = json.null

return M
