/* Servers as Lua sees them, and the handler table through which exchanges come
 * up: each request becomes one call of the server's entry function, in which
 * make() builds req and res. Everything about listeners and returned answers is
 * in lua/node/http.lua. */
#include <errno.h>

#include "base/log.h"
#include "http/server.h"
#include "script/call.h"
#include "script/context.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

#define SERVER "luaserve.server"

struct l_server {
    struct server *server; /* NULL after it has closed */
    int entry;             /* function(x), called for each request */
    int self;              /* anchors the userdata while the server lives */
    int closed;            /* function(), called when it has closed */
};

static int request_meta, response_meta, emit_function;

/* ---- requests */

/* [-1, +2, m] make(x) -> req, res; x is an exchange as light userdata. res holds
 * the context, and that holds req. Upvalues: the names of req's fields, since
 * interning them anew costs more than all the rest. */
static int make(lua_State *L)
{
    struct exchange *x = lua_touserdata(L, 1);
    struct call *call = script_state.current;
    struct context *c;

    lua_createtable(L, 1, 0); /* res */
    lua_createtable(L, 1, 2); /* req */
    c = context_new(L, x);
    lua_pushvalue(L, -1);
    lua_rawseti(L, 2, 1);
    lua_rawseti(L, 3, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushlstring(L, x->method.p, x->method.n);
    lua_rawset(L, 3);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushlstring(L, x->target.p, x->target.n);
    lua_rawset(L, 3);
    lua_pushvalue(L, 3);
    compat_setuservalue(L, 4);
    slot_push(L, request_meta);
    lua_setmetatable(L, 3);
    slot_push(L, response_meta);
    lua_setmetatable(L, 2);
    context_begin(L, c, 2);
    call->context = c;
    context_hold(c);
    lua_insert(L, 2);
    return 2;
}

/* The call that began with on_request has ended, at once or much later. */
static void on_handler_end(struct call *call, int status, int nresults)
{
    struct exchange *x = call->arg;

    (void)nresults;
    if (status != LUA_OK && call->context == NULL)
        exchange_fail(x, 500, (struct str){NULL, 0}); /* make() failed */
    script_check_memory();
}

static void on_request(struct exchange *x)
{
    struct l_server *s = x->server->app;
    struct call *call = call_new(NULL);

    if (call == NULL) {
        exchange_fail(x, 503, (struct str){NULL, 0});
        return;
    }
    call->on_end = on_handler_end;
    call->arg = x;
    slot_push(call->co, s->entry);
    lua_pushlightuserdata(call->co, x);
    call_start(call, 1);
}

/* ---- events of an exchange, told to res (which tells req) */

static void emit(struct context *c, enum context_event event)
{
    struct call *call;

    if (!(c->events & event) || (call = call_new(c)) == NULL)
        return;
    slot_push(call->co, emit_function);
    slot_push(call->co, c->slot);
    lua_pushinteger(call->co, event);
    call_resume(call, 2);
}

static int push_body(lua_State *L, void *arg)
{
    struct context *c = arg;

    lua_pushnil(L);
    lua_pushlstring(L, c->body.p, c->body.n);
    bytes_clear(&c->body);
    return 2;
}

static int push_nothing(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushnil(L);
    return 2;
}

static int push_true(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

static void on_body(struct exchange *x, const char *p, size_t n)
{
    struct context *c = x->app;

    if (c->reading == CONTEXT_ALL && c->body.n + n > c->limit) {
        c->over = true;
        x->reading = false;
        wait_fail(&c->read, "too large", NULL);
        return;
    }
    bytes_append(&c->body, p, n);
    if (c->reading == CONTEXT_ALL)
        return;
    x->reading = false; /* one chunk at a time */
    if (wait_active(&c->read))
        wait_settle(&c->read, push_body, c);
}

static void on_end(struct exchange *x)
{
    struct context *c = x->app;

    if (c == NULL || !wait_active(&c->read))
        return;
    if (c->reading == CONTEXT_ALL || c->body.n > 0)
        wait_settle(&c->read, push_body, c);
    else
        wait_settle(&c->read, push_nothing, c);
}

static void on_drain(struct exchange *x)
{
    struct context *c = x->app;

    if (c == NULL)
        return;
    context_hold(c);
    wait_settle(&c->drain, push_true, NULL);
    emit(c, CONTEXT_DRAIN);
    context_drop(script_thread(), c);
}

static void on_sent(struct exchange *x)
{
    struct context *c = x->app;

    if (c != NULL)
        emit(c, CONTEXT_FINISH);
}

static void on_timeout(struct exchange *x)
{
    struct context *c = x->app;
    const char *how = c != NULL && c->live > 0
                          ? "did not answer in time"
                          : "returned without an answer, and nothing it "
                            "started is left to give one";

    log_error("%.*s %.*s: the handler %s (--handler-timeout): 503",
              (int)x->method.n, x->method.p, (int)x->target.n, x->target.p,
              how);
    if (c != NULL)
        c->why = CLOSED_TIMEOUT;
    exchange_fail(x, 503, (struct str){NULL, 0});
}

static void on_close(struct exchange *x, enum closed why)
{
    struct context *c = x->app;
    const char *reason = why == CLOSED_TIMEOUT ? "timeout" : "aborted";

    if (c == NULL) { /* make() had no memory for it */
        exchange_free(x);
        return;
    }
    c->closed = true;
    c->why = why;
    context_hold(c);
    wait_fail(&c->read, reason, NULL);
    wait_fail(&c->drain, reason, NULL);
    if (why != CLOSED_DONE && !x->ended_in)
        emit(c, CONTEXT_ABORTED);
    emit(c, CONTEXT_CLOSE);
    context_drop(script_thread(), c);
}

static const struct handler handler = {
    .on_request = on_request,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_sent = on_sent,
    .on_timeout = on_timeout,
    .on_close = on_close,
};

/* ---- servers */

static struct l_server *check_server(lua_State *L, int i)
{
    return luaL_checkudata(L, i, SERVER);
}

/* [-0, +1, m] new(entry) -> handle */
static int new (lua_State *L)
{
    struct l_server *s;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    luaL_getmetatable(L, SERVER);
    lua_setmetatable(L, -2);
    s->entry = slot_of(L, 1);
    return 1;
}

static void on_closed(struct server *server)
{
    struct l_server *s = server->app;
    lua_State *L = script_state.L;
    struct call *call;
    int closed = s->closed, self = s->self;

    s->server = NULL;
    s->closed = s->self = 0;
    server_free(server);
    call = closed != 0 ? call_new(NULL) : NULL; /* 0: closed by the drain */
    if (call != NULL) {
        slot_push(call->co, closed);
        call_start(call, 0);
    }
    slot_give(L, closed);
    slot_give(L, self);
}

/* The server of s, made when it is first needed. */
static struct server *server_of(lua_State *L, struct l_server *s, int i)
{
    if (s->server == NULL) {
        s->self = slot_of(L, i);
        s->server =
            server_new(script_state.loop, &script_state.limits, &handler, s);
        s->server->on_closed = on_closed;
    }
    return s->server;
}

/* [-0, +1, m] An address as Node gives it. */
static void push_address(lua_State *L, const struct addr *addr)
{
    char text[ADDR_TEXT_SIZE];

    if (addr_is_unix(addr)) {
        lua_pushstring(L, addr_format(addr, text) + sizeof "unix:" - 1);
        return;
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, addr->sa.ss_family == AF_INET ? "IPv4" : "IPv6");
    lua_setfield(L, -2, "family");
    lua_pushstring(L, addr_ip(addr, text));
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, addr_port(addr));
    lua_setfield(L, -2, "port");
}

/* [-0, +1, v] Reads the address to listen on: listen(path) or listen(ip, port).
 * Returns 0, or -1 where ip is a name. */
static int read_address(lua_State *L, struct addr *addr)
{
    int port = (int)luaL_optinteger(L, 3, -1);

    if (port < 0) {
        if (addr_from_path(luaL_checkstring(L, 2), addr) < 0)
            luaL_error(L, "the path of a Unix socket has 1 to 107 bytes");
        return 0;
    }
    if (!lua_isnoneornil(L, 2))
        return addr_from_ip(luaL_checkstring(L, 2), (uint16_t)port, addr);
    *addr = addr_any((uint16_t)port);
    return 0;
}

/* [-0, +1|4, m] handle:listen(ip or path, port, backlog) -> address, or nil,
 * message, code, error; false where ip is a name, which has to be resolved. */
static int listen_on(lua_State *L)
{
    struct l_server *s = check_server(L, 1);
    int backlog = (int)luaL_optinteger(L, 4, LISTENER_BACKLOG);
    bool any = lua_isnil(L, 2);
    struct addr addr;
    struct listener *l;
    const char *call;
    char text[ADDR_TEXT_SIZE];

    if (read_address(L, &addr) < 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    l = server_listen(server_of(L, s, 1), &addr, backlog, &call);
    if (l == NULL && any && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        addr_from_ip("0.0.0.0", addr_port(&addr), &addr); /* no IPv6 here */
        l = server_listen(s->server, &addr, backlog, &call);
    }
    if (l != NULL) {
        push_address(L, &l->addr);
        return 1;
    }
    lua_settop(L, 1);
    wait_return_errno(L, errno, "listen", NULL);
    lua_pushstring(L, addr_format(&addr, text) + (addr_is_unix(&addr) ? 5 : 0));
    if (list_empty(&s->server->listeners) && s->server->count == 0) {
        server_free(s->server);
        slot_give(L, s->self);
        s->server = NULL;
        s->self = 0;
    }
    return 4;
}

/* [-0, +1, -] handle:close(fn): fn is called when it has closed; false where it
 * is not open. */
static int close_server(lua_State *L)
{
    struct l_server *s = check_server(L, 1);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (s->server == NULL || s->server->closing) {
        lua_pushboolean(L, 0);
        return 1;
    }
    s->closed = slot_of(L, 2);
    server_close(s->server);
    lua_pushboolean(L, 1);
    return 1;
}

/* [-0, +1, m] handle:address(i) -> the i-th address listened on, or nil */
static int address(lua_State *L)
{
    struct l_server *s = check_server(L, 1);
    lua_Integer i = luaL_optinteger(L, 2, 1);
    struct list *at;

    lua_pushnil(L);
    if (s->server == NULL)
        return 1;
    for (at = s->server->listeners.next; at != &s->server->listeners;
         at = at->next)
        if (--i == 0)
            push_address(L, &LIST_ITEM(at, struct listener, link)->addr);
    return 1;
}

/* [-0, +1, -] handle:connections() -> count of open connections */
static int connections(lua_State *L)
{
    struct l_server *s = check_server(L, 1);

    lua_pushinteger(L, s->server ? (lua_Integer)s->server->count : 0);
    return 1;
}

/* [-0, +0, -] handle:abort(): cuts all connections. */
static int abort_all(lua_State *L)
{
    struct l_server *s = check_server(L, 1);

    if (s->server != NULL)
        server_abort(s->server);
    return 0;
}

/* The limits that scripts see, with Node's names: bytes and milliseconds. */
static const struct {
    const char *name;
    size_t offset;
    bool seconds;
} limit_fields[] = {
    {"maxRequestLineSize", offsetof(struct limits, max_request_line), false},
    {"maxHeaderSize", offsetof(struct limits, max_header_size), false},
    {"maxHeadersCount", offsetof(struct limits, max_headers), false},
    {"maxTrailerSize", offsetof(struct limits, max_trailer_size), false},
    {"maxBodySize", offsetof(struct limits, max_body), false},
    {"maxConnections", offsetof(struct limits, max_connections), false},
    {"maxRequestsPerSocket", offsetof(struct limits, max_requests), false},
    {"keepAliveTimeout", offsetof(struct limits, keep_alive_timeout), true},
    {"headersTimeout", offsetof(struct limits, headers_timeout), true},
    {"requestTimeout", offsetof(struct limits, request_timeout), true},
    {"minBodyRate", offsetof(struct limits, min_body_rate), true},
    {"writeTimeout", offsetof(struct limits, write_timeout), true},
    {"handlerTimeout", offsetof(struct limits, handler_timeout), true},
};

/* A double of seconds or bytes per second; the rate alone is not a time. */
static double scale(int i)
{
    return limit_fields[i].offset == offsetof(struct limits, min_body_rate)
               ? 1
               : 1000;
}

static void push_limit(lua_State *L, int i, const struct limits *limits)
{
    const char *at = (const char *)limits + limit_fields[i].offset;

    if (limit_fields[i].seconds)
        lua_pushinteger(
            L, (lua_Integer)(*(const double *)(const void *)at * scale(i)));
    else
        lua_pushinteger(L, (lua_Integer) * (const uint64_t *)(const void *)at);
}

static void set_limit(lua_State *L, int i, struct limits *limits, int value)
{
    char *at = (char *)limits + limit_fields[i].offset;
    lua_Number n = luaL_checknumber(L, value);

    if (!(n >= 0 && n <= 9e15))
        luaL_error(L, "%s must be a number from 0, not %f",
                   limit_fields[i].name, n);
    if (limit_fields[i].seconds)
        *(double *)(void *)at = n / scale(i);
    else
        *(uint64_t *)(void *)at = (uint64_t)n;
}

/* [-0, +1, v] handle:limit(name[, value]) -> value, nil for other names */
static int limit(lua_State *L)
{
    struct l_server *s = check_server(L, 1);
    const char *name = luaL_checkstring(L, 2);
    struct limits *limits = &server_of(L, s, 1)->limits;
    size_t i;

    for (i = 0; i < sizeof limit_fields / sizeof limit_fields[0]; i++) {
        if (strcmp(name, limit_fields[i].name) != 0)
            continue;
        if (!lua_isnoneornil(L, 3))
            set_limit(L, (int)i, limits, 3);
        push_limit(L, (int)i, limits);
        return 1;
    }
    return 0;
}

/* [-0, +0, m] setup(request_meta, response_meta, emit): what make() and the
 * events use. */
static int setup(lua_State *L)
{
    request_meta = slot_of(L, 1);
    response_meta = slot_of(L, 2);
    emit_function = slot_of(L, 3);
    return 0;
}

/* [-0, +1, v] req(res) -> req */
static int req_of(lua_State *L)
{
    context_check(L, 1);
    lua_rawgeti(L, 1, 1);
    compat_getuservalue(L, -1);
    return 1;
}

/* [-0, +0, v] watch(req or res, event): has the event told to emit. */
static int watch(lua_State *L)
{
    struct context *c = context_check(L, 1);

    c->events |= (unsigned)luaL_checkinteger(L, 2);
    if (c->x != NULL && (c->events & CONTEXT_FINISH))
        c->x->want_sent = true;
    return 0;
}

static int collect_server(lua_State *L)
{
    struct l_server *s = check_server(L, 1);

    slot_give(L, s->entry);
    s->entry = 0;
    return 0;
}

int l_server_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"listen", listen_on},
                                       {"close", close_server},
                                       {"address", address},
                                       {"limit", limit},
                                       {"connections", connections},
                                       {"abort", abort_all},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", new},
                                         {"setup", setup},
                                         {"req", req_of},
                                         {"watch", watch},
                                         {NULL, NULL}};

    luaL_newmetatable(L, SERVER);
    lua_pushcfunction(L, collect_server);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushliteral(L, "method");
    lua_pushliteral(L, "url");
    lua_pushcclosure(L, make, 2);
    lua_setfield(L, -2, "make");
    return 1;
}
