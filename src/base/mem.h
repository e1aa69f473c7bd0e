/* Heap memory that never fails: out of memory aborts the process with one line
 * on standard error, and the supervisor starts a new one. Used by everybody
 * above; memory that lives as long as a request comes from a pool instead. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* 1 where the address sanitizer looks at each block: then none may be kept for
 * the next who asks, or the use of what was freed goes unseen. */
#if defined(__has_feature) /* clang */
#define MEM_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define MEM_SANITIZED 1
#else
#define MEM_SANITIZED 0
#endif

enum {
    MEM_KEPT = 8 * 1024 * 1024, /* free bytes that malloc does not give back */
    MEM_APART = 4 * 1024 * 1024 /* from so many on, a block is mapped alone,
                                 * and costs a page fault for each 4 KiB */
};

/* Tells malloc what a server is like; to be called before there are threads.
 * What a thread of the pool has read is freed on the loop's: memory of one
 * arena, that stays at hand, saves a page fault for every 4 KiB of a stream,
 * which costs several times what is done with the bytes. */
void mem_tune(void);

/* Returns p, what an allocator of another library gave; aborts where that is
 * NULL. */
void *mem_checked(void *p) __attribute__((returns_nonnull));

/* Returns n bytes, uninitialised; the caller owns them. n may be 0. */
void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));

/* Returns n zeroed bytes; the caller owns them. */
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));

/* Resizes p (owned, may be NULL) to n bytes; takes p, the caller owns the
 * result. */
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull));

/* Returns a NUL-terminated copy of s; the caller owns it. */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));

/* Frees p, which may be NULL. */
void mem_free(void *p);

#endif
