-- docs/tutorial.md, done from its first line to its last in an empty folder.
--
-- A block ```console holds commands, `$ command`, and the output that each must have
-- (`...` stands for any text in a line, a line of three dots for any lines); a folder that
-- one changes into stays. ```console server is the other terminal: `$ command` starts a
-- server in the place of the one before, lines without one must be printed in what has
-- come since. A block ```LANGUAGE FILE is written to that file, or, as ```LANGUAGE FILE add,
-- in front of its line `app:use(luaserve.static...`. Port 8080 is any free one.
local helper = require("spec.helper")
local markdown = require("spec.helper.markdown")
local process = require("spec.helper.process")
local ports = require("spec.helper.ports")

local FILE = "docs/tutorial.md"

local port, folder, cwd, server, seen

local function pattern_of(text)
  local pattern = text:gsub("%p", "%%%0"):gsub("\n%%%.%%%.%%%.\n", "\n.-\n"):gsub("%%%.%%%.%%%.", "[^\n]*")
  return pattern
end

-- What LuaJIT says in words of its own, as Lua 5.4 does.
local function usual(text)
  if os.getenv("LUASERVE_ENGINE") ~= "luajit" then return text end
  return (text:gsub("attempt to index field ('%S+') %(a nil value%)", "attempt to index a nil value (field %1)")
    :gsub("'<eof>' expected", "<eof> expected"))
end

-- ---- one terminal

local function run(command)
  local script = ("cd '%s' || exit\nexport PATH='%s':$PATH PORT=%s NO_COLOR=1\n%s\npwd >'%s/cwd'\n"):format(cwd, folder,
    port, (command:gsub("8080", port)), folder)
  local pipe = io.popen(("timeout 60 bash '%s' 2>&1"):format(helper.write_file(folder .. "/command", script)))
  local output = pipe:read("a"):gsub("\r\n", "\n"):gsub(port, "8080")
  pipe:close()
  cwd = helper.read_file(folder .. "/cwd"):gsub("\n$", "")
  return usual(output)
end

local function check_command(command, expected)
  local output = run(command)
  if expected ~= "" and not expected:find("\n$") then expected = expected .. "\n" end
  if not (output .. "\n"):find("^" .. pattern_of(expected) .. "\n*$") then
    error(("$ %s\nshould print\n%s\nand printed\n%s"):format(command, expected, output), 0)
  end
end

-- ---- the other

local function stop()
  if server then server:stop() end
  server = nil
end

local function start(command)
  stop()
  local script = ("cd '%s' || exit\nexport PATH='%s':$PATH PORT=%s NO_COLOR=1\nexec %s 2>&1\n"):format(cwd, folder,
    port, (command:gsub("8080", port)))
  server = helper.start({ "/bin/bash", helper.write_file(folder .. "/serve", script) }, { cwd = cwd })
  seen = 1
end

local function expect(lines)
  local pattern = pattern_of(lines:gsub("\n$", ""))
  helper.wait_for(function()
    local text = usual(server:output():gsub(port, "8080"))
    local _, last = text:find(pattern, seen)
    if last then seen = last + 1 end
    assert.is_true(last ~= nil or server:alive(), text)
    return last ~= nil
  end, function() return "the server to print\n" .. lines .. "after\n" .. server:output():sub(seen) end)
end

local function in_server(text)
  local rest = text
  if text:find("^%$") then
    local command
    command, rest = text:match("^%$ ([^\n]*)\n(.*)$")
    start(command)
  end
  if rest ~= "" then expect(rest) end
end

-- ---- files

local function write(file, text, how)
  local path = cwd .. "/" .. file
  if how == "add" then
    local old = helper.read_file(path)
    local before, rest = old:match("^(.-\n)(app:use%(luaserve%.static.*)$")
    text = assert(before, file .. " serves no files") .. text .. "\n" .. rest
  end
  os.execute(("mkdir -p '%s'"):format(path:match("^(.*)/")))
  helper.write_file(path, text)
end

local function do_block(block)
  local kind, file, how = block.kind:match("^(%S+) ?(%S*) ?(%S*)$")
  if block.kind == "console" then
    for _, case in ipairs(markdown.commands_of(block.text)) do
      check_command(case.command, table.concat(case.lines, "\n"))
    end
  elseif block.kind == "console server" then
    in_server(block.text)
  elseif kind and file ~= "" then
    write(file, block.text, how)
  end
end

describe("the tutorial", function()
  it("does what it says, from nothing to a deployed app", function()
    folder = helper.tmpdir()
    cwd, port = folder, ("%d"):format(ports.free())
    assert(os.execute(("ln -s '%s' '%s/luaserve'"):format(process.binary(), folder)))
    finally(stop)
    for _, block in ipairs(markdown.blocks_of(helper.read_file(FILE))) do
      local ok, message = pcall(do_block, block)
      if not ok then error(("%s:%d: %s"):format(FILE, block.line, tostring(message)), 0) end
    end
  end)
end)
