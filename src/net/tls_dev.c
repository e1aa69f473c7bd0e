/* The authority's name constraints (RFC 5280 4.2.1.10) hold it to localhost: if
 * its key is ever read by somebody else, whoever trusts it is still safe from
 * certificates for other hosts. Files appear whole, by rename; of two processes
 * that make them at once the last wins, and each certificate says which key of
 * an authority has signed it. */
#include "net/tls_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CA_NAME "luaserve development CA"
#define PERMITTED                                                              \
    "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"       \
    "permitted;IP:0:0:0:0:0:0:0:1/"                                            \
    "FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF"
#define NAMES "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"

struct pair {
    X509 *cert;
    EVP_PKEY *key;
};

struct extension {
    int nid;
    const char *value;
};

static void pair_clear(struct pair *pair)
{
    X509_free(pair->cert);
    EVP_PKEY_free(pair->key);
    *pair = (struct pair){NULL, NULL};
}

static int fail(char *error, const char *what, const char *path)
{
    snprintf(error, TLS_DEV_ERROR, "cannot %s %.300s: %s", what, path,
             strerror(errno));
    return -1;
}

/* ---- files */

static void path_of(char *path, const char *folder, const char *name,
                    const char *ending)
{
    snprintf(path, TLS_DEV_PATH, "%s/%s%s", folder, name, ending);
}

static FILE *open_for_reading(const char *folder, const char *name,
                              const char *ending)
{
    char path[TLS_DEV_PATH];

    path_of(path, folder, name, ending);
    return fopen(path, "re");
}

/* Reads both files; what is missing or unreadable stays NULL. */
static void load(struct pair *pair, const char *folder, const char *name)
{
    FILE *file = open_for_reading(folder, name, ".pem");

    if (file != NULL) {
        pair->cert = PEM_read_X509(file, NULL, NULL, NULL);
        fclose(file);
    }
    file = open_for_reading(folder, name, ".key");
    if (file != NULL) {
        pair->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        fclose(file);
    }
}

/* Writes the certificate, or, where it is NULL, the key. */
static bool write_pem(FILE *file, X509 *cert, EVP_PKEY *key)
{
    bool good = cert != NULL ? PEM_write_X509(file, cert) == 1
                             : PEM_write_PrivateKey(file, key, NULL, NULL, 0,
                                                    NULL, NULL) == 1;

    return fclose(file) == 0 && good;
}

static int save_one(const char *folder, const char *name, X509 *cert,
                    EVP_PKEY *key, char *error)
{
    char path[TLS_DEV_PATH], fresh[TLS_DEV_PATH];
    FILE *file;
    int fd;

    path_of(path, folder, name, cert != NULL ? ".pem" : ".key");
    path_of(fresh, folder, name, cert != NULL ? ".pem.new" : ".key.new");
    unlink(fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
              cert != NULL ? 0644 : 0600);
    if (fd < 0)
        return fail(error, "make", fresh);
    file = fdopen(fd, "w");
    if (!write_pem(file, cert, key) || rename(fresh, path) < 0)
        return fail(error, "write", path);
    return 0;
}

static int save(const struct pair *pair, const char *folder, const char *name,
                char *error)
{
    if (save_one(folder, name, NULL, pair->key, error) < 0)
        return -1;
    return save_one(folder, name, pair->cert, NULL, error);
}

/* ---- certificates */

static bool add_extensions(X509 *cert, X509 *issuer,
                           const struct extension *list)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    for (; list->value != NULL; list++) {
        X509_EXTENSION *e =
            X509V3_EXT_conf_nid(NULL, &ctx, list->nid, list->value);

        if (e == NULL)
            return false;
        X509_add_ext(cert, e, -1);
        X509_EXTENSION_free(e);
    }
    return true;
}

static void set_serial(X509 *cert)
{
    BIGNUM *number = BN_new();

    BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
}

/* A new key and a certificate for it, signed by issuer (NULL: by itself). */
static bool make(struct pair *pair, const struct pair *issuer, const char *name,
                 int days, const struct extension *extensions)
{
    X509 *cert = X509_new(), *signer = issuer != NULL ? issuer->cert : cert;
    X509_NAME *subject = X509_get_subject_name(cert);

    pair_clear(pair);
    pair->cert = cert;
    pair->key = EVP_EC_gen("P-256");
    if (pair->key == NULL)
        return false;
    X509_set_version(cert, X509_VERSION_3);
    set_serial(cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600); /* clocks differ */
    X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(signer));
    X509_set_pubkey(cert, pair->key);
    return add_extensions(cert, signer, extensions) &&
           X509_sign(cert, issuer != NULL ? issuer->key : pair->key,
                     EVP_sha256()) > 0;
}

/* Whether the pair is whole, of issuer's making, and good for a while. */
static bool is_good(const struct pair *pair, const struct pair *issuer)
{
    int days = 0, seconds;

    if (pair->cert == NULL || pair->key == NULL ||
        X509_check_private_key(pair->cert, pair->key) != 1 ||
        X509_verify(pair->cert, issuer->key) != 1)
        return false;
    ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(pair->cert));
    return days >= TLS_DEV_RENEWAL_DAYS;
}

static const struct extension ca_extensions[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_name_constraints, PERMITTED},
    {NID_subject_key_identifier, "hash"},
    {0, NULL}};

static const struct extension cert_extensions[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth"},
    {NID_subject_alt_name, NAMES},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid"},
    {0, NULL}};

int tls_dev_make(const char *folder, bool *fresh, char *error)
{
    struct pair ca = {NULL, NULL}, cert = {NULL, NULL};
    int result = 0;

    snprintf(error, TLS_DEV_ERROR, "OpenSSL cannot make a certificate");
    load(&ca, folder, "ca");
    *fresh = !is_good(&ca, &ca);
    if (*fresh)
        result = make(&ca, NULL, CA_NAME, TLS_DEV_CA_DAYS, ca_extensions)
                     ? save(&ca, folder, "ca", error)
                     : -1;
    load(&cert, folder, "localhost");
    if (result == 0 && !is_good(&cert, &ca))
        result =
            make(&cert, &ca, "localhost", TLS_DEV_CERT_DAYS, cert_extensions)
                ? save(&cert, folder, "localhost", error)
                : -1;
    pair_clear(&cert);
    pair_clear(&ca);
    return result;
}
