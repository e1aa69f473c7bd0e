---@meta luaserve.multipart

--- Middleware with the limits of forms and uploads for what is defined after it.
---@class luaserve.multipart
---@overload fun(options: MultipartOptions?): luaserve.Middleware
local multipart = {}

---@class luaserve.UploadedFile
---@field filename string as the client says, without a path
---@field type string the Content-Type that the client says
---@field size integer bytes
---@field path string where the file is, while the request lasts

--#region lua/luaserve/multipart.lua Part=Part: not=read
---@class MultipartOptions
---@field maxFileSize integer? bytes of each file, 32 MiB
---@field maxTotalSize integer? bytes of the whole body, 64 MiB
---@field maxFiles integer? 20
---@field maxFields integer? 1000
---@field maxFieldSize integer? bytes of each field, 1 MiB; all together the server's maxBodySize
---@field maxNameSize integer? bytes of a field's name, 200
---@field maxHeaderSize integer? bytes of the headers of each part, 8 KiB

---@class Part a part of a body that is read
---@field name string
---@field filename string? of a file: without a path; "" where none was chosen
---@field type string? its Content-Type
---@field headers table<string, string> by lower-case name
---@field size integer bytes read so far
local Part = {}

--- Iterates over the pieces of the part as they come.
---@return fun(): string?
function Part:chunks() end

--- Waits for the whole part, as UTF-8 where its Content-Type names another charset.
--- Raises 413 over the limit.
---@param limit integer? bytes, else the server's maxBodySize
---@return string
function Part:text(limit) end

--- Writes the part to a file, as it comes; half a file is removed. Raises where the
--- client is gone or a limit is passed.
---@param path string
---@return integer? size in bytes; or nil, message, code
---@return string? message
---@return string? code
function Part:save(path) end
--#endregion

return multipart
