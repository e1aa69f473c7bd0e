--- Chooses the inputs that are kept for a fuzzer:
---     lua5.4 spec/fuzz/keep.lua PROGRAM COUNT KEPT FOLDER...
--- runs the program (built with libFuzzer) on all inputs in the folders, and
--- fills the folder KEPT with at most COUNT of them: always the one next that
--- shows most of what was not seen yet, short ones first.
local program, count, kept = arg[1], tonumber(arg[2]), arg[3]
assert(count and arg[4], "usage: keep.lua PROGRAM COUNT KEPT FOLDER...")

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function run(format, ...)
  local command = format:format(...)
  assert(os.execute(command), command)
end

-- Has libFuzzer write what each input shows to a file, and returns its lines.
local function measure()
  local work = os.tmpname()
  os.remove(work)
  local folders = {}
  for i = 4, #arg do
    folders[#folders + 1] = quote(arg[i])
  end
  run("mkdir -p %s/merged", work)
  run("%s -merge=1 -merge_control_file=%s/control %s/merged %s >/dev/null 2>&1",
    quote(program), work, work, table.concat(folders, " "))
  local lines = {}
  for line in io.lines(work .. "/control") do
    lines[#lines + 1] = line
  end
  run("rm -rf %s", work)
  return lines
end

-- A list of { path, features }, short inputs first, from the lines: two counts,
-- the paths, then lines like "FT 0 17 23" for the first input.
local function parse(lines)
  local inputs, total = {}, tonumber(lines[1])
  for i = 1, total do
    inputs[i] = { path = lines[i + 2], features = {} }
  end
  for i = total + 3, #lines do
    local index, features = lines[i]:match("^FT (%d+)(.*)$")
    for feature in (features or ""):gmatch("%d+") do
      table.insert(inputs[index + 1].features, feature)
    end
  end
  return inputs
end

local function gain(input, seen)
  local new = 0
  for _, feature in ipairs(input.features) do
    new = new + (seen[feature] and 0 or 1)
  end
  return new
end

local function choose(inputs)
  local chosen, seen = {}, {}
  while #chosen < count do
    local best, most = nil, 0
    for _, input in ipairs(inputs) do
      local new = #input.features > most and gain(input, seen) or 0
      if new > most then
        best, most = input, new
      end
    end
    if not best then
      break
    end
    chosen[#chosen + 1] = best.path
    for _, feature in ipairs(best.features) do
      seen[feature] = true
    end
  end
  return chosen
end

local chosen = choose(parse(measure()))
run("rm -rf %s.new && mkdir -p %s.new", quote(kept), quote(kept))
for _, path in ipairs(chosen) do
  run("cp %s %s.new/$(sha1sum <%s | cut -c1-16)", quote(path), quote(kept), quote(path))
end
run("rm -rf %s && mv %s.new %s", quote(kept), quote(kept), quote(kept))
print(("%s: %d inputs"):format(kept, #chosen))
