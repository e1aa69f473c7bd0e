--- Middleware: a line for each request, when it is over, in the log or in a file.
--- The server's own --access-log costs less; this one knows what an app knows: the
--- id, the user, and which requests to leave out.
local check_options = require("luaserve.options").check
local core = require "luaserve.core"
local fs = require "fs"
local json = require "json"
local process = require "process"
local told = require("luaserve.core.server").told

local M = {}

local KNOWN = { format = "string function", file = "string", skip = "function" }

local MOST = 1024 * 1024 -- bytes that wait for a file

-- ---- formats

--- Whatever a client says, so that a line stays a line.
local function plain(text)
  if not text or text == "" then return "-" end
  return (text:gsub('[%c"\\\127-\255]', function(c) return ("\\x%02X"):format(c:byte()) end))
end

local function word(text)
  return (plain(text):gsub(" ", "\\x20"))
end

local formats = {}

function formats.dev(entry)
  return ("%s %s %s %.3f ms - %d"):format(plain(entry.method), plain(entry.url), entry.status or "-",
    entry.duration * 1000, entry.bytes)
end

function formats.common(entry)
  return ('%s - %s [%s] "%s %s HTTP/%s" %s %d'):format(word(entry.remote), word(entry.user),
    os.date("!%d/%b/%Y:%H:%M:%S +0000", entry.time), plain(entry.method), plain(entry.url), entry.httpVersion,
    entry.status or "499", entry.bytes)
end

function formats.combined(entry)
  return ('%s "%s" "%s"'):format(formats.common(entry), plain(entry.referer), plain(entry.userAgent))
end

function formats.json(entry)
  entry.time = os.date("!%Y-%m-%dT%H:%M:%SZ", entry.time)
  entry.duration = math.floor(entry.duration * 1e6 + 0.5) / 1e6
  return json.encode(entry, { sort = true })
end

--- What there is to say of a request that is over.
local function entry_of(req, res)
  local status, bytes, duration = told(res)
  local headers = req.headers
  return { time = os.time(), remote = req.ip, user = rawget(req, "user"), method = req.method, url = req.url,
    httpVersion = req.httpVersion, status = status, bytes = bytes or 0, duration = duration or 0,
    referer = headers.referer, userAgent = headers["user-agent"], id = rawget(req, "id") }
end

-- ---- files

--- A function that adds lines to a file, in the order in which they come and off the
--- loop. The file is opened for each batch, so that it may be moved away.
local function appender(path)
  local lines, size, busy, failing = {}, 0, false, false
  local function take()
    local text = table.concat(lines, "\n") .. "\n"
    lines, size = {}, 0
    return text
  end
  local function report(err)
    if err and not failing then
      core.log("error", ("logger: %s; lines are lost"):format(err.message))
    elseif not err and failing then
      core.log("warn", ("logger: %s: works again"):format(path))
    end
    failing = err ~= nil
  end
  local flush
  function flush()
    if #lines == 0 then
      busy = false
      return
    end
    fs.appendFile(path, take(), { mode = "640" }, function(err)
      report(err)
      return flush()
    end)
  end
  process.on("exit", function()
    if #lines > 0 then pcall(fs.appendFileSync, path, take()) end
  end)
  return function(line)
    if size > MOST then return report({ message = path .. " takes too long" }) end
    lines[#lines + 1], size = line, size + #line + 1
    if busy then return end
    busy = true
    core.deferIn(nil, flush)
  end
end

local function to_log(line)
  core.log("info", line)
end

--- Middleware that writes a line for each request of what is defined after it.
--- Options: format, "dev" (the default), "common", "combined", "json", or a
--- function(entry, req, res) -> line; file, a path, else the log; skip,
--- function(req, res) -> whether to leave this one out.
---@param options table|string? a string is a format
---@return luaserve.Middleware
function M.middleware(options)
  if type(options) == "string" then options = { format = options } end
  options = check_options("logger", options, KNOWN)
  local format, skip = options.format or "dev", options.skip
  if type(format) == "string" then
    format = formats[format] or
      core.raise("logger has no format '" .. format .. "'; there are: dev, common, combined, json")
  end
  local write = options.file and appender(options.file) or to_log
  return function(req, res, next)
    res:onFinish(function()
      if skip and skip(req, res) then return end
      local line = format(entry_of(req, res), req, res)
      if line then write(line) end
    end)
    return next()
  end
end

setmetatable(M, { __call = function(_, options) return M.middleware(options) end })

return M
