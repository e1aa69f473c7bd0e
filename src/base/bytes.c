/* The memory doubles, so that adding is cheap on the whole however small the
 * steps; it shrinks only by bytes_clear, because its owners live about as long
 * as their bytes do. Queues that are eaten in small steps while they grow large
 * want chunks instead, not this. */
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { SMALLEST = 256 };

void bytes_init(struct bytes *b)
{
    *b = (struct bytes){NULL, 0, 0};
}

void bytes_clear(struct bytes *b)
{
    mem_free(b->p);
    bytes_init(b);
}

char *bytes_reserve(struct bytes *b, size_t n)
{
    assert(n <= SIZE_MAX / 4 - b->n);
    if (b->p == NULL || b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap : SMALLEST;

        while (cap - b->n < n)
            cap *= 2;
        b->p = mem_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void bytes_commit(struct bytes *b, size_t n)
{
    assert(n <= b->cap - b->n);
    b->n += n;
}

void bytes_append(struct bytes *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(bytes_reserve(b, n), p, n);
    b->n += n;
}

void bytes_consume(struct bytes *b, size_t n)
{
    assert(n <= b->n);
    b->n -= n;
    if (b->n > 0 && n > 0)
        memmove(b->p, b->p + n, b->n);
}

void bytes_printf(struct bytes *b, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n <= 0)
        return;
    va_start(args, format);
    vsnprintf(bytes_reserve(b, (size_t)n + 1), (size_t)n + 1, format, args);
    va_end(args);
    b->n += (size_t)n;
}
