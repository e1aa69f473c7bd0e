/* Lua, whichever it is: the headers of Lua 5.4 or LuaJIT 2.1, and for LuaJIT
 * the few functions of the 5.4 interface that our code uses, under their 5.4
 * names. The only file that includes lua.h; everything in script/ and bind/
 * includes this one. */
#ifndef SCRIPT_COMPAT_H
#define SCRIPT_COMPAT_H

#include <lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <stddef.h>
#include <stdint.h>

#if LUA_VERSION_NUM < 503

#include <math.h>

#define COMPAT_LUAJIT 1
#define COMPAT_LUA_NAME "LuaJIT 2.1"

#define lua_rawlen(L, i) lua_objlen(L, i)
#define lua_pushglobaltable(L) lua_pushvalue(L, LUA_GLOBALSINDEX)

/* One user value: the environment table of a userdata, which must therefore be
 * set to a table or left alone. */
#define lua_newuserdatauv(L, size, nuv) lua_newuserdata(L, size)

/* [-0, +0, -] i made independent of later pushes. */
static inline int lua_absindex(lua_State *L, int i)
{
    return i > 0 || i <= LUA_REGISTRYINDEX ? i : lua_gettop(L) + i + 1;
}

/* [-0, +1, -] t[key] for the address key, raw. */
static inline int lua_rawgetp(lua_State *L, int t, const void *key)
{
    t = lua_absindex(L, t);
    lua_pushlightuserdata(L, (void *)(uintptr_t)key);
    lua_rawget(L, t);
    return lua_type(L, -1);
}

/* [-1, +0, m] t[key] = top for the address key, raw. */
static inline void lua_rawsetp(lua_State *L, int t, const void *key)
{
    t = lua_absindex(L, t);
    lua_pushlightuserdata(L, (void *)(uintptr_t)key);
    lua_insert(L, -2);
    lua_rawset(L, t);
}

/* [-0, +0, -] A number that has no fraction counts as an integer: LuaJIT has
 * doubles alone, exact to 2^53. */
static inline int lua_isinteger(lua_State *L, int i)
{
    lua_Number n;

    if (lua_type(L, i) != LUA_TNUMBER)
        return 0;
    n = lua_tonumber(L, i);
    return n >= -9007199254740992.0 && n <= 9007199254740992.0 && n == floor(n);
}

/* [-0, +1, -] The user value of the userdata at i, nil where none was set: a
 * fresh userdata has the globals as its environment. Returns the type. */
static inline int compat_getuservalue(lua_State *L, int i)
{
    lua_getfenv(L, i);
    if (lua_rawequal(L, -1, LUA_GLOBALSINDEX)) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return lua_type(L, -1);
}

/* [-1, +0, -] Sets the user value, a table, of the userdata at i. */
#define compat_setuservalue(L, i) lua_setfenv(L, i)

/* Lua 5.4 closes the to-be-closed variables of a thread that failed; LuaJIT has
 * none. */
#define compat_resetthread(co) ((void)(co))

/* The gets of Lua that in 5.4 return the type of what they push. */
#define compat_rawgeti_type(L, t, n) (lua_rawgeti(L, t, n), lua_type(L, -1))
#define compat_getfield_type(L, t, k) (lua_getfield(L, t, k), lua_type(L, -1))
#define compat_rawget_type(L, t) (lua_rawget(L, t), lua_type(L, -1))

#define compat_resume(co, from, nargs, nres)                                   \
    ((void)(from), compat_resume_jit(co, nargs, nres))

static inline int compat_resume_jit(lua_State *co, int nargs, int *nres)
{
    int status = lua_resume(co, nargs);

    *nres = lua_gettop(co);
    return status;
}

#else

#define COMPAT_LUAJIT 0
#define COMPAT_LUA_NAME LUA_VERSION

#define compat_getuservalue(L, i) lua_getiuservalue(L, i, 1)
#define compat_setuservalue(L, i) lua_setiuservalue(L, i, 1)
#define compat_resetthread(co) ((void)lua_resetthread(co))
#define compat_rawgeti_type(L, t, n) lua_rawgeti(L, t, n)
#define compat_getfield_type(L, t, k) lua_getfield(L, t, k)
#define compat_rawget_type(L, t) lua_rawget(L, t)
#define compat_resume(co, from, nargs, nres) lua_resume(co, from, nargs, nres)

#endif

#endif
