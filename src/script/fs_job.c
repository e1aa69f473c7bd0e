/* A job is one block of memory: the struct, then the text of its arguments, so
 * that it can only leak as a whole, and l_fs.c makes it when nothing can raise
 * any more. What is read is a second block, made by malloc itself and not by
 * mem_alloc, because its size is the world's: where there is no memory for a
 * file, that file cannot be read, and the process goes on. */
#include "script/fs_job.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "script/script.h"

/* Copies n bytes and a NUL to *room, and moves it behind them. */
static char *copy(char **room, const char *p, size_t n)
{
    char *at = *room;

    memcpy(at, p, n);
    at[n] = '\0';
    *room += n + 1;
    return at;
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Within the budget of --max-memory a file's bytes are there twice for a
 * moment: as read, and as the string of Lua. The string is what counts. */
static size_t memory_left(void)
{
    uint64_t max = script_state.max_memory, used = script_state.heap.used;
    uint64_t left = used < max ? max - used : 0;

    return max == 0 || left > FS_READ_MAX ? FS_READ_MAX : (size_t)left;
}

struct fs_job *fs_job_new(const struct fs_op *op, const struct fs_args *args)
{
    size_t text = size_of(args->path) + size_of(args->dest);
    struct fs_job *job = mem_alloc(sizeof *job + text + args->data.n + 1);
    char *room = (char *)(job + 1);

    memset(job, 0, sizeof *job);
    list_init(&job->link);
    job->op = op;
    job->args = *args;
    job->limit = memory_left();
    if (args->path != NULL)
        job->args.path = copy(&room, args->path, strlen(args->path));
    if (args->dest != NULL)
        job->args.dest = copy(&room, args->dest, strlen(args->dest));
    if (args->data.n > 0)
        job->args.data.p = copy(&room, args->data.p, args->data.n);
    return job;
}

void fs_job_free(struct fs_job *job)
{
    if (job == NULL)
        return;
    free(job->data);
    free(job->names);
    mem_free(job);
}

void fs_job_fail(struct fs_job *job, const char *syscall)
{
    job->error = errno;
    job->syscall = syscall;
}

/* ---- results */

static void set_field(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, key);
    lua_pushstring(L, value);
    lua_rawset(L, -3);
}

/* Of two paths Node's message names both: "rename 'a' -> 'b'". */
static void push_error(lua_State *L, const struct fs_job *job)
{
    const char *syscall = job->syscall ? job->syscall : job->op->syscall;
    const char *path = job->no_path ? NULL : job->args.path;

    if (path == NULL || job->args.dest == NULL) {
        wait_push_errno(L, job->error, syscall, path);
        return;
    }
    lua_pushfstring(L, "%s' -> '%s", path, job->args.dest);
    wait_push_errno(L, job->error, syscall, lua_tostring(L, -1));
    set_field(L, "path", path);
    set_field(L, "dest", job->args.dest);
    lua_remove(L, -2);
}

int fs_job_push(lua_State *L, void *arg)
{
    struct fs_job *job = arg;

    luaL_checkstack(L, 8, "fs");
    if (job->error != 0) {
        push_error(L, job);
        return 1;
    }
    lua_pushnil(L);
    if (job->op->push != NULL)
        return 1 + job->op->push(L, job);
    lua_pushboolean(L, 1);
    return 2;
}

/* ---- at once */

static int guard_gc(lua_State *L)
{
    struct fs_job **guard = lua_touserdata(L, 1);

    fs_job_free(*guard);
    *guard = NULL;
    return 0;
}

/* [-0, +1, m] Pushes a userdata that frees the job set in it, so that pushing
 * its result may raise. */
static struct fs_job **push_guard(lua_State *L)
{
    struct fs_job **guard = lua_newuserdatauv(L, sizeof *guard, 0);

    *guard = NULL;
    if (luaL_newmetatable(L, "fs.job")) {
        lua_pushcfunction(L, guard_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return guard;
}

int fs_job_run_sync(lua_State *L, const struct fs_op *op,
                    const struct fs_args *args)
{
    struct fs_job **guard = push_guard(L);
    int n;

    *guard = fs_job_new(op, args);
    op->run(*guard);
    n = fs_job_push(L, *guard);
    fs_job_free(*guard);
    *guard = NULL;
    if (!lua_isnil(L, -n))
        return lua_error(L);
    return n - 1;
}
