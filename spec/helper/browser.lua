--- A browser for specs: headless Chromium, driven over the WebDriver protocol
-- (W3C) that chromedriver speaks.
--
--   local browser = require("spec.helper.browser").open()     ends with its block
--   browser:go(url)  browser:title()  browser:url()
--   browser:text(css)  browser:value(css)  browser:count(css)
--   browser:click(css)  browser:type(css, text)  browser:upload(css, path)
--   browser:run(javascript, ...) -> its value                 the body of a function
--   browser:wait_for(javascript, what)                        until it is true
--   browser:cookies() -> those of the page by name, each {value, httpOnly, secure, sameSite, expiry}
--   browser:errors() -> what the page has logged as errors
--   browser:scheme("dark" | "light")  browser:size(width, height)
--   browser:screenshot(path)
--
-- An element that is asked for is waited for. What goes wrong raises with the
-- driver's message.
local cjson = require("cjson")
local mime = require("mime")
local socket = require("socket")
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")

local M = {}

local START = 30 -- seconds: a browser that starts on a loaded machine
local ELEMENT = "element-6066-11e4-a52e-4f735466cecf" -- the key that W3C gives it

---@class spec.Browser
local Browser = {}
Browser.__index = Browser

-- One request to the driver on a connection of its own; returns the value.
local function call(self, method, path, body)
  local text = method == "POST" and (type(body) == "string" and body or cjson.encode(body or {})) or ""
  local conn = assert(socket.connect("127.0.0.1", self.port))
  conn:settimeout(poll.seconds(60))
  assert(conn:send(("%s %s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
    .. "Content-Length: %d\r\nConnection: close\r\n\r\n%s"):format(method, path, self.port, #text, text)))
  local length
  repeat
    local line = assert(conn:receive("*l"))
    length = tonumber(line:lower():match("^content%-length:%s*(%d+)")) or length
  until line == ""
  local value = cjson.decode((assert(conn:receive(length)))).value
  conn:close()
  if type(value) == "table" and value.error then
    error(("%s %s: %s: %s"):format(method, path, value.error, value.message:match("[^\n]*")), 0)
  end
  return value
end

local function ask(self, method, path, body)
  return call(self, method, "/session/" .. self.session .. path, body)
end

local ARGUMENTS = { "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  "--disable-extensions", "--window-size=1000,800" }

local function capabilities(opts)
  local arguments = { table.unpack(ARGUMENTS) }
  table.insert(arguments, "--user-data-dir=" .. files.tmpdir())
  for _, argument in ipairs(opts.args or {}) do
    table.insert(arguments, argument)
  end
  return { capabilities = { alwaysMatch = {
    acceptInsecureCerts = opts.insecure or false,
    ["goog:chromeOptions"] = { binary = "/usr/bin/chromium", args = arguments },
    ["goog:loggingPrefs"] = { browser = "ALL" },
    timeouts = { pageLoad = 30000, script = 30000 },
  } } }
end

-- Imports an authority where Chromium looks for those that its user trusts.
local function trust(home, ca)
  local database = files.quote("sql:" .. home .. "/.pki/nssdb")
  local command = ("mkdir -p %s/.pki/nssdb && certutil -d %s -N --empty-password && "
    .. "certutil -d %s -A -t C,, -n spec -i %s"):format(home, database, database, files.quote(ca))
  assert(os.execute(command), command)
end

--- Starts a browser. Options: insecure (certificates are not checked), ca (the path
--- of the certificate of an authority that it trusts), args.
---@param opts { insecure: boolean?, ca: string?, args: string[]? }?
---@return spec.Browser
function M.open(opts)
  opts = opts or {}
  local home = files.tmpdir()
  if opts.ca then trust(home, opts.ca) end
  local driver = process.start({ "/usr/bin/chromedriver", "--port=0" }, { env = { HOME = home } })
  local port = driver:wait_output("started successfully on port (%d+)", START)
  local self = setmetatable({ port = tonumber(port), driver = driver }, Browser)
  self.session = call(self, "POST", "/session", capabilities(opts)).sessionId
  require("spec.helper.scope").defer(function()
    pcall(ask, self, "DELETE", "")
  end)
  return self
end

function Browser:go(url)
  ask(self, "POST", "/url", { url = url })
  return self
end

function Browser:title()
  return ask(self, "GET", "/title")
end

function Browser:url()
  return ask(self, "GET", "/url")
end

--- Runs the body of a function; its arguments are `arguments[0]` and so on.
function Browser:run(code, ...)
  local arguments = select("#", ...) > 0 and cjson.encode({ ... }) or "[]" -- which cjson has no word for
  return ask(self, "POST", "/execute/sync", ('{"script":%s,"args":%s}'):format(cjson.encode(code), arguments))
end

--- Waits until a JavaScript expression is true; returns its value.
function Browser:wait_for(expression, what)
  return poll.wait_for(function()
    local value = self:run("return " .. expression)
    return value ~= cjson.null and value
  end, what or expression, 15)
end

local function element(self, css)
  local found
  poll.wait_for(function()
    local list = ask(self, "POST", "/elements", { using = "css selector", value = css })
    found = list[1]
    return found
  end, "an element " .. css, 15)
  return "/element/" .. found[ELEMENT]
end

function Browser:text(css)
  return ask(self, "GET", element(self, css) .. "/text")
end

function Browser:value(css)
  return ask(self, "GET", element(self, css) .. "/property/value")
end

function Browser:count(css)
  return #ask(self, "POST", "/elements", { using = "css selector", value = css })
end

function Browser:click(css)
  ask(self, "POST", element(self, css) .. "/click")
  return self
end

--- Replaces what is in a field.
function Browser:type(css, text)
  local path = element(self, css)
  ask(self, "POST", path .. "/clear")
  ask(self, "POST", path .. "/value", { text = text })
  return self
end

--- Chooses a file in a field for files.
function Browser:upload(css, path)
  ask(self, "POST", element(self, css) .. "/value", { text = path })
  return self
end

--- The cookies that the page's address would be sent, HttpOnly ones too.
---@return table<string, table>
function Browser:cookies()
  local cookies = {}
  for _, cookie in ipairs(ask(self, "GET", "/cookie")) do cookies[cookie.name] = cookie end
  return cookies
end

--- What the pages have logged as errors since this was asked last.
---@return string[]
function Browser:errors()
  local list = {}
  for _, entry in ipairs(ask(self, "POST", "/se/log", { type = "browser" })) do
    if entry.level == "SEVERE" then
      table.insert(list, entry.message)
    end
  end
  return list
end

local function devtools(self, command, parameters)
  return ask(self, "POST", "/goog/cdp/execute", { cmd = command, params = parameters })
end

--- Has pages believe that the user wants "dark" or "light" colours.
function Browser:scheme(name)
  devtools(self, "Emulation.setEmulatedMedia", { features = { { name = "prefers-color-scheme", value = name } } })
  return self
end

function Browser:size(width, height)
  ask(self, "POST", "/window/rect", { width = width, height = height })
  return self
end

--- Writes a PNG of what is to be seen.
function Browser:screenshot(path)
  files.write_file(path, (mime.unb64(ask(self, "GET", "/screenshot"))))
  return self
end

return M
