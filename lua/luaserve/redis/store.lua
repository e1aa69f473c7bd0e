--- What is kept in Redis for several machines: sessions, each a hash with a field for
--- each key, so that two requests that change one at once are no trouble. What has to
--- happen at once is a script that Redis runs.
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
