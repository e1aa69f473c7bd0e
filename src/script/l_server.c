/* Servers as Lua sees them: a handle that listens, closes and has limits. Who
 * gets their requests is in l_exchange.c; listeners, the arguments of listen
 * and returned answers are in lua/node/http.lua. */
#include "script/l_server.h"

#include <errno.h>

#include "net/work.h"
#include "proc/tempdir.h"
#include "script/call.h"
#include "script/l_address.h"
#include "script/l_bound.h"
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
    s->proxied = script_state.proxied;
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
    s->server->proxied = s->proxied;
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

struct server *l_server_ready(lua_State *L, int i)
{
    struct l_server *s = l_server_check(L, i);

    return server_of(L, s, i);
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

    if (l_address_read(L, 2, &addr) < 0) {
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
        l_address_push(L, &l->addr);
        return 1;
    }
    lua_settop(L, 1);
    wait_return_errno(L, errno, "listen", NULL);
    l_address_push_place(L, &addr);
    if (list_empty(&s->server->listeners) && s->server->count == 0)
        release(L, s);
    return 6;
}

/* [-0, +1, m] handle:adopt(bound, tag) -> address: accepts from a socket that
 * another process has bound, too; nil where the server is closing. */
static int adopt(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
    int tag = (int)luaL_checkinteger(L, 3);
    struct listener *l = NULL;

    l_bound_fd(L, 2);
    if (!server_of(L, s, 1)->closing)
        l = server_adopt(s->server, l_bound_fd(L, 2));
    if (l == NULL)
        return 0;
    l_bound_take(L, 2);
    l->tag = tag;
    sweep_once();
    l_address_push(L, &l->addr);
    return 1;
}

/* [-0, +0, v] handle:release(tag): accepts no more from what was adopted so. */
static int release_adopted(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
    int tag = (int)luaL_checkinteger(L, 2);

    if (s->server != NULL)
        server_release(s->server, tag);
    return 0;
}

/* [-0, +1, v] handle:inject(bound) -> whether the connection is served */
static int inject(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);
    int fd;

    l_bound_fd(L, 2);
    server_of(L, s, 1);
    fd = s->server->closing ? -1 : l_bound_take(L, 2);
    if (fd >= 0)
        server_inject(s->server, fd);
    lua_pushboolean(L, fd >= 0);
    return 1;
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
            l_address_push(L, &LIST_ITEM(at, struct listener, link)->addr);
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

/* [-0, +0, v] handle:proxied(whether): connections begin with a header of the
 * PROXY protocol */
static int proxied(lua_State *L)
{
    struct l_server *s = l_server_check(L, 1);

    s->proxied = lua_toboolean(L, 2);
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
                                       {"adopt", adopt},
                                       {"release", release_adopted},
                                       {"inject", inject},
                                       {"close", close_server},
                                       {"address", address},
                                       {"limit", limit},
                                       {"tell", tell},
                                       {"proxied", proxied},
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
