/* Small blocks for a library that asks for many of them and frees them soon, of
 * whatever size: nghttp2, four for each request (http/h2_session.c). Like
 * base/mem.h they never fail; a block of one may not be freed by the other.
 * Single-threaded by design: the loop's thread. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

enum {
    SLAB_STEP = 32,            /* bytes between the sizes that are kept */
    SLAB_LARGEST = 512,        /* bytes; larger blocks are malloc's */
    SLAB_KEPT_MAX = 256 * 1024 /* bytes of free blocks that are kept */
};

/* Returns n bytes, uninitialised; the caller owns them. n may be 0. */
void *slab_alloc(size_t n) __attribute__((returns_nonnull));

/* Returns n zeroed bytes; the caller owns them. */
void *slab_zalloc(size_t n) __attribute__((returns_nonnull));

/* Resizes p (owned, may be NULL) to n bytes; takes p, the caller owns the
 * result. */
void *slab_realloc(void *p, size_t n) __attribute__((returns_nonnull));

/* Frees p, which may be NULL. */
void slab_free(void *p);

/* Bytes of free blocks that are kept now, for tests. */
size_t slab_kept(void);

#endif
