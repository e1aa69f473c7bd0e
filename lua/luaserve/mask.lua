--- Hides what must not be shown or kept: the values of headers, parameters and variables whose names say that they
--- are secret.
local M = {}

--- What stands in the place of a secret.
M.TEXT = "[masked]"

local WORDS = { "password", "passwd", "passphrase", "secret", "token", "apikey", "credential", "authorization",
  "cookie", "signature", "privatekey", "csrf", "xsrf", "sessionid", "jwt" }
local WHOLE = { pass = true, pwd = true, pw = true, auth = true, key = true, sid = true, pin = true, otp = true,
  session = true }

--- Whether something of that name is to be hidden.
---@param name any
---@return boolean
function M.is_secret(name)
  if type(name) ~= "string" then return false end
  local plain = name:lower():gsub("[^%a]", "")
  if WHOLE[plain] then return true end
  for _, word in ipairs(WORDS) do
    if plain:find(word, 1, true) then return true end
  end
  return false
end

--- The value of a header, of cookies and of Authorization what is not secret.
---@param name string
---@param value string
---@return string
function M.header(name, value)
  if not M.is_secret(name) then return value end
  local lower = name:lower()
  if lower == "cookie" then
    return (value:gsub("([^=;%s]+)=[^;]*", "%1=" .. M.TEXT))
  end
  local scheme = lower:find("authorization$") and value:match("^(%a+) ")
  return scheme and scheme .. " " .. M.TEXT or M.TEXT
end

--- A URL, with the values of secret parameters hidden.
---@param url string
---@return string
function M.url(url)
  return (url:gsub("([?&;])([^=&;#]+)=([^&;#]*)", function(mark, name, value)
    local plain = name:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
    return mark .. name .. "=" .. (M.is_secret(plain) and M.TEXT or value)
  end))
end

return M
