---@meta luaserve.validate

---@class luaserve.ValidateOptions
---@field params table? schemas by name; what fits is req.params
---@field query table? schemas by name; what fits is req.query
---@field headers table?
---@field body table|string|nil a schema of the whole body; what fits is req.body
---@field onError (fun(errors: SchemaError[], req: IncomingMessage, res: ServerResponse): any)?
---@field maxErrors integer? 50
---@field summary string?
---@field description string?
---@field tags string[]?
---@field operationId string?
---@field deprecated boolean?
---@field responses table?

--- Middleware that lets in what fits a schema, and answers 422 to all else.
---@class luaserve.validate
---@overload fun(options: luaserve.ValidateOptions): luaserve.Middleware
local validate = {}

---@class SchemaError
---@field path string a JSON Pointer
---@field message string
---@field in string? "body", "query", "path" or "header"

--#region lua/luaserve/validate.lua M=validate. not=middleware
--- Compiles a schema to check(value, options) -> value, or nil and a list of `{path, message}`. Options:
--- coerce, whether texts become what is asked for; maxErrors (50).
---@param given table|string
---@return fun(value: any, options: table?): any, SchemaError[]?
function validate.compile(given) end
--#endregion

return validate
