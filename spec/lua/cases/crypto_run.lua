-- Started in luaserve by crypto_spec.lua.
require("cases").run(require("crypto"), { "crypto_cases" })
