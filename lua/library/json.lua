---@meta json

--- JSON (RFC 8259), as fast as C.
---@class json
local json = {}

--- JSON's null; true as a condition.
---@type userdata
json.null = nil

--- A value as JSON. A table whose keys are 1 to n is an array, others are objects, and so is {}. Raises, and names the
--- place, for functions, NaN and infinities, cycles, and more than 1,000 levels.
---@param value any
---@param options {sort: boolean?}? sort: the keys of objects
---@return string
function json.encode(value, options) end

--- The value of a JSON text; null is json.null. Raises with a position what is not JSON.
---@param text string
---@return any
function json.decode(text) end

--- Marks a table, or a new one, as an array: an empty one is [].
---@generic T: table
---@param t T?
---@return T
function json.array(t) end

--- Whether encode writes it as an array.
---@param value any
---@return boolean
function json.isArray(value) end

return json
