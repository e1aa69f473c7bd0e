/* The look-up of a route in the tree that lua/luaserve/tree.lua has packed. It
 * walks Lua's own tables, since what it finds is Lua's, but takes the path
 * apart without making a string of what no node needs. Paths that have to be
 * decoded, and nodes with Lua patterns, are left to the look-up in Lua, which
 * does all. */
#include <string.h>

#include "base/str.h"
#include "script/compat.h"
#include "script/modules.h"

enum {
    DEEPEST = 32, /* segments */
    CAPTURES = 32 /* parameters */
};

/* Fields of a packed node. */
enum { STATIC = 1, ROUTES, PATTERNS, PARAMETER, WILDCARD };

enum found { NONE, FOUND, UNSURE };

struct walk {
    lua_State *L;
    const char *end; /* of the last segment */
    bool slash;      /* one follows there */
    unsigned depth;
    unsigned n; /* of captures */
    struct str captures[CAPTURES];
};

/* [-0, +0|1, -] Pushes the route in the routes on top, which it replaces; index
 * 3 is the method, 4 is "ALL". */
static bool take_route(lua_State *L)
{
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushvalue(L, 3);
    if (compat_rawget_type(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushvalue(L, 4);
        lua_rawget(L, -2);
    }
    lua_remove(L, -2);
    if (lua_istable(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

static void capture(struct walk *w, const char *p, const char *end)
{
    w->captures[w->n].p = p;
    w->captures[w->n++].n = (size_t)(end - p);
}

/* The wildcard of the node at i takes what begins at p. */
static enum found take_rest(struct walk *w, int i, const char *p)
{
    lua_rawgeti(w->L, i, WILDCARD);
    if (!take_route(w->L))
        return NONE;
    capture(w, p, w->end + (p < w->end && w->slash));
    return FOUND;
}

static enum found walk(struct walk *w, const char *p);

/* Goes on in the node on top, behind the slash at end. */
static enum found descend(struct walk *w, const char *end)
{
    enum found found;

    if (!lua_istable(w->L, -1)) {
        lua_pop(w->L, 1);
        return NONE;
    }
    w->depth++;
    found = walk(w, end < w->end ? end + 1 : end);
    w->depth--;
    lua_remove(w->L, found == FOUND ? -2 : -1);
    return found;
}

/* The node is on top and stays; a route that is found is pushed. p is at the
 * next segment, or at the end. */
static enum found walk(struct walk *w, const char *p)
{
    lua_State *L = w->L;
    int node = lua_gettop(L);
    const char *end;
    enum found found = NONE;

    if (p == w->end) {
        lua_rawgeti(L, node, ROUTES);
        return take_route(L) ? FOUND : take_rest(w, node, p);
    }
    if (w->depth == DEEPEST || w->n == CAPTURES - 1)
        return UNSURE;
    end = memchr(p, '/', (size_t)(w->end - p));
    end = end != NULL ? end : w->end;
    lua_rawgeti(L, node, STATIC);
    if (lua_istable(L, -1)) {
        lua_pushlstring(L, p, (size_t)(end - p));
        lua_rawget(L, -2);
        lua_remove(L, -2);
    }
    found = descend(w, end);
    if (found != NONE)
        return found;
    lua_rawgeti(L, node, PATTERNS);
    if (lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        return UNSURE;
    }
    lua_pop(L, 1);
    capture(w, p, end);
    lua_rawgeti(L, node, PARAMETER);
    found = descend(w, end);
    if (found != NONE)
        return found;
    w->n--;
    return take_rest(w, node, p);
}

/* Whether url has a path that needs no decoding: then it is from *p on. */
static bool is_plain(struct str url, struct walk *w, const char **p)
{
    const char *at = url.p, *end = url.p + url.n;

    if (url.n == 0 || *at != '/')
        return false;
    for (; at < end && *at != '?'; at++) {
        if (*at == '%')
            return false;
        if (*at == '/' && at + 1 < end && (at[1] == '/' || at[1] == '.'))
            return false;
    }
    *p = url.p + 1;
    w->slash = at > *p && at[-1] == '/';
    w->end = at - w->slash;
    return true;
}

/* [-0, +1, m] Pushes a table of the captures by the names behind the entry in
 * the route at i; nil where it has none. */
static void push_params(struct walk *w, int i)
{
    lua_State *L = w->L;
    unsigned k, names = (unsigned)lua_rawlen(L, i) - 1;

    if (names == 0) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, (int)names);
    for (k = 0; k < names && k < w->n; k++) {
        lua_rawgeti(L, i, (int)k + 2);
        lua_pushlstring(L, w->captures[k].p, w->captures[k].n);
        lua_rawset(L, -3);
    }
}

/* [-0, +2, v] find(tree, url, method, "ALL") -> entry, params | nil | false:
 * where Lua has to look */
static int find(lua_State *L)
{
    struct walk w = {.L = L};
    const char *p;
    struct str url;
    enum found found;

    luaL_checktype(L, 1, LUA_TTABLE);
    url.p = luaL_checklstring(L, 2, &url.n);
    luaL_checkstring(L, 3);
    luaL_checkstring(L, 4);
    lua_settop(L, 4);
    luaL_checkstack(L, 3 * DEEPEST + 8, NULL);
    lua_pushvalue(L, 1);
    if (!is_plain(url, &w, &p) || (found = walk(&w, p)) == UNSURE) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (found == NONE)
        return 0;
    lua_rawgeti(L, -1, 1);
    push_params(&w, lua_gettop(L) - 1);
    return 2;
}

int l_route_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"find", find}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
