--- A prompt's worth of Lua within a live process, for one who has attached: each line is a task with a small budget
--- of CPU time, in nobody's request, so that what is typed can fail or loop without harm to those who are served.
local core = require "luaserve.core"
local message = require "luaserve.control.message"
local names = require "luaserve.repl.names"
local process = require "process"
local session = require "luaserve.repl.session"

local M = {}

local CPU = 0.5 -- seconds of one uninterrupted run
local RESULT_MAX = 64 * 1024 -- bytes of the values of a line
local OUTPUT_MAX = 256 * 1024 -- bytes that a line prints

---@class control.Shell
local Shell = {}
Shell.__index = Shell

local function cut(text, most)
  if #text <= most then return text end
  return text:sub(1, most) .. ("\n... %d more bytes"):format(#text - most)
end

--- print, to where the line was typed.
local function printer(self)
  return function(...)
    local texts = {}
    for i = 1, select("#", ...) do texts[i] = tostring((select(i, ...))) end
    local text = table.concat(texts, "\t")
    if self.closed or self.printed > OUTPUT_MAX then return end
    self.printed = self.printed + #text + 1
    if self.printed > OUTPUT_MAX then
      text = text:sub(1, OUTPUT_MAX) .. "\n... more is printed than is shown"
    end
    self:send({ t = "output" }, text)
  end
end

--- A shell for the peer, which is greeted.
---@param peer userdata
---@return control.Shell
function M.new(peer)
  local self = setmetatable({ peer = peer, closed = false, printed = 0 }, Shell)
  local known = names.find(core.served)
  known.print = printer(self)
  local cpu = core.cpuBudget > 0 and math.min(CPU, core.cpuBudget) or CPU
  self.session = session.new(known, cpu)
  core.log("info", "somebody has attached a prompt to this process, over the control socket")
  self:send { t = "hello", worker = core.worker or 0, pid = process.pid, version = core.version,
    engine = jit and "LuaJIT" or _VERSION, app = known.app ~= nil, client = known.client ~= nil }
  return self
end

function Shell:send(head, text)
  if not self.closed then self.peer:send(message.encode(head, text)) end
end

--- The other end is gone; what runs goes on alone.
function Shell:close()
  self.closed = true
end

local words = {}

function words.run(self, head, text)
  local fn, why = self.session:compile(text)
  if not fn then return self:send({ t = "done", seq = head.seq, ok = false, has = true }, "error: " .. why) end
  self.printed, self.seq = 0, head.seq
  self.session:run(fn, function(ok, result)
    if self.seq ~= head.seq then return end -- it was given up
    self.seq = nil
    self:send({ t = "done", seq = head.seq, ok = ok, has = result ~= nil }, cut(result or "", RESULT_MAX))
  end)
end

--- The line waits: a run that computes is over before this could be heard.
function words.interrupt(self)
  local seq = self.seq
  self.seq = nil
  if not seq then return end
  self:send({ t = "done", seq = seq, ok = false, has = true },
    "interrupted: the line was waiting, and goes on in the server")
end

function words.complete(self, head, text)
  local from, list = self.session:complete(text)
  self:send { t = "names", seq = head.seq, from = from, names = list }
end

--- Does what a message asks for.
---@param head table
---@param text string
function Shell:receive(head, text)
  local word = words[head.t]
  if word then return word(self, head, text) end
end

return M
