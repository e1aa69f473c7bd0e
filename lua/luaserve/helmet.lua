--- Middleware: headers that tell browsers to be careful. All of them are on unless
--- they are switched off; the content security policy is what a page needs, so
--- that all of it but its frame-ancestors has to be given.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local fields = require "luaserve.fields"
local native = require "luaserve.core.body"

local M = {}

local KNOWN = { hsts = "table boolean", noSniff = "boolean", frameAncestors = "string table boolean",
  referrerPolicy = "string boolean", openerPolicy = "string boolean", resourcePolicy = "string boolean",
  permissions = "table boolean", csp = "table boolean", cspReportOnly = "boolean" }

local HSTS = { maxAge = "integer", includeSubDomains = "boolean", preload = "boolean" }

--- The policy of `csp = true`: everything from the site itself, scripts and styles
--- from its files or with a nonce.
local CSP = { defaultSrc = { "self" }, scriptSrc = { "self", "nonce" }, styleSrc = { "self", "nonce" },
  imgSrc = { "self", "data:" }, baseUri = { "self" }, formAction = { "self" }, objectSrc = { "none" } }

-- What is a word of CSP, and stands in quotes.
local WORDS = { self = true, none = true, ["unsafe-inline"] = true, ["unsafe-eval"] = true, ["strict-dynamic"] = true,
  ["unsafe-hashes"] = true, ["report-sample"] = true, ["wasm-unsafe-eval"] = true }

local PERMISSIONS = { camera = {}, microphone = {}, geolocation = {}, payment = {}, usb = {} }

local function kebab(name)
  return (name:gsub("%u", function(letter) return "-" .. letter:lower() end))
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) ~= "string" then core.raise("helmet: names are expected, as in {scriptSrc = {\"self\"}}") end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

-- ---- Content-Security-Policy

local function source(value)
  if type(value) ~= "string" or value:find("[%s;,]") then
    core.raise("helmet: '" .. tostring(value) .. "' is not a source of a content security policy")
  end
  if value == "nonce" then return "\0" end
  if WORDS[value] or value:find("^sha%d+%-") then return "'" .. value .. "'" end
  return value
end

local function list(value)
  if type(value) == "string" then value = { value } end
  local parts = {}
  for i, one in ipairs(value) do parts[i] = source(one) end
  if #parts == 0 then return "'none'" end
  return table.concat(parts, " ")
end

local function directive(name, value)
  if value == true then return kebab(name) end
  if type(value) ~= "string" and type(value) ~= "table" then
    core.raise("helmet: the directive " .. name .. " is a list of sources, not a " .. type(value))
  end
  return kebab(name) .. " " .. list(value)
end

--- The pieces of the policy, between which nonces stand.
local function policy(csp, ancestors)
  local parts = {}
  if csp then
    for _, name in ipairs(sorted(csp)) do
      if csp[name] then parts[#parts + 1] = directive(name, csp[name]) end
    end
  end
  if ancestors and not (csp and csp.frameAncestors ~= nil) then
    parts[#parts + 1] = "frame-ancestors " .. list(ancestors)
  end
  local text = table.concat(parts, "; ")
  local pieces = {}
  for piece in (text .. "\0"):gmatch("(%Z*)%z") do pieces[#pieces + 1] = piece end
  return pieces
end

-- ---- the others

local function hsts(options)
  if options == false then return nil end
  options = check_options("helmet's hsts", options ~= true and options or nil, HSTS)
  local value = ("max-age=%d"):format(options.maxAge or 365 * 24 * 3600)
  if options.includeSubDomains ~= false then value = value .. "; includeSubDomains" end
  if options.preload then value = value .. "; preload" end
  return value
end

local function permissions(table_of)
  local parts = {}
  for i, name in ipairs(sorted(table_of)) do
    local allowed = {}
    for k, origin in ipairs(table_of[name]) do
      allowed[k] = (origin == "self" or origin == "*") and origin or '"' .. origin .. '"'
    end
    parts[i] = kebab(name) .. "=(" .. table.concat(allowed, " ") .. ")"
  end
  return table.concat(parts, ", ")
end

local function or_default(value, default)
  if value == nil or value == true then return default end
  return value
end

local FRAMES = { none = "DENY", self = "SAMEORIGIN" }

local function fixed_of(options, ancestors)
  local set = {}
  local function add(name, value)
    if value then set[#set + 1] = { name, value } end
  end
  add("X-Content-Type-Options", options.noSniff ~= false and "nosniff")
  local single = type(ancestors) == "table" and #ancestors == 1 and ancestors[1] or ancestors
  add("X-Frame-Options", single and FRAMES[single])
  add("Referrer-Policy", or_default(options.referrerPolicy, "strict-origin-when-cross-origin"))
  add("Cross-Origin-Opener-Policy", or_default(options.openerPolicy, "same-origin"))
  add("Cross-Origin-Resource-Policy", or_default(options.resourcePolicy, "same-origin"))
  local features = or_default(options.permissions, PERMISSIONS)
  add("Permissions-Policy", features and permissions(features))
  for _, pair in ipairs(set) do
    if type(pair[2]) ~= "string" or pair[2]:find("%c") then core.raise("helmet: " .. pair[1] .. " needs a text") end
  end
  return set
end

--- The nonce of the request, which its content security policy names: for
--- `<script nonce="...">`. Nil where no policy has one.
---@param req IncomingMessage
---@return string?
function M.nonce(req)
  return rawget(req, "_nonce")
end

--- Middleware that sets security headers. Each option is on with a careful value;
--- false leaves its header out: hsts {maxAge, includeSubDomains, preload} (on TLS
--- alone), noSniff, frameAncestors ("self"), referrerPolicy, openerPolicy,
--- resourcePolicy, permissions {feature = {origins}}. csp: true, or directives by
--- name ({scriptSrc = {"self", "nonce"}}); cspReportOnly.
---@param options table?
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("helmet", options, KNOWN)
  local ancestors = or_default(options.frameAncestors, "self")
  local fixed = fixed_of(options, ancestors)
  local strict = hsts(options.hsts)
  local csp = options.csp == true and CSP or options.csp
  local pieces = policy(csp, ancestors)
  local name = options.cspReportOnly and "Content-Security-Policy-Report-Only" or "Content-Security-Policy"
  local sniffs_not = options.noSniff ~= false
  local has_policy, has_nonce = pieces[1] ~= "", #pieces > 1
  return function(req, res, next)
    for i = 1, #fixed do res:setHeader(fixed[i][1], fixed[i][2]) end
    if has_nonce then
      local nonce = fields.random()
      rawset(req, "_nonce", nonce)
      res:setHeader(name, table.concat(pieces, "'nonce-" .. nonce .. "'"))
    elseif has_policy then
      res:setHeader(name, pieces[1])
    end
    if strict and fields.is_secure(req) then fields.set(req, res, "Strict-Transport-Security", strict) end
    if sniffs_not then native.refusal(req, "X-Content-Type-Options", "nosniff") end
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
