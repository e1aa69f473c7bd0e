-- What wrk sends: wrk -s load.lua URL -- pipeline|post|plain
-- luacheck: globals init request wrk
local BATCH = 16 -- requests in one write

local function body()
  local tags = {}
  for i = 1, 10 do tags[i] = ('"tag%d"'):format(i) end
  local text = '{"user":{"id":42,"name":"Ada","mail":"ada@example.org"},"tags":[' .. table.concat(tags, ",")
    .. '],"flags":{"a":true,"b":false},"text":"'
  return text .. ("x"):rep(1024 - #text - 2) .. '"}'
end

local bytes

function init(args)
  if args[1] == "post" then
    wrk.method, wrk.body = "POST", body()
    wrk.headers["Content-Type"] = "application/json"
  end
  bytes = wrk.format()
  if args[1] == "pipeline" then bytes = bytes:rep(BATCH) end
end

function request()
  return bytes
end
