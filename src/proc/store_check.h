/* Looks at the file of a store before it is trusted: LMDB believes whatever its
 * pages say, and a damaged one is a crash, or an empty store. Used by
 * proc/store, by a process that has the file to itself. */
#ifndef PROC_STORE_CHECK_H
#define PROC_STORE_CHECK_H

#include <stdint.h>

/* Walks the trees of the file (size bytes, not empty). Returns NULL, or what is
 * wrong with it. */
const char *store_check(int fd, uint64_t size);

#endif
