-- The example with accounts: who gets in, who does not, and how it looks in a browser.
local helper = require("spec.helper")
local lfs = require("lfs")
local examples = require("spec.helper.examples")
local transport = require("spec.helper.transport")

describe("examples/login.lua", function()
  local PASSWORD, SESSION = "correct horse battery", (transport.encrypted and "__Host-" or "") .. "session"

  local function serve_login(opts)
    opts = opts or {}
    opts.listen, opts.env = true, opts.env or { USERS = helper.tmpdir() .. "/users.db" }
    return examples.serve("login", opts)
  end

  local function post(server, path, body, headers)
    headers = headers or { ["Sec-Fetch-Site"] = "same-origin" }
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return helper.request(server, { method = "POST", path = path, headers = headers, body = body })
  end

  -- The cookies that an answer sets, as they are sent back.
  local function cookies_of(response)
    local set = response.headers["set-cookie"]
    local list = {}
    for i, text in ipairs(type(set) == "table" and set or { set }) do list[i] = text:match("^[^;]*") end
    return table.concat(list, "; ")
  end

  local function problem_of(response)
    return response.body:match('<p class="problem" role="alert">([^<]*)')
  end

  it("keeps no password, tells nobody who is there, and ends guessing", function()
    local users = helper.tmpdir() .. "/users.db"
    local server = serve_login { env = { USERS = users } }
    assert.matches("at least 10 characters", problem_of(post(server, "/register", "name=kim&password=123456789")))
    for _, name in ipairs { "", "kim+lee", "%3Cb%3E", ("x"):rep(31), "a&name=b" } do
      local response = post(server, "/register", "password=correct+horse&name=" .. name)
      assert.same({ 422, "A name is up to 30 letters, digits and . _ -" }, { response.status, problem_of(response) })
    end
    assert.equal(303, post(server, "/register", "name=kim&password=correct+horse+battery").status)
    assert.equal(409, post(server, "/register", "name=KIM&password=correct+horse+battery").status)
    for name in lfs.dir((users:gsub("/[^/]*$", ""))) do
      local text = not name:find("^%.") and helper.read_file((users:gsub("[^/]*$", name))) or ""
      assert.is_nil(text:find("correct", 1, true))
    end
    local function plain(response) -- without what differs each time
      return response.status .. response.body:gsub('nonce="[^"]*"', ""):gsub('value="[^"]*"', "")
    end
    local wrong, unknown = post(server, "/login", "name=kim&password=x"), post(server, "/login", "name=lee&password=x")
    assert.equal("This name and password do not belong together.", problem_of(wrong))
    assert.equal(plain(wrong), plain(unknown))
    for _ = 1, 4 do assert.equal(422, post(server, "/login", "name=Kim&password=x").status) end
    assert.equal(429, post(server, "/login", "name=kim&password=correct+horse+battery").status)
    assert.equal(422, post(server, "/login", "name=lee&password=x").status)
  end)

  it("takes no forms of others, nor an id that was there before the login", function()
    local server = serve_login()
    local page = helper.get(server, "/register")
    local visitor, token = cookies_of(page), page.body:match('name="_csrf" value="([^"]*)"')
    local function register(csrf, name)
      return post(server, "/register", ("name=%s&password=correct+horse+battery&_csrf=%s"):format(name, csrf),
        { Cookie = visitor })
    end
    for _, forged in ipairs { "", "x", token:sub(1, -2), token:reverse(), ("A"):rep(24) .. token:match("%..*") } do
      assert.equal(403, register(forged, "kim").status)
    end
    local response = register(token, "kim")
    assert.equal(303, response.status)
    local first = cookies_of(response)
    assert.matches("Hello, kim", helper.get(server, "/", { Cookie = first }).body)
    -- The token of the page before the login is nobody's any more.
    assert.equal(403, post(server, "/logout", "_csrf=" .. token, { Cookie = visitor .. "; " .. first }).status)
    -- Whoever knows the id from before does not get in with it.
    response = post(server, "/login", "name=kim&password=correct+horse+battery",
      { Cookie = first, ["Sec-Fetch-Site"] = "same-origin" })
    local second = cookies_of(response)
    assert.are_not.equal(first, second)
    assert.matches("<h1>Log in", helper.get(server, "/", { Cookie = first }).body)
    assert.matches("Hello, kim", helper.get(server, "/", { Cookie = second }).body)
  end)

  it("is clicked through while a worker is killed, and after a restart", function()
    local options = { args = { "--workers", "2", "--store", helper.tmpdir() .. "/store" } }
    local server = serve_login(options)
    local old
    local function log_in(browser, name, password)
      browser:type("[name=name]", name)
      browser:type("[name=password]", password)
      browser:click("form button")
    end
    local function wait_for_title(browser, title)
      browser:wait_for(("document.title == %q"):format(title), title)
    end
    local function check_cookie(browser, stays)
      local cookie = browser:cookies()[SESSION]
      assert.same({ true, "Lax", transport.encrypted }, { cookie.httpOnly, cookie.sameSite, cookie.secure })
      if stays then
        assert.is_true(math.abs(cookie.expiry - os.time() - 30 * 24 * 3600) < 600)
      else
        assert.is_nil(cookie.expiry) -- it goes with the browser
      end
      assert.equal("", browser:run("return document.cookie"))
      return cookie.value
    end
    examples.click_through(server, "/", function(browser, scheme)
      if scheme == "light" then
        browser:click("a[href='/register']")
        wait_for_title(browser, "New account")
        log_in(browser, "kim", PASSWORD)
        wait_for_title(browser, "Hello, kim")
        old = check_cookie(browser, false)
        examples.kill_worker(helper.wait_for(function() return examples.answering(server) end, "a worker"))
        browser:go((browser:url()))
        assert.equal("Hello, kim", browser:text("h1"))
        browser:click("form button")
        wait_for_title(browser, "Log in")
        assert.is_nil(browser:cookies()[SESSION])
        assert.matches("<h1>Log in", helper.get(server, "/", { Cookie = SESSION .. "=" .. old }).body)
      else
        log_in(browser, "kim", "wrong horse battery")
        browser:wait_for("document.querySelector('.problem')", "what is wrong")
        assert.equal("kim", browser:value("[name=name]"))
        assert.equal("", browser:value("[name=password]"))
        browser:click("[name=stay]")
        log_in(browser, "kim", PASSWORD)
        wait_for_title(browser, "Hello, kim")
        assert.are_not.equal(old, check_cookie(browser, true))
        local own = browser:url()
        browser:go("data:text/html,<form method=post action=" .. own .. "logout><button>Win</button></form>")
        browser:click("button")
        browser:wait_for("document.body.textContent.includes('another site')", "to be refused")
        assert.equal(0, (server:stop()))
        browser:go((own:gsub("%d+/$", ("%d/"):format(serve_login(options).port))))
        assert.equal("Hello, kim", browser:text("h1"))
      end
      browser:errors() -- what was refused is some in Chromium's log
    end)
  end)
end)
