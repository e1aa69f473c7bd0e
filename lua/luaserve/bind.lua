--- Finds the loadable modules, which are files beside the program: clients over
--- libraries that not everybody has.
local path = require "path"
local process = require "process"

local M = {}

local loaded = {} -- by name

local function folders()
  local home = path.dirname(process.execPath)
  return { home .. "/bind", home .. "/../lib/luaserve" }
end

local function exists(file)
  local handle = io.open(file, "rb")
  if handle then handle:close() end
  return handle ~= nil
end

--- Loads a module; raises with the name of the package where it is not there.
---@param name string
---@param package_name string Debian's name of what it needs
---@return table
function M.load(name, package_name)
  if loaded[name] then return loaded[name] end
  for _, folder in ipairs(folders()) do
    local file = folder .. "/" .. name .. ".so"
    if exists(file) then
      local open, message = package.loadlib(file, "luaopen_luaserve_bind_" .. name)
      if open then
        loaded[name] = open("luaserve.bind." .. name, file)
        return loaded[name]
      end
      error(("luaserve.%s cannot be loaded (apt-get install %s?): %s"):format(name, package_name, message), 0)
    end
  end
  error(("luaserve.%s is not part of this build: apt-get install %s, and build luaserve again"):format(name,
    package_name), 0)
end

return M
