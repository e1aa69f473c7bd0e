---@meta luaserve.redis

--- A client of Redis: every command is a method.
---@class luaserve.redis
local redis = {}

--- No reply, within lists.
redis.null = require("json").null

--- What keeps sessions and counts in Redis: luaserve.session { store = r }.
---@class RedisStore

--- Any command: r:get(key), r:set(key, value, "EX", 60), r:hset(key, { name = "kim" }).
---@class Redis
---@field [string] fun(self: Redis, ...: any): any, string?, string?

---@class Batch
---@field [string] fun(self: Batch, ...: any)

--#region lua/luaserve/redis.lua M=redis. Redis=Redis: Subscription=Subscription:
---@class Redis any command of Redis is a method: r:get(key), r:hset(key, {name = value}), r:zadd(key, 1, "a")
local Redis = {}

---@class Batch any command is a method, which sends nothing yet

---@class Subscription
local Subscription = {}

--- Sends any command, by its name: r:command("client", "info").
---@param name string
---@param ... string|number|table a table is written out: a list, or names and values
---@return any reply nil where it is none; nil, message, code where it failed
---@return string? message
---@return string? code the first word of Redis's error ("WRONGTYPE"), or "ECONNREFUSED", "ETIMEDOUT"...
function Redis:command(name, ...) end

--- Sends the commands that fn calls on its argument together, and returns the list
--- of their replies; that of one that failed is an error value, of nil json.null.
---@param fn fun(batch: Batch)
---@return any[]? replies nil, message, code where they could not be sent
---@return string? message
---@return string? code
function Redis:pipeline(fn) end

--- The same as a transaction: all of them, and nothing of anybody else between.
---@param fn fun(batch: Batch)
---@return any[]? replies nil, message, code where nothing of it was done
---@return string? message
---@return string? code
function Redis:multi(fn) end

--- Reads and then writes where nobody else has changed the keys meanwhile:
--- fn(w) calls commands on w and ends with w:multi(fn), and is called again where
--- somebody has.
---@param keys string|string[]
---@param fn fun(w: Redis): any
---@return any what fn returned; nil, message, "CONFLICT" after 32 attempts
---@return string? message
---@return string? code
function Redis:watch(keys, fn) end

--- Has fn(message, channel) called for each message of a channel, from when this
--- returns; over a connection of its own, which is made again when it is lost.
---@param channels string|string[]
---@param fn fun(message: string, channel: string)
---@return Subscription? subscription nil, message, code where Redis is not there
---@return string? message
---@return string? code
function Redis:subscribe(channels, fn) end

--- The same for channels whose names fit a pattern: "news.*".
---@param patterns string|string[]
---@param fn fun(message: string, channel: string)
---@return Subscription?
---@return string? message
---@return string? code
function Redis:psubscribe(patterns, fn) end

--- Ends it.
function Subscription:unsubscribe() end

--- Closes the connections; commands that wait end with an error.
function Redis:close() end

--- A client, which connects when it is first asked. Options, or a URL
--- ("redis://user:password@host:6379/0", "rediss://" over TLS, "unix:///path"):
--- url, host ("127.0.0.1"), port (6379), path of a Unix socket, username, password,
--- db (0), tls (true, or {ca, cert, key, verify, servername}), timeout of a
--- connection and of an answer (5 seconds), pool, the connections that may be in
--- use by blocking commands and watch (10).
---@param options table|string|nil
---@return Redis
function redis.connect(options) end

--- What keeps sessions and limits in Redis, where `store = r` is not enough:
--- `luaserve.session { store = redis.store(r, {prefix = "shop:"}) }`. Options: prefix, of
--- its keys ("luaserve:").
---@param client Redis
---@param options {prefix: string?}?
---@return RedisStore
function redis.store(client, options) end
--#endregion

return redis
