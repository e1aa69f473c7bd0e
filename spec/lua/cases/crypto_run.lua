-- Started in luaserve by crypto_spec.lua.
require("cases").run("crypto")
