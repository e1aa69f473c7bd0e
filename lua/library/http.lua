---@meta http

--- Node's http: servers, requests, responses, and requests to other servers.
---@class http
local http = {}

--- The phrases by status.
---@type table<integer, string>
http.STATUS_CODES = {}

--- The methods that requests may have.
---@type string[]
http.METHODS = {}

-- ---- servers

--#region lua/node/http.lua M=http. Server=Server:
---@class Server: EventEmitter emits request, checkContinue, upgrade, connection, clientError, listening, error, close
---@field listening boolean
---@field keepAliveTimeout integer milliseconds, as all of these that are times
---@field headersTimeout integer
---@field requestTimeout integer
---@field handlerTimeout integer
---@field writeTimeout integer
---@field maxHeadersCount integer
---@field maxHeaderSize integer bytes, as all of these that are sizes
---@field maxRequestLineSize integer
---@field maxTrailerSize integer
---@field maxBodySize integer
---@field minBodyRate integer bytes a second
---@field maxConnections integer 0: those of the process
---@field maxRequestsPerSocket integer 0: any number
local Server = {}

--- Makes a server whose requests go to onRequest(req, res).
---@param options table|luaserve.Handler|nil fields are limits, as on the server
---@param onRequest luaserve.Handler?
---@return Server
function http.createServer(options, onRequest) end

--- Listens on a port, a path of a Unix socket, or {port, host, path, backlog};
--- without a host on all interfaces. Events follow later: "listening", which the
--- callback listens to, or "error".
---@param ... any port | path | options [, host] [, backlog] [, callback]
---@return self
function Server:listen(...) end

--- The address listened on: {address, family, port}, the path of a Unix socket,
--- or nil.
---@return table|string|nil
function Server:address() end

--- Stops accepting, ends idle connections, and calls back when the last request
--- has been answered; with an error where the server was not open.
---@param callback fun(err: table?)?
---@return self
function Server:close(callback) end

--- Cuts all connections.
---@return self
function Server:closeAllConnections() end

--- Closes the connections on which no request is under way.
---@return self
function Server:closeIdleConnections() end

--- The count of open connections, to callback(nil, count) or as a result.
---@param callback fun(err: nil, count: integer)?
---@return integer
function Server:getConnections(callback) end

--- Makes a request to another server, which is sent by its finish.
---@param first string|table a URL, or options
---@param second table? options
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function http.request(first, second, callback) end

--- The same without a body, sent at once.
---@param first string|table
---@param second table?
---@param callback fun(res: ClientAnswer)?
---@return ClientRequest
function http.get(first, second, callback) end
--#endregion

http.Server = http.createServer

-- ---- what is read

--- Requests, sockets, answers and files: they are read alike.
---@class Readable: EventEmitter
local Readable = {}

--- The next bytes, nil at the end, or nil, "aborted"; waits for them.
---@return string?
---@return string? message
function Readable:read() end

--- For the sake of scripts from Node: chunks are Lua strings in any encoding.
---@return self
function Readable:setEncoding() end

--#region lua/luaserve/readable.lua M=Readable: not=start,stop
--- Stops "data" after the chunk at hand, until resume.
---@return self
function Readable:pause() end

--- Lets "data" go on; without a listener what comes is read and dropped.
---@return self
function Readable:resume() end

---@return boolean
function Readable:isPaused() end

--- Iterates over the chunks as they come: `for chunk in req:chunks() do`. It ends
--- where the client is gone, too; then `req.complete` is false.
---@return fun(): string?
function Readable:chunks() end

--- Copies what comes into a writable (a response, a file stream), no faster than
--- it is taken there, and finishes it; where the client goes away before the end,
--- the target is destroyed.
---@param target table
---@return table target
function Readable:pipe(target) end
--#endregion

-- ---- requests

--#region lua/luaserve/incoming.lua Request=IncomingMessage: not=pause,resume
---@class IncomingMessage: EventEmitter emits data, end, aborted, error, close
---@field method string
---@field url string as it was sent
---@field httpVersion "1.0"|"1.1"|"2.0"
---@field headers table<string, string|string[]> lower-case names, joined by Node's rules
---@field rawHeaders string[] names and values as they were sent
---@field trailers table<string, string> after the end of the body
---@field rawTrailers string[]
---@field complete boolean the whole request has arrived
---@field aborted boolean the client went away before the answer was complete
---@field socket Socket
---@field path string|false decoded, without dot segments; false where it cannot be decoded
---@field query table<string, string|string[]>
---@field cookies table<string, string>
---@field signedCookies table<string, string|false> false where the signature does not fit
---@field session luaserve.Session behind luaserve.session()
---@field ip string of the client
---@field ips string[] those of the client and the proxies behind it, where "trust proxy" is set
---@field hostname string? of the Host, without its port
---@field protocol string "http" or "https"
---@field secure boolean
---@field app App? that serves it, with these:
---@field params table<string, string> of the route's pattern
---@field id string that no other request has
local IncomingMessage = {}

--- For the sake of scripts from Node: chunks are Lua strings in any encoding.
---@return self
function IncomingMessage:setEncoding() end
--#endregion

---@class IncomingMessage: Readable
---@field user string? behind luaserve.basicAuth and luaserve.jwt
---@field auth table<string, any>? the claims of the token, behind luaserve.jwt
---@field body any behind luaserve.validate
---@field files table<string, luaserve.UploadedFile|luaserve.UploadedFile[]>? behind req:form()
---@field traceparent string? behind luaserve.requestId
---@field trace {id: string, span: string, parent: string?, flags: integer}? behind luaserve.requestId

--- Cuts the connection.
---@return self
function IncomingMessage:destroy() end

--#region lua/luaserve/body.lua Request=IncomingMessage:
--- Waits for the whole body: its bytes, decoded where it has a Content-Encoding
--- (gzip, deflate, br, zstd). Raises 413 over the limit, 415 where the coding is
--- not known, 400 where it is malformed.
---@param limit integer? bytes, also of what is decoded; else the server's maxBodySize
---@return string? body nil, "aborted" where the client is gone
---@return string? message
function IncomingMessage:raw(limit) end

--- Waits for the whole body, as UTF-8 where the client says that it is something
--- else (us-ascii, iso-8859-1, utf-16, or UTF-16 by its byte order mark). Raises
--- as `raw` does, and 415 where the charset is not known.
---@param limit integer? bytes, else the server's maxBodySize
---@return string? body nil, "aborted" where the client is gone
---@return string? message
function IncomingMessage:text(limit) end

--- Waits for the body and decodes it as JSON. Raises 400 where it is malformed,
--- 413 over the limit, 415 where the Content-Type says it is something else.
---@return any value nil, "aborted" where the client is gone
---@return string? message
function IncomingMessage:json() end

--- Waits for the body and decodes it as a form: application/x-www-form-urlencoded,
--- or multipart/form-data, whose files are then in `req.files` and, while the
--- request lasts, on disk. Raises 413 over a limit, 400 where it is malformed, 415
--- where it is something else. Options are the limits of `luaserve.multipart`.
---@param options table?
---@return table<string, string|string[]>? form nil, "aborted" where the client is gone
---@return table|string|nil files the same as req.files; or the message
function IncomingMessage:form(options) end

--- Iterates over the parts of a multipart/form-data body as they come, each of
--- which is read before the next one: `for part in req:parts() do`. Raises as
--- `form` does, and where the client goes away.
---@param options table?
---@return fun(): Part?
function IncomingMessage:parts(options) end
--#endregion

--#region lua/luaserve/ask.lua M=IncomingMessage:
--- A header of the request by its name in any case; "referrer" is "referer".
---@param name string
---@return string|string[]|nil
function IncomingMessage:get(name) end

--- Whether the body is of one of the types, as extensions ("json"), types
--- ("text/html"), patterns ("text/*"), or suffixes ("+json").
---@param ... string|string[]
---@return string|false|nil kind as it was asked for, or, for a pattern, the body's; nil without a body
function IncomingMessage:is(...) end

--- The one of the types, given as extensions or media types, that the client
--- wants most, as it was given; false where it accepts none. Without arguments:
--- all that it names, the best one first.
---@param ... string|string[]
---@return string|false|string[]
function IncomingMessage:accepts(...) end

--- The same for content codings; "identity" is accepted unless it is refused.
---@param ... string|string[]
---@return string|false|string[]
function IncomingMessage:acceptsEncodings(...) end

--- The same for character sets.
---@param ... string|string[]
---@return string|false|string[]
function IncomingMessage:acceptsCharsets(...) end

--- The same for languages; "en" and "en-GB" accept each other.
---@param ... string|string[]
---@return string|false|string[]
function IncomingMessage:acceptsLanguages(...) end
--#endregion

-- ---- responses

--#region lua/luaserve/outgoing.lua Response=ServerResponse: not=methods
---@class ServerResponse: EventEmitter emits finish, close, drain
---@field statusCode integer
---@field statusMessage string? nil: the usual one
---@field headersSent boolean
---@field writableEnded boolean finish was called
---@field writableFinished boolean all was handed to the kernel, where "finish" is listened to
local ServerResponse = {}

--- Calls fn(res) once, before the head leaves, in the coroutine that commits it;
--- it may set headers and wait.
---@param fn fun(res: ServerResponse)
---@return self
function ServerResponse:onHead(fn) end

--- Calls fn(res) once when the response is over, complete or cut off.
---@param fn fun(res: ServerResponse)
---@return self
function ServerResponse:onFinish(fn) end
--#endregion

---@class ServerResponse
---@field req IncomingMessage

--- Sets a header; a list of values is sent in a line each. Raises where the head has left.
---@param name string
---@param value string|number|string[]
---@return self
function ServerResponse:setHeader(name, value) end

--- Adds to what is set.
---@param name string
---@param value string|number|string[]
---@return self
function ServerResponse:appendHeader(name, value) end

---@param name string
---@return self
function ServerResponse:removeHeader(name) end

---@param name string
---@return string|number|string[]|nil
function ServerResponse:getHeader(name) end

---@return table<string, string|number|string[]> headers names in lower case
function ServerResponse:getHeaders() end

---@return string[]
function ServerResponse:getHeaderNames() end

---@param name string
---@return boolean
function ServerResponse:hasHeader(name) end

--- Sets all of the head at once; it leaves with the first byte of the body.
---@param status integer
---@param reason string|table|nil the phrase; or the headers
---@param headers table? names, or a list {"Name", "value", ...}
---@return self
function ServerResponse:writeHead(status, reason, headers) end

--- Sends the head now.
---@return self
function ServerResponse:flushHeaders() end

--- Sends a part of the body. Waits where the client is behind; with a callback, or where it cannot wait, it returns
--- false, and "drain" follows.
---@param chunk string
---@param callback fun(err: table?)?
---@return boolean? ok nil, "closed" or "write after end" where it cannot be sent
---@return string? message
function ServerResponse:write(chunk, callback) end

--- Sends the rest: Node's `end`, which is a keyword in Lua.
---@param chunk string?
---@param callback fun()?
---@return self
function ServerResponse:finish(chunk, callback) end

--- Sent behind a chunked body.
---@param headers table<string, string>
---@return self
function ServerResponse:addTrailers(headers) end

--- Sends 100 Continue.
---@return self
function ServerResponse:writeContinue() end

--- Sends 103 with {link = value or list}.
---@param links {link: string|string[]}
---@return self
function ServerResponse:writeEarlyHints(links) end

--- Cuts the connection.
---@return self
function ServerResponse:destroy() end

--#region lua/luaserve/reply.lua M=ServerResponse:
--- Sets the status of the answer, 200 to 999.
---@param code integer
---@return self
function ServerResponse:status(code) end

--- Sends a value as JSON. Raises where it is none, and names the place.
---@param value any
---@return self
function ServerResponse:json(value) end

--- Sends a body: a string is HTML where it begins with "<", else plain text, a
--- table, number or boolean is JSON, nil is nothing. A Content-Type that was set
--- stays.
---@param body string|table|number|boolean|nil
---@return self
function ServerResponse:send(body) end

--- Sends a string as HTML.
---@param text string
---@return self
function ServerResponse:html(text) end

--- Sends a string as plain text.
---@param text string
---@return self
function ServerResponse:text(text) end

--- Sends a view, a template in a file below the folder of the setting "views", as HTML.
--- Raises where it is not there, or fails. Waits where it has to be read.
---@param name string a path in that folder; without an extension, .html is meant
---@param data table? what the template finds as its globals
---@return self
function ServerResponse:render(name, data) end

--- Sets the Content-Type: of an extension or a file name ("html", "a.png"), or as
--- it is given ("text/x-mine").
---@param kind string
---@return self
function ServerResponse:type(kind) end

--- Adds names of request headers to Vary, each once; "*" stands alone.
---@param ... string|string[]
---@return self
function ServerResponse:vary(...) end

--- Sends the browser elsewhere: 302, or the code that is given first. Raises 400
--- for a url that leads to another site without looking so; see the options.
---@param code integer|string the url, where there is no code
---@param url string?
---@param options {sameOrigin: boolean?, fallback: string?, hosts: string[]?, external: boolean?}?
---@return self
function ServerResponse:redirect(code, url, options) end

--- Sets a cookie. Raises for what a browser would not take: see the reference.
---@param name string
---@param value string|number|boolean
---@param options luaserve.CookieOptions?
---@return self
function ServerResponse:cookie(name, value, options) end

--- Has the browser forget a cookie; the options are those that it was set with.
---@param name string
---@param options luaserve.CookieOptions?
---@return self
function ServerResponse:clearCookie(name, options) end

--- Has the browser save the answer, under that name.
---@param name string?
---@return self
function ServerResponse:attachment(name) end

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
---@param path string counted from the script's folder, or from the root
---@param options luaserve.FileOptions?
---@return self
function ServerResponse:sendFile(path, options) end

--- The same, to be saved by the browser under a name: that of the file, or name.
---@param path string
---@param name string?
---@param options luaserve.FileOptions?
---@return self
function ServerResponse:download(path, name, options) end
--#endregion

-- ---- sockets

--#region lua/luaserve/socket.lua Socket=Socket: not=resume
---@class Socket: EventEmitter emits data, end, drain, error, close
---@field remoteAddress string? of the client; a Unix socket has none
---@field remotePort integer?
---@field localAddress string?
---@field localPort integer?
---@field encrypted boolean
---@field authorized boolean? the client has shown a certificate that is trusted
---@field authorizationError string? why not, where one was asked for
---@field alpnProtocol string|false|nil
---@field servername string? the host that the client has asked for
---@field writable boolean
---@field destroyed boolean
local Socket = {}

--- The next bytes, nil at the end, or nil, "aborted"; waits for them.
---@return string?
---@return string? message
function Socket:read() end

--- Sends bytes as they are. Over the mark it waits where it can; with a callback,
--- or where it cannot wait, it returns false and "drain" follows.
---@param chunk string
---@param callback fun(err: table?)?
---@return boolean? ok, string? message
function Socket:write(chunk, callback) end

--- Sends the last bytes, if any, and closes when they have left.
---@param chunk string?
---@param callback fun()? when it has closed
---@return self
function Socket:finish(chunk, callback) end

--- Closes at once. What was written before is sent if the client takes it now.
---@return self
function Socket:destroy() end
--#endregion

---@class Socket: Readable

--- The certificate that the client has shown: {subject, issuer, valid_from, valid_to, serialNumber, fingerprint...}.
---@return table?
function Socket:getPeerCertificate() end

---@return {name: string, standardName: string, version: string}?
function Socket:getCipher() end

---@return string? protocol "TLSv1.3"
function Socket:getProtocol() end

---@return boolean
function Socket:isSessionReused() end

-- ---- requests to other servers

--#region lua/luaserve/client.lua Request=ClientRequest: Answer=ClientAnswer: not=read,setEncoding
---@class ClientAnswer: EventEmitter emits data, end, aborted, error, close
---@field statusCode integer
---@field statusMessage string
---@field httpVersion string
---@field headers table<string, string|string[]>
---@field rawHeaders string[]
---@field trailers table<string, string> after the end
---@field complete boolean all of it has arrived
local ClientAnswer = {}

--- Ends it before all has been read; its connection is closed.
---@return self
function ClientAnswer:destroy() end

---@class ClientRequest: EventEmitter emits response, error, finish, drain, timeout, close
---@field method string
---@field path string
---@field host string
---@field protocol string
---@field destroyed boolean
---@field writableEnded boolean finish was called
---@field reusedSocket boolean?
local ClientRequest = {}

--- Sets a header, before anything was sent.
---@param name string
---@param value string|number|string[]
---@return self
function ClientRequest:setHeader(name, value) end

---@param name string
---@return string|number|string[]|nil
function ClientRequest:getHeader(name) end

---@param name string
---@return boolean
function ClientRequest:hasHeader(name) end

---@param name string
---@return self
function ClientRequest:removeHeader(name) end

--- Sends a part of the body: in chunks, unless a Content-Length was set. Where it
--- returns false, "drain" follows.
---@param chunk string
---@param callback fun()?
---@return boolean? room nil, message where the request is over
---@return string? message
function ClientRequest:write(chunk, callback) end

--- Sends the request, or the last of it. Node's `end`, which is a word of Lua's;
--- `request["end"]` is the same.
---@param chunk string?
---@param callback fun()?
---@return self
function ClientRequest:finish(chunk, callback) end

--- Ends it: "error" where err is given or no answer had begun, then "close".
---@param err any?
---@return self
function ClientRequest:destroy(err) end

--- Emits "timeout" where no answer has come after so many milliseconds; the
--- listener may destroy the request.
---@param milliseconds number 0: never
---@param callback fun()?
---@return self
function ClientRequest:setTimeout(milliseconds, callback) end

--- Sends the head alone; the body follows with write and finish.
---@return self
function ClientRequest:flushHeaders() end
--#endregion

---@class ClientAnswer: Readable

return http
