-- The page of an error, as HTML; who gets it is told in spec/watch.
local helper = require("spec.helper")

local function page(trouble)
  local ran = helper.run("io.write(require('luaserve.error_page').render(" .. trouble .. "))")
  assert.equal("", ran.err)
  return ran.out
end

describe("the page of an error", function()
  local FULL = [[{ message = "app.lua:3: <b>no</b>\nreally", status = 500, time = 0, value = "{ code = 7 }",
    frames = {
      { file = "luaserve:luaserve/json.lua", line = 9, name = "function 'encode'", own = true },
      { file = "app.lua", line = 3, name = "function '<i>'",
        source = { [2] = "local x = 1", [3] = "  f('<&\"')", [4] = "" }, locals = { { name = "x", value = "1" }, { name = "s", value = "\"</pre><script>\"" } },
        upvalues = { { name = "outer", value = "{ 1 }" } } },
      { file = "app.lua", line = 8, name = "function at line 7", source = { [8] = "g()" } },
    },
    request = { method = "GET", url = "/<img src=x onerror=y>", httpVersion = "1.1", peer = "127.0.0.1",
      headers = { ["x-a"] = "'\"><script>", cookie = "sid=[masked]" } },
    route = { method = "GET", path = "/:id", at = "app.lua:1" },
    middleware = { { name = "luaserve.helmet", at = "app.lua:2" }, { name = "app.lua:5", at = "app.lua:5" },
      { name = "part.lua:6", at = "/elsewhere/part.lua:6" } } }]]

  it("shows the message, the source, the variables, the request, and its way", function()
    local html = page(FULL)
    for _, text in ipairs {
      "500 Internal Server Error · GET /", "app.lua:3: &lt;b&gt;no&lt;/b&gt;\nreally", "{ code = 7 }",
      '<div class="at"><i>3</i>  f(<b class="s">&#39;&lt;&amp;&quot;&#39;</b>)</div>',
      "<td>x</td><td>1</td>", "<td>outer</td><td>{ 1 }</td>",
      '<div class="own"><span class="place">luaserve:luaserve/json.lua:9</span>',
      "<td>cookie</td><td>sid=[masked]</td>",
      "<td>GET</td><td>/:id</td>", '<li>luaserve.helmet <span class="soft">app.lua:2</span></li>',
      '<li>app.lua:5 <span class="soft"></span></li>', '<li>part.lua:6 <span class="soft"></span></li>',
    } do
      assert.truthy(html:find(text, 1, true), text .. "\nis not in\n" .. html)
    end
  end)

  it("opens the innermost place of the app, and that alone", function()
    local html = page(FULL)
    assert.truthy(html:find('<details open><summary><b class="place">app.lua:3</b>', 1, true))
    local _, opened = html:gsub("<details open>", "")
    assert.equal(1, opened)
  end)

  it("has nothing in it that runs or is loaded, whatever the error says", function()
    local html = page(FULL)
    assert.is_nil(html:find("<script", 1, true))
    assert.is_nil(html:find("<img", 1, true))
    assert.is_nil(html:find("</pre><s", 1, true))
    assert.is_nil(html:find("url%("))
  end)

  it("is good without a request and without a place", function()
    local html = page([[{ message = "cannot begin", status = 500, time = 0, frames = {} }]])
    assert.truthy(html:find("The app does not start", 1, true))
    assert.truthy(html:find("<h1>cannot begin</h1>", 1, true))
    assert.is_nil(html:find("<aside", 1, true)) -- and no empty column
  end)
end)
