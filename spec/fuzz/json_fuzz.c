/* The module json: what decode takes is JSON as a plain reading of RFC 8259
 * finds it, and what it takes survives encoding and decoding again, in any
 * order of members. Lua values made of the bytes, which need not come from any
 * text, are encoded too, and what encode writes is JSON. */
#include "fuzz.h"

#include <math.h>

#include "base/bytes.h"
#include "script/json_decode.h"
#include "script/json_encode.h"
#include "script/modules.h"

enum { MODULE = 1 }; /* stack index of the module */

/* ---- RFC 8259, read plainly */

struct reader {
    const unsigned char *p, *end;
    int depth, deepest;
    bool is_huge; /* a number that no double holds */
};

static bool read_value(struct reader *r);

static bool take(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

static int peek(const struct reader *r)
{
    return r->p < r->end ? *r->p : -1;
}

static void skip_space(struct reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' ||
           peek(r) == '\r')
        r->p++;
}

static bool read_hex(struct reader *r)
{
    for (int i = 0; i < 4; i++, r->p++)
        if (peek(r) < 0 || strchr("0123456789abcdefABCDEF", peek(r)) == NULL ||
            peek(r) == 0)
            return false;
    return true;
}

/* One character that is not ASCII: its code point is put together, then
 * checked against the length it was written with. */
static bool read_wide(struct reader *r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = *r->p++;
    int n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint32_t code = first & (0xffU >> (n + 1));

    if (first < 0xc0 || first >= 0xf8)
        return false;
    for (int i = 1; i < n; i++, r->p++) {
        if (peek(r) < 0 || (peek(r) & 0xc0) != 0x80)
            return false;
        code = code << 6 | (*r->p & 0x3fU);
    }
    return code >= least[n] && code <= 0x10ffff &&
           !(code >= 0xd800 && code < 0xe000);
}

static bool read_string(struct reader *r)
{
    if (!take(r, "\""))
        return false;
    while (peek(r) >= 0x20) {
        if (take(r, "\""))
            return true;
        if (*r->p >= 0x80) {
            if (!read_wide(r))
                return false;
        } else if (!take(r, "\\")) {
            r->p++;
        } else if (take(r, "u")) {
            if (!read_hex(r))
                return false;
        } else if (peek(r) <= 0 || strchr("\"\\/bfnrt", *r->p++) == NULL) {
            return false;
        }
    }
    return false;
}

static bool read_digits(struct reader *r)
{
    const unsigned char *start = r->p;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->p++;
    return r->p > start;
}

static bool read_number(struct reader *r)
{
    const unsigned char *start = r->p;
    char *copy;

    take(r, "-");
    if (!take(r, "0") && !read_digits(r))
        return false;
    if (take(r, ".") && !read_digits(r))
        return false;
    if (take(r, "e") || take(r, "E")) {
        if (!take(r, "-"))
            take(r, "+");
        if (!read_digits(r))
            return false;
    }
    copy = strndup((const char *)start, (size_t)(r->p - start));
    FUZZ_CHECK(copy != NULL);
    if (isinf(strtod(copy, NULL)))
        r->is_huge = true;
    free(copy);
    return true;
}

/* An array, or with names an object, behind its bracket. */
static bool read_items(struct reader *r, const char *close, bool names)
{
    skip_space(r);
    if (take(r, close))
        return true;
    for (;;) {
        skip_space(r);
        if (names) {
            if (!read_string(r))
                return false;
            skip_space(r);
            if (!take(r, ":"))
                return false;
        }
        if (!read_value(r))
            return false;
        if (take(r, close))
            return true;
        if (!take(r, ","))
            return false;
    }
}

static bool read_container(struct reader *r)
{
    bool names = *r->p++ == '{', ok;

    r->depth++;
    if (r->depth > r->deepest)
        r->deepest = r->depth;
    ok = r->depth < 5000 && read_items(r, names ? "}" : "]", names);
    r->depth--;
    return ok;
}

static bool read_value(struct reader *r)
{
    bool ok;

    skip_space(r);
    switch (peek(r)) {
    case '{':
    case '[':
        ok = read_container(r);
        break;
    case '"':
        ok = read_string(r);
        break;
    case 't':
        ok = take(r, "true");
        break;
    case 'f':
        ok = take(r, "false");
        break;
    case 'n':
        ok = take(r, "null");
        break;
    default:
        ok = read_number(r);
    }
    skip_space(r);
    return ok;
}

static bool is_json(struct str text, struct reader *r)
{
    *r = (struct reader){.p = (const unsigned char *)text.p};
    r->end = r->p + text.n;
    return read_value(r) && r->p == r->end;
}

/* ---- the module */

/* [-0, +1, m] A fresh state with the module at MODULE. */
static lua_State *open_state(void)
{
    lua_State *L = luaL_newstate();

    FUZZ_CHECK(L != NULL);
    lua_pushcfunction(L, l_json_open);
    FUZZ_CHECK(lua_pcall(L, 0, 1, 0) == 0);
    return L;
}

/* [-1, +1, -] Replaces the argument on the top by what the function of the
 * module makes of it, or by the message. Returns whether it succeeded. */
static bool call(lua_State *L, const char *name, bool sorted)
{
    int nargs = 1;

    lua_getfield(L, MODULE, name);
    lua_insert(L, -2);
    if (sorted) {
        lua_createtable(L, 0, 1);
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "sort");
        nargs = 2;
    }
    return lua_pcall(L, nargs, 1, 0) == 0;
}

/* Whether the values at i and j are the same, to the sign of a zero. Whole
 * numbers need not be of the same kind: encode writes 1.0 as 1. */
static bool is_same(lua_State *L, int i, int j)
{
    bool same = true;
    int count = 0;

    luaL_checkstack(L, 8, "same");
    if (lua_type(L, i) != lua_type(L, j))
        return false;
    if (lua_type(L, i) == LUA_TNUMBER && lua_tonumber(L, i) == 0)
        return signbit(lua_tonumber(L, i)) == signbit(lua_tonumber(L, j));
    if (!lua_istable(L, i))
        return lua_rawequal(L, i, j);
    for (lua_pushnil(L); same && lua_next(L, i); count++) {
        lua_pushvalue(L, -2);
        lua_rawget(L, j);
        same = is_same(L, lua_gettop(L) - 1, lua_gettop(L));
        lua_pop(L, 2);
    }
    if (!same) {
        lua_pop(L, 1);
        return false;
    }
    for (lua_pushnil(L); lua_next(L, j); lua_pop(L, 1))
        count--;
    return count == 0 &&
           json_encode_is_array(L, i) == json_encode_is_array(L, j);
}

/* The value on the top is written, read, and written again. */
static void check_trip(lua_State *L, bool sorted)
{
    int value = lua_gettop(L), text = value + 1, again = value + 2;
    struct reader r;
    struct str s;

    lua_pushvalue(L, value);
    FUZZ_CHECK(call(L, "encode", sorted));
    s.p = lua_tolstring(L, text, &s.n);
    FUZZ_CHECK(is_json(s, &r));
    lua_pushvalue(L, text);
    FUZZ_CHECK(call(L, "decode", false));
    FUZZ_CHECK(is_same(L, value, again));
    if (sorted) {
        FUZZ_CHECK(call(L, "encode", true));
        FUZZ_CHECK(lua_rawequal(L, text, again));
    }
    lua_settop(L, value);
}

/* A text that is one number says what the C library says it does. */
static void check_number(lua_State *L, struct str text)
{
    char *copy = strndup(text.p, text.n);
    double n = strtod(copy, NULL);

    FUZZ_CHECK(lua_tonumber(L, -1) == n || lua_isinteger(L, -1));
    if (lua_isinteger(L, -1) && strpbrk(copy, ".eE") == NULL)
        FUZZ_CHECK(lua_tointeger(L, -1) == strtoll(copy, NULL, 10));
    free(copy);
}

static void check_text(lua_State *L, struct str text)
{
    struct reader r;
    bool valid = is_json(text, &r), ok;

    lua_pushlstring(L, text.p, text.n);
    ok = call(L, "decode", false);
    if (ok) {
        FUZZ_CHECK(valid && !r.is_huge && r.deepest <= JSON_DECODE_DEPTH);
        check_trip(L, false);
        check_trip(L, true);
        if (lua_type(L, -1) == LUA_TNUMBER)
            check_number(L, text);
    } else {
        FUZZ_CHECK(!valid || r.is_huge || r.deepest > JSON_DECODE_DEPTH);
        FUZZ_CHECK(lua_type(L, -1) == LUA_TSTRING);
        FUZZ_CHECK(strncmp(lua_tostring(L, -1), "json: line ", 11) == 0);
    }
    lua_settop(L, MODULE);
}

/* ---- values that come from no text */

/* [-0, +1, m] Pushes a string of the next bytes. */
static void push_bytes(lua_State *L, struct fuzz_input *in)
{
    size_t n = fuzz_take(in) % 24;
    char bytes[24];

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)fuzz_take(in);
    lua_pushlstring(L, bytes, n);
}

/* [-0, +1, m] Pushes a double of the next bytes. */
static void push_double(lua_State *L, struct fuzz_input *in)
{
    uint64_t bits = 0;
    double n;

    for (int i = 0; i < 8; i++)
        bits = bits << 8 | fuzz_take(in);
    memcpy(&n, &bits, sizeof n);
    lua_pushnumber(L, n);
}

/* [-0, +1, m] Pushes a value that can be a key. */
static void push_key(lua_State *L, struct fuzz_input *in)
{
    unsigned what = fuzz_take(in);

    if (what < 128)
        lua_pushinteger(L, (lua_Integer)what % 8);
    else if (what < 192)
        push_bytes(L, in);
    else if (what < 250)
        lua_pushnumber(L, (lua_Number)what / 4 - 50);
    else
        lua_pushboolean(L, what & 1);
}

static void push_value(lua_State *L, struct fuzz_input *in, int depth);

/* [-0, +1, m] Pushes a table. */
static void push_table(lua_State *L, struct fuzz_input *in, int depth)
{
    unsigned n = fuzz_take(in) % 16;
    bool list = n % 2 == 0;

    lua_newtable(L);
    for (unsigned i = 1; i <= n && in->left > 0; i++) {
        if (list)
            lua_pushinteger(L, (lua_Integer)i);
        else
            push_key(L, in);
        push_value(L, in, depth + 1);
        lua_rawset(L, -3);
    }
    if (n == 14 && lua_rawlen(L, -1) > 0) { /* may contain itself */
        lua_pushvalue(L, -1);
        lua_rawseti(L, -2, 2);
    }
}

static void push_value(lua_State *L, struct fuzz_input *in, int depth)
{
    luaL_checkstack(L, 8, "value");
    switch (fuzz_take(in) % 8) {
    case 0:
        lua_pushinteger(L, (lua_Integer)fuzz_take(in));
        break;
    case 1:
        push_double(L, in);
        break;
    case 2:
        push_bytes(L, in);
        break;
    case 3:
        lua_pushboolean(L, fuzz_take(in) & 1);
        break;
    case 4:
        lua_getfield(L, MODULE, fuzz_take(in) < 240 ? "null" : "encode");
        break;
    default:
        if (depth < 100)
            push_table(L, in, depth);
        else
            lua_pushnil(L);
    }
}

/* What encode writes is JSON, and reads back as what writes the same. */
static void check_value(lua_State *L, bool sorted)
{
    struct reader r;
    struct str s;

    if (!call(L, "encode", sorted)) {
        FUZZ_CHECK(lua_type(L, -1) == LUA_TSTRING);
        FUZZ_CHECK(strstr(lua_tostring(L, -1), "json: cannot encode ") != NULL);
        return;
    }
    s.p = lua_tolstring(L, -1, &s.n);
    FUZZ_CHECK(is_json(s, &r) && !r.is_huge);
    FUZZ_CHECK(call(L, "decode", false));
    check_trip(L, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_open(data, size);
    lua_State *L = open_state();

    check_text(L, in.text);
    for (int sorted = 0; sorted < 2; sorted++) {
        struct fuzz_input script = in;

        push_value(L, &script, 0);
        check_value(L, sorted);
        lua_settop(L, MODULE);
    }
    lua_close(L);
    return 0;
}
