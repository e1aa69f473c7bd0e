/* Each request becomes one call of its server's entry function, in which make()
 * builds req and res, and each event one of the function that tells res and
 * req. What is read of a body waits in the context until somebody takes it. */
#include "script/l_exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "script/call.h"
#include "script/context.h"
#include "script/failure.h"
#include "script/l_misuse.h"
#include "script/l_record.h"
#include "script/l_response.h"
#include "script/l_server.h"
#include "script/l_socket.h"
#include "script/plugin_api.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/wait.h"

static int request_meta, response_meta, emit_function;

/* Those that the wire has let go of and Lua has not. */
static struct list orphans = {&orphans, &orphans};

/* ---- requests */

/* [-0, +1, m] The method, which is nearly always the third upvalue. */
static void push_method(lua_State *L, struct str method)
{
    if (str_eq(method, STR("GET")))
        lua_pushvalue(L, lua_upvalueindex(3));
    else
        lua_pushlstring(L, method.p, method.n);
}

/* [-1, +2, m] make(x) -> req, res; x is an exchange as light userdata. res
 * holds the context, and that holds req. Upvalues: the names of req's fields,
 * since interning them anew costs more than all the rest. */
static int make(lua_State *L)
{
    struct exchange *x = lua_touserdata(L, 1);
    struct call *call = script_state.current;
    struct context *c;

    lua_createtable(L, 1, 2); /* req */
    lua_createtable(L, 1, 0); /* res */
    c = context_new(L, x);
    lua_pushvalue(L, 2);
    compat_setuservalue(L, 4);
    lua_pushvalue(L, 4);
    lua_rawseti(L, 2, 1);
    lua_rawseti(L, 3, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    push_method(L, x->method);
    lua_rawset(L, 2);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushlstring(L, x->target.p, x->target.n);
    lua_rawset(L, 2);
    slot_push(L, request_meta);
    lua_setmetatable(L, 2);
    slot_push(L, response_meta);
    lua_setmetatable(L, 3);
    context_begin(L, c, 2, 3);
    call->context = c;
    context_hold(c);
    return 2;
}

/* [-1, +4, m] take(x) -> req, res, socket, bytes: the same, and what carries x
 * leaves HTTP. bytes: what came behind the request, or what was none. */
static int take(lua_State *L)
{
    struct exchange *x = lua_touserdata(L, 1);
    struct str bytes;

    make(L); /* x, req, res */
    l_socket_push(L, x->codec->conn(x));
    lua_rawgeti(L, 3, 1);
    lua_rawseti(L, 4, 1);
    bytes = exchange_upgrade(x);
    lua_pushlstring(L, bytes.p, bytes.n);
    return 4;
}

/* The call that began with on_request has ended, at once or much later. */
static void on_handler_end(struct call *call, int status, int nresults)
{
    struct exchange *x = call->arg;

    (void)nresults;
    if (status != LUA_OK && call->context == NULL)
        exchange_fail(x, 500, (struct str){NULL, 0}); /* make() failed */
}

static void on_request(struct exchange *x)
{
    struct l_server *s = x->server->app;
    struct call *call = call_new(NULL);

    if (call == NULL) {
        exchange_fail(x, 503, (struct str){NULL, 0});
        return;
    }
    call->on_end = on_handler_end;
    call->arg = x;
    slot_push(call->co, x->upgrade ? s->special : s->entry);
    if (x->upgrade)
        lua_pushinteger(call->co, L_SERVER_UPGRADE);
    lua_pushlightuserdata(call->co, x);
    call_start(call, x->upgrade ? 2 : 1);
}

/* Calls the function for special things of s, outside of every request. */
static void tell_special(struct l_server *s, enum l_server_special kind,
                         void *what, int status)
{
    struct call *call = call_new(NULL);

    if (call == NULL)
        return;
    slot_push(call->co, s->special);
    lua_pushinteger(call->co, kind);
    lua_pushlightuserdata(call->co, what);
    lua_pushinteger(call->co, status);
    call_start(call, 3);
}

static void on_refused(struct exchange *x, int status)
{
    tell_special(x->server->app, L_SERVER_REFUSAL, x, status);
}

static void on_connect(struct conn *conn)
{
    struct server *server = conn->owner;

    tell_special(server->app, L_SERVER_CONNECTION, conn, 0);
}

/* ---- events of an exchange, told to res (which tells req) */

static void emit(struct context *c, enum context_event event)
{
    struct call *call;

    if (!(c->events & event) || (call = call_new(c)) == NULL)
        return;
    slot_push(call->co, emit_function);
    slot_push(call->co, c->slot);
    lua_pushinteger(call->co, event);
    call_resume(call, 2);
}

static int push_body(lua_State *L, void *arg)
{
    struct context *c = arg;

    lua_pushnil(L);
    lua_pushlstring(L, c->body.p, c->body.n);
    bytes_clear(&c->body);
    return 2;
}

static int push_nothing(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushnil(L);
    return 2;
}

static int push_true(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

static void on_body(struct exchange *x, const char *p, size_t n)
{
    struct context *c = x->app;

    if (c->reading == CONTEXT_ALL && c->body.n + n > c->limit) {
        c->over = true;
        x->reading = false;
        wait_fail(&c->read, "too large", NULL);
        return;
    }
    bytes_append(&c->body, p, n);
    if (c->reading == CONTEXT_ALL)
        return;
    x->reading = false; /* one chunk at a time */
    if (wait_active(&c->read))
        wait_settle(&c->read, push_body, c);
}

static void on_end(struct exchange *x)
{
    struct context *c = x->app;

    if (c == NULL)
        return;
    if (!wait_active(&c->read)) {
        if (x->raw && x->received == 0) /* nobody reads to see the end */
            exchange_end(x, (struct piece){.p = NULL});
        return;
    }
    if (c->reading == CONTEXT_ALL || c->body.n > 0)
        wait_settle(&c->read, push_body, c);
    else
        wait_settle(&c->read, push_nothing, c);
}

static void on_drain(struct exchange *x)
{
    struct context *c = x->app;

    if (c == NULL)
        return;
    context_hold(c);
    wait_settle(&c->drain, push_true, NULL);
    l_response_drained(c, NULL);
    emit(c, CONTEXT_DRAIN);
    context_drop(script_thread(), c);
}

static void on_sent(struct exchange *x)
{
    struct context *c = x->app;

    if (c != NULL)
        emit(c, CONTEXT_FINISH);
}

static void on_timeout(struct exchange *x)
{
    struct context *c = x->app;
    const char *how = c != NULL && c->live > 0
                          ? "did not answer in time"
                          : "returned without an answer, and nothing it "
                            "started is left to give one";

    log_error("%.*s %.*s: the handler %s (--handler-timeout): 503",
              (int)x->method.n, x->method.p, (int)x->target.n, x->target.p,
              how);
    if (c != NULL)
        l_record_late(c);
    if (c != NULL && c->live == 0)
        l_misuse_left(c, false);
    context_hold(c);
    exchange_fail(x, 503, (struct str){NULL, 0});
    if (c != NULL)
        plugin_api_over(c, "timeout");
    context_drop(script_thread(), c);
}

/* Whether the request had a body, and nobody has asked for it. */
static bool is_unread(const struct exchange *x)
{
    return x->length != 0 && x->received == 0 &&
           (x->length > 0 || !x->ended_in);
}

static void on_close(struct exchange *x, enum closed why)
{
    struct context *c = x->app;
    const char *reason = why == CLOSED_TIMEOUT ? "timeout" : "aborted";
    bool left =
        c != NULL && c->live == 0 && why != CLOSED_DONE && !x->timed_out;

    if (c == NULL) { /* make() had no memory for it */
        exchange_free(x);
        return;
    }
    c->closed = true;
    c->why = why;
    context_hold(c);
    if (wait_active(&c->read))
        wait_fail(&c->read, reason, NULL);
    if (wait_active(&c->drain))
        wait_fail(&c->drain, reason, NULL);
    l_response_drained(c, reason);
    if (why != CLOSED_DONE)
        plugin_api_over(c, reason);
    if (why != CLOSED_DONE || x->bad_body)
        emit(c, CONTEXT_ABORTED);
    emit(c, CONTEXT_CLOSE);
    if (left)
        l_misuse_left(c, false);
    else if (is_unread(x))
        l_misuse_unread(c);
    l_record_closed(c, why);
    if (c->live > 1)
        list_push(&orphans, &x->link);
    context_drop(script_thread(), c);
}

const struct handler l_exchange_handler = {
    .on_request = on_request,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_sent = on_sent,
    .on_timeout = on_timeout,
    .on_refused = on_refused,
    .on_connect = on_connect,
    .on_disconnect = l_socket_closed,
    .on_close = on_close,
};

/* ---- for lua/node/http.lua */

/* [-0, +0, m] setup(request_meta, response_meta, emit): what make() and the
 * events use. */
static int setup(lua_State *L)
{
    request_meta = slot_of(L, 1);
    response_meta = slot_of(L, 2);
    emit_function = slot_of(L, 3);
    return 0;
}

/* [-0, +1, v] req(res) -> req */
static int req_of(lua_State *L)
{
    context_check(L, 1);
    lua_rawgeti(L, 1, 1);
    compat_getuservalue(L, -1);
    return 1;
}

/* [-0, +1, v] watch(req or res, events) -> true: has the events told to emit;
 * false where the exchange is over. */
static int watch(lua_State *L)
{
    struct context *c = context_check(L, 1);

    c->events |= (unsigned)luaL_checkinteger(L, 2);
    if (c->x != NULL && (c->events & (CONTEXT_FINISH | CONTEXT_CLOSE)))
        c->x->want_sent = true;
    lua_pushboolean(L, !c->closed);
    return 1;
}

/* [-0, +1, v] holdContinue(req) -> whether the client waits for 100 Continue,
 * which from now on is sent by res:writeContinue alone. */
static int hold_continue(lua_State *L)
{
    struct context *c = context_check(L, 1);
    bool waits = c->x != NULL && c->x->expects;

    if (waits)
        c->x->by_hand = true;
    lua_pushboolean(L, waits);
    return 1;
}

/* [-0, +0, v] expire(req): its time is over: who waits for its body gets nil,
 * "timeout", now and from now on. */
static int expire(lua_State *L)
{
    struct context *c = context_check(L, 1);

    c->late = true;
    wait_fail(&c->read, "timeout", NULL);
    return 0;
}

/* [-0, +3, v] told(res) -> the status that the client was sent (nil where none
 * was), the bytes of the body, the seconds since the request's head; nothing
 * where all is forgotten */
static int told(lua_State *L)
{
    const struct exchange *x = context_check(L, 1)->x;

    if (x == NULL)
        return 0;
    if (x->head_sent)
        lua_pushinteger(L, x->status);
    else
        lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)x->sent);
    lua_pushnumber(L, (double)clock_monotonic() / 1e9 - x->began);
    return 3;
}

/* [-0, +0, m] onFail(fn): fn(err, res) answers where a request has failed and
 * nothing of its head has left. */
static int on_fail(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    failure_set_hook(L);
    return 0;
}

/* [-0, +1, m] reported() -> the traceback of what onFail's fn is called for,
 * until it waits */
static int get_reported(lua_State *L)
{
    failure_push_reported(L);
    return 1;
}

/* [-0, +0, v] fail(res, status[, text]): answers with that status, as a failure
 * does that nobody handles. */
static int fail(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct str text = {NULL, 0};

    if (!lua_isnoneornil(L, 3))
        text.p = luaL_checklstring(L, 3, &text.n);
    context_fail(c, (int)luaL_checkinteger(L, 2), text);
    return 0;
}

void l_exchange_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"setup", setup},    {"req", req_of},
        {"onFail", on_fail}, {"reported", get_reported},
        {"fail", fail},      {"watch", watch},
        {"expire", expire},  {"holdContinue", hold_continue},
        {"told", told},      {NULL, NULL}};
    static const luaL_Reg makers[] = {
        {"make", make}, {"take", take}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, "method");
    lua_pushliteral(L, "url");
    lua_pushliteral(L, "GET");
    luaL_setfuncs(L, makers, 3);
}
