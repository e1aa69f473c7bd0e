/* What the client of h1_fuzz.c has got, read strictly (RFC 9112): answers that
 * are well-formed, in the order of their requests, one for each, with the bytes
 * that the handler gave and nothing else. */
#ifndef SPEC_FUZZ_H1_ANSWERS_H
#define SPEC_FUZZ_H1_ANSWERS_H

#include "conn_app.h"
#include "http/status.h"

struct answer {
    int status;
    long id; /* -1: not of the handler's making */
    int64_t length;
    bool chunked, closes;
};

/* Takes a line off rest. False where it has not come in full. */
static bool answers_line(struct str *rest, struct str *line)
{
    struct str copy = *rest;

    *line = str_cut(&copy, '\n');
    if (copy.p == NULL)
        return false;
    FUZZ_CHECK(line->n > 0 && line->p[line->n - 1] == '\r');
    line->n--;
    *rest = copy;
    return true;
}

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

/* A field of an answer: one of those that somebody has set. */
static void answers_field(struct answer *a, struct str line)
{
    static const char *const known[] = {"Date", "Content-Type", "X-Echo",
                                        "Allow"};
    struct str name = str_cut(&line, ':'), value = str_trim(line);
    bool is_known = false;

    FUZZ_CHECK(line.p != NULL && headers_value_valid(value));
    if (str_eq(name, STR("X-Id"))) {
        FUZZ_CHECK(a->id < 0);
        a->id = (long)answers_number(value);
    } else if (str_eq(name, STR("Content-Length"))) {
        FUZZ_CHECK(a->length < 0);
        a->length = answers_number(value);
    } else if (str_eq(name, STR("Transfer-Encoding"))) {
        FUZZ_CHECK(!a->chunked && str_eq(value, STR("chunked")));
        a->chunked = true;
    } else if (str_eq(name, STR("Connection"))) {
        FUZZ_CHECK(!a->closes);
        a->closes = str_eq(value, STR("close"));
        FUZZ_CHECK(a->closes || str_eq(value, STR("keep-alive")));
    } else {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known = is_known || str_eq(name, str_of(known[i]));
        FUZZ_CHECK(is_known);
    }
}

/* The status line; 0 where it has not come in full. */
static int answers_status(struct str *rest)
{
    struct str line;

    if (!answers_line(rest, &line))
        return 0;
    FUZZ_CHECK(line.n > 13 && str_starts(line, STR("HTTP/1.1 ")));
    FUZZ_CHECK(line.p[12] == ' ');
    return (int)answers_number((struct str){line.p + 9, 3});
}

/* An interim response, without fields but the hint. False where it is cut. */
static bool answers_interim(struct str *rest)
{
    struct str line;

    while (answers_line(rest, &line)) {
        if (line.n == 0)
            return true;
        FUZZ_CHECK(str_eq(line, STR("X-Hint: hint")));
    }
    return false;
}

/* The head of the next final answer, those before it included. False where it
 * has not come in full. */
static bool answers_head(struct str *rest, struct answer *a)
{
    struct str line;

    *a = (struct answer){.id = -1, .length = -1};
    while ((a->status = answers_status(rest)) == 100 || a->status == 103)
        if (!answers_interim(rest))
            return false;
    if (a->status == 0)
        return false;
    while (answers_line(rest, &line)) {
        if (line.n == 0)
            return true;
        answers_field(a, line);
    }
    return false;
}

/* Bytes of the body of request number id. */
static void answers_bytes(unsigned id, uint64_t *at, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        FUZZ_CHECK(s.p[i] == app_byte(id, *at + i));
    *at += s.n;
}

/* A chunked body. False where it is cut. */
static bool answers_chunks(struct str *rest, const struct app_request *r)
{
    unsigned trailers = 0;
    uint64_t at = 0;
    struct str line;

    while (answers_line(rest, &line)) {
        char digits[17] = "";
        size_t n;

        FUZZ_CHECK(line.n > 0 && line.n < sizeof digits);
        memcpy(digits, line.p, line.n);
        FUZZ_CHECK(strspn(digits, "0123456789abcdef") == line.n);
        n = strtoul(digits, NULL, 16);
        if (n == 0)
            break;
        answers_bytes(app_number(r), &at,
                      (struct str){rest->p, rest->n < n ? rest->n : n});
        if (rest->n < n)
            return false;
        *rest = str_skip(*rest, n);
        if (rest->n < 2)
            return false;
        FUZZ_CHECK(answers_line(rest, &line) && line.n == 0);
    }
    while (answers_line(rest, &line)) {
        if (line.n == 0) {
            FUZZ_CHECK(at == r->sent && trailers == r->trailers);
            return true;
        }
        FUZZ_CHECK(str_eq(line, STR("X-Trailer: end")));
        trailers++;
    }
    return false;
}

/* The body of the handler's answer to r. False where it is cut. */
static bool answers_body(struct str *rest, const struct answer *a,
                         const struct app_request *r)
{
    uint64_t at = 0, n = r->sent;

    FUZZ_CHECK(a->status == r->status && r->head_sent && r->has_id);
    FUZZ_CHECK(a->chunked == r->chunked && !(a->chunked && a->length >= 0));
    if (a->chunked)
        return answers_chunks(rest, r);
    if (r->bodyless)
        return r->ended_out;
    FUZZ_CHECK(a->length == r->declared);
    FUZZ_CHECK(a->length >= 0 || r->is_old);
    FUZZ_CHECK(a->length < 0 || n <= (uint64_t)a->length);
    answers_bytes(app_number(r), &at,
                  (struct str){rest->p, rest->n < n ? rest->n : (size_t)n});
    if (rest->n < n)
        return false;
    *rest = str_skip(*rest, (size_t)n);
    return r->ended_out && (a->length < 0 || n == (uint64_t)a->length);
}

/* The body of an answer that says no more than its status: it is there, or the
 * method was HEAD. False where it is cut. */
static bool answers_phrase(struct str *rest, const struct answer *a)
{
    struct str phrase = a->status == 413 && a->length == 8
                            ? STR("too much")
                            : status_reason(a->status);

    FUZZ_CHECK(!a->chunked && (a->length < 0 || a->length == (long)phrase.n));
    if (rest->n == 0 || str_starts(*rest, STR("HTTP/1.1 ")))
        return true;
    if (rest->n < phrase.n) {
        FUZZ_CHECK(str_starts(phrase, *rest));
        return false;
    }
    if (str_starts(*rest, phrase))
        *rest = str_skip(*rest, phrase.n);
    return true;
}

/* The first request from r on whose answer begins in the output. */
static const struct app_request *answers_next(const struct app_request *r)
{
    const struct app_request *end = app.requests + app.count;

    while (r < end && !r->head_sent)
        r++;
    return r < end ? r : NULL;
}

/* What r says once HTTP has ended. */
static void answers_raw(struct str rest, const struct app_request *r,
                        bool is_whole)
{
    bool may_be_cut = !is_whole || !r->ended_out;
    uint64_t at = 0;

    FUZZ_CHECK(rest.n == r->sent || (may_be_cut && rest.n < r->sent));
    answers_bytes(app_number(r), &at, rest);
}

/* Reads all of rest, when every request is closed. is_whole: the connection
 * has ended in order, so that nothing may be missing. Returns the count of
 * answers that the handler has not made. */
static unsigned answers_check(struct str rest, bool is_whole)
{
    const struct app_request *r = answers_next(app.requests);
    unsigned foreign = 0;
    bool was_last = false;
    struct answer a;

    while (rest.n > 0) {
        if (r != NULL && r->is_raw && !str_starts(rest, STR("HTTP/1.1 "))) {
            answers_raw(rest, r, is_whole);
            return foreign;
        }
        FUZZ_CHECK(!was_last);
        if (!answers_head(&rest, &a)) {
            /* Heads are sent in one piece; it was interim ones alone. */
            FUZZ_CHECK(!is_whole || (a.status == 0 && rest.n == 0));
            return foreign;
        }
        was_last = a.closes;
        if (a.id < 0) {
            bool is_ours =
                r != NULL && !r->has_id && !r->is_raw && r->status == a.status;

            foreign += !is_ours;
            if (!answers_phrase(&rest, &a)) {
                FUZZ_CHECK(!is_whole);
                return foreign;
            }
            r = is_ours ? answers_next(r + 1) : r;
            continue;
        }
        FUZZ_CHECK(r != NULL && app_number(r) == a.id);
        if (!answers_body(&rest, &a, r)) {
            FUZZ_CHECK(!is_whole || !r->ended_out ||
                       (r->declared >= 0 && r->sent < (uint64_t)r->declared));
            return foreign;
        }
        r = answers_next(r + 1);
    }
    FUZZ_CHECK(!is_whole || r == NULL || !r->ended_out || r->is_raw);
    return foreign;
}

#endif
