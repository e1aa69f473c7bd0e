--- Cookies as RFC 6265 and its successor have them: what res:cookie writes is
--- checked, since a browser drops a bad cookie without a word. Signed ones are
--- "s:VALUE.SIGNATURE"; the signature covers the name too, so that one cookie
--- cannot be passed off as another.
local json = require "json"
local native = require "luaserve.core.reply"
local server = require "luaserve.core.server"

local M = {}

local MOST = 4096 -- bytes of a name, its value and its attributes: RFC 6265 6.1

local KNOWN = { maxAge = "number", expires = "number", path = "string", domain = "string", secure = "boolean",
  httpOnly = "boolean", sameSite = true, signed = "boolean", partitioned = "boolean", priority = "string",
  encode = "function" }
local NAMES = "maxAge, expires, path, domain, secure, httpOnly, sameSite, signed, partitioned, priority and encode"
local SAME_SITE = { strict = "Strict", lax = "Lax", none = "None" }
local PRIORITY = { low = "Low", medium = "Medium", high = "High" }
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

-- ---- signatures

local signers = setmetatable({}, { __mode = "k" }) -- app -> {secret, signer}
local unpack = table.unpack or unpack

local function make_signer(secret, level)
  local list = type(secret) == "table" and secret or { secret }
  for i = 1, math.max(#list, 1) do
    if type(list[i]) ~= "string" or list[i] == "" then
      error('the setting "secret" is a string, or a list of strings whose first one signs', level + 1)
    end
  end
  return native.signer(unpack(list))
end

--- What signs the cookies of a request: of its app's setting "secret".
---@param req IncomingMessage
---@param level integer
---@return table? signer nil where there is no secret
function M.signer(req, level)
  local app = rawget(req, "app")
  local secret = app and app:setting("secret")
  if not secret then return nil end
  local kept = signers[app]
  if not kept or kept.secret ~= secret then
    kept = { secret = secret, signer = make_signer(secret, level + 1) }
    signers[app] = kept
  end
  return kept.signer
end

local function verified(signer, name, text)
  local value, signature = text:match("^s:(.*)%.([^.]*)$")
  return value and signer:verify(name .. "=" .. value, signature) and value
end

--- The signed cookies of a request; false where a signature does not fit.
---@param req IncomingMessage
---@return table<string, string|false>
function M.signed(req)
  local values, signer = {}, M.signer(req, 2)
  for name, text in pairs(signer and req.cookies or {}) do
    if text:sub(1, 2) == "s:" then values[name] = verified(signer, name, text) or false end
  end
  return values
end

-- ---- what is checked

local function printable(value)
  return (tostring(value):sub(1, 40):gsub("[%c\127]", "?"))
end

local function check_name(name, level)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+%-.^_`|~]+$") then
    error(("the name of a cookie is a token (RFC 6265 4.1.1), not '%s'"):format(printable(name)), level + 1)
  end
end

local function check_options(options, level)
  if type(options) ~= "table" then error("the options of a cookie are a table, not a " .. type(options), level + 1) end
  for key, value in pairs(options) do
    local want = KNOWN[key]
    if not want then
      error(("a cookie has no option '%s': there are %s"):format(printable(key), NAMES), level + 1)
    elseif want ~= true and type(value) ~= want then
      error(("the option %s of a cookie is a %s, not a %s"):format(key, want, type(value)), level + 1)
    end
  end
end

local function date(seconds, level)
  local t = seconds == seconds and seconds > -11644473600 and seconds < 253402300800
    and os.date("!*t", math.floor(seconds))
  if not t then
    error("the option expires of a cookie is a time in seconds since 1970, as of os.time()", level + 1)
  end
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[t.wday], t.day, MONTHS[t.month], t.year, t.hour, t.min,
    t.sec)
end

local function check_text(text, what, pattern, level)
  if not text:find(pattern) then
    error(("the option %s of a cookie cannot be '%s'"):format(what, printable(text)), level + 1)
  end
  return text
end

local function chosen(value, what, list, level)
  return list[tostring(value):lower()]
    or error(("the option %s of a cookie is not '%s'"):format(what, printable(value)), level + 1)
end

--- SameSite as it is sent, or nil; true is "Strict".
local function same_site(value, level)
  if value == nil or value == false then return nil end
  return value == true and "Strict" or chosen(value, "sameSite", SAME_SITE, level + 1)
end

--- What browsers demand of attributes together: a cookie that breaks it is lost.
local function check_together(name, options, site, level)
  local prefix = name:lower():match("^__%a+%-")
  local function need(ok, why)
    if not ok then error(("browsers drop the cookie '%s': %s"):format(name, why), level + 2) end
  end
  need(site ~= "None" or options.secure, "sameSite = 'none' needs secure = true")
  need(not options.partitioned or options.secure, "partitioned needs secure = true")
  if prefix == "__secure-" or prefix == "__host-" then
    need(options.secure, "its prefix needs secure = true")
  end
  if prefix == "__host-" then
    need(not options.domain and (options.path or "/") == "/", "the prefix __Host- needs path = '/' and no domain")
  end
end

-- ---- what is written

local function text_of(value, level)
  if type(value) == "string" then return value end
  if type(value) == "number" or type(value) == "boolean" then return json.encode(value) end
  error("the value of a cookie is a string, a number or a boolean, not a " .. type(value)
    .. "; json.encode makes a string of a table", level + 1)
end

local function escape(c)
  return ("%%%02X"):format(c:byte())
end

--- Percent-encoded as far as a value needs it (RFC 6265 4.1.1), "%" itself too:
--- req.cookies decodes it.
local function encoded(value, encode, level)
  if not encode then return (value:gsub("[^!#$&'()*+%-./%w:<=>?@%[%]^_`{|}~]", escape)) end
  local text = encode(value)
  if type(text) ~= "string" or text:find("[^!#$%%&'()*+%-./%w:<=>?@%[%]^_`{|}~]") then
    error("the option encode of a cookie has returned what cannot stand in one", level + 1)
  end
  return text
end

local function add_lifetime(parts, options, level)
  local age, expires = options.maxAge, options.expires
  if age then
    if age ~= age or age >= 1e15 or age <= -1e15 then
      error("the option maxAge of a cookie is a count of milliseconds", level + 1)
    end
    local seconds = math.max(0, math.floor(age / 1000))
    parts[#parts + 1] = ("Max-Age=%.0f"):format(seconds)
    expires = expires or (age <= 0 and 0 or math.min(os.time() + seconds, 253402300799))
  end
  if expires then parts[#parts + 1] = "Expires=" .. date(expires, level + 1) end
end

--- The value of a Set-Cookie field. Raises at that level where it is none.
---@param req IncomingMessage
---@param name string
---@param value string|number|boolean
---@param options table?
---@param level integer
---@return string
function M.format(req, name, value, options, level)
  level = level + 1
  options = options or {}
  check_name(name, level)
  check_options(options, level)
  value = text_of(value, level)
  if options.signed then
    local signer = M.signer(req, level)
    if not signer then error('a signed cookie needs a secret: app:set("secret", "...")', level) end
    value = "s:" .. value .. "." .. signer:sign(name .. "=" .. value)
  end
  local site = same_site(options.sameSite, level)
  check_together(name, options, site, level)
  local parts = { name .. "=" .. encoded(value, options.encode, level) }
  if options.domain then
    parts[2] = "Domain=" .. check_text(options.domain, "domain", "^%.?[%w%-]+[%w%-.]*$", level):gsub("^%.", "")
  end
  parts[#parts + 1] = "Path=" .. check_text(options.path or "/", "path", "^/[^%c;\127-\255]*$", level)
  add_lifetime(parts, options, level)
  if options.httpOnly then parts[#parts + 1] = "HttpOnly" end
  if options.secure then parts[#parts + 1] = "Secure" end
  if site then parts[#parts + 1] = "SameSite=" .. site end
  if options.partitioned then parts[#parts + 1] = "Partitioned" end
  if options.priority then parts[#parts + 1] = "Priority=" .. chosen(options.priority, "priority", PRIORITY, level) end
  local text = table.concat(parts, "; ")
  if #text > MOST then
    error(("browsers drop the cookie '%s': it has %d bytes, more than %d"):format(name, #text, MOST), level)
  end
  return text
end

--- Name, domain and path: what a later cookie replaces an earlier one by.
local function identity(text)
  return text:match("^[^=]*") .. "\0" .. (text:match("; Domain=([^;]*)") or ""):lower() .. "\0"
    .. (text:match("; Path=([^;]*)") or "")
end

--- Sets the field; one cookie of a response replaces an earlier one of its name,
--- domain and path (RFC 6265 4.1.1).
---@param res ServerResponse
---@param text string
function M.set(res, text)
  local old = res:getHeader("Set-Cookie")
  if old == nil then return res:setHeader("Set-Cookie", text) end
  local list, mine = {}, identity(text)
  for _, one in ipairs(type(old) == "table" and old or { old }) do
    if identity(one) ~= mine then list[#list + 1] = one end
  end
  list[#list + 1] = text
  return res:setHeader("Set-Cookie", list)
end

--- Options with which a browser forgets a cookie: those it was set with, expired.
---@param name string
---@param options table?
---@return table
function M.expired(name, options)
  local gone = {}
  for key, value in pairs(options or {}) do gone[key] = value end
  gone.maxAge, gone.signed, gone.encode = nil, nil, nil
  gone.expires = 0
  if type(name) == "string" and name:lower():find("^__%a+%-") then gone.secure = true end
  return gone
end

--- The request of a response.
M.req_of = server.req

return M
