--- What an app and those mounted in it have defined, made into one list in order, and
--- of that, for each route, the chain of functions that answers it: the middlewares that
--- stand in front and cover it, then its own handlers.
local core = require "luaserve.core"
local pattern = require "luaserve.pattern"
local segments = require "luaserve.segments"

local M = {}

local byte, find, sub = string.byte, string.find, string.sub

local MOST_NESTED = 32

M.wrap = nil -- in development, wrap(fn, flat): what stands in the place of a middleware's function

---@class Layer
---@field kind "use"|"route"|"mount"
---@field where string "app.lua:7: " where it was defined, or ""
---@field prefix Segment[]? of "use" and "mount"
---@field lists Segment[][]? of "route"
---@field method string?
---@field fns function[]?

local function join(a, b)
  local list = {}
  for i = 1, #a do list[i] = a[i] end
  for i = 1, #b do list[#a + i] = b[i] end
  return list
end

--- A prefix, prepared: what is cut off req.path, and how a path is tested for it.
---@param list Segment[]
---@return table? prefix nil for the root
local function prefix_of(list)
  if #list == 0 then return nil end
  local texts, simple = {}, true
  for i, segment in ipairs(list) do
    texts[i] = segment.text
    simple = simple and segment.kind == "static" and segment.text:find("^[%w._~-]+$") ~= nil
  end
  return { list = list, n = #list, text = simple and "/" .. table.concat(texts, "/") or nil,
    captures = #pattern.names(list) > 0 }
end

local function collect(app, at, out)
  if at.depth > MOST_NESTED then core.raise("apps are mounted in each other, more than " .. MOST_NESTED .. " deep") end
  for _, layer in ipairs(app._layers) do
    if layer.kind == "mount" then
      local list = join(at.list, layer.prefix)
      local owners = layer.group and at.owners or join({ layer.app }, at.owners)
      out.mounts[#out.mounts + 1] = { list = list, owners = owners }
      local strip = at.strip
      if not layer.group then strip = prefix_of(list) or strip end
      collect(layer.app, { list = list, strip = strip, owners = owners, depth = at.depth + 1,
        path = (at.path .. layer.path):gsub("/+$", "") }, out)
    else
      local full = layer.kind == "use" and join(at.list, layer.prefix) or nil
      out[#out + 1] = { layer = layer, list = full, at = at, order = #out + 1, owners = at.owners,
        strip = full and #layer.prefix > 0 and prefix_of(full) or at.strip, prefix = full and prefix_of(full) }
    end
  end
end

--- All layers of an app and of those mounted in it, in order, each with its whole prefix; and `mounts`.
---@param app table
---@return table[]
function M.flatten(app)
  local out = { mounts = {} }
  collect(app, { list = {}, strip = nil, owners = { app }, depth = 0, path = "" }, out)
  return out
end

--- The whole pattern of a route's flat layer: its lists of segments, below those of its mounts.
---@param flat table
---@return Segment[][]
function M.lists(flat)
  local lists = {}
  for i, list in ipairs(flat.layer.lists) do
    lists[i] = join(flat.at.list, list)
    local message = pattern.check_names(lists[i])
    if message then
      error(("%s%s (in %s, where it is mounted)"):format(flat.layer.where, message, flat.layer.path), 0)
    end
  end
  return lists
end

-- ---- chains

--- Whether a request's path begins with prefix; its parameters are put into req.params.
---@param prefix table
---@param req IncomingMessage
---@return boolean
function M.begins(prefix, req)
  local text, url = prefix.text, req.url
  if text and byte(url) == 47 and not find(url, "%", 1, true) and not find(url, "/.", 1, true)
    and not find(url, "//", 1, true) then
    if sub(url, 1, #text) ~= text then return false end
    local behind = byte(url, #text + 1)
    return behind == nil or behind == 47 or behind == 63 -- "/", "?"
  end
  if not prefix.captures then return pattern.begins(prefix.list, segments.of(req)) end
  local found = {}
  if not pattern.begins(prefix.list, segments.of(req), found) then return false end
  local params = req.params
  for name, value in pairs(found) do params[name] = value end
  return true
end

--- The path of a request without a prefix that it begins with.
---@param prefix table
---@param req IncomingMessage
---@return string
function M.strip(prefix, req)
  local text, path = prefix.text, req.path
  if text and sub(path, 1, #text) == text then
    local behind = byte(path, #text + 1)
    if behind == 47 then return sub(path, #text + 1) end
    if behind == nil then return "/" end
  end
  local list = segments.of(req)
  local rest = "/" .. table.concat(list, "/", prefix.n + 1, list.n)
  return list.slash and rest ~= "/" and rest .. "/" or rest
end

--- An empty chain: functions, at the same index what has to hold before (checks), and
--- what is cut off req.path meanwhile (strips).
function M.new_chain()
  return { n = 0, checks = {}, strips = {}, plain = true }
end

local function add(chain, fn, check, strip)
  local n = chain.n + 1
  chain.n, chain[n], chain.checks[n], chain.strips[n] = n, fn, check or false, strip or false
  if check or strip then chain.plain = false end
end

M.add = add

--- Adds a middleware to a chain; list is the route's, nil where none is known.
---@param chain table
---@param flat table
---@param list Segment[]?
---@return boolean added whether it may cover that route
function M.guard(chain, flat, list)
  local covers = list and pattern.covers(flat.list, list) or (flat.prefix and "maybe" or "always")
  if covers == "never" then return false end
  local check = flat.prefix and (covers == "maybe" or flat.prefix.captures) and flat.prefix or nil
  for _, fn in ipairs(flat.layer.fns) do add(chain, M.wrap and M.wrap(fn, flat) or fn, check, flat.strip) end
  return true
end

return M
