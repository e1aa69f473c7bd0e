/* One operation of the module "fs": what to do (struct fs_op), with what
 * (struct fs_args), and what came of it. A job is run on a thread of the pool,
 * or, for a ...Sync function, where it is called; it holds copies of all its
 * arguments and touches no Lua before fs_job_push. Made by l_fs.c and
 * fs_handle.c, run by the functions of fs_path, fs_tree, fs_data and fs_handle.
 */
#ifndef SCRIPT_FS_JOB_H
#define SCRIPT_FS_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/str.h"
#include "net/work.h"
#include "script/compat.h"
#include "script/wait.h"

enum {
    FS_READ_SIZE = 64 * 1024, /* bytes that one read asks for by default */
    FS_RANDOM_SIZE = 6        /* characters that mkdtemp makes up */
};

/* The most that one read may bring into memory: what Node reads too, and what
 * a string of LuaJIT can hold. */
#define FS_READ_MAX ((size_t)0x7fffff00)

struct fs_handle;
struct fs_job;

/* What a function of the module is; all are constants. */
struct fs_op {
    const char *name; /* readFile; readFileSync is the same at once */
    /* One letter for each argument before the callback: p path (the second
     * one is dest), d data, m mode, s a time (the second one is mtime); and
     * those that may be missing: O options, N count (of a read), n count (else
     * 0), P position, B bits. */
    const char *arguments;
    const char *syscall; /* named in errors, as in Node */
    void (*run)(struct fs_job *job);
    /* [-0, +n, m] Pushes what the function returns; NULL: true. */
    int (*push)(lua_State *L, struct fs_job *job);
    int flags; /* of open where the script gives none */
    mode_t mode;
};

/* What a script has passed. The strings end in NUL; data need not. */
struct fs_args {
    const char *path, *dest; /* NULL where there is none */
    struct str data;
    size_t count;
    int64_t offset; /* -1: where the file stands */
    double atime, mtime;
    int flags;
    mode_t mode;
    bool recursive, force;
};

struct fs_job {
    struct job job;
    struct list link; /* in the queue of its handle */
    struct wait wait;
    const struct fs_op *op;
    struct fs_handle *handle; /* NULL for an operation on a path */
    struct fs_args args;
    size_t limit; /* bytes that may be brought into memory */

    int error;           /* an errno, 0 for success */
    const char *syscall; /* that failed, where it is not op->syscall */
    bool no_path;        /* the error is not about the path */
    bool flag;           /* a yes or no */
    char *data;          /* bytes read, or text; freed with the job */
    size_t size;
    char **names; /* of a directory, size of them within data */
    struct stat stat;
};

/* Makes a job with copies of what args points to. The caller owns it. */
struct fs_job *fs_job_new(const struct fs_op *op, const struct fs_args *args);

/* Frees a job that is neither queued nor running; NULL is ignored. */
void fs_job_free(struct fs_job *job);

/* Records errno as the job's failure, of that system call (NULL: the op's). */
void fs_job_fail(struct fs_job *job, const char *syscall);

/* [-0, +n, m] Pushes nil and the results, or an error value alone; arg is the
 * job. For wait_settle; returns how many. */
int fs_job_push(lua_State *L, void *arg);

/* [-0, +(n|0), v] Runs the job here and now, frees it, and pushes its results;
 * raises its error. Returns how many. */
int fs_job_run_sync(lua_State *L, const struct fs_op *op,
                    const struct fs_args *args);

#endif
