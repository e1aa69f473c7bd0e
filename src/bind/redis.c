/* luaserve.bind.redis: connections to Redis. hiredis reads the protocol
 * (RESP2), redis_link.c carries it. Commands of all coroutines share a
 * connection: each is appended, and its reply is the next that nobody has got.
 * Who waits no more leaves its place behind, so that the others get theirs. A
 * server that answers nothing for the timeout is taken for gone. What is to be
 * done about that is Lua's business (lua/luaserve/redis.lua). */
#include <openssl/ssl.h>
#include <stdio.h>
#include <time.h>

#include "bind/redis_command.h"
#include "bind/redis_link.h"
#include "bind/redis_reply.h"
#include "bind/redis_tls.h"

#define CONNECTION "luaserve.redis.connection"
#define CONTEXT "luaserve.redis.tls"

enum {
    MESSAGES_MAX = 1024 /* pushed, and not taken: then nothing more is read */
};

/* Who waits for the next replies. */
struct place {
    struct place *next;
    struct connection *c;
    struct plugin_wait *wait; /* NULL: nobody waits any more */
    double since;
    int wanted, got;
    bool single;
    redisReply **replies;
};

struct connection {
    struct link link;
    redisReader *reader;
    struct place *first, *last;
    struct place *spare;   /* one whose wait could not begin */
    struct place *opening; /* who waits for the connection itself */
    struct plugin_timer *timer;
    double timeout; /* seconds; 0: none */
    bool listens;   /* replies are messages */
    struct place *hearing;
    redisReply *messages[MESSAGES_MAX];
    int nmessages;
};

static const struct plugin *plugin;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- replies */

static int push_place(lua_State *L, void *arg)
{
    struct place *p = arg;
    int i;

    if (p->got < p->wanted) {
        plugin->push_error(L, p->c->link.reason, p->c->link.code);
        return 1;
    }
    if (p->single && p->replies[0]->type == REDIS_REPLY_ERROR) {
        redis_reply_push_error(L, plugin, p->replies[0]);
        return 1;
    }
    lua_pushnil(L);
    if (p->single) {
        redis_reply_push(L, plugin, p->replies[0], false);
        return 2;
    }
    lua_createtable(L, p->wanted, 0);
    for (i = 0; i < p->wanted; i++) {
        redis_reply_push(L, plugin, p->replies[i], true);
        lua_rawseti(L, -2, i + 1);
    }
    return 2;
}

static void place_free(struct place *p)
{
    int i;

    for (i = 0; i < p->got; i++)
        freeReplyObject(p->replies[i]);
    plugin->memory(p->replies, 0);
    plugin->memory(p, 0);
}

/* The request of who waits is over: the place stays, for its replies. */
static void on_over(void *arg, const char *why)
{
    struct place *p = arg;
    struct plugin_wait *w = p->wait;

    (void)why;
    p->wait = NULL;
    plugin->wait_settle(w, NULL, NULL);
}

/* ---- what comes */

static void arm(struct connection *c)
{
    double since = c->opening != NULL ? c->opening->since
                   : c->first != NULL ? c->first->since
                                      : 0;

    redis_link_keep(&c->link,
                    c->first != NULL || c->opening != NULL || c->listens);
    if (since == 0 || c->timeout <= 0)
        plugin->timer_set(c->timer, -1);
    else
        plugin->timer_set(c->timer, since + c->timeout > now()
                                        ? since + c->timeout - now()
                                        : 0);
}

static void on_time(void *arg)
{
    struct connection *c = arg;
    char reason[64];

    snprintf(reason, sizeof reason, "there was no answer in %g s", c->timeout);
    redis_link_enter(&c->link);
    redis_link_end(&c->link, "ETIMEDOUT", reason);
    redis_link_leave(&c->link);
}

static void settle(struct place *p)
{
    if (p->wait != NULL)
        plugin->wait_settle(p->wait, push_place, p);
    place_free(p);
}

/* Gives the first message to who waits for one. */
static void tell(struct connection *c)
{
    struct place *p = c->hearing;

    if (p == NULL || c->nmessages == 0)
        return;
    c->hearing = NULL;
    p->replies[p->got++] = c->messages[0];
    memmove(c->messages, c->messages + 1,
            (size_t)--c->nmessages * sizeof *c->messages);
    redis_link_pause(&c->link, c->nmessages >= MESSAGES_MAX / 2);
    settle(p);
}

static void on_reply(struct connection *c, redisReply *r)
{
    struct place *p = c->first;

    if (c->listens) {
        if (c->nmessages == MESSAGES_MAX) { /* more than was read at once */
            freeReplyObject(r);
            redis_link_end(&c->link, "EOVERFLOW", "too many messages wait");
            return;
        }
        c->messages[c->nmessages++] = r;
        tell(c);
        if (c->nmessages >= MESSAGES_MAX / 2)
            redis_link_pause(&c->link, true);
        return;
    }
    if (p == NULL) {
        freeReplyObject(r);
        redis_link_end(&c->link, "EPROTO", "a reply that nobody asked for");
        return;
    }
    p->replies[p->got++] = r;
    if (p->got < p->wanted)
        return;
    c->first = p->next;
    if (c->first == NULL)
        c->last = NULL;
    settle(p);
}

static void on_bytes(void *arg, const char *bytes, size_t n)
{
    struct connection *c = arg;
    void *reply = NULL;
    char reason[160];

    redisReaderFeed(c->reader, bytes, n);
    while (!c->link.ended) {
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
            snprintf(reason, sizeof reason, "this is not Redis: %s",
                     c->reader->errstr);
            redis_link_end(&c->link, "EPROTO", reason);
            return;
        }
        if (reply == NULL)
            break;
        on_reply(c, reply);
    }
    if (!c->link.ended)
        arm(c);
}

static int push_true(lua_State *L, void *arg)
{
    (void)arg;
    lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

static void on_open(void *arg)
{
    struct connection *c = arg;
    struct place *p = c->opening;

    c->opening = NULL;
    arm(c);
    if (p == NULL)
        return;
    if (p->wait != NULL)
        plugin->wait_settle(p->wait, push_true, NULL);
    place_free(p);
}

static void on_end(void *arg)
{
    struct connection *c = arg;
    struct place *p, *next;

    plugin->timer_set(c->timer, -1);
    p = c->first;
    c->first = c->last = NULL;
    for (; p != NULL; p = next) {
        next = p->next;
        settle(p);
    }
    if ((p = c->opening) != NULL) {
        c->opening = NULL;
        settle(p);
    }
    if ((p = c->hearing) != NULL) {
        c->hearing = NULL;
        settle(p);
    }
}

/* ---- Lua */

static struct connection *check(lua_State *L)
{
    return *(struct connection **)luaL_checkudata(L, 1, CONNECTION);
}

static int fail(lua_State *L, const struct connection *c)
{
    lua_pushnil(L);
    lua_pushstring(L, c->link.ended ? c->link.reason : "not connected");
    lua_pushstring(L, c->link.ended ? c->link.code : "ENOTCONN");
    return 3;
}

/* Puts a place at the end of the queue and sends; who called waits. */
static int await(lua_State *L, struct connection *c, struct place *p)
{
    if (c->last != NULL)
        c->last->next = p;
    else
        c->first = p;
    c->last = p;
    if (p == c->first)
        arm(c);
    redis_link_flush(&c->link);
    return plugin->wait_return(L, p->wait);
}

/* A place for so many replies with its wait, the last that raises. */
static struct place *begin(lua_State *L, struct connection *c, int wanted)
{
    struct place *p = c->spare;

    if (p == NULL)
        p = plugin->memory(NULL, sizeof *p);
    memset(p, 0, sizeof *p);
    c->spare = p;
    p->wait = plugin->wait_begin(L, 0, on_over, p);
    c->spare = NULL;
    p->c = c;
    p->wanted = wanted;
    p->since = now();
    p->replies = plugin->memory(NULL, (size_t)wanted * sizeof *p->replies);
    return p;
}

/* connection:command(name, ...) -> reply; waits */
static int command(lua_State *L)
{
    struct connection *c = check(L);
    int top = lua_gettop(L), n = 0, i;
    struct place *p;

    for (i = 2; i <= top; i++)
        n += redis_command_count(L, i, 0);
    if (!c->link.open)
        return fail(L, c);
    luaL_checkstack(L, 4 * REDIS_COMMAND_DEPTH, NULL);
    p = begin(L, c, 1);
    p->single = true;
    redis_command_append(L, plugin, &c->link.out, 2, top, n);
    return await(L, c, p);
}

/* connection:pipeline({{name, ...}...}) -> replies; waits */
static int pipeline(lua_State *L)
{
    struct connection *c = check(L);
    int commands, i;
    struct place *p;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    commands = (int)lua_rawlen(L, 2);
    for (i = 1; i <= commands; i++) {
        lua_rawgeti(L, 2, i);
        redis_command_count(L, 3, 0);
        lua_settop(L, 2);
    }
    if (!c->link.open)
        return fail(L, c);
    luaL_checkstack(L, 4 * REDIS_COMMAND_DEPTH, NULL);
    p = begin(L, c, commands);
    for (i = 1; i <= commands; i++) {
        lua_rawgeti(L, 2, i);
        redis_command_append(L, plugin, &c->link.out, 3, 3,
                             redis_command_count(L, 3, 0));
        lua_settop(L, 2);
    }
    return await(L, c, p);
}

/* connection:send(name, ...) -> true: what comes of it is a message */
static int send_command(lua_State *L)
{
    struct connection *c = check(L);
    int top = lua_gettop(L), n = 0, i;

    for (i = 2; i <= top; i++)
        n += redis_command_count(L, i, 0);
    if (!c->link.open)
        return fail(L, c);
    luaL_checkstack(L, 4 * REDIS_COMMAND_DEPTH, NULL);
    c->listens = true;
    redis_command_append(L, plugin, &c->link.out, 2, top, n);
    arm(c);
    redis_link_flush(&c->link);
    lua_pushboolean(L, 1);
    return 1;
}

/* connection:message() -> the next message; waits */
static int message(lua_State *L)
{
    struct connection *c = check(L);
    struct place *p;

    if (c->hearing != NULL)
        return luaL_error(L, "somebody listens already");
    if (c->nmessages > 0) {
        redis_reply_push(L, plugin, c->messages[0], false);
        freeReplyObject(c->messages[0]);
        memmove(c->messages, c->messages + 1,
                (size_t)--c->nmessages * sizeof *c->messages);
        if (!c->link.ended)
            redis_link_pause(&c->link, c->nmessages >= MESSAGES_MAX / 2);
        return 1;
    }
    if (!c->link.open)
        return fail(L, c);
    p = begin(L, c, 1);
    p->single = true;
    c->hearing = p;
    return plugin->wait_return(L, p->wait);
}

/* connection:open(host, service or nil, tls or nil, name or nil, seconds) ->
 * true; waits */
static int open_lua(lua_State *L)
{
    struct connection *c = check(L);
    const char *host = luaL_checkstring(L, 2);
    const char *service = luaL_optstring(L, 3, NULL);
    SSL_CTX **tls = lua_isnil(L, 4) ? NULL : luaL_checkudata(L, 4, CONTEXT);
    const char *name = luaL_optstring(L, 5, NULL);
    struct place *p;
    struct plugin_wait *w;

    c->timeout = luaL_checknumber(L, 6);
    p = begin(L, c, 1);
    w = p->wait;
    c->opening = p;
    arm(c);
    redis_link_open(&c->link, host, service, tls != NULL ? *tls : NULL, name);
    return plugin->wait_return(L, w);
}

/* connection:limit(seconds): of every answer from now on; 0: none */
static int limit(lua_State *L)
{
    struct connection *c = check(L);

    c->timeout = luaL_checknumber(L, 2);
    arm(c);
    return 0;
}

/* connection:state() -> "open", "ended" or nil, how many replies are owed */
static int state(lua_State *L)
{
    struct connection *c = check(L);
    const struct place *p;
    int n = 0;

    for (p = c->first; p != NULL; p = p->next)
        n++;
    lua_pushstring(L, c->link.open ? "open" : c->link.ended ? "ended" : NULL);
    lua_pushinteger(L, n);
    return 2;
}

/* connection:close() */
static int close_lua(lua_State *L)
{
    struct connection *c = check(L);

    redis_link_end(&c->link, "ECONNRESET", "the client was closed");
    return 0;
}

/* ---- making and freeing */

static void forget(struct place *p)
{
    if (p->wait != NULL)
        plugin->wait_forget(p->wait);
    place_free(p);
}

static void connection_free(void *arg)
{
    struct connection *c = arg;
    struct place *p, *next;
    int i;

    redis_link_clear(&c->link);
    for (p = c->first; p != NULL; p = next) {
        next = p->next;
        forget(p);
    }
    if (c->opening != NULL)
        forget(c->opening);
    if (c->hearing != NULL)
        forget(c->hearing);
    for (i = 0; i < c->nmessages; i++)
        freeReplyObject(c->messages[i]);
    plugin->memory(c->spare, 0);
    redisReaderFree(c->reader);
    plugin->timer_free(c->timer);
    plugin->memory(c, 0);
}

static int collect(lua_State *L)
{
    struct connection **box = luaL_checkudata(L, 1, CONNECTION);

    if (*box != NULL && (*box)->link.inside > 0)
        (*box)->link.doomed = true;
    else if (*box != NULL)
        connection_free(*box);
    *box = NULL;
    return 0;
}

static int new_connection(lua_State *L)
{
    static const struct link_events events = {on_open, on_bytes, on_end,
                                              connection_free};
    struct connection **box = lua_newuserdata(L, sizeof *box), *c;

    *box = NULL;
    luaL_getmetatable(L, CONNECTION);
    lua_setmetatable(L, -2);
    c = plugin->memory(NULL, sizeof *c);
    memset(c, 0, sizeof *c);
    c->link.plugin = plugin;
    c->link.events = &events;
    c->link.arg = c;
    c->link.fd = -1;
    c->reader = redisReaderCreate();
    c->timer = plugin->timer_new(on_time, c, true);
    *box = c;
    return 1;
}

/* ---- TLS */

static int free_context(lua_State *L)
{
    SSL_CTX **box = luaL_checkudata(L, 1, CONTEXT);

    SSL_CTX_free(*box);
    *box = NULL;
    return 0;
}

/* tls(verify, ca, cert, key) -> context; raises where they are no good */
static int tls(lua_State *L)
{
    bool verify = lua_toboolean(L, 1);
    const char *ca = luaL_optstring(L, 2, NULL), *error;
    const char *cert = luaL_optstring(L, 3, NULL);
    const char *key = luaL_optstring(L, 4, NULL);
    SSL_CTX **box = lua_newuserdata(L, sizeof *box);

    *box = NULL;
    luaL_getmetatable(L, CONTEXT);
    lua_setmetatable(L, -2);
    *box = redis_tls_new(verify, ca, cert, key, &error);
    return *box != NULL ? 1 : luaL_error(L, "%s", error);
}

/* null(value): what stands for nil in lists */
static int set_null(lua_State *L)
{
    lua_settop(L, 1);
    redis_reply_set_null(L);
    return 0;
}

int luaopen_luaserve_bind_redis(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"open", open_lua}, {"command", command},   {"pipeline", pipeline},
        {"limit", limit},   {"send", send_command}, {"message", message},
        {"state", state},   {"close", close_lua},   {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", new_connection},
                                         {"tls", tls},
                                         {"null", set_null},
                                         {NULL, NULL}};

    plugin = plugin_of(L);
    luaL_newmetatable(L, CONTEXT);
    lua_pushcfunction(L, free_context);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, CONNECTION);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
