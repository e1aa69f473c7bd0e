--- Writes the inputs that fuzzers start from: lua5.4 spec/fuzz/seeds.lua FOLDER
--- makes FOLDER/NAME/ for each of them, from the requests of the wire documents
--- and the texts of the json cases. spec/fuzz/README.md says how the corpora that
--- are kept come from these. An input ends in its script and the script's length
--- (fuzz.h).
package.path = "./?.lua;spec/lua/cases/?.lua;" .. package.path
local lfs = require("lfs")
local wire = require("spec.helper.wire")

local LONGEST = 4096 -- bytes; more makes fuzzing slow

-- Scripts for h1_fuzz.c: limits, then how the handler answers, then what happens
-- when (its comments say which byte means what).
local H1_SCRIPTS = {
  "", "\1", "\2\1\2", "\0\4\0\0\8\16\24", "\1\1\1\0\8\0\16\24\32", "\0\16\0\0\0\9\17\25", "\2\36\4\0\8\16\33",
  "\0\2\0\0\0\1\9\17", "\1\12\8\0\40\18\3\11", "\0\112\0\0\2\10\18", "\4\48\1\5\13\3\2\2", "\0\64\0\255\255\255",
}

local root = assert(arg[1], "usage: seeds.lua FOLDER")
local seen, written = {}, 0

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

local function find(folder, pattern)
  local found = {}
  for name in lfs.dir(folder) do
    if name:find(pattern) then
      table.insert(found, folder .. "/" .. name)
    end
  end
  table.sort(found)
  return found
end

local function add(name, text, script)
  script = script or ""
  local bytes = text .. script .. string.char(#script)
  if #bytes > LONGEST or seen[name .. bytes] then
    return
  end
  seen[name .. bytes] = true
  written = written + 1
  lfs.mkdir(root .. "/" .. name)
  write_file(("%s/%s/%04d"):format(root, name, written), bytes)
end

-- The parts of a request that have fuzzers of their own.
local function add_parts(bytes)
  local head, body = bytes:match("^(.-\r\n\r\n)(.*)$")
  add("headers", head or bytes)
  add("headers", body or "")
  add("target", bytes:match("^%S+ (%S+)") or "")
  add("target", bytes:match("\r\n[Hh]ost: ([^\r]*)") or "")
  add("target", bytes:match("\r\n[Cc]ookie: ([^\r]*)") or "")
  add("target", bytes:match("%?(%S+)") or "")
  if body and body:find("^[%[{\"]") then
    add("json", body)
  end
end

local function add_document(path)
  for index, case in ipairs(wire.parse(read_file(path), path).cases) do
    local parts = {}
    for _, step in ipairs(case.steps) do
      table.insert(parts, step.bytes)
    end
    local bytes = table.concat(parts)
    add("h1", bytes, H1_SCRIPTS[index % #H1_SCRIPTS + 1])
    add_parts(bytes)
  end
end

-- A value that anything may be done with, for cases that go on with what they
-- have decoded.
local anything = setmetatable({}, {
  __index = function(self)
    return self
  end,
  __call = function(self)
    return self
  end,
})

-- Runs the json cases on a module that only notes what it is to decode.
local function add_json()
  local module = setmetatable({
    decode = function(text)
      if type(text) == "string" then
        add("json", text)
      end
      return anything
    end,
    encode = function()
      return ""
    end,
  }, getmetatable(anything))
  for _, path in ipairs(find("spec/lua/cases", "^json_%w+_cases%.lua$")) do
    for _, group in ipairs(dofile(path)) do
      pcall(group[2], module, setmetatable({ raises = function(_, _, _, _, text)
        module.decode(text)
      end }, { __index = function()
        return function() end
      end }))
    end
  end
  for seed = 1, 24 do -- values that come from no text
    local script = {}
    for i = 1, 60 do
      script[i] = string.char((seed * 37 + i * i * seed) % 256)
    end
    add("json", "", table.concat(script))
  end
end

-- Bodies with the boundary "b", cut in several ways.
local function add_multipart()
  local field = '--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
  local texts = {
    "--b--\r\n",
    field:format("a", "", "one") .. "--b--",
    field:format("a", '; filename="x.txt"', "1\r\n\r\n2") .. "--b--",
    field:format("a", "; filename*=UTF-8''%e2%82%ac", "") ..
      field:format("b", "\r\nContent-Type: text/plain", "\r") .. "--b--",
    "preamble\r\n" .. field:format("a", "; filename*=iso-8859-1'en'%A3; filename=..", "\r\n--") .. "--b--\r\nend",
    field:format("a", '; filename="C:\\\\x\\"%22/../y"', "x"):rep(9) .. "--b--",
    field:format("a", ";\r\n filename=x", "-\r\n-b") .. "--b",
    "--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--",
    field:format(("n"):rep(40), "", ""),
    field:format("a", "\r\nx: " .. ("y"):rep(600), ""),
    field:format("a", "\r\nContent-Type: multipart/mixed; boundary=c", "--c\r\n\r\n1\r\n--c--") .. "--b--",
  }
  for index, text in ipairs(texts) do
    add("multipart", text)
    add("multipart", text, ("\0"):rep(60))
    add("multipart", text, ("\1\6\3\13"):rep(index))
  end
end

lfs.mkdir(root)
for _, path in ipairs(find("spec/wire", "%.md$")) do
  add_document(path)
end
add_json()
add_multipart()
