--- The counts of all workers, for `luaserve top`: each is asked, and what is known of one that does not answer in
--- time is what it has written down itself before.
local process = require "process"
local timers = require "timers"

local M = {}

local WAIT = 500 -- milliseconds that a worker has to answer

local questions, last = {}, 0 -- by number

--- Set by the primary: tell(worker, message), and the workers by id.
M.tell, M.workers = nil, nil

local function state_of(worker)
  if worker._retired then return "draining" end
  return worker._ready and "serving" or "starting"
end

--- What is known of a worker that does not answer.
local function seen(worker)
  local state = worker._link.channel.state and worker._link.channel:state() or {}
  return { requests = state.requests, connections = state.connections, lua = state.memory,
    silent = state.age, uptime = process.uptime() - worker._born }
end

local function settle(question)
  questions[question.seq] = nil
  timers.clearTimeout(question.timer)
  local list = {}
  for id, worker in pairs(M.workers) do
    if not worker._dead then
      local counts = question.found[worker] or seen(worker)
      counts.id, counts.pid, counts.state = id, worker.process.pid, state_of(worker)
      if not question.found[worker] and counts.state == "serving" then counts.state = "busy" end
      list[#list + 1] = counts
    end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return question.answer(list)
end

--- A worker has counted.
---@param worker cluster.Worker
---@param message {seq: integer, counts: table}
function M.answered(worker, message)
  local question = questions[message.seq]
  if not question or not question.left[worker] then return end
  question.found[worker], question.left[worker] = message.counts, nil
  if not next(question.left) then settle(question) end
end

--- Calls answer with the counts of all.
---@param answer fun(list: table[])
function M.take(answer)
  last = last + 1
  local question = { seq = last, answer = answer, left = {}, found = {} }
  questions[last] = question
  for _, worker in pairs(M.workers) do
    if not worker._dead and worker._state ~= "none" then
      question.left[worker] = true
      M.tell(worker, { t = "counts", seq = last })
    end
  end
  question.timer = timers.setTimeout(settle, WAIT, question)
  if not next(question.left) then settle(question) end
end

return M
