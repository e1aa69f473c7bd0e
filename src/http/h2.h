/* HTTP/2 (RFC 9113) on a connection: frames and header compression are
 * nghttp2's, each stream becomes an exchange. Started by h1 where a client
 * begins with the preface (3.3), and by whoever negotiates "h2" by ALPN. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "net/conn.h"

enum {
    H2_PREFACE_SIZE = 24,
    H2_STREAM_WINDOW = 64 * 1024, /* request body that a stream may hold */
    H2_WINDOW = 1024 * 1024,      /* and all of a connection together */
    H2_QUEUED_MAX = 1024 * 1024,  /* answers not taken; over it no further
                                     request of the connection is begun */
    H2_OUT_MARK = 128 * 1024,     /* bytes framed ahead of the socket */
    H2_HEADERS_BOMB = 8,          /* times the limit of a head: closed */
    H2_ACKS_MAX = 64,             /* of SETTINGS and PING, not yet sent */
    H2_SETTINGS_ENTRIES_MAX = 32, /* in one frame */
    H2_OUTBOUND_MAX = 512,        /* frames that wait to be sent */
    H2_DRAIN_SECONDS = 1,         /* between the two GOAWAYs, at most */
    H2_EOF_GRACE = 1              /* seconds that handlers have left when */
                                  /* the client has shut its side down */
};

/* What a client may do within H2_RATE_SECONDS; more is answered with GOAWAY
 * ENHANCE_YOUR_CALM (RFC 9113 10.5). */
enum {
    H2_RATE_SECONDS = 10,
    H2_RATE_RESETS = 300,    /* RST_STREAM (CVE-2023-44487) */
    H2_RATE_PROVOKED = 200,  /* errors that we reset for (CVE-2025-8671) */
    H2_RATE_SETTINGS = 50,   /* CVE-2019-9515 */
    H2_RATE_PING = 500,      /* CVE-2019-9512 */
    H2_RATE_PRIORITY = 1000, /* PRIORITY, PRIORITY_UPDATE (CVE-2019-9513) */
    H2_RATE_EMPTY = 100,     /* DATA without a byte (CVE-2019-9518) */
    H2_RATE_UPDATES = 1000,  /* WINDOW_UPDATE, beside those that requests and */
    H2_UPDATES_PER_STREAM = 4, /* bytes sent have earned (CVE-2019-9517) */
    H2_BYTES_PER_UPDATE = 512
};

extern const struct protocol h2_protocol;

/* Speaks HTTP/2 on c, whose owner is a server and which has no protocol state,
 * or none any more. The preface is the first thing that comes. */
void h2_start(struct conn *c);

/* How the n bytes at p, the first of a connection, compare with the preface: 1
 * it is there, 0 it may still become it, -1 they are something else. */
int h2_preface(const char *p, size_t n);

/* ---- for the other files of HTTP/2 */

struct h2;

/* Ends the connection with that error code (RFC 9113 7). */
void h2_terminate(struct h2 *h, uint32_t error);

/* Begins an orderly end: the client is told of it, what it has sent until it
 * hears that is still served (RFC 9113 6.8), then the last stream is named. */
void h2_announce_end(struct h2 *h);

#endif
