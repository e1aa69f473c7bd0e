/* The keys of session tickets (RFC 5077, RFC 8446 4.6.1). They change every
 * TLS_TICKET_PERIOD, the last ones still open what they have sealed, and those
 * before are forgotten. Processes that were given the same seed derive the same
 * keys, whenever they started. Used by tls_context for every context. */
#ifndef NET_TLS_TICKET_H
#define NET_TLS_TICKET_H

#include <openssl/types.h>
#include <stddef.h>

enum {
    TLS_TICKET_PERIOD = 4 * 3600, /* seconds; also how long a session lives */
    TLS_TICKET_SEED_SIZE = 48     /* bytes; Node's size of ticketKeys */
};

/* Has keys derived from seed (TLS_TICKET_SEED_SIZE bytes, copied) from now on:
 * tickets made before open no more. Without a call keys are random. */
void tls_ticket_seed(const unsigned char *seed);

/* Copies the seed to out. A process that had none gets a random one. */
void tls_ticket_export(unsigned char *out);

/* Has the sessions of ctx kept by clients, in tickets, and not here. */
void tls_ticket_install(SSL_CTX *ctx);

#endif
