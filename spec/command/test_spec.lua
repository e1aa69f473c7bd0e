-- `luaserve test`: busted within luaserve, what it says of all that can go wrong.
local helper = require("spec.helper")

local APP = [[
local luaserve = require "luaserve"
local app = luaserve()
app:get("/", function() return { ok = true } end)
return app
]]

local function run(files, args, opts)
  opts = opts or {}
  opts.cwd = opts.cwd or helper.tmpdir()
  for name, text in pairs(files) do helper.write_file(opts.cwd .. "/" .. name, text) end
  opts.args = opts.args or {}
  table.insert(opts.args, "test")
  for _, arg in ipairs(args or {}) do table.insert(opts.args, arg) end
  opts.timeout = 60
  return helper.run(nil, opts)
end

-- What stands below a line of the output, up to an empty one.
local function below(result, line)
  local at = select(2, result.out:find("\n" .. line .. "\n", 1, true))
  return at and result.out:sub(at + 1):match("^(.-)\n\n") or error("there is no " .. line .. " in:\n" .. result.out)
end

describe("luaserve test", function()
  it("runs the specs of a new app, which are green", function()
    local folder = helper.tmpdir()
    assert.equal(0, helper.run(nil, { args = { "new", folder .. "/shop" } }).code)
    local result = run({}, {}, { cwd = folder .. "/shop" })
    assert.same({ 0, "" }, { result.code, result.err })
    assert.matches("^spec/app_spec.lua\n  the page\n    %+ greets whom it is told to\n", result.out)
    assert.matches("\n\n5 passed, 0 failed, in [%d.]+ s\n$", result.out)
  end)

  it("lets tests and what stands around them wait, and gives each file an app of its own", function()
    local spec = [[
      local timers, client = require "timers", require("luaserve").test(require "app")
      describe("waiting", function()
        local log = {}
        setup(function() timers.sleep(1) log[#log + 1] = "setup" end)
        before_each(function() timers.sleep(1) log[#log + 1] = "before" end)
        after_each(function() timers.sleep(1) log[#log + 1] = "after" end)
        it("works", function()
          timers.sleep(1)
          client:get("/"):expect(200, { ok = true })
          assert.same({ "setup", "before" }, log)
          assert.is_nil(rawget(_G, "loaded"))
          _G.loaded = true
        end)
        it("works again", function() assert.equal("after", log[3]) end)
        it("catches", function() assert.has_error(function() timers.sleep(1) error("x") end) end)
        pending("comes later")
        describe("in any order", function() randomize() it("works", function() end) end)
      end)
    ]]
    local result = run({ ["app.lua"] = APP, ["spec/a_spec.lua"] = spec, ["spec/deep/b_spec.lua"] = spec,
      ["spec/helper.lua"] = "error('no spec')" })
    assert.same({ 0, "" }, { result.code, result.err })
    assert.matches("\nspec/deep/b_spec.lua\n  waiting\n", result.out)
    assert.matches("    %- comes later %(pending%)\n", result.out)
    assert.matches("\n8 passed, 0 failed, 2 pending, in", result.out)
  end)

  describe("where something is wrong", function()
    local result

    setup(function()
      result = run({
        ["app.lua"] = APP,
        ["broken.lua"] = "local x\nreturn x.y\n",
        ["spec/a_spec.lua"] = [[
          local client = require("luaserve").test(require "app")
          describe("a page", function()
            it("is not so", function()
              assert.equal(1, 2)
            end)
            it("is expected otherwise", function()
              client:get("/none"):expect(200)
            end)
            it("raises", function()
              local t
              return t.x
            end)
            it("raises a table", function() error({ code = 7 }) end)
            it("hangs", function()
              require("timers").sleep(1e6)
            end)
            it("never ends", function() if jit then jit.off() end while true do end end)
            it("goes on behind that", function() end)
            describe("with a database", function()
              before_each(function() error("no database") end)
              it("is not tried", function() error("tried") end)
            end)
          end)
          describe("a folder", function()
            setup(function() error("no folder") end)
            it("is not tried", function() error("tried") end)
          end)]],
        ["spec/b_spec.lua"] = "it('x', function()\n  local = 1\nend)",
        ["spec/c_spec.lua"] = "local app = require 'broken'",
        ["spec/d_spec.lua"] = "local client = require('luaserve').test(require 'silent')",
        ["silent.lua"] = "local app = require('luaserve')()",
      }, { "--timeout", "2" }, { args = { "--cpu-budget", "0.3" } })
    end)

    it("goes on, and ends with code 1 and a sum", function()
      assert.equal(1, result.code)
      assert.matches("    x is not so\n    x is expected otherwise\n    x raises\n", result.out)
      assert.matches("    %+ goes on behind that\n", result.out)
      assert.matches("\n1 passed, 11 failed, in", result.out)
      assert.is_nil(result.out:find("is not tried", 1, true))
    end)

    it("says where, and what was expected", function()
      assert.matches("^  spec/a_spec.lua:4\n    Expected objects to be equal", below(result,
        "FAILED spec/a_spec.lua: a page is not so"))
      assert.equal("  spec/a_spec.lua:7\n    GET /none: expected the status 200, found 404\n    404: Not Found",
        (below(result, "FAILED spec/a_spec.lua: a page is expected otherwise"):gsub("\n*$", "")))
      assert.matches("^  spec/a_spec.lua:11\n    attempt to index",
        below(result, "FAILED spec/a_spec.lua: a page raises"))
      assert.matches("{ code = 7 }", below(result, "FAILED spec/a_spec.lua: a page raises a table"))
    end)

    it("ends what hangs and what never waits", function()
      assert.equal("  spec/a_spec.lua:15\n    not done after 2 s",
        below(result, "FAILED spec/a_spec.lua: a page hangs"))
      -- LuaJIT leaves no trace of a coroutine that was stopped.
      local why = os.getenv("LUASERVE_ENGINE") == "luajit" and "not done after 2 s"
        or "it ran for too long without waiting (--cpu-budget)"
      assert.equal("  spec/a_spec.lua:17\n    " .. why, below(result, "FAILED spec/a_spec.lua: a page never ends"))
      assert.matches("CPU budget", result.err)
    end)

    it("names what failed around the tests", function()
      assert.equal("  spec/a_spec.lua:20\n    no database",
        below(result, "FAILED spec/a_spec.lua: a page with a database, before each test"))
      assert.equal("  spec/a_spec.lua:25\n    no folder", below(result, "FAILED spec/a_spec.lua: a folder, setup"))
    end)

    it("says that a file does not compile, or an app does not load", function()
      assert.matches("^  spec/b_spec.lua:2\n    ", below(result, "FAILED spec/b_spec.lua: the file does not compile"))
      assert.matches("not a boolean: a file that is required has to return its app",
        below(result, "FAILED spec/d_spec.lua: the file cannot be run"))
      assert.matches("broken.lua:2: attempt to index", below(result, "FAILED spec/c_spec.lua: the file cannot be run"))
    end)
  end)

  it("takes files, folders and a filter", function()
    local folder = helper.tmpdir()
    local files = {
      ["a_spec.lua"] = "local ok = function() end describe('one', function() it('two', ok) it('three', ok) end)",
      ["more/b_spec.lua"] = "describe('four', function() setup(error) it('five', function() end) end)" }
    local all = run(files, { "--filter", "one tw", "." }, { cwd = folder })
    assert.matches("^a_spec.lua\n  one\n    %+ two\n\n1 passed, 0 failed", all.out)
    assert.equal(0, all.code)
    assert.matches("\n    %+ three\n\n2 passed", run({}, { "a_spec.lua" }, { cwd = folder }).out)
    local none = run({}, { "--filter=six", "more" }, { cwd = folder })
    assert.same({ 1, "No test has a name with 'six' in it.\n" }, { none.code, none.out })
  end)

  it("explains itself", function()
    local folder = helper.tmpdir()
    local function refuses(code, pattern, args)
      local result = run({}, args, { cwd = folder })
      assert.matches(pattern, result.err)
      assert.equal(code, result.code)
    end
    refuses(1, "there is no folder spec here %(/.-%): run this where your app.lua is", {})
    refuses(1, "there is no none_spec.lua", { "none_spec.lua" })
    refuses(1, "no specs in %.: a spec is a file NAME_spec.lua", { "." })
    refuses(2, "there is no option %-%-what\n\nUsage: luaserve test", { "--what" })
    refuses(2, "%-%-timeout needs seconds", { "--timeout", "soon" })
    refuses(2, "%-%-filter needs a Lua pattern, and '%[' is none", { "--filter", "[" })
    assert.matches("^Usage: luaserve test", run({}, { "--help" }).out)
    local missing = run({ ["spec/a_spec.lua"] = "" }, {}, { env = { LUA_PATH = "./?.lua", LUA_PATH_5_4 = "./?.lua" } })
    assert.matches("busted is missing, which runs the specs: apt%-get install lua%-busted", missing.err)
    assert.equal(1, missing.code)
  end)
end)
