/* The module luaserve.core.rate, for luaserve.rateLimit: buckets of tokens in a
 * table of the store, and the networks that addresses are counted by.
 *
 * A bucket is one number: the time at which it is full again, in nanoseconds
 * since 1970. What is missing in it is the time until then, by the time that a
 * token takes to come back; so nothing has to be added while time passes, a
 * full bucket is no entry at all, and the entry of any other expires when it is
 * full. To take is one edit of the store, while nobody else writes: two workers
 * at once never take the same token. */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "script/l_store.h"
#include "script/modules.h"
#include "script/store_value.h"

static const int64_t SECOND = 1000000000;
static const double FULL_MAX = 4e17; /* nanoseconds: twelve years */

static struct bytes written; /* the bucket as it is to be */

struct bucket {
    int64_t now;
    int64_t step; /* nanoseconds in which a token comes back */
    int64_t full; /* those of all */
    int64_t cost; /* those that are wanted; under 0: that are given back */
    int64_t at;   /* when it is full again: the result */
    bool allowed;
    bool strange; /* the entry says what cannot be, and is to be written anew */
};

/* When the bucket is full again, if nothing is taken. An entry can say more
 * than an empty bucket where the clock was set back, or the limit is another
 * one now. */
static int64_t level(struct bucket *b, const struct store_entry *old)
{
    int64_t at = 0;
    double real;

    b->strange = false;
    if (old->version == 0 ||
        store_value_number(old->value, old->n, &at, &real) != 1 || at < b->now)
        return b->now;
    b->strange = at > b->now + b->full;
    return b->strange ? b->now + b->full : at;
}

static void take(struct bucket *b, const struct store_entry *old)
{
    int64_t at = level(b, old);

    b->allowed = at + b->cost <= b->now + b->full;
    b->at = b->allowed ? at + b->cost : at;
    if (b->at < b->now)
        b->at = b->now;
}

static bool changes(const struct bucket *b)
{
    return b->strange || (b->allowed && b->cost != 0);
}

static enum store_edit edit_bucket(const struct store_entry *old,
                                   struct store_entry *entry, void *arg)
{
    struct bucket *b = arg;

    take(b, old);
    if (!changes(b))
        return STORE_KEEP;
    if (b->at == b->now)
        return STORE_REMOVE;
    written.n = 0;
    store_value_put_integer(&written, b->at);
    entry->value = written.p;
    entry->n = written.n;
    entry->expires = (uint64_t)b->at / 1000000 + 1;
    return STORE_WRITE;
}

/* [-0, +0, v] The bucket that the arguments from i on mean: cost, limit,
 * window, burst. A cost of more than all is one of all. */
static struct bucket check_bucket(lua_State *L, int i)
{
    lua_Number cost = luaL_checknumber(L, i),
               limit = luaL_checknumber(L, i + 1);
    lua_Number window = luaL_checknumber(L, i + 2);
    lua_Number burst = luaL_checknumber(L, i + 3);
    double step = ceil(window * (double)SECOND / limit);
    struct timespec now;

    luaL_argcheck(L, step >= 1 && burst >= 1 && step * burst <= FULL_MAX, i + 1,
                  "no limit");
    luaL_argcheck(L, cost == cost, i, "not a number");
    if (cost > burst)
        cost = burst;
    if (cost < -burst)
        cost = -burst;
    clock_gettime(CLOCK_REALTIME, &now);
    return (struct bucket){
        .now = (int64_t)now.tv_sec * SECOND + now.tv_nsec,
        .step = (int64_t)step,
        .full = (int64_t)burst * (int64_t)step,
        .cost = (int64_t)ceil(cost * step),
    };
}

/* [-0, +4, -] Pushes what became of it: allowed, remaining, reset, wait. */
static int push_result(lua_State *L, const struct bucket *b)
{
    int64_t missing = b->at - b->now;
    int64_t lacks = missing + b->cost - b->full;

    lua_pushboolean(L, b->allowed);
    lua_pushinteger(L, (lua_Integer)((b->full - missing) / b->step));
    lua_pushnumber(L, (lua_Number)missing / (lua_Number)SECOND);
    lua_pushnumber(L, b->allowed ? 0 : (lua_Number)lacks / (lua_Number)SECOND);
    return 4;
}

/* take(store, key, cost, limit, window, burst) -> allowed, remaining, reset,
 * wait (see lua/luaserve/rateLimit.lua); nil, message, code. Who is refused
 * anyway waits for no writer. */
static int take_tokens(lua_State *L)
{
    struct store *store = l_store_check(L, 1);
    size_t n;
    const char *key = luaL_checklstring(L, 2, &n);
    struct bucket b = check_bucket(L, 3);
    struct store_entry old;

    luaL_argcheck(L, n > 0 && n <= STORE_KEY_MAX, 2, "too long, or empty");
    if (store_get(store, key, n, &old) < 0)
        return l_store_fail(L);
    take(&b, &old);
    if (changes(&b) && store_edit(store, key, n, edit_bucket, &b) < 0)
        return l_store_fail(L);
    return push_result(L, &b);
}

/* network(ip, bits) -> what an address is counted by: an IPv6 address as its
 * network of so many bits, any other as it is */
static int network(lua_State *L)
{
    const char *ip = luaL_checkstring(L, 1);
    int bits = (int)luaL_checkinteger(L, 2), i;
    char text[INET6_ADDRSTRLEN + sizeof "/128"];
    struct in6_addr address;
    size_t n = strcspn(ip, "%"); /* the zone of an address of the link */

    luaL_argcheck(L, bits >= 1 && bits <= 128, 2, "not within 1 and 128");
    lua_settop(L, 1);
    if (n >= INET6_ADDRSTRLEN)
        return 1;
    memcpy(text, ip, n);
    text[n] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1)
        return 1;
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof text);
    } else {
        for (i = bits; i < 128; i++)
            address.s6_addr[i / 8] &= (unsigned char)~(0x80 >> i % 8);
        inet_ntop(AF_INET6, &address, text, sizeof text);
        snprintf(text + strlen(text), sizeof "/128", "/%d", bits);
    }
    lua_pushstring(L, text);
    return 1;
}

int l_rate_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"take", take_tokens}, {"network", network}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
