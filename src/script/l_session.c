/* The module luaserve.core.session: what a request with a session needs at each
 * touch, in C because it is nearly all of what a session costs. The cookie is
 * found in the head without a table of all cookies; an id whose signature was
 * verified is remembered (a bounded table, the whole cookie compared), so that
 * a visitor who comes again costs no HMAC; and the bytes that were loaded are
 * kept, so that what a handler has left alone is found by comparing, without
 * encoding it again.
 *
 * A record of the store is the list of a session's data and of the time from
 * which its life counts. */
#include <math.h>
#include <string.h>

#include "http/cookie.h"
#include "net/conn.h"
#include "net/transport.h"
#include "script/context.h"
#include "script/l_reply.h"
#include "script/l_store.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"
#include "script/store_value.h"

#define MEMO "luaserve.session.memo"

enum {
    ID = 24, /* bytes of an id */
    LIFE_DIGITS = 8,
    COOKIE_LEAST = ID + 1 + L_REPLY_SIGNATURE,
    COOKIE_MOST = COOKIE_LEAST + 1 + LIFE_DIGITS,
    MEMO_SIZE = 1024,
    MEMO_PROBE = 8,   /* letters of an id, which are random */
    STATE_FIELDS = 8, /* of one that is only read */
    RECORD = 2        /* values in a record */
};

/* Cookies that were verified, each at the place that its id says. */
struct memo {
    struct {
        char cookie[COOKIE_MOST];
        unsigned char n;      /* its bytes */
        unsigned char secret; /* by its number; 0: there is none */
    } items[MEMO_SIZE];
};

/* What a cookie says: ID.SIGNATURE, or ID.LIFE.SIGNATURE where the session has
 * a life of its own. */
struct ticket {
    const char *id;
    unsigned life; /* seconds; 0: as all */
    int secret;    /* the number of the one that has signed it */
};

/* memo() -> what given remembers of the cookies of one signer */
static int new_memo(lua_State *L)
{
    memset(lua_newuserdatauv(L, sizeof(struct memo), 0), 0,
           sizeof(struct memo));
    luaL_getmetatable(L, MEMO);
    lua_setmetatable(L, -2);
    return 1;
}

static size_t place_of(const char *id)
{
    uint32_t hash = 2166136261u;
    int i;

    for (i = 0; i < MEMO_PROBE; i++)
        hash = (hash ^ (unsigned char)id[i]) * 16777619u;
    return (hash ^ hash >> 16) % MEMO_SIZE;
}

/* Whether n bytes are the same, in a time that does not tell how far. */
static bool are_same(const char *a, const char *b, size_t n)
{
    uint64_t different = 0, x, y;
    size_t i;

    for (i = 0; i + sizeof x <= n; i += sizeof x) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        different |= x ^ y;
    }
    for (; i < n; i++)
        different |= (unsigned char)(a[i] ^ b[i]);
    return different == 0;
}

/* The first cookie of that name; p NULL: there is none. */
static struct str find_cookie(struct exchange *x, struct str wanted)
{
    struct header *h = NULL;
    struct str rest, name, value;
    unsigned from = 0;

    while ((h = headers_find(&x->request, HEADER_COOKIE, from)) != NULL) {
        from = (unsigned)(h - x->request.items) + 1;
        rest = h->value;
        while (cookie_next(&rest, &x->pool, &name, &value))
            if (str_eq(name, wanted))
                return value;
    }
    return (struct str){NULL, 0};
}

/* The secret that has signed the cookie, all of it behind prefix; 0: none. */
static int verify(lua_State *L, int signer, struct pool *pool,
                  struct str prefix, struct str cookie)
{
    size_t n = cookie.n - 1 - L_REPLY_SIGNATURE;
    struct str given = {cookie.p + n + 1, L_REPLY_SIGNATURE};
    char *text = pool_alloc(pool, prefix.n + n);

    memcpy(text, prefix.p, prefix.n);
    memcpy(text + prefix.n, cookie.p, n);
    return l_reply_verify(L, signer, (struct str){text, prefix.n + n}, given);
}

/* Reads what is before the signature. False where it is none of ours. */
static bool read_ticket(struct str cookie, struct ticket *ticket)
{
    size_t end, i;

    if (cookie.n < COOKIE_LEAST || cookie.n > COOKIE_MOST)
        return false;
    end = cookie.n - 1 - L_REPLY_SIGNATURE;
    if (cookie.p[end] != '.' || cookie.p[ID] != '.' || end == ID + 1)
        return false;
    *ticket = (struct ticket){.id = cookie.p};
    for (i = ID + 1; i < end; i++) {
        if (cookie.p[i] < '0' || cookie.p[i] > '9')
            return false;
        ticket->life = ticket->life * 10 + (unsigned)(cookie.p[i] - '0');
    }
    return true;
}

/* ---- records ---- */

/* What follows the start of a record; p NULL where it is none. */
static struct str open_record(struct str bytes)
{
    static struct bytes start;

    if (start.n == 0) { /* as store_value has it */
        store_value_put_list(&start, RECORD);
    }
    if (bytes.n < start.n || memcmp(bytes.p, start.p, start.n) != 0)
        return (struct str){NULL, 0};
    return str_skip(bytes, start.n);
}

/* [-0, +2, m] Pushes data and time of a record; false, and nothing pushed,
 * where it is none. */
static bool push_record(lua_State *L, struct str bytes)
{
    struct str rest = open_record(bytes);
    int top = lua_gettop(L);

    if (rest.p != NULL && store_value_next(L, &rest) && lua_istable(L, -1) &&
        store_value_next(L, &rest) && lua_isnumber(L, -1))
        return true;
    lua_settop(L, top);
    return false;
}

/* [-0, +2, m] */
static int fail(lua_State *L, const char *message)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
}

/* [-0, +(0..4), m] Pushes data, time, bytes and version of the record under id,
 * whose life is ttl seconds; nothing where there is none, or it is over; nil
 * and a message where that cannot be said. Returns how many. */
static int push_entry(lua_State *L, struct store *store, struct str id,
                      double ttl)
{
    struct store_entry entry;

    if (store_get(store, id.p, id.n, &entry) < 0)
        return fail(L, store_error());
    if (entry.version == 0)
        return 0;
    if (!push_record(L, (struct str){entry.value, entry.n}))
        return fail(L, "what the store has is damaged, or of another version");
    if (lua_tonumber(L, -1) + ttl <= loop_wall(script_state.loop)) {
        lua_pop(L, 2);
        return 0;
    }
    lua_pushlstring(L, entry.value, entry.n);
    lua_pushinteger(L, (lua_Integer)entry.version);
    return 4;
}

/* read(store, id) -> data, time, bytes, version; nil where there is none; nil,
 * message where that cannot be said */
static int read_record(lua_State *L)
{
    struct store *store = l_store_check(L, 1);
    struct str id;

    id.p = luaL_checklstring(L, 2, &id.n);
    return push_entry(L, store, id, HUGE_VAL);
}

/* Whether the cookie is one of ours, by the signer at 3, the memo at 4 and the
 * prefix at 5. */
static bool is_signed(lua_State *L, struct pool *pool, struct str cookie,
                      struct ticket *ticket)
{
    struct memo *memo = luaL_checkudata(L, 4, MEMO);
    struct str prefix;
    size_t at;

    prefix.p = luaL_checklstring(L, 5, &prefix.n);
    if (!read_ticket(cookie, ticket))
        return false;
    at = place_of(cookie.p);
    ticket->secret = memo->items[at].secret;
    if (ticket->secret != 0 && memo->items[at].n == cookie.n &&
        are_same(memo->items[at].cookie, cookie.p, cookie.n))
        return true;
    ticket->secret = verify(L, 3, pool, prefix, cookie);
    if (ticket->secret == 0)
        return false;
    memcpy(memo->items[at].cookie, cookie.p, cookie.n);
    memo->items[at].n = (unsigned char)cookie.n;
    memo->items[at].secret = (unsigned char)ticket->secret;
    return true;
}

/* The session's cookie of the request at 1, whose name is at 2; p NULL: there
 * is none. */
static struct str cookie_of(lua_State *L, const struct context *c)
{
    struct str name;

    name.p = luaL_checklstring(L, 2, &name.n);
    return c->x != NULL ? find_cookie(c->x, name) : (struct str){NULL, 0};
}

/* given(req, name, signer, memo, prefix) -> id, the number of the secret that
 * has signed it, the seconds of a life of its own; false where the cookie is
 * none of ours, nil without one */
static int given(lua_State *L)
{
    const struct context *c = context_check(L, 1);
    struct str cookie = cookie_of(L, c);
    struct ticket ticket;

    if (cookie.p == NULL)
        return 0;
    if (!is_signed(L, &c->x->pool, cookie, &ticket)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_pushlstring(L, ticket.id, ID);
    lua_pushinteger(L, ticket.secret);
    if (ticket.life == 0)
        return 2;
    lua_pushinteger(L, (lua_Integer)ticket.life);
    return 3;
}

static bool is_encrypted(const struct context *c)
{
    return c->x != NULL && c->x->codec != NULL &&
           c->x->codec->conn(c->x)->transport->encrypted;
}

/* ---- sessions ---- */

/* Upvalues of attach: what states and responses with hooks are, and the names
 * of fields. */
enum upvalue {
    INDEX = 1, /* the __index of data */
    STATE,     /* the metatable of states */
    HOOKED,    /* the metatable of responses with hooks */
    NAMES,
    NAME_INDEX = NAMES,
    NAME_SETTINGS,
    NAME_REQ,
    NAME_DATA,
    NAME_BYTES,
    NAME_VERSION,
    NAME_ID,
    NAME_DUE,
    NAME_LIFE,
    NAME_SESSION,
    NAME_HOOKS
};

static const char *const names[] = {"__index", "settings", "req",   "data",
                                    "bytes",   "version",  "id",    "dueAt",
                                    "life",    "session",  "_hooks"};

/* [-1, +0, m] Sets the field of the table at t to the value on top. */
static void set_field(lua_State *L, int t, enum upvalue name)
{
    lua_pushvalue(L, lua_upvalueindex((int)name));
    lua_insert(L, -2);
    lua_rawset(L, t);
}

/* [-0, +0, m] The same, to the value at i. */
static void set_copy(lua_State *L, int t, enum upvalue name, int i)
{
    lua_pushvalue(L, lua_upvalueindex((int)name));
    lua_pushvalue(L, i);
    lua_rawset(L, t);
}

/* [-0, +0, m] Has the state at state run before the head of the res at res
 * leaves. False where the response has hooks already. */
static bool hook(lua_State *L, int res, int state)
{
    lua_pushvalue(L, lua_upvalueindex(NAME_HOOKS));
    if (compat_rawget_type(L, res) != LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    lua_pop(L, 1);
    set_copy(L, res, NAME_HOOKS, state);
    lua_pushvalue(L, lua_upvalueindex(HOOKED));
    lua_setmetatable(L, res);
    return true;
}

/* [-0, +0, m] Makes the state on top, which is that of the data at data, the
 * session of the request at req. */
static void join(lua_State *L, int req, int data)
{
    int state = lua_gettop(L);

    lua_pushvalue(L, lua_upvalueindex(STATE));
    lua_setmetatable(L, state);
    lua_pushvalue(L, state);
    lua_setmetatable(L, data);
    set_copy(L, req, NAME_SESSION, data);
}

/* [-0, +1, m] Whether the state on top is run before the head of the response
 * leaves, or the head has left. */
static bool is_hooked(lua_State *L, const struct context *c)
{
    int state = lua_gettop(L);
    bool hooked;

    if (c->slot == 0)
        return true;
    slot_push(L, c->slot);
    hooked = c->x->head_sent || hook(L, state + 1, state);
    lua_settop(L, state);
    return hooked;
}

/* When the session is to be stored and its cookie sent anew: when that part of
 * its life has passed which the number at renewal says (0: never), from the
 * time at at, or at once where the cookie has an old signature. */
static lua_Number due_at(lua_State *L, const struct ticket *ticket, int at,
                         int ttl, int renewal)
{
    lua_Number life = ticket->life ? ticket->life : lua_tonumber(L, ttl);
    lua_Number parts = luaL_checknumber(L, renewal);

    if (ticket->secret > 1)
        return 0;
    return parts > 0 ? lua_tonumber(L, at) + life / parts
                     : (lua_Number)HUGE_VAL;
}

/* attach(req, name, signer, memo, prefix, settings, store, ttl, renewal, name
 * over TLS) -> data, state, of the session that the cookie says: it is
 * req.session now. state is nil where it has been made a hook of the response.
 * false: the cookie is none of ours, or its session is over; nil, nil, message
 * where that cannot be said; nil without a cookie. */
static int attach(lua_State *L)
{
    enum {
        REQ = 1,
        NAME,
        SETTINGS = 6,
        STORE,
        TTL,
        RENEWAL,
        SECURE_NAME,
        DATA,
        AT,
        BYTES,
        VERSION,
        STATE_AT
    };
    const struct context *c = context_check(L, REQ);
    struct ticket ticket;
    struct str cookie;
    int n = 0;

    lua_settop(L, SECURE_NAME);
    luaL_checkstack(L, LUA_MINSTACK, "a session");
    if (!lua_isnil(L, SECURE_NAME) && is_encrypted(c)) {
        lua_pushvalue(L, SECURE_NAME);
        lua_replace(L, NAME);
    }
    cookie = cookie_of(L, c);
    if (cookie.p == NULL)
        return 0;
    if (is_signed(L, &c->x->pool, cookie, &ticket))
        n = push_entry(L, l_store_check(L, STORE), (struct str){ticket.id, ID},
                       ticket.life ? ticket.life : luaL_checknumber(L, TTL));
    if (n < 4) { /* nothing, or nil, message */
        lua_pushboolean(L, 0);
        if (n > 0)
            lua_pushnil(L);
        lua_insert(L, SECURE_NAME + 1);
        return n > 0 ? 3 : 1;
    }
    lua_createtable(L, 0, STATE_FIELDS);
    set_copy(L, STATE_AT, NAME_INDEX, lua_upvalueindex(INDEX));
    set_copy(L, STATE_AT, NAME_SETTINGS, SETTINGS);
    set_copy(L, STATE_AT, NAME_REQ, REQ);
    set_copy(L, STATE_AT, NAME_DATA, DATA);
    set_copy(L, STATE_AT, NAME_BYTES, BYTES);
    set_copy(L, STATE_AT, NAME_VERSION, VERSION);
    lua_pushlstring(L, ticket.id, ID);
    set_field(L, STATE_AT, NAME_ID);
    lua_pushnumber(L, due_at(L, &ticket, AT, TTL, RENEWAL));
    set_field(L, STATE_AT, NAME_DUE);
    if (ticket.life != 0) {
        lua_pushinteger(L, (lua_Integer)ticket.life);
        set_field(L, STATE_AT, NAME_LIFE);
    }
    join(L, REQ, DATA);
    if (is_hooked(L, c)) {
        lua_settop(L, DATA);
        return 1;
    }
    lua_pushvalue(L, DATA);
    lua_insert(L, -2);
    return 2;
}

/* attacher(index, state, hooked) -> attach; see enum upvalue */
static int attacher(lua_State *L)
{
    size_t i;

    lua_settop(L, NAMES - 1);
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        lua_pushstring(L, names[i]);
    lua_pushcclosure(L, attach, NAME_HOOKS);
    return 1;
}

/* unpack(bytes) -> data, time */
static int unpack_record(lua_State *L)
{
    struct str bytes;

    bytes.p = luaL_checklstring(L, 1, &bytes.n);
    if (!push_record(L, bytes))
        return luaL_error(L, "not a record");
    return 2;
}

/* same(data, bytes) -> whether the record's data is like it */
static int same(lua_State *L)
{
    struct str bytes;

    luaL_checktype(L, 1, LUA_TTABLE);
    bytes.p = luaL_checklstring(L, 2, &bytes.n);
    bytes = open_record(bytes);
    lua_pushboolean(L, bytes.p != NULL && store_value_same(L, 1, bytes));
    return 1;
}

/* untouched(req, data, bytes, due) -> whether the data is that of req still, it
 * is like the record's, and it is not the time due yet. Upvalue: "session" */
static int untouched(lua_State *L)
{
    struct str bytes;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    bytes.p = luaL_checklstring(L, 3, &bytes.n);
    bytes = open_record(bytes);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_rawget(L, 1);
    lua_pushboolean(L, lua_rawequal(L, -1, 2) &&
                           loop_wall(script_state.loop) < lua_tonumber(L, 4) &&
                           bytes.p != NULL && store_value_same(L, 2, bytes));
    return 1;
}

struct swap {
    struct str bytes;
    uint64_t version, expires;
    bool done;
};

static enum store_edit edit_swap(const struct store_entry *old,
                                 struct store_entry *entry, void *arg)
{
    struct swap *s = arg;

    s->done = old->version == s->version;
    if (!s->done)
        return STORE_KEEP;
    entry->value = s->bytes.p;
    entry->n = s->bytes.n;
    entry->expires = s->expires;
    return STORE_WRITE;
}

/* swap(store, id, version, bytes, seconds) -> whether the version was that one
 * (0: none); nil, message where it cannot be written */
static int swap_record(lua_State *L)
{
    struct store *store = l_store_check(L, 1);
    struct swap s = {.version = (uint64_t)luaL_checkinteger(L, 3)};
    size_t n;
    const char *id = luaL_checklstring(L, 2, &n);

    s.bytes.p = luaL_checklstring(L, 4, &s.bytes.n);
    s.expires = store_now() + (uint64_t)ceil(luaL_checknumber(L, 5) * 1000);
    if (s.bytes.n > store_value_max(store)) {
        lua_pushnil(L);
        lua_pushfstring(L,
                        "it has %d bytes, and the store takes %d; a bigger one "
                        "(--store-size) takes more",
                        (int)s.bytes.n, (int)store_value_max(store));
        return 2;
    }
    if (store_edit(store, id, n, edit_swap, &s) < 0) {
        lua_pushnil(L);
        lua_pushstring(L, store_error());
        return 2;
    }
    lua_pushboolean(L, s.done);
    return 1;
}

int l_session_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"memo", new_memo},        {"attacher", attacher},
        {"given", given},          {"read", read_record},
        {"unpack", unpack_record}, {"same", same},
        {"swap", swap_record},     {NULL, NULL}};

    luaL_newmetatable(L, MEMO);
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushliteral(L, "session");
    lua_pushcclosure(L, untouched, 1);
    lua_setfield(L, -2, "untouched");
    return 1;
}
