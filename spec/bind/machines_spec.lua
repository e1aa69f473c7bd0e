-- Two machines, each a cluster in a network of its own, behind haproxy as examples/deploy/haproxy.cfg
-- has it; sessions and limits are in one Redis. They run examples/deploy/site.lua.
local cjson = require("cjson")
local helper = require("spec.helper")
local machines = require("spec.helper.machines")
local process = require("spec.helper.process")
local redis = require("spec.helper.redis")
local free_port = require("spec.helper.ports").free

-- A port that is free on all of them.
-- The file of the example, with the addresses and ports of the specs.
local function configuration(net, ports)
  local text = helper.read_file("examples/deploy/haproxy.cfg")
  local function put(from, to)
    local n
    text, n = text:gsub(from:gsub("%p", "%%%0") .. "%f[%s\0]", to)
    assert.equal(1, n, from)
  end
  put("bind 10.0.0.1:80", ("bind %s:%d"):format(net.front.host, ports.front))
  put("server one 10.0.0.11:8080", ("server one %s:%d"):format(net[1].host, ports[1]))
  put("server two 10.0.0.12:8080", ("server two %s:%d"):format(net[2].host, ports[2]))
  return text
end

local function two_machines(opts)
  local net, front, site, ports, start

  -- What curl gets from the balancer; options as for curl. Returns status, body.
  local function curl(path, ...)
    local argv = { "curl", "-sS", "-m", "20", "-w", "\n%{http_code}", ... }
    argv[#argv + 1] = ("http://%s:%d%s"):format(net.front.host, front.port, path)
    local text, ok = net.front:run(argv)
    assert(ok, text)
    local body, status = text:match("^(.*)\n(%d+)$")
    return tonumber(status), body
  end

  local function ask(path, ...)
    local status, body = curl(path, ...)
    assert.equal(200, status)
    return cjson.decode(body)
  end

  -- Asks until both machines have answered; what each said last, by its name.
  local function ask_both(...)
    local said, arguments = {}, { ... }
    helper.wait_for(function()
      local answer = ask("/", table.unpack(arguments))
      said[answer.machine] = answer
      return said.one and said.two
    end, "both machines to answer", 30)
    return said
  end

  setup(function()
    net = machines.start(opts)
    if net.why then print("machines are addresses of loopback (" .. net.why .. ")") end
    local r = redis.start({ on = net.front })
    site, ports = {}, { front = free_port(), free_port(), free_port() }
    function start(i)
      local env = { MACHINE = i == 1 and "one" or "two", SECRET = "the secret of both machines",
        REDIS_URL = ("redis://%s:%d"):format(net.front.host, r.port) }
      site[i] = net[i]:start({ process.binary(), "--workers", "2", "--listen", net[i].host .. ":" .. ports[i],
        "--proxy-protocol", process.absolute("examples/deploy/site.lua") }, { env = env })
      site[i]:wait_output("listening on ", 10)
    end
    start(1)
    start(2)
    local file = helper.write_file(helper.tmpdir() .. "/haproxy.cfg", configuration(net, ports))
    front = net.front:start({ "haproxy", "-db", "-f", file })
    front.port = ports.front
    helper.wait_for(function()
      local ok, status = pcall(curl, "/health")
      return ok and status == 200 or not front:alive()
    end, function() return "haproxy\n" .. front:output() end, 20)
  end)

  it("know who logged in on either of them, and from where", function()
    local jar = helper.tmpdir() .. "/jar"
    assert.equal(303, (curl("/login", "-c", jar, "-d", "name=kim&password=swordfish")))
    local said = ask_both("-b", jar, "--interface", net.clients[1])
    for _, name in ipairs({ "one", "two" }) do
      assert.equal("kim", said[name].user)
      assert.equal(net.clients[1], said[name].ip)
    end
    assert.equal(net.clients[2], ask("/", "--interface", net.clients[2]).ip)
    assert.is_nil(ask("/").user)
  end)

  it("count together what a client may do, and no request too many", function()
    -- The limit is ten a minute: one of forty at once may come back meanwhile, every six seconds.
    local began = helper.now()
    local argv = { "curl", "-s", "-m", "30", "--parallel", "--parallel-max", "20", "-d", "password=wrong",
      "--interface", net.clients[2], "-o", "/dev/null", "-w", "%{http_code}\n" }
    for _ = 1, 40 do argv[#argv + 1] = ("http://%s:%d/login"):format(net.front.host, front.port) end
    local counts = {}
    for status in net.front:run(argv):gmatch("%d+") do counts[status] = (counts[status] or 0) + 1 end
    local back = math.floor((helper.now() - began) / 6)
    assert.is_true(counts["401"] >= 10 and counts["401"] <= 10 + back, tostring(counts["401"]))
    assert.equal(40, counts["401"] + counts["429"])
  end)

  if opts and opts.loopback then return end -- the rest takes longer, and is the same
  it("log nobody out when one of them dies", function()
    local jar = helper.tmpdir() .. "/jar"
    assert.equal(303, (curl("/login", "-c", jar, "-d", "name=sam&password=swordfish", "--interface", net.clients[1])))
    ask_both("-b", jar)
    local function check()
      for _ = 1, 10 do
        local answer = ask("/", "-b", jar) -- each of them, at once
        assert.same({ "two", "sam" }, { answer.machine, answer.user })
      end
    end
    site[1].sent.SIGKILL = true
    os.execute(("kill -s KILL -- -%d"):format(site[1].pid)) -- with its workers
    check()
    start(1) -- it is taken in again
    ask_both("-b", jar)
    net[1]:unplug()
    if not net.why then check() end
  end)
end

describe("two machines", function() two_machines() end)
describe("two machines without namespaces", function() two_machines({ loopback = true }) end)
