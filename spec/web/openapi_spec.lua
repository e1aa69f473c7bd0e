-- The OpenAPI document of an app, and the page that shows it.
local helper = require("spec.helper")
local cjson = require("cjson")

local APP = [[
local luaserve = require "luaserve"
local app, api = luaserve(), luaserve()
app:use(luaserve.helmet())
local node = { type = "object", title = "Node", properties = { value = "integer" } }
node.properties.next = node
api:get("/users/:id(%d+)", luaserve.validate {
  params = { id = { type = "integer", minimum = 1, description = "its number" } },
  query = { type = "object", required = { "page" }, properties = { page = { type = "integer", default = 1 } } },
}, function(req) return { id = req.params.id, page = req.query.page } end):name("user"):describe {
  summary = "One user", tags = { "users" }, responses = { [200] = node, [404] = "there is none" } }
api:post("/users", luaserve.validate { summary = "Add a user", body = { type = "object", required = { "name" },
  properties = { name = { type = "string", pattern = "^%a[%w.]*$", example = "kim" },
    tags = { type = "array", items = "string", nullable = true } } } },
  function(req) return 201, req.body end)
api:get("/secret", function() return "" end):describe { hidden = true }
api:all("/any", function() return "" end)
app:mount("/api", api)
app:get("/files/:name.:kind/*rest", function() return "" end)
]]

local function serve(code)
  return helper.serve(APP .. code .. [[

local server
server = app:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)]])
end

local function document(server, path)
  local response = helper.get(server, path or "/docs/openapi.json")
  assert.equal("application/json", response.headers["content-type"])
  return cjson.decode(response.body)
end

describe("the OpenAPI document", function()
  local doc
  setup(function()
    doc = document(serve [[
      app:docs("/docs", { title = "Users & co", version = "2.1.0", servers = { "https://a.example" } })]])
  end)

  it("says what it is of", function()
    assert.equal("3.1.0", doc.openapi)
    assert.same({ title = "Users & co", version = "2.1.0" }, doc.info)
    assert.same({ { url = "https://a.example" } }, doc.servers)
  end)

  it("has the routes, mounted ones too, without those that are hidden or of any method", function()
    local paths = {}
    for path in pairs(doc.paths) do paths[#paths + 1] = path end
    table.sort(paths)
    assert.same({ "/api/users", "/api/users/{id}", "/files/{name}.{kind}/{rest}" }, paths)
    local get = doc.paths["/api/users/{id}"].get
    assert.same({ "One user", "user", { "users" } }, { get.summary, get.operationId, get.tags })
    assert.equal("there is none", get.responses["404"].description)
    assert.equal("Add a user", doc.paths["/api/users"].post.summary)
  end)

  it("has the parameters that routes have and schemas check", function()
    assert.same({
      { name = "id", ["in"] = "path", required = true, description = "its number",
        schema = { type = "integer", minimum = 1, description = "its number" } },
      { name = "page", ["in"] = "query", required = true, schema = { type = "integer", default = 1 } },
    }, doc.paths["/api/users/{id}"].get.parameters)
    local names = {}
    for i, one in ipairs(doc.paths["/files/{name}.{kind}/{rest}"].get.parameters) do names[i] = one.name end
    assert.same({ "name", "kind", "rest" }, names)
  end)

  it("has bodies as JSON Schema, with Lua patterns as regular expressions", function()
    local post = doc.paths["/api/users"].post
    assert.same({ type = "object", required = { "name" }, properties = {
      name = { type = "string", pattern = "^[A-Za-z][A-Za-z0-9.]*$", examples = { "kim" } },
      tags = { type = { "array", "null" }, items = { type = "string" } },
    } }, post.requestBody.content["application/json"].schema)
    assert.is_not_nil(post.responses["422"])
  end)

  it("names the schemas that hold themselves", function()
    local ref = { ["$ref"] = "#/components/schemas/Node" }
    assert.same(ref, doc.paths["/api/users/{id}"].get.responses["200"].content["application/json"].schema)
    assert.same({ type = "object", title = "Node", properties = { value = { type = "integer" }, next = ref } },
      doc.components.schemas.Node)
  end)
end)

describe("--openapi", function()
  it("prints the document, and nothing else, on standard output", function()
    local result = helper.run(APP .. 'app:docs("/docs", { title = "T" })\nprint("noise")\nreturn app',
      { args = { "--openapi" } })
    assert.equal(0, result.code, result.err)
    local doc = cjson.decode(result.out)
    assert.equal("T", doc.info.title)
    assert.is_not_nil(doc.paths["/api/users"].post)
    assert.equal("noise\n", result.err)
  end)
end)

describe("app:docs", function()
  it("says what its options are", function()
    local result = helper.run('local app = require("luaserve")()\napp:docs("/docs", { name = "x" })')
    assert.truthy(result.err:find("app.lua:2: app:docs has no option 'name'; there are: description, servers", 1, true))
    result = helper.run('local app = require("luaserve")()\napp:get("/", print):describe { summry = "x" }')
    assert.truthy(result.err:find("app.lua:2: describe has no option 'summry'", 1, true))
  end)

  it("serves a page on which requests can be tried, under a strict policy, below a prefix too", function()
    local server = serve [[
      local outer = luaserve()
      app:docs("/docs", { title = "Users <b>" })
      outer:mount("/v1", app)
      app = outer]]
    local browser = require("spec.helper.browser").open()
    browser:go(("http://127.0.0.1:%d/v1/docs"):format(server.port))
    assert.equal("Users <b>", browser:text("h1"))
    browser:wait_for("document.querySelectorAll('details').length == 3", "the operations")
    assert.equal("users", browser:text("h2"))
    browser:run("for (const one of document.querySelectorAll('details')) one.open = true")
    browser:run([[
      window.user = [...document.querySelectorAll("details")].find((one) => one.textContent.includes("/v1/api/users/{id}"));
      user.querySelector("input[data-in=path]").value = "7";
      user.querySelector("button").click();]])
    browser:wait_for("user.querySelector('pre').textContent.includes('200')", "the answer")
    local text = browser:run("return user.querySelector('pre').textContent")
    assert.truthy(text:find("GET /v1/api/users/7?page=1\n200 OK", 1, true), text)
    assert.truthy(text:find('"id": 7', 1, true), text)
    browser:run([[
      window.add = [...document.querySelectorAll("details")].find((one) => one.textContent.includes("Add a user"));
      add.querySelector("button").click();]])
    browser:wait_for("add.querySelector('pre').textContent.includes('201')", "the answer")
    assert.truthy(browser:run("return add.querySelector('pre').textContent"):find('"name": "kim"', 1, true))
    local folder = os.getenv("SCREENSHOTS")
    if folder then browser:screenshot(folder .. "/docs.png") end
    assert.same({}, browser:errors())
  end)
end)
