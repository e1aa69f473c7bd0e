--- Answers with what is known of an error: the page for browsers, JSON for those who ask for it, text for terminals.
local error_page = require "luaserve.error_page"
local json = require "json"
local trouble = require "luaserve.trouble"

local M = {}

-- That of the page, and of the script by which it reloads itself.
local POLICY = error_page.POLICY:gsub("frame%-ancestors 'none'", "frame-ancestors 'self'")
  .. "; script-src 'self'; connect-src 'self'"

--- How the client wants it: "html", "json" or "text".
local function form_of(req)
  local accept = tostring(req.headers.accept or ""):lower()
  if accept:find("text/html", 1, true) then return "html" end
  if accept:find("application/json", 1, true) or accept:find("+json", 1, true) then return "json" end
  return "text"
end

--- As JSON, where what is a list is always one, and lines by their numbers never are.
local function json_of(t)
  local copy, frames = {}, json.array()
  for name, value in pairs(t) do copy[name] = value end
  for i, frame in ipairs(t.frames) do
    frames[i] = {}
    for name, value in pairs(frame) do frames[i][name] = value end
    if frame.source then frames[i].source = {} end
    for number, line in pairs(frame.source or {}) do frames[i].source[tostring(number)] = line end
  end
  copy.frames, copy.middleware = frames, t.middleware and json.array(t.middleware)
  return json.encode(copy)
end

--- Answers with a trouble.
---@param req IncomingMessage
---@param res ServerResponse
---@param t Trouble
---@param options {status: integer?, still: boolean?}? still: without the script that reloads it
function M.answer(req, res, t, options)
  local form = form_of(req)
  res.statusCode = options and options.status or t.status
  res:setHeader("Cache-Control", "no-store")
  res:setHeader("X-Content-Type-Options", "nosniff")
  if form == "json" then
    res:setHeader("Content-Type", "application/json")
    return res:finish(json_of(t) .. "\n")
  elseif form == "text" then
    res:setHeader("Content-Type", "text/plain; charset=utf-8")
    return res:finish(trouble.text(t) .. "\n")
  end
  res:setHeader("Content-Type", "text/html; charset=utf-8")
  res:setHeader("Content-Security-Policy", POLICY)
  rawset(res, "_tag", false) -- it has its own
  local tag = options and options.still and "" or require("luaserve.watch.inject").tag("error")
  return res:finish(error_page.render(t, tag))
end

return M
