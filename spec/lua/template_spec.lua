-- Templates: what the tags do, what is escaped, which line an error names, and
-- templates in files.
local helper = require("spec.helper")
local lab = require("spec.lua.lab")

local PRELUDE = [[local template = require "luaserve.template" ]]

describe("a template", function()
  local server

  setup(function()
    server = lab.serve()
  end)

  -- What compile(source, options)(data) makes, with these written as Lua.
  local function rendered(source, data, options)
    return lab.value(server, PRELUDE .. ("return ' ' .. template.compile(%q, %s)(%s)"):format(
      source, options or "nil", data or "nil")):sub(2)
  end

  local function failure(source, data, options)
    return lab.value(server, PRELUDE .. ([[
      local ok, message = pcall(function() return template.compile(%q, %s)(%s) end)
      return ok and "no error" or tostring(message)]]):format(source, options or "nil", data or "nil"))
  end

  it("is its text where there is no tag", function()
    assert.equal("", rendered(""))
    assert.equal("a\n\tb\\ \"c\" 'd' \0 e\r\nf 100% > <", rendered("a\n\tb\\ \"c\" 'd' \0 e\r\nf 100% > <"))
  end)

  it("prints values, escaped with = and as they are with -", function()
    assert.equal("&lt;b&gt; &amp; &quot;x&quot; &#39;y&#39;|<b> & \"x\" 'y'",
      rendered("<%= v %>|<%- v %>", [[{ v = "<b> & \"x\" 'y'" }]]))
  end)

  it("prints numbers as they are written, booleans, and nothing for nil", function()
    assert.equal("1 1 -5 1.5 true false || 9007199254740993",
      rendered("<%= 1 %> <%= 1.0 %> <%= -5 %> <%= 3 / 2 %> <%= true %> <%= false %> |<%= nil %>|<%= no %> "
        .. "<%= " .. (lab.luajit and "'9007199254740993'" or "9007199254740993") .. " %>"):gsub("|  ", "|| "))
  end)

  it("prints what has __tostring, escaped too", function()
    assert.equal("&lt;x&gt;<x>", rendered("<%= v %><%- v %>",
      "{ v = setmetatable({}, { __tostring = function() return '<x>' end }) }"))
  end)

  it("runs code, over many tags and lines", function()
    assert.equal("<li>1: a&amp;b</li><li>2: c</li>", rendered(
      "<% for i, row in ipairs(rows) do %><li><%= i %>: <%= row.name %></li><%\nend %>",
      [[{ rows = { { name = "a&b" }, { name = "c" } } }]]))
    assert.equal("no", rendered("<% if x then %>yes<% else %>no<% end %>"))
  end)

  it("keeps the order of many pieces in a row", function()
    local source, expected = {}, {}
    for i = 1, 500 do
      local kind = i % 3
      table.insert(source, kind == 0 and "<%= '<" .. i .. ">' %>" or kind == 1 and "<%- '<" .. i .. ">' %>" or i .. ";")
      table.insert(expected, kind == 0 and "&lt;" .. i .. "&gt;" or kind == 1 and "<" .. i .. ">" or i .. ";")
    end
    assert.equal(table.concat(expected), rendered(table.concat(source)))
  end)

  it("takes one value of an expression", function()
    assert.equal("a.a", rendered("<%= f() %>.<%= f() %>", "{ f = function() return 'a', 'b' end }"))
  end)

  it("leaves notes out, eats line ends behind -%>, and prints <%% and %%>", function()
    assert.equal("ab\nc<% x %>", rendered("a<%# note\nmore %><% -%>\nb<% -%>  \nc<%% x %%>"):gsub("  ", ""))
    assert.equal("a%>b", rendered("<%= 'a%%>b' %>"):gsub("&gt;", ">"))
    assert.equal("ab", rendered("a<% -- a comment %>b"))
  end)

  it("finds names in its data first, then the globals of Lua", function()
    assert.equal("mine|2", rendered("<%= type %>|<%= math.floor(2.5) %>", "{ type = 'mine' }"))
  end)

  it("sets globals of its own only", function()
    assert.equal("1", rendered("<% leaked = 1 %><%= leaked %>"))
    assert.equal("nil", lab.value(server, "return tostring(rawget(_G, 'leaked'))"))
  end)

  it("may wait, while others run the same one", function()
    local code = PRELUDE .. [[
      shared.slow = shared.slow or template.compile("<%= n %>[<% wait(20) %><%= n %>]<%= n %>")
      return shared.slow { wait = sleep, n = ]]
    local conns = {}
    for n = 1, 8 do
      conns[n] = lab.start(server, code .. n .. " }")
    end
    for n = 1, 8 do
      assert.equal(("%d[%d]%d"):format(n, n, n), conns[n]:read_response().body)
    end
  end)

  describe("with partials", function()
    it("includes them, with its own names in their reach", function()
      assert.equal("<i>1 T</i><i>2 T</i>", rendered("<% for i = 1, 2 do %><%- include('row', { id = i }) %><% end %>",
        "{ title = 'T' }", "{ partials = { row = '<i><%= id %> <%= title %></i>' } }"))
    end)

    it("puts its text into a layout, with blocks", function()
      assert.equal("<head><title>T</title><meta></head><p>hi</p>", rendered(
        "<% layout('page', { title = 'T' }) %><% block('head', function() %><meta><% end) %><p>hi</p>", nil,
        "{ partials = { page = '<head><title><%= title %></title><%- blocks.head %></head><%- body %>' } }"))
    end)

    it("captures what a function prints", function()
      assert.equal("x[a&amp;b]", rendered(
        "<% local s = capture(function(v) %>[<%= v %>]<% end, 'a&b') %>x<%- s %>"))
    end)

    it("refuses to include itself without an end", function()
      assert.matches("more than 100 deep", failure("<%- include('a') %>", nil,
        "{ partials = { a = [[<%- include('a') %>]] } }"), 1, true)
    end)

    it("says what is missing", function()
      assert.matches("no partial 'x'", failure("<%- include('x') %>"), 1, true)
      assert.matches("a string, not a nil", failure("<%- include() %>"), 1, true)
    end)
  end)

  describe("that is wrong", function()
    it("names the line where it does not compile", function()
      assert.matches("^template:2: .*never closed", failure("a\n<%= x"))
      assert.matches("^page:3: ", failure("a\n<% local x = 1 %>\n<% for %>\n", nil, "{ name = 'page' }"))
      assert.matches("^template:1: .*never closed", failure("<%"))
    end)

    it("names the line where it fails", function()
      assert.matches("^t:4: attempt to index", failure("a\n\n<% -- note %>\n<%= a.b.c %>\n", nil, "{ name = 't' }"))
      assert.matches("^t:5: attempt to index", failure("a\n<% -%>\n<%# x\n%>\n<%= a.b.c %>\n", nil, "{ name = 't' }"))
    end)

    it("names the line and the type of what cannot be printed", function()
      assert.matches("^t:4: .*not a table", failure("a\n<%= 1 %>\n\n<%= {} %>\n", nil, "{ name = 't' }"))
      assert.matches("not a function", failure("<%= print %>"))
    end)

    it("is refused with the option or the data at fault", function()
      assert.matches("unknown option 'nmae'", failure("", nil, "{ nmae = 1 }"))
      assert.matches("the option name is a string, not a number", failure("", nil, "{ name = 1 }"))
      assert.matches("the data of a template is a table, not a string", failure("", "'x'"))
      assert.matches("needs the text of a template, not a nil",
        lab.value(server, PRELUDE .. "return select(2, pcall(template.compile))"))
    end)

    it("harms no other one", function()
      local code = PRELUDE .. [[
        local t = template.compile("abc<% if x then error('no') end %>d")
        local failed = pcall(t, { x = true })
        return tostring(failed) .. t()]]
      assert.equal("falseabcd", lab.value(server, code))
    end)
  end)

  it("never takes bytecode", function()
    assert.matches("\27Lua", rendered("\27Lua\84\0<%= 1 %>"), 1, true)
  end)
end)

describe("template.render", function()
  local server
  local VIEWS = {
    ["views/page.html"] = "<% layout('layouts/main') %><h1><%= title %></h1><%- include('parts/foot') %>",
    ["views/layouts/main.html"] = "<main><%- body %></main>",
    ["views/parts/foot.html"] = "<footer><%= title %></footer>",
    ["views/plain.txt"] = "<%- title %>",
    ["views/broken.html"] = "\n<%= x",
    ["secret.html"] = "secret",
  }

  setup(function()
    server = helper.serve([[
      local http, template = require "http", require "luaserve.template"
      local server
      server = http.createServer(function(req, res)
        return template.render("views", req.query.name, { title = req.query.title })
      end)
      server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
    ]], { files = VIEWS, cwd = "/" })
  end)

  local function get(name)
    return helper.get(server, "/?title=a%26b&name=" .. name)
  end

  it("prints files of a folder beside the script, with layouts and parts", function()
    for _ = 1, 2 do
      assert.equal("<main><h1>a&amp;b</h1><footer>a&amp;b</footer></main>", get("page").body)
    end
    assert.equal("a&b", get("plain.txt").body)
  end)

  it("never leaves the folder", function()
    for _, name in ipairs({ "../secret", "parts/../../secret", "/etc/passwd", "..", "page%00.html" }) do
      assert.equal(500, get(name).status)
    end
    assert.matches("a path within its folder, not '../secret'", server:stderr(), 1, true)
  end)

  it("says which file is missing, or wrong and where", function()
    assert.equal(500, get("nothing").status)
    assert.matches("no view 'nothing': ENOENT: no such file or directory, open '.*/views/nothing.html'",
      server:stderr())
    assert.equal(500, get("broken").status)
    assert.matches("/views/broken.html:2: '<%=' is never closed", server:stderr(), 1, true)
  end)
end)

describe("luaserve.escapeHTML", function()
  it("escapes texts and numbers, and refuses the rest", function()
    local run = helper.run([[
      local escape = require("luaserve").escapeHTML
      print(escape("<a href='x'>\"&</a>"), escape(5), escape(""), escape("plain"), pcall(escape, {}))
    ]])
    assert.matches("^&lt;a href=&#39;x&#39;&gt;&quot;&amp;&lt;/a&gt;\t5\t\tplain\tfalse\t", run.out)
  end)
end)
