--- Node's `url`: the URL Standard's URL and URLSearchParams, and the older parse, format and resolve.

local class = require "luaserve.url.class"
local legacy = require "luaserve.url.legacy"
local params = require "luaserve.url.params"

local M = {}

local function new_url(_, input, base)
  return (class.new(input, base)) -- not a tail call: errors name the caller's line
end

local function new_params(_, init)
  return (params.new(init))
end

--- A URL, absolute or relative to a base. Raises "Invalid URL". `URL.canParse` tells beforehand.
---@overload fun(input: string|url.URL, base?: string|url.URL): url.URL
M.URL = setmetatable({
  new = function(input, base) return (class.new(input, base)) end,
  canParse = class.can_parse,
}, { __call = new_url })

--- A list of query parameters. Takes a string (a leading "?" is dropped), {{name, value}, ...}, a table of
-- fields (their values strings or arrays), or other URLSearchParams.
---@overload fun(init?: string|table): url.URLSearchParams
M.URLSearchParams = setmetatable({
  new = function(init) return (params.new(init)) end,
}, { __call = new_params })

M.parse = legacy.parse
M.format = legacy.format
M.resolve = legacy.resolve

return M
