/* luaserve.bind.postgres: connections to PostgreSQL, by libpq's asynchronous
 * calls on the loop. One connection has one query in flight; who may use it
 * when (the pool, transactions) is decided in lua/luaserve/postgres.lua. A
 * query that nobody waits for any more is cancelled, on a thread, since libpq's
 * call for that blocks. Left out: rows one by one; a result is whole. */
#include <stdio.h>
#include <string.h>

#include "bind/postgres_result.h"
#include "bind/postgres_values.h"

#define CONNECTION "luaserve.postgres.connection"

enum { REASON = 512, CODE = 16 };

enum doing { IDLE, CONNECTING, QUERYING };

struct connection {
    PGconn *pg; /* NULL: closed */
    struct plugin_watch *watch;
    struct plugin_timer *timer;
    double timeout; /* seconds, of each answer; 0: none */
    enum doing doing;
    struct plugin_wait *wait;   /* of what it is doing */
    struct plugin_wait *hearer; /* of a notification */
    PGnotify *notice;           /* for it */
    PGresult *result;           /* the last one, or the first failure */
    bool flushing, lost;
    char reason[REASON], code[CODE];
    int inside; /* calls of events that have not returned */
    bool doomed;
};

static const struct plugin *plugin;

static void on_event(void *arg, int events);
static void leave(struct connection *c);

/* ---- failures */

static void set_failure(struct connection *c, const char *reason,
                        const char *code)
{
    snprintf(c->reason, sizeof c->reason, "%.*s", (int)strcspn(reason, "\n"),
             reason); /* hints follow in further lines */
    snprintf(c->code, sizeof c->code, "%s", code);
}

/* libpq tells the failures of connections as texts alone. */
static const char *code_of(const char *message)
{
    static const struct {
        const char *text, *code;
    } known[] = {{"Connection refused", "ECONNREFUSED"},
                 {"No such file", "ENOENT"},
                 {"timeout expired", "ETIMEDOUT"},
                 {"could not translate host name", "ENOTFOUND"},
                 {"password authentication failed", "28P01"},
                 {"no password supplied", "28P01"},
                 {"too many c", "53300"},
                 {"starting up", "57P03"},
                 {"shutting down", "57P03"},
                 {"certificate", "ERR_TLS_CERT"},
                 {"does not exist", "3D000"}};
    size_t i;

    for (i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(message, known[i].text) != NULL)
            return known[i].code;
    return "ECONNRESET";
}

static void lose(struct connection *c)
{
    const char *message = c->pg != NULL ? PQerrorMessage(c->pg) : "closed";

    if (c->lost)
        return;
    c->lost = true;
    set_failure(c, message, code_of(message));
}

/* ---- who waits */

static int push_failure(lua_State *L, const struct connection *c)
{
    plugin->push_error(L, c->reason, c->code);
    return 1;
}

static int push_result(lua_State *L, void *arg)
{
    struct connection *c = arg;
    const char *state;

    if (c->lost)
        return push_failure(L, c);
    if (c->result == NULL) {
        lua_pushnil(L);
        lua_pushboolean(L, 1);
        return 2;
    }
    if (PQresultStatus(c->result) == PGRES_FATAL_ERROR ||
        PQresultStatus(c->result) == PGRES_BAD_RESPONSE) {
        state = PQresultErrorField(c->result, PG_DIAG_SQLSTATE);
        set_failure(c,
                    PQresultErrorField(c->result, PG_DIAG_MESSAGE_PRIMARY)
                        ? PQresultErrorField(c->result, PG_DIAG_MESSAGE_PRIMARY)
                        : PQresultErrorMessage(c->result),
                    state != NULL ? state : "ECONNRESET");
        return push_failure(L, c);
    }
    lua_pushnil(L);
    return 1 + postgres_result_push(L, c->result);
}

static void settle(struct connection *c)
{
    struct plugin_wait *w = c->wait;

    c->doing = IDLE;
    c->wait = NULL;
    plugin->timer_set(c->timer, -1);
    if (c->watch != NULL)
        plugin->watch_keep(c->watch, c->hearer != NULL);
    if (w != NULL)
        plugin->wait_settle(w, push_result, c);
}

/* nil, payload, channel */
static int push_notice(lua_State *L, void *arg)
{
    struct connection *c = arg;

    if (c->notice == NULL)
        return push_failure(L, c);
    lua_pushnil(L);
    lua_pushstring(L, c->notice->extra);
    lua_pushstring(L, c->notice->relname);
    PQfreemem(c->notice);
    c->notice = NULL;
    return 3;
}

/* Wakes who hears, where there is something to hear. */
static void tell(struct connection *c)
{
    struct plugin_wait *w = c->hearer;

    if (w == NULL)
        return;
    if (!c->lost && c->pg != NULL)
        c->notice = PQnotifies(c->pg);
    if (c->notice == NULL && !c->lost)
        return;
    c->hearer = NULL;
    plugin->wait_settle(w, push_notice, c);
}

/* ---- the loop */

static void watch(struct connection *c)
{
    if (c->watch != NULL)
        plugin->watch_set(c->watch,
                          PLUGIN_READ | (c->flushing ? PLUGIN_WRITE : 0));
}

static void flush(struct connection *c)
{
    int left = PQflush(c->pg);

    c->flushing = left > 0;
    if (left < 0)
        lose(c);
}

/* Keeps the first failure, else the last result. */
static void keep(struct connection *c, PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);

    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
        status == PGRES_COPY_BOTH) {
        set_failure(c, "COPY is not supported here: use psql", "0A000");
        c->lost = true;
    }
    if (c->result != NULL && PQresultStatus(c->result) == PGRES_FATAL_ERROR) {
        PQclear(r);
        return;
    }
    PQclear(c->result);
    c->result = r;
}

static void on_answer(struct connection *c)
{
    PGresult *r;

    while (!c->lost && !PQisBusy(c->pg)) {
        r = PQgetResult(c->pg);
        if (r == NULL) {
            if (PQstatus(c->pg) == CONNECTION_BAD && c->result == NULL)
                lose(c);
            settle(c);
            return;
        }
        keep(c, r);
    }
    if (c->lost)
        settle(c);
}

/* Notices and warnings; libpq would print them. */
static void ignore(void *arg, const char *message)
{
    (void)arg, (void)message;
}

static void on_connecting(struct connection *c)
{
    PostgresPollingStatusType status;

    plugin->watch_free(c->watch); /* the socket may be another one behind it */
    c->watch = NULL;
    status = PQconnectPoll(c->pg);
    if (status == PGRES_POLLING_FAILED) {
        lose(c);
        settle(c);
        return;
    }
    c->watch = plugin->watch_new(PQsocket(c->pg), on_event, c);
    if (status != PGRES_POLLING_OK) {
        plugin->watch_set(c->watch, status == PGRES_POLLING_READING
                                        ? PLUGIN_READ
                                        : PLUGIN_WRITE);
        return;
    }
    PQsetnonblocking(c->pg, 1);
    PQsetNoticeProcessor(c->pg, ignore, NULL);
    watch(c);
    settle(c);
}

static void on_event(void *arg, int events)
{
    struct connection *c = arg;

    c->inside++;
    if (c->doing == CONNECTING) {
        on_connecting(c);
    } else {
        if (events & PLUGIN_WRITE && c->flushing)
            flush(c);
        if (!c->lost && PQconsumeInput(c->pg) == 0)
            lose(c);
        if (c->doing == QUERYING)
            on_answer(c);
        if (c->pg != NULL)
            tell(c);
        if (c->lost && c->watch != NULL)
            plugin->watch_set(c->watch, 0);
        else
            watch(c);
    }
    leave(c);
}

/* ---- ends */

static void run_cancel(void *cancel)
{
    char reason[256];

    PQcancel(cancel, reason, sizeof reason);
}

static void cancelled(void *cancel, bool never)
{
    (void)never;
    PQfreeCancel(cancel);
}

static void cancel(struct connection *c)
{
    PGcancel *how = c->pg != NULL && c->doing == QUERYING && !c->lost
                        ? PQgetCancel(c->pg)
                        : NULL;

    if (how != NULL)
        plugin->work(run_cancel, cancelled, how);
}

/* Nobody waits for the query any more: it is not worth the server's time. */
static void on_over(void *arg, const char *why)
{
    struct connection *c = arg;
    struct plugin_wait *w = c->wait;

    (void)why;
    cancel(c);
    c->wait = NULL;
    plugin->wait_settle(w, push_result, c);
}

static void hearer_over(void *arg, const char *why)
{
    struct connection *c = arg;
    struct plugin_wait *w = c->hearer;

    (void)why;
    c->hearer = NULL;
    plugin->wait_settle(w, push_notice, c);
}

static void on_time(void *arg)
{
    struct connection *c = arg;
    char reason[64];

    snprintf(reason, sizeof reason, "there was no %s in %g s",
             c->doing == CONNECTING ? "connection" : "answer", c->timeout);
    c->inside++;
    cancel(c);
    c->lost = true;
    set_failure(c, reason, "ETIMEDOUT");
    settle(c);
    leave(c);
}

/* ---- Lua */

static struct connection *check(lua_State *L)
{
    struct connection *c =
        *(struct connection **)luaL_checkudata(L, 1, CONNECTION);

    if (c->doing != IDLE)
        luaL_error(L, "the connection is at work");
    return c;
}

static int fail(lua_State *L, const struct connection *c)
{
    lua_pushnil(L);
    lua_pushstring(L, c->lost ? c->reason : "not connected");
    lua_pushstring(L, c->lost ? c->code : "ENOTCONN");
    return 3;
}

/* Waits for what was sent with w, unless that failed. */
static int await(lua_State *L, struct connection *c, struct plugin_wait *w,
                 int sent)
{
    if (!sent) {
        plugin->wait_forget(w);
        lose(c);
        return fail(L, c);
    }
    PQclear(c->result);
    c->result = NULL;
    c->wait = w;
    if (c->timeout > 0)
        plugin->timer_set(c->timer, c->timeout);
    if (c->doing == QUERYING) {
        flush(c); /* a failure is seen when the socket is read */
        watch(c);
        plugin->watch_keep(c->watch, true);
    }
    return plugin->wait_return(L, w);
}

/* connection:connect({name, value...}, seconds) -> true; waits */
static int connect_lua(lua_State *L)
{
    enum { OPTIONS = 64 };
    struct connection *c = check(L);
    const char *names[OPTIONS + 1] = {NULL}, *values[OPTIONS + 1] = {NULL};
    struct plugin_wait *w;
    int i;

    luaL_checktype(L, 2, LUA_TTABLE);
    c->timeout = luaL_checknumber(L, 3);
    luaL_checkstack(L, 2 * OPTIONS + 8, NULL);
    for (i = 0; i < OPTIONS; i++) {
        lua_rawgeti(L, 2, 2 * i + 1);
        lua_rawgeti(L, 2, 2 * i + 2);
        if (!lua_isstring(L, -2))
            break;
        names[i] = lua_tostring(L, -2);
        values[i] = luaL_checkstring(L, -1);
    }
    if (c->pg != NULL)
        return luaL_error(L, "the connection is open");
    w = plugin->wait_begin(L, 0, on_over, c);
    c->pg = PQconnectStartParams(names, values, 0);
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD)
        return await(L, c, w, 0);
    c->doing = CONNECTING;
    c->watch = plugin->watch_new(PQsocket(c->pg), on_event, c);
    plugin->watch_set(c->watch, PLUGIN_WRITE);
    return await(L, c, w, 1);
}

/* connection:run(sql, prepared, n, ...) -> rows, changes, command, json
 * columns; waits. sql is the name of a statement where prepared. */
static int run(lua_State *L)
{
    struct connection *c = check(L);
    const char *sql = luaL_checkstring(L, 2);
    bool prepared = lua_toboolean(L, 3);
    int n = (int)luaL_checkinteger(L, 4), sent;
    struct plugin_wait *w;
    struct postgres_values p;

    if (c->lost || c->pg == NULL)
        return fail(L, c);
    if (n > POSTGRES_VALUES_MAX)
        return luaL_error(L, "a statement takes up to 65535 values");
    lua_settop(L, 4 + n);
    p = postgres_values_read(L, 5, n);
    w = plugin->wait_begin(L, 0, on_over, c);
    if (prepared)
        sent = PQsendQueryPrepared(c->pg, sql, n, p.texts, p.lengths, p.formats,
                                   0);
    else if (n > 0)
        sent = PQsendQueryParams(c->pg, sql, n, NULL, p.texts, p.lengths,
                                 p.formats, 0);
    else
        sent = PQsendQuery(c->pg, sql);
    c->doing = sent ? QUERYING : IDLE;
    return await(L, c, w, sent);
}

/* connection:prepare(name, sql) -> true; waits */
static int prepare(lua_State *L)
{
    struct connection *c = check(L);
    const char *name = luaL_checkstring(L, 2), *sql = luaL_checkstring(L, 3);
    struct plugin_wait *w;
    int sent;

    if (c->lost || c->pg == NULL)
        return fail(L, c);
    w = plugin->wait_begin(L, 0, on_over, c);
    sent = PQsendPrepare(c->pg, name, sql, 0, NULL);
    c->doing = sent ? QUERYING : IDLE;
    return await(L, c, w, sent);
}

/* connection:notification() -> payload, channel; waits */
static int notification(lua_State *L)
{
    struct connection *c =
        *(struct connection **)luaL_checkudata(L, 1, CONNECTION);

    if (c->hearer != NULL)
        return luaL_error(L, "somebody listens already");
    if (c->lost || c->pg == NULL)
        return fail(L, c);
    c->notice = PQnotifies(c->pg);
    if (c->notice != NULL)
        return push_notice(L, c) - 1;
    c->hearer = plugin->wait_begin(L, 0, hearer_over, c);
    plugin->watch_keep(c->watch, true);
    return plugin->wait_return(L, c->hearer);
}

/* connection:state() -> "idle", "busy" or "lost", "idle", "transaction" or
 * "failed" */
static int state(lua_State *L)
{
    struct connection *c =
        *(struct connection **)luaL_checkudata(L, 1, CONNECTION);
    PGTransactionStatusType status =
        c->pg != NULL ? PQtransactionStatus(c->pg) : PQTRANS_UNKNOWN;

    lua_pushstring(L, c->lost || c->pg == NULL ? "lost"
                      : c->doing != IDLE       ? "busy"
                                               : "idle");
    lua_pushstring(L, status == PQTRANS_IDLE      ? "idle"
                      : status == PQTRANS_INTRANS ? "transaction"
                                                  : "failed");
    return 2;
}

/* connection:limit(seconds): of every query from now on; 0: none */
static int limit(lua_State *L)
{
    struct connection *c =
        *(struct connection **)luaL_checkudata(L, 1, CONNECTION);

    c->timeout = luaL_checknumber(L, 2);
    return 0;
}

/* ---- making and freeing */

static void disconnect(struct connection *c)
{
    plugin->watch_free(c->watch);
    c->watch = NULL;
    PQclear(c->result);
    c->result = NULL;
    if (c->pg != NULL)
        PQfinish(c->pg);
    c->pg = NULL;
}

/* connection:close(); who waits gets an error */
static int close_lua(lua_State *L)
{
    struct connection *c =
        *(struct connection **)luaL_checkudata(L, 1, CONNECTION);

    if (!c->lost)
        set_failure(c, "the connection was closed", "ECONNRESET");
    cancel(c);
    c->lost = true;
    c->inside++;
    disconnect(c);
    settle(c);
    tell(c);
    leave(c);
    return 0;
}

static void connection_free(struct connection *c)
{
    disconnect(c);
    if (c->wait != NULL)
        plugin->wait_forget(c->wait);
    if (c->hearer != NULL)
        plugin->wait_forget(c->hearer);
    plugin->timer_free(c->timer);
    plugin->memory(c, 0);
}

static void leave(struct connection *c)
{
    if (--c->inside == 0 && c->doomed)
        connection_free(c);
}

static int collect(lua_State *L)
{
    struct connection **box = luaL_checkudata(L, 1, CONNECTION);

    if (*box != NULL && (*box)->inside > 0)
        (*box)->doomed = true;
    else if (*box != NULL)
        connection_free(*box);
    *box = NULL;
    return 0;
}

static int new_connection(lua_State *L)
{
    struct connection **box = lua_newuserdata(L, sizeof *box), *c;

    *box = NULL;
    luaL_getmetatable(L, CONNECTION);
    lua_setmetatable(L, -2);
    c = plugin->memory(NULL, sizeof *c);
    memset(c, 0, sizeof *c);
    c->timer = plugin->timer_new(on_time, c, true);
    *box = c;
    return 1;
}

int luaopen_luaserve_bind_postgres(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"connect", connect_lua},       {"run", run},
        {"prepare", prepare},           {"limit", limit},
        {"notification", notification}, {"state", state},
        {"close", close_lua},           {NULL, NULL}};

    plugin = plugin_of(L);
    luaL_newmetatable(L, CONNECTION);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, new_connection);
    lua_setfield(L, -2, "new");
    postgres_values_push_maker(L);
    lua_setfield(L, -2, "bytea");
    return 1;
}
