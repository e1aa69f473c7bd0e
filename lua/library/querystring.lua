---@meta querystring

--- Queries and urlencoded bodies.
---@class querystring
local querystring = {}

--#region lua/node/querystring.lua M=querystring.
---@class querystring.ParseOptions
---@field maxKeys? integer pairs to read, 1000 unless told; 0 or less: all of them
---@field decodeURIComponent? fun(text: string): string instead of `unescape`

---@class querystring.StringifyOptions
---@field encodeURIComponent? fun(text: string): string instead of `escape`

--- Percent-encodes all but letters, digits and `- _ . ! ~ * ' ( )`.
---@param text any a string; other values as `tostring` gives them
---@return string
function querystring.escape(text) end

--- Decodes percent-escapes, once. Malformed ones (`%`, `%4`, `%zz`) stay as they are.
---@param text string
---@return string
function querystring.unescape(text) end

--- Reads a query or an urlencoded body. A repeated key becomes an array, `+` is a space.
---@param str string anything but a string gives an empty table, as in Node
---@param sep? string between pairs, "&" unless told
---@param eq? string between key and value, "=" unless told
---@param options? querystring.ParseOptions
---@return table<string, string|string[]>
function querystring.parse(str, sep, eq, options) end

---@param values table<string|number, any> anything but a table gives ""
---@param sep? string between pairs, "&" unless told
---@param eq? string between key and value, "=" unless told
---@param options? querystring.StringifyOptions
---@return string
function querystring.stringify(values, sep, eq, options) end
--#endregion

querystring.decode = querystring.parse
querystring.encode = querystring.stringify

return querystring
