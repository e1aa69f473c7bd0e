--- The Content-Disposition of a download (RFC 6266): a name that every client
--- reads, and the real one in UTF-8 (RFC 8187) where they differ.
local M = {}

--- Whether text is UTF-8 without overlong forms and surrogates.
local function is_utf8(text)
  local i, n = 1, #text
  while i <= n do
    local c = text:byte(i)
    local more, least = 0, 0
    if c >= 0xf0 and c <= 0xf4 then more, least = 3, 0x10000
    elseif c >= 0xe0 and c < 0xf0 then more, least = 2, 0x800
    elseif c >= 0xc2 and c < 0xe0 then more, least = 1, 0x80
    elseif c >= 0x80 then return false end
    local code = more == 3 and c - 0xf0 or more == 2 and c - 0xe0 or more == 1 and c - 0xc0 or c
    for k = 1, more do
      local next_byte = text:byte(i + k)
      if not next_byte or next_byte < 0x80 or next_byte > 0xbf then return false end
      code = code * 64 + next_byte - 0x80
    end
    if code < least or code > 0x10ffff or (code >= 0xd800 and code <= 0xdfff) then return false end
    i = i + 1 + more
  end
  return true
end

local function from_latin1(c)
  local code = c:byte()
  return string.char(0xc0 + math.floor(code / 64), 0x80 + code % 64)
end

--- The last part of a path, without what no file system should be given.
local function clean(name)
  name = name:gsub("^.*[/\\]", ""):gsub("[%c\127]", "_")
  if not is_utf8(name) then name = name:gsub("[\128-\255]", from_latin1) end
  return name == "" and "download" or name
end

local function percent(c)
  return ("%%%02X"):format(c:byte())
end

--- The value of the field.
---@param kind "attachment"|"inline"
---@param name string? of the file; a path counts as its last part
---@return string
function M.format(kind, name)
  if not name then return kind end
  name = clean(name)
  local simple = name:gsub("[\192-\255][\128-\191]*", "?"):gsub("[\128-\255]", "?")
  local text = ('%s; filename="%s"'):format(kind, (simple:gsub('["\\]', "\\%0")))
  -- Some clients decode percent signs in filename, though they should not.
  if simple ~= name or name:find('[%%"\\]') then
    text = text .. "; filename*=UTF-8''" .. name:gsub("[^%w!#$&+%-.^_`|~]", percent)
  end
  return text
end

return M
