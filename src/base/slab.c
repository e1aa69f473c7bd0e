/* A list of free blocks for each size, last in first out, so that what is used
 * next is in the cache. Each block has its size in front, since those who free
 * do not say it. Under the sanitizers nothing is kept, so that they see each
 * use of what was freed. */
#include "base/slab.h"

#include <string.h>

#include "base/mem.h"

enum { CLASSES = SLAB_LARGEST / SLAB_STEP };

enum { KEPT_MAX = MEM_SANITIZED ? 0 : SLAB_KEPT_MAX };

struct block {
    _Alignas(16) size_t size; /* bytes behind this struct */
    struct block *next;       /* of those that are kept */
};

static struct block *lists[CLASSES];
static size_t kept;

/* The list for blocks of that size, at most SLAB_LARGEST. */
static struct block **list_of(size_t size)
{
    return &lists[size / SLAB_STEP - 1];
}

/* n made a size that has a list, where there is one. */
static size_t rounded(size_t n)
{
    return n == 0 ? SLAB_STEP : (n + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP;
}

void *slab_alloc(size_t n)
{
    size_t size = n <= SLAB_LARGEST ? rounded(n) : n;
    struct block *block = size <= SLAB_LARGEST ? *list_of(size) : NULL;

    if (block != NULL) {
        *list_of(size) = block->next;
        kept -= size;
    } else {
        block = mem_alloc(sizeof *block + size);
        block->size = size;
    }
    return block + 1;
}

void *slab_zalloc(size_t n)
{
    return memset(slab_alloc(n), 0, n);
}

void slab_free(void *p)
{
    struct block *block = p;

    if (p == NULL)
        return;
    block--;
    if (block->size > SLAB_LARGEST || kept + block->size > KEPT_MAX) {
        mem_free(block);
        return;
    }
    kept += block->size;
    block->next = *list_of(block->size);
    *list_of(block->size) = block;
}

void *slab_realloc(void *p, size_t n)
{
    struct block *block = p;
    void *new;

    if (p != NULL && n <= block[-1].size)
        return p;
    new = slab_alloc(n);
    if (p != NULL)
        memcpy(new, p, block[-1].size);
    slab_free(p);
    return new;
}

size_t slab_kept(void)
{
    return kept;
}
