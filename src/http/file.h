/* A file as it is served: open, with its size, date, tag and media type, its
 * contents where they are few, and its precompressed siblings. It does not
 * change once it is made: http/folder.c makes a new one where the file has
 * changed. Made on the loop or on a thread; used on the loop. */
#ifndef HTTP_FILE_H
#define HTTP_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/str.h"
#include "http/root.h"

enum {
    FILE_CONTENT_MAX = 16 * 1024, /* bytes that are kept in memory */
    FILE_SIBLINGS = 3,            /* .br, .zst, .gz */
    FILE_TAG_SIZE = 48,
    FILE_PATH_MAX = 4000 /* bytes of a path below its root */
};

enum file_kind {
    FILE_NONE, /* there is none of that name, or it is not to be seen */
    FILE_REGULAR,
    FILE_FOLDER,
    FILE_DENIED, /* by the file system's permissions */
    FILE_FAILED  /* error says why */
};

struct file {
    struct list link;  /* the folder's, of all */
    struct file *next; /* the folder's, of those with one hash */
    double checked;    /* loop time when it was looked at */
    unsigned uses;     /* of those who hold it; file_drop */
    enum file_kind kind;
    int error;     /* errno of FILE_FAILED */
    int fd;        /* -1 where the content is in memory */
    unsigned open; /* descriptors, those of siblings too */
    int64_t size;
    struct timespec modified;
    struct str tag;                       /* with its quotes */
    struct str date;                      /* Last-Modified */
    struct str type;                      /* static */
    struct str coding;                    /* of a sibling: "br", static */
    char *content;                        /* all of it, or NULL */
    struct file *siblings[FILE_SIBLINGS]; /* NULL where there is none */
    char tag_text[FILE_TAG_SIZE];
    char date_text[CLOCK_DATE_SIZE + 1];
    char path[]; /* below its root */
};

/* Looks at path below root, for siblings too where asked. cached: where that is
 * possible without reading from a disk; NULL where it is not. The caller holds
 * what is returned. */
struct file *file_look(const struct root *root, const char *path, bool siblings,
                       bool cached);

/* Holds f once more. */
static inline void file_hold(struct file *f)
{
    f->uses++;
}

/* Lets go of f (a struct file *); the last one closes and frees it. */
void file_drop(void *f);

/* Whether the open file is not any more what it was when f was made. */
bool file_changed(const struct file *f);

#endif
