--- What terminals send, as names of keys: "left", "word-left", "paste", "text" for what is inserted; control keys
-- that have no name here are themselves ("\3" is Ctrl-C).
local M = {}

local NAMES = {
  ["\27[A"] = "up", ["\27[B"] = "down", ["\27[C"] = "right", ["\27[D"] = "left",
  ["\27OA"] = "up", ["\27OB"] = "down", ["\27OC"] = "right", ["\27OD"] = "left",
  ["\27[H"] = "home", ["\27[F"] = "end", ["\27OH"] = "home", ["\27OF"] = "end",
  ["\27[1~"] = "home", ["\27[4~"] = "end", ["\27[7~"] = "home", ["\27[8~"] = "end",
  ["\27[3~"] = "delete",
  ["\27[1;5C"] = "word-right", ["\27[1;5D"] = "word-left", ["\27[1;3C"] = "word-right", ["\27[1;3D"] = "word-left",
  ["\27b"] = "word-left", ["\27f"] = "word-right", ["\27d"] = "delete-word", ["\27\127"] = "\23",
  ["\27\r"] = "newline", ["\27\n"] = "newline", ["\27[200~"] = "paste",
  ["\1"] = "home", ["\2"] = "left", ["\5"] = "end", ["\6"] = "right", ["\8"] = "backspace", ["\127"] = "backspace",
  ["\14"] = "down", ["\16"] = "up", ["\9"] = "tab", ["\13"] = "enter", ["\10"] = "enter", ["\7"] = "cancel",
}

--- What has to be typed for a redraw after the window has changed.
M.RESIZE = "\27[resize"

--- The same for the end of what the prompt is for.
M.CLOSED = "\27[closed"

local PASTE_END = "\27[201~"

--- The first key of what was read, and the number of its bytes; nil where more has to be read.
---@param text string
---@return string? key, integer? bytes, string? text of "text" and "paste"
function M.next(text)
  local byte = text:byte()
  if not byte then return nil end
  if byte == 27 then
    if text:sub(1, 6) == "\27[200~" then
      local from, to = text:find(PASTE_END, 7, true)
      if not from then return nil end
      return "paste", to, text:sub(7, from - 1)
    end
    if text:sub(1, #M.RESIZE) == M.RESIZE then return "resize", #M.RESIZE end
    if text:sub(1, #M.CLOSED) == M.CLOSED then return "closed", #M.CLOSED end
    local sequence = text:match("^\27%[[0-9;?]*[@-~]") or text:match("^\27O.") or text:match("^\27[^%[O]")
    if not sequence then return nil end
    return NAMES[sequence] or "unknown", #sequence
  end
  if byte < 32 or byte == 127 then return NAMES[text:sub(1, 1)] or text:sub(1, 1), 1 end
  -- A run of text comes at once; a character that is not complete yet has to wait.
  local run = text:match("^[^%z\1-\31\127]+")
  local whole = #run
  if whole == #text then
    local tail = run:match("[\192-\255][\128-\191]*$")
    local lead = tail and tail:byte()
    local wanted = lead and (lead >= 0xF0 and 4 or lead >= 0xE0 and 3 or 2) or 0
    if tail and #tail < wanted then whole = whole - #tail end
    if whole == 0 then return nil end
  end
  return "text", whole, run:sub(1, whole)
end

return M
