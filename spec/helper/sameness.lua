--- Runs spec files over other transports than plain HTTP/1.1, each in a process of
--- its own with LUASERVE_TRANSPORT set; spec/helper/transport.lua says what that
--- changes.
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")

local TRANSPORTS = { "https", "h2c", "h2" }

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

local function run(path, transport, exceptions)
  local report = files.tmpdir() .. "/report"
  local pipe = io.popen(command(path, transport, exceptions, report))
  local output = pipe:read("a")
  local wrong = failure(output, pipe:close(), report)
  if wrong then error(wrong, 0) end
end

local M = {}

--- What to say to `it`: a name and a function for each file and transport. The names of
--- what is not the same over one of them are patterns, by the transport's name.
---@param specs { [1]: string, https: string[]?, h2c: string[]?, h2: string[]? }[]
---@return { [1]: string, [2]: function }[]
function M.of(specs)
  local list = {}
  for _, spec in ipairs(specs) do
    for _, transport in ipairs(TRANSPORTS) do
      table.insert(list, { ("%s passes over %s"):format(spec[1], transport), function()
        run(spec[1], transport, spec[transport] or {})
      end })
    end
  end
  return list
end

return M
