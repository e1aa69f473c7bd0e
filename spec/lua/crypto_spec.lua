-- The module crypto. Its cases are in spec/lua/cases.
local cases = require("spec.lua.cases.outside")

describe("crypto", function()
  local passes

  setup(function()
    passes = cases.run("crypto", 2500)
  end)

  for _, name in ipairs(cases.names("crypto")) do
    it(name, function()
      passes(name)
    end)
  end
end)
