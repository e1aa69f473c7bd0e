/* Each function is one system call, so the threads spend their time in the
 * kernel. Names of a directory are kept in one block with a table of pointers
 * into it, sorted on the thread: the loop only makes strings of them. */
#include "script/fs_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(struct fs_job *job, int result)
{
    if (result < 0)
        fs_job_fail(job, NULL);
}

void fs_path_stat(struct fs_job *job)
{
    check(job, stat(job->args.path, &job->stat));
}

void fs_path_lstat(struct fs_job *job)
{
    check(job, lstat(job->args.path, &job->stat));
}

void fs_path_access(struct fs_job *job)
{
    check(job, access(job->args.path, job->args.flags));
}

void fs_path_exists(struct fs_job *job)
{
    job->flag = access(job->args.path, F_OK) == 0;
}

void fs_path_rename(struct fs_job *job)
{
    check(job, rename(job->args.path, job->args.dest));
}

void fs_path_unlink(struct fs_job *job)
{
    check(job, unlink(job->args.path));
}

void fs_path_rmdir(struct fs_job *job)
{
    check(job, rmdir(job->args.path));
}

void fs_path_link(struct fs_job *job)
{
    check(job, link(job->args.path, job->args.dest));
}

void fs_path_symlink(struct fs_job *job)
{
    check(job, symlink(job->args.path, job->args.dest));
}

void fs_path_chmod(struct fs_job *job)
{
    check(job, chmod(job->args.path, job->args.mode));
}

void fs_path_truncate(struct fs_job *job)
{
    check(job, truncate(job->args.path, (off_t)job->args.count));
}

static struct timespec to_timespec(double seconds)
{
    double whole = floor(seconds);

    return (struct timespec){.tv_sec = (time_t)whole,
                             .tv_nsec = (long)((seconds - whole) * 1e9)};
}

void fs_path_utimes(struct fs_job *job)
{
    struct timespec times[2] = {to_timespec(job->args.atime),
                                to_timespec(job->args.mtime)};

    check(job, utimensat(AT_FDCWD, job->args.path, times, 0));
}

static void set_text(struct fs_job *job, char *text)
{
    job->data = text;
    if (text != NULL)
        job->size = strlen(text);
    else
        fs_job_fail(job, NULL);
}

void fs_path_realpath(struct fs_job *job)
{
    set_text(job, realpath(job->args.path, NULL));
}

void fs_path_mkdtemp(struct fs_job *job)
{
    char *name;

    if (asprintf(&name, "%sXXXXXX", job->args.path) < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    job->data = name;
    job->size = strlen(name);
    if (mkdtemp(name) == NULL)
        fs_job_fail(job, NULL);
}

void fs_path_readlink(struct fs_job *job)
{
    char text[PATH_MAX + 1];
    ssize_t n = readlink(job->args.path, text, sizeof text - 1);

    if (n < 0) {
        fs_job_fail(job, NULL);
        return;
    }
    text[n] = '\0';
    set_text(job, strdup(text));
}

/* ---- directories */

struct names {
    char *text; /* one behind the other, each with its NUL */
    size_t size, capacity;
    size_t count;
};

/* Returns 0, or -1 with errno. */
static int add_name(struct names *names, const char *name)
{
    size_t n = strlen(name) + 1;

    if (names->size + n > names->capacity) {
        size_t capacity = names->capacity * 2 + 4096;
        char *text = realloc(names->text, capacity);

        if (text == NULL)
            return -1;
        names->text = text;
        names->capacity = capacity;
    }
    memcpy(names->text + names->size, name, n);
    names->size += n;
    names->count++;
    return 0;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' &&
           (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Reads the whole directory. Returns 0, or -1 with errno. */
static int read_names(DIR *dir, struct names *names)
{
    const struct dirent *entry;

    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno ? -1 : 0;
        if (!is_dots(entry->d_name) && add_name(names, entry->d_name) < 0)
            return -1;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Returns 0, or -1 with errno. */
static int sort_names(struct fs_job *job, size_t count)
{
    char *at = job->data;

    job->names = malloc((count + 1) * sizeof *job->names);
    if (job->names == NULL)
        return -1;
    for (job->size = 0; job->size < count; at += strlen(at) + 1)
        job->names[job->size++] = at;
    qsort(job->names, count, sizeof *job->names, compare_names);
    return 0;
}

void fs_path_readdir(struct fs_job *job)
{
    struct names names = {0};
    DIR *dir = opendir(job->args.path);

    if (dir == NULL) {
        fs_job_fail(job, NULL);
        return;
    }
    if (read_names(dir, &names) < 0)
        fs_job_fail(job, NULL);
    closedir(dir);
    job->data = names.text;
    if (job->error == 0 && sort_names(job, names.count) < 0)
        fs_job_fail(job, NULL);
}

/* ---- results */

int fs_path_push_text(lua_State *L, struct fs_job *job)
{
    lua_pushlstring(L, job->data, job->size);
    return 1;
}

int fs_path_push_flag(lua_State *L, struct fs_job *job)
{
    lua_pushboolean(L, job->flag);
    return 1;
}

int fs_path_push_names(lua_State *L, struct fs_job *job)
{
    size_t i;

    lua_createtable(L, (int)job->size, 0);
    for (i = 0; i < job->size; i++) {
        lua_pushstring(L, job->names[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static void set_integer(lua_State *L, const char *key, int64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

/* A time of the file in seconds as key, and in milliseconds as key .. "Ms". */
static void set_time(lua_State *L, const char *key, const char *key_ms,
                     struct timespec t)
{
    double fraction = (double)t.tv_nsec / 1e9;
    double ms = (double)t.tv_nsec / 1e6;

    if (t.tv_nsec == 0)
        lua_pushinteger(L, (lua_Integer)t.tv_sec);
    else
        lua_pushnumber(L, (double)t.tv_sec + fraction);
    lua_setfield(L, -2, key);
    if (t.tv_nsec % 1000000 == 0)
        lua_pushinteger(L, (lua_Integer)t.tv_sec * 1000 + t.tv_nsec / 1000000);
    else
        lua_pushnumber(L, (double)t.tv_sec * 1e3 + ms);
    lua_setfield(L, -2, key_ms);
}

/* [-0, +1, m] Pushes the metatable of all Stats. */
static void push_metatable(lua_State *L)
{
    if (!luaL_newmetatable(L, "fs.Stats"))
        return;
    lua_newtable(L);
    lua_setfield(L, -2, "__index");
}

void fs_path_push_methods(lua_State *L)
{
    push_metatable(L);
    lua_getfield(L, -1, "__index");
    lua_remove(L, -2);
}

int fs_path_push_stat(lua_State *L, struct fs_job *job)
{
    const struct stat *st = &job->stat;

    lua_createtable(L, 0, 16);
    set_integer(L, "dev", (int64_t)st->st_dev);
    set_integer(L, "ino", (int64_t)st->st_ino);
    set_integer(L, "mode", (int64_t)st->st_mode);
    set_integer(L, "nlink", (int64_t)st->st_nlink);
    set_integer(L, "uid", (int64_t)st->st_uid);
    set_integer(L, "gid", (int64_t)st->st_gid);
    set_integer(L, "rdev", (int64_t)st->st_rdev);
    set_integer(L, "size", (int64_t)st->st_size);
    set_integer(L, "blksize", (int64_t)st->st_blksize);
    set_integer(L, "blocks", (int64_t)st->st_blocks);
    set_time(L, "atime", "atimeMs", st->st_atim);
    set_time(L, "mtime", "mtimeMs", st->st_mtim);
    set_time(L, "ctime", "ctimeMs", st->st_ctim);
    push_metatable(L);
    lua_setmetatable(L, -2);
    return 1;
}
