--- Puts the script by which a page reloads itself behind whole pages of HTML.
local M = {}

local native = require "luaserve.core.server"
local outgoing = require "luaserve.outgoing"

local Response = outgoing.ServerResponse
local plain_write, plain_finish = Response.write, Response.finish

local state

--- What stands behind a page.
---@param kind string? "error" in the page of one, which shows no other over itself
---@return string
function M.tag(kind)
  return ('<script src="/.luaserve/watch.js" data-page="%s" data-kind="%s" async></script>\n'):format(state.generation,
    kind or "page")
end

local FRAMES = { document = true, iframe = true, frame = true }

--- Whether the request may be for a page: browsers say what they want it for; others may.
local function wants_page(req)
  local headers = req.headers
  if req.method ~= "GET" and req.method ~= "POST" or headers["hx-request"] or headers["x-requested-with"] then
    return false
  end
  local meant = headers["sec-fetch-dest"]
  return not meant or FRAMES[meant] == true, meant ~= nil
end

local function is_whole(text)
  local head = text:sub(1, 2048):lower()
  return head:find("<!doctype html", 1, true) ~= nil or head:find("<html[%s>]") ~= nil
end

--- Whether the answer that begins with this text is a page.
local function is_page(res, text)
  local kind = res:getHeader("Content-Type")
  if type(kind) ~= "string" or kind:sub(1, 9):lower() ~= "text/html" or res:hasHeader("Content-Encoding") then
    return false
  end
  local status = res.statusCode
  if status == 204 or status == 206 or status == 304 then return false end
  local wanted, sure = wants_page(native.req(res))
  return wanted and (sure or is_whole(text))
end

--- The head is about to leave, with a tag to come.
local function prepare(res, tag)
  local length = tonumber(res:getHeader("Content-Length"))
  if length then res:setHeader("Content-Length", ("%d"):format(length + #tag)) end
  res:removeHeader("ETag")
  res:removeHeader("Last-Modified")
  res:setHeader("Cache-Control", "no-store")
end

local function write(res, chunk, ...)
  if type(chunk) == "string" and chunk ~= "" and not res.headersSent and rawget(res, "_tag") == nil then
    local tag = is_page(res, chunk) and M.tag() or false
    rawset(res, "_tag", tag)
    if tag then prepare(res, tag) end
  end
  return plain_write(res, chunk, ...)
end

local function finish(res, data, ...)
  local tag = rawget(res, "_tag")
  if tag == nil and type(data) == "string" and data ~= "" and not res.headersSent and not res.writableEnded
    and is_page(res, data) then
    tag = M.tag()
    prepare(res, tag)
  end
  if not tag or res.writableEnded then return plain_finish(res, data, ...) end
  rawset(res, "_tag", nil)
  if data == nil or type(data) == "string" then return plain_finish(res, (data or "") .. tag, ...) end
  if type(data) == "function" then return plain_finish(res, tag, data) end
  return plain_finish(res, data, ...)
end

--- From now on, for all answers of this process; of shared, generation is told to the pages.
---@param shared {generation: string}
function M.install(shared)
  state = shared
  Response.write, Response.finish, Response["end"] = write, finish, finish
  require("luaserve.static").tail = function(res)
    return wants_page(native.req(res)) and M.tag() or nil
  end
end

return M
