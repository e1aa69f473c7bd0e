/* Lua that somebody has typed, as a call of its own whose end is told to a
 * function, however it ends: with values, with an error, or because its CPU
 * time was spent or Ctrl-C was pressed. Used by lua/luaserve/repl. */
#include <stdint.h>

#include "base/log.h"
#include "script/call.h"
#include "script/failure.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"

enum { VALUES_MAX = 200 };

struct outcome {
    struct call *call;
    int slot, status, nresults;
    bool plain; /* the error value is not asked for its text */
};

/* [-0, +n, m] The function, whether it went well, and the values; or the text
 * of the error with its traceback, and the error value. */
static int push_outcome(lua_State *L)
{
    struct outcome *o = lua_touserdata(L, 1);
    lua_State *co = o->call->co;
    int n = o->nresults < VALUES_MAX ? o->nresults : VALUES_MAX;
    const char *text = "the error cannot be turned into text";

    lua_settop(L, 0);
    luaL_checkstack(L, n + 8, NULL);
    slot_push(L, o->slot);
    lua_pushboolean(L, o->status == LUA_OK);
    if (o->status == LUA_OK) {
        lua_pop(co, o->nresults - n);
        lua_xmove(co, L, n);
        return n + 2;
    }
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (!o->plain)
        text = failure_text(L, 3);
    failure_push_trace(L, co, 3, text);
    lua_replace(L, 4);
    lua_settop(L, 4);
    lua_insert(L, 3);
    return 4;
}

static void on_end(struct call *call, int status, int nresults)
{
    struct outcome o = {call, (int)(intptr_t)call->arg, status, nresults,
                        false};
    lua_State *L = script_thread();
    struct call *told = NULL;
    int n;

    if (call_protected(push_outcome, &o, &n) != LUA_OK) {
        lua_pop(L, n);
        o.status = LUA_ERRRUN; /* too many values, or a __tostring that fails */
        o.plain = true;
        if (call_protected(push_outcome, &o, &n) != LUA_OK) {
            lua_pop(L, n);
            n = 0;
        }
    }
    if (n > 0)
        told = call_new(NULL);
    if (told != NULL) {
        lua_xmove(L, told->co, n);
        call_resume(told, n - 1);
    } else {
        log_error("the end of a task is lost: out of memory");
        lua_pop(L, n);
    }
    slot_give(L, o.slot);
}

/* start(fn, done, cpu): calls fn at the end of this turn, in nobody's request,
 * and then done(true, values...) or done(false, text, error value). cpu:
 * seconds of CPU for each uninterrupted run, besides --cpu-budget; 0: any. */
static int start(lua_State *L)
{
    double cpu = luaL_optnumber(L, 3, 0);
    struct call *call;
    int slot;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    slot = slot_of(L, 2);
    lua_settop(L, 1);
    call = call_with(L, NULL, 0);
    call->quiet = true;
    call->on_end = on_end;
    call->arg = (void *)(intptr_t)slot;
    call->cpu = cpu;
    call_resume(call, 0);
    return 0;
}

int l_task_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"start", start}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
