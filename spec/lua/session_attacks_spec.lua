-- luaserve.session: who attacks it, and who stays logged in.
local helper = require("spec.helper")
local visits = require("spec.helper.visitor")

local serve, visitor = visits.serve, visits.new

local SECRET = '{ secret = "a secret of some length" }'

describe("a session that is to be remembered", function()
  local BODY = [[
    local s = req.session
    if req.path == "/stay" then s:remember(100 * 24 * 3600) s.user = "kim" end
    if req.path == "/login" then s:regenerate() s.user = "kim" end
    if req.path == "/not" then s:remember() end
    if req.path == "/out" then s:destroy() s.user = "lee" end
    if req.path == "/wrong" then s:remember(0.5) end
    if req.path == "/name" then s.remember = "me" end
    return tostring(s.user)
  ]]
  local PERSISTENT = "; Max%-Age=8640000; Expires=[^;]+; HttpOnly"

  for _, store in ipairs { '"shared"', '"cookie"', 'luaserve.sqlite.open(":memory:")' } do
    it("lives longer, in a cookie that outlives the browser: " .. store, function()
      local server = serve(('{ secret = "12345678", store = %s, ttl = 1, cookie = { persistent = false } }')
        :format(store), BODY)
      local kim, sam = visitor(server), visitor(server)
      assert.are.equal("kim", (kim.get("/stay")))
      assert.truthy(kim.set:find(PERSISTENT), kim.set)
      sam.get("/login")
      assert.is_nil(sam.set:find("Max-Age", 1, true))
      local kept = sam.jar.session
      helper.wait_for(function()
        sam.jar.session = kept
        return sam.get() == "nil"
      end, "another session to end", 10)
      assert.are.equal("kim", (kim.get()))
      kim.get("/login") -- keeps what was asked for
      assert.truthy(kim.set:find(PERSISTENT), kim.set)
      assert.are.equal("kim", (kim.get("/not")))
      assert.is_nil(kim.set:find("Max-Age", 1, true))
      kim.get("/stay")
      assert.are.equal("lee", (kim.get("/out")))
      assert.is_nil(kim.set:find("Max-Age", 1, true))
    end)
  end

  it("has a life that is signed, and cannot be made longer", function()
    local server = serve(SECRET, BODY)
    local kim, eve = visitor(server), visitor(server)
    kim.get("/stay")
    local id, signature = kim.jar.session:match("^([%w_-]+)%.8640000%.([%w_-]+)$")
    eve.get("/login")
    local own, other = eve.jar.session:match("^(.*)%.(.*)$")
    for _, bad in ipairs { id .. ".8640001." .. signature, id .. "." .. signature, id .. "..8640000." .. signature,
      id .. ".8640000.8640000." .. signature, own .. ".8640000." .. signature, own .. ".9." .. other } do
      eve.jar.session = bad
      assert.are.equal("nil", (eve.get()), bad)
    end
    assert.are.equal("kim", (kim.get()))
  end)

  it("takes seconds alone, and its name is not to be had", function()
    local server = serve(SECRET, BODY)
    assert.are.equal(500, select(2, visitor(server).get("/wrong")).status)
    assert.matches("session:remember takes a number of seconds, from 1 to 400 days", server:stderr())
    assert.are.equal(500, select(2, visitor(server).get("/name")).status)
    assert.matches("req.session.remember is the session's own: take another name", server:stderr())
  end)
end)

describe("who attacks a session", function()
  local LOGIN = [[
    local s = req.session
    if req.path == "/login" then s:regenerate() s.user = req.query.as end
    if req.path == "/visit" then s.seen = true end
    if req.path == "/logout" then s:destroy() end
    return tostring(s.user)
  ]]

  local function ask(server, path, cookie)
    local res = helper.get(server, path, { Cookie = cookie })
    return res.body, res
  end

  it("gets in with no cookie that is too long, doubled, empty or garbage, nor does it harm", function()
    local server = serve(SECRET, LOGIN)
    local kim = visitor(server)
    kim.get("/login?as=kim")
    local value = kim.jar.session
    local good = "session=" .. value
    for _, bad in ipairs { "session=" .. ("A"):rep(8192), "session=" .. ("."):rep(8192), good .. ("A"):rep(8000),
      "session=" .. ("%2e"):rep(2000), 'session="' .. ("x."):rep(2000) .. '"', "session=.", "session=..",
      "session=" .. ("A"):rep(24) .. ".", "Session=" .. value, "session[]=" .. value, "%73ession=" .. value,
      "__Host-session=" .. value, "session = =" .. value } do
      local body, res = ask(server, "/", bad)
      assert.are.equal("200 nil", res.status .. " " .. body, bad:sub(1, 60))
    end
    -- Of two of one name the first is meant, which browsers send first where it is the more specific one.
    assert.are.equal("kim", (ask(server, "/", good .. "; session=x")))
    assert.are.equal("nil", (ask(server, "/", "session=x; " .. good)))
    assert.are.equal("kim", (ask(server, "/", good)))
  end)

  it("gets in with no cookie that has been left: neither by a logout nor by a login", function()
    local server = serve(SECRET, LOGIN)
    local kim = visitor(server)
    kim.get("/visit")
    local before = "session=" .. kim.jar.session
    kim.get("/login?as=kim")
    local during = "session=" .. kim.jar.session
    assert.are.equal("kim", (ask(server, "/", during)))
    kim.get("/login?as=kim")
    kim.get("/logout")
    for _, old in ipairs { before, during } do
      assert.are.equal("nil", (ask(server, "/", old)))
      local _, res = ask(server, "/visit", old) -- and what comes with it is not used again
      assert.are_not.equal(old, res.headers["set-cookie"]:match("^[^;]*"))
    end
  end)

  it("does not know the id that a visitor has once he is logged in, whatever cookie was set for him", function()
    local server = serve(SECRET, LOGIN)
    local eve = visitor(server)
    eve.get("/visit") -- an id that is valid, planted by a page of a sibling host
    local planted = "session=" .. eve.jar.session
    local _, res = ask(server, "/login?as=kim", planted)
    assert.are_not.equal(planted, res.headers["set-cookie"]:match("^[^;]*"))
    assert.are.equal("nil", (eve.get()))
  end)

  it("cannot plant a cookie from a sibling host over TLS", function()
    local server = serve(SECRET, LOGIN, { over_tls = true })
    local function curl(path, cookie)
      local pipe = io.popen(("curl -ski -H 'Cookie: %s' 'https://localhost:%d%s'"):format(cookie, server.port, path))
      local out = pipe:read("a")
      pipe:close()
      return out
    end
    local value = curl("/login?as=eve", "a=b"):match("__Host%-session=([^;]+)")
    assert.matches("\r\neve$", curl("/", "__Host-session=" .. value))
    for _, name in ipairs { "session", "__Secure-session", "__host-session", "%5F%5FHost-session" } do
      assert.matches("\r\nnil$", curl("/", name .. "=" .. value), name)
    end
    assert.matches("\r\neve$", curl("/", "session=x; __Host-session=" .. value))
  end)

  it("gains nothing from what another app has signed or sealed with the same secret", function()
    for _, store in ipairs { "shared", "cookie" } do
      local dir = helper.tmpdir()
      local function start(name)
        return serve(('{ secret = "one secret for all", name = "%s", store = "%s" }'):format(name, store), LOGIN,
          { args = { "--store", dir .. "/" .. name } })
      end
      local shop, admin = start("shop"), start("admin")
      local kim = visitor(shop)
      kim.get("/login?as=kim")
      assert.are.equal("nil", (ask(admin, "/", "admin=" .. kim.jar.shop)))
      assert.are.equal("kim", (ask(shop, "/", "shop=" .. kim.jar.shop)))
    end
  end)
end)
