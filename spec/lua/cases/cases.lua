--- Runs groups of cases inside luaserve and prints what came of them, one line
-- for each failure and each group; outside.lua reads the lines.
--
-- A group is {name, function(module, t)}. t:check(name, ok, detail) is one case;
-- t:equal and t:raises are cases of common kinds.
local M = {}

--- The files of groups, beside this one, of each module under test.
M.files = {
  json = { "json_value_cases", "json_number_cases", "json_string_cases", "json_error_cases", "json_encode_cases" },
  crypto = { "crypto_cases" },
}

local T = {}
T.__index = T

--- Whether numbers can be integers here; on LuaJIT all are doubles.
T.integers = math.type ~= nil

local function kind(value)
  return math.type and math.type(value) or type(value)
end

--- `value` for a message: strings quoted, tables with their pairs.
local function show(value, depth)
  if type(value) == "string" then
    local text = value:gsub("[%c\128-\255]", function(c) return ("\\%d"):format(c:byte()) end)
    return '"' .. (#text > 200 and text:sub(1, 200) .. "..." or text) .. '"'
  end
  if type(value) ~= "table" or (depth or 0) > 3 then return tostring(value) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = "[" .. show(k, 9) .. "]=" .. show(v, (depth or 0) + 1) end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

--- Whether a and b are the same: the kind of numbers and the sign of zero too.
local function same(a, b)
  if kind(a) ~= kind(b) then return false end
  if a == 0 and b == 0 then return 1 / a == 1 / b end
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

--- One case: fails unless ok, and then says detail.
function T:check(name, ok, detail)
  self.count = self.count + 1
  if not ok then print("fail " .. show(name) .. ": " .. tostring(detail or "false")) end
end

--- The case that got and expected are the same.
function T:equal(name, got, expected)
  local ok = same(got, expected)
  self:check(name, ok, not ok and show(got) .. ", not " .. show(expected))
end

--- The case that fn(...) raises a message that holds `expected`.
function T:raises(name, expected, fn, ...)
  local ok, err = pcall(fn, ...)
  local fits = not ok and type(err) == "string" and err:find(expected, 1, true) ~= nil
  self:check(name, fits, not fits and show(err) .. ", not " .. show(expected))
end

local function run_group(name, fn, module)
  local t = setmetatable({ count = 0 }, T)
  local ok, err = pcall(fn, module, t)
  if not ok then print("fail the group: " .. tostring(err)) end
  print(("group %d %s"):format(t.count, name))
  return t.count
end

--- Runs all groups of the built-in module of that name.
---@param name string
function M.run(name)
  local module, total = require(name), 0
  for _, file in ipairs(M.files[name]) do
    for _, group in ipairs(require(file)) do total = total + run_group(group[1], group[2], module) end
  end
  print("done " .. total)
end

return M
