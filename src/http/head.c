/* Three passes over a few hundred bytes. The scan for the end looks at each
 * line's first and last bytes, where the old desync tricks live (bare CR or LF,
 * folded lines, empty names), so that the age of the parser below matters less.
 * The request line is read by hand, for its versions and status codes. llhttp
 * then gets the field lines of a head that is complete and in one piece, and
 * decides about their framing: Content-Length, Transfer-Encoding, Connection.
 * One parser serves the process, because each call starts and ends with it. */
#include "http/head.h"

#include <llhttp.h>

#include "http/target.h"

/* The status for n bytes of a head that are too many while the line in work has
 * not ended, or 0. It goes by the limit that was crossed first, so that it does
 * not depend on how many bytes arrived at once. */
static long too_long(const struct head_scan *scan, size_t n,
                     const struct limits *limits)
{
    uint64_t line = limits->max_request_line + 1, all = limits->max_header_size;

    if (scan->lines == 0 && n > line && line <= all)
        return -414;
    return n > all ? -431 : 0;
}

long head_find(struct head_scan *scan, const char *p, size_t n,
               const struct limits *limits)
{
    const char *lf;

    while ((lf = memchr(p + scan->line, '\n', n - scan->line)) != NULL) {
        const char *line = p + scan->line;
        long status = too_long(scan, (size_t)(lf - p), limits);

        if (status < 0)
            return status;
        if (lf == line || lf[-1] != '\r')
            return -400; /* bare LF (RFC 9112 2.2) */
        if (lf - line == 1)
            return lf + 1 - p > (long)limits->max_header_size ? -431
                                                              : lf + 1 - p;
        if (scan->lines > 0 && (*line == ' ' || *line == '\t' || *line == ':'))
            return -400; /* obs-fold (5.2), or a field without a name */
        if (scan->lines++ > limits->max_headers && limits->max_headers > 0)
            return -431;
        scan->line = (size_t)(lf + 1 - p);
    }
    return too_long(scan, n, limits);
}

/* ---- the request line (RFC 9112 3) */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* NAME/digit.digit: 505 where it is not HTTP/1.0 or 1.1, 400 where it is
 * nothing of the kind. */
static int version_of(struct str v, uint8_t *version)
{
    struct str number = v, name = str_cut(&number, '/');
    size_t i;

    for (i = 0; i < name.n; i++)
        if (name.p[i] < 'A' || name.p[i] > 'Z')
            return 400;
    if (name.n == 0 || number.n != 3 || !is_digit(number.p[0]) ||
        number.p[1] != '.' || !is_digit(number.p[2]))
        return 400;
    if (!str_eq(name, STR("HTTP")) || number.p[0] != '1' || number.p[2] > '1')
        return 505;
    *version = number.p[2] == '1' ? 11 : 10;
    return 0;
}

/* The status for a method that llhttp does not know. */
static int unknown_method(struct str method)
{
    size_t i;

    for (i = 0; i < method.n; i++)
        if (method.p[i] >= 'a' && method.p[i] <= 'z')
            return 400; /* names are case-sensitive (RFC 9110 9.1) */
    return 501;
}

int head_method_status(struct str method)
{
#define NAME(number, name, string) STR(#string),
    static const struct str known[] = {HTTP_METHOD_MAP(NAME)};
#undef NAME
    size_t i;

    for (i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_eq(method, known[i]))
            return 0;
    return unknown_method(method);
}

/* Reads the line into x; *rest becomes the field lines. */
static int request_line(struct exchange *x, struct str *rest)
{
    struct str line = str_cut(rest, '\n');
    int status;

    line.n--; /* CR */
    x->method = str_cut(&line, ' ');
    if (line.p == NULL || !headers_name_valid(x->method))
        return 400;
    x->target = str_cut(&line, ' ');
    if (line.p == NULL || x->target.n == 0)
        return 400;
    status = version_of(line, &x->version);
    return status;
}

/* ---- the field lines */

static struct {
    struct exchange *x;
    struct head *out;
    struct str name, value;
    bool chunked_coding, other_coding;
} now;

static int on_field(llhttp_t *parser, const char *p, size_t n)
{
    (void)parser;
    now.name = (struct str){p, n};
    now.value = (struct str){p + n, 0};
    return 0;
}

static int on_value(llhttp_t *parser, const char *p, size_t n)
{
    (void)parser;
    now.value = (struct str){p, n};
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    struct headers *h = &now.x->request;

    (void)parser;
    headers_add(h, &now.x->pool, now.name, str_trim(now.value));
    if (h->items[h->n - 1].id == HEADER_TRANSFER_ENCODING) {
        if (str_ieq(h->items[h->n - 1].value, STR("chunked")))
            now.chunked_coding = true;
        else
            now.other_coding = true;
    }
    return 0;
}

/* Everything is known; the rest of the message is h1's. llhttp's own flags are
 * gone once it has completed the message, so they are read here. */
static int on_complete(llhttp_t *parser)
{
    now.out->keep_alive = llhttp_should_keep_alive(parser);
    now.out->chunked = parser->flags & F_CHUNKED;
    now.out->upgrade = parser->upgrade;
    if (parser->content_length > INT64_MAX)
        return -1; /* ours would be negative, and the body the next request */
    now.x->length = now.out->chunked ? -1 : (int64_t)parser->content_length;
    return HPE_PAUSED;
}

static llhttp_t *fresh_parser(void)
{
    static llhttp_settings_t settings;
    static llhttp_t parser;

    if (settings.on_header_field == NULL) {
        llhttp_settings_init(&settings);
        settings.on_header_field = on_field;
        settings.on_header_value = on_value;
        settings.on_header_value_complete = on_value_complete;
        settings.on_headers_complete = on_complete;
        llhttp_init(&parser, HTTP_REQUEST, &settings);
    }
    llhttp_reset(&parser);
    return &parser;
}

/* Optional white space that llhttp trips over: a tab behind a value is a space
 * as good (RFC 9110 5.6.3), but hides a Content-Length or a close from it. */
static void mend_tabs(char *p, size_t n)
{
    char *tab = p, *end = p + n;

    while ((tab = memchr(tab, '\t', (size_t)(end - tab))) != NULL) {
        char *at = tab++;

        while (*tab == ' ' || *tab == '\t')
            tab++;
        if (*tab == '\r')
            memset(at, ' ', (size_t)(tab - at));
    }
}

static int field_lines(char *p, size_t n)
{
    llhttp_t *parser = fresh_parser();
    llhttp_errno_t error;

    mend_tabs(p, n);
    error = llhttp_execute(parser, p, n);
    if (now.other_coding)
        return 501;
    if (error == HPE_INVALID_METHOD)
        return unknown_method(now.x->method);
    return error == HPE_PAUSED ? 0 : 400; /* paused by on_complete */
}

/* True where a field says nothing of how the message is framed, or of what
 * becomes of the connection, but that it stays. */
static bool is_plain(const struct header *h)
{
    switch (h->id) {
    case HEADER_CONNECTION:
        return str_ieq(h->value, STR("keep-alive"));
    case HEADER_CONTENT_LENGTH:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE:
        return false;
    default:
        return true;
    }
}

/* Whether the line is that of a GET for a path, of bytes that llhttp takes. */
static bool is_plain_request(const struct exchange *x)
{
    size_t i;

    if (x->version != 11 || !str_eq(x->method, STR("GET")) ||
        x->target.p[0] != '/')
        return false;
    for (i = 0; i < x->target.n; i++)
        if (x->target.p[i] <= ' ' || x->target.p[i] >= 0x7f ||
            x->target.p[i] == '#')
            return false;
    return true;
}

/* The fields of most requests need no parser: what was scanned by head_find,
 * has valid names and values, and frames nothing, can only be read in one way.
 * Returns false where something is not so; then llhttp decides. */
static bool plain_lines(struct exchange *x, struct head *out, struct str rest)
{
    struct headers *h = &x->request;

    if (!is_plain_request(x))
        return false;
    while (rest.n > 2) { /* the empty line */
        struct str value = str_cut(&rest, '\n'), name;

        value.n--; /* CR */
        name = str_cut(&value, ':');
        if (value.p == NULL || !headers_name_valid(name) ||
            !headers_value_valid(value))
            return false;
        headers_add(h, &x->pool, name, str_trim(value));
        if (!is_plain(&h->items[h->n - 1]))
            return false;
    }
    out->keep_alive = true;
    x->length = 0;
    return true;
}

/* Exactly one Host on 1.1, at most one on 1.0, and a valid one (3.2). */
static int check_host(const struct exchange *x)
{
    const struct headers *h = &x->request;
    struct header *host = headers_find(h, HEADER_HOST, 0);

    if (host == NULL)
        return x->version == 11 ? 400 : 0;
    if (headers_find(h, HEADER_HOST, (unsigned)(host - h->items) + 1) != NULL)
        return 400;
    return target_host_valid(host->value) ? 0 : 400;
}

static int check_target(struct exchange *x)
{
    struct header *host = headers_find(&x->request, HEADER_HOST, 0);
    struct target target;

    if (x->target.p[0] == '/' && x->method.p[0] != 'C' &&
        memchr(x->target.p, '#', x->target.n) == NULL)
        return 0; /* the usual form; llhttp has checked its bytes */
    if (target_parse(x->method, x->target, &target) < 0)
        return 400;
    if (target.form == TARGET_ABSOLUTE && host != NULL)
        host->value = target.authority; /* 3.2.2: it replaces Host */
    return 0;
}

/* All of its values count, and empty ones do not (RFC 9110 5.3, 5.6.1). */
static void check_expect(struct exchange *x, struct head *out)
{
    const struct headers *h = &x->request;
    struct header *expect = NULL;
    unsigned from = 0;

    if (x->version == 10)
        return; /* 1.0 clients do not wait (RFC 9110 10.1.1) */
    while ((expect = headers_find(h, HEADER_EXPECT, from)) != NULL) {
        struct str rest = expect->value, value;

        from = (unsigned)(expect - h->items) + 1;
        while (rest.n > 0) {
            value = str_trim(str_cut(&rest, ','));
            if (str_ieq(value, STR("100-continue")))
                x->expects = x->length != 0;
            else if (value.n > 0)
                out->expectation_failed = true;
        }
    }
}

/* close wins over keep-alive (RFC 9112 9.3), which llhttp leaves to HTTP/1.1.
 */
static void check_close(const struct exchange *x, struct head *out)
{
    const struct headers *h = &x->request;
    struct header *field;
    unsigned from = 0;

    while ((field = headers_find(h, HEADER_CONNECTION, from)) != NULL) {
        from = (unsigned)(field - h->items) + 1;
        if (headers_has_token(field->value, STR("close")))
            out->keep_alive = false;
    }
}

int head_parse(struct exchange *x, struct head *out, char *p, size_t n,
               const struct limits *limits)
{
    struct str rest = {p, n};
    int status = request_line(x, &rest);

    *out = (struct head){.keep_alive = false};
    if (status != 0)
        return status;
    if (!plain_lines(x, out, rest)) {
        x->request.n = 0;
        now.x = x;
        now.out = out;
        now.chunked_coding = now.other_coding = false;
        status = field_lines(p, n);
        if (status != 0)
            return status;
    }
    if (x->request.n > limits->max_headers && limits->max_headers > 0)
        return 431;
    if (now.chunked_coding && x->version == 10)
        return 400; /* RFC 9112 6.1 */
    if ((status = check_host(x)) != 0 || (status = check_target(x)) != 0)
        return status;
    check_expect(x, out);
    check_close(x, out);
    return 0;
}

#define TEXT(n) #n
#define DOTTED(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *head_library(void)
{
    return DOTTED(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
                  LLHTTP_VERSION_PATCH);
}
