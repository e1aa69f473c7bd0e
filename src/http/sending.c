/* An answer is a list of parts, each some text (the heads between the ranges of
 * a multipart/byteranges, RFC 9110 14.6) and a range of the file behind it. A
 * file that is shorter than it was when the head was made cuts the exchange
 * off: there is nothing true left to be sent. */
#include "http/sending.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/mem.h"
#include "http/accept.h"
#include "http/compress.h"
#include "http/conditions.h"

struct part {
    struct str head; /* of the pool */
    struct range range;
};

struct sending {
    struct file *file;
    struct part parts[CONDITIONS_RANGES + 1];
    int count, at;
    bool by_wire; /* the codec sends ranges of files as they are */
    bool bare;    /* the handler has set no fields, so that ours are new */
    char *piece;  /* what was read on a thread, owned; NULL */
    ssize_t got;  /* of it; -1: it failed */
};

static struct str copy(struct exchange *x, struct str s)
{
    return pool_copy(&x->pool, s);
}

/* Sets a field, where the handler has not. */
static void set(struct exchange *x, struct str name, struct str value)
{
    if (value.n > 0 &&
        (x->sending->bare || headers_get(&x->response, name, 0) == NULL))
        headers_add(&x->response, &x->pool, name, value);
}

static struct str print(struct exchange *x, const char *format, int64_t a,
                        int64_t b, int64_t c)
{
    char text[96];
    int n = snprintf(text, sizeof text, format, (long long)a, (long long)b,
                     (long long)c);

    return copy(x, (struct str){text, (size_t)n});
}

/* ---- which bytes */

/* The sibling of f that the client wants most, or f itself. */
static struct file *choose(struct exchange *x, struct file *f)
{
    struct str name = STR("Accept-Encoding");
    struct file *best = f;
    bool any = false;
    int most = 0, weight, i;

    for (i = 0; i < FILE_SIBLINGS; i++) {
        if (f->siblings[i] == NULL)
            continue;
        any = true;
        weight = accept_weight(&x->request, name, f->siblings[i]->coding);
        if (weight > most) {
            most = weight;
            best = f->siblings[i];
        }
    }
    if (any)
        headers_vary(&x->response, &x->pool, name);
    if (best != f && accept_weight(&x->request, name, STR("identity")) > most)
        best = f;
    return best;
}

static void plan_all(struct sending *s)
{
    s->count = 1;
    s->parts[0].head = (struct str){NULL, 0};
    s->parts[0].range = (struct range){0, s->file->size};
}

static struct str content_range(struct exchange *x, const struct range *r,
                                int64_t size)
{
    return print(x, "bytes %lld-%lld/%lld", r->from, r->from + r->n - 1, size);
}

/* One that nobody can have written into the file. */
static struct str new_boundary(struct exchange *x)
{
    int64_t random[2] = {0, 0};

    if (getrandom(random, sizeof random, GRND_NONBLOCK) <
        0) /* too early in a boot */
        random[0] = (int64_t)clock_monotonic();
    return print(x, "luaserve-%016llx%016llx", random[0], random[1], 0);
}

/* The parts of a multipart/byteranges; returns the length of all. */
static int64_t plan_many(struct exchange *x, struct sending *s,
                         const struct range *ranges, int n)
{
    const struct header *type =
        headers_find(&x->response, HEADER_CONTENT_TYPE, 0);
    struct str kind = type != NULL ? type->value : s->file->type;
    struct str boundary = new_boundary(x);
    char *head;
    size_t most = kind.n + boundary.n + 160;
    int64_t length = 0;
    int i, used;

    for (i = 0; i <= n; i++) {
        head = pool_alloc(&x->pool, most);
        used = i == n ? snprintf(head, most, "\r\n--%s--\r\n", boundary.p)
                      : snprintf(head, most,
                                 "%s--%s\r\nContent-Type: %.*s\r\n"
                                 "Content-Range: %s\r\n\r\n",
                                 i > 0 ? "\r\n" : "", boundary.p, (int)kind.n,
                                 kind.p,
                                 content_range(x, &ranges[i], s->file->size).p);
        s->parts[i].head = (struct str){head, (size_t)used};
        s->parts[i].range = i < n ? ranges[i] : (struct range){0, 0};
        length += used + s->parts[i].range.n;
    }
    s->count = n + 1;
    headers_remove(&x->response, STR("Content-Type"));
    head = pool_alloc(&x->pool, boundary.n + 48);
    used = sprintf(head, "multipart/byteranges; boundary=%s", boundary.p);
    headers_add(&x->response, &x->pool, STR("Content-Type"),
                (struct str){head, (size_t)used});
    return length;
}

/* Decides by Range what is sent; returns its length. */
static int64_t plan(struct exchange *x, struct sending *s,
                    const struct validators *v, time_t now)
{
    struct range ranges[CONDITIONS_RANGES];
    int n = str_eq(x->method, STR("GET"))
                ? conditions_ranges(&x->request, v, s->file->size, now, ranges)
                : 0; /* RFC 9110 14.2 */

    plan_all(s);
    if (n == 0)
        return s->file->size;
    if (n < 0) {
        x->status = 416;
        s->count = 0;
        headers_remove(&x->response, STR("Content-Type"));
        headers_add(&x->response, &x->pool, STR("Content-Range"),
                    print(x, "bytes */%lld", s->file->size, 0, 0));
        return 0;
    }
    x->status = 206;
    if (n > 1)
        return plan_many(x, s, ranges, n);
    s->parts[0].range = ranges[0];
    headers_add(&x->response, &x->pool, STR("Content-Range"),
                content_range(x, &ranges[0], s->file->size));
    return ranges[0].n;
}

/* ---- the head */

static void set_fields(struct exchange *x, const struct file *f,
                       const struct sending_options *o)
{
    set(x, STR("Content-Type"), f->type);
    set(x, STR("Cache-Control"), o->cache_control);
    if (f->coding.n > 0) {
        headers_remove(&x->response, STR("Content-Encoding"));
        set(x, STR("Content-Encoding"), f->coding);
    }
    if (o->dates)
        set(x, STR("Last-Modified"), copy(x, f->date));
    if (o->tags)
        set(x, STR("ETag"), copy(x, f->tag));
    if (o->ranges && o->status == 200)
        set(x, STR("Accept-Ranges"), STR("bytes"));
}

/* What the answer is known by: fields of the handler are its own. */
static struct validators validators_of(struct exchange *x, const struct file *f)
{
    const struct header *tag = headers_get(&x->response, STR("ETag"), 0);
    const struct header *date =
        headers_get(&x->response, STR("Last-Modified"), 0);
    struct validators v = {.modified = f->modified.tv_sec};

    if (tag != NULL)
        v.tag = tag->value;
    if (date != NULL) {
        v.date = date->value;
        if (clock_parse_date(v.date.p, v.date.n, &v.modified) < 0)
            v.date.n = 0;
    }
    return v;
}

/* The answer has no body of the file: what describes one goes. */
static void without_body(struct exchange *x, struct sending *s, int status)
{
    x->status = status;
    s->count = 0;
    headers_remove(&x->response, STR("Content-Type"));
    headers_remove(&x->response, STR("Content-Encoding"));
}

/* Decides on all of the answer but its bytes; returns their count, -1 where it
 * has no body. */
static int64_t decide(struct exchange *x, struct sending *s,
                      const struct sending_options *o, time_t now)
{
    struct validators v;
    int status = 200;

    set_fields(x, s->file, o);
    x->status = o->status;
    plan_all(s);
    if (!s->bare)
        headers_remove(&x->response, STR("Content-Length")); /* ours to say */
    if (o->status != 200 || !conditions_any(&x->request))
        return s->file->size;
    v = validators_of(x, s->file);
    status = conditions_status(&x->request, &v);
    if (status != 200) {
        without_body(x, s, status);
        return status == 304 ? -1 : 0;
    }
    return o->ranges ? plan(x, s, &v, now) : s->file->size;
}

static bool is_page(struct exchange *x, const struct file *f,
                    const struct sending_options *o)
{
    struct str html = STR("text/html");

    return o->tail.n > 0 && o->status == 200 && f->coding.n == 0 &&
           f->type.n >= html.n && memcmp(f->type.p, html.p, html.n) == 0 &&
           headers_get(&x->response, STR("Content-Encoding"), 0) == NULL;
}

/* The same for a page with something behind it, of which no tag or range
 * speaks. */
static int64_t decide_page(struct exchange *x, struct sending *s,
                           const struct sending_options *o)
{
    headers_remove(&x->response, STR("Content-Length"));
    headers_remove(&x->response, STR("Cache-Control"));
    set(x, STR("Content-Type"), s->file->type);
    set(x, STR("Cache-Control"), STR("no-store"));
    x->status = 200;
    plan_all(s);
    s->parts[1].head = copy(x, o->tail);
    s->parts[1].range = (struct range){0, 0};
    s->count = 2;
    return s->file->size + (int64_t)o->tail.n;
}

/* ---- the bytes */

static enum sending_state end(struct exchange *x)
{
    exchange_end(x, (struct piece){.p = NULL});
    sending_drop(x);
    return SENDING_DONE;
}

static enum sending_state cut(struct exchange *x)
{
    exchange_reset(x, CLOSED_RESET);
    sending_drop(x);
    return SENDING_DONE;
}

/* Takes n bytes off the front of what is to be sent. */
static void advance(struct sending *s, int64_t n)
{
    struct range *r = &s->parts[s->at].range;

    r->from += n;
    r->n -= n;
}

static size_t next_size(const struct sending *s)
{
    int64_t n = s->parts[s->at].range.n;

    return n < SENDING_PIECE ? (size_t)n : SENDING_PIECE;
}

/* Writes what was read. */
static enum sent write_piece(struct exchange *x, struct sending *s)
{
    struct piece piece = {.p = s->piece,
                          .n = (size_t)s->got,
                          .release = mem_free,
                          .arg = s->piece};

    s->piece = NULL;
    advance(s, s->got);
    return exchange_write(x, piece);
}

/* Reads the next piece without waiting for a disk; false where it must. */
static bool read_now(struct sending *s)
{
    struct iovec iov = {.iov_len = next_size(s)};

    iov.iov_base = s->piece = mem_alloc(iov.iov_len);
    s->got =
        preadv2(s->file->fd, &iov, 1, s->parts[s->at].range.from, RWF_NOWAIT);
    if (s->got < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) {
        mem_free(s->piece);
        s->piece = NULL;
        return false;
    }
    return true;
}

void sending_read(struct exchange *x)
{
    struct sending *s = x->sending;
    size_t n = next_size(s);

    s->piece = mem_alloc(n);
    do
        s->got = pread(s->file->fd, s->piece, n, s->parts[s->at].range.from);
    while (s->got < 0 && errno == EINTR);
}

/* Sends the range at hand in one, from memory or by the wire. Returns false
 * where it has to be read. */
static bool send_whole(struct exchange *x, struct sending *s)
{
    struct range *r = &s->parts[s->at].range;
    struct piece piece = {.n = (size_t)r->n};

    if (s->file->content == NULL) {
        if (!s->by_wire)
            return false;
        file_hold(s->file);
        exchange_write_file(x, s->file->fd, r->from, (size_t)r->n, file_drop,
                            s->file);
    } else {
        piece.p = s->file->content + r->from;
        if (piece.n > EXCHANGE_COPY_MAX) {
            file_hold(s->file);
            piece.release = file_drop;
            piece.arg = s->file;
        }
        exchange_write(x, piece);
    }
    r->n = 0;
    return true;
}

enum sending_state sending_step(struct exchange *x)
{
    struct sending *s = x->sending;
    enum sent sent;

    if (s == NULL || x->codec == NULL)
        return SENDING_DONE;
    for (; s->at < s->count; s->at++) {
        struct part *part = &s->parts[s->at];

        if (part->head.n > 0)
            exchange_write(
                x, (struct piece){part->head.p, part->head.n, NULL, NULL});
        part->head.n = 0;
        while (part->range.n > 0 && !send_whole(x, s)) {
            if (s->piece == NULL && !read_now(s))
                return SENDING_READ;
            if (s->got <= 0)
                return cut(x);
            sent = write_piece(x, s);
            if (sent == SENT_FULL && part->range.n > 0)
                return SENDING_FULL;
            if (sent != SENT_OK && sent != SENT_FULL)
                return cut(x);
        }
    }
    return end(x);
}

/* All of a small file in one piece, so that it leaves with its head. */
static enum sending_state send_small(struct exchange *x, struct sending *s)
{
    struct range r = s->parts[0].range;
    struct piece piece = {.p = s->file->content + r.from, .n = (size_t)r.n};

    if (piece.n > EXCHANGE_COPY_MAX) {
        file_hold(s->file);
        piece.release = file_drop;
        piece.arg = s->file;
    }
    exchange_end(x, piece);
    sending_drop(x);
    return SENDING_DONE;
}

enum sending_state sending_begin(struct exchange *x, struct file *f,
                                 const struct sending_options *options,
                                 time_t now)
{
    struct sending *s = pool_alloc(&x->pool, sizeof *s);
    int64_t length;
    bool page;

    s->at = 0;
    s->piece = NULL;
    s->bare = x->response.n == 0;
    x->sending = s;
    page = is_page(x, f, options);
    s->file = page ? f : choose(x, f);
    file_hold(s->file);
    length = page ? decide_page(x, s, options) : decide(x, s, options, now);
    if (s->count == 1 && s->file->content != NULL && !x->bodyless)
        return send_small(x, s);
    exchange_send_head(x, length);
    if (x->bodyless || s->count == 0)
        return end(x);
    s->by_wire = exchange_takes_files(x);
    return sending_step(x);
}

void sending_drop(struct exchange *x)
{
    struct sending *s = x->sending;

    if (s == NULL)
        return;
    x->sending = NULL;
    mem_free(s->piece);
    file_drop(s->file);
}
