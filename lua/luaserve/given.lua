--- Sockets that a service manager has bound for us, and passed (LISTEN_FDS): a server that listens on the address of
--- one accepts from it.
local core = require "luaserve.core"
local native = require "luaserve.core.cluster"
local process = require "process"

local M = {}

local VARIABLE = "LUASERVE_GIVEN" -- that tells workers which there are

local list -- {fd, bound, address}

local function all()
  if not list then
    local ok, found = pcall(native.given)
    if not ok then
      io.stderr:write("luaserve: LISTEN_FDS: ", tostring(found), "\n")
      core.exit(3)
    end
    list = ok and found or {}
  end
  return list
end

local ANY = { ["::"] = true, ["0.0.0.0"] = true }

local function fits(address, target, host)
  if type(address) == "string" then return address == target.path end
  if target.path or address.port ~= target.port then return false end
  if host == nil then return ANY[address.address] == true end
  return address.address == host
end

--- The socket that target asks for: by its number, or by its address.
---@param target {fd: integer?, port: integer?, path: string?}
---@param host string? an address
---@return userdata? bound, table|string|nil address
function M.find(target, host)
  for _, one in ipairs(all()) do
    if one.fd == target.fd or not target.fd and fits(one.address, target, host) then return one.bound, one.address end
  end
end

--- All of them, as what listen takes; in a worker those of its primary.
---@return {fd: integer}[]
function M.targets()
  local targets = {}
  if core.worker then
    for fd in (process.env[VARIABLE] or ""):gmatch("%d+") do targets[#targets + 1] = { fd = tonumber(fd) } end
    return targets
  end
  for i, one in ipairs(all()) do targets[i] = { fd = one.fd } end
  return targets
end

--- What has to be in the environment of workers, as a name and a value; nothing where there is nothing.
---@return string? name, string? value
function M.variable()
  local fds = {}
  for i, one in ipairs(all()) do fds[i] = one.fd end
  if #fds > 0 then return VARIABLE, table.concat(fds, " ") end
end

return M
