--- Where res:redirect may send a browser. What a browser makes of a Location is
--- not what it looks like: "//host", "/\host" and "/<tab>/host" lead to another
--- site, and so may whatever a query string carries.
local M = {}

local KNOWN = { sameOrigin = "boolean", fallback = "string", hosts = "table", external = "boolean" }

local function check(options, level)
  if type(options) ~= "table" then
    error("the options of a redirect are a table, not a " .. type(options), level + 1)
  end
  for key, value in pairs(options) do
    if KNOWN[key] ~= type(value) then
      error(KNOWN[key] and ("the option %s of a redirect is a %s"):format(key, KNOWN[key])
        or ("a redirect has no option '%s': there are sameOrigin, fallback, hosts and external"):format(tostring(key)),
        level + 1)
    end
  end
end

--- As browsers read it: without the white space and controls that they drop or
--- cut off, and with their slashes.
local function as_read(url)
  return (url:gsub("^[%z\1-\32]+", ""):gsub("[%z\1-\32]+$", ""):gsub("[\t\r\n]", ""):gsub("\\", "/"))
end

--- {scheme, host}: what an absolute URL leads to; nil for one of this site.
local function destination(url)
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  if not scheme then
    local host = url:match("^//+([^/?#]*)")
    return host and { host = host:lower() } or nil
  end
  return { scheme = scheme:lower(), host = (rest:match("^/*([^/?#]*)") or ""):lower(), slashes = rest:match("^/*") }
end

local function own_host(req)
  local host = rawget(req, "app") and req.hostname or nil
  local port = (req.headers.host or ""):lower():match(":%d+$") or ""
  return host and host:lower() .. port or (req.headers.host or ""):lower()
end

local function listed(hosts, host)
  local name = host:gsub(":%d+$", "")
  for _, one in ipairs(hosts) do
    one = tostring(one):lower()
    if one == host or one == name then return true end
    if one:sub(1, 2) == "*." and #name > #one - 1 and name:sub(-(#one - 1)) == one:sub(2) then return true end
  end
  return false
end

--- Why it must not be followed, or nil.
local function objection(req, url, options)
  if options.external then return nil end
  local to = destination(as_read(url))
  if not to then return nil end
  if to.scheme and to.scheme ~= "http" and to.scheme ~= "https" then
    return "its scheme is neither http nor https"
  end
  if to.host:find("@", 1, true) then return "it has a user name in it" end
  if to.host ~= "" and to.host == own_host(req) then return nil end
  if options.hosts and listed(options.hosts, to.host) then return nil end
  if options.sameOrigin or options.hosts then return "it leads to another site" end
  -- One that says plainly where it goes is what the program wants; one that
  -- looks like a path of this site is not.
  if not to.scheme or to.slashes ~= "//" or url:find("[\\%c]") or url:find("^%s") then
    return "it leads to another site without looking so"
  end
  return nil
end

--- Percent-encoded where a URL cannot have it: so no value ends the field.
local function encoded(url)
  return (url:gsub("[^!#$%%&'()*+,%-./%w:;=?@%[%]_~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function printable(url)
  return (url:sub(1, 80):gsub("[%c\127]", "?"))
end

--- The value of a Location for url. Raises an error with status 400 where it must
--- not be followed and there is no fallback.
---@param req IncomingMessage
---@param url string
---@param options {sameOrigin: boolean?, fallback: string?, hosts: string[]?, external: boolean?}?
---@param level integer
---@return string
function M.of(req, url, options, level)
  options = options or {}
  check(options, level + 1)
  local why = objection(req, url, options)
  if not why then return encoded(url) end
  if options.fallback then return encoded(options.fallback) end
  require("luaserve").error(400, ("the redirect to '%s' is refused: %s"):format(printable(url), why))
end

return M
