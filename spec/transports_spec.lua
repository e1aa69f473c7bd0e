-- The proof of sameness: one list of specs, each of which passes over HTTP/1.1 over
-- TLS, over HTTP/2 in the clear, and over HTTP/2 over TLS, as it does over plain
-- HTTP/1.1 where it stands. (The wire documents do that in spec/wire_spec.lua.)
--
-- Each runs in a process of its own with LUASERVE_TRANSPORT set; spec/helper/
-- transport.lua says what that changes. What is not the same is named here, with
-- the reason: the names of those specs, as patterns.
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")

local TRANSPORTS = { "https", "h2c", "h2" }

local WRAPPED = "must be numbers, as the caller's line" -- the caller is the specs' own wrapper
local CODERS = "frees its coders" -- the same, only slower
local DUPLEX = "answers while the body is still coming in" -- speaks HTTP/1.1 by hand
local GATHER = "what three services say" -- it asks its own services by http:
local ABSOLUTE = "an absolute form" -- which HTTP/2 does not have

local SPECS = {
  -- LuaSec cannot do both at once
  { "spec/examples_spec.lua", https = { "sends back a body of any kind", DUPLEX, GATHER }, h2 = { GATHER } },
  { "spec/http/compress_spec.lua", https = { CODERS }, h2 = { CODERS } },
  { "spec/http/server_spec.lua", https = { WRAPPED }, h2 = { WRAPPED } },
  { "spec/lua/answers_spec.lua" },
  { "spec/lua/context_spec.lua" },
  { "spec/lua/coroutines_spec.lua" },
  -- HTTP/2 has no reason phrases
  { "spec/lua/errors_spec.lua", h2c = { "drops what was set" }, h2 = { "drops what was set" } },
  { "spec/lua/events_spec.lua" },
  { "spec/lua/send_file_spec.lua" },
  { "spec/lua/static_load_spec.lua" },
  { "spec/lua/static_paths_spec.lua", h2c = { ABSOLUTE }, h2 = { ABSOLUTE } },
  { "spec/lua/static_spec.lua", h2c = { ABSOLUTE }, h2 = { ABSOLUTE } },
  { "spec/lua/template_spec.lua" },
  { "spec/lua/timers_spec.lua" },
  { "spec/lua/waiting_spec.lua" },
}

local function command(path, transport, exceptions, report)
  local words = { "LUASERVE_TRANSPORT=" .. transport, "timeout", tostring(120 * poll.scale), arg[-1] or "lua5.4",
    arg[0], "-o", "spec/report.lua", "-Xoutput", report }
  for _, pattern in ipairs(exceptions) do
    table.insert(words, "--filter-out=" .. files.quote(pattern))
  end
  table.insert(words, path)
  return table.concat(words, " ") .. " 2>&1"
end

-- What went wrong in a run, by its output; nil where nothing did.
local function failure(output, ok, report)
  local passed, failed = (files.read_file(report) or ""):match("^(%d+) (%d+)")
  if ok and failed == "0" and tonumber(passed) > 0 then
    return nil
  end
  local lines = {}
  for block in (output .. "\nok "):gmatch("(not ok .-)\nok ") do
    table.insert(lines, block)
  end
  return #lines > 0 and table.concat(lines, "\n") or output:sub(-2000)
end

for _, spec in ipairs(SPECS) do
  for _, transport in ipairs(TRANSPORTS) do
    it(("%s passes over %s"):format(spec[1], transport), function()
      local report = files.tmpdir() .. "/report"
      local pipe = io.popen(command(spec[1], transport, spec[transport] or {}, report))
      local output = pipe:read("a")
      local wrong = failure(output, pipe:close(), report)
      if wrong then
        error(wrong, 0)
      end
    end)
  end
end
