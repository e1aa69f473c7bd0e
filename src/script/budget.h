/* The budget of CPU time for one uninterrupted run of Lua: a handler that loops
 * for ever is ended by an error that it cannot catch. Used by call.c alone. */
#ifndef SCRIPT_BUDGET_H
#define SCRIPT_BUDGET_H

#include <stdbool.h>

#include "script/compat.h"

/* Starts watching the calling thread, the loop's; seconds of CPU time, 0 for
 * none. Returns 0, or -1 with errno. */
int budget_open(double seconds);

/* Stops watching. */
void budget_close(void);

/* Lua begins to run with a full budget. */
void budget_enter(void);

/* The budget of this run is spent, and script_state.running is being ended. */
bool budget_spent(void);

/* [-0, +0, -] Control came back from L: takes the hook off it. outer: what goes
 * on running, and is ended in its turn if the budget is spent; NULL when the
 * runtime has control, and the budget is over. */
void budget_leave(lua_State *L, lua_State *outer);

#endif
