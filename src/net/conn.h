/* A connection: a socket, its transport, what was read and not yet used, what
 * waits to be written. The protocol above (HTTP/1, HTTP/2, WebSocket) gets
 * bytes and is asked for nothing else. Output only ever appends to a queue; it
 * leaves with one writev when the turn ends or when the socket is writable.
 *
 * Life: conn_open; then, whatever goes wrong, conn_close marks the connection
 * dead and closes its socket; protocol->on_close and the free follow when
 * nothing of the connection is on the C stack any more. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/list.h"
#include "net/addr.h"
#include "net/deadline.h"
#include "net/loop.h"
#include "net/transport.h"

enum {
    CONN_IOV = 64,                     /* pieces of one writev */
    CONN_FILE_BYTES = 2 * 1024 * 1024, /* of files, before others have a turn */
    CONN_READS = 4, /* reads in a row before others have a turn */
    CONN_LINGER_BYTES = 256 * 1024, /* discarded of what a peer sends after */
    CONN_LINGER_SECONDS = 5,        /* the answer, and for how long; */
    CONN_LINGER_IDLE = 1,           /* where nothing was left to answer */
    CONN_MIN_RATE = 100             /* bytes/s that a reading peer must take */
};

/* What speaks on a connection. No call may free the connection: conn_close
 * marks it, and on_close is the last call. */
struct protocol {
    /* n bytes are at p, writable and valid during the call. Returns how many
     * were used; the rest is kept and given again in front of what follows. */
    size_t (*on_data)(struct conn *c, char *p, size_t n);
    /* The peer will send no more. */
    void (*on_eof)(struct conn *c);
    /* The turn ends, after conn_want_flush: append to the output what is to
     * leave with this turn's write. NULL where it is appended at once. */
    void (*on_flush)(struct conn *c);
    /* The output queue is empty again, after conn_want_drain. */
    void (*on_drain)(struct conn *c);
    /* c->deadline has passed. */
    void (*on_deadline)(struct conn *c);
    /* The server is closing: end when idle, and after the answers owed. */
    void (*on_shutdown)(struct conn *c);
    /* Whether nothing is under way on the connection. */
    bool (*is_idle)(const struct conn *c);
    /* The connection is gone; release c->state. */
    void (*on_close)(struct conn *c);
    /* The transport's handshake is complete; may give c to another protocol.
     * Never called where the transport has none. */
    void (*on_open)(struct conn *c);
};

struct conn {
    struct list link; /* in the owner's list */
    struct ev_io io;
    const struct transport *transport;
    void *transport_state;
    const struct protocol *protocol;
    void *state; /* the protocol's */
    void *owner; /* whoever opened it: a server */
    void *app;   /* the application's; NULL */
    struct loop *loop;
    struct buf out;
    struct bytes in;
    struct defer turn;
    struct deadline deadline; /* the protocol's */
    struct deadline stall;    /* of output */
    double write_timeout;     /* seconds; 0: none */
    double stall_since;
    uint64_t stall_sent;  /* bytes sent since then, */
    uint64_t stall_queue; /* and in the kernel's queue at that time */
    uint32_t lingered;    /* bytes discarded while lingering */
    uint8_t linger;       /* seconds; see conn_finish */
    bool dead, eof, paused, again, in_event;
    bool handshaking;      /* the transport's; the protocol gets no bytes yet */
    bool buffered, unsent; /* the transport's; see transport.h */
    bool more;             /* what is written now is not all there is */
    bool want_flush, want_drain, finishing, lingering, feeding;
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } peer;
};

/* Takes the connected non-blocking socket fd; the connection is linked into
 * list. peer is copied. state is handed to the protocol untouched. */
struct conn *conn_open(struct loop *loop, int fd, const struct addr *peer,
                       const struct transport *transport,
                       const struct protocol *protocol, struct list *list);

/* The output queue, to append to; it is flushed when the turn ends. Appending
 * to a dead connection is allowed and has no effect. */
struct buf *conn_out(struct conn *c);

/* Stops reading from the socket; what was read already may still come. */
void conn_pause(struct conn *c);

/* Goes on reading, and gives what was kept to the protocol at the turn's end.
 */
void conn_resume(struct conn *c);

/* Gives what was kept to the protocol now; nothing where it is being given
 * already, or nothing was kept. */
void conn_feed(struct conn *c);

/* Has another protocol speak on c from now on; the old one must have let go of
 * c->state, and gets no further call. What it had not used is the new one's. */
void conn_switch(struct conn *c, const struct protocol *protocol, void *state);

/* Calls protocol->on_flush once, before output is written when the turn ends.
 */
void conn_want_flush(struct conn *c);

/* Calls protocol->on_drain once, when the output queue is empty. */
void conn_want_drain(struct conn *c);

/* Closes when all output has left. linger: what the peer still sends is read
 * away for so many seconds, so that a reset does not destroy the answer on its
 * way (RFC 9112 9.6), nor make a request that crosses our end an error. */
void conn_finish(struct conn *c, unsigned linger);

/* Whether the socket holds bytes that were not read yet. */
bool conn_has_input(const struct conn *c);

/* Sends what the socket takes now, without waiting for the turn's end. May
 * close c. */
void conn_flush(struct conn *c);

/* Closes at once; output is dropped. Safe to call at any time, twice too. */
void conn_close(struct conn *c);

/* Closes at once with a TCP reset, so that the peer sees that it was cut. */
void conn_reset(struct conn *c);

/* The peer's address; for a Unix socket its family is all there is. */
void conn_peer(const struct conn *c, struct addr *out);

/* Our own address; its len is 0 on a dead connection. */
void conn_local(const struct conn *c, struct addr *out);

#endif
