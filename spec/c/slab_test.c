/* Small blocks: they keep their bytes through every change of size, are found
 * again, and are not kept without end. */
#include "base/slab.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "test.h"

enum { BLOCKS = 200, ROUNDS = 20000 };

static uint32_t seed = 12345;

static uint32_t next_random(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static bool holds(const unsigned char *p, size_t n, unsigned char value)
{
    while (n-- > 0)
        if (p[n] != value)
            return false;
    return true;
}

static void keeps_bytes_through_every_change_of_size(void)
{
    unsigned char *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        size_t i = next_random() % BLOCKS, size = next_random() % 1200;
        size_t both = size < sizes[i] ? size : sizes[i];

        if (next_random() % 4 == 0) {
            slab_free(blocks[i]);
            blocks[i] = NULL;
            both = 0;
        }
        blocks[i] = slab_realloc(blocks[i], size);
        CHECK((uintptr_t)blocks[i] % 16 == 0);
        CHECK(holds(blocks[i], both, (unsigned char)i));
        memset(blocks[i], (int)i, size);
        sizes[i] = size;
    }
    for (int i = 0; i < BLOCKS; i++)
        slab_free(blocks[i]);
}

static void zeroes_what_was_used_before(void)
{
    unsigned char *p = slab_alloc(100);

    memset(p, 0xff, 100);
    slab_free(p);
    p = slab_zalloc(97);
    CHECK(holds(p, 97, 0));
    slab_free(p);
    slab_free(slab_zalloc(0));
    slab_free(slab_zalloc(100000));
    slab_free(NULL);
}

#if !MEM_SANITIZED
static void gives_back_what_was_freed_last(void)
{
    void *p = slab_alloc(33), *q = slab_alloc(64);

    slab_free(p);
    slab_free(q);
    CHECK(slab_alloc(50) == q);
    CHECK(slab_alloc(50) == p);
    slab_free(p);
    slab_free(q);
}
#endif

static void does_not_keep_without_end(void)
{
    static void *blocks[4000];
    size_t i;

    for (i = 0; i < 4000; i++)
        blocks[i] = slab_alloc(500);
    for (i = 0; i < 4000; i++)
        slab_free(blocks[i]);
    CHECK(slab_kept() <= SLAB_KEPT_MAX);
    i = slab_kept();
    slab_free(slab_alloc(SLAB_LARGEST + 1));
    CHECK_INT(slab_kept(), i);
}

int main(void)
{
    RUN(keeps_bytes_through_every_change_of_size);
    RUN(zeroes_what_was_used_before);
#if !MEM_SANITIZED
    RUN(gives_back_what_was_freed_last);
#endif
    RUN(does_not_keep_without_end);
    return test_finish();
}
