-- The module json. Its cases are in spec/lua/cases.
local cases = require("spec.lua.cases.outside")

describe("json", function()
  local passes

  setup(function()
    passes = cases.run("json", 9000)
  end)

  for _, name in ipairs(cases.names("json")) do
    it(name, function()
      passes(name)
    end)
  end
end)
