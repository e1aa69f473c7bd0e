/* The module "crypto" of scripts: hashes, HMAC and random bytes, under Node's
 * names, by OpenSSL's EVP. Looking an algorithm up and making a context is what
 * is slow there (it costs more than to hash a cookie), so each algorithm that
 * was asked for keeps both as long as the process: the context of the last hash
 * that was finished serves the next one. Failures leave nothing in OpenSSL's
 * error queue, which the TLS code reads.
 *
 * Leaves out what takes long by design (scrypt, pbkdf2), which must not run on
 * the loop, and asymmetric keys. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "base/mem.h"
#include "script/modules.h"

#define HASH_TYPE "crypto.hash"

/* An algorithm, under the name it was asked for by, and contexts that wait for
 * their next use. */
struct digest {
    struct digest *next;
    EVP_MD *md;
    EVP_MD_CTX *spare_md;
    EVP_MAC_CTX *spare_mac;
    char *name;
};

/* A hash or an HMAC at work: has one of the two until it gives its digest. */
struct hash {
    struct digest *digest;
    EVP_MD_CTX *md;
    EVP_MAC_CTX *mac;
};

/* There are no more than OpenSSL has names, whatever a script asks for. */
static struct digest *digests;

/* ---- Encodings ---- */

enum encoding { HEX, BASE64, BASE64URL, BUFFER };

/* How to write bytes, by the name at i, which may be missing. */
static enum encoding check_encoding(lua_State *L, int i, const char *otherwise)
{
    static const char *const names[] = {"hex", "base64", "base64url", "buffer",
                                        NULL};

    return (enum encoding)luaL_checkoption(L, i, otherwise, names);
}

/* [-0, +1, m] Pushes the n bytes at p, at most EVP_MAX_MD_SIZE. */
static void push_encoded(lua_State *L, const unsigned char *p, size_t n,
                         enum encoding encoding)
{
    char text[2 * EVP_MAX_MD_SIZE];

    switch (encoding) {
    case HEX:
        encode_hex(p, n, text);
        lua_pushlstring(L, text, 2 * n);
        return;
    case BASE64:
        lua_pushlstring(L, text, encode_base64(p, n, text));
        return;
    case BASE64URL:
        lua_pushlstring(L, text, encode_base64url(p, n, text));
        return;
    case BUFFER:
        lua_pushlstring(L, (const char *)p, n);
        return;
    }
}

/* ---- Algorithms ---- */

/* Returns the digest of that name (owned), or NULL. Names like RSA-SHA256, of
 * signatures, mean their digest, as in Node. */
static EVP_MD *fetch_md(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
    const EVP_MD *alias = md == NULL ? EVP_get_digestbyname(name) : NULL;

    if (alias != NULL)
        md = EVP_MD_fetch(NULL, EVP_MD_get0_name(alias), NULL);
    if (md == NULL)
        ERR_clear_error();
    /* The "null" digest is none. */
    if (md != NULL && EVP_MD_get_size(md) <= 0) {
        EVP_MD_free(md);
        md = NULL;
    }
    return md;
}

/* Returns the algorithm of that name, in any case; NULL where there is none. */
static struct digest *find_digest(const char *name)
{
    struct digest *digest;
    EVP_MD *md;

    for (digest = digests; digest != NULL; digest = digest->next)
        if (strcasecmp(digest->name, name) == 0)
            return digest;
    md = fetch_md(name);
    if (md == NULL)
        return NULL;
    digest = mem_zalloc(sizeof *digest);
    digest->md = md;
    digest->name = mem_strdup(name);
    digest->next = digests;
    digests = digest;
    return digest;
}

/* Returns a context for hashing (owned), or NULL. */
static EVP_MD_CTX *take_md(struct digest *digest)
{
    EVP_MD_CTX *ctx = digest->spare_md;

    digest->spare_md = NULL;
    if (ctx == NULL)
        ctx = EVP_MD_CTX_new();
    if (ctx != NULL && EVP_DigestInit_ex2(ctx, digest->md, NULL) == 1)
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

/* Returns a context for HMAC with md (owned) that has no key yet, or NULL where
 * md is not fit for that (SHAKE). */
static EVP_MAC_CTX *new_mac(const EVP_MD *md)
{
    char *name = (char *)(uintptr_t)EVP_MD_get0_name(md);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

    EVP_MAC_free(mac);
    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) == 1)
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

/* Returns a context for HMAC with the key of n bytes (owned), or NULL. */
static EVP_MAC_CTX *take_mac(struct digest *digest, const char *key, size_t n)
{
    EVP_MAC_CTX *ctx = digest->spare_mac;

    digest->spare_mac = NULL;
    if (ctx == NULL)
        ctx = new_mac(digest->md);
    if (ctx != NULL &&
        EVP_MAC_init(ctx, (const unsigned char *)key, n, NULL) == 1)
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

/* Takes what take_md or take_mac returned. */
static void give_md(struct digest *digest, EVP_MD_CTX *ctx)
{
    EVP_MD_CTX_free(digest->spare_md);
    digest->spare_md = ctx;
}

static void give_mac(struct digest *digest, EVP_MAC_CTX *ctx)
{
    EVP_MAC_CTX_free(digest->spare_mac);
    digest->spare_mac = ctx;
}

/* ---- Hash objects ---- */

static int hash_gc(lua_State *L)
{
    struct hash *hash = lua_touserdata(L, 1);

    EVP_MD_CTX_free(hash->md);
    EVP_MAC_CTX_free(hash->mac);
    *hash = (struct hash){NULL, NULL, NULL};
    return 0;
}

/* [-0, +1, m] Pushes a hash that is not at work. */
static struct hash *new_hash(lua_State *L, struct digest *digest)
{
    struct hash *hash = lua_newuserdatauv(L, sizeof *hash, 0);

    *hash = (struct hash){digest, NULL, NULL};
    luaL_getmetatable(L, HASH_TYPE);
    lua_setmetatable(L, -2);
    return hash;
}

/* Raises what OpenSSL says about its last failure; for what should not fail. */
static int fail(lua_State *L)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return luaL_error(L, "crypto: %s", reason ? reason : "OpenSSL failed");
}

/* The hash at 1, which is at work. */
static struct hash *check_hash(lua_State *L)
{
    struct hash *hash = luaL_checkudata(L, 1, HASH_TYPE);

    if (hash->md == NULL && hash->mac == NULL)
        luaL_error(L, "Digest already called");
    return hash;
}

/* hash:update(data) -> hash */
static int hash_update(lua_State *L)
{
    struct hash *hash = check_hash(L);
    size_t n;
    const char *data = luaL_checklstring(L, 2, &n);
    int ok = hash->md != NULL
                 ? EVP_DigestUpdate(hash->md, data, n)
                 : EVP_MAC_update(hash->mac, (const unsigned char *)data, n);

    if (ok != 1)
        return fail(L);
    lua_settop(L, 1);
    return 1;
}

/* Finishes the hash: writes its digest to out and the size of that to *n. */
static bool finish(struct hash *hash, unsigned char *out, size_t *n)
{
    unsigned int size = 0;
    bool ok;

    if (hash->md != NULL) {
        ok = EVP_DigestFinal_ex(hash->md, out, &size) == 1;
        *n = size;
        give_md(hash->digest, hash->md);
        hash->md = NULL;
    } else {
        ok = EVP_MAC_final(hash->mac, out, n, EVP_MAX_MD_SIZE) == 1;
        give_mac(hash->digest, hash->mac);
        hash->mac = NULL;
    }
    return ok;
}

/* hash:digest([encoding]) -> text, or the bytes without an encoding */
static int hash_digest(lua_State *L)
{
    struct hash *hash = check_hash(L);
    enum encoding encoding = check_encoding(L, 2, "buffer");
    unsigned char out[EVP_MAX_MD_SIZE];
    size_t n;

    if (!finish(hash, out, &n))
        return fail(L);
    push_encoded(L, out, n, encoding);
    return 1;
}

/* ---- Functions of the module ---- */

/* The algorithm named at i, for hashing. */
static struct digest *check_digest(lua_State *L, int i)
{
    struct digest *digest = find_digest(luaL_checkstring(L, i));

    if (digest == NULL)
        luaL_error(L, "Digest method not supported");
    return digest;
}

/* crypto.createHash(algorithm) -> hash */
static int create_hash(lua_State *L)
{
    struct digest *digest = check_digest(L, 1);
    struct hash *hash = new_hash(L, digest);

    hash->md = take_md(digest);
    return hash->md != NULL ? 1 : fail(L);
}

/* crypto.createHmac(algorithm, key) -> hash */
static int create_hmac(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    size_t n;
    const char *key = luaL_checklstring(L, 2, &n);
    struct digest *digest = find_digest(name);
    struct hash *hash = new_hash(L, digest);

    if (digest != NULL)
        hash->mac = take_mac(digest, key, n);
    if (hash->mac != NULL)
        return 1;
    ERR_clear_error();
    return luaL_error(L, "Invalid digest: %s", name);
}

/* crypto.hash(algorithm, data [, encoding = "hex"]) -> text */
static int hash_once(lua_State *L)
{
    struct digest *digest = check_digest(L, 1);
    size_t n;
    const char *data = luaL_checklstring(L, 2, &n);
    enum encoding encoding = check_encoding(L, 3, "hex");
    unsigned char out[EVP_MAX_MD_SIZE];
    struct hash hash = {digest, take_md(digest), NULL};
    bool ok;

    if (hash.md == NULL)
        return fail(L);
    ok = EVP_DigestUpdate(hash.md, data, n) == 1;
    ok = finish(&hash, out, &n) && ok;
    if (!ok)
        return fail(L);
    push_encoded(L, out, n, encoding);
    return 1;
}

/* crypto.getHashes() -> names, sorted: Node's, as far as OpenSSL has them */
static int get_hashes(lua_State *L)
{
    static const char *const names[] = {
        "blake2b512", "blake2s256", "md4",      "md5",      "md5-sha1",
        "ripemd160",  "sha1",       "sha224",   "sha256",   "sha3-224",
        "sha3-256",   "sha3-384",   "sha3-512", "sha384",   "sha512",
        "sha512-224", "sha512-256", "shake128", "shake256", "sm3",
        "whirlpool"};
    int count = 0;

    lua_createtable(L, sizeof names / sizeof *names, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        EVP_MD *md = fetch_md(names[i]);

        if (md == NULL)
            continue;
        EVP_MD_free(md);
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* crypto.randomBytes(n) -> string */
static int random_bytes(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    unsigned char small[256], *out = small;

    luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "not within 0 and 2^31 - 1");
    if ((size_t)n > sizeof small)
        out = lua_newuserdatauv(L, (size_t)n, 0);
    if (RAND_bytes(out, (int)n) != 1)
        return fail(L);
    lua_pushlstring(L, (const char *)out, (size_t)n);
    return 1;
}

/* crypto.randomUUID() -> string: RFC 9562 5.4, version 4 */
static int random_uuid(lua_State *L)
{
    unsigned char bytes[16];
    char text[36], *at = text;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return fail(L);
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof bytes; i++, at += 2) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        encode_hex(bytes + i, 1, at);
    }
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

/* unbase64(text) -> bytes, nil where it is malformed */
static int unbase64(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    char *out = lua_newuserdatauv(L, n / 4 * 3 + 3, 0);
    ssize_t m = encode_unbase64(text, n, out);

    if (m < 0)
        lua_pushnil(L);
    else
        lua_pushlstring(L, out, (size_t)m);
    return 1;
}

/* crypto.timingSafeEqual(a, b) -> boolean */
static int timing_safe_equal(lua_State *L)
{
    size_t n, m;
    const char *a = luaL_checklstring(L, 1, &n);
    const char *b = luaL_checklstring(L, 2, &m);

    if (n != m)
        return luaL_error(L, "Input buffers must have the same byte length");
    lua_pushboolean(L, CRYPTO_memcmp(a, b, n) == 0);
    return 1;
}

/* ---- The module ---- */

/* [-0, +1, m] */
static void push_hash_type(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"update", hash_update}, {"digest", hash_digest}, {NULL, NULL}};

    luaL_newmetatable(L, HASH_TYPE);
    lua_pushcfunction(L, hash_gc);
    lua_setfield(L, -2, "__gc");
    lua_createtable(L, 0, 2);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
}

int l_crypto_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"createHash", create_hash},
                                         {"createHmac", create_hmac},
                                         {"hash", hash_once},
                                         {"getHashes", get_hashes},
                                         {"randomBytes", random_bytes},
                                         {"randomUUID", random_uuid},
                                         {"unbase64", unbase64},
                                         {"timingSafeEqual", timing_safe_equal},
                                         {NULL, NULL}};

    push_hash_type(L);
    lua_pop(L, 1);
    lua_createtable(L, 0, 7);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
