--- What workers have counted, added up: the primary's part of /metrics. Each worker's last report stays when it has
--- ended, so that no sum ever falls.
local process = require "process"
local timers = require "timers"

local M = {}

local WAIT = 500 -- milliseconds that a worker has to report

local gone = {} -- rows of workers that have ended, by key
local reports = {} -- worker -> rows
local questions = {} -- {left = {[worker] = true}, answer = fn}

--- Set by the primary: tell(worker, message), and the workers by id.
M.tell, M.workers = nil, nil
M.respawns = 0

local function key_of(row) return row[1] .. "\0" .. row[2] .. "\0" .. row[3] end

local function add(sums, rows)
  for _, row in ipairs(rows) do
    local key = key_of(row)
    local sum = sums[key]
    if not sum then
      sum = { row[1], row[2], row[3] }
      for i = 4, #row do sum[i] = 0 end
      sums[key] = sum
    end
    for i = 4, #row do sum[i] = sum[i] + row[i] end
  end
end

local function sum_up()
  local sums, list = {}, {}
  for _, row in pairs(gone) do add(sums, { row }) end
  for _, rows in pairs(reports) do add(sums, rows) end
  for _, row in pairs(sums) do list[#list + 1] = row end
  return list
end

local function processes()
  local list = {}
  for id, worker in pairs(M.workers) do
    local state = not worker._dead and worker._link.channel.state and worker._link.channel:state()
    if state then
      list[#list + 1] = { id = id, connections = state.connections, memory = state.memory, lag = state.lag }
    end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

local function settle(question)
  questions[question] = nil
  timers.clearTimeout(question.timer)
  question.answer { rows = sum_up(), processes = processes(), respawns = M.respawns, uptime = process.uptime() }
end

local function answered(worker)
  for question in pairs(questions) do
    question.left[worker] = nil
    if not next(question.left) then settle(question) end
  end
end

--- A worker's counts, as they are now.
function M.report(worker, rows)
  reports[worker] = rows
  answered(worker)
end

--- It has ended: what it has counted stays.
function M.forget(worker)
  add(gone, reports[worker] or {})
  reports[worker] = nil
  answered(worker)
end

--- Asks all workers that have come up, and calls answer with the sums.
function M.collect(answer)
  local question = { left = {}, answer = answer }
  for _, worker in pairs(M.workers) do
    if worker._ready and not worker._dead then
      question.left[worker] = true
      M.tell(worker, { t = "report" })
    end
  end
  questions[question] = true
  question.timer = timers.setTimeout(settle, WAIT, question)
  if not next(question.left) then settle(question) end
end

return M
