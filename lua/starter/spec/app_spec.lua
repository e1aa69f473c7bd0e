-- luaserve test
local luaserve = require "luaserve"

local client = luaserve.test(require "app") -- asks the app without a port

describe("the page", function()
  it("greets whom it is told to", function()
    local page = client:get("/"):query({ name = "Kim" }):expect(200)
    assert.truthy(page.body:find("Hello, Kim!", 1, true))
  end)

  it("shows what it is told as text, not as HTML", function()
    local page = client:get("/"):query({ name = "<b>" }):expect(200)
    assert.truthy(page.body:find("Hello, &lt;b&gt;!", 1, true))
  end)

  it("refuses names that are too long", function()
    client:get("/"):query({ name = ("x"):rep(41) }):expect(422)
  end)
end)

describe("the API", function()
  it("answers in JSON", function()
    client:get("/api/hello/kim"):expect(200, { hello = "kim" })
  end)
end)

describe("everything else", function()
  it("is a file, or is not there", function()
    client:get("/style.css"):expect(200):expect("Content-Type", "text/css; charset=utf-8")
    client:get("/none"):expect(404)
  end)
end)
