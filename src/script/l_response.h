/* What the events of an exchange mean to writers that wait in res:write. Used
 * by l_exchange; and what answers from C need, l_static. */
#ifndef SCRIPT_L_RESPONSE_H
#define SCRIPT_L_RESPONSE_H

#include "script/compat.h"

struct context;

/* [-0, +0, v] Has the res at index i say what was sent for it from C: its
 * status, headersSent, writableEnded. */
void l_response_refresh(lua_State *L, int i);

/* [-?, +?, v] What a function returns that waits until the client of c has
 * caught up, behind others where there are some: true, or nil and why not.
 * codec->want_drain was called. */
int l_response_wait_drain(lua_State *L, struct context *c);

/* [-0, +0, -] The client of c has caught up, or, where why is not NULL, is
 * gone: lets the writers beyond the first go on (the first is c->drain). */
void l_response_drained(struct context *c, const char *why);

#endif
