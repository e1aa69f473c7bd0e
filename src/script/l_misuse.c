/* Whether a res that nothing waits for can still be answered is a question of
 * who has it: a list of those that wait for news, or nobody. The collector
 * knows. For one full cycle res is held by nothing but a witness, which it
 * holds in turn: where the witness's finalizer runs, nobody else had them, and
 * the finalizer puts res back with all that it is. So the cycle is expensive,
 * and misuse.lua asks for few of them; and no list can be taken for a mistake.
 */
#include "script/l_misuse.h"

#include "http/exchange.h"
#include "script/call.h"
#include "script/context.h"
#include "script/l_server.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"

#define WITNESS "luaserve.witness"

/* What misuse.lua is told of: kinds in its tell. */
enum { LEFT = 1, UNREAD = 2, PLACE = 3 };

struct witness {
    int slot; /* where res belongs; 0: it is there */
    bool called;
};

static const char witness_key = 'w';
static bool watching; /* a developer does */
static int again_function;

/* [-0, +0, -] The function for special things of c's server, or 0. */
static int special_of(const struct context *c)
{
    const struct exchange *x = c->x;
    const struct l_server *s =
        x != NULL && x->server != NULL ? x->server->app : NULL;

    return s != NULL ? s->special : 0;
}

static void tell(struct context *c, int what)
{
    int special = special_of(c);
    struct call *call;

    c->told = true;
    if (special == 0 || c->slot == 0 || (call = call_new(c)) == NULL)
        return;
    slot_push(call->co, special);
    lua_pushinteger(call->co, L_SERVER_MISUSE);
    lua_pushlightuserdata(call->co, c);
    lua_pushinteger(call->co, what);
    call_resume(call, 3);
}

void l_misuse_left(struct context *c, bool early)
{
    const struct exchange *x = c->x;

    if (c->told || x == NULL || x->ended_out || x->raw ||
        c->reading != CONTEXT_IDLE || (early && !watching) ||
        script_state.closing || script_state.draining)
        return;
    tell(c, LEFT);
}

void l_misuse_unread(struct context *c)
{
    const struct exchange *x = c->x;

    if (c->told || x->status / 100 != 2 || x->raw || c->failed ||
        c->reading != CONTEXT_IDLE)
        return;
    tell(c, UNREAD);
}

void l_misuse_again(lua_State *L, const char *method)
{
    slot_push(L, again_function);
    lua_pushvalue(L, 1);
    lua_pushstring(L, method);
    call_where(L, 1);
    lua_call(L, 3, 0);
}

/* ---- who has res */

/* The witness's finalizer: nobody but it has res. */
static int testify(lua_State *L)
{
    struct witness *w = luaL_checkudata(L, 1, WITNESS);

    if (w->slot == 0)
        return 0;
    compat_getuservalue(L, 1);
    lua_rawgeti(L, -1, 1);
    slot_set(L, w->slot);
    w->slot = 0;
    w->called = true;
    return 0;
}

/* [-0, +1, m] A witness of c's res, which has it, too. */
static struct witness *push_witness(lua_State *L, const struct context *c)
{
    struct witness *w = lua_newuserdatauv(L, sizeof *w, 1);

    w->slot = 0;
    w->called = false;
    luaL_getmetatable(L, WITNESS);
    lua_setmetatable(L, -2);
    lua_createtable(L, 1, 0);
    slot_push(L, c->slot);
    lua_pushvalue(L, -3);
    lua_rawsetp(L, -2, &witness_key);
    lua_rawseti(L, -2, 1);
    compat_setuservalue(L, -2);
    return w;
}

/* [-0, +1, m] A table that has c's res weakly. */
static void push_weak(lua_State *L, const struct context *c)
{
    lua_createtable(L, 1, 0);
    slot_push(L, c->slot);
    lua_rawseti(L, -2, 1);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

/* forgotten(c) -> whether nobody has the res of c. c is light, so that it is no
 * root of its req. */
static int forgotten(lua_State *L)
{
    const struct context *c = lua_touserdata(L, 1);
    struct witness *w;
    bool called;

    if (c->slot == 0)
        return 0;
    w = push_witness(L, c);
    push_weak(L, c);
    lua_replace(L, 1);
    lua_settop(L, 1);
    w->slot = c->slot; /* all that may raise is done; res has the witness */
    lua_pushboolean(L, 0);
    slot_set(L, c->slot);
    lua_gc(L, LUA_GCCOLLECT, 0);
    called = w->called; /* res is back, and has it still; or it was never off */
    if (!called) {
        lua_rawgeti(L, 1, 1);
        slot_set(L, c->slot);
        w->slot = 0;
    }
    slot_push(L, c->slot);
    lua_pushnil(L);
    lua_rawsetp(L, -2, &witness_key);
    lua_pushboolean(L, called);
    return 1;
}

/* ---- for lua/luaserve/misuse.lua and outgoing.lua */

/* request(c) -> its req, the status of the answer, whether its head has left,
 * and the bytes of its body (-1: not known) */
static int request(lua_State *L)
{
    const struct context *c = lua_touserdata(L, 1);

    slot_push(L, c->slot);
    lua_rawgeti(L, -1, 1);
    compat_getuservalue(L, -1);
    lua_pushinteger(L, c->x->status);
    lua_pushboolean(L, c->x->head_sent);
    lua_pushinteger(L, (lua_Integer)c->x->length);
    return 4;
}

/* place(res) -> what misuse.lua says of who serves it; more is not told of it
 */
static int place(lua_State *L)
{
    struct context *c = context_check(L, 1);
    int special = special_of(c);

    if (special == 0 || c->slot == 0)
        return 0;
    c->told = true;
    slot_push(L, special);
    lua_pushinteger(L, L_SERVER_MISUSE);
    lua_pushlightuserdata(L, c);
    lua_pushinteger(L, PLACE);
    lua_call(L, 3, 1);
    return 1;
}

/* answered(res) -> whether the script has answered it, in full or in part; not
 * where time or client were gone first */
static int answered(lua_State *L)
{
    const struct context *c = context_check(L, 1);
    const struct exchange *x = c->x;

    lua_pushboolean(L, x != NULL && x->head_sent && !x->timed_out && !x->raw &&
                           !c->failed && !c->late && !c->told &&
                           (x->codec != NULL || x->ended_out));
    return 1;
}

/* watch(): whoever has written the script sees what is told at once. */
static int watch(lua_State *L)
{
    (void)L;
    watching = true;
    return 0;
}

/* again(fn): fn(res, method, where) is told of calls behind the end. */
static int again(lua_State *L)
{
    slot_give(L, again_function);
    again_function = slot_of(L, 1);
    return 0;
}

int l_misuse_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"forgotten", forgotten},
                                         {"request", request},
                                         {"place", place},
                                         {"answered", answered},
                                         {"watch", watch},
                                         {"again", again},
                                         {NULL, NULL}};

    if (luaL_newmetatable(L, WITNESS)) {
        lua_pushcfunction(L, testify);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
