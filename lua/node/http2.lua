--- Node's http2. Servers of http and https speak HTTP/2 already, where a client
--- begins with it (prior knowledge, "h2c") or asks for it by ALPN, on the same port
--- and with the same handler as HTTP/1.1; so this is http under Node's other name,
--- and Node's constants.
local http = require "http"

local M = {}

--- Error codes, and header names as Node spells them.
M.constants = {
  NGHTTP2_NO_ERROR = 0,
  NGHTTP2_PROTOCOL_ERROR = 1,
  NGHTTP2_INTERNAL_ERROR = 2,
  NGHTTP2_FLOW_CONTROL_ERROR = 3,
  NGHTTP2_SETTINGS_TIMEOUT = 4,
  NGHTTP2_STREAM_CLOSED = 5,
  NGHTTP2_FRAME_SIZE_ERROR = 6,
  NGHTTP2_REFUSED_STREAM = 7,
  NGHTTP2_CANCEL = 8,
  NGHTTP2_COMPRESSION_ERROR = 9,
  NGHTTP2_CONNECT_ERROR = 10,
  NGHTTP2_ENHANCE_YOUR_CALM = 11,
  NGHTTP2_INADEQUATE_SECURITY = 12,
  NGHTTP2_HTTP_1_1_REQUIRED = 13,
  HTTP2_HEADER_STATUS = ":status",
  HTTP2_HEADER_METHOD = ":method",
  HTTP2_HEADER_AUTHORITY = ":authority",
  HTTP2_HEADER_SCHEME = ":scheme",
  HTTP2_HEADER_PATH = ":path",
  HTTP2_HEADER_PROTOCOL = ":protocol",
}

for status, phrase in pairs(http.STATUS_CODES) do
  local name = phrase:upper():gsub("'", ""):gsub("%W+", "_")
  M.constants["HTTP_STATUS_" .. name] = status
end

for _, method in ipairs(http.METHODS) do
  M.constants["HTTP2_METHOD_" .. method:gsub("%W", "_")] = method
end

for name in ([[accept accept-encoding accept-language accept-ranges age allow authorization cache-control connection
content-disposition content-encoding content-language content-length content-location content-range content-type
cookie date etag expect expires forwarded from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified link location max-forwards origin prefer range referer refresh retry-after server
set-cookie strict-transport-security te trailer transfer-encoding upgrade user-agent vary via
www-authenticate]]):gmatch("%S+") do
  M.constants["HTTP2_HEADER_" .. name:upper():gsub("%-", "_")] = name
end

--- Makes a server whose requests go to onRequest(req, res), over HTTP/2 by prior
--- knowledge and over HTTP/1.1.
---@param options table|luaserve.Handler|nil as of http.createServer
---@param onRequest luaserve.Handler?
---@return Server
function M.createServer(options, onRequest)
  return http.createServer(options, onRequest)
end

--- Makes an encrypted server that speaks HTTP/2 by ALPN, and HTTP/1.1 too where
--- options.allowHTTP1 is true; otherwise a client that offers other protocols is
--- refused in the handshake, and one that offers none is answered with a 403.
---@param options table as of https.createServer, and allowHTTP1: boolean?
---@param onRequest luaserve.Handler?
---@return Server
function M.createSecureServer(options, onRequest)
  if type(options) ~= "table" then error("http2.createSecureServer needs options: {cert = ..., key = ...}", 2) end
  local copy = { ALPNProtocols = options.allowHTTP1 and { "h2", "http/1.1" } or { "h2" } }
  for name, value in pairs(options) do copy[name] = value end
  return require("https").createServer(copy, onRequest)
end

return M
