--- The formats that a schema's strings can have (JSON Schema validation, section 7.3): by name a
--- function of a string that says whether it has it, and what is said where it has not.
local M = {}

local function leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

--- RFC 3339 full-date.
local function is_date(text)
  local year, month, day = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not year then return false end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local days = month == 2 and leap(year) and 29 or DAYS[month]
  return days ~= nil and day >= 1 and day <= days
end

--- RFC 3339 full-time; a leap second is one.
local function is_time(text)
  local hour, minute, second, zone = text:match("^(%d%d):(%d%d):(%d%d)%.?%d*([Zz+-].*)$")
  if not hour or text:find(".", 9, true) == 9 and not text:find("^%d", 10) then return false end
  if tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 60 then return false end
  local hours, minutes = zone:match("^[+-](%d%d):(%d%d)$")
  return zone:find("^[Zz]$") ~= nil or hours ~= nil and tonumber(hours) < 24 and tonumber(minutes) < 60
end

local function is_date_time(text)
  local date, time = text:match("^([%d-]+)[Tt ](.+)$")
  return date ~= nil and is_date(date) and is_time(time)
end

local function is_hostname(text)
  if #text > 253 then return false end
  for label in (text .. "."):gmatch("([^.]*)%.") do
    if #label > 63 or not label:find("^%w") or not label:find("%w$") or label:find("[^%w-]") then return false end
  end
  return true
end

--- As the field of a browser's form takes it (HTML, "valid e-mail address").
local function is_email(text)
  local name, host = text:match("^([%w.!#$%%&'*+/=?^_`{|}~-]+)@(.+)$")
  return name ~= nil and is_hostname(host)
end

local function is_ipv4(text)
  local parts = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for _, part in ipairs(parts) do
    if #part > 3 or tonumber(part) > 255 or part:find("^0%d") then return false end
  end
  return #parts == 4
end

--- How many groups of 16 bits a text of them has, nil where it is none; the last
--- may be an IPv4 address.
local function groups_of(text)
  if text == "" then return 0 end
  local rest, count = text:match("^(.-)[^:]*%.[^:]*$"), 0
  if rest then
    if not is_ipv4(text:sub(#rest + 1)) then return nil end
    if rest == "" then return 2 end
    text, count = rest:match("^(.*):$"), 2
    if not text then return nil end
  end
  for group in (text .. ":"):gmatch("([^:]*):") do
    if not group:find("^%x%x?%x?%x?$") then return nil end
    count = count + 1
  end
  return count
end

--- RFC 4291 section 2.2.
local function is_ipv6(text)
  local before, after = text:match("^(.-)::(.*)$")
  if not before then return groups_of(text) == 8 end
  local first, last = groups_of(before), groups_of(after)
  return first ~= nil and last ~= nil and first + last < 8 and not before:find(".", 1, true)
end

--- RFC 3986, with a scheme.
local function is_uri(text)
  return text:find("^%a[%w+.-]*:[%w%-._~:/?#%[%]@!$&'()*+,;=%%]*$") ~= nil and not text:find("%%%X")
    and not text:find("%%%x%X") and not text:find("%%%x?$")
end

local function is_uuid(text)
  return text:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$") ~= nil
end

M.date = { is_date, "must be a date, as 2026-01-31" }
M.time = { is_time, "must be a time, as 13:45:00Z" }
M["date-time"] = { is_date_time, "must be a date and time, as 2026-01-31T13:45:00Z" }
M.email = { is_email, "must be an e-mail address" }
M.hostname = { is_hostname, "must be the name of a host" }
M.ipv4 = { is_ipv4, "must be an IPv4 address" }
M.ipv6 = { is_ipv6, "must be an IPv6 address" }
M.uri = { is_uri, "must be a URI" }
M.uuid = { is_uuid, "must be a UUID" }

return M
