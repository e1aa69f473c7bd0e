/* The struct is apart from its userdata, because a job may be at work on it
 * when Lua has let go. Only the one job that is out touches fd, error and
 * closed; the queue's lock in the pool orders it with what comes after. Left
 * out: ...Sync methods, which would have to wait for the job on the thread. */
#include "script/fs_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/fs_data.h"
#include "script/fs_path.h"
#include "script/script.h"

struct fs_handle {
    int fd;    /* -1: not open yet, or no more */
    int error; /* why it could not be opened */
    int flags; /* of open */
    mode_t mode;
    bool closed;
    char *path; /* owned */

    struct list queue; /* jobs that wait; the loop's */
    bool busy;         /* a job is out */
    bool orphan;       /* the userdata is gone */
};

/* The same name for every userdata of this kind. */
static const char kind[] = "fs.Handle";

/* ---- on a thread */

/* Opens the file if need be. Returns the descriptor, or -1, the job failed. */
static int open_file(struct fs_job *job)
{
    struct fs_handle *handle = job->handle;

    if (handle->fd < 0 && !handle->closed && handle->error == 0) {
        handle->fd = fs_data_open(handle->path, handle->flags, handle->mode);
        handle->error = handle->fd < 0 ? errno : 0;
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

/* Reads as much as is there, up to count. */
static void run_read(struct fs_job *job)
{
    size_t count = job->args.count;
    int fd = open_file(job);
    ssize_t n;

    if (fd < 0)
        return;
    if (count > FS_READ_MAX)
        count = FS_READ_MAX;
    job->data = malloc(count + 1);
    if (job->data == NULL) {
        fs_job_fail(job, NULL);
        return;
    }
    do
        n = job->args.offset < 0
                ? read(fd, job->data, count)
                : pread(fd, job->data, count, (off_t)job->args.offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        fs_job_fail(job, NULL);
    else
        job->size = (size_t)n;
    job->no_path = job->error == EISDIR; /* as in Node */
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

void fs_handle_submit(struct fs_handle *handle, struct fs_job *job)
{
    job->handle = handle;
    job->args.path = handle->path; /* for messages */
    if (handle->busy) {
        list_push(&handle->queue, &job->link);
        return;
    }
    handle->busy = true;
    work_submit(script_state.work, &job->job);
}

void fs_handle_ended(struct fs_job *job)
{
    struct fs_handle *handle = job->handle;
    struct list *next = list_shift(&handle->queue);

    handle->busy = next != NULL;
    if (next != NULL)
        work_submit(script_state.work,
                    &LIST_ITEM(next, struct fs_job, link)->job);
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
