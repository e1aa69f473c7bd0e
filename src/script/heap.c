/* Nearly everything that a request makes in Lua is small and dies young, and
 * Lua says the size of what it gives back: a list of free blocks for each size
 * serves that with a few instructions where malloc needs a hundred. The lists
 * are filled from slabs, which are kept for reuse and never returned; what they
 * hold is bounded by the most that was in use at once. Under the sanitizers
 * every block is malloc's, so that they see each one. */
#include "script/heap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    STEP = 16,   /* bytes between sizes, and alignment */
    SMALL = 256, /* the largest size that has a list */
    CLASSES = SMALL / STEP,
    SLAB = 16 * 1024 /* bytes that a list is filled from */
};

enum { POOLED = !MEM_SANITIZED };

struct block {
    struct block *next;
};

static struct block *lists[CLASSES];
static char *slab;
static size_t slab_left;

static unsigned class_of(size_t size) /* 1 to SMALL */
{
    return (unsigned)(size - 1) / STEP;
}

/* Fills the list from a slab with a handful of blocks. */
static void *refill(unsigned class)
{
    size_t size = ((size_t) class + 1) * STEP;
    struct block *block;

    if (slab_left < size) {
        slab = malloc(SLAB);
        slab_left = slab != NULL ? SLAB : 0;
        if (slab == NULL)
            return NULL;
    }
    block = (struct block *)(void *)slab;
    slab += size;
    slab_left -= size;
    return block;
}

static void *take(size_t size)
{
    unsigned class = class_of(size);
    struct block *block = lists[class];

    if (block == NULL)
        return refill(class);
    lists[class] = block->next;
    return block;
}

static void give(void *p, size_t size)
{
    struct block *block = p;
    unsigned class = class_of(size);

    block->next = lists[class];
    lists[class] = block;
}

static void *allocate(size_t size)
{
    return POOLED && size <= SMALL ? take(size) : malloc(size);
}

static void release(void *p, size_t old)
{
    if (POOLED && old <= SMALL && old > 0)
        give(p, old);
    else
        free(p);
}

static void *resize(void *p, size_t old, size_t size)
{
    void *new;

    if (!POOLED || (old > SMALL && size > SMALL))
        return realloc(p, size);
    if (old <= SMALL && size <= SMALL && old > 0 &&
        class_of(old) == class_of(size))
        return p;
    new = allocate(size);
    if (new == NULL)
        return NULL;
    memcpy(new, p, old < size ? old : size);
    release(p, old);
    return new;
}

void heap_init(struct heap *heap)
{
    *heap = (struct heap){.mark = UINT64_MAX, .limit = UINT64_MAX};
}

/* Whether so much more may be had, which is above the mark. */
static bool rise(struct heap *heap, size_t more)
{
    if (heap->used + more > heap->limit)
        return false;
    heap->on_mark(heap);
    return true;
}

/* What is asked for most, a new block and giving one back, is decided first. */
void *heap_allocate(void *ud, void *p, size_t old, size_t size)
{
    struct heap *heap = ud;
    void *new;

    old = p != NULL ? old : 0; /* else it is a type */
    if (size == 0) {
        heap->used -= old;
        if (p != NULL)
            release(p, old);
        return NULL;
    }
    if (size > old && heap->used + (size - old) > heap->mark &&
        !rise(heap, size - old))
        return NULL;
    new = p == NULL ? allocate(size) : resize(p, old, size);
    if (new != NULL)
        heap->used += size - old;
    return new;
}
