/* Sockets that a primary has bound for its workers, and ends of connections, as
 * they are passed between processes: a userdata around a descriptor. Used by
 * l_cluster.c, which passes them, and l_server.c, which serves them. */
#ifndef SCRIPT_L_BOUND_H
#define SCRIPT_L_BOUND_H

#include "script/compat.h"

/* [-0, +1, m] Pushes a userdata that owns no descriptor yet: set it with
 * l_bound_set, which cannot fail. */
void l_bound_new(lua_State *L);

/* [-0, +0, -] Gives fd to the userdata at index i. */
void l_bound_set(lua_State *L, int i, int fd);

/* [-0, +0, v] The descriptor of the userdata at index i, still its own; -1
 * where it was closed or taken. */
int l_bound_fd(lua_State *L, int i);

/* [-0, +0, v] The same, and the caller's from now on. */
int l_bound_take(lua_State *L, int i);

/* [-0, +0, m] Adds bind, probe, pair and the methods to the table on top. */
void l_bound_open(lua_State *L);

#endif
