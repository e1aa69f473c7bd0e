/* The budget of CPU time for one uninterrupted run of Lua: a handler that loops
 * for ever is ended in a way that it cannot catch. Used by call.c, and by
 * failure.c for the words. */
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

/* The run that begins has no more than that many seconds, for which a timer of
 * its own is set; until budget_relax. */
void budget_shorten(double seconds);
void budget_relax(void);

/* Ends what runs, if anything does, as if its budget were spent. Safe in a
 * handler of signals. */
void budget_interrupt(void);

/* The budget of this run is spent, and script_state.running is being ended. */
bool budget_spent(void);

/* Whether control came back from L because it has been ended: it is suspended
 * in the middle of its work, and must not be resumed. Until budget_leave. */
bool budget_ended(const lua_State *L);

/* What the log is to say of it, with a traceback; NULL where nothing has been
 * ended. Until budget_leave. */
const char *budget_trace(void);

/* [-0, +0, -] Control came back from L: takes the hook off it. outer: what goes
 * on running, and is ended in its turn if the budget is spent; NULL when the
 * runtime has control, and the budget is over. */
void budget_leave(lua_State *L, lua_State *outer);

#endif
