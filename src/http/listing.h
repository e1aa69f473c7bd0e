/* The names in a folder that is served, for a page that lists them. Made on a
 * thread. */
#ifndef HTTP_LISTING_H
#define HTTP_LISTING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "http/root.h"

enum { LISTING_MAX = 10000 }; /* names; the rest is left out */

struct listing_entry {
    char *name; /* owned */
    bool folder;
    int64_t size;
    time_t modified;
};

struct listing {
    struct listing_entry *entries;
    size_t n, cap;
    bool cut; /* there are more */
};

/* Reads the folder path below root: regular files and folders that can be
 * reached without leaving root, hidden: also those that begin with a dot.
 * Returns 0, or -1 with errno. In any case listing_clear is due. */
int listing_read(struct listing *list, const struct root *root,
                 const char *path, bool hidden);

void listing_clear(struct listing *list);

#endif
