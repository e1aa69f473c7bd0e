/* Both live in the registry under addresses of this file, made when they are
 * first asked for, so that C code may decode before any script has required
 * the module. null is a full userdata: a light one could not have its own
 * __tostring, since all light userdata share one metatable. */
#include "script/json_value.h"

static const char null_key = 'n', mark_key = 'm';

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

void json_value_push_null(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newuserdatauv(L, 1, 0);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "json.null");
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, null_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

void json_value_push_mark(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_key);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "json.array");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_key);
}

bool json_value_is_null(lua_State *L, int i)
{
    bool same;

    if (lua_type(L, i) == LUA_TLIGHTUSERDATA)
        return lua_touserdata(L, i) == NULL;
    if (lua_type(L, i) != LUA_TUSERDATA)
        return false;
    i = lua_absindex(L, i);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
    same = lua_rawequal(L, i, -1);
    lua_pop(L, 1);
    return same;
}

bool json_value_is_marked(lua_State *L, int i)
{
    bool same;

    if (!lua_getmetatable(L, i))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_key);
    same = lua_rawequal(L, -2, -1);
    lua_pop(L, 2);
    return same;
}
