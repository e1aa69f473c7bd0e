/* A coroutine for each call, because any of them may wait: a finished one is
 * reused at once, so that a handler that never waits costs no allocation. What
 * waits is resumed by the loop, never from within other Lua, which keeps the C
 * stack flat; what becomes ready while Lua runs is queued for the end of the
 * turn. A coroutine that failed is thrown away, as its stack is unknown. */
#include "script/call.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "script/budget.h"
#include "script/context.h"
#include "script/script.h"
#include "script/slot.h"

/* What a coroutine yields when the runtime suspends it. */
static const char suspension = 's';

static struct list kept, ready;
static unsigned kept_count, waiting_count;
static struct defer ready_turn;

/* The script's own coroutines that are within each other now: who resumed, and
 * whether all of them could be suspended. */
static struct nested {
    lua_State *outer;
    bool yieldable;
} * nest;
static int depth, nest_size;
static bool nest_yieldable = true;

/* ---- the pool */

static int make_thread(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);

    call->co = lua_newthread(L);
    call->slot = slot_of(L, -1);
    return 0;
}

struct call *call_new(struct context *context)
{
    struct list *at = list_shift(&kept);
    struct call *call;
    int n;

    if (at != NULL) {
        call = LIST_ITEM(at, struct call, link);
        kept_count--;
    } else {
        call = mem_zalloc(sizeof *call);
        list_init(&call->link);
        if (call_protected(make_thread, call, &n) != LUA_OK) {
            lua_pop(script_thread(), 1);
            log_error("no memory for a Lua coroutine");
            mem_free(call);
            return NULL;
        }
    }
    call->context = context;
    context_hold(context);
    call->on_end = NULL;
    call->waiting = call->ready = call->quiet = call->raise = false;
    return call;
}

static void discard(struct call *call)
{
    slot_give(script_thread(), call->slot);
    mem_free(call);
}

static void recycle(struct call *call)
{
    if (kept_count >= CALL_KEPT) {
        discard(call);
        return;
    }
    lua_settop(call->co, 0);
    list_push(&kept, &call->link);
    kept_count++;
}

/* ---- failures */

struct failure {
    struct call *call;
    int status;  /* for the client */
    char *text;  /* the message */
    char *trace; /* the message and the traceback */
};

const char *call_text(lua_State *L, int i)
{
    i = lua_absindex(L, i);
    if (lua_istable(L, i)) {
        lua_pushliteral(L, "message");
        if (compat_rawget_type(L, i) == LUA_TSTRING)
            return lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    if (luaL_callmeta(L, i, "__tostring") && lua_isstring(L, -1))
        return lua_tostring(L, -1);
    if (lua_isstring(L, i)) {
        lua_pushvalue(L, i);
        return lua_tostring(L, -1);
    }
    if (lua_isnil(L, i))
        return lua_pushfstring(L, "nil");
    return lua_pushfstring(L, "(error object is a %s value)",
                           luaL_typename(L, i));
}

/* The status that an error value asks for, 500 where it asks for none. */
static int status_of(lua_State *L, int i)
{
    int status = 500;

    if (budget_spent())
        return 503;
    if (!lua_istable(L, i))
        return status;
    lua_pushliteral(L, "status");
    lua_rawget(L, i);
    if (lua_isinteger(L, -1))
        status = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return status >= 400 && status <= 599 ? status : 500;
}

/* The error value is on top of the failed coroutine's stack. */
static int describe(lua_State *L)
{
    struct failure *f = lua_touserdata(L, 1);
    const char *text;

    lua_pushvalue(f->call->co, -1);
    lua_xmove(f->call->co, L, 1);
    f->status = status_of(L, 2);
    text = call_text(L, 2);
    f->text = mem_strdup(text);
    luaL_traceback(L, f->call->co, text, 0);
    f->trace = mem_strdup(lua_tostring(L, -1));
    return 0;
}

static void report(struct call *call)
{
    struct context *context = call->context;
    struct exchange *x = context != NULL ? context->x : NULL;
    struct failure f = {.call = call, .status = 500};
    const char *trace;
    int n;

    if (call_protected(describe, &f, &n) != LUA_OK)
        lua_pop(script_thread(), 1);
    trace = f.trace ? f.trace : f.text ? f.text : "not enough memory";
    if (f.status < 500)
        log_debug("%s", trace);
    else if (x != NULL)
        log_error("%.*s %.*s: %s", (int)x->method.n, x->method.p,
                  (int)x->target.n, x->target.p, trace);
    else
        log_error("%s", trace);
    context_fail(context, f.status, str_of(f.text ? f.text : ""));
    mem_free(f.text);
    mem_free(f.trace);
}

/* ---- running */

static bool is_suspension(struct call *call, int nresults)
{
    return nresults == 1 && lua_touserdata(call->co, -1) == &suspension;
}

/* Drops the context last: its exchange may go with it. */
static void ended(struct call *call, int status, int nresults)
{
    struct context *context = call->context;

    if (call->on_end != NULL)
        call->on_end(call, status, nresults);
    if (status == LUA_OK) {
        recycle(call);
    } else {
        compat_resetthread(script_thread(), call->co);
        discard(call);
    }
    context_drop(script_thread(), context);
}

static int failed(struct call *call, int status, bool first)
{
    lua_State *outer = script_state.running;

    if (call->raise && first && outer != NULL && lua_checkstack(outer, 1)) {
        lua_pushvalue(call->co, -1);
        lua_xmove(call->co, outer, 1);
    } else {
        if (!call->quiet)
            report(call);
        call->raise = false;
    }
    ended(call, status, 0);
    return status;
}

static int step(struct call *call, int nargs, bool first)
{
    struct script *s = &script_state;
    struct call *outer_call = s->current;
    lua_State *outer = s->running;
    bool outer_yieldable = nest_yieldable, raised = call->raise;
    int outer_depth = depth, status, n;

    if (outer == NULL)
        budget_enter();
    nest_yieldable = true;
    call->waiting = false;
    s->current = call;
    s->running = call->co;
    status = compat_resume(call->co, outer, nargs, &n);
    s->current = outer_call;
    s->running = outer;
    depth = outer_depth;
    nest_yieldable = outer_yieldable;
    if (status == LUA_YIELD && is_suspension(call, n)) {
        budget_leave(call->co, outer);
        lua_pop(call->co, 1);
        call->waiting = true;
        waiting_count++;
    } else if (status == LUA_OK) {
        budget_leave(call->co, outer);
        ended(call, LUA_OK, n);
    } else {
        if (status == LUA_YIELD) {
            lua_pushliteral(call->co, "attempt to yield from outside a "
                                      "coroutine");
            status = LUA_ERRRUN;
        }
        lua_sethook(call->co, NULL, 0, 0);
        failed(call, status, first && raised);
        budget_leave(s->L, outer);
    }
    return status;
}

int call_start(struct call *call, int nargs)
{
    return step(call, nargs, true);
}

void call_resume(struct call *call, int nargs)
{
    if (call->waiting)
        waiting_count--;
    if (script_state.running == NULL) {
        step(call, nargs, false);
        return;
    }
    call->ready = true;
    call->nargs = nargs;
    list_push(&ready, &call->link);
    loop_defer(script_state.loop, &ready_turn);
}

/* What becomes ready meanwhile waits for the next turn. */
static void run_ready(struct defer *d)
{
    struct list now, *at;

    (void)d;
    if (list_empty(&ready))
        return;
    now = ready;
    now.next->prev = now.prev->next = &now;
    list_init(&ready);
    while ((at = list_shift(&now)) != NULL) {
        struct call *call = LIST_ITEM(at, struct call, link);

        call->ready = false;
        step(call, call->nargs, false);
    }
}

void call_later(lua_State *L, struct context *context, int nargs)
{
    struct call *call = call_new(context);

    if (call == NULL || !lua_checkstack(call->co, nargs + 1))
        luaL_error(L, "not enough memory");
    lua_xmove(L, call->co, nargs + 1);
    call->ready = true;
    call->nargs = nargs;
    list_push(&ready, &call->link);
    loop_defer(script_state.loop, &ready_turn);
}

int call_protected(lua_CFunction fn, void *arg, int *n)
{
    lua_State *L = script_thread();
    int top = lua_gettop(L), status;

    *n = 0;
    if (!lua_checkstack(L, 4))
        return LUA_ERRMEM;
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    status = lua_pcall(L, 1, LUA_MULTRET, 0);
    *n = lua_gettop(L) - top;
    return status;
}

/* ---- suspending */

bool call_yieldable(lua_State *L)
{
    return script_state.current != NULL && nest_yieldable && lua_isyieldable(L);
}

/* The name of the C function that L is in, below the one that asks. */
static const char *obstacle(lua_State *L, lua_Debug *ar)
{
    int level;

    for (level = 1; lua_getstack(L, level, ar); level++) {
        lua_getinfo(L, "nS", ar);
        if (*ar->what == 'C')
            return ar->name != NULL ? ar->name : "a C function";
    }
    return "a coroutine that a C function runs";
}

void call_check_yieldable(lua_State *L)
{
    lua_Debug ar;

    if (call_yieldable(L))
        return;
    luaL_error(L,
               "cannot wait inside '%s', which Lua cannot suspend: wait "
               "before it, or pass a callback as the last argument",
               obstacle(L, &ar));
}

int call_yield(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&suspension);
    return lua_yield(L, 1);
}

void call_enter(lua_State *L, lua_State *co)
{
    if (depth == nest_size) {
        nest_size = nest_size ? nest_size * 2 : 16;
        nest = mem_realloc(nest, (size_t)nest_size * sizeof *nest);
    }
    nest[depth].outer = L;
    nest[depth++].yieldable = nest_yieldable;
    nest_yieldable = nest_yieldable && lua_isyieldable(L);
    script_state.running = co;
}

void call_leave(lua_State *L)
{
    lua_State *inner = script_state.running;

    script_state.running = nest[--depth].outer;
    nest_yieldable = nest[depth].yieldable;
    budget_leave(inner, L);
}

unsigned call_count(void)
{
    const struct list *at;
    unsigned n = waiting_count;

    for (at = ready.next; at != &ready; at = at->next)
        n++;
    return n;
}

void call_open(lua_State *L)
{
    list_init(&kept);
    list_init(&ready);
    loop_defer_init(&ready_turn, run_ready);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&suspension);
    lua_setfield(L, LUA_REGISTRYINDEX, "luaserve.suspension");
}

void call_close(void)
{
    struct list *at;

    while ((at = list_shift(&kept)) != NULL)
        mem_free(LIST_ITEM(at, struct call, link));
    kept_count = 0;
    mem_free(nest);
    nest = NULL;
    nest_size = 0;
}
