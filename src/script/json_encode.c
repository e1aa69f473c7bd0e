/* One walk over the value, writing into one growing buffer. It only reads from
 * Lua (lua_next, raw access) and makes nothing there: no string, no table, no
 * error. So nothing can raise, no finalizer can run, and the buffer needs no
 * guard.
 *
 * Arrays are recognised while walking. A table whose keys come as 1, 2, 3 to
 * their end is one, and was written as one on the way. Where another key comes,
 * that text is dropped and the keys are counted; from then on they are counted
 * before any table is entered, so that tables within each other are not all
 * written twice.
 *
 * Metamethods are ignored, __index and __pairs too: what is encoded is what is
 * in the table. */
#include "script/json_encode.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "script/json_members.h"
#include "script/json_number.h"
#include "script/json_out.h"
#include "script/json_string.h"
#include "script/json_value.h"

enum {
    PATH_PARTS = 16, /* of a path in a message: the innermost ones */
    PATH_NAME = 64   /* bytes of a name in it */
};

/* A table being written, with those around it. */
struct frame {
    const struct frame *up;
    const void *table;
    int base; /* stack index of the table; the key in work is above it */
    int at;   /* or is this number, where not 0 */
};

struct encoder {
    lua_State *L;
    struct bytes *out;
    struct json_members members;
    const struct frame *frame;
    size_t start; /* of what is written here, in out */
    int depth;
    bool sorts;
    bool counts; /* the keys of a table that may be an array */
    bool has_failed;
};

static bool write_table(struct encoder *e, int i);

/* ---- Failure ---- */

/* The name of the number n where JSON has none for it, else NULL. */
static const char *not_finite(lua_Number n)
{
    if (isfinite(n))
        return NULL;
    return isnan(n) ? "NaN" : n < 0 ? "-Infinity" : "Infinity";
}

/* Writes the number at i, or returns the name of what it is. */
static const char *put_number(struct encoder *e, int i)
{
    char *at = json_out_reserve(e->out, JSON_NUMBER_MAX);
    const char *name;
    lua_Number n;

    if (!COMPAT_LUAJIT && lua_isinteger(e->L, i)) {
        e->out->n += json_number_integer(lua_tointeger(e->L, i), at);
        return NULL;
    }
    n = lua_tonumber(e->L, i);
    name = not_finite(n);
    if (name == NULL)
        e->out->n += json_number_real(n, at);
    return name;
}

/* True for what may follow a dot in Lua, but for the reserved words. */
static bool is_identifier(const char *p, size_t n)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                  "abcdefghijklmnopqrstuvwxyz0123456789";

    return n > 0 && !(*p >= '0' && *p <= '9') && strspn(p, allowed) >= n;
}

/* Writes the key in work of the table of f as it is written in Lua. */
static void put_key(struct encoder *e, const struct frame *f)
{
    const char *name;
    size_t n;

    if (f->at == 0 && lua_type(e->L, f->base + 1) == LUA_TSTRING) {
        name = lua_tolstring(e->L, f->base + 1, &n);
        n = n > PATH_NAME ? PATH_NAME : n;
        json_out_word(e->out, is_identifier(name, n) ? "." : "[");
        if (is_identifier(name, n)) {
            json_out_add(e->out, name, n);
            return;
        }
        json_string_write(e->out, name, n);
    } else if (f->at == 0) {
        json_out_char(e->out, '[');
        put_number(e, f->base + 1);
    } else {
        char *at;

        json_out_char(e->out, '[');
        at = json_out_reserve(e->out, JSON_NUMBER_MAX);
        e->out->n += json_number_integer(f->at, at);
    }
    json_out_char(e->out, ']');
}

/* Replaces what was written by the message: what cannot be encoded, and where.
 * Returns false. */
static bool fail(struct encoder *e, const char *article, const char *what)
{
    const struct frame *path[PATH_PARTS], *f = e->frame;
    int parts = 0;

    e->has_failed = true;
    e->out->n = e->start;
    json_out_word(e->out, "json: cannot encode ");
    json_out_word(e->out, article);
    json_out_word(e->out, what);
    if (f == NULL)
        return false;
    for (; f != NULL && parts < PATH_PARTS; f = f->up)
        path[parts++] = f;
    json_out_word(e->out, f != NULL ? " at ..." : " at ");
    while (parts > 0)
        put_key(e, path[--parts]);
    return false;
}

/* Fails for the key in work: the path is that of its table. */
static bool fail_key(struct encoder *e, const char *what)
{
    e->frame = e->frame->up;
    return fail(e, "a table with a key that is ", what);
}

/* ---- Values ---- */

/* Writes null, or fails. */
static bool write_other(struct encoder *e, int i)
{
    int type = lua_type(e->L, i);

    if (type == LUA_TNIL || json_value_is_null(e->L, i))
        json_out_add(e->out, "null", 4);
    else
        return fail(e, "a ", lua_typename(e->L, type));
    return true;
}

/* Writes the value at i, the top of the stack. Inline, so that a level costs no
 * more than the calls of write_table. */
static inline __attribute__((always_inline)) bool write_value(struct encoder *e,
                                                              int i)
{
    const char *p;
    size_t n;

    switch (lua_type(e->L, i)) {
    case LUA_TSTRING:
        p = lua_tolstring(e->L, i, &n);
        if (e->out->n - e->start + n > JSON_ENCODE_MAX)
            return fail(e, "", "more than 256 MiB");
        json_string_write(e->out, p, n);
        return true;
    case LUA_TNUMBER:
        p = put_number(e, i);
        return p == NULL || fail(e, "", p);
    case LUA_TBOOLEAN:
        if (lua_toboolean(e->L, i))
            json_out_add(e->out, "true", 4);
        else
            json_out_add(e->out, "false", 5);
        return true;
    case LUA_TTABLE:
        return write_table(e, i);
    default:
        return write_other(e, i);
    }
}

/* ---- Arrays ---- */

/* The index that the key at i is, or 0 where it can be none. */
static int to_index(lua_State *L, int i)
{
    lua_Number n;

    if (lua_type(L, i) != LUA_TNUMBER)
        return 0;
    n = lua_tonumber(L, i);
    return n >= 1 && n < INT_MAX && n == (int)n ? (int)n : 0;
}

/* The length of the table at i if its keys are 1 to n without a gap and nothing
 * else, else 0. */
static int array_length(lua_State *L, int i)
{
    int count = 0, most = 0;

    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        int at = to_index(L, -2);

        if (at == 0) {
            lua_pop(L, 2);
            return 0;
        }
        most = at > most ? at : most;
        count++;
    }
    return most == count ? count : 0;
}

/* Writes the items from first to the last, n, and the bracket. */
static bool write_items(struct encoder *e, struct frame *f, int first, int n)
{
    for (f->at = first; f->at <= n; f->at++) {
        if (f->at > 1)
            json_out_char(e->out, ',');
        lua_rawgeti(e->L, f->base, f->at);
        if (!write_value(e, f->base + 1))
            return false;
        lua_pop(e->L, 1);
    }
    json_out_char(e->out, ']');
    return true;
}

/* Writes the table of f, whose first pair is on the stack, as an array as long
 * as its pairs come in order. Returns the count of items written; *is_done
 * where these were all. */
static int write_prefix(struct encoder *e, struct frame *f, bool *is_done)
{
    lua_State *L = e->L;
    int n = 0;

    *is_done = false;
    json_out_char(e->out, '[');
    while (to_index(L, f->base + 1) == n + 1 &&
           !(e->counts && lua_type(L, f->base + 2) == LUA_TTABLE)) {
        if (n > 0)
            json_out_char(e->out, ',');
        if (!write_value(e, f->base + 2))
            break;
        n++;
        lua_pop(L, 1);
        if (!lua_next(L, f->base)) {
            json_out_char(e->out, ']');
            *is_done = true;
            break;
        }
    }
    return n;
}

/* ---- Objects ---- */

/* Writes "name": from the key at i. */
static bool put_name(struct encoder *e, int i)
{
    const char *p;
    size_t n;

    if (lua_type(e->L, i) == LUA_TSTRING) {
        p = lua_tolstring(e->L, i, &n);
        json_string_write(e->out, p, n);
    } else if (lua_type(e->L, i) == LUA_TNUMBER) {
        json_out_char(e->out, '"');
        p = put_number(e, i);
        if (p != NULL)
            return fail_key(e, p);
        json_out_char(e->out, '"');
    } else {
        return fail_key(e, lua_typename(e->L, lua_type(e->L, i)));
    }
    json_out_char(e->out, ':');
    return true;
}

/* Writes the pair on the top of the stack and takes its value off. */
static bool write_member(struct encoder *e, struct frame *f)
{
    if (!put_name(e, f->base + 1) || !write_value(e, f->base + 2))
        return false;
    lua_pop(e->L, 1);
    return true;
}

static bool write_members(struct encoder *e, struct frame *f)
{
    json_out_char(e->out, '{');
    do {
        if (!write_member(e, f))
            return false;
        json_out_char(e->out, ',');
    } while (lua_next(e->L, f->base));
    e->out->p[e->out->n - 1] = '}';
    return true;
}

/* Writes the pair on the top of the stack and notes where. */
static bool write_noted_member(struct encoder *e, struct frame *f)
{
    size_t n = 0, start = e->out->n;
    const char *name = NULL;

    if (lua_type(e->L, f->base + 1) == LUA_TSTRING)
        name = lua_tolstring(e->L, f->base + 1, &n);
    if (!write_member(e, f))
        return false;
    json_members_add(&e->members, name, n, start, e->out->n);
    return true;
}

static bool write_sorted_members(struct encoder *e, struct frame *f)
{
    size_t begin = json_members_begin(&e->members);

    json_out_char(e->out, '{');
    do {
        if (!write_noted_member(e, f))
            return false;
        json_out_char(e->out, ',');
    } while (lua_next(e->L, f->base));
    json_members_end(&e->members, begin, e->out);
    e->out->p[e->out->n - 1] = '}';
    return true;
}

/* ---- Tables ---- */

/* Writes the table of f, whose first pair is on the stack. */
static bool write_pairs(struct encoder *e, struct frame *f)
{
    size_t start = e->out->n;

    if (to_index(e->L, f->base + 1) > 0) {
        bool is_done;
        int written = write_prefix(e, f, &is_done), n;

        if (is_done || e->has_failed)
            return is_done;
        e->counts = true;
        lua_settop(e->L, f->base);
        n = array_length(e->L, f->base);
        if (n > 0)
            return write_items(e, f, written + 1, n);
        e->out->n = start;
        lua_pushnil(e->L);
        lua_next(e->L, f->base);
    }
    return e->sorts ? write_sorted_members(e, f) : write_members(e, f);
}

/* True where the table may be entered: it is none of those around it, and there
 * is room. */
static bool may_enter(struct encoder *e, const void *table)
{
    for (const struct frame *f = e->frame; f != NULL; f = f->up)
        if (f->table == table)
            return fail(e, "", "a table that contains itself");
    if (e->depth >= JSON_ENCODE_DEPTH)
        return fail(e, "", "more than 1000 levels");
    if (e->out->n - e->start > JSON_ENCODE_MAX)
        return fail(e, "", "more than 256 MiB");
    if (!lua_checkstack(e->L, 6))
        return fail(e, "", "more levels than the Lua stack has room for");
    return true;
}

/* Writes the table at i, the top of the stack. */
__attribute__((noinline)) static bool write_table(struct encoder *e, int i)
{
    lua_State *L = e->L;
    struct frame f = {e->frame, lua_topointer(L, i), i, 0};
    bool ok = true;

    if (!may_enter(e, f.table))
        return false;
    e->frame = &f;
    e->depth++;
    lua_pushnil(L);
    if (lua_next(L, i))
        ok = write_pairs(e, &f);
    else
        json_out_add(e->out, json_value_is_marked(L, i) ? "[]" : "{}", 2);
    e->frame = f.up;
    e->depth--;
    return ok;
}

int json_encode(lua_State *L, int i, struct bytes *out, int flags)
{
    struct encoder e = {.L = L,
                        .out = out,
                        .start = out->n,
                        .sorts = (flags & JSON_ENCODE_SORT) != 0};
    int top = lua_gettop(L);

    i = lua_absindex(L, i);
    json_members_init(&e.members);
    bytes_reserve(out, 1);
    if (lua_checkstack(L, 2)) {
        lua_pushvalue(L, i);
        write_value(&e, top + 1);
    } else {
        fail(&e, "", "this: the Lua stack is full");
    }
    lua_settop(L, top);
    json_members_clear(&e.members);
    return e.has_failed ? -1 : 0;
}

bool json_encode_is_array(lua_State *L, int i)
{
    i = lua_absindex(L, i);
    if (array_length(L, i) > 0)
        return true;
    lua_pushnil(L);
    if (!lua_next(L, i))
        return json_value_is_marked(L, i);
    lua_pop(L, 2);
    return false;
}
