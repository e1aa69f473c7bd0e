/* The state of a connection that speaks HTTP/1, which its files share: h1.c
 * reads requests and drives it, h1_body.c reads their bodies, h1_out.c is the
 * codec through which handlers answer, h1_raw.c what is left after an upgrade.
 * Nobody else includes this. */
#ifndef HTTP_H1_STATE_H
#define HTTP_H1_STATE_H

#include "base/str.h"
#include "http/chunked.h"
#include "http/exchange.h"
#include "http/head.h"
#include "net/conn.h"

enum h1_state {
    H1_HEAD,    /* before or in a head */
    H1_SIZED,   /* in a body with a Content-Length */
    H1_CHUNKED, /* in a chunked body */
    H1_WAIT,    /* the request is complete, the response is not */
    H1_RAW,     /* no longer HTTP: bytes for the handler */
    H1_CLOSING  /* nothing more is read */
};

struct h1 {
    struct conn *c;
    struct server *server;
    struct exchange
        *x;           /* at work; NULL between, and when a body is discarded */
    struct list sent; /* ended, but not yet handed to the kernel */
    enum h1_state state;
    enum closed why; /* for the exchange of a connection that is cut */
    struct str in;   /* what step() has to work on; n is right at any time */
    struct head_scan scan;
    struct chunked chunked;
    uint64_t left;      /* of a sized body */
    uint64_t discarded; /* of a body that nobody read */
    unsigned requests, blanks;
    double since;      /* when the state or the request began; loop time */
    double body_at;    /* since when the body is waited for; 0: it is not */
    double body_waits; /* seconds of earlier waits */
    double handler_at; /* since when it is the handler's turn */
    double eof_at;     /* when the client shut its side down; 0: not yet */
    unsigned memo;     /* of its last head: see http/head_memo.h */
    bool keep_alive, stepping;
    bool busy;    /* the server was told so */
    bool refused; /* H1_RAW, to answer what was no request */
};

#endif
