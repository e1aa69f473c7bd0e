/* Certificates are read from texts, so that Lua may have them from anywhere. */
#include "bind/redis_tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>

/* Trusts the certificates of a text; returns their count. */
static int trust(SSL_CTX *context, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    int n = 0;

    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
        X509_free(certificate);
        n++;
    }
    BIO_free(bio);
    return n;
}

static bool show(SSL_CTX *context, const char *cert, const char *key)
{
    BIO *first = BIO_new_mem_buf(cert, -1), *second = BIO_new_mem_buf(key, -1);
    X509 *certificate = PEM_read_bio_X509(first, NULL, NULL, NULL);
    EVP_PKEY *private = PEM_read_bio_PrivateKey(second, NULL, NULL, NULL);
    bool good = certificate != NULL && private != NULL &&
                SSL_CTX_use_certificate(context, certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context, private) == 1;

    X509_free(certificate);
    EVP_PKEY_free(private);
    BIO_free(first);
    BIO_free(second);
    return good;
}

SSL_CTX *redis_tls_new(bool verify, const char *ca, const char *cert,
                       const char *key, const char **error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    *error = "OpenSSL has no memory";
    if (context == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       NULL);
    if (ca == NULL)
        SSL_CTX_set_default_verify_paths(context);
    else if (trust(context, ca) == 0) {
        *error = "ca is no certificate in PEM";
        goto fail;
    }
    if (cert == NULL || show(context, cert, key != NULL ? key : cert))
        return context;
    *error = "cert and key are no pair in PEM";
fail:
    SSL_CTX_free(context);
    return NULL;
}
