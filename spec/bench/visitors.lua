-- What wrk sends for spec/bench/store: wrk -s visitors.lua URL -- COOKIES PATH; each
-- request is another visitor's.
-- luacheck: globals init request wrk
local requests, at = {}, 0

function init(args)
  for cookie in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", args[2], { Host = "127.0.0.1", Cookie = cookie })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
