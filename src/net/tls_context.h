/* Secure contexts: a certificate, its key and what goes with them, checked when
 * they are made, as the SSL_CTX that connections share. OpenSSL counts who
 * holds one, so that a context that was replaced lives as long as the
 * connections that began with it. Made by the script side, used by tls_server.
 */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum {
    TLS_CONTEXT_CERTS = 8,     /* of one context, as RSA and ECDSA */
    TLS_CONTEXT_ERROR = 256,   /* bytes of a message */
    TLS_CONTEXT_DIGEST = 32,   /* bytes */
    TLS_CONTEXT_NAME_MAX = 256 /* bytes of a host's name, with a NUL */
};

/* Texts are PEM unless said otherwise, and borrowed during the call. */
struct tls_options {
    struct str cert[TLS_CONTEXT_CERTS]; /* each may hold its chain behind it */
    struct str key[TLS_CONTEXT_CERTS];  /* in any order */
    struct str passphrase[TLS_CONTEXT_CERTS]; /* of key[i]; {NULL, 0}: none */
    struct str ca[TLS_CONTEXT_CERTS]; /* who may sign clients' certificates */
    unsigned certs, keys, cas;
    const char *ciphers;          /* OpenSSL's syntax; NULL: ours */
    int min_version, max_version; /* as TLS1_2_VERSION; 0: all we speak */
    struct str ocsp;              /* the response to staple, DER; or none */
    bool request_cert;            /* ask clients for a certificate */
    bool allow_unauthorized;      /* and go on without a valid one */
};

/* Makes a context, which the caller owns and gives back with SSL_CTX_free. NULL
 * with one line in error (TLS_CONTEXT_ERROR bytes) where the options cannot
 * work: also where a certificate has expired. Without a certificate a context
 * serves only to choose another by name. */
SSL_CTX *tls_context_new(const struct tls_options *options, char *error);

/* Copies the i-th DNS name that the context's certificates are for, wildcards
 * as they are, to name (TLS_CONTEXT_NAME_MAX bytes). Returns false behind the
 * last. */
bool tls_context_name(SSL_CTX *ctx, unsigned i, char *name);

/* TLS_CONTEXT_DIGEST bytes that differ where contexts trust other clients. */
const unsigned char *tls_context_digest(const SSL_CTX *ctx);

/* Whether ctx has a certificate to show. */
bool tls_context_has_cert(const SSL_CTX *ctx);

#endif
