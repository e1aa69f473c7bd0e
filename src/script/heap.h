/* The memory of Lua's heap: small blocks from lists by size, larger ones from
 * malloc, all of it counted. Used by script.c, which sets the limit. */
#ifndef SCRIPT_HEAP_H
#define SCRIPT_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
    uint64_t used;  /* bytes that Lua holds */
    uint64_t mark;  /* above which on_mark is called; at most limit */
    uint64_t limit; /* above which allocations fail */
    /* Called within an allocation: must not make another, and raises mark. */
    void (*on_mark)(struct heap *heap);
};

/* Makes heap empty and without a limit. */
void heap_init(struct heap *heap);

/* Lua's allocator (lua_Alloc); ud is a struct heap. */
void *heap_allocate(void *ud, void *p, size_t old, size_t size);

#endif
