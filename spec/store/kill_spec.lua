-- A process that is killed with -9 in the middle of writing loses nothing that it
-- has answered, and blocks nobody.
local helper = require("spec.helper")

local WRITER = [[
local store = require "luaserve.store"
local log, big = store.open("log"), store.open("big", { maxBytes = 512 * 1024 })
local from = tonumber((...))
setImmediate(function()
  for i = from, from + 1e9 do
    log:update("n", function(old) return (old or 0) + 1 end)
    log:set("last", i)
    big:set("key" .. i % 500, { i, ("v"):rep(i % 7000), i })
    io.stdout:write(i, "\n")
    io.stdout:flush()
  end
end)
]]

local READER = [[
local store = require "luaserve.store"
local log, big = store.open("log"), store.open("big", { maxBytes = 512 * 1024 })
local busy, failed = 0, 0
setInterval(function() -- so that who is killed has others waiting for its turn
  for i = 1, 50 do
    busy = busy + 1
    if not log:incr("busy") or not big:set("busy" .. i, { i, ("v"):rep(i), i }) then failed = failed + 1 end
  end
end, 1)
return function(req)
  local damaged = 0
  for _, key in ipairs(big:keys()) do
    local value = big:get(key)
    if value and (value[1] ~= value[3] or #value[2] ~= value[1] % 7000) then damaged = damaged + 1 end
  end
  return { last = log:get("last") or 0, n = log:get("n") or 0, damaged = damaged, write = log:set("reader", 1),
    failed = failed, busy = busy }
end
]]

it("loses nothing and blocks nobody when writers are killed 200 times", function()
  local json = require("cjson")
  local path = helper.tmpdir() .. "/store"
  local args = { "--store", path, "--cpu-budget", "0" }
  local reader = helper.serve(READER, { listen = true, args = args })
  local from, writes, busy = 1, 0, 0
  local script = helper.tmpdir() .. "/writer.lua"
  helper.write_file(script, WRITER)
  for round = 1, 200 do
    local writer = helper.start({ os.getenv("LUASERVE_BIN") or "build/luaserve", "--store", path, "--cpu-budget", "0",
      script, tostring(from) }, {})
    -- Another point of its work each time.
    local wanted = from + (round * 7) % 40
    helper.wait_for(function()
      local out = writer:stdout()
      local last = tonumber(out:match("(%d+)\n[^\n]*$"))
      return last and last >= wanted
    end, "the writer to write", 30)
    writer:kill("SIGKILL")
    writer:wait_exit()
    local last = tonumber(writer:stdout():match("(%d+)\n[^\n]*$"))
    writes = writes + last - from + 1
    local seen = json.decode(helper.get(reader, "/").body)
    assert.are.equal(0, seen.damaged)
    assert.is_true(seen.write)
    assert.are.equal(0, seen.failed)
    assert.is_true(seen.busy > busy)
    busy = seen.busy
    assert.truthy(seen.last == last or seen.last == last + 1, "the last answered write is lost")
    assert.truthy(seen.n >= writes, "a counted write is lost")
    from = last + 2
    writes = math.max(writes, seen.n)
  end
end)
