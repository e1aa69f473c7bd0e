---@meta tls

--- Contexts of TLS: what a server shows and demands.
---@class tls
local tls = {}

--#region lua/node/tls.lua M=tls.
--- Makes a context for SNICallback and addContext, or says what is wrong.
---@param options table
---@return userdata? context, string? message
function tls.tryContext(options) end

--- Makes a secure context: what a server shows and demands. Raises where the
--- options cannot work: no PEM, a key of another certificate, an expired
--- certificate, a wrong passphrase.
---@param options {cert: string|string[], key: string|string[], passphrase: string?, ca: string|string[]?, ciphers: string?, minVersion: string?, maxVersion: string?, ocsp: string?}
---@return userdata context
function tls.createSecureContext(options) end
--#endregion

return tls
