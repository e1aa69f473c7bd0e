/* The codec of HTTP/2: what a handler does with an exchange, kept on its stream
 * until the turn ends. Then nghttp2 is told the head and whether the answer is
 * complete with it, and takes body from the stream's queue as the windows and
 * the priorities of RFC 9218 have it; anchored pieces go from there to the
 * connection's queue without being copied. */
#include "http/h2_out.h"

#include "base/clock.h"
#include "base/encode.h"
#include "http/h2.h"
#include "http/server.h"
#include "net/conn.h"

enum {
    FIELDS_MAX = 64,    /* of a head that are told without asking for memory */
    FIELDS_ADDED = 3,   /* :status, date, content-length */
    FRAME_HEAD_SIZE = 9 /* RFC 9113 4.1 */
};

/* ---- heads */

struct fields {
    nghttp2_nv *items;
    size_t n;
};

static void add(struct fields *f, struct str name, struct str value)
{
    f->items[f->n++] =
        (nghttp2_nv){.name = (uint8_t *)(size_t)name.p,
                     .value = (uint8_t *)(size_t)value.p,
                     .namelen = name.n,
                     .valuelen = value.n,
                     .flags = NGHTTP2_NV_FLAG_NONE}; /* copied, lower case */
}

/* Fields of an HTTP/1 connection, which a message of HTTP/2 must not have (RFC
 * 9113 8.2.2). A handler that sets them runs unchanged. */
static bool is_of_connection(const struct header *item)
{
    switch (item->id) {
    case HEADER_CONNECTION:
    case HEADER_KEEP_ALIVE:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE:
        return true;
    default:
        return false;
    }
}

static void add_all(struct fields *f, const struct headers *h)
{
    unsigned i;

    for (i = 0; i < h->n; i++)
        if (!is_of_connection(&h->items[i]))
            add(f, h->items[i].name, h->items[i].value);
}

/* Room for n fields: that of the caller, or from the exchange's pool. */
static struct fields room(struct exchange *x, nghttp2_nv *own, size_t n)
{
    return (struct fields){
        n <= FIELDS_MAX ? own : pool_alloc(&x->pool, n * sizeof *own), 0};
}

static struct str status_text(int status, char out[static 3])
{
    out[0] = (char)('0' + status / 100);
    out[1] = (char)('0' + status / 10 % 10);
    out[2] = (char)('0' + status % 10);
    return (struct str){out, 3};
}

/* The whole answer is known, and it has neither body nor trailers. */
static bool is_head_alone(const struct h2_stream *s)
{
    return s->x->ended_out && s->out.size == 0 &&
           (s->x->trailers_out.n == 0 || s->x->bodyless);
}

/* ---- bodies */

static void submit_trailers(struct h2_stream *s)
{
    struct exchange *x = s->x;
    nghttp2_nv own[FIELDS_MAX];
    struct fields f = room(x, own, x->trailers_out.n);

    add_all(&f, &x->trailers_out);
    nghttp2_submit_trailer(s->h->session, s->id, f.items, f.n);
}

/* Says how much of the next DATA frame there is, and whether it is the last. */
static ssize_t give(struct h2_stream *s, size_t max, uint32_t *flags)
{
    size_t n = s->out.size < max ? s->out.size : max;

    if (n == 0 && !s->x->ended_out) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == s->out.size && s->x->ended_out) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->x->trailers_out.n > 0 && !s->x->bodyless) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(s);
        }
    }
    return (ssize_t)n;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *p,
                       size_t n, uint32_t *flags, nghttp2_data_source *source,
                       void *arg)
{
    struct h2_stream *s = h2_stream_of(arg, id);

    (void)session;
    (void)p;
    (void)source;
    return s != NULL ? give(s, n, flags)
                     : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* ---- what nghttp2 is told */

static void submit_head(struct h2_stream *s)
{
    struct exchange *x = s->x;
    nghttp2_nv own[FIELDS_MAX];
    struct fields f = room(x, own, x->response.n + FIELDS_ADDED);
    nghttp2_data_provider body = {.read_callback = on_read};
    char status[3], length[ENCODE_DECIMAL_MAX];

    if (x->status == 204)
        headers_remove(&x->response, STR("Content-Length"));
    add(&f, STR(":status"), status_text(x->status, status));
    add_all(&f, &x->response);
    if (headers_find(&x->response, HEADER_DATE, 0) == NULL)
        add(&f, STR("date"),
            (struct str){clock_date((time_t)loop_wall(s->h->c->loop)),
                         CLOCK_DATE_SIZE});
    if (s->length >= 0 &&
        headers_find(&x->response, HEADER_CONTENT_LENGTH, 0) == NULL)
        add(&f, STR("content-length"),
            (struct str){length, encode_decimal((uint64_t)s->length, length)});
    nghttp2_submit_response(s->h->session, s->id, f.items, f.n,
                            is_head_alone(s) ? NULL : &body);
}

void h2_out_submit(struct h2_stream *s)
{
    if (!s->x->head_sent)
        return;
    if (!s->answered) {
        s->answered = true;
        submit_head(s);
    } else if (s->deferred && (s->out.size > 0 || s->x->ended_out)) {
        s->deferred = false;
        nghttp2_session_resume_data(s->h->session, s->id);
    }
}

int h2_out_send(struct h2_stream *s, const uint8_t *frame_head, size_t n)
{
    struct h2 *h = s->h;
    struct buf *out = conn_out(h->c);

    buf_append(out, (const char *)frame_head, FRAME_HEAD_SIZE);
    buf_move(out, &s->out, n);
    h->queued -= n;
    h->earned += n;
    s->stall_sent += n;
    if (s->out.size == 0) {
        if (!s->x->ended_out) /* else the end waits, for a window perhaps */
            s->stall_at = 0;
        if (s->x->want_drain)
            h2_stream_ready(s);
    }
    h->full = out->size >= H2_OUT_MARK;
    return h->full ? NGHTTP2_ERR_PAUSE : 0;
}

/* ---- the codec */

static void send_head(struct exchange *x, int64_t length)
{
    struct h2_stream *s = x->wire;

    s->length = length;
    h2_stream_dirty(s);
}

/* From now on output waits. */
static void begin_to_wait(struct h2_stream *s)
{
    s->stall_at = loop_now(s->h->c->loop);
    s->stall_sent = 0;
}

static void send_body(struct exchange *x, struct piece *piece)
{
    struct h2_stream *s = x->wire;

    if (s->out.size == 0)
        begin_to_wait(s);
    s->h->queued += piece->n;
    if (piece->release != NULL)
        buf_append_ref(&s->out, piece->p, piece->n, piece->release, piece->arg);
    else
        buf_append(&s->out, piece->p, piece->n);
    h2_stream_dirty(s);
}

/* nghttp2 holds an empty DATA frame back too where no window is open. */
static void send_end(struct exchange *x)
{
    struct h2_stream *s = x->wire;

    if (s->stall_at == 0)
        begin_to_wait(s);
    h2_stream_dirty(s);
}

static void send_interim(struct exchange *x, int status,
                         const struct headers *fields)
{
    struct h2_stream *s = x->wire;
    nghttp2_nv own[FIELDS_MAX];
    struct fields f = room(x, own, 1 + (fields != NULL ? fields->n : 0));
    char text[3];

    if (s->cut)
        return;
    add(&f, STR(":status"), status_text(status, text));
    if (fields != NULL)
        add_all(&f, fields);
    nghttp2_submit_headers(s->h->session, NGHTTP2_FLAG_NONE, s->id, NULL,
                           f.items, f.n, NULL);
    conn_want_flush(s->h->c);
}

static void resume(struct exchange *x)
{
    struct h2_stream *s = x->wire;

    if (s->body_at == 0)
        s->body_at = loop_now(s->h->c->loop);
    h2_stream_deliver(s);
    conn_want_flush(s->h->c); /* windows, deadlines */
}

/* Over the connection's share every stream is behind. */
static size_t queued(struct exchange *x)
{
    struct h2_stream *s = x->wire;

    return s->out.size +
           (s->h->queued > H2_QUEUED_MAX ? EXCHANGE_HIGH_WATER : 0);
}

static void want_drain(struct exchange *x)
{
    struct h2_stream *s = x->wire;

    x->want_drain = true;
    if (s->out.size == 0)
        h2_stream_ready(s);
    conn_want_flush(s->h->c);
}

static void reset(struct exchange *x, enum closed why)
{
    h2_stream_cut(x->wire, why);
}

static struct conn *conn(const struct exchange *x)
{
    const struct h2_stream *s = x->wire;

    return s->h->c;
}

const struct codec h2_out_codec = {
    .send_head = send_head,
    .send_body = send_body,
    .send_end = send_end,
    .send_interim = send_interim,
    .resume = resume,
    .queued = queued,
    .want_drain = want_drain,
    .reset = reset,
    .conn = conn,
};
