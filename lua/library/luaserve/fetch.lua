---@meta luaserve.fetch

---@class luaserve.FetchOptions
---@field method string?
---@field headers table<string, string|string[]>?
---@field query table?
---@field body string|function|table|nil
---@field json any
---@field form table?
---@field timeout number? seconds (30)
---@field connectTimeout number? seconds (10)
---@field maxBodySize integer? bytes (16 MiB)
---@field stream boolean? the body is not collected
---@field redirect "follow"|"manual"|"error"|nil
---@field maxRedirects integer? 20
---@field decompress boolean?
---@field httpVersion "1.1"|"2"|nil
---@field verify boolean?
---@field ca string? PEM
---@field cert string? PEM
---@field key string? PEM
---@field passphrase string?
---@field socketPath string?
---@field proxy string?

--#region lua/luaserve/fetch.lua Response=Answer: not=line,fetch
---@class fetch.Response
---@field status integer
---@field statusText string "" on HTTP/2
---@field ok boolean the status is 200 to 299
---@field headers table<string, string|string[]> by lower-case name; set-cookie is a list
---@field httpVersion "1.0"|"1.1"|"2.0"
---@field url string that was answered, behind redirects
---@field redirected boolean
---@field body string? all of it, unless it was asked for as a stream
local Answer = {}

--- The next bytes of a streamed body, nil at the end; waits for them.
---@return string? chunk nil, message, code where the rest does not come
---@return string? message
---@return string? code
function Answer:read() end

--- Iterates over the body as it comes; raises where the rest of it does not come.
---@return fun(): string?
function Answer:chunks() end

--- All of the body.
---@return string? text nil, message, code where it does not come, or is over maxBodySize
---@return string? message
---@return string? code
function Answer:text() end

--- The body, read as JSON.
---@return any value nil, message, code where it is none
---@return string? message
---@return string? code
function Answer:json() end

--- Ends a streamed answer of which no more is wanted.
function Answer:cancel() end

--- Copies the body into a writable (a response, a file), no faster than it is taken
--- there, and finishes it; half a body destroys it instead.
---@param target table
---@return table target
function Answer:pipe(target) end

--- Fields that arrived behind the body.
---@return table<string, string|string[]>
function Answer:trailers() end
--#endregion

--- Sends a request and waits for the answer, or calls the callback with it.
---@param url string|url.URL
---@param options luaserve.FetchOptions?
---@param callback fun(err: table?, answer: fetch.Response?)?
---@return fetch.Response? answer nil, message, code where there is none
---@return string? message
---@return string? code "ECONNREFUSED", "ENOTFOUND", "ETIMEDOUT", "ERR_TLS_CERT"...
local function fetch(url, options, callback) end

return fetch
