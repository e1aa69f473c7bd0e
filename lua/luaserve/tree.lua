--- The prefix tree of an app's routes, by segment. A look-up takes one step for each segment
--- of the path, however many routes there are; at each step static text is tried first, then
--- parameters with a pattern, then plain ones, then a wildcard.
local M = {}

local concat, match = table.concat, string.match

local function new_node()
  return { static = {}, routes = false, matches = false, param = false, rest = false }
end

---@return table root
function M.new()
  return new_node()
end

local function child(node, segment)
  local kind, text = segment.kind, segment.text
  if kind == "static" then
    node.static[text] = node.static[text] or new_node()
    return node.static[text]
  elseif kind == "match" then
    node.matches = node.matches or {}
    for _, known in ipairs(node.matches) do
      if known.text == text then return known.node end
    end
    local made = { text = text, count = #segment.names, node = new_node() }
    table.insert(node.matches, made)
    return made.node
  end
  local field = kind == "rest" and "rest" or "param"
  node[field] = node[field] or new_node()
  return node[field]
end

--- The node of a list of segments, made where it is not there.
---@param root table
---@param segments Segment[]
---@return table node
function M.node(root, segments)
  local node = root
  for _, segment in ipairs(segments) do node = child(node, segment) end
  return node
end

--- The node of a list of segments, or nil.
---@param root table
---@param segments Segment[]
---@return table? node
function M.at(root, segments)
  local node = root
  for _, segment in ipairs(segments) do
    local kind, found = segment.kind, nil
    if kind == "static" then
      found = node.static[segment.text]
    elseif kind == "match" then
      for _, known in ipairs(node.matches or {}) do found = known.text == segment.text and known.node or found end
    else
      found = node[kind == "rest" and "rest" or "param"]
    end
    if not found then return nil end
    node = found
  end
  return node
end

local function route_of(node, method)
  local routes = node.routes
  return routes and (routes[method] or routes.ALL)
end

local find

local function find_match(node, path, i, n, method, values, k)
  for _, known in ipairs(node.matches) do
    local a, b, c, d, e = match(path[i], known.text)
    if a then
      values[k + 1], values[k + 2], values[k + 3], values[k + 4], values[k + 5] = a, b, c, d, e
      local route = find(known.node, path, i + 1, n, method, values, k + known.count)
      if route then return route end
    end
  end
end

--- The route for the path's segments from i on; values gets what its parameters capture.
function find(node, path, i, n, method, values, k)
  if i > n then
    local route = route_of(node, method)
    if route then return route end
    route = node.rest and route_of(node.rest, method)
    if route then values[k + 1] = "" end
    return route
  end
  local text = path[i]
  local next_node = node.static[text]
  if next_node then
    local route = find(next_node, path, i + 1, n, method, values, k)
    if route then return route end
  end
  if node.matches then
    local route = find_match(node, path, i, n, method, values, k)
    if route then return route end
  end
  if node.param and text ~= "" then
    values[k + 1] = text
    local route = find(node.param, path, i + 1, n, method, values, k + 1)
    if route then return route end
  end
  local route = node.rest and route_of(node.rest, method)
  if route then values[k + 1] = concat(path, "/", i, n) .. (path.slash and "/" or "") end
  return route
end

--- Looks a path up: path[1..n] are its decoded segments.
---@return table? route
function M.find(root, path, n, method, values)
  return find(root, path, 1, n, method, values, 0)
end

local function collect(node, path, i, n, found)
  if i > n then
    if node.routes then found[#found + 1] = node end
    if node.rest then found[#found + 1] = node.rest end
    return
  end
  if node.static[path[i]] then collect(node.static[path[i]], path, i + 1, n, found) end
  for _, known in ipairs(node.matches or {}) do
    if match(path[i], known.text) then collect(known.node, path, i + 1, n, found) end
  end
  if node.param and path[i] ~= "" then collect(node.param, path, i + 1, n, found) end
  if node.rest then found[#found + 1] = node.rest end
end

--- All nodes that match the path, whatever their methods, the best one first.
---@return table[]
function M.nodes(root, path, n)
  local found = {}
  collect(root, path, 1, n, found)
  return found
end

local function pack_routes(routes)
  if not routes then return false end
  local packed = {}
  for method, entry in pairs(routes) do packed[method] = { entry, (table.unpack or unpack)(entry.names) } end
  return packed
end

--- The tree as the look-up in C (src/script/l_route.c) reads it: of each node the static
--- children, the routes by method, each with the names of its parameters, whether there
--- are patterns, the child behind a parameter, and the routes of the wildcard.
---@param node table
---@return table
function M.pack(node)
  local static = false
  for text, inner in pairs(node.static) do
    static = static or {}
    static[text] = M.pack(inner)
  end
  return { static, pack_routes(node.routes), node.matches and true or false, node.param and M.pack(node.param) or false,
    node.rest and pack_routes(node.rest.routes) or false }
end

return M
