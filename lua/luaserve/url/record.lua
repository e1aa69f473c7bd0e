--- The parser of the URL Standard (4.4), and its opposite.
--
-- It cuts at delimiters with string.find instead of walking the standard's states a character at a time;
-- it accepts, refuses and prints the same. A record has scheme, username, password, host, port, query,
-- fragment, and either path, a list of segments, or opaque, the path of such as "mailto:".

local host = require "luaserve.url.host"
local percent = require "luaserve.url.percent"

local byte, find, format, gsub, lower, match, sub = string.byte, string.find, string.format,
  string.gsub, string.lower, string.match, string.sub
local concat = table.concat
local encode, split_at, without_breaks = percent.encode, percent.split_at, percent.without_breaks

local M = {}

-- Schemes that always have a host, and their default ports; file has none.
local SPECIAL = { http = 80, https = 443, ws = 80, wss = 443, ftp = 21, file = true }
M.SPECIAL = SPECIAL

-- file: URLs know the drives of Windows, "C:" or "C|", as first segment.

local function is_drive(text)
  return find(text, "^%a[:|]$") ~= nil
end

local function starts_with_drive(text)
  return is_drive(match(text, "^[^/\\]*"))
end

local function has_drive(path)
  return path[1] ~= nil and find(path[1], "^%a:$") ~= nil
end

local function shorten(record)
  local path = record.path
  if record.scheme == "file" and #path == 1 and has_drive(path) then return end
  path[#path] = nil
end

local function add_segment(record, segment, is_last)
  local path, plain = record.path, segment
  if find(segment, "^[.%%]") then plain = gsub(gsub(segment, "%%2e", "."), "%%2E", ".") end
  if plain == ".." then shorten(record) end
  if plain == "." or plain == ".." then
    if is_last then path[#path + 1] = "" end
    return
  end
  if record.scheme == "file" and #path == 0 and is_drive(segment) then
    segment = sub(segment, 1, 1) .. ":"
  end
  path[#path + 1] = encode(segment, percent.PATH)
end

local function add_segments(record, text)
  local slash = SPECIAL[record.scheme] and "[/\\]" or "/"
  local from, stop = 1, find(text, slash)
  while stop do
    add_segment(record, sub(text, from, stop - 1), false)
    from, stop = stop + 1, find(text, slash, stop + 1)
  end
  add_segment(record, sub(text, from), true)
  return true
end

--- Puts the segments of a path into the record.
function M.parse_path(record, text)
  local special = SPECIAL[record.scheme]
  if text == "" and not special then return true end
  return add_segments(record, (gsub(text, special and "^[/\\]" or "^/", "")))
end

--- Sets the port, none for nil and for the scheme's own. False where it is over 65535.
function M.set_port(record, digits)
  local port = tonumber(digits)
  if port and port > 65535 then return false end
  record.port = port ~= SPECIAL[record.scheme] and port or nil
  return true
end

--- Host and port of "host:port"; nil for the port where there is no colon.
local function split_port(text)
  local name, colon, port = match(text, "^(%[[^%]]*%][^:]*)(:?)(.*)$")
  if not name then name, colon, port = match(text, "^([^:]*)(:?)(.*)$") end
  return name, colon == ":" and port or nil
end

--- An empty host is right where the scheme is not special; the caller has looked at that.
local function parse_name(name, special)
  if name == "" then return "" end
  return host.parse(name, special)
end

local function set_credentials(record, userinfo)
  local user, password = split_at(userinfo, ":")
  record.username = encode(user, percent.USERINFO)
  record.password = encode(password or "", percent.USERINFO)
end

local function parse_authority(record, text)
  local special = SPECIAL[record.scheme]
  local authority = match(text, special and "^[^/\\]*" or "^[^/]*")
  local userinfo, address = match(authority, "^(.*)@(.*)$")
  local name, port = split_port(address or authority)
  if name == "" and (userinfo or port or special) then return false end
  record.host = parse_name(name, special)
  if not record.host then return false end
  if port and (find(port, "%D") or not M.set_port(record, port)) then return false end
  if userinfo then set_credentials(record, userinfo) end
  return M.parse_path(record, sub(text, #authority + 1))
end

--- Sets the host of a file: URL, where "localhost" is no host. False where it cannot be one.
function M.set_file_host(record, name)
  local parsed = parse_name(name, true)
  if not parsed then return false end
  record.host = parsed == "localhost" and "" or parsed
  return true
end

--- Sets the host, and the port where `with_port` allows one in the text; leaves both where it is wrong.
function M.set_host(record, text, with_port)
  local special = SPECIAL[record.scheme]
  local name, port = split_port(text)
  if port and (name == "" or not with_port) then return end
  if name == "" and (special or record.port or M.credentials_text(record) ~= "") then return end
  local parsed = parse_name(name, special)
  if not parsed then return end
  record.host = parsed
  local digits = port and match(port, "^%d+")
  if digits then M.set_port(record, digits) end
end

local function copy_path(path)
  local copy = {}
  for i = 1, #path do copy[i] = path[i] end
  return copy
end

local function take_server(record, base)
  record.username, record.password = base.username, base.password
  record.host, record.port = base.host, base.port
end

--- What follows "file:", or is relative to a file: base.
local function parse_file(record, rest, base)
  record.host = ""
  if find(rest, "^[/\\][/\\]") then
    rest = sub(rest, 3)
    local name = match(rest, "^[^/\\]*")
    if is_drive(name) then return add_segments(record, rest) end
    return M.set_file_host(record, name) and M.parse_path(record, sub(rest, #name + 1))
  end
  local rooted = find(rest, "^[/\\]")
  if rooted then rest = sub(rest, 2) end
  if not base then return add_segments(record, rest) end
  record.host = base.host
  if rooted then
    if has_drive(base.path) and not starts_with_drive(rest) then record.path[1] = base.path[1] end
    return add_segments(record, rest)
  end
  if not starts_with_drive(rest) then record.path = copy_path(base.path) end
  if rest == "" then
    record.query = base.query
    return true
  end
  shorten(record)
  return add_segments(record, rest)
end

local function parse_relative(record, rest, base)
  local special = SPECIAL[record.scheme]
  local slash = special and "[/\\]" or "/"
  if find(rest, "^" .. slash .. slash) then
    return parse_authority(record, special and match(rest, "^[/\\]*(.*)") or sub(rest, 3))
  end
  take_server(record, base)
  if find(rest, "^" .. slash) then return M.parse_path(record, rest) end
  record.path = copy_path(base.path)
  if rest == "" then
    record.query = base.query
    return true
  end
  shorten(record)
  return add_segments(record, rest)
end

--- What follows a scheme.
local function parse_absolute(record, rest, base)
  local scheme = record.scheme
  local same = base and base.scheme == scheme
  if scheme == "file" then return parse_file(record, rest, same and base or nil) end
  if SPECIAL[scheme] then
    if same and not find(rest, "^//") then return parse_relative(record, rest, base) end
    return parse_authority(record, match(rest, "^[/\\]*(.*)"))
  end
  if sub(rest, 1, 2) == "//" then return parse_authority(record, sub(rest, 3)) end
  if byte(rest) == 47 then return M.parse_path(record, rest) end
  record.opaque = encode(rest, percent.CONTROLS)
  return true
end

--- What has no scheme: relative to the base, or wrong.
local function parse_schemeless(record, rest, base, only_fragment)
  if not base or base.opaque and not only_fragment then return false end
  record.scheme = base.scheme
  if base.opaque then
    record.opaque, record.query = base.opaque, base.query
    return true
  end
  local parse_rest = record.scheme == "file" and parse_file or parse_relative
  return parse_rest(record, rest, base)
end

--- Sets the query from text without its "?"; none for nil.
function M.set_query(record, text)
  record.query = text and encode(text, SPECIAL[record.scheme] and percent.SPECIAL_QUERY or percent.QUERY)
end

--- The record of a URL, or nil where the text is none.
function M.parse(text, base)
  local query, fragment
  local rest = without_breaks(percent.trim(text))
  rest, fragment = split_at(rest, "#")
  rest, query = split_at(rest, "?")
  local record = { username = "", password = "", path = {} }
  local scheme = match(rest, "^(%a[%w+.%-]*):")
  local ok
  if scheme then
    record.scheme = lower(scheme)
    ok = parse_absolute(record, sub(rest, #scheme + 2), base)
  else
    ok = parse_schemeless(record, rest, base, rest == "" and fragment and not query)
  end
  if not ok then return nil end
  if query then M.set_query(record, query) end
  record.fragment = fragment and encode(fragment, percent.FRAGMENT)
  return record
end

function M.host_text(record)
  if not record.host then return "" end
  return record.port and format("%s:%d", record.host, record.port) or record.host
end

function M.path_text(record)
  if record.opaque then return record.opaque end
  return #record.path == 0 and "" or "/" .. concat(record.path, "/")
end

function M.credentials_text(record)
  if record.username == "" and record.password == "" then return "" end
  return record.username .. (record.password ~= "" and ":" .. record.password or "") .. "@"
end

--- The URL as text. `without` names what to leave out: auth, search, fragment.
function M.href(record, without)
  local out = record.scheme .. ":"
  if record.host then
    out = out .. "//" .. (without.auth and "" or M.credentials_text(record)) .. M.host_text(record)
  elseif not record.opaque and record.path[2] and record.path[1] == "" then
    out = out .. "/." -- else the path would read as a host
  end
  out = out .. M.path_text(record)
  if record.query and not without.search then out = out .. "?" .. record.query end
  return record.fragment and not without.fragment and out .. "#" .. record.fragment or out
end

function M.origin(record)
  if record.scheme == "blob" then
    local inner = M.parse(M.path_text(record))
    return inner and (inner.scheme == "http" or inner.scheme == "https") and M.origin(inner) or "null"
  end
  if not SPECIAL[record.scheme] or record.scheme == "file" then return "null" end
  return record.scheme .. "://" .. M.host_text(record)
end

return M
