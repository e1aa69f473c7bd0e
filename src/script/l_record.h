/* What --record keeps of requests that ended in a 500 or took too long: noticed
 * here, collected and written by lua/luaserve/record.lua. Nothing is done, and
 * nothing is kept of a body, for requests that end well. */
#ifndef SCRIPT_L_RECORD_H
#define SCRIPT_L_RECORD_H

#include "http/exchange.h"
#include "script/compat.h"

struct context;

/* [-0, +0, e] A failure of c (may be NULL), to be answered with status; its
 * text, with the traceback, is at index i. */
void l_record_failed(lua_State *L, struct context *c, int status, int i);

/* [-0, +0, -] The handler timeout of c has passed. */
void l_record_late(struct context *c);

/* [-0, +0, -] The exchange of c is over; within the handler's on_close. */
void l_record_closed(struct context *c, enum closed why);

#endif
