/* What the middleware "compress" calls (lua/luaserve/compress.lua). Its options
 * were checked there, once; here they are passed on for each response. */
#include "http/compress.h"
#include "script/context.h"
#include "script/modules.h"

enum { TYPES = 64 }; /* media types that a script may add */

static void read_order(lua_State *L, int i, enum coding *order)
{
    size_t n, k;
    const char *names = luaL_checklstring(L, i, &n);

    for (k = 0; k < n && k < CODINGS - 1; k++)
        order[k] = (enum coding)names[k];
    order[k] = CODING_NONE;
}

static unsigned read_types(lua_State *L, int i, struct str *types)
{
    unsigned n = 0;

    if (lua_isnoneornil(L, i))
        return 0;
    luaL_checktype(L, i, LUA_TTABLE);
    for (; n < TYPES && (lua_rawgeti(L, i, (int)n + 1), lua_isstring(L, -1));
         n++) {
        types[n].p = lua_tolstring(L, -1, &types[n].n);
        lua_pop(L, 1); /* the table holds it */
    }
    return n;
}

/* offer(res, order, threshold, level, types): order has a byte for each coding,
 * as coding(name) returns it */
static int offer(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct str types[TYPES];
    struct compress_options options = {.types = types};

    read_order(L, 2, options.order);
    options.threshold = (int64_t)luaL_checkinteger(L, 3);
    options.level = (int)luaL_checkinteger(L, 4);
    options.ntypes = read_types(L, 5, types);
    if (c->x != NULL && c->x->codec != NULL)
        compress_offer(c->x, &options);
    return 0;
}

/* coding(name) -> its byte, or nil */
static int coding(lua_State *L)
{
    struct str name;
    char byte;

    name.p = luaL_checklstring(L, 1, &name.n);
    byte = (char)coder_named(name);
    if (byte == CODING_NONE)
        return 0;
    lua_pushlstring(L, &byte, 1);
    return 1;
}

int l_compress_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"offer", offer}, {"coding", coding}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
