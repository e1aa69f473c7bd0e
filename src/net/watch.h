/* Folders that are watched for changes, over inotify: what is written, moved in
 * or out, made or removed in them. Editors save by renaming, so that a file
 * alone cannot be watched. Used by script/l_watch.c, for --watch. */
#ifndef NET_WATCH_H
#define NET_WATCH_H

#include <stdbool.h>

#include "net/loop.h"

enum watch_kind {
    WATCH_WRITTEN, /* a file was closed by who wrote it, or moved here */
    WATCH_MADE,    /* it is new: a file that is perhaps still being written */
    WATCH_GONE,    /* removed, or moved away */
    WATCH_LOST,  /* the folder itself is: its number is another's from now on */
    WATCH_MISSED /* there were more events than the kernel keeps: anything */
};

struct watch_event {
    enum watch_kind kind;
    int folder;       /* as watch_add returned it; -1 with WATCH_MISSED */
    const char *name; /* in the folder, "" for itself; valid in the callback */
    bool is_folder;   /* what the name stands for */
};

struct watch {
    struct ev_io io;
    struct loop *loop; /* NULL: closed */
    void (*on_event)(struct watch *w, const struct watch_event *event);
};

/* Makes w (embedded, borrowed by the loop until watch_close), which keeps the
 * loop running. on_event may close it. Returns 0, or -1 and errno. */
int watch_open(struct watch *w, struct loop *loop,
               void (*on_event)(struct watch *w,
                                const struct watch_event *event));

/* Watches a folder, not those in it. The number of a folder that is watched
 * already is the same again. Returns it, or -1 and errno. */
int watch_add(struct watch *w, const char *path);

/* Watches it no more; a number that is none is ignored. */
void watch_remove(struct watch *w, int folder);

/* Watches nothing any more; harmless where w is closed already. */
void watch_close(struct watch *w);

#endif
