/* Blocks of one size, chained, with the freed ones kept in a process-wide list:
 * a server at work asks malloc for nothing. Requests larger than a block get a
 * block of their own behind the current one. Single-threaded by design: pools
 * belong to the loop's thread. */
#include "base/pool.h"

#include <stdint.h>

#include "base/mem.h"

struct pool_block {
    struct pool_block *next;
    size_t size; /* bytes of the whole block */
    _Alignas(16) char bytes[];
};

static struct pool_block *kept;
static int kept_count;

static struct pool_block *take_block(size_t size)
{
    struct pool_block *block = kept;

    if (size == POOL_BLOCK_SIZE && block != NULL) {
        kept = block->next;
        kept_count--;
        return block;
    }
    block = mem_alloc(size);
    block->size = size;
    return block;
}

static void give_block(struct pool_block *block)
{
    if (block->size != POOL_BLOCK_SIZE || kept_count >= POOL_KEPT_BLOCKS) {
        mem_free(block);
        return;
    }
    block->next = kept;
    kept = block;
    kept_count++;
}

void pool_init(struct pool *pool)
{
    *pool = (struct pool){NULL, NULL, NULL};
}

void pool_clear(struct pool *pool)
{
    struct pool_block *block, *next;

    for (block = pool->blocks; block != NULL; block = next) {
        next = block->next;
        give_block(block);
    }
    pool_init(pool);
}

void *pool_alloc_block(struct pool *pool, size_t n)
{
    const size_t room = POOL_BLOCK_SIZE - offsetof(struct pool_block, bytes);
    struct pool_block *block;

    if (n > room / 2 && pool->blocks != NULL) {
        /* Large: its own block, behind the current one, which stays in use. */
        block = take_block(offsetof(struct pool_block, bytes) + n);
        block->next = pool->blocks->next;
        pool->blocks->next = block;
        return block->bytes;
    }
    block = take_block(n > room ? offsetof(struct pool_block, bytes) + n
                                : POOL_BLOCK_SIZE);
    block->next = pool->blocks;
    pool->blocks = block;
    pool->at = block->bytes + n;
    pool->end = (char *)block + block->size;
    return block->bytes;
}

struct str pool_copy(struct pool *pool, struct str s)
{
    char *copy = pool_alloc(pool, s.n + 1);

    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return (struct str){copy, s.n};
}
