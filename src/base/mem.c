/* malloc with the answer to failure built in. A server that tries to go on
 * without memory has paths that no test ever runs; dying at once with a clear
 * line and being replaced is the safer promise. Lua's own memory is counted
 * and limited elsewhere (script/script.c), where failing is recoverable. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_tune(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, MEM_KEPT);
    mallopt(M_MMAP_THRESHOLD, MEM_APART);
#endif
}

void *mem_checked(void *p)
{
    if (p == NULL) {
        fputs("luaserve: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t n)
{
    return mem_checked(malloc(n ? n : 1));
}

void *mem_zalloc(size_t n)
{
    return mem_checked(calloc(1, n ? n : 1));
}

void *mem_realloc(void *p, size_t n)
{
    return mem_checked(realloc(p, n ? n : 1));
}

char *mem_strdup(const char *s)
{
    return mem_checked(strdup(s));
}

void mem_free(void *p)
{
    free(p);
}
