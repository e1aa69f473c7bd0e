--- The harness of the specs: `local helper = require("spec.helper")`.
--
-- Everything that it makes (processes, connections, folders) lives as long as
-- the busted block in which it was made: one `it`, or, made in `setup`, the whole
-- `describe`. Nothing needs to be closed, also when a spec raises. A report of a
-- sanitizer or a crash of a server fails the spec. Waiting is by condition, never
-- by sleeping; all limits are five times longer where SAN=1 is set.
--
-- STARTING
--
--   helper.serve(code | path, opts) -> server     until it serves
--   helper.serve_handler(body, opts) -> server    body of function(req, res); opts.before
--                                                 is code that runs ahead of it
--   helper.run(code | path | nil, opts) -> {code, signal, out, err, script}
--
--   What holds a newline or a parenthesis is code, and is written to app.lua in a
--   new folder, which is also the working directory; else it is the path of a
--   script, counted from the repository. The program is $LUASERVE_BIN, else
--   build/luaserve. Options:
--     args = {...}         before the script        script_args = {...}  behind it
--     listen = true | ADDR | {ADDR...}              -l; true is 127.0.0.1:0
--     env = {K = V}  cwd = PATH  stdin = TEXT       HOST and PORT are never inherited
--     files = {["www/index.html"] = TEXT}           beside the script
--     name = "main.lua"    code = true              its name; it is code in any case
--     ports = N            wait for N announced ports (default 1)
--     ready = PATTERN      wait for output like this instead
--     timeout = S          start 5 s, run 10 s      nofile = N (ulimit -n)
--     may_crash = true     death by SIGSEGV, SIGABRT... is expected
--     program = PATH       run this instead of luaserve
--   serve waits for a line `port N` or `port N name`, or `listening on ADDR` (that
--   is: `print("port " .. server:address().port)` in the script's code).
--
--   server.port, server.ports[i or name], server.unix, server.pid, server.script,
--   server.dir; :stdout(), :stderr(), :wait_output(pattern[, timeout]) -> captures,
--   :alive(), :kill(signal), :stop([signal]) -> code, signal (SIGTERM; fails after
--   5 s), :wait_exit([timeout]) -> code, signal, :fds(), :rss(), :private_memory()
--   (bytes), :cpu() (seconds). Signals are "SIGTERM", "TERM" or numbers; what comes
--   back is nil and "SIGTERM" where a signal ended it.
--
-- ASKING
--
--   helper.get(server, path[, headers]) -> response
--   helper.request(server, {method, path, headers, body, version, raw}) -> response
--     headers: a table, or a list of {name, value}; Host is added unless it is there
--     (false: without). body: a string (Content-Length) or a list (chunked). raw:
--     these bytes and nothing else. 1xx answers are in response.interim.
--   helper.connect(server | port | nil, {host, port, unix, timeout, rcvbuf, try})
--     -> conn. A number is a port of 127.0.0.1. timeout: of each read, 5 s.
--     conn:send(bytes[, timeout]) -> true | nil, "closed" | "timeout", sent
--     conn:send_slowly(bytes[, n[, pause]])       n bytes (1) in each write
--     conn:read_response([{head = true}]) -> response
--     conn:read(n)  conn:read_some()  conn:read_until(pattern[, plain])
--     conn:read_all()                             to the end of the stream
--     conn:closed([timeout]) -> boolean           the peer ends or resets in time
--     conn:shutdown_write()  conn:reset()  conn:close()  conn:local_port()
--   response: status, reason, version, headers (lower-case; a list where repeated),
--     raw_headers (list of {name, value}), trailers, body, raw, framing ("length",
--     "chunked", "close", "none"). An answer that breaks RFC 9112 raises.
--
-- WAITING, FILES
--
--   helper.wait_for(condition, what[, timeout]) -> its value; raises with `what`
--   helper.now()  helper.seconds(n)  helper.scale  helper.sanitized
--   helper.tmpdir() -> path  helper.write_file(path, text)  helper.read_file(path)
--   helper.defer(fn)          runs fn at the end of the block
--   helper.start(argv, opts)  any other program, as a process like server
--   helper.check_sanitizer(server)
local client = require("spec.helper.client")
local files = require("spec.helper.files")
local poll = require("spec.helper.poll")
local process = require("spec.helper.process")
local request = require("spec.helper.request")
local scope = require("spec.helper.scope")
local server = require("spec.helper.server")

local M = {
  serve = server.serve,
  serve_handler = server.serve_handler,
  run = server.run,
  start = process.start,
  connect = client.connect,
  request = request.send,
  get = request.get,
  wait_for = poll.wait_for,
  now = poll.now,
  seconds = poll.seconds,
  scale = poll.scale,
  sanitized = poll.sanitized,
  tmpdir = files.tmpdir,
  write_file = files.write_file,
  read_file = files.read_file,
  defer = scope.defer,
}

--- Raises where the process has reported a sanitizer's finding, or crashed.
---@param target spec.Process
function M.check_sanitizer(target)
  target:check_sanitizer()
end

return M
