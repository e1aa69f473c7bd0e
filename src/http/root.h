/* A folder of the file system out of which no name leads: neither "..", nor a
 * symbolic link, nor a folder that is replaced meanwhile. Used by http/file.c,
 * also on threads: its functions touch nothing but what they are given. */
#ifndef HTTP_ROOT_H
#define HTTP_ROOT_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    ROOT_DEPTH = 64, /* folders of a path */
    ROOT_LINKS = 40  /* symbolic links that are followed, as the kernel does */
};

struct root {
    unsigned uses; /* of those who hold it; counted on the loop alone */
    int fd;        /* O_PATH */
    dev_t dev;
    ino_t ino;
    char path[]; /* absolute, without links */
};

/* Opens the folder path; the caller holds it. NULL with errno (ENOTDIR where it
 * is none). */
struct root *root_open(const char *path);

/* Lets go of root (NULL is ignored); the last one closes it. */
void root_drop(struct root *root);

/* Opens path below root, "" for the folder itself, with those flags of open(2)
 * and O_CLOEXEC. Links are followed as long as they stay below root. cached:
 * only where nothing has to be read for it, so that it cannot block. Returns
 * the descriptor (the caller's), or -1 with errno: EXDEV where the path leads
 * out, EAGAIN where it is not known without reading. */
int root_descend(const struct root *root, const char *path, int flags,
                 bool cached);

/* The same, folder by folder: for kernels without openat2, and for links that
 * name an absolute path. It may block. */
int root_walk(const struct root *root, const char *path, int flags);

#endif
