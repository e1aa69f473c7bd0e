-- What luaserve.static and res:sendFile never send: anything outside of their
-- folder, and what is hidden in it. Each folder of the site has a neighbour that
-- is secret; no answer may ever hold its text.
local helper = require("spec.helper")
local lfs = require("lfs")

local SECRET = "top secret"

describe("luaserve.static", function()
  local server, dir

  local HANDLER = [[
    if req.query.file then
      local ok, err = pcall(res.sendFile, res, req.query.file, { root = "www", dotfiles = req.query.dot })
      if not ok then
        if type(err) == "table" and err.status then error(err) end
        res:status(500):text("raised " .. tostring(err))
      end
      return
    end
    return sites[req.query.site or "plain"](req, res)
  ]]
  local BEFORE = [[
    local luaserve = require "luaserve"
    local sites = {
      plain = luaserve.static("www"),
      lists = luaserve.static("www", { listing = true }),
      all = luaserve.static("www", { dotfiles = "allow", listing = true }),
      denies = luaserve.static("www", { dotfiles = "deny", listing = true }),
      linked = luaserve.static("current"),
    }
  ]]

  setup(function()
    server = helper.serve_handler(HANDLER, { before = BEFORE, files = {
      ["www/a.txt"] = "public",
      ["www/sub/b.txt"] = "below",
      ["www/.env"] = SECRET,
      ["www/.git/config"] = SECRET,
      ["www/sub/.well-known/x"] = SECRET,
      ["www/.well-known/security.txt"] = "contact",
      ["www/.well-known/.env"] = SECRET,
      ["www/%2e%2e/a.txt"] = "odd name",
      ["secret.txt"] = SECRET,
      ["www2/secret.txt"] = SECRET,
      ["releases/1/v.txt"] = "one",
      ["releases/2/v.txt"] = "two",
      ["current/v.txt"] = "placeholder",
    }, name = "app.lua" })
    dir = server.dir
    local function link(target, name)
      assert(lfs.link(target, dir .. "/" .. name, true))
    end
    link("../secret.txt", "www/out.txt")
    link(dir .. "/secret.txt", "www/out_absolute.txt")
    link("..", "www/up")
    link("../www2", "www/next")
    link("/", "www/root")
    link("/proc/self/cwd", "www/magic")
    link("up/secret.txt", "www/twice.txt")
    link("sub/../../secret.txt", "www/through.txt")
    link("loop", "www/loop")
    link("a.txt", "www/in.txt")
    link("../a.txt", "www/sub/above.txt")
    link(dir .. "/www/a.txt", "www/in_absolute.txt")
    link(dir .. "/www/sub", "www/sub_absolute")
    os.execute("mkfifo '" .. dir .. "/www/pipe'")
  end)

  -- The path as it stands, byte for byte.
  local function get(path, method)
    local response = helper.request(server, { path = path, method = method, headers = { Host = "a" } })
    assert.is_nil(response.body:find(SECRET, 1, true), path)
    return response
  end

  local function is_refused(path)
    local response = get(path)
    assert.is_truthy(response.status == 404 or response.status == 400 or response.status == 403,
      path .. ": " .. response.status .. " " .. response.body)
    assert.is_true(server:alive())
  end

  local function all_refused(list)
    for _, path in ipairs(list) do
      is_refused(path)
      is_refused(path .. "?site=lists")
      is_refused(path .. "?site=all")
    end
  end

  it("serves what is in it", function()
    assert.equal("public", get("/a.txt").body)
    assert.equal("below", get("/sub/b.txt").body)
    assert.equal("public", get("/sub/../a.txt").body)
  end)

  it("lets no dot segments lead out", function()
    all_refused({ "/../secret.txt", "/sub/../../secret.txt", "/./../secret.txt", "/sub/../../../../../../etc/passwd",
      "/../www2/secret.txt", "/...//secret.txt", "/.../secret.txt", "/sub/..;/../secret.txt" })
  end)

  it("lets no escaped dot segments lead out", function()
    all_refused({ "/%2e%2e/secret.txt", "/%2E%2E/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt",
      "/sub/%2e%2e/%2e%2e/secret.txt", "/%2e/%2e%2e/secret.txt" })
  end)

  it("takes dots above it for itself", function()
    for _, path in ipairs({ "/..", "/../", "/%2e%2e", "/sub/../..", "/." }) do
      assert.equal(404, get(path).status)
      assert.equal(get("/?site=lists").body, get(path .. "?site=lists").body)
    end
  end)

  it("decodes once: what is escaped twice is a name", function()
    all_refused({ "/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/%25%32%65%25%32%65/secret.txt",
      "/..%252fsecret.txt", "/%%32%65%%32%65/secret.txt" })
    assert.equal("odd name", get("/%252e%252e/a.txt").body)
  end)

  it("takes no overlong or invalid UTF-8 for dots and slashes", function()
    all_refused({ "/%c0%ae%c0%ae/secret.txt", "/..%c0%afsecret.txt", "/%e0%80%ae%e0%80%ae/secret.txt",
      "/%u002e%u002e/secret.txt", "/%uff0e%uff0e/secret.txt", "/%ef%bc%8e%ef%bc%8e/secret.txt" })
  end)

  it("takes no escaped slashes", function()
    all_refused({ "/..%2fsecret.txt", "/..%2Fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub%2f..%2f..%2fsecret.txt",
      "/%2fetc/passwd", "/%2f%2e%2e%2fsecret.txt", "/sub%2fb.txt", "/sub/..%2fa.txt" })
  end)

  it("takes no backslashes, escaped or not", function()
    all_refused({ "/..\\secret.txt", "/..%5csecret.txt", "/..%5Csecret.txt", "/sub\\b.txt", "/sub%5cb.txt",
      "/%5c..%5csecret.txt", "/\\..\\secret.txt" })
  end)

  it("takes no NUL and no controls", function()
    all_refused({ "/a.txt%00", "/a.txt%00.html", "/%00", "/..%00/secret.txt", "/../secret.txt%00.txt", "/a.txt%0a",
      "/a.txt%0d%0aX:1", "/%7f", "/a.txt%09" })
  end)

  it("takes no empty segments", function()
    all_refused({ "//a.txt", "/sub//b.txt", "///etc/passwd", "//etc/passwd", "/sub/..//../secret.txt" })
  end)

  it("takes no absolute path for a name", function()
    all_refused({ "/" .. dir .. "/secret.txt", dir .. "/secret.txt", "/etc/passwd", "/proc/self/environ" })
  end)

  it("takes no other path from an absolute form", function()
    all_refused({ "http://a/../secret.txt", "http://a//etc/passwd", "http://a/..%2fsecret.txt" })
    assert.equal("public", get("http://a/a.txt").body)
  end)

  it("follows no link that leads out, and those that stay within", function()
    all_refused({ "/out.txt", "/out_absolute.txt", "/up/secret.txt", "/next/secret.txt", "/root/etc/passwd",
      "/root" .. dir .. "/secret.txt", "/magic/secret.txt", "/twice.txt", "/through.txt", "/loop", "/up", "/root/",
      "/up/www/a.txt" })
    for _, name in ipairs({ "in.txt", "sub/above.txt", "in_absolute.txt", "sub_absolute/above.txt" }) do
      assert.equal("public", get("/" .. name).body, name)
    end
    assert.equal("below", get("/sub_absolute/b.txt").body)
  end)

  it("lists nothing that leads out", function()
    local page = get("/?site=lists").body
    assert.is_truthy(page:find("in.txt", 1, true))
    for _, name in ipairs({ "out.txt", "out_absolute", "twice", "through", "loop", "magic", "pipe", "root", "up/",
      ".env", ".git" }) do
      assert.is_nil(page:find('"./' .. name, 1, true), name)
    end
  end)

  it("follows no link that is made while it serves", function()
    helper.write_file(dir .. "/www/later.txt", "harmless")
    assert.equal("harmless", get("/later.txt").body)
    os.remove(dir .. "/www/later.txt")
    assert(lfs.link("../secret.txt", dir .. "/www/later.txt", true))
    helper.wait_for(function()
      return get("/later.txt").status == 404
    end, "the link to be seen")
  end)

  it("opens neither FIFOs nor devices", function()
    all_refused({ "/pipe", "/pipe/" })
  end)

  it("hides names with a dot, but for /.well-known/", function()
    for _, path in ipairs({ "/.env", "/.git/config", "/.git/", "/.git", "/sub/.well-known/x", "/.well-known/.env",
      "/%2eenv" }) do
      assert.equal(404, get(path).status, path)
      assert.equal(404, get(path .. "?site=lists").status, path)
      assert.equal(403, get(path .. "?site=denies").status, path)
    end
    assert.equal("contact", get("/.well-known/security.txt").body)
    local response = helper.get(server, "/.env?site=all")
    assert.equal(SECRET, response.body)
  end)

  it("follows the folder itself when a deployment moves it", function()
    assert(os.remove(dir .. "/current/v.txt"))
    assert(lfs.rmdir(dir .. "/current"))
    assert(lfs.link("releases/1", dir .. "/current", true))
    helper.wait_for(function()
      return get("/v.txt?site=linked").body == "one"
    end, "the first release")
    assert(lfs.link("releases/2", dir .. "/current.new", true))
    assert(os.rename(dir .. "/current.new", dir .. "/current"))
    helper.wait_for(function()
      return get("/v.txt?site=linked").body == "two"
    end, "the second release")
  end)

  describe("a name from outside in res:sendFile", function()
    local function escaped(text)
      return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
    end

    it("does not lead out of its root", function()
      for _, name in ipairs({ "../secret.txt", "sub/../../secret.txt", "/../secret.txt", "out.txt", "up/secret.txt",
        "..\\secret.txt", "a.txt\0.html", "../www2/secret.txt", "//etc/passwd", dir .. "/secret.txt", ".env",
        "sub/../a.txt", "./a.txt", "", "%2e%2e/secret.txt", "twice.txt", "pipe" }) do
        local response = get("/?file=" .. escaped(name))
        assert.is_truthy(response.status == 404 or name == "", name .. ": " .. response.status .. response.body)
      end
      assert.equal(403, get("/?dot=deny&file=.env").status)
      assert.equal("public", get("/?file=a.txt").body)
      assert.equal("public", get("/?file=%2Fa.txt").body)
      assert.equal("below", get("/?file=sub%2Fb.txt").body)
    end)
  end)
end)
