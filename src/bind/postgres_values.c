/* Everything goes as text, of which the server knows the type from where it
 * stands; bytes go as they are.
 */
#include "bind/postgres_values.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bind/bytes.h"

/* [-0, +0, v] Puts a text that libpq can take at index i, the k-th value. */
static void set_text(lua_State *L, int i, int k)
{
    lua_Number number;
    char text[48];
    size_t n;

    switch (lua_type(L, i)) {
    case LUA_TNIL:
        return;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, i) ? "t" : "f");
        break;
    case LUA_TNUMBER:
        number = lua_tonumber(L, i);
        if (number == (lua_Number)(long long)number && number > -1e15 &&
            number < 1e15)
            snprintf(text, sizeof text, "%lld", (long long)number);
#if LUA_VERSION_NUM >= 503
        else if (lua_isinteger(L, i))
            snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, i));
#endif
        else
            snprintf(text, sizeof text, "%.17g", (double)number);
        lua_pushstring(L, text);
        break;
    case LUA_TSTRING:
        if (strlen(lua_tolstring(L, i, &n)) != n)
            luaL_error(L,
                       "value %d has a zero byte, which PostgreSQL's texts "
                       "cannot hold: use postgres.bytea(text)",
                       k);
        return;
    default:
        luaL_error(L, "value %d is a %s", k, luaL_typename(L, i));
    }
    lua_replace(L, i);
}

struct postgres_values postgres_values_read(lua_State *L, int from, int n)
{
    struct postgres_values p;
    size_t length;
    int i;

    luaL_checkstack(L, n + 8, "too many values");
    p.texts = lua_newuserdata(L, ((size_t)n + 1) *
                                     (sizeof *p.texts + 2 * sizeof(int)));
    p.lengths = (int *)(void *)(p.texts + n + 1);
    p.formats = p.lengths + n + 1;
    for (i = 0; i < n; i++) {
        p.formats[i] = bytes_test(L, from + i);
        if (p.formats[i]) {
            lua_rawgeti(L, from + i, 1);
            lua_replace(L, from + i);
        } else {
            set_text(L, from + i, i + 1);
        }
        p.texts[i] = lua_tolstring(L, from + i, &length);
        p.lengths[i] = p.texts[i] != NULL ? (int)length : 0;
    }
    return p;
}

void postgres_values_push_maker(lua_State *L)
{
    bytes_open(L);
    lua_pushcfunction(L, bytes_new);
}
