--- Tells of what can only be a mistake of the script: a global that a request makes, an answer that
--- nobody can give any more, a res used twice, a body that nobody reads. Each place in the script is told
--- once; the requests themselves go on as they would. What notices is in src/script/l_misuse.c.
local core = require "luaserve.core"
local native = require "luaserve.core.misuse"

local M = {}

local MOST = 64 -- places that are told; what others do is counted
local SEARCHES = 4 -- for who has a res, in each place: a full cycle of the collector each

-- As in src/script/l_misuse.c.
local LEFT, UNREAD, PLACE = 1, 2, 3

-- ---- once for each place

local told, places, beyond = {}, 0, 0

local function is_round(n)
  while n % 10 == 0 do n = n / 10 end
  return n == 1
end

--- Logs text, where it is the first of its kind in that place.
local function report(kind, place, text)
  local key = kind .. " " .. place
  if told[key] then return end
  if places < MOST then
    told[key], places = true, places + 1
    return core.log("warn", text)
  end
  beyond = beyond + 1
  if is_round(beyond) then
    core.log("warn", ("%d places of the script misuse what they are given, each told above; others have done so %d "
      .. "more times since"):format(MOST, beyond))
  end
end

-- ---- places

local function names_of(fns, names)
  for _, fn in ipairs(fns) do names[#names + 1] = require("luaserve.show").name_of(fn) end
  return names
end

--- The functions that have been given a request of an app, in order: the last one is the route's handler.
local function of_app(app, req)
  local names, state = {}, app._state
  local found, entry = pcall(require("luaserve.router").find, state, req)
  entry = found and entry or nil
  for _, use in ipairs(entry and entry.guarded_by or state.uses) do names_of(use.layer.fns, names) end
  return entry and names_of(entry.flat.layer.fns, names) or names
end

--- Where the functions stand that a request was given to: the last one, and those in front of it.
local function place_of(server, req)
  local app, names = rawget(req, "app"), {}
  if app and app._state then
    names = of_app(app, req)
  else
    names_of(server:listeners("request"), names)
  end
  local last = table.remove(names) or "?"
  return { last = last, front = table.concat(names, ", "), all = table.concat(names, ", ") .. " " .. last }
end

local function title_of(req)
  return req.method .. " " .. req.url
end

--- "app.lua:7", of what core.where() says; of the handler where that is nothing: it was left by a tail call.
local function near(where, res)
  if where == "" then return (native.place(res) or { last = "?" }).last end
  return (where:gsub(": $", ""))
end

-- ---- an answer that nobody can give

local searches = {}

--- What is said of a request, in strings alone, so that nothing here holds its res.
local function describe_left(server, context)
  local req, _, begun = native.request(context)
  local place = place_of(server, req)
  local who = ("%s: %s: the handler"):format(place.last, title_of(req))
  local front = place.front ~= "" and " (in front of it: " .. place.front .. ")" or ""
  local text
  if begun then
    text = ("%s%s has begun an answer and left it without an end, which nothing it started can give: call "
      .. "res:finish()"):format(who, front)
  else
    text = ("%s%s returned without an answer, and nothing it started is left to give one: return a string or a "
      .. "table, or call res:finish(); a middleware returns next()"):format(who, front)
  end
  return begun and "unfinished" or "unanswered", place.all, text
end

local function left(server, context)
  local kind, place, text = describe_left(server, context)
  local key = kind .. " " .. place
  local n = (searches[key] or 0) + 1
  if told[key] or n > SEARCHES or (n == 1 and places >= MOST) then return end
  searches[key] = n
  if native.forgotten(context) then report(kind, place, text) end
end

-- ---- a body that nobody has read

local WITH_BODY = { POST = true, PUT = true, PATCH = true }

--- The answer says that all is well, the request is one whose body is its point, and nobody has looked at it.
local function unread(server, context)
  local req, status, _, length = native.request(context)
  if not WITH_BODY[req.method] or rawget(req, "_pumping") then return end -- it is about to be read
  local place = place_of(server, req)
  local size = length >= 0 and ("%d bytes"):format(length) or "in chunks"
  report("unread", place.all, ("%s: %s: the handler answered %d and read nothing of the request's body (%s): "
    .. "req:json(), req:form(), req:text() read it; req:resume() says that it is not wanted"):format(place.last,
    title_of(req), status, size))
end

-- ---- what C and http.lua tell

--- Called for a request in a server; context is light userdata.
---@param server Server
---@param context userdata
---@param what integer
function M.tell(server, context, what)
  if what == LEFT then return left(server, context) end
  if what == UNREAD then return unread(server, context) end
  if what == PLACE then return place_of(server, (native.request(context))) end
end

--- A method that sends was called on a res that was answered.
---@param res ServerResponse
---@param method string
---@param where string "app.lua:7: ", or ""
function M.again(res, method, where)
  if not native.answered(res) then return end
  local place = near(where, res)
  local req = require("luaserve.core.server").req(res)
  report("again", place, ("%s: %s: res:%s after the answer has ended: what it was given is lost; return where the "
    .. "answer is complete"):format(place, title_of(req), method))
end

--- A handler has returned an answer, and had begun another.
---@param res ServerResponse
function M.returned(res)
  if not native.answered(res) then return end
  local req = require("luaserve.core.server").req(res)
  local place = near("", res)
  report("returned", place, ("%s: %s: the handler returned an answer after it had sent one with res: the one that it "
    .. "returned is lost"):format(place, title_of(req)))
end

--- A handler has returned a status alone that has to have a body.
---@param res ServerResponse
---@param status integer
function M.status_alone(res, status)
  local req = require("luaserve.core.server").req(res)
  local place = near("", res)
  report("status", place, ("%s: %s: the handler returned %d alone, which is no answer yet: return %d, \"text\" or a "
    .. "table, or call res:finish"):format(place, title_of(req), status, status))
end

--- A session was changed when the answer's head had left, and not stored by hand.
---@param req IncomingMessage
---@param res ServerResponse
---@param name string of the key
function M.late(req, res, name)
  local place = near("", res)
  report("session", place, ("%s: %s: req.session.%s is set after the answer has begun, and is not stored: set it "
    .. "before, or call req.session:save()"):format(place, title_of(req), name))
end

--- A global was made after the script had ended.
---@param name any
---@param where string "app.lua:7: ", or ""
function M.global(name, where)
  if where:find("^%(line%)") then return end -- typed at a prompt
  local place = where == "" and "?" or (where:gsub(": $", ""))
  local text = type(name) == "string" and name or "[" .. tostring(name) .. "]"
  report("global", place .. " " .. text, ("%s: the global '%s' is made here, after the script was loaded: all requests "
    .. "share it; write local %s = ..., or give it a value where the script starts if that is what you want"):format(
    place, text, text))
end

return M
