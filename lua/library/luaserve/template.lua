---@meta luaserve.template

--- Text with Lua in it, escaped for HTML unless it says otherwise.
---@class luaserve.template
local template = {}

--#region lua/luaserve/template.lua M=template. not=new,find
--- Compiles a template. The function that comes back makes a text of data, whose
--- fields are the template's globals. Raises where the template is wrong, with its
--- line. Options: name, for messages; partials, the templates that it may name;
--- views, else the folder to look for them in.
---@param source string
---@param options {name: string?, partials: table<string, string>?, views: string?}?
---@return fun(data: table?): string
function template.compile(source, options) end

--- Prints the view of that name in a folder. Waits where the file has to be read.
---@param folder string relative to the script's folder
---@param name string a path in it; without an extension, .html is meant
---@param data table?
---@return string
function template.render(folder, name, data) end
--#endregion

return template
