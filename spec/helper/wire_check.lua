--- Compares an answer with what a wire document says of it.
local M = {}

local DAYS = "^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$" -- RFC 9110 5.6.7

local function show(value)
  return type(value) == "table" and table.concat(value, " | ") or tostring(value)
end

local function as_list(value)
  return type(value) == "table" and value or { value }
end

-- The expectations of one header, which may be repeated, against its values.
local function check_field(name, wanted, values)
  if wanted[1].how == "absent" then
    return #values == 0 or nil, ("header %s: %s must not be there"):format(name, show(values))
  end
  if wanted[1].how == "any" then
    return #values > 0 or nil, ("header %s is missing"):format(name)
  end
  if #values ~= #wanted then
    return nil, ("header %s: %q, there must be %d of it"):format(name, show(values), #wanted)
  end
  for i, want in ipairs(wanted) do
    local same = values[i] == want.value
    if want.how == "pattern" then
      same = values[i]:find("^" .. want.value .. "$") ~= nil
    end
    if not same then
      return nil, ("header %s: %q, expected %q"):format(name, values[i], want.value)
    end
  end
  return true
end

local function check_fields(expected, response)
  local by_name, order = {}, {}
  for _, field in ipairs(expected.fields) do
    if not by_name[field.name] then
      by_name[field.name] = {}
      table.insert(order, field.name)
    end
    table.insert(by_name[field.name], field)
  end
  for _, name in ipairs(order) do
    local ok, message = check_field(name, by_name[name], as_list(response.headers[name]))
    if not ok then
      return nil, message
    end
  end
  return true
end

-- What every answer owes, without being told (RFC 9110 6.6.1).
local function check_always(response)
  local date = response.headers.date
  if response.status < 200 or response.status >= 500 then
    return true
  end
  if type(date) ~= "string" or not date:find(DAYS) then
    return nil, ("Date is %q"):format(show(date))
  end
  return true
end

local function check_trailers(expected, response)
  for name, value in pairs(expected.trailers) do
    if response.trailers[name] ~= value then
      return nil, ("trailer %s: %s, expected %q"):format(name, show(response.trailers[name]), value)
    end
  end
  return true
end

--- Compares; returns true, or nil and what is different.
---@param expected spec.Expected
---@param response spec.Response
---@return true?, string?
function M.compare(expected, response)
  if not expected.statuses[response.status] then
    return nil, ("status %d, expected %s"):format(response.status, expected.status)
  end
  if expected.reason and response.reason ~= expected.reason then
    return nil, ("reason %q, expected %q"):format(response.reason, expected.reason)
  end
  for _, check in ipairs({ check_fields, check_trailers }) do
    local ok, message = check(expected, response)
    if not ok then
      return nil, message
    end
  end
  if expected.body and response.body ~= expected.body then
    return nil, ("body %q, expected %q"):format(response.body, expected.body)
  end
  return check_always(response)
end

return M
