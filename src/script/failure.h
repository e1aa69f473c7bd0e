/* What becomes of an error that nobody in Lua has caught: a line in the log
 * with its traceback, and the answer of the request that it belongs to. Used by
 * call.c, and by script.c for the script itself. */
#ifndef SCRIPT_FAILURE_H
#define SCRIPT_FAILURE_H

#include "script/compat.h"

struct call;

/* [-0, +1, e] Pushes the text of any error value at index i: the message of an
 * error of ours, else what tostring makes of it. */
const char *failure_text(lua_State *L, int i);

/* [-1, +1, m] For xpcall: returns the error value as it is, and keeps it with
 * the traceback of here, for the case that it is raised again where the frames
 * in which it arose are gone. Of equal values the first one stays. */
int failure_keep(lua_State *L);

/* [-0, +0, m] Forgets what failure_keep has kept. */
void failure_forget(lua_State *L);

/* [-0, +1, m] Pushes text with the traceback of co, which has failed with the
 * error value at index i of L; with the one that was kept for it, if any. */
void failure_push_trace(lua_State *L, lua_State *co, int i, const char *text);

/* [-1, +0, m] From now on the function on top of L is called as
 * fn(err, co, res, elsewhere, late) for each failure, while the frames in which
 * it arose are still there: those of the coroutine co; or, where failure_keep
 * calls it, with err alone, those of the running one, below failure_keep's. res
 * is nil where there is no request; elsewhere: somebody else reports it; late:
 * its budget is spent. It must not raise. For development: without it nothing
 * is done. */
void failure_set_capture(lua_State *L);

/* [-0, +0, -] Calls that function for call, whose error value is on top of its
 * coroutine's stack. */
void failure_capture(struct call *call);

/* [-0, +0, -] Logs the failure of call, whose error value is on top of its
 * coroutine's stack, and answers for it: with the status that the value asks
 * for, 503 where the budget is spent, else 500. Where nothing of the answer has
 * left, the function of failure_set_hook is asked first, which may take the
 * error value off that stack. */
void failure_report(struct call *call);

/* [-1, +0, m] The function on top of L is called as fn(err, res) in the context
 * of each failure, in a call of its own, once for each request; it answers. Its
 * own failure is answered as usual. */
void failure_set_hook(lua_State *L);

/* [-0, +1, m] Pushes the traceback of the failure for which the hook has just
 * been called, before it waits; else nil. */
void failure_push_reported(lua_State *L);

#endif
