/* A value is a byte that says what it is, and what that needs: whole numbers
 * in as few bytes as they take, strings with their length. A table is the count
 * of values from 1 on, these, the pairs of all other keys, and an end. JSON
 * would know no keys that are numbers, and no bytes that are not UTF-8. */
#include "script/store_value.h"

#include <stdint.h>
#include <string.h>

#include "script/json_value.h"

enum tag { END, FALSE, TRUE, INTEGER, REAL, STRING, TABLE, NULL_VALUE, ARRAY };

enum {
    PATH_MAX_BYTES = 100,
    VARINT_MAX = 10,
    PAIRS_GUESSED = 4 /* of a table that has any */
};

/* ---- writing ---- */

struct writer {
    lua_State *L;
    struct bytes *out;
    size_t start;
    char path[PATH_MAX_BYTES]; /* built from its end, when it is needed */
    size_t path_at;
    bool is_cut;      /* it did not fit */
    const char *what; /* is wrong */
    int depth;
};

static void put_byte(struct bytes *out, unsigned c)
{
    *bytes_reserve(out, 1) = (char)c;
    bytes_commit(out, 1);
}

static void put_varint(struct bytes *out, uint64_t n)
{
    char *p = bytes_reserve(out, VARINT_MAX);
    size_t i = 0;

    for (; n >= 0x80; n >>= 7)
        p[i++] = (char)(n | 0x80);
    p[i++] = (char)n;
    bytes_commit(out, i);
}

void store_value_put_integer(struct bytes *out, int64_t integer)
{
    uint64_t n = (uint64_t)integer;

    put_byte(out, INTEGER);
    put_varint(out, n << 1 ^ (integer < 0 ? UINT64_MAX : 0));
}

void store_value_put_real(struct bytes *out, double real)
{
    put_byte(out, REAL);
    bytes_append(out, &real, sizeof real);
}

void store_value_put_list(struct bytes *out, size_t n)
{
    put_byte(out, TABLE);
    put_varint(out, n);
}

static bool fail(struct writer *w, const char *what)
{
    w->what = what;
    return false;
}

/* Puts text before the path of what is wrong. */
static void prepend(struct writer *w, const char *text, size_t n)
{
    if (w->is_cut || n > w->path_at) {
        w->is_cut = true;
        return;
    }
    w->path_at -= n;
    memcpy(w->path + w->path_at, text, n);
}

/* The key at i of the stack, before the path. */
static void prepend_key(struct writer *w, int i)
{
    char text[64];
    size_t n = 0;
    const char *name = "?";

    if (lua_type(w->L, i) == LUA_TSTRING)
        name = lua_tolstring(w->L, i, &n);
    if (lua_type(w->L, i) == LUA_TNUMBER)
        n = (size_t)snprintf(text, sizeof text, "[%.14g]",
                             (double)lua_tonumber(w->L, i));
    else
        n = (size_t)snprintf(text, sizeof text, ".%.*s", (int)(n ? n : 1),
                             name);
    prepend(w, text, n < sizeof text ? n : sizeof text - 1);
}

static bool write_value(struct writer *w, int i);

static void write_number(struct writer *w, int i)
{
    if (lua_isinteger(w->L, i))
        store_value_put_integer(w->out, (int64_t)lua_tointeger(w->L, i));
    else
        store_value_put_real(w->out, (double)lua_tonumber(w->L, i));
}

/* Writes what stands from 1 on in the table at t; *count of it. */
static bool write_list(struct writer *w, int t, size_t *count)
{
    size_t n = lua_rawlen(w->L, t), i;

    put_varint(w->out, n);
    *count = n;
    for (i = 1; i <= n; i++) {
        lua_rawgeti(w->L, t, (int)i);
        if (lua_isnil(w->L, -1)) { /* a hole: an END says so */
            put_byte(w->out, END);
        } else if (!write_value(w, lua_gettop(w->L))) {
            lua_pop(w->L, 1);
            lua_pushinteger(w->L, (lua_Integer)i);
            prepend_key(w, -1);
            lua_pop(w->L, 1);
            return false;
        }
        lua_pop(w->L, 1);
    }
    return true;
}

/* Whether the key at i was written with the list of n values. */
static bool is_listed(lua_State *L, int i, size_t n)
{
    lua_Number key;

    if (lua_type(L, i) != LUA_TNUMBER || !lua_isinteger(L, i))
        return false;
    key = lua_tonumber(L, i);
    return key >= 1 && key <= (lua_Number)n;
}

/* A table would be another one, and no key of anybody's, when it is read. */
static bool write_key(struct writer *w, int i)
{
    if (lua_type(w->L, i) == LUA_TTABLE)
        return fail(w, "a table as a key");
    return write_value(w, i);
}

static bool write_pairs(struct writer *w, int t, size_t listed)
{
    lua_State *L = w->L;

    lua_pushnil(L);
    while (lua_next(L, t)) {
        int key = lua_gettop(L) - 1;

        if (is_listed(L, key, listed)) {
            lua_pop(L, 1);
            continue;
        }
        if (!write_key(w, key) || !write_value(w, key + 1)) {
            prepend_key(w, key);
            lua_pop(L, 2);
            return false;
        }
        lua_pop(L, 1);
    }
    return true;
}

static bool write_table(struct writer *w, int t)
{
    size_t listed;
    bool ok;

    if (w->depth == STORE_VALUE_DEPTH || !lua_checkstack(w->L, 8))
        return fail(w, "a table within itself, or within too many others,");
    w->depth++;
    put_byte(w->out, json_value_is_marked(w->L, t) ? ARRAY : TABLE);
    ok = write_list(w, t, &listed) && write_pairs(w, t, listed);
    put_byte(w->out, END);
    w->depth--;
    return ok;
}

/* The value at the absolute index i. */
static bool write_value(struct writer *w, int i)
{
    size_t n;
    const char *p;

    switch (lua_type(w->L, i)) {
    case LUA_TBOOLEAN:
        put_byte(w->out, lua_toboolean(w->L, i) ? TRUE : FALSE);
        return true;
    case LUA_TNUMBER:
        write_number(w, i);
        return true;
    case LUA_TSTRING:
        p = lua_tolstring(w->L, i, &n);
        put_byte(w->out, STRING);
        put_varint(w->out, n);
        bytes_append(w->out, p, n);
        return true;
    case LUA_TTABLE:
        return write_table(w, i);
    case LUA_TFUNCTION:
        return fail(w, "a function");
    case LUA_TNIL:
        return fail(w, "nil");
    default:
        if (!json_value_is_null(w->L, i))
            return fail(w, lua_type(w->L, i) == LUA_TTHREAD ? "a coroutine"
                                                            : "a userdata");
        put_byte(w->out, NULL_VALUE);
        return true;
    }
}

int store_value_encode(lua_State *L, int i, struct bytes *out)
{
    struct writer w = {L, out, out->n, {0}, PATH_MAX_BYTES, false, NULL, 0};

    i = lua_absindex(L, i);
    if (lua_checkstack(L, 8) && write_value(&w, i))
        return 0;
    out->n = w.start;
    bytes_printf(out, "%s%s%.*s cannot be kept", w.what ? w.what : "a value",
                 w.is_cut                    ? " at ..."
                 : w.path_at < sizeof w.path ? " at "
                                             : "",
                 (int)(sizeof w.path - w.path_at), w.path + w.path_at);
    return -1;
}

/* ---- reading ---- */

struct reader {
    lua_State *L;
    const unsigned char *p, *end;
};

static bool get_varint(struct reader *r, uint64_t *n)
{
    unsigned shift = 0;

    *n = 0;
    while (r->p < r->end && shift < 64) {
        unsigned c = *r->p++;

        *n |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return true;
        shift += 7;
    }
    return false;
}

static int64_t unzigzag(uint64_t n)
{
    return (int64_t)(n >> 1 ^ (n & 1 ? UINT64_MAX : 0));
}

static void push_integer(lua_State *L, int64_t n)
{
#if COMPAT_LUAJIT
    lua_pushnumber(L, (lua_Number)n);
#else
    lua_pushinteger(L, (lua_Integer)n);
#endif
}

static bool read_value(struct reader *r);

static bool read_real(struct reader *r)
{
    double real;

    if ((size_t)(r->end - r->p) < sizeof real)
        return false;
    memcpy(&real, r->p, sizeof real);
    r->p += sizeof real;
    lua_pushnumber(r->L, (lua_Number)real);
    return true;
}

static bool read_string(struct reader *r)
{
    uint64_t n;

    if (!get_varint(r, &n) || n > (uint64_t)(r->end - r->p))
        return false;
    lua_pushlstring(r->L, (const char *)r->p, (size_t)n);
    r->p += n;
    return true;
}

static bool read_list(struct reader *r, uint64_t n)
{
    uint64_t i;

    for (i = 1; i <= n; i++) {
        if (r->p < r->end && *r->p == END) {
            r->p++;
            continue;
        }
        if (!read_value(r))
            return false;
        lua_rawseti(r->L, -2, (int)i);
    }
    return true;
}

static bool read_table(struct reader *r, bool marked)
{
    uint64_t n;

    if (!get_varint(r, &n) || n >= (uint64_t)(r->end - r->p))
        return false;
    luaL_checkstack(r->L, 6, "a value of the store is too deep");
    lua_createtable(r->L, (int)n, n == 0 && *r->p != END ? PAIRS_GUESSED : 0);
    if (marked) {
        json_value_push_mark(r->L);
        lua_setmetatable(r->L, -2);
    }
    if (!read_list(r, n))
        return false;
    while (r->p < r->end && *r->p != END) {
        if (!read_value(r) || !read_value(r))
            return false;
        lua_rawset(r->L, -3);
    }
    return r->p < r->end && *r->p++ == END;
}

static bool read_value(struct reader *r)
{
    uint64_t n;

    switch (r->p < r->end ? *r->p++ : END) {
    case FALSE:
    case TRUE:
        lua_pushboolean(r->L, r->p[-1] == TRUE);
        return true;
    case INTEGER:
        if (!get_varint(r, &n))
            return false;
        push_integer(r->L, unzigzag(n));
        return true;
    case REAL:
        return read_real(r);
    case STRING:
        return read_string(r);
    case TABLE:
        return read_table(r, false);
    case ARRAY:
        return read_table(r, true);
    case NULL_VALUE:
        json_value_push_null(r->L);
        return true;
    default:
        return false;
    }
}

int store_value_decode(lua_State *L, const char *p, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)p;
    struct reader r = {L, bytes, bytes + n};
    int top = lua_gettop(L);

    if (read_value(&r) && r.p == r.end)
        return 0;
    lua_settop(L, top);
    return -1;
}

bool store_value_next(lua_State *L, struct str *rest)
{
    const unsigned char *bytes = (const unsigned char *)rest->p;
    struct reader r = {L, bytes, bytes + rest->n};
    int top = lua_gettop(L);

    if (!read_value(&r)) {
        lua_settop(L, top);
        return false;
    }
    *rest = str_skip(*rest, (size_t)(r.p - bytes));
    return true;
}

/* ---- comparing ---- */

static bool is_same(struct reader *r, int i);

static bool is_same_number(struct reader *r, int i, bool whole)
{
    double real = (double)lua_tonumber(r->L, i);
    uint64_t n;

    if (lua_type(r->L, i) != LUA_TNUMBER ||
        (lua_isinteger(r->L, i) != 0) != whole)
        return false;
    if (whole)
        return get_varint(r, &n) &&
               unzigzag(n) == (int64_t)lua_tointeger(r->L, i);
    if ((size_t)(r->end - r->p) < sizeof real ||
        memcmp(r->p, &real, sizeof real) != 0)
        return false;
    r->p += sizeof real;
    return true;
}

static bool is_same_string(struct reader *r, int i)
{
    uint64_t n;
    size_t size;
    const char *p;

    if (lua_type(r->L, i) != LUA_TSTRING || !get_varint(r, &n) ||
        n > (uint64_t)(r->end - r->p))
        return false;
    p = lua_tolstring(r->L, i, &size);
    if (size != n || memcmp(p, r->p, size) != 0)
        return false;
    r->p += n;
    return true;
}

/* Takes the value on the top of the stack. */
static bool is_same_top(struct reader *r)
{
    bool same = is_same(r, lua_gettop(r->L));

    lua_pop(r->L, 1);
    return same;
}

/* Compares the list and the pairs of the table at t; *count of both. */
static bool are_same_members(struct reader *r, int t, size_t *count)
{
    uint64_t n, i;

    if (!get_varint(r, &n) || n != lua_rawlen(r->L, t))
        return false;
    for (i = 1; i <= n; i++) {
        lua_rawgeti(r->L, t, (int)i);
        *count += !lua_isnil(r->L, -1);
        if (!is_same_top(r))
            return false;
    }
    while (r->p < r->end && *r->p != END) {
        if (!read_value(r))
            return false;
        lua_rawget(r->L, t);
        ++*count;
        if (!is_same_top(r))
            return false;
    }
    return r->p < r->end && *r->p++ == END;
}

static bool is_same_table(struct reader *r, int t, bool marked)
{
    size_t count = 0;

    if (lua_type(r->L, t) != LUA_TTABLE ||
        json_value_is_marked(r->L, t) != marked || !lua_checkstack(r->L, 6) ||
        !are_same_members(r, t, &count))
        return false;
    lua_pushnil(r->L);
    while (lua_next(r->L, t)) {
        lua_pop(r->L, 1);
        if (count-- == 0) {
            lua_pop(r->L, 1);
            return false;
        }
    }
    return count == 0;
}

/* Whether the value at the absolute index i is the next one of r. */
static bool is_same(struct reader *r, int i)
{
    switch (r->p < r->end ? *r->p++ : END) {
    case FALSE:
    case TRUE:
        return lua_isboolean(r->L, i) &&
               lua_toboolean(r->L, i) == (r->p[-1] == TRUE);
    case INTEGER:
        return is_same_number(r, i, true);
    case REAL:
        return is_same_number(r, i, false);
    case STRING:
        return is_same_string(r, i);
    case TABLE:
        return is_same_table(r, i, false);
    case ARRAY:
        return is_same_table(r, i, true);
    case NULL_VALUE:
        return json_value_is_null(r->L, i);
    default: /* a hole in a list */
        return lua_isnil(r->L, i);
    }
}

bool store_value_same(lua_State *L, int i, struct str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    struct reader r = {L, p, p + bytes.n};
    int top = lua_gettop(L);
    bool same = is_same(&r, lua_absindex(L, i));

    lua_settop(L, top);
    return same;
}

int store_value_number(const char *p, size_t n, int64_t *integer, double *real)
{
    struct reader r = {NULL, (const unsigned char *)p,
                       (const unsigned char *)p + n};
    uint64_t value;

    if (n == 1 + sizeof *real && *r.p == REAL) {
        memcpy(real, p + 1, sizeof *real);
        return 2;
    }
    if (n == 0 || *r.p++ != INTEGER || !get_varint(&r, &value))
        return 0;
    *integer = unzigzag(value);
    return 1;
}
