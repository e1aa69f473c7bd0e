/* Requests that a script treats in a way that can only be a mistake: they are
 * noticed here, where that costs others nothing, and told by
 * lua/luaserve/misuse.lua, with the place in the script. */
#ifndef SCRIPT_L_MISUSE_H
#define SCRIPT_L_MISUSE_H

#include <stdbool.h>

#include "script/compat.h"

struct context;

/* [-0, +0, -] Nothing that could answer is left of c, which is open; early:
 * before it had to be over. That is told where nobody can reach its res: early
 * only while a developer watches, else when time or client are gone. */
void l_misuse_left(struct context *c, bool early);

/* [-0, +0, -] c was answered, and nothing of its body was read. */
void l_misuse_unread(struct context *c);

/* [-0, +0, v] res, at index 1, was answered before; method is called on it
 * once more. */
void l_misuse_again(lua_State *L, const char *method);

#endif
