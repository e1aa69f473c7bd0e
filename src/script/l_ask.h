/* One request of HTTP/1.1 over a connected socket, and the status of its
 * answer: how a primary finds out whether a new worker answers. Used by
 * l_cluster.c. */
#ifndef SCRIPT_L_ASK_H
#define SCRIPT_L_ASK_H

#include "script/compat.h"

/* [-0, +0, m] Adds pair and ask to the table on top. */
void l_ask_open(lua_State *L);

#endif
