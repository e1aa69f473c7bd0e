/* A failure is noted in the request's table, where it is raised: its traceback
 * and who has asked, which the connection would not tell later. Whether it is
 * kept is decided when all is over, since an error handler may have answered
 * with something else. */
#include "script/l_record.h"

#include "base/clock.h"
#include "script/budget.h"
#include "script/call.h"
#include "script/context.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"

static int function; /* of record.lua; 0: nothing is recorded */

/* [-0, +1, m] */
static void push_req(lua_State *L, struct context *c)
{
    context_push(L, c);
    compat_getuservalue(L, -1);
    lua_remove(L, -2);
}

/* [-0, +0, e] Keeps the text at index i, a string or nil, in c's req. */
static void note(lua_State *L, struct context *c, int i)
{
    push_req(L, c);
    lua_pushliteral(L, "_failed");
    lua_pushvalue(L, i);
    lua_rawset(L, -3);
    lua_getfield(L, -1, "ip"); /* which is kept */
    lua_pop(L, 2);
}

void l_record_failed(lua_State *L, struct context *c, int status, int i)
{
    if (function == 0 || c == NULL || c->slot == 0 || c->x == NULL ||
        c->x->ended_out || (status != 500 && !budget_spent()))
        return;
    c->raised = true;
    note(L, c, lua_absindex(L, i));
}

static int note_late(lua_State *L)
{
    struct context *c = lua_touserdata(L, 1);

    call_push_waiting(L, c);
    note(L, c, lua_gettop(L));
    return 0;
}

void l_record_late(struct context *c)
{
    int n;

    if (function == 0 || c->slot == 0)
        return;
    if (call_protected(note_late, c, &n) != LUA_OK)
        lua_pop(script_thread(), n);
}

static bool is_kept(const struct context *c, enum closed why)
{
    const struct exchange *x = c->x;

    if (x->raw || c->slot == 0)
        return false;
    if (!x->head_sent || (c->raised && why != CLOSED_DONE))
        return c->raised;
    return x->status == 500 ||
           (x->status == 503 && (x->timed_out || c->late || c->raised));
}

void l_record_closed(struct context *c, enum closed why)
{
    struct call *call;

    if (function == 0 || !is_kept(c, why) || (call = call_new(c)) == NULL)
        return;
    slot_push(call->co, function);
    lua_pushlightuserdata(call->co, c);
    lua_pushboolean(call->co, why == CLOSED_DONE || c->x->timed_out);
    call_resume(call, 2);
}

/* ---- for lua/luaserve/record.lua and command/replay.lua */

/* on(fn): fn(c, answered) is called for each request that is to be kept; it
 * cannot wait. Without fn, none is. */
static int on(lua_State *L)
{
    slot_give(L, function);
    function = 0;
    if (lua_isfunction(L, 1))
        function = slot_of(L, 1);
    return 0;
}

/* request(c) -> req, status, seconds, the bytes of its body (-1: not known),
 * those that were read */
static int request(lua_State *L)
{
    struct context *c = lua_touserdata(L, 1);
    const struct exchange *x = c->x;

    push_req(L, c);
    lua_pushinteger(L, x->status);
    lua_pushnumber(L, (double)clock_monotonic() / 1e9 - x->began);
    lua_pushinteger(L, (lua_Integer)x->length);
    lua_pushinteger(L, (lua_Integer)x->received);
    return 5;
}

int l_record_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"on", on}, {"request", request}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
