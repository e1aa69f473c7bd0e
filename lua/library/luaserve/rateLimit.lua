---@meta luaserve.rateLimit

---@class luaserve.RateLimitOptions
---@field limit integer|(fun(req: IncomingMessage): integer) tokens that come back in a window
---@field window number? seconds (60)
---@field burst integer? requests at once (limit)
---@field key (fun(req: IncomingMessage): string|number|nil)? what is counted by (the address)
---@field name string? limiters of one name share their buckets
---@field cost number|(fun(req: IncomingMessage): number)|nil tokens of a request (1)
---@field skip (fun(req: IncomingMessage): boolean?)? whether to let it pass
---@field handler (fun(req: IncomingMessage, res: ServerResponse, info: luaserve.RateLimitInfo): any)? another answer
---@field message string? another text
---@field headers "separate"|"combined"|boolean|nil "separate"
---@field ipv6Subnet integer? bits of an address that count (64)
---@field store Redis|table|nil what all workers share; or a client of Redis, or an object of your own
---@field onError "open"|"closed"|nil where the store does not answer ("open")
---@field skipSuccessfulRequests boolean? they do not count
---@field skipFailedRequests boolean? they do not count

--- Middleware that lets each client send so many requests in a time, and answers 429 to more.
---@class luaserve.rateLimit
---@overload fun(options: luaserve.RateLimitOptions): luaserve.RateLimiter
local rateLimit = {}

---@class IncomingMessage
---@field rateLimit luaserve.RateLimitInfo? behind it

---@class luaserve.RateLimiter
---@overload fun(req: IncomingMessage, res: ServerResponse, next: function): any

--#region lua/luaserve/rateLimit.lua Limiter=Limiter: not=middleware
---@class luaserve.RateLimiter a middleware, function(req, res, next)
local Limiter = {}

---@class luaserve.RateLimitInfo
---@field limit integer tokens of a full bucket
---@field used integer
---@field remaining integer
---@field reset number seconds until it is full
---@field wait number seconds until the request would be let through; 0 where it is
---@field key string what the store calls the bucket
---@field error string? why the store does not answer

--- Takes tokens out of the bucket of a key, as a request does, for what is known in a
--- handler alone: the name that somebody logs in with. cost: 1; 0 only looks.
---@param key string|number
---@param cost number?
---@return boolean allowed
---@return luaserve.RateLimitInfo info
function Limiter:take(key, cost) end

--- Makes the bucket of a key full: when somebody has logged in after all.
---@param key string|number
---@return boolean? done nil, message where the store is gone
---@return string? message
function Limiter:reset(key) end
--#endregion

return rateLimit
