/* One exchange at a time: the next head is not looked at before the response to
 * the last has ended, which gives pipelining its order for nothing. The state
 * machine advances in step(), called with bytes from the connection, or from
 * resume() when a handler asks for its body; a handler may therefore find the
 * whole body on its first read without ever being suspended. Whatever a handler
 * does while step() runs only leaves marks that step() finds afterwards;
 * outside of it h1_settle() does the same work at once. */
#include "http/h1.h"

#include "base/mem.h"
#include "http/h1_body.h"
#include "http/h1_out.h"
#include "http/h1_raw.h"
#include "http/h1_state.h"
#include "http/h2.h"
#include "http/head_memo.h"
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

/* When the client is too slow with a body that is waited for. */
static double request_deadline(const struct h1 *h, const struct limits *limits)
{
    double at, earned, rate = limits->min_body_rate;

    if (h->x->ended_in || !h->x->reading)
        return 0;
    at = after(h->since, limits->request_timeout);
    if (rate <= 0 || h->body_at == 0)
        return at;
    earned = (double)h->x->received / rate;
    if (earned < limits->body_rate_grace)
        earned = limits->body_rate_grace;
    return sooner(at, h->body_at + earned - h->body_waits);
}

/* When the handler is, whose time does not run while it waits for the body. */
static double handler_deadline(const struct h1 *h, const struct limits *limits)
{
    if (h->x->head_sent || (h->x->reading && !h->x->ended_in))
        return 0;
    return after(h->handler_at, limits->handler_timeout);
}

static double exchange_deadline(const struct h1 *h)
{
    const struct limits *limits = &h->server->limits;
    double at =
        sooner(request_deadline(h, limits), handler_deadline(h, limits));

    return h->eof_at > 0 ? sooner(at, h->eof_at + H1_EOF_GRACE) : at;
}

void h1_set_deadline(struct h1 *h)
{
    const struct limits *limits = &h->server->limits;
    double at;

    if (h->c->dead || h->c->finishing)
        return;
    if (h->state == H1_RAW)
        at = h->refused      ? after(h->since, limits->headers_timeout)
             : h->eof_at > 0 ? after(h->eof_at, limits->handler_timeout)
                             : 0;
    else if (h->x != NULL)
        at = exchange_deadline(h);
    else if (h->state == H1_SIZED || h->state == H1_CHUNKED)
        at = after(h->since, limits->discard_timeout);
    else if (h->scan.line > 0 || h->in.n > 0)
        at = after(h->since, limits->headers_timeout);
    else if (h->server->closing)
        at = loop_now(h->c->loop) + CONN_LINGER_IDLE;
    else if (h->requests == 0)
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
    if (x->unseen && x->app == NULL)
        exchange_free(x);
    else
        x->server->handler->on_close(x, why);
}

static void let_go_done(struct exchange *x)
{
    let_go(x, x->timed_out ? CLOSED_TIMEOUT : CLOSED_DONE);
}

/* The response is complete: takes x off the connection. */
static void release(struct h1 *h)
{
    struct exchange *x = h->x;

    server_log(x);
    h->x = NULL;
    h->since = loop_now(h->c->loop);
    h->body_at = h->body_waits = 0;
    if (x->want_sent) {
        list_push(&h->sent, &x->link);
        conn_want_drain(h->c);
    } else {
        let_go_done(x);
    }
}

void h1_next(struct h1 *h)
{
    chunked_clear(&h->chunked);
    h->scan = (struct head_scan){0, 0};
    h->blanks = 0;
    h->discarded = 0;
    h->state = H1_HEAD;
    if (h->keep_alive && !h->server->closing && h->eof_at == 0 &&
        !h->c->finishing) {
        h->busy = false;
        server_conn_idle(h->server, h->c);
        return;
    }
    h->state = H1_CLOSING;
    conn_finish(h->c, h->in.n > 0 ? CONN_LINGER_SECONDS : 0);
}

void h1_responded(struct h1 *h)
{
    bool unread = h->state != H1_WAIT;

    release(h);
    if (!unread) {
        h1_next(h);
    } else if (!h->keep_alive) {
        h->state = H1_CLOSING;
        conn_finish(h->c, CONN_LINGER_SECONDS);
    }
}

/* Outside of step(): does what step() would do about an ended response. */
void h1_settle(struct h1 *h)
{
    if (h->stepping || h->x == NULL || !h->x->ended_out || h->x->raw)
        return;
    if (h->c->dead) /* on_close lets go of x, and c is in no list any more */
        return;
    h1_responded(h);
    h1_set_deadline(h);
    if (h->state != H1_CLOSING)
        conn_resume(h->c);
}

/* ---- requests */

/* x is what the connection is about from now on. */
static void take(struct h1 *h, struct exchange *x)
{
    x->codec = &h1_out_codec;
    x->wire = h;
    x->began = h->handler_at = loop_now(h->c->loop);
    h->x = x;
    if (!h->busy)
        server_conn_busy(h->server);
    h->busy = true;
}

/* Answers with status and closes, unless the handler is there to do it. */
static void turn_down(struct h1 *h, struct exchange *x, int status)
{
    h->keep_alive = false;
    h->state = H1_SIZED; /* whatever follows is not looked at */
    if (h->server->tells_refusals && status != 405) {
        h->server->handler->on_refused(x, status);
        h->refused = x->raw;
    }
    if (x->raw)
        x->status = status; /* what the log says */
    else
        exchange_fail(x, status, (struct str){NULL, 0});
    if (!h->stepping)
        h1_settle(h);
}

static bool is_method(const struct exchange *x, struct str method)
{
    return str_eq(x->method, method);
}

/* Refuses what is no request. x is what is known of it, or NULL. */
static void refuse(struct h1 *h, struct exchange *x, int status)
{
    bool head = h->in.n >= 5 && memcmp(h->in.p, "HEAD ", 5) == 0;

    if (x == NULL)
        x = exchange_new(h->server);
    else
        head = is_method(x, STR("HEAD"));
    x->bodyless = head; /* RFC 9110 9.3.2 holds for refusals too */
    x->unseen = true;
    x->version = 11;
    take(h, x);
    turn_down(h, x, status);
}

/* Prepares for the body, if there is one. */
static void frame(struct h1 *h, struct exchange *x, const struct head *head)
{
    const struct limits *limits = &h->server->limits;

    h->left = x->length > 0 ? (uint64_t)x->length : 0;
    if (head->chunked) {
        h->state = H1_CHUNKED;
        chunked_init(&h->chunked, limits->max_trailer_size);
    } else {
        h->state = h->left > 0 ? H1_SIZED : H1_WAIT;
        x->ended_in = h->left == 0;
    }
    h->requests++;
    h->keep_alive =
        head->keep_alive && !h->server->closing &&
        (limits->max_requests == 0 || h->requests < limits->max_requests);
}

static void begin(struct h1 *h, struct exchange *x, const struct head *head)
{
    x->bodyless = is_method(x, STR("HEAD"));
    take(h, x);
    frame(h, x, head);
    if (head->expectation_failed) {
        x->unseen = true;
        if (!x->ended_in) /* the body may come, or not: nobody can tell */
            h->keep_alive = false;
        exchange_fail(x, 417, (struct str){NULL, 0}); /* RFC 9110 10.1.1 */
    } else if (is_method(x, STR("CONNECT"))) {
        x->unseen = true;
        turn_down(h, x, 405);
    } else {
        /* One with a body is left as it is (RFC 9110 7.8 lets us). */
        x->upgrade = head->upgrade && x->ended_in && x->version == 11 &&
                     h->server->takes_upgrades;
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

/* A head like the last one, where that is what the input begins with. */
static bool step_same_head(struct h1 *h)
{
    size_t n;
    struct exchange *x;
    struct head head;

    if (h->scan.line > 0)
        return false; /* head_find is at it */
    n = head_memo_match(h->memo, h->in.p, h->in.n, &h->server->limits);
    if (n == 0)
        return false;
    x = exchange_new(h->server);
    head_memo_recall(h->memo, x, &head,
                     pool_copy(&x->pool, (struct str){h->in.p, n}));
    h->in = str_skip(h->in, n);
    begin(h, x, &head);
    return true;
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
    if (h->blanks <= H1_BLANK_MAX && step_same_head(h))
        return true;
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
    status = head_parse(x, &head, (char *)(size_t)text.p, text.n, limits);
    if (status != 0) {
        refuse(h, x, status);
        return true;
    }
    h->in = str_skip(h->in, (size_t)n);
    h->memo = head_memo_keep(x, &head, text);
    begin(h, x, &head);
    return true;
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
        return h1_body_step(h);
    case H1_WAIT:
        if (h->x->ended_out) {
            h1_responded(h);
            return true;
        }
        if (h->in.n > 0)
            conn_pause(h->c); /* pipelined; until this one is answered */
        return false;
    case H1_RAW:
        return h1_raw_step(h);
    default:
        h->discarded += h->in.n;
        h->in.n = 0;
        if (h->discarded > h->server->limits.max_discard)
            conn_pause(h->c); /* until the answer has left */
        return false;
    }
}

/* What a connection begins with may be the preface of a client that knows that
 * HTTP/2 is spoken here (RFC 9113 3.3). */
static bool may_be_h2(const struct h1 *h, const char *p)
{
    return *p == 'P' && h->requests == 0 && h->x == NULL && h->blanks == 0 &&
           !h->refused && !h->c->finishing && h->state == H1_HEAD &&
           h->scan.line == 0;
}

static size_t become_h2(struct h1 *h, char *p, size_t n)
{
    struct conn *c = h->c;

    mem_free(h);
    h2_start(c);
    return c->protocol->on_data(c, p, n);
}

static size_t on_data(struct conn *c, char *p, size_t n)
{
    struct h1 *h = c->state;

    if (h->state == H1_HEAD && c->finishing) /* closed as idle, in this turn */
        h->state = H1_CLOSING;
    if (h->state == H1_HEAD && h->scan.line == 0 && c->in.n == 0 &&
        h->blanks == 0)
        h->since = loop_now(c->loop); /* the first byte of a head */
    if (may_be_h2(h, p) && h2_preface(p, n) >= 0) {
        if (n >= H2_PREFACE_SIZE)
            return become_h2(h, p, n);
        h->in = (struct str){p, n};
        h1_set_deadline(h);
        return 0;
    }
    h->in = (struct str){p, n};
    h->stepping = true;
    while (!c->dead && step(h)) {
    }
    h->stepping = false;
    h1_set_deadline(h);
    return n - h->in.n;
}

/* With a reset: to a client of HTTP/1.0 an orderly end would be one. */
static void abort_with(struct h1 *h, enum closed why)
{
    h->why = why;
    conn_reset(h->c);
}

/* What is left of a head that will not be completed. */
static void refuse_head(struct h1 *h, int status)
{
    h->in = (struct str){h->c->in.p, h->c->in.n};
    refuse(h, NULL, status);
    h1_set_deadline(h);
}

static void on_eof(struct conn *c)
{
    struct h1 *h = c->state;

    h->eof_at = loop_now(c->loop);
    if (h->state == H1_RAW) {
        h->x->ended_in = true;
        h->server->handler->on_end(h->x);
        h1_set_deadline(h);
    } else if (h->x == NULL && h->state == H1_HEAD && h->in.n > 0) {
        refuse_head(h, 400);
    } else if (h->x == NULL) {
        conn_finish(c, 0);
    } else if (!h->x->ended_in) {
        abort_with(h, CLOSED_ABORTED);
    } else {
        h1_set_deadline(h); /* it may still be reading */
    }
}

static void on_drain(struct conn *c)
{
    struct h1 *h = c->state;
    struct list *at;

    while ((at = list_shift(&h->sent)) != NULL) {
        struct exchange *x = LIST_ITEM(at, struct exchange, link);

        h->server->handler->on_sent(x);
        let_go_done(x);
    }
    if (h->x != NULL && h->x->want_drain) {
        h->x->want_drain = false;
        h->server->handler->on_drain(h->x);
    } else if (h->state == H1_HEAD) {
        conn_resume(c);
    }
}

/* The client is too slow with its body. */
static void body_timeout(struct h1 *h)
{
    h->keep_alive = false;
    if (h->x->head_sent) {
        abort_with(h, CLOSED_TIMEOUT);
        return;
    }
    h->x->timed_out = true;
    exchange_fail(h->x, 408, (struct str){NULL, 0});
}

/* A deadline of h->x has passed, or one that was moved since. */
static void exchange_late(struct h1 *h)
{
    const struct limits *limits = &h->server->limits;
    double now = loop_now(h->c->loop) + 0.001;
    double request = request_deadline(h, limits);
    double handler = handler_deadline(h, limits);

    if (h->eof_at > 0 && now >= h->eof_at + H1_EOF_GRACE) {
        abort_with(h, CLOSED_ABORTED);
    } else if (handler > 0 && now >= handler) {
        h->x->timed_out = true;
        h->server->handler->on_timeout(h->x);
    } else if (request > 0 && now >= request) {
        body_timeout(h);
    } else {
        h1_set_deadline(h);
    }
}

static void on_deadline(struct conn *c)
{
    struct h1 *h = c->state;

    if (h->state == H1_RAW)
        abort_with(h, CLOSED_TIMEOUT);
    else if (h->x != NULL)
        exchange_late(h);
    else if (h->state == H1_HEAD && (h->scan.line > 0 || h->in.n > 0))
        refuse_head(h, 408);
    else
        conn_finish(c, h->server->closing ? 0 : CONN_LINGER_IDLE);
}

static bool is_idle(const struct conn *c)
{
    const struct h1 *h = c->state;

    return h->state == H1_HEAD && h->in.n == 0 && !c->finishing;
}

static void on_shutdown(struct conn *c)
{
    struct h1 *h = c->state;

    h->keep_alive = false;
    if (!is_idle(c) || conn_has_input(c))
        return;
    if (((struct server *)c->owner)->retiring)
        return;
    if (h->requests > 0) /* a first request is waited for, if not for long */
        conn_finish(c, CONN_LINGER_IDLE);
    else
        h1_set_deadline(h);
}

static void on_close(struct conn *c)
{
    struct h1 *h = c->state;
    struct list *at;

    if (h->x != NULL) {
        bool over = h->x->raw && (h->x->ended_out || h->x->ended_in);

        server_log(h->x);
        let_go(h->x, over ? CLOSED_DONE : h->why);
    }
    while ((at = list_shift(&h->sent)) != NULL)
        let_go(LIST_ITEM(at, struct exchange, link), CLOSED_ABORTED);
    chunked_clear(&h->chunked);
    server_conn_closed(h->server, c, !h->busy);
    mem_free(h);
}

const struct protocol h1_protocol = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drain = on_drain,
    .on_deadline = on_deadline,
    .on_shutdown = on_shutdown,
    .is_idle = is_idle,
    .on_close = on_close,
};

void h1_start(struct conn *c)
{
    struct h1 *h = mem_zalloc(sizeof *h);

    h->c = c;
    h->server = c->owner;
    h->why = CLOSED_ABORTED;
    h->since = loop_now(c->loop);
    h->memo = head_memo_newest();
    h->keep_alive = true;
    list_init(&h->sent);
    c->state = h;
    h1_set_deadline(h);
}
