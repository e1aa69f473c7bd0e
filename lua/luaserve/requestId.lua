--- Middleware: each request has an id, by which it is found in the logs of
--- everything that had to do with it, and a trace context (W3C) to be handed on.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local crypto = require "crypto"
local fields = require "luaserve.fields"

local M = {}

local KNOWN = { accept = "boolean", header = "string", trace = "boolean" }

local LONGEST = 128 -- characters of an id that is taken over

local function hex(n)
  return (crypto.randomBytes(n):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function sane(id)
  return id and #id <= LONGEST and id:find("^[%w._:=+/@~-]+$") and id or nil
end

--- The parts of a traceparent (W3C Trace Context 3.2): id of the trace, flags.
local function read_trace(value)
  local version, trace, parent, flags, rest = (value or ""):match("^(%x%x)%-(%x+)%-(%x+)%-(%x%x)(.*)$")
  if not version or #trace ~= 32 or #parent ~= 16 or value:find("%u") then return nil end
  if version == "ff" or (version == "00" and rest ~= "") or (rest ~= "" and rest:sub(1, 1) ~= "-") then return nil end
  if not trace:find("[^0]") or not parent:find("[^0]") then return nil end
  return trace, flags, parent
end

--- Middleware that sets `req.id`, and says it in the answer's X-Request-Id. Options:
--- accept, whether the id and the traceparent that a client sends are taken over
--- (from a proxy of one's own; false); header, another name; trace: `req.traceparent`
--- and `req.trace` {id, span, parent, flags} (true).
---@param options table?
---@return luaserve.Middleware
function M.middleware(options)
  options = check_options("requestId", options, KNOWN)
  local name = options.header or "X-Request-Id"
  if not name:find("^[%w-]+$") then core.raise("requestId: '" .. name .. "' is not the name of a header") end
  local key, accept, traces = name:lower(), options.accept, options.trace ~= false
  return function(req, res, next)
    local headers = req.headers
    local id = accept and sane(headers[key]) or crypto.randomUUID()
    rawset(req, "id", id)
    fields.set(req, res, name, id)
    if traces then
      local trace, flags, parent
      if accept then trace, flags, parent = read_trace(headers.traceparent) end
      local span = hex(8)
      trace, flags = trace or hex(16), flags or "00"
      rawset(req, "trace", { id = trace, span = span, parent = parent, flags = flags })
      rawset(req, "traceparent", ("00-%s-%s-%s"):format(trace, span, flags))
    end
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
