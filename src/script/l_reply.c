/* What lua/luaserve/reply.lua and cookies.lua need of C: media types, and
 * signatures. A signer keeps one HMAC-SHA256 context for each secret, with its
 * key set: a signature then costs no key schedule and no memory. Verifying
 * looks at every secret in any case, so that its time tells nothing of them. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/encode.h"
#include "http/mime.h"
#include "script/l_reply.h"
#include "script/modules.h"

#define SIGNER "luaserve.signer"

enum {
    SECRETS_MAX = 16, /* of one signer: the newest, and those it replaces */
    MAC_SIZE = 32,
    MAC_TEXT = L_REPLY_SIGNATURE
};

struct signer {
    EVP_MAC_CTX *keyed[SECRETS_MAX];
    int n;
};

static int signer_gc(lua_State *L)
{
    struct signer *s = lua_touserdata(L, 1);

    while (s->n > 0)
        EVP_MAC_CTX_free(s->keyed[--s->n]);
    return 0;
}

/* A context with that key (owned), or NULL. */
static EVP_MAC_CTX *new_keyed(const char *key, size_t n)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

    EVP_MAC_free(mac);
    if (ctx != NULL &&
        EVP_MAC_init(ctx, (const unsigned char *)key, n, params) == 1)
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
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
    s = lua_newuserdatauv(L, sizeof *s, 0);
    s->n = 0;
    luaL_getmetatable(L, SIGNER);
    lua_setmetatable(L, -2);
    for (i = 1; i <= count; i++) {
        key = lua_tolstring(L, i, &n);
        s->keyed[s->n] = new_keyed(key, n);
        if (s->keyed[s->n] == NULL) {
            ERR_clear_error();
            return luaL_error(L, "OpenSSL has no HMAC-SHA256");
        }
        s->n++;
    }
    return 1;
}

/* Writes the signature of n bytes at p to out, as text. */
static bool make(EVP_MAC_CTX *ctx, const char *p, size_t n,
                 char out[static MAC_TEXT + 1])
{
    unsigned char mac[MAC_SIZE];
    size_t size = 0;

    if (EVP_MAC_init(ctx, NULL, 0, NULL) != 1 || /* the key stays */
        EVP_MAC_update(ctx, (const unsigned char *)p, n) != 1 ||
        EVP_MAC_final(ctx, mac, &size, sizeof mac) != 1)
        return false;
    encode_base64url(mac, size, out);
    return true;
}

/* signer:sign(text) -> its signature in base64url, 43 characters */
static int sign(lua_State *L)
{
    struct signer *s = luaL_checkudata(L, 1, SIGNER);
    size_t n;
    const char *p = luaL_checklstring(L, 2, &n);
    char text[MAC_TEXT + 1];

    if (!make(s->keyed[0], p, n, text)) {
        ERR_clear_error();
        return luaL_error(L, "OpenSSL failed to sign");
    }
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
    for (i = s->n; i-- > 0;)
        if (make(s->keyed[i], text.p, text.n, made) &&
            CRYPTO_memcmp(made, given.p, MAC_TEXT) == 0)
            found = i + 1;
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
