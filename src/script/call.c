/* A coroutine for each call, because any of them may wait: a finished one is
 * reused at once, so that a handler that never waits costs no allocation. What
 * waits is resumed by the loop, never from within other Lua, which keeps the C
 * stack flat; what becomes ready while Lua runs is queued for the end of the
 * turn. A coroutine that failed is thrown away, as its stack is unknown. What
 * is pushed outside of protection was made when the process started: a literal
 * or a C function may be an allocation. */
#include "script/call.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "script/budget.h"
#include "script/context.h"
#include "script/failure.h"
#include "script/script.h"
#include "script/slot.h"

/* What a coroutine yields when the runtime suspends it. */
static const char suspension = 's';

static struct list all, kept, ready;
static unsigned kept_count, waiting_count;
static struct defer ready_turn;

/* Slots of what was made beforehand. */
static int trampoline_slot, stray_slot, deep_slot;
static int passable_slot; /* {[function] = true}: C that can be suspended */

/* The script's own coroutines that are within each other now: who resumed, and
 * whether all of them could be suspended. */
static struct nested {
    lua_State *outer;
    bool yieldable;
} * nest;
static int depth, nest_size;
static int base; /* depth where the running call began */
static bool nest_yieldable = true;

static int steps; /* of calls that are within each other now */

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
            lua_pop(script_thread(), n);
            log_error("no memory for a Lua coroutine");
            mem_free(call);
            return NULL;
        }
        list_push(&all, &call->every);
    }
    call->context = context;
    context_hold(context);
    call->on_end = NULL;
    call->waiting = call->ready = call->quiet = call->raise = false;
    call->cpu = 0;
    return call;
}

static void discard(struct call *call)
{
    slot_give(script_thread(), call->slot);
    list_remove(&call->every);
    mem_free(call);
}

static void recycle(struct call *call)
{
    if (kept_count >= CALL_KEPT) {
        discard(call);
        return;
    }
    lua_settop(call->co, 0);
    if (!COMPAT_LUAJIT && lua_gethook(call->co) != NULL) /* the script's */
        lua_sethook(call->co, NULL, 0, 0);
    list_push(&kept, &call->link);
    kept_count++;
}

/* ---- running */

static bool is_suspension(struct call *call, int nresults)
{
    return nresults == 1 && lua_touserdata(call->co, -1) == &suspension;
}

/* Closes the to-be-closed variables of a coroutine that failed, which is Lua of
 * the script's once more. */
static void close_coroutine(struct call *call)
{
    struct script *s = &script_state;
    struct call *outer_call = s->current;
    lua_State *outer = s->running;

    if (outer == NULL)
        budget_enter();
    s->current = call;
    s->running = call->co;
    compat_resetthread(call->co);
    s->current = outer_call;
    s->running = outer;
    budget_leave(call->co, outer);
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
        close_coroutine(call);
        discard(call);
    }
    context_drop(script_thread(), context);
}

static int failed(struct call *call, int status, bool first)
{
    lua_State *outer = script_state.running;

    call->raise = call->raise && first && outer != NULL;
    failure_capture(call);
    if (call->raise && lua_checkstack(outer, 1)) {
        lua_xmove(call->co, outer, 1); /* there is no room for a copy */
    } else {
        if (!call->quiet)
            failure_report(call);
        call->raise = false;
    }
    ended(call, status, 0);
    return status;
}

/* Resumes the call's coroutine; how it was is as before afterwards. */
static int resume(struct call *call, int nargs, int *n)
{
    struct script *s = &script_state;
    struct call *outer_call = s->current;
    lua_State *outer = s->running;
    bool outer_yieldable = nest_yieldable;
    int outer_depth = depth, outer_base = base, status;

    nest_yieldable = true;
    base = depth;
    call->waiting = false;
    s->current = call;
    s->running = call->co;
    steps++;
    status = compat_resume(call->co, outer, nargs, n);
    steps--;
    s->current = outer_call;
    s->running = outer;
    base = outer_base;
    depth = outer_depth;
    nest_yieldable = outer_yieldable;
    return status;
}

static int step(struct call *call, int nargs, bool first)
{
    lua_State *outer = script_state.running;
    bool raised = call->raise;
    int status, n;

    if (outer == NULL)
        budget_enter();
    if (call->cpu > 0)
        budget_shorten(call->cpu);
    if (steps < CALL_NESTED) {
        status = resume(call, nargs, &n);
    } else { /* Lua 5.4 says so itself, LuaJIT would use up the C stack */
        slot_push(call->co, deep_slot);
        status = LUA_ERRRUN;
    }
    if (call->cpu > 0)
        budget_relax();
    if (status == LUA_YIELD && is_suspension(call, n)) {
        budget_leave(call->co, outer);
        lua_pop(call->co, 1);
        call->waiting = true;
        waiting_count++;
    } else if (status == LUA_OK) {
        budget_leave(call->co, outer);
        ended(call, LUA_OK, n);
    } else {
        if (status == LUA_YIELD) { /* the budget's end, or a stray one */
            slot_push(call->co, stray_slot);
            status = LUA_ERRRUN;
        }
        lua_sethook(call->co, NULL, 0, 0);
        failed(call, status, first && raised);
        budget_leave(script_state.L, outer);
    }
    if (outer == NULL)
        script_check_memory();
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

struct call *call_with(lua_State *L, struct context *context, int nargs)
{
    struct call *call = call_new(context);

    if (call == NULL)
        luaL_error(L, "not enough memory");
    if (!lua_checkstack(call->co, nargs + 1)) {
        recycle(call);
        context_drop(L, context);
        luaL_error(L, "too many arguments, or not enough memory");
    }
    lua_xmove(L, call->co, nargs + 1);
    return call;
}

void call_later(lua_State *L, struct context *context, int nargs)
{
    struct call *call = call_with(L, context, nargs);

    call->ready = true;
    call->nargs = nargs;
    list_push(&ready, &call->link);
    loop_defer(script_state.loop, &ready_turn);
}

struct protected
{
    lua_CFunction fn;
    void *arg;
};

/* The function of every protected call. */
static int trampoline(lua_State *L)
{
    struct protected *p = lua_touserdata(L, 1);

    lua_pushlightuserdata(L, p->arg);
    lua_replace(L, 1);
    return p->fn(L);
}

/* A tostring of the script's may run in it: it has a budget like any other. */
int call_protected(lua_CFunction fn, void *arg, int *n)
{
    struct script *s = &script_state;
    struct protected p = {fn, arg};
    lua_State *outer = s->running, *L = script_thread();
    int top = lua_gettop(L), status;

    *n = 0;
    if (!lua_checkstack(L, 4))
        return LUA_ERRMEM;
    if (outer == NULL)
        budget_enter();
    s->running = L;
    if (trampoline_slot != 0)
        slot_push(L, trampoline_slot);
    else
        lua_pushcfunction(L, trampoline); /* the first call of all */
    lua_pushlightuserdata(L, &p);
    status = lua_pcall(L, 1, LUA_MULTRET, 0);
    s->running = outer;
    budget_leave(L, outer);
    *n = lua_gettop(L) - top;
    return status;
}

/* ---- suspending */

bool call_yieldable(lua_State *L)
{
    return script_state.current != NULL && nest_yieldable &&
           L == script_state.running && lua_isyieldable(L);
}

bool call_nested(lua_State *L)
{
    return depth > base || L != script_state.running;
}

/* [-0, +0, -] Whether the function at level ar is C that stops a suspension. */
static bool is_obstacle(lua_State *L, lua_Debug *ar)
{
    bool passable;

    lua_getinfo(L, "nSf", ar);
    slot_push(L, passable_slot);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    passable = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return *ar->what == 'C' && !passable;
}

/* [-0, +0, -] The name of the C function that L is in from that level on, or
 * NULL. */
static const char *obstacle(lua_State *L, int level, lua_Debug *ar)
{
    if (!lua_checkstack(L, 4))
        return NULL;
    for (; lua_getstack(L, level, ar); level++)
        if (is_obstacle(L, ar))
            return ar->name != NULL ? ar->name : "a C function";
    return NULL;
}

/* The name of what is in the way of suspending L, below the one that asks. */
static const char *find_obstacle(lua_State *L, lua_Debug *ar)
{
    const char *name = obstacle(L, 1, ar);
    int i;

    if (L == script_state.running)
        for (i = depth; name == NULL && i > base; i--)
            name = obstacle(nest[i - 1].outer, 0, ar);
    return name != NULL ? name : "a coroutine that a C function runs";
}

void call_where(lua_State *L, int level)
{
    lua_Debug ar;

    for (; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && strncmp(ar.source, "@luaserve:", 10) != 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

void call_check_yieldable(lua_State *L)
{
    lua_Debug ar;

    if (call_yieldable(L))
        return;
    call_where(L, 1);
    lua_pushfstring(L,
                    "cannot wait inside '%s', which Lua cannot suspend: wait "
                    "before it, or pass a callback as the last argument",
                    find_obstacle(L, &ar));
    lua_concat(L, 2);
    lua_error(L);
}

int call_yield(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&suspension);
    return lua_yield(L, 1);
}

bool call_enter(lua_State *L, lua_State *co)
{
    if (depth - base >= CALL_NESTED)
        return false;
    if (depth == nest_size) {
        nest_size = nest_size ? nest_size * 2 : 16;
        nest = mem_realloc(nest, (size_t)nest_size * sizeof *nest);
    }
    nest[depth].outer = L;
    nest[depth++].yieldable = nest_yieldable;
    nest_yieldable = nest_yieldable && lua_isyieldable(L);
    script_state.running = co;
    return true;
}

void call_leave(lua_State *L)
{
    lua_State *inner = script_state.running;

    if (budget_ended(inner))
        compat_resetthread(inner); /* nobody goes on with it */
    script_state.running = nest[--depth].outer;
    nest_yieldable = nest[depth].yieldable;
    budget_leave(inner, L);
}

void call_push_waiting(lua_State *L, const struct context *context)
{
    struct list *at;

    for (at = all.next; at != &all; at = at->next) {
        const struct call *call = LIST_ITEM(at, struct call, every);

        if (call->context == context && call->waiting) {
            luaL_traceback(L, call->co, "waiting", 0);
            return;
        }
    }
    lua_pushnil(L);
}

unsigned call_count(void)
{
    const struct list *at;
    unsigned n = waiting_count;

    for (at = ready.next; at != &ready; at = at->next)
        n++;
    return n;
}

unsigned call_idle(void)
{
    return kept_count;
}

/* [-0, +0, m] Notes that the library function can be suspended. */
static void add_passable(lua_State *L, const char *library, const char *name)
{
    lua_getglobal(L, library);
    lua_getfield(L, -1, name);
    lua_pushboolean(L, 1);
    lua_rawset(L, -4);
    lua_pop(L, 1);
}

/* [-0, +0, m] A slot that holds text. */
static int text_slot(lua_State *L, const char *text)
{
    int slot;

    lua_pushstring(L, text);
    slot = slot_of(L, -1);
    lua_pop(L, 1);
    return slot;
}

void call_open(lua_State *L)
{
    list_init(&all);
    list_init(&kept);
    list_init(&ready);
    loop_defer_init(&ready_turn, run_ready);
    lua_pushcfunction(L, trampoline);
    trampoline_slot = slot_of(L, -1);
    stray_slot = text_slot(L, "attempt to yield from outside a coroutine");
    deep_slot = text_slot(L, "C stack overflow");
    lua_newtable(L);
    add_passable(L, "_G", "pcall");
    add_passable(L, "_G", "xpcall");
    add_passable(L, "coroutine", "resume");
    passable_slot = slot_of(L, -1);
    lua_pop(L, 2);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&suspension);
    lua_setfield(L, LUA_REGISTRYINDEX, "luaserve.suspension");
}

void call_close(void)
{
    struct list *at;

    while ((at = list_shift(&all)) != NULL)
        mem_free(LIST_ITEM(at, struct call, every));
    list_init(&kept);
    kept_count = 0;
    mem_free(nest);
    nest = NULL;
    nest_size = 0;
}
