--- Middleware: answers are coded (gzip, br, zstd) where the client accepts that
--- and it is worth while. What it is decided by is in C (src/http/compress.c).
local check_options = require("luaserve.options").check
local native = require "luaserve.core.compress"

local M = {}

local KNOWN = { threshold = "number", level = "number", codings = "table", types = "table" }
local DEFAULT = { "zstd", "br", "gzip" }

local function whole(value, name, least, most)
  if value % 1 ~= 0 or value < least or value > most then
    error(("the option %s of compress is a whole number from %d to %d"):format(name, least, most), 4)
  end
  return value
end

local function order_of(names)
  local order = {}
  for i, name in ipairs(names) do
    order[i] = native.coding(name) or error("compress knows gzip, br and zstd, not '" .. tostring(name) .. "'", 4)
  end
  if #order == 0 then error("the option codings of compress names at least one of gzip, br and zstd", 4) end
  return table.concat(order)
end

local function copy(types)
  local list = {}
  for i, name in ipairs(types or {}) do
    if type(name) ~= "string" or not name:find("^[^/%s]+/[^/%s]+$") then
      error("the option types of compress has media types such as \"text/plain\", not '" .. tostring(name) .. "'", 4)
    end
    list[i] = name
  end
  if #list > 64 then error("the option types of compress has at most 64 entries", 4) end
  return #list > 0 and list or nil
end

--- Middleware that codes the answers of what is defined after it. Options:
--- threshold, the bytes from which on (1024); codings, those allowed, the best one
--- first ({"zstd", "br", "gzip"}); level, as each has it (zstd 3, br 4, gzip 6);
--- types, media types besides the usual texts.
---@param options {threshold: integer?, codings: string[]?, level: integer?, types: string[]?}?
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("compress", options, KNOWN)
  local offer = native.offer
  local order = order_of(options.codings or DEFAULT)
  local threshold = whole(options.threshold or 1024, "threshold", 0, 2 ^ 40)
  local level, types = whole(options.level or 0, "level", 0, 22), copy(options.types)
  return function(_, res, next)
    offer(res, order, threshold, level, types)
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
