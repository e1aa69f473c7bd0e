/* Exchanges on their way up: the handler through which http/ hands requests,
 * bodies and events to Lua. Used by l_server, whose servers have it. */
#ifndef SCRIPT_L_EXCHANGE_H
#define SCRIPT_L_EXCHANGE_H

#include "http/exchange.h"
#include "script/compat.h"

extern const struct handler l_exchange_handler;

/* [-0, +0, m] Adds the functions make, take, setup, req and watch to the table
 * on top. */
void l_exchange_open(lua_State *L);

#endif
