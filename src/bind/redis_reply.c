/* In a list nil would be a hole; there it is what redis_reply_set_null was
 * given.
 */
#include "bind/redis_reply.h"

#include <stdio.h>
#include <string.h>

static int null_key; /* its address: what stands for nil in lists */

void redis_reply_push_error(lua_State *L, const struct plugin *plugin,
                            const redisReply *r)
{
    char code[32];
    size_t n = strcspn(r->str, " ");

    snprintf(code, sizeof code, "%.*s", (int)n, r->str);
    plugin->push_error(L, r->str, code);
}

static void push_list(lua_State *L, const struct plugin *plugin,
                      const redisReply *r)
{
    size_t i;

    luaL_checkstack(L, 8, "a reply is too deep");
    lua_createtable(L, (int)r->elements, 0);
    for (i = 0; i < r->elements; i++) {
        redis_reply_push(L, plugin, r->element[i], true);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

void redis_reply_push(lua_State *L, const struct plugin *plugin,
                      const redisReply *r, bool inner)
{
    switch (r->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        lua_pushlstring(L, r->str, (size_t)r->len);
        break;
    case REDIS_REPLY_INTEGER:
        lua_pushinteger(L, (lua_Integer)r->integer);
        break;
    case REDIS_REPLY_ARRAY:
        push_list(L, plugin, r);
        break;
    case REDIS_REPLY_ERROR:
        redis_reply_push_error(L, plugin, r);
        break;
    default:
        if (inner) {
            lua_pushlightuserdata(L, &null_key);
            lua_rawget(L, LUA_REGISTRYINDEX);
        } else {
            lua_pushnil(L);
        }
    }
}

void redis_reply_set_null(lua_State *L)
{
    lua_pushlightuserdata(L, &null_key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}
