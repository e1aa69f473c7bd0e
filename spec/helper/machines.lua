--- Two machines and what stands before them, each with a network of its own: namespaces of the
--- kernel, joined by cables (veth). `local net = require("spec.helper.machines").start()`.
---
--- Where that is not allowed they are addresses of this machine, 127.0.0.x, and net.why says so:
--- then all is the same but for the network that ends with its machine.
---
---   net.front, net[1], net[2]      machines: host, and :start(argv, opts), as helper.start
---   net.clients                    addresses of clients, on the front
---   net.front:run(argv) -> text    what a program there prints
---   machine:unplug()               its cable is pulled
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")

local M = {}

local NAMESPACES = { front = "10.0.0.1", "10.0.0.11", "10.0.0.12", clients = { "10.0.0.101", "10.0.0.102" } }
local LOOPBACK = { front = "127.0.0.1", "127.0.0.2", "127.0.0.3", clients = { "127.0.0.101", "127.0.0.102" } }

local Machine = {}
Machine.__index = Machine

local function join(first, second)
  local words = {}
  for _, list in ipairs({ first, second }) do
    for _, word in ipairs(list) do words[#words + 1] = tostring(word) end
  end
  return words
end

--- What a shell prints, and whether it succeeded.
local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("a")
  return text, (pipe:close())
end

function Machine:start(argv, opts)
  return process.start(join(self.enter, argv), opts)
end

function Machine:run(argv)
  local words = join(self.enter, argv)
  for i, word in ipairs(words) do words[i] = files.quote(word) end
  return shell(table.concat(words, " "))
end

function Machine:unplug()
  if self.cable then assert(select(2, self.front:run({ "ip", "link", "set", self.cable, "down" }))) end
end

-- ---- namespaces

local function namespace_of(pid)
  return (shell("readlink /proc/" .. pid .. "/ns/net"))
end

--- A process that does nothing in a network of its own, which is there while it lives.
local function new_network()
  local holder = process.start({ "unshare", "--net", "sleep", "infinity" })
  local ours = namespace_of("self")
  poll.wait_for(function()
    return not holder:alive() or holder:stderr() ~= "" or namespace_of(holder.pid) ~= ours
  end, "a network namespace")
  if not holder:alive() then return nil, (holder:stderr():gsub("%s+$", "")) end
  return holder
end

local function must(machine, ...)
  for _, line in ipairs({ ... }) do
    local argv = {}
    for word in line:gmatch("%S+") do argv[#argv + 1] = word end
    local text, ok = machine:run(argv)
    if not ok then error(line .. ": " .. text, 0) end
  end
end

local function new_machine(host)
  local holder, why = new_network()
  if not holder then error(why, 0) end
  local machine = setmetatable({ host = host, holder = holder,
    enter = { "nsenter", "--target", holder.pid, "--net" } }, Machine)
  must(machine, "ip link set lo up")
  return machine
end

local function plug(front, machine, name)
  machine.front, machine.cable = front, name
  must(front, ("ip link add %s type veth peer name eth0 netns %d"):format(name, machine.holder.pid),
    ("ip address add %s peer %s dev %s"):format(front.host, machine.host, name), ("ip link set %s up"):format(name))
  must(machine, ("ip address add %s peer %s dev eth0"):format(machine.host, front.host), "ip link set eth0 up",
    "ip route add default via " .. front.host)
end

local function with_namespaces()
  local net = { front = new_machine(NAMESPACES.front), clients = NAMESPACES.clients }
  for i = 1, 2 do
    net[i] = new_machine(NAMESPACES[i])
    plug(net.front, net[i], "machine" .. i)
  end
  for _, address in ipairs(net.clients) do must(net.front, "ip address add " .. address .. "/32 dev lo") end
  return net
end

-- ---- without

local function on_loopback(why)
  local net = { why = why, clients = LOOPBACK.clients }
  for _, name in ipairs({ "front", 1, 2 }) do
    net[name] = setmetatable({ host = LOOPBACK[name], enter = {} }, Machine)
  end
  return net
end

--- Option: loopback, without namespaces in any case.
---@param opts { loopback: boolean? }?
---@return table
function M.start(opts)
  if opts and opts.loopback then return on_loopback("it was asked for") end
  local ok, net = pcall(with_namespaces)
  return ok and net or on_loopback(net)
end

return M
