/* A table of the store as Lua has it, for the other files of the border. Used
 * by l_rate and l_session. */
#ifndef SCRIPT_L_STORE_H
#define SCRIPT_L_STORE_H

#include "proc/store.h"
#include "script/compat.h"

/* [-0, +0, v] The table at i, which is the process's until it ends. */
struct store *l_store_check(lua_State *L, int i);

/* [-0, +3, m] Pushes nil, why the last call of the store failed, and its code;
 * returns 3. */
int l_store_fail(lua_State *L);

#endif
