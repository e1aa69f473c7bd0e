--- A redis-server for the specs, on a free port and a Unix socket in a folder of
--- its own: `local redis = require("spec.helper.redis").start()`.
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")
local ports = require("spec.helper.ports")
local socket = require("socket")

local M = {}

local function answers(port)
  local conn = socket.tcp()
  conn:settimeout(1)
  local ok = conn:connect("127.0.0.1", port)
  conn:close()
  return ok ~= nil
end

--- Starts one and waits until it answers. Options: port (a free one), password, on (a machine of
--- machines.lua, whose address it has then; else 127.0.0.1), tls (a pair of certs.of: the port
--- speaks TLS), keep (a folder where it finds what one before it has stored).
---@param opts table?
---@return table server a process with port and path
function M.start(opts)
  opts = opts or {}
  local dir, port, host = files.tmpdir(), opts.port or ports.free(), opts.on and opts.on.host or "127.0.0.1"
  local argv = { "redis-server", "--save", "", "--appendonly", opts.keep and "yes" or "no", "--appendfsync", "always",
    "--dir", opts.keep or dir, "--unixsocket", dir .. "/s", "--enable-debug-command", "yes",
    "--bind", host, opts.tls and "--tls-port" or "--port", tostring(port) }
  local function add(...) for _, word in ipairs({ ... }) do argv[#argv + 1] = word end end
  if opts.password then add("--requirepass", opts.password) end
  if opts.tls then
    files.write_file(dir .. "/cert.pem", opts.tls.cert)
    files.write_file(dir .. "/key.pem", opts.tls.key)
    add("--port", "0", "--tls-cert-file", dir .. "/cert.pem", "--tls-key-file", dir .. "/key.pem",
      "--tls-ca-cert-file", dir .. "/cert.pem", "--tls-auth-clients", "no")
  end
  local server
  if opts.on then
    add("--protected-mode", "no")
    server = opts.on:start(argv, { dir = dir, cwd = dir })
    server:wait_output("Ready to accept connections", 10)
  else
    server = process.start(argv, { dir = dir, cwd = dir })
    poll.wait_for(function() return answers(port) end, "redis-server", 10)
  end
  server.port, server.path = port, dir .. "/s"
  return server
end

return M
