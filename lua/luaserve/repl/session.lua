--- One conversation with a Lua state: lines are compiled and run, each as a task of its own that may wait, and its
--- values become text. Used by the prompt of `luaserve repl`, and within a worker for `luaserve attach`.
local inspect = require("luaserve.inspect").inspect
local locals = require "luaserve.repl.locals"
local task = require "luaserve.core.task"

local M = {}

local load_text = rawget(_G, "loadstring") or load

local FRAMES = 6 -- of a traceback that are shown
local CHUNK = "=(line)"

---@class repl.Session
local Session = {}
Session.__index = Session

--- A session. names are known in it besides the globals, and change nothing there; cpu is the CPU time of each
--- uninterrupted run, in seconds, 0 for that of the process.
---@param names table<string, any>
---@param cpu number?
---@return repl.Session
function M.new(names, cpu)
  local self = setmetatable({ own = {}, values = {}, cpu = cpu or 0 }, Session)
  local own, values = self.own, self.values
  for name, value in pairs(names) do own[name], values[name] = true, value end
  own._ = true
  self.env = setmetatable({}, {
    __index = function(_, name)
      if own[name] then return values[name] end
      return _G[name]
    end,
    __newindex = function(_, name, value)
      if own[name] then values[name] = value else _G[name] = value end
    end,
  })
  return self
end

local function is_incomplete(message)
  return message:find("near '?<eof>'?$") ~= nil
end

--- The function of a line, an expression or statements. Where it is neither: nil, what is wrong, and whether more
--- of it may follow.
---@param text string
---@return function?, string? message, boolean? incomplete
function Session:compile(text)
  local fn, as_value = load_text("return " .. text:gsub("^%s*=", "", 1), CHUNK, "t", self.env)
  if fn then return fn end
  local lifted, names = locals.lift(text)
  local message
  fn, message = load_text(lifted, CHUNK, "t", self.env)
  if not fn then
    fn = load_text(text, CHUNK, "t", self.env) -- lifting is no reason to fail
    if not fn then return nil, message, is_incomplete(message) or is_incomplete(as_value) end
    return fn
  end
  for _, name in ipairs(names) do
    if not self.own[name] then self.own[name], self.values[name] = true, nil end
  end
  return fn
end

-- ---- what is shown

--- The traceback without what is ours, and without a frame that says no more than the message.
local function shortened(trace)
  local kept, hidden = {}, 0
  for line in trace:gmatch("[^\n]+") do
    local is_ours = line:find("^%s+luaserve:") or line:find("^%s+%[C%]") or line:find("^%s+%[builtin")
    local is_frame = line:find("^%s") and not is_ours and not line:find("^%s+%(?%.%.%.")
      and not line:find("^%s+%(line%):1: in ")
    if is_frame and #kept < FRAMES then
      kept[#kept + 1] = "  " .. line:gsub("^%s+", "")
    elseif is_frame then
      hidden = hidden + 1
    end
  end
  if hidden > 0 then kept[#kept + 1] = ("  ... %d more"):format(hidden) end
  return table.concat(kept, "\n")
end

local function text_of(err)
  if type(err) == "string" then return err end
  local meta = type(err) == "table" and getmetatable(err)
  if type(err) == "table" and type(rawget(err, "message")) == "string" then return rawget(err, "message") end
  if type(meta) == "table" and meta.__tostring then return tostring(err) end
  return inspect(err)
end

local function failure(err)
  local text, trace = text_of(err), shortened(debug.traceback("", 2))
  return "error: " .. text .. (trace ~= "" and "\n" .. trace or "")
end

local function escaped(byte) return ("\\%03d"):format(byte:byte()) end

--- Bytes that are no UTF-8 would leave a terminal in disorder.
local function printable(text)
  return (text:gsub("[\128-\255]+", function(run)
    return (run:gsub("[\192-\255]?[\128-\191]*", function(c)
      local lead = c:byte() or 0
      local length = lead >= 0xF5 and 0 or lead >= 0xF0 and 4 or lead >= 0xE0 and 3 or lead >= 0xC2 and 2 or 0
      if length == #c then return nil end
      if length > 0 and length < #c then return c:sub(1, length) .. c:sub(length + 1):gsub(".", escaped) end
      return (c:gsub(".", escaped))
    end))
  end))
end

local function packed(...) return { n = select("#", ...), ... } end

--- What is shown of a value: what its metatable says, as that of a test client's request, which has its answer shown.
local function shown(value)
  local meta = type(value) == "table" and getmetatable(value)
  local show = type(meta) == "table" and rawget(meta, "__shown")
  return type(show) == "function" and show(value) or value
end

local function run(self, fn)
  local results = packed(xpcall(fn, failure))
  if not results[1] then return false, results[2] end
  if results.n == 1 then return true, nil end
  self.values._ = results[2]
  return xpcall(function()
    local texts = {}
    for i = 2, results.n do texts[i - 1] = printable(inspect(shown(results[i]))) end
    return table.concat(texts, "\t")
  end, failure)
end

--- What the end of a task was, as the C side tells it: its own end was the budget's, or Ctrl-C's.
local function outcome(ok, first, second)
  if ok then return first, second end
  local message = first:match("^[^\n]*")
  local trace = shortened(first)
  return false, "error: " .. message .. (trace ~= "" and "\n" .. trace or "")
end

--- Runs a compiled line; done(ok, text) is called when it has ended: text is that of its values, nil where there
--- are none, or of the error.
---@param fn function
---@param done fun(ok: boolean, text: string?)
function Session:run(fn, done)
  if jit then jit.off(fn, true) end -- compiled code cannot be interrupted
  task.start(function() return run(self, fn) end, function(...) return done(outcome(...)) end, self.cpu)
end

--- Completes the name before the cursor.
---@param text string
---@return integer from where in text the name begins that list completes
---@return string[] list
function Session:complete(text)
  return require("luaserve.repl.complete").find(self, text)
end

return M
