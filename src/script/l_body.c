/* What lua/luaserve/body.lua and multipart.lua make of bodies with: decoders of
 * Content-Encoding and the parser of multipart, both of which are given a
 * string and then asked for what comes of it, so that nobody has to take more
 * than it wants; texts in other charsets; and the folder of uploads. */
#include <errno.h>

#include "base/charset.h"
#include "http/decoder.h"
#include "http/multipart.h"
#include "http/param.h"
#include "http/server.h"
#include "net/conn.h"
#include "net/transport.h"
#include "proc/tempdir.h"
#include "script/context.h"
#include "script/modules.h"
#include "script/slot.h"
#include "script/wait.h"

#define DECODER "luaserve.decoder"
#define MULTIPART "luaserve.multipart"

enum { PULL_SIZE = 64 * 1024 }; /* bytes that one pull gives at most */

static struct str check_str(lua_State *L, int i)
{
    struct str s;

    s.p = luaL_checklstring(L, i, &s.n);
    return s;
}

/* [-0, +0, m] Gives the userdata on top its class, and a table for what it
 * points into. */
static void settle(lua_State *L, const char *name)
{
    luaL_getmetatable(L, name);
    lua_setmetatable(L, -2);
    lua_createtable(L, 1, 0);
    compat_setuservalue(L, -2);
}

/* [-0, +0, m] Keeps the string at index 2 for the userdata at 1. */
static void keep(lua_State *L)
{
    compat_getuservalue(L, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    lua_pop(L, 1);
}

/* ---- decoders */

struct l_decoder {
    struct decoder *decoder;
    struct str in; /* borrowed from the string that is kept */
};

static struct l_decoder *check_decoder(lua_State *L)
{
    struct l_decoder *d = luaL_checkudata(L, 1, DECODER);

    luaL_argcheck(L, d->decoder != NULL, 1, "the decoder has been collected");
    return d;
}

/* decoder(coding) -> a decoder, or nil where there is none of that name */
static int new_decoder(lua_State *L)
{
    struct str name = check_str(L, 1);
    struct l_decoder *d = lua_newuserdatauv(L, sizeof *d, 1);

    memset(d, 0, sizeof *d);
    settle(L, DECODER);
    d->decoder = decoder_new(name);
    if (d->decoder == NULL)
        lua_pushnil(L);
    return 1;
}

static int decoder_gc(lua_State *L)
{
    struct l_decoder *d = luaL_checkudata(L, 1, DECODER);

    decoder_free(d->decoder);
    d->decoder = NULL;
    return 0;
}

/* decoder:push(bytes): what is decoded next, when all before it is */
static int decoder_push(lua_State *L)
{
    struct l_decoder *d = check_decoder(L);

    d->in = check_str(L, 2);
    keep(L);
    return 0;
}

/* decoder:pull() -> up to pullSize bytes; fewer where the input is used up; nil
 * where it is malformed */
static int decoder_pull(lua_State *L)
{
    static char room[PULL_SIZE];
    struct l_decoder *d = check_decoder(L);
    size_t n = 0;

    if (decoder_run(d->decoder, &d->in, room, sizeof room, &n) == DECODED_BAD)
        lua_pushnil(L);
    else
        lua_pushlstring(L, room, n);
    return 1;
}

/* decoder:complete() -> whether the body may end here */
static int decoder_is_complete(lua_State *L)
{
    lua_pushboolean(L, decoder_complete(check_decoder(L)->decoder));
    return 1;
}

/* ---- multipart */

struct l_multipart {
    struct multipart m;
    struct str in; /* borrowed from the string that is kept */
};

static struct l_multipart *check_multipart(lua_State *L)
{
    return luaL_checkudata(L, 1, MULTIPART);
}

static size_t check_size(lua_State *L, int i)
{
    lua_Integer n = luaL_checkinteger(L, i);

    return n < 0 ? 0 : (size_t)n;
}

/* multipart(boundary, parts, head, name) -> a parser with these limits, or nil
 * where the boundary is none */
static int new_multipart(lua_State *L)
{
    struct str boundary = check_str(L, 1);
    struct multipart_limits limits = {check_size(L, 2), check_size(L, 3),
                                      check_size(L, 4)};
    struct l_multipart *p = lua_newuserdatauv(L, sizeof *p, 1);

    memset(p, 0, sizeof *p);
    settle(L, MULTIPART);
    if (!multipart_init(&p->m, boundary, &limits))
        lua_pushnil(L);
    return 1;
}

static int multipart_gc(lua_State *L)
{
    multipart_clear(&check_multipart(L)->m);
    return 0;
}

/* parser:push(bytes): what is read next, when all before it is */
static int multipart_push(lua_State *L)
{
    struct l_multipart *p = check_multipart(L);

    p->in = check_str(L, 2);
    keep(L);
    return 0;
}

static void push_text(lua_State *L, struct str s)
{
    if (s.p == NULL)
        lua_pushnil(L);
    else
        lua_pushlstring(L, s.p, s.n);
}

/* [-0, +5, m] "part", name, filename, type, headers */
static int push_part(lua_State *L, const struct multipart_part *part)
{
    unsigned i;

    lua_pushliteral(L, "part");
    push_text(L, part->name);
    if (part->is_file)
        lua_pushlstring(L, part->filename.n ? part->filename.p : "",
                        part->filename.n);
    else
        lua_pushnil(L);
    push_text(L, part->type);
    lua_createtable(L, 0, (int)part->nfields);
    for (i = part->nfields; i-- > 0;) { /* the first of a name wins */
        push_text(L, part->fields[i].name);
        push_text(L, part->fields[i].value);
        lua_rawset(L, -3);
    }
    return 5;
}

/* [-0, +2, m] "data" and the bytes: the pushed string itself where all of it is
 * data, which is the rule within a large file. */
static int push_data(lua_State *L, struct str data)
{
    size_t n;
    const char *p;

    lua_pushliteral(L, "data");
    compat_getuservalue(L, 1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    p = lua_tolstring(L, -1, &n);
    if (p != data.p || n != data.n) {
        lua_pop(L, 1);
        push_text(L, data);
    }
    return 2;
}

/* parser:next() -> "part", name, filename, type, headers | "data", bytes |
 * "end" | "close" | "bad", status, message; nil where more input is needed */
static int multipart_step(lua_State *L)
{
    struct l_multipart *p = check_multipart(L);
    struct str data;

    lua_settop(L, 1);
    switch (multipart_next(&p->m, &p->in, &data)) {
    case MULTIPART_PART:
        return push_part(L, &p->m.part);
    case MULTIPART_DATA:
        return push_data(L, data);
    case MULTIPART_END:
        lua_pushliteral(L, "end");
        return 1;
    case MULTIPART_CLOSE:
        lua_pushliteral(L, "close");
        return 1;
    case MULTIPART_BAD:
        lua_pushliteral(L, "bad");
        lua_pushinteger(L, p->m.status);
        lua_pushstring(L, p->m.error);
        return 3;
    default:
        lua_pushnil(L);
        return 1;
    }
}

/* ---- texts */

/* [-0, +1|2, m] in as UTF-8, or nil and "malformed". */
static int push_decoded(lua_State *L, enum charset charset, struct str in)
{
    static struct bytes out; /* emptied by the next call if this one raises */

    bytes_clear(&out);
    if (!charset_decode(charset, in, &out)) {
        lua_pushnil(L);
        lua_pushliteral(L, "malformed");
        return 2;
    }
    lua_pushlstring(L, out.n ? out.p : "", out.n);
    bytes_clear(&out);
    return 1;
}

/* text(bytes, charset) -> the text as UTF-8; nil, "unknown" or "malformed".
 * Without a charset a byte order mark tells, and else it stays as it is. */
static int text(lua_State *L)
{
    struct str in = check_str(L, 1), name = {NULL, 0};
    enum charset marked = charset_marked(in), charset = marked;

    if (!lua_isnoneornil(L, 2)) {
        name = check_str(L, 2);
        charset = charset_of(name);
        if (charset == CHARSET_UNKNOWN) {
            lua_pushnil(L);
            lua_pushliteral(L, "unknown");
            return 2;
        }
    }
    if (charset == CHARSET_UNKNOWN ||
        (charset == CHARSET_UTF8 && marked != CHARSET_UTF8)) {
        lua_settop(L, 1);
        return 1;
    }
    return push_decoded(L, charset, in);
}

/* charset(name) -> whether it is known, and whether it is a form's, too */
static int charset(lua_State *L)
{
    enum charset found = charset_of(check_str(L, 1));

    lua_pushboolean(L, found != CHARSET_UNKNOWN);
    lua_pushboolean(L, found == CHARSET_UTF8 || found == CHARSET_ASCII ||
                           found == CHARSET_LATIN1);
    return 2;
}

/* param(value, name) -> the parameter of that name of a field's value, nil
 * where there is none; false where they are malformed */
static int param(lua_State *L)
{
    struct str value = check_str(L, 1), name = check_str(L, 2);
    char *copy = lua_newuserdatauv(L, value.n + 1, 0), *end = copy + value.n;
    struct param found;
    int result;

    memcpy(copy, value.p, value.n);
    while (copy < end && *copy != ';')
        copy++;
    while ((result = param_next(&copy, end, &found)) > 0)
        if (str_ieq(found.name, name)) {
            push_text(L, found.value);
            return 1;
        }
    if (result < 0)
        lua_pushboolean(L, 0);
    else
        lua_pushnil(L);
    return 1;
}

/* ---- requests */

/* limit(req) -> the bytes that a body of its server may have that is collected
 */
static int limit(lua_State *L)
{
    struct context *c = context_check(L, 1);
    uint64_t most = c->x != NULL ? c->x->server->limits.max_body : 0;

    lua_pushinteger(L, (lua_Integer)(most > INT64_MAX ? INT64_MAX : most));
    return 1;
}

/* refusal(req, name, value): a field for the answer that a failure gives */
static int refusal(lua_State *L)
{
    struct context *c = context_check(L, 1);
    struct str name = check_str(L, 2), value = check_str(L, 3);

    luaL_argcheck(L, headers_name_valid(name), 2, "not a header's name");
    luaL_argcheck(L, headers_value_valid(value), 3, "not a header's value");
    if (c->x == NULL)
        return 0;
    headers_remove(&c->x->refusal, name);
    headers_add(&c->x->refusal, &c->x->pool, pool_copy(&c->x->pool, name),
                pool_copy(&c->x->pool, value));
    return 0;
}

/* response(req) -> its res, or nil where all is over */
static int response(lua_State *L)
{
    struct context *c = context_check(L, 1);

    if (c->slot == 0)
        lua_pushnil(L);
    else
        slot_push(L, c->slot);
    return 1;
}

/* encrypted(req) -> whether its connection is */
static int encrypted(lua_State *L)
{
    struct context *c = context_check(L, 1);

    lua_pushboolean(L, c->x != NULL && c->x->codec != NULL &&
                           c->x->codec->conn(c->x)->transport->encrypted);
    return 1;
}

/* folder() -> where uploads go, or nil, message, code */
static int folder(lua_State *L)
{
    const char *path = tempdir_path();

    if (path == NULL)
        return wait_return_errno(L, errno, "mkdtemp", "the folder of uploads");
    lua_pushstring(L, path);
    return 1;
}

/* [-0, +0, m] The metatable of userdata of that name, with these methods. */
static void set_class(lua_State *L, const char *name, lua_CFunction gc,
                      const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

int l_body_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"decoder", new_decoder},
                                         {"multipart", new_multipart},
                                         {"text", text},
                                         {"param", param},
                                         {"limit", limit},
                                         {"refusal", refusal},
                                         {"folder", folder},
                                         {"charset", charset},
                                         {"response", response},
                                         {"encrypted", encrypted},
                                         {NULL, NULL}};
    static const luaL_Reg decoder_methods[] = {
        {"push", decoder_push},
        {"pull", decoder_pull},
        {"complete", decoder_is_complete},
        {NULL, NULL}};
    static const luaL_Reg multipart_methods[] = {
        {"push", multipart_push}, {"next", multipart_step}, {NULL, NULL}};

    set_class(L, DECODER, decoder_gc, decoder_methods);
    set_class(L, MULTIPART, multipart_gc, multipart_methods);
    luaL_newlib(L, functions);
    lua_pushliteral(L, DECODER_NAMES);
    lua_setfield(L, -2, "codings");
    lua_pushinteger(L, PULL_SIZE);
    lua_setfield(L, -2, "pullSize");
    return 1;
}
