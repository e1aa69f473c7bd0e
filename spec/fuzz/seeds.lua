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

-- Records of h2_client.h.
local function record(kind, flags, stream, payload)
  if type(payload) == "number" then -- so many bytes
    return string.pack(">BBBBI2", kind, flags, stream, 255, payload)
  end
  return string.char(kind, flags, stream, #payload) .. payload
end

-- What clients of HTTP/2 send, good and bad; and the scripts of HTTP/1, which mean
-- the same behind the first byte.
local function add_h2()
  local DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
  local LINES, END, WHOLE = 0x80, 1, 4
  local function get(stream, more)
    return record(HEADERS + LINES, END + WHOLE, stream, "G\n" .. (more or ""))
  end
  local function post(stream, more)
    return record(HEADERS + LINES, WHOLE, stream, "P\n" .. (more or ""))
  end
  local function setting(id, value)
    return record(SETTINGS, 0, 0, string.pack(">I2I4", id, value))
  end
  local texts = {
    get(1), get(1) .. get(3) .. get(5), get(1):rep(2), get(3) .. get(1), get(2), get(0), get(255),
    post(1) .. record(DATA, 0, 1, "hello") .. record(DATA, END, 1, "!"),
    post(1, "content-length: 5") .. record(DATA, END, 1, "hello") .. get(3),
    post(1, "content-length: 9") .. record(DATA, END, 1, "hello"),
    post(1) .. record(DATA, 0, 1, 16384):rep(5) .. record(DATA, END, 1, ""),
    post(1) .. record(DATA, 8, 1, "\3hello\0\0\0") .. record(HEADERS + LINES, END + WHOLE, 1, "x-trailer: end"),
    post(1, "expect: 100-continue") .. record(DATA, END, 1, "hello"),
    record(HEADERS + LINES, END, 1, "G") .. record(CONTINUATION + LINES, WHOLE, 1, "cookie: a=1\ncookie: b=2"),
    record(HEADERS + LINES, END, 1, "G") .. record(CONTINUATION, 0, 1, ""):rep(9),
    record(HEADERS + LINES, END + WHOLE, 1, ":method: GET\n:path: /?a\n:scheme: https\n:authority: b:1\nhost: b:1"),
    record(HEADERS + LINES, END + WHOLE, 1, ":method: CONNECT\n:authority: b:1"),
    record(HEADERS + LINES, WHOLE, 1,
      ":method: CONNECT\n:protocol: websocket\n:path: /\n:scheme: https\n:authority: b"),
    get(1, "host: b"), get(1, "te: trailers"), get(1, "te: gzip"), get(1, "connection: close"), get(1, ":path: /2"),
    get(1, "X-Upper: a"), get(1, "priority: u=1, i"), get(1, "x: " .. ("y"):rep(240)), get(1, "a: \r"),
    record(HEADERS, END + WHOLE, 1, "\x82\x87\x84\x41\1a\x40\1b\1c") .. record(HEADERS, END + WHOLE, 3,
      "\x82\x87\x84\x41\1a\xbe\xbe\xbe\xbe\xbe"),
    record(HEADERS, END + WHOLE, 1, "\x82\x87\x84\xff\xff\xff\xff\x0f"),
    record(HEADERS, END + WHOLE + 32, 1, "\0\0\0\1\16\x82\x87\x84\x41\1a"),
    setting(4, 0) .. get(1) .. record(WINDOW, 0, 1, "\0\0\0\1"):rep(20) .. setting(4, 70000),
    setting(4, 0) .. get(1) .. get(3), setting(4, 0x7fffffff) .. get(1) .. record(WINDOW, 0, 1, "\0\0\0\1"),
    setting(1, 0) .. get(1) .. setting(1, 4096) .. get(3), setting(5, 16384) .. get(1), setting(2, 1), setting(3, 0),
    record(WINDOW, 0, 0, "\x7f\xff\xff\xff") .. get(1), record(WINDOW, 0, 0, "\0\0\0\0"), record(SETTINGS, 1, 0, ""),
    get(1) .. record(RESET, 0, 1, "\0\0\0\8"), (get(1) .. record(RESET, 0, 1, "\0\0\0\8") .. get(3)):rep(3),
    post(1) .. record(RESET, 0, 1, "\0\0\0\8") .. record(DATA, END, 1, "late"),
    record(PING, 0, 0, "12345678") .. get(1) .. record(PING, 1, 0, "12345678"),
    record(GOAWAY, 0, 0, ("\0"):rep(8)) .. get(1), get(1) .. record(GOAWAY, 0, 0, ("\0"):rep(8)),
    record(PRIORITY, 0, 3, "\0\0\0\1\16") .. get(3), record(16, 0, 0, "\0\0\0\1u=3") .. get(1),
    record(DATA, END, 1, "early"), record(11, 0, 1, "unknown") .. get(1), record(5, WHOLE, 1, "\0\0\0\2"),
  }
  for index, text in ipairs(texts) do
    for offset, first in ipairs { "\1", "\33", "\19", "\3", "\49" } do
      local script = H1_SCRIPTS[(index + offset) % #H1_SCRIPTS + 1]
      add("h2", text, first .. script:sub(2))
    end
  end
  local preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  add("h2", preface .. "\0\0\0\4\0\0\0\0\0", "\0\36\4\8")
  add("h2", preface .. "\0\0\0\4\0\0\0\0\0\0\0\6\1\5\0\0\0\1\x82\x87\x84\x41\1a", "\32")
  add("h2", preface:sub(1, 20), "\0")
end

lfs.mkdir(root)
for _, path in ipairs(find("spec/wire", "%.md$")) do
  add_document(path)
end
add_json()
add_multipart()
add_h2()
