/* In shared memory the file has a folder of its own, /dev/shm/luaserve-XXXXXX,
 * locked (flock) as long as a process that made it lives: a folder that nobody
 * has locked was left by one that was killed, and goes when the next is made.
 *
 * Space is set aside at once: a page that the disk has no room for when it is
 * touched is a SIGBUS, which nobody can handle. */
#include "proc/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MEMORY "/dev/shm"
#define PREFIX "luaserve-"

enum { YOUNG = 10 }; /* seconds in which a folder may not be locked yet */

static void remove_files(const char *folder)
{
    char path[STORE_PATH_SIZE + 16];

    snprintf(path, sizeof path, "%s/store", folder);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/store-lock", folder);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/store-turn", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

/* Removes the folder if it is ours and nobody's. */
static void remove_stale(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        st.st_mtime + YOUNG < time(NULL) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        remove_files(folder);
    close(fd);
}

static void remove_all_stale(void)
{
    char folder[sizeof MEMORY + 256];
    const struct dirent *entry;
    DIR *dir = opendir(MEMORY);

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) != 0)
            continue;
        snprintf(folder, sizeof folder, MEMORY "/%s", entry->d_name);
        remove_stale(folder);
    }
    closedir(dir);
}

int store_file_make(char path[static STORE_PATH_SIZE], char *error, size_t size)
{
    char folder[] = MEMORY "/" PREFIX "XXXXXX";
    int fd;

    remove_all_stale();
    if (mkdtemp(folder) == NULL) {
        snprintf(error, size,
                 "cannot make a store in " MEMORY ": %s; --store FILE keeps it "
                 "elsewhere",
                 strerror(errno));
        return -1;
    }
    /* Kept open, and so locked, until the process ends. */
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)flock(fd, LOCK_SH);
    snprintf(path, STORE_PATH_SIZE, "%s/store", folder);
    return 0;
}

bool store_file_is_made(const char *path)
{
    static const char start[] = MEMORY "/" PREFIX;

    return strncmp(path, start, sizeof start - 1) == 0;
}

/* The folder of the path. */
static void folder_of(const char *path, char folder[static STORE_PATH_SIZE])
{
    char *slash;

    snprintf(folder, STORE_PATH_SIZE, "%s", path);
    slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = '\0';
}

void store_file_give(const char *path, uid_t uid, gid_t gid)
{
    char other[STORE_PATH_SIZE + 8];
    int failures = 0;

    if (uid == (uid_t)-1)
        return;
    if (store_file_is_made(path)) {
        folder_of(path, other);
        failures += chown(other, uid, gid) < 0;
    }
    failures += chown(path, uid, gid) < 0;
    snprintf(other, sizeof other, "%s-lock", path);
    failures += chown(other, uid, gid) < 0;
    snprintf(other, sizeof other, "%s-turn", path);
    failures += chown(other, uid, gid) < 0;
    (void)failures; /* it is not there yet, or whoever opens it will say so */
}

void store_file_remove(const char *path)
{
    char folder[STORE_PATH_SIZE];

    folder_of(path, folder);
    remove_files(folder);
}

int store_file_lock(const char *path, bool *alone, char *error, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(error, size, "cannot open the store %s: %s", path,
                 strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        snprintf(error, size, "cannot open the store %s: it is no file", path);
    } else {
        *alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (*alone || flock(fd, LOCK_SH) == 0)
            return fd;
        snprintf(error, size, "cannot lock the store %s: %s", path,
                 strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

void store_file_settle(int fd)
{
    (void)flock(fd, LOCK_SH);
}

uint64_t store_file_size(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Whether the disk has room for what the file is to grow by.
 * Asked first, since a disk that is full on the way is full for everybody. */
static bool has_room(int fd, const struct stat *st, uint64_t size)
{
    uint64_t held = (uint64_t)st->st_blocks * 512;
    struct statvfs disk;

    if (fstatvfs(fd, &disk) < 0 || size <= held)
        return true;
    return (size - held) / disk.f_frsize < disk.f_bavail;
}

/* Sets size bytes aside for the file. Returns 0 or an errno. */
static int allocate(int fd, uint64_t size)
{
    struct stat st;
    int failure;

    if (fstat(fd, &st) < 0)
        return errno;
    if (!has_room(fd, &st, size))
        return ENOSPC;
    do {
        failure = posix_fallocate(fd, 0, (off_t)size);
    } while (failure == EINTR);
    if (failure != 0 && ftruncate(fd, st.st_size) < 0) /* what it has taken */
        failure = errno;
    return failure;
}

int store_file_allocate(int fd, const char *path, uint64_t size, char *error,
                        size_t error_size)
{
    int failure = allocate(fd, size);

    if (failure == 0)
        return 0;
    snprintf(error, error_size,
             "no room for the store %s (%llu MiB): %s; free some, or make it "
             "smaller with --store-size",
             path, (unsigned long long)(size >> 20), strerror(failure));
    return -1;
}

int store_file_allocate_locks(const char *path, uint64_t size, char *error,
                              size_t error_size)
{
    char name[STORE_PATH_SIZE + 8];
    int fd, failure;

    snprintf(name, sizeof name, "%s-lock", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    failure = fd < 0 ? errno : allocate(fd, size);
    if (fd >= 0)
        close(fd);
    if (failure == 0)
        return 0;
    snprintf(error, error_size, "cannot make %s: %s", name, strerror(failure));
    return -1;
}
