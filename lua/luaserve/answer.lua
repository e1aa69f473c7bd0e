--- The head of another server's answer, as clients get it: lines become fields.
local M = {}

-- Of these the first one counts, as in Node; others are joined.
local SINGLE = {}
for name in ([[age authorization content-length content-type etag expires from host if-modified-since
  if-unmodified-since last-modified location max-forwards proxy-authorization referer retry-after server
  user-agent]]):gmatch("%S+") do
  SINGLE[name] = true
end

local function add(fields, name, value)
  local old = fields[name]
  if name == "set-cookie" then
    if not old then fields[name] = { value } else old[#old + 1] = value end
  elseif not old then
    fields[name] = value
  elseif not SINGLE[name] then
    fields[name] = old .. ", " .. value
  end
end

--- The lines of fields without those that are folded: a line that begins with
--- blanks goes on with the one before (RFC 9112 5.2).
local function unfold(lines)
  return (lines:gsub("\r?\n[ \t]+", " "))
end

--- Reads lines of fields.
---@param lines string
---@return table<string, string|string[]> headers by lower-case name; set-cookie is a list
---@return string[] raw names and values as they came
function M.fields(lines)
  local headers, raw = {}, {}
  for name, value in unfold(lines):gmatch("([^\r\n:]+):[ \t]*([^\r\n]*)") do
    value = value:match("^(.-)[ \t]*$")
    raw[#raw + 1], raw[#raw + 2] = name, value
    add(headers, name:lower(), value)
  end
  return headers, raw
end

--- Reads a head: the status line, and fields.
---@param lines string
---@return string reason "" where there is none
---@return table<string, string|string[]> headers
---@return string[] raw
function M.head(lines)
  local reason, rest = lines:match("^HTTP/[%d.]+ %d+ ?([^\r\n]*)\r?\n?(.*)$")
  return (reason or ""):match("^(.-) *$"), M.fields(rest or lines)
end

return M
