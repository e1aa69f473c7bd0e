-- `luaserve new`: what it makes, and what it says where it cannot.
local helper = require("spec.helper")
local files = require("spec.helper.files")

local function new(args, opts)
  opts = opts or {}
  opts.args = { table.unpack(opts.args or {}) }
  table.insert(opts.args, "new")
  for _, arg in ipairs(args) do table.insert(opts.args, arg) end
  return helper.run(nil, opts)
end

local function shell(folder, command)
  local pipe = io.popen(("cd %s && { %s; } 2>&1; echo $?"):format(files.quote(folder), command))
  local text = pipe:read("a")
  pipe:close()
  local output, code = text:match("^(.-)(%d+)\n$")
  return tonumber(code), output
end

-- The program by its usual name, in a folder for $PATH.
local function bin_folder()
  local folder = helper.tmpdir()
  local program = os.getenv("LUASERVE_BIN") or require("lfs").currentdir() .. "/build/luaserve"
  assert(os.execute(("ln -s %s %s/luaserve"):format(files.quote(program), folder)))
  return folder
end

local function refuses(pattern, code, args, opts)
  local result = new(args, opts)
  assert.matches(pattern, result.err)
  assert.is_nil(result.err:find("traceback", 1, true))
  assert.equal(code, result.code)
  return result
end

describe("luaserve new", function()
  local parent, bin, result

  setup(function()
    parent, bin = helper.tmpdir(), bin_folder()
    result = new({ "shop" }, { cwd = parent, env = { PATH = bin .. ":" .. os.getenv("PATH") } })
  end)

  it("makes a folder and says what comes next", function()
    assert.same({ 0, "" }, { result.code, result.err })
    assert.matches("^Made shop:\n", result.out)
    assert.matches("\nNext:\n  cd shop\n  luaserve %-%-watch app%.lua .-\n  luaserve test\n$", result.out)
    for _, name in ipairs { "app.lua", "README.md", ".gitignore", ".luarc.json", "spec/app_spec.lua" } do
      local text = helper.read_file(parent .. "/shop/" .. name)
      assert.is_nil(text:find("{{%l+}}"), name)
    end
    assert.matches("^# shop\n", helper.read_file(parent .. "/shop/README.md"))
  end)

  it("makes an app that --check and luacheck have nothing to say about", function()
    local code, output = shell(parent .. "/shop", bin .. "/luaserve --check app.lua && luacheck -q --no-color .")
    assert.equal(0, code, output)
    assert.is_nil(output:find("[1-9]%d* warning"), output)
  end)

  it("makes an app that serves a page, a file, JSON and its own 404, in workers and over TLS", function()
    local server = helper.serve(parent .. "/shop/app.lua", { args = { "--workers", "2", "--tls", "dev" },
      listen = "127.0.0.1:0", ready = "listening on https://127.0.0.1:%d+", env = { HOME = helper.tmpdir() } })
    local port = server:stdout():match("listening on https://127.0.0.1:(%d+)")
    local code, output = shell(parent, ([[
      ask() { curl -sk -w ' %%{http_code}\n' "https://127.0.0.1:%s$1"; }
      ask '/?name=K%%26m'; ask /style.css; ask /icon.svg; ask /api/hello/kim; ask /none]]):format(port))
    assert.equal(0, code)
    assert.matches("<title>shop</title>", output)
    assert.matches("<h1>Hello, K&amp;m!</h1>", output)
    assert.matches("The first visit since", output)
    assert.matches("color%-scheme: light dark", output)
    assert.matches("</svg>\n 200", output)
    assert.matches('{"hello":"kim"} 200', output)
    assert.matches("<h1>Not found</h1>.- 404\n", output)
  end)

  it("takes a path, an empty folder, and the one it is in", function()
    local folder = helper.tmpdir()
    assert.equal(0, new({ "a/b/shop" }, { cwd = folder }).code)
    assert.matches("^# shop\n", helper.read_file(folder .. "/a/b/shop/README.md"))
    assert(os.execute("mkdir -p " .. folder .. "/empty/.git"))
    local output = new({ "." }, { cwd = folder .. "/empty" })
    assert.equal(0, output.code)
    assert.is_nil(output.out:find("cd ", 1, true))
    assert.matches("^# empty\n", helper.read_file(folder .. "/empty/README.md"))
  end)

  it("leaves what is there alone", function()
    local folder = helper.tmpdir()
    helper.write_file(folder .. "/shop/app.lua", "mine")
    refuses("the folder shop is there already and not empty %(app%.lua is in it%); choose another name", 1, { "shop" },
      { cwd = folder })
    assert.equal("mine", helper.read_file(folder .. "/shop/app.lua"))
    helper.write_file(folder .. "/file", "mine")
    refuses("file is there already: it is not a folder", 1, { "file" }, { cwd = folder })
    refuses("file/x cannot be made: not a directory; something on the way is a file", 1, { "file/x" }, { cwd = folder })
  end)

  it("explains itself without a name, and what is wrong with one", function()
    refuses("needs a name, as in: luaserve new shop\n\nUsage: luaserve new NAME", 2, {})
    assert.matches("^Usage: luaserve new NAME", new({ "--help" }).out)
    refuses("there is no option %-%-force\n\nUsage", 2, { "--force" })
    refuses("'my shop' is no name for an app.*, as in my%-shop\n", 2, { "my shop" })
    refuses("'%.%.%.x' is no name for an app.*, as in a/x\n", 2, { "a/...x" })
    refuses("'shop' is a second one.*luaserve new my%-shop\n", 2, { "my", "shop" })
  end)

  it("says that it may not write", function()
    local folder = helper.tmpdir()
    assert(os.execute(("mkdir %s/locked && chmod 555 %s/locked"):format(folder, folder)))
    local is_root = io.popen("id -u"):read("l") == "0"
    if is_root then assert(os.execute("chmod 755 " .. folder)) end
    refuses("cannot be made: permission denied; choose a folder in which you may write", 1, { "locked/shop" },
      { cwd = folder, args = is_root and { "--user", "nobody" } or nil })
  end)

  it("writes what editors need into an app that is there", function()
    local folder = helper.tmpdir()
    helper.write_file(folder .. "/old/.luaserve/library/gone.lua", "")
    local first = new({ "--library", "old" }, { cwd = folder })
    assert.equal("Made old/.luaserve/library/\nMade old/.luarc.json\n", first.out)
    assert.is_nil(io.open(folder .. "/old/.luaserve/library/gone.lua"))
    assert.equal("Made .luaserve/library/\n", new({ "--library" }, { cwd = folder .. "/old" }).out)
    helper.write_file(folder .. "/old/.luarc.json", "{}")
    assert.matches('"%.luaserve/library" is missing in "workspace%.library"', new({ "--library", "old" },
      { cwd = folder }).out)
    refuses("there is no folder none; to make an app there run: luaserve new none", 1, { "--library", "none" },
      { cwd = folder })
  end)
end)
