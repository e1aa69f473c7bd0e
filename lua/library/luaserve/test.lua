---@meta luaserve.test

--- A client that asks an app, a handler or a server within this process, without a port.
---@class luaserve.test
---@overload fun(app: App|Server|luaserve.Handler): TestClient
local test = {}

--#region lua/luaserve/test.lua Request=TestRequest: Client=TestClient: not=client
---@class TestRequest
---@field status integer of the answer, for which reading it waits; as do these
---@field headers table<string, string|string[]> lower-case names
---@field body string
local TestRequest = {}

--- Sets a header of the request.
---@param name string|table<string, string>
---@param value string|number|nil
---@return self
function TestRequest:set(name, value) end

--- Sets the body: a table is sent as JSON, a string as it is.
---@param body table|string
---@param kind string? the Content-Type
---@return self
function TestRequest:send(body, kind) end

--- Sets the body to a form.
---@param fields table<string, string|string[]>
---@return self
function TestRequest:form(fields) end

--- Adds a field or a file to a form with files (multipart/form-data).
---@param name string
---@param content string
---@param filename string? a field has none
---@param kind string? the file's Content-Type
---@return self
function TestRequest:attach(name, content, filename, kind) end

--- Adds to the query.
---@param values table
---@return self
function TestRequest:query(values) end

--- Sends the request, once, and waits for its answer.
---@return {status: integer, headers: table, body: string}
function TestRequest:response() end

--- The body of the answer, decoded. Raises where it is no JSON.
---@return any
function TestRequest:json() end

--- Sends the request and raises unless its answer is so: expect(status),
--- expect(status, body), expect(body), a table being JSON, expect(header, value), or
--- expect(function(response)), which raises itself.
---@param expected integer|string|table|function
---@param value string|table|nil
---@return self
function TestRequest:expect(expected, value) end

---@class TestClient
---@field cookies table<string, string> that answers have set
local TestClient = {}

--- A request of any method.
---@param method string
---@param path string
---@return TestRequest
function TestClient:request(method, path) end
--#endregion

---@param path string
---@return TestRequest
function TestClient:get(path) end

---@param path string
---@return TestRequest
function TestClient:post(path) end

---@param path string
---@return TestRequest
function TestClient:put(path) end

---@param path string
---@return TestRequest
function TestClient:patch(path) end

---@param path string
---@return TestRequest
function TestClient:delete(path) end

---@param path string
---@return TestRequest
function TestClient:head(path) end

---@param path string
---@return TestRequest
function TestClient:options(path) end

return test
