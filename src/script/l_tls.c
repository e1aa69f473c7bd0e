/* Secure contexts for Lua, and the TLS side of a server's handle. Reading a
 * script's options, inheriting them and asking SNICallback is policy and stands
 * in lua/node/https.lua; here options are already lists of texts. */
#include "script/l_tls.h"

#include <openssl/ssl.h>
#include <string.h>

#include "base/log.h"
#include "http/greeting.h"
#include "net/tls.h"
#include "net/tls_context.h"
#include "net/tls_dev.h"
#include "net/tls_ticket.h"
#include "script/call.h"
#include "script/l_server.h"
#include "script/l_tls_peer.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/slot.h"

#define CONTEXT "luaserve.secureContext"

/* ---- the server's side */

static void on_name(struct tls_server *tls, uint64_t id)
{
    struct l_server *s = tls->owner;
    struct call *call = call_new(NULL);

    if (call == NULL) {
        tls_server_answer(tls, id, NULL, true);
        return;
    }
    slot_push(call->co, s->special);
    lua_pushinteger(call->co, L_SERVER_NAME);
    lua_pushinteger(call->co, (lua_Integer)id);
    call_start(call, 2);
}

struct failure {
    const char *ip, *why;
};

static int push_failure(lua_State *L)
{
    const struct failure *failure = lua_touserdata(L, 1);

    lua_pushstring(L, failure->ip);
    lua_pushstring(L, failure->why);
    return 2;
}

static void on_failure(struct tls_server *tls, struct conn *c, const char *why)
{
    struct l_server *s = tls->owner;
    lua_State *L = script_thread();
    struct addr peer;
    struct call *call;
    char ip[ADDR_IP_SIZE];
    struct failure failure = {ip, why};
    int n;

    conn_peer(c, &peer);
    addr_ip(&peer, ip);
    log_debug("TLS handshake with %s: %s", ip, why);
    if (!s->tells[L_SERVER_FAILURE])
        return;
    if (call_protected(push_failure, &failure, &n) != LUA_OK) {
        lua_pop(L, n);
        return;
    }
    call = call_new(NULL);
    if (call == NULL) {
        lua_pop(L, n);
        return;
    }
    slot_push(call->co, s->special);
    lua_pushinteger(call->co, L_SERVER_FAILURE);
    lua_xmove(L, call->co, n);
    call_start(call, 3);
}

struct tls_server *l_tls_of(lua_State *L, int i)
{
    struct l_server *s = l_server_check(L, i);

    if (s->tls == NULL) {
        s->tls = tls_server_new();
        s->tls->owner = s;
        s->tls->on_failure = on_failure;
        greeting_offer(s->tls);
    }
    if (s->server != NULL)
        s->server->tls = s->tls;
    return s->tls;
}

void l_tls_free(struct l_server *s)
{
    if (s->tls != NULL)
        tls_server_free(s->tls);
    s->tls = NULL;
}

/* ---- contexts */

static SSL_CTX **check_context(lua_State *L, int i)
{
    return luaL_checkudata(L, i, CONTEXT);
}

/* [-0, +1, v] Reads the list of texts in field name of the table at 1 into
 * texts; returns their count. What is pushed keeps them alive. */
static unsigned read_list(lua_State *L, const char *name, struct str *texts)
{
    int i, n;

    lua_getfield(L, 1, name);
    n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    if (n > TLS_CONTEXT_CERTS)
        luaL_error(L, "%s: at most %d are taken", name, TLS_CONTEXT_CERTS);
    for (i = 0; i < n; i++) {
        lua_rawgeti(L, -1, i + 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            texts[i].p = lua_tolstring(L, -1, &texts[i].n);
        lua_pop(L, 1); /* the table holds it */
    }
    return (unsigned)n;
}

/* [-0, +1, m] The version in a field, 0 where there is none. */
static int read_version(lua_State *L, const char *name)
{
    const char *text;

    lua_getfield(L, 1, name);
    text = lua_tostring(L, -1);
    if (text == NULL)
        return 0;
    if (strcmp(text, "TLSv1.2") == 0)
        return TLS1_2_VERSION;
    return TLS1_3_VERSION;
}

static bool read_flag(lua_State *L, const char *name)
{
    bool flag;

    lua_getfield(L, 1, name);
    flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

/* context{certs, keys, passphrases, cas, ciphers, minVersion, maxVersion, ocsp,
 * requestCert, allowUnauthorized} -> a context, or nil, message */
static int context(lua_State *L)
{
    struct tls_options o;
    char error[TLS_CONTEXT_ERROR];
    SSL_CTX **ctx;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 16, NULL);
    memset(&o, 0, sizeof o);
    o.certs = read_list(L, "certs", o.cert);
    o.keys = read_list(L, "keys", o.key);
    read_list(L, "passphrases", o.passphrase);
    o.cas = read_list(L, "cas", o.ca);
    o.min_version = read_version(L, "minVersion");
    o.max_version = read_version(L, "maxVersion");
    o.request_cert = read_flag(L, "requestCert");
    o.allow_unauthorized = read_flag(L, "allowUnauthorized");
    lua_getfield(L, 1, "ciphers");
    o.ciphers = lua_tostring(L, -1);
    lua_getfield(L, 1, "ocsp");
    if (lua_type(L, -1) == LUA_TSTRING)
        o.ocsp.p = lua_tolstring(L, -1, &o.ocsp.n);
    ctx = lua_newuserdatauv(L, sizeof(SSL_CTX *), 0);
    *ctx = NULL;
    luaL_getmetatable(L, CONTEXT);
    lua_setmetatable(L, -2);
    *ctx = tls_context_new(&o, error);
    if (*ctx != NULL)
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

static int collect_context(lua_State *L)
{
    SSL_CTX **ctx = check_context(L, 1);

    SSL_CTX_free(*ctx);
    *ctx = NULL;
    return 0;
}

/* names(context) -> the DNS names of its certificates */
static int names(lua_State *L)
{
    SSL_CTX **ctx = check_context(L, 1);
    char name[TLS_CONTEXT_NAME_MAX];
    unsigned i;

    lua_newtable(L);
    for (i = 0; tls_context_name(*ctx, i, name); i++) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

/* isContext(value) -> whether it is one */
static int is_context(lua_State *L)
{
    bool same = false;

    if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, CONTEXT);
        same = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, same);
    return 1;
}

/* ---- handles */

/* secure(handle[, context]): encrypts what handle serves, from now on with
 * context */
static int secure(lua_State *L)
{
    struct tls_server *tls = l_tls_of(L, 1);

    if (!lua_isnoneornil(L, 2))
        tls_server_set(tls, *check_context(L, 2));
    return 0;
}

/* demand(handle, context): asks all clients for certificates as context does */
static int demand(lua_State *L)
{
    tls_server_demand(l_tls_of(L, 1), *check_context(L, 2));
    return 0;
}

/* add(handle, host, context) -> whether host is a name */
static int add(lua_State *L)
{
    const char *host = luaL_checkstring(L, 2);
    struct tls_server *tls = l_tls_of(L, 1);

    lua_pushboolean(L, tls_server_add(tls, host, *check_context(L, 3)) == 0);
    return 1;
}

/* offer(handle, {names}) -> true, or nil and the name that we do not speak */
static int offer(lua_State *L)
{
    struct tls_server *tls = l_tls_of(L, 1);
    int i, n = (int)lua_rawlen(L, 2);

    tls_server_offer_none(tls);
    for (i = 1; i <= n; i++) {
        struct str name;

        lua_rawgeti(L, 2, i);
        name.p = luaL_checklstring(L, -1, &name.n);
        if (!greeting_speaks(name) || tls_server_offer(tls, name) < 0) {
            lua_pushnil(L);
            lua_insert(L, -2);
            return 2;
        }
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* askNames(handle): has the server's function called for each client that names
 * a host; answer() answers. */
static int ask_names(lua_State *L)
{
    l_tls_of(L, 1)->on_name = on_name;
    return 0;
}

/* asked(handle, id) -> the name that the client has asked for, nil where it is
 * gone */
static int asked(lua_State *L)
{
    uint64_t id = (uint64_t)luaL_checkinteger(L, 2);

    lua_pushstring(L, tls_server_question(l_tls_of(L, 1), id));
    return 1;
}

/* answer(handle, id, context | nil | false): nil for what was added, false to
 * refuse */
static int answer(lua_State *L)
{
    struct tls_server *tls = l_tls_of(L, 1);
    uint64_t id = (uint64_t)luaL_checkinteger(L, 2);
    bool refused = lua_isboolean(L, 3);

    tls_server_answer(
        tls, id, lua_isuserdata(L, 3) ? *check_context(L, 3) : NULL, refused);
    return 0;
}

/* ticketKeys([seed]) -> the seed of ticket keys; sets it where it is given */
static int ticket_keys(lua_State *L)
{
    unsigned char seed[TLS_TICKET_SEED_SIZE];
    size_t n;

    if (!lua_isnoneornil(L, 1)) {
        const char *p = luaL_checklstring(L, 1, &n);

        if (n != sizeof seed)
            return luaL_error(L, "ticket keys have %d bytes, not %d",
                              (int)sizeof seed, (int)n);
        tls_ticket_seed((const unsigned char *)p);
    }
    tls_ticket_export(seed);
    lua_pushlstring(L, (const char *)seed, sizeof seed);
    return 1;
}

/* dev(folder) -> whether the authority is new; or nil, message */
static int dev(lua_State *L)
{
    char error[TLS_DEV_ERROR];
    bool fresh;

    if (tls_dev_make(luaL_checkstring(L, 1), &fresh, error) == 0) {
        lua_pushboolean(L, fresh);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

int l_tls_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"context", context}, {"isContext", is_context},   {"names", names},
        {"secure", secure},   {"demand", demand},          {"add", add},
        {"offer", offer},     {"askNames", ask_names},     {"answer", answer},
        {"asked", asked},     {"ticketKeys", ticket_keys}, {"dev", dev},
        {NULL, NULL}};

    luaL_newmetatable(L, CONTEXT);
    lua_pushcfunction(L, collect_context);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    l_tls_peer_open(L);
    return 1;
}
