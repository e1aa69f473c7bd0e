--- `--record DIR`: keeps requests that ended in a 500, or took too long, each in a file of its own that `luaserve
--- replay` reads. What is kept is collected when such a request is over (src/script/l_record.c), and written on the
--- threads for files; other requests cost nothing.
local core = require "luaserve.core"
local fs = require "fs"
local hide = require "luaserve.record.body"
local json = require "json"
local mask = require "luaserve.mask"
local native = require "luaserve.core.record"

local M = {}

--- The version of the format, and the name of the field that says it.
M.FIELD, M.VERSION = "luaserve record", 1

M.BODY_MOST = 256 * 1024 -- bytes of a body that are kept
local TOTAL_MOST = 64 * 1024 * 1024 -- bytes of all files
local ERROR_MOST = 32 * 1024 -- bytes of a traceback
local QUEUE_MOST = 8 -- requests that wait to be written; more at once are counted
local STALE = 3600 -- seconds after which a half-written file is somebody's who is dead

-- ---- what is kept

--- The fields of a request, in the order in which they stand in the file; and the names of what was hidden.
local function fields_of(req, tell)
  local raw, list, kind = req.rawHeaders or {}, {}, ""
  for i = 1, #raw, 2 do
    local name, value = raw[i], raw[i + 1]
    local lower = name:lower()
    local shown = mask.header(name, value)
    if lower == "referer" then shown = mask.url(value) end
    if lower == "content-type" then kind = value end
    if shown ~= value then tell("header", name) end
    list[#list + 1] = { name, shown }
  end
  return list, kind
end

local function url_of(url, tell)
  local path, query = url:match("^([^?]*)%?(.*)$")
  if not path then return url end
  return path .. "?" .. hide.pairs(query, function(name) tell("query", name) end)
end

--- What is known of the body: {text =} or {base64 =} where a handler has read it as a whole, with `cut` where that is
--- not all of it; else {missing = why}; nil where there was none.
local function body_of(req, kind, length, received, tell)
  local body = rawget(req, "_body")
  if not body then
    if length == 0 and received == 0 then return nil end
    if received == 0 and length > 0 then return { missing = "nobody has read it", bytes = length } end
    if received == 0 then return nil end
    return { missing = "it was read in pieces, which are not kept", bytes = length >= 0 and length or received }
  end
  local size = #body
  if size > M.BODY_MOST then body = body:sub(1, M.BODY_MOST) end
  body = hide.hide(body, kind, function(name) tell("body", name) end)
  local kept = { bytes = size, cut = size > M.BODY_MOST or nil }
  if json.decode(json.encode(body)) == body then -- invalid UTF-8 would be changed
    kept.text = body
  else
    kept.base64 = require("luaserve.core.cipher").base64url(body)
  end
  return kept
end

local function lines_of(text)
  local lines = {}
  for line in (text:sub(1, ERROR_MOST) .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

--- The table of a request that is over.
---@param context userdata
---@param answered boolean whether its client was answered
---@return table
function M.of(context, answered)
  local req, status, seconds, length, received = native.request(context)
  local masked, seen = {}, {}
  local function tell(where, name)
    local text = where .. " " .. name
    if not seen[text] then
      seen[text] = true
      masked[#masked + 1] = text
    end
  end
  local record = { method = req.method, url = url_of(req.url, tell), httpVersion = req.httpVersion, status = status,
    answered = answered, seconds = math.floor(seconds * 1000) / 1000, time = os.date("!%Y-%m-%dT%H:%M:%SZ") }
  local kind
  record.headers, kind = fields_of(req, tell)
  record.body = body_of(req, kind, length, received, tell)
  record.remoteAddress = rawget(req, "ip")
  local failed = rawget(req, "_failed")
  record.error = failed and lines_of(failed) or nil
  record.masked = masked
  record.worker = core.worker
  return record
end

--- How it ended, in a few words.
---@param record table
---@return string
function M.ending(record)
  return record.answered and "was answered " .. record.status or "failed after its head had left and was cut off"
end

-- ---- the file

local ORDER = { "method", "url", "httpVersion", "status", "answered", "seconds", "time", "remoteAddress", "worker",
  "error", "headers", "body", "masked" }
local SORTED = { sort = true }

local function value_text(value)
  if type(value) ~= "table" or not value[1] then return json.encode(value, SORTED) end
  local lines = {}
  for i, one in ipairs(value) do lines[i] = "    " .. json.encode(one, SORTED) end
  return "[\n" .. table.concat(lines, ",\n") .. "\n  ]"
end

--- A record as the text of its file: JSON, a line for each thing that one looks for.
---@param record table
---@return string
function M.text(record)
  local lines = { ('  "%s": %d'):format(M.FIELD, M.VERSION) }
  for _, name in ipairs(ORDER) do
    if record[name] ~= nil then
      local value = name == "masked" and json.array(record.masked) or record[name]
      lines[#lines + 1] = ('  "%s": %s'):format(name, value_text(value))
    end
  end
  return "{\n" .. table.concat(lines, ",\n") .. "\n}\n"
end

-- ---- writing

local folder, most
local queue, writing, dropped, count, complained = {}, false, 0, 0, nil
local sizes = {} -- of files that are known, by their names

local NAME, UNFINISHED = "^%d+T%d+Z%-%d+%-%d+%.json$", "^%.%d+T%d+Z%-%d+%-%d+%.json$"

local function path_of(name) return folder .. "/" .. name end

local function complain(message, code)
  if complained == code then return end
  complained = code
  core.log("error", ("--record %s: a request is not kept: %s"):format(folder, message))
end

local function size_of(name)
  if not sizes[name] then
    local stats = fs.stat(path_of(name))
    sizes[name] = stats and stats.size or 0
  end
  return sizes[name]
end

--- The names of the records that are there, the oldest first; removes what was left unfinished long ago.
local function names_of()
  local all, list = fs.readdir(folder) or {}, {}
  for _, name in ipairs(all) do
    if name:find(NAME) then
      list[#list + 1] = name
    elseif name:find(UNFINISHED) then
      local stats = fs.stat(path_of(name))
      if stats and os.time() - stats.mtimeMs / 1000 > STALE then fs.unlink(path_of(name)) end
    end
  end
  table.sort(list)
  return list
end

--- Removes the oldest until the others fit. Workers do so at the same time: what is gone is gone.
local function prune()
  local names, total = names_of(), 0
  for _, name in ipairs(names) do total = total + size_of(name) end
  for i = 1, #names - 1 do
    if #names - i + 1 <= most and total <= TOTAL_MOST then return end
    total = total - size_of(names[i])
    sizes[names[i]] = nil
    fs.unlink(path_of(names[i]))
  end
end

local function write(record)
  count = count + 1
  local name = ("%s-%d-%06d.json"):format(os.date("!%Y%m%dT%H%M%SZ"), require("process").pid, count)
  local text = M.text(record)
  local done, message, code = fs.writeFile(path_of("." .. name), text, { flag = "wx", mode = "600" })
  if done then done, message, code = fs.rename(path_of("." .. name), path_of(name)) end
  if not done then
    fs.unlink(path_of("." .. name))
    return complain(message, code)
  end
  complained = nil
  sizes[name] = #text
  core.log("info", ("kept %s %s, which %s: %s"):format(record.method, record.url, M.ending(record), path_of(name)))
  prune()
end

local function write_all()
  while queue[1] do write(table.remove(queue, 1)) end
  writing = false
  if dropped > 0 then
    core.log("warn", ("--record: %d requests are not kept: they failed faster than they could be written"):format(
      dropped))
    dropped = 0
  end
end

local function keep(context, answered)
  if #queue >= QUEUE_MOST then
    dropped = dropped + 1
    return
  end
  queue[#queue + 1] = M.of(context, answered)
  if writing then return end
  writing = true
  core.spawn(nil, write_all)
end

--- Keeps the requests of this process that fail from now on.
---@param dir string a folder
---@param max integer files that are kept there
function M.start(dir, max)
  folder, most = require("path").resolve(require("process").cwd(), dir), max
  native.on(keep)
end

return M
