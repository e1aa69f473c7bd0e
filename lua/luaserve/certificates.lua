--- The certificates of the command line: --tls-cert with --tls-key, or --tls dev.
local core = require "luaserve.core"
local fs = require "fs"
local https = require "https"
local native = require "luaserve.core.tls"

local M = {}

--- Where the user's data of programs is kept (XDG Base Directory).
local function data_folder()
  local env = require("process").env
  local base = env.XDG_DATA_HOME
  if not base or base:sub(1, 1) ~= "/" then
    if not env.HOME then return nil end
    base = env.HOME .. "/.local/share"
  end
  return base .. "/luaserve"
end

local HINT = [[--tls dev: the certificate for localhost is signed by your own authority, %s.
  curl --cacert %s https://localhost:PORT/
  system:  sudo cp %s /usr/local/share/ca-certificates/luaserve-dev.crt && sudo update-ca-certificates
  browser: settings, certificates, authorities: import that file]]

--- Makes, or finds, the certificate for development.
local function dev_pair(give_up)
  local folder = data_folder()
  if not folder then give_up("--tls dev: set HOME or XDG_DATA_HOME: the certificate is kept there", 1) end
  local made, why = pcall(fs.mkdirSync, folder, { recursive = true, mode = tonumber("700", 8) })
  if not made then give_up("--tls dev: " .. tostring(why), 1) end
  local fresh, message = native.dev(folder)
  if fresh == nil then give_up("--tls dev: " .. tostring(message), 1) end
  local ca = folder .. "/ca.pem"
  if fresh then
    core.log("info", HINT:format(ca, ca, ca))
  else
    core.log("info", "--tls dev: trust " .. ca .. " to be shown no warnings")
  end
  return { cert = { folder .. "/localhost.pem" }, key = { folder .. "/localhost.key" } }
end

--- A function that makes a server for an app, with the certificates given: the
--- first pair is the standard one, each further pair serves the hosts it names.
---@param tls {cert: string[], key: string[], dev: boolean}
---@param give_up fun(message: string, code: integer)
---@return fun(app: any): Server
function M.creator(tls, give_up)
  local pair = tls.dev and dev_pair(give_up) or tls
  return function(app)
    local ok, server
    for i, cert in ipairs(pair.cert) do
      local options = { certFile = cert, keyFile = pair.key[i] }
      if i == 1 then
        ok, server = pcall(https.createServer, options, app)
      else
        ok, options = pcall(server.addCertificate, server, options)
      end
      if not ok then
        local err = i == 1 and server or options
        give_up(("--tls-cert %s: %s"):format(cert, (tostring(err):gsub("^.-https: ", ""))), 1)
      end
    end
    return server
  end
end

return M
