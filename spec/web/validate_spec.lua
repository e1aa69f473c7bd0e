-- The middleware that lets in what fits a schema.
local helper = require("spec.helper")

-- A server whose handler answers what it finds, behind validate with these options.
local function serve(options, body)
  return helper.serve_handler("return guard(req, res, function() " .. (body or "return 'in'") .. " end)",
    { before = "local json, luaserve = require 'json', require 'luaserve' "
      .. "local guard = luaserve.validate " .. options })
end

local function post(server, kind, body, path)
  return helper.request(server, { method = "POST", path = path, headers = { { "Content-Type", kind } }, body = body })
end

describe("validate", function()
  it("lets in what fits, as req.body", function()
    local server = serve([[{ body = { type = "object", properties = { name = "string",
      role = { type = "string", default = "guest" } }, required = { "name" } } }]],
      "return req.body.name .. req.body.role")
    assert.equal("kimguest", post(server, "application/json", [[{"name":"kim"}]]).body)
  end)

  it("answers 422 with each error's place and message", function()
    local server = serve([[{ body = { type = "object", properties = { age = { type = "integer", minimum = 0 } },
      required = { "name" } }, query = { page = "integer" } }]])
    local response = post(server, "application/json", [[{"age":-1}]], "/?page=x")
    assert.equal(422, response.status)
    assert.equal("application/json", response.headers["content-type"])
    local errors = require("cjson").decode(response.body).errors
    assert.same({ { ["in"] = "query", path = "/page", message = "must be a whole number" },
      { ["in"] = "body", path = "/age", message = "must be at least 0" },
      { ["in"] = "body", path = "/name", message = "is missing" } }, errors)
  end)

  it("says of a body that is not there that it is missing, and 400 of one that is malformed", function()
    local server = serve([[{ body = "object" }]])
    local response = helper.request(server, { method = "POST" })
    assert.equal(422, response.status)
    assert.matches('"is missing"', response.body, 1, true)
    assert.equal(400, post(server, "application/json", "{").status)
    assert.equal(415, post(server, "text/plain", "{}").status)
  end)

  it("turns the texts of a query into what they are", function()
    local server = serve([[{ query = { page = { type = "integer", default = 1 }, tag = { type = "array", items = "string" },
      exact = "boolean" } }]], "return req.query")
    assert.equal('{"page":1}', helper.get(server, "/").body)
    local query = require("cjson").decode(helper.get(server, "/?page=3&tag=a&exact=true").body)
    assert.same({ page = 3, tag = { "a" }, exact = true }, query)
    assert.same({ "a", "b" }, require("cjson").decode(helper.get(server, "/?tag=a&tag=b").body).tag)
    assert.equal(422, helper.get(server, "/?page=1&page=2").status)
  end)

  it("turns the texts of a form, and leaves those of JSON", function()
    local server = serve([[{ body = { type = "object", properties = { n = "integer" } } }]],
      "return tostring(req.body.n + 1)")
    assert.equal("5", post(server, "application/x-www-form-urlencoded", "n=4").body)
    assert.equal(422, post(server, "application/json", [[{"n":"4"}]]).status)
  end)

  it("takes the files of a form", function()
    local server = serve([[{ body = { type = "object", properties = { doc = { type = "string", format = "binary" } },
      required = { "doc" } } }]], "return req.body.doc.filename")
    local form = table.concat({ "--b", 'Content-Disposition: form-data; name="doc"; filename="a.txt"', "", "hello",
      "--b--", "" },
      "\r\n")
    assert.equal("a.txt", post(server, "multipart/form-data; boundary=b", form).body)
    assert.equal(422, post(server, "application/x-www-form-urlencoded", "doc=x").status)
  end)

  it("looks at headers by any case, and leaves them as they are", function()
    local server = serve([[{ headers = { ["X-Count"] = { type = "integer", maximum = 3 } } }]],
      "return type(req.headers['x-count'])")
    assert.equal("string", helper.request(server, { headers = { { "x-COUNT", "3" } } }).body)
    assert.equal(422, helper.request(server, { headers = { { "X-Count", "4" } } }).status)
  end)

  it("has the answer made by onError where that is given", function()
    local server = serve([[{ query = { n = "integer" }, onError = function(errors, req, res)
      return 400, #errors .. errors[1].path .. req.path end }]])
    local response = helper.get(server, "/?n=x")
    assert.equal(400, response.status)
    assert.equal("1/n/", response.body)
  end)

  it("is an error at start where its options are wrong", function()
    local function fails(options, message)
      local run = helper.run("local v = require('luaserve').validate\nv(" .. options .. ")\n")
      assert.equal(1, run.code)
      assert.matches("app.lua:2: " .. message, run.err, 1, true)
    end
    fails("{}", "validate needs a schema for params, query, headers or body")
    fails("{ bodi = {} }", "validate has no option 'bodi'")
    fails("{ body = { type = 'objekt' } }", "the schema of body: there is no type 'objekt'")
    fails("{ query = { n = 5 } }", "the schema of query.n: a schema is a table")
  end)
end)
