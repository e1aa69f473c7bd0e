/* The methods of res that send: the head, the body, what comes before and
 * behind them. statusCode and statusMessage are fields of the table, read when
 * the head is committed. */
#include "script/l_response.h"

#include <string.h>

#include "base/mem.h"
#include "http/exchange.h"
#include "http/server.h"
#include "script/call.h"
#include "script/context.h"
#include "script/l_headers.h"
#include "script/l_misuse.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

static int notify_function; /* notify(res, event, fn), in Lua */

/* A coroutine that waits in write while another one does already. */
struct writer {
    struct list link;
    struct context *context;
    struct wait wait;
};

static struct list writers = {&writers, &writers};

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
    struct exchange *x = l_headers_settable(L, "write");
    int fields = lua_istable(L, 3) ? 3 : 4;

    if (x == NULL)
        return l_headers_closed(L);
    lua_settop(L, 4);
    check_status(L, 2);
    context_check(L, 1)->assigned = true;
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

/* assign(res, name, value): the __newindex of a res whose head has not left. */
static int assign(lua_State *L)
{
    context_check(L, 1)->assigned = true;
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}

static void become(lua_State *L, int i, int meta)
{
    slot_push(L, meta);
    lua_setmetatable(L, i);
}

/* Takes status and reason from the fields of res; raises where they are none.
 */
static void take_status(lua_State *L, struct exchange *x)
{
    struct str reason;

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

/* What is to be done just before the head leaves. */
static void commit(lua_State *L, const struct context *c)
{
    if (c->assigned && !c->x->head_sent)
        take_status(L, c->x);
}

/* res:flushHeaders() -> res */
static int flush_headers(lua_State *L)
{
    struct context *c = context_check(L, 1);

    if (c->x == NULL || c->x->codec == NULL)
        return l_headers_closed(L);
    if (!c->x->head_sent) {
        commit(L, c);
        become(L, 1, sent_meta);
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
    int type = lua_type(L, i);
    struct str s;

    if (type <= LUA_TNIL)
        return piece;
    if (type != LUA_TSTRING && type != LUA_TNUMBER)
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

/* [-0, +0, m] Has the callback at index i, if it is one, called with an error.
 */
static void call_back(lua_State *L, struct context *c, int i,
                      const char *message, const char *code)
{
    if (!lua_isfunction(L, i))
        return;
    lua_pushvalue(L, i);
    wait_push_error(L, message, code, NULL, NULL);
    call_later(L, c, 1);
}

/* [-0, +2, v] What the method answers to bytes that were not taken; so does the
 * callback at index i. */
static int refused(lua_State *L, struct context *c, enum sent sent, int i,
                   const char *method)
{
    if (sent == SENT_EXCESS)
        return luaL_error(L,
                          "the body is longer than its Content-Length "
                          "(%d bytes)",
                          (int)c->x->declared);
    if (sent == SENT_CLOSED) {
        call_back(L, c, i, "closed", "ERR_STREAM_DESTROYED");
        return l_headers_closed(L);
    }
    l_misuse_again(L, method);
    call_back(L, c, i, "write after end", "ERR_STREAM_WRITE_AFTER_END");
    lua_pushnil(L);
    lua_pushliteral(L, "write after end");
    return 2;
}

/* What can be said before anything is sent: SENT_OK where sending may go on. */
static enum sent sendable(const struct context *c)
{
    if (c->x == NULL || c->x->timed_out ||
        (c->x->codec == NULL && !c->x->ended_out))
        return SENT_CLOSED;
    return c->x->ended_out ? SENT_ENDED : SENT_OK;
}

/* [-0, +0, v] Has the function at index i called when event has happened, or
 * with an error when it cannot any more. */
static void notify(lua_State *L, const char *event, int i)
{
    slot_push(L, notify_function);
    lua_pushvalue(L, 1);
    lua_pushstring(L, event);
    lua_pushvalue(L, i);
    lua_call(L, 3, 0);
}

static int push_true(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

int l_response_wait_drain(lua_State *L, struct context *c)
{
    struct wait wait;
    struct writer *w;

    if (!wait_active(&c->drain)) {
        wait_begin(L, &c->drain, 0);
        return wait_return(L, &c->drain);
    }
    wait_begin(L, &wait, 0);
    w = mem_alloc(sizeof *w);
    w->context = c;
    w->wait = wait;
    list_push(&writers, &w->link);
    return wait_return(L, &w->wait);
}

void l_response_drained(struct context *c, const char *why)
{
    struct list mine, *at, *next;

    if (list_empty(&writers))
        return;
    list_init(&mine); /* those that come meanwhile wait for the next time */
    for (at = writers.next; at != &writers; at = next) {
        next = at->next;
        if (LIST_ITEM(at, struct writer, link)->context == c) {
            list_remove(at);
            list_push(&mine, at);
        }
    }
    while ((at = list_shift(&mine)) != NULL) {
        struct writer *w = LIST_ITEM(at, struct writer, link);

        if (why != NULL)
            wait_fail(&w->wait, why, NULL);
        else
            wait_settle(&w->wait, push_true, NULL);
        mem_free(w);
    }
}

/* res:write(chunk [, cb]) -> true, or false where the client is behind */
static int write_body(lua_State *L)
{
    struct context *c = context_check(L, 1);
    bool callback = lua_isfunction(L, 3);
    enum sent sent = sendable(c);

    if (!lua_isstring(L, 2))
        luaL_argerror(L, 2, "the chunk is a string");
    if (sent == SENT_OK) {
        if (!c->x->head_sent) {
            commit(L, c);
            become(L, 1, sent_meta);
        }
        sent = exchange_write(c->x, piece_at(L, 2));
    }
    if (sent != SENT_OK && sent != SENT_FULL)
        return refused(L, c, sent, 3, "write");
    lua_settop(L, 3);
    if (sent == SENT_FULL) {
        c->x->codec->want_drain(c->x);
        if (!callback && call_yieldable(L))
            return l_response_wait_drain(L, c);
        if (callback)
            notify(L, "drain", 3);
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
    int callback = lua_isfunction(L, 2) ? 2 : 3;
    enum sent sent = sendable(c);
    bool raw;

    if (sent != SENT_OK)
        return refused(L, c, sent, callback, "finish");
    if (lua_isfunction(L, callback))
        notify(L, "finish", callback);
    lua_settop(L, callback - 1);
    commit(L, c);
    raw = c->x->raw; /* a socket; the exchange may go with its end */
    sent = exchange_end(c->x, piece_at(L, 2));
    if (sent != SENT_OK)
        return refused(L, c, sent, 0, "finish");
    if (!raw)
        become(L, 1, ended_meta);
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
        value = l_headers_value(L, lua_gettop(L), name);
        if (!headers_trailer_allowed(headers_id(name)))
            luaL_error(L, "Trailer name %s is not allowed in a trailer",
                       name.p);
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
                     struct str name)
{
    struct str key = pool_copy(&x->pool, name);
    struct str value;
    int k;

    if (!headers_trailer_allowed(headers_id(name))) /* RFC 9110 6.4.1, 8.6 */
        luaL_error(L, "An interim answer has no length and no coding");
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
    struct headers fields = {.items = NULL};

    if (x == NULL || x->codec == NULL)
        return l_headers_closed(L);
    if (x->head_sent)
        luaL_error(L, "Cannot write early hints after the head was sent");
    if (lua_isstring(L, 2)) {
        lua_settop(L, 2);
        add_hint(L, x, &fields, STR("link"));
    } else {
        luaL_checktype(L, 2, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, 2);) {
            if (lua_type(L, -2) == LUA_TNUMBER)
                add_hint(L, x, &fields, STR("link"));
            else
                add_hint(L, x, &fields, l_headers_name(L, lua_gettop(L) - 1));
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

    c->told = true; /* an answer without an end is what is meant */
    if (c->x != NULL)
        exchange_reset(c->x, CLOSED_RESET);
    lua_settop(L, 1);
    return 1;
}

void l_response_refresh(lua_State *L, int i)
{
    struct context *c = context_check(L, i);

    if (c->x == NULL || !c->x->head_sent || c->x->raw)
        return;
    if (c->x->status != 200) {
        lua_pushliteral(L, "statusCode");
        lua_pushinteger(L, c->x->status);
        lua_rawset(L, i);
    }
    become(L, i, c->x->ended_out ? ended_meta : sent_meta);
}

/* refresh(res): its fields say what the runtime has answered in its place. */
static int refresh(lua_State *L)
{
    l_response_refresh(L, 1);
    return 0;
}

/* setup(notify, sent_meta, ended_meta): the function for callbacks of write and
 * finish, and what res becomes. */
static int setup(lua_State *L)
{
    notify_function = slot_of(L, 1);
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

    lua_createtable(L, 0, 4);
    lua_newtable(L);
    luaL_setfuncs(L, l_headers_methods, 0);
    lua_pushliteral(L, "statusCode"); /* upvalues: interned once */
    lua_pushliteral(L, "statusMessage");
    luaL_setfuncs(L, methods, 2);
    lua_setfield(L, -2, "methods");
    lua_pushcfunction(L, setup);
    lua_setfield(L, -2, "setup");
    lua_pushcfunction(L, refresh);
    lua_setfield(L, -2, "refresh");
    lua_pushcfunction(L, assign);
    lua_setfield(L, -2, "assign");
    return 1;
}
