-- res:cookie, res:clearCookie and req.signedCookies: RFC 6265, and what browsers
-- demand besides.
local helper = require("spec.helper")

local BEFORE = [[
  local settings = { secret = "first secret" }
  local app = { setting = function(_, name) return settings[name] end }
]]

local function escaped(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local APP = [[
  if not req.query.bare then req.app = app end
  if req.path == "/signed" then return req.signedCookies end
  if req.path == "/plain" then return req.cookies end
  if req.path == "/secret" then settings.secret = (loadstring or load)("return " .. req.query.to)() return "ok" end
  assert((loadstring or load)("local res = ... " .. req.query.run))(res)
  return "ok"
]]

describe("cookies", function()
  local server

  setup(function()
    server = helper.serve_handler(APP, { before = BEFORE })
  end)

  local function set(args, path)
    local response = helper.get(server, (path or "/?") .. "run=" .. escaped("res:cookie(" .. args .. ")"))
    return response.headers["set-cookie"], response
  end

  local function complaint(args)
    local code = ("local ok, err = pcall(function() res:cookie(%s) end) res:text(tostring(err))"):format(args)
    return (helper.get(server, "/?run=" .. escaped(code)).body:gsub("^%[string.-%]:%d+: ", ""))
  end

  it("have a path, and the attributes that are given", function()
    assert.equal("a=b; Path=/", (set("'a', 'b'")))
    assert.equal("a=1; Path=/x; HttpOnly; Secure; SameSite=None; Partitioned; Priority=High",
      (set("'a', 1, { path = '/x', httpOnly = true, secure = true, sameSite = 'none', partitioned = true, "
        .. "priority = 'high' }")))
    assert.equal("a=b; Domain=example.com; Path=/; SameSite=Strict",
      (set("'a', 'b', { domain = '.example.com', sameSite = true, secure = false }")))
    assert.equal("a=true; Path=/; SameSite=Lax", (set("'a', true, { sameSite = 'Lax' }")))
  end)

  it("say how long they live, in both ways", function()
    local text = set("'a', 'b', { maxAge = 90500 }")
    local age, day = text:match("^a=b; Path=/; Max%-Age=(%d+); "
      .. "Expires=(%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT)$")
    assert.equal("90", age)
    assert.is_string(day)
    assert.equal("a=b; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT", (set("'a', 'b', { maxAge = 0 }")))
    assert.equal("a=b; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT", (set("'a', 'b', { maxAge = -5 }")))
    assert.equal("a=b; Path=/; Expires=Sun, 06 Nov 1994 08:49:37 GMT", (set("'a', 'b', { expires = 784111777 }")))
  end)

  it("carry any value there and back", function()
    local value = 'a b;c,d"e\\f%41=ü\r\n\0'
    local text = set("'a', '" .. value:gsub("[%z\1-\255]", function(c) return ("\\%03d"):format(c:byte()) end) .. "'")
    assert.is_nil(text:match("^a=([^;]*)"):find("[%c ,\"\\]"))
    local response = helper.get(server, "/plain", { Cookie = text:match("^[^;]*") })
    assert.equal(value, require("cjson").decode(response.body).a)
    assert.equal("a=x:y; Path=/", (set("'a', 'b', { encode = function() return 'x:y' end }")))
    assert.equal("the option encode of a cookie has returned what cannot stand in one",
      complaint("'a', 'b', { encode = function() return 'x;y' end }"))
  end)

  it("replace each other by name, domain and path", function()
    local text = set("'a', 1):cookie('b', 1):cookie('a', 2):cookie('a', 3, { path = '/x' }")
    assert.same({ "b=1; Path=/", "a=2; Path=/", "a=3; Path=/x" }, text)
  end)

  it("are forgotten with the attributes they were set with", function()
    local function cleared(args)
      return helper.get(server, "/?run=" .. escaped("res:clearCookie(" .. args .. ")")).headers["set-cookie"]
    end
    assert.equal("a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", cleared("'a'"))
    assert.equal("a=; Domain=x.example; Path=/y; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly",
      cleared("'a', { path = '/y', domain = 'x.example', httpOnly = true, maxAge = 5000, signed = true }"))
    assert.equal("__Host-a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure", cleared("'__Host-a'"))
  end)

  for args, said in pairs({
    ["'', 'x'"] = "the name of a cookie is a token (RFC 6265 4.1.1), not ''",
    ["'a b', 'x'"] = "the name of a cookie is a token (RFC 6265 4.1.1), not 'a b'",
    ["'a=b', 'x'"] = "the name of a cookie is a token (RFC 6265 4.1.1), not 'a=b'",
    ["'a\\r\\nX: y', 'x'"] = "the name of a cookie is a token (RFC 6265 4.1.1), not 'a??X: y'",
    ["5, 'x'"] = "the name of a cookie is a token (RFC 6265 4.1.1), not '5'",
    ["'a', {}"] =
      "the value of a cookie is a string, a number or a boolean, not a table; json.encode makes a string of a table",
    ["'a'"] =
      "the value of a cookie is a string, a number or a boolean, not a nil; json.encode makes a string of a table",
    ["'a', 'b', { maxage = 1 }"] =
      "a cookie has no option 'maxage': there are maxAge, expires, path, domain, secure, " ..
      "httpOnly, sameSite, signed, partitioned, priority and encode",
    ["'a', 'b', { maxAge = '1' }"] = "the option maxAge of a cookie is a number, not a string",
    ["'a', 'b', { maxAge = 0/0 }"] = "the option maxAge of a cookie is a count of milliseconds",
    ["'a', 'b', { expires = 1e15 }"] =
      "the option expires of a cookie is a time in seconds since 1970, as of os.time()",
    ["'a', 'b', { path = 'x' }"] = "the option path of a cookie cannot be 'x'",
    ["'a', 'b', { path = '/x; Domain=y' }"] = "the option path of a cookie cannot be '/x; Domain=y'",
    ["'a', 'b', { path = '/\\r\\nX: y' }"] = "the option path of a cookie cannot be '/??X: y'",
    ["'a', 'b', { domain = 'x; y' }"] = "the option domain of a cookie cannot be 'x; y'",
    ["'a', 'b', { domain = '' }"] = "the option domain of a cookie cannot be ''",
    ["'a', 'b', { sameSite = 'some' }"] = "the option sameSite of a cookie is not 'some'",
    ["'a', 'b', { priority = 'urgent' }"] = "the option priority of a cookie is not 'urgent'",
    ["'a', 'b', { sameSite = 'none' }"] = "browsers drop the cookie 'a': sameSite = 'none' needs secure = true",
    ["'a', 'b', { partitioned = true }"] = "browsers drop the cookie 'a': partitioned needs secure = true",
    ["'__Secure-a', 'b'"] = "browsers drop the cookie '__Secure-a': its prefix needs secure = true",
    ["'__Host-a', 'b', { path = '/' }"] = "browsers drop the cookie '__Host-a': its prefix needs secure = true",
    ["'__host-a', 'b', { secure = true, path = '/x' }"] =
      "browsers drop the cookie '__host-a': the prefix __Host- needs path = '/' and no domain",
    ["'__Host-a', 'b', { secure = true, domain = 'x.y' }"] =
      "browsers drop the cookie '__Host-a': the prefix __Host- needs path = '/' and no domain",
    ["'a', ('x'):rep(4090)"] = "browsers drop the cookie 'a': it has 4100 bytes, more than 4096",
  }) do
    it("are refused: " .. args, function()
      assert.equal(said, complaint(args))
    end)
  end

  describe("that are signed", function()
    local function cookie(name, value)
      return (set(("%q, %q, { signed = true }"):format(name, value)):match("^[^;]*"))
    end

    local function signed(...)
      local response = helper.get(server, "/signed", { Cookie = table.concat({ ... }, "; ") })
      return require("cjson").decode(response.body)
    end

    local function secret(to)
      assert.equal("ok", helper.get(server, "/secret?to=" .. escaped(to)).body)
    end

    after_each(function() secret("'first secret'") end)

    it("come back as they were", function()
      local text = cookie("user", "kim.1; x")
      assert.matches("^user=s:kim%.1%%3B%%20x%.[%w_-]+$", text)
      assert.equal(43, #text:match("%.([%w_-]+)$"))
      assert.same({ user = "kim.1; x" }, signed(text, "other=1"))
    end)

    it("are false where anything was changed", function()
      local text = cookie("user", "kim")
      assert.same({ user = false }, signed((text:gsub("kim", "kin"))))
      assert.same({ user = false }, signed(text .. "A"))
      assert.same({ user = false }, signed("user=s:kim"))
      assert.same({ user = false }, signed("user=s:kim." .. ("A"):rep(43)))
      assert.same({ admin = false }, signed((text:gsub("^user", "admin"))))
      assert.same({}, signed("user=kim"))
    end)

    it("are signed with the first secret, and taken with all", function()
      local old = cookie("a", "1")
      secret("{ 'second secret', 'first secret' }")
      local new = cookie("b", "2")
      assert.same({ a = "1", b = "2" }, signed(old, new))
      secret("{ 'second secret' }")
      assert.same({ a = false, b = "2" }, signed(old, new))
    end)

    it("are what HMAC-SHA256 says", function()
      local crypto_says = helper.run([[print(require("crypto").createHmac("sha256", "first secret")
        :update("a=1"):digest("base64url"))]]).out:match("%S+")
      assert.equal("a=s:1." .. crypto_says, cookie("a", "1"))
    end)

    it("need a secret", function()
      secret("nil")
      assert.equal('a signed cookie needs a secret: app:set("secret", "...")', complaint("'a', 'b', { signed = true }"))
      assert.same({}, signed("a=s:1.x"))
      secret("''")
      assert.matches('the setting "secret" is a string, or a list of strings', complaint("'a', 'b', { signed = true }"))
    end)
  end)
end)

describe("signatures", function()
  it("are HMAC-SHA256, whatever the sizes of secret and text", function()
    local result = helper.run([[
local reply, crypto = require "luaserve.core.reply", require "crypto"
local count = 0
for _, size in ipairs { 1, 8, 32, 63, 64, 65, 200 } do
  local key = ("k"):rep(size)
  local first, second = reply.signer(key), reply.signer("another", key)
  for n = 0, 200 do
    local text = ("t"):rep(n)
    local mac = crypto.createHmac("sha256", key):update(text):digest("base64url")
    assert(first:sign(text) == mac and second:verify(text, mac) == 2)
    assert(second:verify(text .. "x", mac) == false and second:verify(text, mac .. "x") == false)
    count = count + 1
  end
end
print(count)
]])
    assert.are.equal("", result.err)
    assert.are.equal("1407\n", result.out)
  end)
end)
