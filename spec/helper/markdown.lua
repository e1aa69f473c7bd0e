--- Documents of the project that specs run: their fenced blocks and the commands in them.
local M = {}

--- The fenced blocks of a text, in order.
---@param text string
---@return {kind: string, text: string, line: integer}[]
function M.blocks_of(text)
  local blocks, block = {}, nil
  local number = 0
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    local fence = line:match("^```(.*)$")
    if fence and block then
      block = nil
    elseif fence then
      block = { kind = fence, text = "", line = number }
      table.insert(blocks, block)
    elseif block then
      block.text = block.text .. line .. "\n"
    end
  end
  return blocks
end

--- The commands of a console block, `$ command`, each with the lines it prints.
---@param text string
---@return {command: string, lines: string[]}[]
function M.commands_of(text)
  local commands = {}
  for line in text:gmatch("([^\n]*)\n") do
    local command = line:match("^%$ (.*)$")
    if command then
      table.insert(commands, { command = command, lines = {} })
    else
      table.insert(commands[#commands].lines, line)
    end
  end
  return commands
end

return M
