/* A stream of HTTP/2 (RFC 9113 5): one exchange, between nghttp2, which says
 * what has come, and the handler, which is told when nghttp2 has returned. Used
 * by the files of HTTP/2 alone. */
#ifndef HTTP_H2_STREAM_H
#define HTTP_H2_STREAM_H

#include "base/buf.h"
#include "base/bytes.h"
#include "http/h2_state.h"

/* In the pool of its exchange: they go together. */
struct h2_stream {
    struct list link; /* of streams or closed */
    struct list ready, dirty;
    struct h2 *h;
    struct exchange *x;
    int32_t id;
    struct str scheme, authority; /* {NULL, 0} where the client said none */
    struct bytes in;              /* body that the handler has not read */
    struct buf out;               /* body that nghttp2 has not framed */
    uint64_t size;     /* of the head, or of trailers; as in RFC 9113 6.5.2 */
    unsigned fields;   /* of them; cookie crumbs count as one */
    int64_t length;    /* what send_head was told */
    double handler_at; /* since when it is the handler's turn */
    double body_waits; /* seconds that were the client's */
    double body_at;    /* when the body was first waited for */
    double stall_at;   /* since when output waits; 0: none */
    uint64_t stall_sent;
    enum closed why;
    bool headed;   /* the request's head is complete */
    bool begun;    /* and its handler, or a refusal, has seen it */
    bool crumbs;   /* more than one Cookie field */
    bool eof;      /* END_STREAM has come */
    bool answered; /* nghttp2 has the response's head */
    bool deferred; /* nghttp2 waits for more body */
    bool ended;    /* END_STREAM has been sent */
    bool cut;      /* by us; nghttp2 knows it no more */
    bool peer_reset;
};

/* A new stream, of which nghttp2 has begun to read the head; its owner is h. */
struct h2_stream *h2_stream_open(struct h2 *h, int32_t id);

/* The stream of nghttp2's number id, borrowed, or NULL. */
struct h2_stream *h2_stream_of(struct h2 *h, int32_t id);

/* Has the handler told what is new, when nghttp2 has returned. */
void h2_stream_ready(struct h2_stream *s);

/* Has nghttp2 told what is new, when the turn ends. */
void h2_stream_dirty(struct h2_stream *s);

/* Tells the handler what is new: the request, a queue that has emptied, body.
 */
void h2_stream_step(struct h2_stream *s);

/* Gives what is there of the body to the handler, while it reads. */
void h2_stream_deliver(struct h2_stream *s);

/* Resets s, which the handler loses within the turn. */
void h2_stream_cut(struct h2_stream *s, enum closed why);

/* nghttp2 has closed s, or the connection is gone: the handler loses it within
 * the turn. */
void h2_stream_close(struct h2_stream *s);

/* Lets go of s, which was cut or closed, and of its exchange. No callback of
 * nghttp2 and no handler of s may be on the C stack. */
void h2_stream_finish(struct h2_stream *s);

/* Lets go of an exchange, which the handler then owns. */
void h2_stream_let_go(struct exchange *x, enum closed why);

#endif
