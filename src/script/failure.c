/* The value that a coroutine failed with is the script's: a string, an error of
 * ours, or a table whose __tostring fails in its turn. So it is looked at in a
 * protected call, and, where that fails too, once more without asking it. */
#include "script/failure.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "script/budget.h"
#include "script/call.h"
#include "script/context.h"
#include "script/l_record.h"
#include "script/script.h"
#include "script/slot.h"

static int hook;
static int capture;          /* the function of failure_set_capture */
static const char *reported; /* the traceback, for the hook */

struct failure {
    struct call *call;
    int status;  /* for the client */
    bool spent;  /* the budget is; describing it forgets that */
    bool plain;  /* nothing of the script's is asked any more */
    char *text;  /* for the client; NULL: the standard phrase */
    char *trace; /* the message and the traceback */
};

const char *failure_text(lua_State *L, int i)
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

#define KEPT "luaserve.kept" /* {error value, traceback} in the registry */

/* [-0, +1, m] Pushes the traceback kept for the error value at i, else nil. */
static void push_kept(lua_State *L, int i)
{
    bool same;

    i = lua_absindex(L, i);
    lua_getfield(L, LUA_REGISTRYINDEX, KEPT);
    if (!lua_istable(L, -1))
        return;
    lua_rawgeti(L, -1, 1);
    same = lua_rawequal(L, -1, i);
    lua_pop(L, 1);
    if (same)
        lua_rawgeti(L, -1, 2);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

int failure_keep(lua_State *L)
{
    lua_settop(L, 1);
    push_kept(L, 1);
    if (lua_isnil(L, -1)) {
        lua_createtable(L, 2, 0);
        lua_pushvalue(L, 1);
        lua_rawseti(L, -2, 1);
        luaL_traceback(L, L, NULL, 1);
        lua_rawseti(L, -2, 2);
        lua_setfield(L, LUA_REGISTRYINDEX, KEPT);
    }
    lua_settop(L, 1);
    if (capture != 0) {
        slot_push(L, capture);
        lua_pushvalue(L, 1);
        lua_call(L, 1, 0);
    }
    return 1;
}

void failure_forget(lua_State *L)
{
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, KEPT);
}

void failure_push_trace(lua_State *L, lua_State *co, int i, const char *text)
{
    if (budget_trace() != NULL) {
        lua_pushstring(L, budget_trace());
        return;
    }
    push_kept(L, i);
    if (lua_isstring(L, -1))
        lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, -1));
    else
        luaL_traceback(L, co, text, 0);
    lua_remove(L, -2);
    failure_forget(L);
}

/* ---- what developers are shown */

/* The error value is on top of the failed coroutine's stack, and stays. */
static int run_capture(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    struct context *context = call->context;

    lua_xmove(call->co, L, 1);
    lua_pushvalue(L, -1);
    lua_xmove(L, call->co, 1);
    slot_push(L, capture);
    lua_insert(L, -2);
    slot_push(L, call->slot);
    if (context != NULL && context->slot != 0)
        slot_push(L, context->slot);
    else
        lua_pushnil(L);
    lua_pushboolean(L, call->raise || call->quiet);
    lua_pushboolean(L, budget_spent());
    lua_call(L, 5, 0);
    return 0;
}

void failure_capture(struct call *call)
{
    int n;

    if (capture == 0)
        return;
    if (call_protected(run_capture, call, &n) != LUA_OK)
        lua_pop(script_thread(), n);
}

void failure_set_capture(lua_State *L)
{
    slot_give(L, capture);
    capture = slot_of(L, -1);
    lua_pop(L, 1);
}

/* ---- answering */

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

/* Whether the error value at i says something that a client may be told. */
static bool has_message(lua_State *L, int i)
{
    bool has;

    if (!lua_istable(L, i))
        return false;
    lua_pushliteral(L, "message");
    has = compat_rawget_type(L, i) == LUA_TSTRING;
    lua_pop(L, 1);
    return has;
}

/* Whether somebody will look at the traceback of the error value at i. To make
 * one costs five times as much as to answer, and what is an answer to clients
 * (401, 404, 429) comes as often as they like: it is not made for the log
 * that leaves it out, nor for handlers where the error brings its own. */
static bool is_traced(lua_State *L, int i, int status)
{
    bool own;

    if (status >= 500 || log_takes(LOG_LEVEL_DEBUG))
        return true;
    if (hook == 0)
        return false;
    lua_pushliteral(L, "stack");
    own = compat_rawget_type(L, i) == LUA_TSTRING;
    lua_pop(L, 1);
    return !own;
}

/* The error value is on top of the failed coroutine's stack. */
static int describe(lua_State *L)
{
    struct failure *f = lua_touserdata(L, 1);
    const char *text;

    lua_xmove(f->call->co, L, 1);
    lua_pushvalue(L, -1);
    lua_xmove(L, f->call->co, 1);
    f->status = status_of(L, 2);
    if (f->plain)
        text = lua_pushfstring(L,
                               "(error object is a %s value that cannot be "
                               "turned into a string)",
                               luaL_typename(L, 2));
    else
        text = failure_text(L, 2);
    mem_free(f->text);
    f->text = has_message(L, 2) ? mem_strdup(text) : NULL;
    if (is_traced(L, 2, f->status)) {
        failure_push_trace(L, f->call->co, 2, text);
    } else {
        failure_forget(L);
        lua_pushstring(L, text);
    }
    f->trace = mem_strdup(lua_tostring(L, -1));
    l_record_failed(L, f->call->context, f->status, -1);
    return 0;
}

/* Twice: the first time it may be the script's __tostring that fails. */
static void describe_failure(struct failure *f)
{
    int n;

    if (call_protected(describe, f, &n) == LUA_OK)
        return;
    lua_pop(script_thread(), n);
    f->plain = true;
    if (call_protected(describe, f, &n) != LUA_OK)
        lua_pop(script_thread(), n);
}

void failure_set_hook(lua_State *L)
{
    slot_give(L, hook);
    hook = slot_of(L, -1);
    lua_pop(L, 1);
}

void failure_push_reported(lua_State *L)
{
    if (reported != NULL)
        lua_pushstring(L, reported);
    else
        lua_pushnil(L);
}

/* Has the hook answer, in a call of its own. False where it cannot: there is
 * none, it was asked before, or it is too late. */
static bool ask_hook(struct failure *f, const char *trace)
{
    struct context *context = f->call->context;
    struct exchange *x = context != NULL ? context->x : NULL;
    struct call *call;

    if (hook == 0 || x == NULL || x->codec == NULL || x->head_sent ||
        x->ended_out || context->failed || context->slot == 0 || f->plain ||
        f->spent || f->trace == NULL)
        return false;
    context->failed = true;
    call = call_new(context);
    if (call == NULL)
        return false;
    slot_push(call->co, hook);
    lua_xmove(f->call->co, call->co, 1);
    slot_push(call->co, context->slot);
    reported = trace;
    call_start(call, 2);
    reported = NULL;
    return true;
}

void failure_report(struct call *call)
{
    struct context *context = call->context;
    struct exchange *x = context != NULL ? context->x : NULL;
    struct failure f = {.call = call, .status = 500, .spent = budget_spent()};
    const char *trace;

    describe_failure(&f);
    trace = f.trace ? f.trace : "not enough memory";
    if (f.status < 500)
        log_debug("%s", trace);
    else if (x != NULL)
        log_error("%.*s %.*s: %s", (int)x->method.n, x->method.p,
                  (int)x->target.n, x->target.p, trace);
    else
        log_error("%s", trace);
    if (!ask_hook(&f, trace))
        context_fail(context, f.status, str_of(f.text ? f.text : ""));
    mem_free(f.text);
    mem_free(f.trace);
}
