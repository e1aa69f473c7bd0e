/* A server: addresses, the connections that came through them, the limits that
 * hold for them, and whom requests go to. Made by the script side; used by the
 * codecs, which find it as their connection's owner. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/list.h"
#include "http/exchange.h"
#include "http/limits.h"
#include "net/listener.h"
#include "net/loop.h"

enum { SERVER_FILES = 20 }; /* descriptors kept for all but connections */

struct conn;
struct tls_server;

struct server {
    struct list link; /* of all servers */
    struct loop *loop;
    struct list listeners;
    struct list conns; /* the one that has been idle for longest first */
    unsigned count;    /* of conns, and of those with nothing under way */
    unsigned idle;
    struct limits limits;
    const struct handler *handler;
    void *app;              /* the handler's */
    struct tls_server *tls; /* NULL: without encryption; borrowed */
    struct list heralded;   /* connections whose PROXY header is awaited */
    bool proxied;           /* there is one on each */
    bool closing;           /* server_close was called */
    bool retiring;          /* server_retire was: idle connections stay */
    bool paused;            /* at max_connections, and all are at work */
    bool tells_connections, tells_refusals; /* to the handler */
    bool takes_upgrades;                    /* x->upgrade may be set */
    uint64_t served;                        /* responses completed */
    struct defer closed;
    /* After server_close: the last connection is gone. May free the server. */
    void (*on_closed)(struct server *s);
};

/* Makes a server that listens nowhere; limits are copied, handler borrowed. */
struct server *server_new(struct loop *loop, const struct limits *limits,
                          const struct handler *handler, void *app);

/* Listens on addr too. Returns the listener (the server's), or NULL with errno
 * and the name of the failed call in *syscall. */
struct listener *server_listen(struct server *s, const struct addr *addr,
                               int backlog, const char **syscall);

/* Accepts from a listening socket that was made elsewhere, too, which is the
 * server's from now on. NULL with errno where fd is none. */
struct listener *server_adopt(struct server *s, int fd);

/* Closes the adopted listeners that have that tag. */
void server_release(struct server *s, int tag);

/* Serves the connected socket fd, which is the server's from now on, without
 * encryption. */
void server_inject(struct server *s, int fd);

/* Stops listening, closes idle connections, lets requests at work be answered,
 * and calls on_closed in a later turn. */
void server_close(struct server *s);

/* Closes the connections on which nothing is under way. */
void server_close_idle(struct server *s);

/* Cuts every connection; on_closed follows where server_close was called. */
void server_abort(struct server *s);

/* How many connections all servers may have together; 0: nine tenths of the
 * descriptors, and SERVER_FILES fewer than all. Each may have a limit of its
 * own below that. */
void server_limit_all(uint64_t most);

/* Closes every server of the process; drained is called in a later turn, when
 * the last connection is gone. */
void server_drain(struct loop *loop, void (*drained)(void));

/* The same for a process that others take over from: a connection that is idle
 * stays until its client has asked once more, so that no request crosses its
 * end. After a time server_drain is to follow. */
void server_retire(struct loop *loop, void (*drained)(void));

/* What all servers of the process have now: open connections, and requests that
 * were answered since the start. */
unsigned server_connections(void);
uint64_t server_requests(void);

/* Frees s, which must have neither listeners nor connections. */
void server_free(struct server *s);

/* For a protocol: something is under way on a connection, which was idle; and
 * c, which was busy, is idle now. A new connection is idle. */
void server_conn_busy(struct server *s);
void server_conn_idle(struct server *s, struct conn *c);

/* For a protocol: its connection c is gone, which was idle or not. */
void server_conn_closed(struct server *s, struct conn *c, bool idle);

/* For a codec: the response of x is complete or was cut off; counts it and
 * writes its line of the access log. */
void server_log(const struct exchange *x);

#endif
