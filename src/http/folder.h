/* A folder whose files are served, and the files of it that are kept open: a
 * bounded number, each looked at again after a second. One for each
 * luaserve.static, and one for res:sendFile. On the loop, but for the jobs. */
#ifndef HTTP_FOLDER_H
#define HTTP_FOLDER_H

#include "http/file.h"
#include "net/work.h"

enum {
    FOLDER_FILES = 256,   /* kept, of one folder */
    FOLDER_OPEN = 32,     /* descriptors of them; small ones need none */
    FOLDER_BUCKETS = 512, /* a power of two */
    FOLDER_FRESH = 1      /* seconds until a file is looked at again */
};

/* From now on files are looked at each time they are asked for, in all folders
 * of the process: for development. */
void folder_doubt(void);

struct folder {
    struct root *root;
    char *name; /* as it was given, absolute */
    double checked;
    bool siblings; /* look for precompressed ones */
    unsigned uses; /* its owner's, and of jobs */
    unsigned count, open;
    struct file *last; /* found, and not kept */
    struct list files; /* the one used last at the end */
    struct file *buckets[FOLDER_BUCKETS];
};

/* A look at a file on a thread of the pool. */
struct folder_job {
    struct job job;
    struct folder *folder;
    struct root *root, *fresh; /* the folder's; NULL, or its new one */
    struct file *file;
    char path[FILE_PATH_MAX + 1];
};

/* Opens the folder name, an absolute path. NULL with errno. */
struct folder *folder_open(const char *name, bool siblings);

/* Lets go of the folder; it goes when no job is at work on it. */
void folder_close(struct folder *folder);

/* The file path of folder, borrowed until the next call, as it was at most a
 * second ago. now: loop time. NULL where that has to be read from the disk:
 * then folder_job_run on a thread, and folder_job_done on the loop. */
struct file *folder_find(struct folder *folder, const char *path, double now);

/* A job that looks at path; its owner frees it with folder_job_free. */
struct folder_job *folder_job_new(struct folder *folder, const char *path,
                                  double now);

/* On a thread. */
void folder_job_run(struct folder_job *job);

/* Keeps what the job has found, for folder_find within this turn. */
void folder_job_done(struct folder_job *job, double now);

void folder_job_free(struct folder_job *job);

#endif
