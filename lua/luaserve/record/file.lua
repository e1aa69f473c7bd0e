--- Reads what `--record` has kept, and puts in what was hidden.
local fs = require "fs"
local json = require "json"
local mask = require "luaserve.mask"

local M = {}

local FIELD, VERSION = "luaserve record", 1
local MOST = 8 * 1024 * 1024 -- bytes of a file

local function is_text(value) return type(value) == "string" end

local function is_header(value)
  return type(value) == "table" and is_text(value[1]) and is_text(value[2]) and value[1]:find("^[%w!#$%%&'*+.^_`|~-]+$")
    and not value[2]:find("[\r\n%z]")
end

--- What is wrong with the fields of a record, or nil.
local function complaint(record)
  if not is_text(record.method) or not record.method:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    return "its method is none"
  end
  if not is_text(record.url) or record.url == "" or record.url:find("[%c ]") then return "its url is none" end
  if type(record.headers) ~= "table" then return "its headers are no list" end
  for _, header in ipairs(record.headers) do
    if not is_header(header) then return "a header is no list of a name and a value" end
  end
  local body = record.body
  if body == nil or body == json.null then return nil end
  local good = type(body) == "table" and (is_text(body.text) or is_text(body.base64) or is_text(body.missing))
  return not good and "its body is none" or nil
end

--- The bytes of the body; nil where there are none, "bad" where they are no base64.
local function bytes_of(body)
  if type(body) ~= "table" then return nil end
  if body.text then return body.text end
  if not body.base64 then return nil end
  local padded = body.base64:gsub("-", "+"):gsub("_", "/")
  return require("luaserve.core.crypto").unbase64(padded .. ("="):rep(-#padded % 4)), "its body is no base64"
end

--- Reads a record. Raises a text.
---@param path string
---@return table record with `content`, the bytes of its body
function M.read(path)
  local stats, message = fs.stat(path)
  if not stats then error(("cannot read %s: %s"):format(path, message), 0) end
  local function is_none(why)
    error(("%s is no record of a request: %s; give one of the files that --record DIR has written"):format(path,
      why), 0)
  end
  if not stats:isFile() then is_none("it is no file") end
  if stats.size > MOST then is_none("it is too long") end
  local text
  text, message = fs.readFile(path)
  if not text then error(("cannot read %s: %s"):format(path, message), 0) end
  local ok, record = pcall(json.decode, text)
  if not ok then is_none("it is no JSON (" .. tostring(record) .. ")") end
  if type(record) ~= "table" or record[FIELD] == nil then is_none(('it has no "%s"'):format(FIELD)) end
  if record[FIELD] ~= VERSION then
    error(("%s is a record of version %s, and this luaserve knows %d: use the luaserve that wrote it"):format(path,
      tostring(record[FIELD]), VERSION), 0)
  end
  local wrong = complaint(record)
  if wrong then is_none(wrong) end
  local bytes, why = bytes_of(record.body)
  if not bytes and why then is_none(why) end
  record.content = bytes
  record.url = record.url:gsub("^%a[%w+.-]*://[^/?]*", "")
  if not record.url:find("^[/*]") then record.url = "/" .. record.url end
  return record
end

-- ---- what was hidden

local function escaped(text) return (text:gsub("%W", "%%%0")) end

--- Gives a header a value, in place of all of that name.
---@param record table
---@param name string
---@param value string
function M.set_header(record, name, value)
  for i = #record.headers, 1, -1 do
    if record.headers[i][1]:lower() == name:lower() then table.remove(record.headers, i) end
  end
  table.insert(record.headers, { name, value })
end

local function percent(text)
  return (text:gsub("[^%w._~-]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

--- Puts a value in wherever that of this name was hidden: in the query, the body and the headers.
---@param record table
---@param name string
---@param value string
---@return integer count of places
function M.reveal(record, name, value)
  local count, word, hidden = 0, escaped(name), escaped(mask.TEXT)
  local function put(text, pattern, encode)
    local shown = encode(value)
    local filled, n = text:gsub(pattern, function(before) return before .. shown end)
    count = count + n
    return filled
  end
  local pair = "(%f[^&;%z]" .. word .. "=)" .. hidden
  local path, query = record.url:match("^([^?]*%?)(.*)$")
  if path then record.url = path .. put(query, pair, percent) end
  if record.content then
    record.content = put(record.content, '("' .. word .. '"%s*:%s*)"' .. hidden .. '"', json.encode)
    record.content = put(record.content, pair, percent)
    record.content = put(record.content, '(name="?' .. word .. '"?[^\n]*\r\n\r\n)' .. hidden, tostring)
  end
  for _, header in ipairs(record.headers) do
    local lower = header[1]:lower()
    if lower == "cookie" then
      header[2] = put(header[2], "(%f[^;%s%z]" .. word .. "=)" .. hidden, tostring)
    elseif lower == name:lower() then
      header[2] = put(header[2], "^(.*)" .. hidden, tostring) -- "Bearer [masked]"
    end
  end
  return count
end

--- What is still hidden, of the names in `masked`.
---@param record table
---@return string[]
function M.hidden(record)
  local list = {}
  local place = { query = record.url, body = record.content or "" }
  for _, text in ipairs(type(record.masked) == "table" and record.masked or {}) do
    local where, name = tostring(text):match("^(%a+) (.*)$")
    local value = place[where]
    for _, header in ipairs(where == "header" and record.headers or {}) do
      if header[1]:lower() == name:lower() then value = header[2] end
    end
    if value and value:find(mask.TEXT, 1, true) then list[#list + 1] = text end
  end
  return list
end

return M
