--- Node's `path`: file names taken apart and put together, by the rules of POSIX.
--
-- Only text is looked at, never the file system. `resolve` and `relative` ask
-- `process.cwd()` when a name given to them is relative.

local byte, sub = string.byte, string.sub
local concat = table.concat

local M = {}

local SLASH, DOT = 47, 46

---@class path.ParsedPath
---@field root string "/" or ""
---@field dir string
---@field base string
---@field name string the base without its extension
---@field ext string with its dot

--- Raises at the caller of the public function that was given a wrong argument.
local function check_string(value, name)
  if type(value) == "string" then return end
  error(('The "%s" argument must be of type string. Received type %s'):format(name, type(value)), 3)
end

--- Resolves "." and ".." segment by segment. A relative name keeps the ".." that lead above its start.
local function clean_segments(name, absolute)
  local kept, depth, size = {}, 0, 0
  for segment in name:gmatch("[^/]+") do
    if segment ~= "." and segment ~= ".." then
      size, depth = size + 1, depth + 1
      kept[size] = segment
    elseif segment == ".." and depth > 0 then
      kept[size] = nil
      size, depth = size - 1, depth - 1
    elseif segment == ".." and not absolute then
      size = size + 1
      kept[size] = segment
    end
  end
  return kept
end

local function normalized(name)
  if name == "" then return "." end
  local absolute = byte(name) == SLASH
  local result = concat(clean_segments(name, absolute), "/")
  if result == "" then
    if absolute then return "/" end
    return byte(name, -1) == SLASH and "./" or "."
  end
  if byte(name, -1) == SLASH then result = result .. "/" end
  return absolute and "/" .. result or result
end

--- The end of the name without the slashes that close it; 0 when there is nothing else.
-- A loop, as a pattern anchored at the end would try every run of slashes.
local function end_without_slashes(name)
  local last = #name
  while last > 0 and byte(name, last) == SLASH do last = last - 1 end
  return last
end

local function last_of(name, wanted, from)
  for i = from, 1, -1 do
    if byte(name, i) == wanted then return i end
  end
  return 0
end

local function base_of(name)
  local last = end_without_slashes(name)
  return sub(name, last_of(name, SLASH, last) + 1, last)
end

--- The extension of a base name: from its last dot on, unless that dot comes first or is one of "..".
local function extension_of(base)
  if base == ".." then return "" end
  local dot = last_of(base, DOT, #base)
  return dot > 1 and sub(base, dot) or ""
end

local function working_directory()
  local process = rawget(_G, "process")
  if type(process) ~= "table" or not process.cwd then
    error("path.resolve: a relative path needs process.cwd(), which is not here", 4)
  end
  return process.cwd()
end

local function resolved(names, count)
  local result = ""
  for i = count, 1, -1 do
    local name = names[i]
    if name ~= "" then
      result = name .. "/" .. result
      if byte(name) == SLASH then break end
    end
  end
  if byte(result) ~= SLASH then result = working_directory() .. "/" .. result end
  return "/" .. concat(clean_segments(result, true), "/")
end

--- Resolves "." and "..", and makes one slash of several; a closing slash is kept.
---@param path string
---@return string # "." for ""
function M.normalize(path)
  check_string(path, "path")
  return normalized(path)
end

--- Joins the parts with slashes, and normalizes. Empty parts are left out.
---@param ... string
---@return string # "." for nothing
function M.join(...)
  local parts = {}
  for i = 1, select("#", ...) do
    local part = select(i, ...)
    check_string(part, "path")
    if part ~= "" then parts[#parts + 1] = part end
  end
  return normalized(concat(parts, "/"))
end

--- The absolute path that the parts name, read from right to left until one is
-- absolute; else from the working directory on. Without a closing slash.
---@param ... string
---@return string
function M.resolve(...)
  local names, count = { ... }, select("#", ...)
  for i = 1, count do check_string(names[i], ("paths[%d]"):format(i)) end
  return (resolved(names, count)) -- not a tail call: errors name the caller's line
end

---@param path string
---@return boolean
function M.isAbsolute(path)
  check_string(path, "path")
  return byte(path) == SLASH
end

local function split_absolute(name)
  local segments = {}
  for segment in name:gmatch("[^/]+") do segments[#segments + 1] = segment end
  return segments
end

--- The path that leads from one directory to another path; "" when they are the same.
---@param from string
---@param to string
---@return string
function M.relative(from, to)
  check_string(from, "from")
  check_string(to, "to")
  if from == to then return "" end
  local source = split_absolute(resolved({ from }, 1))
  local target = split_absolute(resolved({ to }, 1))
  local common = 1
  while source[common] and source[common] == target[common] do common = common + 1 end
  local steps = {}
  for _ = common, #source do steps[#steps + 1] = ".." end
  for i = common, #target do steps[#steps + 1] = target[i] end
  return concat(steps, "/")
end

--- The path without its last segment, and without closing slashes.
---@param path string
---@return string # "." when there is no slash in it
function M.dirname(path)
  check_string(path, "path")
  if path == "" then return "." end
  local slash = last_of(path, SLASH, end_without_slashes(path))
  if slash == 0 then return byte(path) == SLASH and "/" or "." end
  if slash == 1 then return "/" end
  -- Node takes away one slash only, "a//b" is in "a/"; at the root that is "//".
  return slash == 2 and byte(path) == SLASH and "//" or sub(path, 1, slash - 1)
end

--- The last segment; without the suffix where it ends in that and is not all of it.
---@param path string
---@param suffix? string
---@return string
function M.basename(path, suffix)
  check_string(path, "path")
  if suffix ~= nil then check_string(suffix, "suffix") end
  if not suffix or suffix == "" then return base_of(path) end
  if suffix == path then return "" end
  local base = base_of(path)
  if #suffix >= #base or sub(base, -#suffix) ~= suffix then return base end
  return sub(base, 1, -#suffix - 1)
end

--- The extension with its dot: "" for "a", ".profile" and "..", "." for "a.".
---@param path string
---@return string
function M.extname(path)
  check_string(path, "path")
  return extension_of(base_of(path))
end

--- Takes a path apart into root, dir, base, name and ext.
---@param path string
---@return path.ParsedPath
function M.parse(path)
  check_string(path, "path")
  local root = byte(path) == SLASH and "/" or ""
  local base = base_of(path)
  local ext = extension_of(base)
  local slash = last_of(path, SLASH, end_without_slashes(path))
  local dir = slash > 1 and sub(path, 1, slash - 1) or root
  return { root = root, dir = dir, base = base, ext = ext, name = sub(base, 1, #base - #ext) }
end

local function text_or_nil(value)
  return value ~= "" and value or nil
end

--- Puts together what `parse` takes apart: `dir` wins over `root`, `base` over `name` and `ext`.
---@param parts path.ParsedPath fields may be missing
---@return string
function M.format(parts)
  if type(parts) ~= "table" then
    error('The "pathObject" argument must be of type table. Received type ' .. type(parts), 2)
  end
  local root, dir = text_or_nil(parts.root), text_or_nil(parts.dir)
  local ext = text_or_nil(parts.ext) or ""
  if ext ~= "" and byte(ext) ~= DOT then ext = "." .. ext end
  local base = text_or_nil(parts.base) or (parts.name or "") .. ext
  local folder = dir or root
  if not folder then return base end
  return folder == root and folder .. base or folder .. "/" .. base
end

--- As it is: only Windows has namespaces in its paths.
---@param path string
---@return string
function M.toNamespacedPath(path)
  return path
end

M.sep = "/"
M.delimiter = ":"
M.posix = M

return M
