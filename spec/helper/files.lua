--- Folders and files of the specs. Everything lies below one folder in /tmp,
-- which vanishes with the run; each tmpdir() goes with the block that made it.
local lfs = require("lfs")
local scope = require("spec.helper.scope")

local M = {}

local root
local count = 0

--- `text` as one word of a shell command.
---@param text string
---@return string
function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function remove_tree(path)
  os.execute("rm -rf " .. M.quote(path))
end

local function make_root()
  local pipe = assert(io.popen("mktemp -d /tmp/luaserve-spec.XXXXXX"))
  local path = pipe:read("l")
  pipe:close()
  assert(path, "mktemp failed")
  require("busted").subscribe({ "exit" }, function()
    remove_tree(path)
    return nil, true
  end)
  return path
end

--- A new empty folder, removed at the end of the block that asked for it.
---@return string path absolute
function M.tmpdir()
  root = root or make_root()
  count = count + 1
  local path = root .. "/" .. count
  assert(lfs.mkdir(path))
  scope.defer(function()
    remove_tree(path)
  end)
  return path
end

--- Writes `text` to `path`, making the folders above it; returns the path.
---@param path string
---@param text string
---@return string path
function M.write_file(path, text)
  local at = path:find("/", 2, true)
  while at do
    lfs.mkdir(path:sub(1, at - 1))
    at = path:find("/", at + 1, true)
  end
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

--- The bytes of the file at `path`, or nil and a message.
---@param path string
---@return string?, string?
function M.read_file(path)
  local file, message = io.open(path, "rb")
  if not file then
    return nil, message
  end
  local text = file:read("a")
  file:close()
  return text
end

--- The paths of all files below `folder` whose name matches `pattern`, sorted;
--- names that begin with a dot are left out, and links to folders are not followed.
--- None where there is no folder.
---@param folder string
---@param pattern string Lua pattern for the file's name
---@return string[]
function M.find(folder, pattern)
  local found = {}
  if lfs.attributes(folder, "mode") ~= "directory" then
    return found
  end
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:sub(1, 1) == "." then -- hidden, or the folder itself
    elseif lfs.symlinkattributes(path, "mode") == "directory" then
      for _, below in ipairs(M.find(path, pattern)) do
        table.insert(found, below)
      end
    elseif name:find(pattern) then
      table.insert(found, path)
    end
  end
  table.sort(found)
  return found
end

return M
