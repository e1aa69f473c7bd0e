--- Starts luaserve: in the background until it serves, or to its end.
-- See spec/helper.lua for the options.
local lfs = require("lfs")
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")
local client = require("spec.helper.client")
local transport = require("spec.helper.transport")

local M = {}

local RUN_TIMEOUT = 10 -- seconds
local START_TIMEOUT = 5

--- Code has a newline or a parenthesis in it; a path has neither.
local function is_code(text)
  return text:find("[\n(]") ~= nil
end

-- Writes the code and the files that go with it; returns the script's path (nil
-- where there is none) and the folder that the program shall start in.
local function place(code, opts, dir)
  local names = {}
  for name in pairs(opts.files or {}) do table.insert(names, name) end
  table.sort(names) -- a.txt is not younger than a.txt.gz
  for _, name in ipairs(names) do files.write_file(dir .. "/" .. name, opts.files[name]) end
  if not code then
    return nil, dir
  end
  if opts.code or is_code(code) then
    return files.write_file(dir .. "/" .. (opts.name or "app.lua"), transport.code(code)), dir
  end
  if transport.encrypted then
    local path = process.absolute(code) -- where the copy's own is not, and a file beside it may be
    local script = ("local __filename, __dirname = %q, %q "):format(path, path:match("^(.*)/"))
      .. files.read_file(path):gsub("^#[^\n]*", "", 1)
    local home = path:match("^(.*)/")
    for name in lfs.dir(home) do -- what the script finds beside it
      if not name:find("^%.") then lfs.link(home .. "/" .. name, dir .. "/" .. name, true) end
    end
    return files.write_file(dir .. "/app.lua", transport.code(script)), process.root
  end
  return process.absolute(code), process.root
end

local function listen_options(opts)
  local words = {}
  local addresses = opts.listen or {}
  if type(addresses) ~= "table" then
    addresses = { addresses == true and "127.0.0.1:0" or addresses }
  end
  for _, address in ipairs(addresses) do
    table.insert(words, "-l")
    table.insert(words, address)
  end
  return words
end

local function launch(code, opts)
  local dir = files.tmpdir()
  local script, cwd = place(code, opts, dir)
  local argv = { opts.program or process.binary() }
  for _, list in ipairs({ listen_options(opts), opts.args or {}, { script },
    opts.script_args or {} }) do
    for _, word in ipairs(list) do
      table.insert(argv, word)
    end
  end
  if transport.encrypted and opts.listen then
    for i, word in ipairs({ "--tls-cert", transport.file("cert"), "--tls-key", transport.file("key") }) do
      table.insert(argv, 1 + i, word)
    end
  end
  local started = process.start(argv, {
    dir = dir,
    cwd = opts.cwd or cwd,
    env = opts.env,
    stdin = opts.stdin,
    nofile = opts.nofile,
    may_crash = opts.may_crash,
  })
  started.script = script
  return started
end

-- What one line of output announces: a port (and its name), or a Unix path.
local function announcement(line)
  local port, name = line:match("^port (%d+)%s*(.-)%s*$")
  if port then
    return tonumber(port), name
  end
  local address = line:match("listening on (%S+)")
  if not address then
    return nil
  end
  if address:find("unix:", 1, true) then
    return nil, nil, address:match("unix:(.*)$")
  end
  return tonumber(address:match(":(%d+)/?$"))
end

local function read_announcements(self)
  local ports = {}
  for _, text in ipairs({ self:stdout(), self:stderr() }) do
    for line in text:gmatch("([^\n]*)\n") do -- whole lines only
      local port, name, unix = announcement(line)
      self.unix = self.unix or unix
      if port then
        table.insert(ports, math.tointeger(port))
        if name and name ~= "" then
          ports[name] = math.tointeger(port)
        end
      end
    end
  end
  self.ports, self.port = ports, ports[1]
end

local function is_ready(self, opts)
  read_announcements(self)
  if opts.ready then
    return self:stdout():find(opts.ready) or self:stderr():find(opts.ready)
  end
  if self.unix then
    return #self.ports >= (opts.ports or 0) and client.answers({ unix = self.unix })
  end
  return #self.ports >= (opts.ports or 1)
end

--- Starts luaserve and waits until it serves.
---@param code string? code, or the path of a script
---@param opts table?
---@return spec.Process
function M.serve(code, opts)
  opts = opts or {}
  local self = launch(code, opts)
  local first = type(opts.listen) == "table" and opts.listen[1] or opts.listen
  if type(first) == "string" and first:find("^unix:") then
    self.unix = first:sub(6)
  end
  local ready = poll.wait_for(function()
    return not self:alive() and "dead" or is_ready(self, opts) and "ready"
  end, function()
    return "the server to come up\n" .. self:output()
  end, opts.timeout or START_TIMEOUT)
  if ready == "dead" and not is_ready(self, opts) then
    error(("the server ended (%s) instead of serving\n%s"):format(
      tostring(self.code or self.signal), self:output()), 2)
  end
  return self
end

--- Serves one handler, given as the body of `function(req, res)`, on a free port
--- of 127.0.0.1. The names http, server, req and res are known in it; its first
--- line is line 1 of the script.
---@param body string
---@param opts table? as for serve; `before`: code that runs before the server is made
---@return spec.Process
function M.serve_handler(body, opts)
  opts = opts or {}
  local code = ("local http = require('http') local server %s "
    .. "server = http.createServer(function(req, res) %s\nend)\n"
    .. "server:listen(0, '127.0.0.1', function() print('port ' .. server:address().port) end)\n")
    :format((opts.before or ""):gsub("\n", " "), body)
  return M.serve(code, opts)
end

--- Runs luaserve to its end. The timeout is 10 s unless opts.timeout says else.
---@param code string? code, the path of a script, or nil for options alone
---@param opts table?
---@return { code: integer?, signal: string?, out: string, err: string, script: string? }
function M.run(code, opts)
  opts = opts or {}
  local self = launch(code, opts)
  local ok, message = pcall(self.wait_exit, self, opts.timeout or RUN_TIMEOUT)
  if not ok then
    self:kill("KILL")
    error(message, 2)
  end
  self:check_sanitizer()
  return {
    code = self.code,
    signal = self.signal,
    out = self:stdout(),
    err = self:stderr(),
    script = self.script,
  }
end

return M
