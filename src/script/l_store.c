/* The module luaserve.core.store, of which lua/luaserve/store.lua makes
 * luaserve.store: tables of proc/store, with values of Lua. Calls answer at
 * once: they take microseconds. What a call is about to write is encoded before
 * the store is touched, and what it has read is copied before Lua gets it, so
 * that nothing raises while the store is locked.
 *
 * Once a second the next entries are looked at for those that have expired, and
 * a file is brought to its disk, on a thread. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "script/l_store.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/store_value.h"

#define TABLE "luaserve.store"

enum { SCRATCH_KEPT = 1024 * 1024 };

static const double TTL_MAX = 1e11; /* seconds */
static const double SWEEP_PAUSE = 1, SWEEP_PAUSE_BUSY = 0.02;

static struct ev_timer timer;
static struct job sync_job;
static bool is_syncing;
static int sync_failure;
static struct bytes scratch; /* what is being written */

/* ---- housekeeping ---- */

static void run_sync(struct job *job)
{
    (void)job;
    sync_failure = store_sync();
}

static void done_sync(struct job *job)
{
    (void)job;
    is_syncing = false;
    if (sync_failure != 0)
        log_error("the store cannot be written to the disk: %s",
                  strerror(sync_failure));
}

static void on_timer(struct ev_loop *ev, struct ev_timer *t, int events)
{
    (void)events;
    t->repeat = store_sweep() > 0 ? SWEEP_PAUSE_BUSY : SWEEP_PAUSE;
    ev_timer_again(ev, t);
    if (is_syncing || !store_take_dirty())
        return;
    is_syncing = true;
    sync_failure = 0;
    sync_job.run = run_sync;
    sync_job.done = done_sync;
    work_submit(script_state.work, &sync_job);
}

static void start_housekeeping(void)
{
    if (ev_is_active(&timer))
        return;
    ev_timer_init(&timer, on_timer, SWEEP_PAUSE, SWEEP_PAUSE);
    ev_timer_start(script_state.loop->ev, &timer);
    ev_unref(script_state.loop->ev); /* no reason to go on */
}

/* ---- arguments and results ---- */

struct store *l_store_check(lua_State *L, int i)
{
    return *(struct store **)luaL_checkudata(L, i, TABLE);
}

/* [-0, +3, m] */
static int fail(lua_State *L, const char *message, const char *code)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

int l_store_fail(lua_State *L)
{
    return fail(L, store_error(), store_is_busy() ? "EBUSY" : "ESTORE");
}

/* The key at 2, or NULL where it is too long or empty; then what is returned
 * has been pushed. */
static const char *check_key(lua_State *L, size_t *n)
{
    const char *key;

    if (lua_type(L, 2) != LUA_TSTRING && lua_type(L, 2) != LUA_TNUMBER)
        luaL_error(L, "a key of the store is a string or a number, not %s",
                   lua_isnoneornil(L, 2) ? "nil" : luaL_typename(L, 2));
    key = lua_tolstring(L, 2, n);
    if (*n > 0 && *n <= STORE_KEY_MAX)
        return key;
    lua_pushnil(L);
    lua_pushfstring(L, "a key of the store has 1 to %d bytes, not %d",
                    (int)STORE_KEY_MAX, (int)*n);
    lua_pushstring(L, "E2BIG");
    return NULL;
}

/* The expiry that the seconds at i mean; 0 where there are none. */
static uint64_t check_ttl(lua_State *L, int i)
{
    lua_Number ttl;

    if (lua_isnoneornil(L, i))
        return 0;
    ttl = luaL_checknumber(L, i);
    if (!(ttl > 0 && ttl < TTL_MAX))
        luaL_argerror(L, i, "a ttl is a number of seconds above 0");
    return store_now() + (uint64_t)ceil(ttl * 1000);
}

/* Encodes the value at i into scratch. Returns 0, or, where it is too big, what
 * has been pushed to be returned. */
static int encode(lua_State *L, struct store *store, int i)
{
    if (scratch.cap > SCRATCH_KEPT)
        bytes_clear(&scratch);
    scratch.n = 0;
    if (store_value_encode(L, i, &scratch) < 0) {
        lua_pushlstring(L, scratch.p, scratch.n);
        return luaL_error(L,
                          "store: %s; it holds strings, numbers, booleans "
                          "and tables of these",
                          lua_tostring(L, -1));
    }
    if (scratch.n <= store_value_max(store))
        return 0;
    lua_pushnil(L);
    lua_pushfstring(L,
                    "the value has %d bytes, and this store takes %d; a "
                    "bigger file (--store-size) or maxBytes takes more",
                    (int)scratch.n, (int)store_value_max(store));
    lua_pushstring(L, "E2BIG");
    return 3;
}

/* [-0, +1, m] Pushes the value of entry, nil where there is none. */
static int push_value(lua_State *L, const struct store_entry *entry)
{
    if (entry->version == 0)
        lua_pushnil(L);
    else if (store_value_decode(L, entry->value, entry->n) < 0)
        return fail(L, "the value is damaged, or of another version", "ESTORE");
    return 1;
}

/* ---- edits ---- */

struct edit {
    uint64_t version, expires;
    int64_t by;
    double by_real;
    bool is_real, was, keeps;
    int64_t result;
    double result_real;
    bool wrong;
};

static void fill(struct store_entry *entry, uint64_t expires)
{
    entry->value = scratch.p;
    entry->n = scratch.n;
    entry->expires = expires;
}

static enum store_edit edit_set(const struct store_entry *old,
                                struct store_entry *entry, void *arg)
{
    (void)old;
    fill(entry, ((struct edit *)arg)->expires);
    return STORE_WRITE;
}

static enum store_edit edit_add(const struct store_entry *old,
                                struct store_entry *entry, void *arg)
{
    struct edit *e = arg;

    e->was = old->version != 0;
    fill(entry, e->expires);
    return e->was ? STORE_KEEP : STORE_WRITE;
}

static enum store_edit edit_replace(const struct store_entry *old,
                                    struct store_entry *entry, void *arg)
{
    struct edit *e = arg;

    e->was = old->version != 0;
    fill(entry, e->expires);
    return e->was ? STORE_WRITE : STORE_KEEP;
}

static enum store_edit edit_delete(const struct store_entry *old,
                                   struct store_entry *entry, void *arg)
{
    (void)entry;
    ((struct edit *)arg)->was = old->version != 0;
    return STORE_REMOVE;
}

static enum store_edit edit_touch(const struct store_entry *old,
                                  struct store_entry *entry, void *arg)
{
    struct edit *e = arg;

    e->was = old->version != 0;
    if (!e->was)
        return STORE_KEEP;
    scratch.n = 0;
    bytes_append(&scratch, old->value, old->n);
    fill(entry, e->expires);
    return STORE_WRITE;
}

/* Writes where the version is still the one that was read. */
static enum store_edit edit_swap(const struct store_entry *old,
                                 struct store_entry *entry, void *arg)
{
    struct edit *e = arg;

    e->was = old->version == e->version;
    if (!e->was)
        return STORE_KEEP;
    if (scratch.n == 0)
        return old->version != 0 ? STORE_REMOVE : STORE_KEEP;
    fill(entry, e->keeps ? old->expires : e->expires);
    return STORE_WRITE;
}

static enum store_edit edit_incr(const struct store_entry *old,
                                 struct store_entry *entry, void *arg)
{
    struct edit *e = arg;
    int64_t n = 0, sum;
    double real = 0;
    int kind = 1;

    if (old->version != 0)
        kind = store_value_number(old->value, old->n, &n, &real);
    e->wrong = kind == 0;
    if (e->wrong)
        return STORE_KEEP;
    scratch.n = 0;
    e->is_real =
        e->by_real != 0 || kind == 2 || __builtin_add_overflow(n, e->by, &sum);
    if (e->is_real) {
        e->result_real = (kind == 2 ? real : (double)n) +
                         (e->by_real != 0 ? e->by_real : (double)e->by);
        store_value_put_real(&scratch, e->result_real);
    } else {
        e->result = sum;
        store_value_put_integer(&scratch, sum);
    }
    fill(entry, old->version != 0 ? old->expires : e->expires);
    return STORE_WRITE;
}

/* store:set(key, value, ttl) and its kin -> true, or whether it was done */
static int write_value(lua_State *L,
                       enum store_edit (*edit)(const struct store_entry *,
                                               struct store_entry *, void *),
                       bool wanted)
{
    struct store *store = l_store_check(L, 1);
    struct edit e = {.expires = check_ttl(L, 4)};
    size_t n;
    const char *key = check_key(L, &n);
    int pushed;

    if (key == NULL)
        return 3;
    luaL_checkany(L, 3);
    if (lua_isnil(L, 3))
        return luaL_error(L, "store: nil cannot be kept; use delete");
    pushed = encode(L, store, 3);
    if (pushed > 0)
        return pushed;
    e.was = wanted;
    if (store_edit(store, key, n, edit, &e) < 0)
        return l_store_fail(L);
    lua_pushboolean(L, e.was == wanted);
    return 1;
}

/* store:set(key, value[, ttl]) -> true */
static int table_set(lua_State *L)
{
    return write_value(L, edit_set, true);
}

/* store:add(key, value[, ttl]) -> whether there was none */
static int table_add(lua_State *L)
{
    return write_value(L, edit_add, false);
}

/* store:replace(key, value[, ttl]) -> whether there was one */
static int table_replace(lua_State *L)
{
    return write_value(L, edit_replace, true);
}

static int change(lua_State *L,
                  enum store_edit (*edit)(const struct store_entry *,
                                          struct store_entry *, void *),
                  struct edit *e)
{
    struct store *store = l_store_check(L, 1);
    size_t n;
    const char *key = check_key(L, &n);

    if (key == NULL)
        return 3;
    if (store_edit(store, key, n, edit, e) < 0)
        return l_store_fail(L);
    lua_pushboolean(L, e->was);
    return 1;
}

/* store:delete(key) -> whether there was one */
static int table_delete(lua_State *L)
{
    struct edit e = {0};

    return change(L, edit_delete, &e);
}

/* store:touch(key[, ttl]) -> whether there is one */
static int table_touch(lua_State *L)
{
    struct edit e = {.expires = check_ttl(L, 3)};

    return change(L, edit_touch, &e);
}

/* store:incr(key[, n[, ttl]]) -> the number */
static int table_incr(lua_State *L)
{
    struct edit e = {.expires = check_ttl(L, 4), .by = 1};
    int pushed;

    if (!lua_isnoneornil(L, 3)) {
        lua_Number by = luaL_checknumber(L, 3);

        e.by = 0;
        if (lua_isinteger(L, 3))
            e.by = (int64_t)lua_tointeger(L, 3);
        else
            e.by_real = (double)by;
    }
    pushed = change(L, edit_incr, &e);
    if (pushed != 1)
        return pushed;
    lua_pop(L, 1);
    if (e.wrong)
        return fail(L, "the value is not a number", "EINVAL");
    if (e.is_real)
        lua_pushnumber(L, (lua_Number)e.result_real);
    else
        lua_pushinteger(L, (lua_Integer)e.result);
    return 1;
}

/* swap(store, key, version, value, ttl) -> whether the version was that one;
 * value nil: removes it; ttl nil: its expiry stays */
static int swap(lua_State *L)
{
    struct store *store = l_store_check(L, 1);
    struct edit e = {.expires = check_ttl(L, 5),
                     .keeps = lua_isnoneornil(L, 5)};
    int pushed;

    e.version = (uint64_t)luaL_checkinteger(L, 3);
    scratch.n = 0;
    pushed = lua_isnil(L, 4) ? 0 : encode(L, store, 4);
    return pushed > 0 ? pushed : change(L, edit_swap, &e);
}

/* ---- reading ---- */

/* The entry of the key at 2. Returns 0, or what has been pushed. */
static int read_entry(lua_State *L, struct store_entry *entry)
{
    struct store *store = l_store_check(L, 1);
    size_t n;
    const char *key = check_key(L, &n);

    if (key == NULL)
        return 3;
    return store_get(store, key, n, entry) < 0 ? l_store_fail(L) : 0;
}

/* store:get(key) -> value, or nil */
static int table_get(lua_State *L)
{
    struct store_entry entry;
    int pushed = read_entry(L, &entry);

    return pushed > 0 ? pushed : push_value(L, &entry);
}

/* read(store, key) -> version (0: there is none), value */
static int read_version(lua_State *L)
{
    struct store_entry entry;
    int pushed = read_entry(L, &entry);

    if (pushed > 0)
        return pushed;
    lua_pushinteger(L, (lua_Integer)entry.version);
    pushed = push_value(L, &entry);
    return pushed == 1 ? 2 : pushed;
}

/* store:ttl(key) -> seconds, math.huge, or nil where there is none */
static int table_ttl(lua_State *L)
{
    struct store_entry entry;
    int pushed = read_entry(L, &entry);
    uint64_t now = store_now();

    if (pushed > 0)
        return pushed;
    if (entry.version == 0)
        lua_pushnil(L);
    else if (entry.expires == 0)
        lua_pushnumber(L, (lua_Number)HUGE_VAL);
    else
        lua_pushnumber(L, entry.expires > now
                              ? (lua_Number)(entry.expires - now) / 1000
                              : 0);
    return 1;
}

static void collect(const char *key, size_t n, void *arg)
{
    struct bytes *keys = arg;

    bytes_append(keys, &n, sizeof n);
    bytes_append(keys, key, n);
}

/* store:keys([prefix]) -> the keys that begin so, sorted */
static int table_keys(lua_State *L)
{
    struct store *store = l_store_check(L, 1);
    size_t n, at, length;
    const char *prefix = luaL_optlstring(L, 2, "", &n);
    int count = 0;

    lua_createtable(L, 0, 0);
    if (n > STORE_KEY_MAX)
        return 1;
    scratch.n = 0;
    if (store_each(store, prefix, n, collect, &scratch) < 0)
        return l_store_fail(L);
    for (at = 0; at < scratch.n; at += sizeof length + length) {
        memcpy(&length, scratch.p + at, sizeof length);
        lua_pushlstring(L, scratch.p + at + sizeof length, length);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* store:count() -> number */
static int table_count(lua_State *L)
{
    uint64_t count;

    if (store_count(l_store_check(L, 1), &count) < 0)
        return l_store_fail(L);
    lua_pushinteger(L, (lua_Integer)count);
    return 1;
}

/* store:clear() -> true */
static int table_clear(lua_State *L)
{
    if (store_clear(l_store_check(L, 1)) < 0)
        return l_store_fail(L);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- the module ---- */

/* open(name, bytes) -> store; bytes 0: no limit but the file's */
static int open_table(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_Number bytes = luaL_checknumber(L, 2);
    struct store **store = lua_newuserdatauv(L, sizeof(struct store *), 0);
    char error[STORE_ERROR_SIZE];

    *store = store_open(name, (uint64_t)bytes, error);
    if (*store == NULL)
        return fail(L, error, "ESTORE");
    luaL_getmetatable(L, TABLE);
    lua_setmetatable(L, -2);
    start_housekeeping();
    return 1;
}

/* rows(store) -> its entries, with those that have expired; for tests */
static int count_rows(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)store_rows(l_store_check(L, 1)));
    return 1;
}

/* share() -> the file for workers, and the variable that tells them; nil,
 * message where there can be none */
static int share(lua_State *L)
{
    char error[STORE_ERROR_SIZE];
    const char *path = store_share(error);

    lua_pushstring(L, path);
    lua_pushstring(L, path != NULL ? STORE_ENV : error);
    return 2;
}

/* isLasting() -> whether what is kept outlives the server */
static int is_lasting(lua_State *L)
{
    lua_pushboolean(L, store_is_lasting());
    return 1;
}

/* encode(value) -> bytes, as a store would keep it; for sessions */
static int encode_value(lua_State *L)
{
    luaL_checkany(L, 1);
    scratch.n = 0;
    if (store_value_encode(L, 1, &scratch) < 0) {
        lua_pushlstring(L, scratch.p, scratch.n);
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushlstring(L, scratch.p, scratch.n);
    return 1;
}

/* decode(bytes) -> value, nil where they are none */
static int decode_value(lua_State *L)
{
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);

    if (store_value_decode(L, p, n) < 0)
        lua_pushnil(L);
    return 1;
}

int l_store_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", table_get},       {"set", table_set},
        {"add", table_add},       {"replace", table_replace},
        {"delete", table_delete}, {"touch", table_touch},
        {"incr", table_incr},     {"ttl", table_ttl},
        {"keys", table_keys},     {"count", table_count},
        {"clear", table_clear},   {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", open_table},
                                         {"swap", swap},
                                         {"read", read_version},
                                         {"encode", encode_value},
                                         {"decode", decode_value},
                                         {"rows", count_rows},
                                         {"share", share},
                                         {"isLasting", is_lasting},
                                         {NULL, NULL}};

    luaL_newmetatable(L, TABLE);
    luaL_newlib(L, functions);
    luaL_newlib(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "__index");
    lua_setfield(L, -2, "methods");
    lua_pushinteger(L, STORE_NAME_MAX);
    lua_setfield(L, -2, "nameMax");
    lua_pushinteger(L, STORE_BYTES_MIN);
    lua_setfield(L, -2, "bytesMin");
    return 1;
}
