/* A chain rather than a ring: an anchored segment of a megabyte and forty bytes
 * of chunk framing stand side by side without a copy. Chunks of one size come
 * from a process-wide list, so that a server at work asks malloc for nothing,
 * and a connection with nothing to send holds no memory at all. */
#include "base/buf.h"

#include <string.h>

#include "base/mem.h"

struct buf_segment {
    struct buf_segment *next;
    const char *p; /* what is still to be sent; NULL: it is in a file */
    size_t n;
    int64_t offset; /* in that file */
    int fd;
    char *end;   /* end of the room behind p + n; NULL: not ours to fill */
    size_t size; /* of the whole chunk */
    void (*release)(void *arg);
    void *arg;
    char bytes[];
};

static struct buf_segment *kept;
static int kept_count;

static struct buf_segment *take_chunk(size_t size)
{
    struct buf_segment *s = kept;

    if (size <= BUF_CHUNK_SIZE && s != NULL) {
        kept = s->next;
        kept_count--;
    } else {
        size = size < BUF_CHUNK_SIZE ? BUF_CHUNK_SIZE : size;
        s = mem_alloc(size);
        s->size = size;
    }
    s->next = NULL;
    s->p = s->bytes;
    s->n = 0;
    s->end = (char *)s + s->size;
    s->release = NULL;
    return s;
}

static void give_chunk(struct buf_segment *s)
{
    if (s->release != NULL)
        s->release(s->arg);
    if (s->size != BUF_CHUNK_SIZE || kept_count >= BUF_KEPT_CHUNKS) {
        mem_free(s);
        return;
    }
    s->next = kept;
    kept = s;
    kept_count++;
}

static void push(struct buf *buf, struct buf_segment *s)
{
    if (buf->tail != NULL)
        buf->tail->next = s;
    else
        buf->head = s;
    buf->tail = s;
}

void buf_init(struct buf *buf)
{
    *buf = (struct buf){NULL, NULL, 0};
}

void buf_clear(struct buf *buf)
{
    struct buf_segment *s, *next;

    for (s = buf->head; s != NULL; s = next) {
        next = s->next;
        give_chunk(s);
    }
    buf_init(buf);
}

char *buf_reserve(struct buf *buf, size_t n)
{
    struct buf_segment *s = buf->tail;

    if (s == NULL || s->end == NULL || (size_t)(s->end - (s->p + s->n)) < n) {
        s = take_chunk(offsetof(struct buf_segment, bytes) + n);
        push(buf, s);
    }
    return s->bytes + (s->p - s->bytes) + s->n;
}

void buf_commit(struct buf *buf, size_t n)
{
    buf->tail->n += n;
    buf->size += n;
}

void buf_append(struct buf *buf, const char *p, size_t n)
{
    struct buf_segment *s = buf->tail;
    size_t room = s != NULL && s->end ? (size_t)(s->end - (s->p + s->n)) : 0;

    if (room > 0 && room < n) { /* fill what is there, then go on behind it */
        memcpy(buf_reserve(buf, room), p, room);
        buf_commit(buf, room);
        p += room;
        n -= room;
    }
    if (n == 0)
        return;
    memcpy(buf_reserve(buf, n), p, n);
    buf_commit(buf, n);
}

void buf_append_ref(struct buf *buf, const char *p, size_t n,
                    void (*release)(void *arg), void *arg)
{
    struct buf_segment *s = mem_alloc(sizeof *s);

    *s = (struct buf_segment){
        .p = p, .n = n, .size = sizeof *s, .release = release, .arg = arg};
    push(buf, s);
    buf->size += n;
}

void buf_append_range(struct buf *buf, struct buf_range range,
                      void (*release)(void *arg), void *arg)
{
    buf_append_ref(buf, NULL, range.n, release, arg);
    buf->tail->fd = range.fd;
    buf->tail->offset = range.offset;
}

/* The first segment that has bytes, or NULL. */
static const struct buf_segment *front(const struct buf *buf)
{
    const struct buf_segment *s = buf->head;

    while (s != NULL && s->n == 0)
        s = s->next;
    return s;
}

bool buf_front_range(const struct buf *buf, struct buf_range *range)
{
    const struct buf_segment *s = front(buf);

    if (s == NULL || s->p != NULL)
        return false;
    *range = (struct buf_range){s->fd, s->offset, s->n};
    return true;
}

/* Takes the first segment out of buf. */
static struct buf_segment *shift(struct buf *buf)
{
    struct buf_segment *s = buf->head;

    buf->head = s->next;
    if (buf->head == NULL)
        buf->tail = NULL;
    buf->size -= s->n;
    s->next = NULL;
    return s;
}

void buf_move(struct buf *to, struct buf *from, size_t n)
{
    struct buf_segment *s;

    while ((s = from->head) != NULL && n > 0) {
        size_t part = s->n < n ? s->n : n;

        n -= part;
        if (s->end != NULL) { /* ours: a copy keeps small frames together */
            buf_append(to, s->p, part);
            buf_consume(from, part);
        } else if (part == s->n) {
            push(to, shift(from));
            to->size += part;
        } else {
            buf_append_ref(to, s->p, part, NULL, NULL);
            s->p += part;
            s->n -= part;
            from->size -= part;
        }
    }
}

void buf_retire(struct buf *to, struct buf *from)
{
    while (from->head != NULL) {
        struct buf_segment *s = shift(from);

        s->n = 0;
        if (to->size > 0 && s->end == NULL)
            push(to, s);
        else
            give_chunk(s);
    }
}

int buf_iov(const struct buf *buf, struct iovec *iov, int max)
{
    const struct buf_segment *s;
    int count = 0;

    for (s = buf->head; s != NULL && count < max; s = s->next) {
        if (s->n == 0)
            continue;
        if (s->p == NULL)
            break;
        iov[count].iov_base = (void *)(size_t)s->p;
        iov[count++].iov_len = s->n;
    }
    return count;
}

void buf_consume(struct buf *buf, size_t n)
{
    struct buf_segment *s;

    buf->size -= n;
    while ((s = buf->head) != NULL && n >= s->n) {
        n -= s->n;
        buf->head = s->next;
        give_chunk(s);
    }
    if (s == NULL) {
        buf->tail = NULL;
        return;
    }
    if (s->p != NULL)
        s->p += n;
    else
        s->offset += (int64_t)n;
    s->n -= n;
}
