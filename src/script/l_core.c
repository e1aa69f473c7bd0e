/* What the Lua side of the runtime itself needs: contexts, coroutines, waiting
 * for each other, modules. Scripts do not see this module. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "http/exchange.h"
#include "http/mime.h"
#include "http/status.h"
#include "script/call.h"
#include "script/context.h"
#include "script/failure.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"
#include "version.h"

#define WAITER "luaserve.waiter"

static struct context *current_context(void)
{
    return script_state.current ? script_state.current->context : NULL;
}

/* The context at index i: its userdata, or nil for the process's. */
static struct context *context_at(lua_State *L, int i)
{
    return lua_isnoneornil(L, i) ? NULL : context_test(L, i);
}

/* ---- contexts */

/* context() -> the userdata of the current context, nil for the process's */
static int context(lua_State *L)
{
    context_push(L, current_context());
    return 1;
}

/* contextOf(object) -> that of a req or res, else the current one */
static int context_of(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_istable(L, 1)) {
        lua_rawgeti(L, 1, 1);
        if (context_test(L, 2) != NULL)
            return 1;
    }
    context_push(L, current_context());
    return 1;
}

/* data() -> the table of luaserve.context() */
static int data(lua_State *L)
{
    context_push_data(L, current_context());
    return 1;
}

/* gone(context) -> "aborted" or "timeout", where nobody waits any more for the
 * answer of its request, which had not ended; else nil */
static int gone(lua_State *L)
{
    struct context *c = context_at(L, 1);

    if (c == NULL || c->gone == NULL)
        return 0;
    lua_pushstring(L, c->gone);
    return 1;
}

/* alone() -> whether the running coroutine is all that is left of its request:
 * nothing it started can still answer, and nobody reads the body */
static int is_alone(lua_State *L)
{
    struct context *c = current_context();

    lua_pushboolean(L, c != NULL && c->live <= 1 && c->reading == CONTEXT_IDLE);
    return 1;
}

/* ---- coroutines */

/* Calls the function at 2 with what follows it, in the context at 1. Where
 * raise, an error before the first wait is raised here. */
static int run(lua_State *L, bool raise)
{
    struct context *c = context_at(L, 1);
    int nargs = lua_gettop(L) - 2;
    struct call *call;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (c != NULL && c->slot == 0)
        c = NULL; /* its request is over; what comes is only logged */
    call = call_with(L, c, nargs);
    raise = raise && script_state.running != NULL; /* not in a finalizer */
    call->raise = raise;
    if (call_start(call, nargs) > LUA_YIELD && raise) {
        if (script_thread() != L) /* L is none that the runtime knows of */
            lua_xmove(script_thread(), L, 1);
        return lua_error(L);
    }
    return 0;
}

/* spawn(context, fn, ...): runs fn now, until it ends or waits; an error is the
 * context's. */
static int spawn(lua_State *L)
{
    return run(L, false);
}

/* try(context, fn, ...): the same, but an error before the first wait is
 * raised. */
static int try_run(lua_State *L)
{
    return run(L, true);
}

/* defer(fn, ...): runs fn in the current context at the end of this turn. */
static int defer(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    call_later(L, current_context(), lua_gettop(L) - 1);
    return 0;
}

/* deferIn(context, fn, ...) */
static int defer_in(lua_State *L)
{
    struct context *c = context_at(L, 1);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    call_later(L, c != NULL && c->slot != 0 ? c : NULL, lua_gettop(L) - 2);
    return 0;
}

/* enter(co): co is about to be resumed by the running coroutine; false where
 * that would be one too deep */
static int enter(lua_State *L)
{
    lua_pushboolean(L, call_enter(L, lua_tothread(L, 1)));
    return 1;
}

static int leave(lua_State *L)
{
    call_leave(L);
    return 0;
}

/* yield(...): coroutine.yield; outside of a coroutine of the script's it
 * raises, as it does in the main one of plain Lua. */
static int yield(lua_State *L)
{
    if (!call_nested(L))
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

/* canYield([co]): coroutine.isyieldable */
static int can_yield(lua_State *L)
{
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;

    lua_pushboolean(L, lua_isyieldable(co) && (co != L || call_nested(L)));
    return 1;
}

/* canWait() -> whether the caller could be suspended now */
static int can_wait(lua_State *L)
{
    lua_pushboolean(L, call_yieldable(L));
    return 1;
}

/* running() -> what stands for the running call, the same until it ends */
static int running(lua_State *L)
{
    lua_pushlightuserdata(L, script_state.current);
    return 1;
}

/* ---- waiting for another coroutine */

/* waiter() -> an object on which one coroutine waits for another */
static int waiter(lua_State *L)
{
    struct wait *w = lua_newuserdatauv(L, sizeof *w, 0);

    memset(w, 0, sizeof *w);
    luaL_getmetatable(L, WAITER);
    lua_setmetatable(L, -2);
    return 1;
}

/* waiter:wait() -> the value of wake */
static int waiter_wait(lua_State *L)
{
    struct wait *w = luaL_checkudata(L, 1, WAITER);

    if (wait_active(w))
        return luaL_error(L, "somebody waits already");
    wait_begin(L, w, 0);
    return wait_return(L, w);
}

static int push_value(lua_State *L, void *arg)
{
    lua_pushnil(L);
    slot_push(L, *(int *)arg);
    return 2;
}

/* waiter:wake([value]) -> whether somebody waited */
static int waiter_wake(lua_State *L)
{
    struct wait *w = luaL_checkudata(L, 1, WAITER);
    int slot;

    lua_settop(L, 2);
    lua_pushboolean(L, wait_active(w));
    slot = slot_of(L, 2);
    wait_settle(w, push_value, &slot);
    slot_give(L, slot);
    return 1;
}

/* draining() -> whether the process has begun to stop */
static int draining(lua_State *L)
{
    lua_pushboolean(L, script_state.draining);
    return 1;
}

/* ---- modules, logs, tables of names */

/* module(name) -> the loader of a built-in module, or nil */
static int module(lua_State *L)
{
    return modules_find(L, luaL_checkstring(L, 1));
}

/* modules() -> the names of all */
static int modules(lua_State *L)
{
    size_t i;

    lua_newtable(L);
    for (i = 0; modules_name(i) != NULL; i++) {
        lua_pushstring(L, modules_name(i));
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* texts(prefix) -> the files that the program carries, by their paths behind
 * prefix */
static int texts(lua_State *L)
{
    modules_push_texts(L, luaL_checkstring(L, 1));
    return 1;
}

/* log(level, text) */
static int log_text(lua_State *L)
{
    int level = log_level_of(luaL_checkstring(L, 1));
    const char *text = luaL_checkstring(L, 2);

    switch (level) {
    case LOG_LEVEL_ERROR:
        log_error("%s", text);
        break;
    case LOG_LEVEL_WARN:
        log_warn("%s", text);
        break;
    case LOG_LEVEL_DEBUG:
        log_debug("%s", text);
        break;
    default:
        log_info("%s", text);
    }
    return 0;
}

/* exit(code): ends the loop with that code after this turn. */
static int exit_with(lua_State *L)
{
    script_exit((int)luaL_checkinteger(L, 1));
    return 0;
}

/* error(message, code, syscall, path) -> an error value */
static int new_error(lua_State *L)
{
    wait_push_error(L, luaL_checkstring(L, 1), luaL_optstring(L, 2, NULL),
                    luaL_optstring(L, 3, NULL), luaL_optstring(L, 4, NULL));
    return 1;
}

/* raise(message): raises it at the line of the script that has called us,
 * through however many of our own functions. */
static int raise_here(lua_State *L)
{
    luaL_checkstring(L, 1);
    call_where(L, 1);
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    return lua_error(L);
}

/* where() -> "app.lua:7: ", where in the script the caller was called, or "" */
static int where(lua_State *L)
{
    call_where(L, 1);
    return 1;
}

/* errno(number, syscall, path) -> an error value worded as Node does */
static int new_errno(lua_State *L)
{
    wait_push_errno(L, (int)luaL_checkinteger(L, 1), luaL_checkstring(L, 2),
                    luaL_optstring(L, 3, NULL));
    return 1;
}

/* statuses() -> {[200] = "OK", ...} */
static int statuses(lua_State *L)
{
    int code = 0;

    lua_newtable(L);
    while ((code = status_next(code)) > 0) {
        struct str reason = status_reason(code);

        lua_pushlstring(L, reason.p, reason.n);
        lua_rawseti(L, -2, code);
    }
    return 1;
}

/* type(file name) -> media type */
static int media_type(lua_State *L)
{
    struct str name, type;

    name.p = luaL_checklstring(L, 1, &name.n);
    type = mime_type(name);
    lua_pushlstring(L, type.p, type.n);
    return 1;
}

/* counts() -> what is alive, for the specs: exchanges, contexts, slots (but for
 * those of idle coroutines), calls */
static int counts(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, exchange_count());
    lua_setfield(L, -2, "exchanges");
    lua_pushinteger(L, context_count());
    lua_setfield(L, -2, "contexts");
    lua_pushinteger(L, slot_count() - (int)call_idle());
    lua_setfield(L, -2, "slots");
    lua_pushinteger(L, call_count());
    lua_setfield(L, -2, "calls");
    return 1;
}

/* forgetTrace(): see keepTrace */
static int forget_trace(lua_State *L)
{
    failure_forget(L);
    return 0;
}

/* onCapture(fn): see failure_set_capture */
static int on_capture(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    failure_set_capture(L);
    return 0;
}

/* [-0, +0, m] Sets what tells the parts of a cluster apart in the table on top:
 * worker (its number), workers (how many to start, or "auto"), watching
 * (--watch), drainTimeout and cpuBudget (seconds) and options, as they were
 * given on the command line. */
static void set_cluster(lua_State *L)
{
    int i;

    if (script_state.worker > 0) {
        lua_pushinteger(L, script_state.worker);
        lua_setfield(L, -2, "worker");
    } else if (script_state.workers > 0) {
        if (script_state.workers == SCRIPT_WORKERS_AUTO)
            lua_pushliteral(L, "auto");
        else
            lua_pushinteger(L, (lua_Integer)script_state.workers);
        lua_setfield(L, -2, "workers");
    }
    if (script_state.watch) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "watching");
    }
    lua_pushstring(L, script_state.record);
    lua_setfield(L, -2, "record");
    lua_pushinteger(L, (lua_Integer)script_state.record_max);
    lua_setfield(L, -2, "recordMax");
    lua_pushnumber(L, script_state.drain_timeout);
    lua_setfield(L, -2, "drainTimeout");
    lua_pushnumber(L, script_state.cpu_budget);
    lua_setfield(L, -2, "cpuBudget");
    lua_createtable(L, script_state.nargs, 0);
    for (i = 0; i < script_state.nargs; i++) {
        lua_pushstring(L, script_state.args[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "options");
}

int l_core_open(lua_State *L)
{
    static const luaL_Reg waiters[] = {
        {"wait", waiter_wait}, {"wake", waiter_wake}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"context", context},
                                         {"contextOf", context_of},
                                         {"data", data},
                                         {"gone", gone},
                                         {"spawn", spawn},
                                         {"try", try_run},
                                         {"defer", defer},
                                         {"deferIn", defer_in},
                                         {"enter", enter},
                                         {"leave", leave},
                                         {"canWait", can_wait},
                                         {"running", running},
                                         {"draining", draining},
                                         {"waiter", waiter},
                                         {"module", module},
                                         {"modules", modules},
                                         {"texts", texts},
                                         {"log", log_text},
                                         {"exit", exit_with},
                                         {"error", new_error},
                                         {"raise", raise_here},
                                         {"errno", new_errno},
                                         {"statuses", statuses},
                                         {"type", media_type},
                                         {"counts", counts},
                                         {"yield", yield},
                                         {"canYield", can_yield},
                                         {"keepTrace", failure_keep},
                                         {"forgetTrace", forget_trace},
                                         {"onCapture", on_capture},
                                         {"alone", is_alone},
                                         {"where", where},
                                         {NULL, NULL}};

    luaL_newmetatable(L, WAITER);
    luaL_newlib(L, waiters);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushliteral(L, "luaserve.core");
    if (compat_rawget_type(L, LUA_REGISTRYINDEX) == LUA_TTABLE)
        return 1; /* required again */
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushliteral(L, VERSION);
    lua_setfield(L, -2, "version");
    set_cluster(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "luaserve.suspension");
    lua_setfield(L, -2, "suspension");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "luaserve.core");
    return 1;
}
