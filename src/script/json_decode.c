/* One pass of recursive descent over the bytes. The values of a container wait
 * on the Lua stack until it ends, so that its table is made once, with the size
 * it needs: growing tables is where the time goes otherwise. What does not fit
 * there (long containers, deep nesting) goes into the table one by one. Nothing
 * is owned outside the Lua stack, so that any call may raise for want of
 * memory.
 *
 * The text ends with a NUL, which is valid nowhere; so only strings, which may
 * be asked to hold anything, look for the end.
 *
 * Where RFC 8259 leaves a choice: the last of several members of one name wins;
 * a lone surrogate escape is U+FFFD; a number too large for a double is an
 * error, since what cannot be encoded again should not get in. */
#include "script/json_decode.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "script/json_number.h"
#include "script/json_string.h"
#include "script/json_text.h"
#include "script/json_value.h"

enum {
    WAITING = 32,      /* values, or pairs of them, that wait on the stack */
    WAITING_DEPTH = 24 /* levels that may let values wait: LuaJIT's stack for C
                          has 8000 slots */
};

struct decoder {
    lua_State *L;
    const char *text, *p, *end;
    int null, mark; /* stack indices */
    int depth;
    const char *problem; /* once reading failed, at p */
};

/* A container being read. Its table, or a nil, is at the stack index base. */
struct container {
    int base;
    int n;     /* values or pairs so far */
    int limit; /* of those that wait */
    bool is_made;
};

static bool read_value(struct decoder *d);

static bool fail(struct decoder *d, const char *at, const char *problem)
{
    d->p = at;
    d->problem = problem;
    return false;
}

static void skip_space(struct decoder *d)
{
    while (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t')
        d->p++;
}

/* ---- Strings ---- */

/* Pushes what the escaped string from p to end says. */
static void push_unescaped(lua_State *L, const char *p, const char *end)
{
    char small[512], *out;
    size_t n = (size_t)(end - p);

    if (n <= sizeof small) {
        lua_pushlstring(L, small, json_string_unescape(p, end, small));
        return;
    }
    out = lua_newuserdatauv(L, n, 0);
    lua_pushlstring(L, out, json_string_unescape(p, end, out));
    lua_remove(L, -2);
}

static bool read_string(struct decoder *d)
{
    const char *start = d->p + 1, *at, *problem;
    const char *end = json_text_skip_plain(start, d->end);
    bool escaped = false;

    if (*end != '"')
        end = json_string_scan(end, d->end, &escaped, &at, &problem);
    if (end == NULL)
        return fail(d, at, problem);
    if (escaped)
        push_unescaped(d->L, start, end);
    else
        lua_pushlstring(d->L, start, (size_t)(end - start));
    d->p = end + 1;
    return true;
}

/* ---- Numbers and words ---- */

static void push_integer(lua_State *L, int64_t n)
{
    if (COMPAT_LUAJIT)
        lua_pushnumber(L, (lua_Number)n);
    else
        lua_pushinteger(L, (lua_Integer)n);
}

static bool read_number(struct decoder *d)
{
    struct json_number number;
    const char *at, *problem;
    const char *end = json_number_read(d->p, &number, &at, &problem);

    if (end == NULL)
        return fail(d, at, problem);
    if (number.is_integer)
        push_integer(d->L, number.integer);
    else
        lua_pushnumber(d->L, number.real);
    d->p = end;
    return true;
}

/* Reads the number that begins with one of 1 to 9: most are short integers. */
static bool read_count(struct decoder *d)
{
    const char *p = d->p;
    int n = 0;

    while (*p >= '0' && *p <= '9' && n < 100000000)
        n = n * 10 + (*p++ - '0');
    if ((*p >= '0' && *p <= '9') || *p == '.' || *p == 'e' || *p == 'E')
        return read_number(d);
    push_integer(d->L, n);
    d->p = p;
    return true;
}

static bool read_word(struct decoder *d, const char *word, size_t n)
{
    if ((size_t)(d->end - d->p) < n || memcmp(d->p, word, n) != 0)
        return fail(d, d->p, "expected a value");
    d->p += n;
    return true;
}

/* ---- Containers ---- */

/* Begins the container at p and skips its bracket. */
static bool enter(struct decoder *d, struct container *c)
{
    if (d->depth >= JSON_DECODE_DEPTH)
        return fail(d, d->p, "more than 1000 levels");
    if (!lua_checkstack(d->L, 2 * WAITING + 8))
        return fail(d, d->p, "too many levels for the Lua stack");
    c->limit = d->depth++ < WAITING_DEPTH ? WAITING : 0;
    c->n = 0;
    c->is_made = false;
    lua_pushnil(d->L);
    c->base = lua_gettop(d->L);
    d->p++;
    skip_space(d);
    return true;
}

/* Moves on to the next item: returns true where there is one. Else the
 * container ends here, or *ok is false. */
static bool next_item(struct decoder *d, char close, const char *expected,
                      bool *ok)
{
    skip_space(d);
    if (*d->p == ',') {
        d->p++;
        skip_space(d);
        return true;
    }
    *ok = *d->p == close || fail(d, d->p, expected);
    if (*ok) {
        d->p++;
        d->depth--;
    }
    return false;
}

/* Makes the array's table of what waits. */
static void make_array(struct decoder *d, struct container *c)
{
    lua_createtable(d->L, c->n, 0);
    lua_pushvalue(d->L, d->mark);
    lua_setmetatable(d->L, -2);
    lua_replace(d->L, c->base);
    for (int i = c->n; i > 0; i--)
        lua_rawseti(d->L, c->base, i);
    c->is_made = true;
}

/* Takes the value on the top of the stack into the array. */
static void add_value(struct decoder *d, struct container *c)
{
    if (c->is_made)
        lua_rawseti(d->L, c->base, c->n + 1);
    c->n++;
    if (!c->is_made && c->n >= c->limit)
        make_array(d, c);
}

static bool read_array(struct decoder *d)
{
    struct container c;
    bool ok = true;

    if (!enter(d, &c))
        return false;
    if (*d->p == ']') {
        d->p++;
        d->depth--;
    } else {
        do {
            if (!read_value(d))
                return false;
            add_value(d, &c);
        } while (next_item(d, ']', "expected ',' or ']'", &ok));
    }
    if (ok && !c.is_made)
        make_array(d, &c);
    return ok;
}

/* Makes the object's table of what waits. From first to last, so that the last
 * of several members of one name wins. */
static void make_object(struct decoder *d, struct container *c)
{
    lua_createtable(d->L, 0, c->n);
    lua_replace(d->L, c->base);
    for (int i = 0; i < c->n; i++) {
        lua_pushvalue(d->L, c->base + 1 + 2 * i);
        lua_pushvalue(d->L, c->base + 2 + 2 * i);
        lua_rawset(d->L, c->base);
    }
    lua_settop(d->L, c->base);
    c->is_made = true;
}

/* Takes the name and the value on the top of the stack into the object. */
static void add_member(struct decoder *d, struct container *c)
{
    if (c->is_made)
        lua_rawset(d->L, c->base);
    c->n++;
    if (!c->is_made && c->n >= c->limit)
        make_object(d, c);
}

/* Reads "name": value. */
static bool read_member(struct decoder *d)
{
    if (*d->p != '"')
        return fail(d, d->p, "expected a name in double quotes");
    if (!read_string(d))
        return false;
    skip_space(d);
    if (*d->p != ':')
        return fail(d, d->p, "expected ':'");
    d->p++;
    skip_space(d);
    return read_value(d);
}

static bool read_object(struct decoder *d)
{
    struct container c;
    bool ok = true;

    if (!enter(d, &c))
        return false;
    if (*d->p == '}') {
        d->p++;
        d->depth--;
    } else {
        do {
            if (!read_member(d))
                return false;
            add_member(d, &c);
        } while (next_item(d, '}', "expected ',' or '}'", &ok));
    }
    if (ok && !c.is_made)
        make_object(d, &c);
    return ok;
}

/* Pushes the value that begins at p; there is a free slot. */
static bool read_value(struct decoder *d)
{
    switch (*d->p) {
    case '"':
        return read_string(d);
    case '{':
        return read_object(d);
    case '[':
        return read_array(d);
    case 't':
        lua_pushboolean(d->L, 1);
        return read_word(d, "true", 4);
    case 'f':
        lua_pushboolean(d->L, 0);
        return read_word(d, "false", 5);
    case 'n':
        lua_pushvalue(d->L, d->null);
        return read_word(d, "null", 4);
    case '1' ... '9':
        return read_count(d);
    case '-':
    case '0':
        return read_number(d);
    default:
        return fail(d, d->p, "expected a value");
    }
}

/* ---- The whole ---- */

/* [-0, +1, m] Pushes where reading failed and why. Columns are characters. */
static void push_problem(struct decoder *d)
{
    char message[160];
    size_t line = 1, column = 1;

    for (const char *p = d->text; p < d->p; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*p & 0xc0) != 0x80) {
            column++;
        }
    }
    snprintf(message, sizeof message,
             "json: line %zu column %zu: %s%s (byte %zu)", line, column,
             d->problem, d->p == d->end ? ", found the end" : "",
             (size_t)(d->p - d->text + 1));
    lua_pushstring(d->L, message);
}

int json_decode(lua_State *L, const char *text, size_t n)
{
    struct decoder d = {L, text, text, text + n, 0, 0, 0, NULL};
    int top = lua_gettop(L);

    assert(text[n] == 0);
    luaL_checkstack(L, 8, "json");
    json_value_push_null(L);
    json_value_push_mark(L);
    d.null = top + 1;
    d.mark = top + 2;
    skip_space(&d);
    if (read_value(&d)) {
        skip_space(&d);
        if (d.p < d.end)
            fail(&d, d.p, "expected nothing more");
    }
    if (d.problem != NULL)
        push_problem(&d);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return d.problem == NULL ? 0 : -1;
}
