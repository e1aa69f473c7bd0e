/* One request and its response: the noun in the middle of the house. A codec
 * (HTTP/1, HTTP/2) makes it from bytes and turns the answer into bytes again; a
 * handler (the script side) answers it. Each sees the other only through the
 * two tables here, so that a handler cannot tell one version from another.
 *
 * Life: the codec makes an exchange when a head is complete and calls
 * handler->on_request. The body comes through on_body while the handler has
 * asked for it (exchange_read), then on_end. The handler answers with
 * exchange_send_head, exchange_write, exchange_end. When request and response
 * are over, or the peer is gone, the codec lets go: on_close is its last call,
 * x->codec is NULL from then on, and the handler owns the exchange until it
 * calls exchange_free. Slices of the request stay valid until then. */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"
#include "base/str.h"
#include "http/headers.h"
#include "net/addr.h"

enum {
    EXCHANGE_HIGH_WATER = 64 * 1024, /* queued bytes: a writer should wait */
    EXCHANGE_COPY_MAX = 8 * 1024     /* bytes that are copied, not anchored */
};

struct compress;
struct conn;
struct exchange;
struct sending;
struct server;

/* A piece of body. release: where not NULL, p may be sent from where it lies,
 * and release(arg) is called exactly once, when it is needed no more. */
struct piece {
    const char *p;
    size_t n;
    void (*release)(void *arg);
    void *arg;
};

/* How a step of the answer went. */
enum sent {
    SENT_OK,
    SENT_FULL,   /* taken, but the peer is behind: wait for on_drain */
    SENT_CLOSED, /* the peer is gone */
    SENT_ENDED,  /* the answer was complete already */
    SENT_EXCESS  /* more bytes than the Content-Length that was set */
};

/* Why an exchange was closed. */
enum closed {
    CLOSED_DONE,    /* request and response are complete */
    CLOSED_ABORTED, /* the peer went away or broke the protocol */
    CLOSED_TIMEOUT, /* a deadline passed */
    CLOSED_RESET    /* the handler asked for it */
};

/* Towards the wire; filled by each version. Calls append to queues and never
 * call the handler back, but for resume, which may deliver body at once. */
struct codec {
    /* Sends x->status and x->response; length is that of the body or -1. */
    void (*send_head)(struct exchange *x, int64_t length);
    /* Sends a piece of body; takes it. */
    void (*send_body)(struct exchange *x, struct piece *piece);
    /* Whether send_file works for x; NULL: never. */
    bool (*takes_files)(const struct exchange *x);
    /* Sends n bytes of a file from offset on as a piece of body, which are read
     * when they leave; release(arg) is called when fd is needed no more. */
    void (*send_file)(struct exchange *x, int fd, int64_t offset, size_t n,
                      void (*release)(void *arg), void *arg);
    /* The response is complete, x->trailers_out included. May call on_close. */
    void (*send_end)(struct exchange *x);
    /* Sends an interim response (RFC 9110 15.2) with these fields. */
    void (*send_interim)(struct exchange *x, int status,
                         const struct headers *fields);
    /* x->reading was set: deliver body, at once where it is there. */
    void (*resume)(struct exchange *x);
    /* Bytes that wait for the peer. */
    size_t (*queued)(struct exchange *x);
    /* Calls on_drain when they have left. */
    void (*want_drain)(struct exchange *x);
    /* Cuts the exchange off; on_close follows within the turn. */
    void (*reset)(struct exchange *x, enum closed why);
    /* Turns x into a stream of bytes both ways; see exchange_upgrade. NULL
     * where it is one already. */
    struct str (*upgrade)(struct exchange *x);
    /* The connection that carries x; valid while x->codec is set. */
    struct conn *(*conn)(const struct exchange *x);
};

/* Towards the application; filled by the script side. */
struct handler {
    /* The head is there; body has not been read. */
    void (*on_request)(struct exchange *x);
    /* n bytes of body, borrowed; only while x->reading. */
    void (*on_body)(struct exchange *x, const char *p, size_t n);
    /* The request is complete, trailers included. */
    void (*on_end)(struct exchange *x);
    /* The peer has caught up, after want_drain. */
    void (*on_drain)(struct exchange *x);
    /* The whole answer was handed to the kernel; only where x->want_sent. */
    void (*on_sent)(struct exchange *x);
    /* The handler timeout passed without a head. */
    void (*on_timeout)(struct exchange *x);
    /* Bytes that are no request are to be answered with status; only where
     * server->tells_refusals. The handler answers where it has called
     * exchange_upgrade, which returns those bytes. */
    void (*on_refused)(struct exchange *x, int status);
    /* A connection was accepted; only where server->tells_connections. */
    void (*on_connect)(struct conn *c);
    /* A connection is gone; only where c->app is set. */
    void (*on_disconnect)(struct conn *c);
    /* The codec is done with x. */
    void (*on_close)(struct exchange *x, enum closed why);
};

struct exchange {
    struct list link; /* the codec's, then the handler's */
    struct pool pool;
    const struct codec *codec; /* NULL when the wire has let go */
    void *wire;                /* the codec's: connection or stream */
    struct server *server;
    void *app; /* the handler's */
    struct str method, target;
    struct headers request, trailers;
    int64_t length;    /* of the request's body; -1: not known */
    uint64_t received; /* bytes of it given to on_body */
    double began;      /* loop time when the head was complete */
    int status;
    struct str reason; /* {NULL, 0}: the standard phrase */
    struct headers response, trailers_out;
    struct headers refusal;    /* what an answer of exchange_fail has, too */
    struct compress *compress; /* see http/compress.h; NULL */
    struct sending *sending;   /* see http/sending.h; NULL */
    uint64_t sent;             /* body bytes of the response */
    int64_t declared;          /* Content-Length of the response, or -1 */
    uint16_t route;            /* which one answers, for stats; 0: none */
    uint8_t version;           /* 10, 11, 20 */
    bool encrypted;
    bool unseen;     /* refused by the codec; the handler never saw it */
    bool reading;    /* the handler wants body */
    bool ended_in;   /* the request is complete */
    bool bad_body;   /* the request's body was malformed */
    bool head_sent;  /* the head of the response has left */
    bool ended_out;  /* the response is complete */
    bool bodyless;   /* HEAD, 204, 304: no body is sent */
    bool want_sent;  /* the handler wants on_sent */
    bool want_drain; /* the handler waits for on_drain */
    bool expects;    /* 100-continue is owed */
    bool by_hand;    /* and sent by exchange_continue alone */
    bool upgrade;    /* the client asks for another protocol */
    bool raw;        /* after exchange_upgrade */
    bool timed_out;  /* answered because a deadline passed */
    bool keep_alive; /* the codec's: the connection may go on */
    bool chunked;    /* the codec's: the response is */
};

/* A fresh exchange from the process's store, owned by the caller. */
struct exchange *exchange_new(struct server *server);

/* Frees x and its pool; the codec must have let go. */
void exchange_free(struct exchange *x);

/* Exchanges that are alive in this process, for tests and metrics. */
unsigned exchange_count(void);

/* Sends the head now. length: of the body that will follow, -1 where it is not
 * known. A Content-Length among the response's fields wins over length. */
enum sent exchange_send_head(struct exchange *x, int64_t length);

/* Sends a piece of body, and the head before it where that has not left. Takes
 * piece in every case. */
enum sent exchange_write(struct exchange *x, struct piece piece);

/* Whether exchange_write_file can be used, now that the head was sent. */
bool exchange_takes_files(const struct exchange *x);

/* Sends n bytes of the open file fd from offset on, which leave it when the
 * peer takes them: a file that is shorter by then cuts the exchange off.
 * release(arg) is called exactly once, in every case. */
enum sent exchange_write_file(struct exchange *x, int fd, int64_t offset,
                              size_t n, void (*release)(void *arg), void *arg);

/* Completes the response with a last piece, which may be empty. Takes piece.
 * Too few bytes for the declared length cut the exchange off. */
enum sent exchange_end(struct exchange *x, struct piece piece);

/* Sends 100 Continue where the client waits for it; exchange_read does so too,
 * unless x->by_hand. */
void exchange_continue(struct exchange *x);

/* Has on_body called with what comes, from now until x->reading is cleared. */
void exchange_read(struct exchange *x);

/* Ends HTTP on what carries x: from now on on_body gets, and exchange_write
 * sends, bare bytes, and exchange_end closes. Only within on_request where
 * x->upgrade, and within on_refused. Returns what has arrived behind the head,
 * which on_body does not get again; borrowed from the caller. */
struct str exchange_upgrade(struct exchange *x);

/* Cuts the exchange off: on_close follows. Does nothing to one whose response
 * is complete. */
void exchange_reset(struct exchange *x, enum closed why);

/* Drops everything set so far but x->refusal and answers with status and text,
 * or the standard phrase where text is empty; where the head has left already,
 * cuts the exchange off. */
void exchange_fail(struct exchange *x, int status, struct str text);

#endif
