/* Commands as Redis reads them: a list of strings. Used by bind/redis.c. */
#ifndef BIND_REDIS_COMMAND_H
#define BIND_REDIS_COMMAND_H

#include "bind/queue.h"

enum { REDIS_COMMAND_DEPTH = 16 /* tables in tables, in the arguments */ };

/* [-0, +0, v] The arguments that the value at index i makes: one, or those of a
 * table; raises where it is something else. depth is 0. */
int redis_command_count(lua_State *L, int i, int depth);

/* [-0, +0, -] Appends the command whose n arguments, counted before, are the
 * values from index from to index to. Needs some stack. */
void redis_command_append(lua_State *L, const struct plugin *plugin,
                          struct queue *q, int from, int to, int n);

#endif
