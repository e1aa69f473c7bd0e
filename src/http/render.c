/* One pass to measure, one to write, straight into the connection's queue. The
 * fields were checked when they were set (script/l_response.c), so that nothing
 * here can end a line early. */
#include "http/render.h"

#include "base/clock.h"
#include "base/encode.h"
#include "http/status.h"

static char *put(char *at, const char *p, size_t n)
{
    memcpy(at, p, n);
    return at + n;
}

#define PUT(at, literal) put(at, "" literal, sizeof(literal) - 1)

static size_t fields_size(const struct headers *h)
{
    size_t size = 0;
    unsigned i;

    for (i = 0; i < h->n; i++)
        size += h->items[i].name.n + h->items[i].value.n + 4;
    return size;
}

static char *put_fields(char *at, const struct headers *h)
{
    unsigned i;

    for (i = 0; i < h->n; i++) {
        at = put(at, h->items[i].name.p, h->items[i].name.n);
        at = PUT(at, ": ");
        at = put(at, h->items[i].value.p, h->items[i].value.n);
        at = PUT(at, "\r\n");
    }
    return at;
}

static char *put_status(char *at, int status, struct str reason)
{
    at = PUT(at, "HTTP/1.1 ");
    *at++ = (char)('0' + status / 100);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = put(at, reason.p, reason.n);
    return PUT(at, "\r\n");
}

static struct str reason_of(const struct exchange *x)
{
    struct str reason = x->reason.p ? x->reason : status_reason(x->status);

    return reason.p ? reason : STR("unknown");
}

void render_head(struct buf *out, const struct exchange *x, int64_t length,
                 enum render_connection connection, time_t now)
{
    struct str reason = reason_of(x);
    size_t bound = 192 + reason.n + fields_size(&x->response);
    char *start = buf_reserve(out, bound);
    char *at = put_status(start, x->status, reason);

    at = put_fields(at, &x->response);
    if (headers_find(&x->response, HEADER_DATE, 0) == NULL) {
        at = PUT(at, "Date: ");
        at = put(at, clock_date(now), CLOCK_DATE_SIZE);
        at = PUT(at, "\r\n");
    }
    if (connection == RENDER_CLOSE)
        at = PUT(at, "Connection: close\r\n");
    else if (connection == RENDER_KEEP_ALIVE)
        at = PUT(at, "Connection: keep-alive\r\n");
    if (length >= 0) {
        at = PUT(at, "Content-Length: ");
        at += encode_decimal((uint64_t)length, at);
        at = PUT(at, "\r\n");
    } else if (x->chunked) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    }
    at = PUT(at, "\r\n");
    buf_commit(out, (size_t)(at - start));
}

void render_interim(struct buf *out, int status, const struct headers *fields)
{
    struct str reason = status_reason(status);
    char *start =
        buf_reserve(out, 32 + reason.n + (fields ? fields_size(fields) : 0));
    char *at = put_status(start, status, reason);

    if (fields != NULL)
        at = put_fields(at, fields);
    at = PUT(at, "\r\n");
    buf_commit(out, (size_t)(at - start));
}

void render_fields(struct buf *out, const struct headers *fields)
{
    char *start = buf_reserve(out, fields_size(fields));

    buf_commit(out, (size_t)(put_fields(start, fields) - start));
}
