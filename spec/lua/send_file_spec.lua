-- res:sendFile and res:download.
local helper = require("spec.helper")
local lfs = require("lfs")

describe("res", function()
  local server

  -- Runs the query as the handler; what it raises without a status is its answer.
  local HANDLER = [[
    local run = assert((loadstring or load)("local req, res = ... " .. req.query.run))
    local ok, err = pcall(run, req, res)
    if ok then return end
    if type(err) == "table" and err.status then error(err) end
    res:status(500):text(tostring(err))
  ]]

  setup(function()
    server = helper.serve_handler(HANDLER, { files = {
      ["data/report.txt"] = "the report",
      ["data/page.html"] = "<p>page",
      ["data/page.html.gz"] = "zipped",
      ["data/.hidden"] = "mine",
      ["data/größe.txt"] = "size",
      ["data/locked.txt"] = "locked",
    } })
    local past = os.time() - 3600
    for _, name in ipairs({ "report.txt", "page.html" }) do
      lfs.touch(server.dir .. "/data/" .. name, past, past)
    end
  end)

  local function run(code, headers, method)
    code = code:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
    return helper.request(server, { path = "/?run=" .. code, headers = headers, method = method })
  end

  describe("sendFile", function()
    it("sends a file of the script's folder, by conditions and ranges", function()
      local response = run("res:sendFile('data/report.txt')")
      assert.same({ 200, "the report" }, { response.status, response.body })
      assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
      assert.equal("public, max-age=0", response.headers["cache-control"])
      local tag = response.headers.etag
      assert.equal(304, run("res:sendFile('data/report.txt')", { ["If-None-Match"] = tag }).status)
      local part = run("res:sendFile('data/report.txt')", { Range = "bytes=4-" })
      assert.same({ 206, "report" }, { part.status, part.body })
      assert.equal("10", run("res:sendFile('data/report.txt')", nil, "HEAD").headers["content-length"])
    end)

    it("takes absolute paths, hidden files, and paths below a root", function()
      assert.equal("the report", run(("res:sendFile(%q)"):format(server.dir .. "/data/report.txt")).body)
      assert.equal("the report", run("res:sendFile('data/../data/report.txt')").body)
      assert.equal("mine", run("res:sendFile('data/.hidden')").body)
      assert.equal(404, run("res:sendFile('.hidden', { root = 'data' })").status)
      assert.equal("mine", run("res:sendFile('.hidden', { root = 'data', dotfiles = 'allow' })").body)
      assert.equal("the report", run("res:sendFile('report.txt', { root = 'data' })").body)
    end)

    it("takes options of the answer", function()
      local response = run("res:sendFile('data/report.txt', { maxAge = 60, etag = false, lastModified = false,"
        .. " acceptRanges = false, headers = { ['X-A'] = 'b', ['Content-Type'] = 'text/x-r' } })",
        { Range = "bytes=0-1" })
      assert.same({ 200, "public, max-age=60", "b", "text/x-r" }, { response.status, response.headers["cache-control"],
        response.headers["x-a"], response.headers["content-type"] })
      assert.is_nil(response.headers.etag or response.headers["last-modified"] or response.headers["accept-ranges"])
      assert.is_nil(run("res:sendFile('data/report.txt', { cacheControl = false })").headers["cache-control"])
    end)

    it("looks for precompressed siblings where it is told to", function()
      local accepts = { ["Accept-Encoding"] = "gzip" }
      assert.equal("<p>page", run("res:sendFile('data/page.html')", accepts).body)
      local response = run("res:sendFile('data/page.html', { precompressed = true })", accepts)
      assert.same({ "zipped", "gzip", "text/html; charset=utf-8" },
        { response.body, response.headers["content-encoding"], response.headers["content-type"] })
    end)

    it("keeps the status of the handler", function()
      local response = run("res:status(404):sendFile('data/page.html')",
        { Range = "bytes=0-1", ["If-None-Match"] = "*" })
      assert.same({ 404, "<p>page" }, { response.status, response.body })
    end)

    it("is over for who writes afterwards", function()
      assert.equal("the report", run([[res:sendFile('data/report.txt')
        assert(res.headersSent and res.writableEnded) print("status", res.statusCode)]]).body)
      server:wait_output("status%s+200")
      assert.equal("", server:stderr())
    end)

    it("raises 404 where there is no file, and the handler may catch that", function()
      assert.equal(404, run("res:sendFile('data/none.txt')").status)
      assert.equal(404, run("res:sendFile('data')").status)
      assert.equal("caught 404", run([[local ok, err = pcall(res.sendFile, res, "data/none.txt")
        res:send("caught " .. err.status)]]).body)
    end)

    it("raises what the program did wrong, at its line", function()
      local function complaint(code)
        return (run(code).body:gsub("^%[string.-%]:1: ", ""))
      end
      assert.equal("res:sendFile needs the path of a file, not nil", complaint("res:sendFile()"))
      assert.matches("^res:sendFile has no option 'max': there are ", complaint("res:sendFile('a', { max = 1 })"))
      assert.equal("res:sendFile: the option root is a string, not a number",
        complaint("res:sendFile('a', { root = 1 })"))
      assert.matches("^res:sendFile: the folder cannot be served: ENOENT",
        complaint("res:sendFile('a', { root = 'b' })"))
      local late = run([[res:write("x")
        local ok, err = pcall(res.sendFile, res, "data/report.txt")
        res:finish(tostring(err))]])
      assert.matches("^x.*Cannot set headers after they are sent to the client$", late.body)
    end)
  end)

  describe("download", function()
    local function disposition(code)
      local response = run(code)
      assert.equal(200, response.status, response.body)
      return response.headers["content-disposition"]
    end

    it("has the file saved under its name, or another", function()
      assert.equal('attachment; filename="report.txt"', disposition("res:download('data/report.txt')"))
      assert.equal('attachment; filename="May.txt"', disposition("res:download('data/report.txt', 'May.txt')"))
      assert.equal("the report", run("res:download('data/report.txt')").body)
    end)

    it("says names beyond ASCII in both ways", function()
      assert.matches("^attachment; filename=\"gr.*\"; filename%*=UTF%-8''gr%%C3%%B6%%C3%%9Fe%.txt$",
        disposition("res:download('data/größe.txt')"))
      assert.is_nil(disposition([[res:download("data/report.txt", "a\r\nX: b")]]):find("[\r\n]"))
    end)

    it("takes options, with a name or without", function()
      local response = run("res:download('report.txt', { root = 'data', maxAge = 5 })")
      assert.same({ "public, max-age=5", 'attachment; filename="report.txt"' },
        { response.headers["cache-control"], response.headers["content-disposition"] })
      assert.equal("the report", run("res:download('report.txt', 'x.txt', { root = 'data' })").body)
    end)

    it("leaves nothing behind where there is no file", function()
      local response = run("local ok = pcall(res.download, res, 'none.txt') res:send(tostring(ok))")
      assert.same({ "false" }, { response.body, response.headers["content-disposition"] })
    end)
  end)
end)
