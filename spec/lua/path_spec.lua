-- Node's path, by the rules of POSIX. What is expected was taken from Node 20.

package.path = "lua/node/?.lua;" .. package.path

local path = require "path"

local unpack = table.unpack or rawget(_G, "unpack")

local function each(cases, check)
  for _, case in ipairs(cases) do check(case[1], case[2], case[3]) end
end

describe("path", function()
  local saved

  setup(function()
    saved = rawget(_G, "process")
    rawset(_G, "process", { cwd = function() return "/usr/share" end })
  end)

  teardown(function()
    rawset(_G, "process", saved)
  end)

  it("normalizes dots and slashes", function()
    each({
      { "", "." }, { ".", "." }, { "./", "./" }, { "..", ".." }, { "../", "../" }, { "/", "/" }, { "//", "/" },
      { "///a//b/", "/a/b/" }, { "/a/./b/../c", "/a/c" }, { "a/../..", ".." }, { "a/..", "." }, { "./a", "a" },
      { "/..", "/" }, { "/../../a", "/a" }, { "a//b//../c/", "a/c/" }, { "../../a/../b", "../../b" },
      { "a/.../b", "a/.../b" }, { ".//", "./" },
    }, function(given, expected)
      assert.equal(expected, path.normalize(given), given)
    end)
  end)

  it("gives the directory of a path", function()
    each({
      { "", "." }, { "a", "." }, { "/", "/" }, { "//", "/" }, { "///", "/" }, { "/a", "/" }, { "/a/", "/" },
      { "/a/b", "/a" }, { "/a/b/", "/a" }, { "a/b", "a" }, { "a//b", "a/" }, { "//a", "//" }, { "./a", "." },
      { "..", "." },
    }, function(given, expected)
      assert.equal(expected, path.dirname(given), given)
    end)
  end)

  it("gives the extension from the last dot on", function()
    each({
      { "", "" }, { "a", "" }, { "a.js", ".js" }, { "a.b.js", ".js" }, { ".profile", "" },
      { ".profile.bak", ".bak" }, { "a.", "." }, { "..", "" }, { ".", "" }, { "a..", "." }, { "/x.y/z", "" },
      { "a.js/", ".js" }, { "a.js//", ".js" }, { "...", "." }, { "/..", "" }, { "./.a", "" },
    }, function(given, expected)
      assert.equal(expected, path.extname(given), given)
    end)
  end)

  it("gives the last segment", function()
    each({
      { "", "" }, { "/", "" }, { "a", "a" }, { "/a/b", "b" }, { "/a/b/", "b" }, { "a//", "a" }, { "./", "." },
      { "..", ".." },
    }, function(given, expected)
      assert.equal(expected, path.basename(given), given)
    end)
  end)

  it("takes a suffix from the last segment unless that is all of it", function()
    each({
      { "a.js", ".js", "a" }, { "/x/a.js", ".js", "a" }, { "a.js", "a.js", "" }, { "/x/a.js", "a.js", "a.js" },
      { "a.js", ".html", "a.js" }, { "a.js/", ".js", "a" }, { "a.js", "", "a.js" }, { ".js", "x.js", ".js" },
      { "aaa", "a", "aa" },
    }, function(given, suffix, expected)
      assert.equal(expected, path.basename(given, suffix), given)
    end)
  end)

  it("joins parts", function()
    each({
      { {}, "." }, { { "" }, "." }, { { "", "" }, "." }, { { "a", "b", "c" }, "a/b/c" },
      { { "/a", "..", "b" }, "/b" }, { { "a", "", "b" }, "a/b" }, { { "a/", "/b" }, "a/b" },
      { { "a", "../../..", "b" }, "../../b" }, { { "/", "..", ".." }, "/" }, { { "a", "./b/" }, "a/b/" },
      { { ".", "x" }, "x" }, { { "", "/x" }, "/x" }, { { "//a", "b" }, "/a/b" },
    }, function(parts, expected)
      assert.equal(expected, path.join(unpack(parts)), table.concat(parts, " "))
    end)
  end)

  it("resolves from right to left down to an absolute part, or the working directory", function()
    each({
      { {}, "/usr/share" }, { { "" }, "/usr/share" }, { { "a" }, "/usr/share/a" }, { { "/a", "b" }, "/a/b" },
      { { "/a", "/b", "c" }, "/b/c" }, { { "/a", "../..", "b/" }, "/b" },
      { { "a", "..", "..", "..", ".." }, "/" }, { { "/a/b", "./c", ".." }, "/a/b" }, { { "/" }, "/" },
      { { "/a", "", "." }, "/a" },
    }, function(parts, expected)
      assert.equal(expected, path.resolve(unpack(parts)), table.concat(parts, " "))
    end)
  end)

  it("gives the way from one path to another", function()
    each({
      { "/a/b/c", "/a/d", "../../d" }, { "/a", "/a", "" }, { "/a", "/a/b", "b" }, { "/a/b", "/a", ".." },
      { "/a/b", "/", "../.." }, { "/", "/a", "a" }, { "/foo", "/foobar", "../foobar" },
      { "/foobar", "/foo", "../foo" }, { "a", "b", "../b" }, { "", "x", "x" }, { "x", "", ".." },
      { "/a/b/", "/a/b", "" }, { "/a/../b", "/c", "../c" },
    }, function(from, to, expected)
      assert.equal(expected, path.relative(from, to), from .. " " .. to)
    end)
  end)

  it("takes a path apart", function()
    each({
      { "/home/u/file.txt", { root = "/", dir = "/home/u", base = "file.txt", ext = ".txt", name = "file" } },
      { "./a/b.c.d", { root = "", dir = "./a", base = "b.c.d", ext = ".d", name = "b.c" } },
      { "/", { root = "/", dir = "/", base = "", ext = "", name = "" } },
      { "", { root = "", dir = "", base = "", ext = "", name = "" } },
      { "file", { root = "", dir = "", base = "file", ext = "", name = "file" } },
      { "/file", { root = "/", dir = "/", base = "file", ext = "", name = "file" } },
      { ".profile", { root = "", dir = "", base = ".profile", ext = "", name = ".profile" } },
      { "/a/b/", { root = "/", dir = "/a", base = "b", ext = "", name = "b" } },
      { "//a", { root = "/", dir = "/", base = "a", ext = "", name = "a" } },
      { "a.", { root = "", dir = "", base = "a.", ext = ".", name = "a" } },
    }, function(given, expected)
      assert.same(expected, path.parse(given))
    end)
  end)

  it("puts a path together", function()
    each({
      { { dir = "/a", base = "b.c" }, "/a/b.c" }, { { root = "/", base = "b" }, "/b" },
      { { root = "/", dir = "/", base = "b" }, "/b" },
      { { root = "/", dir = "/x", name = "n", ext = ".e" }, "/x/n.e" }, { { name = "n", ext = "e" }, "n.e" },
      { { base = "b", name = "n", ext = ".e" }, "b" }, { {}, "" }, { { dir = "d" }, "d/" },
      { { dir = "", root = "/", base = "", name = "n" }, "/n" },
    }, function(given, expected)
      assert.equal(expected, path.format(given))
    end)
  end)

  it("agrees with itself about the dots of a parent directory", function()
    local parsed = path.parse("/..")
    assert.equal("..", parsed.name)
    assert.equal("", parsed.ext)
  end)

  it("tells absolute from relative", function()
    assert.is_true(path.isAbsolute("/a"))
    assert.is_false(path.isAbsolute("a/b"))
    assert.is_false(path.isAbsolute(""))
  end)

  it("has POSIX's separators and is its own posix", function()
    assert.equal("/", path.sep)
    assert.equal(":", path.delimiter)
    assert.equal(path, path.posix)
    assert.equal("//x/", path.toNamespacedPath("//x/"))
  end)

  it("asks for the working directory each time, and only where it is needed", function()
    local asked = 0
    rawset(_G, "process", { cwd = function() asked = asked + 1 return "/dir" .. asked end })
    finally(function() rawset(_G, "process", { cwd = function() return "/usr/share" end }) end)
    assert.equal("/a", path.resolve("/a"))
    assert.equal(0, asked)
    assert.equal("/dir1/a", path.resolve("a"))
    assert.equal("/dir2/a", path.resolve("a"))
  end)

  it("says what is missing where there is no process", function()
    rawset(_G, "process", nil)
    finally(function() rawset(_G, "process", { cwd = function() return "/usr/share" end }) end)
    assert.equal("/a", path.resolve("/a"))
    local ok, message = pcall(function() return (path.resolve("a")) end)
    assert.is_false(ok)
    assert.matches("path_spec%.lua:%d+: path.resolve: a relative path needs process.cwd%(%)", message)
  end)

  it("raises at the caller on what is no string", function()
    local ok, message = pcall(function() return (path.join("a", 1)) end)
    assert.is_false(ok)
    assert.matches('path_spec%.lua:%d+: The "path" argument must be of type string%. Received type number', message)
    for _, call in ipairs { path.dirname, path.extname, path.basename, path.normalize, path.isAbsolute,
      path.parse, path.resolve, path.relative } do
      assert.has_error(function() call({}) end)
    end
    assert.has_error(function() path.format("x") end)
    assert.has_error(function() path.basename("a", 1) end)
  end)

  it("takes time in proportion to the length of a path", function()
    local slashes = "a" .. ("/"):rep(200000) .. "b"
    local started = os.clock()
    assert.equal("a/b", path.normalize(slashes))
    assert.equal("b", path.basename(slashes))
    assert.equal("", path.extname(slashes))
    assert.equal(200000, #path.dirname(slashes))
    assert.is_true(os.clock() - started < 1)
  end)
end)
