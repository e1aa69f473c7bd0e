/* What the connections of one server share that speak TLS: the context they
 * begin with, contexts by host name (SNI, RFC 6066 3), protocols by preference
 * (ALPN, RFC 7301), what a client is told that does not speak TLS. Made by the
 * script side, lent to a server; tls asks it during handshakes. */
#ifndef NET_TLS_SERVER_H
#define NET_TLS_SERVER_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "net/conn.h"

enum { TLS_SERVER_ALPN_MAX = 128 }; /* bytes of all names, lengths included */

struct tls_server {
    SSL_CTX *standard; /* for names without a context of their own; or NULL */
    SSL_CTX *bare;     /* what a connection starts with where there is none */
    struct list names; /* of contexts, the last added first */
    struct list asked; /* connections that wait for on_name's answer */
    uint64_t last_id;
    unsigned char alpn[TLS_SERVER_ALPN_MAX]; /* as on the wire */
    unsigned alpn_size;
    int verify; /* SSL_VERIFY_...; added to that of a context */
    int (*verify_any)(int, X509_STORE_CTX *); /* lets everybody in; or NULL */
    struct str plain; /* the answer to what is no TLS; borrowed */
    /* Asks for the context of the name that tls_server_question tells; answered
     * by tls_server_answer, at once or later. NULL: those that were added are
     * all. */
    void (*on_name)(struct tls_server *s, uint64_t id);
    /* A handshake has failed; may be NULL. */
    void (*on_failure)(struct tls_server *s, struct conn *c, const char *why);
    void *owner;
};

/* Makes a server without contexts and protocols; the caller owns it. */
struct tls_server *tls_server_new(void);

/* Frees s, which must have no connections. */
void tls_server_free(struct tls_server *s);

/* Has new handshakes begin with ctx, of which s takes a reference of its own.
 * Connections keep what they began with. */
void tls_server_set(struct tls_server *s, SSL_CTX *ctx);

/* Has all names ask clients for certificates as ctx does. */
void tls_server_demand(struct tls_server *s, const SSL_CTX *ctx);

/* Has ctx (s takes a reference) serve name, which may begin with "*." for one
 * label; another context of that name is replaced. Returns 0, or -1 where this
 * is no name. */
int tls_server_add(struct tls_server *s, const char *name, SSL_CTX *ctx);

/* The context for name (lower case; "" for none): the exact one, else that of
 * its wildcard, else the standard one, which may be NULL. Borrowed. */
SSL_CTX *tls_server_find(const struct tls_server *s, const char *name);

/* Offers the protocol name by ALPN, after those offered already. Returns -1
 * where there is no room. */
int tls_server_offer(struct tls_server *s, struct str name);

/* Whether name is offered; true where nothing is, and so all goes. */
bool tls_server_offers(const struct tls_server *s, struct str name);

/* Forgets the protocols offered. */
void tls_server_offer_none(struct tls_server *s);

/* The name that a connection waits for a context of; NULL where it is gone.
 * Borrowed. */
const char *tls_server_question(const struct tls_server *s, uint64_t id);

/* Answers on_name: ctx (a reference is taken), NULL for what tls_server_find
 * says; or refused. Does nothing where the connection is gone. */
void tls_server_answer(struct tls_server *s, uint64_t id, SSL_CTX *ctx,
                       bool refused);

#endif
