/* The limits of a server under the names that scripts know: bytes and counts,
 * and milliseconds as in Node. Used by l_server. */
#ifndef SCRIPT_L_LIMITS_H
#define SCRIPT_L_LIMITS_H

#include <stdbool.h>

#include "http/limits.h"
#include "script/compat.h"

/* [-0, +1, m] Pushes {name = true, ...}: all that there are. */
void l_limits_names(lua_State *L);

/* [-0, +1, -] Pushes the value of that name, nil where there is none. */
void l_limits_push(lua_State *L, const struct limits *limits, const char *name);

/* [-0, +(0|1), m] Sets the limit of that name to the value at index i. Returns
 * false where it can be none, and has pushed a message that says so. */
bool l_limits_set(lua_State *L, struct limits *limits, const char *name, int i);

#endif
