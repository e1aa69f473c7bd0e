/* Scripts get two functions for each operation on a path: one that waits, as in
 * script/wait.h, by way of the thread pool, and one with "Sync" behind its name
 * that does all of it where it is called. Both are made of the same line of the
 * table below; what they do is in fs_path, fs_tree and fs_data, and open files
 * are in fs_handle. lua/node/fs.lua completes the module. */
#include <fcntl.h>

#include "script/fs_args.h"
#include "script/fs_data.h"
#include "script/fs_handle.h"
#include "script/fs_job.h"
#include "script/fs_path.h"
#include "script/fs_tree.h"
#include "script/modules.h"
#include "script/script.h"

enum { FILE_MODE = 0666, DIRECTORY_MODE = 0777 }; /* less the umask */

static const struct fs_op path_ops[] = {
    {"access", "pB", "access", fs_path_access, NULL, 0, 0},
    {"appendFile", "pdO", "open", fs_data_write_file, NULL,
     O_WRONLY | O_CREAT | O_APPEND, FILE_MODE},
    {"chmod", "pm", "chmod", fs_path_chmod, NULL, 0, 0},
    {"copyFile", "ppB", "copyfile", fs_data_copy_file, NULL, 0, 0},
    {"exists", "p", "access", fs_path_exists, fs_path_push_flag, 0, 0},
    {"link", "pp", "link", fs_path_link, NULL, 0, 0},
    {"lstat", "pO", "lstat", fs_path_lstat, fs_path_push_stat, 0, 0},
    {"mkdir", "pO", "mkdir", fs_tree_mkdir, NULL, 0, DIRECTORY_MODE},
    {"mkdtemp", "pO", "mkdtemp", fs_path_mkdtemp, fs_path_push_text, 0, 0},
    {"readFile", "pO", "open", fs_data_read_file, fs_path_push_text, 0, 0},
    {"readdir", "pO", "scandir", fs_path_readdir, fs_path_push_names, 0, 0},
    {"readlink", "pO", "readlink", fs_path_readlink, fs_path_push_text, 0, 0},
    {"realpath", "pO", "realpath", fs_path_realpath, fs_path_push_text, 0, 0},
    {"rename", "pp", "rename", fs_path_rename, NULL, 0, 0},
    {"rm", "pO", "rm", fs_tree_rm, NULL, 0, 0},
    {"rmdir", "pO", "rmdir", fs_path_rmdir, NULL, 0, 0},
    {"stat", "pO", "stat", fs_path_stat, fs_path_push_stat, 0, 0},
    {"symlink", "pp", "symlink", fs_path_symlink, NULL, 0, 0},
    {"truncate", "pn", "truncate", fs_path_truncate, NULL, 0, 0},
    {"unlink", "p", "unlink", fs_path_unlink, NULL, 0, 0},
    {"utimes", "pss", "utime", fs_path_utimes, NULL, 0, 0},
    {"writeFile", "pdO", "open", fs_data_write_file, NULL,
     O_WRONLY | O_CREAT | O_TRUNC, FILE_MODE},
    {.name = NULL},
};

/* ---- by way of a thread */

static void run_job(struct job *job)
{
    struct fs_job *self = LIST_ITEM(job, struct fs_job, job);

    self->op->run(self);
}

/* A cancelled job belongs to a process that ends: nobody is told. */
static void job_done(struct job *job)
{
    struct fs_job *self = LIST_ITEM(job, struct fs_job, job);

    if (self->handle != NULL)
        fs_handle_ended(self);
    if (!job->cancelled)
        wait_settle(&self->wait, fs_job_push, self);
    fs_job_free(self);
}

/* [-0, +0, v] Makes the job of a function that is called with its arguments
 * from index first on, and sets *wait to the caller's part of it. */
static struct fs_job *begin(lua_State *L, int first, struct wait *wait)
{
    const struct fs_op *op = lua_touserdata(L, lua_upvalueindex(1));
    struct fs_args args;
    struct fs_job *job;

    wait_begin(L, wait, fs_args_read(L, first, op, &args));
    job = fs_job_new(op, &args); /* nothing raises from here on */
    job->wait = *wait;
    job->job.run = run_job;
    job->job.done = job_done;
    return job;
}

/* Any of path_ops. */
static int call_op(lua_State *L)
{
    struct wait wait;
    struct fs_job *job = begin(L, 1, &wait);

    work_submit(script_state.work, &job->job);
    return wait_return(L, &wait);
}

/* Any of path_ops, at once. */
static int call_sync(lua_State *L)
{
    const struct fs_op *op = lua_touserdata(L, lua_upvalueindex(1));
    struct fs_args args;

    fs_args_read(L, 1, op, &args);
    return fs_job_run_sync(L, op, &args);
}

/* Any of fs_handle_ops. */
static int call_method(lua_State *L)
{
    struct fs_handle *handle = fs_handle_check(L, 1);
    struct wait wait;
    struct fs_job *job = begin(L, 2, &wait);

    fs_handle_submit(handle, job);
    return wait_return(L, &wait);
}

/* ---- for lua/node/fs.lua */

/* file(path, flags, mode) -> a handle, which its first operation opens */
static int file(lua_State *L)
{
    const char *path = fs_args_path(L, 1);
    int flags = fs_args_flags(L, 2, O_RDONLY);

    fs_handle_push(L, path, flags, fs_args_mode(L, 3, FILE_MODE));
    return 1;
}

/* ---- the tables */

/* [-0, +0, m] t[name .. suffix] = fn of op, for the table on top. */
static void set_op(lua_State *L, const struct fs_op *op, const char *suffix,
                   lua_CFunction fn)
{
    lua_pushfstring(L, "%s%s", op->name, suffix);
    lua_pushlightuserdata(L, (void *)(uintptr_t)op);
    lua_pushcclosure(L, fn, 1);
    lua_rawset(L, -3);
}

static int ignore(lua_State *L)
{
    (void)L;
    return 0;
}

/* __close of Lua 5.4: like close(), but nobody waits for it. */
static int close_handle(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, 1, "close");
    lua_insert(L, 1);
    lua_pushcfunction(L, ignore);
    lua_call(L, 2, 0);
    return 0;
}

/* [-0, +0, m] Gives the handles their methods. */
static void open_handles(lua_State *L)
{
    const struct fs_op *op;
    bool made;

    fs_handle_push_metatable(L, &made);
    lua_newtable(L);
    for (op = fs_handle_ops; op->name; op++)
        set_op(L, op, "", call_method);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close_handle);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
}

int l_fs_open(lua_State *L)
{
    const struct fs_op *op;

    open_handles(L);
    lua_newtable(L);
    for (op = path_ops; op->name; op++) {
        set_op(L, op, "", call_op);
        set_op(L, op, "Sync", call_sync);
    }
    lua_pushcfunction(L, file);
    lua_setfield(L, -2, "file");
    fs_path_push_methods(L);
    lua_setfield(L, -2, "Stats");
    return 1;
}
