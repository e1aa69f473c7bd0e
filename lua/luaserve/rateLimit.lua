--- Middleware: how many requests a client may send. Each client (or what else `key`
--- says) has a bucket of `burst` tokens, which refills at limit tokens in window
--- seconds; a request takes one, and is refused where there is none.
---
--- The buckets are in a store: the one that all workers share (src/script/l_rate.c),
--- or another one, which is an object with
---
---   store:take(key, cost, limit, window, burst) -> allowed, remaining, reset, wait
---
--- It may wait (for a server, say). Takes cost tokens out of the bucket of key, or
--- none where it has fewer, at once for all who ask; a bucket that is not there is
--- full. cost 0 only looks; under 0 gives tokens back, up to burst. Returns whether it
--- took them; the whole tokens that are left; seconds until the bucket is full; and
--- seconds until cost tokens are there (0 where they were taken). Where the store
--- cannot be reached: nil, message. And, for limiter:reset,
---
---   store:reset(key) -> true, or nil, message
---
--- which makes the bucket full. A bucket may be forgotten once it is full: reset
--- seconds after the last take. Keys have up to 300 bytes.
local check_options = require("luaserve.options").check
local resolve_store = require("luaserve.options").store
local core = require "luaserve.core"
local crypto = require "crypto"
local fields = require "luaserve.fields"
local native = require "luaserve.core.rate"

local M = {}

local KNOWN = { limit = "integer function", window = "number", burst = "integer", key = "function", name = "string",
  cost = "number function", skip = "function", handler = "function", message = "string", headers = "string boolean",
  ipv6Subnet = "integer", store = "table userdata", onError = "string", skipSuccessfulRequests = "boolean",
  skipFailedRequests = "boolean" }

local TABLE, TABLE_BYTES = "rate-limits", 8 * 1024 * 1024
local LONGEST = 200 -- bytes of a key that is kept as it is
local MOST = 1e9 -- tokens
local LONGEST_REFILL = 366 * 86400 -- seconds
local QUIET = 10 -- seconds between two words on a store that is gone

local ceil, format = math.ceil, string.format

-- ---- the store of all workers

local Shared = {}
Shared.__index = Shared

local function table_of(self)
  if not self.table then
    local opened, message, code = require("luaserve.store").open(TABLE, { maxBytes = TABLE_BYTES })
    if not opened then return nil, message, code end
    self.table = opened
  end
  return self.table
end

function Shared:take(key, cost, limit, window, burst)
  local buckets, message, code = table_of(self)
  if not buckets then return nil, message, code end
  return native.take(buckets, key, cost, limit, window, burst)
end

function Shared:reset(key)
  local buckets, message, code = table_of(self)
  if not buckets then return nil, message, code end
  local done
  done, message, code = buckets:delete(key)
  if done == nil then return nil, message, code end
  return true
end

local shared = setmetatable({}, Shared)

-- ---- what a limiter counts by

---@class luaserve.RateLimiter a middleware, function(req, res, next)
local Limiter = {}
Limiter.__index = Limiter

--- A key as the store gets it: the limiter's name, a sign for the kind, the key.
local function store_key(self, sign, key)
  if #key > LONGEST then key = crypto.hash("sha256", key, "base64url") end
  return self.name .. sign .. key
end

local function text_of(key)
  if type(key) == "string" then return key end
  if type(key) ~= "number" then
    error(("the key of rateLimit is a string, a number, or nil for the address, not a %s"):format(type(key)), 0)
  end
  return key % 1 == 0 and ("%.0f"):format(key) or tostring(key)
end

local function key_of(self, req)
  local key = self.key and self.key(req)
  if key ~= nil then return store_key(self, ":", text_of(key)) end
  local ip = req.ip
  if not ip or ip == "" then ip = "local" end -- a Unix socket
  if ip:find(":", 1, true) then ip = native.network(ip, self.subnet) end
  return store_key(self, "@", ip)
end

local function limit_of(self, req)
  local limit = self.limit
  if type(limit) == "number" then return limit, self.burst end
  limit = limit(req)
  if type(limit) ~= "number" or not (limit >= 1 and limit <= MOST) or limit % 1 ~= 0 then
    error(("the limit of rateLimit is a whole number from 1 on, not %s"):format(tostring(limit)), 0)
  end
  return limit, self.burst or limit
end

local function cost_of(self, req)
  local cost = self.cost
  if type(cost) == "function" then cost = cost(req) end
  if type(cost) ~= "number" or cost < 0 or cost ~= cost then
    error(("the cost of rateLimit is a number from 0 on, not %s"):format(tostring(cost)), 0)
  end
  return cost
end

--- Says at times that the store is gone.
local function tell(self, message)
  local now = os.time()
  if self.told and now >= self.told and now < self.told + QUIET then return end
  self.told = now
  console.error(("rateLimit: the store does not answer (%s), so requests are %s"):format(tostring(message),
    self.open and "let through" or "refused"))
end

---@class luaserve.RateLimitInfo
---@field limit integer tokens of a full bucket
---@field used integer
---@field remaining integer
---@field reset number seconds until it is full
---@field wait number seconds until the request would be let through; 0 where it is
---@field key string what the store calls the bucket
---@field error string? why the store does not answer

local function ask(self, key, cost, limit, burst)
  local allowed, remaining, reset, wait = self.store:take(key, cost, limit, self.window, burst)
  if allowed == nil then
    tell(self, remaining)
    return self.open, { limit = burst, used = 0, remaining = burst, reset = 0, wait = 0, key = key,
      error = tostring(remaining) }
  end
  return allowed, { limit = burst, used = burst - remaining, remaining = remaining, reset = reset, wait = wait,
    key = key }
end

-- ---- what clients are told

local function whole(seconds)
  return format("%d", ceil(seconds))
end

local function add(req, res, name, value)
  local there = res:getHeader(name)
  fields.set(req, res, name, there and there .. ", " .. value or value)
end

--- The fields of draft-ietf-httpapi-ratelimit-headers as of its number 10: lists with an item for each limiter.
local function write_combined(self, req, res, info, window)
  add(req, res, "RateLimit-Policy", format('"%s";q=%d;w=%s', self.name, info.limit, whole(window)))
  add(req, res, "RateLimit", format('"%s";r=%d;t=%s', self.name, info.remaining, whole(info.reset)))
end

--- Those of its numbers up to 06, which most clients know: of the limiter that has the least left.
local function write_separate(req, res, info)
  fields.set(req, res, "RateLimit-Limit", format("%d", info.limit))
  fields.set(req, res, "RateLimit-Remaining", format("%d", info.remaining))
  fields.set(req, res, "RateLimit-Reset", whole(info.reset))
end

local function tell_client(self, req, res, info, limit)
  local before = rawget(req, "rateLimit")
  local is_least = not before or before.remaining >= info.remaining
  if is_least then rawset(req, "rateLimit", info) end
  if self.headers == "combined" then
    write_combined(self, req, res, info, info.limit * self.window / limit)
  elseif self.headers and is_least then
    write_separate(req, res, info)
  end
end

--- Clients of a proxy that nobody has said to trust have one bucket: says so, once.
local function warn_of_proxy(self, req)
  if self.warned or self.key or not req.headers["x-forwarded-for"] then return end
  self.warned = true
  local app = rawget(req, "app")
  if app and app:setting("trust proxy") ~= nil then return end
  console.warn('rateLimit: a request was refused that has X-Forwarded-For: behind a proxy all clients have its'
    .. ' address, and share one limit, unless app:set("trust proxy", ...) names it')
end

local function refuse(self, req, res, info)
  local status, message = 429, self.message
  if info.error then
    status, message = 503, "Service Unavailable: the limits of requests cannot be looked up"
  else
    warn_of_proxy(self, req)
    fields.set(req, res, "Retry-After", whole(info.wait))
    if self.handler then
      res.statusCode = status
      return self.handler(req, res, info)
    end
    message = message or ("Too Many Requests: try again in %s s"):format(whole(info.wait))
  end
  return fields.refuse(status, message, { rateLimit = info })
end

--- Gives back what a request took, once its answer is one that does not count.
local function give_back(self, res, key, cost, limit, burst)
  res:onFinish(function()
    local succeeded = res.headersSent and res.statusCode < 400
    if self.returns[succeeded and "success" or "failure"] then
      local allowed, message = self.store:take(key, -cost, limit, self.window, burst)
      if allowed == nil then tell(self, message) end
    end
  end)
end

local function limit_request(self, req, res, next)
  if self.skip and self.skip(req) then return next() end
  local limit, burst = limit_of(self, req)
  local key, cost = key_of(self, req), cost_of(self, req)
  local allowed, info = ask(self, key, cost, limit, burst)
  if not info.error then
    tell_client(self, req, res, info, limit)
  elseif not rawget(req, "rateLimit") then
    rawset(req, "rateLimit", info)
  end
  if not allowed then return refuse(self, req, res, info) end
  if self.returns and not info.error then give_back(self, res, key, cost, limit, burst) end
  return next()
end

-- ---- what scripts call

--- Takes tokens out of the bucket of a key, as a request does, for what is known in a
--- handler alone: the name that somebody logs in with. cost: 1; 0 only looks.
---@param key string|number
---@param cost number?
---@return boolean allowed
---@return luaserve.RateLimitInfo info
function Limiter:take(key, cost)
  if type(self.limit) == "function" then core.raise("limiter:take needs a limit that is a number") end
  if key == nil then core.raise("limiter:take needs a key") end
  cost = cost or 1
  if type(cost) ~= "number" or cost ~= cost then core.raise("the cost of limiter:take is a number") end
  return ask(self, store_key(self, ":", text_of(key)), cost, self.limit, self.burst)
end

--- Makes the bucket of a key full: when somebody has logged in after all.
---@param key string|number
---@return boolean? done nil, message where the store is gone
---@return string? message
function Limiter:reset(key)
  if key == nil then core.raise("limiter:reset needs a key") end
  if type(self.store.reset) ~= "function" then core.raise("the store of this rateLimit has no method reset") end
  return self.store:reset(store_key(self, ":", text_of(key)))
end

-- ---- options

local function check_numbers(options)
  local limit, window = options.limit, options.window or 60
  if limit == nil then core.raise("rateLimit needs a limit: luaserve.rateLimit { limit = 100, window = 60 }") end
  if not (window > 0 and window <= LONGEST_REFILL) then
    core.raise("the window of rateLimit is a number of seconds, up to a year")
  end
  local fixed = type(limit) == "number" and limit or 1
  local burst = options.burst or fixed
  if fixed < 1 or fixed > MOST or burst < 1 or burst > MOST then
    core.raise("limit and burst of rateLimit are whole numbers from 1 to 1000000000")
  end
  if burst * window / fixed > LONGEST_REFILL then
    core.raise("the bucket of rateLimit would take more than a year to refill: take a smaller burst or window")
  end
  local subnet = options.ipv6Subnet or 64
  if subnet < 1 or subnet > 128 then core.raise("the ipv6Subnet of rateLimit is a number of bits, 1 to 128") end
end

local function check_words(options)
  local headers, on_error = options.headers, options.onError
  if type(headers) == "string" and headers ~= "separate" and headers ~= "combined" then
    core.raise('headers of rateLimit are "separate", "combined", or false for none')
  end
  if on_error and on_error ~= "open" and on_error ~= "closed" then
    core.raise('onError of rateLimit is "open", to let requests through, or "closed"')
  end
  if options.name and not options.name:find("^%w[%w_.-]*$") or #(options.name or "") > 64 then
    core.raise("the name of rateLimit is up to 64 letters, digits and _ . - that begin with a letter or a digit")
  end
  local cost = options.cost
  if type(cost) == "number" and (cost < 0 or cost ~= cost) then
    core.raise("the cost of rateLimit is a number from 0 on")
  end
end

local function store_of(store)
  if store == nil then return shared end
  store = resolve_store(store)
  local ok, take = pcall(function() return store.take end)
  if not ok or type(take) ~= "function" then
    core.raise("the store of rateLimit is a client of Redis, or an object with a method take(self, key, cost, limit, "
      .. "window, burst)")
  end
  return store
end

local made = 0 -- limiters of this process, which all workers make in the same order

local function name_of(options)
  made = made + 1
  if options.name then return options.name end
  local limit = type(options.limit) == "number" and ("%d"):format(options.limit) or "x"
  return ("%d-%s-%s"):format(made, limit, ("%g"):format(options.window or 60))
end

local limiter_meta = { __index = Limiter, __call = limit_request, __name = "luaserve.RateLimiter" }

--- Middleware that lets each client send `limit` requests in `window` seconds, and
--- answers 429 to more. Options: limit, a whole number, or function(req) -> one; window,
--- seconds (60); burst, requests at once (limit); key, function(req) -> what is counted
--- by (the address); name; cost, tokens of a request, a number or function(req) -> one (1);
--- skip, function(req) -> whether to let it pass; handler, function(req, res, info) ->
--- another answer; message, another text; headers, "separate" (the default), "combined"
--- or false; ipv6Subnet, bits (64); store; onError, "open" (the default) or "closed";
--- skipSuccessfulRequests and skipFailedRequests, which do not count then.
---@param options table
---@return luaserve.RateLimiter
function M.middleware(options)
  options = check_options("rateLimit", options, KNOWN)
  check_numbers(options)
  check_words(options)
  local fixed = type(options.limit) == "number"
  local limiter = { name = name_of(options), limit = options.limit, window = options.window or 60,
    burst = options.burst or fixed and options.limit or nil, key = options.key, cost = options.cost or 1,
    skip = options.skip, handler = options.handler, message = options.message, subnet = options.ipv6Subnet or 64,
    store = store_of(options.store), open = options.onError ~= "closed" }
  limiter.headers = options.headers == nil and "separate" or options.headers == true and "separate" or options.headers
  if options.skipSuccessfulRequests or options.skipFailedRequests then
    limiter.returns = { success = options.skipSuccessfulRequests, failure = options.skipFailedRequests }
  end
  return setmetatable(limiter, limiter_meta)
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
