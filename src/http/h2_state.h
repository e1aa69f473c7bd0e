/* What the files of HTTP/2 share: the state of a connection. h2.c drives it,
 * h2_stream.c its streams; h2_session.c hears what nghttp2 says, h2_head.c
 * checks requests, h2_out.c is the codec through which handlers answer,
 * h2_guard.c counts and keeps time. Nobody else includes this.
 *
 * nghttp2's callbacks only take notes, on the lists below; handlers run when it
 * has returned, so that nothing they do can meet it in the middle of a frame.
 */
#ifndef HTTP_H2_STATE_H
#define HTTP_H2_STATE_H

#include <nghttp2/nghttp2.h>

#include "http/exchange.h"
#include "http/h2.h"

/* What is counted against floods; the order of h2_guard.c's table. */
enum h2_count {
    H2_COUNT_RESET,
    H2_COUNT_PROVOKED,
    H2_COUNT_SETTINGS,
    H2_COUNT_PING,
    H2_COUNT_PRIORITY,
    H2_COUNT_EMPTY,
    H2_COUNT_UPDATE,
    H2_COUNTS
};

/* How far an orderly end has come (RFC 9113 6.8). */
enum h2_drain {
    H2_DRAIN_NONE,
    H2_DRAIN_NOTICE, /* said that the end is near */
    H2_DRAIN_LAST    /* said which stream was the last */
};

struct h2 {
    struct conn *c;
    struct server *server;
    nghttp2_session *session;
    struct list streams; /* all, but those in closed */
    struct list ready;   /* their handlers have to be told something */
    struct list held;    /* not begun: too much is queued */
    struct list dirty;   /* nghttp2 has to be told something */
    struct list closed;  /* to be let go */
    struct list sent;    /* exchanges that wait for on_sent */
    unsigned streams_open;
    unsigned requests;
    size_t queued; /* bytes of answers in the streams' queues */
    enum h2_drain drain;
    int32_t last_id;    /* the highest number of a stream */
    uint64_t recent;    /* which of the 64 up to it were opened */
    double quiet_since; /* no stream since then */
    double head_since;  /* a header block is incomplete since then; or 0 */
    int32_t head_id;    /* of that stream */
    double drain_at;    /* of the notice */
    double eof_at;      /* when the client shut its side down; or 0 */
    bool busy;          /* as the server counts it */
    bool full;          /* the output is over its mark */
    bool over;          /* nothing more is read or begun */
    double rate_since;  /* of the counters */
    unsigned counts[H2_COUNTS];
    uint64_t earned; /* WINDOW_UPDATEs, in bytes */
};

#endif
