/* The program's side of plugin.h: what fills the table, and tells waits of
 * modules that their request is over. */
#ifndef SCRIPT_PLUGIN_API_H
#define SCRIPT_PLUGIN_API_H

#include "script/compat.h"

struct context;

/* [-0, +0, m] Puts the table where modules find it. */
void plugin_api_open(lua_State *L);

/* The request of c is over before it was answered: ends the waits of modules
 * that belong to it, with why ("aborted", "timeout"; static). */
void plugin_api_over(struct context *c, const char *why);

#endif
