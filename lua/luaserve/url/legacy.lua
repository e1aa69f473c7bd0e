--- Node's older functions: url.parse, url.format and url.resolve.
--
-- They take relative references too, and keep what the class URL would refuse or rewrite. Fields that a
-- URL does not have are nil.

local class = require "luaserve.url.class"
local host = require "luaserve.url.host"
local percent = require "luaserve.url.percent"
local querystring = require "querystring"
local records = require "luaserve.url.record"

local byte, find, gsub, lower, match, sub = string.byte, string.find, string.gsub, string.lower,
  string.match, string.sub
local concat = table.concat

local M = {}

-- Schemes that have "//" whether it is written or not, and the one that never has a host.
local SLASHED = { http = true, https = true, ftp = true, gopher = true, file = true, ws = true, wss = true }
local HOSTLESS = { javascript = true }

local MAX_HOSTNAME = 255

local NOT_IN_HOST = "[\t\n\r \"%%';<>\\^`{|}]"
local AUTO_ESCAPED = "[\t\n\r \"'<>\\^`{|}]"
local NOT_IN_AUTH = "[^%w%-_.!~*'():]"

---@class url.Parsed
---@field protocol? string with its colon, in small letters
---@field slashes? boolean "//" follows the protocol
---@field auth? string decoded "user:password"
---@field host? string name and port
---@field hostname? string an IPv6 address has no brackets here
---@field port? string
---@field pathname? string
---@field search? string with its "?"
---@field query? string|table<string, string|string[]> the search without its "?"; a table if asked for
---@field path? string pathname and search
---@field hash? string with its "#"
---@field href string

---@class url.FormatOptions
---@field auth? boolean false leaves out user and password
---@field search? boolean
---@field fragment? boolean

local function has(set, protocol)
  return protocol ~= nil and set[gsub(protocol, ":$", "")] == true
end

local function set_query(parsed, search, parse_query)
  if search then parsed.search, parsed.query = search, sub(search, 2) end
  if parse_query then parsed.query = querystring.parse(parsed.query or "") end
end

local function has_bad_escape(text)
  return find(gsub(text, "%%%x%x", ""), "%", 1, true) ~= nil
end

local function is_ipv6(hostname)
  return find(hostname, "^%[.*%]$") ~= nil
end

--- The host name as it is kept: in small letters and ASCII. Nil for what could pass for another host.
local function checked_hostname(hostname)
  if #hostname > MAX_HOSTNAME then return "" end
  local ascii = lower(hostname)
  if is_ipv6(ascii) then
    return not find(ascii, "[%z\t\n\r #%%/<>?@\\^|]") and ascii or nil
  end
  if ascii == "" then return ascii end
  ascii = host.to_ascii(ascii)
  return ascii and ascii ~= "" and not host.is_forbidden(ascii) and ascii or nil
end

--- Takes "user:password@host:port" from the start of rest. Returns what is left of it, or nil and a message.
local function parse_authority(parsed, rest)
  local authority = match(rest, "^[^/?#]*")
  local auth, address = match(authority, "^(.*)@(.*)$")
  if auth and has_bad_escape(auth) then return nil, "URI malformed" end
  parsed.auth, address = auth and querystring.unescape(auth), address or authority
  local name = sub(address, 1, (find(address, NOT_IN_HOST) or 0) - 1)
  rest = sub(rest, (auth and #auth + 2 or 1) + #name)
  local hostname, port = match(name, "^(.*):(%d*)$")
  hostname = hostname or name
  if not is_ipv6(hostname) then
    local before, after = percent.split_at(hostname, ":")
    if after then hostname, rest = before, "/:" .. after .. rest end
  end
  parsed.port = port and port ~= "" and port or nil
  hostname = checked_hostname(hostname)
  if not hostname then return nil, "Invalid URL" end
  parsed.host = hostname .. (parsed.port and ":" .. parsed.port or "")
  parsed.hostname = hostname
  if is_ipv6(hostname) then
    parsed.hostname = sub(hostname, 2, -2)
    if byte(rest) ~= 47 then rest = "/" .. rest end
  end
  return rest
end

local function parse_tail(parsed, rest, parse_query)
  if not has(HOSTLESS, parsed.protocol) then rest = percent.encode(rest, AUTO_ESCAPED) end
  local pathname, search, hash = match(rest, "^([^?#]*)(%??[^#]*)(.*)$")
  if hash ~= "" then parsed.hash = hash end
  set_query(parsed, search ~= "" and search or nil, parse_query)
  if pathname ~= "" then
    parsed.pathname = pathname
  elseif has(SLASHED, parsed.protocol) and (parsed.hostname or "") ~= "" then
    parsed.pathname = "/"
  end
  if parsed.pathname or parsed.search then
    parsed.path = (parsed.pathname or "") .. (parsed.search or "")
  end
end

--- A path with or without a query, as in the first line of a request. Node escapes nothing there.
local function parse_plain_path(text, parse_query)
  if byte(text) ~= 47 or find(text, "[#@%s]") or sub(text, 1, 3) == "///" then return nil end
  local pathname, search = match(text, "^([^?]*)(.*)$")
  local parsed = { pathname = pathname, path = text, href = text }
  set_query(parsed, search ~= "" and search or nil, parse_query)
  return parsed
end

--- Takes "//" from the start of rest where a host follows, and the host. Returns what is left of it, or
-- nil and a message.
local function parse_server(parsed, rest, slashes_denote_host)
  local protocol = parsed.protocol
  if has(HOSTLESS, protocol) then return rest end
  local slashes = sub(rest, 1, 2) == "//"
    and (slashes_denote_host or protocol or find(rest, "^//[^@/]+@[^@/]+"))
  if slashes then rest, parsed.slashes = sub(rest, 3), true end
  if slashes or protocol and not has(SLASHED, protocol) then return parse_authority(parsed, rest) end
  return rest
end

local function check_string(value, name)
  if type(value) == "string" then return end
  error(('The "%s" argument must be of type string. Received type %s'):format(name, type(value)), 3)
end

local function auth_text(parsed)
  if (parsed.auth or "") == "" then return "" end
  return percent.encode(parsed.auth, NOT_IN_AUTH) .. "@"
end

--- Host with port and user; nil where there is no host.
local function authority_text(parsed)
  if (parsed.host or "") ~= "" then return auth_text(parsed) .. parsed.host end
  local hostname = parsed.hostname or ""
  if hostname == "" then return nil end
  if find(hostname, ":", 1, true) and not is_ipv6(hostname) then hostname = "[" .. hostname .. "]" end
  local port = percent.text_of(parsed.port or "")
  return auth_text(parsed) .. hostname .. (port ~= "" and ":" .. port or "")
end

local function search_text(parsed)
  local search = parsed.search or ""
  if search == "" and type(parsed.query) == "table" then search = querystring.stringify(parsed.query) end
  if search ~= "" and byte(search) ~= 63 then search = "?" .. search end
  return (gsub(search, "#", "%%23"))
end

local function format_parsed(parsed)
  local protocol, hash = parsed.protocol or "", parsed.hash or ""
  if protocol ~= "" and byte(protocol, -1) ~= 58 then protocol = protocol .. ":" end
  if hash ~= "" and byte(hash) ~= 35 then hash = "#" .. hash end
  local pathname = percent.encode(parsed.pathname or "", "[#?]")
  local authority = authority_text(parsed)
  if parsed.slashes or authority and has(SLASHED, protocol) then
    if pathname ~= "" and byte(pathname) ~= 47 then pathname = "/" .. pathname end
    authority = "//" .. (authority or "")
  elseif protocol == "file:" then
    authority = "//"
  end
  return protocol .. (authority or "") .. pathname .. search_text(parsed) .. hash
end

--- The parsed URL, or nil and a message.
local function parse(text, parse_query, slashes_denote_host)
  local head, tail = match(percent.trim(text), "^([^?#]*)(.*)$")
  local rest = gsub(head, "\\", "/") .. tail
  local parsed = not slashes_denote_host and parse_plain_path(rest, parse_query)
  if parsed then return parsed end
  parsed = {}
  local protocol = match(rest, "^[%w.+%-]+:")
  if protocol then
    parsed.protocol = lower(protocol)
    rest = sub(rest, #protocol + 1)
  end
  local message
  rest, message = parse_server(parsed, rest, slashes_denote_host)
  if not rest then return nil, message end
  parse_tail(parsed, rest, parse_query)
  parsed.href = format_parsed(parsed)
  return parsed
end

--- Takes a URL apart, relative or absolute. Raises "Invalid URL" where its host cannot be one.
---@param text string
---@param parse_query? boolean `query` becomes a table
---@param slashes_denote_host? boolean "//host/path" without a protocol has a host
---@return url.Parsed
function M.parse(text, parse_query, slashes_denote_host)
  check_string(text, "url")
  local parsed, message = parse(text, parse_query, slashes_denote_host)
  if not parsed then error(message, 2) end
  return parsed
end

--- Puts a URL together from the fields that `parse` gives. host wins over hostname and port, search over
-- query, which counts as a table only. A url.URL is printed without what the options switch off.
---@param value url.Parsed|url.URL|string
---@param options? url.FormatOptions for a url.URL
---@return string
function M.format(value, options)
  local record = class.record(value)
  if record then
    local without = {}
    for _, part in ipairs { "auth", "search", "fragment" } do
      without[part] = options ~= nil and options[part] == false
    end
    return records.href(record, without)
  end
  local parsed, message = value, nil
  if type(value) == "string" then parsed, message = parse(value) end
  if type(parsed) ~= "table" then
    message = message or 'The "urlObject" argument must be of type table or string. Received type ' .. type(value)
    error(message, 2)
  end
  return format_parsed(parsed)
end

local SERVER = { "slashes", "auth", "host", "hostname", "port" }

local function copy_fields(target, source, names)
  for _, name in ipairs(names) do target[name] = source[name] end
end

--- RFC 3986 section 5.2.4. A path that has no root keeps the ".." that lead above its start.
local function without_dots(path, rooted)
  local kept, depth, last = {}, 0, nil
  for segment in (path .. "/"):gmatch("([^/]*)/") do
    last = segment
    if segment == ".." and depth > 0 then
      kept[#kept], depth = nil, depth - 1
    elseif segment == ".." and not rooted then
      kept[#kept + 1] = segment
    elseif segment ~= "." and segment ~= ".." then
      kept[#kept + 1], depth = segment, depth + 1
    end
  end
  if last == "." or last == ".." then kept[#kept + 1] = "" end
  return concat(kept, "/")
end

local function set_path(target, path)
  local rooted = byte(path) == 47
  if not rooted and target.host and path ~= "" then path, rooted = "/" .. path, true end
  if rooted then
    target.pathname = "/" .. without_dots(sub(path, 2), true)
  elseif path ~= "" then
    local cleaned = without_dots(path, false)
    target.pathname = cleaned == "" and byte(path, -1) == 47 and "/" or cleaned
  end
end

--- RFC 3986 section 5.2.3.
local function merged_path(from, path)
  return (match(from, "^.*/") or "") .. path
end

--- A reference with a scheme or host of its own keeps all that it has. Nil and a message where that has no
-- host after all.
local function resolved_elsewhere(base, reference)
  local protocol = reference.protocol or base.protocol
  if not has(SLASHED, protocol) and reference.protocol then return reference end
  if not reference.slashes and protocol ~= "file:" then
    -- "http:host/path", on a page of another scheme: what has no host takes it from the path, as in Node
    local message
    reference, message = parse((gsub(reference.href, ":/*", "://", 1)))
    if not reference then return nil, message end
  end
  local target = { protocol = protocol, search = reference.search, hash = reference.hash }
  copy_fields(target, reference, SERVER)
  set_path(target, reference.pathname or "")
  if has(SLASHED, protocol) and (target.pathname or "") == "" then target.pathname = "/" end
  return target
end

--- What a relative path is relative to: of "mailto:a@b", where no "//" says that b is a host, that is b.
local function base_path(base)
  if not base.protocol or base.slashes or has(SLASHED, base.protocol) then return base.pathname or "", true end
  return (base.host or "") .. (base.pathname or ""), false
end

--- RFC 3986 section 5.2.2, with the loophole of its 5.4.2: "http:g" is relative on a page of its scheme.
local function resolved(base, reference)
  local same = not reference.protocol or reference.protocol == base.protocol
  if not same or reference.slashes or (reference.host or "") ~= "" then
    return resolved_elsewhere(base, reference)
  end
  local target = { protocol = base.protocol, hash = reference.hash, search = reference.search }
  local path = reference.pathname
  local from, has_server = base_path(base)
  if has_server or not path then copy_fields(target, base, SERVER) end
  if path then
    set_path(target, byte(path) == 47 and path or merged_path(from, path))
  else
    target.pathname, target.search = base.pathname, reference.search or base.search
  end
  return target
end

--- The URL that a reference means on a page (RFC 3986 section 5); both may be relative. Raises "Invalid URL".
---@param from string
---@param to string
---@return string
function M.resolve(from, to)
  check_string(from, "from")
  check_string(to, "to")
  local base, base_message = parse(from, false, true)
  if not base then error(base_message, 2) end
  local reference, message = parse(to, false, true)
  if reference then reference, message = resolved(base, reference) end
  if not reference then error(message, 2) end
  return format_parsed(reference)
end

return M
