--- The sockets that a primary binds for its workers. Each address has one for every slot (a place for a worker,
--- which its replacement takes over), between which the kernel divides connections; a Unix path has one for
--- all. They stay bound when a worker dies, so that what waits in their queues is served by the next one; a slot
--- that stays empty is lent to a sibling.
local given = require "luaserve.given"
local native = require "luaserve.core.cluster"
local timers = require "timers"

local M = {}

local unpack = table.unpack or unpack

local LEND_AFTER = 100 -- milliseconds that a slot may be empty

-- key -> {key, host, port, backlog, path, shared (one socket for all), given (by a service manager),
-- sockets = {[slot] = bound}, users = {[worker] = true},
-- lent = {[slot] = worker}}
local addresses = {}

--- Set by the primary: tell(worker, message, bound).
M.tell = nil

-- ---- binding

--- What a failed bind said, for the worker to make an error of.
local function failure(address, message, code, place, ip, port)
  if address == false then return { failed = true, unknown = true } end
  return { failed = true, message = message, code = code, place = place, ip = ip, port = port }
end

--- Whether nobody else has the address, which sockets that share a port would not find out; and the port, where
--- any will do.
local function probe(a)
  local found = { native.probe(a.host, a.port) }
  if not found[1] and not a.host and (found[3] == "EAFNOSUPPORT" or found[3] == "EADDRNOTAVAIL") then
    a.host = "0.0.0.0" -- no IPv6 here
    found = { native.probe(a.host, a.port) }
  end
  if not found[1] then return failure(unpack(found, 1, 6)) end
  a.port = found[1]
end

local function bind(a, slot)
  local found = { native.bind(a.path or a.host, a.port, a.backlog, not a.path) }
  if not found[1] then return failure(unpack(found, 1, 6)) end
  a.sockets[slot] = found[1]
end

--- Where a service manager has bound the address socket is for all.
local function take_given(a, wanted)
  local bound = given.find(wanted, wanted.host)
  if bound then a.sockets[1], a.shared, a.given = bound, true, true end
end

--- The address that a worker asks for, with a socket for its slot; or nil and what went wrong.
local function find(wanted, slot)
  local a = addresses[wanted.key] or { key = wanted.key, host = wanted.host, port = wanted.port, path = wanted.path,
    backlog = wanted.backlog, shared = wanted.path ~= nil, sockets = {}, users = {}, lent = {} }
  if not addresses[a.key] then take_given(a, wanted) end
  if wanted.fd and not a.shared then
    return nil, { failed = true, code = "EBADF",
      text = ("listen EBADF: descriptor %s is none that was passed (LISTEN_FDS)"):format(tostring(wanted.fd)) }
  end
  if a.shared then slot = 1 end
  local wrong = not addresses[a.key] and not a.shared and probe(a) or nil
  if not wrong and not a.sockets[slot] then wrong = bind(a, slot) end
  if wrong then return nil, wrong end
  addresses[a.key] = a
  return a
end

local function slot_of(a, worker)
  return a.shared and 1 or worker._slot
end

-- ---- who accepts

local function recall(a, slot)
  local sibling = a.lent[slot]
  a.lent[slot] = nil
  if sibling then M.tell(sibling, { t = "release", key = a.key, tag = slot }) end
end

--- Gives a worker the socket of its slot.
---@param worker table
---@param wanted {key: string, host: string?, port: integer?, path: string?, backlog: integer?, seq: integer}
function M.grant(worker, wanted)
  local a, wrong = find(wanted, worker._slot)
  if not a then
    wrong.t, wrong.seq = "reply", wanted.seq
    return M.tell(worker, wrong)
  end
  local slot = slot_of(a, worker)
  a.users[worker] = true
  recall(a, slot)
  return M.tell(worker, { t = "reply", seq = wanted.seq, tag = slot }, a.sockets[slot])
end

local function is_served(a, slot)
  if a.lent[slot] then return true end
  for worker in pairs(a.users) do
    if slot_of(a, worker) == slot then return true end
  end
  return false
end

--- The worker of the address that has been lent the least.
local function least_burdened(a)
  local burden, best = {}, nil
  for _, worker in pairs(a.lent) do burden[worker] = (burden[worker] or 0) + 1 end
  for worker in pairs(a.users) do
    if not best or (burden[worker] or 0) < (burden[best] or 0) then best = worker end
  end
  return best
end

local function lend(a)
  for slot, bound in pairs(a.sockets) do
    local sibling = not is_served(a, slot) and least_burdened(a)
    if sibling then
      a.lent[slot] = sibling
      M.tell(sibling, { t = "lend", key = a.key, tag = slot }, bound)
    end
  end
end

local function lend_all()
  for _, a in pairs(addresses) do lend(a) end
end

local function drop(a)
  addresses[a.key] = nil
  for slot, bound in pairs(a.sockets) do
    recall(a, slot)
    if not a.given then bound:close() end
  end
end

local function leave(a, worker)
  a.users[worker] = nil
  for slot, sibling in pairs(a.lent) do
    if sibling == worker then a.lent[slot] = nil end
  end
  timers.setTimeout(lend_all, LEND_AFTER):unref()
end

--- A worker has closed a server of its own will: where no other listens there the address is given up.
function M.close(worker, key)
  local a = addresses[key]
  if not a or not a.users[worker] then return end
  leave(a, worker)
  if not next(a.users) then drop(a) end
end

--- A worker has ended, or stops: it accepts no more, and its slot is another's.
function M.vacate(worker)
  for _, a in pairs(addresses) do
    if a.users[worker] then leave(a, worker) end
  end
end

--- How many addresses the worker listens on.
---@return integer
function M.count(worker)
  local n = 0
  for _, a in pairs(addresses) do n = n + (a.users[worker] and 1 or 0) end
  return n
end

--- Gives up those from which nobody accepts, but for the ones of these keys.
---@param kept table<string, boolean>
function M.prune(kept)
  for key, a in pairs(addresses) do
    if not next(a.users) and not kept[key] then drop(a) end
  end
end

--- Whether what a worker asks for is a port that is bound already, for another host.
---@param wanted table as for grant
---@return boolean
function M.collides(wanted)
  if addresses[wanted.key] or not wanted.port or wanted.port == 0 then return false end
  for _, a in pairs(addresses) do
    if a.port == wanted.port then return true end
  end
  return false
end

--- Gives up all of them.
function M.close_all()
  for _, a in pairs(addresses) do drop(a) end
end

return M
