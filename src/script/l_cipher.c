/* crypto.seal and crypto.open: AES-256-GCM with a random nonce. What is sealed
 * is nonce, text and tag in one string. The contexts are kept, since making one
 * costs more than to seal a cookie. Left out: streams, other ciphers. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#include "base/encode.h"
#include "script/modules.h"

enum { KEY = 32, NONCE = 12, TAG = 16 };

static EVP_CIPHER *cipher;
static EVP_CIPHER_CTX *context;

/* [-0, +0, v] */
static void prepare(lua_State *L)
{
    if (cipher == NULL)
        cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (context == NULL)
        context = EVP_CIPHER_CTX_new();
    if (cipher != NULL && context != NULL)
        return;
    ERR_clear_error();
    luaL_error(L, "OpenSSL has no AES-256-GCM");
}

static const unsigned char *check_key(lua_State *L)
{
    size_t n;
    const char *key = luaL_checklstring(L, 2, &n);

    luaL_argcheck(L, n == KEY, 2,
                  "the key has 32 bytes: crypto.randomBytes(32), or "
                  "crypto.scrypt(password, salt, 32)");
    return (const unsigned char *)key;
}

/* What is bound to the text without being in it: the string at 3, maybe none.
 */
static bool bind(lua_State *L, bool seals)
{
    size_t n;
    const char *p = luaL_optlstring(L, 3, "", &n);
    int out;

    if (n == 0)
        return true;
    return (seals ? EVP_EncryptUpdate(context, NULL, &out,
                                      (const unsigned char *)p, (int)n)
                  : EVP_DecryptUpdate(context, NULL, &out,
                                      (const unsigned char *)p, (int)n)) == 1;
}

static void check_length(lua_State *L, size_t n)
{
    luaL_argcheck(L, n < INT32_MAX - 64, 1, "too long: up to 2 GiB");
}

/* seal(text, key [, bound]) -> bytes */
static int seal(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    const unsigned char *key = check_key(L);
    unsigned char *out;
    int done = 0, rest = 0;
    bool ok;

    check_length(L, n);
    luaL_optstring(L, 3, NULL);
    lua_settop(L, 3);
    prepare(L);
    out = lua_newuserdatauv(L, NONCE + n + TAG, 0);
    ok = RAND_bytes(out, NONCE) == 1 &&
         EVP_EncryptInit_ex2(context, cipher, key, out, NULL) == 1 &&
         bind(L, true) &&
         EVP_EncryptUpdate(context, out + NONCE, &done,
                           (const unsigned char *)text, (int)n) == 1 &&
         EVP_EncryptFinal_ex(context, out + NONCE + done, &rest) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG,
                             out + NONCE + n) == 1;
    ERR_clear_error();
    if (!ok)
        return luaL_error(L, "OpenSSL failed to seal");
    lua_pushlstring(L, (const char *)out, NONCE + n + TAG);
    return 1;
}

/* open(bytes, key [, bound]) -> text, or nil where anything is not as sealed */
static int open_sealed(lua_State *L)
{
    size_t n;
    const unsigned char *in =
        (const unsigned char *)luaL_checklstring(L, 1, &n);
    const unsigned char *key = check_key(L);
    unsigned char *out, tag[TAG];
    int done = 0, rest = 0;
    bool ok;

    check_length(L, n);
    luaL_optstring(L, 3, NULL);
    lua_settop(L, 3);
    prepare(L);
    if (n < NONCE + TAG) {
        lua_pushnil(L);
        return 1;
    }
    n -= NONCE + TAG;
    memcpy(tag, in + NONCE + n, TAG);
    out = lua_newuserdatauv(L, n + 1, 0);
    ok = EVP_DecryptInit_ex2(context, cipher, key, in, NULL) == 1 &&
         bind(L, false) &&
         EVP_DecryptUpdate(context, out, &done, in + NONCE, (int)n) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(context, out + done, &rest) == 1;
    ERR_clear_error();
    if (ok)
        lua_pushlstring(L, (const char *)out, n);
    else
        lua_pushnil(L);
    return 1;
}

/* base64url(bytes) -> text, without padding */
static int base64url(lua_State *L)
{
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);
    char *out = lua_newuserdatauv(L, n / 3 * 4 + 4, 0);

    lua_pushlstring(L, out, encode_base64url(p, n, out));
    return 1;
}

int l_cipher_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"seal", seal},
                                         {"open", open_sealed},
                                         {"base64url", base64url},
                                         {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
