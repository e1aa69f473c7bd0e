/* Timers: one libev timer each, in a userdata that is anchored while it runs
 * and holds its function. A timer belongs to the context it was made in, and an
 * error in its function is that context's. Node's rules about delays and
 * arguments are in lua/node/timers.lua. */
#include <math.h>
#include <string.h>

#include "script/call.h"
#include "script/context.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

#define TIMER "luaserve.timer"

struct l_timer {
    struct ev_timer timer;
    struct context *context;
    int self;     /* its slot; 0 while it does not run */
    double delay; /* seconds */
    bool repeats;
    bool closed;      /* for good */
    bool unref;       /* is not to keep the loop running */
    bool lowered;     /* the loop's count was lowered for it */
    struct wait wait; /* of sleep */
};

static struct ev_loop *loop(void)
{
    return script_state.loop->ev;
}

/* Has the loop count t among what keeps it running, or not. */
static void lower(struct l_timer *t, bool lowered)
{
    if (t->lowered == lowered)
        return;
    t->lowered = lowered;
    if (lowered)
        ev_unref(loop());
    else
        ev_ref(loop());
}

static void start(struct l_timer *t, double seconds)
{
    ev_now_update(loop()); /* Lua may have run long since the turn began */
    ev_timer_set(&t->timer, seconds, 0);
    ev_timer_start(loop(), &t->timer);
    lower(t, t->unref);
}

/* Also where it has expired and only waits to be called: libev has stopped it
 * by then, but ev_timer_stop takes the call back. */
static void stop(struct l_timer *t)
{
    lower(t, false);
    ev_timer_stop(loop(), &t->timer);
}

/* [-0, +0, m] Has the timer at index i run, in the current context. */
static void activate(lua_State *L, struct l_timer *t, int i)
{
    struct call *call = script_state.current;

    t->self = slot_of(L, i);
    t->context = call != NULL ? call->context : NULL;
    context_hold(t->context);
    start(t, t->delay);
}

/* Lets go of everything; Lua may still hold t. */
static void clear(lua_State *L, struct l_timer *t)
{
    struct context *context = t->context;
    int self = t->self;

    stop(t);
    t->context = NULL;
    t->self = 0;
    slot_give(L, self);
    context_drop(L, context);
}

/* [-0, +1, -] Pushes the function of t, which runs. */
static void push_function(lua_State *L, const struct l_timer *t)
{
    slot_push(L, t->self);
    compat_getuservalue(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static void on_timer(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct l_timer *t = (struct l_timer *)(void *)timer;
    struct call *call = call_new(t->context);

    (void)ev;
    (void)events;
    lower(t, false); /* libev has stopped it */
    if (call != NULL)
        push_function(call->co, t);
    if (t->repeats)
        start(t, t->delay);
    else
        clear(script_state.L, t);
    if (call != NULL)
        call_start(call, 0);
}

/* [-0, +1, m] start(fn, seconds, repeat) -> timer */
static int new (lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 2);
    struct l_timer *t;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    t = lua_newuserdatauv(L, sizeof *t, 1);
    memset(t, 0, sizeof *t);
    luaL_getmetatable(L, TIMER);
    lua_setmetatable(L, -2);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    compat_setuservalue(L, -2);
    t->delay = (double)seconds;
    t->repeats = lua_toboolean(L, 3);
    ev_init(&t->timer, on_timer);
    activate(L, t, -1);
    return 1;
}

static struct l_timer *check(lua_State *L)
{
    return luaL_checkudata(L, 1, TIMER);
}

static int close_timer(lua_State *L)
{
    struct l_timer *t = check(L);

    if (t->self != 0)
        clear(L, t);
    t->closed = true;
    lua_settop(L, 1);
    return 1;
}

/* clear(anything): closes it where it is a timer. */
static int clear_timer(lua_State *L)
{
    if (luaL_testudata(L, 1, TIMER) != NULL)
        close_timer(L);
    return 0;
}

/* timer:refresh() -> timer: its delay begins anew, also where it has run. */
static int refresh(lua_State *L)
{
    struct l_timer *t = check(L);

    lua_settop(L, 1);
    if (t->self != 0) {
        stop(t);
        start(t, t->delay);
    } else if (!t->closed) {
        activate(L, t, 1);
    }
    return 1;
}

static int set_unref(lua_State *L, bool unref)
{
    struct l_timer *t = check(L);

    t->unref = unref;
    if (t->self != 0)
        lower(t, unref);
    lua_settop(L, 1);
    return 1;
}

static int ref(lua_State *L)
{
    return set_unref(L, false);
}

static int unref(lua_State *L)
{
    return set_unref(L, true);
}

static int has_ref(lua_State *L)
{
    struct l_timer *t = check(L);

    lua_pushboolean(L, !t->unref);
    return 1;
}

static int is_active(lua_State *L)
{
    struct l_timer *t = check(L);

    lua_pushboolean(L, t->self != 0);
    return 1;
}

/* ---- sleep */

static int push_slept(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

static void on_slept(struct ev_loop *ev, struct ev_timer *timer, int events)
{
    struct l_timer *t = (struct l_timer *)(void *)timer;
    struct wait wait = t->wait;
    int self = t->self;

    (void)ev;
    (void)events;
    memset(&t->wait, 0, sizeof t->wait);
    slot_give(script_state.L, self);
    wait_settle(&wait, push_slept, NULL);
}

/* sleep(seconds[, cb]) -> true, after that time */
static int sleep_for(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    struct l_timer *t;
    struct wait wait;

    lua_settop(L, 2);
    t = lua_newuserdatauv(L, sizeof *t, 0);
    memset(t, 0, sizeof *t);
    wait_begin(L, &wait, 2);
    t->wait = wait;
    t->self = slot_of(L, 3);
    ev_init(&t->timer, on_slept);
    start(t, seconds > 0 ? (double)seconds : 0);
    return wait_return(L, &t->wait);
}

int l_timer_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"close", close_timer},
                                       {"refresh", refresh},
                                       {"ref", ref},
                                       {"unref", unref},
                                       {"hasRef", has_ref},
                                       {"isActive", is_active},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"start", new},
                                         {"clear", clear_timer},
                                         {"sleep", sleep_for},
                                         {NULL, NULL}};

    luaL_newmetatable(L, TIMER);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
