/* A delimiter begins with CR, and no boundary has one, so that a match that
 * fails leaves no other begun: no backing up, and time linear in the body,
 * whatever it holds. A match that is cut by the end of the input is remembered
 * as a count; if it fails, the bytes that were held back are the delimiter's
 * own and are given out of m. Strict where leniency would let two readers
 * disagree: line ends are CRLF, and a line that begins with the delimiter is
 * one. */
#include "http/multipart.h"

#include "http/multipart_head.h"

enum {
    PREAMBLE,
    AFTER,   /* a delimiter: "--", or blanks and a line end */
    DASH,    /* the first one of "--" */
    PADDING, /* RFC 2046 5.1.1: transport-padding */
    LINE_END,
    HEAD,
    BODY,
    CLOSED,
    FAILED
};

/* bchars of RFC 2046 5.1.1. */
static bool is_boundary_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

bool multipart_init(struct multipart *m, struct str boundary,
                    const struct multipart_limits *limits)
{
    size_t i;

    memset(m, 0, sizeof *m);
    bytes_init(&m->head);
    bytes_init(&m->spare);
    if (boundary.n < 1 || boundary.n > MULTIPART_BOUNDARY_MAX ||
        boundary.p[boundary.n - 1] == ' ')
        return false;
    for (i = 0; i < boundary.n; i++)
        if (!is_boundary_char(boundary.p[i]))
            return false;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
    m->ndelimiter = 4 + boundary.n;
    m->matched = m->borrowed = 2; /* the first one needs no line end */
    m->limits = *limits;
    return true;
}

void multipart_clear(struct multipart *m)
{
    bytes_clear(&m->head);
    bytes_clear(&m->spare);
}

bool multipart_complete(const struct multipart *m)
{
    return m->state == CLOSED;
}

static enum multipart_event fail(struct multipart *m, int status,
                                 const char *error)
{
    m->state = FAILED;
    if (error != NULL) {
        m->status = status;
        m->error = error;
    }
    return MULTIPART_BAD;
}

/* ---- delimiters */

/* Goes on with a match that the last input has begun. */
static void resume_match(struct multipart *m, struct str *in, struct str *data)
{
    while (m->matched < m->ndelimiter && in->n > 0 &&
           *in->p == m->delimiter[m->matched]) {
        *in = str_skip(*in, 1);
        m->matched++;
    }
    if (m->matched == m->ndelimiter || in->n == 0)
        return;
    *data = (struct str){m->delimiter + m->borrowed, m->matched - m->borrowed};
    m->matched = m->borrowed = 0;
}

/* Looks for the delimiter, or its beginning at the end of the input; what is
 * before it is data. m->matched says what was found. */
static void find_match(struct multipart *m, struct str *in, struct str *data)
{
    const char *p = in->p, *end = in->p + in->n;

    data->p = in->p;
    while ((p = memchr(p, '\r', (size_t)(end - p))) != NULL) {
        size_t n = (size_t)(end - p);

        if (n > m->ndelimiter)
            n = m->ndelimiter;
        if (memcmp(p, m->delimiter, n) == 0) {
            data->n = (size_t)(p - data->p);
            *in = str_skip(*in, data->n + n);
            m->matched = n;
            return;
        }
        p++;
    }
    data->n = in->n;
    *in = str_skip(*in, in->n);
}

/* Returns true where the delimiter is complete. Before that, and in the same
 * call, there may be data. */
static bool scan(struct multipart *m, struct str *in, struct str *data)
{
    *data = (struct str){NULL, 0};
    if (m->matched == m->ndelimiter)
        return true;
    if (m->matched > 0)
        resume_match(m, in, data);
    else
        find_match(m, in, data);
    return m->matched == m->ndelimiter;
}

/* ---- the line of a delimiter */

static int after(int state, char c)
{
    switch (state) {
    case AFTER:
        if (c == '-')
            return DASH;
        /* fall through */
    case PADDING:
        return c == ' ' || c == '\t' ? PADDING : c == '\r' ? LINE_END : FAILED;
    case DASH:
        return c == '-' ? CLOSED : FAILED;
    default:
        return c == '\n' ? HEAD : FAILED;
    }
}

static void read_line(struct multipart *m, struct str *in)
{
    m->matched = m->borrowed = 0;
    m->head.n = 0;
    while (in->n > 0 && m->state >= AFTER && m->state < HEAD) {
        m->state = after(m->state, *in->p);
        *in = str_skip(*in, 1);
    }
}

/* ---- heads */

static bool head_ends(const struct bytes *head)
{
    return (head->n == 2 && memcmp(head->p, "\r\n", 2) == 0) ||
           (head->n >= 4 && memcmp(head->p + head->n - 4, "\r\n\r\n", 4) == 0);
}

static enum multipart_event begin_part(struct multipart *m)
{
    if (m->count == m->limits.parts)
        return fail(m, 413, "there are too many parts");
    m->count++;
    if (!multipart_head_read(m))
        return fail(m, 0, NULL);
    m->state = BODY;
    m->matched = m->borrowed = 2; /* its blank line may be the delimiter's */
    return MULTIPART_PART;
}

/* Collects lines until the blank one. */
static enum multipart_event read_head(struct multipart *m, struct str *in)
{
    while (in->n > 0) {
        const char *eol = memchr(in->p, '\n', in->n);
        size_t n = eol != NULL ? (size_t)(eol - in->p) + 1 : in->n;

        if (m->head.n + n > m->limits.head)
            return fail(m, 413, "the headers of a part are too long");
        bytes_append(&m->head, in->p, n);
        *in = str_skip(*in, n);
        if (head_ends(&m->head))
            return begin_part(m);
    }
    return MULTIPART_MORE;
}

/* ---- */

static enum multipart_event read_body(struct multipart *m, struct str *in,
                                      struct str *data)
{
    bool found = scan(m, in, data);

    if (data->n > 0)
        return MULTIPART_DATA;
    if (!found)
        return MULTIPART_MORE;
    m->state = AFTER;
    return MULTIPART_END;
}

enum multipart_event multipart_next(struct multipart *m, struct str *in,
                                    struct str *data)
{
    enum multipart_event event = MULTIPART_MORE;

    while (event == MULTIPART_MORE) {
        if (m->state == CLOSED) { /* RFC 2046 5.1.1: an epilogue */
            *in = str_skip(*in, in->n);
            return MULTIPART_CLOSE;
        }
        if (m->state == FAILED)
            return fail(m, 400, m->error ? NULL : "a boundary is malformed");
        if (m->state == BODY)
            event = read_body(m, in, data);
        else if (m->state == HEAD)
            event = read_head(m, in);
        else if (m->state == PREAMBLE)
            m->state = scan(m, in, data) ? AFTER : PREAMBLE;
        else
            read_line(m, in);
        if (in->n == 0 && event == MULTIPART_MORE && m->state < CLOSED)
            return MULTIPART_MORE;
    }
    return event;
}
