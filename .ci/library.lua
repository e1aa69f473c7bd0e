-- The annotations for editors, lua/library: `make library`. A file there is written by hand, but for
-- its regions, which are copied from the annotations of a source:
--
--   --#region lua/node/fs.lua M=fs. Stats=Stats: not=open
--   ...
--   --#endregion
--
-- that is: which tables of the source are called what, and names that are left out. Of the source's
-- classes that are named the local is declared, too. spec/library_spec.lua holds the regions to this.
local M = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Whether a tag's type goes on in the next line, which editors do not know: its braces are open.
local function is_open(line)
  local _, opened = line:gsub("{", "")
  local _, closed = line:gsub("}", "")
  return line:find("^%-%-%-@") and opened > closed
end

local function add_line(lines, line)
  if lines[1] and is_open(lines[#lines]) then
    lines[#lines] = lines[#lines] .. " " .. line:gsub("^%-%-%-%s*", "")
  else
    table.insert(lines, line)
  end
end

-- Blocks of `---` lines, each with the line of code behind it.
local function blocks_of(text)
  local blocks, lines = {}, {}
  for line in text:gmatch("([^\n]*)\n") do
    if line:find("^%s*%-%-%-") then
      add_line(lines, (line:gsub("^%s+", "")))
    else
      if lines[1] then table.insert(blocks, { lines = lines, code = line }) end
      lines = {}
    end
  end
  return blocks
end

-- The parameters that the annotation names, else those of the code.
local function parameters_of(block, given)
  local names = {}
  for _, line in ipairs(block.lines) do
    local name = line:match("^%-%-%-@param%s+([%w_.]+)")
    if name and name ~= "self" then table.insert(names, name) end
  end
  given = given:gsub("^self,? *", "")
  if not names[1] then return given end
  local _, commas = given:gsub(",", "")
  if given:find("%.%.%.$") and commas == #names and names[#names] ~= "..." then table.insert(names, "...") end
  return table.concat(names, ", ")
end

local function annotation_of(block)
  local kept = {}
  for _, line in ipairs(block.lines) do
    if not line:find("^%-%-%-@param%s+self%s") then table.insert(kept, line) end
  end
  return table.concat(kept, "\n") .. "\n"
end

local function declare(block, names, out)
  local owner, name, given = block.code:match("^%s*function ([%w_]+)[.:]([%w_]+)%((.-)%)")
  local is_field = false
  if not owner then
    owner, name = block.code:match("^([%w_]+)%.([%w_]+) = ")
    given = block.code:match("= function%((.-)%)")
    is_field = given == nil
  end
  local target = owner and names[owner]
  if not target or name:find("^_") or names["not"]:find(" " .. name .. " ", 1, true) then return end
  local text = annotation_of(block)
  if is_field and not text:find("fun(", 1, true) then return end
  if is_field then
    table.insert(out, text .. target:gsub(":$", ".") .. name .. " = nil\n")
  else
    table.insert(out, ("%sfunction %s%s(%s) end\n"):format(text, target, name, parameters_of(block, given)))
  end
end

local function is_type(block)
  for _, line in ipairs(block.lines) do
    if line:find("^%-%-%-@class") or line:find("^%-%-%-@alias") then return true end
  end
end

local function region_of(path, names)
  local out = {}
  for _, block in ipairs(blocks_of(read(path))) do
    if is_type(block) then
      local owner = block.code:match("^local ([%a_]+) =")
      local target = owner and names[owner]
      table.insert(out, annotation_of(block) .. (target and "local " .. target:gsub("[.:]$", "") .. " = {}\n" or ""))
    else
      declare(block, names, out)
    end
  end
  return table.concat(out, "\n")
end

local function names_of(text)
  local names = { ["not"] = " " }
  for key, value in text:gmatch("(%S+)=(%S+)") do names[key] = value end
  names["not"] = " " .. names["not"]:gsub(",", " ") .. " "
  return names
end

--- A file of the library with its regions as their sources have them now.
function M.render(text)
  return (text:gsub("(%-%-#region (%S+)([^\n]*)\n).-(%-%-#endregion)", function(head, path, rest, tail)
    return head .. region_of(path, names_of(rest)) .. tail
  end))
end

if arg and (arg[0] or ""):find("library%.lua$") then
  for path in io.popen("find lua/library -name '*.lua'"):lines() do
    local text = read(path)
    local new = M.render(text)
    if new ~= text then
      local file = assert(io.open(path, "wb"))
      file:write(new)
      file:close()
      print("  " .. path)
    end
  end
end

return M
