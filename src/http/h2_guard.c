/* What a client may not do for ever: send what costs us more than it, or keep
 * us waiting. Counts start again every few seconds; that lets a burst through
 * and no flood. Deadlines are few: the connection has one timer, set to the
 * nearest of all when a turn ends, and looks at every stream when it passes. */
#include "http/h2_guard.h"

#include "http/h2.h"
#include "http/h2_stream.h"
#include "http/server.h"

/* ---- counting */

static const unsigned most[H2_COUNTS] = {
    [H2_COUNT_RESET] = H2_RATE_RESETS,
    [H2_COUNT_PROVOKED] = H2_RATE_PROVOKED,
    [H2_COUNT_SETTINGS] = H2_RATE_SETTINGS,
    [H2_COUNT_PING] = H2_RATE_PING,
    [H2_COUNT_PRIORITY] = H2_RATE_PRIORITY,
    [H2_COUNT_EMPTY] = H2_RATE_EMPTY,
    [H2_COUNT_UPDATE] = H2_RATE_UPDATES,
};

void h2_guard_count(struct h2 *h, enum h2_count what)
{
    double now = loop_now(h->c->loop);
    uint64_t allowed = most[what];

    if (now - h->rate_since > H2_RATE_SECONDS) {
        memset(h->counts, 0, sizeof h->counts);
        h->earned = 0;
        h->rate_since = now;
    }
    if (what == H2_COUNT_UPDATE)
        allowed += h->earned / H2_BYTES_PER_UPDATE;
    if (++h->counts[what] > allowed)
        h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* ---- deadlines: 0 is none */

static double sooner(double a, double b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static double after(double since, double timeout)
{
    return since > 0 && timeout != 0 ? since + timeout : 0;
}

/* The request has to be there by then, or its body was too slow. */
static double request_due(const struct h2_stream *s)
{
    const struct limits *limits = &s->h->server->limits;
    const struct exchange *x = s->x;
    double due, earned;

    if (x->ended_in || x->ended_out || !x->reading)
        return 0;
    due = after(x->began, limits->request_timeout);
    if (limits->min_body_rate <= 0)
        return due;
    earned = (double)x->received / limits->min_body_rate;
    if (earned < limits->body_rate_grace)
        earned = limits->body_rate_grace;
    return sooner(due, after(s->body_at, earned - s->body_waits));
}

/* The handler's time does not run while it waits for the body. */
static double handler_due(const struct h2_stream *s)
{
    const struct exchange *x = s->x;

    if (!s->begun || x->head_sent || (x->reading && !x->ended_in))
        return 0;
    return after(s->handler_at, s->h->server->limits.handler_timeout);
}

/* The client takes nothing: its window is closed, or hardly ever opened. */
static double stall_due(const struct h2_stream *s)
{
    return after(s->ended ? 0 : s->stall_at,
                 s->h->server->limits.write_timeout);
}

static double stream_due(const struct h2_stream *s)
{
    return sooner(request_due(s), sooner(handler_due(s), stall_due(s)));
}

/* Nothing is asked for; before the first request, as for the head of one. */
static double quiet_due(const struct h2 *h)
{
    const struct limits *limits = &h->server->limits;

    if (h->streams_open > 0)
        return 0;
    return after(h->quiet_since, h->requests == 0 ? limits->headers_timeout
                                                  : limits->keep_alive_timeout);
}

static double head_due(const struct h2 *h)
{
    return after(h->head_since, h->server->limits.headers_timeout);
}

static double drain_due(const struct h2 *h)
{
    return h->drain == H2_DRAIN_NOTICE ? h->drain_at : 0;
}

static double eof_due(const struct h2 *h)
{
    return after(h->eof_at, H2_EOF_GRACE);
}

void h2_guard_set_deadline(struct h2 *h)
{
    double due = sooner(sooner(quiet_due(h), head_due(h)),
                        sooner(drain_due(h), eof_due(h)));
    struct list *at;

    if (h->c->dead || h->c->finishing)
        return;
    for (at = h->streams.next; at != &h->streams; at = at->next)
        due = sooner(due, stream_due(LIST_ITEM(at, struct h2_stream, link)));
    deadline_at(&h->c->deadline, due);
}

static bool passed(double due, double now)
{
    return due != 0 && now + 0.001 >= due;
}

/* The output of s has been stuck for as long as it may be; a client that reads
 * slowly, but reads, is let be. */
static void check_stall(struct h2_stream *s, double now)
{
    double span = now - s->stall_at;

    if ((double)s->stall_sent < CONN_MIN_RATE * span) {
        h2_stream_cut(s, CLOSED_TIMEOUT);
        return;
    }
    s->stall_at = now;
    s->stall_sent = 0;
}

static void request_timeout(struct h2_stream *s)
{
    if (s->x->head_sent) {
        h2_stream_cut(s, CLOSED_TIMEOUT);
        return;
    }
    s->x->timed_out = true;
    exchange_fail(s->x, 408, (struct str){NULL, 0});
}

static void check_stream(struct h2_stream *s, double now)
{
    if (passed(handler_due(s), now)) {
        s->x->timed_out = true;
        s->x->server->handler->on_timeout(s->x);
    } else if (passed(request_due(s), now)) {
        request_timeout(s);
    } else if (passed(stall_due(s), now)) {
        check_stall(s, now);
    }
}

/* Handlers may end any stream, so none is kept in hand over a call. */
static void check_streams(struct h2 *h, double now)
{
    struct list all, *at;

    list_init(&all);
    while ((at = list_shift(&h->streams)) != NULL)
        list_push(&all, at);
    while ((at = list_shift(&all)) != NULL) {
        list_push(&h->streams, at);
        check_stream(LIST_ITEM(at, struct h2_stream, link), now);
    }
}

void h2_guard_on_deadline(struct h2 *h)
{
    double now = loop_now(h->c->loop);

    if (passed(eof_due(h), now))
        conn_close(h->c);
    else if (passed(head_due(h), now))
        h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
    else if (passed(quiet_due(h), now))
        h2_terminate(h, NGHTTP2_NO_ERROR);
    else
        check_streams(h, now);
}
