/* Lua's allocator: blocks keep their bytes through every change of size, what
 * is given back is found again, and the limit holds. */
#include "script/heap.h"

#include <stdint.h>
#include <string.h>

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
    struct heap heap;
    unsigned char *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS] = {0};

    heap_init(&heap);
    for (int round = 0; round < ROUNDS; round++) {
        size_t i = next_random() % BLOCKS, size = next_random() % 700;
        size_t kept = size < sizes[i] ? size : sizes[i];

        blocks[i] = heap_allocate(&heap, blocks[i], sizes[i], size);
        CHECK((blocks[i] == NULL) == (size == 0));
        CHECK((uintptr_t)blocks[i] % 16 == 0);
        if (blocks[i] != NULL) {
            CHECK(holds(blocks[i], kept, (unsigned char)i));
            memset(blocks[i], (int)i, size);
        }
        sizes[i] = size;
    }
    for (int i = 0; i < BLOCKS; i++)
        heap_allocate(&heap, blocks[i], sizes[i], 0);
    CHECK_INT(heap.used, 0);
}

static void counts_what_is_in_use(void)
{
    struct heap heap;
    void *p;

    heap_init(&heap);
    p = heap_allocate(&heap, NULL, 5 /* a type */, 40);
    CHECK_INT(heap.used, 40);
    p = heap_allocate(&heap, p, 40, 4000);
    CHECK_INT(heap.used, 4000);
    p = heap_allocate(&heap, p, 4000, 8);
    CHECK_INT(heap.used, 8);
    heap_allocate(&heap, p, 8, 0);
    CHECK_INT(heap.used, 0);
}

static int marks;

static void on_mark(struct heap *heap)
{
    (void)heap;
    marks++;
}

static void tells_when_the_mark_is_passed(void)
{
    struct heap heap;
    void *p;

    heap_init(&heap);
    heap.mark = 500;
    heap.on_mark = on_mark;
    marks = 0;
    p = heap_allocate(&heap, NULL, 0, 500);
    CHECK_INT(marks, 0);
    p = heap_allocate(&heap, p, 500, 501);
    CHECK_INT(marks, 1);
    heap_allocate(&heap, p, 501, 0);
}

static void fails_above_the_limit_and_leaves_the_block(void)
{
    struct heap heap;
    char *p;

    heap_init(&heap);
    heap.mark = heap.limit = 1000;
    heap.on_mark = on_mark;
    p = heap_allocate(&heap, NULL, 0, 600);
    strcpy(p, "still here");
    CHECK(heap_allocate(&heap, NULL, 0, 600) == NULL);
    CHECK(heap_allocate(&heap, p, 600, 1200) == NULL);
    CHECK(strcmp(p, "still here") == 0);
    CHECK_INT(heap.used, 600);
    p = heap_allocate(&heap, p, 600, 1000);
    CHECK(p != NULL);
    heap_allocate(&heap, p, 1000, 0);
}

int main(void)
{
    RUN(keeps_bytes_through_every_change_of_size);
    RUN(counts_what_is_in_use);
    RUN(tells_when_the_mark_is_passed);
    RUN(fails_above_the_limit_and_leaves_the_block);
    return test_finish();
}
