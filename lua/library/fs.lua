---@meta fs

--- Files. What takes a path waits, or calls a callback(err, value); with Sync it blocks the process, and raises.
--- Where it waits and fails it returns nil, message, code.
---@class fs
local fs = {}

fs.constants = { F_OK = 0, R_OK = 4, W_OK = 2, X_OK = 1, COPYFILE_EXCL = 1 }

---@class fs.Stats
local Stats = {}

--#region lua/node/fs.lua M=fs. Stats=Stats:
---@class fs.Options
---@field mode integer|string? permissions of what is made, less the umask; octal where a string ("644")
---@field flag "r"|"r+"|"w"|"w+"|"wx"|"a"|"a+"|"ax"|string? how to open the file
---@field recursive boolean? mkdir: with the directories above it; rm: with all that is in it
---@field force boolean? rm: nothing there is no error

---@alias fs.Done fun(err: table?, ok: true?)
---@alias fs.Got fun(err: table?, value: any?) # with what the other form returns

--- The contents of a file, also of a FIFO and of those in /proc. `EISDIR` for a directory, `EFBIG` for what
--- `--max-memory` leaves no room for.
---@type fun(path: string, options: fs.Options|string|nil, callback: fs.Got?): string?, string?, string?
fs.readFile = nil

---@type fun(path: string, options: fs.Options|string|nil): string
fs.readFileSync = nil

--- Replaces a file's contents, or makes the file. Flag "w", mode "666".
---@type fun(path: string, data: string, options: fs.Options|string|nil, callback: fs.Done?): true?, string?, string?
fs.writeFile = nil

---@type fun(path: string, data: string, options: fs.Options|string|nil): true
fs.writeFileSync = nil

--- Adds data to the end of a file, or makes the file. Flag "a", mode "666".
---@type fun(path: string, data: string, options: fs.Options|string|nil, callback: fs.Done?): true?, string?, string?
fs.appendFile = nil

---@type fun(path: string, data: string, options: fs.Options|string|nil): true
fs.appendFileSync = nil

--- Copies a file and its permissions; with mode `constants.COPYFILE_EXCL` it fails where dest is there.
---@type fun(path: string, dest: string, mode: integer?, callback: fs.Done?): true?, string?, string?
fs.copyFile = nil

---@type fun(path: string, dest: string, mode: integer?): true
fs.copyFileSync = nil

--- Makes a file that many bytes long.
---@type fun(path: string, size: integer?, callback: fs.Done?): true?, string?, string?
fs.truncate = nil

---@type fun(path: string, size: integer?): true
fs.truncateSync = nil

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
local Stats = {}

---@type fun(self: fs.Stats): boolean
Stats.isFile = nil

---@type fun(self: fs.Stats): boolean
Stats.isDirectory = nil

---@type fun(self: fs.Stats): boolean only of `lstat`: `stat` follows links
Stats.isSymbolicLink = nil

---@type fun(self: fs.Stats): boolean
Stats.isFIFO = nil

---@type fun(self: fs.Stats): boolean
Stats.isSocket = nil

---@type fun(self: fs.Stats): boolean
Stats.isCharacterDevice = nil

---@type fun(self: fs.Stats): boolean
Stats.isBlockDevice = nil

--- What a file is, how large, and of when.
---@type fun(path: string, options: table?, callback: fs.Got?): fs.Stats?, string?, string?
fs.stat = nil

---@type fun(path: string): fs.Stats
fs.statSync = nil

--- The same of a symbolic link itself.
---@type fun(path: string, options: table?, callback: fs.Got?): fs.Stats?, string?, string?
fs.lstat = nil

---@type fun(path: string): fs.Stats
fs.lstatSync = nil

--- Whether there is something at path that can be reached. Its callback is `callback(nil, boolean)`.
---@type fun(path: string, callback: fun(err: nil, there: boolean)?): boolean
fs.exists = nil

---@type fun(path: string): boolean
fs.existsSync = nil

--- Whether this process may read (4), write (2), execute (1) what is at path.
---@type fun(path: string, mode: integer?, callback: fs.Done?): true?, string?, string?
fs.access = nil

---@type fun(path: string, mode: integer?): true
fs.accessSync = nil

--- The names in a directory, sorted by their bytes.
---@type fun(path: string, options: table|string|nil, callback: fs.Got?): string[]?, string?, string?
fs.readdir = nil

---@type fun(path: string): string[]
fs.readdirSync = nil

--- The absolute path of what is there, without links and dots.
---@type fun(path: string, options: table|string|nil, callback: fs.Got?): string?, string?, string?
fs.realpath = nil

---@type fun(path: string): string
fs.realpathSync = nil

--- Where a symbolic link leads to.
---@type fun(path: string, options: table|string|nil, callback: fs.Got?): string?, string?, string?
fs.readlink = nil

---@type fun(path: string): string
fs.readlinkSync = nil

--- Makes a directory; with `{recursive = true}` those above it too, and then one that is there is fine.
---@type fun(path: string, options: fs.Options|integer|nil, callback: fs.Done?): true?, string?, string?
fs.mkdir = nil

---@type fun(path: string, options: fs.Options|integer|nil): true
fs.mkdirSync = nil

--- Makes a directory whose name is prefix and six characters more, for its owner alone.
---@type fun(prefix: string, options: table|string|nil, callback: fs.Got?): string?, string?, string?
fs.mkdtemp = nil

---@type fun(prefix: string): string
fs.mkdtempSync = nil

--- Removes an empty directory.
---@type fun(path: string, options: table?, callback: fs.Done?): true?, string?, string?
fs.rmdir = nil

---@type fun(path: string): true
fs.rmdirSync = nil

--- Removes a file or link; with `{recursive = true}` a directory and all in it, never following links.
---@type fun(path: string, options: fs.Options?, callback: fs.Done?): true?, string?, string?
fs.rm = nil

---@type fun(path: string, options: fs.Options?): true
fs.rmSync = nil

--- Removes a file or link.
---@type fun(path: string, callback: fs.Done?): true?, string?, string?
fs.unlink = nil

---@type fun(path: string): true
fs.unlinkSync = nil

--- Gives a file another name, in the place of what had it.
---@type fun(path: string, dest: string, callback: fs.Done?): true?, string?, string?
fs.rename = nil

---@type fun(path: string, dest: string): true
fs.renameSync = nil

--- Gives a file one more name.
---@type fun(path: string, dest: string, callback: fs.Done?): true?, string?, string?
fs.link = nil

---@type fun(path: string, dest: string): true
fs.linkSync = nil

--- Makes dest a symbolic link to target.
---@type fun(target: string, dest: string, callback: fs.Done?): true?, string?, string?
fs.symlink = nil

---@type fun(target: string, dest: string): true
fs.symlinkSync = nil

--- Sets the permissions of a file: an integer, or octal digits in a string ("640").
---@type fun(path: string, mode: integer|string, callback: fs.Done?): true?, string?, string?
fs.chmod = nil

---@type fun(path: string, mode: integer|string): true
fs.chmodSync = nil

--- Sets when a file was read and changed, in seconds since 1970.
---@type fun(path: string, atime: number, mtime: number, callback: fs.Done?): true?, string?, string?
fs.utimes = nil

---@type fun(path: string, atime: number, mtime: number): true
fs.utimesSync = nil

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
function fs.open(path, flags, mode, callback) end
--#endregion

--#region lua/luaserve/read_stream.lua M=fs. ReadStream=ReadStream:
---@class fs.ReadStream: EventEmitter emits open, ready, data, end, error, close
---@field path string
---@field bytesRead integer so far
---@field pending boolean the file is not open yet
---@field destroyed boolean it is over
local ReadStream = {}

--- Lets the chunks come; a "data" listener and pipe do so by themselves.
---@return self
function ReadStream:resume() end

--- Holds the chunks back until resume.
---@return self
function ReadStream:pause() end

---@return boolean
function ReadStream:isPaused() end

--- Closes the file and emits nothing more but "close", and "error" where err is given.
---@param err any?
---@return self
function ReadStream:destroy(err) end

--- For the sake of scripts from Node: chunks are Lua strings in any encoding.
---@return self
function ReadStream:setEncoding() end

--- Writes every chunk to dest, at the pace at which dest takes them, and then calls dest:finish(). The file
--- is closed when dest is.
---@param dest table with write and finish: a response, a write stream
---@param options {finish: boolean?}? false: dest is left open
---@return table dest
function ReadStream:pipe(dest, options) end

--- Ends a pipe; the stream goes on, paused.
---@param dest table
---@return self
function ReadStream:unpipe(dest) end

--- The chunks one by one, each read when it is asked for: `for chunk in stream:chunks() do`. Waits, and
--- raises what goes wrong.
---@return fun(): string?
function ReadStream:chunks() end

---@class fs.ReadOptions
---@field start integer? the first byte, counted from 0
---@field stop integer? the last byte, which is still read: Node's `end`
---@field highWaterMark integer? bytes of a chunk, 65536

--- Reads a file in chunks. It is opened at the end of the turn, so that listeners can be attached.
---@param path string
---@param options fs.ReadOptions|string|nil
---@return fs.ReadStream
function fs.createReadStream(path, options) end
--#endregion

--#region lua/luaserve/write_stream.lua M=fs. WriteStream=WriteStream:
---@class fs.WriteStream: EventEmitter emits open, ready, drain, finish, error, close
---@field path string
---@field bytesWritten integer handed to the file so far
---@field pending boolean the file is not open yet
---@field writableEnded boolean finish was called
---@field writableFinished boolean all is written
---@field destroyed boolean it is over
local WriteStream = {}

--- Writes a chunk. Over the mark it waits for the file where it can. With a callback, which is told when the
--- chunk is written, or where it cannot wait, it returns false over the mark, and "drain" follows.
---@param chunk string
---@param callback fun(err: table?)?
---@return boolean? ok, string? message, string? code
function WriteStream:write(chunk, callback) end

--- Ends the file, after a last chunk if there is one: waits until all is written and the file is closed.
--- With a callback, or where it cannot wait, it returns at once, and "finish" follows.
---@param chunk string?
---@param callback fun(err: table?)?
---@return self? self, string? message, string? code
function WriteStream:finish(chunk, callback) end

--- Closes the file as it is: what was not written yet is lost. Emits "close", and "error" where err is given.
---@param err any?
---@return self
function WriteStream:destroy(err) end

---@class fs.WriteOptions
---@field flags string? "w"; "a" adds, "r+" changes
---@field mode integer|string|nil permissions of a new file, "666"
---@field start integer? the byte to begin at
---@field highWaterMark integer? bytes that are collected before a write waits, 65536

--- Writes a file in chunks. It is opened at the end of the turn.
---@param path string
---@param options fs.WriteOptions|string|nil
---@return fs.WriteStream
function fs.createWriteStream(path, options) end
--#endregion

--- What every stream has that is read.
---@class fs.ReadStream: Readable

return fs
