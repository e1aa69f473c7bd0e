/* Two passes: the first counts and may raise, the second writes and may not. A
 * table without a list in it is written as names and values, as HSET takes
 * them.
 */
#include "bind/redis_command.h"

#include <stdio.h>

int redis_command_count(lua_State *L, int i, int depth)
{
    int n = 0;

    switch (lua_type(L, i)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        return 1;
    case LUA_TTABLE:
        break;
    default:
        return luaL_error(L,
                          "an argument of a command is a string, a number or "
                          "a table of these, not a %s",
                          luaL_typename(L, i));
    }
    if (depth == REDIS_COMMAND_DEPTH)
        return luaL_error(L, "an argument is too deep");
    luaL_checkstack(L, 4, NULL);
    if (lua_rawlen(L, i) > 0) {
        for (int k = 1; k <= (int)lua_rawlen(L, i); k++) {
            lua_rawgeti(L, i, k);
            n += redis_command_count(L, lua_gettop(L), depth + 1);
            lua_pop(L, 1);
        }
        return n;
    }
    for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
        n += redis_command_count(L, lua_gettop(L) - 1, depth + 1);
        n += redis_command_count(L, lua_gettop(L), depth + 1);
    }
    return n;
}

static void append(const struct plugin *plugin, struct queue *q, const char *p,
                   size_t n)
{
    char head[32];
    int length = snprintf(head, sizeof head, "$%zu\r\n", n);

    queue_append(plugin, q, head, (size_t)length);
    queue_append(plugin, q, p, n);
    queue_append(plugin, q, "\r\n", 2);
}

static void append_number(lua_State *L, const struct plugin *plugin,
                          struct queue *q, int i)
{
    lua_Number number = lua_tonumber(L, i);
    char text[48];
    int n;

#if LUA_VERSION_NUM >= 503
    if (lua_isinteger(L, i))
        n = snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, i));
    else
#endif
        if (number == (lua_Number)(long long)number && number > -1e15 &&
            number < 1e15)
        n = snprintf(text, sizeof text, "%lld", (long long)number);
    else
        n = snprintf(text, sizeof text, "%.17g", (double)number);
    append(plugin, q, text, (size_t)n);
}

/* [-0, +0, -] Appends what was counted. */
static void append_value(lua_State *L, const struct plugin *plugin,
                         struct queue *q, int i)
{
    size_t n;
    const char *p;

    if (lua_type(L, i) == LUA_TNUMBER) {
        append_number(L, plugin, q, i);
    } else if (lua_type(L, i) == LUA_TSTRING) {
        p = lua_tolstring(L, i, &n);
        append(plugin, q, p, n);
    } else if (lua_rawlen(L, i) > 0) {
        for (int k = 1; k <= (int)lua_rawlen(L, i); k++) {
            lua_rawgeti(L, i, k);
            append_value(L, plugin, q, lua_gettop(L));
            lua_pop(L, 1);
        }
    } else {
        for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
            append_value(L, plugin, q, lua_gettop(L) - 1);
            append_value(L, plugin, q, lua_gettop(L));
        }
    }
}

void redis_command_append(lua_State *L, const struct plugin *plugin,
                          struct queue *q, int from, int to, int n)
{
    char head[32];
    int length = snprintf(head, sizeof head, "*%d\r\n", n), i;

    queue_append(plugin, q, head, (size_t)length);
    for (i = from; i <= to; i++)
        append_value(L, plugin, q, i);
}
