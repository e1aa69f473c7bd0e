/* Slow hashes for the module crypto: scrypt and PBKDF2, and hashes of
 * passwords, which are scrypt with a salt, in the PHC string format:
 *
 *   $scrypt$ln=15,r=8,p=3$SALT$HASH          ln: log2 of the cost
 *
 * They are slow by design, so they run on the thread pool, or, for the ...Sync
 * functions, where they are called. A job holds copies of all it needs, which
 * are wiped at its end. */
#include <math.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "net/work.h"
#include "script/call.h"
#include "script/modules.h"
#include "script/script.h"
#include "script/wait.h"

enum {
    KEY_MAX = 64 * 1024,      /* bytes that are derived at most */
    PASSWORD_MAX = 16 * 1024, /* bytes of a password that is hashed */
    SALT = 16,
    HASH = 32,
    HASH_MAX = 64, /* bytes of salt or hash in a text */
    LOG_COST = 15, /* 32 MiB, three times: about 0.15 s */
    LOG_COST_MAX = 20,
    BLOCK = 8,
    TURNS = 3,
    TEXT_MAX = 256
};

static const uint64_t MEMORY_MAX = 1024 * 1024 * 1024;

enum kdf_kind { RAW, MAKE, VERIFY };

struct kdf {
    struct job job;
    struct wait wait;
    enum kdf_kind kind;
    const EVP_MD *md;                    /* of PBKDF2; NULL: scrypt */
    uint64_t cost, block, turns, memory; /* PBKDF2: cost is the iterations */
    char *secret, *salt;
    size_t secret_size, salt_size, size;
    unsigned char *out;
    unsigned char expected[HASH_MAX]; /* VERIFY */
    bool refuses;                     /* VERIFY: there is no such hash */
    bool ok;
};

static struct kdf *new_kdf(enum kdf_kind kind, const char *secret, size_t n,
                           const char *salt, size_t salt_size, size_t size)
{
    struct kdf *k = mem_zalloc(sizeof *k);

    k->kind = kind;
    k->secret = mem_alloc(n + 1);
    memcpy(k->secret, secret, n);
    k->secret_size = n;
    k->salt = mem_alloc(salt_size + 1);
    memcpy(k->salt, salt, salt_size);
    k->salt_size = salt_size;
    k->size = size;
    k->out = mem_zalloc(size + 1);
    return k;
}

static void free_kdf(struct kdf *k)
{
    OPENSSL_cleanse(k->secret, k->secret_size);
    OPENSSL_cleanse(k->out, k->size);
    mem_free(k->secret);
    mem_free(k->salt);
    mem_free(k->out);
    mem_free(k);
}

static void derive(struct kdf *k)
{
    if (k->md != NULL)
        k->ok =
            PKCS5_PBKDF2_HMAC(k->secret, (int)k->secret_size,
                              (const unsigned char *)k->salt, (int)k->salt_size,
                              (int)k->cost, k->md, (int)k->size, k->out) == 1;
    else
        k->ok = EVP_PBE_scrypt(k->secret, k->secret_size,
                               (const unsigned char *)k->salt, k->salt_size,
                               k->cost, k->block, k->turns, k->memory, k->out,
                               k->size) == 1;
    ERR_clear_error();
}

/* ---- results ---- */

/* Base64 without padding, as the format wants it. Returns its end. */
static char *put_base64(char *at, const void *p, size_t n)
{
    at += encode_base64(p, n, at);
    while (at[-1] == '=')
        at--;
    return at;
}

/* [-0, +1, m] */
static void push_hash(lua_State *L, const struct kdf *k)
{
    char text[TEXT_MAX], *at = text;

    at += snprintf(text, sizeof text, "$scrypt$ln=%d,r=%d,p=%d$", LOG_COST,
                   BLOCK, TURNS);
    at = put_base64(at, k->salt, k->salt_size);
    *at++ = '$';
    at = put_base64(at, k->out, k->size);
    lua_pushlstring(L, text, (size_t)(at - text));
}

/* [-0, +2, m] nil and the result, or an error alone */
static int push_result(lua_State *L, void *arg)
{
    struct kdf *k = arg;

    if (!k->ok) {
        wait_push_error(L,
                        k->job.cancelled ? "aborted"
                                         : "crypto: OpenSSL failed to derive a "
                                           "key: not enough memory",
                        k->job.cancelled ? "ECANCELED" : "ENOMEM", NULL, NULL);
        return 1;
    }
    lua_pushnil(L);
    if (k->kind == MAKE)
        push_hash(L, k);
    else if (k->kind == VERIFY)
        lua_pushboolean(L, CRYPTO_memcmp(k->out, k->expected, k->size) == 0 &&
                               !k->refuses);
    else
        lua_pushlstring(L, (const char *)k->out, k->size);
    return 2;
}

static void run(struct job *job)
{
    derive(LIST_ITEM(job, struct kdf, job));
}

static void done(struct job *job)
{
    struct kdf *k = LIST_ITEM(job, struct kdf, job);

    wait_settle(&k->wait, push_result, k);
    free_kdf(k);
}

/* Derives on a thread; takes k. The callback is at index i. */
static int submit(lua_State *L, struct kdf *k, const struct wait *wait)
{
    k->wait = *wait;
    k->job.run = run;
    k->job.done = done;
    work_submit(script_state.work, &k->job);
    return wait_return(L, &k->wait);
}

/* Derives here, for what is a plain key; takes k. */
static int derive_now(lua_State *L, struct kdf *k)
{
    luaL_Buffer b;
    size_t size = k->size;
    bool ok;

    derive(k);
    ok = k->ok;
    if (ok) {
        luaL_buffinit(L, &b);
        luaL_addlstring(&b, (const char *)k->out, size);
        luaL_pushresult(&b);
    }
    free_kdf(k);
    return ok ? 1
              : luaL_error(L, "crypto: OpenSSL failed to derive a key: not "
                              "enough memory");
}

/* ---- keys ---- */

/* [-0, +0, v] Raises at the line of the script. */
static int refuse(lua_State *L, const char *message)
{
    call_where(L, 1);
    lua_pushstring(L, message);
    lua_concat(L, 2);
    return lua_error(L);
}

static size_t check_size(lua_State *L, int i)
{
    lua_Integer size = luaL_checkinteger(L, i);

    luaL_argcheck(L, size >= 1 && size <= KEY_MAX, i,
                  "a key has 1 to 65536 bytes");
    return (size_t)size;
}

/* The whole number in field name of the table at i, or in its other name. */
static uint64_t field(lua_State *L, int i, const char *name, const char *other,
                      uint64_t otherwise)
{
    lua_Number n = (lua_Number)otherwise;

    if (!lua_istable(L, i))
        return otherwise;
    lua_getfield(L, i, name);
    if (lua_isnil(L, -1) && other != NULL) {
        lua_pop(L, 1);
        lua_getfield(L, i, other);
    }
    if (!lua_isnil(L, -1)) {
        n = lua_tonumber(L, -1);
        if (!(n >= 1 && n <= 4294967296.0 && n == floor(n)))
            luaL_error(L, "the option %s of scrypt is a whole number from 1 on",
                       name);
    }
    lua_pop(L, 1);
    return (uint64_t)n;
}

/* scrypt(now, password, salt, size, options|nil, callback|nil) -> key */
static int scrypt(lua_State *L)
{
    size_t n, salt_size, size = check_size(L, 4);
    const char *secret = luaL_checklstring(L, 2, &n);
    const char *salt = luaL_checklstring(L, 3, &salt_size);
    uint64_t cost = field(L, 5, "N", "cost", 16384);
    uint64_t block = field(L, 5, "r", "blockSize", 8);
    uint64_t turns = field(L, 5, "p", "parallelization", 1);
    uint64_t memory = field(L, 5, "maxmem", NULL, 32 * 1024 * 1024);
    bool now = lua_toboolean(L, 1);
    struct wait wait;
    struct kdf *k;

    if (cost < 2 || (cost & (cost - 1)) != 0)
        return refuse(L, "the option N of scrypt is a power of 2");
    if (block > 1024 || turns > 1024 || cost > memory / (128 * block) ||
        memory > MEMORY_MAX)
        return refuse(L, "scrypt would need more than maxmem (32 MiB; at most "
                         "1 GiB): it takes 128 * N * r bytes");
    if (!now)
        wait_begin(L, &wait, 6);
    k = new_kdf(RAW, secret, n, salt, salt_size, size);
    k->cost = cost;
    k->block = block;
    k->turns = turns;
    k->memory = MEMORY_MAX + MEMORY_MAX / 8; /* maxmem was looked at */
    return now ? derive_now(L, k) : submit(L, k, &wait);
}

/* pbkdf2(now, password, salt, iterations, size, digest, callback|nil) -> key */
static int pbkdf2(lua_State *L)
{
    size_t n, salt_size, size = check_size(L, 5);
    const char *secret = luaL_checklstring(L, 2, &n);
    const char *salt = luaL_checklstring(L, 3, &salt_size);
    lua_Integer turns = luaL_checkinteger(L, 4);
    const EVP_MD *md = EVP_get_digestbyname(luaL_checkstring(L, 6));
    bool now = lua_toboolean(L, 1);
    struct wait wait;
    struct kdf *k;

    luaL_argcheck(L, turns >= 1 && turns <= INT32_MAX, 4,
                  "iterations are a whole number from 1 to 2^31 - 1");
    if (md == NULL || EVP_MD_get_size(md) <= 0)
        return luaL_error(L, "Invalid digest: %s", lua_tostring(L, 6));
    if (!now)
        wait_begin(L, &wait, 7);
    k = new_kdf(RAW, secret, n, salt, salt_size, size);
    k->md = md;
    k->cost = (uint64_t)turns;
    return now ? derive_now(L, k) : submit(L, k, &wait);
}

/* ---- passwords ---- */

static const char *check_password(lua_State *L, size_t *n)
{
    const char *password = luaL_checklstring(L, 1, n);

    if (*n > PASSWORD_MAX)
        luaL_error(L, "a password has up to %d bytes", (int)PASSWORD_MAX);
    return password;
}

static void use_scrypt(struct kdf *k, unsigned log_cost, uint64_t block,
                       uint64_t turns)
{
    k->cost = UINT64_C(1) << log_cost;
    k->block = block;
    k->turns = turns;
    k->memory = MEMORY_MAX + MEMORY_MAX / 8;
}

/* hashPassword(password, callback|nil) -> text */
static int hash_password(lua_State *L)
{
    size_t n;
    const char *password = check_password(L, &n);
    unsigned char salt[SALT];
    struct wait wait;
    struct kdf *k;

    if (RAND_bytes(salt, SALT) != 1) {
        ERR_clear_error();
        return luaL_error(L, "OpenSSL has no random bytes");
    }
    lua_settop(L, 2);
    wait_begin(L, &wait, 2);
    k = new_kdf(MAKE, password, n, (const char *)salt, SALT, HASH);
    use_scrypt(k, LOG_COST, BLOCK, TURNS);
    return submit(L, k, &wait);
}

/* The parts of a hash. */
struct phc {
    unsigned log_cost, block, turns;
    char salt[HASH_MAX + 4], hash[HASH_MAX + 4];
    ssize_t salt_size, hash_size;
};

static bool parse(const char *text, struct phc *phc)
{
    char salt[2 * HASH_MAX], hash[2 * HASH_MAX];
    int end = 0;

    if (sscanf(text,
               "$scrypt$ln=%2u,r=%3u,p=%3u$%86[A-Za-z0-9+/]$%86"
               "[A-Za-z0-9+/]%n",
               &phc->log_cost, &phc->block, &phc->turns, salt, hash,
               &end) != 5 ||
        end == 0 || text[end] != '\0')
        return false;
    if (strlen(salt) > 86 || strlen(hash) > 86)
        return false;
    phc->salt_size = encode_unbase64(salt, strlen(salt), phc->salt);
    phc->hash_size = encode_unbase64(hash, strlen(hash), phc->hash);
    return phc->salt_size > 0 && phc->hash_size >= 16 &&
           phc->hash_size <= HASH_MAX && phc->log_cost >= 1 &&
           phc->log_cost <= LOG_COST_MAX && phc->block >= 1 &&
           phc->turns >= 1 && phc->turns <= 64 &&
           (UINT64_C(128) << phc->log_cost) * phc->block <= MEMORY_MAX;
}

/* verifyPassword(password, text|nil, callback|nil) -> whether it is that one.
 * Without a text it is not, after the same time. */
static int verify_password(lua_State *L)
{
    size_t n;
    const char *password = check_password(L, &n);
    struct phc phc = {LOG_COST, BLOCK, TURNS, "salt", "", 4, HASH};
    bool refuses = lua_isnoneornil(L, 2);
    struct wait wait;
    struct kdf *k;

    if (!refuses && !parse(luaL_checkstring(L, 2), &phc))
        return refuse(L, "verifyPassword needs what hashPassword has "
                         "returned, as $scrypt$ln=15,r=8,p=3$...");
    lua_settop(L, 3);
    wait_begin(L, &wait, 3);
    k = new_kdf(VERIFY, password, n, phc.salt, (size_t)phc.salt_size,
                (size_t)phc.hash_size);
    memcpy(k->expected, phc.hash, (size_t)phc.hash_size);
    k->refuses = refuses;
    use_scrypt(k, phc.log_cost, phc.block, phc.turns);
    return submit(L, k, &wait);
}

int l_kdf_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"scrypt", scrypt},
                                         {"pbkdf2", pbkdf2},
                                         {"hashPassword", hash_password},
                                         {"verifyPassword", verify_password},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
