/* The codec of HTTP/1: what a handler does with an exchange, as bytes of the
 * connection's queue. Decides what the head says of the body's framing and of
 * the connection (RFC 9112 6, 9). */
#include "http/h1_out.h"

#include "base/encode.h"
#include "http/h1.h"
#include "http/h1_body.h"
#include "http/h1_raw.h"
#include "http/h1_state.h"
#include "http/render.h"
#include "http/server.h"

/* Whether, and how, the response says what becomes of the connection. */
static enum render_connection connection_of(struct h1 *h, struct exchange *x)
{
    struct header *set = headers_find(&x->response, HEADER_CONNECTION, 0);

    if (set != NULL) {
        bool upgrade = headers_has_token(set->value, STR("upgrade"));

        if (headers_has_token(set->value, STR("close")))
            h->keep_alive = false;
        else if (h->keep_alive)
            return RENDER_NOTHING;
        if (!upgrade) /* of a 426 (RFC 9110 7.8) */
            headers_remove_id(&x->response, HEADER_CONNECTION);
    }
    if (!h->keep_alive)
        return RENDER_CLOSE;
    return x->version == 10 ? RENDER_KEEP_ALIVE : RENDER_NOTHING;
}

/* A body that will not be read to its end costs the connection. */
static bool too_much_unread(const struct h1 *h)
{
    return h->x->expects ||
           (h->state == H1_SIZED && h->left > h->server->limits.max_discard);
}

static void send_head(struct exchange *x, int64_t length)
{
    struct h1 *h = x->wire;
    bool sized = x->declared >= 0;

    headers_remove_id(&x->response, HEADER_TRANSFER_ENCODING); /* ours to say */
    if (x->bodyless && x->status == 204)
        headers_remove_id(&x->response, HEADER_CONTENT_LENGTH);
    if (headers_find(&x->response, HEADER_CONTENT_LENGTH, 0) != NULL)
        length = -1;
    x->chunked = !sized && !x->bodyless && x->version == 11;
    if (!sized && !x->bodyless && !x->chunked)
        h->keep_alive = false; /* HTTP/1.0: the end of the body is the close */
    if (too_much_unread(h))
        h->keep_alive = false;
    render_head(conn_out(h->c), x, length, connection_of(h, x),
                (time_t)loop_wall(h->c->loop));
    if (!h->stepping)
        h1_set_deadline(h);
}

static void send_body(struct exchange *x, struct piece *piece)
{
    struct h1 *h = x->wire;
    struct buf *out = conn_out(h->c);
    char size[20];
    size_t n;

    if (x->chunked) {
        n = encode_hex_number(piece->n, size);
        memcpy(size + n, "\r\n", 2);
        buf_append(out, size, n + 2);
    }
    if (piece->release != NULL)
        buf_append_ref(out, piece->p, piece->n, piece->release, piece->arg);
    else
        buf_append(out, piece->p, piece->n);
    if (x->chunked)
        buf_append(out, "\r\n", 2);
}

/* Of a body whose length was said: chunks would be framed in memory. */
static bool takes_files(const struct exchange *x)
{
    const struct h1 *h = x->wire;

    return h->c->transport->send_file != NULL && !x->chunked;
}

static void send_file(struct exchange *x, int fd, int64_t offset, size_t n,
                      void (*release)(void *arg), void *arg)
{
    struct h1 *h = x->wire;

    buf_append_range(conn_out(h->c), (struct buf_range){fd, offset, n}, release,
                     arg);
}

static void send_end(struct exchange *x)
{
    struct h1 *h = x->wire;

    if (x->chunked) {
        buf_append(conn_out(h->c), "0\r\n", 3);
        if (x->trailers_out.n > 0)
            render_fields(conn_out(h->c), &x->trailers_out);
        buf_append(conn_out(h->c), "\r\n", 2);
    }
    h1_settle(h);
}

static void send_interim(struct exchange *x, int status,
                         const struct headers *fields)
{
    struct h1 *h = x->wire;

    if (x->version == 11) /* RFC 9110 15.2 */
        render_interim(conn_out(h->c), status, fields);
}

void h1_out_resume(struct exchange *x)
{
    struct h1 *h = x->wire;

    if (h->c->dead)
        return;
    if (h->body_at == 0)
        h->body_at = loop_now(h->c->loop);
    if (h->stepping) {
        h1_body_pull(h, x);
        return;
    }
    conn_resume(h->c);
    conn_feed(h->c);
    if (!h->c->dead)
        h1_set_deadline(h);
}

size_t h1_out_queued(struct exchange *x)
{
    struct h1 *h = x->wire;

    return h->c->out.size;
}

void h1_out_want_drain(struct exchange *x)
{
    struct h1 *h = x->wire;

    x->want_drain = true;
    conn_want_drain(h->c);
}

void h1_out_reset(struct exchange *x, enum closed why)
{
    struct h1 *h = x->wire;

    if (h->x != x)
        return; /* complete; the connection is another's by now */
    h->why = why;
    conn_reset(h->c);
}

struct conn *h1_out_conn(const struct exchange *x)
{
    const struct h1 *h = x->wire;

    return h->c;
}

const struct codec h1_out_codec = {
    .send_head = send_head,
    .send_body = send_body,
    .takes_files = takes_files,
    .send_file = send_file,
    .send_end = send_end,
    .send_interim = send_interim,
    .resume = h1_out_resume,
    .queued = h1_out_queued,
    .want_drain = h1_out_want_drain,
    .reset = h1_out_reset,
    .upgrade = h1_raw_begin,
    .conn = h1_out_conn,
};
