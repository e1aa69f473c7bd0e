--- An https server for the specs: its options as Lua code, its handler as for
--- serve_handler.
local certs = require("spec.helper.certs")
local server = require("spec.helper.server")

local M = {}

local PAIR = [[cert = fs.readFileSync("cert.pem"), key = fs.readFileSync("key.pem"), ]]

--- Serves the handler's body over TLS. Options: cert (of certs.of; default one for
--- localhost), bare (no certificate in the options), tls (Lua text of
--- further fields of the options), before, after (code; the server is `server` in it), and those of helper.serve.
---@param body string
---@param opts table?
---@return spec.Process
function M.serve(body, opts)
  opts = opts or {}
  local pair = opts.cert or certs.of()
  local code = ([[
local https, fs = require("https"), require("fs")
%s
local server
server = https.createServer({ %s %s },
  function(req, res) %s
  end)
%s
server:listen(0, "127.0.0.1", function() print("port " .. server:address().port) end)
]]):format(opts.before or "", opts.bare and "" or PAIR, opts.tls or "", body, opts.after or "")
  local all = { files = {} }
  for name, value in pairs(opts) do
    all[name] = value
  end
  all.files["cert.pem"] = all.files["cert.pem"] or pair.cert
  all.files["key.pem"] = all.files["key.pem"] or pair.key
  local started = server.serve(code, all)
  started.tls = true
  return started
end

return M
