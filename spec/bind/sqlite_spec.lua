-- The client of SQLite: values there and back, errors, transactions, what happens
-- to a query whose request is over, migrations, several processes on one file.
local helper = require("spec.helper")
local process = require("spec.helper.process")

local SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000) SELECT max(i) FROM n"

-- What a script prints that has db, an empty database in a file beside it.
local function printed(code, opts)
  local run = helper.run("local sqlite = require('luaserve.sqlite') local db = sqlite.open('app.db')\n" .. code, opts)
  assert.equal("", run.err)
  assert.equal(0, run.code)
  return run.out
end

local function serve(body, before)
  return helper.serve_handler(body, { before = ([[
    local db = require("luaserve.sqlite").open("app.db")
    db:exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    local function names()
      local list = {}
      for i, row in ipairs(assert(db:query("SELECT name FROM t ORDER BY id"))) do list[i] = row.name end
      return table.concat(list, " ")
    end ]] .. (before or "")) })
end

describe("sqlite", function()
  it("returns rows by column, and what a statement changed", function()
    assert.equal("0 0\n2 2\n1 kim\n2 lee\nkim\nnil nil\n", printed([[
      local made = db:exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
      print(made.changes .. " " .. made.lastInsertRowid)
      local done = db:exec("INSERT INTO t (name) VALUES (?), (?)", "kim", "lee")
      print(done.changes .. " " .. done.lastInsertRowid)
      for _, row in ipairs(db:query("SELECT * FROM t ORDER BY id")) do print(row.id .. " " .. row.name) end
      print(db:one("SELECT name FROM t WHERE id = ?", 1).name)
      local row, message = db:one("SELECT name FROM t WHERE id = 9")
      print(tostring(row) .. " " .. tostring(message))
    ]]))
  end)

  it("keeps the types of values: integers, floats, text, blobs, nil", function()
    local integer = os.getenv("LUASERVE_ENGINE") == "luajit" and "4503599627370497" or "9223372036854775807"
    assert.equal(("%s integer\n1.5 real\n1 integer\nnil null\nnil null\n3 text\n5 blob\n1 integer\n"):format(integer),
      printed(([[
      local function echo(value)
        local row = assert(db:one("SELECT ?1 AS v, typeof(?1) AS t", value))
        local v = type(row.v) == "string" and #row.v or row.v
        print(("%%s %%s"):format(type(v) == "number" and v %% 1 == 0 and ("%%d"):format(v) or tostring(v), row.t))
      end
      echo(%s) echo(1.5) echo(1) echo(nil) echo(require("json").null)
      echo("a\0b") echo(sqlite.blob("a\0\255bc")) echo(true)
    ]]):format(integer)))
  end)

  it("tells what went wrong, with a code", function()
    assert.equal(table.concat({
      "near \"SELEC\": syntax error\tSQLITE_ERROR",
      "UNIQUE constraint failed: t.id\tSQLITE_CONSTRAINT_UNIQUE",
      "NOT NULL constraint failed: t.name\tSQLITE_CONSTRAINT_NOTNULL",
      "the statement has 1 parameters, 2 values were given\tSQLITE_RANGE",
      "there is no statement in the text\tSQLITE_MISUSE",
      "a text of several statements takes no values\tSQLITE_MISUSE",
      "the result is larger than maxResultBytes: ask for less, with LIMIT\tSQLITE_TOOBIG",
    }, "\n") .. "\n", printed([[
      db:exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
      db:exec("INSERT INTO t VALUES (1, 'kim')")
      local small = sqlite.open("app.db", { maxResultBytes = 1000 })
      local function fails(_, message, code) print(message .. "\t" .. code) end
      fails(db:query("SELEC"))
      fails(db:exec("INSERT INTO t VALUES (1, 'x')"))
      fails(db:exec("INSERT INTO t (id) VALUES (2)"))
      fails(db:query("SELECT ?", 1, 2))
      fails(db:query("-- nothing"))
      fails(db:exec("SELECT 1; SELECT ?", 1))
      fails(small:query("SELECT zeroblob(2000)"))
    ]]))
  end)

  it("raises mistakes at the caller's line", function()
    local run = helper.run([[
      local db = require("luaserve.sqlite").open(":memory:")
      print(select(2, pcall(db.query, db, "SELECT ?", {})))
      print(select(2, pcall(db.query, db, 5)))
      print(select(2, pcall(require("luaserve.sqlite").open, "x", { reader = 1 })))
      print(select(2, pcall(db.transaction, db)))
      print(select(2, pcall(require("luaserve.sqlite").open, "x", { maxResultBytes = 0 / 0 })))
      db:query("SELECT ?", print)
      db:query("SELECT ?", {})
    ]])
    assert.matches("value 1 is a table: SQLite stores numbers, strings, booleans, nil and sqlite.blob%(text%)", run.out)
    assert.matches("the statement is a string, not a number", run.out)
    assert.matches("no option 'reader'", run.out)
    assert.matches("transaction needs a function", run.out)
    assert.matches("the option maxResultBytes of sqlite.open is a whole number", run.out)
    assert.matches("app.lua:8: value 1 is a table", run.err)
  end)

  it("says which file cannot be opened", function()
    local run = helper.run([[
      local sqlite = require("luaserve.sqlite")
      print(sqlite.open("no/such/folder/app.db"):query("SELECT 1"))
      print(sqlite.open("app.lua"):exec("CREATE TABLE t (x)"))
    ]])
    assert.matches("nil\tcannot open /.*/no/such/folder/app.db: unable to open database file\tSQLITE_CANTOPEN", run.out)
    assert.matches("nil\tcannot open /.*/app.lua: file is not a database\tSQLITE_CORRUPT", run.out)
  end)

  it("has a form with a callback", function()
    assert.equal("first\nnil\t1\nno such table: nowhere\tSQLITE_ERROR\n", printed([[
      db:query("SELECT 1 AS n", function(err, rows)
        print(err, rows[1].n)
        db:query("SELECT * FROM nowhere", function(why) print(why.message, why.code) end)
      end)
      print("first")
    ]]))
  end)

  it("holds up nobody while a query runs, and runs several", function()
    local server = serve([[
      if req.path == "/slow" then
        db:query("]] .. SLOW:gsub("1000000000", "3000000") .. [[")
        return "slow"
      end
      return "fast"]])
    local slow = {}
    for i = 1, 3 do
      slow[i] = helper.connect(server)
      slow[i]:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    for _ = 1, 20 do
      assert.equal("fast", helper.get(server, "/").body)
    end
    for i = 1, 3 do
      slow[i].timeout = 60
      assert.equal("slow", slow[i]:read_response().body)
    end
  end)

  it("serves many requests at once from one object", function()
    local server = serve([[
      local done, message = db:exec("INSERT INTO t (name) VALUES (?)", req.query.n)
      if not done then error(message) end
      return tostring(db:one("SELECT count(*) AS n FROM t").n)]])
    local conns = {}
    for i = 1, 30 do
      conns[i] = helper.connect(server)
      conns[i]:send("GET /?n=" .. i .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    for i = 1, 30 do assert.equal(200, conns[i]:read_response().status) end
    assert.equal("31", helper.get(server, "/?n=31").body)
  end)

  describe("in a transaction", function()
    it("commits what it did, and returns what its function returns", function()
      assert.equal("7\t8\n2\n", printed([[
        db:exec("CREATE TABLE t (x)")
        print(db:transaction(function(tx)
          tx:exec("INSERT INTO t VALUES (1)")
          tx:exec("INSERT INTO t VALUES (?)", tx:one("SELECT x FROM t").x + 1)
          return 7, 8
        end))
        print(#db:query("SELECT x FROM t"))
      ]]):gsub("\tnil\n", "\n"))
    end)

    it("is rolled back by an error, which is raised again", function()
      local server = serve([[
        if req.path == "/names" then return names() end
        db:transaction(function(tx)
          assert(tx:exec("INSERT INTO t (name) VALUES ('lost')"))
          error("not so")
        end)]])
      for _ = 1, 3 do
        assert.equal(500, helper.get(server, "/").status)
      end
      assert.equal("", helper.get(server, "/names").body)
      assert.matches("not so", server:stderr(), 1, true)
    end)

    it("is rolled back where the client goes away meanwhile", function()
      local server = serve([[
        if req.path == "/names" then return names() end
        print("result", db:transaction(function(tx)
          tx:exec("INSERT INTO t (name) VALUES ('lost')")
          print("began")
          print("query", tx:query("]] .. SLOW .. [["))
        end))]])
      local conn = helper.connect(server)
      conn:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      server:wait_output("began")
      conn:reset()
      server:wait_output("query\tnil\taborted")
      server:wait_output("result\tnil\taborted")
      assert.equal("", helper.get(server, "/names").body)
    end)

    it("is committed where the answer has ended before it", function()
      local server = helper.serve_handler([[
        if req.path == "/count" then return tostring(db:one("SELECT count(*) AS n FROM t").n) end
        res:finish("accepted")
        for _ = 1, 2 do
          print("result", db:transaction(function(tx) return tx:exec("INSERT INTO t VALUES (1)") and "done" end))
          timers.sleep(1)
        end
        print("over")]], { before = "local timers, db = require('timers'), require('luaserve.sqlite').open('app.db') "
          .. "db:exec('CREATE TABLE t (a)')" })
      assert.equal("accepted", helper.get(server, "/").body)
      server:wait_output("over")
      assert.equal("2", helper.get(server, "/count").body)
    end)

    it("is not waited for for ever, not even by itself", function()
      local run = helper.run([[
        local luaserve, db = require "luaserve", require("luaserve.sqlite").open(":memory:", { timeout = 0.05 })
        db:exec("CREATE TABLE t (a)")
        print(db:transaction(function(tx)
          tx:exec("INSERT INTO t VALUES (1)")
          local _, errors = luaserve.all { function() return db:exec("INSERT INTO t VALUES (2)") end }
          return errors[1].code, errors[1].message
        end))
        print(db:exec("INSERT INTO t VALUES (3)").changes, db:one("SELECT count(*) AS n FROM t").n)
      ]])
      assert.equal("SQLITE_BUSY\tanother transaction took more than 0.05 s: within its function call tx, not the "
        .. "database\tnil\n1\t2\n", run.out)
    end)

    it("refuses its own database's methods, and another one within", function()
      local out = printed([[
        print(select(2, pcall(db.transaction, db, function() db:exec("CREATE TABLE t (x)") end)))
        print(select(2, pcall(db.transaction, db, function() db:transaction(print) end)))
        local kept
        db:transaction(function(tx) kept = tx end)
        print(select(2, pcall(kept.query, kept, "SELECT 1")))
      ]])
      assert.matches("this runs in a transaction of its database: call its object", out)
      assert.matches("a transaction cannot begin within another one", out)
      assert.matches("the transaction is over", out)
    end)
  end)

  it("ends a query whose request has run out of time", function()
    local server = helper.serve_handler([[
      if req.path == "/after" then return tostring(db:one("SELECT 1 AS n").n) end
      print("query", db:query("]] .. SLOW .. [["))]],
      { before = "local db = require('luaserve.sqlite').open('app.db')",
        args = { "--handler-timeout", tostring(0.3 * helper.scale) } })
    assert.equal(503, helper.get(server, "/").status)
    server:wait_output("query\tnil\ttimeout")
    for _ = 1, 4 do assert.equal("1", helper.get(server, "/after").body) end
  end)

  it("lets quick queries pass slow ones, on the connections that are left", function()
    local server = helper.serve_handler([[
      if req.path == "/slow" then
        console.log("slow")
        return tostring(db:one("]] .. SLOW .. [["))
      end
      return tostring(db:one("SELECT 1 AS n").n)]],
      { before = "local db = require('luaserve.sqlite').open('app.db', { readers = 2 })" })
    assert.equal("1", helper.get(server, "/").body)
    local slow, quick = helper.connect(server), {}
    slow:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    server:wait_output("slow")
    for i = 1, 40 do
      quick[i] = helper.connect(server)
      quick[i]:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    for i = 1, 40 do assert.equal("1", quick[i]:read_response().body) end
    slow:reset() -- which ends its query
  end)

  it("does not begin a query whose request is over, and interrupts no other one", function()
    local server = helper.serve_handler([[
      if req.path == "/slow" then
        began = (began or 0) + 1
        local row, message = db:one("]] .. SLOW .. [[")
        ended = (ended or 0) + 1
        return tostring(message)
      elseif req.path == "/count" then
        return (began or 0) .. " " .. (ended or 0)
      end
      return tostring(db:one("SELECT 1 AS n").n)]],
      { before = "local began, ended local db = require('luaserve.sqlite').open('app.db', { readers = 1 })" })
    local slow = {}
    for i = 1, 3 do -- one runs, two wait
      slow[i] = helper.connect(server)
      slow[i]:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
      helper.wait_for(function() return helper.get(server, "/count").body == i .. " 0" end, "a query")
    end
    local last = helper.connect(server)
    last:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for _, i in ipairs { 2, 3, 1 } do slow[i]:reset() end
    assert.equal("1", last:read_response().body)
    helper.wait_for(function() return helper.get(server, "/count").body == "3 3" end, "all of them to end")
  end)

  it("fails the queries that wait when it is closed, after the one that runs", function()
    assert.equal("closed\n" .. ("nil the database is closed SQLITE_MISUSE\n"):rep(2) .. "1\n", printed([[
      local timers = require "timers"
      local one = sqlite.open("one.db", { readers = 1 })
      one:one("SELECT 1")
      local function ask(sql)
        setImmediate(function()
          local row, message, code = one:one(sql)
          print(row and row.n or table.concat({ tostring(row), message, code }, " "))
        end)
      end
      ask("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT max(n) / 3000000 AS n FROM c")
      ask("SELECT 2 AS n")
      local began = os.clock() -- of all threads: by then the first one runs
      while os.clock() - began < 0.05 do timers.sleep(1) end
      print("closed")
      one:close()
      ask("SELECT 3 AS n")
    ]]))
  end)

  it("sees what was stored before, with each of its connections", function()
    assert.equal("200\n", printed([[
      local luaserve = require "luaserve"
      assert(db:exec("CREATE TABLE t (name TEXT)"))
      local seen = 0
      for i = 1, 50 do
        db:exec("INSERT INTO t (name) VALUES (?)", "n" .. i)
        local function count() return db:one("SELECT count(*) AS n FROM t").n end
        local counts = luaserve.all { count, count, count, count }
        for _, n in ipairs(counts) do if n == i then seen = seen + 1 end end
      end
      print(seen)
    ]]))
  end)

  it("has results of any size in one query after another", function()
    assert.equal("true\n", printed([[
      local same = true
      for _, n in ipairs { 0, 1, 23, 24, 25, 500, 3, 2000, 1 } do
        local text = ("x"):rep(n)
        local rows = db:query("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) "
          .. "SELECT i, ? AS text FROM c WHERE ? > 0", n, text, n)
        same = same and #rows == n
        for i, row in ipairs(rows) do same = same and row.i == i and row.text == text end
      end
      print(same)
    ]]))
  end)

  it("migrates by the files of a folder, each once, in order", function()
    local dir = helper.tmpdir()
    for name, text in pairs({ ["001_users.sql"] = "CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('kim');",
      ["002_age.sql"] = "ALTER TABLE users ADD COLUMN age INTEGER;", ["readme.txt"] = "no SQL" }) do
      helper.write_file(dir .. "/migrations/" .. name, text)
    end
    helper.write_file(dir .. "/app.lua", [[
      local db = require("luaserve.sqlite").open("app.db")
      print(pcall(function() return table.concat(db:migrate("migrations"), " ") end))
      print(#db:query("SELECT name, age FROM users"))
    ]])
    assert.equal("true\t001_users.sql 002_age.sql\n1\n", helper.run(dir .. "/app.lua").out)
    assert.equal("true\t\n1\n", helper.run(dir .. "/app.lua").out)
    helper.write_file(dir .. "/migrations/003_bad.sql", "CREATE TABLE half (x); INSERT INTO missing VALUES (1);")
    assert.matches("^false\tmigration 003_bad.sql: no such table: missing\n1\n", helper.run(dir .. "/app.lua").out)
    helper.write_file(dir .. "/migrations/003_bad.sql", "CREATE TABLE half (x);")
    assert.equal("true\t003_bad.sql\n1\n", helper.run(dir .. "/app.lua").out)
  end)

  it("is one file for several processes", function()
    local dir = helper.tmpdir()
    helper.write_file(dir .. "/app.lua", [[
      local db = require("luaserve.sqlite").open("app.db")
      assert(db:exec("CREATE TABLE IF NOT EXISTS t (n INTEGER)"))
      for i = 1, 100 do
        assert(db:transaction(function(tx)
          local n = tx:one("SELECT count(*) AS n FROM t").n
          return tx:exec("INSERT INTO t VALUES (?)", n)
        end))
      end
      print("done")
    ]])
    local started = {}
    for i = 1, 3 do started[i] = helper.start({ process.binary(), dir .. "/app.lua" }) end
    for i = 1, 3 do started[i]:wait_output("done", 60) end
    local out = helper.run(([[
      local db = require("luaserve.sqlite").open(%q)
      local row = db:one("SELECT count(*) AS n, count(DISTINCT n) AS d FROM t")
      print(row.n, row.d)
    ]]):format(dir .. "/app.db")).out
    assert.equal("300\t300\n", out)
  end)

  it("says which package is missing where the module is not there", function()
    local dir = helper.tmpdir()
    assert(os.execute(("cp '%s' '%s/luaserve'"):format(process.binary(), dir)))
    local run = helper.run("require('luaserve.sqlite')\n", { program = dir .. "/luaserve" })
    assert.equal(1, run.code)
    assert.matches("luaserve.sqlite is not part of this build: apt%-get install libsqlite3%-dev, "
      .. "and build luaserve again", run.err)
  end)
end)
