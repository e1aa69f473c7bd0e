/* Calls from C into Lua. Each runs in a coroutine of its own (pooled), belongs
 * to a context, and is the only place where errors of Lua end: a failure is
 * logged with its traceback and answered by the context. The only file that
 * calls lua_pcall and lua_resume. */
#ifndef SCRIPT_CALL_H
#define SCRIPT_CALL_H

#include <stdbool.h>

#include "base/list.h"
#include "script/compat.h"

struct context;

enum {
    CALL_KEPT = 64,   /* idle coroutines that are kept for reuse */
    CALL_NESTED = 160 /* of calls, and of coroutines, within each other */
};

struct call {
    struct list link, every;
    lua_State *co;
    int slot;                /* anchors co */
    struct context *context; /* NULL: the process's */
    /* Ended: status is LUA_OK, with nresults on top of co's stack, or that of
     * the failure, which has been logged and answered. May be NULL. */
    void (*on_end)(struct call *call, int status, int nresults);
    void *arg;    /* the caller's, for on_end */
    bool waiting; /* suspended by the runtime */
    bool ready;   /* in the queue to be resumed */
    bool quiet;   /* on_end reports failures itself */
    bool raise;   /* a failure before the first wait is the starter's */
    int nargs;    /* for the queued resume */
    double cpu; /* seconds of CPU for each run, less than all have; 0: as all */
};

/* Makes what is needed before the first call. [-0, +0, e] on L. */
void call_open(lua_State *L);

/* [-0, +1, m] Pushes the traceback of a call of context that waits, or nil. */
void call_push_waiting(lua_State *L, const struct context *context);

/* Frees the pool. */
void call_close(void);

/* A call in context (may be NULL), with an empty stack at call->co: push a
 * function and its arguments there with functions that cannot raise (slot_push,
 * lua_pushlightuserdata, lua_pushinteger, lua_xmove), then call_start. NULL
 * where there is no memory, after a log line. */
struct call *call_new(struct context *context);

/* [-(nargs + 1), +0, v] on L: a call in context whose stack has the function
 * below nargs arguments, ready for call_start. Raises where there is no memory:
 * use it from Lua. */
struct call *call_with(lua_State *L, struct context *context, int nargs);

/* [-(nargs + 1), +0, -] on call->co: runs it until it ends or waits. Returns
 * LUA_OK, LUA_YIELD where it waits now, or the failure. The call is no longer
 * the caller's. */
int call_start(struct call *call, int nargs);

/* Resumes a waiting call with the nargs values on top of its co: at once where
 * no Lua runs, else at the end of this turn. */
void call_resume(struct call *call, int nargs);

/* [-(nargs + 1), +0, -] on L: has the function below nargs arguments called in
 * context at the end of this turn. May raise m: call it from Lua. */
void call_later(lua_State *L, struct context *context, int nargs);

/* [-0, +1, m] Pushes where in the script L is ("app.lua:7: ", or ""), from that
 * level on: as luaL_where, but our own modules are passed over. */
void call_where(lua_State *L, int level);

/* [-0, +0, v] Raises where L cannot be suspended now, with the name of what is
 * in the way and what to do instead. */
void call_check_yieldable(lua_State *L);

/* Whether L can be suspended now. */
bool call_yieldable(lua_State *L);

/* Whether L is a coroutine of the script's own, so that a yield has somebody to
 * go to. */
bool call_nested(lua_State *L);

/* [-?, +?, -] Suspends the running call; use as `return call_yield(L)`. */
int call_yield(lua_State *L);

/* [-0, +n, -] on script_thread(): calls fn with the light userdata arg, where
 * errors are caught. Returns LUA_OK with its results pushed (*n), or the error
 * code with the message pushed. */
int call_protected(lua_CFunction fn, void *arg, int *n);

/* For the wrappers of coroutine.resume and wrap: co is about to run, within L;
 * and control is back. False where too many are within each other already. */
bool call_enter(lua_State *L, lua_State *co);
void call_leave(lua_State *L);

/* Calls that are suspended or queued, for tests. */
unsigned call_count(void);

/* Idle coroutines that are kept, with a slot each, for tests. */
unsigned call_idle(void);

#endif
