---@meta https

--- http, over TLS.
---@class https
local https = {}

--- A server of https has besides what http's have:
---@class https.Server: Server emits tlsClientError, too
---@field handshakeTimeout integer milliseconds
local methods = {}

--#region lua/node/https.lua M=https. methods=methods: not=listen
--- Reads all certificates that are files again; called on SIGHUP.
function https.reload() end

--- Has clients that ask for host get another certificate. host may begin with
--- "*."; adding a host again replaces its context.
---@param host string
---@param options table cert, key, ...; or a context of tls.createSecureContext
---@return self
function methods:addContext(host, options) end

--- Has every host that a certificate names get it: addContext for each of them.
---@param options table cert, key, ...
---@return self
function methods:addCertificate(options) end

--- Has new connections get another certificate; those that are open keep theirs.
---@param options table
---@return self
function methods:setSecureContext(options) end

--- The secret of session tickets, 48 bytes; servers that share it resume each
--- other's sessions.
---@return string
function methods:getTicketKeys() end

--- Sets it, for all servers of the process.
---@param keys string 48 bytes
---@return self
function methods:setTicketKeys(keys) end

--- Makes a server as http.createServer does, over TLS. Raises where the
--- certificate, the key or the passphrase is no good.
---@param options {cert: string|string[], key: string|string[], passphrase: string?, ca: string|string[]?, certFile: string|string[]?, keyFile: string|string[]?, SNICallback: fun(name: string, cb: function)?, requestCert: boolean?, rejectUnauthorized: boolean?, minVersion: string?, maxVersion: string?, ciphers: string?, ALPNProtocols: string[]?, ocsp: string?, ticketKeys: string?} and the limits of http
---@param onRequest luaserve.Handler?
---@return Server
function https.createServer(options, onRequest) end

--- A handler for an http server that sends every client to https:
--- `http.createServer(https.redirect()):listen(80)`.
---@param options {port: integer?, host: string?}? the https port (443), and the
---  host to send to where it is not the one that was asked for
---@return function handler
function https.redirect(options) end

--- Makes a request to another server, which is sent by its finish.
---@param first string|table a URL, or options
---@param second table? options
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function https.request(first, second, callback) end

--- The same without a body, sent at once.
---@param first string|table
---@param second table?
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function https.get(first, second, callback) end
--#endregion

return https
