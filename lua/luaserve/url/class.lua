--- The class URL (URL Standard 6.1). Its fields are computed from the parser's record when they are read,
-- and change that record when they are set, as the standard says: what cannot be set is left as it was.

local params = require "luaserve.url.params"
local percent = require "luaserve.url.percent"
local records = require "luaserve.url.record"

local format, gsub, lower, match = string.format, string.gsub, string.lower, string.match
local encode, without_breaks, SPECIAL = percent.encode, percent.without_breaks, records.SPECIAL

local M = {}

---@class url.URL
---@field href string
---@field origin string read-only
---@field protocol string with its colon
---@field username string
---@field password string
---@field host string name and port
---@field hostname string
---@field port string "" for the scheme's own
---@field pathname string
---@field search string with its "?", or ""
---@field searchParams url.URLSearchParams read-only; changes to it are changes to the URL
---@field hash string with its "#", or ""
local Methods, getters, setters = {}, {}, {}
local RECORD = {} -- the key of the record in a URL
local url_meta = { __name = "URL" }
local NOTHING = {}

local function marked(mark, text)
  return text and text ~= "" and mark .. text or ""
end

function getters.href(record) return records.href(record, NOTHING) end
getters.origin = records.origin
function getters.protocol(record) return record.scheme .. ":" end
function getters.username(record) return record.username end
function getters.password(record) return record.password end
getters.host = records.host_text
function getters.hostname(record) return record.host or "" end
function getters.port(record) return record.port and format("%d", record.port) or "" end
getters.pathname = records.path_text
function getters.search(record) return marked("?", record.query) end
function getters.hash(record) return marked("#", record.fragment) end

function getters.searchParams(record)
  if not record.params then
    record.params = params.new()
    params.refill(record.params, record.query)
  end
  return record.params
end

local function cannot_have_port(record)
  return not record.host or record.host == "" or record.scheme == "file"
end

--- What URLSearchParams were changed to is written back when the URL is next used.
local function synced(self)
  local record = self[RECORD]
  if record.params and record.params.dirty then
    local text = record.params:toString()
    record.query, record.params.dirty = text ~= "" and text or nil, false
  end
  return record
end

local function refill_params(record)
  if record.params then params.refill(record.params, record.query) end
end

--- Raises on what is no URL, and leaves the old one then.
function setters.href(record, value)
  local parsed = records.parse(value)
  if not parsed then error("Invalid URL", 3) end
  parsed.params = record.params
  for key in pairs(record) do record[key] = nil end
  for key, part in pairs(parsed) do record[key] = part end
  refill_params(record)
end

function setters.protocol(record, value)
  local scheme = match(without_breaks(value) .. ":", "^(%a[%w+.%-]*):")
  scheme = scheme and lower(scheme)
  if not scheme or not SPECIAL[scheme] ~= not SPECIAL[record.scheme] then return end
  if scheme == "file" and (record.port or records.credentials_text(record) ~= "") then return end
  if record.scheme == "file" and record.host == "" then return end
  record.scheme = scheme
  if record.port == SPECIAL[scheme] then record.port = nil end
end

function setters.username(record, value)
  if not cannot_have_port(record) then record.username = encode(value, percent.USERINFO) end
end

function setters.password(record, value)
  if not cannot_have_port(record) then record.password = encode(value, percent.USERINFO) end
end

local function set_host(record, value, with_port)
  if record.opaque then return end
  local text = match(without_breaks(value), SPECIAL[record.scheme] and "^[^/\\?#]*" or "^[^/?#]*")
  if record.scheme == "file" then
    records.set_file_host(record, text)
  else
    records.set_host(record, text, with_port)
  end
end

function setters.host(record, value)
  set_host(record, value, true)
end

function setters.hostname(record, value)
  set_host(record, value, false)
end

function setters.port(record, value)
  if cannot_have_port(record) then return end
  local digits = match(without_breaks(value), "^%d+")
  if value == "" or digits then records.set_port(record, digits) end
end

function setters.pathname(record, value)
  if record.opaque then return end
  record.path = {}
  records.parse_path(record, without_breaks(value))
  if not record.host and #record.path == 0 then record.path[1] = "" end
end

function setters.search(record, value)
  local text = gsub(without_breaks(value), "^%?", "")
  records.set_query(record, value ~= "" and text or nil)
  refill_params(record)
end

function setters.hash(record, value)
  local text = gsub(without_breaks(value), "^#", "")
  record.fragment = value ~= "" and encode(text, percent.FRAGMENT) or nil
end

---@return string href
function Methods:toString() return self.href end

---@return string href
function Methods:toJSON() return self.href end

function url_meta.__index(self, key)
  local get = getters[key]
  if get then return get(synced(self)) end
  return Methods[key]
end

function url_meta.__newindex(self, key, value)
  local set = setters[key]
  if set then
    set(synced(self), value == nil and "" or percent.text_of(value))
  elseif getters[key] then
    error(("Cannot set property %s of a URL, it can only be read"):format(key), 2)
  else
    rawset(self, key, value)
  end
end

url_meta.__tostring = Methods.toString

--- The record of the URL that input is from base; nil where it is none.
local function record_of(input, base)
  if input == nil then return nil end
  if base == nil then return records.parse(tostring(input)) end
  local base_record = records.parse(tostring(base))
  return base_record and records.parse(tostring(input), base_record)
end

--- A new URL. Raises "Invalid URL" at the level of the caller's caller.
function M.new(input, base)
  local record = record_of(input, base)
  if not record then error("Invalid URL", 3) end
  return setmetatable({ [RECORD] = record }, url_meta)
end

function M.can_parse(input, base)
  return record_of(input, base) ~= nil
end

--- The record of a URL object; nil for anything else.
function M.record(value)
  return getmetatable(value) == url_meta and synced(value) or nil
end

return M
