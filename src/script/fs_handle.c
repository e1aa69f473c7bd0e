/* The struct is apart from its userdata, because a job may be at work on it
 * when Lua has let go. Only the one job that is out touches fd, error and
 * closed; the queue's lock in the pool orders it with what comes after. Left
 * out: ...Sync methods, which would have to wait for the job on the thread. */
#include "script/fs_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/fs_data.h"
#include "script/fs_path.h"
#include "script/script.h"

enum { CACHED_MAX = 256 * 1024 }; /* bytes that a read on the loop may copy */

struct fs_handle {
    int fd;    /* -1: not open yet, or no more */
    int error; /* why it could not be opened */
    int flags; /* of open */
    mode_t mode;
    bool closed;
    bool regular; /* a file, and no pipe or device */
    char *path;   /* owned */

    struct list queue; /* jobs that wait; the loop's */
    bool busy;         /* a job is out */
    bool orphan;       /* the userdata is gone */
};

/* The same name for every userdata of this kind. */
static const char kind[] = "fs.Handle";

/* ---- on a thread */

static bool is_regular(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Opens the file if need be. Returns the descriptor, or -1, the job failed. */
static int open_file(struct fs_job *job)
{
    struct fs_handle *handle = job->handle;

    if (handle->fd < 0 && !handle->closed && handle->error == 0) {
        handle->fd = fs_data_open(handle->path, handle->flags, handle->mode);
        handle->error = handle->fd < 0 ? errno : 0;
        handle->regular = handle->fd >= 0 && is_regular(handle->fd);
    }
    if (handle->error != 0) {
        job->error = handle->error;
        job->syscall = "open";
    } else if (handle->closed) {
        job->error = EBADF;
        job->no_path = true;
    }
    return handle->fd;
}

static void run_open(struct fs_job *job)
{
    open_file(job);
}

/* One read behind what the job has, up to its count. */
static ssize_t read_some(struct fs_job *job, int fd, int flags)
{
    struct iovec rest = {job->data + job->size, job->args.count - job->size};
    int64_t at = job->args.offset;
    ssize_t n;

    if (at >= 0)
        at += (int64_t)job->size;
    do
        n = preadv2(fd, &rest, 1, (off_t)at, flags);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        job->size += (size_t)n;
    return n;
}

/* Reads as much as is there, up to count. */
static void run_read(struct fs_job *job)
{
    int fd = open_file(job);

    if (fd < 0)
        return;
    if (job->args.count > FS_READ_MAX)
        job->args.count = FS_READ_MAX;
    if (job->data == NULL)
        job->data = malloc(job->args.count + 1);
    if (job->data == NULL || read_some(job, fd, 0) < 0)
        fs_job_fail(job, NULL);
    job->no_path = job->error == EISDIR; /* as in Node */
}

/* On the loop: reads what the kernel has in memory, which saves the way to a
 * thread and back. False where that is not all that was asked for, or the file
 * system cannot tell: then run_read goes on behind what is there. */
static bool read_cached(struct fs_job *job)
{
    const struct fs_handle *handle = job->handle;
    size_t count = job->args.count;
    ssize_t n = 1;

    if (job->op->run != run_read || !handle->regular || handle->closed ||
        count == 0 || count > CACHED_MAX)
        return false;
    job->data = malloc(count + 1);
    while (job->data != NULL && n > 0 && job->size < count)
        n = read_some(job, handle->fd, RWF_NOWAIT);
    return job->data != NULL && n >= 0;
}

static void run_write(struct fs_job *job)
{
    int fd = open_file(job);

    if (fd >= 0 && fs_data_write(fd, job->args.data, job->args.offset) < 0)
        fs_job_fail(job, NULL);
}

static void run_stat(struct fs_job *job)
{
    int fd = open_file(job);

    if (fd >= 0 && fstat(fd, &job->stat) < 0)
        fs_job_fail(job, NULL);
}

static void run_truncate(struct fs_job *job)
{
    int fd = open_file(job);

    if (fd >= 0 && ftruncate(fd, (off_t)job->args.count) < 0)
        fs_job_fail(job, NULL);
}

static void run_sync(struct fs_job *job)
{
    int fd = open_file(job);

    if (fd >= 0 && fsync(fd) < 0)
        fs_job_fail(job, NULL);
}

/* Closing twice, or what never was open, is fine. */
static void run_close(struct fs_job *job)
{
    struct fs_handle *handle = job->handle;

    handle->closed = true;
    if (handle->fd < 0)
        return;
    if (close(handle->fd) < 0 && errno != EINTR)
        fs_job_fail(job, NULL);
    handle->fd = -1;
}

/* ---- on the loop */

/* nil at the end of the file; but a read of no bytes gets none. */
static int push_read(lua_State *L, struct fs_job *job)
{
    if (job->size == 0 && job->args.count > 0)
        lua_pushnil(L);
    else
        lua_pushlstring(L, job->data, job->size);
    return 1;
}

const struct fs_op fs_handle_ops[] = {
    {.name = "open", .arguments = "", .syscall = "open", .run = run_open},
    {.name = "read",
     .arguments = "NP",
     .syscall = "read",
     .run = run_read,
     .push = push_read},
    {.name = "write", .arguments = "dP", .syscall = "write", .run = run_write},
    {.name = "stat",
     .arguments = "",
     .syscall = "fstat",
     .run = run_stat,
     .push = fs_path_push_stat},
    {.name = "truncate",
     .arguments = "n",
     .syscall = "ftruncate",
     .run = run_truncate},
    {.name = "sync", .arguments = "", .syscall = "fsync", .run = run_sync},
    {.name = "close", .arguments = "", .syscall = "close", .run = run_close},
    {.name = NULL},
};

static void handle_free(struct fs_handle *handle)
{
    if (handle->fd >= 0)
        close(handle->fd);
    mem_free(handle->path);
    mem_free(handle);
}

static void begin(struct fs_job *job)
{
    if (read_cached(job))
        work_submit_done(script_state.work, &job->job);
    else
        work_submit(script_state.work, &job->job);
}

void fs_handle_submit(struct fs_handle *handle, struct fs_job *job)
{
    job->handle = handle;
    job->args.path = handle->path; /* for messages */
    if (handle->busy) {
        list_push(&handle->queue, &job->link);
        return;
    }
    handle->busy = true;
    begin(job);
}

void fs_handle_ended(struct fs_job *job)
{
    struct fs_handle *handle = job->handle;
    struct list *next = list_shift(&handle->queue);

    handle->busy = next != NULL;
    if (next != NULL)
        begin(LIST_ITEM(next, struct fs_job, link));
    else if (handle->orphan)
        handle_free(handle);
}

/* ---- the userdata */

struct fs_handle *fs_handle_check(lua_State *L, int i)
{
    struct fs_handle **box = luaL_checkudata(L, i, kind);

    if (*box == NULL) /* used by a finalizer that came later */
        luaL_argerror(L, i, "the file has been collected");
    return *box;
}

static int handle_gc(lua_State *L)
{
    struct fs_handle **box = lua_touserdata(L, 1);
    struct fs_handle *handle = *box;

    *box = NULL;
    if (handle == NULL)
        return 0;
    if (handle->busy)
        handle->orphan = true;
    else
        handle_free(handle);
    return 0;
}

static int handle_tostring(lua_State *L)
{
    struct fs_handle *handle = fs_handle_check(L, 1);

    lua_pushfstring(L, "file '%s'", handle->path);
    return 1;
}

void fs_handle_push_metatable(lua_State *L, bool *made)
{
    *made = luaL_newmetatable(L, kind) != 0;
    if (!*made)
        return;
    lua_pushcfunction(L, handle_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, handle_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "file");
    lua_setfield(L, -2, "__metatable");
}

void fs_handle_push(lua_State *L, const char *path, int flags, mode_t mode)
{
    struct fs_handle **box = lua_newuserdatauv(L, sizeof *box, 0);
    struct fs_handle *handle;
    bool made;

    *box = NULL;
    fs_handle_push_metatable(L, &made);
    lua_setmetatable(L, -2);
    handle = mem_zalloc(sizeof *handle);
    handle->fd = -1;
    handle->flags = flags;
    handle->mode = mode;
    handle->path = mem_strdup(path);
    list_init(&handle->queue);
    *box = handle;
}
