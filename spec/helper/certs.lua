--- Certificates for the specs, made with the openssl command when they are first
-- asked for and kept as texts: `certs.of{ names = {"localhost"} }`.
local files = require("spec.helper.files")

local M = {}

local cache = {}

local function run(dir, format, ...)
  local words = {}
  for i, word in ipairs({ ... }) do
    words[i] = files.quote(word)
  end
  local command = ("cd %s && %s 2>&1"):format(files.quote(dir), format:format(table.unpack(words)))
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  if not pipe:close() then
    error(command .. ":\n" .. output, 2)
  end
  return output
end

local function config(opts)
  local names = {}
  for i, name in ipairs(opts.names or { "localhost" }) do
    local kind = name:find("^%d+%.%d+%.%d+%.%d+$") and "IP" or "DNS"
    names[i] = kind .. ":" .. name
  end
  local lines = { "basicConstraints=critical,CA:" .. (opts.is_ca and "TRUE" or "FALSE") }
  if not opts.is_ca then
    table.insert(lines, "subjectAltName=" .. table.concat(names, ","))
  else
    table.insert(lines, "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
  end
  return table.concat(lines, "\n") .. "\n"
end

local function make_key(dir, opts)
  if opts.rsa then
    run(dir, "openssl genrsa -out key.pem 2048")
  else
    run(dir, "openssl ecparam -name prime256v1 -genkey -noout -out key.pem")
  end
end

local function sign(dir, opts, issuer)
  run(dir, "openssl req -new -key key.pem -out req.pem -subj %s",
    "/CN=" .. (opts.cn or (opts.names or { "localhost" })[1]))
  files.write_file(dir .. "/ext", config(opts))
  if issuer then
    files.write_file(dir .. "/ca.pem", issuer.cert)
    files.write_file(dir .. "/ca.key", issuer.key)
    run(dir, "openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem "
      .. "-extfile ext -days " .. (opts.days or 30))
  else
    run(dir, "openssl x509 -req -in req.pem -key key.pem -out cert.pem -extfile ext -days " .. (opts.days or 30))
  end
end

--- A certificate: {cert, key} as PEM. Options: names, cn, rsa, days (may be
--- negative), is_ca, ca (one made with is_ca), passphrase.
---@param opts table?
---@return { cert: string, key: string, dir: string }
function M.of(opts)
  opts = opts or {}
  local id = table.concat({ table.concat(opts.names or {}, ","), opts.cn or "", tostring(opts.rsa),
    opts.days or "", tostring(opts.is_ca), opts.ca and opts.ca.cert or "", opts.passphrase or "",
    opts.fresh or "" }, "|")
  if cache[id] then
    return cache[id]
  end
  local dir = files.tmpdir()
  make_key(dir, opts)
  sign(dir, opts, opts.ca)
  if opts.passphrase then
    run(dir, "openssl ec -in key.pem -aes256 -passout %s -out locked.pem", "pass:" .. opts.passphrase)
    run(dir, "mv locked.pem key.pem")
  end
  local made = { cert = files.read_file(dir .. "/cert.pem"), key = files.read_file(dir .. "/key.pem") }
  cache[id] = made
  return made
end

--- The specs' certificate authority.
function M.ca()
  return M.of({ is_ca = true, cn = "Spec CA" })
end

--- Runs the openssl command; its words are quoted. Returns what it printed.
---@param input string its standard input
---@param ... string
---@return string
function M.openssl(input, ...)
  local dir = files.tmpdir()
  local words = {}
  for i, word in ipairs({ ... }) do
    words[i] = files.quote(tostring(word))
  end
  files.write_file(dir .. "/in", input)
  local pipe = assert(io.popen(("timeout 10 openssl %s <%s/in 2>&1"):format(table.concat(words, " "), dir)))
  local output = pipe:read("a")
  pipe:close()
  return output
end

--- Asks a server by `openssl s_client`, with its options; the whole conversation.
---@param port integer
---@param request string sent when the handshake is over; "": the handshake is all
---@param ... string
---@return string
function M.s_client(port, request, ...)
  local words = { "-connect", "127.0.0.1:" .. port, ... }
  if request ~= "" then -- until the server closes
    table.insert(words, "-ign_eof")
  end
  return M.openssl(request, "s_client", table.unpack(words))
end

return M
