--- Which folders have to be watched so that a change of some files, and of all below some folders, is seen; and what
--- a burst of events comes to: one list of paths. Folders are watched, not files, as editors save by renaming.
local fs = require "fs"
local native = require "luaserve.core.watch"
local timers = require "timers"

local M = {}

local QUIET, LONGEST = 8, 80 -- milliseconds: without an event, and in all, until a change is told
local FOLDERS_MAX = 4000 -- watched

local watcher, on_change
local wanted = { files = {}, trees = {} } -- paths
local folders = {} -- path -> {id =, waits = {[name] = true}}: those that are watched
local by_id = {} -- number -> {paths}
local count = 0
local changed, first, timer = {}, nil, nil -- the burst that goes on
local stale = false -- folders have come or gone

local function split(path)
  local folder, name = path:match("^(.*)/([^/]+)$")
  return folder == "" and "/" or folder, name
end

local function join(folder, name)
  return folder == "/" and "/" .. name or folder .. "/" .. name
end

--- Watches a folder; nil where it is none.
local function watch(path)
  if folders[path] then return folders[path] end
  if count >= FOLDERS_MAX then return nil end
  local id = watcher:add(path)
  if not id then return nil end
  local folder = { id = id, waits = {} }
  folders[path], count = folder, count + 1
  by_id[id] = by_id[id] or {}
  table.insert(by_id[id], path)
  return folder
end

--- Watches the folder of path, or, where there is none, the nearest above it that is there, until it comes.
local function watch_for(path)
  local folder, name = split(path)
  while folder do
    local found = watch(folder)
    if found then
      found.waits[name] = true
      return
    end
    if folder == "/" then return end
    folder, name = split(folder)
  end
end

local function watch_tree(path, depth)
  if not watch(path) or depth > 32 then return end
  local ok, names = pcall(fs.readdirSync, path)
  for _, name in ipairs(ok and names or {}) do
    if name:sub(1, 1) ~= "." then
      local below = join(path, name)
      local known, stats = pcall(fs.lstatSync, below)
      if known and stats:isDirectory() then watch_tree(below, depth + 1) end
    end
  end
end

--- Watches all that is needed now.
local function arm()
  for path in pairs(wanted.files) do watch_for(path) end
  for path in pairs(wanted.trees) do
    watch_for(path)
    watch_tree(path, 0)
  end
end

--- Whether a name is that of a file that an editor keeps for a moment.
local function is_passing(name)
  return name:find("^[.#]") or name:find("[~#]$") or name:find("%.sw%w$") or name:find("%.tmp$") or name:find("%.bak$")
    or name == "4913" -- vim's trial whether it may write
end

local function in_tree(path)
  for tree in pairs(wanted.trees) do
    if path:sub(1, #tree + 1) == tree .. "/" or path == tree then return true end
  end
  return false
end

local function tell()
  timer, first = nil, nil
  local list, all = {}, changed
  changed = {}
  if stale then
    stale = false
    arm()
  end
  for path in pairs(all) do list[#list + 1] = path end
  table.sort(list)
  if list[1] then return on_change(list) end
end

local function now()
  local time = require("process").hrtime()
  return time[1] * 1000 + time[2] / 1e6
end

local function schedule()
  first = first or now()
  if timer then timers.clearTimeout(timer) end
  timer = timers.setTimeout(tell, math.max(0, math.min(QUIET, first + LONGEST - now())))
end

--- The folder of that number is there no more, or another's.
local function lose(id)
  for _, path in ipairs(by_id[id] or {}) do
    folders[path], count = nil, count - 1
    for file in pairs(wanted.files) do
      if split(file) == path then changed[file] = true end
    end
  end
  if by_id[id] then watcher:remove(id) end
  by_id[id], stale = nil, true
end

local function is_link(path)
  local ok, stats = pcall(fs.lstatSync, path)
  return ok and stats:isSymbolicLink()
end

local function note(kind, folder, name, is_folder)
  local path = join(folder, name)
  if is_folder then
    stale = true
    if folders[folder].waits[name] then
      for file in pairs(wanted.files) do -- what was waited for is perhaps there with it
        if file:sub(1, #path + 1) == path .. "/" then changed[file] = true end
      end
    end
    if wanted.trees[path] or in_tree(path) and not is_passing(name) then changed[path] = true end
    return
  end
  if kind == "made" and not is_link(path) then return end -- it is still being written
  if wanted.files[path] or in_tree(path) and not is_passing(name) then changed[path] = true end
end

local function on_event(kind, id, name, is_folder)
  if kind == "missed" then
    for path in pairs(wanted.files) do changed[path] = true end
    stale = true
  elseif kind == "lost" then
    lose(id)
  else
    for _, folder in ipairs(by_id[id] or {}) do note(kind, folder, name, is_folder) end
  end
  if next(changed) or stale then schedule() end
end

--- Watches these files, which need not be there, and all below these folders, absolute paths; in the place of those
--- before.
---@param files table<string, boolean>
---@param trees table<string, boolean>
function M.want(files, trees)
  wanted.files, wanted.trees = files, trees
  arm()
end

--- What tells one state of a file from another; "" where there is none.
---@param path string
---@return string
function M.stamp(path)
  local ok, stats = pcall(fs.statSync, path)
  return ok and ("%.3f %.0f %.0f"):format(stats.mtimeMs, stats.size, stats.ino) or ""
end

--- A file was like that when it was loaded: where it is not any more, before it was watched, that is a change.
---@param path string
---@param stamp string
function M.compare(path, stamp)
  if M.stamp(path) == stamp then return end
  changed[path] = true
  schedule()
end

--- The time, in milliseconds.
---@return number
function M.now() return now() end

--- Whether a path is one of the files, and not only in one of the folders.
---@param path string
---@return boolean
function M.is_file(path) return wanted.files[path] == true end

--- Begins: fn(paths) is told of each burst of changes.
---@param fn fun(paths: string[])
---@return boolean? begun, string? message
function M.open(fn)
  local message
  watcher, message = native.open(on_event)
  on_change = fn
  return watcher and true, message
end

--- Ends it.
function M.close()
  if timer then timers.clearTimeout(timer) end
  if watcher then watcher:close() end
end

return M
