--- What is kept in Redis for several machines: sessions, each a hash with a field for
--- each key, so that two requests that change one at once are no trouble; and the
--- buckets of rateLimit. What has to happen at once is a script that Redis runs, and
--- the clock of buckets is that of Redis, since those of machines differ.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local crypto = require "crypto"
local values = require "luaserve.core.store"

local M = {}

local KNOWN = { prefix = "string" }

---@class RedisStore
local Store = {}
Store.__index = Store

-- ---- scripts

local function new_script(text)
  return { text = text, sha = crypto.createHash("sha1"):update(text):digest("hex") }
end

--- Runs one; Redis is sent its text where it does not know it.
local function run(client, script, key, arguments)
  local reply, message, code = client:evalsha(script.sha, 1, key, arguments)
  if code ~= "NOSCRIPT" then return reply, message, code end
  return client:eval(script.text, 1, key, arguments)
end

-- ---- sessions

-- milliseconds to live, at, whether it is new, how many names and values follow, these, and names to be removed
local UPDATE = new_script [[
local key, sets = KEYS[1], tonumber(ARGV[4])
local before = redis.call("HGET", key, "at")
if not before and ARGV[3] == "0" then return 0 end
for i = 5, 4 + 2 * sets, 2 do redis.call("HSET", key, ARGV[i], ARGV[i + 1]) end
for i = 5 + 2 * sets, #ARGV do redis.call("HDEL", key, ARGV[i]) end
if not before or tonumber(before) <= tonumber(ARGV[2]) then
  redis.call("HSET", key, "at", ARGV[2])
  redis.call("PEXPIRE", key, ARGV[1])
end
return 1]]

--- The field of a name: strings can be read by people, and nothing is taken for "at".
local function field_of(name)
  return type(name) == "string" and "." .. name or "=" .. values.encode(name)
end

local function name_of(field)
  local kind, rest = field:sub(1, 1), field:sub(2)
  if kind == "." then return rest end
  if kind == "=" then return (values.decode(rest)) end
end

local function whole(number)
  return ("%d"):format(math.ceil(number))
end

local function key_of(self, id)
  return self.prefix .. "session:" .. id
end

--- The record of a session; nil where there is none.
---@param id string
---@return {data: table, at: number}?
---@return string? message
---@return string? code
function Store:get(id)
  local fields, message, code = self.client:hgetall(key_of(self, id))
  if not fields then return nil, message, code end
  if not fields.at then return nil end
  local data = {}
  for field, bytes in pairs(fields) do
    local name = name_of(field)
    if name ~= nil then data[name] = values.decode(bytes) end
  end
  return { data = data, at = tonumber(fields.at) }
end

--- Changes a session: sets and removes names, and nothing else of it.
---@param id string
---@param change {set: table, remove: any[], at: number, new: boolean}
---@param ttl number seconds
---@return boolean? done false where there is none, and it is not new; nil, message, code
---@return string? message
---@return string? code
function Store:update(id, change, ttl)
  local arguments, sets = { whole(ttl * 1000), whole(change.at), change.new and 1 or 0, 0 }, 0
  for name, value in pairs(change.set) do
    arguments[#arguments + 1], arguments[#arguments + 2] = field_of(name), values.encode(value)
    sets = sets + 1
  end
  arguments[4] = sets
  for _, name in ipairs(change.remove) do arguments[#arguments + 1] = field_of(name) end
  local reply, message, code = run(self.client, UPDATE, key_of(self, id), arguments)
  if not reply then return nil, message, code end
  return reply == 1
end

--- Removes a session.
---@param id string
---@return boolean? done nil, message, code
---@return string? message
---@return string? code
function Store:destroy(id)
  local reply, message, code = self.client:del(key_of(self, id))
  if not reply then return nil, message, code end
  return true
end

-- ---- limits

-- Microseconds in which a token comes back, cost, burst. A bucket is when it was last looked at, and how many
-- tokens were missing in it then; a full one is not kept.
local TAKE = new_script [[
local key, step, cost, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call("TIME")
local now, missing = time[1] * 1000000 + time[2], 0
local bucket = redis.call("GET", key)
if bucket then
  local at, before = string.match(bucket, "^(%S+) (%S+)$")
  if at then missing = tonumber(before) - math.max(0, now - tonumber(at)) / step end
end
missing = math.min(math.max(missing, 0), burst)
local allowed = missing + cost <= burst + 1e-9
if allowed then missing = math.max(missing + cost, 0) end
if missing > 0 then
  local left = math.ceil(missing * step / 1000)
  redis.call("SET", key, string.format("%.0f %.17g", now, missing), "PX", string.format("%.0f", left))
elseif bucket then
  redis.call("DEL", key)
end
return {allowed and 1 or 0, string.format("%.17g", missing)}]]

local function bucket_of(self, key)
  return self.prefix .. "limit:" .. key
end

--- Takes tokens out of a bucket, or none where it has fewer; see rateLimit.lua.
---@param key string
---@param cost number 0 only looks, under 0 gives back
---@param limit number tokens that come back in a window
---@param window number seconds
---@param burst number tokens of a full bucket
---@return boolean? allowed nil, message, code where Redis cannot be asked
---@return integer|string? remaining
---@return number|string? reset seconds
---@return number? wait seconds
function Store:take(key, cost, limit, window, burst)
  local step = window / limit -- seconds
  cost = math.min(cost, burst)
  local reply, message, code = run(self.client, TAKE, bucket_of(self, key),
    { ("%.17g"):format(step * 1e6), ("%.17g"):format(cost), ("%.17g"):format(burst) })
  if not reply then return nil, message, code end
  local allowed, missing = reply[1] == 1, tonumber(reply[2])
  return allowed, math.floor(math.max(burst - missing + 1e-9, 0)), missing * step,
    allowed and 0 or math.max(missing + cost - burst, 0) * step
end

--- Makes a bucket full.
---@param key string
---@return boolean? done nil, message, code where Redis cannot be asked
---@return string? message
---@return string? code
function Store:reset(key)
  local reply, message, code = self.client:del(bucket_of(self, key))
  if not reply then return nil, message, code end
  return true
end

-- ----

--- A store over a client. Options: prefix, of its keys ("luaserve:").
---@param client Redis
---@param options {prefix: string?}?
---@return RedisStore
function M.new(client, options)
  local meta = getmetatable(client)
  if type(client) ~= "table" or type(meta) ~= "table" or meta.__name ~= "Redis" then
    core.raise("redis.store needs a client: redis.store(redis.connect(url), options)")
  end
  options = check_options("redis.store", options, KNOWN)
  return setmetatable({ client = client, prefix = options.prefix or "luaserve:" }, Store)
end

return M
