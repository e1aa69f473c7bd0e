/* Folders are called luaserve-XXXXXX and hold a file "lock", which their
 * process has locked with flock, and other files. What is not ours, has no such
 * file, or is a symbolic link is left alone. A sweep of another process may
 * remove ours between the making of its file and the lock: then another one is
 * made. A forked child has our lock and is not to remove anything. */
#include "proc/tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 512, TRIES = 8 };

#define PREFIX "luaserve-"
#define LOCK "lock"

static char path[PATH_SIZE]; /* "" while there is none */
static int lock = -1;
static pid_t owner;

static const char *parent(void)
{
    const char *name = getenv("TMPDIR");

    return name != NULL && name[0] == '/' && strlen(name) < PATH_SIZE / 2
               ? name
               : "/tmp";
}

/* ---- removing */

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes the files in the folder at fd, which is closed: the lock comes last,
 * so that a sweep that is cut short is made up for by the next. */
static void empty(int fd)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;

    if (dir == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (!is_dots(entry->d_name) && strcmp(entry->d_name, LOCK) != 0)
            unlinkat(fd, entry->d_name, 0);
    unlinkat(fd, LOCK, 0);
    closedir(dir);
}

/* Whether the folder at fd is of this user, and of a process that is dead. */
static bool is_left_over(int fd)
{
    struct stat st;
    int file;
    bool is_free;

    if (fstat(fd, &st) < 0 || (st.st_uid != geteuid() && geteuid() != 0))
        return false;
    file = openat(fd, LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    is_free = flock(file, LOCK_EX | LOCK_NB) == 0;
    close(file);
    return is_free;
}

static void sweep_one(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    if (!is_left_over(fd)) {
        close(fd);
        return;
    }
    empty(fd);
    unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void tempdir_sweep(void)
{
    DIR *dir = opendir(parent());
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
            sweep_one(dirfd(dir), entry->d_name);
    closedir(dir);
}

/* ---- ours */

/* Locks the folder that was just made. False where a sweep came first. */
static bool take_lock(void)
{
    char name[PATH_SIZE + sizeof "/" LOCK];
    struct stat st;

    snprintf(name, sizeof name, "%s/" LOCK, path);
    lock = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (lock < 0)
        return false;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0 && fstat(lock, &st) == 0 &&
        st.st_nlink > 0)
        return true;
    close(lock);
    lock = -1;
    return false;
}

static void close_at_end(void)
{
    tempdir_close();
}

static int make(void)
{
    int i;

    for (i = 0; i < TRIES; i++) {
        snprintf(path, sizeof path, "%s/" PREFIX "XXXXXX", parent());
        if (mkdtemp(path) == NULL)
            break;
        if (take_lock())
            return 0;
        rmdir(path);
    }
    path[0] = '\0';
    return -1;
}

const char *tempdir_path(void)
{
    static bool is_registered;

    if (path[0] != '\0' && owner == getpid())
        return path;
    if (make() < 0)
        return NULL;
    owner = getpid();
    if (!is_registered)
        is_registered =
            atexit(close_at_end) == 0 && at_quick_exit(close_at_end) == 0;
    return path;
}

void tempdir_close(void)
{
    int fd;

    if (path[0] == '\0' || owner != getpid())
        return;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        empty(fd);
    rmdir(path);
    close(lock);
    path[0] = '\0';
}
