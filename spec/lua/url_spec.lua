-- Node's url: the older functions, then the classes of the URL Standard. What is expected was taken from
-- Node 20.

package.path = "lua/?.lua;lua/node/?.lua;" .. package.path

local url = require "url"

local URL, URLSearchParams = url.URL, url.URLSearchParams

local unpack = table.unpack or rawget(_G, "unpack")

local function each(cases, check)
  for _, case in ipairs(cases) do check(unpack(case, 1, 4)) end
end

local function all_of(params)
  local list = {}
  for name, value in params:entries() do list[#list + 1] = { name, value } end
  return list
end

describe("url.parse", function()
  it("takes a URL apart", function()
    each({
      { "http://user:pa%20ss@Sub.Host.COM:8080/p/a/t/h?query=string#hash", { protocol = "http:", slashes = true,
        auth = "user:pa ss", host = "sub.host.com:8080", port = "8080", hostname = "sub.host.com", hash = "#hash",
        search = "?query=string", query = "query=string", pathname = "/p/a/t/h", path = "/p/a/t/h?query=string",
        href = "http://user:pa%20ss@sub.host.com:8080/p/a/t/h?query=string#hash" } },
      { "/path?x=1&y=2", { search = "?x=1&y=2", query = "x=1&y=2", pathname = "/path", path = "/path?x=1&y=2", href
        = "/path?x=1&y=2" } },
      { "/", { pathname = "/", path = "/", href = "/" } },
      { "//h/p", { pathname = "//h/p", path = "//h/p", href = "//h/p" } },
      { "?q", { search = "?q", query = "q", path = "?q", href = "?q" } },
      { "#h", { hash = "#h", href = "#h" } }, { "", { href = "" } },
      { "a/b", { pathname = "a/b", path = "a/b", href = "a/b" } },
      { "http://h", { protocol = "http:", slashes = true, host = "h", hostname = "h", pathname = "/", path = "/",
        href = "http://h/" } },
      { "http://h?q", { protocol = "http:", slashes = true, host = "h", hostname = "h", search = "?q", query = "q",
        pathname = "/", path = "/?q", href = "http://h/?q" } },
      { "http://h#f", { protocol = "http:", slashes = true, host = "h", hostname = "h", hash = "#f", pathname =
        "/", path = "/", href = "http://h/#f" } },
      { "HTTP://H/", { protocol = "http:", slashes = true, host = "h", hostname = "h", pathname = "/", path = "/",
        href = "http://h/" } },
      { "mailto:a@b.c", { protocol = "mailto:", auth = "a", host = "b.c", hostname = "b.c", href = "mailto:a@b.c" }
        },
      { "mailto:a@b.c?subject=x", { protocol = "mailto:", auth = "a", host = "b.c", hostname = "b.c", search =
        "?subject=x", query = "subject=x", path = "?subject=x", href = "mailto:a@b.c?subject=x" } },
      { "javascript:alert(1)", { protocol = "javascript:", pathname = "alert(1)", path = "alert(1)", href =
        "javascript:alert(1)" } },
      { "file:///etc/x", { protocol = "file:", slashes = true, host = "", hostname = "", pathname = "/etc/x", path
        = "/etc/x", href = "file:///etc/x" } },
      { "file:x", { protocol = "file:", pathname = "x", path = "x", href = "file://x" } },
      { "http://[::1]:80/x", { protocol = "http:", slashes = true, host = "[::1]:80", port = "80", hostname =
        "::1", pathname = "/x", path = "/x", href = "http://[::1]:80/x" } },
      { "http://a@b@c/", { protocol = "http:", slashes = true, auth = "a@b", host = "c", hostname = "c", pathname =
        "/", path = "/", href = "http://a%40b@c/" } },
      { "http://a b/", { protocol = "http:", slashes = true, host = "a", hostname = "a", pathname = "%20b/", path =
        "%20b/", href = "http://a/%20b/" } },
      { "http://h/a b\"<>", { protocol = "http:", slashes = true, host = "h", hostname = "h", pathname =
        "/a%20b%22%3C%3E", path = "/a%20b%22%3C%3E", href = "http://h/a%20b%22%3C%3E" } },
      { "  http://h/x  ", { protocol = "http:", slashes = true, host = "h", hostname = "h", pathname = "/x", path =
        "/x", href = "http://h/x" } },
      { "http:\\\\h\\p?a\\b", { protocol = "http:", slashes = true, host = "h", hostname = "h", search = "?a%5Cb",
        query = "a%5Cb", pathname = "/p", path = "/p?a%5Cb", href = "http://h/p?a%5Cb" } },
      { "foo://h:1/x", { protocol = "foo:", slashes = true, host = "h:1", port = "1", hostname = "h", pathname =
        "/x", path = "/x", href = "foo://h:1/x" } },
      { "/a\"b", { pathname = "/a\"b", path = "/a\"b", href = "/a\"b" } },
      { "http://h:/p", { protocol = "http:", slashes = true, host = "h", hostname = "h", pathname = "/p", path =
        "/p", href = "http://h/p" } },
      { "x:y", { protocol = "x:", host = "y", hostname = "y", href = "x:y" } },
      { "http://h/p;x?q=a?b#c?d", { protocol = "http:", slashes = true, host = "h", hostname = "h", hash = "#c?d",
        search = "?q=a?b", query = "q=a?b", pathname = "/p;x", path = "/p;x?q=a?b", href = "http://h/p;x?q=a?b#c?d"
        } },
      { "http://ü.de/é", { protocol = "http:", slashes = true, host = "xn--tda.de", hostname = "xn--tda.de",
        pathname = "/é", path = "/é", href = "http://xn--tda.de/é" } },
      { "//u@h/p", { slashes = true, auth = "u", host = "h", hostname = "h", pathname = "/p", path = "/p", href =
        "//u@h/p" } },
      { "http://h.com:8a/p", { protocol = "http:", slashes = true, host = "h.com", hostname = "h.com", pathname =
        "/:8a/p", path = "/:8a/p", href = "http://h.com/:8a/p" } },
      { "/a//b", { pathname = "/a//b", path = "/a//b", href = "/a//b" } },
    }, function(given, expected)
      assert.same(expected, url.parse(given))
    end)
  end)

  it("reads the query into a table when asked to", function()
    each({
      { "/p?a=1&a=2&b=c+d", { a = { "1", "2" }, b = "c d" } }, { "/p", {} }, { "/p?", {} },
      { "http://h/?x#y", { x = "" } },
    }, function(given, expected)
      assert.same(expected, url.parse(given, true).query)
    end)
  end)

  it("takes the host of a URL without protocol when asked to", function()
    each({
      { "//h/p", { slashes = true, host = "h", hostname = "h", pathname = "/p", path = "/p", href = "//h/p" } },
    }, function(given, expected)
      assert.same(expected, url.parse(given, false, true))
    end)
  end)

  it("ends a host at what cannot be in it", function()
    assert.equal("http://a/%b/", url.parse("http://a%b/").href)
    assert.equal("http://h/%7Cx/", url.parse("http://h|x/").href)
    assert.equal("http:///%/", url.parse("http://%/").href)
  end)

  it("raises at the caller on a host that could pass for another, and on malformed escapes", function()
    for _, given in ipairs { "http://[a%]/", "http://[::1" } do
      local ok, message = pcall(function() return (url.parse(given)) end)
      assert.is_false(ok)
      assert.matches("url_spec%.lua:%d+: Invalid URL$", message)
    end
    local ok, message = pcall(function() return (url.parse("http://u:%@h/")) end)
    assert.is_false(ok)
    assert.matches("url_spec%.lua:%d+: URI malformed$", message)
  end)

  it("raises at the caller on what is no string", function()
    local ok, message = pcall(function() return (url.parse(nil)) end)
    assert.is_false(ok)
    assert.matches('url_spec%.lua:%d+: The "url" argument must be of type string%. Received type nil', message)
  end)

  it("drops a host name of more than 255 bytes", function()
    assert.equal("", url.parse("http://" .. ("a"):rep(256) .. "/x").hostname)
    assert.equal(255, #url.parse("http://" .. ("a"):rep(255) .. "/x").hostname)
  end)
end)

describe("url.format", function()
  it("puts a URL together", function()
    each({
      { { protocol = "http", host = "h:1", pathname = "/p", search = "?q", hash = "#f" }, "http://h:1/p?q#f" },
      { { protocol = "http:", hostname = "h", port = 80, pathname = "p", query = { a = { "1", "2" }, b = "c d" } },
        "http://h:80/p?a=1&a=2&b=c%20d" },
      { { hostname = "::1", protocol = "https", port = "8" }, "https://[::1]:8" },
      { { pathname = "/a?b#c" }, "/a%3Fb%23c" },
      { { pathname = "/p", search = "q#x", hash = "f" }, "/p?q%23x#f" },
      { { protocol = "mailto", auth = "a", host = "b" }, "mailto:a@b" },
      { { protocol = "file", pathname = "/x" }, "file:///x" },
      { { slashes = true, host = "h", pathname = "p" }, "//h/p" },
      { { auth = "u:p@x", host = "h", protocol = "http" }, "http://u:p%40x@h" }, { {}, "" },
      { { search = "?a", query = { b = "1" } }, "?a" }, { { query = "a=1" }, "" },
    }, function(given, expected)
      assert.equal(expected, url.format(given))
    end)
  end)

  it("parses a string first", function()
    each({
      { "http://H/a b", "http://h/a%20b" }, { "//x", "//x" }, { "http:h", "http:h" },
    }, function(given, expected)
      assert.equal(expected, url.format(given))
    end)
  end)

  it("prints a URL without what the options switch off", function()
    local given = URL("http://u:p@h/p?q#f")
    assert.equal("http://u:p@h/p?q#f", url.format(given))
    assert.equal("http://h/p", url.format(given, { auth = false, search = false, fragment = false }))
  end)

  it("raises at the caller on anything else", function()
    local ok, message = pcall(function() return (url.format(1)) end)
    assert.is_false(ok)
    assert.matches("url_spec%.lua:%d+: The \"urlObject\" argument", message)
  end)
end)

describe("url.resolve", function()
  local base = "http://a/b/c/d;p?q"

  -- "//g" is "http://g" in the RFC, and the same as "http://g/" by its section 6.2.3.
  it("gives the normal examples of RFC 3986 section 5.4.1", function()
    each({
      { "g:h", "g:h" }, { "g", "http://a/b/c/g" }, { "./g", "http://a/b/c/g" }, { "g/", "http://a/b/c/g/" },
      { "/g", "http://a/g" }, { "//g", "http://g/" }, { "?y", "http://a/b/c/d;p?y" },
      { "g?y", "http://a/b/c/g?y" }, { "#s", "http://a/b/c/d;p?q#s" }, { "g#s", "http://a/b/c/g#s" },
      { "g?y#s", "http://a/b/c/g?y#s" }, { ";x", "http://a/b/c/;x" }, { "g;x", "http://a/b/c/g;x" },
      { "g;x?y#s", "http://a/b/c/g;x?y#s" }, { "", "http://a/b/c/d;p?q" }, { ".", "http://a/b/c/" },
      { "./", "http://a/b/c/" }, { "..", "http://a/b/" }, { "../", "http://a/b/" }, { "../g", "http://a/b/g" },
      { "../..", "http://a/" }, { "../../", "http://a/" }, { "../../g", "http://a/g" },
    }, function(reference, expected)
      assert.equal(expected, url.resolve(base, reference), reference)
    end)
  end)

  it("gives the abnormal examples of RFC 3986 section 5.4.2", function()
    each({
      { "../../../g", "http://a/g" }, { "../../../../g", "http://a/g" }, { "/./g", "http://a/g" },
      { "/../g", "http://a/g" }, { "g.", "http://a/b/c/g." }, { ".g", "http://a/b/c/.g" },
      { "g..", "http://a/b/c/g.." }, { "..g", "http://a/b/c/..g" }, { "./../g", "http://a/b/g" },
      { "./g/.", "http://a/b/c/g/" }, { "g/./h", "http://a/b/c/g/h" }, { "g/../h", "http://a/b/c/h" },
      { "g;x=1/./y", "http://a/b/c/g;x=1/y" }, { "g;x=1/../y", "http://a/b/c/y" },
      { "g?y/./x", "http://a/b/c/g?y/./x" }, { "g?y/../x", "http://a/b/c/g?y/../x" },
      { "g#s/./x", "http://a/b/c/g#s/./x" }, { "g#s/../x", "http://a/b/c/g#s/../x" },
      { "http:g", "http://a/b/c/g" },
    }, function(reference, expected)
      assert.equal(expected, url.resolve(base, reference), reference)
    end)
  end)

  it("resolves as Node does", function()
    each({
      { "/one/two/three", "four", "/one/two/four" },
      { "http://example.com/", "/one", "http://example.com/one" },
      { "http://example.com/one", "/two", "http://example.com/two" }, { "http://a/b?c#d", "", "http://a/b?c" },
      { "http://a", "b", "http://a/b" }, { "http://a?q", "b", "http://a/b" },
      { "http://a/b", "//h", "http://h/" }, { "http://a/b", "https:h/x", "https://h/x" },
      { "http://u:p@h/x", "/y", "http://u:p@h/y" }, { "http://u:p@h/x", "//k/y", "http://k/y" },
      { "mailto:a@b", "c@d", "mailto:c@d" }, { "mailto:a@b", "?subject=x", "mailto:a@b?subject=x" },
      { "a/b", "../../c", "../c" }, { "", "x", "x" }, { "x", "", "x" }, { "/a//b", "../c", "/a/c" },
      { "http://a/b", "javascript:x()", "javascript:x()" }, { "http://a/b", "mailto:x@y", "mailto:x@y" },
      { "foo:x/y", "z", "foo:x/z" }, { "http://h/a/b", "c d", "http://h/a/c%20d" },
      { "http://h:8080/a", "?q", "http://h:8080/a?q" }, { "file:///a/b", "c", "file:///a/c" },
      { "http://a/b", "#f", "http://a/b#f" },
    }, function(from, to, expected)
      assert.equal(expected, url.resolve(from, to), from .. " " .. to)
    end)
  end)

  it("takes the dots from the path of a reference with a host of its own", function()
    assert.equal("http://h/x", url.resolve("http://a/b", "//h/../x"))
    assert.equal("https://h/c", url.resolve("http://a/b", "https://h/a/.././c"))
  end)

  it("raises at the caller on a reference that is none", function()
    for _, reference in ipairs { "//[::1", "https:[::1", "http://u:%@h/" } do
      local ok, message = pcall(function() return (url.resolve(base, reference)) end)
      assert.is_false(ok)
      assert.matches("url_spec%.lua:%d+: ", message)
    end
  end)
end)

describe("URL", function()
  it("has the fields of the standard", function()
    each({
      { "https://u:p%20w@Sub.Example.com:8443/a/b?x=1#frag", { href =
        "https://u:p%20w@sub.example.com:8443/a/b?x=1#frag", origin = "https://sub.example.com:8443", protocol =
        "https:", username = "u", password = "p%20w", host = "sub.example.com:8443", hostname = "sub.example.com",
        port = "8443", pathname = "/a/b", search = "?x=1", hash = "#frag" } },
      { "http://a", { href = "http://a/", origin = "http://a", protocol = "http:", username = "", password = "",
        host = "a", hostname = "a", port = "", pathname = "/", search = "", hash = "" } },
      { "mailto:a@b", { href = "mailto:a@b", origin = "null", protocol = "mailto:", username = "", password = "",
        host = "", hostname = "", port = "", pathname = "a@b", search = "", hash = "" } },
      { "file:///a", { href = "file:///a", origin = "null", protocol = "file:", username = "", password = "", host
        = "", hostname = "", port = "", pathname = "/a", search = "", hash = "" } },
      { "foo://h:1/p", { href = "foo://h:1/p", origin = "null", protocol = "foo:", username = "", password = "",
        host = "h:1", hostname = "h", port = "1", pathname = "/p", search = "", hash = "" } },
      { "blob:https://a:1/b", { href = "blob:https://a:1/b", origin = "https://a:1", protocol = "blob:", username =
        "", password = "", host = "", hostname = "", port = "", pathname = "https://a:1/b", search = "", hash = ""
        } },
    }, function(given, expected)
      local parsed = URL(given)
      for field, value in pairs(expected) do assert.equal(value, parsed[field], given .. " " .. field) end
    end)
  end)

  it("prints a URL in its one true form", function()
    each({
      { "http://user:pass@Sub.EXAMPLE.com:8080/p/a?q=1#h", "http://user:pass@sub.example.com:8080/p/a?q=1#h" },
      { "http://a", "http://a/" }, { "HTTP://A:80/", "http://a/" }, { "https://a:443", "https://a/" },
      { "https://a:80/", "https://a:80/" }, { "ws://a:80", "ws://a/" }, { "ftp://a:21/", "ftp://a/" },
      { "  http://a/b \t", "http://a/b" }, { "ht\ntp://a/\tb", "http://a/b" },
      { "http:\\\\a\\b", "http://a/b" }, { "http:a", "http://a/" }, { "http:////a", "http://a/" },
      { "http://a/./b/../c/.", "http://a/c/" }, { "http://a/%2e%2E/b/%2e", "http://a/b/" },
      { "http://a/a b\"<>`{}é", "http://a/a%20b%22%3C%3E%60%7B%7D%C3%A9" },
      { "http://a/?a b\"<>'é", "http://a/?a%20b%22%3C%3E%27%C3%A9" }, { "foo://a/?'", "foo://a/?'" },
      { "http://a/#a b\"<>`{", "http://a/#a%20b%22%3C%3E%60{" }, { "http://a?", "http://a/?" },
      { "http://a#", "http://a/#" }, { "http://u@a", "http://u@a/" }, { "http://:p@a", "http://:p@a/" },
      { "http://:@a", "http://a/" }, { "http://a@b:c:d@e", "http://a%40b:c%3Ad@e/" },
      { "http://u%zz@a", "http://u%zz@a/" }, { "mailto:a@b?x#y", "mailto:a@b?x#y" },
      { "data:text/plain,a b", "data:text/plain,a b" }, { "javascript:a(\"b\")", "javascript:a(\"b\")" },
      { "foo:/a/../b", "foo:/b" }, { "foo:/..//a", "foo:/.//a" }, { "foo://", "foo://" },
      { "foo:///a", "foo:///a" }, { "foo://Ab", "foo://Ab" }, { "foo://h:080/", "foo://h:80/" },
      { "file:///a/../b", "file:///b" }, { "file:a", "file:///a" }, { "file://localhost/a", "file:///a" },
      { "file://Host/a", "file://host/a" }, { "file:///C|/a/..", "file:///C:/" },
      { "file:c:\\a", "file:///c:/a" }, { "http://a//b//", "http://a//b//" },
      { "http://a/%zz%", "http://a/%zz%" }, { "http://a:/", "http://a/" }, { "http://a:00080/x", "http://a/x" },
    }, function(given, expected)
      assert.equal(expected, URL(given).href, given)
      assert.equal(expected, URL(expected).href, given)
    end)
  end)

  it("resolves against a base", function()
    each({
      { "x", "http://a/b/c?q#f", "http://a/b/x" }, { "../x", "http://a/b/c/d", "http://a/b/x" },
      { "/x", "http://u:p@a:8/b", "http://u:p@a:8/x" }, { "//x", "https://a/b", "https://x/" },
      { "?x", "http://a/b?q#f", "http://a/b?x" }, { "#x", "http://a/b?q#f", "http://a/b?q#x" },
      { "", "http://a/b?q#f", "http://a/b?q" }, { "http:x", "http://a/b/c", "http://a/b/x" },
      { "https:x", "http://a/b/c", "https://x/" }, { "\\x", "http://a/b", "http://a/x" },
      { "foo:x", "http://a", "foo:x" }, { "x", "file:///C:/a", "file:///C:/x" },
      { "/x", "file:///C:/a", "file:///C:/x" }, { "//h/x", "file:///a", "file://h/x" },
      { "D:/x", "file:///C:/a", "d:/x" }, { "../..", "file:///C:/a/b", "file:///C:/" },
      { "x", "foo://h/a/b", "foo://h/a/x" }, { "#x", "mailto:a@b", "mailto:a@b#x" },
      { "x", "foo:/a/b", "foo:/a/x" }, { "?x", "file:///a/b", "file:///a/b?x" },
    }, function(given, base, expected)
      assert.equal(expected, URL(given, base).href, given .. " " .. base)
    end)
  end)

  it("knows the forms of a host", function()
    each({
      { "EXAMPLE.com", "example.com" }, { "a..b", "a..b" }, { "a_b", "a_b" }, { ".", "." },
      { "ex%41mple", "example" }, { "xn--mnchen-3ya.de", "xn--mnchen-3ya.de" },
      { "münchen.de", "xn--mnchen-3ya.de" }, { "MÜNCHEN.DE", "xn--mnchen-3ya.de" },
      { "faß.de", "xn--fa-hia.de" }, { "Bücher-und-Möbel.example", "xn--bcher-und-mbel-5pb9f.example" },
      { "привет.РФ", "xn--b1agh1afp.xn--p1ai" }, { "例え。テスト", "xn--r8jz45g.xn--zckzah" }, { "ａｂ．ｃ", "ab.c" },
      { "他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye" }, { "1.2.3.4", "1.2.3.4" }, { "1.2.3.4.", "1.2.3.4" },
      { "1.2.3", "1.2.0.3" }, { "1", "0.0.0.1" }, { "0x7f.1", "127.0.0.1" }, { "010.0.0.1", "8.0.0.1" },
      { "0xffffffff", "255.255.255.255" }, { "4294967295", "255.255.255.255" }, { "1.2.3.4a", "1.2.3.4a" },
      { "[::1]", "[::1]" }, { "[0:0:0:0:0:0:0:0]", "[::]" }, { "[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]" },
      { "[1:0:2:0:3:0:4:0]", "[1:0:2:0:3:0:4:0]" }, { "[2001:DB8::A]", "[2001:db8::a]" },
      { "[::ffff:1.2.3.4]", "[::ffff:102:304]" }, { "[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7:0]" },
      { "[::1.2.3.255]", "[::102:3ff]" },
    }, function(given, expected)
      assert.equal(expected, URL("http://" .. given .. "/").host, given)
    end)
  end)

  it("raises Invalid URL at the caller", function()
    each({
      { "", nil }, { "a", nil }, { "/a", nil }, { "//a", nil }, { "http://", nil }, { "http://?", nil },
      { "http:///", nil }, { "http://a b/", nil }, { "http://a<b/", nil }, { "http://a%/", nil },
      { "http://a%00/", nil }, { "http://a^b/", nil }, { "http://[::1", nil }, { "http://[::1]x/", nil },
      { "http://[1::2::3]/", nil }, { "http://a:65536/", nil }, { "http://a:8x/", nil },
      { "http://a:-1/", nil }, { "http://u@/", nil }, { "http://@/", nil }, { "http://:80/", nil },
      { "foo://:80/", nil }, { "foo://u@/", nil }, { "foo://a b/", nil }, { "http://1.2.3.4.5/", nil },
      { "http://256.1/", nil }, { "http://1..2/", nil }, { "http://08/", nil }, { "http://a.1/", nil },
      { "1http://a/", nil }, { "x", "y" }, { "file://a:80/", nil },
    }, function(given, base)
      assert.is_false(URL.canParse(given, base), given)
      local ok, message = pcall(function() return (URL(given, base)) end)
      assert.is_false(ok, given)
      assert.matches("url_spec%.lua:%d+: Invalid URL$", message)
    end)
  end)

  it("refuses host names that are not UTF-8", function()
    assert.is_false(URL.canParse("http://a\255/"))
    assert.is_false(URL.canParse("http://%E4/"))
    assert.is_false(URL.canParse("http://\237\160\128/"))
  end)

  it("is made by new as well, and takes URLs", function()
    local base = URL.new("http://a/b")
    assert.equal("http://a/c", URL.new("c", base).href)
    assert.equal("http://a/b", URL(base).href)
    assert.is_true(URL.canParse("c", base))
    assert.has_error(function() URL.new("c") end)
    assert.has_error(function() URL() end)
  end)

  it("prints itself", function()
    local parsed = URL("http://A")
    assert.equal("http://a/", tostring(parsed))
    assert.equal("http://a/", parsed:toString())
    assert.equal("http://a/", parsed:toJSON())
  end)

  it("keeps href true when a field is set, and leaves what cannot be set", function()
    each({
      { "http://a/", "protocol", "https", "https://a/" }, { "http://a/", "protocol", "https:x", "https://a/" },
      { "http://a:443/", "protocol", "https", "https://a/" }, { "http://a/", "protocol", "foo", "http://a/" },
      { "foo://a/", "protocol", "http", "foo://a/" }, { "http://a:1/", "protocol", "file", "http://a:1/" },
      { "http://a/", "protocol", "1x", "http://a/" },
      { "http://a/", "username", "u:@é", "http://u%3A%40%C3%A9@a/" },
      { "http://u@a/", "username", "", "http://a/" }, { "http://a/", "password", "p w", "http://:p%20w@a/" },
      { "mailto:a", "username", "x", "mailto:a" }, { "http://a:1/", "host", "B:2", "http://b:2/" },
      { "http://a:1/", "host", "b", "http://b:1/" }, { "http://a:1/", "host", "", "http://a:1/" },
      { "http://a/", "host", "b:2x/y", "http://b:2/" }, { "http://a/", "host", "b c", "http://a/" },
      { "http://a/", "host", "u@b", "http://a/" }, { "mailto:a", "host", "b", "mailto:a" },
      { "http://a:1/", "hostname", "b", "http://b:1/" }, { "http://a:1/", "hostname", "b:2", "http://a:1/" },
      { "http://a/", "hostname", "[::1]", "http://[::1]/" },
      { "http://a/", "hostname", "127.1", "http://127.0.0.1/" }, { "file:///x", "host", "h", "file://h/x" },
      { "file://h/x", "host", "localhost", "file:///x" }, { "http://a/", "port", "81", "http://a:81/" },
      { "http://a:81/", "port", "80", "http://a/" }, { "http://a:81/", "port", "", "http://a/" },
      { "http://a/", "port", "8x", "http://a:8/" }, { "http://a:81/", "port", "x", "http://a:81/" },
      { "http://a:81/", "port", "65536", "http://a:81/" }, { "file://h/x", "port", "1", "file://h/x" },
      { "http://a/b", "pathname", "c/../d e?#", "http://a/d%20e%3F%23" },
      { "http://a/b", "pathname", "", "http://a/" }, { "foo://a/b", "pathname", "", "foo://a" },
      { "mailto:a", "pathname", "b", "mailto:a" }, { "http://a/b", "search", "x y", "http://a/b?x%20y" },
      { "http://a/?q", "search", "?", "http://a/?" }, { "http://a/?q", "search", "", "http://a/" },
      { "http://a/", "search", "??a#b'", "http://a/??a%23b%27" },
      { "http://a/", "hash", "#x y", "http://a/#x%20y" }, { "http://a/#f", "hash", "", "http://a/" },
      { "http://a/", "hash", "##", "http://a/##" }, { "mailto:a", "search", "b", "mailto:a?b" },
      { "http://a/", "href", "foo:b", "foo:b" },
    }, function(given, field, value, expected)
      local parsed = URL(given)
      parsed[field] = value
      assert.equal(expected, parsed.href, given .. " " .. field .. " " .. value)
    end)
  end)

  it("takes numbers, and nil for nothing", function()
    local parsed = URL("http://a/?q#f")
    parsed.port = 8080.0
    parsed.search, parsed.hash = nil, nil
    assert.equal("http://a:8080/", parsed.href)
  end)

  it("keeps what it was when href is set to something invalid", function()
    local parsed = URL("http://a/?x=1")
    assert.has_error(function() parsed.href = "http://" end)
    assert.equal("http://a/?x=1", parsed.href)
    assert.equal("1", parsed.searchParams:get("x"))
  end)

  it("raises on setting what can only be read, and takes fields of the user's own", function()
    local parsed = URL("http://a/")
    assert.has_error(function() parsed.origin = "x" end)
    assert.has_error(function() parsed.searchParams = "x" end)
    parsed.note = "mine"
    assert.equal("mine", parsed.note)
    assert.equal("http://a/", parsed.href)
  end)

  it("shares its query with its searchParams, both ways", function()
    local parsed = URL("http://a/?x=1&y=a%20b~#f")
    local params = parsed.searchParams
    assert.equal(params, parsed.searchParams)
    assert.equal("http://a/?x=1&y=a%20b~#f", parsed.href)
    params:append("z", "é")
    assert.equal("?x=1&y=a+b%7E&z=%C3%A9", parsed.search)
    parsed.search = "?n=2"
    assert.equal("2", params:get("n"))
    assert.is_nil(params:get("x"))
    params:delete("n")
    assert.equal("http://a/#f", parsed.href)
    parsed.href = "http://b/?m=3"
    assert.equal("3", params:get("m"))
  end)

  it("takes time in proportion to the length of a URL", function()
    local started = os.clock()
    URL("http://a/" .. ("../"):rep(100000))
    URL("http://a/" .. (" "):rep(200000) .. "x")
    URL.canParse("http://" .. ("a."):rep(100000) .. "com")
    URL.canParse("http://" .. ("é"):rep(100000))
    URL.canParse("http://" .. ("@"):rep(100000))
    URL.canParse("http://[" .. (":"):rep(100000))
    url.parse("http://" .. (":1"):rep(100000))
    url.resolve("http://a/", ("a/../"):rep(100000))
    assert.is_true(os.clock() - started < 3)
  end)
end)

describe("URLSearchParams", function()
  it("reads a query", function()
    each({
      { "", {}, "" }, { "?a=1", { { "a", "1" } }, "a=1" },
      { "a=1&b=2&a=3", { { "a", "1" }, { "b", "2" }, { "a", "3" } }, "a=1&b=2&a=3" },
      { "a", { { "a", "" } }, "a=" }, { "=", { { "", "" } }, "=" }, { "=a", { { "", "a" } }, "=a" },
      { "&&a&&", { { "a", "" } }, "a=" }, { "a=b=c", { { "a", "b=c" } }, "a=b%3Dc" },
      { "a+b=%2B+", { { "a b", "+ " } }, "a+b=%2B+" }, { "%zz=%", { { "%zz", "%" } }, "%25zz=%25" },
      { "é=%C3%A9", { { "é", "é" } }, "%C3%A9=%C3%A9" }, { "??a=1", { { "?a", "1" } }, "%3Fa=1" },
    }, function(given, expected, text)
      local params = URLSearchParams(given)
      assert.same(expected, all_of(params))
      assert.equal(text, tostring(params))
    end)
  end)

  it("writes as forms do", function()
    each({
      { "a b", "k=a+b" }, { "*-._~!'()", "k=*-._%7E%21%27%28%29" }, { "&=+?/#%", "k=%26%3D%2B%3F%2F%23%25" },
      { "é😀", "k=%C3%A9%F0%9F%98%80" }, { "\000\n", "k=%00%0A" },
    }, function(given, expected)
      assert.equal(expected, URLSearchParams({ { "k", given } }):toString())
    end)
  end)

  it("takes pairs, fields and other parameters", function()
    assert.equal("b=1&a=2", tostring(URLSearchParams({ { "b", 1 }, { "a", 2 } })))
    assert.equal("a=1&b=2&b=3", tostring(URLSearchParams({ b = { 2, 3 }, a = 1.0 })))
    local first = URLSearchParams("a=1")
    local second = URLSearchParams.new(first)
    second:append("b", 2)
    assert.equal("a=1", tostring(first))
    assert.equal("a=1&b=2", tostring(second))
    assert.equal(0, URLSearchParams().size)
    assert.has_error(function() URLSearchParams({ { "a" } }) end)
  end)

  it("gets, and tells what it has", function()
    local params = URLSearchParams("a=1&b=2&a=3&1=x")
    assert.equal("1", params:get("a"))
    assert.is_nil(params:get("c"))
    assert.same({ "1", "3" }, params:getAll("a"))
    assert.same({}, params:getAll("c"))
    assert.is_true(params:has("a"))
    assert.is_true(params:has("a", "3"))
    assert.is_false(params:has("a", 2))
    assert.is_false(params:has("c"))
    assert.equal("x", params:get(1))
    assert.equal(4, params.size)
  end)

  it("sets the first of a name and takes away the others", function()
    assert.equal("a=9&b=2", tostring(URLSearchParams("a=1&b=2&a=3"):set("a", 9)))
    assert.equal("a=1&c=", tostring(URLSearchParams("a=1"):set("c", "")))
  end)

  it("deletes by name, or by name and value", function()
    assert.equal("b=2", tostring(URLSearchParams("a=1&b=2&a=3"):delete("a")))
    assert.equal("b=2&a=3", tostring(URLSearchParams("a=1&b=2&a=3"):delete("a", "1")))
  end)

  it("sorts by name and keeps the order within a name", function()
    assert.equal("a=2&a=1&b=3&b=0", tostring(URLSearchParams("b=3&a=2&b=0&a=1"):sort()))
  end)

  it("is walked in order", function()
    local params, seen, names, values = URLSearchParams("b=1&a=2"), {}, {}, {}
    params:forEach(function(value, name, self)
      assert.equal(params, self)
      seen[#seen + 1] = name .. value
    end)
    for name in params:keys() do names[#names + 1] = name end
    for value in params:values() do values[#values + 1] = value end
    assert.same({ "b1", "a2" }, seen)
    assert.same({ "b", "a" }, names)
    assert.same({ "1", "2" }, values)
  end)

  it("keeps names that Lua gives a meaning as plain data", function()
    local params = URLSearchParams("__index=1&size=2&list=3&get=4")
    assert.equal(4, params.size)
    assert.equal("3", params:get("list"))
    assert.equal("1", params:get("__index"))
  end)
end)
