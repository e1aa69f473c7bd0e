/* The methods of res that send: the head, the body, what comes before and
 * behind them. statusCode and statusMessage are fields of the table, read when
 * the head is committed. */
#include <string.h>

#include "http/exchange.h"
#include "http/server.h"
#include "script/call.h"
#include "script/context.h"
#include "script/l_headers.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

static int once_function; /* once(res, event, fn), in Lua */

/* The metatables of a res whose head has left, and which has ended: their
 * classes say headersSent and writableEnded, which so cost no field. */
static int sent_meta, ended_meta;

/* ---- the head */

static void check_status(lua_State *L, int i)
{
    lua_Integer status = lua_isnumber(L, i) ? lua_tointeger(L, i) : 0;

    if (status < 100 || status > 999)
        luaL_error(L, "Invalid status code: %s",
                   lua_isstring(L, i) ? lua_tostring(L, i)
                                      : luaL_typename(L, i));
}

static void check_reason(lua_State *L, int i)
{
    if (lua_type(L, i) != LUA_TSTRING ||
        !headers_value_valid(l_headers_text(L, i)))
        luaL_error(L, "Invalid character in statusMessage");
}

/* res:writeHead(code [, reason] [, headers]) -> res */
static int write_head(lua_State *L)
{
    struct exchange *x = l_headers_settable(L);
    int fields = lua_istable(L, 3) ? 3 : 4;

    if (x == NULL)
        return l_headers_closed(L);
    lua_settop(L, 4);
    check_status(L, 2);
    if (fields == 4 && !lua_isnil(L, 3)) {
        check_reason(L, 3);
        lua_pushliteral(L, "statusMessage");
        lua_pushvalue(L, 3);
        lua_rawset(L, 1);
    }
    if (lua_istable(L, fields))
        l_headers_merge(L, x, fields);
    else if (!lua_isnil(L, fields))
        luaL_argerror(L, fields, "the headers are a table");
    lua_pushliteral(L, "statusCode");
    lua_pushinteger(L, lua_tointeger(L, 2));
    lua_rawset(L, 1);
    lua_settop(L, 1);
    return 1;
}

static void become(lua_State *L, int meta)
{
    slot_push(L, meta);
    lua_setmetatable(L, 1);
}

/* Takes status and reason from the fields of res, just before the head leaves;
 * raises where they are none. */
static void commit(lua_State *L, struct exchange *x)
{
    struct str reason;

    if (x->head_sent)
        return;
    lua_pushvalue(L, lua_upvalueindex(1));
    if (compat_rawget_type(L, 1) != LUA_TNIL) {
        check_status(L, lua_gettop(L));
        x->status = (int)lua_tointeger(L, -1);
    }
    lua_pushvalue(L, lua_upvalueindex(2));
    if (compat_rawget_type(L, 1) != LUA_TNIL) {
        check_reason(L, lua_gettop(L));
        reason = l_headers_text(L, -1);
        x->reason = pool_copy(&x->pool, reason);
    }
    lua_pop(L, 2);
    if (x->status < 200)
        luaL_error(L,
                   "a final status code is 200 or above, not %d; see "
                   "res:writeContinue and res:writeEarlyHints",
                   x->status);
}

/* res:flushHeaders() -> res */
static int flush_headers(lua_State *L)
{
    struct context *c = context_check(L, 1);

    if (c->x == NULL || c->x->codec == NULL)
        return l_headers_closed(L);
    if (!c->x->head_sent) {
        commit(L, c->x);
        become(L, sent_meta);
        exchange_send_head(c->x, -1);
    }
    lua_settop(L, 1);
    return 1;
}

/* ---- the body */

static void release_slot(void *arg)
{
    slot_give(script_thread(), (int)(intptr_t)arg);
}

/* The string at i as a piece; a long one is anchored and not copied. */
static struct piece piece_at(lua_State *L, int i)
{
    struct piece piece = {.p = NULL};
    struct str s;

    if (lua_isnoneornil(L, i))
        return piece;
    if (!lua_isstring(L, i))
        luaL_argerror(L, i, "the chunk is a string");
    s = l_headers_text(L, i);
    piece.p = s.p;
    piece.n = s.n;
    if (s.n > EXCHANGE_COPY_MAX) {
        piece.arg = (void *)(intptr_t)slot_of(L, i);
        piece.release = release_slot;
    }
    return piece;
}

/* [-0, +?, v] What a method answers to how the sending went. */
static int refused(lua_State *L, enum sent sent, const struct exchange *x)
{
    if (sent == SENT_EXCESS)
        return luaL_error(L,
                          "the body is longer than its Content-Length "
                          "(%f bytes)",
                          (lua_Number)x->declared);
    if (sent == SENT_CLOSED)
        return l_headers_closed(L);
    lua_pushnil(L);
    lua_pushliteral(L, "write after end");
    return 2;
}

/* [-1, +0, m] Has the function on top called when the queue has emptied. */
static void call_when_drained(lua_State *L)
{
    slot_push(L, once_function);
    lua_pushvalue(L, 1);
    lua_pushliteral(L, "drain");
    lua_pushvalue(L, -4);
    lua_call(L, 3, 0);
    lua_pop(L, 1);
}

/* res:write(chunk [, cb]) -> true, or false where the client is behind */
static int write_body(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct exchange *x = c->x;
    bool callback = lua_isfunction(L, 3);
    enum sent sent;

    if (x == NULL || (x->codec == NULL && !x->ended_out))
        return l_headers_closed(L);
    if (!lua_isstring(L, 2))
        luaL_argerror(L, 2, "the chunk is a string");
    if (!x->ended_out && !x->head_sent) {
        commit(L, x);
        become(L, sent_meta);
    }
    sent = exchange_write(x, piece_at(L, 2));
    if (sent != SENT_OK && sent != SENT_FULL)
        return refused(L, sent, x);
    lua_settop(L, 3);
    if (sent == SENT_FULL) {
        x->codec->want_drain(x);
        if (!callback && call_yieldable(L) && !wait_active(&c->drain)) {
            wait_begin(L, &c->drain, 0);
            return wait_return(L, &c->drain);
        }
        if (callback)
            call_when_drained(L);
    } else if (callback) {
        call_later(L, c, 0);
    }
    lua_pushboolean(L, sent == SENT_OK);
    return 1;
}

/* res:finish([data] [, cb]) -> res */
static int finish(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct exchange *x = c->x;
    int callback = lua_isfunction(L, 2) ? 2 : 3;
    enum sent sent;

    if (x == NULL || (x->codec == NULL && !x->ended_out))
        return l_headers_closed(L);
    if (x->ended_out)
        return refused(L, SENT_ENDED, x);
    if (lua_isfunction(L, callback)) {
        slot_push(L, once_function);
        lua_pushvalue(L, 1);
        lua_pushliteral(L, "finish");
        lua_pushvalue(L, callback);
        lua_call(L, 3, 0);
    }
    lua_settop(L, callback - 1);
    commit(L, x);
    sent = exchange_end(x, piece_at(L, 2));
    if (sent != SENT_OK)
        return refused(L, sent, x);
    become(L, ended_meta);
    lua_settop(L, 1);
    return 1;
}

/* ---- interim responses, trailers, the end */

/* res:addTrailers({name = value}) -> res; chunked responses send them last. */
static int add_trailers(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct exchange *x = c->x;
    struct str name, value;

    luaL_checktype(L, 2, LUA_TTABLE);
    if (x == NULL || x->codec == NULL)
        return l_headers_closed(L);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        name = l_headers_name(L, lua_gettop(L) - 1);
        value = l_headers_value(L, lua_gettop(L), name.p);
        headers_add(&x->trailers_out, &x->pool, pool_copy(&x->pool, name),
                    pool_copy(&x->pool, value));
    }
    lua_settop(L, 1);
    return 1;
}

/* res:writeContinue() -> res */
static int write_continue(lua_State *L)
{
    struct context *c = context_check(L, 1);

    if (c->x == NULL || c->x->codec == NULL)
        return l_headers_closed(L);
    exchange_continue(c->x);
    lua_settop(L, 1);
    return 1;
}

/* [-1, +0, m] Adds the value on top to fields, one for each of a table. */
static void add_hint(lua_State *L, struct exchange *x, struct headers *fields,
                     const char *name)
{
    struct str key = pool_copy(&x->pool, str_of(name));
    struct str value;
    int k;

    if (!headers_name_valid(key))
        luaL_error(L, "Header name must be a valid HTTP token [\"%s\"]", name);
    if (!lua_istable(L, -1)) {
        lua_createtable(L, 1, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
    }
    for (k = 1; lua_rawgeti(L, -1, k), !lua_isnil(L, -1); k++) {
        value = l_headers_value(L, lua_gettop(L), name);
        headers_add(fields, &x->pool, key, pool_copy(&x->pool, value));
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

/* res:writeEarlyHints({link = value or {values}, ...}) -> res (RFC 8297) */
static int write_early_hints(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct exchange *x = c->x;
    struct headers fields = {NULL, 0, 0};

    if (x == NULL || x->codec == NULL)
        return l_headers_closed(L);
    if (x->head_sent)
        luaL_error(L, "Cannot write early hints after the head was sent");
    if (lua_isstring(L, 2)) {
        lua_settop(L, 2);
        add_hint(L, x, &fields, "link");
    } else {
        luaL_checktype(L, 2, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, 2);) {
            if (lua_type(L, -2) == LUA_TNUMBER)
                add_hint(L, x, &fields, "link");
            else
                add_hint(L, x, &fields, luaL_checkstring(L, -2));
        }
    }
    if (fields.n > 0)
        x->codec->send_interim(x, 103, &fields);
    lua_settop(L, 1);
    return 1;
}

/* res:destroy(), req:destroy(): cuts the connection off. */
static int destroy(lua_State *L)
{
    struct context *c = context_check(L, 1);

    if (c->x != NULL)
        exchange_reset(c->x, CLOSED_RESET);
    lua_settop(L, 1);
    return 1;
}

/* setup(once, sent_meta, ended_meta): the function that adds a listener to res,
 * and what res becomes. */
static int setup(lua_State *L)
{
    once_function = slot_of(L, 1);
    sent_meta = slot_of(L, 2);
    ended_meta = slot_of(L, 3);
    return 0;
}

int l_response_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"writeHead", write_head},
                                       {"flushHeaders", flush_headers},
                                       {"write", write_body},
                                       {"finish", finish},
                                       {"end", finish},
                                       {"addTrailers", add_trailers},
                                       {"writeContinue", write_continue},
                                       {"writeEarlyHints", write_early_hints},
                                       {"destroy", destroy},
                                       {NULL, NULL}};

    lua_createtable(L, 0, 2);
    lua_newtable(L);
    luaL_setfuncs(L, l_headers_methods, 0);
    lua_pushliteral(L, "statusCode"); /* upvalues: interned once */
    lua_pushliteral(L, "statusMessage");
    luaL_setfuncs(L, methods, 2);
    lua_setfield(L, -2, "methods");
    lua_pushcfunction(L, setup);
    lua_setfield(L, -2, "setup");
    return 1;
}
