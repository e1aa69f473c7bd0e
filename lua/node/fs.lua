--- Node's `fs`. Each function that takes time has two forms, as everywhere in luaserve: with a callback as
--- its last argument it returns at once and calls `callback(err, value)` later; without, it waits and
--- returns the value, or `nil, message, code`. What has nothing to return returns true. The same with "Sync"
--- behind its name blocks the whole process, and raises its error: a table `{message, code, errno, syscall,
--- path}` that prints as its message, `ENOENT: no such file or directory, open './x'`.
--
-- Contents are Lua strings, so an encoding may be given as in Node and is ignored. Relative paths are
-- relative to the working directory. What the system does is in C, on threads (src/script/fs_*.c).

local native = require "luaserve.core.fs"
local read_stream = require "luaserve.read_stream"
local write_stream = require "luaserve.write_stream"

local floor = math.floor

local M = {}

---@class fs.Options
---@field mode integer|string? permissions of what is made, less the umask; octal where a string ("644")
---@field flag "r"|"r+"|"w"|"w+"|"wx"|"a"|"a+"|"ax"|string? how to open the file
---@field recursive boolean? mkdir: with the directories above it; rm: with all that is in it
---@field force boolean? rm: nothing there is no error

---@alias fs.Done fun(err: table?, ok: true?)
---@alias fs.Got fun(err: table?, value: any?) # with what the other form returns

--- What `access` asks for, as bits, and what `copyFile` is told not to overwrite by.
M.constants = { F_OK = 0, R_OK = 4, W_OK = 2, X_OK = 1, COPYFILE_EXCL = 1 }

-- ---- whole files

--- The contents of a file, also of a FIFO and of those in /proc. `EISDIR` for a directory, `EFBIG` for what
--- `--max-memory` leaves no room for.
---@type fun(path: string, options: fs.Options|string|nil, callback: fs.Got?): string?, string?, string?
M.readFile = native.readFile
---@type fun(path: string, options: fs.Options|string|nil): string
M.readFileSync = native.readFileSync

--- Replaces a file's contents, or makes the file. Flag "w", mode "666".
---@type fun(path: string, data: string, options: fs.Options|string|nil, callback: fs.Done?): true?, string?, string?
M.writeFile = native.writeFile
---@type fun(path: string, data: string, options: fs.Options|string|nil): true
M.writeFileSync = native.writeFileSync

--- Adds data to the end of a file, or makes the file. Flag "a", mode "666".
---@type fun(path: string, data: string, options: fs.Options|string|nil, callback: fs.Done?): true?, string?, string?
M.appendFile = native.appendFile
---@type fun(path: string, data: string, options: fs.Options|string|nil): true
M.appendFileSync = native.appendFileSync

--- Copies a file and its permissions; with mode `constants.COPYFILE_EXCL` it fails where dest is there.
---@type fun(path: string, dest: string, mode: integer?, callback: fs.Done?): true?, string?, string?
M.copyFile = native.copyFile
---@type fun(path: string, dest: string, mode: integer?): true
M.copyFileSync = native.copyFileSync

--- Makes a file that many bytes long.
---@type fun(path: string, size: integer?, callback: fs.Done?): true?, string?, string?
M.truncate = native.truncate
---@type fun(path: string, size: integer?): true
M.truncateSync = native.truncateSync

-- ---- what is there

---@class fs.Stats times are in seconds since 1970, with a fraction, and as `mtimeMs` in milliseconds
---@field dev integer
---@field ino integer
---@field mode integer kind and permissions
---@field nlink integer
---@field uid integer
---@field gid integer
---@field rdev integer
---@field size integer bytes
---@field blksize integer bytes
---@field blocks integer of 512 bytes
---@field atime number
---@field mtime number
---@field ctime number
---@field atimeMs number
---@field mtimeMs number
---@field ctimeMs number
local Stats = native.Stats

-- The bits S_IFMT of a mode, moved down.
local FIFO, CHARACTER, DIRECTORY, BLOCK, REGULAR, LINK, SOCKET = 1, 2, 4, 6, 8, 10, 12

local function is_kind(kind)
  return function(self) return floor(self.mode / 0x1000) % 16 == kind end
end

---@type fun(self: fs.Stats): boolean
Stats.isFile = is_kind(REGULAR)
---@type fun(self: fs.Stats): boolean
Stats.isDirectory = is_kind(DIRECTORY)
---@type fun(self: fs.Stats): boolean only of `lstat`: `stat` follows links
Stats.isSymbolicLink = is_kind(LINK)
---@type fun(self: fs.Stats): boolean
Stats.isFIFO = is_kind(FIFO)
---@type fun(self: fs.Stats): boolean
Stats.isSocket = is_kind(SOCKET)
---@type fun(self: fs.Stats): boolean
Stats.isCharacterDevice = is_kind(CHARACTER)
---@type fun(self: fs.Stats): boolean
Stats.isBlockDevice = is_kind(BLOCK)

--- What a file is, how large, and of when.
---@type fun(path: string, options: table?, callback: fs.Got?): fs.Stats?, string?, string?
M.stat = native.stat
---@type fun(path: string): fs.Stats
M.statSync = native.statSync

--- The same of a symbolic link itself.
---@type fun(path: string, options: table?, callback: fs.Got?): fs.Stats?, string?, string?
M.lstat = native.lstat
---@type fun(path: string): fs.Stats
M.lstatSync = native.lstatSync

--- Whether there is something at path that can be reached. Its callback is `callback(nil, boolean)`.
---@type fun(path: string, callback: fun(err: nil, there: boolean)?): boolean
M.exists = native.exists
---@type fun(path: string): boolean
M.existsSync = native.existsSync

--- Whether this process may read (4), write (2), execute (1) what is at path.
---@type fun(path: string, mode: integer?, callback: fs.Done?): true?, string?, string?
M.access = native.access
---@type fun(path: string, mode: integer?): true
M.accessSync = native.accessSync

--- The names in a directory, sorted by their bytes.
---@type fun(path: string, options: table|string|nil, callback: fs.Got?): string[]?, string?, string?
M.readdir = native.readdir
---@type fun(path: string): string[]
M.readdirSync = native.readdirSync

--- The absolute path of what is there, without links and dots.
---@type fun(path: string, options: table|string|nil, callback: fs.Got?): string?, string?, string?
M.realpath = native.realpath
---@type fun(path: string): string
M.realpathSync = native.realpathSync

--- Where a symbolic link leads to.
---@type fun(path: string, options: table|string|nil, callback: fs.Got?): string?, string?, string?
M.readlink = native.readlink
---@type fun(path: string): string
M.readlinkSync = native.readlinkSync

-- ---- names

--- Makes a directory; with `{recursive = true}` those above it too, and then one that is there is fine.
---@type fun(path: string, options: fs.Options|integer|nil, callback: fs.Done?): true?, string?, string?
M.mkdir = native.mkdir
---@type fun(path: string, options: fs.Options|integer|nil): true
M.mkdirSync = native.mkdirSync

--- Makes a directory whose name is prefix and six characters more, for its owner alone.
---@type fun(prefix: string, options: table|string|nil, callback: fs.Got?): string?, string?, string?
M.mkdtemp = native.mkdtemp
---@type fun(prefix: string): string
M.mkdtempSync = native.mkdtempSync

--- Removes an empty directory.
---@type fun(path: string, options: table?, callback: fs.Done?): true?, string?, string?
M.rmdir = native.rmdir
---@type fun(path: string): true
M.rmdirSync = native.rmdirSync

--- Removes a file or link; with `{recursive = true}` a directory and all in it, never following links.
---@type fun(path: string, options: fs.Options?, callback: fs.Done?): true?, string?, string?
M.rm = native.rm
---@type fun(path: string, options: fs.Options?): true
M.rmSync = native.rmSync

--- Removes a file or link.
---@type fun(path: string, callback: fs.Done?): true?, string?, string?
M.unlink = native.unlink
---@type fun(path: string): true
M.unlinkSync = native.unlinkSync

--- Gives a file another name, in the place of what had it.
---@type fun(path: string, dest: string, callback: fs.Done?): true?, string?, string?
M.rename = native.rename
---@type fun(path: string, dest: string): true
M.renameSync = native.renameSync

--- Gives a file one more name.
---@type fun(path: string, dest: string, callback: fs.Done?): true?, string?, string?
M.link = native.link
---@type fun(path: string, dest: string): true
M.linkSync = native.linkSync

--- Makes dest a symbolic link to target.
---@type fun(target: string, dest: string, callback: fs.Done?): true?, string?, string?
M.symlink = native.symlink
---@type fun(target: string, dest: string): true
M.symlinkSync = native.symlinkSync

--- Sets the permissions of a file: an integer, or octal digits in a string ("640").
---@type fun(path: string, mode: integer|string, callback: fs.Done?): true?, string?, string?
M.chmod = native.chmod
---@type fun(path: string, mode: integer|string): true
M.chmodSync = native.chmodSync

--- Sets when a file was read and changed, in seconds since 1970.
---@type fun(path: string, atime: number, mtime: number, callback: fs.Done?): true?, string?, string?
M.utimes = native.utimes
---@type fun(path: string, atime: number, mtime: number): true
M.utimesSync = native.utimesSync

-- ---- open files

---@class fs.Handle an open file. Its operations run one after the other, in the order of their calls; it is
--- closed when it is collected, and, in Lua 5.4, at the end of the block of a `local file <close>`.
--- `read` returns up to size bytes (65536), and nil at the end; `sync` returns when all is on the disk.
---@field read fun(self, size: integer?, position: integer?, callback: fs.Got?): string?, string?, string?
---@field write fun(self, data: string, position: integer?, callback: fs.Done?): true?, string?, string?
---@field stat fun(self, callback: fs.Got?): fs.Stats?, string?, string?
---@field truncate fun(self, size: integer?, callback: fs.Done?): true?, string?, string?
---@field sync fun(self, callback: fs.Done?): true?, string?, string?
---@field close fun(self, callback: fs.Done?): true?, string?, string?

--- Opens a file and returns its handle.
---@param path string
---@param flags string? "r", "w", "a+"...; "r" where missing
---@param mode integer|string|nil of a file that is made, "666"
---@param callback fun(err: table?, handle: fs.Handle?)?
---@return fs.Handle? handle, string? message, string? code
function M.open(path, flags, mode, callback)
  if type(flags) == "function" then flags, callback = nil, flags end
  if type(mode) == "function" then mode, callback = nil, mode end
  local valid, handle = pcall(native.file, path, flags, mode)
  if not valid then error("fs.open: " .. handle, 2) end
  if callback then
    return handle:open(function(err)
      if err then return callback(err) end
      return callback(nil, handle)
    end)
  end
  local ok, message, code = handle:open()
  if not ok then return nil, message, code end
  return handle
end

-- ---- streams

M.createReadStream = read_stream.createReadStream
M.createWriteStream = write_stream.createWriteStream
M.ReadStream = read_stream.ReadStream
M.WriteStream = write_stream.WriteStream

return M
