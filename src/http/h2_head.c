/* Requests as HTTP/2 has them (RFC 9113 8.3), made the exchange's fields: the
 * pseudo-header fields stay among the others, as in Node, and Host is filled in
 * where only :authority says it, so that a handler finds what it would find on
 * HTTP/1. nghttp2 has checked names, values and the order; here are the limits,
 * and what it lets through although a next hop might misread it. */
#include "http/h2_head.h"

#include "http/h2.h"
#include "http/head.h"
#include "http/server.h"
#include "http/target.h"

enum { FIELD_OVERHEAD = 32 }; /* RFC 9113 6.5.2 */

/* ---- adding */

static bool too_many(const struct h2_stream *s)
{
    uint64_t max = s->h->server->limits.max_headers;

    return max > 0 && s->fields > max;
}

/* Counts a field; false where it is too much to be kept. Far over the limit,
 * the client means harm: a few bytes of HPACK can stand for megabytes. */
static bool count(struct h2_stream *s, struct str name, struct str value)
{
    const struct limits *limits = &s->h->server->limits;
    uint64_t max =
        s->headed ? limits->max_trailer_size : limits->max_header_size;

    s->size += name.n + value.n + FIELD_OVERHEAD;
    if (s->size > max * H2_HEADERS_BOMB)
        h2_terminate(s->h, NGHTTP2_ENHANCE_YOUR_CALM);
    return s->size <= max && !too_many(s);
}

static struct str keep(struct h2_stream *s, struct str text)
{
    return pool_copy(&s->x->pool, text);
}

/* Those that RFC 9113 8.3.1 and RFC 8441 define are found and named at once. */
static void add_pseudo(struct h2_stream *s, struct str name, struct str value)
{
    struct exchange *x = s->x;

    value = keep(s, value);
    if (str_eq(name, STR(":method"))) {
        name = STR(":method");
        x->method = value;
    } else if (str_eq(name, STR(":path"))) {
        name = STR(":path");
        x->target = value;
    } else if (str_eq(name, STR(":scheme"))) {
        name = STR(":scheme");
        s->scheme = value;
    } else if (str_eq(name, STR(":authority"))) {
        name = STR(":authority");
        s->authority = value;
    } else {
        name = keep(s, name);
    }
    headers_add_as(&x->request, &x->pool, HEADER_OTHER, name, value);
}

static void add_trailer(struct h2_stream *s, struct str name, struct str value)
{
    struct exchange *x = s->x;

    s->fields++;
    if (count(s, name, value))
        headers_add(&x->trailers, &x->pool, keep(s, name), keep(s, value));
    else if (!s->cut)
        h2_stream_cut(s, CLOSED_ABORTED);
}

void h2_head_add(struct h2_stream *s, struct str name, struct str value)
{
    struct exchange *x = s->x;
    bool crumb;

    if (s->headed) {
        add_trailer(s, name, value);
        return;
    }
    if (name.n > 0 && name.p[0] == ':') {
        if (count(s, name, value))
            add_pseudo(s, name, value);
        return;
    }
    crumb = str_eq(name, STR("cookie")) &&
            headers_find(&x->request, HEADER_COOKIE, 0) != NULL;
    s->crumbs = s->crumbs || crumb;
    s->fields += !crumb;
    if (count(s, name, value))
        headers_add(&x->request, &x->pool, keep(s, name), keep(s, value));
}

/* ---- checking */

/* Crumbs are one field to everything behind us (RFC 9113 8.2.3). */
static void join_crumbs(struct exchange *x)
{
    struct headers *h = &x->request;
    struct header *first = headers_find(h, HEADER_COOKIE, 0), *item;
    size_t n = 0;
    unsigned i, kept = 0;
    char *text, *at;

    for (i = 0; i < h->n; i++)
        if (h->items[i].id == HEADER_COOKIE)
            n += h->items[i].value.n + 2;
    text = at = pool_alloc(&x->pool, n);
    for (i = 0; i < h->n; i++) {
        item = &h->items[i];
        if (item->id == HEADER_COOKIE) {
            memcpy(at, item->value.p, item->value.n);
            memcpy(at + item->value.n, "; ", 2);
            at += item->value.n + 2;
        }
        if (item->id != HEADER_COOKIE || item == first)
            h->items[kept++] = *item;
    }
    h->n = kept;
    first->value = (struct str){text, n - 2};
}

/* One authority, without user information (RFC 9113 8.3.1); Host says the same
 * or is filled in. */
static int check_authority(struct h2_stream *s)
{
    struct exchange *x = s->x;
    struct headers *h = &x->request;
    struct header *host = headers_find(h, HEADER_HOST, 0);

    if (host != NULL &&
        headers_find(h, HEADER_HOST, (unsigned)(host - h->items) + 1) != NULL)
        return 400;
    if (s->authority.p == NULL)
        return host != NULL && target_host_valid(host->value) ? 0 : 400;
    if (s->authority.n == 0 || !target_host_valid(s->authority))
        return 400;
    if (host != NULL)
        return str_ieq(host->value, s->authority) ? 0 : 400;
    headers_add_as(h, &x->pool, HEADER_HOST, STR("host"), s->authority);
    return 0;
}

/* :scheme is compared as it is sent: a next hop may build a URL from it. */
static int check_scheme(struct str scheme)
{
    return str_eq(scheme, STR("https")) || str_eq(scheme, STR("http")) ? 0
                                                                       : 400;
}

static int check_target(const struct exchange *x)
{
    struct target target;

    if (target_parse(x->method, x->target, &target) < 0 ||
        target.form == TARGET_ABSOLUTE)
        return 400;
    return 0;
}

static int64_t number(struct str digits)
{
    int64_t n = 0;
    size_t i;

    for (i = 0; i < digits.n; i++)
        n = n * 10 + (digits.p[i] - '0');
    return n;
}

/* What is known of the body before it comes. nghttp2 has checked that the
 * Content-Length is a number of at most 63 bits. */
static int check_body(struct h2_stream *s)
{
    struct exchange *x = s->x;
    struct header *length = headers_find(&x->request, HEADER_CONTENT_LENGTH, 0);
    struct header *expect = headers_find(&x->request, HEADER_EXPECT, 0);

    if (s->eof && s->in.n == 0)
        x->length = 0;
    else
        x->length = length != NULL ? number(length->value) : -1;
    if (expect == NULL)
        return 0;
    if (!str_ieq(expect->value, STR("100-continue")))
        return 417; /* RFC 9110 10.1.1 */
    x->expects = x->length != 0;
    return 0;
}

int h2_head_check(struct h2_stream *s)
{
    const struct limits *limits = &s->h->server->limits;
    struct exchange *x = s->x;
    int status;

    if (s->crumbs)
        join_crumbs(x);
    if (x->target.n > limits->max_request_line)
        return 414;
    if (s->size > limits->max_header_size || too_many(s))
        return 431;
    if (x->method.n == 0)
        return 400;
    if (str_eq(x->method, STR("CONNECT")))
        return 405;
    if ((status = head_method_status(x->method)) != 0 ||
        (status = check_scheme(s->scheme)) != 0 ||
        (status = check_authority(s)) != 0 || (status = check_target(x)) != 0)
        return status;
    return check_body(s);
}
