---@meta http2

--- For scripts that name it: servers of http and https speak HTTP/2, too.
---@class http2
local http2 = {}

---@type table<string, integer|string>
http2.constants = {}

--#region lua/node/http2.lua M=http2.
--- Makes a server whose requests go to onRequest(req, res), over HTTP/2 by prior
--- knowledge and over HTTP/1.1.
---@param options table|luaserve.Handler|nil as of http.createServer
---@param onRequest luaserve.Handler?
---@return Server
function http2.createServer(options, onRequest) end

--- Makes an encrypted server that speaks HTTP/2 by ALPN, and HTTP/1.1 too where
--- options.allowHTTP1 is true; otherwise a client that offers other protocols is
--- refused in the handshake, and one that offers none is answered with a 403.
---@param options table as of https.createServer, and allowHTTP1: boolean?
---@param onRequest luaserve.Handler?
---@return Server
function http2.createSecureServer(options, onRequest) end
--#endregion

return http2
