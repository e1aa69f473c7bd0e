/* A connection that has left HTTP: an exchange whose body, both ways, is all
 * that passes. So a handler reads and writes a protocol of its own with the
 * calls, limits and back-pressure of a request and its response, and the same
 * will do for the tunnels of HTTP/2 (RFC 8441). Half-closed streams are left
 * out: where we end, the connection does, once its output has left; where the
 * client ends, the handler has the time of a handler to do so. */
#include "http/h1_raw.h"

#include "http/h1_out.h"
#include "http/h1_state.h"
#include "http/server.h"

bool h1_raw_step(struct h1 *h)
{
    struct exchange *x = h->x;
    struct str data = h->in;

    if (data.n == 0)
        return false;
    if (!x->reading && !x->ended_out) {
        conn_pause(h->c);
        return false;
    }
    h->in.n = 0;
    if (x->reading) {
        x->received += data.n;
        h->server->handler->on_body(x, data.p, data.n);
    }
    return true;
}

static void send_head(struct exchange *x, int64_t length)
{
    (void)x;
    (void)length;
}

static void send_body(struct exchange *x, struct piece *piece)
{
    struct h1 *h = x->wire;
    struct buf *out = conn_out(h->c);

    if (piece->release != NULL)
        buf_append_ref(out, piece->p, piece->n, piece->release, piece->arg);
    else
        buf_append(out, piece->p, piece->n);
}

static void send_end(struct exchange *x)
{
    struct h1 *h = x->wire;

    conn_resume(h->c); /* to see what it still sends, if only to drop it */
    conn_finish(h->c, CONN_LINGER_SECONDS);
}

static void send_interim(struct exchange *x, int status,
                         const struct headers *fields)
{
    (void)x;
    (void)status;
    (void)fields;
}

static const struct codec codec = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .send_interim = send_interim,
    .resume = h1_out_resume,
    .queued = h1_out_queued,
    .want_drain = h1_out_want_drain,
    .reset = h1_out_reset,
    .conn = h1_out_conn,
};

struct str h1_raw_begin(struct exchange *x)
{
    struct h1 *h = x->wire;
    struct str behind = h->in;

    x->codec = &codec;
    h->state = H1_RAW;
    h->keep_alive = false;
    h->in.n = 0;
    return behind;
}
