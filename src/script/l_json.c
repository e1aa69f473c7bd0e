/* The module "json" of scripts, on json_encode.c and json_decode.c.
 *
 * Text is built in one buffer that is kept from call to call, in a userdata, so
 * that it is freed with the Lua state whatever is raised. LuaJIT may collect
 * garbage before it copies the finished text, and a finalizer may then encode
 * something itself: it finds the buffer busy and goes on with a new one. After
 * an error in that moment the busy one is left to the collector in the same
 * way. */
#include <stdbool.h>

#include "script/json_decode.h"
#include "script/json_encode.h"
#include "script/json_value.h"
#include "script/modules.h"

enum { KEPT = 256 * 1024 }; /* bytes of a buffer that is kept */

struct scratch {
    struct bytes text;
    bool is_busy;
};

static int scratch_gc(lua_State *L)
{
    struct scratch *scratch = lua_touserdata(L, 1);

    bytes_clear(&scratch->text);
    return 0;
}

/* [-0, +1, m] Pushes an empty scratch. */
static struct scratch *new_scratch(lua_State *L)
{
    struct scratch *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);

    bytes_init(&scratch->text);
    scratch->is_busy = false;
    if (luaL_newmetatable(L, "json.scratch")) {
        lua_pushcfunction(L, scratch_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return scratch;
}

/* [-0, +1, m] Pushes the scratch kept in the first upvalue, which the stack
 * holds from here on even if it is replaced there. */
static struct scratch *take_scratch(lua_State *L)
{
    struct scratch *scratch;

    lua_pushvalue(L, lua_upvalueindex(1));
    scratch = lua_touserdata(L, -1);
    if (!scratch->is_busy)
        return scratch;
    lua_pop(L, 1);
    scratch = new_scratch(L);
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(1));
    return scratch;
}

static int to_flags(lua_State *L, int i)
{
    int flags = 0;

    if (lua_isnoneornil(L, i))
        return 0;
    luaL_checktype(L, i, LUA_TTABLE);
    lua_getfield(L, i, "sort");
    if (lua_toboolean(L, -1))
        flags |= JSON_ENCODE_SORT;
    lua_pop(L, 1);
    return flags;
}

/* json.encode(value [, {sort = true}]) -> text */
static int encode(lua_State *L)
{
    struct scratch *scratch;
    int flags, status;

    luaL_checkany(L, 1);
    flags = to_flags(L, 2);
    scratch = take_scratch(L);
    scratch->text.n = 0;
    status = json_encode(L, 1, &scratch->text, flags);
    scratch->is_busy = true;
    lua_pushlstring(L, scratch->text.p, scratch->text.n);
    scratch->is_busy = false;
    if (scratch->text.cap > KEPT)
        bytes_clear(&scratch->text);
    if (status != 0)
        return luaL_error(L, "%s", lua_tostring(L, -1));
    return 1;
}

/* json.decode(text) -> value. The message carries no position of the script: it
 * is about the text, and is what a client may be told. */
static int decode(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);

    if (json_decode(L, text, n) != 0)
        return lua_error(L);
    return 1;
}

/* json.array([t]) -> t, or a new table, marked as an array: empty it is [] */
static int array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        luaL_argcheck(L, json_value_is_marked(L, 1), 1,
                      "the table has a metatable already");
        lua_settop(L, 1);
    }
    json_value_push_mark(L);
    lua_setmetatable(L, 1);
    return 1;
}

/* json.isArray(value) -> whether encode writes it as an array */
static int is_array(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, lua_istable(L, 1) && json_encode_is_array(L, 1));
    return 1;
}

int l_json_open(lua_State *L)
{
    lua_createtable(L, 0, 5);
    new_scratch(L);
    lua_pushcclosure(L, encode, 1);
    lua_setfield(L, -2, "encode");
    lua_pushcfunction(L, decode);
    lua_setfield(L, -2, "decode");
    lua_pushcfunction(L, array);
    lua_setfield(L, -2, "array");
    lua_pushcfunction(L, is_array);
    lua_setfield(L, -2, "isArray");
    json_value_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
