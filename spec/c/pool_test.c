/* The arena: alignment, sizes around the block's, reuse of blocks. */
#include "base/pool.h"

#include <stdint.h>

#include "test.h"

static void aligns_for_any_type(void)
{
    struct pool pool;

    pool_init(&pool);
    for (size_t n = 1; n < 70; n++)
        CHECK((uintptr_t)pool_alloc(&pool, n) % 16 == 0);
    pool_clear(&pool);
}

static void gives_disjoint_memory_of_every_size(void)
{
    static const size_t sizes[] = {1,    15,   16,   17,   1000,  1016, 1024,
                                   2000, 2016, 2032, 2048, 10000, 1,    3000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    char *given[COUNT];
    struct pool pool;

    pool_init(&pool);
    for (int i = 0; i < COUNT; i++) {
        given[i] = pool_alloc(&pool, sizes[i]);
        memset(given[i], i, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++)
        for (size_t at = 0; at < sizes[i]; at++)
            CHECK_INT(given[i][at], i);
    pool_clear(&pool);
}

static void keeps_the_current_block_beside_a_large_one(void)
{
    struct pool pool;
    char *before, *after;

    pool_init(&pool);
    before = pool_alloc(&pool, 16);
    pool_alloc(&pool, 100000);
    after = pool_alloc(&pool, 16);
    CHECK(after == before + 16);
    pool_clear(&pool);
}

static void clears_and_starts_again(void)
{
    struct pool pool;
    char *first;

    pool_init(&pool);
    pool_clear(&pool);
    first = pool_alloc(&pool, 16);
    pool_clear(&pool);
    CHECK(pool.blocks == NULL);
    CHECK(pool_alloc(&pool, 16) == first); /* the block was kept */
    pool_clear(&pool);
}

static void keeps_a_bounded_number_of_blocks(void)
{
    struct pool pool;

    pool_init(&pool);
    for (int i = 0; i < 2 * POOL_KEPT_BLOCKS; i++)
        pool_alloc(&pool, POOL_BLOCK_SIZE / 2);
    pool_clear(&pool); /* a leak checker sees the others freed */
    CHECK(pool.blocks == NULL);
}

static void copies_with_a_nul(void)
{
    struct pool pool;
    struct str copy;

    pool_init(&pool);
    copy = pool_copy(&pool, STR("a\0b"));
    CHECK_STR(copy, "a\0b");
    CHECK_INT(copy.p[3], 0);
    copy = pool_copy(&pool, (struct str){NULL, 0});
    CHECK(copy.p != NULL && copy.n == 0 && copy.p[0] == '\0');
    pool_clear(&pool);
}

int main(void)
{
    RUN(aligns_for_any_type);
    RUN(gives_disjoint_memory_of_every_size);
    RUN(keeps_the_current_block_beside_a_large_one);
    RUN(clears_and_starts_again);
    RUN(keeps_a_bounded_number_of_blocks);
    RUN(copies_with_a_nul);
    return test_finish();
}
