-- Runs the wire documents (spec/wire/*.md; their format: spec/helper/wire.lua)
-- over every transport, as written and split at every byte.
local files = require("spec.helper.files")
local wire = require("spec.helper.wire")
local wire_run = require("spec.helper.wire_run")

local function describe_document(document, transport)
  local target

  setup(function()
    target = transport.start(document)
  end)

  -- A server that has died fails the case that killed it, not all behind it.
  local function living_target()
    return target and target:alive() and target or transport.start(document)
  end

  for _, case in ipairs(document.cases) do
    if wire.applies(document, case, transport.name) then
      it(case.name, function()
        transport.run(case, living_target())
      end)

      if transport.can_split(case) then
        it(case.name .. ", wherever its bytes are split", function()
          transport.run_split(case, living_target())
        end)
      end
    end
  end
end

for _, path in ipairs(files.find("spec/wire", "%.md$")) do
  local document = wire.parse(files.read_file(path), path)
  for _, transport in ipairs(wire_run.transports) do
    describe(("%s over %s"):format(path, transport.title or transport.name), function()
      describe_document(document, transport)
    end)
  end
end
