--- What a request accepts and is: Express's req.get, is and accepts. Loaded when
--- one of them is first called.
local body = require "luaserve.body"
local negotiate = require "luaserve.negotiate"

local field = body.header

local M = {}

--- A header of the request by its name in any case; "referrer" is "referer".
---@param self IncomingMessage
---@param name string
---@return string|string[]|nil
function M.get(self, name)
  if type(name) ~= "string" or name == "" then error("req:get needs the name of a header", 2) end
  name = name:lower()
  if name == "referer" or name == "referrer" then return field(self, "referer") or field(self, "referrer") end
  return field(self, name)
end

local function names_of(method, ...)
  local first = ...
  local list = type(first) == "table" and first or { ... }
  for i = 1, #list do
    if type(list[i]) ~= "string" then error(("req:%s needs strings, not a %s"):format(method, type(list[i])), 3) end
  end
  return list
end

--- Whether the body is of one of the types, as extensions ("json"), types
--- ("text/html"), patterns ("text/*"), or suffixes ("+json").
---@param self IncomingMessage
---@param ... string|string[]
---@return string|false|nil kind as it was asked for, or, for a pattern, the body's; nil without a body
function M.is(self, ...)
  local list = names_of("is", ...)
  if not body.is_there(self) then return nil end
  local header = field(self, "content-type")
  local kind = header and header:match("^%s*([^;%s]+)")
  if not kind then return false end
  kind = kind:lower()
  if #list == 0 then return kind end
  for _, given in ipairs(list) do
    local name = negotiate.media_type(given).name
    if negotiate.fits(kind, name) then return name:find("*", 1, true) and kind or given end
  end
  return false
end

--- The header as one list, or nil.
local function list_of(self, name)
  local value = field(self, name)
  if type(value) == "table" then value = table.concat(value, ", ") end
  return value and negotiate.parse(value)
end

--- The one of the types, given as extensions or media types, that the client
--- wants most, as it was given; false where it accepts none. Without arguments:
--- all that it names, the best one first.
---@param self IncomingMessage
---@param ... string|string[]
---@return string|false|string[]
function M.accepts(self, ...)
  local wanted = {}
  for i, given in ipairs(names_of("accepts", ...)) do wanted[i] = negotiate.media_type(given) end
  return negotiate.choose(list_of(self, "accept") or negotiate.parse("*/*"), "media", wanted)
end

local function plain(list)
  local wanted = {}
  for i, given in ipairs(list) do wanted[i] = { given = given, name = given:lower(), params = {} } end
  return wanted
end

--- The same for content codings; "identity" is accepted unless it is refused.
---@param self IncomingMessage
---@param ... string|string[]
---@return string|false|string[]
function M.acceptsEncodings(self, ...)
  local list = list_of(self, "accept-encoding") or {}
  local least, said = 1, false
  for _, item in ipairs(list) do
    said = said or item.name == "identity" or item.name == "*"
    if item.q > 0 then least = math.min(least, item.q) end
  end
  if not said then
    list[#list + 1] = { name = "identity", said = "identity", q = least, order = #list + 1, params = {} }
  end
  return negotiate.choose(list, "exact", plain(names_of("acceptsEncodings", ...)))
end

--- The same for character sets.
---@param self IncomingMessage
---@param ... string|string[]
---@return string|false|string[]
function M.acceptsCharsets(self, ...)
  return negotiate.choose(list_of(self, "accept-charset") or negotiate.parse("*"), "exact",
    plain(names_of("acceptsCharsets", ...)))
end

--- The same for languages; "en" and "en-GB" accept each other.
---@param self IncomingMessage
---@param ... string|string[]
---@return string|false|string[]
function M.acceptsLanguages(self, ...)
  return negotiate.choose(list_of(self, "accept-language") or negotiate.parse("*"), "language",
    plain(names_of("acceptsLanguages", ...)))
end

return M
