--- Node's tls, as far as https needs it: secure contexts out of options.
local core = require "luaserve.core"
local fs = require "fs"
local native = require "luaserve.core.tls"

local M = {}

--- A text, or a list of them, as a list; entries may be {pem = , passphrase = }.
local function list_of(value, name)
  if value == nil then return {} end
  if type(value) ~= "table" or value.pem then value = { value } end
  for _, entry in ipairs(value) do
    local pem = type(entry) == "table" and entry.pem or entry
    if type(pem) ~= "string" then
      error(("%s must be a string of PEM, or a list of them, not %s"):format(name, type(pem)), 0)
    end
  end
  return value
end

local function texts(list)
  local out = {}
  for i, entry in ipairs(list) do out[i] = type(entry) == "table" and entry.pem or entry end
  return out
end

local function read_files(paths)
  local out = {}
  for i, path in ipairs(type(paths) == "table" and paths or { paths }) do out[i] = fs.readFileSync(path) end
  return out
end

--- The options of certificates that are files, as texts. `x.pem.ocsp` beside the
--- first certificate is stapled.
local function with_files(options)
  if not options.certFile then return options end
  local read = setmetatable({}, { __index = options })
  read.cert = read_files(options.certFile)
  read.key = options.keyFile and read_files(options.keyFile)
  local path = (type(options.certFile) == "table" and options.certFile[1] or options.certFile) .. ".ocsp"
  if not options.ocsp and fs.existsSync(path) then read.ocsp = fs.readFileSync(path) end
  return read
end

local function check_version(options, name)
  local version = options[name]
  if version ~= nil and version ~= "TLSv1.2" and version ~= "TLSv1.3" then
    error(("%s must be TLSv1.2 or TLSv1.3, not %s"):format(name, tostring(version)), 0)
  end
end

local function make(options)
  check_version(options, "minVersion")
  check_version(options, "maxVersion")
  options = with_files(options)
  local keys = list_of(options.key, "key")
  local passphrases = {}
  for i = 1, math.max(#keys, #list_of(options.cert, "cert")) do
    passphrases[i] = type(keys[i]) == "table" and keys[i].passphrase or options.passphrase or false
  end
  local context, message = native.context {
    certs = texts(list_of(options.cert, "cert")), keys = texts(keys), passphrases = passphrases,
    cas = texts(list_of(options.ca, "ca")), ciphers = options.ciphers, ocsp = options.ocsp,
    minVersion = options.minVersion, maxVersion = options.maxVersion,
    requestCert = options.requestCert == true, allowUnauthorized = options.rejectUnauthorized == false,
  }
  if not context then error(message, 0) end
  return context
end

--- Makes a context for SNICallback and addContext, or says what is wrong.
---@param options table
---@return userdata? context, string? message
function M.tryContext(options)
  if native.isContext(options) then return options end
  local ok, result = pcall(make, options)
  if ok then return result end
  return nil, type(result) == "table" and result.message or tostring(result)
end

--- Makes a secure context: what a server shows and demands. Raises where the
--- options cannot work: no PEM, a key of another certificate, an expired
--- certificate, a wrong passphrase.
---@param options {cert: string|string[], key: string|string[], passphrase: string?, ca: string|string[]?,
---  ciphers: string?, minVersion: string?, maxVersion: string?, ocsp: string?}
---@return userdata context
function M.createSecureContext(options)
  local context, message = M.tryContext(options or {})
  if not context then error(core.error(message, "ERR_TLS_CONTEXT"), 2) end
  return context
end

return M
