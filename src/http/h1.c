/* One exchange at a time: the next head is not looked at before the response to
 * the last has ended, which gives pipelining its order for nothing. The state
 * machine advances in step(), called with bytes from the connection, or from
 * resume() when a handler asks for its body; a handler may therefore find the
 * whole body on its first read without ever being suspended. Whatever a handler
 * does while step() runs only leaves marks that step() finds afterwards;
 * outside of it h1_settle() does the same work at once. */
#include "http/h1.h"

#include "base/mem.h"
#include "http/h1_state.h"
#include "http/server.h"

/* ---- deadlines */

static double sooner(double a, double b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static double after(double since, double timeout)
{
    return timeout > 0 ? since + timeout : 0;
}

/* When a body that is waited for has been slower than the least rate. */
static double rate_deadline(const struct h1 *h, const struct limits *limits)
{
    double earned, rate = limits->min_body_rate;

    if (rate <= 0 || h->body_at == 0)
        return 0;
    earned = (double)h->x->received / rate;
    if (earned < limits->body_rate_grace)
        earned = limits->body_rate_grace;
    return h->body_at + earned;
}

static double exchange_deadline(const struct h1 *h, const struct limits *limits)
{
    const struct exchange *x = h->x;
    double at = 0;

    if (!x->ended_in && x->reading) {
        at = after(h->since, limits->request_timeout);
        at = sooner(at, rate_deadline(h, limits));
    }
    if (!x->head_sent)
        at = sooner(at, after(x->began, limits->handler_timeout));
    if (h->eof_at > 0)
        at = sooner(at, h->eof_at + H1_EOF_GRACE);
    return at;
}

void h1_set_deadline(struct h1 *h)
{
    const struct limits *limits = &h->server->limits;
    double at = 0;

    if (h->c->dead || h->c->finishing)
        return;
    if (h->x != NULL)
        at = exchange_deadline(h, limits);
    else if (h->state == H1_SIZED || h->state == H1_CHUNKED)
        at = after(h->since, limits->discard_timeout);
    else if (h->requests == 0 || h->scan.line > 0 || h->c->in.n > 0)
        at = after(h->since, limits->headers_timeout);
    else
        at = after(h->since, limits->keep_alive_timeout);
    deadline_at(&h->c->deadline, at);
}

/* ---- the end of an exchange */

/* Lets go of x, which the handler then owns. */
static void let_go(struct exchange *x, enum closed why)
{
    list_remove(&x->link);
    x->codec = NULL;
    x->wire = NULL;
    if (x->unseen)
        exchange_free(x);
    else
        x->server->handler->on_close(x, why);
}

/* The response is complete: takes x off the connection. */
static void release(struct h1 *h)
{
    struct exchange *x = h->x;

    server_log(x);
    h->x = NULL;
    h->since = loop_now(h->c->loop);
    h->body_at = 0;
    if (x->want_sent) {
        list_push(&h->sent, &x->link);
        conn_want_drain(h->c);
    } else {
        let_go(x, CLOSED_DONE);
    }
}

/* Goes to the next request, or to the end of the connection. */
static void next(struct h1 *h)
{
    chunked_clear(&h->chunked);
    h->scan = (struct head_scan){0, 0};
    h->blanks = 0;
    h->discarded = 0;
    h->state = H1_HEAD;
    if (h->keep_alive && !h->server->closing && h->eof_at == 0)
        return;
    h->state = H1_CLOSING;
    conn_finish(h->c, h->in.n > 0 || h->c->in.n > 0);
}

/* The response has ended; what is left of the body is read away, or not. */
static void responded(struct h1 *h)
{
    bool unread = h->state != H1_WAIT;

    release(h);
    if (!unread) {
        next(h);
    } else if (!h->keep_alive) {
        h->state = H1_CLOSING;
        conn_finish(h->c, true);
    }
}

/* Outside of step(): does what step() would do about an ended response. */
void h1_settle(struct h1 *h)
{
    if (h->stepping || h->x == NULL || !h->x->ended_out)
        return;
    responded(h);
    h1_set_deadline(h);
    if (h->state != H1_CLOSING)
        conn_resume(h->c);
}

/* ---- refusing */

/* Answers a request that is none with status, and closes. x is what is known
 * of it, or NULL. */
static void refuse(struct h1 *h, struct exchange *x, int status)
{
    if (x == NULL)
        x = exchange_new(h->server);
    x->unseen = true;
    x->codec = &h1_out_codec;
    x->wire = h;
    x->began = loop_now(h->c->loop);
    x->version = 11;
    h->x = x;
    h->keep_alive = false;
    h->state = H1_SIZED; /* whatever follows is not looked at */
    exchange_fail(x, status, (struct str){NULL, 0});
    if (!h->stepping)
        h1_settle(h);
}

/* ---- requests */

/* Whether the method of x is that. */
static bool is_method(const struct exchange *x, struct str method)
{
    return str_eq(x->method, method);
}

static void begin(struct h1 *h, struct exchange *x, const struct head *head)
{
    const struct limits *limits = &h->server->limits;

    x->codec = &h1_out_codec;
    x->wire = h;
    x->began = loop_now(h->c->loop);
    x->bodyless = is_method(x, STR("HEAD"));
    h->x = x;
    h->requests++;
    h->left = x->length > 0 ? (uint64_t)x->length : 0;
    h->keep_alive =
        head->keep_alive && !h->server->closing &&
        (limits->max_requests == 0 || h->requests < limits->max_requests);
    if (head->chunked) {
        h->state = H1_CHUNKED;
        chunked_init(&h->chunked, limits->max_trailer_size);
    } else {
        h->state = h->left > 0 ? H1_SIZED : H1_WAIT;
        x->ended_in = h->left == 0;
    }
    if (head->expectation_failed) {
        x->unseen = true;
        exchange_fail(x, 417, (struct str){NULL, 0}); /* RFC 9110 10.1.1 */
    } else if (is_method(x, STR("CONNECT"))) {
        refuse(h, x, 405);
    } else {
        h->server->handler->on_request(x);
    }
}

/* Blank lines before a request are skipped (RFC 9112 2.2), but not without end.
 * Returns false where there is nothing else to look at. */
static bool skip_blanks(struct h1 *h)
{
    while (h->scan.lines == 0 && h->in.n >= 2 && h->in.p[0] == '\r' &&
           h->in.p[1] == '\n') {
        h->in = str_skip(h->in, 2);
        h->blanks += 2;
    }
    return h->blanks > H1_BLANK_MAX || h->in.n > 1 ||
           (h->in.n == 1 && h->in.p[0] != '\r');
}

static bool step_head(struct h1 *h)
{
    const struct limits *limits = &h->server->limits;
    struct exchange *x;
    struct head head;
    struct str text;
    long n;
    int status;

    if (!skip_blanks(h))
        return false;
    if (h->c->out.size > EXCHANGE_HIGH_WATER) { /* answers are not being read */
        conn_pause(h->c);
        conn_want_drain(h->c);
        return false;
    }
    n = h->blanks > H1_BLANK_MAX
            ? -400
            : head_find(&h->scan, h->in.p, h->in.n, limits);
    if (n == 0)
        return false;
    if (n < 0) {
        refuse(h, NULL, (int)-n);
        return true;
    }
    x = exchange_new(h->server);
    text = pool_copy(&x->pool, (struct str){h->in.p, (size_t)n});
    h->in = str_skip(h->in, (size_t)n);
    status = head_parse(x, &head, (char *)(size_t)text.p, text.n, limits);
    if (status != 0)
        refuse(h, x, status);
    else
        begin(h, x, &head);
    return true;
}

/* ---- bodies */

static void body_complete(struct h1 *h)
{
    if (h->x == NULL) {
        next(h);
        return;
    }
    h->state = H1_WAIT;
    h->x->ended_in = true;
    if (!h->x->ended_out)
        h->server->handler->on_end(h->x);
}

/* The body is not what it says: the connection is of no more use. */
static void body_broken(struct h1 *h)
{
    struct exchange *x = h->x;

    h->keep_alive = false;
    if (x == NULL || x->head_sent) {
        conn_finish(h->c, true);
        h->state = H1_CLOSING;
        return;
    }
    x->bad_body = true;
    x->reading = false;
    exchange_fail(x, 400, (struct str){NULL, 0});
}

static void deliver(struct h1 *h, struct str data)
{
    struct exchange *x = h->x;

    if (x != NULL) {
        x->received += data.n;
        h->server->handler->on_body(x, data.p, data.n);
        return;
    }
    h->discarded += data.n;
    if (h->discarded > h->server->limits.max_discard) {
        h->state = H1_CLOSING;
        conn_finish(h->c, true);
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
        body_complete(h);
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
        if (x != NULL &&
            chunked_trailers(&h->chunked, &x->trailers, &x->pool) < 0)
            body_broken(h);
        else
            body_complete(h);
        break;
    case CHUNKED_BAD:
        body_broken(h);
    }
}

/* One step in a body; false where it has to wait for bytes or the handler. */
static bool step_body(struct h1 *h)
{
    if (h->x != NULL && h->x->ended_out) {
        responded(h);
        return h->state != H1_CLOSING;
    }
    if (h->in.n == 0)
        return false;
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

/* Within step(): delivers what is there of the body that x reads. */
void h1_pull(struct h1 *h, struct exchange *x)
{
    while (h->x == x && x->reading && !x->ended_out &&
           (h->state == H1_SIZED || h->state == H1_CHUNKED) && step_body(h)) {
    }
}

/* ---- the connection's side */

/* Goes on by one step; false where nothing more can be done now. */
static bool step(struct h1 *h)
{
    switch (h->state) {
    case H1_HEAD:
        return step_head(h);
    case H1_SIZED:
    case H1_CHUNKED:
        return step_body(h);
    case H1_WAIT:
        if (h->x->ended_out) {
            responded(h);
            return true;
        }
        if (h->in.n > 0)
            conn_pause(h->c); /* pipelined; until this one is answered */
        return false;
    default:
        h->in.n = 0;
        return false;
    }
}

static size_t on_data(struct conn *c, char *p, size_t n)
{
    struct h1 *h = c->state;

    if (h->state == H1_HEAD && h->scan.line == 0 && c->in.n == 0)
        h->since = loop_now(c->loop); /* the first byte of a head */
    h->in = (struct str){p, n};
    h->stepping = true;
    while (!c->dead && step(h)) {
    }
    h->stepping = false;
    h1_set_deadline(h);
    return n - h->in.n;
}

static void abort_with(struct h1 *h, enum closed why)
{
    h->why = why;
    conn_close(h->c);
}

static void on_eof(struct conn *c)
{
    struct h1 *h = c->state;

    h->eof_at = loop_now(c->loop);
    if (h->x == NULL)
        conn_finish(c, false);
    else if (!h->x->ended_in)
        abort_with(h, CLOSED_ABORTED);
    else
        h1_set_deadline(h); /* it may still be reading */
}

static void on_drain(struct conn *c)
{
    struct h1 *h = c->state;
    struct list *at;

    while ((at = list_shift(&h->sent)) != NULL) {
        struct exchange *x = LIST_ITEM(at, struct exchange, link);

        h->server->handler->on_sent(x);
        let_go(x, CLOSED_DONE);
    }
    if (h->x != NULL)
        h->server->handler->on_drain(h->x);
    else if (h->state == H1_HEAD)
        conn_resume(c);
}

/* The client is too slow with its request. */
static void request_timeout(struct h1 *h)
{
    h->keep_alive = false;
    if (h->x == NULL) {
        refuse(h, NULL, 408);
    } else if (h->x->head_sent) {
        abort_with(h, CLOSED_TIMEOUT);
    } else {
        h->why = CLOSED_TIMEOUT;
        exchange_fail(h->x, 408, (struct str){NULL, 0});
    }
}

static void on_deadline(struct conn *c)
{
    struct h1 *h = c->state;
    double now = loop_now(c->loop) + 0.001;
    const struct limits *limits = &h->server->limits;

    if (h->x == NULL) {
        if (h->state == H1_HEAD && (h->scan.line > 0 || c->in.n > 0))
            request_timeout(h);
        else
            conn_finish(c, false);
    } else if (h->eof_at > 0 && now >= h->eof_at + H1_EOF_GRACE) {
        abort_with(h, CLOSED_ABORTED);
    } else if (!h->x->head_sent && limits->handler_timeout > 0 &&
               now >= h->x->began + limits->handler_timeout) {
        h->server->handler->on_timeout(h->x);
    } else {
        request_timeout(h);
    }
}

static void on_shutdown(struct conn *c)
{
    struct h1 *h = c->state;

    h->keep_alive = false;
    if (h->x == NULL && h->scan.line == 0 && c->in.n == 0)
        conn_finish(c, false);
}

static void on_close(struct conn *c)
{
    struct h1 *h = c->state;
    struct list *at;

    if (h->x != NULL) {
        server_log(h->x);
        let_go(h->x, h->why);
    }
    while ((at = list_shift(&h->sent)) != NULL)
        let_go(LIST_ITEM(at, struct exchange, link), CLOSED_ABORTED);
    chunked_clear(&h->chunked);
    server_conn_closed(h->server);
    mem_free(h);
}

const struct protocol h1_protocol = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drain = on_drain,
    .on_deadline = on_deadline,
    .on_shutdown = on_shutdown,
    .on_close = on_close,
};

void h1_start(struct conn *c)
{
    struct h1 *h = mem_zalloc(sizeof *h);

    h->c = c;
    h->server = c->owner;
    h->why = CLOSED_ABORTED;
    h->since = loop_now(c->loop);
    h->keep_alive = true;
    list_init(&h->sent);
    c->state = h;
    h1_set_deadline(h);
}
