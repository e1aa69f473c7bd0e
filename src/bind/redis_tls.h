/* What a connection trusts and shows, for redis_link.c. Used by bind/redis.c.
 */
#ifndef BIND_REDIS_TLS_H
#define BIND_REDIS_TLS_H

#include <openssl/types.h>
#include <stdbool.h>

/* A context for clients, owned by the caller, or NULL with *error set. The
 * texts are PEM and may be NULL; without ca the system's certificates are
 * trusted. */
SSL_CTX *redis_tls_new(bool verify, const char *ca, const char *cert,
                       const char *key, const char **error);

#endif
