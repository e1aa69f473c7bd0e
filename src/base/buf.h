/* A byte queue: what waits to be written to a socket, as a chain of segments
 * that one writev sends. Small writes are copied into chunks; large ones are
 * anchored where they lie and released when they have left. A segment may be a
 * range of a file, which is never in memory. Owned by a conn. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    BUF_CHUNK_SIZE = 4096, /* bytes of an ordinary chunk, header included */
    BUF_KEPT_CHUNKS = 256  /* free chunks the process keeps for reuse */
};

struct buf_segment;

/* A range of an open file. */
struct buf_range {
    int fd;
    int64_t offset;
    size_t n;
};

struct buf {
    struct buf_segment *head, *tail;
    size_t size; /* bytes that wait */
};

/* Makes an empty queue; allocates nothing. */
void buf_init(struct buf *buf);

/* Releases all segments and leaves the queue empty. */
void buf_clear(struct buf *buf);

/* Returns room for n contiguous bytes at the end of the queue, valid until the
 * next call on buf. */
char *buf_reserve(struct buf *buf, size_t n);

/* Makes the first n bytes of the room reserved last part of the queue. */
void buf_commit(struct buf *buf, size_t n);

/* Copies n bytes to the end of the queue. */
void buf_append(struct buf *buf, const char *p, size_t n);

/* Puts n bytes at p (borrowed until release is called) at the end of the queue
 * without copying. release(arg) is called once, when they have been consumed or
 * the queue is cleared; it must not touch the queue. */
void buf_append_ref(struct buf *buf, const char *p, size_t n,
                    void (*release)(void *arg), void *arg);

/* Puts a range of a file (fd borrowed until release is called, as above) at the
 * end of the queue. */
void buf_append_range(struct buf *buf, struct buf_range range,
                      void (*release)(void *arg), void *arg);

/* Whether a range of a file is at the front; sets *range to what is left of it.
 */
bool buf_front_range(const struct buf *buf, struct buf_range *range);

/* Moves the first n bytes (at most from->size) of from to the end of to. What
 * is anchored is not copied; ranges of files cannot be moved. An anchored piece
 * of which only a part is moved stays anchored by the rest: from must then be
 * emptied by further moves, or by buf_retire, before to is cleared. */
void buf_move(struct buf *to, struct buf *from, size_t n);

/* Drops what is left in from, from which bytes were moved to the queue to: what
 * is anchored is released when all that is in to now has left it. */
void buf_retire(struct buf *to, struct buf *from);

/* Fills iov with up to max pieces from the front, up to a range of a file;
 * returns their count. */
int buf_iov(const struct buf *buf, struct iovec *iov, int max);

/* Drops n bytes (at most buf->size) from the front. */
void buf_consume(struct buf *buf, size_t n);

#endif
