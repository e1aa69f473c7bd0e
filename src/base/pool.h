/* A bump arena: memory that lives as long as one request and is never freed
 * singly. Owned by an exchange (http/exchange.h); the codecs and the script
 * side put heads, headers and rendered text into it. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/str.h"

enum {
    POOL_BLOCK_SIZE = 2048, /* bytes of an ordinary block, header included */
    POOL_KEPT_BLOCKS = 256  /* free blocks the process keeps for reuse */
};

struct pool_block;

struct pool {
    char *at, *end; /* what is free of the newest block */
    struct pool_block *blocks;
};

/* Makes an empty pool; allocates nothing. */
void pool_init(struct pool *pool);

/* Frees everything that came from the pool and leaves it empty. */
void pool_clear(struct pool *pool);

/* The slow way of pool_alloc: n (rounded) bytes from a new block. */
void *pool_alloc_block(struct pool *pool, size_t n);

/* Returns n bytes aligned for any type, valid until pool_clear. */
static inline void *pool_alloc(struct pool *pool, size_t n)
{
    char *p = pool->at;

    n = (n + (n == 0) + 15) & ~(size_t)15;
    if (n > (size_t)(pool->end - p))
        return pool_alloc_block(pool, n);
    pool->at += n;
    return p;
}

/* Returns a copy of s with a NUL behind it, valid until pool_clear. */
struct str pool_copy(struct pool *pool, struct str s);

#endif
