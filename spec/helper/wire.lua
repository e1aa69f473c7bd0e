--- Wire documents (spec/wire/*.md): requests and the answers they must get, as
-- Markdown. This file reads them, strictly: what it does not know is an error
-- with file and line. wire_run.lua runs them.
--
-- FORMAT
--
--   # Title                        once, first; prose may follow anywhere between
--   transports: h1                 optional, before the first case; or below a case
--                                  (for it alone). Default: every transport.
--   ## Sentence of behaviour       begins a case; names are unique in a file
--   ```lua                         optional, first: the body of function(req, res);
--   ```                            without it the echo handler answers (below)
--   ```request                     bytes to send
--   ```
--   ```response                    an answer that must come; one block for each, in
--   ```                            order; `response head` follows a HEAD request
--   connection: open               last, exactly one: "open" (the next request on
--                                  the connection is answered) or "closed" (the
--                                  server closes, and sends nothing more)
--
--   Requests and responses may alternate: what follows an answer is sent only when
--   that answer has arrived (a body after "100 Continue").
--
--   In a request, every line ends in CRLF, a blank line is the end of the head, and
--   a backslash at the end of a line leaves its CRLF out (bodies mostly do). Escapes
--   are \r \n \t \0 \xHH \\ \{ and {{text*count}} for repetition (text may hold both).
--   Tabs, trailing spaces, and bytes beyond ASCII must be escaped.
--
--   In a response, `HTTP/1.1 400 Bad Request` is exact, `HTTP/1.1 400` accepts any
--   reason, and `HTTP/1.1 400|505` either status. Then `Name: value` (exact; repeated lines are a repeated header),
--   `Name: *` (there), `Name: ~pattern` (Lua pattern, whole value), `!Name` (absent),
--   `+Name: value` (trailer), and, behind a blank line, the body: lines joined by LF,
--   none at the end, escapes as above. Without the blank line any body will do.
--   Other headers may be there.
--
-- The echo handler answers 200 and text: `METHOD url`, then a line `name: value`
-- for each request header by name; then, where there is any, a blank line, the
-- body, and for each trailer a line break and `trailer name: value`.
local M = {}

---@class spec.Case
---@field name string
---@field line integer
---@field handler string? Lua code
---@field handler_line integer?
---@field steps spec.Step[]
---@field connection "open"|"closed"
---@field transports table<string, boolean>?

---@class spec.Step
---@field kind "request"|"response"
---@field line integer
---@field bytes string? of a request
---@field expected spec.Expected? of a response

---@class spec.Expected
---@field statuses table<integer, boolean> any of these
---@field status string as it is written
---@field reason string?
---@field fields { name: string, how: "exact"|"any"|"pattern"|"absent", value: string?, line: integer }[]
---@field trailers table<string, string>
---@field body string? nil where any will do
---@field head boolean

local TRANSPORTS = { h1 = true, h2 = true, https = true }
local SIMPLE = { r = "\r", n = "\n", t = "\t", ["0"] = "\0", ["\\"] = "\\", ["{"] = "{" }

local expand

-- Each of these takes the text and the position of an escape, and returns its
-- bytes and the position behind it.
local function escape(text, at, fail)
  local hex = text:match("^x(%x%x)", at + 1)
  if hex then
    return string.char(tonumber(hex, 16)), at + 4
  end
  local byte = SIMPLE[text:sub(at + 1, at + 1)]
  if not byte then
    fail(("unknown escape %q"):format(text:sub(at, at + 1)))
  end
  return byte, at + 2
end

-- The position of the "}}" that ends the repetition whose text begins at `at`.
local function repetition_end(text, at)
  local depth = 1
  while at < #text do
    local pair = text:sub(at, at + 1)
    depth = depth + (pair == "{{" and 1 or pair == "}}" and -1 or 0)
    if depth == 0 then
      return at
    end
    local double = pair == "{{" or pair == "}}" or pair:sub(1, 1) == "\\"
    at = at + (double and 2 or 1)
  end
end

local function repetition(text, at, fail)
  local last = repetition_end(text, at + 2)
  local inner, count = text:sub(at + 2, (last or 0) - 1):match("^(.+)%*(%d+)$")
  if not last or not inner then
    fail("a repetition is written {{text*count}}")
  end
  return expand(inner, fail):rep(tonumber(count)), last + 2
end

function expand(text, fail)
  local parts, at = {}, 1
  while at <= #text do
    local special = text:find("[\\{]", at)
    if not special then
      break
    end
    table.insert(parts, text:sub(at, special - 1))
    local bytes
    if text:sub(special, special) == "\\" then
      bytes, at = escape(text, special, fail)
    elseif text:sub(special, special + 1) == "{{" then
      bytes, at = repetition(text, special, fail)
    else
      bytes, at = "{", special + 1
    end
    table.insert(parts, bytes)
  end
  table.insert(parts, text:sub(at))
  return table.concat(parts)
end

-- True where the line ends in a backslash that is not itself escaped.
local function continues(line)
  return #line:match("\\*$") % 2 == 1
end

local function check_visible(line, fail)
  if line:find("[^\32-\126]") then
    fail("a tab or a byte beyond ASCII must be escaped")
  end
  if line:find(" $") then
    fail("a space at the end of a line must be escaped")
  end
end

-- The block's lines with `ending` behind each, as far as a backslash does not say
-- otherwise.
local function join(block, first, ending, ctx)
  local parts = {}
  for i = first, #block.lines do
    local line = block.lines[i]
    local fail = function(message)
      ctx.fail(block.line + i, message)
    end
    check_visible(line, fail)
    if continues(line) then
      table.insert(parts, expand(line:sub(1, -2), fail))
    else
      table.insert(parts, expand(line, fail) .. ending)
    end
  end
  return table.concat(parts)
end

local function parse_status(block, ctx)
  local line = block.lines[1] or ""
  local status, reason = line:match("^HTTP/1%.1 ([%d|]+)(.*)$")
  if not status or (reason ~= "" and not reason:find("^ %S")) then
    ctx.fail(block.line + 1, "a response begins with `HTTP/1.1 STATUS REASON`")
  end
  local statuses = {}
  for one in (status .. "|"):gmatch("([^|]*)|") do
    if not one:find("^[1-5]%d%d$") then
      ctx.fail(block.line + 1, ("%q is no status"):format(one))
    end
    statuses[math.tointeger(tonumber(one))] = true
  end
  return {
    status = status,
    statuses = statuses,
    reason = reason ~= "" and reason:sub(2) or nil,
    fields = {},
    trailers = {},
  }
end

local function parse_field(line, number, expected, ctx)
  local fail = function(message)
    ctx.fail(number, message)
  end
  local absent = line:match("^!([%w%-]+)$")
  if absent then
    table.insert(expected.fields, { name = absent:lower(), how = "absent", line = number })
    return
  end
  local plus, name, value = line:match("^(%+?)([%w%-]+): (.+)$")
  if not name then
    fail(("%q is no `Name: value`, `!Name` or `+Name: value`"):format(line))
  end
  name, value = name:lower(), expand(value, fail)
  if plus == "+" then
    expected.trailers[name] = value
    return
  end
  local how = value == "*" and "any" or value:sub(1, 1) == "~" and "pattern" or "exact"
  if how == "pattern" then
    value = value:sub(2):gsub("^ ", "")
  end
  table.insert(expected.fields, { name = name, how = how, value = value, line = number })
end

local function parse_response(block, ctx)
  local expected = parse_status(block, ctx)
  expected.head = block.flag == "head"
  for i = 2, #block.lines do
    local line = block.lines[i]
    if line == "" then
      expected.body = join(block, i + 1, "\n", ctx):gsub("\n$", "", 1)
      if continues(block.lines[#block.lines]) then
        expected.body = join(block, i + 1, "\n", ctx)
      end
      break
    end
    check_visible(line, function(message)
      ctx.fail(block.line + i, message)
    end)
    parse_field(line, block.line + i, expected, ctx)
  end
  return expected
end

local function add_block(case, block, ctx)
  local fail = function(message)
    ctx.fail(block.line, message)
  end
  if not case then
    fail("a block outside of a case")
  elseif case.connection then
    fail("a block behind `connection:`")
  end
  if block.kind == "lua" then
    if case.handler or #case.steps > 0 then
      fail("the handler comes once, before the request")
    end
    case.handler, case.handler_line = table.concat(block.lines, "\n"), block.line
  elseif block.kind == "request" then
    local bytes = join(block, 1, "\r\n", ctx)
    table.insert(case.steps, { kind = "request", line = block.line, bytes = bytes })
  else
    if #case.steps == 0 then
      fail("a response before the request")
    end
    local expected = parse_response(block, ctx)
    table.insert(case.steps, { kind = "response", line = block.line, expected = expected })
  end
end

local function finish_case(case, ctx)
  if not case then
    return
  end
  if #case.steps == 0 or case.steps[1].kind ~= "request" then
    ctx.fail(case.line, "the case has no request")
  end
  if not case.connection then
    ctx.fail(case.line, "the case does not end in `connection: open` or `connection: closed`")
  end
  local last = case.steps[#case.steps]
  if last.kind == "request" and case.connection == "open" then
    ctx.fail(last.line, "a request without an answer")
  end
end

local function read_block(ctx)
  local number = ctx.number
  local info = ctx.lines[number]:match("^```(.*)$")
  local kind, flag = info:match("^(%l+) ?(.*)$")
  local known = kind == "lua" or kind == "request" or kind == "response"
  if not known or (flag ~= "" and not (kind == "response" and flag == "head")) then
    ctx.fail(number, ("unknown block %q"):format(info))
  end
  local block = { kind = kind, flag = flag, line = number, lines = {} }
  repeat
    ctx.number = ctx.number + 1
    local line = ctx.lines[ctx.number]
    if not line then
      ctx.fail(number, "the block has no end")
    elseif line ~= "```" then
      if line:find("^```") then
        ctx.fail(ctx.number, "a block inside a block")
      end
      table.insert(block.lines, line)
    end
  until line == "```"
  if #block.lines == 0 then
    ctx.fail(number, "the block is empty")
  end
  return block
end

local function parse_transports(value, ctx)
  local set = {}
  for name in value:gmatch("[^, ]+") do
    if not TRANSPORTS[name] then
      ctx.fail(ctx.number, ("unknown transport %q"):format(name))
    end
    set[name] = true
  end
  return set
end

local function directive(document, case, key, value, ctx)
  if key == "transports" then
    local owner = case or document
    if owner.transports or (case and #case.steps > 0) then
      ctx.fail(ctx.number, "`transports:` comes once, before the blocks")
    end
    owner.transports = parse_transports(value, ctx)
    return
  end
  if not case or case.connection then
    ctx.fail(ctx.number, "`connection:` ends a case, once")
  elseif value ~= "open" and value ~= "closed" then
    ctx.fail(ctx.number, "the connection is `open` or `closed`")
  end
  case.connection = value
end

local function begin_case(document, name, ctx)
  for _, other in ipairs(document.cases) do
    if other.name == name then
      ctx.fail(ctx.number, ("a second case %q"):format(name))
    end
  end
  local case = { name = name, line = ctx.number, steps = {} }
  table.insert(document.cases, case)
  return case
end

-- One line outside of blocks. Returns the case that goes on behind it.
local function parse_line(document, case, line, ctx)
  local title, name = line:match("^# (%S.*)$"), line:match("^## (%S.*)$")
  local key, value = line:match("^(%l+): ?(.*)$")
  if title then
    if document.title then
      ctx.fail(ctx.number, "a second title")
    end
    document.title = title
  elseif line:find("^#") and not name then
    ctx.fail(ctx.number, "headings are `# Title` and `## Case`")
  elseif name then
    finish_case(case, ctx)
    return begin_case(document, name, ctx)
  elseif line:find("^```") then
    add_block(case, read_block(ctx), ctx)
  elseif key == "connection" or key == "transports" then
    directive(document, case, key, value, ctx)
  elseif key then
    ctx.fail(ctx.number, ("unknown directive %q"):format(key))
  elseif case and case.connection and line ~= "" then
    ctx.fail(ctx.number, "text behind `connection:`")
  end
  return case
end

--- Reads a wire document. Raises `name:line: message` where it is malformed.
---@param text string
---@param name string of the file, for messages
---@return { name: string, title: string, cases: spec.Case[], transports: table<string, boolean>? }
function M.parse(text, name)
  local ctx = { lines = {}, number = 1 }
  ctx.fail = function(number, message)
    error(("%s:%d: %s"):format(name, number, message), 0)
  end
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("([^\n]*)\n") do
    table.insert(ctx.lines, line)
  end
  local document = { name = name, cases = {} }
  local case
  while ctx.number <= #ctx.lines do
    case = parse_line(document, case, ctx.lines[ctx.number], ctx)
    ctx.number = ctx.number + 1
  end
  finish_case(case, ctx)
  if not document.title or #document.cases == 0 then
    ctx.fail(1, "a document has a title and at least one case")
  end
  return document
end

--- True where the case is to be run over the transport.
---@param document table
---@param case spec.Case
---@param transport string
---@return boolean
function M.applies(document, case, transport)
  local set = case.transports or document.transports
  return not set or set[transport] == true
end

return M
