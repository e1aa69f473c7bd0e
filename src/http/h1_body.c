/* The body of a request: given to the handler piece by piece while it asks for
 * it, read away when it has answered without. What frames it was decided by the
 * head; here bytes are counted, and chunks decoded. */
#include "http/h1_body.h"

#include "http/h1.h"
#include "http/h1_state.h"
#include "http/server.h"

static void complete(struct h1 *h)
{
    if (h->x == NULL) {
        h1_next(h);
        return;
    }
    h->state = H1_WAIT;
    h->handler_at = loop_now(h->c->loop);
    h->x->ended_in = true;
    if (!h->x->ended_out)
        h->server->handler->on_end(h->x);
}

/* The body is not what it says: the connection is of no more use. */
static void broken(struct h1 *h)
{
    struct exchange *x = h->x;

    h->keep_alive = false;
    if (x == NULL) {
        conn_finish(h->c, CONN_LINGER_SECONDS);
        h->state = H1_CLOSING;
        return;
    }
    if (x->head_sent) { /* too late for a 400; on_close tells the handler */
        h->state = H1_CLOSING;
        conn_flush(h->c);
        conn_close(h->c);
        return;
    }
    x->bad_body = true;
    x->reading = false;
    exchange_fail(x, 400, (struct str){NULL, 0});
}

static void deliver(struct h1 *h, struct str data)
{
    struct exchange *x = h->x;
    double now = loop_now(h->c->loop);

    if (x != NULL) {
        x->received += data.n;
        h->handler_at = now;
        h->server->handler->on_body(x, data.p, data.n);
        if (!x->reading && h->body_at > 0) { /* not the client's time now */
            h->body_waits += now - h->body_at;
            h->body_at = 0;
        }
        return;
    }
    h->discarded += data.n;
    if (h->discarded > h->server->limits.max_discard) {
        h->state = H1_CLOSING;
        conn_finish(h->c, CONN_LINGER_SECONDS);
    }
}

static void step_sized(struct h1 *h)
{
    struct str data = h->in;

    if (data.n > h->left)
        data.n = (size_t)h->left;
    h->in = str_skip(h->in, data.n);
    h->left -= data.n;
    deliver(h, data);
    if (h->left == 0 && h->state == H1_SIZED)
        complete(h);
}

static void step_chunked(struct h1 *h)
{
    struct exchange *x = h->x;
    struct str data;

    switch (chunked_next(&h->chunked, &h->in, &data)) {
    case CHUNKED_MORE:
        break;
    case CHUNKED_DATA:
        deliver(h, data);
        break;
    case CHUNKED_END:
        if (x != NULL && chunked_trailers(&h->chunked, &x->trailers, &x->pool,
                                          h->server->limits.max_headers) < 0)
            broken(h);
        else
            complete(h);
        break;
    case CHUNKED_BAD:
        broken(h);
    }
}

bool h1_body_step(struct h1 *h)
{
    if (h->x != NULL && h->x->ended_out) {
        h1_responded(h);
        return h->state != H1_CLOSING;
    }
    if (h->in.n == 0)
        return false;
    if (h->state == H1_SIZED && h->left == 0)
        return false; /* asked from within on_body, which had the last bytes */
    if (h->x != NULL && !h->x->reading) {
        conn_pause(h->c);
        return false;
    }
    if (h->state == H1_SIZED)
        step_sized(h);
    else
        step_chunked(h);
    return true;
}

void h1_body_pull(struct h1 *h, struct exchange *x)
{
    while (!h->c->dead && h->x == x && x->reading && !x->ended_out &&
           (h->state == H1_SIZED || h->state == H1_CHUNKED) &&
           h1_body_step(h)) {
    }
}
