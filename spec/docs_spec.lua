-- The programs in the documentation run, and answer what it says they answer.
--
-- In README.md and docs/, a block ```lua is a whole script, which is started as
-- app.lua. One that listens, or returns an app, must come up and end well; any
-- other must end by itself with code 0. ```lua fragment is a part of a script,
-- which only has to compile. A block ```console behind a script holds commands,
-- `$ command`, run in the script's folder with bash, each with the output that it
-- must have; `...` stands for any text in a line. Port 8080 is any free one.
local helper = require("spec.helper")
local markdown = require("spec.helper.markdown")
local process = require("spec.helper.process")
local lfs = require("lfs")
local ports = require("spec.helper.ports")

local function markdown_files()
  local list = { "README.md", "CHANGELOG.md" }
  local function add(folder)
    for name in lfs.dir(folder) do
      local path = folder .. "/" .. name
      if name:find("%.md$") then
        table.insert(list, path)
      elseif not name:find("^%.") and lfs.attributes(path, "mode") == "directory" then
        add(path)
      end
    end
  end
  add("docs")
  table.sort(list)
  return list
end

local function pattern_of(lines)
  local text = table.concat(lines, "\n")
  return "^" .. text:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", "[^\n]*") .. "\n*$"
end

local function run_command(command, folder, port)
  command = command:gsub("8080", port)
  local file = helper.write_file(folder .. "/command", command)
  local pipe = io.popen(("cd '%s' && PATH='%s':$PATH timeout 20 bash '%s' 2>/dev/null"):format(folder, folder, file))
  local output = pipe:read("a")
  pipe:close()
  return (output:gsub("\r\n", "\n"):gsub(("%d"):format(port), "8080"))
end

local function check_commands(console, folder, port)
  for _, case in ipairs(markdown.commands_of(console.text)) do
    local output = run_command(case.command, folder, port)
    if not output:find(pattern_of(case.lines)) then
      error(("$ %s\nshould print\n%s\nand printed\n%s"):format(case.command, table.concat(case.lines, "\n"), output), 0)
    end
  end
end

local function start(block, port)
  local folder = helper.tmpdir()
  local script = helper.write_file(folder .. "/app.lua", (block.text:gsub("8080", port)))
  assert(os.execute(("ln -s '%s' '%s/luaserve'"):format(process.binary(), folder)))
  return helper.start({ process.binary(), "-l", "127.0.0.1:" .. port, script }, { cwd = folder }), folder
end

local function check_script(block, console)
  local port = ports.free()
  local started, folder = start(block, port)
  if block.text:find(":listen%(") or block.text:find("\nreturn ") then
    helper.wait_for(function()
      return not started:alive() or helper.connect(port, { try = true })
    end, "the server to come up")
    assert.is_true(started:alive(), started:output())
    if console then
      check_commands(console, folder, port)
    end
    assert.equal(0, (started:stop()))
  else
    assert.equal(0, (started:wait_exit()), started:output())
    if console then
      check_commands(console, folder, port)
    end
  end
end

for _, path in ipairs(markdown_files()) do
  describe(path, function()
    local blocks = markdown.blocks_of(helper.read_file(path))
    for i, block in ipairs(blocks) do
      if block.kind == "lua" then
        local following = blocks[i + 1]
        local console = following and following.kind == "console" and following or nil
        it("has a script at line " .. block.line .. " that does what is said", function()
          check_script(block, console)
        end)
      elseif block.kind == "lua fragment" then
        it("has lines of Lua at line " .. block.line .. " that compile", function()
          assert(load(block.text, "=" .. path .. ":" .. block.line))
        end)
      end
    end

    it("has links that lead somewhere", function()
      local folder = path:match("^(.*)/") or "."
      for target in helper.read_file(path):gmatch("%]%(([^)%s]+)%)") do
        local file = target:match("^[^#]*")
        if file ~= "" and not file:find("^%a+:") then
          assert.truthy(lfs.attributes(folder .. "/" .. file), target)
        end
      end
    end)
  end)
end
