/* Removing goes by directory descriptors and never follows a link, so that
 * somebody who swaps a directory for a link meanwhile cannot lead it out of the
 * tree. A thread's stack bounds the depth; deeper trees fail with ELOOP. Files
 * that vanish meanwhile are as good as removed. */
#include "script/fs_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { DEPTH_MAX = 512 }; /* of a tree; each level holds a descriptor */

/* ---- mkdir */

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Makes path, whose parent is there. Returns 0 also where it is a directory
 * already, else -1 with errno. */
static int make_one(const char *path, mode_t mode)
{
    int error;

    if (mkdir(path, mode) == 0)
        return 0;
    error = errno; /* of an existing one on a read-only disk: EROFS */
    if (is_directory(path))
        return 0;
    errno = error;
    return -1;
}

/* Makes what is missing, from the top. path is changed on the way, and is as
 * it was in the end. */
static int make_all(char *path, mode_t mode)
{
    char *at = path;
    int result;

    while (*at == '/')
        at++;
    while ((at = strchr(at, '/')) != NULL) {
        *at = '\0';
        result = make_one(path, mode);
        *at = '/';
        if (result < 0 && errno == EEXIST)
            errno = ENOTDIR; /* a file is in the way */
        if (result < 0)
            return -1;
        while (*at == '/')
            at++;
    }
    return make_one(path, mode);
}

void fs_tree_mkdir(struct fs_job *job)
{
    char *path = (char *)(uintptr_t)job->args.path; /* the job's own copy */
    int result;

    if (!job->args.recursive)
        result = mkdir(path, job->args.mode);
    else
        result = make_all(path, job->args.mode);
    if (result < 0)
        fs_job_fail(job, NULL);
}

/* ---- rm */

static int remove_at(int parent, const char *name, int depth);

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes all that is in dir. Returns 0, or -1 with errno. */
static int empty(DIR *dir, int depth)
{
    const struct dirent *entry;

    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno ? -1 : 0;
        if (!is_dots(entry->d_name) &&
            remove_at(dirfd(dir), entry->d_name, depth) < 0)
            return -1;
    }
}

/* Removes the directory name in parent. Returns 0, or -1 with errno. */
static int remove_directory(int parent, const char *name, int depth)
{
    int fd, result, error;
    DIR *dir;

    if (depth >= DEPTH_MAX) {
        errno = ELOOP;
        return -1;
    }
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    dir = fdopendir(fd);
    if (dir == NULL) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    result = empty(dir, depth + 1);
    error = errno;
    closedir(dir);
    errno = error;
    return result < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

/* Linux answers EISDIR to an unlink of a directory, POSIX allows EPERM. */
static int remove_at(int parent, const char *name, int depth)
{
    int result = unlinkat(parent, name, 0);

    if (result < 0 && (errno == EISDIR || errno == EPERM)) {
        int error = errno;

        result = remove_directory(parent, name, depth);
        if (result < 0 && errno == ENOTDIR)
            errno = error; /* a file that may not be removed */
    }
    return result < 0 && errno == ENOENT && depth > 0 ? 0 : result;
}

void fs_tree_rm(struct fs_job *job)
{
    int result;

    if (job->args.recursive)
        result = remove_at(AT_FDCWD, job->args.path, 0);
    else
        result = unlink(job->args.path);
    if (result < 0 && !(job->args.force && errno == ENOENT))
        fs_job_fail(job, NULL);
}
