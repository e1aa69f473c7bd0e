--- The lines that were typed at a prompt, kept in $XDG_STATE_HOME/luaserve (else ~/.local/state/luaserve) for
--- the next time: one line each, for its owner alone, and no more than so many.
local fs = require "fs"
local process = require "process"

local M = {}

local KEPT = 1000 -- lines
local LINE_MAX = 16384 -- bytes of one that is kept

local ESCAPED = { ["\\"] = "\\\\", ["\n"] = "\\n" }

local function encode(line) return (line:gsub("[\\\n]", ESCAPED)) end

local function decode(line)
  return (line:gsub("\\(.)", function(c) return c == "n" and "\n" or c end))
end

--- The file of that name; nil where there is no home.
local function path_of(name)
  local base = process.env.XDG_STATE_HOME
  if not base or base:sub(1, 1) ~= "/" then
    local home = process.env.HOME
    if not home or home:sub(1, 1) ~= "/" then return nil end
    base = home .. "/.local/state"
  end
  return base .. "/luaserve/" .. name
end

---@class repl.History
---@field [integer] string the oldest first
local History = {}
History.__index = History

local function read(path)
  local lines = {}
  local text = fs.readFile(path, "utf8")
  for line in (text or ""):gmatch("[^\n]+") do lines[#lines + 1] = decode(line) end
  return lines
end

--- Writes all of it anew, in place of what has grown too long. Two prompts may do so: the last one wins.
local function rewrite(self)
  local texts = {}
  for i, line in ipairs(self) do texts[i] = encode(line) .. "\n" end
  local temporary = self.path .. "." .. process.pid
  if fs.writeFile(temporary, table.concat(texts), { mode = "600" }) then fs.rename(temporary, self.path) end
end

--- Opens the history of that name; where it cannot be kept it lives as long as the prompt. Waits.
---@param name string
---@return repl.History
function M.open(name)
  local self = setmetatable({ path = path_of(name) }, History)
  if not self.path then return self end
  local lines = read(self.path)
  for i = math.max(1, #lines - KEPT + 1), #lines do self[#self + 1] = lines[i] end
  if #lines > KEPT then rewrite(self) end
  return self
end

--- Adds a line, unless it is the last one once more or begins with a space. Waits.
---@param line string
function History:add(line)
  if not line:find("%S") or line:find("^ ") or line == self[#self] or #line > LINE_MAX then return end
  self[#self + 1] = line
  if #self > KEPT then table.remove(self, 1) end
  if not self.path then return end
  local folder = self.path:match("^(.*)/")
  local made = fs.mkdir(folder, { recursive = true, mode = "700" })
  if not made or not fs.appendFile(self.path, encode(line) .. "\n", { mode = "600" }) then self.path = nil end
end

return M
