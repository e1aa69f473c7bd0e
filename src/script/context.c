/* One userdata per request holds all that the Lua side keeps in C, so that a
 * plain request costs one allocation of that kind. Whoever keeps a pointer to a
 * context from C (a coroutine, a wait, a timer) counts in live, and live or an
 * open exchange keep it anchored; everybody else is Lua, where the collector
 * sees it. */
#include "script/context.h"

#include "http/status.h"
#include "script/call.h"
#include "script/l_misuse.h"
#include "script/script.h"
#include "script/slot.h"

const char context_kind = 'x';

static struct list living = {&living, &living};
static unsigned alive;
static void bury_all(struct defer *d);

static struct list dying = {&dying, &dying};
static struct defer burial = {{&burial.link, &burial.link}, bury_all};
static const char data_key = 'd';

struct context *context_new(lua_State *L, struct exchange *x)
{
    struct context *c = lua_newuserdatauv(L, sizeof *c, 1);

    memset(c, 0, sizeof *c);
    c->kind = CONTEXT_KIND;
    list_init(&c->link);
    list_init(&c->outside);
    c->x = x;
    return c;
}

void context_begin(lua_State *L, struct context *c, int req, int res)
{
    c->slot = slot_of(L, res);
    c->req = lua_topointer(L, req);
    c->res = lua_topointer(L, res);
    c->x->app = c;
    list_push(&living, &c->every);
    alive++;
}

struct context *context_test(lua_State *L, int i)
{
    struct context *c = lua_touserdata(L, i);

    if (c == NULL || lua_rawlen(L, i) != sizeof *c || c->kind != CONTEXT_KIND)
        return NULL;
    return c;
}

/* Whether the value at index i is the req or the res of c, which are alive as
 * long as a call holds it. */
static bool is_of(lua_State *L, int i, const struct context *c)
{
    const void *p = lua_topointer(L, i);

    return p != NULL && (p == c->res || p == c->req);
}

struct context *context_check(lua_State *L, int i)
{
    const struct call *call = script_state.current;
    struct context *c = call != NULL ? call->context : NULL;

    if (c != NULL && is_of(L, i, c)) /* nearly always */
        return c;
    c = NULL;
    if (lua_istable(L, i)) {
        lua_rawgeti(L, i, 1);
        c = context_test(L, -1);
        lua_pop(L, 1);
    }
    if (c == NULL)
        luaL_argerror(L, i, "req or res expected; call the method with ':'");
    return c;
}

void context_push(lua_State *L, struct context *c)
{
    if (c == NULL) {
        lua_pushnil(L);
        return;
    }
    slot_push(L, c->slot);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

/* Nothing of the request is left but what Lua can see. */
static void bury(lua_State *L, struct context *c)
{
    list_remove(&c->link);
    if (c->x != NULL) {
        exchange_free(c->x);
        c->x = NULL;
        list_remove(&c->every);
        alive--;
    }
    bytes_clear(&c->body);
    slot_give(L, c->slot);
    c->slot = 0;
}

static void bury_all(struct defer *d)
{
    struct list *at;

    (void)d;
    while ((at = list_shift(&dying)) != NULL) {
        struct context *c = LIST_ITEM(at, struct context, link);

        if (c->live == 0)
            bury(script_state.L, c);
    }
}

void context_drop(lua_State *L, struct context *c)
{
    if (c == NULL || --c->live > 0 || c->slot == 0)
        return;
    if (!c->closed) {
        l_misuse_left(c, true);
        return;
    }
    if (script_state.running == NULL) {
        bury(L, c);
    } else if (list_empty(&c->link)) {
        list_push(&dying, &c->link);
        loop_defer(script_state.loop, &burial);
    }
}

void context_fail(struct context *c, int status, struct str text)
{
    struct exchange *x = c != NULL ? c->x : NULL;

    if (x == NULL || x->codec == NULL || x->ended_out)
        return;
    c->told = true;
    exchange_fail(x, status, status < 500 ? text : (struct str){NULL, 0});
}

void context_push_data(lua_State *L, struct context *c)
{
    if (c == NULL || c->slot == 0) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &data_key);
        if (lua_istable(L, -1))
            return;
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &data_key);
        return;
    }
    context_push(L, c);
    compat_getuservalue(L, -1); /* req */
    lua_replace(L, -2);
    if (lua_rawgetp(L, -1, &data_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, &data_key);
    }
    lua_remove(L, -2);
}

unsigned context_count(void)
{
    return alive;
}

void context_close(void)
{
    struct list *at;

    while ((at = list_shift(&living)) != NULL)
        bytes_clear(&LIST_ITEM(at, struct context, every)->body);
}
