/* HTTP/1.0 and 1.1 (RFC 9112) on a connection: requests one after the other,
 * each turned into an exchange, pipelined ones in order. Used by server. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "net/conn.h"

enum {
    H1_BLANK_MAX = 64, /* bytes of blank lines before a request */
    H1_EOF_GRACE = 1   /* seconds that a handler has left when its client */
                       /* has shut its side down */
};

extern const struct protocol h1_protocol;

/* Speaks HTTP/1 on c, whose owner is a server. */
void h1_start(struct conn *c);

/* For the other files of HTTP/1: */
struct h1;

/* Outside of a step: does what a step would do about an ended response. */
void h1_settle(struct h1 *h);

/* Sets the connection's deadline to what its state asks for. */
void h1_set_deadline(struct h1 *h);

/* Goes to the next request, or to the end of the connection. */
void h1_next(struct h1 *h);

/* The response at work has ended; what is left of the request's body is read
 * away, or costs the connection. */
void h1_responded(struct h1 *h);

#endif
