--- Examples: `local examples = require("spec.helper.examples")` starts them, clicks through
-- their pages, and kills the worker that has answered.
local lfs = require("lfs")
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local scope = require("spec.helper.scope")
local server = require("spec.helper.server")
local transport = require("spec.helper.transport")

local M = {}

-- What lua/luaserve/misuse.lua says of mistakes: examples make none.
local MISTAKES = { "the global '[^\n]*", "[^\n]*returned without an answer", "[^\n]*has begun an answer and left it",
  "[^\n]*after the answer has ended", "[^\n]*after it had sent one with res",
  "[^\n]*read nothing of the request's body" }

local function check_mistakes(target)
  for _, pattern in ipairs(MISTAKES) do
    local found = target:stderr():match(pattern)
    if found then error("the example makes a mistake: " .. found, 0) end
  end
end

--- Starts examples/NAME.lua on a free port, for the specs of the block around it.
---@param name string
---@param opts table? as of helper.serve
---@return table server
function M.serve(name, opts)
  opts = opts or {}
  opts.env = opts.env or {}
  opts.env.PORT = 0
  local started = server.serve("examples/" .. name .. ".lua", opts)
  scope.defer(function() return check_mistakes(started) end)
  return started
end

--- Has a browser click through an example, in both colour schemes; nothing may go
-- wrong in the page meanwhile.
---@param target table the server
---@param path string of the first page
---@param body fun(browser: spec.Browser, scheme: string)
function M.click_through(target, path, body)
  local encrypted = transport.encrypted
  local browser = require("spec.helper.browser").open { insecure = encrypted }
  for _, scheme in ipairs { "light", "dark" } do
    browser:scheme(scheme)
    browser:go(("%s://127.0.0.1:%d%s"):format(encrypted and "https" or "http", target.port, path))
    body(browser, scheme)
    local folder = os.getenv("SCREENSHOTS") -- to look at
    if folder then
      local title = browser:title():gsub("/", " ")
      browser:screenshot(("%s/%s-%s.png"):format(folder, title, scheme))
    end
  end
  local errors = browser:errors()
  assert(#errors == 0, table.concat(errors, "\n"))
end

--- The worker of a cluster that has a connection to its port.
---@param target table the server
---@return string? pid
function M.answering(target)
  local inodes, wanted = {}, (":%04X"):format(target.port)
  for line in io.lines("/proc/net/tcp") do
    local address, state, inode = line:match("^%s*%d+: %x+(:%x+) %x+:%x+ (%x+) .-(%d+)%s+%d+ %x+ %d+ %d+ %d+ %-?%d+")
    if address == wanted and state == "01" then inodes[inode] = true end
  end
  for pid in files.read_file(("/proc/%d/task/%d/children"):format(target.pid, target.pid)):gmatch("%d+") do
    local pipe = io.popen("readlink /proc/" .. pid .. "/fd/* 2>/dev/null")
    for inode in pipe:read("a"):gmatch("socket:%[(%d+)%]") do
      if inodes[inode] then
        pipe:close()
        return pid
      end
    end
    pipe:close()
  end
end

--- Kills a worker, and waits until it is gone.
---@param pid string
function M.kill_worker(pid)
  os.execute("kill -KILL " .. pid)
  poll.wait_for(function() return not lfs.attributes("/proc/" .. pid .. "/exe") end, "the end of worker " .. pid)
end

return M
