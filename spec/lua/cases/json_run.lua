-- Started in luaserve by json_spec.lua.
require("cases").run(require("json"), {
  "json_value_cases", "json_number_cases", "json_string_cases", "json_error_cases", "json_encode_cases",
})
