-- The proof of sameness, of examples and files: see transports_spec.lua.
local CODERS = "frees its coders" -- the same, only slower
local DUPLEX = "answers while the body is still coming in" -- speaks HTTP/1.1 by hand
local ECHO = "sends back a body of any kind" -- LuaSec cannot do both at once
local RESET = "cuts off a body that is too long" -- LuaSec reads for ever where its peer has reset the connection
local GATHER = "what three services say" -- it asks its own services by http:
local CLICKED = "clicked through" -- a browser takes its time: once in the clear, once as browsers do
local LANGUAGE, BASKET = "greets in the language", "has a basket that is there" -- the same
local ABSOLUTE = "an absolute form" -- which HTTP/2 does not have

local specs = require("spec.helper.sameness").of {
  { "spec/examples_login_spec.lua", https = { CLICKED }, h2c = { CLICKED } },
  { "spec/examples_spec.lua", https = { ECHO, DUPLEX, GATHER, RESET, LANGUAGE, BASKET }, h2 = { GATHER, RESET },
    h2c = { LANGUAGE, BASKET } },
  { "spec/http/compress_spec.lua", https = { CODERS }, h2 = { CODERS } },
  { "spec/lua/send_file_spec.lua" },
  { "spec/lua/static_load_spec.lua" },
  { "spec/lua/static_paths_spec.lua", h2c = { ABSOLUTE }, h2 = { ABSOLUTE } },
  { "spec/lua/static_spec.lua", h2c = { ABSOLUTE }, h2 = { ABSOLUTE } },
}

for _, spec in ipairs(specs) do it(spec[1], spec[2]) end
