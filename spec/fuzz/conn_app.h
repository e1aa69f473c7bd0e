/* The handler of h1_fuzz.c and h2_fuzz.c: reads bodies and answers as the
 * script says, at any moment at which a handler may, and notes what the answers
 * must look like. */
#ifndef SPEC_FUZZ_CONN_APP_H
#define SPEC_FUZZ_CONN_APP_H

#include "conn_wire.h"
#include "http/exchange.h"
#include "http/server.h"

enum { APP_REQUESTS = 1200, APP_LARGE = 70000 };

/* When the handler reads, and when it answers. */
enum app_read { READ_AT_ONCE, READ_LATER, READ_NEVER, READ_IN_STEPS };
enum app_answer { ANSWER_AT_END, ANSWER_AT_ONCE, ANSWER_LATER, ANSWER_HEAD };

/* A request, as long as the run. */
struct app_request {
    struct exchange *x; /* NULL once it was freed */
    enum app_read read;
    enum app_answer answer;
    unsigned kind; /* of answer */
    bool is_wild;  /* does something in every callback */
    bool keeps;    /* frees the exchange late */
    bool is_refused, is_ended, is_closed, was_sent;
    bool is_late; /* went on when the connection was gone */
    uint64_t got;
    /* What the exchange was when it was closed. */
    bool head_sent, ended_out, bodyless, chunked, is_raw, has_id, is_old;
    int status;
    int64_t declared;
    uint64_t sent;
    unsigned trailers;
};

static struct {
    struct fuzz_input *script;
    struct app_request requests[APP_REQUESTS];
    unsigned count;
    unsigned disconnects;
    unsigned pieces;    /* anchored, and not released yet */
    bool is_fixed;      /* policies from policy and the request's number only */
    bool is_settling;   /* finishes everything */
    unsigned policy;    /* where is_fixed */
    struct bytes story; /* what was seen, where is_fixed */
} app;

static unsigned app_number(const struct app_request *r)
{
    return (unsigned)(r - app.requests);
}

/* The byte at i of the answer to request number n. */
static char app_byte(unsigned n, uint64_t i)
{
    return (char)('a' + (n + i) % 23);
}

/* ---- answering */

static void app_release(void *arg)
{
    FUZZ_CHECK(app.pieces > 0);
    app.pieces--;
    mem_free(arg);
}

/* Sends n bytes; is_last: and completes the response. */
static void app_send(struct app_request *r, size_t n, bool anchored,
                     bool is_last)
{
    struct exchange *x = r->x;
    char *p = mem_alloc(n);
    struct piece piece = {.p = p, .n = n};
    bool was_closed = r->is_closed;
    enum sent sent;

    for (size_t i = 0; i < n; i++)
        p[i] = app_byte(app_number(r), x->sent + i);
    if (anchored) {
        piece.release = app_release;
        piece.arg = p;
        app.pieces++;
    }
    sent = is_last ? exchange_end(x, piece) : exchange_write(x, piece);
    FUZZ_CHECK(!was_closed || sent == SENT_CLOSED || sent == SENT_ENDED);
    if (!anchored)
        mem_free(p);
}

static void app_trailer(struct app_request *r)
{
    if (r->x->trailers_out.n < 3 && !r->x->ended_out)
        headers_add(&r->x->trailers_out, &r->x->pool, STR("X-Trailer"),
                    STR("end"));
}

/* Completes the answer with what its Content-Length still wants. */
static void app_finish(struct app_request *r)
{
    struct exchange *x = r->x;
    size_t n = 0;

    exchange_send_head(x, -1);
    if (x->declared > 0 && x->declared < APP_LARGE && !x->bodyless)
        n = (size_t)x->declared - (size_t)x->sent;
    app_send(r, n, false, true);
}

/* The whole answer, in one of several ways. */
static void app_answer_now(struct app_request *r)
{
    if (r->x->ended_out)
        return;
    switch (r->kind) {
    case 0:
        app_send(r, 20, false, true);
        break;
    case 1:
        app_send(r, 9, false, false);
        app_send(r, 900, true, false);
        app_send(r, 0, false, true);
        break;
    case 2:
        app_trailer(r);
        exchange_send_head(r->x, -1);
        app_send(r, 3000, true, true);
        break;
    default:
        app_send(r, app.count < 3 ? APP_LARGE : 100, true, false);
        app_finish(r);
    }
}

/* An informational response (RFC 9110 15.2). */
static void app_hint(struct exchange *x)
{
    struct headers fields = {.items = NULL};

    if (x->codec == NULL || x->head_sent)
        return;
    headers_add(&fields, &x->pool, STR("X-Hint"), STR("hint"));
    x->codec->send_interim(x, 103, &fields);
}

/* One of the things that a handler may do to x at any time, even when the wire
 * has let go of it. */
static void app_act(struct app_request *r, unsigned what)
{
    struct exchange *x = r->x;

    r->is_late = r->is_late || wire.c == NULL;
    switch (what % 16) {
    case 0:
    case 1:
        exchange_read(x);
        break;
    case 2:
        x->reading = false;
        break;
    case 3:
        exchange_send_head(x, -1);
        break;
    case 4:
    case 5:
        app_send(r, 10, false, false);
        break;
    case 6:
        app_send(r, 3000, true, false);
        break;
    case 7:
        app_send(r, 5, what & 16, true);
        break;
    case 8:
        app_answer_now(r);
        break;
    case 9:
        exchange_reset(x, CLOSED_RESET);
        break;
    case 10:
        exchange_fail(x, 500, (struct str){NULL, 0});
        break;
    case 11:
        exchange_fail(x, 413, STR("too much"));
        break;
    case 12:
        exchange_continue(x);
        break;
    case 13:
        app_hint(x);
        break;
    case 14:
        if (x->codec != NULL)
            x->codec->want_drain(x);
        break;
    default:
        app_trailer(r);
    }
}

static void app_be_wild(struct app_request *r)
{
    if (r->is_wild && r->x != NULL && !app.is_settling)
        app_act(r, fuzz_take(app.script));
}

/* ---- requests */

/* Nothing that was let through can mean something else to another reader. */
static void app_check_head(const struct exchange *x)
{
    FUZZ_CHECK(x->version == 10 || x->version == 11 || x->version == 20);
    FUZZ_CHECK(headers_name_valid(x->method) && x->target.n > 0);
    for (size_t i = 0; i < x->target.n; i++)
        FUZZ_CHECK(x->target.p[i] > ' ' && x->target.p[i] < 0x7f);
    for (unsigned i = 0; i < x->request.n; i++) {
        struct str name = x->request.items[i].name;

        if (x->version == 20 && name.n > 0 && name.p[0] == ':')
            name = str_skip(name, 1);
        FUZZ_CHECK(headers_name_valid(name) &&
                   headers_value_valid(x->request.items[i].value));
    }
    if (x->version == 20) /* one host, whatever it was called */
        FUZZ_CHECK(headers_find(&x->request, HEADER_HOST, 0) != NULL &&
                   headers_find(&x->request, HEADER_TRANSFER_ENCODING, 0) ==
                       NULL);
}

/* Answers of HTTP/1 are in order because requests are: all before r are done
 * with. */
static void app_check_turn(const struct app_request *r)
{
    if (r->x->version == 20)
        return;
    for (const struct app_request *p = app.requests; p < r; p++)
        FUZZ_CHECK(p->is_closed || (p->x->ended_out && p->x->want_sent));
}

static void app_tell(struct str s)
{
    if (app.is_fixed && s.n > 0)
        bytes_append(&app.story, s.p, s.n);
}

static void app_tell_fields(const struct headers *h)
{
    for (unsigned i = 0; i < h->n; i++) {
        app_tell(h->items[i].name);
        app_tell(STR(":"));
        app_tell(h->items[i].value);
        app_tell(STR("\n"));
    }
}

static struct app_request *app_begin(struct exchange *x)
{
    struct app_request *r = &app.requests[app.count++];

    FUZZ_CHECK(app.count <= APP_REQUESTS);
    *r = (struct app_request){.x = x};
    x->app = r;
    app_check_turn(r);
    return r;
}

/* How this request will be dealt with. */
static void app_choose(struct app_request *r)
{
    static const char *const lengths[] = {NULL, "929", "1", "100000"};
    static const int statuses[] = {200, 200, 204, 304, 404, 205, 500, 200};
    unsigned n = app_number(r), how, what;
    struct exchange *x = r->x;
    char *id = pool_alloc(&x->pool, 16);

    how = app.is_fixed ? app.policy * (n + 1) : fuzz_take(app.script);
    what = app.is_fixed ? app.policy / 3 + n : fuzz_take(app.script);
    r->read = how & 3;
    r->answer = how >> 2 & 3;
    r->kind = how >> 4 & 3;
    x->want_sent = how >> 7 & 1;
    x->status = statuses[what & 7];
    r->keeps = what >> 6 & 1;
    r->is_wild = !app.is_fixed && what >> 7;
    snprintf(id, 16, "%u", n);
    headers_add(&x->response, &x->pool, STR("X-Id"), str_of(id));
    if (what >> 3 & 1)
        headers_add(&x->response, &x->pool, STR("Connection"), STR("close"));
    if (app.is_fixed && (r->kind < 3 || what >> 5 & 1))
        what = 0; /* a length that is wrong costs what is on its way */
    if ((what >> 4 & 3) != 0)
        headers_add(&x->response, &x->pool, STR("Content-Length"),
                    str_of(lengths[what >> 4 & 3]));
    if (x->request.n > 0) /* a value that was let through is one to send */
        headers_add(&x->response, &x->pool, STR("X-Echo"),
                    x->request.items[x->request.n - 1].value);
}

/* Takes what carries x over and speaks something else. */
static bool app_upgrade(struct app_request *r)
{
    struct str behind = exchange_upgrade(r->x);

    for (size_t i = 0; i < behind.n; i++) /* readable now */
        r->got += behind.p[i] != 0;
    r->is_ended = false;
    return r->x->raw;
}

static void app_on_request(struct exchange *x)
{
    struct app_request *r = app_begin(x);

    FUZZ_CHECK(!x->unseen && !x->reading && !x->head_sent && !x->ended_out);
    app_check_head(x);
    app_tell(x->method);
    app_tell(x->target);
    app_tell_fields(&x->request);
    r->is_old = x->version == 10;
    r->is_ended = x->ended_in;
    app_choose(r);
    if (x->upgrade && r->kind == 1 && app_upgrade(r))
        app_send(r, 30, false, false);
    app_be_wild(r);
    if (r->answer == ANSWER_HEAD)
        exchange_send_head(x, -1);
    if (r->answer == ANSWER_AT_ONCE)
        app_answer_now(r);
    if (r->read == READ_AT_ONCE || r->read == READ_IN_STEPS)
        exchange_read(x);
    if (x->ended_in && (r->answer == ANSWER_AT_END || r->answer == ANSWER_HEAD))
        app_answer_now(r);
}

static void app_on_body(struct exchange *x, const char *p, size_t n)
{
    struct app_request *r = x->app;

    FUZZ_CHECK(r->x == x && n > 0 && x->reading && !r->is_closed);
    FUZZ_CHECK(!r->is_ended && (!x->ended_out || x->raw));
    r->got += n;
    FUZZ_CHECK(x->raw || r->got == x->received);
    FUZZ_CHECK(x->length < 0 || r->got <= (uint64_t)x->length);
    if (!x->raw) /* what comes after the last byte that counts is not said */
        app_tell((struct str){p, n});
    if (r->read == READ_IN_STEPS && !app.is_settling && !app.is_fixed)
        x->reading = false;
    app_be_wild(r);
}

static void app_on_end(struct exchange *x)
{
    struct app_request *r = x->app;

    FUZZ_CHECK(r->x == x && x->ended_in && !r->is_ended && !r->is_closed);
    FUZZ_CHECK(x->length < 0 || r->got == (uint64_t)x->length);
    r->is_ended = true;
    if (!x->raw)
        app_tell(STR("\nend\n"));
    app_tell_fields(&x->trailers);
    app_be_wild(r);
    if (r->answer == ANSWER_AT_END || r->answer == ANSWER_HEAD ||
        app.is_settling)
        app_answer_now(r);
}

static void app_on_drain(struct exchange *x)
{
    struct app_request *r = x->app;

    FUZZ_CHECK(!r->is_closed);
    app_be_wild(r);
}

static void app_on_sent(struct exchange *x)
{
    struct app_request *r = x->app;

    FUZZ_CHECK(x->ended_out && !r->was_sent && !r->is_closed);
    r->was_sent = true;
    app_be_wild(r);
}

static void app_on_timeout(struct exchange *x)
{
    exchange_fail(x, 503, (struct str){NULL, 0});
}

static void app_on_refused(struct exchange *x, int status)
{
    struct app_request *r;

    FUZZ_CHECK(status >= 400 && status < 600);
    if (app.is_fixed ? app.policy % 2 == 0 : fuzz_take(app.script) % 2 == 0)
        return;
    r = app_begin(x);
    r->is_refused = true;
    app_upgrade(r);
    app_send(r, 30, false, app.is_fixed || fuzz_take(app.script) % 2);
}

static void app_on_disconnect(struct conn *c)
{
    FUZZ_CHECK(c->app == &app);
    app.disconnects++;
}

static void app_free(struct app_request *r)
{
    exchange_free(r->x);
    r->x = NULL;
}

static void app_on_close(struct exchange *x, enum closed why)
{
    struct app_request *r = x->app;

    (void)why;
    FUZZ_CHECK(r != NULL && r->x == x && !r->is_closed && x->codec == NULL);
    r->is_closed = true;
    app_be_wild(r);
    r->head_sent = x->head_sent;
    r->ended_out = x->ended_out && !r->is_late;
    r->bodyless = x->bodyless;
    r->chunked = x->chunked;
    r->is_raw = x->raw;
    r->status = x->status;
    r->declared = x->declared;
    r->sent = x->sent;
    r->trailers = x->chunked || (x->version == 20 && !x->bodyless)
                      ? x->trailers_out.n
                      : 0;
    r->has_id = headers_get(&x->response, STR("X-Id"), 0) != NULL;
    if (!r->keeps)
        app_free(r);
}

static const struct handler app_handler = {
    .on_request = app_on_request,
    .on_body = app_on_body,
    .on_end = app_on_end,
    .on_drain = app_on_drain,
    .on_sent = app_on_sent,
    .on_timeout = app_on_timeout,
    .on_refused = app_on_refused,
    .on_disconnect = app_on_disconnect,
    .on_close = app_on_close,
};

/* Reads and answers whatever is open. */
static void app_settle(void)
{
    app.is_settling = true;
    for (unsigned i = 0; i < app.count; i++) {
        struct app_request *r = &app.requests[i];

        if (r->x == NULL || r->is_closed || r->x->ended_out)
            continue;
        r->is_late = r->is_late || wire.c == NULL;
        if (!r->x->ended_in)
            exchange_read(r->x);
        if (r->x != NULL && !r->is_closed && !r->x->ended_out &&
            (r->x->ended_in || r->x->raw))
            app_finish(r);
    }
}

#endif
