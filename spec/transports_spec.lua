-- The proof of sameness: lists of specs, each of which passes over HTTP/1.1 over
-- TLS, over HTTP/2 in the clear, and over HTTP/2 over TLS, as it does over plain
-- HTTP/1.1 where it stands. Here are handlers and apps; transports_files_spec.lua
-- has examples and files. (The wire documents do that in spec/wire_spec.lua.)
--
-- What is not the same is named here, with the reason.
local WRAPPED = "must be numbers, as the caller's line" -- the caller is the specs' own wrapper
local PROTOCOL = "believes nobody unless told to" -- it is https, without any proxy
local REASON = "drops what was set" -- HTTP/2 has no reason phrases

local specs = require("spec.helper.sameness").of {
  { "spec/http/server_spec.lua", https = { WRAPPED }, h2 = { WRAPPED } },
  { "spec/lua/answers_spec.lua" },
  { "spec/lua/context_spec.lua" },
  { "spec/lua/coroutines_spec.lua" },
  { "spec/lua/errors_spec.lua", h2c = { REASON }, h2 = { REASON } },
  { "spec/lua/events_spec.lua" },
  { "spec/lua/template_spec.lua" },
  { "spec/lua/timers_spec.lua" },
  { "spec/lua/waiting_spec.lua" },
  { "spec/web/app_spec.lua", https = { PROTOCOL }, h2 = { PROTOCOL } },
  { "spec/web/validate_spec.lua" },
}

for _, spec in ipairs(specs) do it(spec[1], spec[2]) end
