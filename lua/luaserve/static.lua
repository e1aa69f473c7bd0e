--- Files of a folder, as middleware or as a handler: luaserve.static("public").
--- What opens, chooses and sends them is in C (src/http/folder.c, sending.c);
--- here are the options, folders, and what is answered where there is no file.
local core = require "luaserve.core"
local native = require "luaserve.core.static"
local outgoing = require "luaserve.outgoing"

local M = {
  tail = nil, -- in development, tail(res): what stands behind a page of HTML
  opened = nil, -- and opened(folder): told of those that are served
}

local serve, step = native.serve, native.step

-- As in src/script/l_static.c.
local NONE, SENT, MORE, FOLDER, AGAIN, HOOKS, DENIED, FAILED = 0, 1, 2, 3, 4, 5, 6, 7
local DOTFILES = { ignore = 0, deny = 1, allow = 2 }

local KNOWN = { index = true, maxAge = "number", immutable = "boolean", cacheControl = true, etag = "boolean",
  lastModified = "boolean", acceptRanges = "boolean", dotfiles = "string", precompressed = "boolean",
  listing = "boolean", redirect = "boolean", fallthrough = "boolean" }

local function fail(level, ...)
  error(("static: " .. select(1, ...)):format(select(2, ...)), level + 1)
end

local function check(options, level, known, what)
  if type(options) ~= "table" then
    error(("%s: the options are a table, not a %s"):format(what, type(options)), level + 1)
  end
  for key, value in pairs(options) do
    local want = known[key]
    if not want then
      local names = {}
      for name in pairs(known) do names[#names + 1] = name end
      table.sort(names)
      error(("%s has no option '%s': there are %s"):format(what, tostring(key), table.concat(names, ", ")), level + 1)
    elseif want ~= true and type(value) ~= want then
      error(("%s: the option %s is a %s, not a %s"):format(what, key, want, type(value)), level + 1)
    end
  end
end

--- The value of Cache-Control, or nil.
local function cache_control(options, level, what)
  local age, given = options.maxAge or 0, options.cacheControl
  if given == false then return nil end
  if given ~= nil and given ~= true then
    if type(given) ~= "string" or given:find("[%c\127]") then
      error(what .. ": the option cacheControl is the value of the header, or false", level + 1)
    end
    return given
  end
  if age < 0 or age ~= age or age >= 2 ^ 31 then
    error(what .. ": the option maxAge is a count of seconds, from 0 to 2^31 - 1", level + 1)
  end
  if core.watching then return "no-cache" end
  return ("public, max-age=%.0f%s"):format(math.floor(age), options.immutable and ", immutable" or "")
end

local function index_names(options, level)
  local index = options.index
  if index == false then return {} end
  if index == nil then return { "index.html" } end
  local list = type(index) == "table" and index or { index }
  for i = 1, #list do
    if type(list[i]) ~= "string" or list[i] == "" or list[i]:find("/", 1, true) then
      fail(level + 1, "the option index is a file name, a list of them, or false")
    end
  end
  return list
end

local function open(path, options, level, what)
  if M.opened and path ~= "/" then M.opened(path) end
  local dotfiles = DOTFILES[options.dotfiles or "ignore"]
  if not dotfiles then
    error(("%s: the option dotfiles is 'ignore', 'deny' or 'allow', not '%s'"):format(what, options.dotfiles),
      level + 1)
  end
  local folder, message = native.folder(path, {
    precompressed = options.precompressed,
    etag = options.etag ~= false,
    lastModified = options.lastModified ~= false,
    ranges = options.acceptRanges ~= false,
    byUrl = options.by_url,
    dotfiles = dotfiles,
    cacheControl = cache_control(options, level + 1, what),
  })
  if not folder then error(("%s: the folder cannot be served: %s"):format(what, message), level + 1) end
  return folder
end

-- ---- answers

--- Serves one path; returns what serve says at last, and a message.
local function deliver(folder, res, path, status, control)
  local tail = M.tail and M.tail(res)
  local code, message
  repeat
    code, message = serve(folder, res, path, status, control, tail)
    if code == HOOKS then outgoing.run_hooks(res) end
  until code ~= AGAIN and code ~= HOOKS
  if code == MORE then
    repeat until not step(res)
    return SENT
  end
  return code, message
end

local function refuse(res, code, err)
  if code == DENIED then
    require("luaserve").error(403)
  end
  if type(err) == "table" and (err.code == "EMFILE" or err.code == "ENFILE") then
    res:setHeader("Retry-After", 1)
    err.status = 503
  end
  error(err, 0)
end

--- The way to a folder, with its slash; one slash in front, so that it does not
--- name a host.
local function with_slash(url)
  local path, query = url:match("^([^?]*)(.*)$")
  path = path:gsub("^%a[%w+.-]*://[^/]*", "")
  return "/" .. path:gsub("^[/\\]+", "") .. "/" .. query
end

-- What scandir says of folders that are not there, or lead out.
local ABSENT = { ENOENT = true, ENOTDIR = true, ELOOP = true, ENAMETOOLONG = true, EXDEV = true }

local Site = {}
Site.__index = Site

--- What a folder is answered with: its index, its listing, or nothing.
function Site:folder(res, path)
  for _, name in ipairs(self.index) do
    local code, err = deliver(self.root, res, path .. name, rawget(res, "statusCode"))
    if code == SENT then return true end
    if code == DENIED or code == FAILED then return refuse(res, code, err) end
  end
  if not self.listing then return false end
  local entries, more, code = native.list(self.root, res, path)
  if not entries then
    if ABSENT[code] then return false end
    return refuse(res, (code == "EACCES" or code == "EPERM") and DENIED or FAILED, core.error(more, code))
  end
  require("luaserve.listing").send(res, path, entries, more)
  return true
end

--- Answers a request for path; false where there is nothing to answer with.
function Site:answer(req, res, path)
  if path:byte(-1) == 47 then
    -- Where the folder is mounted at "/docs", that stands for its "/"; and "/.." is "/".
    local raw = path == "/" and self.redirect and req.url:match("^/[^?]*")
    if raw and raw:byte(-1) ~= 47 and not raw:find("/[.%%2eE]+$") then return self:to_slash(res, req.url) end
    return self:folder(res, path)
  end
  local code, err = deliver(self.root, res, path, rawget(res, "statusCode"))
  if code == SENT then return true end
  if code == FOLDER then return self.redirect and self:to_slash(res, req.url) end
  if code == NONE then return false end
  return refuse(res, code, err)
end

function Site.to_slash(_, res, url)
  res.statusCode = 301
  res:setHeader("Location", (with_slash(url):gsub("[^%w%%!#$&'()*+,./:;=?@_~%-%[%]]", function(c)
    return ("%%%02X"):format(c:byte())
  end)))
  res:setHeader("Content-Type", "text/plain; charset=utf-8")
  res:finish("Moved Permanently\n")
  return true
end

local function missing(res, status)
  res.statusCode = status
  res:setHeader("Content-Type", "text/plain; charset=utf-8")
  if status == 405 then res:setHeader("Allow", "GET, HEAD") end
  return res:finish(status == 405 and "Method Not Allowed\n" or "Not Found\n")
end

--- Middleware, or a handler, that answers GET and HEAD with the files of a folder;
--- what is not there is left to what follows, or is 404.
---@param folder string counted from the script's folder
---@param options table? index, maxAge seconds, immutable, cacheControl, etag, lastModified, acceptRanges, dotfiles,
--- precompressed, listing, redirect, fallthrough
---@return fun(req: IncomingMessage, res: ServerResponse, next: function?): any
function M.middleware(folder, options)
  options = options or {}
  if type(folder) ~= "string" or folder == "" then fail(3, "the folder is a path, a string, not %s", type(folder)) end
  check(options, 3, KNOWN, "static")
  local all = {}
  for key, value in pairs(options) do all[key] = value end
  all.by_url = true
  if all.precompressed == nil then all.precompressed = true end
  local site = setmetatable({ index = index_names(options, 3), listing = options.listing,
    redirect = options.redirect ~= false, root = open(core.beside(folder), all, 3, "static") }, Site)
  local fallthrough = options.fallthrough ~= false
  return function(req, res, next)
    local method = req.method
    if method ~= "GET" and method ~= "HEAD" then
      if next and fallthrough then return next() end
      return missing(res, 405)
    end
    local path = req.path
    if not path then require("luaserve").error(400) end
    if site:answer(req, res, path) then return end
    if next and fallthrough then return next() end
    return missing(res, 404)
  end
end

setmetatable(M, { __call = function(_, folder, options) return (M.middleware(folder, options)) end })

-- ---- res:sendFile

local KNOWN_FILE = { root = "string", maxAge = "number", immutable = "boolean", cacheControl = true, etag = "boolean",
  lastModified = "boolean", acceptRanges = "boolean", dotfiles = "string", precompressed = "boolean",
  headers = "table" }
local NO_OPTIONS = {}

local folders = {} -- by their options and path
local folders_count = 0

--- The folder to look in; the few that a program names are kept.
local function folder_of(root, options, level)
  local key = table.concat({ root, tostring(options.etag), tostring(options.lastModified),
    tostring(options.acceptRanges), tostring(options.dotfiles), tostring(options.precompressed) }, "\0")
  local folder = folders[key]
  if not folder then
    if folders_count >= 64 then folders, folders_count = {}, 0 end
    folder = open(root, { etag = options.etag, lastModified = options.lastModified, acceptRanges = options.acceptRanges,
      dotfiles = options.dotfiles, precompressed = options.precompressed, cacheControl = false }, level + 1,
      "res:sendFile")
    folders[key] = folder
    folders_count = folders_count + 1
  end
  return folder
end

--- Answers with a file; see res:sendFile.
---@param res ServerResponse
---@param path string
---@param options table?
---@param level integer of errors
---@return ServerResponse
function M.send_file(res, path, options, level)
  level = level + 1
  options = options or NO_OPTIONS
  if type(path) ~= "string" or path == "" then
    error("res:sendFile needs the path of a file, not " .. (path == "" and "''" or type(path)), level)
  end
  check(options, level, KNOWN_FILE, "res:sendFile")
  local folder
  if options.root then
    folder = folder_of(core.beside(options.root), options, level)
    path = path:gsub("^/", "")
  else -- the program's own path: any file, hidden ones too
    path = core.beside(path):sub(2)
    folder = folder_of("/", setmetatable({ dotfiles = "allow" }, { __index = options }), level)
  end
  if res.headersSent then error("Cannot set headers after they are sent to the client", level) end
  for name, value in pairs(options.headers or NO_OPTIONS) do res:setHeader(name, value) end
  local code, err = deliver(folder, res, path, rawget(res, "statusCode"), cache_control(options, level, "res:sendFile"))
  if code == SENT then return res end
  if code == NONE or code == FOLDER then require("luaserve").error(404, "Not Found") end
  return refuse(res, code, err)
end

return M
