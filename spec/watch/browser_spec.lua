--- --watch in Chromium: a page reloads itself when a file is saved, shows what is wrong with it, and comes back.
local helper = require("spec.helper")

local APP = [[
local luaserve = require "luaserve"
local app, words = luaserve(), require "words"
app:use(luaserve.helmet { csp = true })
app:use(luaserve.static("public"))
app:get("/", function()
  return '<!doctype html><html lang=en><meta charset=utf-8><title>watched</title>'
    .. '<link rel=stylesheet href=/style.css><link rel=icon href=data:,><h1 id=word>' .. words.text .. '</h1>'
end)
app:get("/orders/:id", function(req, res)
  local orders = { ["7"] = { customer = "Kim", items = { "tea", "cup" } } }
  local order, token = orders[req.params.id], "s3cret"
  local title = "Order of " .. order.customer -- nobody has this one
  return { title = title, token = token }
end)
return app
]]

local function save(server, name, text)
  local path = server.dir .. "/" .. name
  helper.write_file(path .. "~", text)
  assert(os.rename(path .. "~", path))
end

describe("a page that is watched", function()
  it("reloads itself, shows errors and comes back, and has the page of an error", function()
    local server = helper.serve(APP, { args = { "--watch" }, listen = true, timeout = 15, files = {
      ["words.lua"] = 'return { text = "first" }\n', ["public/style.css"] = "h1 { color: rgb(1, 2, 3) }" } })
    local browser = require("spec.helper.browser").open()
    local url = "http://127.0.0.1:" .. server.port
    local word = "document.querySelector('#word').textContent === '%s'"
    browser:go(url .. "/")
    assert.equal("first", browser:text("#word"))

    -- new code, and a style that needs no reload
    save(server, "words.lua", 'return { text = "second" }\n')
    browser:wait_for(word:format("second"), "the page with the new word")
    browser:run("window.stays = true")
    save(server, "public/style.css", "h1 { color: rgb(4, 5, 6) }")
    browser:wait_for("getComputedStyle(document.querySelector('#word')).color === 'rgb(4, 5, 6)'", "the new style")
    assert.is_true(browser:run("return window.stays"))

    -- a mistake, and its end
    save(server, "words.lua", 'return { text = "third }\n')
    local frame = "document.querySelector('#luaserve-trouble')"
    browser:wait_for(frame .. " && " .. frame .. ".contentDocument && " .. frame
      .. ".contentDocument.body && " .. frame .. ".contentDocument.body.textContent.includes('unfinished string')",
      "the error on the page")
    assert.is_true(browser:run("return " .. word:format("second")))
    save(server, "words.lua", 'return { text = "third" }\n')
    browser:wait_for(word:format("third") .. " && !" .. frame, "the page to come back")
    assert.same({}, browser:errors()) -- the policy of helmet is kept

    -- the page of an error
    browser:go(url .. "/orders/8?token=abcdef")
    assert.matches("attempt to index", browser:text("h1"))
    assert.matches("nobody has this one", browser:text("pre .at"))
    local text = browser:text("main")
    for _, shown in ipairs { "/orders/:id", "luaserve.helmet", "masked", "REQUEST" } do
      assert.matches(shown, text, 1, true)
    end
    assert.is_nil(text:find("abcdef", 1, true))
    assert.is_true(browser:run("return document.documentElement.scrollWidth <= innerWidth"))
    local colours = {}
    for _, scheme in ipairs { "dark", "light" } do
      browser:scheme(scheme):size(500, 800)
      colours[scheme] = browser:run("return getComputedStyle(document.body).backgroundColor")
      assert.is_true(browser:run("return document.documentElement.scrollWidth <= innerWidth"), scheme)
    end
    assert.are_not.equal(colours.dark, colours.light)
    local others = {}
    for _, message in ipairs(browser:errors()) do
      if not message:find("500", 1, true) then table.insert(others, message) end -- the answer itself
    end
    assert.same({}, others)

    -- it goes away when the file is mended
    save(server, "app.lua", (APP:gsub("order%.customer", "tostring(order)")))
    browser:wait_for("document.body.textContent.includes('Order of nil')", "the answer in place of the error")

    local folder = os.getenv("SCREENSHOTS")
    if folder then -- to be looked at
      save(server, "app.lua", APP)
      helper.wait_for(function()
        browser:go(url .. "/orders/8?token=abcdef")
        return browser:run("return !!document.querySelector('h1')")
      end, "the error once more", 15)
      for _, scheme in ipairs { "dark", "light" } do
        browser:scheme(scheme):size(1200, 1100):screenshot(("%s/error-%s.png"):format(folder, scheme))
        browser:size(500, 1000):screenshot(("%s/error-%s-narrow.png"):format(folder, scheme))
      end
      browser:scheme("light"):size(1200, 800):go(url .. "/")
      save(server, "words.lua", 'return { text = "third }\n')
      browser:wait_for("!!" .. frame .. " && !!" .. frame .. ".contentDocument.querySelector('h1')")
      browser:screenshot(folder .. "/overlay.png")
    end
  end)
end)
