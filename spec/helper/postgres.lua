--- A PostgreSQL server for the specs, with a database cluster of its own, on a free
--- port and a Unix socket: `local server = require("spec.helper.postgres").start()`.
--- It will not run as root, and is then run as the user postgres.
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")
local scope = require("spec.helper.scope")
local ports = require("spec.helper.ports")

local M = {}

local PASSWORD = "open sesame"

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read("a")
  return output, pipe:close()
end

local function check_run(command)
  local output, ok = output_of(command)
  if not ok then error(command .. ":\n" .. output, 3) end
  return output
end

local function programs()
  local folder = check_run("ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1"):match("%S+")
  return assert(folder, "where is PostgreSQL?")
end

local function words_as()
  if output_of("id -u"):match("%d+") ~= "0" then return {} end
  return { "setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups" }
end

--- Makes a cluster: the user postgres is trusted, kim needs a password over TCP.
local function make(dir, as)
  files.write_file(dir .. "/pw", PASSWORD)
  check_run(("chmod 755 %s && %s"):format(dir, #as > 0 and "chown -R postgres: " .. dir or "true"))
  check_run(("cd %s && %s %s/initdb -D %s/data -U postgres -A trust -E UTF8 --locale=C -N"):format(dir,
    table.concat(as, " "), programs(), dir))
  local rules = "local all all trust\nhost all kim all scram-sha-256\nhost all all all trust\n"
  check_run(("printf '%%b' %s > %s/data/pg_hba.conf"):format(files.quote(rules), dir))
end

local function answers(server)
  local _, ok = output_of(("%s/pg_isready -h %s -p %d"):format(programs(), server.folder, server.port))
  return ok
end

local function launch(server)
  local argv = words_as()
  for _, word in ipairs({ programs() .. "/postgres", "-D", server.folder .. "/data", "-p", tostring(server.port), "-k",
    server.folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=30" }) do
    argv[#argv + 1] = word
  end
  server.process = process.start(argv, { cwd = server.folder })
  scope.defer(function() server:stop() end)
  poll.wait_for(function() return answers(server) end, "PostgreSQL\n" .. server.process:output(), 20)
end

local Server = {}
Server.__index = Server

--- Ends it at once: its clients' connections are closed.
function Server:stop()
  if not self.process:alive() then return end
  self.process:kill("INT") -- fast shutdown: nothing of it stays behind
  self.process:wait_exit(20)
end

--- Starts it again, on the same port.
function Server:start()
  launch(self)
end

--- Runs SQL as its owner, with psql.
---@param sql string
---@return string
function Server:sql(sql)
  return check_run(("cd /tmp && psql -X -q -A -t -h %s -p %d -U postgres -c %s"):format(self.folder, self.port,
    files.quote(sql)))
end

--- Starts one and waits until it answers.
---@return table server with port, folder (of the socket), password (kim's), and stop, start, sql
function M.start()
  local folder = check_run("mktemp -d /tmp/luaserve-pg.XXXXXX"):match("%S+")
  scope.defer(function() os.execute("rm -rf " .. files.quote(folder)) end)
  local server = setmetatable({ folder = folder, port = ports.free(), password = PASSWORD }, Server)
  make(folder, words_as())
  launch(server)
  server:sql(("CREATE USER kim PASSWORD '%s'"):format(PASSWORD))
  return server
end

return M
