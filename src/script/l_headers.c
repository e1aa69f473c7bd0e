/* Names and values are checked here, once, when they are set: nothing above or
 * below can put a line break into a head. A bad value changes nothing of what
 * was set before. */
#include "script/l_headers.h"

#include <stdio.h>

#include "script/context.h"

int l_headers_closed(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

struct str l_headers_text(lua_State *L, int i)
{
    struct str s;

    s.p = lua_tolstring(L, i, &s.n);
    return s;
}

struct exchange *l_headers_settable(lua_State *L, const char *verb)
{
    struct context *c = context_check(L, 1);
    struct exchange *x = c->x;

    if (x == NULL || x->codec == NULL)
        return NULL;
    if (!x->head_sent)
        return x;
    lua_getfield(L, 1, "headersSent");
    if (lua_toboolean(L, -1))
        luaL_error(L, "Cannot %s headers after they are sent to the client",
                   verb);
    return NULL;
}

/* [-0, +0, v] Raises format with text in it, which is the client's perhaps:
 * made printable, so that no log line can be forged with it. */
static void complain(lua_State *L, const char *format, struct str text)
{
    luaL_Buffer b;
    size_t i;

    luaL_buffinit(L, &b);
    for (i = 0; i < text.n && i < 80; i++)
        luaL_addchar(&b,
                     text.p[i] < ' ' || text.p[i] == 0x7f ? '?' : text.p[i]);
    luaL_pushresult(&b);
    luaL_error(L, format, lua_tostring(L, -1));
}

struct str l_headers_name(lua_State *L, int i)
{
    struct str name;

    if (lua_type(L, i) != LUA_TSTRING)
        luaL_argerror(L, i, "the name of a header is a string");
    name = l_headers_text(L, i);
    if (!headers_name_valid(name))
        complain(L, "Header name must be a valid HTTP token [\"%s\"]", name);
    return name;
}

/* Whether a value is 1 to 18 digits. */
static bool is_length(struct str value)
{
    size_t i;

    for (i = 0; i < value.n; i++)
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
    return value.n > 0 && value.n <= 18;
}

/* [-0, +0, m] Makes a whole number at index i text where tostring would write
 * ".0" behind it, or, in LuaJIT, an exponent. */
static void print_whole(lua_State *L, int i)
{
    lua_Number n = lua_tonumber(L, i);
    char text[32];

    if (!(n > -9e18 && n < 9e18) || n != (lua_Number)(int64_t)n)
        return;
    if (COMPAT_LUAJIT ? n > -1e14 && n < 1e14 : lua_isinteger(L, i))
        return;
    snprintf(text, sizeof text, "%.0f", n);
    lua_pushstring(L, text);
    lua_replace(L, i);
}

struct str l_headers_value(lua_State *L, int i, struct str name)
{
    int type = lua_type(L, i);
    struct str value;

    if (type == LUA_TSTRING) {
        /* the usual case */
    } else if (type == LUA_TNUMBER) {
        print_whole(L, i);
    } else if (lua_isboolean(L, i)) {
        lua_pushstring(L, lua_toboolean(L, i) ? "true" : "false");
        lua_replace(L, i);
    } else {
        lua_pushfstring(L, "Invalid value (%s) for header \"%%s\"",
                        luaL_typename(L, i));
        complain(L, lua_tostring(L, -1), name);
    }
    value = str_trim(l_headers_text(L, i));
    if (!headers_value_valid(value))
        complain(L, "Invalid character in header content [\"%s\"]", name);
    /* Another length would leave the client to guess where the body ends. */
    if (name.n == sizeof "Content-Length" - 1 && !is_length(value) &&
        headers_id(name) == HEADER_CONTENT_LENGTH)
        complain(L, "Invalid value for header \"Content-Length\": %s", value);
    return value;
}

/* Adds the value at i, or each of a table of values. */
static void add(lua_State *L, struct exchange *x, struct str name, int i)
{
    struct str value;
    int k;

    if (!lua_istable(L, i)) {
        value = l_headers_value(L, i, name);
        headers_add(&x->response, &x->pool, name, pool_copy(&x->pool, value));
        return;
    }
    for (k = 1;; k++) {
        lua_rawgeti(L, i, k);
        if (lua_isnil(L, -1))
            break;
        value = l_headers_value(L, lua_gettop(L), name);
        headers_add(&x->response, &x->pool, name, pool_copy(&x->pool, value));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Checks a value without adding it, so that a bad one changes nothing. */
static void check_values(lua_State *L, int i, struct str name)
{
    int k;

    if (!lua_istable(L, i)) {
        lua_pushvalue(L, i);
        l_headers_value(L, lua_gettop(L), name);
        lua_pop(L, 1);
        return;
    }
    for (k = 1; lua_rawgeti(L, i, k), !lua_isnil(L, -1); k++) {
        l_headers_value(L, lua_gettop(L), name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Sets a field to one value, which is checked before anything changes. */
static void set_one(lua_State *L, struct exchange *x, int name, int value)
{
    struct str key = l_headers_text(L, name);
    enum header_id id = headers_id(key);
    struct str text;

    if (id == HEADER_OTHER) /* else it is valid */
        key = l_headers_name(L, name);
    text = l_headers_value(L, value, key);
    if (x->response.n > 0)
        headers_remove(&x->response, key);
    headers_add_as(&x->response, &x->pool, id, pool_copy(&x->pool, key),
                   pool_copy(&x->pool, text));
}

static void set(lua_State *L, struct exchange *x, int name, int value)
{
    struct str key;

    if (lua_type(L, name) == LUA_TSTRING && !lua_istable(L, value)) {
        set_one(L, x, name, value);
        return;
    }
    key = l_headers_name(L, name);
    check_values(L, value, key);
    if (x->response.n > 0)
        headers_remove(&x->response, key);
    add(L, x, pool_copy(&x->pool, key), value);
}

/* res:setHeader(name, value) -> res */
static int set_header(lua_State *L)
{
    struct exchange *x = l_headers_settable(L, "set");

    if (x == NULL)
        return l_headers_closed(L);
    lua_settop(L, 3);
    set(L, x, 2, 3);
    lua_settop(L, 1);
    return 1;
}

/* res:appendHeader(name, value) -> res */
static int append_header(lua_State *L)
{
    struct exchange *x = l_headers_settable(L, "append");
    struct str name;

    if (x == NULL)
        return l_headers_closed(L);
    lua_settop(L, 3);
    name = l_headers_name(L, 2);
    check_values(L, 3, name);
    add(L, x, pool_copy(&x->pool, name), 3);
    lua_settop(L, 1);
    return 1;
}

/* res:removeHeader(name) -> res */
static int remove_header(lua_State *L)
{
    struct exchange *x = l_headers_settable(L, "remove");

    if (x == NULL)
        return l_headers_closed(L);
    luaL_checkstring(L, 2);
    headers_remove(&x->response, l_headers_text(L, 2));
    lua_settop(L, 1);
    return 1;
}

/* [-0, +1, m] The value of a header: a string, a table of several, or nil. */
static void push_values(lua_State *L, const struct headers *h, struct str name)
{
    struct header *item = headers_get(h, name, 0);
    int n = 1;

    if (item == NULL) {
        lua_pushnil(L);
        return;
    }
    lua_pushlstring(L, item->value.p, item->value.n);
    while ((item = headers_get(h, name, (unsigned)(item - h->items) + 1))) {
        if (n == 1) {
            lua_createtable(L, 2, 0);
            lua_insert(L, -2);
            lua_rawseti(L, -2, 1);
        }
        lua_pushlstring(L, item->value.p, item->value.n);
        lua_rawseti(L, -2, ++n);
    }
}

/* res:getHeader(name) -> value */
static int get_header(lua_State *L)
{
    struct context *c = context_check(L, 1);

    luaL_checkstring(L, 2);
    if (c->x == NULL)
        return l_headers_closed(L);
    push_values(L, &c->x->response, l_headers_text(L, 2));
    return 1;
}

/* res:hasHeader(name) -> boolean */
static int has_header(lua_State *L)
{
    struct context *c = context_check(L, 1);

    luaL_checkstring(L, 2);
    lua_pushboolean(
        L, c->x != NULL &&
               headers_get(&c->x->response, l_headers_text(L, 2), 0) != NULL);
    return 1;
}

/* [-0, +1, m] A name in lower case. */
static void push_lower(lua_State *L, struct exchange *x, struct str name)
{
    struct str lower = headers_lower(&x->pool, name);

    lua_pushlstring(L, lower.p, lower.n);
}

/* res:getHeaders() -> table with names in lower case */
static int get_headers(lua_State *L)
{
    struct context *c = context_check(L, 1);
    unsigned i;

    lua_newtable(L);
    for (i = 0; c->x != NULL && i < c->x->response.n; i++) {
        push_lower(L, c->x, c->x->response.items[i].name);
        push_values(L, &c->x->response, c->x->response.items[i].name);
        lua_rawset(L, -3);
    }
    return 1;
}

/* res:getHeaderNames() -> array of names in lower case, each once */
static int get_header_names(lua_State *L)
{
    struct context *c = context_check(L, 1);
    unsigned i;
    int n = 0;

    lua_newtable(L);
    for (i = 0; c->x != NULL && i < c->x->response.n; i++) {
        struct headers *h = &c->x->response;

        if (headers_get(h, h->items[i].name, 0) != &h->items[i])
            continue;
        push_lower(L, c->x, h->items[i].name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* Sets every pair of the table at t: {name = value} or {"Name", "value", ...},
 * where a repeated name is a repeated field. */
void l_headers_merge(lua_State *L, struct exchange *x, int t)
{
    int k, n = (int)lua_rawlen(L, t);

    if (n % 2 != 0)
        luaL_argerror(L, t, "a list of headers has a value for each name");
    for (k = 1; k < n; k += 2) { /* the list form replaces what was set */
        lua_rawgeti(L, t, k);
        lua_rawgeti(L, t, k + 1);
        check_values(L, lua_gettop(L), l_headers_name(L, lua_gettop(L) - 1));
        headers_remove(&x->response, l_headers_text(L, -2));
        lua_pop(L, 2);
    }
    for (k = 1; k < n; k += 2) {
        lua_rawgeti(L, t, k);
        lua_rawgeti(L, t, k + 1);
        add(L, x, pool_copy(&x->pool, l_headers_text(L, -2)), lua_gettop(L));
        lua_pop(L, 2);
    }
    if (n > 0)
        return;
    for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1))
        set(L, x, lua_gettop(L) - 1, lua_gettop(L));
}

const luaL_Reg l_headers_methods[] = {
    {"setHeader", set_header},       {"appendHeader", append_header},
    {"removeHeader", remove_header}, {"getHeader", get_header},
    {"getHeaders", get_headers},     {"getHeaderNames", get_header_names},
    {"hasHeader", has_header},       {NULL, NULL}};
