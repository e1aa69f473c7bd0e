--- Who is asking, where proxies stand in between: req.ip, ips, hostname, protocol and
--- secure, by the X-Forwarded fields of those proxies that the setting "trust proxy" names.
local core = require "luaserve.core"
local encrypted = require("luaserve.core.body").encrypted
local fields = require "luaserve.fields"
local getters = require("luaserve.core.request").getters

local M = {}

local NAMED = {
  loopback = { "127.0.0.0/8", "::1/128" },
  linklocal = { "169.254.0.0/16", "fe80::/10" },
  uniquelocal = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7" },
}

-- ---- addresses

local function bytes_of_v4(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  local list = { tonumber(a), tonumber(b), tonumber(c), tonumber(d) }
  for i = 1, 4 do
    if not list[i] or list[i] > 255 then return nil end
  end
  return list
end

local function groups_of(text, list)
  if text == "" then return true end
  for piece in (text .. ":"):gmatch("([^:]*):") do
    local v4 = piece:find(".", 1, true) and bytes_of_v4(piece)
    if v4 then
      for i = 1, 4 do list[#list + 1] = v4[i] end
    else
      if not piece:find("^%x%x?%x?%x?$") then return false end
      local value = tonumber(piece, 16)
      list[#list + 1] = math.floor(value / 256)
      list[#list + 1] = value % 256
    end
  end
  return true
end

local function bytes_of_v6(text)
  local head, tail = text:match("^(.-)::(.*)$")
  local first, last = {}, {}
  if not groups_of(head or text, first) or not groups_of(tail or "", last) then return nil end
  local missing = 16 - #first - #last
  if (head and missing < 2) or (not head and missing ~= 0) or (tail and tail:find("::", 1, true)) then return nil end
  for _ = 1, missing do first[#first + 1] = 0 end
  for i = 1, #last do first[#first + 1] = last[i] end
  return first
end

--- The bytes of an address, 4 or 16; of ::ffff:1.2.3.4 those of the IPv4 address.
local function bytes_of(text)
  local list = bytes_of_v4(text) or (text:find(":", 1, true) and bytes_of_v6(text)) or nil
  if not list or #list == 4 then return list end
  for i = 1, 10 do
    if list[i] ~= 0 then return list end
  end
  if list[11] ~= 255 or list[12] ~= 255 then return list end
  return { list[13], list[14], list[15], list[16] }
end

--- An entry of X-Forwarded-For without its port; nil where it is no address.
local function address_of(text)
  text = text:match("^%s*(.-)%s*$")
  local bare = text:match("^%[(.*)%]:?%d*$") or text:match("^(%d+%.%d+%.%d+%.%d+):%d+$") or text
  return bytes_of(bare) and bare or nil
end

local function network_of(text)
  local address, bits = text:match("^([^/]+)/(%d+)$")
  local list = bytes_of(address or text)
  if not list then return nil end
  bits = tonumber(bits) or #list * 8
  return bits <= #list * 8 and { bytes = list, bits = bits } or nil
end

local function is_in(network, list)
  if #network.bytes ~= #list then return false end
  local bits = network.bits
  for i = 1, #list do
    if bits <= 0 then return true end
    local size = bits < 8 and 2 ^ (8 - bits) or 1
    if math.floor(network.bytes[i] / size) ~= math.floor(list[i] / size) then return false end
    bits = bits - 8
  end
  return true
end

-- ---- the setting

local function expected(value)
  core.raise(('the setting "trust proxy" is true, false, a number of proxies, addresses ("loopback", "10.0.0.0/8", '
    .. 'a list), or a function(ip, hop), not %s'):format(tostring(value)))
end

local function trust_networks(list)
  local networks, unix = {}, false
  for i = 1, #list do
    if type(list[i]) ~= "string" then expected(list[i]) end
    for name in list[i]:gmatch("[^,%s]+") do
      unix = unix or name == "unix" or name == "loopback"
      for _, text in ipairs(name == "unix" and {} or NAMED[name] or { name }) do
        networks[#networks + 1] = network_of(text) or expected(name)
      end
    end
  end
  return function(ip)
    local bytes = ip and bytes_of(ip)
    if not bytes then return unix and (ip == nil or ip == "") end -- a Unix socket
    for i = 1, #networks do
      if is_in(networks[i], bytes) then return true end
    end
    return false
  end
end

local function compile(value)
  if value == true then return function() return true end end
  if not value then return function() return false end end
  if type(value) == "number" then
    if value < 0 or value % 1 ~= 0 then expected(value) end
    return function(_, hop) return hop < value end
  end
  if type(value) == "function" then return value end
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" then expected(value) end
  return trust_networks(value)
end

local compiled = setmetatable({}, { __mode = "k" })

local function ip_of(req)
  local list = M.chain(req)
  local ip = list[#list]
  rawset(req, "ip", ip)
  return ip
end

--- Checks the setting, and has req.ip heed it. Raises where the script called.
---@param value any
---@return any value
function M.compile(value)
  if value == nil then return nil end
  compiled[value] = compile(value)
  getters.ip = ip_of
  fields.trusting = true
  return value
end

local function trust_of(req)
  local app = rawget(req, "app")
  local value = app and app:setting("trust proxy")
  return value and compiled[value] or nil
end

--- Whether the one who has connected is a proxy that is trusted.
local function trusts(req)
  local trust = trust_of(req)
  return trust and trust(req.socket.remoteAddress, 0)
end

--- The addresses that a request has come through, as far as they can be believed, the
--- nearest first: all but the last one are proxies that are trusted.
---@param req IncomingMessage
---@return string[]
function M.chain(req)
  local trust, remote = trust_of(req), req.socket.remoteAddress
  local list = { remote ~= "" and remote or nil } -- empty for a Unix socket
  local field = trust and req.headers["x-forwarded-for"]
  if not field or not trust(remote, 0) then return list end
  local entries = {}
  for entry in field:gmatch("[^,]+") do entries[#entries + 1] = entry end
  for i = #entries, 1, -1 do
    local address = address_of(entries[i])
    if not address then break end
    list[#list + 1] = address
    if not trust(address, #entries - i + 1) then break end
  end
  return list
end

-- ---- what requests have

local function first_of(value)
  return value and value:match("^%s*([^,]-)%s*,") or value and value:match("^%s*(.-)%s*$")
end

--- The addresses in front of the nearest proxy, the client's first; none without proxies.
---@param req IncomingMessage
---@return string[]
function M.ips(req)
  local chain, list = M.chain(req), {}
  local own = (req.socket.remoteAddress or "") ~= "" and 2 or 1
  for i = #chain, own, -1 do list[#list + 1] = chain[i] end
  rawset(req, "ips", list)
  return list
end

--- "https" or "http": what the client speaks.
---@param req IncomingMessage
---@return string
function M.protocol(req)
  local protocol = encrypted(req) and "https" or "http"
  local said = trust_of(req) and req.headers["x-forwarded-proto"]
  if said and trusts(req) then
    said = first_of(said):lower()
    if said:find("^%a[%w+.-]*$") then protocol = said end
  end
  rawset(req, "protocol", protocol)
  return protocol
end

--- Whether the client uses TLS.
---@param req IncomingMessage
---@return boolean
function M.secure(req)
  local secure = (rawget(req, "protocol") or M.protocol(req)) == "https"
  rawset(req, "secure", secure)
  return secure
end

--- The host that the client asked for, without its port.
---@param req IncomingMessage
---@return string?
function M.hostname(req)
  local host = req.headers.host
  local said = req.headers["x-forwarded-host"]
  if said and trusts(req) then host = first_of(said) end
  host = host and (host:match("^(%[.*%])") or host:match("^[^:]*"))
  rawset(req, "hostname", host)
  return host
end

return M
