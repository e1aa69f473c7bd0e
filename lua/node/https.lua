--- Node's https: http's server, encrypted. Certificates are checked when they are
--- given; exchanging them drops no connection.
local core = require "luaserve.core"
local http = require "http"
local native = require "luaserve.core.tls"
local tls = require "tls"

local M = {}

local BAD_OPTIONS = "ERR_TLS_CONTEXT"
local WATCH_MILLISECONDS = 2000

local function context_of(options, level)
  local context, message = tls.tryContext(options)
  if not context then error(core.error("https: " .. message, BAD_OPTIONS), level + 1) end
  return context
end

-- ---- SNICallback

--- Calls SNICallback and waits for its answer: a context, or options of one, that
--- is returned or given to cb(err, context).
local function ask(server, name)
  local answered, value, failure
  local waiter = core.waiter()
  local function answer(err, context)
    if answered then return end
    answered, failure, value = true, err, context
    waiter:wake()
  end
  local returned = server._sni(name, answer)
  if returned ~= nil then answer(nil, returned) end
  if not answered then waiter:wait() end
  if failure then error(failure, 0) end
  return value
end

local function context_for(server, name)
  local value = ask(server, name)
  if value == nil or native.isContext(value) then return value end
  local made = server._made[value]
  if not made then
    local message
    made, message = tls.tryContext(value)
    if not made then error(message, 0) end
    server._made[value] = made
  end
  return made
end

--- A client has named a host: whatever the callback does, the process and all
--- other clients are unharmed; this one is refused where it fails.
local function on_name(server, handle, id)
  local name = native.asked(handle, id)
  if not name then return end
  local ok, result = pcall(context_for, server, name)
  if not ok then
    core.log("error", ("SNICallback for %s: %s"):format(name, tostring(result)))
    result = false
  end
  native.answer(handle, id, result)
end

-- ---- files that change

local function paths_of(options)
  local paths = {}
  for _, field in ipairs { "certFile", "keyFile" } do
    local value = options[field]
    for _, path in ipairs(type(value) == "table" and value or { value }) do paths[#paths + 1] = path end
  end
  return paths
end

--- What differs where any of the files has changed, or the OCSP response beside the
--- first.
local function stamp_of(paths)
  local fs = require "fs"
  local parts = {}
  for i = 0, #paths do
    local ok, stat = pcall(fs.statSync, paths[i] or paths[1] .. ".ocsp")
    parts[#parts + 1] = ok and ("%s %s %s"):format(stat.mtimeMs, stat.size, stat.ino) or "gone"
  end
  return table.concat(parts, "\n")
end

-- Certificates that are files: {key, apply, paths, stamp}; one for each key.
local watched = {}

--- Reads the files again; the certificate in use stays where they are no good.
local function reread(entry)
  local ok, message = pcall(entry.apply)
  local names = table.concat(entry.paths, ", ")
  if ok then
    core.log("info", "certificates read again: " .. names)
  else
    core.log("error", ("%s; the certificate in use stays (%s)"):format(
      type(message) == "table" and message.message or tostring(message), names))
  end
end

--- Reads all certificates that are files again; called on SIGHUP.
function M.reload()
  for _, entry in ipairs(watched) do
    entry.stamp = stamp_of(entry.paths)
    reread(entry)
  end
end

local function look()
  for _, entry in ipairs(watched) do
    local stamp = stamp_of(entry.paths)
    -- Changed, and at rest: both files have been written by now.
    if stamp ~= entry.stamp and stamp == entry.seen then
      entry.stamp = stamp
      reread(entry)
    end
    entry.seen = stamp
  end
end

local timer

--- Has apply called when the files of options change. What was watched under that
--- key is no longer: other certificates have its place.
local function watch(key, options, apply)
  for i = #watched, 1, -1 do
    if watched[i].key == key then table.remove(watched, i) end
  end
  if native.isContext(options) or not options.certFile then return end
  local paths = paths_of(options)
  watched[#watched + 1] = { key = key, apply = apply, paths = paths, stamp = stamp_of(paths) }
  timer = timer or require("timers").setInterval(look, WATCH_MILLISECONDS):unref()
end

--- What a server's certificate for a host is watched under; "" is the standard one.
local function watch_key(server, host)
  local keys = rawget(server, "_watchKeys")
  if not keys then
    keys = {}
    rawset(server, "_watchKeys", keys)
  end
  keys[host] = keys[host] or {}
  return keys[host]
end

-- ---- the server's own methods

local methods = {}

-- What all contexts of a server share unless they say otherwise.
local function inherit(server, options)
  if native.isContext(options) then return options end
  local base = server._secure
  return setmetatable({ ca = options.ca or base.ca, ciphers = options.ciphers or base.ciphers,
    minVersion = options.minVersion or base.minVersion }, { __index = options })
end

--- Has clients that ask for host get another certificate. host may begin with
--- "*."; adding a host again replaces its context.
---@param host string
---@param options table cert, key, ...; or a context of tls.createSecureContext
---@return self
function methods:addContext(host, options)
  if type(host) ~= "string" then error("addContext needs the name of a host", 2) end
  if type(options) ~= "table" and not native.isContext(options) then
    error("addContext needs options: {cert = ..., key = ...}", 2)
  end
  local context = context_of(inherit(self, options), 2)
  if not native.add(self._handle, host, context) then error("not the name of a host: " .. host, 2) end
  self._contexts = true
  watch(watch_key(self, host:lower()), options, function()
    native.add(self._handle, host, tls.createSecureContext(inherit(self, options)))
  end)
  return self
end

--- Has every host that a certificate names get it: addContext for each of them.
---@param options table cert, key, ...
---@return self
function methods:addCertificate(options)
  local function add()
    local context = context_of(inherit(self, options), 3)
    for _, host in ipairs(native.names(context)) do native.add(self._handle, host, context) end
  end
  add()
  self._contexts = true
  watch({}, options, add)
  return self
end

--- Has new connections get another certificate; those that are open keep theirs.
---@param options table
---@return self
function methods:setSecureContext(options)
  if type(options) ~= "table" and not native.isContext(options) then
    error("setSecureContext needs options: {cert = ..., key = ...}", 2)
  end
  local merged = type(options) == "table" and inherit(self, options) or options
  native.secure(self._handle, context_of(merged, 2))
  self._contexts = true
  watch(watch_key(self, ""), options, function()
    native.secure(self._handle, tls.createSecureContext(merged))
  end)
  return self
end

--- The secret of session tickets, 48 bytes; servers that share it resume each
--- other's sessions.
---@return string
function methods.getTicketKeys()
  return native.ticketKeys()
end

--- Sets it, for all servers of the process.
---@param keys string 48 bytes
---@return self
function methods:setTicketKeys(keys)
  native.ticketKeys(keys)
  return self
end

--- As http's; an https server needs a certificate, or a way to get one.
function methods:listen(...)
  if not self._contexts and not self._sni then
    error("the https server has no certificate: give createServer cert and key, or addContext, or SNICallback", 2)
  end
  return self._listen(self, ...)
end

-- ---- making one

local function has_certificate(options)
  return options.cert ~= nil or options.key ~= nil or options.certFile ~= nil
end

local function set_up(server, options, level)
  local handle = server._handle
  local context = context_of(options, level + 1)
  native.secure(handle, has_certificate(options) and context or nil)
  native.demand(handle, context)
  rawset(server, "_contexts", has_certificate(options))
  if options.ALPNProtocols then
    local ok, name = native.offer(handle, options.ALPNProtocols)
    if not ok then error("ALPNProtocols: " .. name .. " is not spoken here", level + 1) end
  end
  if options.SNICallback then
    rawset(server, "_sni", options.SNICallback)
    rawset(server, "_made", setmetatable({}, { __mode = "k" }))
    rawset(server, "_choose", function(id) return on_name(server, handle, id) end)
    native.askNames(handle)
  end
  watch(watch_key(server, ""), options, function() native.secure(handle, tls.createSecureContext(options)) end)
end

--- Makes a server as http.createServer does, over TLS. Raises where the
--- certificate, the key or the passphrase is no good.
---@param options {cert: string|string[], key: string|string[], passphrase: string?, ca: string|string[]?,
---  certFile: string|string[]?, keyFile: string|string[]?, SNICallback: fun(name: string, cb: function)?,
---  requestCert: boolean?, rejectUnauthorized: boolean?, minVersion: string?, maxVersion: string?,
---  ciphers: string?, ALPNProtocols: string[]?, ocsp: string?, ticketKeys: string?} and the limits of http
---@param onRequest luaserve.Handler?
---@return Server
function M.createServer(options, onRequest)
  if type(options) ~= "table" or (getmetatable(options) or {}).__call then
    error("https.createServer needs options: {cert = ..., key = ...}", 2)
  end
  local server = http._create(options, onRequest, 2)
  rawset(server, "_secure", options)
  if options.ticketKeys then native.ticketKeys(options.ticketKeys) end
  set_up(server, options, 2)
  rawset(server, "_listen", server.listen)
  for name, fn in pairs(methods) do rawset(server, name, fn) end
  return server
end

M.Server = M.createServer

-- ---- from http to https

--- A handler for an http server that sends every client to https:
--- `http.createServer(https.redirect()):listen(80)`.
---@param options {port: integer?, host: string?}? the https port (443), and the
---  host to send to where it is not the one that was asked for
---@return function handler
function M.redirect(options)
  options = options or {}
  local port = options.port and options.port ~= 443 and ":" .. options.port or ""
  return function(req, res)
    local asked = req.headers.host or ""
    local host = options.host or asked:match("^(%[[%x:.]+%])") or asked:match("^([%w_.-]+)")
    local path = req.url:sub(1, 1) == "/" and req.url or "/"
    if not host then
      res.statusCode = 400
      return res:finish("this is served over https\n")
    end
    -- 308 keeps the method and the body (RFC 9110 15.4.9); old clients know 301.
    res.statusCode = (req.method == "GET" or req.method == "HEAD") and 301 or 308
    res:setHeader("Location", "https://" .. host .. port .. path)
    res:finish()
  end
end

-- ---- requests to other servers: lua/luaserve/client.lua

--- Makes a request to another server, which is sent by its finish.
---@param first string|table a URL, or options
---@param second table? options
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function M.request(first, second, callback)
  return require("luaserve.client").request("https:", first, second, callback)
end

--- The same without a body, sent at once.
---@param first string|table
---@param second table?
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function M.get(first, second, callback)
  return require("luaserve.client").get("https:", first, second, callback)
end

return M
