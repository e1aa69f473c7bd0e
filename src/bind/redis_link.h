/* A stream to a server: TCP or a Unix socket, with TLS where it is asked for.
 * Names are looked up on the thread pool; nothing blocks. Used by bind/redis.c,
 * which it tells through three functions what has happened. */
#ifndef BIND_REDIS_LINK_H
#define BIND_REDIS_LINK_H

#include <openssl/types.h>

#include "bind/queue.h"

enum { REDIS_LINK_REASON = 256, REDIS_LINK_READ = 64 * 1024 };

struct link_events {
    void (*on_open)(void *arg);
    void (*on_bytes)(void *arg, const char *p, size_t n);
    /* At most once; link->reason and link->code say why. */
    void (*on_end)(void *arg);
    /* The last of the calls above has returned, and l->doomed is set. */
    void (*on_free)(void *arg);
};

struct link {
    const struct plugin *plugin;
    const struct link_events *events;
    void *arg;
    char *host, *service; /* owned; service NULL: host is a path */
    SSL_CTX *tls;         /* of its own reference; NULL: not encrypted */
    char *name;           /* that the certificate has to have; owned */
    SSL *ssl;
    struct addrinfo *addresses, *next; /* owned; the next to be tried */
    struct lookup *lookup;             /* while it is out */
    int fd;
    struct plugin_watch *watch;
    struct queue out;
    bool connecting, open, ended, paused, wants_write;
    int inside;  /* calls of events that have not returned */
    bool doomed; /* the owner wants to free it then */
    char reason[REDIS_LINK_REASON];
    const char *code;
};

/* Begins to connect; everything is copied. tls may be NULL, and name then is;
 * verify_name false: any certificate that is trusted will do. */
void redis_link_open(struct link *l, const char *host, const char *service,
                     SSL_CTX *tls, const char *name);

/* Sends what is in l->out as far as it goes now, the rest when it can. */
void redis_link_flush(struct link *l);

/* Stops reading, or goes on with it. */
void redis_link_pause(struct link *l, bool paused);

/* Whether an idle link keeps the process running. */
void redis_link_keep(struct link *l, bool keeps);

/* Ends it, with that failure where it had not ended: on_end is called. */
void redis_link_end(struct link *l, const char *code, const char *reason);

/* To be called around what may call events, so that l outlives it. */
void redis_link_enter(struct link *l);
void redis_link_leave(struct link *l);

/* Frees what it has; l itself is its owner's. on_end is not called. */
void redis_link_clear(struct link *l);

#endif
