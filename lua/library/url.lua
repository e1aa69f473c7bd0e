---@meta url

--- The URL Standard's URL and URLSearchParams, and the older parse, format and resolve.
---@class url
local url = {}

---@class url.URL
local Address = {}

--#region lua/luaserve/url/class.lua Methods=Address:
---@class url.URL
---@field href string
---@field origin string read-only
---@field protocol string with its colon
---@field username string
---@field password string
---@field host string name and port
---@field hostname string
---@field port string "" for the scheme's own
---@field pathname string
---@field search string with its "?", or ""
---@field searchParams url.URLSearchParams read-only; changes to it are changes to the URL
---@field hash string with its "#", or ""

---@return string href
function Address:toString() end

---@return string href
function Address:toJSON() end
--#endregion

--#region lua/luaserve/url/params.lua Params=Params:
---@class url.URLSearchParams
---@field size integer number of pairs
local Params = {}

---@param name string
---@param value any made a string
---@return url.URLSearchParams self
function Params:append(name, value) end

--- Takes away every pair of this name; of this name and value where one is given.
---@param name string
---@param value? string
---@return url.URLSearchParams self
function Params:delete(name, value) end

---@param name string
---@return string? # the first value; nil without one
function Params:get(name) end

---@param name string
---@return string[]
function Params:getAll(name) end

---@param name string
---@param value? string
---@return boolean
function Params:has(name, value) end

--- Gives the first pair of this name the value, and takes away the others; else appends.
---@param name string
---@param value any made a string
---@return url.URLSearchParams self
function Params:set(name, value) end

--- Sorts by name, bytewise; pairs of one name keep their order.
---@return url.URLSearchParams self
function Params:sort() end

---@param visit fun(value: string, name: string, params: url.URLSearchParams)
function Params:forEach(visit) end

--- `for name, value in params:entries() do`; it sees what is changed meanwhile.
---@return fun(): string?, string?
function Params:entries() end

---@return fun(): string?
function Params:keys() end

---@return fun(): string?
function Params:values() end

---@return string # without a "?"
function Params:toString() end
--#endregion

--#region lua/luaserve/url/legacy.lua M=url.
---@class url.Parsed
---@field protocol? string with its colon, in small letters
---@field slashes? boolean "//" follows the protocol
---@field auth? string decoded "user:password"
---@field host? string name and port
---@field hostname? string an IPv6 address has no brackets here
---@field port? string
---@field pathname? string
---@field search? string with its "?"
---@field query? string|table<string, string|string[]> the search without its "?"; a table if asked for
---@field path? string pathname and search
---@field hash? string with its "#"
---@field href string

---@class url.FormatOptions
---@field auth? boolean false leaves out user and password
---@field search? boolean
---@field fragment? boolean

--- Takes a URL apart, relative or absolute. Raises "Invalid URL" where its host cannot be one.
---@param text string
---@param parse_query? boolean `query` becomes a table
---@param slashes_denote_host? boolean "//host/path" without a protocol has a host
---@return url.Parsed
function url.parse(text, parse_query, slashes_denote_host) end

---@param value url.Parsed|url.URL|string
---@param options? url.FormatOptions for a url.URL
---@return string
function url.format(value, options) end

--- The URL that a reference means on a page (RFC 3986 section 5); both may be relative. Raises "Invalid URL".
---@param from string
---@param to string
---@return string
function url.resolve(from, to) end
--#endregion

--- A URL, absolute or relative to a base. Raises "Invalid URL".
---@class url.URLClass
---@overload fun(input: string|url.URL, base?: string|url.URL): url.URL
url.URL = {}

--- Whether URL(input, base) would not raise.
---@param input string|url.URL
---@param base string|url.URL|nil
---@return boolean
function url.URL.canParse(input, base) end

--- A list of query parameters, of a string (a leading "?" is dropped), {{name, value}, ...}, or a table of fields.
---@param init string|table|nil
---@return url.URLSearchParams
function url.URLSearchParams(init) end

return url
