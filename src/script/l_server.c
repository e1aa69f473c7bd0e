/* Servers as Lua sees them: a handle that listens, closes and has limits. Who
 * gets their requests is in l_exchange.c; listeners, the arguments of listen
 * and returned answers are in lua/node/http.lua. */
#include "script/l_server.h"

#include <errno.h>

#include "net/work.h"
#include "proc/tempdir.h"
#include "script/call.h"
#include "script/l_exchange.h"
#include "script/l_limits.h"
#include "script/l_tls.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

#define SERVER "luaserve.server"

struct l_server *l_server_check(lua_State *L, int i)
{
    return luaL_checkudata(L, i, SERVER);
}

/* [-0, +1, m] new(entry, special) -> handle. Both functions may refer to the
 * handle: they are anchored while it is open, and else by the handle alone. */
static int new (lua_State *L)
{
    struct l_server *s;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    s = lua_newuserdatauv(L, sizeof *s, 1);
    memset(s, 0, sizeof *s);
    s->limits = script_state.limits;
    s->limits.max_connections = 0; /* that one is the process's */
    luaL_getmetatable(L, SERVER);
    lua_setmetatable(L, -2);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 2);
    compat_setuservalue(L, -2);
    return 1;
}

/* Lets go of the server, and Lua of the handle where the script has. */
static void release(lua_State *L, struct l_server *s)
{
    server_free(s->server);
    s->server = NULL;
    slot_give(L, s->entry);
    slot_give(L, s->special);
    slot_give(L, s->self);
    s->entry = s->special = s->self = 0;
}

static void on_closed(struct server *server)
{
    struct l_server *s = server->app;
    lua_State *L = script_state.L;
    struct call *call;
    int closed = s->closed;

    s->closed = 0;
    release(L, s);
    call = closed != 0 ? call_new(NULL) : NULL; /* 0: closed by the drain */
    if (call != NULL) {
        slot_push(call->co, closed);
        call_start(call, 0);
    }
    slot_give(L, closed);
}

/* What the server has to know of s. */
static void configure(struct l_server *s)
{
    if (s->server == NULL)
        return;
    s->server->limits = s->limits;
    s->server->tells_connections = s->tells[L_SERVER_CONNECTION];
    s->server->tells_refusals = s->tells[L_SERVER_REFUSAL];
    s->server->takes_upgrades = s->tells[L_SERVER_UPGRADE];
    s->server->tls = s->tls;
}

/* The server of s, at index i, made when it is first needed. */
static struct server *server_of(lua_State *L, struct l_server *s, int i)
{
    if (s->server != NULL)
        return s->server;
    compat_getuservalue(L, i);
    lua_rawgeti(L, -1, 1);
    s->entry = slot_of(L, -1);
    lua_rawgeti(L, -2, 2);
    s->special = slot_of(L, -1);
    lua_pop(L, 3);
    s->self = slot_of(L, i);
    s->server =
        server_new(script_state.loop, &s->limits, &l_exchange_handler, s);
    s->server->on_closed = on_closed;
    configure(s);
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

/* [-0, +3, m] Where it was, for a message as Node's ("listen EADDRINUSE: ...
 * :::80"), then the address and the port, nil for a path. */
static void push_place(lua_State *L, const struct addr *addr)
{
    char text[ADDR_TEXT_SIZE];

    if (addr_is_unix(addr)) {
        lua_pushstring(L, addr_format(addr, text) + sizeof "unix:" - 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        return;
    }
    addr_ip(addr, text);
    lua_pushfstring(L, "%s:%d", text, (int)addr_port(addr));
    lua_pushstring(L, text);
    lua_pushinteger(L, addr_port(addr));
}

/* ---- listening */

static void run_sweep(struct job *job)
{
    (void)job;
    tempdir_sweep();
}

static void swept(struct job *job)
{
    (void)job;
}

/* What killed processes have left of uploads goes when the next one listens. */
static void sweep_once(void)
{
    static struct job sweep = {.run = run_sweep, .done = swept};

    if (sweep.link.next != NULL)
        return;
    list_init(&sweep.link);
    work_submit(script_state.work, &sweep);
}

/* [-0, +(1|6), m] handle:listen(ip or path, port, backlog) -> address, or nil,
 * message, code, place, address, port; false where ip is a name, which has to
 * be resolved. */
static int listen_on(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
    int backlog = (int)luaL_optinteger(L, 4, LISTENER_BACKLOG);
    bool any = lua_isnil(L, 2);
    struct addr addr;
    struct listener *l;
    const char *call;

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
        sweep_once();
        push_address(L, &l->addr);
        return 1;
    }
    lua_settop(L, 1);
    wait_return_errno(L, errno, "listen", NULL);
    push_place(L, &addr);
    if (list_empty(&s->server->listeners) && s->server->count == 0)
        release(L, s);
    return 6;
}

/* [-0, +1, m] handle:close(fn): fn is called when it has closed; false where it
 * is not open. It may be closing already, since the process drains. */
static int close_server(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (s->server == NULL || s->closed != 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    s->closed = slot_of(L, 2);
    if (!s->server->closing)
        server_close(s->server);
    lua_pushboolean(L, 1);
    return 1;
}

/* [-0, +1, m] handle:address(i) -> the i-th address listened on, or nil */
static int address(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
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
    struct l_server *s = l_server_check(L, 1);

    lua_pushinteger(L, s->server ? (lua_Integer)s->server->count : 0);
    return 1;
}

/* [-0, +0, -] handle:abort(): cuts all connections. */
static int abort_all(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);

    if (s->server != NULL)
        server_abort(s->server);
    return 0;
}

/* [-0, +0, -] handle:closeIdle(): closes those with nothing under way. */
static int close_idle(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);

    if (s->server != NULL)
        server_close_idle(s->server);
    return 0;
}

/* [-0, +(1|2), v] handle:limit(name[, value]) -> value, or nil, message */
static int limit(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
    const char *name = luaL_checkstring(L, 2);

    if (lua_gettop(L) > 2) {
        lua_pushnil(L);
        if (!l_limits_set(L, &s->limits, name, 3))
            return 2;
        configure(s);
    }
    l_limits_push(L, &s->limits, name);
    return 1;
}

/* [-0, +0, v] handle:tell(kind, whether): enum l_server_special */
static int tell(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
    lua_Integer kind = luaL_checkinteger(L, 2);

    luaL_argcheck(L, kind > 0 && kind < 6, 2, "no such kind");
    s->tells[kind] = lua_toboolean(L, 3);
    configure(s);
    return 0;
}

static int collect_server(lua_State *L)
{
    l_tls_free(l_server_check(L, 1));
    return 0;
}

int l_server_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"listen", listen_on},
                                       {"close", close_server},
                                       {"address", address},
                                       {"limit", limit},
                                       {"tell", tell},
                                       {"connections", connections},
                                       {"closeIdle", close_idle},
                                       {"abort", abort_all},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", new}, {NULL, NULL}};

    server_limit_all(script_state.limits.max_connections);
    luaL_newmetatable(L, SERVER);
    lua_pushcfunction(L, collect_server);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    l_exchange_open(L);
    l_limits_names(L);
    lua_setfield(L, -2, "limits");
    return 1;
}
