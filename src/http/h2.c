/* A connection of HTTP/2, driven in three steps: bytes go into nghttp2, whose
 * callbacks take notes (h2_session.c); then the streams that were noted are
 * looked at, and their handlers run; when the turn ends, nghttp2 is told of the
 * answers and what it has to send is collected, as much as one write may take.
 * So nothing is ever sent from within a callback, no handler runs in the middle
 * of a frame, and a request that is reset by the bytes right behind it costs
 * no handler at all. */
#include "http/h2.h"

#include "base/mem.h"
#include "http/h2_guard.h"
#include "http/h2_out.h"
#include "http/h2_session.h"
#include "http/h2_stream.h"
#include "http/server.h"

enum { ROUNDS = 4 }; /* of handlers and frames in a turn */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* 3.4 */

int h2_preface(const char *p, size_t n)
{
    if (n >= H2_PREFACE_SIZE)
        return memcmp(p, preface, H2_PREFACE_SIZE) == 0 ? 1 : -1;
    return memcmp(p, preface, n) == 0 ? 0 : -1;
}

/* ---- streams */

static void finish_closed(struct h2 *h)
{
    struct list *at;

    while ((at = list_shift(&h->closed)) != NULL)
        h2_stream_finish(LIST_ITEM(at, struct h2_stream, link));
}

/* Looks at the streams that were noted. While much is queued, no request is
 * begun that would queue more. */
static void step_all(struct h2 *h)
{
    struct list *at;

    if (h->queued <= H2_QUEUED_MAX)
        while ((at = list_shift(&h->held)) != NULL)
            list_push(&h->ready, at);
    while (!h->c->dead && !h->over && (at = list_shift(&h->ready)) != NULL) {
        struct h2_stream *s = LIST_ITEM(at, struct h2_stream, ready);

        if (!s->begun && h->queued > H2_QUEUED_MAX)
            list_push(&h->held, at);
        else
            h2_stream_step(s);
    }
}

/* ---- sending */

/* Collects frames up to the mark. Returns -1 where the session is broken. */
static int collect(struct h2 *h)
{
    struct buf *out = &h->c->out;
    const uint8_t *p;
    ssize_t n;

    h->full = out->size >= H2_OUT_MARK;
    while (!h->full) {
        n = nghttp2_session_mem_send(h->session, &p);
        if (n <= 0)
            return (int)n;
        buf_append(out, (const char *)p, (size_t)n);
        h->full = out->size >= H2_OUT_MARK;
    }
    return 0;
}

static void submit_all(struct h2 *h)
{
    struct list *at;

    while ((at = list_shift(&h->dirty)) != NULL)
        h2_out_submit(LIST_ITEM(at, struct h2_stream, dirty));
}

/* Nothing more is read; what is in the output leaves, then the connection. A
 * client that was told of the end sends nothing that could reset it. */
static void end(struct h2 *h)
{
    h->over = true;
    conn_finish(h->c, h->drain == H2_DRAIN_LAST ? 0 : CONN_LINGER_SECONDS);
}

void h2_terminate(struct h2 *h, uint32_t error)
{
    nghttp2_session_terminate_session(h->session, error);
    conn_want_flush(h->c);
}

void h2_announce_end(struct h2 *h)
{
    if (h->drain != H2_DRAIN_NONE || h->over)
        return;
    h->drain = H2_DRAIN_NOTICE;
    h->drain_at = loop_now(h->c->loop) + H2_DRAIN_SECONDS;
    nghttp2_submit_shutdown_notice(h->session);
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
    conn_want_flush(h->c);
}

/* The second GOAWAY of an orderly end, when the client has heard the first. */
static void go_on_draining(struct h2 *h)
{
    if (h->drain != H2_DRAIN_NOTICE || h->drain_at > loop_now(h->c->loop))
        return;
    h->drain = H2_DRAIN_LAST;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

/* nghttp2 has given up without a word: this is the word. */
static void say_why(struct h2 *h, ssize_t failure)
{
    uint32_t last = (uint32_t)h->last_id;
    uint32_t code = failure == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                                                   : NGHTTP2_PROTOCOL_ERROR;
    const char goaway[] = {0,
                           0,
                           8,
                           NGHTTP2_GOAWAY,
                           0,
                           0,
                           0,
                           0,
                           0, /* the head of the frame */
                           (char)(last >> 24),
                           (char)(last >> 16),
                           (char)(last >> 8),
                           (char)last,
                           0,
                           0,
                           0,
                           (char)code};

    buf_append(conn_out(h->c), goaway, sizeof goaway);
}

static bool is_done(struct h2 *h)
{
    return !nghttp2_session_want_read(h->session) &&
           !nghttp2_session_want_write(h->session);
}

static void on_flush(struct conn *c)
{
    struct h2 *h = c->state;
    int round, broken = 0;

    if (c->dead || h->over)
        return;
    if (c->finishing) /* closed as idle: that is said (RFC 9113 6.8) */
        nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
    go_on_draining(h);
    for (round = 0; round < ROUNDS && !c->dead && broken == 0; round++) {
        step_all(h);
        submit_all(h);
        broken = collect(h);
        finish_closed(h);
        if (h->full || (list_empty(&h->ready) && list_empty(&h->dirty)))
            break;
    }
    if (c->dead)
        return;
    if (nghttp2_session_get_outbound_queue_size(h->session) > H2_OUTBOUND_MAX) {
        say_why(h, NGHTTP2_ERR_FLOODED);
        broken = NGHTTP2_ERR_FLOODED;
    }
    if (broken < 0 || is_done(h) || c->finishing) {
        end(h);
        return;
    }
    if (h->full)
        conn_want_drain(c);
    else if (!list_empty(&h->ready) || !list_empty(&h->dirty) ||
             !list_empty(&h->closed))
        conn_want_flush(c);
    h2_guard_set_deadline(h);
}

/* ---- the connection's side */

static size_t on_data(struct conn *c, char *p, size_t n)
{
    struct h2 *h = c->state;
    ssize_t used;

    if (h->over || c->finishing) /* or closed as idle, in this turn */
        return n;
    used = nghttp2_session_mem_recv(h->session, (const uint8_t *)p, n);
    conn_want_flush(c);
    if (used < 0) { /* no HTTP/2, or floods that nghttp2 itself saw */
        say_why(h, used);
        end(h);
    }
    return n;
}

static void on_eof(struct conn *c)
{
    struct h2 *h = c->state;

    h->eof_at = loop_now(c->loop);
    if (h->streams_open == 0)
        end(h);
    conn_want_flush(c);
}

static void on_drain(struct conn *c)
{
    struct h2 *h = c->state;
    struct list *at;

    while ((at = list_shift(&h->sent)) != NULL) {
        struct exchange *x = LIST_ITEM(at, struct exchange, link);

        h->server->handler->on_sent(x);
        h2_stream_let_go(x, x->timed_out ? CLOSED_TIMEOUT : CLOSED_DONE);
    }
    if (h->eof_at > 0 && h->streams_open == 0)
        end(h);
    conn_want_flush(c);
}

static void on_deadline(struct conn *c)
{
    h2_guard_on_deadline(c->state);
    conn_want_flush(c);
}

static bool is_idle(const struct conn *c)
{
    const struct h2 *h = c->state;

    return h->streams_open == 0 && h->head_since == 0 && !c->finishing;
}

static void on_shutdown(struct conn *c)
{
    h2_announce_end(c->state);
}

static void on_close(struct conn *c)
{
    struct h2 *h = c->state;
    struct list *at;

    h->over = true;
    while ((at = list_shift(&h->streams)) != NULL) {
        struct h2_stream *s = LIST_ITEM(at, struct h2_stream, link);

        list_push(&h->streams, at);
        h2_stream_close(s);
    }
    finish_closed(h);
    while ((at = list_shift(&h->sent)) != NULL)
        h2_stream_let_go(LIST_ITEM(at, struct exchange, link), CLOSED_ABORTED);
    nghttp2_session_del(h->session);
    server_conn_closed(h->server, c, !h->busy);
    mem_free(h);
}

const struct protocol h2_protocol = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_flush = on_flush,
    .on_drain = on_drain,
    .on_deadline = on_deadline,
    .on_shutdown = on_shutdown,
    .is_idle = is_idle,
    .on_close = on_close,
};

void h2_start(struct conn *c)
{
    struct h2 *h = mem_zalloc(sizeof *h);

    h->c = c;
    h->server = c->owner;
    list_init(&h->streams);
    list_init(&h->ready);
    list_init(&h->held);
    list_init(&h->dirty);
    list_init(&h->closed);
    list_init(&h->sent);
    h->quiet_since = loop_now(c->loop);
    h->rate_since = h->quiet_since;
    conn_switch(c, &h2_protocol, h);
    h->session = h2_session_new(h);
    if (h->server->closing)
        h2_announce_end(h);
    conn_want_flush(c);
}
