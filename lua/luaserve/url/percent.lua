--- What the other parts of `url` share: the percent-encode sets, and a few ways to cut text.

local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub

local M = {}

-- What is percent-encoded in each part (URL Standard 1.3), written as the complement of what is not.
M.CONTROLS = "[^ -~]"
M.FRAGMENT = "[^!#-;=?-_a-~]"
M.QUERY = "[^!$-;=?-~]"
M.SPECIAL_QUERY = "[^!$-&(-;=?-~]"
M.PATH = "[^!$-;=@-_a-z|~]"
M.USERINFO = "[^!$-.0-9A-Z_a-z~]"
M.FORM = "[^%w*%-._ ]"

local function percent_encoded(c)
  return format("%%%02X", byte(c))
end

--- Percent-encodes the bytes that the set names.
function M.encode(text, set)
  if not find(text, set) then return text end
  return (gsub(text, set, percent_encoded))
end

--- What is before the first mark, and what is after it; nil for that when there is no mark.
function M.split_at(text, mark)
  local at = find(text, mark, 1, true)
  if not at then return text, nil end
  return sub(text, 1, at - 1), sub(text, at + 1)
end

--- Without the white space and control bytes around it. Loops, as a pattern that is anchored at the end
-- would try every run on its way.
function M.trim(text)
  local first, last = 1, #text
  while first <= last and byte(text, first) <= 32 do first = first + 1 end
  while last >= first and byte(text, last) <= 32 do last = last - 1 end
  return sub(text, first, last)
end

--- What a value is in a URL. Whole numbers have no fraction there: 1, never 1.0.
function M.text_of(value)
  if type(value) == "number" and value % 1 == 0 and value >= -2 ^ 53 and value <= 2 ^ 53 then
    return format("%d", value)
  end
  return tostring(value)
end

--- Without the tabs and line breaks that the standard takes out of every input.
function M.without_breaks(text)
  return (gsub(text, "[\t\n\r]", ""))
end

return M
