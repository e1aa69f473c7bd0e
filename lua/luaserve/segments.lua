--- The segments of a request's path, as routes are matched against them: split at
--- its raw slashes, each decoded once; dot segments are resolved and empty ones left
--- out, so that all ways to write a path meet the same guards.
local M = {}

local find, gmatch, match, char = string.find, string.gmatch, string.match, string.char

local function byte_of(hex)
  return char(tonumber(hex, 16))
end

--- The raw path of a target: without the query, and without the host of an absolute form.
---@param url string
---@return string
function M.raw(url)
  local path = match(url, "^[^?]*")
  if find(path, "^/") or path == "*" then return path end
  path = match(path, "^%a[%w+.-]*://[^/]*(.*)$") or path
  return path == "" and "/" or path
end

--- The segments of a request's path.
---@param req IncomingMessage
---@return {n: integer, slash: boolean, [integer]: string}
function M.split(req)
  local path = M.raw(req.url)
  local escaped = find(path, "%", 1, true)
  local _ = escaped and req.path -- raises 400 where it is malformed
  local list, n, last = { slash = find(path, "/$") ~= nil }, 0, nil
  for piece in gmatch(path, "[^/]+") do
    if escaped then piece = piece:gsub("%%(%x%x)", byte_of) end
    last = piece
    if piece == ".." then
      list[n] = nil
      n = n > 0 and n - 1 or 0
    elseif piece ~= "." then
      n = n + 1
      list[n] = piece
    end
  end
  if last == "." or last == ".." then list.slash = true end
  list.n = n
  return list
end

--- The same, kept: few ask for them again, and those do so often.
---@param req IncomingMessage
---@return {n: integer, slash: boolean, [integer]: string}
function M.of(req)
  local list = rawget(req, "_segments")
  if not list then
    list = M.split(req)
    rawset(req, "_segments", list)
  end
  return list
end

return M
