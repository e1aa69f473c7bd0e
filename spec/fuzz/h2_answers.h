/* What the client of h2_fuzz.c has got, read strictly (RFC 9113): frames that a
 * server may send, on each stream an answer that is well-formed, one for each
 * request, with the bytes that the handler gave and nothing else. */
#ifndef SPEC_FUZZ_H2_ANSWERS_H
#define SPEC_FUZZ_H2_ANSWERS_H

#include <nghttp2/nghttp2.h>

#include "conn_app.h"
#include "h2_client.h"
#include "http/status.h"

/* An answer: what has come on a stream. */
struct answer {
    uint32_t stream;
    int status; /* 0: none yet, or an interim one */
    long id;    /* -1: not of the handler's making */
    int64_t length;
    uint64_t got;
    unsigned trailers;
    bool in_trailers, ended, reset;
};

struct frame {
    unsigned type, flags;
    uint32_t stream;
    struct str payload;
};

static struct {
    struct answer list[APP_REQUESTS * 2];
    unsigned count;
    nghttp2_hd_inflater *inflater;
    struct bytes block; /* of a head that has begun */
    uint32_t block_of;  /* its stream; 0: none */
    bool block_ends;    /* the stream, too */
    bool said_goodbye;
} answers;

static struct answer *answers_of(uint32_t stream)
{
    struct answer *a;

    for (unsigned i = answers.count; i > 0; i--)
        if (answers.list[i - 1].stream == stream)
            return &answers.list[i - 1];
    FUZZ_CHECK(answers.count < sizeof answers.list / sizeof answers.list[0]);
    a = &answers.list[answers.count++];
    *a = (struct answer){.stream = stream, .id = -1, .length = -1};
    return a;
}

/* ---- heads */

static int64_t answers_number(struct str digits)
{
    int64_t n = 0;

    FUZZ_CHECK(digits.n > 0 && digits.n < 10);
    for (size_t i = 0; i < digits.n; i++) {
        FUZZ_CHECK(digits.p[i] >= '0' && digits.p[i] <= '9');
        n = n * 10 + (digits.p[i] - '0');
    }
    return n;
}

/* A field of a final answer's head: one of those that somebody has set. */
static void answers_field(struct answer *a, struct str name, struct str value)
{
    static const char *const known[] = {"date", "content-type", "x-echo",
                                        "allow"};
    bool is_known = false;

    FUZZ_CHECK(headers_value_valid(value));
    if (str_eq(name, STR("x-id"))) {
        FUZZ_CHECK(a->id < 0);
        a->id = (long)answers_number(value);
    } else if (str_eq(name, STR("content-length"))) {
        FUZZ_CHECK(a->length < 0);
        a->length = answers_number(value);
    } else {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known = is_known || str_eq(name, str_of(known[i]));
        FUZZ_CHECK(is_known);
    }
}

static void answers_any(struct answer *a, int status, struct str name,
                        struct str value)
{
    if (a->in_trailers) {
        FUZZ_CHECK(str_eq(name, STR("x-trailer")) && str_eq(value, STR("end")));
        a->trailers++;
    } else if (status < 200) {
        FUZZ_CHECK(str_eq(name, STR("x-hint")) && str_eq(value, STR("hint")));
    } else {
        answers_field(a, name, value);
    }
}

/* A whole head, of whatever kind. */
static void answers_block(struct answer *a, bool ends)
{
    const uint8_t *p = (const uint8_t *)answers.block.p;
    size_t n = answers.block.n;
    bool is_first = true;
    int flags = 0, status = 0;

    FUZZ_CHECK(!a->ended && !a->reset && !a->in_trailers);
    a->in_trailers = a->status != 0;
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv nv;
        ssize_t used =
            nghttp2_hd_inflate_hd2(answers.inflater, &nv, &flags, p, n, 1);

        FUZZ_CHECK(used >= 0);
        p += used;
        n -= (size_t)used;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            continue;
        if (is_first && !a->in_trailers) {
            FUZZ_CHECK(nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0);
            status = (int)answers_number(
                (struct str){(char *)nv.value, nv.valuelen});
        } else {
            answers_any(a, status, (struct str){(char *)nv.name, nv.namelen},
                        (struct str){(char *)nv.value, nv.valuelen});
        }
        is_first = false;
    }
    nghttp2_hd_inflate_end_headers(answers.inflater);
    FUZZ_CHECK(n == 0 && !is_first);
    FUZZ_CHECK(a->in_trailers || status == 100 || status == 103 ||
               (status >= 200 && status < 600));
    FUZZ_CHECK(ends || !a->in_trailers);
    FUZZ_CHECK(!ends || a->in_trailers || status >= 200);
    if (status >= 200)
        a->status = status;
    a->ended = ends;
}

static void answers_headers(const struct frame *f)
{
    FUZZ_CHECK(f->stream % 2 == 1 && !(f->flags & ~5u));
    answers.block_of = f->stream;
    answers.block_ends = f->flags & NGHTTP2_FLAG_END_STREAM;
    answers.block.n = 0;
}

/* A part of a head; and the last (RFC 9113 4.3). */
static void answers_part(const struct frame *f)
{
    if (f->payload.n > 0)
        bytes_append(&answers.block, f->payload.p, f->payload.n);
    if (!(f->flags & NGHTTP2_FLAG_END_HEADERS))
        return;
    answers_block(answers_of(f->stream), answers.block_ends);
    answers.block_of = 0;
}

/* ---- other frames */

static void answers_data(const struct frame *f)
{
    struct answer *a = answers_of(f->stream);

    FUZZ_CHECK(!(f->flags & ~1u) && a->status != 0 && !a->in_trailers);
    FUZZ_CHECK(!a->ended && !a->reset);
    FUZZ_CHECK(f->payload.n > 0 || f->flags & NGHTTP2_FLAG_END_STREAM ||
               a->got == 0 || a->id >= 0);
    for (size_t i = 0; i < f->payload.n && a->id >= 0; i++)
        FUZZ_CHECK(f->payload.p[i] == app_byte((unsigned)a->id, a->got + i));
    a->got += f->payload.n;
    a->ended = f->flags & NGHTTP2_FLAG_END_STREAM;
}

static void answers_frame(const struct frame *f)
{
    FUZZ_CHECK(answers.block_of == 0 || (f->type == NGHTTP2_CONTINUATION &&
                                         f->stream == answers.block_of));
    switch (f->type) {
    case NGHTTP2_DATA:
        answers_data(f);
        break;
    case NGHTTP2_HEADERS:
        answers_headers(f);
        answers_part(f);
        break;
    case NGHTTP2_CONTINUATION:
        FUZZ_CHECK(answers.block_of == f->stream);
        answers_part(f);
        break;
    case NGHTTP2_RST_STREAM:
        FUZZ_CHECK(f->payload.n == 4 && !answers_of(f->stream)->reset);
        answers_of(f->stream)->reset = true;
        break;
    case NGHTTP2_SETTINGS:
        FUZZ_CHECK(f->stream == 0 && f->payload.n % 6 == 0);
        break;
    case NGHTTP2_PING:
        FUZZ_CHECK(f->stream == 0 && f->payload.n == 8);
        break;
    case NGHTTP2_GOAWAY:
        FUZZ_CHECK(f->stream == 0 && f->payload.n >= 8);
        answers.said_goodbye = true;
        break;
    default:
        FUZZ_CHECK(f->type == NGHTTP2_WINDOW_UPDATE && f->payload.n == 4);
    }
}

static bool answers_next(struct str *rest, struct frame *f)
{
    size_t n;

    if (rest->n < CLIENT_HEAD)
        return false;
    n = client_byte(*rest, 0) << 16 | client_byte(*rest, 1) << 8 |
        client_byte(*rest, 2);
    FUZZ_CHECK(n <= 16384); /* RFC 9113 4.2 */
    if (rest->n - CLIENT_HEAD < n)
        return false;
    f->type = client_byte(*rest, 3);
    f->flags = client_byte(*rest, 4);
    f->stream = client_byte(*rest, 5) << 24 | client_byte(*rest, 6) << 16 |
                client_byte(*rest, 7) << 8 | client_byte(*rest, 8);
    f->payload = (struct str){rest->p + CLIENT_HEAD, n};
    *rest = str_skip(*rest, CLIENT_HEAD + n);
    return true;
}

/* ---- what it all means */

/* The answer to r. */
static void answers_judge(const struct answer *a, const struct app_request *r)
{
    FUZZ_CHECK(r->head_sent && r->has_id && r->status == a->status);
    FUZZ_CHECK(a->got <= r->sent && (!r->bodyless || a->got == 0));
    FUZZ_CHECK(a->trailers <= r->trailers);
    FUZZ_CHECK(a->length < 0 || a->length == r->declared);
    if (!a->ended)
        return;
    FUZZ_CHECK(r->is_late || r->ended_out);
    FUZZ_CHECK(r->bodyless || a->got == r->sent);
    FUZZ_CHECK(r->bodyless || a->length < 0 || a->got == (uint64_t)a->length);
    FUZZ_CHECK(a->trailers == r->trailers);
}

/* One that says no more than its status. */
static void answers_judge_refusal(const struct answer *a)
{
    struct str phrase = status_reason(a->status);

    FUZZ_CHECK(a->got <= phrase.n || a->status == 413);
    FUZZ_CHECK(!a->ended || a->length < 0 || a->got == 0 ||
               a->got == (uint64_t)a->length);
}

static void answers_begin(void)
{
    answers.count = 0;
    answers.block_of = 0;
    answers.said_goodbye = false;
    bytes_init(&answers.block);
    FUZZ_CHECK(nghttp2_hd_inflate_new(&answers.inflater) == 0);
}

/* Reads all of rest, when every request is closed. is_whole: the connection
 * has ended in order, so that no frame may be cut. */
static void answers_check(struct str rest, bool is_whole)
{
    static bool seen[APP_REQUESTS];
    struct frame f;

    memset(seen, 0, sizeof seen);
    answers_begin();
    while (answers_next(&rest, &f))
        answers_frame(&f);
    FUZZ_CHECK(!is_whole || (rest.n == 0 && answers.block_of == 0));
    for (unsigned i = 0; i < answers.count; i++) {
        const struct answer *a = &answers.list[i];

        if (a->status != 0 && a->id < 0)
            answers_judge_refusal(a);
        if (a->id < 0)
            continue;
        FUZZ_CHECK(a->id < app.count && !seen[a->id]);
        seen[a->id] = true;
        answers_judge(a, &app.requests[a->id]);
    }
    nghttp2_hd_inflate_del(answers.inflater);
    bytes_clear(&answers.block);
}

#endif
