/* What lua/luaserve/reply.lua and cookies.lua need of C: media types, and
 * signatures. A signer keeps both halves of HMAC-SHA256 (RFC 2104) for each
 * secret, begun with its key: a signature is then two blocks of SHA-256 or a
 * few more, no key schedule and no memory. OpenSSL's EVP_MAC does the same at
 * ten times the price, which each request with a session would pay; so this
 * uses its older functions. Verifying looks at every secret in any case, so
 * that its time tells nothing of them. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and its kin */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/encode.h"
#include "http/mime.h"
#include "script/l_reply.h"
#include "script/modules.h"

#define SIGNER "luaserve.signer"

enum {
    SECRETS_MAX = 16, /* of one signer: the newest, and those it replaces */
    MAC_TEXT = L_REPLY_SIGNATURE
};

/* A secret: what each half of a signature begins with. */
struct key {
    SHA256_CTX inner, outer;
};

struct signer {
    int n;
    struct key keys[];
};

static int signer_gc(lua_State *L)
{
    struct signer *s = lua_touserdata(L, 1);

    OPENSSL_cleanse(s->keys, (size_t)s->n * sizeof s->keys[0]);
    s->n = 0;
    return 0;
}

static void set_key(struct key *key, const char *secret, size_t n)
{
    unsigned char block[SHA256_CBLOCK] = {0};
    size_t i;

    if (n > sizeof block)
        SHA256((const unsigned char *)secret, n, block);
    else
        memcpy(block, secret, n);
    for (i = 0; i < sizeof block; i++)
        block[i] ^= 0x36;
    SHA256_Init(&key->inner);
    SHA256_Update(&key->inner, block, sizeof block);
    for (i = 0; i < sizeof block; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&key->outer);
    SHA256_Update(&key->outer, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

/* signer(secret, ...) -> signer; signs with the first, verifies with all */
static int new_signer(lua_State *L)
{
    int count = lua_gettop(L), i;
    struct signer *s;
    const char *key;
    size_t n;

    luaL_argcheck(L, count >= 1 && count <= SECRETS_MAX, count,
                  "there are 1 to 16 secrets");
    for (i = 1; i <= count; i++) {
        luaL_checklstring(L, i, &n);
        luaL_argcheck(L, n > 0, i, "a secret is not empty");
    }
    s = lua_newuserdatauv(L, sizeof *s + (size_t)count * sizeof s->keys[0], 0);
    s->n = 0;
    luaL_getmetatable(L, SIGNER);
    lua_setmetatable(L, -2);
    for (i = 1; i <= count; i++) {
        key = lua_tolstring(L, i, &n);
        set_key(&s->keys[s->n++], key, n);
    }
    return 1;
}

/* Writes the signature of n bytes at p to out, as text. */
static void make(const struct key *key, const char *p, size_t n,
                 char out[static MAC_TEXT + 1])
{
    unsigned char mac[SHA256_DIGEST_LENGTH];
    SHA256_CTX half = key->inner;

    SHA256_Update(&half, p, n);
    SHA256_Final(mac, &half);
    half = key->outer;
    SHA256_Update(&half, mac, sizeof mac);
    SHA256_Final(mac, &half);
    encode_base64url(mac, sizeof mac, out);
}

/* signer:sign(text) -> its signature in base64url, 43 characters */
static int sign(lua_State *L)
{
    struct signer *s = luaL_checkudata(L, 1, SIGNER);
    size_t n;
    const char *p = luaL_checklstring(L, 2, &n);
    char text[MAC_TEXT + 1];

    make(&s->keys[0], p, n, text);
    lua_pushlstring(L, text, MAC_TEXT);
    return 1;
}

int l_reply_verify(lua_State *L, int signer, struct str text, struct str given)
{
    const struct signer *s = luaL_checkudata(L, signer, SIGNER);
    char made[MAC_TEXT + 1];
    int i, found = 0;

    if (given.n != MAC_TEXT)
        return 0;
    for (i = s->n; i-- > 0;) {
        make(&s->keys[i], text.p, text.n, made);
        if (CRYPTO_memcmp(made, given.p, MAC_TEXT) == 0)
            found = i + 1;
    }
    return found;
}

/* signer:verify(text, signature) -> the number of the secret that it was made
 * with, or false */
static int verify(lua_State *L)
{
    struct str text, given;
    int found;

    text.p = luaL_checklstring(L, 2, &text.n);
    given.p = luaL_checklstring(L, 3, &given.n);
    found = l_reply_verify(L, 1, text, given);
    if (found > 0)
        lua_pushinteger(L, found);
    else
        lua_pushboolean(L, 0);
    return 1;
}

/* mime(name) -> the media type of a file name or an extension */
static int mime(lua_State *L)
{
    struct str name, type;

    name.p = luaL_checklstring(L, 1, &name.n);
    type = mime_type(name);
    lua_pushlstring(L, type.p, type.n);
    return 1;
}

int l_reply_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"sign", sign}, {"verify", verify}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"signer", new_signer}, {"mime", mime}, {NULL, NULL}};

    luaL_newmetatable(L, SIGNER);
    lua_pushcfunction(L, signer_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
