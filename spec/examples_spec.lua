-- Every file of examples/ is started and asked, as a reader would.
local helper = require("spec.helper")
local lfs = require("lfs")
local cjson = require("cjson")
local examples = require("spec.helper.examples")

local serve, click_through = examples.serve, examples.click_through
local answering, kill_worker = examples.answering, examples.kill_worker
local tested = {}

local function example(name, body)
  tested[name] = true
  describe("examples/" .. name .. ".lua", body)
end

local function json(server, method, path, value)
  local response = helper.request(server, { method = method, path = path,
    body = value and cjson.encode(value), headers = value and { ["Content-Type"] = "application/json" } })
  return response.status, response.body ~= "" and cjson.decode(response.body) or nil
end

example("hello", function()
  it("says hello to everybody", function()
    local server = serve("hello", { ready = "http://" })
    server.port = tonumber(server:stdout():match("^http://127%.0%.0%.1:(%d+)"))
    local response = helper.get(server, "/any")
    assert.equal("Hello, World!\n", response.body)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal(0, (server:stop()))
  end)
end)

example("cluster", function()
  it("counts the visits of all workers, and replaces one that is killed", function()
    local server = serve("cluster", { ready = "http://" })
    server.port = tonumber(server:stdout():match("http://127%.0%.0%.1:(%d+)"))
    local first = select(2, json(server, "GET", "/"))
    assert.equal(1, first.visits)
    helper.wait_for(function() return select(2, json(server, "GET", "/")).visits > 3 end, "visits to be counted")
    os.execute("kill -KILL " .. math.tointeger(first.process))
    server:wait_output(("worker %d has ended %%(SIGKILL%%)"):format(first.worker))
    helper.wait_for(function() return select(2, json(server, "GET", "/")).visits > 5 end, "visits to be counted")
    assert.equal(0, (server:stop()))
  end)
end)

example("contacts", function()
  it("keeps what is valid, and says what is not", function()
    local server = serve("contacts")
    local status, kim = json(server, "POST", "/contacts", { name = "Kim", email = "kim@example.com", age = 30 })
    assert.equal(201, status)
    assert.same({ id = 1, name = "Kim", email = "kim@example.com", age = 30 }, kim)
    local _, refused = json(server, "POST", "/contacts", { name = "", email = "kim", more = true })
    local paths = {}
    for i, each in ipairs(refused.errors) do paths[i] = each.path end
    table.sort(paths)
    assert.same({ "/email", "/more", "/name" }, paths)
    assert.equal(404, (json(server, "GET", "/contacts/2")))
    assert.equal(200, (json(server, "PUT", "/contacts/1", { name = "Lee", email = "lee@example.com" })))
    assert.equal("Lee", select(2, json(server, "GET", "/contacts?q=LE"))[1].name)
    assert.same({}, (select(2, json(server, "GET", "/contacts?q=kim"))))
    assert.equal(204, (json(server, "DELETE", "/contacts/1")))
    assert.equal(404, (json(server, "DELETE", "/contacts/1")))
    assert.equal(405, helper.request(server, { method = "PATCH", path = "/contacts" }).status)
  end)

  it("has a page to list, add, edit and delete them", function()
    local server = serve("contacts")
    click_through(server, "/", function(browser, scheme)
      local rows = "document.querySelectorAll('tbody tr').length == "
      browser:type("[name=name]", "Kim <b> " .. scheme)
      browser:type("[name=email]", "kim")
      browser:click("form button")
      browser:wait_for("document.querySelectorAll('label.wrong').length == 1", "what is wrong")
      assert.equal("must be an e-mail address", browser:text("label.wrong small"))
      browser:type("[name=email]", "kim@example.com")
      browser:click("form button")
      browser:wait_for(rows .. (scheme == "light" and 1 or 2), "a contact")
      browser:click("tbody tr:last-child button")
      browser:type("[name=age]", "41")
      browser:click("form button")
      browser:wait_for("document.querySelector('tbody tr:last-child td:nth-child(3)')?.textContent == '41'", "its age")
      assert.equal("Kim <b> " .. scheme, browser:text("tbody tr:last-child td"))
      browser:type("[name=name]", "Lee")
      browser:type("[name=email]", "lee@example.com")
      browser:click("form button")
      browser:wait_for(rows .. (scheme == "light" and 2 or 3), "another one")
      browser:click("tbody tr:last-child button:last-child")
      browser:wait_for(rows .. (scheme == "light" and 1 or 2), "one less")
      browser:type("#q", "nobody")
      browser:wait_for(rows .. "0 && !document.getElementById('none').hidden", "nobody")
      browser:type("#q", "kim")
      browser:wait_for(rows .. (scheme == "light" and 1 or 2), "those found")
      browser:errors() -- what was refused is one in Chromium's log
    end)
  end)
end)

example("upload", function()
  it("keeps files, lists, sends and deletes them", function()
    local folder = helper.tmpdir()
    local server = serve("upload", { script_args = { folder } })
    assert.equal("[]", helper.get(server, "/files").body)
    local response = helper.request(server, { method = "POST", path = "/files",
      headers = { ["Content-Type"] = "multipart/form-data; boundary=b" },
      body = '--b\r\nContent-Disposition: form-data; name=file; filename="a b.txt"\r\n\r\nhello\r\n--b--' })
    local file = cjson.decode(response.body)[1]
    assert.equal("201 a b.txt 5", ("%d %s %d"):format(response.status, file.name, file.size))
    response = helper.get(server, "/files/" .. file.id)
    assert.equal("hello", response.body)
    assert.equal('attachment; filename="a b.txt"', response.headers["content-disposition"])
    assert.equal(204, helper.request(server, { method = "DELETE", path = "/files/" .. file.id }).status)
    assert.equal(404, helper.get(server, "/files/" .. file.id).status)
    helper.wait_for(function() return not lfs.attributes(folder .. "/" .. file.id) end, "the file is gone")
  end)

  it("has a page that shows how far an upload is", function()
    local server, dir = serve("upload", { script_args = { helper.tmpdir() } }), helper.tmpdir()
    helper.write_file(dir .. "/holiday.bin", ("x"):rep(3 * 1024 * 1024))
    helper.write_file(dir .. "/notes.txt", "hello")
    local count = 0
    click_through(server, "/", function(browser)
      for _, name in ipairs { "holiday.bin", "notes.txt" } do
        browser:wait_for("document.querySelectorAll('li').length == " .. count, "the files there are")
        browser:upload("#files", dir .. "/" .. name)
        count = count + 1
        browser:wait_for(("document.querySelectorAll('li button').length == %d && "
          .. "document.querySelector('li a').textContent == '%s'"):format(count, name), "the upload of " .. name)
      end
      assert.truthy(browser:text("li:nth-child(2)"):find("3.0 MiB", 1, true))
      browser:click("li button")
      count = count - 1
      browser:wait_for("document.querySelectorAll('li').length == " .. count, "a file less")
    end)
  end)
end)

example("form", function()
  it("takes what is complete, from its own page alone", function()
    local server = serve("form")
    local function sign(headers, body)
      headers["Content-Type"] = "application/x-www-form-urlencoded"
      return helper.request(server, { method = "POST", path = "/", headers = headers, body = body })
    end
    local own = { ["Sec-Fetch-Site"] = "same-origin" }
    assert.equal(303, sign(own, "name=Kim&text=%3Cscript%3E1").status)
    assert.equal(422, sign(own, "name=Kim").status)
    assert.equal(422, sign(own, "name=Kim&text=" .. ("x"):rep(501)).status)
    assert.equal(403, sign({ ["Sec-Fetch-Site"] = "cross-site" }, "name=Kim&text=x").status)
    assert.equal(403, sign({}, "name=Kim&text=x").status)
    local page = helper.get(server, "/").body
    assert.truthy(page:find("<p>&lt;script&gt;1</p>", 1, true))
    assert.equal(1, select(2, page:gsub("<article>", "")))
  end)

  it("has a page to be filled in", function()
    click_through(serve("form"), "/", function(browser, scheme)
      browser:type("[name=name]", "Kim")
      browser:type("[name=text]", "It was nice in the " .. scheme .. " room. <b>")
      browser:click("form button")
      browser:wait_for("document.querySelector('article p')?.textContent.includes('" .. scheme .. " room. <b>')",
        "the entry")
      assert.equal("", browser:value("[name=text]"))
    end)
  end)
end)

example("cookies", function()
  it("sets, reads, changes and clears them, and trusts none", function()
    local server = serve("cookies")
    local function set_by(headers, method, path, body)
      headers["Content-Type"] = body and "application/x-www-form-urlencoded"
      local response = helper.request(server, { method = method, path = path, headers = headers, body = body })
      local set = response.headers["set-cookie"]
      return type(set) == "table" and table.concat(set, "\n") or set, response
    end
    local set, response = set_by({}, "GET", "/")
    assert.matches("^visits=1; Path=/; Max%-Age=31536000; Expires=[^;]+; HttpOnly; SameSite=Lax$", set)
    assert.truthy(response.body:find("You are new here", 1, true))
    set, response = set_by({ Cookie = "visits=41; language=fr", ["Accept-Language"] = "de" }, "GET", "/")
    assert.matches("^visits=42;", set)
    assert.matches('<h1 lang="fr">Bonjour', response.body)
    for _, forged in ipairs { "visits=-1", "visits=1e9", "visits=99999999999999", "visits=<b>; language=xx",
      "visits" } do
      set, response = set_by({ Cookie = forged, ["Accept-Language"] = "tlh, it;q=0.5" }, "GET", "/")
      assert.matches("^visits=1;", set)
      assert.matches('<h1 lang="it">', response.body)
      assert.is_nil(response.body:find("<td><b>", 1, true))
    end
    assert.matches("^language=es; Path=/; Max%-Age=31536000", (set_by({}, "POST", "/language", "language=es")))
    set, response = set_by({}, "POST", "/language", "language=xx")
    assert.same({ nil, 422 }, { set, response.status })
    set = set_by({ Cookie = "visits=3" }, "POST", "/forget", "")
    assert.matches("^visits=; [^\n]*1970[^\n]*\nlanguage=; [^\n]*1970", set)
  end)

  it("has a page that greets in the language that was chosen", function()
    local server = serve("cookies")
    click_through(server, "/", function(browser)
      assert.equal("You are new here.", browser:text("#visits"))
      browser:click("[value=es]")
      browser:wait_for("document.querySelector('h1').lang == 'es'", "Spanish")
      assert.equal("You have seen this page 2 times.", browser:text("#visits"))
      assert.equal("true", browser:run("return document.querySelector('[value=es]').ariaPressed"))
      assert.equal("", browser:run("return document.cookie"))
      browser:click("form[action='/forget'] button")
      browser:wait_for("document.querySelector('#visits').textContent.includes('new here')", "to be forgotten")
      browser:run("document.cookie = 'visits=; Max-Age=0'") -- HttpOnly: it cannot
      browser:click("[value=en]")
      browser:wait_for("document.querySelector('#visits').textContent.includes(' 2 ')", "a visit")
      browser:click("form[action='/forget'] button")
      browser:wait_for("document.querySelector('#visits').textContent.includes('new here')", "to be forgotten")
      assert.equal(1, browser:count("form[action='/language']"))
      browser:run("fetch('/forget', { method: 'POST', redirect: 'manual' }).then(() => document.title = 'gone')")
      browser:wait_for("document.title == 'gone'", "the cookies to go")
    end)
  end)
end)

example("sessions", function()
  it("has a basket that is there in every worker, after a crash and after a restart", function()
    local options = { args = { "--workers", "2", "--store", helper.tmpdir() .. "/store" } }
    local server = serve("sessions", options)
    click_through(server, "/", function(browser, scheme)
      local function wait_for(tea, count)
        browser:wait_for(("document.getElementById('%s')?.querySelector('output').textContent == '%d'")
          :format(tea, count), count .. " " .. tea)
      end
      browser:wait_for("document.querySelector('.none')", "an empty basket")
      browser:click("[aria-label='Add Assam']")
      wait_for("assam", 1)
      kill_worker(helper.wait_for(function() return answering(server) end, "a worker"))
      browser:click("[aria-label='Add Rooibos']")
      wait_for("rooibos", 1)
      browser:click("[aria-label='One Assam more']")
      wait_for("assam", 2)
      browser:click("[aria-label='One Rooibos less']")
      browser:wait_for("!document.getElementById('rooibos')", "less of it")
      if scheme == "dark" then
        local before = browser:url()
        assert.equal(0, (server:stop()))
        browser:go((before:gsub("%d+/$", ("%d/"):format(serve("sessions", options).port))))
      end
      assert.truthy(browser:text("table"):gsub("%s+", " "):find("Total 2 13.80 €", 1, true))
      browser:click("form[action='/empty'] button")
      browser:wait_for("document.querySelector('.none')", "an empty basket")
      browser:errors() -- a connection that was cut off may be one
    end)
  end)

  it("has no cookie for who only looks, and takes forms of its own page alone", function()
    local server = serve("sessions")
    local cookie = helper.get(server, "/").headers["set-cookie"]
    assert.equal("string", type(cookie))
    assert.truthy(cookie:find("csrf=", 1, true))
    local function post(path, headers)
      headers["Content-Type"] = "application/x-www-form-urlencoded"
      return helper.request(server, { method = "POST", path = path, headers = headers, body = "by=1" })
    end
    assert.equal(403, post("/basket/assam", {}).status)
    assert.equal(403, post("/basket/assam", { ["Sec-Fetch-Site"] = "cross-site" }).status)
    assert.equal(404, post("/basket/coffee", { ["Sec-Fetch-Site"] = "same-origin" }).status)
    local response = post("/basket/assam", { ["Sec-Fetch-Site"] = "same-origin" })
    assert.equal(303, response.status)
    assert.truthy(response.headers["set-cookie"]:find("session=[^;]+; Path=/; Max%-Age=604800; "))
  end)
end)

example("page", function()
  it("sends the file in both forms, and nothing else", function()
    local server = serve("page")
    local file = helper.read_file("examples/index.html")
    for _, path in ipairs({ "/", "/callback" }) do
      local response = helper.get(server, path)
      assert.equal(file, response.body)
      assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    end
    assert.equal(404, helper.get(server, "/index.html").status)
  end)

  it("answers 500 where the file is missing, and goes on", function()
    local folder = helper.tmpdir()
    helper.write_file(folder .. "/page.lua", helper.read_file("examples/page.lua"))
    local server = helper.serve(folder .. "/page.lua", { env = { PORT = 0 } })
    for _ = 1, 2 do
      assert.equal(500, helper.get(server, "/").status)
      assert.equal(500, helper.get(server, "/callback").status)
    end
    assert.matches("GET /callback: ENOENT: no such file or directory, open '[^\n]+/index%.html'", server:stderr())
  end)
end)

example("two-servers", function()
  it("counts on one port and shows the counts on the other", function()
    local server = serve("two-servers", { ports = 2 })
    local site = tonumber(server:stdout():match("site:%s+listening on http://127%.0%.0%.1:(%d+)"))
    local statistics = tonumber(server:stdout():match("statistics:%s+listening on http://127%.0%.0%.1:(%d+)"))
    helper.get(site, "/a")
    assert.equal("You are visitor 2 of /a\n", helper.get(site, "/a").body)
    local _, shown = json(statistics, "GET", "/")
    assert.same({ ["/a"] = 2 }, shown.visits)
    assert.is_number(shown.uptime)
  end)
end)

example("echo", function()
  it("sends back a body of any kind", function()
    local server = serve("echo")
    local text = ("0123456789abcdef"):rep(65536)
    local response = helper.request(server, { method = "PUT", body = text, headers = { ["Content-Type"] = "x/y" } })
    assert.equal(text, response.body)
    assert.equal("x/y", response.headers["content-type"])
    assert.equal("ab", helper.request(server, { method = "POST", body = { "a", "b" } }).body)
    assert.equal("", helper.get(server, "/").body)
  end)

  it("answers while the body is still coming in", function()
    local server = serve("echo")
    local conn = helper.connect(server)
    conn:send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    assert.matches("\r\n\r\n3\r\none\r\n$", conn:read_until("one\r\n"))
    conn:send("3\r\ntwo\r\n0\r\n\r\n")
    assert.equal("3\r\ntwo\r\n0\r\n\r\n", conn:read_until("0\r\n\r\n"))
  end)
end)

example("rest", function()
  local server

  setup(function()
    server = serve("rest")
  end)

  it("creates, shows, changes, lists and deletes notes", function()
    assert.same({ 200, {} }, { json(server, "GET", "/notes") })
    assert.equal("[]", helper.get(server, "/notes").body)
    assert.same({ 201, { id = 1, text = "tea" } }, { json(server, "POST", "/notes", { text = "tea" }) })
    assert.same({ 201, { id = 2, text = "milk" } }, { json(server, "POST", "/notes", { text = "milk" }) })
    assert.same({ 200, { id = 1, text = "tea" } }, { json(server, "GET", "/notes/1") })
    assert.same({ 200, { id = 1, text = "coffee" } }, { json(server, "PUT", "/notes/1", { text = "coffee" }) })
    assert.same({ 204 }, { json(server, "DELETE", "/notes/2") })
    assert.same({ 200, { { id = 1, text = "coffee" } } }, { json(server, "GET", "/notes") })
  end)

  it("refuses what it cannot do", function()
    for _, path in ipairs({ "/", "/notes/99", "/notes/x", "/notes/../notes/x" }) do
      assert.equal(404, (json(server, "GET", path)))
    end
    assert.equal(404, (json(server, "PUT", "/notes/99", { text = "x" })))
    assert.equal(405, (json(server, "DELETE", "/notes")))
    for _, body in ipairs({ "", "{", "[]", "1", '{"text": 1}', "null" }) do
      assert.equal(400, helper.request(server, { method = "POST", path = "/notes", body = body }).status)
    end
  end)

  it("cuts off a body that is too long", function()
    local conn = helper.connect(server)
    conn:send("POST /notes HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" .. ("x"):rep(20000))
    assert.is_true(conn:closed())
    assert.equal(200, helper.get(server, "/notes").status)
  end)
end)

example("static", function()
  local server

  setup(function()
    server = serve("static")
  end)

  it("serves pages, folders and assets, each with its own time to be kept", function()
    local page = helper.get(server, "/")
    assert.equal(helper.read_file("examples/site/index.html"), page.body)
    assert.same({ "public, max-age=0", "nosniff" },
      { page.headers["cache-control"], page.headers["x-content-type-options"] })
    assert.equal(304, helper.get(server, "/", { ["If-None-Match"] = page.headers.etag }).status)
    local style = helper.get(server, "/assets/style-1.css")
    assert.same({ "text/css; charset=utf-8", "public, max-age=31536000, immutable" },
      { style.headers["content-type"], style.headers["cache-control"] })
    assert.equal("/about/", helper.get(server, "/about").headers.location)
    assert.matches("<h1>About</h1>", helper.get(server, "/about/").body)
    assert.matches('href="%./a%.txt"', helper.get(server, "/letters/").body)
  end)

  it("has a file to be saved, and a page for what is not there", function()
    local guide = helper.get(server, "/guide.txt")
    assert.equal('attachment; filename="guide.txt"', guide.headers["content-disposition"])
    assert.equal(helper.read_file("examples/site/assets/notes.txt"), guide.body)
    for _, path in ipairs({ "/nothing", "/assets/nothing", "/assets/../../static.lua", "/about%2findex.html" }) do
      local response = helper.get(server, path)
      assert.same({ 404, "nosniff" }, { response.status, response.headers["x-content-type-options"] })
      assert.matches("<h1>Not here</h1>", response.body)
    end
  end)

  it("is walked through by its links", function()
    local function follows(browser, link, title)
      browser:click(link)
      browser:wait_for(("document.title == %q"):format(title), title)
    end
    click_through(server, "/", function(browser)
      assert.equal("A site of files", browser:title())
      follows(browser, "a[href='/about/']", "About")
      follows(browser, "a[href='/']", "A site of files")
      follows(browser, "a[href='/letters/']", "Index of /letters/")
      assert.equal(3, browser:count("tbody tr"))
      follows(browser, "a[href='../']", "A site of files")
      follows(browser, "a[href='/letters/']", "Index of /letters/")
      browser:click("a[href='./a.txt']")
      browser:wait_for("document.body.textContent.indexOf('Dear a') >= 0", "the letter")
      browser:go(browser:url():gsub("a%.txt$", ""))
    end)
  end)
end)

example("gather", function()
  it("answers with what three services say at the same time", function()
    local server = serve("gather", { ready = "http://" })
    local status, body = json(server, "GET", "/?id=7")
    assert.equal(200, status)
    assert.same({ id = 7, price = { amount = 107, currency = "EUR" }, stock = { count = 2 },
      reviews = { { stars = 3, text = "as described" } } }, body)
    assert.equal(400, helper.get(server, "/").status)
  end)

  it("does without a service that is gone", function()
    local server = helper.serve("examples/gather.lua", { ready = "http://", env = { PORT = 0,
      UPSTREAM = "http://127.0.0.1:1" } })
    local status, body = json(server, "GET", "/?id=7")
    assert.equal(502, status)
    assert.same({ error = "there is no price now" }, body)
    assert.matches("stock is missing: GET 127.0.0.1:1: Connection refused", server:stderr(), 1, true)
  end)
end)

example("notes", function()
  local function keep_notes(env)
    env.PORT = 0
    local server = helper.serve("examples/notes.lua", { env = env, listen = true })
    assert.equal("[]", helper.get(server, "/notes").body)
    local status, tea = json(server, "POST", "/notes", { text = "tea" })
    assert.same({ 201, "tea" }, { status, tea.text })
    json(server, "POST", "/notes", { text = "it's \"milk\"; DROP TABLE notes" })
    assert.same({ 200, tea }, { json(server, "GET", "/notes/" .. tea.id) })
    local coffee = { id = tea.id, text = "coffee" }
    assert.same({ 200, coffee }, { json(server, "PUT", "/notes/" .. tea.id, { text = "coffee" }) })
    assert.equal(2, #select(2, json(server, "GET", "/notes")))
    assert.equal(204, (json(server, "DELETE", "/notes/" .. tea.id)))
    assert.equal(404, helper.get(server, "/notes/" .. tea.id).status)
    assert.equal(404, helper.request(server, { method = "DELETE", path = "/notes/x" }).status)
    assert.equal(400, helper.request(server, { method = "POST", path = "/notes", body = '{"text": 1}',
      headers = { ["Content-Type"] = "application/json" } }).status)
    local _, left = json(server, "GET", "/notes")
    assert.equal("it's \"milk\"; DROP TABLE notes", left[1].text)
    return server
  end

  it("keeps notes in SQLite, also when it is started again", function()
    local env = { NOTES = helper.tmpdir() .. "/notes.db" }
    keep_notes(env):stop()
    local server = helper.serve("examples/notes.lua", { env = env, listen = true })
    assert.equal(1, #select(2, json(server, "GET", "/notes")))
  end)

  it("keeps the same notes in PostgreSQL, and says so where that is gone", function()
    local database = require("spec.helper.postgres").start()
    local server = keep_notes({ DATABASE_URL = ("postgres://postgres@127.0.0.1:%d/postgres"):format(database.port) })
    database:stop()
    local response = helper.get(server, "/notes")
    assert.equal(503, response.status)
    database:start()
    helper.wait_for(function() return helper.get(server, "/notes").status == 200 end, "the database to be back", 10)
  end)
end)

describe("every example", function()
  for file in lfs.dir("examples") do
    local name = file:match("^(.+)%.lua$")
    if name then
      it("has a spec and less than 60 lines: " .. file, function()
        assert.truthy(tested[name] or lfs.attributes("spec/examples_" .. name .. "_spec.lua"))
        local _, lines = helper.read_file("examples/" .. file):gsub("\n", "")
        assert.is_true(lines < 60, lines .. " lines")
      end)
    end
  end
end)
