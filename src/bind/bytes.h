/* What a client sends as bytes and not as text: a table of the text, with a
 * metatable of ours. For one file of a module, whose own it then is. */
#ifndef BIND_BYTES_H
#define BIND_BYTES_H

#include <stdbool.h>

#include "script/plugin.h"

static char bytes_key; /* its address: the metatable */

/* [-0, +1, m] Pushes the metatable, nil before bytes_open. */
static inline void bytes_push_meta(lua_State *L)
{
    lua_pushlightuserdata(L, &bytes_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}

/* [-0, +0, m] To be called when the module is opened. */
static inline void bytes_open(lua_State *L)
{
    lua_pushlightuserdata(L, &bytes_key);
    lua_newtable(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* [-0, +0, m] Whether the value at index i is one: its [1] is the text. */
static inline bool bytes_test(lua_State *L, int i)
{
    bool same;

    if (!lua_istable(L, i) || !lua_getmetatable(L, i))
        return false;
    bytes_push_meta(L);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!same)
        return false;
    lua_rawgeti(L, i, 1);
    same = lua_type(L, -1) == LUA_TSTRING;
    lua_pop(L, 1);
    return same;
}

/* A function of Lua: text -> what is sent as bytes */
static inline int bytes_new(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    bytes_push_meta(L);
    lua_setmetatable(L, -2);
    return 1;
}

#endif
