/* req: two fields are set when it is made, the rest is computed on first use
 * and kept in the table. Reading the body is two primitives, the next chunk and
 * the whole; streams, JSON and forms are built on them in Lua. */
#include <errno.h>

#include "base/encode.h"
#include "http/cookie.h"
#include "http/exchange.h"
#include "http/server.h"
#include "http/target.h"
#include "net/conn.h"
#include "script/call.h"
#include "script/context.h"
#include "script/l_socket.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

static void push(lua_State *L, struct str s)
{
    lua_pushlstring(L, s.p, s.n);
}

/* ---- headers */

/* Repeated fields of these are dropped after the first, as in Node. */
static bool is_single(struct str name)
{
    static const char *const single[] = {"age",
                                         "authorization",
                                         "content-length",
                                         "content-type",
                                         "etag",
                                         "expires",
                                         "from",
                                         "host",
                                         "if-modified-since",
                                         "if-unmodified-since",
                                         "last-modified",
                                         "location",
                                         "max-forwards",
                                         "proxy-authorization",
                                         "referer",
                                         "retry-after",
                                         "server",
                                         "user-agent"};
    size_t i;

    for (i = 0; i < sizeof single / sizeof single[0]; i++)
        if (str_ieq(name, str_of(single[i])))
            return true;
    return false;
}

/* [-2, +0, m] t[key] is old, to which h adds: the table is at t, key and old
 * are on top. */
static void join(lua_State *L, int t, const struct header *h)
{
    if (h->id == HEADER_SET_COOKIE) {
        push(L, h->value);
        lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
        lua_pop(L, 2);
        return;
    }
    if (is_single(h->name)) {
        lua_pop(L, 2);
        return;
    }
    lua_pushstring(L, h->id == HEADER_COOKIE ? "; " : ", ");
    push(L, h->value);
    lua_concat(L, 3);
    lua_rawset(L, t);
}

/* [-0, +1, m] A table of fields by lower-case name, joined by Node's rules. */
static void push_headers(lua_State *L, struct pool *pool,
                         const struct headers *headers)
{
    unsigned i;
    int t;

    lua_createtable(L, 0, (int)headers->n);
    t = lua_gettop(L);
    for (i = 0; i < headers->n; i++) {
        const struct header *h = &headers->items[i];

        push(L, headers_lower(pool, h->name));
        lua_pushvalue(L, -1);
        if (compat_rawget_type(L, t) != LUA_TNIL) {
            join(L, t, h);
            continue;
        }
        lua_pop(L, 1);
        push(L, h->value);
        if (h->id == HEADER_SET_COOKIE) { /* always an array */
            lua_createtable(L, 1, 0);
            lua_insert(L, -2);
            lua_rawseti(L, -2, 1);
        }
        lua_rawset(L, t);
    }
}

static void get_headers(lua_State *L, struct exchange *x)
{
    push_headers(L, &x->pool, &x->request);
}

static void get_trailers(lua_State *L, struct exchange *x)
{
    push_headers(L, &x->pool, &x->trailers);
}

static void push_raw(lua_State *L, const struct headers *headers)
{
    unsigned i;

    lua_createtable(L, (int)headers->n * 2, 0);
    for (i = 0; i < headers->n; i++) {
        push(L, headers->items[i].name);
        lua_rawseti(L, -2, (int)(2 * i + 1));
        push(L, headers->items[i].value);
        lua_rawseti(L, -2, (int)(2 * i + 2));
    }
}

static void get_raw_headers(lua_State *L, struct exchange *x)
{
    push_raw(L, &x->request);
}

static void get_raw_trailers(lua_State *L, struct exchange *x)
{
    push_raw(L, &x->trailers);
}

/* ---- the target */

static int parse(struct exchange *x, struct target *target)
{
    return target_parse(x->method, x->target, target);
}

/* The decoded path without dot segments. Raises an error that answers 400 where
 * it is malformed: no handler can do anything else with it. */
static void get_path(lua_State *L, struct exchange *x)
{
    struct target target;
    struct str path;

    if (parse(x, &target) == 0 && str_eq(target.path, STR("*"))) {
        lua_pushliteral(L, "*");
    } else if (parse(x, &target) == 0 &&
               target_path(&x->pool, target.path, &path) == 0) {
        push(L, path);
    } else {
        wait_push_error(L, "Bad Request: the path is malformed", NULL, NULL,
                        NULL);
        lua_pushinteger(L, 400);
        lua_setfield(L, -2, "status");
        lua_error(L);
    }
}

/* [-2, +0, m] t[key] = value on top, or, repeated, an array of all. */
static void add_pair(lua_State *L, int t)
{
    lua_pushvalue(L, -2);
    switch (compat_rawget_type(L, t)) {
    case LUA_TNIL:
        lua_pop(L, 1);
        lua_rawset(L, t);
        return;
    case LUA_TTABLE: /* key value array */
        lua_insert(L, -2);
        lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
        lua_pop(L, 2);
        return;
    default: /* key value old */
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 2);
        lua_rawset(L, t);
    }
}

/* [-0, +1, m] Pushes a table of at most that many pairs; false where there are
 * more. */
static void push_pairs(lua_State *L, struct pool *pool, struct str text,
                       uint64_t most)
{
    struct str key, value;
    int t;

    lua_newtable(L);
    t = lua_gettop(L);
    while (target_next_pair(&text, pool, &key, &value)) {
        if (most-- == 0) {
            lua_pushboolean(L, 0);
            return;
        }
        push(L, key);
        push(L, value);
        add_pair(L, t);
    }
}

static void get_query(lua_State *L, struct exchange *x)
{
    struct target target = {.query = {NULL, 0}};

    parse(x, &target);
    push_pairs(L, &x->pool, target.query, UINT64_MAX);
}

static void get_cookies(lua_State *L, struct exchange *x)
{
    struct header *h = NULL;
    struct str rest, name, value;
    unsigned from = 0;

    lua_newtable(L);
    while ((h = headers_find(&x->request, HEADER_COOKIE, from)) != NULL) {
        from = (unsigned)(h - x->request.items) + 1;
        rest = h->value;
        while (cookie_next(&rest, &x->pool, &name, &value)) {
            push(L, name);
            lua_pushvalue(L, -1);
            if (compat_rawget_type(L, -3) == LUA_TNIL) { /* the first wins */
                lua_pop(L, 1);
                push(L, value);
                lua_rawset(L, -3);
            } else {
                lua_pop(L, 2);
            }
        }
    }
}

/* ---- the connection */

static void get_ip(lua_State *L, struct exchange *x)
{
    struct addr remote;
    char text[ADDR_IP_SIZE];

    if (x->codec == NULL) {
        lua_pushnil(L);
        return;
    }
    conn_peer(x->codec->conn(x), &remote);
    lua_pushstring(L, addr_ip(&remote, text));
}

/* Once the connection may be another request's, it is not told any more. */
static void get_socket(lua_State *L, struct exchange *x)
{
    if (x->codec == NULL)
        lua_newtable(L);
    else
        l_socket_push(L, x->codec->conn(x));
}

static void get_version(lua_State *L, struct exchange *x)
{
    lua_pushstring(L, x->version == 20   ? "2.0"
                      : x->version == 11 ? "1.1"
                                         : "1.0");
}

/* A number that no other request of this process has, with its start: enough
 * to find a request's lines in a log. */
static void get_id(lua_State *L, struct exchange *x)
{
    static uint64_t count;
    char text[40];
    size_t n =
        encode_hex_number((uint64_t)(loop_wall(script_state.loop) * 1e6), text);

    (void)x;
    text[n++] = '-';
    n += encode_hex_number(++count, text + n);
    lua_pushlstring(L, text, n);
}

static void get_complete(lua_State *L, struct exchange *x)
{
    lua_pushboolean(L, x->ended_in);
}

static void get_aborted(lua_State *L, struct exchange *x)
{
    const struct context *c = x->app;

    lua_pushboolean(L, c->closed && c->why != CLOSED_DONE);
}

static const struct getter {
    const char *name;
    void (*get)(lua_State *L, struct exchange *x);
    bool keep; /* does not change */
} getters[] = {
    {"headers", get_headers, true},
    {"path", get_path, true},
    {"query", get_query, true},
    {"cookies", get_cookies, true},
    {"httpVersion", get_version, true},
    {"rawHeaders", get_raw_headers, true},
    {"trailers", get_trailers, false},
    {"rawTrailers", get_raw_trailers, false},
    {"socket", get_socket, true},
    {"connection", get_socket, true},
    {"ip", get_ip, true},
    {"id", get_id, true},
    {"complete", get_complete, false},
    {"aborted", get_aborted, false},
};

/* req[key], key not being a field: a method, or something to compute. Upvalues:
 * the methods, and the indices of getters by name. */
static int get_field(lua_State *L)
{
    const struct getter *getter;
    struct context *c;

    lua_pushvalue(L, 2);
    if (compat_rawget_type(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    lua_pushvalue(L, 2);
    if (compat_rawget_type(L, lua_upvalueindex(2)) == LUA_TNIL)
        return 1;
    if (lua_isfunction(L, -1)) { /* computed in Lua, and kept there */
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    getter = &getters[lua_tointeger(L, -1)];
    lua_rawgeti(L, 1, 1);
    c = context_test(L, -1);
    if (c == NULL || c->x == NULL) {
        lua_pushnil(L);
        return 1;
    }
    getter->get(L, c->x);
    if (getter->keep) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 1);
    }
    return 1;
}

/* ---- the body */

static int lost(lua_State *L, struct context *c)
{
    lua_pushnil(L);
    lua_pushstring(L,
                   c->late || c->why == CLOSED_TIMEOUT ? "timeout" : "aborted");
    return 2;
}

static int push_collected(lua_State *L, struct context *c)
{
    c->reading = CONTEXT_IDLE;
    lua_pushlstring(L, c->body.p, c->body.n);
    bytes_clear(&c->body);
    return 1;
}

/* Waits for the exchange to settle c->read, where L can be suspended. */
static int wait_for_body(lua_State *L, struct context *c)
{
    if (!call_yieldable(L))
        c->x->reading = false;
    wait_begin(L, &c->read, 0);
    return wait_return(L, &c->read);
}

static void begin_reading(lua_State *L, struct context *c,
                          enum context_reading how)
{
    if (wait_active(&c->read))
        luaL_error(L, "the body is being read already");
    c->reading = how;
}

/* req:read() -> the next chunk, nil at the end, or nil, "aborted" */
static int read_chunk(lua_State *L)
{
    struct context *c = context_check(L, 1);

    begin_reading(L, c, CONTEXT_CHUNK);
    if (c->body.n == 0 && c->x != NULL)
        exchange_read(c->x);
    if (c->body.n > 0)
        return push_collected(L, c);
    if (c->x == NULL || c->x->ended_in) {
        lua_pushnil(L);
        return 1;
    }
    if (c->closed || c->late || c->x->bad_body)
        return lost(L, c);
    return wait_for_body(L, c);
}

/* What the client announces is over the limit: nothing of it is read. */
static bool is_announced(const struct exchange *x, uint64_t limit)
{
    return x->length >= 0 && (uint64_t)x->length > limit;
}

/* req:collect([limit]) -> the whole body, or nil and "too large" or
 * "aborted" */
static int collect(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct exchange *x = c->x;

    if (x == NULL)
        return lost(L, c);
    begin_reading(L, c, CONTEXT_ALL);
    c->limit = lua_isnoneornil(L, 2) ? x->server->limits.max_body
                                     : (uint64_t)luaL_checkinteger(L, 2);
    if (c->over || is_announced(x, c->limit)) {
        lua_pushnil(L);
        lua_pushliteral(L, "too large");
        return 2;
    }
    if (x->length > 0 && c->body.n == 0)
        bytes_reserve(&c->body, (size_t)x->length);
    exchange_read(x);
    if (c->over) {
        lua_pushnil(L);
        lua_pushliteral(L, "too large");
        return 2;
    }
    if (x->ended_in)
        return push_collected(L, c);
    if (c->closed || c->late || x->bad_body)
        return lost(L, c);
    return wait_for_body(L, c);
}

/* form(text, most) -> table: application/x-www-form-urlencoded; false where
 * there are more fields */
static int form(lua_State *L)
{
    static struct pool pool; /* emptied by the next call if this one raises */
    struct str text;

    text.p = luaL_checklstring(L, 1, &text.n);
    pool_clear(&pool);
    push_pairs(L, &pool, text, (uint64_t)luaL_checkinteger(L, 2));
    pool_clear(&pool);
    return 1;
}

int l_request_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", read_chunk}, {"collect", collect}, {NULL, NULL}};
    size_t i;

    lua_createtable(L, 0, 4);
    luaL_newlib(L, methods);
    lua_pushvalue(L, -1);
    lua_newtable(L);
    for (i = 0; i < sizeof getters / sizeof getters[0]; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_setfield(L, -2, getters[i].name);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, "getters");
    lua_pushcclosure(L, get_field, 2);
    lua_setfield(L, -3, "index");
    lua_setfield(L, -2, "methods");
    lua_pushcfunction(L, form);
    lua_setfield(L, -2, "form");
    return 1;
}
