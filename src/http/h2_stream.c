/* What a stream is told by both sides, and in which order it passes that on.
 * The stream lives in its exchange's pool; whatever ends it only moves it to
 * the list of those that are let go when nothing of it is on the C stack, and
 * makes nghttp2 forget it, so that no late callback finds it. */
#include "http/h2_stream.h"

#include "http/h2.h"
#include "http/h2_head.h"
#include "http/h2_out.h"
#include "http/server.h"

/* ---- notes */

void h2_stream_ready(struct h2_stream *s)
{
    if (!s->cut && list_empty(&s->ready))
        list_push(&s->h->ready, &s->ready);
}

void h2_stream_dirty(struct h2_stream *s)
{
    if (!s->cut && list_empty(&s->dirty))
        list_push(&s->h->dirty, &s->dirty);
    conn_want_flush(s->h->c);
}

struct h2_stream *h2_stream_of(struct h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->session, id);
}

/* ---- the life of a stream */

struct h2_stream *h2_stream_open(struct h2 *h, int32_t id)
{
    struct exchange *x = exchange_new(h->server);
    struct h2_stream *s = pool_alloc(&x->pool, sizeof *s);

    *s = (struct h2_stream){.h = h, .x = x, .id = id, .length = -1};
    list_init(&s->ready);
    list_init(&s->dirty);
    bytes_init(&s->in);
    buf_init(&s->out);
    list_push(&h->streams, &s->link);
    h->streams_open++;
    if (!h->busy)
        server_conn_busy(h->server);
    h->busy = true;
    x->codec = &h2_out_codec;
    x->wire = s;
    x->version = 20;
    x->encrypted = h->c->transport != &plain_transport;
    s->why = CLOSED_ABORTED;
    return s;
}

/* To be let go when nothing of s is on the C stack. */
static void leave(struct h2_stream *s)
{
    s->cut = true;
    list_remove(&s->link);
    list_remove(&s->ready);
    list_remove(&s->dirty);
    list_push(&s->h->closed, &s->link);
    nghttp2_session_set_stream_user_data(s->h->session, s->id, NULL);
    conn_want_flush(s->h->c);
}

void h2_stream_close(struct h2_stream *s)
{
    if (s->ended)
        s->why = s->x->timed_out ? CLOSED_TIMEOUT : CLOSED_DONE;
    leave(s);
}

void h2_stream_cut(struct h2_stream *s, enum closed why)
{
    if (s->cut)
        return;
    s->why = s->ended ? CLOSED_DONE : why;
    if (!s->ended)
        nghttp2_submit_rst_stream(s->h->session, NGHTTP2_FLAG_NONE, s->id,
                                  why == CLOSED_RESET ? NGHTTP2_INTERNAL_ERROR
                                                      : NGHTTP2_CANCEL);
    leave(s);
}

void h2_stream_let_go(struct exchange *x, enum closed why)
{
    list_remove(&x->link);
    x->codec = NULL;
    x->wire = NULL;
    if (x->unseen && x->app == NULL)
        exchange_free(x);
    else
        x->server->handler->on_close(x, why);
}

/* The end of s, which goes with its exchange. */
void h2_stream_finish(struct h2_stream *s)
{
    struct h2 *h = s->h;
    struct exchange *x = s->x;
    enum closed why = s->why;

    list_remove(&s->link);
    h->streams_open--;
    if (h->streams_open == 0) {
        h->quiet_since = loop_now(h->c->loop);
        if (!h->c->dead) { /* a dead one is in no list */
            h->busy = false;
            server_conn_idle(h->server, h->c);
        }
    }
    h->queued -= s->out.size;
    buf_retire(&h->c->out, &s->out);
    if (s->in.n > 0)
        nghttp2_session_consume_connection(h->session, s->in.n);
    bytes_clear(&s->in);
    x->unseen = x->unseen || !s->begun;
    if (s->begun)
        server_log(x);
    if (s->ended && x->want_sent && !h->c->dead) {
        list_push(&h->sent, &x->link);
        conn_want_drain(h->c);
    } else {
        h2_stream_let_go(x, why);
    }
}

/* ---- requests */

static void refuse(struct h2_stream *s, int status)
{
    s->x->unseen = true;
    exchange_fail(s->x, status, (struct str){NULL, 0});
}

static void begin(struct h2_stream *s)
{
    struct h2 *h = s->h;
    struct exchange *x = s->x;
    uint64_t most = h->server->limits.max_requests;
    int status;

    s->begun = true;
    x->began = s->handler_at = loop_now(h->c->loop);
    x->bodyless = str_eq(x->method, STR("HEAD"));
    h->requests++;
    h->earned += H2_UPDATES_PER_STREAM * H2_BYTES_PER_UPDATE;
    if (most > 0 && h->requests >= most)
        h2_announce_end(h);
    status = h2_head_check(s);
    x->ended_in = x->length == 0 && s->eof;
    if (status != 0)
        refuse(s, status);
    else
        h->server->handler->on_request(x);
}

/* Body that nobody will read makes room for that of others. */
static void drop_body(struct h2_stream *s)
{
    if (s->in.n == 0)
        return;
    nghttp2_session_consume(s->h->session, s->id, s->in.n);
    bytes_clear(&s->in);
}

void h2_stream_deliver(struct h2_stream *s)
{
    struct exchange *x = s->x;
    const struct handler *handler = x->server->handler;

    while (s->in.n > 0 && x->reading && !x->ended_out && !s->cut) {
        struct bytes got = s->in;

        bytes_init(&s->in);
        x->received += got.n;
        nghttp2_session_consume(s->h->session, s->id, got.n);
        s->handler_at = loop_now(s->h->c->loop);
        handler->on_body(x, got.p, got.n);
        bytes_clear(&got);
        if (!x->reading && s->body_at > 0) { /* not the client's time now */
            s->body_waits += s->handler_at - s->body_at;
            s->body_at = 0;
        }
    }
    if (x->ended_out)
        drop_body(s);
    if (!s->eof || s->in.n > 0 || x->ended_in || s->cut)
        return;
    x->ended_in = true;
    s->handler_at = loop_now(s->h->c->loop);
    if (!x->ended_out && !x->unseen)
        handler->on_end(x);
}

/* Does for s what was noted. */
void h2_stream_step(struct h2_stream *s)
{
    if (!s->begun && s->headed)
        begin(s);
    if (s->x->want_drain && s->out.size == 0 && !s->cut) {
        s->x->want_drain = false;
        s->x->server->handler->on_drain(s->x);
    }
    if (s->begun)
        h2_stream_deliver(s);
}
