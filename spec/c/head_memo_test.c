/* Memos of heads: what is recalled is what parsing would have found, and
 * nothing but the same bytes is taken for the same. */
#include "http/head_memo.h"

#include "test.h"

#define FIELDS "Host: a.example\r\nX-Empty:\r\nAccept:  */* \r\n\r\n"

static struct limits limits;
static unsigned memo;

/* Parses a head as one that was never seen; returns the status. */
static int parse(struct exchange *x, struct head *out, const char *text)
{
    struct str copy = pool_copy(&x->pool, str_of(text));
    int status = head_parse(x, out, (char *)(size_t)copy.p, copy.n, &limits);

    if (status == 0)
        memo = head_memo_keep(x, out, copy);
    return status;
}

/* Makes the memo of a head; returns whether that has one. */
static bool keep(const char *text)
{
    struct exchange *x = exchange_new(NULL);
    unsigned before = head_memo_newest();
    struct head head;

    limits = LIMITS_DEFAULT;
    CHECK_INT(parse(x, &head, text), 0);
    exchange_free(x);
    return head_memo_newest() != before;
}

static size_t match(const char *text)
{
    return head_memo_match(memo, text, strlen(text), &limits);
}

/* Whether text matches as a whole, and is recalled as it is parsed. */
static bool recalls(const char *text)
{
    struct exchange *parsed = exchange_new(NULL), *x = exchange_new(NULL);
    struct head wanted, got;
    unsigned used = memo, i;
    bool same = match(text) == strlen(text);

    head_memo_recall(used, x, &got, pool_copy(&x->pool, str_of(text)));
    CHECK_INT(parse(parsed, &wanted, text), 0);
    same = same && got.chunked == wanted.chunked &&
           got.keep_alive == wanted.keep_alive &&
           got.upgrade == wanted.upgrade && !got.expectation_failed &&
           x->length == parsed->length && x->version == parsed->version &&
           str_eq(x->method, parsed->method) &&
           str_eq(x->target, parsed->target) &&
           x->request.n == parsed->request.n &&
           x->request.ids == parsed->request.ids;
    for (i = 0; same && i < x->request.n; i++) {
        const struct header *a = &x->request.items[i];
        const struct header *b = &parsed->request.items[i];

        same = a->id == b->id && str_eq(a->name, b->name) &&
               str_eq(a->value, b->value);
    }
    exchange_free(x);
    exchange_free(parsed);
    return same;
}

static void recalls_what_parsing_found(void)
{
    CHECK(keep("GET /a HTTP/1.1\r\n" FIELDS));
    CHECK(recalls("GET /a HTTP/1.1\r\n" FIELDS));
    CHECK(recalls("GET /another/path?x=1&y=%20 HTTP/1.1\r\n" FIELDS));
    CHECK(keep("POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 17\r\n\r\n"));
    CHECK(recalls("POST /b HTTP/1.1\r\nHost: b\r\nContent-Length: 17\r\n\r\n"));
    CHECK(keep("PUT /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n"
               "Connection: close\r\n\r\n"));
    CHECK(recalls("PUT /c HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n"
                  "Connection: close\r\n\r\n"));
    CHECK(keep("GET /a HTTP/1.1\r\nHost: b\r\nUpgrade: x\r\n"
               "Connection: upgrade\r\n\r\n"));
    CHECK(recalls("GET /d HTTP/1.1\r\nHost: b\r\nUpgrade: x\r\n"
                  "Connection: upgrade\r\n\r\n"));
}

static void leaves_what_follows_the_head(void)
{
    CHECK(keep("GET /a HTTP/1.1\r\n" FIELDS));
    CHECK_INT(match("GET /b HTTP/1.1\r\n" FIELDS "GET /c HTT"),
              strlen("GET /b HTTP/1.1\r\n" FIELDS));
}

static void takes_no_part_of_a_head_for_one(void)
{
    static const char text[] = "GET /abc HTTP/1.1\r\n" FIELDS;
    size_t n;

    CHECK(keep("GET / HTTP/1.1\r\n" FIELDS));
    for (n = 0; n < sizeof text - 1; n++)
        CHECK_INT(head_memo_match(memo, text, n, &limits), 0);
    CHECK_INT(head_memo_match(memo, text, n, &limits), n);
}

static void takes_no_other_byte_for_the_same(void)
{
    static const char text[] = "GET /abc HTTP/1.1\r\n" FIELDS;
    char other[sizeof text];
    size_t i;

    CHECK(keep("GET /x HTTP/1.1\r\n" FIELDS));
    for (i = 0; i < sizeof text - 1; i++) {
        if (i > 4 && i < 8)
            continue; /* of the target */
        memcpy(other, text, sizeof text);
        other[i] ^= 1;
        CHECK_INT(match(other), 0);
    }
}

static void leaves_unusual_targets_to_the_parser(void)
{
    CHECK(keep("GET /x HTTP/1.1\r\n" FIELDS));
    CHECK_INT(match("GET http://b/ HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET * HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET  HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET /a#b HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET /a b HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET /a\tb HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET /\xc3\xa4 HTTP/1.1\r\n" FIELDS), 0);
    CHECK_INT(match("GET /a HTTP/1.0\r\n" FIELDS), 0);
}

static void leaves_what_may_cross_a_limit_to_the_parser(void)
{
    static const char text[] = "GET /x HTTP/1.1\r\n" FIELDS;

    CHECK(keep(text));
    limits.max_headers = 2;
    CHECK_INT(match(text), 0);
    limits.max_headers = 3;
    CHECK_INT(match(text), sizeof text - 1);
    limits.max_header_size = sizeof text - 2;
    CHECK_INT(match(text), 0);
    limits.max_header_size = sizeof text - 1;
    CHECK_INT(match(text), sizeof text - 1);
    limits.max_request_line = 16;
    CHECK_INT(match(text), 0);
}

static void keeps_no_memo_of_what_depends_on_more_than_its_bytes(void)
{
    char text[2200] = "GET /x HTTP/1.1\r\nHost: b\r\nX: ";
    size_t n = strlen(text);

    CHECK(!keep("GET /x HTTP/1.0\r\n\r\n"));
    CHECK(!keep("POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n"
                "Expect: 100-continue\r\n\r\n"));
    CHECK(!keep("GET http://b/ HTTP/1.1\r\nHost: c\r\n\r\n"));
    CHECK(!keep("OPTIONS * HTTP/1.1\r\nHost: c\r\n\r\n"));
    CHECK(!keep("CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"));
    memset(text + n, 'x', 2000);
    memcpy(text + n + 2000, "\r\n\r\n", 5);
    CHECK(!keep(text));
}

static void replaces_the_oldest(void)
{
    char text[80];
    unsigned first, i;

    CHECK(keep("GET / HTTP/1.1\r\nHost: first\r\n\r\n"));
    first = memo;
    for (i = 1; i < HEAD_MEMO_COUNT; i++) {
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h%u\r\n\r\n", i);
        CHECK(keep(text));
    }
    memo = first;
    CHECK(match("GET / HTTP/1.1\r\nHost: first\r\n\r\n") > 0);
    CHECK(keep("GET / HTTP/1.1\r\nHost: next\r\n\r\n"));
    CHECK_INT(memo, first);
    CHECK_INT(match("GET / HTTP/1.1\r\nHost: first\r\n\r\n"), 0);
}

int main(void)
{
    RUN(recalls_what_parsing_found);
    RUN(leaves_what_follows_the_head);
    RUN(takes_no_part_of_a_head_for_one);
    RUN(takes_no_other_byte_for_the_same);
    RUN(leaves_unusual_targets_to_the_parser);
    RUN(leaves_what_may_cross_a_limit_to_the_parser);
    RUN(keeps_no_memo_of_what_depends_on_more_than_its_bytes);
    RUN(replaces_the_oldest);
    return test_finish();
}
