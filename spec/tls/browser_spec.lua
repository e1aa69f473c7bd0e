-- Chromium over https and HTTP/2, as somebody who develops has it: it trusts the
-- authority of --tls dev, and nothing is skipped.
local helper = require("spec.helper")

local APP = [==[
local fs = require "fs"

local types = { html = "text/html; charset=utf-8", css = "text/css", js = "text/javascript", svg = "image/svg+xml" }

local PAGE = [[<!doctype html><html lang=en><meta charset=utf-8><title>many parts</title>
<link rel=stylesheet href=/style.css><link rel=icon href=/tile.svg?icon>
<h1>One connection</h1><p id=seen></p><div>]] .. ("<img alt='' src=/tile.svg?%d>"):rep(24) .. [[</div>
<script type=module src=/app.js></script>]]

local files = {
  ["/style.css"] = "body { font: 16px sans-serif; margin: 2rem } div { max-width: 40rem } img { margin: 2px }",
  ["/tile.svg"] = "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'>"
    .. "<rect width='40' height='40' rx='8' fill='teal'/></svg>",
  ["/app.js"] = [[
    const sent = await (await fetch("/echo", { method: "POST", body: "x".repeat(300000) })).json()
    const stream = (await fetch("/stream")).body.getReader()
    let pieces = ""
    for (let step; !(step = await stream.read()).done;) pieces += new TextDecoder().decode(step.value)
    document.getElementById("seen").textContent =
      `HTTP/${sent.version}, ${sent.size} bytes sent, stream of ${pieces}`
    document.body.dataset.done = "yes"
  ]],
}

return function(req, res)
  local path = req.url:match("^[^?]*")
  if path == "/" then
    local count = 0
    return (PAGE:gsub("%%d", function() count = count + 1 return tostring(count) end))
  elseif path == "/echo" then
    return { version = req.httpVersion, size = #req:text(), encrypted = req.socket.encrypted }
  elseif path == "/stream" then
    for i = 1, 5 do res:write(i .. ";") require("timers").sleep(1) end
    return res:finish()
  elseif not files[path] then
    return 404, "no such thing\n"
  end
  print(req.httpVersion .. " " .. req.socket.remotePort .. " " .. req.url)
  res:setHeader("Content-Type", types[path:match("%w+$")])
  res:finish(files[path])
end
]==]

describe("Chromium", function()
  it("loads a page of many parts over one connection of HTTP/2, whose certificate it trusts", function()
    local folder = helper.tmpdir()
    local server = helper.serve(APP, { listen = true, args = { "--tls", "dev" }, env = { XDG_DATA_HOME = folder } })
    local browser = require("spec.helper.browser").open { ca = folder .. "/luaserve/ca.pem" }
    browser:go(("https://localhost:%d/"):format(server.port))
    browser:wait_for("document.body.dataset.done && document.readyState == 'complete'")
    assert.equal("HTTP/2.0, 300000 bytes sent, stream of 1;2;3;4;5;", browser:text("#seen"))
    assert.equal(24, browser:run("return [...document.images].filter(i => i.complete && i.naturalWidth == 40).length"))
    assert.equal("h2", browser:run("return performance.getEntriesByType('navigation')[0].nextHopProtocol"))
    assert.same({}, browser:run("return performance.getEntriesByType('resource').map(e => e.nextHopProtocol)"
      .. ".filter(p => p != 'h2')"))
    assert.same({}, browser:errors())
    local ports = {}
    for version, port in server:stdout():gmatch("(%S+) (%d+) /%S+\n") do
      assert.equal("2.0", version)
      ports[port] = true
    end
    local port = next(ports)
    assert.truthy(port and next(ports, port) == nil, "one connection")
    local pictures = os.getenv("SCREENSHOTS") -- to look at
    if pictures then browser:screenshot(pictures .. "/http2.png") end
  end)

  it("is warned where it knows nothing of the authority", function()
    local server = helper.serve(APP, { listen = true, args = { "--tls", "dev" },
      env = { XDG_DATA_HOME = helper.tmpdir() } })
    local browser = require("spec.helper.browser").open()
    browser:go(("https://localhost:%d/"):format(server.port))
    assert.matches("ERR_CERT_AUTHORITY_INVALID", browser:text("body"))
    assert.falsy(server:stdout():find("2.0", 1, true))
  end)
end)
