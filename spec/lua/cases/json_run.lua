-- Started in luaserve by json_spec.lua.
require("cases").run("json")
