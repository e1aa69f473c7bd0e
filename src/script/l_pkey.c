/* The module luaserve.core.pkey, for luaserve.jwt: keys of OpenSSL that sign
 * and check signatures as JSON Web Algorithms has them (RFC 7518, RFC 8037). A
 * key comes from the script or from whom it trusts, never with a request; of
 * what a client has sent only a signature gets here, as bytes of one size for
 * each kind of key. Left out: encrypted keys, whose password would have to be
 * somewhere, and keys that are made here. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "script/modules.h"

#define PKEY_TYPE "luaserve.Key"

enum {
    SIGNATURE_MAX = 2048, /* bytes: RSA of 16384 bits */
    NUMBER_MAX = 66       /* bytes of r and of s: P-521 */
};

struct pkey {
    EVP_PKEY *key;
    size_t number; /* bytes of r and of s; 0: it is no elliptic curve */
    bool is_private;
};

/* Nobody is asked for a password. */
static int no_password(char *out, int size, int writes, void *arg)
{
    (void)out;
    (void)size;
    (void)writes;
    (void)arg;
    return 0;
}

static int pkey_gc(lua_State *L)
{
    struct pkey *pkey = lua_touserdata(L, 1);

    EVP_PKEY_free(pkey->key);
    pkey->key = NULL;
    return 0;
}

/* ---- reading ---- */

static EVP_PKEY *key_of_certificate(BIO *bio)
{
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    EVP_PKEY *key = cert != NULL ? X509_get_pubkey(cert) : NULL;

    X509_free(cert);
    return key;
}

/* Reads the first key of PEM text (RFC 7468), or the key of a certificate. */
static EVP_PKEY *read_pem(const char *text, size_t n, bool *is_private)
{
    BIO *bio = BIO_new_mem_buf(text, (int)n);
    EVP_PKEY *key = NULL;

    *is_private = memmem(text, n, "PRIVATE KEY-----", 16) != NULL;
    if (bio == NULL)
        return NULL;
    if (*is_private)
        key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    else if (memmem(text, n, "BEGIN CERTIFICATE", 17) != NULL)
        key = key_of_certificate(bio);
    else
        key = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return key;
}

/* Bytes of a coordinate where the key is of a curve that JWA knows, and its
 * name in *curve; 0 for others. */
static size_t curve_of(EVP_PKEY *key, const char **curve)
{
    static const struct {
        const char *openssl, *jwa;
        size_t number;
    } curves[] = {{"prime256v1", "P-256", 32},
                  {"secp384r1", "P-384", 48},
                  {"secp521r1", "P-521", NUMBER_MAX}};
    char group[64] = "";
    size_t i;

    *curve = "an elliptic curve that JWT does not know";
    if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
        return 0;
    for (i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(group, curves[i].openssl) == 0) {
            *curve = curves[i].jwa;
            return curves[i].number;
        }
    return 0;
}

static const char *kind_of(struct pkey *pkey)
{
    const char *curve;

    switch (EVP_PKEY_get_base_id(pkey->key)) {
    case EVP_PKEY_RSA:
        return "RSA";
    case EVP_PKEY_ED25519:
        return "Ed25519";
    case EVP_PKEY_EC:
        pkey->number = curve_of(pkey->key, &curve);
        return curve;
    default:
        return "a kind that JWT does not know";
    }
}

/* read(text, is_der) -> key, its kind, its bits, whether it is private; nil
 * where the PEM text, or the bytes of a public key (RFC 5280 4.1.2.7), are none
 */
static int read_key(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    const unsigned char *der = (const unsigned char *)text;
    struct pkey *pkey;

    luaL_argcheck(L, n < INT32_MAX, 1, "too long");
    pkey = lua_newuserdatauv(L, sizeof *pkey, 0);
    *pkey = (struct pkey){0};
    luaL_getmetatable(L, PKEY_TYPE);
    lua_setmetatable(L, -2);
    if (lua_toboolean(L, 2))
        pkey->key = d2i_PUBKEY(NULL, &der, (long)n);
    else
        pkey->key = read_pem(text, n, &pkey->is_private);
    ERR_clear_error();
    if (pkey->key == NULL)
        return 0;
    lua_pushstring(L, kind_of(pkey));
    lua_pushinteger(L, EVP_PKEY_get_bits(pkey->key));
    lua_pushboolean(L, pkey->is_private);
    return 4;
}

/* ---- signatures ---- */

/* Begins to sign, or to check, with the hash at 2 ("" for Ed25519, which has
 * its own) and, where 3 is true, PSS (RFC 7518 3.5). */
static bool begin(lua_State *L, EVP_MD_CTX *ctx, EVP_PKEY *key, bool signs)
{
    const char *hash = lua_tostring(L, 2);
    EVP_PKEY_CTX *settings = NULL;
    int ok;

    if (*hash == '\0')
        hash = NULL;
    ok = signs ? EVP_DigestSignInit_ex(ctx, &settings, hash, NULL, NULL, key,
                                       NULL)
               : EVP_DigestVerifyInit_ex(ctx, &settings, hash, NULL, NULL, key,
                                         NULL);
    if (ok != 1 || !lua_toboolean(L, 3))
        return ok == 1;
    return EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) ==
               1;
}

/* Makes r and s in DER, which OpenSSL has, the bytes side by side that JWA has
 * (RFC 7518 3.4), in place. Returns their count, 0 where it fails. */
static size_t unpack(unsigned char *p, size_t n, size_t number)
{
    const unsigned char *der = p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    int size = (int)number;
    bool ok;

    if (sig == NULL)
        return 0;
    ok = BN_bn2binpad(ECDSA_SIG_get0_r(sig), p, size) == size &&
         BN_bn2binpad(ECDSA_SIG_get0_s(sig), p + number, size) == size;
    ECDSA_SIG_free(sig);
    return ok ? 2 * number : 0;
}

/* The other way round: out has SIGNATURE_MAX bytes. */
static size_t pack(const unsigned char *p, size_t number, unsigned char *out)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, (int)number, NULL);
    BIGNUM *s = BN_bin2bn(p + number, (int)number, NULL);
    int n = 0;

    if (sig != NULL && r != NULL && s != NULL &&
        ECDSA_SIG_set0(sig, r, s) == 1) {
        n = i2d_ECDSA_SIG(sig, &out);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

static bool sign_with(lua_State *L, const struct pkey *pkey, unsigned char *out,
                      size_t *n)
{
    size_t length;
    const char *data = lua_tolstring(L, 4, &length);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok =
        ctx != NULL && begin(L, ctx, pkey->key, true) &&
        EVP_DigestSign(ctx, out, n, (const unsigned char *)data, length) == 1;

    EVP_MD_CTX_free(ctx);
    if (ok && pkey->number > 0)
        *n = unpack(out, *n, pkey->number);
    ERR_clear_error();
    return ok && *n > 0;
}

static struct pkey *check_pkey(lua_State *L)
{
    struct pkey *pkey = luaL_checkudata(L, 1, PKEY_TYPE);

    luaL_argcheck(L, pkey->key != NULL, 1, "no key");
    luaL_checkstring(L, 2);
    luaL_checkstring(L, 4);
    return pkey;
}

/* sign(key, hash, pss, data) -> signature */
static int sign(lua_State *L)
{
    struct pkey *pkey = check_pkey(L);
    unsigned char out[SIGNATURE_MAX];
    size_t n = sizeof out;

    if (!sign_with(L, pkey, out, &n))
        return luaL_error(L, "OpenSSL cannot sign with this key");
    lua_pushlstring(L, (const char *)out, n);
    return 1;
}

/* verify(key, hash, pss, data, signature) -> boolean */
static int verify(lua_State *L)
{
    struct pkey *pkey = check_pkey(L);
    size_t n, length;
    const char *data = lua_tolstring(L, 4, &length);
    const char *given = luaL_checklstring(L, 5, &n);
    const unsigned char *signature = (const unsigned char *)given;
    unsigned char der[SIGNATURE_MAX];
    EVP_MD_CTX *ctx;
    bool ok = n <= SIGNATURE_MAX;

    if (ok && pkey->number > 0) {
        ok = n == 2 * pkey->number;
        n = ok ? pack(signature, pkey->number, der) : 0;
        signature = der;
    }
    ctx = EVP_MD_CTX_new();
    ok = ok && ctx != NULL && begin(L, ctx, pkey->key, false) &&
         EVP_DigestVerify(ctx, signature, n, (const unsigned char *)data,
                          length) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    lua_pushboolean(L, ok);
    return 1;
}

int l_pkey_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"read", read_key}, {"sign", sign}, {"verify", verify}, {NULL, NULL}};

    luaL_newmetatable(L, PKEY_TYPE);
    lua_pushcfunction(L, pkey_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, functions);
    return 1;
}
