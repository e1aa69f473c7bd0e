--- Answers in one call, as Express has them: res:send, json, redirect, cookie and
--- the others. Every server's res has them; this file is loaded when one of them
--- is first called.
local cookies = require "luaserve.cookies"
local etag = require "luaserve.etag"
local json = require "json"
local native = require "luaserve.core.reply"

local M = {}

local HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"

--- Sets the status of the answer, 200 to 999.
---@param self ServerResponse
---@param code integer
---@return self
function M.status(self, code)
  if type(code) ~= "number" or code % 1 ~= 0 or code < 200 or code > 999 then
    error("res:status needs a whole number from 200 to 999, not " .. tostring(code), 2)
  end
  if self.headersSent then error("Cannot set the status after the head was sent to the client", 2) end
  self.statusCode = code
  return self
end

--- Sends a body that is complete, tagged where the app wants that.
local function deliver(res, body)
  body = etag.apply(res, body)
  return res:finish(body)
end

local function default_type(res, kind)
  if not res:hasHeader("Content-Type") then res:setHeader("Content-Type", kind) end
end

--- Raises where the answer is over, as setHeader does.
local function check_open(res, level)
  if res.headersSent then error("Cannot set headers after they are sent to the client", level + 1) end
end

local SORTED = { sort = true }

--- Indents JSON that json.encode has written.
local function indented(text, space)
  local depth = 0
  local function line() return "\n" .. space:rep(depth) end
  local out, at = {}, 1
  while at <= #text do
    local c = text:sub(at, at)
    local piece = c
    if c == '"' then
      local to = at
      repeat to = text:find('["\\]', to + 1) local escaped = text:sub(to, to) == "\\" if escaped then to = to + 1 end
      until not escaped
      piece = text:sub(at, to)
      at = to
    elseif (c == "{" or c == "[") and text:find("^[%]}]", at + 1) then
      piece = text:sub(at, at + 1)
      at = at + 1
    elseif c == "{" or c == "[" then
      depth = depth + 1
      piece = c .. line()
    elseif c == "}" or c == "]" then
      depth = depth - 1
      piece = line() .. c
    elseif c == "," then
      piece = c .. line()
    elseif c == ":" then
      piece = ": "
    end
    out[#out + 1] = piece
    at = at + 1
  end
  return table.concat(out)
end

--- JSON of an answer: with sorted keys where its bytes have to be the same in
--- every worker, and indented where the setting "json spaces" says how much.
local function encode(res, value)
  local req = cookies.req_of(res)
  local app = rawget(req, "app")
  if not app then return json.encode(value) end
  local spaces = app:setting("json spaces")
  local text = json.encode(value, etag.mode(req) and SORTED or nil)
  if not spaces or spaces == 0 or spaces == "" then return text end
  return indented(text, type(spaces) == "number" and (" "):rep(math.min(spaces, 10)) or tostring(spaces))
end

--- Sends a value as JSON. Raises where it is none, and names the place.
---@param self ServerResponse
---@param value any
---@return self
function M.json(self, value)
  check_open(self, 2)
  local text = encode(self, value)
  default_type(self, "application/json")
  return deliver(self, text)
end

--- Sends a body: a string is HTML where it begins with "<", else plain text, a
--- table, number or boolean is JSON, nil is nothing. A Content-Type that was set
--- stays.
---@param self ServerResponse
---@param body string|table|number|boolean|nil
---@return self
function M.send(self, body)
  check_open(self, 2)
  local kind = type(body)
  if body == nil then return deliver(self, "") end
  if kind == "string" then
    default_type(self, body:find("^%s*<") and HTML or TEXT)
    return deliver(self, body)
  end
  if kind == "table" or kind == "number" or kind == "boolean" then return M.json(self, body) end
  error("res:send needs a string or what can be JSON, not a " .. kind, 2)
end

local function send_as(self, name, text, kind)
  check_open(self, 3)
  if type(text) ~= "string" and type(text) ~= "number" then
    error(("res:%s needs a string, not a %s"):format(name, type(text)), 3)
  end
  self:setHeader("Content-Type", kind)
  return (deliver(self, tostring(text)))
end

--- Sends a string as HTML.
---@param self ServerResponse
---@param text string
---@return self
function M.html(self, text)
  return (send_as(self, "html", text, HTML))
end

--- Sends a string as plain text.
---@param self ServerResponse
---@param text string
---@return self
function M.text(self, text)
  return (send_as(self, "text", text, TEXT))
end

--- Sends a view, a template in a file below the folder of the setting "views", as HTML.
--- Raises where it is not there, or fails. Waits where it has to be read.
---@param self ServerResponse
---@param name string a path in that folder; without an extension, .html is meant
---@param data table? what the template finds as its globals
---@return self
function M.render(self, name, data)
  check_open(self, 2)
  if type(name) ~= "string" then error("res:render needs the name of a view, not a " .. type(name), 2) end
  if data ~= nil and type(data) ~= "table" then error("res:render takes a table of data, not a " .. type(data), 2) end
  local app = rawget(cookies.req_of(self), "app")
  local text = require("luaserve.template").render(app and app:setting("views") or "views", name, data)
  default_type(self, HTML)
  return deliver(self, text)
end

-- ---- the head

--- Sets the Content-Type: of an extension or a file name ("html", "a.png"), or as
--- it is given ("text/x-mine").
---@param self ServerResponse
---@param kind string
---@return self
function M.type(self, kind)
  if type(kind) ~= "string" or kind == "" then error("res:type needs an extension or a media type", 2) end
  self:setHeader("Content-Type", kind:find("/", 1, true) and kind or native.mime(kind))
  return self
end

local function add_unique(list, seen, value)
  for name in value:gmatch("[^,%s]+") do
    local key = name:lower()
    if not seen[key] then
      seen[key] = true
      list[#list + 1] = name
    end
  end
end

--- Adds names of request headers to Vary, each once; "*" stands alone.
---@param self ServerResponse
---@param ... string|string[]
---@return self
function M.vary(self, ...)
  local first = ...
  local names = type(first) == "table" and first or { ... }
  if #names == 0 then error("res:vary needs the name of a header", 2) end
  local list, seen = {}, {}
  local old = self:getHeader("Vary") or {}
  for _, value in ipairs(type(old) == "table" and old or { old }) do add_unique(list, seen, value) end
  for i = 1, #names do
    if type(names[i]) ~= "string" then error("res:vary needs strings, not a " .. type(names[i]), 2) end
    add_unique(list, seen, names[i])
  end
  self:setHeader("Vary", seen["*"] and "*" or table.concat(list, ", "))
  return self
end

--- Sends the browser elsewhere: 302, or the code that is given first. Raises 400
--- for a url that leads to another site without looking so; see the options.
---@param self ServerResponse
---@param code integer|string the url, where there is no code
---@param url string?
---@param options {sameOrigin: boolean?, fallback: string?, hosts: string[]?, external: boolean?}?
---@return self
function M.redirect(self, code, url, options)
  if type(code) == "string" then code, url, options = 302, code, url end
  if type(code) ~= "number" or code % 1 ~= 0 or code < 300 or code > 399 or code == 304 then
    error("the code of a redirect is 301, 302, 303, 307 or 308, not " .. tostring(code), 2)
  end
  if type(url) ~= "string" then error("res:redirect needs a url, a string, not a " .. type(url), 2) end
  check_open(self, 2)
  local target = require("luaserve.location").of(cookies.req_of(self), url, options, 2)
  self.statusCode = code
  self:setHeader("Location", target)
  self:setHeader("Content-Type", TEXT)
  return self:finish(("%s. Redirecting to %s\n"):format(require("http").STATUS_CODES[code] or "Redirect", target))
end

-- ---- cookies

--- Sets a cookie. Raises for what a browser would not take: see the reference.
---@param self ServerResponse
---@param name string
---@param value string|number|boolean
---@param options luaserve.CookieOptions?
---@return self
function M.cookie(self, name, value, options)
  return cookies.set(self, cookies.format(cookies.req_of(self), name, value, options, 2))
end

--- Has the browser forget a cookie; the options are those that it was set with.
---@param self ServerResponse
---@param name string
---@param options luaserve.CookieOptions?
---@return self
function M.clearCookie(self, name, options)
  if options ~= nil and type(options) ~= "table" then error("the options of a cookie are a table", 2) end
  return cookies.set(self, cookies.format(cookies.req_of(self), name, "", cookies.expired(name, options), 2))
end

-- ---- files

--- Has the browser save the answer, under that name.
---@param self ServerResponse
---@param name string?
---@return self
function M.attachment(self, name)
  if name ~= nil and type(name) ~= "string" then error("the name of an attachment is a string", 2) end
  self:setHeader("Content-Disposition", require("luaserve.disposition").format("attachment", name))
  if name then M.type(self, native.mime(name)) end
  return self
end

---@class luaserve.FileOptions
---@field root string?
---@field maxAge number? seconds
---@field immutable boolean?
---@field cacheControl string|false|nil
---@field etag boolean?
---@field lastModified boolean?
---@field acceptRanges boolean?
---@field dotfiles string? "ignore", "deny" or "allow"
---@field precompressed boolean?
---@field headers table?

--- Answers with a file: conditions, ranges and the rest as luaserve.static.
--- Raises 404 where there is none, and 403 where it may not be read. With a root,
--- no path leads out of it, wherever it comes from.
---@param self ServerResponse
---@param path string counted from the script's folder, or from the root
---@param options luaserve.FileOptions?
---@return self
function M.sendFile(self, path, options)
  return (require("luaserve.static").send_file(self, path, options, 2))
end

--- The same, to be saved by the browser under a name: that of the file, or name.
---@param self ServerResponse
---@param path string
---@param name string?
---@param options luaserve.FileOptions?
---@return self
function M.download(self, path, name, options)
  if type(name) == "table" then name, options = nil, name end
  if name ~= nil and type(name) ~= "string" then error("the name of a download is a string", 2) end
  if type(path) ~= "string" then error("res:download needs the path of a file, not " .. type(path), 2) end
  local had = self:getHeader("Content-Disposition")
  self:setHeader("Content-Disposition", require("luaserve.disposition").format("attachment", name or path))
  local ok, err = pcall(require("luaserve.static").send_file, self, path, options, 2)
  if ok then return self end
  if not had and not self.headersSent then self:removeHeader("Content-Disposition") end
  error(err, 0)
end

return M
