/* What compiled templates write into (lua/luaserve/template.lua): a growing
 * buffer, to which one call adds many pieces, those to be escaped and those not
 * in turn. Scripts have the functions in their reach while a template runs, so
 * every argument is checked. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/html.h"
#include "script/json_number.h"
#include "script/json_out.h"
#include "script/modules.h"

enum { KEPT = 256 * 1024 }; /* bytes that an emptied buffer keeps */

#define OUT "luaserve.template.out"

struct out {
    const void *kind; /* &out_kind: this userdata is one of ours */
    struct bytes text;
};

static const char out_kind;

static struct out *check_out(lua_State *L)
{
    struct out *out = lua_touserdata(L, 1);

    if (lua_type(L, 1) != LUA_TUSERDATA || lua_rawlen(L, 1) < sizeof *out ||
        out->kind != &out_kind)
        luaL_argerror(L, 1, "the output of a template is expected");
    return out;
}

static int out_gc(lua_State *L)
{
    bytes_clear(&((struct out *)lua_touserdata(L, 1))->text);
    return 0;
}

/* out() -> an empty buffer */
static int new_out(lua_State *L)
{
    struct out *out = lua_newuserdatauv(L, sizeof *out, 0);

    bytes_init(&out->text);
    out->kind = &out_kind;
    luaL_getmetatable(L, OUT);
    lua_setmetatable(L, -2);
    return 1;
}

/* [-0, +0, v] Raises where the value at i cannot be printed, with the line of
 * the template: that of the call, and the lines within the texts before i. */
static void refuse(lua_State *L, int i)
{
    const char *type = luaL_typename(L, i), *p;
    lua_Debug ar;
    int k;

    if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "Sl", &ar))
        luaL_argerror(L, i, "text, a number or a boolean is expected");
    for (k = 2; k < i; k += 2) /* only texts have an even index */
        if (lua_type(L, k) == LUA_TSTRING)
            for (p = lua_tostring(L, k); (p = strchr(p, '\n')) != NULL; p++)
                ar.currentline++;
    lua_pushfstring(L,
                    "%s:%d: a template prints texts, numbers and booleans, "
                    "not a %s",
                    ar.short_src, ar.currentline, type);
    lua_error(L);
}

static void put_number(lua_State *L, struct bytes *out, int i)
{
    lua_Number n = lua_tonumber(L, i);
    char *at = json_out_reserve(out, JSON_NUMBER_MAX);

    if (lua_isinteger(L, i))
        out->n += json_number_integer((int64_t)lua_tointeger(L, i), at);
    else if (isfinite(n))
        out->n += json_number_real(n, at);
    else
        json_out_word(out, isnan(n) ? "nan" : n < 0 ? "-inf" : "inf");
}

static void put_text(lua_State *L, struct bytes *out, int i, bool is_escaped)
{
    size_t n;
    const char *p = lua_tolstring(L, i, &n);

    if (is_escaped)
        html_escape(out, p, n);
    else if (n > 0)
        json_out_add(out, p, n);
}

/* [-0, +0, v] Adds the value at i, which is neither text nor a number. */
static void put_other(lua_State *L, struct bytes *out, int i, bool is_escaped)
{
    int type = lua_type(L, i);

    if (type == LUA_TNIL)
        return;
    if (type == LUA_TBOOLEAN) {
        json_out_word(out, lua_toboolean(L, i) ? "true" : "false");
        return;
    }
    if (!luaL_callmeta(L, i, "__tostring") || lua_type(L, -1) != LUA_TSTRING)
        refuse(L, i);
    put_text(L, out, lua_gettop(L), is_escaped);
    lua_pop(L, 1);
}

/* put(out, raw, escaped, raw, escaped, ...): adds the pieces; nil adds none. */
static int put(lua_State *L)
{
    struct bytes *out = &check_out(L)->text;
    int top = lua_gettop(L), i;

    for (i = 2; i <= top; i++)
        switch (lua_type(L, i)) {
        case LUA_TSTRING:
            put_text(L, out, i, (i & 1) != 0);
            break;
        case LUA_TNUMBER:
            put_number(L, out, i);
            break;
        default:
            put_other(L, out, i, (i & 1) != 0);
        }
    return 0;
}

/* length(out) -> bytes that it holds */
static int length(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_out(L)->text.n);
    return 1;
}

/* cut(out[, from]) -> what it holds behind that many bytes (0), taken off it */
static int cut(lua_State *L)
{
    struct bytes *text = &check_out(L)->text;
    lua_Integer from = luaL_optinteger(L, 2, 0);

    luaL_argcheck(L, from >= 0 && (size_t)from <= text->n, 2, "out of range");
    lua_pushlstring(L, text->p ? text->p + from : "", text->n - (size_t)from);
    text->n = (size_t)from;
    if (from == 0 && text->cap > KEPT)
        bytes_clear(text);
    return 1;
}

/* escape(text) -> text safe in HTML; numbers as their text */
static int escape(lua_State *L)
{
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);
    struct bytes *out;

    lua_settop(L, 1);
    if (strcspn(p, "&<>\"'") == n)
        return 1;
    new_out(L);
    out = &((struct out *)lua_touserdata(L, 2))->text;
    html_escape(out, p, n);
    lua_pushlstring(L, out->p, out->n);
    bytes_clear(out);
    return 1;
}

int l_template_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"out", new_out},   {"put", put},
                                         {"length", length}, {"cut", cut},
                                         {"escape", escape}, {NULL, NULL}};

    luaL_newmetatable(L, OUT);
    lua_pushcfunction(L, out_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
