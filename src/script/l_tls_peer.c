/* Certificates as tables, worded as in Node. The methods find the connection
 * through the request's context, which is the socket's [1]: after the request
 * is over they return nil. */
#include "script/l_tls_peer.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "net/tls.h"
#include "script/l_socket.h"

/* ---- certificates */

/* Where texts are made. It is never freed: what is written here is lost by no
 * error of Lua. */
static BIO *scratch(void)
{
    static BIO *bio;

    if (bio == NULL)
        bio = BIO_new(BIO_s_mem());
    BIO_reset(bio);
    return bio;
}

/* [-0, +0, m] t[field] = what was written to bio. */
static void set_text(lua_State *L, const char *field, BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);

    lua_pushlstring(L, p, (size_t)n);
    lua_setfield(L, -2, field);
}

/* [-0, +0, m] t[field] = {CN = ..., O = ...}; the first of equal ones wins. */
static void set_name(lua_State *L, const char *field, const X509_NAME *name)
{
    int i, n = X509_NAME_entry_count(name);

    lua_createtable(L, 0, n);
    for (i = n - 1; i >= 0; i--) {
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        BIO *bio = scratch();

        ASN1_STRING_print_ex(bio, X509_NAME_ENTRY_get_data(entry),
                             ASN1_STRFLGS_UTF8_CONVERT);
        set_text(L, OBJ_nid2sn(OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry))),
                 bio);
    }
    lua_setfield(L, -2, field);
}

static void set_time(lua_State *L, const char *field, const ASN1_TIME *time)
{
    BIO *bio = scratch();

    ASN1_TIME_print(bio, time);
    set_text(L, field, bio);
}

/* AB:CD:..., as in Node. */
static void set_fingerprint(lua_State *L, const char *field, X509 *cert,
                            const EVP_MD *md)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[3 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned i, n = 0;

    X509_digest(cert, md, digest, &n);
    for (i = 0; i < n; i++)
        snprintf(text + (size_t)3 * i, 4, "%02X:", digest[i]);
    lua_pushlstring(L, text, n > 0 ? (size_t)3 * n - 1 : 0);
    lua_setfield(L, -2, field);
}

static void set_serial(lua_State *L, X509 *cert)
{
    BIO *bio = scratch();
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);

    if (number != NULL)
        BN_print(bio, number);
    BN_free(number);
    set_text(L, "serialNumber", bio);
}

/* "DNS:a.example, IP Address:127.0.0.1" */
static void set_alternatives(lua_State *L, X509 *cert)
{
    int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    BIO *bio = scratch();

    if (at < 0)
        return;
    X509V3_EXT_print(bio, X509_get_ext(cert, at), 0, 0);
    set_text(L, "subjectaltname", bio);
}

static void set_encodings(lua_State *L, X509 *cert)
{
    BIO *bio = scratch();

    i2d_X509_bio(bio, cert);
    set_text(L, "raw", bio);
    bio = scratch();
    PEM_write_bio_X509(bio, cert);
    set_text(L, "pem", bio);
}

static void push_certificate(lua_State *L, X509 *cert)
{
    lua_createtable(L, 0, 10);
    set_name(L, "subject", X509_get_subject_name(cert));
    set_name(L, "issuer", X509_get_issuer_name(cert));
    set_time(L, "valid_from", X509_get0_notBefore(cert));
    set_time(L, "valid_to", X509_get0_notAfter(cert));
    set_fingerprint(L, "fingerprint", cert, EVP_sha1());
    set_fingerprint(L, "fingerprint256", cert, EVP_sha256());
    set_serial(L, cert);
    set_alternatives(L, cert);
    set_encodings(L, cert);
}

/* ---- methods */

/* The OpenSSL side of the socket at 1; NULL where it is gone, or has none. */
static SSL *ssl_of(lua_State *L)
{
    struct conn *conn = l_socket_conn(L, 1);

    return conn != NULL ? tls_session(conn) : NULL;
}

/* socket:getPeerCertificate() -> table, nil where the client showed none */
static int get_peer_certificate(lua_State *L)
{
    SSL *ssl = ssl_of(L);
    X509 *cert = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;

    if (cert == NULL)
        lua_pushnil(L);
    else
        push_certificate(L, cert);
    return 1;
}

/* socket:getCipher() -> {name, standardName, version} */
static int get_cipher(lua_State *L)
{
    SSL *ssl = ssl_of(L);
    const SSL_CIPHER *cipher = ssl != NULL ? SSL_get_current_cipher(ssl) : NULL;

    if (cipher == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, SSL_CIPHER_get_name(cipher));
    lua_setfield(L, -2, "name");
    lua_pushstring(L, SSL_CIPHER_standard_name(cipher));
    lua_setfield(L, -2, "standardName");
    lua_pushstring(L, SSL_CIPHER_get_version(cipher));
    lua_setfield(L, -2, "version");
    return 1;
}

/* socket:getProtocol() -> "TLSv1.3" */
static int get_protocol(lua_State *L)
{
    SSL *ssl = ssl_of(L);

    lua_pushstring(L, ssl != NULL ? SSL_get_version(ssl) : NULL);
    return 1;
}

/* socket:isSessionReused() -> whether the handshake resumed a session */
static int is_session_reused(lua_State *L)
{
    SSL *ssl = ssl_of(L);

    lua_pushboolean(L, ssl != NULL && SSL_session_reused(ssl));
    return 1;
}

/* Node's names of why a certificate is not good; OpenSSL has them in no table.
 */
static const char *error_name(long error)
{
    static const struct {
        long error;
        const char *name;
    } names[] = {
        {X509_V_ERR_CERT_HAS_EXPIRED, "CERT_HAS_EXPIRED"},
        {X509_V_ERR_CERT_NOT_YET_VALID, "CERT_NOT_YET_VALID"},
        {X509_V_ERR_CERT_REVOKED, "CERT_REVOKED"},
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, "CERT_SIGNATURE_FAILURE"},
        {X509_V_ERR_CERT_UNTRUSTED, "CERT_UNTRUSTED"},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "DEPTH_ZERO_SELF_SIGNED_CERT"},
        {X509_V_ERR_INVALID_CA, "INVALID_CA"},
        {X509_V_ERR_INVALID_PURPOSE, "INVALID_PURPOSE"},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "SELF_SIGNED_CERT_IN_CHAIN"},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "UNABLE_TO_GET_ISSUER_CERT"},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
         "UNABLE_TO_VERIFY_LEAF_SIGNATURE"},
    };
    size_t i;

    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].error == error)
            return names[i].name;
    return X509_verify_cert_error_string(error);
}

static void set_authorized(lua_State *L, SSL *ssl)
{
    bool shown = SSL_get0_peer_certificate(ssl) != NULL;
    long result = SSL_get_verify_result(ssl);

    lua_pushboolean(L, shown && result == X509_V_OK);
    lua_setfield(L, -2, "authorized");
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ||
        (shown && result == X509_V_OK))
        return;
    lua_pushstring(L, shown ? error_name(result)
                            : "UNABLE_TO_GET_ISSUER_CERT"); /* as Node */
    lua_setfield(L, -2, "authorizationError");
}

void l_tls_peer_describe(lua_State *L, const struct conn *conn)
{
    SSL *ssl = tls_session(conn);
    struct str protocol = tls_protocol(conn);

    if (ssl == NULL)
        return;
    set_authorized(L, ssl);
    if (protocol.n > 0)
        lua_pushlstring(L, protocol.p, protocol.n);
    else
        lua_pushboolean(L, 0);
    lua_setfield(L, -2, "alpnProtocol");
    lua_pushstring(L, tls_host(conn));
    lua_setfield(L, -2, "servername");
}

void l_tls_peer_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"getPeerCertificate", get_peer_certificate},
        {"getCipher", get_cipher},
        {"getProtocol", get_protocol},
        {"isSessionReused", is_session_reused},
        {NULL, NULL}};

    luaL_newlib(L, methods);
    lua_setfield(L, -2, "methods");
}
