/* What /metrics is made of, as Lua sees it; the text is made in
 * lua/luaserve/metrics.lua. */
#include "http/server.h"
#include "http/stats.h"
#include "script/context.h"
#include "script/modules.h"
#include "script/script.h"

/* enable(): requests are counted from now on */
static int enable(lua_State *L)
{
    (void)L;
    stats_enabled = true;
    return 0;
}

/* route(req, number): which route answers req, from 1 */
static int route(lua_State *L)
{
    lua_Integer number = luaL_checkinteger(L, 2);
    struct context *c;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_rawgeti(L, 1, 1);
    c = context_test(L, -1);
    if (c != NULL && c->x != NULL && number > 0 && number < UINT16_MAX)
        c->x->route = (uint16_t)number;
    return 0;
}

/* [-0, +1, m] {route, method, status, count, seconds, bucket...} */
static void push_series(lua_State *L, const struct stats_series *s)
{
    int i;

    lua_createtable(L, 5 + STATS_BUCKETS, 0);
    lua_pushinteger(L, s->route);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, s->method);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, s->status);
    lua_rawseti(L, -2, 3);
    lua_pushinteger(L, (lua_Integer)s->count);
    lua_rawseti(L, -2, 4);
    lua_pushnumber(L, s->seconds);
    lua_rawseti(L, -2, 5);
    for (i = 0; i < STATS_BUCKETS; i++) {
        lua_pushinteger(L, (lua_Integer)s->buckets[i]);
        lua_rawseti(L, -2, 6 + i);
    }
}

/* series() -> a list of what push_series makes */
static int all(lua_State *L)
{
    const struct stats_series *s;
    unsigned i;
    int n = 0;

    lua_newtable(L);
    for (i = 0; (s = stats_at(i)) != NULL; i++) {
        if (s->count == 0)
            continue;
        push_series(L, s);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* process() -> requests, open connections, bytes of Lua */
static int process(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)server_requests());
    lua_pushinteger(L, (lua_Integer)server_connections());
    lua_pushinteger(L, (lua_Integer)script_state.heap.used);
    return 3;
}

int l_stats_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"enable", enable},
                                         {"route", route},
                                         {"series", all},
                                         {"process", process},
                                         {NULL, NULL}};
    int i;

    luaL_newlib(L, functions);
    lua_createtable(L, STATS_BUCKETS, 0);
    for (i = 0; i < STATS_BUCKETS; i++) {
        lua_pushnumber(L, stats_bounds[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "bounds");
    return 1;
}
