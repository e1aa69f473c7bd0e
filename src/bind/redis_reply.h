/* Replies of Redis as values of Lua. Used by bind/redis.c. */
#ifndef BIND_REDIS_REPLY_H
#define BIND_REDIS_REPLY_H

#include <hiredis/hiredis.h>

#include "script/plugin.h"

/* [-0, +1, m] Pushes r; an error as an error value. inner: within a list. */
void redis_reply_push(lua_State *L, const struct plugin *plugin,
                      const redisReply *r, bool inner);

/* [-0, +1, m] Pushes an error of Redis, whose first word is its code. */
void redis_reply_push_error(lua_State *L, const struct plugin *plugin,
                            const redisReply *r);

/* [-1, +0, m] Sets what stands for nil in lists. */
void redis_reply_set_null(lua_State *L);

#endif
