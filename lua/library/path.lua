---@meta path

--- Paths, as text: the disk is never looked at.
---@class path
local path = {}

path.sep = "/"
path.delimiter = ":"

--- The module itself.
path.posix = path

--#region lua/node/path.lua M=path.
---@class path.ParsedPath
---@field root string "/" or ""
---@field dir string
---@field base string
---@field name string the base without its extension
---@field ext string with its dot

--- Resolves "." and "..", and makes one slash of several; a closing slash is kept.
---@param path string
---@return string # "." for ""
function path.normalize(path) end

--- Joins the parts with slashes, and normalizes. Empty parts are left out.
---@param ... string
---@return string # "." for nothing
function path.join(...) end

---@param ... string
---@return string
function path.resolve(...) end

---@param path string
---@return boolean
function path.isAbsolute(path) end

--- The path that leads from one directory to another path; "" when they are the same.
---@param from string
---@param to string
---@return string
function path.relative(from, to) end

--- The path without its last segment, and without closing slashes.
---@param path string
---@return string # "." when there is no slash in it
function path.dirname(path) end

--- The last segment; without the suffix where it ends in that and is not all of it.
---@param path string
---@param suffix? string
---@return string
function path.basename(path, suffix) end

--- The extension with its dot: "" for "a", ".profile" and "..", "." for "a.".
---@param path string
---@return string
function path.extname(path) end

--- Takes a path apart into root, dir, base, name and ext.
---@param path string
---@return path.ParsedPath
function path.parse(path) end

--- Puts together what `parse` takes apart: `dir` wins over `root`, `base` over `name` and `ext`.
---@param parts path.ParsedPath fields may be missing
---@return string
function path.format(parts) end

--- As it is: only Windows has namespaces in its paths.
---@param path string
---@return string
function path.toNamespacedPath(path) end
--#endregion

return path
