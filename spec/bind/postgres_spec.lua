-- The client of PostgreSQL against a real server: values there and back, errors,
-- transactions, notifications, and what happens when the server or the client of a
-- request is gone.
local helper = require("spec.helper")
local postgres = require("spec.helper.postgres")
local process = require("spec.helper.process")

describe("postgres", function()
  local server
  setup(function() server = postgres.start() end)
  before_each(function() server:sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public") end)

  local function url()
    return ("postgres://postgres@127.0.0.1:%d/postgres"):format(server.port)
  end

  -- What a script prints that has pg, a client of an empty database.
  local function printed(code, opts)
    local run = helper.run(([[
      local postgres, luaserve, timers = require "luaserve.postgres", require "luaserve", require "timers"
      local url, folder, port = %q, %q, %d
      local pg = postgres.connect(url)
      local function fails(_, message, code) print(message:gsub(":%%d%%d%%d%%d+", ":PORT") .. "\t" .. tostring(code)) end
    ]]):format(url(), server.folder, server.port) .. code, opts)
    assert.matches(opts and opts.err or "^$", run.err)
    assert.equal(0, run.code)
    return run.out
  end

  local function serve(body, before, opts)
    opts = opts or {}
    opts.before = ([[ local pg_url = %q
      local pg = require("luaserve.postgres").connect { url = pg_url, pool = %d, timeout = 5 } %s ]])
      :format(url(), opts.pool or 3, before or "")
    return helper.serve_handler(body, opts)
  end

  it("returns rows by column, and what a statement changed", function()
    assert.equal("0\tCREATE TABLE\n2\tINSERT 0 2\n1 kim\n2 lee\nkim\tnil\n2\n", printed([[
      local made = pg:exec("CREATE TABLE t (id serial PRIMARY KEY, name text)")
      print(made.changes, made.command)
      local done = pg:exec("INSERT INTO t (name) VALUES ($1), ($2)", "kim", "lee")
      print(done.changes, done.command)
      for _, row in ipairs(pg:query("SELECT * FROM t ORDER BY id")) do print(row.id .. " " .. row.name) end
      print(pg:one("SELECT name FROM t WHERE id = $1", 1).name, (pg:one("SELECT 1 FROM t WHERE id = 9")))
      pg:exec("SELECT 1; UPDATE t SET name = 'x'")
      print(#pg:query("SELECT 1 FROM t WHERE name = $1", "x"))
    ]]))
  end)

  it("keeps the types of values", function()
    local integer = os.getenv("LUASERVE_ENGINE") == "luajit" and "4503599627370497" or "9223372036854775807"
    assert.equal(("%s\t1.5\ttrue\tfalse\tnil\n1.10\t2\n5\ttrue\n1\ttrue\tx\nnil\tnil\n"):format(integer), printed(([[
      local row = assert(pg:one("SELECT $1::bigint AS i, $2::float8 AS f, $3::bool AS t, $4::bool AS n, $5::text AS nothing",
        %s, 1.5, true, false, nil))
      print(("%%d"):format(row.i), row.f, row.t, row.n, row.nothing)
      row = pg:one("SELECT 1.10::numeric AS numeric, 2::smallint AS small")
      print(row.numeric, row.small)
      local bytes = "a\0\255\\b"
      row = pg:one("SELECT $1::bytea AS b", postgres.bytea(bytes))
      print(#row.b, row.b == bytes)
      row = pg:one("SELECT $1::jsonb AS j, '[true]'::json AS l", { a = 1, b = { c = "x" } })
      print(row.j.a, row.l[1], row.j.b.c)
      row = pg:one("SELECT $1::text AS a, NULL::jsonb AS b", require("json").null)
      print(row.a, row.b)
    ]]):format(integer)))
  end)

  it("tells what went wrong, with a code, and never a password", function()
    local out = printed([[
      pg:exec("CREATE TABLE t (id int PRIMARY KEY)")
      pg:exec("INSERT INTO t VALUES (1)")
      fails(pg:query("SELEC"))
      fails(pg:exec("INSERT INTO t VALUES ($1)", 1))
      fails(pg:query("SELECT $1::int", "x"))
      fails(pg:query("SELECT * FROM missing WHERE a = $1", 1))
      fails(pg:exec("COPY t FROM STDIN"))
      print(#pg:query("SELECT * FROM t"))
      fails(postgres.connect("postgres://kim:secret@127.0.0.1:1/x"):query("SELECT 1"))
      fails(postgres.connect("postgres://kim:secret@127.0.0.1:" .. port .. "/postgres"):query("SELECT 1"))
      fails(postgres.connect({ host = "name.invalid" }):query("SELECT 1"))
      fails(postgres.connect({ host = "/nowhere", port = 1 }):query("SELECT 1"))
    ]])
    local codes = {}
    for line in out:gmatch("[^\n]+") do codes[#codes + 1] = line:match("\t(.*)$") end
    assert.same({ "42601", "23505", "22P02", "42P01", "0A000", "ECONNREFUSED", "28P01", "ENOTFOUND", "ENOENT" }, codes)
    assert.matches('postgres 127.0.0.1:PORT: syntax error at or near "SELEC"', out, 1, true)
    assert.matches('connection to server at "127.0.0.1", port 1 failed: Connection refused', out, 1, true)
    assert.is_nil(out:find("secret", 1, true))
  end)

  it("raises mistakes at the caller's line", function()
    local run = helper.run([[
      local postgres = require "luaserve.postgres"
      local pg = postgres.connect { port = 1 }
      for _, fn in ipairs {
        function() postgres.connect { prot = 1 } end,
        function() postgres.connect { port = "1" } end,
        function() postgres.connect("http://a") end,
        function() postgres.connect { pool = 0 } end,
        function() pg:query(1) end,
        function() pg:transaction() end,
        function() pg:transaction(print, "chaos") end,
        function() pg:listen("a") end,
        function() pg.query("a") end,
        function() postgres.connect { port = 70000 } end,
        function() postgres.connect { timeout = math.huge } end,
        function() postgres.connect { connectTimeout = 0 / 0 } end,
      } do print(select(2, pcall(fn))) end
    ]])
    local lines = {}
    for line in run.out:gmatch("[^\n]+") do lines[#lines + 1] = line:match("app.lua:(.*)$") end
    assert.same({ "4: postgres.connect has no option 'prot'; there are: connectTimeout, database, host, params, "
        .. "password, pool, port, prepare, timeout, url, user",
      "5: the option port of postgres.connect is a whole number, not a string",
      "6: postgres.connect needs a URL like postgres://user:password@host:5432/database",
      "7: the option pool is 1 or more", "8: the statement is a string, not a number",
      "9: transaction needs a function", "10: there is no isolation chaos",
      "11: listen needs the name of a channel and a function of its messages",
      "12: the statement is a string, not a nil",
      "13: the option port of postgres.connect is from 1 to 65535, not 70000",
      "14: the option timeout is a number of seconds, 0 for none" }, { table.unpack(lines, 1, 11) })
    assert.matches("15: the option connectTimeout of postgres.connect is a number of seconds over 0", lines[12])
    local out = printed([[
      print(select(2, pcall(pg.query, pg, "SELECT $1, $2", print, 1)))
      print(select(2, pcall(pg.query, pg, "SELECT $1", "a\0b")))
      print(#pg:query("SELECT 1"))
    ]])
    assert.matches("value 1 is a function", out)
    assert.matches("value 1 has a zero byte, which PostgreSQL's texts cannot hold: use postgres.bytea", out, 1, true)
  end)

  it("runs statements that were prepared before a table changed", function()
    assert.equal("1\t1\n2\t2\n", printed([[
      pg:exec("CREATE TABLE t (a int)")
      pg:exec("INSERT INTO t VALUES ($1)", 1)
      local function columns()
        local n, row = 0, pg:one("SELECT * FROM t WHERE a = $1", 1)
        for _ in pairs(row) do n = n + 1 end
        print(n, row.b or row.a)
      end
      columns()
      pg:exec("ALTER TABLE t ADD b int DEFAULT 2")
      columns()
    ]]))
  end)

  it("asks at once over several connections", function()
    assert.equal("3\ttrue\n", printed([[
      local began = process.uptime()
      local tasks = {}
      for i = 1, 3 do tasks[i] = function() return pg:one("SELECT pg_sleep(0.3), $1::int AS n", i).n end end
      local results = luaserve.all(tasks)
      print(#results, results[3] == 3 and process.uptime() - began < 0.85)
    ]]))
  end)

  it("calls back", function()
    assert.equal("nil\t1\n42601\tnil\n", printed([[
      pg:one("SELECT $1::int AS n", 1, function(err, row)
        print(err, row.n)
        pg:query("SELEC", function(failure, rows) print(failure.code, rows) end)
      end)
    ]]))
  end)

  it("commits transactions, and rolls back what raises or fails", function()
    assert.equal("done\t1\nfalse\toops\t1\nnil\t25P02\t1\nnil\tno\t1\nnil\t25P02\t1\nfalse\ttrue\n", printed([[
      pg:exec("CREATE TABLE t (a int)")
      local function count() return pg:one("SELECT count(*) AS n FROM t").n end
      print(pg:transaction(function(tx)
        tx:exec("INSERT INTO t VALUES ($1)", 1)
        return "done"
      end), count())
      local ok, message = pcall(pg.transaction, pg, function(tx)
        tx:exec("INSERT INTO t VALUES (2)")
        error("oops", 0)
      end)
      print(ok, message, count())
      local none, _, code = pg:transaction(function(tx)
        tx:exec("INSERT INTO t VALUES (2)")
        tx:exec("nonsense")
        return "done"
      end, "serializable")
      print(none, code, count())
      none, message = pg:transaction(function(tx)
        tx:exec("INSERT INTO t VALUES (2)")
        tx:exec("nonsense")
        return nil, "no"
      end)
      print(none, message, count())
      none, _, code = pg:transaction(function(tx)
        tx:exec("INSERT INTO t VALUES (2)")
        tx:exec("nonsense")
      end)
      print(none, code, count())
      local kept
      pg:transaction(function(tx) kept = tx end)
      ok, message = pcall(kept.query, kept, "SELECT 1")
      print(ok, message:find("the transaction is over", 1, true) ~= nil)
    ]]))
  end)

  it("hears notifications, also behind a lost connection", function()
    assert.equal("news:1 other:2 news:3\nagain:4\n", printed([[
      local got = {}
      local function note(payload, channel) got[#got + 1] = channel .. ":" .. payload end
      local first, second = assert(pg:listen("news", note)), assert(pg:listen("other", note))
      local function wait(n) while #got < n do timers.sleep(2) end end
      pg:query("SELECT pg_notify('news', '1')")
      wait(1)
      pg:query("SELECT pg_notify('other', '2')")
      wait(2)
      pg:query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
      while #got < 3 do
        pg:query("SELECT pg_notify('news', '3')")
        timers.sleep(20)
      end
      print(table.concat({ got[1], got[2], got[3] }, " "))
      first:unlisten()
      second:unlisten()
      got = {}
      assert(pg:listen("again", note))
      pg:query("SELECT pg_notify('again', '4')")
      wait(1)
      print(got[1])
      pg:close()
    ]], { timeout = 20, err = "^[^\n]* warn: postgres 127.0.0.1:%d+: [^\n]*; listening again\n$" }))
  end)

  it("cancels a query whose request is over, and serves the next one", function()
    local app = serve([[
      if req.path == "/active" then
        return tostring(pg:one("SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
          .. "AND state = 'active' AND pid <> pg_backend_pid()").n)
      end
      if req.path == "/said" then return said end
      print("began")
      local rows, message, code = pg:query("SELECT pg_sleep(60)")
      said = tostring(rows) .. " " .. message .. " " .. tostring(code)
    ]], "local said = 'nothing'")
    for _ = 1, 4 do
      local conn = helper.connect(app)
      conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      helper.wait_for(function() return helper.get(app, "/active").body == "1" end, "the query")
      conn:reset()
      helper.wait_for(function() return helper.get(app, "/active").body == "0" end, "the cancel")
    end
    assert.equal("nil aborted nil", helper.get(app, "/said").body)
  end)

  it("rolls back where the client goes away meanwhile", function()
    server:sql("CREATE TABLE t (a int)")
    local app = serve([[
      if req.path == "/count" then return tostring(pg:one("SELECT count(*) AS n FROM t").n) end
      print("result", pg:transaction(function(tx)
        tx:exec("INSERT INTO t VALUES (1)")
        print("began")
        print("query", tx:query("SELECT pg_sleep(60)"))
        return true
      end))
    ]])
    local conn = helper.connect(app)
    conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    app:wait_output("began")
    conn:reset()
    app:wait_output("query\tnil\taborted")
    app:wait_output("result\tnil\taborted")
    assert.equal("0", helper.get(app, "/count").body)
  end)

  it("commits where the answer has ended before", function()
    server:sql("CREATE TABLE t (a int)")
    local app = serve([[
      if req.path == "/count" then return tostring(pg:one("SELECT count(*) AS n FROM t").n) end
      res:finish("accepted")
      print("result", pg:transaction(function(tx) return tx:exec("INSERT INTO t VALUES (1)") and "done" end))
    ]])
    assert.equal("accepted", helper.get(app, "/").body)
    app:wait_output("result\tdone")
    assert.equal("1", helper.get(app, "/count").body)
  end)

  it("has a connection for who still waits where another has gone from the queue", function()
    local app = serve([[
      if req.path == "/free" then
        return pg:query("SELECT pg_advisory_unlock(7)") and "free"
      end
      print("began " .. req.path)
      local row, message, code = one:one("SELECT pg_advisory_xact_lock(7), 'done' AS said")
      if not row then print(req.path, message, code) end
      return row and row.said
    ]], "local one = require('luaserve.postgres').connect { url = pg_url, pool = 1, timeout = 300 } "
      .. "pg:query('SELECT pg_advisory_lock(7)')", { pool = 1 })
    local conns = {}
    for _, path in ipairs { "/held", "/gone", "/still" } do
      conns[path] = helper.connect(app)
      conns[path]:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      app:wait_output("began " .. path)
    end
    conns["/gone"]:reset()
    assert.equal("free", helper.get(app, "/free").body)
    assert.equal("done", conns["/held"]:read_response().body)
    assert.equal("done", conns["/still"]:read_response().body)
  end)

  it("ends a query at its own timeout, and the wait for a connection", function()
    assert.equal("there was no answer in 0.2 s\tETIMEDOUT\nno connection became free in 0.2 s\tETIMEDOUT\n1\n",
      printed([[
      local one = postgres.connect { url = url, pool = 1, timeout = 0.2 }
      local function cause(_, message, code) print(message:match("%d: (.*)"), code) end
      cause(one:query("SELECT pg_sleep(30)"))
      local free = false
      pg = one
      one:transaction(function() cause(one:query("SELECT 1")) end)
      print(#one:query("SELECT 1"))
    ]]))
  end)

  it("says at once that the server is gone, and is back when it is back", function()
    local own = postgres.start()
    local app = helper.serve_handler([[
      local row, message, code = pg:one("SELECT 7 AS n")
      if row then return tostring(row.n) end
      return 503, tostring(code)
    ]], { before = ([[ local pg = require("luaserve.postgres").connect { host = "127.0.0.1", port = %d,
      user = "postgres", database = "postgres" } ]]):format(own.port) })
    assert.equal("7", helper.get(app, "/").body)
    own:stop()
    local response = helper.get(app, "/")
    assert.equal(503, response.status)
    own:start()
    helper.wait_for(function() return helper.get(app, "/").body == "7" end, "the server to be back", 10)
  end)

  it("logs in with a password, and over a Unix socket", function()
    local out = printed(([[
      local kim = postgres.connect { host = "localhost", port = port, user = "kim", password = %q, database = "postgres" }
      print(kim:one("SELECT current_user AS u").u)
      local here = postgres.connect { host = folder, port = port, user = "postgres" }
      print(here:one("SELECT inet_client_addr() IS NULL AS here").here)
      print(postgres.connect("postgres://postgres@/postgres?host=" .. folder .. "&port=" .. port
        .. "&application_name=shop"):one("SHOW application_name").application_name)
    ]]):format(server.password))
    assert.equal("kim\ntrue\nshop\n", out)
  end)

  it("runs migrations once, also from several processes", function()
    local dir = helper.tmpdir()
    helper.write_file(dir .. "/migrations/001.sql", "CREATE TABLE users (name text); INSERT INTO users VALUES ('kim');")
    helper.write_file(dir .. "/migrations/002.sql", "ALTER TABLE users ADD age int;")
    helper.write_file(dir .. "/app.lua", ([[
      local pg = require("luaserve.postgres").connect(%q)
      print(pcall(function() return table.concat(pg:migrate("migrations"), " ") end))
      print(#pg:query("SELECT name, age FROM users"))
    ]]):format(url()))
    local started = {}
    for i = 1, 2 do started[i] = helper.start({ process.binary(), dir .. "/app.lua" }) end
    for i = 1, 2 do started[i]:wait_exit(20) end
    local both = started[1]:stdout() .. started[2]:stdout()
    assert.equal(1, select(2, both:gsub("001.sql", "")))
    assert.equal(1, select(2, both:gsub("002.sql", "")))
    helper.write_file(dir .. "/migrations/003.sql", "CREATE TABLE half (x int); INSERT INTO missing VALUES (1);")
    assert.matches('^false\tmigration 003.sql: .*relation "missing" does not exist\n1\n$',
      helper.run(dir .. "/app.lua").out)
  end)

  it("lets the process end", function()
    assert.equal("1\n", printed("print(#pg:query('SELECT 1'))\n"))
  end)

  it("says which package is missing where the module is not there", function()
    local dir = helper.tmpdir()
    assert(os.execute(("cp '%s' '%s/luaserve'"):format(process.binary(), dir)))
    local run = helper.run("require('luaserve.postgres')\n", { program = dir .. "/luaserve" })
    assert.equal(1, run.code)
    assert.matches("luaserve.postgres is not part of this build: apt%-get install libpq%-dev", run.err)
  end)
end)
