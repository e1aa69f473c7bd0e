--- An app's requests: looks the route up, runs its chain, and answers where there is
--- none: 404, 405 with Allow, OPTIONS. All that can be is made when the app starts.
local getters = require("luaserve.core.request").getters
local find_route = require("luaserve.core.route").find
local layers = require "luaserve.layers"
local pattern = require "luaserve.pattern"
local segments = require "luaserve.segments"
local tree = require "luaserve.tree"

local M = {}

local new_error

-- ---- running a chain

--- next(err): raised, so that it takes the way of every other failure.
local function give_up(err)
  new_error = new_error or require("luaserve").new_error
  if type(err) == "string" then err = new_error(500, err) end
  error(err, 0)
end

--- Runs a chain that changes nothing of the request.
local function run_plain(chain, req, res)
  local at = 0
  local function next(err)
    if err ~= nil then give_up(err) end
    at = at + 1
    return chain[at](req, res, next)
  end
  return next()
end

local begins, strip = layers.begins, layers.strip

--- Runs any chain: what does not cover the path is left out, what stands behind a
--- prefix sees the path without it. passed: how many of it are done.
local function run(chain, req, res, passed)
  local at, full = passed or 0, nil
  local checks, strips = chain.checks, chain.strips
  local function next(err)
    if err ~= nil then give_up(err) end
    if full then
      req.path, full = full, nil
    end
    repeat
      at = at + 1
    until not checks[at] or begins(checks[at], req)
    if strips[at] then
      local rest = strip(strips[at], req)
      full, req.path = req.path, rest
    end
    return chain[at](req, res, next)
  end
  return next()
end

--- Runs a chain that was made for one URL: what covers it, each with the path that it sees.
local function run_known(chain, req, res)
  local at, cut, url = 0, false, chain.url
  local full, rests, strips = chain.full, chain.rests, chain.strips
  local function next(err)
    if err ~= nil then give_up(err) end
    if cut then
      req.path, cut = cut, false
    end
    if req.url ~= url then return run(chain.whole, req, res, chain.places[at]) end -- a middleware has set it
    at = at + 1
    local rest = rests[at]
    if rest then
      local path = rawget(req, "path")
      cut = path or full
      req.path = cut == full and rest or strip(strips[at], req)
    end
    return chain[at](req, res, next)
  end
  return next()
end

local function start(chain, req, res)
  return (chain.plain and run_plain or run)(chain, req, res)
end

-- ---- no route

local function state_of(req)
  return req.app._state
end

--- All methods with a route for the path, as they stand in Allow; nil where there are none.
local function allowed(state, req)
  local seen, list = {}, {}
  local path = segments.of(req)
  local nodes = path[1] == "*" and path.n == 1 and req.url == "*" and { { routes = state.methods } }
    or tree.nodes(state.root, path, path.n)
  for _, node in ipairs(nodes) do
    for method in pairs(node.routes or {}) do
      if not seen[method] and method ~= "ALL" then
        seen[method] = true
        list[#list + 1] = method
      end
    end
  end
  if not list[1] then return nil, nodes end
  if not seen.OPTIONS then list[#list + 1] = "OPTIONS" end
  table.sort(list)
  return table.concat(list, ", "), nodes
end

local function refuse(res, status, text)
  res.statusCode = status
  res:setHeader("Content-Type", "text/plain; charset=utf-8")
  return res:finish(text)
end

--- The end of every chain: nothing has answered.
local function finish(req, res)
  local out = rawget(req, "_out") -- the next of whoever has called the app as a function
  if out then return out() end
  local allow = allowed(state_of(req), req)
  if not allow then return refuse(res, 404, "Not Found") end
  res:setHeader("Allow", allow)
  if req.method ~= "OPTIONS" then return refuse(res, 405, "Method Not Allowed") end
  res.statusCode = 204
  return res:finish()
end

--- What is left for a request whose first `done` layers have been passed: those of the
--- middlewares from there to `to` that cover it.
local function rest_of(state, done, to, last, list)
  local chain = layers.new_chain()
  for _, flat in ipairs(state.uses) do
    if flat.order > done and flat.order < to then layers.guard(chain, flat, list) end
  end
  if last then layers.add(chain, last) end
  return chain
end

local KNOWN_MOST, KNOWN_LONGEST = 256, 200 -- URLs, and bytes of each

--- Remembers for a URL which middlewares cover it, and what they see of its path: files
--- are asked for again and again. Not where parameters stand in a prefix, or somebody
--- has set req.path.
local function remember(state, req, url, method)
  local known = state.misses[method]
  if not known or #url > KNOWN_LONGEST or rawget(req, "path") ~= nil then return nil end
  local rest = state.rest
  local chain = { n = 0, url = url, whole = rest, places = {}, rests = {}, strips = {} }
  for i = 1, rest.n do
    local check = rest.checks[i]
    if check and check.captures then return nil end
    if not check or begins(check, req) then
      local n = chain.n + 1
      chain.n, chain[n], chain.places[n], chain.strips[n] = n, rest[i], i, rest.strips[i]
      chain.rests[n] = rest.strips[i] and strip(rest.strips[i], req)
    end
  end
  chain.full = req.path
  if state.misses_count >= KNOWN_MOST then state.misses, state.misses_count = { GET = {}, HEAD = {} }, 0 end
  state.misses[method][url] = chain
  state.misses_count = state.misses_count + 1
  return chain
end

--- No route has that method. Where others have, a middleware behind them is no
--- answer, except to GET: files lie there.
local function unmatched(state, req, res, url, method)
  if method == "GET" or method == "HEAD" then
    local chain = remember(state, req, url, method)
    if chain then return run_known(chain, req, res) end
    return start(state.rest, req, res)
  end
  local allow, nodes = allowed(state, req)
  if not allow then return start(state.rest, req, res) end
  local order = 0
  for _, node in ipairs(nodes) do
    for _, entry in pairs(node.routes or {}) do
      if entry.order > order then order = entry.order end
    end
  end
  return start(rest_of(state, 0, order, finish), req, res)
end

--- A route's handlers have called next: goes on with the next best route for the path,
--- or else with the middlewares that were not asked yet.
local function go_on(state, entry, req, res)
  local path = segments.of(req)
  local found, done = false, rawget(req, "_done") or 0
  if entry.order > done then done = entry.order end
  req._done = done
  for _, node in ipairs(tree.nodes(state.root, path, path.n)) do
    local other = node.routes and (node.routes[req.method] or node.routes.ALL)
    if other and found then
      req.params = {}
      pattern.begins(other.list, path, req.params)
      local chain = rest_of(state, done, other.order, nil, other.list)
      for i = other.guards + 1, other.chain.n do
        layers.add(chain, other.chain[i], other.chain.checks[i], other.chain.strips[i])
      end
      return start(chain, req, res)
    end
    found = found or other == entry
  end
  return start(rest_of(state, done, math.huge, finish), req, res)
end

-- ---- look-up

function getters.params(req)
  local params = {}
  req.params = params
  return params
end

--- What C cannot look up: paths that have to be decoded, routes with Lua patterns.
local function lookup_decoded(state, req, method)
  local path, values = segments.split(req), {}
  local entry = tree.find(state.root, path, path.n, method, values)
  local names = entry and entry.names
  if names and names[1] then
    local params = {}
    for i = 1, #names do params[names[i]] = values[i] end
    req.params = params
  end
  return entry
end

local function lookup(state, req, url, method)
  local entry, params = find_route(state.packed, url, method, "ALL")
  if entry == false then return lookup_decoded(state, req, method) end
  if params then req.params = params end
  return entry
end

--- The route of a request, or nil; its parameters are set anew. Raises where the path is malformed.
---@param state table
---@param req IncomingMessage
---@return table? entry
function M.find(state, req)
  local known = state.exact[req.method]
  return known and known[req.url] or lookup(state, req, req.url, req.method)
end

local tell_route, number_of

--- Has tell(req, number) called for each request that a route answers, with the number that name(entry) gave it
--- the first time.
---@param tell function
---@param name fun(entry: table): integer
function M.observe(tell, name) tell_route, number_of = tell, name end

local function number_entry(entry)
  entry.number = number_of(entry)
  return entry.number
end

--- Answers a request.
---@param app table
---@param req IncomingMessage
---@param res ServerResponse
function M.handle(app, req, res)
  if not rawget(req, "app") then req.app = app end
  local state = app._state or M.start(app)
  local url, method = req.url, req.method
  local known = state.exact[method]
  local entry = known and known[url]
  if not entry then
    known = state.misses[method]
    local chain = known and known[url]
    if chain then return run_known(chain, req, res) end
    entry = lookup(state, req, url, method)
    if not entry then return unmatched(state, req, res, url, method) end
  end
  if tell_route then tell_route(req, entry.number or number_entry(entry)) end
  local only = entry.only
  if only then return only(req, res) end
  return start(entry.chain, req, res)
end

-- ---- the start

local function parameters(fn)
  local info = debug.getinfo(fn, "u")
  return info.isvararg and 9 or info.nparams or 9
end

local function add_entry(state, flat, list)
  local layer = flat.layer
  local entry = { list = list, names = pattern.names(list), order = flat.order, flat = flat,
    chain = layers.new_chain(), guarded_by = {} }
  for _, use in ipairs(state.uses) do
    if use.order > flat.order then break end
    if layers.guard(entry.chain, use, list) then entry.guarded_by[#entry.guarded_by + 1] = use end
  end
  entry.guards = entry.chain.n
  for _, fn in ipairs(layer.fns) do layers.add(entry.chain, fn, nil, flat.strip) end
  if entry.chain.n == 1 and entry.chain.plain and parameters(layer.fns[1]) < 3 then entry.only = layer.fns[1] end
  layers.add(entry.chain, function(req, res) return go_on(state, entry, req, res) end)
  local node = tree.node(state.root, list)
  node.routes = node.routes or {}
  local other = node.routes[layer.method]
  if other and other.flat ~= flat then
    error(("%s%s %s is defined twice: the first time at %s"):format(layer.where, layer.method, layer.path,
      (other.flat.layer.where:gsub(": $", ""))), 0)
  end
  node.routes[layer.method] = node.routes[layer.method] or entry
  state.entries[#state.entries + 1] = { node = node, list = list, entry = entry }
end

--- The path of a list of segments, where no request can write it otherwise; else nil.
local function plain_path(list)
  local texts = {}
  for i, segment in ipairs(list) do
    if segment.kind ~= "static" or not segment.text:find("^[%w._~!$&'()+,;=:@-]+$") then return nil end
    texts[i] = segment.text
  end
  return "/" .. table.concat(texts, "/")
end

--- Look-up tables of whole paths, by method, for routes without parameters.
local function index(state)
  for _, made in ipairs(state.entries) do
    local routes = made.node.routes
    routes.HEAD = routes.HEAD or routes.GET
    for method, entry in pairs(routes) do state.methods[method] = entry end
  end
  for method in pairs(state.methods) do state.exact[method] = {} end
  for _, made in ipairs(state.entries) do
    local path, routes = plain_path(made.list), made.node.routes
    if path then
      for method, known in pairs(state.exact) do known[path] = routes[method] or routes.ALL end
    end
  end
end

--- Makes all that requests need of what the app and those in it have defined. Raises
--- where routes are defined twice.
---@param app table
---@return table state
function M.start(app)
  local flats = layers.flatten(app)
  local state = { root = tree.new(), uses = {}, entries = {}, exact = {}, methods = {}, flats = flats,
    mounts = flats.mounts, misses = { GET = {}, HEAD = {} }, misses_count = 0 }
  for _, flat in ipairs(flats) do
    if flat.layer.kind == "use" then state.uses[#state.uses + 1] = flat end
  end
  for _, flat in ipairs(flats) do
    if flat.layer.kind == "route" then
      for _, list in ipairs(layers.lists(flat)) do add_entry(state, flat, list) end
    end
  end
  index(state)
  state.packed = tree.pack(state.root)
  state.rest = rest_of(state, 0, math.huge, finish)
  app._state = state
  return state
end

return M
