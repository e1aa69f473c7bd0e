/* From PEM texts to an SSL_CTX. What could only fail later, on the first
 * handshake, is found here: a key of another certificate, a wrong passphrase, a
 * certificate that has expired. Protocols, ciphers and groups are the house's:
 * TLS 1.2 and 1.3, forward secrecy and AEAD, whatever a script asks for beyond
 * (RFC 9325). Left out: PKCS #12, CRLs, DSA, finite-field DH. */
#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "net/tls_ticket.h"

#define CIPHERS                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"               \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"               \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* Those of TLS 1.3, the cheapest first; a client that has no AES in hardware
 * says so by putting ChaCha20 in front (SSL_OP_PRIORITIZE_CHACHA). */
#define SUITES                                                                 \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                           \
    "TLS_CHACHA20_POLY1305_SHA256"

/* What we keep beside an SSL_CTX, freed with it. */
struct extra {
    unsigned char digest[TLS_CONTEXT_DIGEST];
    struct str ocsp;   /* owned */
    time_t ocsp_until; /* 0: it does not say */
};

static int extra_index = -1;

static void free_extra(void *parent, void *p, CRYPTO_EX_DATA *data, int index,
                       long argl, void *argp)
{
    struct extra *extra = p;

    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    if (extra != NULL)
        mem_free((char *)(size_t)extra->ocsp.p);
    mem_free(extra);
}

static struct extra *extra_of(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, extra_index);
}

const unsigned char *tls_context_digest(const SSL_CTX *ctx)
{
    return extra_of(ctx)->digest;
}

bool tls_context_has_cert(const SSL_CTX *ctx)
{
    return SSL_CTX_get0_certificate(ctx) != NULL;
}

/* ---- failing */

static int fail(char *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(char *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, TLS_CONTEXT_ERROR, format, args);
    va_end(args);
    return -1;
}

/* OpenSSL's own word on what has just gone wrong. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text != NULL ? text : "unknown error";
}

/* The subject of a certificate for messages: its common name or first name. */
static const char *subject(X509 *cert, char *text, size_t size)
{
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
                                  text, (int)size) > 0)
        return text;
    return "without a common name";
}

/* ---- certificates */

static BIO *open_text(struct str text)
{
    return BIO_new_mem_buf(text.p, (int)text.n);
}

static X509 *read_cert(BIO *bio)
{
    return PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
}

/* The certificates that follow the first one. */
static STACK_OF(X509) * read_chain(BIO *bio)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *cert;

    while ((cert = read_cert(bio)) != NULL)
        sk_X509_push(chain, cert);
    ERR_clear_error(); /* the end of the text is an error, too */
    return chain;
}

/* "2024-05-01 12:00:00", as UTC. */
static const char *format_time(const ASN1_TIME *at, char *text, size_t size)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(at, &tm) != 1 ||
        strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return "an unreadable date";
    return text;
}

static int check_dates(X509 *cert, char *error)
{
    const ASN1_TIME *from = X509_get0_notBefore(cert);
    const ASN1_TIME *until = X509_get0_notAfter(cert);
    char name[96], date[32];

    if (X509_cmp_current_time(until) < 0)
        return fail(error, "cert: the certificate of %s expired on %s UTC",
                    subject(cert, name, sizeof name),
                    format_time(until, date, sizeof date));
    if (X509_cmp_current_time(from) > 0)
        return fail(error,
                    "cert: the certificate of %s is valid only from %s UTC",
                    subject(cert, name, sizeof name),
                    format_time(from, date, sizeof date));
    return 0;
}

/* ---- keys */

struct passphrase {
    struct str text;
    bool asked;
};

static int give_passphrase(char *p, int size, int writing, void *arg)
{
    struct passphrase *pass = arg;

    (void)writing;
    pass->asked = true;
    if (pass->text.p == NULL || pass->text.n > (size_t)size)
        return -1;
    memcpy(p, pass->text.p, pass->text.n);
    return (int)pass->text.n;
}

static EVP_PKEY *read_key(struct str text, struct str passphrase, char *error)
{
    struct passphrase pass = {.text = passphrase};
    BIO *bio = open_text(text);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &pass);

    BIO_free(bio);
    if (key != NULL)
        return key;
    if (!pass.asked)
        fail(error, "key: this is not a private key in PEM (it begins with "
                    "-----BEGIN PRIVATE KEY-----)");
    else if (passphrase.p == NULL)
        fail(error, "key: the key is encrypted: passphrase is missing");
    else
        fail(error, "key: the passphrase is wrong");
    return NULL;
}

struct keys {
    EVP_PKEY *key[2 * TLS_CONTEXT_CERTS];
    unsigned n;
};

static void free_keys(struct keys *keys)
{
    while (keys->n > 0)
        EVP_PKEY_free(keys->key[--keys->n]);
}

/* Reads all keys; where none was given, those in the certificates' texts. */
static int read_keys(const struct tls_options *o, struct keys *keys,
                     char *error)
{
    bool apart = o->keys > 0;
    unsigned i, n = apart ? o->keys : o->certs;

    for (i = 0; i < n; i++) {
        EVP_PKEY *key =
            read_key(apart ? o->key[i] : o->cert[i], o->passphrase[i], error);

        if (key == NULL && !apart)
            return fail(error, "key is missing: a certificate needs its "
                               "private key");
        if (key == NULL)
            return -1;
        keys->key[keys->n++] = key;
    }
    return 0;
}

static EVP_PKEY *key_of(const struct keys *keys, X509 *cert)
{
    unsigned i;

    for (i = 0; i < keys->n; i++)
        if (X509_check_private_key(cert, keys->key[i]) == 1)
            return keys->key[i];
    ERR_clear_error();
    return NULL;
}

/* ---- a context's parts */

static int install(SSL_CTX *ctx, X509 *cert, STACK_OF(X509) * chain,
                   const struct keys *keys, char *error)
{
    EVP_PKEY *key = key_of(keys, cert);
    char name[96];

    if (key == NULL)
        return fail(error, "key: it does not belong to the certificate of %s",
                    subject(cert, name, sizeof name));
    if (check_dates(cert, error) < 0)
        return -1;
    if (SSL_CTX_use_cert_and_key(ctx, cert, key, chain, 1) != 1)
        return fail(error, "cert: OpenSSL refuses the certificate of %s: %s",
                    subject(cert, name, sizeof name), reason());
    return 0;
}

static int add_cert(SSL_CTX *ctx, struct str text, const struct keys *keys,
                    char *error)
{
    BIO *bio = open_text(text);
    X509 *cert = read_cert(bio);
    STACK_OF(X509) *chain = read_chain(bio);
    int result;

    if (cert == NULL)
        result = fail(error, "cert: this is not a certificate in PEM (it begins"
                             " with -----BEGIN CERTIFICATE-----)");
    else
        result = install(ctx, cert, chain, keys, error);
    X509_free(cert);
    sk_X509_pop_free(chain, X509_free);
    BIO_free(bio);
    return result;
}

static int add_certs(SSL_CTX *ctx, const struct tls_options *o, char *error)
{
    struct keys keys = {.n = 0};
    unsigned i;
    int result = o->certs > 0 || o->keys == 0
                     ? read_keys(o, &keys, error)
                     : fail(error, "cert is missing: a key needs its "
                                   "certificate");

    for (i = 0; i < o->certs && result == 0; i++)
        result = add_cert(ctx, o->cert[i], &keys, error);
    free_keys(&keys);
    return result;
}

/* Adds each certificate of text to those that may sign clients' ones. */
static int add_ca(SSL_CTX *ctx, struct str text, char *error)
{
    BIO *bio = open_text(text);
    STACK_OF(X509) *list = read_chain(bio);
    int i, n = sk_X509_num(list);

    for (i = 0; i < n; i++) {
        X509 *cert = sk_X509_value(list, i);

        X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert);
        SSL_CTX_add_client_CA(ctx, cert); /* named to clients as a hint */
    }
    sk_X509_pop_free(list, X509_free);
    BIO_free(bio);
    return n > 0 ? 0
                 : fail(error, "ca: this is no list of certificates in "
                               "PEM");
}

/* Whether a cipher suite of TLS 1.2 is one that we speak. */
static bool is_good(const SSL_CIPHER *cipher)
{
    int exchange = SSL_CIPHER_get_kx_nid(cipher);

    return SSL_CIPHER_is_aead(cipher) &&
           (exchange == NID_kx_ecdhe || exchange == NID_kx_any);
}

/* Takes the suites of a script's list that are good, in its order. */
static int set_ciphers(SSL_CTX *ctx, const char *wanted, char *error)
{
    char text[2048] = "";
    size_t n = 0;
    STACK_OF(SSL_CIPHER) * list;
    int i;

    if (SSL_CTX_set_cipher_list(ctx, wanted) != 1)
        return fail(error, "ciphers: OpenSSL knows none of \"%.100s\"", wanted);
    list = SSL_CTX_get_ciphers(ctx);
    for (i = 0; i < sk_SSL_CIPHER_num(list); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(list, i);
        const char *name = SSL_CIPHER_get_name(cipher);

        if (!is_good(cipher) || SSL_CIPHER_get_kx_nid(cipher) == NID_kx_any ||
            n + strlen(name) + 2 > sizeof text)
            continue;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ":" : "",
                              name);
    }
    if (n == 0)
        return fail(error,
                    "ciphers: none of \"%.100s\" has forward secrecy and AEAD",
                    wanted);
    SSL_CTX_set_cipher_list(ctx, text);
    return 0;
}

static int set_versions(SSL_CTX *ctx, const struct tls_options *o, char *error)
{
    int min = o->min_version ? o->min_version : TLS1_2_VERSION;
    int max = o->max_version ? o->max_version : TLS1_3_VERSION;

    if (min > max)
        return fail(error, "minVersion is above maxVersion");
    SSL_CTX_set_min_proto_version(ctx, min);
    SSL_CTX_set_max_proto_version(ctx, max);
    return 0;
}

/* ---- OCSP */

/* Keeps the response, and until when it may be shown. */
static int set_ocsp(SSL_CTX *ctx, struct str der, char *error)
{
    const unsigned char *p = (const unsigned char *)der.p;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
    OCSP_BASICRESP *basic = NULL;
    ASN1_GENERALIZEDTIME *until = NULL;
    struct extra *extra = extra_of(ctx);
    struct tm tm;

    if (response != NULL &&
        OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    OCSP_RESPONSE_free(response);
    if (basic == NULL)
        return fail(error, "ocsp: this is not a good OCSP response in DER");
    OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, NULL, &until);
    if (until != NULL && ASN1_TIME_to_tm(until, &tm) == 1)
        extra->ocsp_until = timegm(&tm);
    OCSP_BASICRESP_free(basic);
    extra->ocsp.p = memcpy(mem_alloc(der.n), der.p, der.n);
    extra->ocsp.n = der.n;
    return 0;
}

/* A client asks for the response: it gets it as long as it is fresh. */
static int on_status(SSL *ssl, void *arg)
{
    const struct extra *extra = extra_of(SSL_get_SSL_CTX(ssl));
    unsigned char *copy;

    (void)arg;
    if (extra->ocsp.n == 0 ||
        (extra->ocsp_until != 0 && extra->ocsp_until < time(NULL)))
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(extra->ocsp.p, extra->ocsp.n);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)extra->ocsp.n);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- all together */

/* Clients that would not be let in are told so in the handshake, unless the
 * script wants to see them. */
static int accept_any(int good, X509_STORE_CTX *store)
{
    (void)good;
    (void)store;
    return 1;
}

static void set_verify(SSL_CTX *ctx, const struct tls_options *o)
{
    int mode = SSL_VERIFY_NONE;

    if (o->request_cert)
        mode = o->allow_unauthorized
                   ? SSL_VERIFY_PEER
                   : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, o->allow_unauthorized ? accept_any : NULL);
}

static void set_digest(SSL_CTX *ctx, const struct tls_options *o)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char flags[2] = {o->request_cert, o->allow_unauthorized};
    unsigned i;

    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    EVP_DigestUpdate(md, flags, sizeof flags);
    for (i = 0; i < o->cas; i++)
        EVP_DigestUpdate(md, o->ca[i].p, o->ca[i].n);
    EVP_DigestFinal_ex(md, extra_of(ctx)->digest, NULL);
    EVP_MD_CTX_free(md);
}

static SSL_CTX *new_bare(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL)
        return NULL;
    if (extra_index < 0)
        extra_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL,
                                              NULL, NULL, free_extra);
    SSL_CTX_set_ex_data(ctx, extra_index, mem_zalloc(sizeof(struct extra)));
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_ciphersuites(ctx, SUITES);
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256");
    SSL_CTX_set_max_early_data(ctx, 0); /* may be replayed: RFC 8446 8 */
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    tls_ticket_install(ctx);
    return ctx;
}

SSL_CTX *tls_context_new(const struct tls_options *o, char *error)
{
    SSL_CTX *ctx = new_bare();
    unsigned i;
    int result;

    if (ctx == NULL) {
        fail(error, "OpenSSL: %s", reason());
        return NULL;
    }
    ERR_clear_error();
    set_digest(ctx, o);
    set_verify(ctx, o);
    result = set_versions(ctx, o, error);
    if (result == 0)
        result = set_ciphers(ctx, o->ciphers ? o->ciphers : CIPHERS, error);
    if (result == 0)
        result = add_certs(ctx, o, error);
    for (i = 0; i < o->cas && result == 0; i++)
        result = add_ca(ctx, o->ca[i], error);
    if (result == 0 && o->cas == 0 && o->request_cert)
        SSL_CTX_set_default_verify_paths(ctx);
    if (result == 0 && o->ocsp.n > 0)
        result = set_ocsp(ctx, o->ocsp, error);
    ERR_clear_error();
    if (result == 0)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- names */

/* Copies a DNS name; false where it is another kind of name, or too long. */
static bool copy_name(const GENERAL_NAME *item, char *name)
{
    const ASN1_STRING *text = item->d.dNSName;
    int n;

    if (item->type != GEN_DNS)
        return false;
    n = ASN1_STRING_length(text);
    if (n <= 0 || n >= TLS_CONTEXT_NAME_MAX)
        return false;
    memcpy(name, ASN1_STRING_get0_data(text), (size_t)n);
    name[n] = '\0';
    return strlen(name) == (size_t)n;
}

/* Copies the *i-th name of cert, or counts *i down by those it has. */
static bool name_of(X509 *cert, unsigned *i, char *name)
{
    GENERAL_NAMES *list =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    int at;

    for (at = 0; at < sk_GENERAL_NAME_num(list) && !found; at++)
        if (copy_name(sk_GENERAL_NAME_value(list, at), name))
            found = (*i)-- == 0;
    GENERAL_NAMES_free(list);
    return found;
}

bool tls_context_name(SSL_CTX *ctx, unsigned i, char *name)
{
    long more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST);

    for (; more == 1; more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT))
        if (name_of(SSL_CTX_get0_certificate(ctx), &i, name))
            return true;
    return false;
}
