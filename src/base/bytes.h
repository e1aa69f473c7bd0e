/* Growable bytes in one piece, which the owner fills at the end and may eat
 * from the front. For what has to be contiguous: a request's head before it is
 * parsed, a message of the control socket, a line being built. Embedded in its
 * owner; any call that adds may move the bytes. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>

struct bytes {
    char *p; /* NULL while nothing was ever added */
    size_t n, cap;
};

/* Makes b empty; allocates nothing. */
void bytes_init(struct bytes *b);

/* Frees what b holds and leaves it empty. */
void bytes_clear(struct bytes *b);

/* Returns room for at least n more bytes behind the last one, valid until the
 * next call that adds, consumes or clears; bytes_commit makes them count. */
char *bytes_reserve(struct bytes *b, size_t n);

/* Counts n bytes as added, which were written where bytes_reserve said. */
void bytes_commit(struct bytes *b, size_t n);

/* Adds a copy of the n bytes at p (which must not lie within b). */
void bytes_append(struct bytes *b, const void *p, size_t n);

/* Drops the first n bytes, at most all there are, and moves the others to the
 * front; keeps the memory. */
void bytes_consume(struct bytes *b, size_t n);

/* Adds formatted text, without a NUL. */
void bytes_printf(struct bytes *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
