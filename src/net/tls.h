/* The transport of TLS 1.2 and 1.3, over OpenSSL, and what can be asked of a
 * connection that it carries. Given to conn_open as &tls_transport; tls_attach
 * follows at once. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/str.h"
#include "net/conn.h"
#include "net/tls_server.h"

enum {
    TLS_RECORD = 16 * 1024,    /* bytes of one record's content */
    TLS_BATCH = 4 * TLS_RECORD /* encrypted before they are sent */
};

/* Where the question of a host name stands. */
enum tls_naming { TLS_UNASKED, TLS_ASKED, TLS_ANSWERED, TLS_REFUSED };

/* A connection's state; only tls_server.c looks into it besides tls.c. */
struct tls {
    struct list link; /* in tls_server.asked */
    SSL *ssl;
    struct conn *c;
    struct tls_server *server;
    struct bytes left; /* encrypted, but not taken by the socket */
    SSL_CTX *chosen;   /* by on_name; owned */
    char *name;        /* the client's word, lower case; NULL: none; owned */
    uint64_t id;       /* of the question */
    enum tls_naming naming;
    char first;  /* byte that the client sent */
    bool begun;  /* first is set */
    bool eof;    /* the socket is at its end */
    bool broken; /* nothing more can be said */
};

extern const struct transport tls_transport;

/* Gives c, fresh from conn_open, to server, which must outlive it. */
void tls_attach(struct conn *c, struct tls_server *server);

/* The protocol that ALPN has chosen; empty where none. Borrowed. */
struct str tls_protocol(const struct conn *c);

/* The host name that the client asked for, or NULL. Borrowed. */
const char *tls_host(const struct conn *c);

/* The OpenSSL side of c, valid while c is alive; NULL where c has none. */
SSL *tls_session(const struct conn *c);

#endif
