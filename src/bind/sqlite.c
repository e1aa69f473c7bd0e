/* luaserve.bind.sqlite: connections to SQLite whose statements run on the
 * thread pool. One connection runs one job at a time; who may use it when (the
 * pool, transactions) is decided in lua/luaserve/sqlite.lua. A job copies what
 * it is given and collects its rows in memory of C; only its end touches Lua.
 *
 * Left out: cursors over rows, since a connection that waits for Lua would hold
 * its transaction open; a result has a limit instead. */
#include "bind/bytes.h"
#include "bind/sqlite_query.h"
#include "bind/sqlite_readers.h"
#include "script/plugin.h"

#define CONNECTION "luaserve.sqlite.connection"
#define READERS "luaserve.sqlite.readers"

static const struct plugin *plugin;
static int null_key; /* its address: what else stands for NULL, json.null */

/* ---- results */

static void push_value(lua_State *L, const struct value *v)
{
    switch (v->type) {
    case SQLITE_INTEGER:
        lua_pushinteger(L, (lua_Integer)v->integer);
        break;
    case SQLITE_FLOAT:
        lua_pushnumber(L, v->real);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        lua_pushlstring(L, v->text.p, v->text.n);
        break;
    default:
        lua_pushnil(L);
    }
}

/* [-0, +1, m] The rows, each a table by column. */
static void push_rows(lua_State *L, const struct query *q)
{
    size_t rows = q->ncolumns ? q->ncells / (size_t)q->ncolumns : 0, r;
    int first, i;

    luaL_checkstack(L, q->ncolumns + 8, "too many columns");
    lua_createtable(L, (int)rows, 0);
    first = lua_gettop(L) + 1;
    for (i = 0; i < q->ncolumns; i++)
        lua_pushstring(L, q->names[i]);
    for (r = 0; r < rows; r++) {
        lua_createtable(L, 0, q->ncolumns);
        for (i = 0; i < q->ncolumns; i++) {
            lua_pushvalue(L, first + i);
            push_value(L, &q->cells[r * (size_t)q->ncolumns + (size_t)i]);
            lua_rawset(L, -3);
        }
        lua_rawseti(L, first - 1, (int)r + 1);
    }
    lua_settop(L, first - 1);
}

/* nil, rows, changes, rowid; or an error */
static int push_result(lua_State *L, void *arg)
{
    struct query *q = arg;

    if (q->status != SQLITE_OK) {
        plugin->push_error(L, q->message, sqlite_query_code(q));
        return 1;
    }
    lua_pushnil(L);
    if (q->kind == SQLITE_QUERY_OPEN) {
        lua_pushboolean(L, 1);
        return 2;
    }
    push_rows(L, q);
    lua_pushinteger(L, (lua_Integer)q->changes);
    lua_pushinteger(L, (lua_Integer)q->rowid);
    return 4;
}

static void run(void *arg)
{
    sqlite_query_run(arg);
}

static void done(void *arg, bool cancelled)
{
    struct query *q = arg;
    struct connection *c = q->c;

    if (cancelled)
        sqlite_query_fail(q, SQLITE_INTERRUPT, "the process ends");
    c->running = NULL;
    c->telling++; /* Lua goes on, and may close c or begin another query */
    plugin->wait_settle(q->wait, push_result, q);
    c->telling--;
    sqlite_query_free(q);
    if (c->closing && c->running == NULL && c->telling == 0)
        sqlite_query_close(c);
}

/* Nobody waits any more: a long query is not worth its time. What it had
 * written is rolled back with its statement or its transaction. */
static void on_over(void *arg, const char *why)
{
    struct connection *c = arg;

    (void)why;
    if (c->running != NULL && c->running->kind == SQLITE_QUERY_RUN)
        sqlite3_interrupt(c->db);
}

/* ---- Lua */

static struct connection *check_connection(lua_State *L)
{
    struct connection **box = luaL_checkudata(L, 1, CONNECTION);

    if (*box == NULL)
        luaL_error(L, "the connection is closed");
    return *box;
}

/* [-0, +0, v] Copies the value at index i into v, of q. */
static void read_value(lua_State *L, int i, struct query *q, struct value *v)
{
    size_t n;
    const char *p;

    switch (lua_type(L, i)) {
    case LUA_TNUMBER:
#if LUA_VERSION_NUM >= 503
        if (lua_isinteger(L, i)) {
            v->type = SQLITE_INTEGER;
            v->integer = lua_tointeger(L, i);
            return;
        }
#endif
        v->type = SQLITE_FLOAT;
        v->real = lua_tonumber(L, i);
        if (v->real == (double)(int64_t)v->real &&
            v->real < 9007199254740992. && v->real > -9007199254740992.) {
            v->type = SQLITE_INTEGER;
            v->integer = (int64_t)v->real;
        }
        return;
    case LUA_TBOOLEAN:
        v->type = SQLITE_INTEGER;
        v->integer = lua_toboolean(L, i);
        return;
    case LUA_TSTRING:
        p = lua_tolstring(L, i, &n);
        v->type = SQLITE_TEXT;
        break;
    default: /* checked: a blob */
        lua_rawgeti(L, i, 1);
        p = lua_tolstring(L, -1, &n);
        v->type = SQLITE_BLOB;
        lua_pop(L, 1); /* the table holds it */
    }
    v->text.p = sqlite_query_copy(q, p, n);
    v->text.n = n;
}

static int is_null(lua_State *L, int i)
{
    int same;

    if (lua_isnoneornil(L, i))
        return 1;
    lua_pushlightuserdata(L, &null_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    same = lua_rawequal(L, i, -1);
    lua_pop(L, 1);
    return same;
}

/* [-0, +0, v] Raises where the value at i, the k-th, cannot be stored. */
static void check_value(lua_State *L, int i, int k)
{
    int type = lua_type(L, i);

    if (type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN ||
        is_null(L, i) || bytes_test(L, i))
        return;
    luaL_error(L,
               "value %d is a %s: SQLite stores numbers, strings, booleans, "
               "nil and sqlite.blob(text)",
               k, lua_typename(L, type));
}

static int start(lua_State *L, struct plugin_wait *w, struct query *q)
{
    q->wait = w;
    q->c->running = q;
    plugin->work(run, done, q);
    return plugin->wait_return(L, w);
}

/* [-?, +?, v] Raises what the arguments sql, limit, n, ... of run do not allow;
 * n values follow. Returns n. */
static int check_arguments(lua_State *L)
{
    int n = (int)luaL_checkinteger(L, 4), i;

    luaL_checklstring(L, 2, NULL);
    luaL_checkinteger(L, 3);
    luaL_checkstack(L, n + 8, "too many values");
    lua_settop(L, 4 + n);
    for (i = 1; i <= n; i++)
        check_value(L, 4 + i, i);
    return n;
}

/* [-0, +0, -] A query of these arguments, which have been checked. */
static struct query *read_query(lua_State *L, struct connection *c, int n)
{
    size_t length;
    const char *sql = lua_tolstring(L, 2, &length);
    struct query *q = sqlite_query_new(c, SQLITE_QUERY_RUN, sql, length);
    int i;

    q->limit = (size_t)lua_tointeger(L, 3);
    q->params = sqlite_query_take(q, ((size_t)n + 1) * sizeof *q->params);
    q->nparams = n;
    for (i = 1; i <= n; i++) {
        q->params[i - 1].type = SQLITE_NULL;
        if (!is_null(L, 4 + i))
            read_value(L, 4 + i, q, &q->params[i - 1]);
    }
    return q;
}

/* connection:run(sql, limit, n, ...) -> rows, changes, rowid; waits */
static int run_lua(lua_State *L)
{
    struct connection *c = check_connection(L);
    int n = check_arguments(L);
    struct plugin_wait *w;

    if (c->running != NULL)
        return luaL_error(L, "the connection is at work");
    w = plugin->wait_begin(L, 0, on_over, c); /* the last that raises */
    return start(L, w, read_query(L, c, n));
}

/* ---- readers */

static void told(struct query *q)
{
    plugin->wait_settle(q->wait, push_result, q);
    sqlite_query_free(q);
}

static void on_reader_over(void *arg, const char *why)
{
    struct query *q = arg;

    (void)why;
    sqlite_readers_stop(q->readers, q);
}

static struct readers *check_readers(lua_State *L)
{
    struct readers **box = luaL_checkudata(L, 1, READERS);

    if (*box == NULL)
        luaL_error(L, "the database is closed");
    return *box;
}

/* readers() -> connections that share a queue of queries; none yet */
static int new_readers(lua_State *L)
{
    struct readers **box;

    box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, READERS);
    lua_setmetatable(L, -2);
    *box = sqlite_readers_new(plugin, told);
    return 1;
}

/* readers:add(connection): takes one that is open */
static int readers_add(lua_State *L)
{
    struct readers *r = check_readers(L);
    struct connection **box = luaL_checkudata(L, 2, CONNECTION), *c = *box;

    if (c == NULL || c->db == NULL || c->running != NULL)
        return luaL_error(L, "the connection is not open, or at work");
    *box = NULL;
    sqlite_readers_add(r, c);
    return 0;
}

/* readers:idle() -> whether a query would not have to wait */
static int readers_idle(lua_State *L)
{
    lua_pushboolean(L, sqlite_readers_idle(check_readers(L)));
    return 1;
}

/* readers:run(sql, limit, n, ...) as for a connection */
static int readers_run(lua_State *L)
{
    static struct query *begun; /* where wait_begin has raised */
    struct readers *r = check_readers(L);
    int n = check_arguments(L);
    struct plugin_wait *w;
    struct query *q;

    if (begun != NULL)
        sqlite_query_free(begun);
    begun = q = read_query(L, NULL, n);
    w = plugin->wait_begin(L, 0, on_reader_over, q);
    begun = NULL;
    q->wait = w;
    sqlite_readers_run(r, q);
    return plugin->wait_return(L, w);
}

/* readers:fail(message): all that wait, since there is no connection */
static int readers_fail(lua_State *L)
{
    sqlite_readers_fail(check_readers(L), SQLITE_CANTOPEN,
                        luaL_checkstring(L, 2));
    return 0;
}

/* readers:close(): each connection, when its query has ended */
static int readers_close(lua_State *L)
{
    struct readers **box = luaL_checkudata(L, 1, READERS);
    struct readers *r = *box;

    *box = NULL;
    if (r != NULL)
        sqlite_readers_free(r);
    return 0;
}

/* new() -> a connection that is not open yet */
static int new_connection(lua_State *L)
{
    struct connection **box;

    box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, CONNECTION);
    lua_setmetatable(L, -2);
    *box = sqlite_query_alloc(sizeof **box);
    return 1;
}

/* connection:open(path, reads_only) -> true; waits */
static int open_lua(lua_State *L)
{
    struct connection *c = check_connection(L);
    size_t n;
    const char *path = luaL_checklstring(L, 2, &n);
    struct plugin_wait *w;
    struct query *q;

    if (c->running != NULL || c->db != NULL)
        return luaL_error(L, "the connection is open");
    w = plugin->wait_begin(L, 0, on_over, c);
    q = sqlite_query_new(c, SQLITE_QUERY_OPEN, path, n);
    q->flags =
        SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
        (lua_toboolean(L, 3) ? SQLITE_OPEN_READONLY
                             : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    return start(L, w, q);
}

/* connection:close(): at once, or when what runs has ended */
static int close_lua(lua_State *L)
{
    struct connection **box = luaL_checkudata(L, 1, CONNECTION);
    struct connection *c = *box;

    *box = NULL;
    if (c == NULL)
        return 0;
    if (c->running != NULL || c->telling > 0)
        c->closing = 1;
    else
        sqlite_query_close(c);
    return 0;
}

/* connection:busy() -> whether something runs in it */
static int busy(lua_State *L)
{
    lua_pushboolean(L, check_connection(L)->running != NULL);
    return 1;
}

/* null(value): this value stands for NULL */
static int null(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushlightuserdata(L, &null_key);
    lua_pushvalue(L, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return 0;
}

/* [-0, +0, m] */
static void new_class(lua_State *L, const char *name, const luaL_Reg *methods,
                      lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int luaopen_luaserve_bind_sqlite(lua_State *L)
{
    static const luaL_Reg methods[] = {{"open", open_lua},
                                       {"run", run_lua},
                                       {"busy", busy},
                                       {"close", close_lua},
                                       {NULL, NULL}};
    static const luaL_Reg readers[] = {
        {"add", readers_add},   {"idle", readers_idle},   {"run", readers_run},
        {"fail", readers_fail}, {"close", readers_close}, {NULL, NULL}};

    plugin = plugin_of(L);
    /* Nobody asks for its statistics, which cost a lock for each block. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    new_class(L, CONNECTION, methods, close_lua);
    new_class(L, READERS, readers, readers_close);
    bytes_open(L);
    lua_createtable(L, 0, 5);
    lua_pushcfunction(L, null);
    lua_setfield(L, -2, "null");
    lua_pushcfunction(L, new_connection);
    lua_setfield(L, -2, "new");
    lua_pushcfunction(L, new_readers);
    lua_setfield(L, -2, "readers");
    lua_pushcfunction(L, bytes_new);
    lua_setfield(L, -2, "blob");
    lua_pushstring(L, sqlite3_libversion());
    lua_setfield(L, -2, "version");
    return 1;
}
